"""A COCO file is checked to be UTF-8 while it is read: the result is that of checking it first."""

from __future__ import annotations

import errno
import json
from functools import partial
from io import FileIO
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from helpers import InThisProcess
from regionbatch import part_reading
from regionbatch.files.storage import LOCAL
from regionbatch.readers.coco import reader
from regionbatch.readers.coco.json_stream import ArrayStream
from regionbatch.readers.coco.json_text import document

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

BAD = (b"\xe4", "猫".encode()[:2], "猫".encode()[1:], b"\xed\xa0\x80")
"""cp1252, both halves of a character, and half of a surrogate pair."""


@pytest.fixture(autouse=True)
def chunks_of_64_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a small file several chunks, in several parts."""
    monkeypatch.setattr(ArrayStream.__init__, "__defaults__", (64,))
    monkeypatch.setattr(part_reading, "MIN_PARTS", 5)


def document_of(*, is_odd: bool) -> bytes:
    """Return a COCO file with text that the reader skips, and perhaps records that no type fits."""
    annotations: list[Any] = [
        {"id": n, "image_id": n % 3, "category_id": 1, "bbox": [n // 3, 2, 3, 4], "note": "é"}
        for n in range(12)
    ]
    if is_odd:
        annotations[4]["bbox"] = "none"
        annotations[9]["id"] = "nine"
    images = [{"id": n, "file_name": f"{n}é.jpg", "width": 9, "height": 9} for n in range(3)]
    content = {
        "info": {"by": "Zoë"},
        "images": images,
        "annotations": annotations,
        "licence": "free",
        "categories": [{"id": 1, "name": "猫"}],
        "more": ["ü"],
    }
    return json.dumps(content, ensure_ascii=False).encode()


def result_of(path: Path, executor: Executor | None = None) -> list[Any]:
    try:
        dataset = rb.read(path, executor=executor)
    except rb.RegionBatchError as error:
        return [type(error), str(error), error.__dict__]
    names = (dataset.images.names, dataset.tags)
    return [list(dataset), names, list(dataset.findings), dataset.ledger, dict(dataset.decisions)]


def checked_first(*arguments: Any, is_checked: bool = True) -> Any:  # noqa: ARG001 - as in `document`
    return document(*arguments)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("is_odd", [False, True])
def test_bad_bytes_anywhere_give_what_checking_first_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: bytes, *, is_odd: bool
) -> None:
    good = document_of(is_odd=is_odd)
    path = tmp_path / "a.json"
    results = []
    for at in range(5, len(good), 151):
        path.write_bytes(good[:at] + bad + good[at:])
        with monkeypatch.context() as patch:
            patch.setattr(reader, "document", checked_first)
            expected = result_of(path)
        assert result_of(path) == expected, at
        assert result_of(path, InThisProcess()) == expected, at
        results.append(expected)
    assert any("encoding" in result[-1] for result in results), "some are readable as cp1252"


@pytest.mark.parametrize("at", [b"Zo", b'"note": "', b"free", b'"more": ["'])
def test_one_bad_byte_makes_all_names_cp1252(tmp_path: Path, at: bytes) -> None:
    """Wherever it is: before, in or after the records, and in the last part."""
    good = document_of(is_odd=False)
    end = good.rindex(at) + len(at)
    path = tmp_path / "a.json"
    path.write_bytes(good[:end] + b"\xe4" + good[end:])
    for executor in (None, InThisProcess()):
        dataset = rb.read(path, executor=executor)
        assert dataset.tags == ["猫".encode().decode("cp1252")]
        assert dataset.images.names[0] == "0Ã©.jpg"
        assert len(dataset) == dataset.ledger.read == 12


class FailingFile(FileIO):
    """A file on a disk that fails after some reads."""

    def __init__(self, path: str, reads: int) -> None:
        super().__init__(path)
        self.reads = reads

    def _count(self) -> None:
        self.reads -= 1
        if self.reads < 0:
            raise OSError(errno.EIO, "Input/output error")

    def read(self, size: Any = -1, /) -> bytes:
        self._count()
        return super().read(size) or b""

    def readinto(self, target: Any, /) -> int:
        self._count()
        return super().readinto(target) or 0


def test_a_disk_that_fails_while_a_file_is_read_is_an_error_about_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(document_of(is_odd=True))
    expected = result_of(path)
    failures = 0
    for reads in range(0, 200, 10):
        monkeypatch.setattr(LOCAL, "open", partial(FailingFile, reads=reads), raising=False)
        found = result_of(path)
        if found != expected:
            failures += 1
            assert (found[0], found[2]["place"]) == (rb.DatasetError, "a.json"), reads
            assert found[2]["value"] == "Input/output error"
    assert 5 < failures < 20
