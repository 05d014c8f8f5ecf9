"""Pascal VOC: what no fixture can hold, since some file systems, or git, do not know it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from helpers import ROOT, command, raises_mentioning
from regionbatch.testing import cases_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DOUBTFUL = {
    case.path.name: case
    for case in cases_in(ROOT / "fixtures" / "voc")
    if {"doubtful_decision", "swapped_axes"} & {*case.expected.get("findings", {})}
}
"""Cases in which a decision is doubtful."""

SIZE = "<size><width>200</width><height>100</height></size>"


def voc(name: str, filename: str = "a.jpg") -> str:
    box = "<bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>40</ymax></bndbox>"
    thing = f"<object><name>{name}</name>{box}</object>"
    return f"<annotation><filename>{filename}</filename>{SIZE}{thing}</annotation>"


def folder(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    if sum(path.is_file() for path in root.rglob("*")) < len(files):
        pytest.skip("a file system that knows no case")
    return root


def images_of(dataset: rb.Dataset) -> dict[str, str]:
    """The image of each class."""
    return {region.tag: region.image for region in dataset}


@pytest.mark.parametrize(
    ("files", "images", "stale"),
    [
        (
            {"Annotations/A.xml": voc("1"), "Annotations/a.xml": voc("2"), "JPEGImages/a.jpg": ""},
            {"2": "JPEGImages/a.jpg"},
            [],
        ),
        (
            {"A.xml": voc("1", "x.jpg"), "a.xml": voc("2", "y.jpg"), "A.jpg": "", "a.jpg": ""},
            {"1": "A.jpg", "2": "a.jpg"},
            ["A.xml", "a.xml"],
        ),
        (
            {"Annotations/a.xml": voc("1"), "Annotations/a.XML": voc("2"), "JPEGImages/a.jpg": ""},
            {"1": "Annotations/a.xml", "2": "Annotations/a.XML"},
            ["Annotations/a.XML", "Annotations/a.xml"],
        ),
    ],
    ids=["one picture", "two pictures", "two files of one name"],
)
def test_names_that_differ_in_case(
    tmp_path: Path, files: dict[str, str], images: dict[str, str], stale: list[str]
) -> None:
    dataset = rb.read(folder(tmp_path, files))
    assert images_of(dataset) == images
    assert [one.place for one in dataset.findings if one.code == "stale_filename"] == stale
    dropped = [one.place for one in dataset.findings.first("second_label")]
    assert [place.partition(":")[0] for place in dropped] == ([] if len(images) == 2 else ["Annotations/A.xml"])
    assert dict(dataset.ledger.dropped) == ({"second_label": 1} if dropped else {})
    assert dataset.ledger.read == 2


def test_where_a_command_is_run_makes_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path, {"annotations/1.xml": voc("cat", "z.jpg"), "images/1.jpg": ""})
    monkeypatch.chdir(root / "annotations")
    for path in ("1.xml", "../annotations/1.xml", root / "annotations" / "1.xml"):
        assert images_of(rb.read(path)) == {"cat": "images/1.jpg"}


@pytest.mark.parametrize(
    "text",
    [f"<annotation>{'<a>' * 300}", f"<annotation><a>{'a' * 10_000_001}</a></annotation>"],
    ids=["depth", "length"],
)
def test_limits_of_the_parser_are_told_without_advice_to_programmers(tmp_path: Path, text: str) -> None:
    dataset = rb.read(folder(tmp_path, {"a.xml": text, "b.xml": voc("cat")}))
    [finding] = dataset.findings.first("unreadable_file")
    assert (finding.file, bool(finding.value)) == ("a.xml", True)
    assert "XML_PARSE_HUGE" not in finding.message


def test_a_file_does_not_account_for_its_neighbours(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a.xml": voc("cat")})
    (root / "b.xml").symlink_to("nowhere")
    assert rb.read(root / "a.xml").ledger.images.read == 1
    assert rb.read(root).ledger.images.read == 2


def test_the_first_message_is_that_of_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    root = folder(tmp_path, {"Annotations/a.xml": "<annotation>", "ImageSets/Main/train.txt": "missing\na\n"})
    with raises_mentioning(rb.DatasetError, 1, "Annotations/a.xml:1"):
        rb.read(root, split="train")


def test_a_link_to_the_folder_itself_is_no_way_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", {"a.xml": voc("cat"), "a.jpg": ""})
    (root / "loop").symlink_to(".")
    (root / "sub").mkdir()
    (root / "sub" / "up").symlink_to("..")
    assert rb.read(root).findings.counts() == {}
    (root / "out").symlink_to("../..")
    assert rb.read(root).findings.counts() == {"outside_dataset": 1}


def test_a_folder_that_may_not_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path, {"Annotations/a.xml": voc("cat")})
    scan = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("Annotations"):
            raise PermissionError(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for format_ in (None, "voc"):
        with raises_mentioning(rb.DatasetError, "Annotations"):
            rb.read(root, format=format_)


def test_folders_share_the_listing_of_pictures_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path, {**{f"set/{n}/{n}.xml": voc("cat") for n in range(9)}, "pictures/x/0.jpg": ""})
    listed: list[str] = []
    scan = os.scandir

    def note(path: str) -> object:
        listed.append(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", note)
    rb.read(root / "set", image_dir=root / "pictures")
    assert len([path for path in listed if "pictures" in path]) == 2


@pytest.mark.parametrize("name", DOUBTFUL)
def test_strict_reading_fails_on_what_is_doubtful(name: str) -> None:
    with pytest.raises(rb.StrictError):
        rb.read(DOUBTFUL[name].input, strict=True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("only-the-first-pixel", {"voc_boxes": "pixels"}),
        ("percentages", {"voc_boxes": "pixels"}),
        ("ymax-is-xmin", {"voc_boxes": "pixels"}),
        ("width-and-height-in-the-far-corner", {"bbox_format": "ltwh"}),
        ("origin-of-a-template", {"voc_origin": "0"}),
        ("normalised-in-one-file-of-two", {"voc_boxes": "pixels"}),
    ],
)
def test_the_option_that_a_doubt_or_an_error_names_settles_it(name: str, options: dict[str, Any]) -> None:
    path = ROOT / "fixtures" / "voc" / name / "input"
    assert rb.read(path, strict=True, **options).findings.doubtful() == {}
    flags = [word for option, value in options.items() for word in (f"--{option.replace('_', '-')}", value)]
    assert command("inspect", path, "--strict", *flags).status == 0
