"""The readers of CVAT and VoTT: the conformance kit, and inputs that its cases cannot contain."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import regionbatch as rb
from all_cases import AllCases
from helpers import ROOT
from regionbatch import plugins
from regionbatch.errors import DatasetError, StrictError, UnknownFormatError
from regionbatch.files.tree import Tree
from regionbatch.readers.cvat import CvatReader
from regionbatch.readers.vott import VottReader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FIXTURES = ROOT / "fixtures"
SCENES = sorted(path.name for path in (FIXTURES / "scene").iterdir() if path.is_dir())
READERS = {name: plugins.get(name) for name in plugins.BUILT_IN}
BOX = '<box label="cat" xtl="20" ytl="10" xbr="60" ybr="40"/>'
REGION = {
    "type": "RECTANGLE",
    "tags": ["cat"],
    "boundingBox": {"left": 20, "top": 10, "width": 40, "height": 30},
}
ASSET = {"asset": {"name": "a.jpg", "size": {"width": 200, "height": 100}}, "regions": [REGION]}


class TestCvat(AllCases):
    reader = CvatReader
    cases = FIXTURES / "cvat"


class TestVott(AllCases):
    reader = VottReader
    cases = FIXTURES / "vott"


def write_cvat(path: Path, *images: str) -> Path:
    path.write_text(
        "<annotations>\n<version>1.1</version>\n" + "\n".join(images) + "\n</annotations>\n",
        "utf-8",
    )
    return path


def recognised_by(path: Path, names: Iterable[str] = plugins.BUILT_IN) -> list[str]:
    """Return the built-in readers that recognise a path."""
    tree = Tree.at(path)
    return [name for name in names if READERS[name].detect(tree)]


@pytest.mark.parametrize("scene", SCENES)
def test_other_formats_are_not_recognised(scene: str) -> None:
    folder = FIXTURES / "scene" / scene
    assert recognised_by(folder) == [scene.partition("-")[0]]
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".xml", ".csv", ".txt", ".yaml", ".data"):
            assert not recognised_by(path, ("cvat", "vott")), path


@pytest.mark.parametrize(
    ("format_", "file"),
    [
        ("cvat", "plain/input/annotations.xml"),
        ("vott", "plain-json/input/vott-json-export/pets-export.json"),
        ("vott", "plain-csv/input/vott-csv-export/pets-export.csv"),
        ("vott", "asset-files/input/target/0001f00d-asset.json"),
    ],
)
def test_a_folder_and_a_single_file_are_recognised(format_: str, file: str, tmp_path: Path) -> None:
    path = FIXTURES / format_ / file
    case = FIXTURES / format_ / file.partition("/")[0] / "input"
    for each in (path, path.parent, case):
        assert recognised_by(each) == [format_]
        assert rb.read(each).format == format_
    without_extension = shutil.copy(path, tmp_path / "exported")
    assert rb.read(without_extension).format == format_


def test_two_formats_in_one_folder_are_an_error(tmp_path: Path) -> None:
    write_cvat(tmp_path / "annotations.xml")
    (tmp_path / "x-export.json").write_text(json.dumps({"assets": {"1": ASSET}}))
    assert recognised_by(tmp_path) == ["cvat", "vott"]
    with pytest.raises(UnknownFormatError):
        rb.read(tmp_path)
    assert len(rb.read(tmp_path, format="vott")) == 1


def test_a_project_file_is_recognised_and_rejected() -> None:
    with pytest.raises(DatasetError) as raised:
        rb.read(FIXTURES / "vott" / "project-file" / "input" / "pets.vott")
    assert raised.value.place == "pets.vott"


def test_lines_beyond_the_parsers_limit_are_not_reported(tmp_path: Path) -> None:
    images = [
        f'<image name="{number}.jpg" width="200" height="100">\n{BOX}\n</image>'
        for number in range(25_000)
    ]
    images[-1] = images[-1].replace('"20"', '"x"')
    dataset = rb.read(write_cvat(tmp_path / "a.xml", *images))
    assert [finding.place for finding in dataset.findings.first("not_a_box")] == [
        "a.xml: object 25000"
    ]
    assert dataset.regions.where[20_000] == 60_004


def test_entities_are_not_expanded_and_no_other_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    for name, declared in (
        ("inside", '"secret"'),
        ("outside", f'SYSTEM "{(tmp_path / "secret.txt").as_uri()}"'),
    ):
        text = f"<!DOCTYPE annotations [<!ENTITY x {declared}>]>\n"
        text += '<annotations><version>1.1</version>\n<image name="&x;"/>'
        (tmp_path / f"{name}.xml").write_text(f"{text}\n</annotations>\n")
    write_cvat(tmp_path / "good.xml", f'<image name="a.jpg" width="200" height="100">{BOX}</image>')
    dataset = rb.read(tmp_path)
    assert dataset.images.names == ["a.jpg"]
    assert dataset.ledger.images.dropped == {"unsafe_xml": 2}


@pytest.mark.parametrize("content", ["\n&x;", '\n<image name="&x;"/>', "\n&x;\n&y;"])
def test_an_undefined_entity_is_reported_with_its_line(tmp_path: Path, content: str) -> None:
    write_cvat(tmp_path / "good.xml", f'<image name="a.jpg" width="200" height="100">{BOX}</image>')
    (tmp_path / "bad.xml").write_text(
        f"<annotations><version>1.1</version>{content}</annotations>", "utf-8"
    )
    (finding,) = rb.read(tmp_path).findings.first("unreadable_file")
    assert (finding.place, finding.value) == ("bad.xml:2", "Entity 'x' not defined")


def test_a_label_in_a_label_or_in_an_image_changes_no_other(tmp_path: Path) -> None:
    images = ("<image name='a.jpg'><label><name>shape</name></label></image>",)
    labels = "<label><name>cat</name>{}<parent/></label><label><name>dog</name></label>"
    part = "<label><name>leg</name><parent>cat</parent></label>"
    meta = f"<meta><task><labels>{labels.format(part)}</labels></task></meta>"
    dataset = rb.read(write_cvat(tmp_path / "a.xml", *images, meta))
    assert dataset.tags == ["cat", "dog"]


def test_a_broken_file_of_another_split_is_reported_once(tmp_path: Path) -> None:
    write_cvat(
        tmp_path / "train.xml", f'<image name="a.jpg" width="200" height="100">{BOX}</image>'
    )
    (tmp_path / "val.xml").write_text("<annotations><version>1.1</version>")
    dataset = rb.read(tmp_path, split="train")
    assert dataset.findings.counts()["unreadable_file"] == 1


def test_an_export_with_many_tags_is_recognised(tmp_path: Path) -> None:
    tags = [{"name": f"tag {number}", "color": "#5db300"} for number in range(1000)]
    (tmp_path / "x-export.json").write_text(
        json.dumps({"name": "x", "tags": tags, "assets": {"1": ASSET}})
    )
    dataset = rb.read(tmp_path)
    assert (dataset.format, len(dataset), len(dataset.tags)) == ("vott", 1, 1001)


def test_deeply_nested_brackets_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text('{"asset": {"name": "a.jpg"}, "regions": [' + "[" * 200_000)
    with pytest.raises(DatasetError) as raised:
        rb.read(tmp_path)
    assert raised.value.place == "deep.json"


def test_a_very_long_cell_is_an_invalid_row(tmp_path: Path) -> None:
    row = 'a.jpg,20,10,60,40,"cat"\n'
    (tmp_path / "x.csv").write_text(
        f"image,xmin,ymin,xmax,ymax,label\n{'x' * 200_000},1,2,3,4,cat\n{row}"
    )
    dataset = rb.read(tmp_path)
    assert dataset.findings.first("not_a_box")[0].place == "x.csv:2"
    assert dataset.ledger.read == 2


def test_strict_mode_fails_if_an_export_is_ignored() -> None:
    path = FIXTURES / "vott" / "several-kinds" / "input"
    assert rb.read(path).findings.doubtful() == {"ignored_file": 2}
    with pytest.raises(StrictError):
        rb.read(path, strict=True)


@pytest.mark.parametrize(
    "other",
    [
        {"images": [], "annotations": [], "categories": [], "assets": {"1": ASSET}},
        {"version": "5.0", "shapes": [], "imagePath": "a.jpg", "asset": {}, "regions": []},
        {"asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}]},
        {"assets": {"a.js": "b.js"}},
        {"a.jpg1": {"filename": "a.jpg", "regions": [REGION]}},
        [ASSET],
    ],
)
def test_other_json_is_not_recognised(other: object, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(other))
    assert VottReader().detect(Tree.at(tmp_path)) is None


@pytest.mark.parametrize(
    "header", ["filename,width,height,class,xmin,ymin,xmax,ymax", "image,xmin,ymin,xmax,ymax", ""]
)
def test_other_csv_is_not_recognised(header: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"{header}\n")
    assert VottReader().detect(Tree.at(tmp_path)) is None


@pytest.mark.parametrize("root", ["annotation", "annotationsets", "ANNOTATION_DOCUMENT"])
def test_other_xml_is_not_recognised(root: str, tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(f"<{root}><version>1</version></{root}>")
    assert CvatReader().detect(Tree.at(tmp_path)) is None


@pytest.mark.parametrize("end", ["x", "<image/>", "<annotations/>", "]]>"])
def test_text_after_the_end_of_cvat_makes_the_file_unreadable(tmp_path: Path, end: str) -> None:
    image = '<image name="{}.jpg" width="200" height="100">' + BOX + "</image>"
    write_cvat(tmp_path / "good.xml", image.format("good"))
    bad = write_cvat(tmp_path / "bad.xml", image.format("bad"))
    bad.write_text(bad.read_text("utf-8") + end, "utf-8")
    dataset = rb.read(tmp_path)
    assert dataset.images.names == ["good.jpg"]
    assert dataset.findings.counts()["unreadable_file"] == 1


def write_boxes(kind: str, folder: Path, boxes: list[tuple[float, float, float, float]]) -> Path:
    """Write corners of boxes on one image as CVAT or as a JSON export or a CSV export of VoTT."""
    if kind == "cvat":
        shapes = [
            '<box label="cat" xtl="{}" ytl="{}" xbr="{}" ybr="{}"/>'.format(*box) for box in boxes
        ]
        image = '<image id="0" name="a.jpg" width="640" height="480">'
        return write_cvat(folder / "annotations.xml", image, *shapes, "</image>")
    if kind == "vott-csv":
        path = folder / "cats-export.csv"
        rows = ['"a.jpg",{},{},{},{},"cat"'.format(*box) for box in boxes]
        path.write_text("\n".join(['"image","xmin","ymin","xmax","ymax","label"', *rows]), "utf-8")
        Image.new("RGB", (640, 480)).save(folder / "a.jpg")
        return folder
    regions = [
        REGION
        | {"boundingBox": {"left": left, "top": top, "width": right - left, "height": bottom - top}}
        for left, top, right, bottom in boxes
    ]
    size = {"width": 640, "height": 480}
    asset = {"asset": {"name": "a.jpg", "size": size}, "regions": regions}
    path = folder / "cats-export.json"
    path.write_text(json.dumps({"assets": {"1": asset}}), "utf-8")
    return path


@pytest.mark.parametrize("kind", ["cvat", "vott", "vott-csv"])
@pytest.mark.parametrize(("pixels", "is_error"), [(0, True), (2, True), (98, True), (99, False)])
def test_normalised_boxes_among_boxes_in_pixels(
    tmp_path: Path, kind: str, pixels: int, *, is_error: bool
) -> None:
    """The formats are in pixels: up to 1 % of the boxes may be smaller than a pixel."""
    boxes = [(0.25, 0.25, 0.5, 0.75), *((10.0 + n, 10.0, 60.0 + n, 90.0) for n in range(pixels))]
    path = write_boxes(kind, tmp_path, boxes)
    if is_error:
        with pytest.raises(DatasetError) as caught:
            rb.read(path)
        assert caught.value.place
        return
    found = rb.read(path)
    assert found.ledger.read == 100
    assert found.findings.doubtful() == {"doubtful_decision": 1}
    with pytest.raises(StrictError):
        rb.read(path, strict=True)
