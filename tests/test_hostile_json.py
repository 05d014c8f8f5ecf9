"""JSON made to do harm: what is counted grows no faster than the file; a file that changes meanwhile is an error."""

from __future__ import annotations

import json
import os
import stat
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hostile import INPUTS

import regionbatch as rb
from regionbatch.files.tree import Tree
from regionbatch.findings import FindingLog
from regionbatch.readers.coco import jsonpieces, records
from regionbatch.readers.coco.jsonpieces import Kind, Pieces
from regionbatch.readers.coco.jsontext import PIECE, JsonText, document
from regionbatch.readers.coco.passed_over import count_boxes
from regionbatch.readers.coco.records import WANTED
from regionbatch.resolve import resolve

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 2**20

SMALL = {
    "COCO: arrays as image_id": 3_000,
    "COCO: n different words as image_id": 3_000,
    "COCO: objects as bbox": 3_000,
    "COCO: annotations that are empty": 20_000,
    "COCO: annotations that are numbers": 40_000,
    "COCO: annotations that are arrays": 20_000,
    "COCO: images that are numbers": 40_000,
    "COCO: one key n times in a record": 5_000,
    "COCO: a category of n numbers": 20_000,
    "COCO: a mask of n runs": 200_000,
    "COCO: one polygon of n points": 50_000,
    "COCO: a string of n bytes": 2 * MEBIBYTE,
    "COCO: n blanks": 2 * MEBIBYTE,
    "COCO: a neighbour of n detections": 20_000,
}
"""Inputs of `hostile.py` that are read to their end, in a size that is fast."""


def read(folder: Path) -> None:
    """Read a dataset; an error is as good as any other end."""
    with suppress(rb.RegionBatchError):
        rb.read(folder)


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each read of a `JsonText` gave."""
    found: list[int] = []
    into, read = JsonText.read_into, JsonText.read

    def count_into(text: JsonText, room: memoryview, at: int) -> int:
        found.append(into(text, room, at))
        return found[-1]

    def count(text: JsonText, at: int, length: int) -> bytes:
        piece = read(text, at, length)
        found.append(len(piece))
        return piece

    monkeypatch.setattr(JsonText, "read_into", count_into)
    monkeypatch.setattr(JsonText, "read", count)
    return found


@pytest.mark.parametrize("name", SMALL)
def test_growth(name: str, tmp_path: Path, bytes_read: list[int]) -> None:
    """Of twice as much, no more than twice as many bytes are read, and no more memory than the rule says is needed."""
    counts = []
    for times in (1, 2):
        folder = tmp_path / str(times)
        folder.mkdir()
        INPUTS[name].make(folder, SMALL[name] * times)
        size = max(path.stat().st_size for path in folder.iterdir())
        bytes_read.clear()
        tracemalloc.start()
        read(folder)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        counts.append(sum(bytes_read))
        assert peak < 8 * size + 64 * MEBIBYTE
    assert counts[1] < 2.2 * counts[0] + 2 * MEBIBYTE


@pytest.mark.parametrize("key", ["annotations", "images", "categories"])
def test_records_that_are_no_objects_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr(records, "MAX_VALUES", 10)
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    path = tmp_path / "a.json"
    for count in (10, 11):
        path.write_text(json.dumps({**content, key: [1] * count}), encoding="utf-8")
        if count == 10:
            rb.read(path)
        else:
            with pytest.raises(rb.DatasetError) as caught:
                rb.read(path)
            assert caught.value.place == "a.json"


def test_keys_at_the_top_level_have_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = '"images": [], "annotations": [], "categories": []'
    for count, wrong in ((jsonpieces.MAX_KEYS - 3, False), (jsonpieces.MAX_KEYS - 2, True)):
        path.write_text("{" + '"k": 1, ' * count + content + "}", encoding="utf-8")
        with document(path) as text:
            if wrong:
                with pytest.raises(rb.DatasetError):
                    list(Pieces(text, WANTED))
            else:
                list(Pieces(text, WANTED))


@pytest.mark.parametrize("padding", [b"\0", b" ", b"\n"])
def test_what_follows_the_end_has_a_limit(tmp_path: Path, padding: bytes, bytes_read: list[int]) -> None:
    path = tmp_path / "a.json"
    text = b'{"images": [], "annotations": [], "categories": []}'
    path.write_bytes(text + padding * jsonpieces.MAX_PADDING)
    assert len(rb.read(path)) == 0
    path.write_bytes(text + padding * (jsonpieces.MAX_PADDING + 1))
    with pytest.raises(rb.DatasetError):
        rb.read(path)
    path.write_bytes(text + padding * 3 * jsonpieces.MAX_PADDING)
    bytes_read.clear()
    with pytest.raises(rb.DatasetError):
        rb.read(path)
    assert not bytes_read, "its two ends are enough"


def test_a_record_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"images": [{"id": "1", "x": [' + "1," * 2_000 + "1]}]}", encoding="utf-8")
    for largest in (2**13, 2**11):
        with document(path) as text:
            pieces = Pieces(text, {"images": Kind(records._Image, largest=largest)}, 64)
            if largest == 2**13:
                assert [piece.records for piece in pieces] == [1]
            else:
                with pytest.raises(rb.DatasetError):
                    list(pieces)


def test_strings_and_brackets_at_the_edges_of_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is cut by the end of a window: quotes, backslashes before them, strings longer than several."""
    parts = [
        '"a"',
        '"\\""',
        '"\\\\"',
        '"{[\\\\\\"]}"',
        "{",
        "}",
        "[",
        "]",
        " ",
        '"' + "x" * 40 + '"',
        '"' + '\\\\"',
        "1,",
    ]
    text = "".join(parts * 3)
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    seen = set()
    for window in range(2, 60):
        monkeypatch.setattr("regionbatch.readers.coco.jsontext.PIECE", window)
        with document(path) as opened:
            seen.add(tuple(opened.tokens(0)))
    assert len(seen) == 1


def big(folder: Path) -> Path:
    """A COCO file of several pieces."""
    boxes = [{"id": n, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]} for n in range(30_000)]
    images = [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}]
    content = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": boxes}
    path = folder / "a.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("change", ["truncated", "emptied", "longer", "rewritten"])
def test_a_file_that_is_changed_while_it_is_read(tmp_path: Path, change: str) -> None:
    path = big(tmp_path)
    size = path.stat().st_size
    assert size > 3 * PIECE
    done: list[int] = []

    def progress(what: str, at: int, _all: int) -> None:
        if "a.json" in what and not done and at > PIECE // 2:
            done.append(at)
            if change == "truncated":
                os.truncate(path, at + 10)
            elif change == "emptied":
                os.truncate(path, 0)
            elif change == "longer":
                with path.open("ab") as file:
                    file.write(b" ")
            else:
                with path.open("r+b") as file:
                    file.seek(size - 40)
                    file.write(b"7")
            os.utime(path, ns=(1, 1))

    with pytest.raises(rb.DatasetError) as caught:
        rb.read(path, progress=progress)
    assert done
    assert caught.value.place == "a.json"


def test_boxes_of_another_format_are_counted_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"bbox" : 1}, {"points":1}, {"bbox": "bbox"}, {"bndbox"\n:1}]' * 50)
    for piece in (1, 7, 64, 2**19):
        monkeypatch.setattr("regionbatch.readers.coco.passed_over.PIECE", piece)
        assert count_boxes(path) == 200


def test_bad_records_are_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of the log a piece, not a record."""
    calls: list[str] = []
    for name in ("add", "add_each", "_add_one", "read"):
        inner = getattr(FindingLog, name)

        def spy(log: FindingLog, *args: Any, _inner: Any = inner, **more: Any) -> Any:
            calls.append("")
            return _inner(log, *args, **more)

        monkeypatch.setattr(FindingLog, name, spy)
    counts = []
    for times in (1, 2):
        (tmp_path / str(times)).mkdir()
        INPUTS["COCO: objects as bbox"].make(tmp_path / str(times), 2_000 * times)
        calls.clear()
        dataset = rb.read(tmp_path / str(times))
        assert dataset.findings.counts()["not_a_box"] == 2_000 * times
        counts.append(len(calls))
    assert counts[0] == counts[1]


class Junction:
    """An entry that a real symbolic link stands for, and that Windows tells as a junction."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self.name, self.path = entry.name, entry.path

    def is_symlink(self) -> bool:
        return False

    def is_dir(self) -> bool:
        return True

    def is_file(self, **_: object) -> bool:
        return False

    def stat(self, **_: object) -> object:
        return type("stat_result", (), {"st_reparse_tag": 0xA0000003})


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_junctions_are_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.txt").touch()
    (tmp_path / "set" / "inner").mkdir(parents=True)
    (tmp_path / "set" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "set" / "inner" / "again").symlink_to(tmp_path / "set")
    scandir = os.scandir
    monkeypatch.setattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003, raising=False)
    monkeypatch.setattr(
        os, "scandir", lambda path: [Junction(each) if each.is_symlink() else each for each in scandir(path)]
    )
    tree = Tree(tmp_path / "set")
    assert list(tree.files(".txt")) == []
    assert [folder for folder, _ in tree.folders()] == ["", "inner"]
    assert tree.outside == ["out"]


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_is_inside_a_dataset_that_is_the_whole_disk(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    tree = Tree(type(tmp_path)(tmp_path.anchor))
    path = tmp_path.resolve().relative_to(tmp_path.anchor).as_posix()
    assert f"{path}/b.txt" in tree
    assert f"{path}/b.txt" not in tree.outside


def test_a_link_on_a_disk_that_ignores_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system resolves the link to the name as it is on the disk, and the user wrote it otherwise."""
    tree = Tree(tmp_path / "Set")
    for same in (True, False):
        monkeypatch.setattr(os.path, "samefile", lambda *_, same=same: same)
        assert tree._is_inside(str(tmp_path.resolve() / "set" / "a.txt")) is same
    assert not tree._is_inside(str(tmp_path.resolve() / "settings" / "a.txt"))


def test_an_image_name_of_n_folders_has_few_ends() -> None:
    """Of a table of IDs; each end is text of its own, so that all of them would be n squared bytes."""
    peaks = []
    for parts in (20_000, 40_000):
        tracemalloc.start()
        name = "a/" * parts + "b.jpg"
        resolve("image", ["c/b.jpg"], [0], {name: "0" * 36}, FindingLog(), skip=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.5 * peaks[0]
    assert peaks[1] < 16 * MEBIBYTE
