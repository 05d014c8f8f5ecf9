"""What a labeller should look at first is listed in the order of its weight, not of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

import regionbatch as rb
from helpers import ROOT
from html_report.pages import Report, Shapes, report, write_set

if TYPE_CHECKING:
    from pathlib import Path


def links_of(made: Report) -> list[str]:
    return [str(link) for link in made.tree.xpath("//ul[@class='points']//a/@href")]


@pytest.mark.parametrize(
    ("case", "codes"),
    [
        (
            "coco/repeated-keys",
            ["not_an_image", "not_a_box", "unknown_image", "unknown_class"],
        ),
        ("yolo/mostly-outside-polygon", ["mostly_outside", "box_from_shape"]),
    ],
)
def test_findings_that_fail_strict_mode_are_first_and_others_as_found(
    tmp_path: Path, case: str, codes: list[str]
) -> None:
    made = report(rb.read(ROOT / "fixtures" / case / "input"), tmp_path)
    found = [link for link in links_of(made) if link.startswith("#finding-")]
    assert found == [f"#finding-{code}" for code in codes]


def test_the_strongest_hints_are_first(tmp_path: Path) -> None:
    labels = Shapes()
    labels.boxes["05.jpg"] = []
    labels.boxes["08.jpg"][0] = ("disc", (2, 3, 294, 193))
    folder = labels.write(tmp_path / "set", Shapes())
    exif = Image.Exif()
    exif[0x0112] = 8
    with Image.open(folder / "20.jpg") as image:
        image.save(folder / "20.jpg", exif=exif)
    made = report(rb.read(folder), tmp_path)
    assert links_of(made) == ["#image=08.jpg", "#image=05.jpg", "#image=20.jpg"]


def test_the_tag_with_the_fewest_images_is_first(tmp_path: Path) -> None:
    box = (10.0, 10.0, 80.0, 60.0)
    images = {"1.jpg": [("ant", box), ("bee", box)], "2.jpg": [("ant", box)]}
    made = report(rb.read(write_set(tmp_path / "set", images)), tmp_path)
    text = made.words("//ul[@class='points']/li[contains(., 'too few images')]")
    assert "bee (1), ant (2)" in text
