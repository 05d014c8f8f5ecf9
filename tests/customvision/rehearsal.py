"""Datasets with image files, a clock that does not wait, and a local service with faults."""

from __future__ import annotations

import io
import random
import sqlite3
import threading
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import regionbatch
from helpers import write_coco
from regionbatch.customvision import image_files, regions
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
"""The steps that an upload passes to `progress`, for tests that act during one of them."""
WRITES = frozenset({"CreateTag", "CreateImagesFromFiles", "CreateImageRegions"})
"""The calls that change a project."""
SILENT = frozenset({Fault.TIMEOUT, Fault.TIMEOUT_APPLIED, Fault.TIMEOUT_LATE})
"""Faults that last until the timeout of the client."""
TIMEOUT = 0.5
"""Timeout of the client in seconds, for services with such faults."""
LONG_TIMEOUT = 120.0
"""Timeout for all others, however busy this machine is."""


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


@cache
def _png(*colour: int) -> bytes:
    """Return an image of one colour, cached because most datasets have the same images."""
    buffer = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE), colour).save(buffer, "png")
    return buffer.getvalue()


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
        (folder / name).write_bytes(_png(number % 256, number // 256, seed % 256))
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


def make_older(journal: Path, seconds: float) -> None:
    """Move the calls in a journal some seconds into the past."""
    with closing(sqlite3.connect(journal)) as db, db:
        db.execute("UPDATE calls SET sent = sent - ?, done = done - ?", [seconds, seconds])


def refuse_boxes(
    client: TrainingClient, lefts: set[float], monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Let the service refuse batches with boxes at certain positions.

    Returns:
        The sizes of all batches that are sent; the list grows while the test runs.
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


def send_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send 8 regions or images at a time, so that halving a batch takes 15 calls, not 127."""
    monkeypatch.setattr(regions, "REGIONS_PER_BATCH", 8)
    monkeypatch.setattr(image_files, "IMAGES_PER_BATCH", 8)


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
        timeout = TIMEOUT if SILENT & {*local.faults.kinds} and local.faults.rate else LONG_TIMEOUT
        with regionbatch.TrainingClient(
            local.endpoint, local.key, version=version, timeout=timeout
        ) as client:
            yield local, project, client


DEFECTS: dict[str, tuple[tuple[Fault, ...], tuple[str, ...]]] = {
    "listings lag": ((), ("listing_lag",)),
    "all reads lag": ((), ("read_lag",)),
    "new IDs are unknown": ((), ("id_lag",)),
    "fewer digits": ((), ("stored_digits",)),
    "rows move": ((Fault.SHIFTED,), ("page_size",)),
    "late writes": ((Fault.ERROR_504_LATE, Fault.TIMEOUT_LATE), ()),
    "no names": ((Fault.NAMELESS, Fault.RENAMED), ("source_url",)),
    "conflicts": ((Fault.CONFLICT, Fault.CONFLICT_APPLIED, Fault.NOT_UNIQUE_APPLIED), ()),
    "everything": (
        tuple(Fault),
        ("read_lag", "id_lag", "stored_digits", "page_size", "source_url"),
    ),
}
"""Defects of a service by name: faults of single calls, and settings that are drawn."""
MAX_LAG = 30.0
"""The longest lag of reads, IDs and late writes in seconds."""


def drawn_settings(names: Sequence[str], settings: Settings, rng: random.Random) -> Settings:
    """Return settings with some of them drawn at random."""
    drawn: dict[str, Any] = {
        "listing_lag": rng.uniform(0, MAX_LAG),
        "read_lag": rng.uniform(0, MAX_LAG),
        "id_lag": rng.uniform(0, MAX_LAG),
        "stored_digits": rng.choice([4, 5]),
        "page_size": rng.choice([1, 2, 3, 5]),
        "source_url": rng.choice(["name", "null", "renamed", "encoded", "prefixed"]),
    }
    return replace(settings, **{name: drawn[name] for name in names})


def run_with_faults(
    dataset: Dataset,
    seed: int,
    kinds: Sequence[Fault] = tuple(Fault),
    drawn: Sequence[str] = (),
    *,
    real_time: bool = False,
) -> Counter[Fault]:
    """Upload despite faults, check that the project is exact, and return the faults met.

    The service has the clock of the rate limiter. Only a service that stores fewer digits and never
    recognises a region may store one twice, but not three times, and the verification must count
    the copies.
    """
    settings, version = settings_of(seed)
    rng = random.Random(seed)
    settings = drawn_settings(drawn, settings, rng)
    clock = Clock()
    limiter = RateLimiter(50) if real_time else clock.rate_limiter()
    met = faults(seed, kinds, late=rng.uniform(0, MAX_LAG))
    now = limiter.now
    with rehearsal(settings, met, version=version, clock=now) as (service, project, client):
        result = regionbatch.upload(
            dataset, client, project, create_tags=True, rate_limiter=limiter
        )
        digits = settings.stored_digits
        stored, wanted = stored_regions(service, project), expected_regions(dataset, result)
        if digits:
            stored = nearest(stored, wanted, 10**-digits)
        lost, surplus = (wanted - stored).total(), (stored - wanted).total()
        described = f"seed {seed}, {settings}: {lost} lost, {surplus} too many"
        assert lost == 0, described
        assert result.created + result.duplicated == result.sent == len(dataset), described
        if digits and settings.on_existing == "twice":
            assert max(stored.values()) < 3, described
        else:
            assert surplus == 0, described
        assert verification_counts(result) == expected_counts(len(dataset), extra=surplus)
        assert result.lost == surplus
        assert dict(limiter.calls) == dict(service.calls)
        return service.faults.injected


def nearest(
    stored: Counter[tuple[str, str, bytes]], wanted: Counter[tuple[str, str, bytes]], apart: float
) -> Counter[tuple[str, str, bytes]]:
    """Return each stored region as the wanted one nearest to it, up to a distance."""
    result: Counter[tuple[str, str, bytes]] = Counter()
    for key, count in stored.items():
        image, tag, box = key
        others = [other for other in wanted if other[:2] == (image, tag)]
        boxes = np.frombuffer(b"".join(other[2] for other in others), np.float32).reshape(-1, 4)
        distances = np.abs(boxes - np.frombuffer(box, np.float32)).max(axis=1)
        is_known = len(others) and distances.min() <= apart
        result[others[int(distances.argmin())] if is_known else key] += count
    return result
