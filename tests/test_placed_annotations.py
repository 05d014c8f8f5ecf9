"""The rules on annotations in memory: merged images, rotated boxes, wrong counts of readers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import regionbatch as rb
from helpers import raises_mentioning, write_coco
from regionbatch.boxes import BoxMode
from regionbatch.cleaning import clean
from regionbatch.dataset import Images, PlacedAnnotations
from regionbatch.errors import AmbiguousDatasetError, PluginError
from regionbatch.findings import FindingLog

if TYPE_CHECKING:
    from pathlib import Path


def images_of(*listed: tuple[str, int, str]) -> PlacedAnnotations:
    """Return images without boxes, from their names, widths and paths."""
    names, widths, paths = zip(*listed, strict=True)
    sizes = np.array(widths, np.int32)
    nothing = np.zeros(0, np.int32)
    images = Images(names, sizes, sizes, paths, sizes * 0 - 1)
    return PlacedAnnotations(
        BoxMode.XYWH_ABS,
        np.zeros((0, 4)),
        nothing,
        nothing,
        images,
        [],
        nothing,
        np.zeros(0, np.int64),
    )


def test_an_image_with_two_sizes_is_reported() -> None:
    log = FindingLog()
    log.read(images=3)
    clean(images_of(("a.jpg", 200, "x/a.jpg"), ("a.jpg", 100, "x/a.jpg"), ("a.jpg", 0, "")), log)
    (finding,) = log.findings().first("size_mismatch")
    assert (finding.place, finding.value) == ("a.jpg", "200 x 200 and 100 x 100 declared")


def test_a_merged_image_keeps_its_own_split() -> None:
    raw = images_of(("a.jpg", 9, ""), ("a.jpg", 9, ""), ("b.jpg", 9, ""))
    images = replace(raw.images, split=np.array([1, 1, 0], np.int32), splits=("train", "val"))
    log = FindingLog()
    log.read(images=3)
    merged = clean(replace(raw, images=images), log)[0]
    assert [
        (name, merged.splits[code]) for name, code in zip(merged.names, merged.split, strict=True)
    ] == [
        ("a.jpg", "val"),
        ("b.jpg", "train"),
    ]


def test_two_image_files_of_one_name_are_never_merged() -> None:
    log = FindingLog()
    log.read(images=2)
    with raises_mentioning(AmbiguousDatasetError, "x/a.jpg", "y/a.jpg") as caught:
        clean(images_of(("a.jpg", 200, "x/a.jpg"), ("a.jpg", 200, "y/a.jpg")), log)
    error = caught.value
    assert isinstance(error, AmbiguousDatasetError)
    assert error.place == "a.jpg"


def raw_annotations(**changes: Any) -> PlacedAnnotations:
    """Return one annotation, with changes to its fields."""
    fields: dict[str, Any] = {
        "mode": BoxMode.XYWH_REL,
        "box": np.array([[0.1, 0.1, 0.4, 0.6]]),
        "image": np.zeros(1, np.int32),
        "tag": np.zeros(1, np.int32),
        "images": Images(
            ["a.jpg"],
            np.zeros(1, np.int32),
            np.zeros(1, np.int32),
            [""],
            np.zeros(1, np.int32),
            ["x"],
        ),
        "tags": ["cat"],
        "file": np.zeros(1, np.int32),
        "where": np.ones(1, np.int64),
    }
    return PlacedAnnotations(**{**fields, **changes})


def log_of_one() -> FindingLog:
    """Return the log of a reader that met one image with one box."""
    log = FindingLog()
    log.file("a.txt")
    log.read(boxes=1, images=1)
    return log


@pytest.mark.parametrize(
    ("boxes", "images", "what"), [(2, 1, "boxes"), (0, 1, "boxes"), (1, 2, "images")]
)
def test_a_reader_that_counts_wrong_is_a_plugin_error(boxes: int, images: int, what: str) -> None:
    log = FindingLog()
    log.file("a.txt")
    log.read(boxes=boxes, images=images)
    with raises_mentioning(PluginError, what):
        clean(raw_annotations(), log)


def test_a_reader_that_counts_right_passes() -> None:
    *_, regions, ledger = clean(raw_annotations(), log_of_one())
    assert (len(regions), ledger.kept) == (1, 1)


@pytest.mark.parametrize(
    ("mode", "box"),
    [
        (BoxMode.XYWH_ABS, (150, 300, 100, 40)),
        (BoxMode.XYXY_ABS, (150, 300, 250, 340)),
        (BoxMode.XYXY_ABS_FROM_1, (151, 301, 250, 340)),
        (BoxMode.CXCYWH_REL, (0.5, 0.8, 0.25, 0.1)),
        (BoxMode.XYWH_REL, (0.375, 0.75, 0.25, 0.1)),
        (BoxMode.XYXY_REL, (0.375, 0.75, 0.625, 0.85)),
    ],
)
@pytest.mark.parametrize("degrees", [30, -30, 150, 390])
def test_a_rotated_box_becomes_the_box_around_it(
    mode: BoxMode, box: tuple[float, ...], degrees: float
) -> None:
    side = np.full(1, 400, np.int32)
    images = Images(["a.jpg"], side, side, [""], side * 0 - 1)
    raw = raw_annotations(
        mode=mode, box=np.array([box], float), images=images, angle=np.radians([degrees])
    )
    log = log_of_one()
    *_, regions, ledger = clean(raw, log)
    assert regions.box[0] == pytest.approx((0.366747, 0.694199, 0.266506, 0.211603), abs=1e-6)
    assert ledger.adjusted == {"box_from_shape": 1}


def test_a_box_is_rotated_in_pixels_not_in_normalised_coordinates() -> None:
    images = Images(
        ["a.jpg"],
        np.array([200], np.int32),
        np.array([100], np.int32),
        [""],
        np.array([-1], np.int32),
    )
    box = np.array([[0.5, 0.5, 0.4, 0.2]])  # 80 x 20 pixels
    raw = raw_annotations(mode=BoxMode.CXCYWH_REL, box=box, images=images, angle=np.radians([90]))
    *_, regions, _ = clean(raw, log_of_one())
    assert regions.box[0] == pytest.approx((0.45, 0.1, 0.1, 0.8), abs=1e-6)


@pytest.mark.parametrize(
    ("angle", "box", "code"),
    [
        (1.0, (0.5, 0.5, 0.4, 0.2), "unknown_image_size"),
        (math.nan, (0.5, 0.5, 0.4, 0.2), "not_a_box"),
        (0.0, (0.5, 0.5, 0.4, 0.2), ""),
    ],
)
def test_a_rotation_needs_an_angle_and_the_size_of_the_image(
    angle: float, box: tuple[float, ...], code: str
) -> None:
    raw = raw_annotations(mode=BoxMode.CXCYWH_REL, box=np.array([box]), angle=np.array([angle]))
    ledger = clean(raw, log_of_one())[-1]
    assert dict(ledger.dropped) == ({code: 1} if code else {})


@pytest.mark.parametrize("width", [0.0, -0.1])
def test_a_rotated_box_without_a_size_is_dropped(width: float) -> None:
    side = np.full(1, 400, np.int32)
    images = Images(["a.jpg"], side, side, [""], side * 0 - 1)
    raw = raw_annotations(box=np.array([[0.1, 0.1, width, 0.2]]), images=images, angle=np.ones(1))
    ledger = clean(raw, log_of_one())[-1]
    assert dict(ledger.dropped) == {"negative_size" if width < 0 else "empty_box": 1}


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ({"box": np.zeros((1, 5))}, ["PlacedAnnotations.box", (1, 4), (1, 5)]),
        ({"image": np.zeros(2, np.int32)}, ["PlacedAnnotations.image", (1,), (2,)]),
        ({"image": np.ones(1, np.int32)}, ["PlacedAnnotations.image", 0, 1]),
        ({"tag": -np.ones(1, np.int32)}, ["PlacedAnnotations.tag", 0, -1]),
    ],
)
def test_columns_of_wrong_shape_are_rejected(changes: dict[str, Any], tokens: list[object]) -> None:
    with raises_mentioning(ValueError, *tokens):
        raw_annotations(**changes)


def test_columns_cannot_be_written_to(tmp_path: Path) -> None:
    dataset = rb.read(write_coco(tmp_path, [("a.jpg", "cat", (20, 10, 80, 60))]))
    for column in (dataset.regions.box, dataset.regions.image, dataset.images.width):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 5
