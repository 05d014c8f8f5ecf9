"""Hostile JSON: time and memory grow no faster than the file, and every limit is an error."""

from __future__ import annotations

import json
import os
import stat
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from hostile_data.inputs import INPUTS
from hostile_data.writers import vott_region
from regionbatch.files import small_json
from regionbatch.files.folders import FolderLister
from regionbatch.files.tree import Tree
from regionbatch.findings import FindingLog
from regionbatch.names.resolve import resolve
from regionbatch.readers.coco import json_stream, records
from regionbatch.readers.coco.json_stream import ArraySpec, ArrayStream
from regionbatch.readers.coco.json_text import CHUNK_SIZE, JsonText, document
from regionbatch.readers.coco.records import ARRAY_SPECS
from regionbatch.readers.coco.unread_boxes import count_boxes_in_file

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 2**20

SMALL = {
    "COCO: arrays as image_id": 2_000,
    "COCO: n different words as image_id": 2_000,
    "COCO: objects as bbox": 3_000,
    "COCO: annotations that are empty": 10_000,
    "COCO: annotations that are numbers": 10_000,
    "COCO: annotations that are arrays": 3_000,
    "COCO: images that are numbers": 10_000,
    "COCO: one key n times in a record": 5_000,
    "COCO: a category of n numbers": 10_000,
    "COCO: a mask of n runs": 50_000,
    "COCO: one polygon of n points": 25_000,
    "COCO: a string of n bytes": 2 * MEBIBYTE,
    "COCO: n spaces": 2 * MEBIBYTE,
    "COCO: a neighbour of n detections": 10_000,
}
"""Inputs of `hostile.py` that are read to the end, in a size that is fast."""


def read(folder: Path) -> None:
    """Read a dataset; errors are fine."""
    with suppress(rb.RegionBatchError):
        rb.read(folder)


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of bytes of each read of a `JsonText`."""
    found: list[int] = []
    read_into = JsonText.read_into
    read = JsonText.read

    def count_into(text: JsonText, target: memoryview, at: int) -> int:
        found.append(read_into(text, target, at))
        return found[-1]

    def count(text: JsonText, at: int, length: int) -> bytes:
        data = read(text, at, length)
        found.append(len(data))
        return data

    monkeypatch.setattr(JsonText, "read_into", count_into)
    monkeypatch.setattr(JsonText, "read", count)
    return found


@pytest.mark.parametrize("name", SMALL)
def test_reads_and_memory_grow_with_the_size_of_the_file(
    name: str, tmp_path: Path, bytes_read: list[int]
) -> None:
    """Twice the input: at most twice the bytes read, and twice the memory."""
    counts, peaks = [], []
    for times in (1, 2):
        folder = tmp_path / str(times)
        folder.mkdir()
        INPUTS[name].make(folder, SMALL[name] * times)
        bytes_read.clear()
        tracemalloc.start()
        read(folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        counts.append(sum(bytes_read))
    assert counts[1] < 2.2 * counts[0] + 2 * MEBIBYTE
    assert peaks[1] < 2.2 * peaks[0] + MEBIBYTE
    assert peaks[1] < 64 * MEBIBYTE


@pytest.mark.parametrize("key", ["annotations", "images", "categories"])
def test_the_number_of_records_that_are_not_objects_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(records, "MAX_NON_OBJECTS", 10)
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


def test_the_number_of_top_level_keys_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = '"images": [], "annotations": [], "categories": []'
    for count, wrong in ((json_stream.MAX_KEYS - 3, False), (json_stream.MAX_KEYS - 2, True)):
        path.write_text("{" + '"k": 1, ' * count + content + "}", encoding="utf-8")
        with document(path) as text:
            if wrong:
                with pytest.raises(rb.DatasetError):
                    list(ArrayStream(text, ARRAY_SPECS))
            else:
                list(ArrayStream(text, ARRAY_SPECS))


@pytest.mark.parametrize("padding", [b"\0", b" ", b"\n"])
def test_padding_after_the_end_is_limited(
    tmp_path: Path, padding: bytes, bytes_read: list[int]
) -> None:
    path = tmp_path / "a.json"
    text = b'{"images": [], "annotations": [], "categories": []}'
    path.write_bytes(text + padding * json_stream.MAX_PADDING)
    assert len(rb.read(path)) == 0
    path.write_bytes(text + padding * (json_stream.MAX_PADDING + 1))
    with pytest.raises(rb.DatasetError):
        rb.read(path)
    path.write_bytes(text + padding * 3 * json_stream.MAX_PADDING)
    bytes_read.clear()
    with pytest.raises(rb.DatasetError):
        rb.read(path)
    assert not bytes_read, "its start and end are enough"


def test_the_size_of_a_record_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"images": [{"id": "1", "x": [' + "1," * 2_000 + "1]}]}", encoding="utf-8")
    for limit in (2**13, 2**11):
        with document(path) as text:
            spec = ArraySpec(records._Image, max_record_size=limit)
            chunks = ArrayStream(text, {"images": spec}, 64)
            if limit == 2**13:
                assert [chunk.length for chunk in chunks] == [1]
            else:
                with pytest.raises(rb.DatasetError):
                    list(chunks)


def test_strings_and_brackets_at_the_edges_of_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window may end anywhere: before a quote, after a backslash, inside a long string."""
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
        monkeypatch.setattr("regionbatch.readers.coco.json_text.CHUNK_SIZE", window)
        with document(path) as opened:
            seen.add(tuple(opened.tokens(0)))
    assert len(seen) == 1


def write_large_coco(folder: Path) -> Path:
    """Write a COCO file of several chunks."""
    boxes = [
        {"id": n, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]} for n in range(30_000)
    ]
    images = [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}]
    content = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": boxes}
    path = folder / "a.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("change", ["truncated", "emptied", "longer", "rewritten"])
def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path, change: str) -> None:
    path = write_large_coco(tmp_path)
    size = path.stat().st_size
    assert size > 3 * CHUNK_SIZE
    done: list[int] = []

    def progress(what: str, at: int, _all: int) -> None:
        if "a.json" in what and not done and at > CHUNK_SIZE // 2:
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


def test_boxes_of_another_format_are_counted_across_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"bbox" : 1}, {"points":1}, {"bbox": "bbox"}, {"bndbox"\n:1}]' * 50)
    for size in (1, 7, 64, 2**19):
        monkeypatch.setattr("regionbatch.readers.coco.unread_boxes.CHUNK_SIZE", size)
        assert count_boxes_in_file(path) == 200


def test_bad_records_are_reported_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is called once for each chunk, not for each record."""
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
    """A directory entry that looks like a Windows junction; on disk it is a symbolic link."""

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


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_junctions_are_treated_as_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.txt").touch()
    (tmp_path / "set" / "inner").mkdir(parents=True)
    (tmp_path / "set" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "set" / "inner" / "again").symlink_to(tmp_path / "set")
    scandir = os.scandir
    monkeypatch.setattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003, raising=False)
    monkeypatch.setattr(
        os,
        "scandir",
        lambda path: [Junction(each) if each.is_symlink() else each for each in scandir(path)],
    )
    tree = Tree(tmp_path / "set")
    assert list(tree.files(".txt")) == []
    assert [folder for folder, _ in tree.folders()] == ["", "inner"]
    assert tree.outside_links == ["out"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_is_inside_a_dataset_that_is_the_root_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    tree = Tree(type(tmp_path)(tmp_path.anchor))
    path = tmp_path.resolve().relative_to(tmp_path.anchor).as_posix()
    assert f"{path}/b.txt" in tree
    assert f"{path}/b.txt" not in tree.outside_links


def test_a_link_on_a_case_insensitive_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system resolves the link to the name on disk; the user may write it in another case."""
    lister = FolderLister(tmp_path / "Set")
    for same in (True, False):
        monkeypatch.setattr(os.path, "samefile", lambda *_, same=same: same)
        assert lister._is_inside(str(tmp_path.resolve() / "set" / "a.txt")) is same
    assert not lister._is_inside(str(tmp_path.resolve() / "settings" / "a.txt"))


def test_memory_for_an_image_name_grows_with_its_folders() -> None:
    """Keeping every suffix of the path would take memory that grows with the square."""
    peaks = []
    for parts in (20_000, 40_000):
        tracemalloc.start()
        name = "a/" * parts + "b.jpg"
        resolve("image", ["c/b.jpg"], [0], {name: "0" * 36}, FindingLog(), skip=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.5 * peaks[0]
    assert peaks[1] < 16 * MEBIBYTE


def dense_document(size: int) -> str:
    return f'{{"assets": {{"1": {{"regions": [{"[]," * (size // 3)}[]]}}}}}}'


def test_a_dense_document_is_never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """VoTT exports, ID tables and notes.json are parsed whole: `[]` takes 24 times its size."""
    monkeypatch.setattr("json.loads", lambda *_, **__: pytest.fail("parsed"))
    with pytest.raises(ValueError, match="too many values"):
        small_json.load_json(dense_document(4 * MEBIBYTE))


def test_an_ordinary_vott_export_of_48_mebibytes_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    region = vott_region(",".join(['{"x":20.5,"y":10.25}'] * 4))
    text = ",".join([region] * 100)
    in_proportion = small_json._SPARE_BYTES * len(text) // (48 * MEBIBYTE)
    monkeypatch.setattr(small_json, "_SPARE_BYTES", in_proportion)
    assert len(small_json.load_json(f"[{text}]")) == 100


def test_a_dense_id_table_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ids.json"
    path.write_text(dense_document(4 * MEBIBYTE), encoding="utf-8")
    with pytest.raises(rb.ResolveError) as caught:
        rb.read_ids(path)
    assert caught.value.place == str(path)
