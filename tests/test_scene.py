"""The same scene in every format and variant gives the same regions and the same payloads."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = tuple[Any, ...]
"""Image, tag, left, top, width, height."""

SCENE = Path(__file__).parent.parent / "fixtures" / "scene"
TAGS, IMAGES = SCENE / "tags.json", SCENE / "images.json"
VARIANTS = sorted(path.name for path in SCENE.iterdir() if path.is_dir())
WITH_SPLITS = [
    "coco",
    "coco-roboflow",
    "voc",
    "voc-devkit",
    "voc-roboflow",
    "yolo",
    "yolo-darknet",
    "yolo-roboflow",
]

SIZES = {
    "market.jpg": (640, 480),
    "bridge.jpg": (333, 500),
    "old square.jpg": (500, 333),
    "fog.png": (100, 75),
    "stairs.jpg": (480, 640),
    "yard.png": (75, 100),
}
PIXELS = [
    ("bridge.jpg", "bicycle", 111, 400, 222, 100),
    ("bridge.jpg", "traffic light", 10, 20, 31, 77),
    ("market.jpg", "bicycle", 400, 330, 240, 150),
    ("market.jpg", "café", 320, 40, 319, 240),
    ("market.jpg", "person", 0, 0, 120, 300),
    ("market.jpg", "person", 200, 150, 80, 200),
    ("old square.jpg", "person", 1, 1, 498, 331),
    ("old square.jpg", "traffic light", 499, 0, 1, 333),
    ("stairs.jpg", "bicycle", 0, 639, 480, 1),
    ("stairs.jpg", "person", 7, 13, 101, 303),
    ("stairs.jpg", "person", 107, 13, 101, 303),
    ("yard.png", "café", 0, 0, 75, 100),
]
"""Image, tag, left, top, width, height; sorted by the first four."""


def expected(*splits: str) -> list[Row]:
    """Return the regions of the scene in normalised coordinates."""
    val = {"stairs.jpg", "yard.png"}
    wanted = {
        name
        for name in SIZES
        if ("val" if name in val else "train") in (splits or ("train", "val"))
    }
    return [
        (
            name,
            tag,
            left / SIZES[name][0],
            top / SIZES[name][1],
            width / SIZES[name][0],
            height / SIZES[name][1],
        )
        for name, tag, left, top, width, height in PIXELS
        if name in wanted
    ]


def assert_same(rows: Sequence[Row], wanted: Sequence[Row]) -> None:
    """Check that rows are equal, their names exactly and their numbers to 1e-6."""
    rows = sorted(rows)
    assert [row[:2] for row in rows] == [row[:2] for row in wanted]
    for row, numbers in zip(rows, wanted, strict=True):
        assert row[2:] == pytest.approx(numbers[2:], rel=0, abs=1e-6)


def rows_of(dataset: regionbatch.Dataset) -> list[Row]:
    return [(region.image.rpartition("/")[2], *region[1:]) for region in dataset]


def test_every_format_has_variants() -> None:
    assert {name.partition("-")[0] for name in VARIANTS} == {"coco", "voc", "yolo"}
    assert len(VARIANTS) >= 15


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_the_same_regions(variant: str) -> None:
    dataset = regionbatch.read(SCENE / variant)
    assert dataset.format == variant.partition("-")[0]
    assert_same(rows_of(dataset), expected())
    assert sorted(name.rpartition("/")[2] for name in dataset.images.names) == sorted(SIZES)
    assert all(dataset.images.paths)
    assert not dataset.ledger.dropped
    assert not dataset.ledger.images.dropped


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_the_same_payload(variant: str) -> None:
    batches = regionbatch.batches(regionbatch.read(SCENE / variant), tag_ids=TAGS, image_ids=IMAGES)
    payload = json.loads(batches[0].to_json())
    keys = ["imageId", "tagId", "left", "top", "width", "height"]
    assert len(batches) == 1
    assert list(payload) == ["regions"]
    assert all(list(entry) == keys for entry in payload["regions"])
    tags, images = (json.loads(path.read_text(encoding="utf-8")) for path in (TAGS, IMAGES))
    wanted = sorted((images[row[0]], tags[row[1]], *row[2:]) for row in expected())
    assert_same([tuple(entry[key] for key in keys) for entry in payload["regions"]], wanted)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("variant", WITH_SPLITS)
def test_every_variant_has_the_same_splits(variant: str, split: str) -> None:
    dataset = regionbatch.read(SCENE / variant, split=split)
    assert_same(rows_of(dataset), expected(split))
    assert len(dataset.images) == (4 if split == "train" else 2)


def test_one_image_of_the_scene_has_no_box() -> None:
    dataset = regionbatch.read(SCENE / "yolo")
    codes = {name.rpartition("/")[2]: code for code, name in enumerate(dataset.images.names)}
    assert codes["fog.png"] not in dataset.regions.image


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_command_converts_every_variant(variant: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    arguments = [
        "convert",
        SCENE / variant,
        "-o",
        out,
        "--tags",
        TAGS,
        "--images",
        IMAGES,
        "-q",
    ]
    assert commands.main([str(argument) for argument in arguments], standalone_mode=False) == 0
    assert len(json.loads(out.read_text(encoding="utf-8"))["regions"]) == len(PIXELS)


# Changes to the files that do not change the scene.


def reversed_records(path: Path) -> None:
    """Reverse the order of the records in a label file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        content = json.loads(text)
        for key in ("images", "annotations", "categories"):
            content[key].reverse()
        text = json.dumps(dict(reversed(content.items())))
    elif path.suffix == ".xml":
        head, *objects = text.removesuffix("</annotation>\n").split("\t<object>")
        text = "\t<object>".join([head, *reversed(objects)]) + "</annotation>\n"
    else:
        text = "".join(f"{line}\n" for line in reversed(text.splitlines()))
    path.write_text(text, encoding="utf-8")


def written_differently(path: Path) -> None:
    """Write all numbers of boxes in another notation."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        content = json.loads(text)
        for annotation in content["annotations"]:
            if "bbox" in annotation:
                annotation["bbox"] = [f" {number:.10e} " for number in annotation["bbox"]]
        text = json.dumps(content, indent=3)
    elif path.suffix == ".xml":
        text = re.sub(
            r"<([xy]m..)>(\d+)</", lambda found: f"<{found[1]}>\n {int(found[2]):.3e}\n</", text
        )
    else:
        text = re.sub(r"\d+\.\d+", lambda found: f"+{float(found[0]):.9E} ", text)
    path.write_text(text, encoding="utf-8")


def with_another_image(path: Path) -> None:
    """Add an image without boxes."""
    if path.suffix == ".json":
        content = json.loads(path.read_text(encoding="utf-8"))
        content["images"].insert(
            0, {"id": 99, "file_name": f"new {path.stem}.jpg", "width": 10, "height": 10}
        )
        path.write_text(json.dumps(content), encoding="utf-8")
    else:
        text = (
            "<annotation><filename>new.jpg</filename></annotation>" if path.suffix == ".xml" else ""
        )
        path.with_name(f"new{path.suffix}").write_text(text, encoding="utf-8")


def label_files(folder: Path) -> list[Path]:
    stems = {name.rpartition(".")[0] for name in SIZES}
    files = [path for path in folder.rglob("*.json") if path.name != "notes.json"]
    return files + [
        path for kind in ("*.xml", "*.txt") for path in folder.rglob(kind) if path.stem in stems
    ]


@pytest.mark.parametrize("change", [reversed_records, written_differently, with_another_image])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_regions_are_the_same_after_a_change(
    variant: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    shutil.copytree(SCENE / variant, tmp_path / "scene")
    files = label_files(tmp_path / "scene")
    before = {path: path.read_bytes() for path in (tmp_path / "scene").rglob("*") if path.is_file()}
    for path in files:
        change(path)
    after = {path: path.read_bytes() for path in (tmp_path / "scene").rglob("*") if path.is_file()}
    assert after != before
    dataset = regionbatch.read(tmp_path / "scene")
    assert_same(rows_of(dataset), expected())
    assert not dataset.ledger.dropped
    # Darknet's lists do not contain the new image, which is reported.
    counted = len(dataset.images) + dataset.findings.counts().get("ignored_file", 0)
    assert (counted > len(SIZES)) == (change is with_another_image)
