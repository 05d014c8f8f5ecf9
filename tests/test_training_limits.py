"""The table of tags, and what a dataset lacks for training."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import regionbatch as rb
from helpers import write_coco
from regionbatch.errors import OptionError
from regionbatch.training_limits import count_tags, finding_about, tags_of, training_findings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from helpers import Box

BOX = (1, 1, 50, 50)


def boxes_of(images_by_tag: Mapping[str, int]) -> list[Box]:
    """Return one box of each tag on as many images as are given."""
    return [
        (f"{number:03}.jpg", tag, BOX)
        for tag, count in images_by_tag.items()
        for number in range(count)
    ]


def findings_of(dataset: rb.Dataset, **options: Any) -> dict[str, list[str]]:
    """Return the places of the findings about training, by code."""
    found: dict[str, list[str]] = {}
    for finding in training_findings(dataset, **options):
        found.setdefault(finding.code, []).append(finding.place)
    return found


columns = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=60)
splits = st.lists(st.integers(-1, 2), min_size=7, max_size=7)


@given(columns, splits)
def test_counts_equal_those_of_sets(pairs: list[tuple[int, int]], split: list[int]) -> None:
    image = np.asarray([image for image, _ in pairs], np.int32)
    tag = np.asarray([tag for _, tag in pairs], np.int32)
    names = [f"tag {code}" for code in range(5)]
    table = count_tags(
        image, tag, names, split=np.asarray(split, np.int32), splits=("train", "val", "test")
    )
    for code in range(5):
        images = {image for image, other in pairs if other == code}
        assert table.boxes[code] == sum(other == code for _, other in pairs)
        assert table.images[code] == len(images)
        in_splits = [sum(split[image] == number for image in images) for number in range(3)]
        assert table.split_images[code].tolist() == in_splits
    by_count = [row.images for row in table.rows()]
    assert by_count == sorted(by_count), "the fewest images first"


def test_a_table_without_tags_or_boxes() -> None:
    nothing = np.zeros(0, np.int32)
    assert count_tags(nothing, nothing, []).rows() == []
    [row] = count_tags(nothing, nothing, ["cat"]).rows()
    assert (row.images, row.boxes, row.finding) == (0, 0, "tag_without_images")


@pytest.mark.parametrize(
    ("images", "code"),
    [
        (0, "tag_without_images"),
        (1, "too_few_images"),
        (14, "too_few_images"),
        (15, "few_images"),
        (49, "few_images"),
        (50, ""),
    ],
)
def test_the_limits_of_a_tag(images: int, code: str) -> None:
    assert finding_about(images) == code


def test_the_tags_of_a_dataset(tmp_path: Path) -> None:
    boxes = boxes_of({"few": 14, "some": 49, "many": 50})
    dataset = rb.read(write_coco(tmp_path, [*boxes, ("000.jpg", "few", BOX)], tags=["none"]))
    rows = {row.name: row[1:3] for row in tags_of(dataset).rows()}
    assert rows == {"none": (0, 0), "few": (14, 14), "some": (49, 49), "many": (50, 50)}
    dataset = rb.read(
        write_coco(tmp_path, [*boxes, ("000.jpg", "few", (9, 9, 20, 20))], tags=["none"])
    )
    rows = {row.name: row[1:3] for row in tags_of(dataset).rows()}
    assert rows["few"] == (14, 15), "two boxes on one image"
    found = findings_of(dataset)
    del found["small_image"]
    assert found == {
        "tag_without_images": ["none"],
        "too_few_images": ["few"],
        "few_images": ["some"],
    }
    doubtful = training_findings(dataset).doubtful()
    assert doubtful == {"too_few_images": 1}, "only what stops training"
    assert "too_few_images" not in dataset.findings.counts(), "reading does not look for it"


def test_classes_that_get_one_name_are_one_tag(tmp_path: Path) -> None:
    dataset = rb.read(write_coco(tmp_path, boxes_of({"car": 20, "Auto": 30, "bus": 50})))
    [car, bus] = tags_of(dataset, {"Auto": "car"}).rows()
    assert (car.name, car.images, car.boxes) == ("car", 30, 50)
    assert (bus.name, bus.images, bus.boxes) == ("bus", 50, 50)


def test_images_of_each_split(tmp_path: Path) -> None:
    write_coco(tmp_path, boxes_of({"cat": 3}), name="annotations/instances_train.json")
    write_coco(tmp_path, [("v.jpg", "cat", BOX)], name="annotations/instances_val.json")
    [row] = tags_of(rb.read(tmp_path)).rows()
    assert row.split_images == {"train": 3, "val": 1}
    [content] = json.loads(json.dumps(tags_of(rb.read(tmp_path)).summary()))
    assert (content["name"], content["images"], content["boxes"]) == ("cat", 4, 4)
    assert content["split_images"] == {"train": 3, "val": 1}


def test_similar_names_are_listed_with_each_other(tmp_path: Path) -> None:
    dataset = rb.read(write_coco(tmp_path, boxes_of({"RBC": 2, "rbc": 1, "r bc": 1, "WBC": 1})))
    similar = {row.name: {*row.similar} for row in tags_of(dataset).rows()}
    assert similar == {
        "RBC": {"rbc", "r bc"},
        "rbc": {"RBC", "r bc"},
        "r bc": {"RBC", "rbc"},
        "WBC": set(),
    }
    renamed = tags_of(dataset, {"rbc": "RBC", "r bc": "r bc"}).rows()
    assert not any(row.similar for row in renamed), "merged, or mapped to itself"


@pytest.mark.parametrize(
    ("size", "is_small"),
    [((256, 256), False), ((255, 1000), True), ((1000, 255), True), ((0, 0), False)],
)
def test_images_that_the_service_enlarges(
    tmp_path: Path, size: tuple[int, int], is_small: bool
) -> None:
    images = {"a.jpg": size, "b.jpg": (300, 300)}
    write_coco(tmp_path, [("b.jpg", "cat", BOX)], images=images)
    found = training_findings(rb.read(tmp_path))
    assert [finding.place for finding in found.first("small_image")] == ["a.jpg"] * is_small
    assert "small_image" not in found.doubtful()


def test_more_tags_than_the_tier_allows(tmp_path: Path) -> None:
    boxes = [("a.jpg", f"tag {number}", BOX) for number in range(51)]
    dataset = rb.read(write_coco(tmp_path, boxes, tags=["without boxes"]))
    [finding] = training_findings(dataset, tier="F0").first("tier_limit")
    assert finding.value == "51 tags, 50 allowed"
    assert "tier_limit" in training_findings(dataset, tier="F0").doubtful()
    assert "tier_limit" not in findings_of(dataset)
    assert "tier_limit" not in findings_of(dataset, rename={"tag 50": "tag 0"}, tier="F0")
    with pytest.raises(OptionError):
        training_findings(dataset, tier="F1")


def test_more_images_than_the_tier_allows(tmp_path: Path) -> None:
    sizes = {f"{number}.jpg": (300, 300) for number in range(5001)}
    dataset = rb.read(write_coco(tmp_path, [("0.jpg", "cat", BOX)], images=sizes))
    [finding] = training_findings(dataset, tier="F0").first("tier_limit")
    assert finding.value == "5001 images, 5000 allowed"


def test_a_dataset_without_boxes_or_with_hostile_names(tmp_path: Path) -> None:
    empty = rb.read(write_coco(tmp_path / "empty", [], images={}))
    assert (tags_of(empty).rows(), findings_of(empty)) == ([], {})
    names = ["\x1b[31m", "<script>", "a" * 5000, "\u202eevil"]
    dataset = rb.read(write_coco(tmp_path / "odd", [("a.jpg", name, BOX) for name in names]))
    rows = tags_of(dataset).rows()
    assert [row.name for row in rows] == list(dataset.tags)
    messages = [finding.message for finding in training_findings(dataset)]
    assert all(message.isprintable() for message in messages)


def test_a_million_boxes_are_counted_in_a_fraction_of_a_second() -> None:
    rng = np.random.default_rng(0)
    image = np.sort(rng.integers(0, 118_287, 10**6)).astype(np.int32)
    tag = rng.integers(0, 80, 10**6).astype(np.int32)
    split = rng.integers(-1, 2, 118_287).astype(np.int32)
    names = [f"tag {code}" for code in range(80)]
    start = time.process_time()
    table = count_tags(image, tag, names, split=split, splits=("train", "val"))
    assert time.process_time() - start < 0.5
    assert int(table.boxes.sum()) == 10**6
    assert int(table.images.sum()) == len({*zip(image.tolist(), tag.tolist(), strict=True)})
