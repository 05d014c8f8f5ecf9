"""Datasets with pictures, a clock that needs no waiting, and uploads to a service with faults; for all tests here."""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import regionbatch
from helpers import write_coco
from regionbatch.customvision.rate import Pace
from regionbatch.local import Fault, Faults, LocalService, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from regionbatch import Dataset, TrainingClient, UploadResult

SIZE = 64
"""Sides of the pictures, in pixels."""
READING, LOOKING, UPLOADING, SENDING = (
    "reading the project",
    "looking at pictures",
    "uploading pictures",
    "sending regions",
)
"""What `progress` is called with in the stages of an upload, for tests that act in the middle of one."""
TIMEOUT = 1.0
"""Seconds that a client waits where a service holds its answers back."""


class Clock:
    """A clock that only moves when somebody sleeps, which takes no time."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.time += seconds

    def pace(self, calls_per_second: float = 10, **options: Any) -> Pace:
        return Pace(calls_per_second, now=self.now, sleep=self.sleep, seed=0, **options)


def write_set(
    folder: Path, *, images: int = 12, boxes: int = 30, tags: Sequence[str] = ("cat", "dog", "emu"), seed: int = 0
) -> Path:
    """A COCO set with pictures, each of other bytes, and `boxes` on each image but the last, which has none."""
    rng = random.Random(seed)
    rows = []
    names = [f"{number:05}.png" for number in range(images)]
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (SIZE, SIZE), (number % 256, number // 256, seed % 256)).save(folder / name)
        if number < images - 1:
            for box in range(boxes):
                left, top = rng.uniform(0, SIZE - 9), rng.uniform(0, SIZE - 9)
                numbers = (round(left, 3), round(top, 3), round(rng.uniform(1, 9), 3), round(rng.uniform(1, 9), 3))
                rows.append((name, tags[box % len(tags)], numbers))
    return write_coco(folder, rows, images=dict.fromkeys(names, (SIZE, SIZE)), tags=tags)


def proof(result: UploadResult) -> dict[str, int]:
    """The figures of the verification that ends an upload."""
    assert result.verification is not None
    return result.verification.summary()


def verified(matched: int, **other: int) -> dict[str, int]:
    """What `proof` must be; what is not said is 0."""
    return {"matched": matched, "missing": 0, "moved": 0, "extra": 0, "elsewhere": 0, **other}


def stored(service: LocalService, project: str) -> Counter[tuple[str, str, bytes]]:
    """Regions as the service has them: image id, tag name, 32-bit numbers."""
    return Counter(
        (row.image_id, row.tag_name, np.array([row.left, row.top, row.width, row.height], np.float32).tobytes())
        for row in service.regions(project)
    )


def expected(dataset: Dataset, result: UploadResult) -> Counter[tuple[str, str, bytes]]:
    """Regions as they should be there, each once."""
    return Counter(
        (
            result.image_ids[region.image],
            region.tag,
            np.array([region.left, region.top, region.width, region.height], np.float32).tobytes(),
        )
        for region in dataset
    )


def delete_images(client: TrainingClient, project: str, ids: Sequence[str]) -> None:
    """DeleteImages, which an upload never calls."""
    query = {"imageIds": ",".join(ids), "allIterations": "true"}
    client._call("DeleteImages", "DELETE", f"/projects/{project}/images", type(None), query=query)


def switches(seed: int) -> tuple[Settings, str]:
    """What is unknown about the real service, one way after the other; and a version."""
    rng = random.Random(seed)
    settings = Settings(
        on_existing=("duplicated", "refuse", "twice")[seed % 3],
        unknown_ids=("batch", "not-found", "entry")[seed // 3 % 3],
        partial_status=rng.choice([None, 200, 207]),
        retry_after=rng.random() < 0.5,
        nulls=rng.random() < 0.5,
        quoted_names=rng.random() < 0.5,
        seed=seed,
    )
    return settings, rng.choice(["3.2", "3.3"])


def faults(seed: int, kinds: Sequence[Fault] = tuple(Fault), rate: float = 0.2, **options: Any) -> Faults:
    """Faults that waste no time."""
    return Faults(**{"rate": rate, "kinds": tuple(kinds), "seed": seed, "hold": 5.0, "slow": 0.01, **options})


@contextmanager
def rehearsal(
    settings: Settings | None = None, faults: Faults | None = None, *, version: str = "3.2", **service: Any
) -> Iterator[tuple[LocalService, str, TrainingClient]]:
    """A service, a project on it, and a client."""
    with LocalService(settings, faults=faults, **service) as local:
        project = local.create_project("rehearsal")
        with regionbatch.TrainingClient(local.endpoint, local.key, version=version, timeout=TIMEOUT) as client:
            yield local, project, client


def run_with_faults(dataset: Dataset, seed: int, kinds: Sequence[Fault] = tuple(Fault)) -> Counter[Fault]:
    """Upload against faults, and see that the project ends with exactly the dataset's regions; the faults met."""
    settings, version = switches(seed)
    with rehearsal(settings, faults(seed, kinds), version=version) as (service, project, client):
        pace = Clock().pace()
        result = regionbatch.upload(dataset, client, project, create_tags=True, pace=pace)
        there, wanted = stored(service, project), expected(dataset, result)
        lost, surplus = (wanted - there).total(), (there - wanted).total()
        assert (lost, surplus) == (0, 0), f"seed {seed}, {settings}: {lost} lost, {surplus} too many"
        assert result.created + result.duplicated == result.sent == len(dataset)
        assert proof(result) == verified(len(dataset))
        assert result.verification is not None
        assert result.lost == 0
        assert dict(pace.calls) == dict(service.calls)
        return service.faults.injected
