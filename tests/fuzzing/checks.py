"""Checks for any input: no foreign exceptions, no NaN, a ledger that adds up, limits that hold."""

from __future__ import annotations

import json
import time
import uuid
import warnings
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any
from unicodedata import category

import numpy as np

import regionbatch
from fuzzing.inputs import IMAGES, READERS, SLOTS
from regionbatch import plugins
from regionbatch.files import image_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAX_SECONDS = 5.0
"""CPU time of one input of at most 20 KB; nearly all take milliseconds."""


def sandbox(target: str, folder: Path) -> DatasetSandbox | ImageSandbox:
    """Return the sandbox in which inputs of a target are checked."""
    if target == IMAGES:
        return ImageSandbox(folder)
    return DatasetSandbox(target, folder)


class DatasetSandbox:
    """A folder with a small dataset for each slot; an input replaces one file and all are read."""

    def __init__(self, target: str, folder: Path) -> None:
        self.target = target
        self._reader = plugins.get(READERS[target])
        self._slots = SLOTS[target]
        self._folders = [folder / f"{number}" for number in range(len(self._slots))]
        for slot, home in zip(self._slots, self._folders, strict=True):
            for name, text in {slot.file: "", **slot.other_files}.items():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).write_text(text, encoding="utf-8")

    def check(self, data: bytes) -> str:
        """Read an input and check all that must hold; return the outcome in a word."""
        number = data[0] % len(self._slots) if data else 0
        slot, home = self._slots[number], self._folders[number]
        (home / slot.file).write_bytes(data[1:])
        start = time.process_time()
        outcome = check(home, format=self._reader, **slot.options)
        assert time.process_time() - start < MAX_SECONDS
        return outcome


class ImageSandbox:
    """A file that inputs are written to, and whose size is then read."""

    def __init__(self, folder: Path) -> None:
        self.target = IMAGES
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "image"

    def check(self, data: bytes) -> str:
        """Read the size of an image; check that nothing is raised and that the budgets are kept."""
        self._path.write_bytes(data[1:])
        used = _Usage()
        start = time.process_time()
        with used.recorded():
            width, height = image_headers.image_size(
                str(self._path), exif_rotation=bool(data[:1] > b"\0")
            )
        assert time.process_time() - start < MAX_SECONDS
        assert used.bytes <= image_headers.MAX_BYTES_READ
        assert used.reads <= image_headers.MAX_READS
        limit = image_headers.MAX_SIDE
        assert type(width) is type(height) is int
        assert (width, height) == (0, 0) or (0 < width <= limit and 0 < height <= limit)
        return "size" if width else "unknown"


class _Usage:
    """How often and how many bytes of an image file were read."""

    def __init__(self) -> None:
        self.bytes = self.reads = 0

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Count reads of the image file by giving its reader a file that counts."""
        original = image_headers._LimitedFile

        def counting(file: IO[bytes]) -> Any:
            return original(_CountingFile(file, self))

        image_headers._LimitedFile = counting  # type: ignore[assignment,misc]
        try:
            yield
        finally:
            image_headers._LimitedFile = original  # type: ignore[misc]


class _CountingFile:
    def __init__(self, file: IO[bytes], usage: _Usage) -> None:
        self._file = file
        self._usage = usage

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._usage.bytes += len(data)
        self._usage.reads += 1
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)


def check(source: Path, **options: Any) -> str:
    """Read a dataset and check the result; return "read", or the name of the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            dataset = regionbatch.read(source, **options)
        except regionbatch.PluginError:  # a built-in reader counted wrong
            raise
        except regionbatch.RegionBatchError as error:
            check_message(str(error))
            return type(error).__name__
        check_dataset(dataset)
        check_findings(dataset, source / "report.out")
    return "read"


def check_message(message: str) -> None:
    """Check that a message is one printable line, with a place before the first colon."""
    assert all(sign.isprintable() or category(sign) == "Zs" for sign in message), (
        f"not one line: {message!a}"
    )
    assert ": " in message, message
    assert len(message) < 5000, f"{len(message)} characters: {message[:500]}"


def check_dataset(dataset: regionbatch.Dataset) -> None:
    """Check that no box is NaN or outside its image, and that ledger and batches add up."""
    box = dataset.regions.box
    assert np.isfinite(box).all()
    assert (box[:, :2] >= 0).all()
    assert (box[:, 2:].astype(np.float32) > 0).all()
    for numbers in (box, box.astype(np.float32), box.astype(np.float32).astype(np.float64)):
        assert (numbers[:, :2] + numbers[:, 2:] <= 1).all()
    ledger = dataset.ledger
    for account in (ledger, ledger.images):
        assert account.read == account.kept + sum(account.adjusted.values()) + sum(
            account.dropped.values()
        )
        assert (
            min([account.read, account.kept, *account.adjusted.values(), *account.dropped.values()])
            >= 0
        )
    assert len(dataset) == ledger.kept + sum(ledger.adjusted.values())
    assert len(dataset.images) == ledger.images.kept
    assert len(set(dataset.images.names)) == len(dataset.images)
    assert len(set(dataset.tags)) == len(dataset.tags)
    assert all(tag == tag.strip() and tag for tag in dataset.tags)
    assert len(set(dataset)) == len(dataset)
    made = regionbatch.batches(
        dataset, tag_ids=numbered(dataset.tags), image_ids=numbered(dataset.images.names)
    )
    assert sum(len(json.loads(batch.to_json())["regions"]) for batch in made) == len(dataset)


def numbered(names: Iterable[str]) -> dict[str, str]:
    """Return an ID for each name."""
    return {name: str(uuid.UUID(int=number)) for number, name in enumerate(names)}


def check_findings(dataset: regionbatch.Dataset, report: Path) -> None:
    """Check that every finding has a valid message, and that the report contains all of them."""
    findings = list(dataset.findings)
    assert len(findings) == len(dataset.findings) == sum(dataset.findings.counts().values())
    for finding in findings:
        check_message(finding.message)
        assert finding.place
        assert finding.message.startswith(finding.place + ": ")
    for decision in dataset.decisions.values():
        check_message(f"decided: {decision}")
    regionbatch.write_report(report, dataset)
    content = json.loads(report.read_bytes())
    report.unlink()
    assert len(content["findings"]) == len(findings)
