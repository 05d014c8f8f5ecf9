"""Planted errors are the first images of the report, and good labels raise no suspicion."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from PIL import Image

import regionbatch as rb
from html_report.pages import Report, Shapes, report

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Five errors in sixty images."""
    labels = Shapes()
    boxes = labels.boxes
    other = {"disc": "square", "square": "disc"}
    boxes["07.jpg"] = [(other[name], box) for name, box in boxes["07.jpg"]]
    boxes["19.jpg"][0] = ("disc", (2, 3, 294, 193))
    boxes["31.jpg"], boxes["46.jpg"] = boxes["46.jpg"], boxes["31.jpg"]
    boxes["50.jpg"][1] = ("Disc", boxes["50.jpg"][1][1])
    for file in ("02.jpg", "22.jpg", "42.jpg"):
        boxes[file][3] = ("star", boxes[file][3][1])
    folder = tmp_path_factory.mktemp("planted")
    return report(rb.read(labels.write(folder / "set", Shapes())), folder)


def first_images(made: Report, count: int) -> set[str]:
    return {image["name"] for image in made.data["images"][:count]}


def test_the_planted_errors_are_the_first_images(planted: Report) -> None:
    assert {"07.jpg", "19.jpg", "31.jpg", "46.jpg", "50.jpg"} <= first_images(planted, 6)


def test_the_planted_errors_are_listed_first(planted: Report) -> None:
    points = {
        point.xpath("string(.//h3)"): point.xpath("string(.//div)")
        for point in planted.tree.xpath("//ul[@class='points']/li")
    }
    text = " ".join(points.values())
    assert "star" in text
    assert "Disc" in text
    codes = {code for image in planted.data["images"] for code in image["codes"]}
    assert {"whole_image", "other_tag", "misplaced", "similar_name"} <= codes
    assert set(planted.image("19.jpg")["codes"]) >= {"whole_image"}
    assert set(planted.image("07.jpg")["codes"]) >= {"other_tag"}
    assert all(
        point.xpath(".//img") for point in planted.tree.xpath("//ul[@class='points']/li")[:5]
    )


@pytest.mark.parametrize("rare", ["Crossing", "cro\u017f\u017fing", "crossings"])
@pytest.mark.parametrize("file", ["00.jpg", "59.jpg"])
def test_the_rarest_of_similar_names_is_shown(tmp_path: Path, file: str, rare: str) -> None:
    """It is listed last, wherever it occurs, and the link and the drawing show its box."""
    labels = Shapes()
    for boxes in labels.boxes.values():
        boxes[:] = [("crossing" if name == "disc" else name, box) for name, box in boxes]
    boxes = labels.boxes[file]
    at = next(at for at, (name, _) in enumerate(boxes) if name == "crossing")
    boxes[at] = (rare, boxes[at][1])
    made = report(rb.read(labels.write(tmp_path / "set", Shapes())), tmp_path)
    [point] = made.tree.xpath("//ul[@class='points']/li[contains(., 'two names')]")
    assert point.xpath("string(.//h3)").endswith(f" boxes), {rare} (1 box)")
    assert point.xpath(".//a/@href") == [f"#tag={quote(rare)}"]
    assert point.xpath(".//img")


def test_good_labels_raise_no_suspicion(tmp_path: Path) -> None:
    made = report(rb.read(Shapes().write(tmp_path / "set", Shapes())), tmp_path)
    assert {code for image in made.data["images"] for code in image["codes"]} <= {"small_image"}


def test_two_images_with_the_same_boxes_are_noticed(tmp_path: Path) -> None:
    labels = Shapes()
    labels.boxes["05.jpg"] = labels.boxes["33.jpg"]
    made = report(rb.read(labels.write(tmp_path / "set", Shapes())), tmp_path)
    assert "same_boxes" in made.image("05.jpg")["codes"]
    assert "same_boxes" in made.image("33.jpg")["codes"]
    assert first_images(made, 2) == {"05.jpg", "33.jpg"}


def test_images_without_boxes_equal_files_and_rotated_ones_are_noticed(tmp_path: Path) -> None:
    labels = Shapes()
    labels.boxes["05.jpg"] = []
    folder = labels.write(tmp_path / "set", Shapes())
    (folder / "33.jpg").write_bytes((folder / "34.jpg").read_bytes())
    exif = Image.Exif()
    exif[0x0112] = 8
    with Image.open(folder / "20.jpg") as image:
        image.save(folder / "20.jpg", exif=exif)
    made = report(rb.read(folder), tmp_path)
    expected = {"05.jpg": "without_boxes", "33.jpg": "same_pixels", "20.jpg": "rotated"}
    for file, code in (expected | {"34.jpg": "same_pixels"}).items():
        assert code in made.image(file)["codes"]
        assert file in first_images(made, 5)
    links = made.tree.xpath("//ul[@class='points']//a/@href")
    assert {"#image=05.jpg", "#image=20.jpg", "#image=33.jpg"} <= {*links}


def test_many_images_without_boxes_are_background(tmp_path: Path) -> None:
    labels = Shapes()
    for number in range(10):
        labels.boxes[f"{number:02}.jpg"] = []
    made = report(rb.read(labels.write(tmp_path / "set", Shapes())), tmp_path)
    assert not any("without_boxes" in image["codes"] for image in made.data["images"])


def test_boxes_in_the_same_place_are_noticed(tmp_path: Path) -> None:
    labels = Shapes()
    _, (left, top, width, height) = labels.boxes["05.jpg"][0]
    labels.boxes["05.jpg"].append(("square", (left + 1, top, width, height)))
    labels.boxes["06.jpg"].append(("disc", (*labels.boxes["06.jpg"][0][1][:3], 35.5)))
    made = report(rb.read(labels.write(tmp_path / "set", Shapes())), tmp_path)
    assert "two_tags" in made.image("05.jpg")["codes"]
    assert "two_tags" not in made.image("06.jpg")["codes"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("platelet", "platelets"), True),
        (("person", "persom"), True),
        (("traffic light", "trafic light"), True),
        (("lane 1", "lane 2"), False),
        (("cat", "car"), False),
    ],
)
def test_names_that_are_nearly_equal_are_noticed(
    tmp_path: Path, names: tuple[str, str], expected: bool
) -> None:
    labels = Shapes()
    for number, boxes in enumerate(labels.boxes.values()):
        boxes[0] = (names[int(number % 9 == 0)], boxes[0][1])
    made = report(rb.read(labels.write(tmp_path / "set", Shapes())), tmp_path)
    noticed = any("similar_name" in image["codes"] for image in made.data["images"])
    assert noticed is expected
