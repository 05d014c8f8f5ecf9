"""The boxes that were dropped or changed are kept as in the file, and only these."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT, write_coco
from regionbatch.findings.codes import CODES

if TYPE_CHECKING:
    from pathlib import Path

FIXTURES = ROOT / "fixtures"


def codes_of(dataset: rb.Dataset) -> list[str]:
    names = [*CODES]
    return [names[code] for code in dataset.originals.code.tolist()]


def test_a_dataset_without_changes_has_none() -> None:
    assert len(rb.read(FIXTURES / "scene" / "coco").originals) == 0


def test_each_dropped_and_changed_box_is_there_once(tmp_path: Path) -> None:
    folder = write_coco(
        tmp_path,
        [
            ("a.jpg", "cat", (20, 10, 80, 60)),
            ("a.jpg", "cat", (-20, 10, 80, 60)),
            ("a.jpg", "cat", (20, 10, 0, 60)),
            ("a.jpg", "cat", (20, 10, 80, 60)),
            ("a.jpg", "cat", (20, 10, float("nan"), 60)),
        ],
    )
    dataset = rb.read(folder)
    originals = dataset.originals
    rows = dict(zip(codes_of(dataset), range(len(originals)), strict=True))
    assert set(rows) == {"clipped", "empty_box", "duplicate", "not_a_box"}
    assert originals.box[rows["clipped"], 0] < 0
    assert originals.region[rows["clipped"]] == 1
    dropped = [rows[code] for code in ("empty_box", "duplicate", "not_a_box")]
    assert originals.region[dropped].tolist() == [-1, -1, -1]
    assert np.isnan(originals.box[rows["not_a_box"]]).any()
    assert dataset.ledger.read - dataset.ledger.kept == len(originals)


def test_a_rotated_box_keeps_its_angle() -> None:
    dataset = rb.read(FIXTURES / "yolo" / "rotation-in-degrees" / "input")
    originals = dataset.originals
    assert (originals.angle != 0).all()
    changed = dataset.regions.box[originals.region]
    assert (changed[:, 2:] >= originals.box[:, 2:] - 1e-9).any(axis=1).all()


def test_swapped_corners_have_negative_sides() -> None:
    dataset = rb.read(FIXTURES / "voc" / "xmin-greater-than-xmax" / "input")
    assert (dataset.originals.box[:, 2:] < 0).any(axis=1).all()


@pytest.mark.parametrize("mark", ["crowd", "difficult"])
def test_a_box_that_is_left_out_is_there(mark: str) -> None:
    name = {"crowd": "coco/crowd", "difficult": "voc/difficult-in-any-spelling"}[mark]
    dataset = rb.read(FIXTURES / name / "input", drop=mark)
    assert codes_of(dataset).count("left_out") == dataset.ledger.dropped["left_out"]


def derived_datasets(folder: Path) -> dict[str, rb.Dataset]:
    """Return datasets that were made of one with changed and dropped boxes on several images."""
    boxes = [
        ("a.jpg", "cat", (-20, 10, 80, 60)),
        ("a.jpg", "cat", (20, 10, 0, 60)),
        ("a.jpg", "dog", (-20, 10, 80, 60)),
        ("b.jpg", "cat", (20, 10, 80, 60)),
        ("b.jpg", "cat", (-10, 10, 80, 60)),
        ("b.jpg", "dog", (20, 10, 80, float("nan"))),
        ("c.jpg", "dog", (-30, 10, 80, 60)),
    ]
    dataset = rb.read(write_coco(folder / "one", boxes))
    other = rb.read(write_coco(folder / "two", [("d.jpg", "cow", (-5, 10, 80, 60)), *boxes[:3]]))
    first, second = dataset.split_by(2)
    return {
        "some": dataset.where([False, True, True, False, True]),
        "none": dataset.where([False] * 5),
        "merged": dataset.rename({"dog": "cat"}),
        "first": first,
        "second": second,
        "dogs": dataset.split_by("tag")["dog"],
        "joined": rb.concat([second, other]),
        "twice": rb.concat([dataset, dataset]).where([True, False, True, True, True]),
    }


@pytest.mark.parametrize(
    "name", ["some", "none", "merged", "first", "second", "dogs", "joined", "twice"]
)
def test_boxes_of_a_derived_dataset_belong_to_its_regions(name: str, tmp_path: Path) -> None:
    dataset = derived_datasets(tmp_path)[name]
    regions, originals = dataset.regions, dataset.originals
    changed = originals.region >= 0
    rows = originals.region[changed]
    assert len({*rows.tolist()}) == len(rows)
    assert {*np.flatnonzero(regions.adjusted).tolist()} == {*rows.tolist()}
    for column in ("image", "tag", "file", "where"):
        assert np.array_equal(getattr(originals, column)[changed], getattr(regions, column)[rows])
    # A box that is clipped on the left keeps its right edge.
    right = originals.box[changed][:, [0, 2]].sum(axis=1)
    assert right == pytest.approx(regions.box[rows][:, [0, 2]].sum(axis=1), abs=1e-6)
    assert (originals.code[changed] == [*CODES].index("clipped")).all()
    assert not {*codes_of(dataset)} - {"clipped", "empty_box", "not_a_box", "left_out", "duplicate"}
    names = dataset.images.names
    assert all(names[image] for image in originals.image.tolist())


def test_a_region_that_is_left_out_is_an_original_as_in_the_file(tmp_path: Path) -> None:
    dataset = derived_datasets(tmp_path)["none"]
    assert len(dataset.originals) == dataset.ledger.read == 7
    assert (dataset.originals.region == -1).all()
    assert codes_of(dataset).count("left_out") == dataset.ledger.dropped["left_out"] == 5
    assert int((dataset.originals.box[:, 0] < 0).sum()) == 4


def test_a_part_has_only_the_boxes_of_its_images(tmp_path: Path) -> None:
    datasets = derived_datasets(tmp_path)
    shown = {
        name: {datasets[name].images.names[image] for image in datasets[name].originals.image}
        for name in ("first", "second", "joined")
    }
    whole = {name: {*datasets[name].images.names} for name in shown}
    assert all(shown[name] <= whole[name] for name in shown)
    assert shown["first"] | shown["second"] == {"a.jpg", "b.jpg", "c.jpg"}
