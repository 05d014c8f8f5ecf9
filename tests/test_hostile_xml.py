"""XML, YOLO text and YAML made to do harm: what is counted grows no faster than the file, or a limit refuses the file.

Calls of Python functions are counted where Python does the work. Where a C library does (lxml, libyaml, `re`,
`unicodedata`), the test shows that the limit refuses the input before the library sees it.
"""

from __future__ import annotations

import os
import sys
import tracemalloc
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hostile import BOX, INPUTS, ROW, SIZE, thing, voc, yamls, yolo
from lxml import etree

import regionbatch as rb
from regionbatch.files import text
from regionbatch.files.tree import MOST_LINES
from regionbatch.normal_form import MOST_MARKS, normal_form
from regionbatch.readers import safe_xml
from regionbatch.readers.voc import xml as voc_xml
from regionbatch.readers.voc.xml_files import _without_flag
from regionbatch.readers.yolo import tables
from regionbatch.readers.yolo.tables import NUMBER

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 2**20

SMALL = {
    "ImageSets line with n blanks": 3_000,
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
    "YOLO splits that are forgotten, n": 40,
    "YOLO descriptions, n": 30,
    "YOLO names in n spellings": 60,
    "YOLO images and labels of one name, n": 60,
    "YAML of n names": 2_000,
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
"""Inputs of `hostile.py` that are read to their end, in a size that is fast."""


def calls_of_reading(folder: Path) -> int:
    """Read a dataset, and return how many calls of functions that took, of C functions too."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        with suppress(rb.RegionBatchError):
            rb.read(folder)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("name", SMALL)
def test_growth(name: str, tmp_path: Path) -> None:
    """Of four times as much, what is added needs no more than four times the calls, and some for the logarithm."""
    counts = []
    for times in (0, 1, 2, 4):  # what is loaded once is loaded in the first
        folder = tmp_path / str(times)
        folder.mkdir()
        INPUTS[name].make(folder, SMALL[name] * max(times, 1))
        counts.append(calls_of_reading(folder))
    _, one, two, four = counts
    assert four - two <= 3 * max(two - one, one // 4) + 500, counts


def test_memory_of_numbers_follows_the_columns(tmp_path: Path) -> None:
    """A list of Python's numbers would be 16 times as large as their text."""
    yolo(tmp_path, ROW + ("0" + " 1" * 1000 + "\n") * 2000)
    size = (tmp_path / "labels" / "a.txt").stat().st_size
    tracemalloc.start()
    with suppress(rb.RegionBatchError):
        rb.read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    columns = size // 2 * 8
    assert peak <= 8 * size + 64 * MEBIBYTE + columns


class NotReachedError(Exception):
    """A library was given what a limit should have refused."""


def never(*_given: object, **_named: object) -> Any:
    raise NotReachedError


def test_xml_of_too_many_elements_is_never_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_xml, "_SPARE", 0)
    monkeypatch.setattr(etree, "fromstring", never)
    for count in (10_000, 20_000):
        for content in ("<x/>" * count, "<x " + "a=''" * count):
            with pytest.raises(safe_xml.BrokenError):
                safe_xml.safe_root(f"<annotation>{content}</annotation>".encode(), "annotation")
    monkeypatch.undo()
    monkeypatch.setattr(safe_xml, "_SPARE", 2**20)
    voc(tmp_path, SIZE + thing() + "<x/>" * 50_000)
    (tmp_path / "Annotations" / "b.xml").write_text(f"<annotation>{SIZE}{thing()}</annotation>", encoding="utf-8")
    dataset = rb.read(tmp_path)
    assert (len(dataset), dataset.findings.counts()["unreadable_file"]) == (1, 1)


def test_ordinary_xml_is_far_from_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_xml, "_SPARE", 0)
    pretty = SIZE + "".join(f"\n  {thing(BOX.replace('><', '>' + chr(10) + '    <'))}" for _ in range(100))
    voc(tmp_path, pretty)
    assert rb.read(tmp_path).ledger.read == 100


@pytest.mark.parametrize("count", [150_000, 300_000])
@pytest.mark.parametrize("content", ["names:\n{}", "names: [{}]", "{{{}}}", "names: cat\nx: {}"])
def test_yaml_of_too_many_values_is_never_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, content: str
) -> None:
    for loader in ("CBaseLoader", "BaseLoader"):
        monkeypatch.setattr(yaml, loader, never, raising=False)
    marks = {"names:\n{}": "- x\n", "names: [{}]": "x,", "{{{}}}": "a: b,", "names: cat\nx: {}": "["}
    yamls(tmp_path, content.format(marks[content] * count), 1)
    if content.startswith("{"):
        assert len(rb.read(tmp_path)) == 1, "of something else: it has no key of ours"
    else:
        with pytest.raises(rb.DatasetError) as caught:
            rb.read(tmp_path)
        assert caught.value.place == "0.yaml"


def test_yaml_of_21_000_names_is_read(tmp_path: Path) -> None:
    """As many as the largest public list of classes has."""
    yamls(tmp_path, "names:\n" + "".join(f"  {number}: name {number}, or so\n" for number in range(21_841)), 1)
    (tmp_path / "classes.txt").unlink()
    assert len(rb.read(tmp_path).tags) == 21_841


@pytest.mark.parametrize(
    "marks", ["\u0301\u0316", "\u0f73", "\u0301\uff9e"], ids=["accents", "signs that are two", "signs of half a width"]
)
def test_text_of_many_marks_is_never_normalised(monkeypatch: pytest.MonkeyPatch, marks: str) -> None:
    longest = 0

    def note(form: str, text: str) -> str:
        nonlocal longest
        longest = max(longest, len(text))
        return normalise(form, text)  # type: ignore[arg-type]

    normalise = unicodedata.normalize
    monkeypatch.setattr(unicodedata, "normalize", note)
    for count in (MOST_MARKS, 10_000, 20_000):
        assert normal_form("NFC", "x" + marks * count) == "x" + marks * count
    assert longest == 1


def test_text_of_few_marks_is_normalised() -> None:
    accents = "\u0301" * MOST_MARKS
    assert normal_form("NFC", f"e{accents}" * 1000) == f"\u00e9{accents[1:]}" * 1000
    assert normal_form("NFKC", "\ufb01" * 1000) == "fi" * 1000


def test_a_class_name_of_many_marks_stays_as_it_is(tmp_path: Path) -> None:
    name = "x" + "\u0316\u0301" * 1000
    voc(tmp_path, f"{SIZE}<object><name>{name}</name>{BOX}</object>")
    dataset = rb.read(tmp_path)
    assert (list(dataset.tags), len(dataset)) == ([name], 1)


@pytest.mark.parametrize("end", [b"x", b".x", b"e+x", b"."])
def test_numbers_are_looked_at_once(end: bytes) -> None:
    """A pattern that tries each split of a million digits would not come to an end."""
    assert bool(NUMBER.fullmatch(b"1" * MEBIBYTE + end)) == (end == b".")


def test_flags_of_lists() -> None:
    assert _without_flag("a b  -1") == ("a b", "-1")
    assert _without_flag("a\t1") == ("a", "1")
    for line in ("a", "1", "", "a 2", "a1", f"a{' ' * MEBIBYTE}b"):
        assert _without_flag(line) == (line, "")


def test_rows_that_are_none_up_to_the_limit(tmp_path: Path) -> None:
    yolo(tmp_path, ROW + "x\n" * (tables.MOST_BAD_ROWS // 2) + "1\n" * (tables.MOST_BAD_ROWS // 2))
    dataset = rb.read(tmp_path)
    assert (dataset.ledger.read, len(dataset)) == (tables.MOST_BAD_ROWS + 1, 1)
    assert dict(dataset.ledger.dropped) == {"not_a_row": tables.MOST_BAD_ROWS}


@pytest.mark.parametrize("bad", ["x", "1", "0 1 1"])
def test_a_file_of_rows_that_are_none_is_dropped(tmp_path: Path, bad: str) -> None:
    """Its image is dropped with a reason; the boxes of other files are kept, and both accounts add up."""
    yolo(tmp_path, ROW + f"{bad}\n" * (tables.MOST_BAD_ROWS + 1) + ROW)
    (tmp_path / "labels" / "b.txt").write_text(ROW + "x\n", encoding="utf-8")
    for name in "ab":
        (tmp_path / f"{name}.jpg").touch()
    dataset = rb.read(tmp_path)
    assert (dataset.ledger.read, len(dataset), dict(dataset.ledger.dropped)) == (2, 1, {"not_a_row": 1})
    assert dataset.ledger.images.dropped == {"unreadable_file": 1}
    assert dataset.ledger.balanced
    assert dataset.ledger.images.balanced
    [finding] = dataset.findings.first("unreadable_file")
    assert (finding.file, str(tables.MOST_BAD_ROWS) in finding.value) == ("labels/a.txt", True)


def test_a_row_that_is_too_long_is_none(tmp_path: Path) -> None:
    for number, row in enumerate(("0" + " 0.5" * (tables.LONGEST_ROW // 4), "x " * (tables.LONGEST_ROW // 2 + 1))):
        folder = tmp_path / str(number)
        folder.mkdir()
        yolo(folder, f"{ROW}{row}\n{ROW.replace('0.25', '0.5')}")
        dataset = rb.read(folder)
        assert (dataset.ledger.read, len(dataset)) == (3, 2)
        assert [finding.where for finding in dataset.findings.first("not_a_row")] == [2]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its first bytes are."""
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
    assert voc_xml.LARGEST_FILE < text.LARGEST_LABEL_FILE


def test_a_large_text_that_is_no_label_file_is_no_loss(tmp_path: Path) -> None:
    yolo(tmp_path, ROW)
    (tmp_path / "labels" / "notes.txt").write_text("some words\n" * MEBIBYTE, encoding="utf-8")
    dataset = rb.read(tmp_path)
    assert (len(dataset), dataset.ledger.images.lost) == (1, 0)


def test_a_list_of_too_many_lines_is_an_error(tmp_path: Path) -> None:
    for end in ("\n", "\r", "\r\n"):
        (tmp_path / "classes.txt").unlink(missing_ok=True)
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / "a.txt").write_text(ROW, encoding="utf-8")
        (tmp_path / "classes.txt").write_bytes(f"cat{end * (MOST_LINES + 1)}dog".encode())
        with pytest.raises(rb.DatasetError) as caught:
            rb.read(tmp_path)
        assert caught.value.place == "classes.txt"


def test_aliases_that_multiply_are_not_shown(tmp_path: Path) -> None:
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
