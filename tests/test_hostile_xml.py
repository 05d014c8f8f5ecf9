"""Hostile XML, YOLO text, YAML, VoTT and CVAT: the cost is linear, or a limit rejects the file.

Where Python does the work, its function calls are counted. Where a C library does it (lxml,
libyaml, `re`, `unicodedata`), a limit must reject the input before the library sees it.
"""

from __future__ import annotations

import os
import tracemalloc
import unicodedata
from contextlib import suppress
from cProfile import Profile
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lxml import etree

import regionbatch as rb
from hostile_data.inputs import INPUTS
from hostile_data.writers import BOX, ROW, SIZE, thing, voc, yamls, yolo
from regionbatch.files import text
from regionbatch.files.tree import MOST_LINES
from regionbatch.normal_form import MAX_MARKS, normal_form
from regionbatch.readers import safe_xml
from regionbatch.readers.voc import columns as voc_columns
from regionbatch.readers.voc.xml_files import _without_flag
from regionbatch.readers.yolo import row_parser
from regionbatch.readers.yolo.row_parser import NUMBER

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 2**20

SMALL = {
    "ImageSets line with n spaces": 3_000,
    "ImageSets line of n flags": 3_000,
    "ImageSets line of n folders": 3_000,
    "YOLO token of n digits": 3_000,
    "YOLO rows that are words": 4_000,
    "YOLO rows that are one number": 4_000,
    "YOLO rows of 1000 numbers": 20_000,
    "YOLO row of n numbers": 20_000,
    "YOLO row of n words": 20_000,
    "YOLO class names, n": 2_000,
    "YOLO list of n images": 200,
    "YOLO list with n empty lines": 2_000,
    "YOLO splits missing in the YAML, n": 40,
    "YOLO descriptions, n": 30,
    "YOLO names in n spellings": 60,
    "YOLO images and labels of one name, n": 60,
    "YAML of n names": 500,
    "YAML of n anchors": 2_000,
    "YAML of n paths": 20,
    "YAML of n merges of n": 100,
    "<size> with n widths": 1_000,
    "<size> n times": 1_000,
    "<filename>, n different": 1_000,
    "<object> with n names": 1_000,
    "<object> with n <difficult>": 1_000,
    "<object> with n boxes and n <difficult>": 300,
    "<object> with n boxes, n polygons and a rotation": 200,
    "<polygon> with n points": 1_000,
    "XML of n <x/>": 4_000,
    "XML of n objects on a line": 300,
    "class name of n accents": 300,
    "class name of n accents, COCO": 300,
    "class name of n accents, YOLO": 300,
    "CVAT: n boxes": 300,
    "CVAT: n images": 300,
    "CVAT: n images of one name": 300,
    "CVAT: polygon of n points": 1_000,
    "CVAT: n labels in labels": 500,
    "VoTT: n regions": 300,
    "VoTT: n points": 1_000,
    "VoTT: n assets of one name": 300,
    "VoTT: n tags": 500,
    "VoTT: n empty arrays": 1_000,
    "VoTT: CSV of n rows": 500,
    "VoTT: CSV of n words": 1_000,
    "VoTT: CSV with a row of n cells": 4_000,
}
"""The inputs of `hostile.py` that are read completely, in a size that is fast."""


def calls_of_reading(folder: Path) -> int:
    """Read a dataset, and return how many function calls that took, including C functions."""
    profile = Profile()  # it counts in C; a function for `sys.setprofile` takes three times as long
    with profile, suppress(rb.RegionBatchError):
        rb.read(folder)
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("name", SMALL)
def test_calls_grow_no_faster_than_the_input(name: str, tmp_path: Path) -> None:
    """From twice to four times the size, at most three times as many calls are added as before."""
    counts = []
    for times in (0, 1, 2, 4):  # the first run also imports modules
        folder = tmp_path / str(times)
        folder.mkdir()
        INPUTS[name].make(folder, SMALL[name] * max(times, 1))
        counts.append(calls_of_reading(folder))
    _, one, two, four = counts
    assert four - two <= 3 * max(two - one, one // 4) + 500, counts


def test_numbers_need_the_memory_of_their_columns(tmp_path: Path) -> None:
    """A list of Python numbers would be 16 times as large as their text."""
    yolo(tmp_path, ROW)
    rb.read(tmp_path)  # imports modules
    label_file = tmp_path / "labels" / "a.txt"
    label_file.write_text(ROW + ("0" + " 1" * 1000 + "\n") * 500, encoding="utf-8")
    size = label_file.stat().st_size
    tracemalloc.start()
    with suppress(rb.RegionBatchError):
        rb.read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    columns = size // 2 * 8
    assert peak <= 8 * size + 16 * MEBIBYTE + columns


class NotReachedError(Exception):
    """A library was given input that a limit should have rejected."""


def never(*_given: object, **_named: object) -> Any:
    raise NotReachedError


def test_xml_of_too_many_elements_is_never_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safe_xml, "_SPARE_BYTES", 0)
    monkeypatch.setattr(etree, "fromstring", never)
    for count in (10_000, 20_000):
        for content in ("<x/>" * count, "<x " + "a=''" * count):
            with pytest.raises(safe_xml.InvalidXmlError):
                safe_xml.parse_safely(f"<annotation>{content}</annotation>".encode(), "annotation")
    monkeypatch.undo()
    monkeypatch.setattr(safe_xml, "_SPARE_BYTES", 2**20)
    voc(tmp_path, SIZE + thing() + "<x/>" * 50_000)
    (tmp_path / "Annotations" / "b.xml").write_text(
        f"<annotation>{SIZE}{thing()}</annotation>", encoding="utf-8"
    )
    dataset = rb.read(tmp_path)
    assert (len(dataset), dataset.findings.counts()["unreadable_file"]) == (1, 1)


def test_ordinary_voc_xml_of_4_mebibytes_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretty = SIZE + "".join(
        f"\n  {thing(BOX.replace('><', '>' + chr(10) + '    <'))}" for _ in range(100)
    )
    in_proportion = safe_xml._SPARE_BYTES * len(pretty) // (4 * MEBIBYTE)
    monkeypatch.setattr(safe_xml, "_SPARE_BYTES", in_proportion)
    voc(tmp_path, pretty)
    assert rb.read(tmp_path).ledger.read == 100


@pytest.mark.parametrize("count", [150_000, 300_000])
@pytest.mark.parametrize("content", ["names:\n{}", "names: [{}]", "{{{}}}", "names: cat\nx: {}"])
def test_yaml_of_too_many_values_is_never_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, content: str
) -> None:
    for loader in ("CBaseLoader", "BaseLoader"):
        monkeypatch.setattr(yaml, loader, never, raising=False)
    marks = {
        "names:\n{}": "- x\n",
        "names: [{}]": "x,",
        "{{{}}}": "a: b,",
        "names: cat\nx: {}": "[",
    }
    yamls(tmp_path, content.format(marks[content] * count), 1)
    if content.startswith("{"):
        assert len(rb.read(tmp_path)) == 1, "not a description of a dataset"
    else:
        with pytest.raises(rb.DatasetError) as caught:
            rb.read(tmp_path)
        assert caught.value.place == "0.yaml"


def test_yaml_of_21_000_names_is_read(tmp_path: Path) -> None:
    """The size of the largest public list of classes."""
    yamls(
        tmp_path,
        "names:\n" + "".join(f"  {number}: name {number}, or so\n" for number in range(21_841)),
        1,
    )
    (tmp_path / "classes.txt").unlink()
    assert len(rb.read(tmp_path).tags) == 21_841


@pytest.mark.parametrize(
    "marks",
    ["\u0301\u0316", "\u0f73", "\u0301\uff9e"],
    ids=["accents", "double characters", "half-width characters"],
)
def test_text_of_many_marks_is_never_normalised(
    monkeypatch: pytest.MonkeyPatch, marks: str
) -> None:
    longest = 0

    def note(form: str, text: str) -> str:
        nonlocal longest
        longest = max(longest, len(text))
        return normalise(form, text)  # type: ignore[arg-type]

    normalise = unicodedata.normalize
    monkeypatch.setattr(unicodedata, "normalize", note)
    for count in (MAX_MARKS, 10_000, 20_000):
        assert normal_form("NFC", "x" + marks * count) == "x" + marks * count
    assert longest == 1


def test_text_of_few_marks_is_normalised() -> None:
    accents = "\u0301" * MAX_MARKS
    assert normal_form("NFC", f"e{accents}" * 1000) == f"\u00e9{accents[1:]}" * 1000
    assert normal_form("NFKC", "\ufb01" * 1000) == "fi" * 1000


def test_a_class_name_of_many_marks_is_not_changed(tmp_path: Path) -> None:
    name = "x" + "\u0316\u0301" * 1000
    voc(tmp_path, f"{SIZE}<object><name>{name}</name>{BOX}</object>")
    dataset = rb.read(tmp_path)
    assert (list(dataset.tags), len(dataset)) == ([name], 1)


@pytest.mark.parametrize("end", [b"x", b".x", b"e+x", b"."])
def test_numbers_are_matched_in_linear_time(end: bytes) -> None:
    """A pattern that tries each split of a million digits would never finish."""
    assert bool(NUMBER.fullmatch(b"1" * MEBIBYTE + end)) == (end == b".")


def test_flags_in_image_sets() -> None:
    assert _without_flag("a b  -1") == ("a b", "-1")
    assert _without_flag("a\t1") == ("a", "1")
    for line in ("a", "1", "", "a 2", "a1", f"a{' ' * MEBIBYTE}b"):
        assert _without_flag(line) == (line, "")


def test_invalid_rows_up_to_the_limit(tmp_path: Path) -> None:
    yolo(
        tmp_path,
        ROW
        + "x\n" * (row_parser.MAX_INVALID_ROWS // 2)
        + "1\n" * (row_parser.MAX_INVALID_ROWS // 2),
    )
    dataset = rb.read(tmp_path)
    assert (dataset.ledger.read, len(dataset)) == (row_parser.MAX_INVALID_ROWS + 1, 1)
    assert dict(dataset.ledger.dropped) == {"not_a_row": row_parser.MAX_INVALID_ROWS}


@pytest.mark.parametrize("bad", ["x", "1", "0 1 1"])
def test_a_file_with_too_many_invalid_rows_is_dropped(tmp_path: Path, bad: str) -> None:
    """Its image is dropped with a reason, other files are kept, and both accounts balance."""
    yolo(tmp_path, ROW + f"{bad}\n" * (row_parser.MAX_INVALID_ROWS + 1) + ROW)
    (tmp_path / "labels" / "b.txt").write_text(ROW + "x\n", encoding="utf-8")
    for name in "ab":
        (tmp_path / f"{name}.jpg").touch()
    dataset = rb.read(tmp_path)
    assert (dataset.ledger.read, len(dataset), dict(dataset.ledger.dropped)) == (
        2,
        1,
        {"not_a_row": 1},
    )
    assert dataset.ledger.images.dropped == {"unreadable_file": 1}
    assert dataset.ledger.balanced
    assert dataset.ledger.images.balanced
    [finding] = dataset.findings.first("unreadable_file")
    assert (finding.file, row_parser.TOO_MANY_INVALID_ROWS in finding.value) == (
        "labels/a.txt",
        True,
    )


def test_a_row_that_is_too_long_is_invalid(tmp_path: Path) -> None:
    for number, row in enumerate(
        ("0" + " 0.5" * (row_parser.MAX_ROW_SIZE // 4), "x " * (row_parser.MAX_ROW_SIZE // 2 + 1))
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        yolo(folder, f"{ROW}{row}\n{ROW.replace('0.25', '0.5')}")
        dataset = rb.read(folder)
        assert (dataset.ledger.read, len(dataset)) == (3, 2)
        assert [finding.where for finding in dataset.findings.first("not_a_row")] == [2]


def test_only_the_first_bytes_of_a_file_that_is_too_large_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    read = os.read

    def count(handle: int, most: int) -> bytes:
        data = read(handle, most)
        counted.append(len(data))
        return data

    monkeypatch.setattr(os, "read", count)
    path = tmp_path / "a.txt"
    for times in (1, 2):
        path.write_bytes(b"0" * (MEBIBYTE * times + 1))
        counted.clear()
        with pytest.raises(text.UnreadableError):
            text.read_bytes(str(path), most=MEBIBYTE)
        assert sum(counted) == 2**14
    assert voc_columns.MAX_FILE_SIZE < text.MAX_LABEL_FILE_BYTES


def test_a_large_text_that_is_not_a_label_file_is_not_a_loss(tmp_path: Path) -> None:
    yolo(tmp_path, ROW)
    (tmp_path / "labels" / "notes.txt").write_text("some words\n" * MEBIBYTE, encoding="utf-8")
    dataset = rb.read(tmp_path)
    assert (len(dataset), dataset.ledger.images.lost) == (1, 0)


def test_a_list_with_too_many_lines_is_an_error(tmp_path: Path) -> None:
    for end in ("\n", "\r", "\r\n"):
        (tmp_path / "classes.txt").unlink(missing_ok=True)
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / "a.txt").write_text(ROW, encoding="utf-8")
        (tmp_path / "classes.txt").write_bytes(f"cat{end * (MOST_LINES + 1)}dog".encode())
        with pytest.raises(rb.DatasetError) as caught:
            rb.read(tmp_path)
        assert caught.value.place == "classes.txt"


def test_multiplying_aliases_are_an_error(tmp_path: Path) -> None:
    INPUTS["YAML of 10^n aliases"].make(tmp_path, 30)
    with pytest.raises(rb.DatasetError) as caught:
        rb.read(tmp_path)
    assert caught.value.place == "0.yaml"


def test_listed_images_keep_their_order(tmp_path: Path) -> None:
    INPUTS["YOLO list of n images"].make(tmp_path, 5)
    for number in range(5):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"{number}.jpg").touch()
    assert [name for name in rb.read(tmp_path).images.names if "images/" in name] == [
        f"images/{number}.jpg" for number in range(5)
    ]
