"""Pascal VOC inputs that are not fixtures, because some file systems or git cannot store them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from helpers import ROOT, command, fixture_cases, raises_mentioning

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DOUBTFUL = {
    case.path.name: case
    for case in fixture_cases("voc")
    if {"doubtful_decision", "swapped_axes"} & {*case.expected.get("findings", {})}
}
"""The cases with a doubtful decision."""

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
        pytest.skip("the file system ignores case")
    return root


def images_of(dataset: rb.Dataset) -> dict[str, str]:
    """Return the image of each class."""
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
    ids=["one image", "two images", "two label files of one name"],
)
def test_names_that_differ_in_case(
    tmp_path: Path, files: dict[str, str], images: dict[str, str], stale: list[str]
) -> None:
    dataset = rb.read(folder(tmp_path, files))
    assert images_of(dataset) == images
    assert [each.place for each in dataset.findings if each.code == "stale_filename"] == stale
    assert dataset.ledger.read == 2
    dropped = dataset.findings.first("second_label")
    if len(images) == 2:
        assert not dropped
        assert not dataset.ledger.dropped
    else:
        assert [each.file for each in dropped] == ["Annotations/A.xml"]
        assert dict(dataset.ledger.dropped) == {"second_label": 1}


def test_the_current_folder_makes_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path, {"annotations/1.xml": voc("cat", "z.jpg"), "images/1.jpg": ""})
    monkeypatch.chdir(root / "annotations")
    for path in ("1.xml", "../annotations/1.xml", root / "annotations" / "1.xml"):
        assert images_of(rb.read(path)) == {"cat": "images/1.jpg"}


@pytest.mark.parametrize(
    "text",
    [f"<annotation>{'<a>' * 300}", f"<annotation><a>{'a' * 10_000_001}</a></annotation>"],
    ids=["depth", "length"],
)
def test_limits_of_the_parser_are_reported_without_advice_for_programmers(
    tmp_path: Path, text: str
) -> None:
    dataset = rb.read(folder(tmp_path, {"a.xml": text, "b.xml": voc("cat")}))
    [finding] = dataset.findings.first("unreadable_file")
    assert (finding.file, bool(finding.value)) == ("a.xml", True)
    assert "XML_PARSE_HUGE" not in finding.message


def test_a_single_file_does_not_count_its_neighbours(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a.xml": voc("cat")})
    (root / "b.xml").symlink_to("nowhere")
    assert rb.read(root / "a.xml").ledger.images.read == 1
    assert rb.read(root).ledger.images.read == 2


def test_the_error_is_at_the_first_file_that_cannot_be_read(tmp_path: Path) -> None:
    root = folder(
        tmp_path, {"Annotations/a.xml": "<annotation>", "ImageSets/Main/train.txt": "missing\na\n"}
    )
    with pytest.raises(rb.DatasetError) as raised:
        rb.read(root, split="train")
    assert raised.value.place == "Annotations/a.xml:1"


def test_a_link_to_the_folder_itself_does_not_leave_it(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", {"a.xml": voc("cat"), "a.jpg": ""})
    (root / "loop").symlink_to(".")
    (root / "sub").mkdir()
    (root / "sub" / "up").symlink_to("..")
    assert rb.read(root).findings.counts() == {}
    (root / "out").symlink_to("../..")
    assert rb.read(root).findings.counts() == {"outside_folder": 1}


def test_a_folder_that_cannot_be_opened_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_separate_folder_of_images_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(
        tmp_path, {**{f"set/{n}/{n}.xml": voc("cat") for n in range(9)}, "images/x/0.jpg": ""}
    )
    listed: list[str] = []
    scan = os.scandir

    def note(path: str) -> object:
        listed.append(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", note)
    rb.read(root / "set", image_dir=root / "images")
    assert len([path for path in listed if "images" in path]) == 2


@pytest.mark.parametrize("name", DOUBTFUL)
def test_strict_mode_fails_on_doubtful_decisions(name: str) -> None:
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
def test_the_option_of_a_doubtful_decision_or_an_error_resolves_it(
    name: str, options: dict[str, Any]
) -> None:
    path = ROOT / "fixtures" / "voc" / name / "input"
    assert rb.read(path, strict=True, **options).findings.doubtful() == {}
    flags: list[str] = []
    for option, value in options.items():
        flags += [f"--{option.replace('_', '-')}", value]
    assert command("inspect", path, "--strict", *flags).status == 0


def write_files(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())


def test_the_first_list_of_an_image_is_its_split(tmp_path: Path) -> None:
    """All lines are stems; they end as on old Macs in one of the lists."""
    xml = "<annotation><filename>{}.jpg</filename></annotation>"
    lists = {"train": "a\rb", "val": "c\r\n", "trainval": "c\nb\na\n"}
    write_files(
        tmp_path,
        {f"Annotations/{stem}.xml": xml.format(stem) for stem in "abc"}
        | {f"ImageSets/Main/{name}.txt": text for name, text in lists.items()},
    )
    images = rb.read(tmp_path, format="voc").images
    found = dict(zip(images.names, images.split_names(), strict=True))
    assert found == {"a.jpg": "train", "b.jpg": "train", "c.jpg": "val"}


def test_equal_names_in_two_folders_are_distinguished(tmp_path: Path) -> None:
    """Each declared name has the stem of its file and is unique, but not without its folder."""
    xml = "<annotation><filename>{}</filename></annotation>"
    files = {
        "Annotations/p/x.xml": xml.format("q/x.jpg"),
        "Annotations/r/x.xml": xml.format("x.jpg"),
    }
    write_files(tmp_path, files)
    assert [*rb.read(tmp_path, format="voc").images.names] == ["p/x.jpg", "r/x.jpg"]
