"""Datasets with image files, a clock that does not wait, and a local service with faults."""

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
from regionbatch.customvision.rate_limiter import RateLimiter
from regionbatch.local import Fault, Faults, LocalService, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pytest

    from regionbatch import Batch, Dataset, TrainingClient, UploadResult

SIZE = 64
"""Width and height of the images, in pixels."""
READING, CHECKING, UPLOADING, SENDING = (
    "reading the project",
    "checking images",
    "uploading images",
    "sending regions",
)
"""The steps of an upload as `progress` is called with them, for tests that act during one."""
WRITES = frozenset({"CreateTag", "CreateImagesFromFiles", "CreateImageRegions"})
"""The calls that change a project."""
TIMEOUT = 1.0
"""Timeout of the client in seconds, for services that hold their responses back."""


class Clock:
    """A clock that only moves during `sleep`, which does not wait."""

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

    def rate_limiter(self, calls_per_second: float = 10, **options: Any) -> RateLimiter:
        return RateLimiter(calls_per_second, now=self.now, sleep=self.sleep, seed=0, **options)


def write_image(
    path: Path, size: tuple[int, int] = (64, 64), colour: int = 0, **options: Any
) -> None:
    """Write an image of one colour."""
    Image.new("RGB", size, (colour % 256, colour // 256, 0)).save(path, **options)


def write_noise(path: Path, size: tuple[int, int], form: str) -> None:
    """Write an image that cannot be compressed."""
    pixels = random.Random(0).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, pixels).save(path, form)


def write_dataset(
    folder: Path,
    *,
    images: int = 12,
    boxes: int = 30,
    tags: Sequence[str] = ("cat", "dog", "emu"),
    seed: int = 0,
) -> Path:
    """Write a COCO dataset with different image files, and boxes on each image but the last."""
    rng = random.Random(seed)
    rows = []
    names = [f"{number:05}.png" for number in range(images)]
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (SIZE, SIZE), (number % 256, number // 256, seed % 256)).save(
            folder / name
        )
        if number < images - 1:
            for box in range(boxes):
                left, top = rng.uniform(0, SIZE - 9), rng.uniform(0, SIZE - 9)
                numbers = (
                    round(left, 3),
                    round(top, 3),
                    round(rng.uniform(1, 9), 3),
                    round(rng.uniform(1, 9), 3),
                )
                rows.append((name, tags[box % len(tags)], numbers))
    return write_coco(folder, rows, images=dict.fromkeys(names, (SIZE, SIZE)), tags=tags)


def verification_counts(result: UploadResult) -> dict[str, int]:
    """Return the counts of the verification at the end of an upload."""
    assert result.verification is not None
    return result.verification.summary()


def expected_counts(matched: int, **other: int) -> dict[str, int]:
    """Return what `verification_counts` must be; counts that are not given are 0."""
    return {"matched": matched, "missing": 0, "moved": 0, "extra": 0, "elsewhere": 0, **other}


def upload(dataset: Dataset, client: TrainingClient, project: str, **options: Any) -> UploadResult:
    """Upload with a clock that does not wait, and check that the counts of regions add up."""
    options = {"create_tags": True, "rate_limiter": Clock().rate_limiter(), **options}
    result = regionbatch.upload(dataset, client, project, **options)
    if not options.get("dry_run"):
        assert result.sent == result.created + result.duplicated + result.exceeded + result.failed
        assert result.sent + result.already == len(result.batches.regions)
    return result


def assert_exact(
    dataset: Dataset, result: UploadResult, service: LocalService, project: str
) -> None:
    """Check that a project has exactly the regions of a dataset."""
    assert stored_regions(service, project) == expected_regions(dataset, result)
    assert verification_counts(result) == expected_counts(len(dataset))
    assert result.lost == 0


def about(error: Exception) -> tuple[str, str, object]:
    """Return what an error is about: its place, its option and its value."""
    assert isinstance(error, regionbatch.RegionBatchError)
    return error.place, error.option, error.value


def stored_regions(service: LocalService, project: str) -> Counter[tuple[str, str, bytes]]:
    """Return the regions that the service has: image ID, tag name, 32-bit numbers."""
    return Counter(
        (
            row.image_id,
            row.tag_name,
            np.array([row.left, row.top, row.width, row.height], np.float32).tobytes(),
        )
        for row in service.regions(project)
    )


def expected_regions(dataset: Dataset, result: UploadResult) -> Counter[tuple[str, str, bytes]]:
    """Return the regions that the service should have, each once."""
    return Counter(
        (
            result.image_ids[region.image],
            region.tag,
            np.array([region.left, region.top, region.width, region.height], np.float32).tobytes(),
        )
        for region in dataset
    )


def delete_images(client: TrainingClient, project: str, ids: Sequence[str]) -> None:
    """Call DeleteImages, which an upload never does."""
    query = {"imageIds": ",".join(ids), "allIterations": "true"}
    client._connection.call(
        "DeleteImages", "DELETE", f"/projects/{project}/images", type(None), query=query
    )


def refuse_boxes(
    client: TrainingClient, lefts: set[float], monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Let the service refuse batches with boxes at certain positions.

    Returns:
        The sizes of all batches that are sent, added to while the test runs.
    """
    create_regions = client.create_regions
    sizes: list[int] = []

    def create_or_refuse(project: str, batch: Batch) -> Any:
        sizes.append(len(batch))
        if any(entry.left in lefts for entry in batch):
            raise regionbatch.ServiceError(
                "CreateImageRegions: refused. See the message.",
                code="BadRequestImageRegions",
                service_message="bad",
                status=400,
            )
        return create_regions(project, batch)

    monkeypatch.setattr(client, "create_regions", create_or_refuse)
    return sizes


def settings_of(seed: int) -> tuple[Settings, str]:
    """Return settings for behaviour that Microsoft does not document, and an API version."""
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


def faults(
    seed: int, kinds: Sequence[Fault] = tuple(Fault), rate: float = 0.2, **options: Any
) -> Faults:
    """Return faults that take little time."""
    return Faults(
        **{"rate": rate, "kinds": tuple(kinds), "seed": seed, "hold": 5.0, "slow": 0.01, **options}
    )


@contextmanager
def rehearsal(
    settings: Settings | None = None,
    faults: Faults | None = None,
    *,
    version: str = "3.2",
    **service: Any,
) -> Iterator[tuple[LocalService, str, TrainingClient]]:
    """Run a local service with a project; yield the service, the project ID and a client."""
    with LocalService(settings, faults=faults, **service) as local:
        project = local.create_project("rehearsal")
        with regionbatch.TrainingClient(
            local.endpoint, local.key, version=version, timeout=TIMEOUT
        ) as client:
            yield local, project, client


def run_with_faults(
    dataset: Dataset, seed: int, kinds: Sequence[Fault] = tuple(Fault)
) -> Counter[Fault]:
    """Upload despite faults, check that the project is exact, and return the faults met."""
    settings, version = settings_of(seed)
    with rehearsal(settings, faults(seed, kinds), version=version) as (service, project, client):
        limiter = Clock().rate_limiter()
        result = regionbatch.upload(
            dataset, client, project, create_tags=True, rate_limiter=limiter
        )
        stored, wanted = stored_regions(service, project), expected_regions(dataset, result)
        lost, surplus = (wanted - stored).total(), (stored - wanted).total()
        assert (lost, surplus) == (0, 0), (
            f"seed {seed}, {settings}: {lost} lost, {surplus} too many"
        )
        assert result.created + result.duplicated == result.sent == len(dataset)
        assert verification_counts(result) == expected_counts(len(dataset))
        assert result.verification is not None
        assert result.lost == 0
        assert dict(limiter.calls) == dict(service.calls)
        return service.faults.injected
