"""The rules on boxes, through `regionbatch.read`: what is kept, adjusted and dropped."""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

import regionbatch as rb
from helpers import (
    SIZE,
    Box,
    ids_of,
    mentions,
    raises_mentioning,
    write_coco,
    write_json,
    write_voc,
    write_yolo,
)
from regionbatch.errors import StrictError
from regionbatch.findings.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


WRITERS: dict[str, Callable[[Path, list[Box]], Path]] = {
    "coco": write_coco,
    "voc": write_voc,
    "yolo": write_yolo,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "coco": {"coco_boxes": "pixels"},
    "voc": {"voc_boxes": "pixels", "voc_origin": "0"},
    "yolo": {},
}
GOOD: dict[str, tuple[float, ...]] = {
    "coco": (20, 10, 80, 60),
    "voc": (20, 10, 100, 70),
    "yolo": (0.3, 0.4, 0.4, 0.6),
}
"""The same box in each format: 0.1 0.1 0.4 0.6 in normalised coordinates."""


class Case(NamedTuple):
    """Four numbers in a file, and the expected result."""

    format: str
    numbers: tuple[object, ...]
    code: str
    """The expected finding; empty: kept unchanged."""
    box: tuple[float, float, float, float] | None = None
    """The expected region; None: dropped."""


CASES = {
    "coco inside": Case("coco", (20, 10, 80, 60), "", (0.1, 0.1, 0.4, 0.6)),
    "coco the whole image": Case("coco", (0, 0, 200, 100), "", (0, 0, 1, 1)),
    "coco numbers as text": Case("coco", ("20", "10", "80", "60.0"), "", (0.1, 0.1, 0.4, 0.6)),
    "coco rounding noise at the edge": Case(
        "coco", (150, 10, 50.0001, 50), "", (0.75, 0.1, 0.25, 0.5)
    ),
    "coco more than noise": Case("coco", (150, 10, 50.001, 50), "clipped", (0.75, 0.1, 0.25, 0.5)),
    "coco beyond the right edge": Case(
        "coco", (150, 10, 100, 50), "clipped", (0.75, 0.1, 0.25, 0.5)
    ),
    "coco beyond the left edge": Case("coco", (-20, 10, 60, 50), "clipped", (0, 0.1, 0.2, 0.5)),
    "coco beyond top and bottom": Case("coco", (20, -5, 80, 110), "clipped", (0.1, 0, 0.4, 1)),
    "coco half outside": Case("coco", (-40, 10, 80, 50), "clipped", (0, 0.1, 0.2, 0.5)),
    "coco more than half outside": Case(
        "coco", (-40, 10, 79, 50), "mostly_outside", (0, 0.1, 0.195, 0.5)
    ),
    "coco more than half outside by both sides": Case(
        "coco", (-20, -20, 60, 60), "mostly_outside", (0, 0, 0.2, 0.4)
    ),
    "coco huge": Case("coco", (0, 0, 1e308, 50), "mostly_outside", (0, 0, 1, 0.5)),
    "coco outside": Case("coco", (300, 10, 20, 20), "empty_box"),
    "coco outside on the left": Case("coco", (-50, 10, 20, 20), "empty_box"),
    "coco starts at the right edge": Case("coco", (200, 10, 20, 20), "empty_box"),
    "coco no width": Case("coco", (20, 10, 0, 20), "empty_box"),
    "coco no height": Case("coco", (20, 10, 20, 0), "empty_box"),
    "coco too small to write": Case("coco", (20, 10, 1e-8, 20), "empty_box"),
    "coco negative width": Case("coco", (20, 10, -5, 20), "negative_size"),
    "coco negative and outside": Case("coco", (300, 10, -5, 20), "negative_size"),
    "coco NaN": Case("coco", (20, math.nan, 5, 20), "not_a_box"),
    "coco infinity": Case("coco", (20, 10, math.inf, 20), "not_a_box"),
    "coco infinity on both ends": Case("coco", (-math.inf, 10, math.inf, 20), "not_a_box"),
    "coco null": Case("coco", (20, None, 5, 20), "not_a_box"),
    "coco words": Case("coco", ("a", "b", "c", "d"), "not_a_box"),
    "coco three numbers": Case("coco", (20, 10, 5), "not_a_box"),
    "coco five numbers": Case("coco", (20, 10, 5, 5, 5), "not_a_box"),
    "coco nothing": Case("coco", (), "not_a_box"),
    "coco true and false": Case("coco", (True, False, True, True), "not_a_box"),
    "voc inside": Case("voc", (20, 10, 100, 70), "", (0.1, 0.1, 0.4, 0.6)),
    "voc fractions": Case(
        "voc", ("20.5", " 10.25 ", "100.5", "7.025e1"), "", (0.1025, 0.1025, 0.4, 0.6)
    ),
    "voc corners swapped": Case("voc", (100, 70, 20, 10), "reordered", (0.1, 0.1, 0.4, 0.6)),
    "voc left and right swapped": Case("voc", (100, 10, 20, 70), "reordered", (0.1, 0.1, 0.4, 0.6)),
    "voc beyond the edge": Case("voc", (-1, 10, 100, 101), "clipped", (0, 0.1, 0.5, 0.9)),
    "voc with an extra digit": Case(
        "voc", (20, 10, 1000, 70), "mostly_outside", (0.1, 0.1, 0.9, 0.6)
    ),
    "voc no width": Case("voc", (20, 10, 20, 70), "empty_box"),
    "voc outside": Case("voc", (220, 10, 240, 70), "empty_box"),
    "voc NaN": Case("voc", ("nan", 10, 240, 70), "not_a_box"),
    "voc infinity": Case("voc", (10, 10, "inf", 70), "not_a_box"),
    "voc words": Case("voc", ("left", 10, 240, 70), "not_a_box"),
    "yolo inside": Case("yolo", (0.3, 0.4, 0.4, 0.6), "", (0.1, 0.1, 0.4, 0.6)),
    "yolo rounding noise at the edge": Case(
        "yolo", (0.75, 0.5, 0.500001, 0.5), "", (0.4999995, 0.25, 0.5000005, 0.5)
    ),
    "yolo beyond the edge": Case("yolo", (0.9, 0.5, 0.4, 0.5), "clipped", (0.7, 0.25, 0.3, 0.5)),
    "yolo mostly outside": Case(
        "yolo", (1.1, 0.5, 0.4, 0.5), "mostly_outside", (0.9, 0.25, 0.1, 0.5)
    ),
    "yolo outside": Case("yolo", (1.5, 0.5, 0.4, 0.5), "empty_box"),
    "yolo no height": Case("yolo", (0.5, 0.5, 0.4, 0), "empty_box"),
    "yolo negative width": Case("yolo", (0.5, 0.5, -0.4, 0.5), "negative_size"),
    "yolo NaN": Case("yolo", ("nan", 0.5, 0.4, 0.5), "not_a_box"),
    "yolo infinity": Case("yolo", (0.5, "-inf", 0.4, 0.5), "not_a_box"),
    "yolo words": Case("yolo", ("x", "y", "w", "h"), "not_a_row"),
    "yolo three numbers": Case("yolo", (0.5, 0.5, 0.4), "not_a_row"),
    "yolo commas": Case("yolo", ("0.5,", "0.5,", "0.4,", "0.5"), "not_a_row"),
    "yolo with confidence": Case("yolo", (0.3, 0.4, 0.4, 0.6, 0.99), "", (0.1, 0.1, 0.4, 0.6)),
    "yolo four points": Case(
        "yolo", (0.1, 0.1, 0.5, 0.1, 0.5, 0.7, 0.1, 0.7), "box_from_shape", (0.1, 0.1, 0.4, 0.6)
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_box_is_kept_adjusted_or_dropped(tmp_path: Path, case: Case) -> None:
    """A good box of another image is always kept."""
    WRITERS[case.format](
        tmp_path, [("a.jpg", "cat", case.numbers), ("b.jpg", "cat", GOOD[case.format])]
    )
    dataset = rb.read(tmp_path, **OPTIONS[case.format])
    ledger = dataset.ledger
    effect = CODES[case.code].effect if case.code else "kept"
    assert ledger.read == 2
    assert ledger.kept == (2 if effect == "kept" else 1)
    assert dict(ledger.adjusted) == ({case.code: 1} if effect == "adjusted" else {})
    assert dict(ledger.dropped) == ({case.code: 1} if effect == "dropped" else {})
    assert ledger.lost == (1 if effect == "dropped" else 0)
    assert dataset.images.names[1].startswith("b")
    *mine, other = dataset
    assert other[2:] == (0.1, 0.1, 0.4, 0.6)
    if case.box is None:
        assert not mine
    else:
        np.testing.assert_allclose(mine[0][2:], case.box, rtol=0, atol=6.2e-8)
    if case.code:
        [finding] = dataset.findings.first(case.code)
        assert finding.severity == {"adjusted": "warning", "dropped": "error"}[effect]
        assert finding.message.startswith(f"{finding.place}: ")
        assert finding.where == (2 if case.format == "voc" else 1)


TWO_DEFECTS = {
    "swapped and beyond the edge": ("voc", (250, 70, 20, 10), "reordered", "adjusted"),
    "swapped and outside": ("voc", (250, 70, 220, 10), "empty_box", "dropped"),
    "shape and beyond the edge": (
        "yolo",
        (0.5, 0.5, 1.5, 0.5, 0.5, 0.7, 0.5, 0.7),
        "box_from_shape",
        "adjusted",
    ),
    "shape and outside": ("yolo", (1.5, 0.5, 1.6, 0.5, 1.5, 0.7, 1.6, 0.7), "empty_box", "dropped"),
    "NaN and negative": ("coco", (math.nan, 5, -5, 20), "not_a_box", "dropped"),
    "negative and outside": ("coco", (300, 5, -5, 20), "negative_size", "dropped"),
}


@pytest.mark.parametrize(
    ("form", "numbers", "code", "effect"), TWO_DEFECTS.values(), ids=TWO_DEFECTS
)
def test_two_defects_count_once(
    tmp_path: Path, form: str, numbers: tuple[float, ...], code: str, effect: str
) -> None:
    WRITERS[form](tmp_path, [("a.jpg", "cat", numbers), ("a.jpg", "cat", GOOD[form])])
    ledger = rb.read(tmp_path, **OPTIONS[form]).ledger
    assert (ledger.read, ledger.kept) == (2, 1)
    assert {"adjusted": dict(ledger.adjusted), "dropped": dict(ledger.dropped)}[effect] == {code: 1}
    assert sum(ledger.adjusted.values()) + sum(ledger.dropped.values()) == 1


@pytest.mark.parametrize("form", WRITERS)
def test_a_duplicate_box_is_kept_once(tmp_path: Path, form: str) -> None:
    good = GOOD[form]
    moved = (good[0] * 1.05, *good[1:])
    rows: list[Box] = [
        ("a.jpg", "cat", good),
        ("b.jpg", "cat", good),  # another image
        ("a.jpg", "dog", good),  # another tag
        ("a.jpg", "cat", moved),  # another box
        ("a.jpg", "cat", good),  # a duplicate of the first
    ]
    WRITERS[form](tmp_path, rows)
    dataset = rb.read(tmp_path, **OPTIONS[form])
    assert dict(dataset.ledger.dropped) == {"duplicate": 1}
    assert len(dataset) == len(set(dataset)) == 4
    [finding] = dataset.findings.first("duplicate")
    assert finding.where == {"coco": 5, "voc": 5, "yolo": 4}[form], (
        "the first is kept, the second is reported"
    )


def test_boxes_made_equal_by_clipping_are_duplicates(tmp_path: Path) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", (150, 10, 50, 50)), ("a.jpg", "cat", (150, 10, 90, 50))])
    ledger = rb.read(tmp_path).ledger
    assert (ledger.kept, dict(ledger.adjusted), dict(ledger.dropped)) == (1, {}, {"duplicate": 1})


def test_class_names_are_trimmed_composed_and_merged(tmp_path: Path) -> None:
    decomposed = "cafe\N{COMBINING ACUTE ACCENT}"
    rows: list[Box] = [("a.jpg", name, GOOD["coco"]) for name in (" cat", "cat", decomposed, "猫")]
    dataset = rb.read(write_coco(tmp_path, rows))
    assert dataset.tags == ["cat", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "猫"]
    counts = dataset.findings.counts()
    assert (counts["tag_renamed"], counts["tag_merged"], counts["duplicate"]) == (2, 1, 1)


def test_similar_class_names_are_reported_with_their_counts(tmp_path: Path) -> None:
    names = ["rbc", "RBC", "rbc", "wbc", "Rbc", "rbc"]
    rows: list[Box] = [("a.jpg", name, (number, 10, 80, 60)) for number, name in enumerate(names)]
    write_coco(tmp_path, rows, tags=["WBC"])
    dataset = rb.read(tmp_path, coco_boxes="pixels")
    [finding] = dataset.findings.first("similar_tags")
    assert (finding.place, finding.value, finding.severity) == (
        "rbc",
        "rbc (3 boxes), RBC (1 box), Rbc (1 box)",
        "warning",
    )
    assert len(dataset) == 6, "they are not merged"
    with raises_mentioning(StrictError, "similar_tags"):
        rb.read(tmp_path, coco_boxes="pixels", strict=True)
    rb.read(tmp_path, coco_boxes="pixels", strict=True, only=["rbc", "wbc"])


def test_boxes_of_a_class_without_a_name_are_dropped(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [("a.jpg", "  ", GOOD["coco"]), ("a.jpg", "cat", GOOD["coco"])])
    dataset = rb.read(path)
    assert dict(dataset.ledger.dropped) == {"unknown_class": 1}
    assert [region.tag for region in dataset] == ["cat"]


def test_an_image_listed_twice_gets_the_boxes_of_both_entries(tmp_path: Path) -> None:
    write_json(
        tmp_path / "annotations.json",
        {
            "images": [
                {"id": 7, "file_name": "a.jpg", "width": 200, "height": 100},
                {"id": 8, "file_name": "b.jpg", "width": 200, "height": 100},
                {"id": 9, "file_name": "a.jpg", "width": 200, "height": 100},
            ],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
                {"id": number, "image_id": image, "category_id": 1, "bbox": [number, 10, 80, 60]}
                for number, image in ((1, 7), (2, 9), (3, 8))
            ],
        },
    )
    dataset = rb.read(tmp_path)
    assert dataset.images.names == ["a.jpg", "b.jpg"]
    assert [region.image for region in dataset] == ["a.jpg", "a.jpg", "b.jpg"]
    images = dataset.ledger.images
    assert (images.read, images.kept, dict(images.adjusted)) == (3, 2, {"merged_image": 1})


@pytest.mark.parametrize("count", [300, 301])
def test_more_regions_than_an_image_can_have_are_reported(tmp_path: Path, count: int) -> None:
    rows: list[Box] = [("a.jpg", "cat", (number / 10, 10, 5, 5)) for number in range(count)]
    rows += [("b.jpg", "cat", GOOD["coco"])]
    dataset = rb.read(write_coco(tmp_path, rows), coco_boxes="pixels")
    assert len(dataset) == count + 1, "none is dropped: which ones would be a guess"
    findings = dataset.findings.first("over_region_limit")
    assert [(finding.file, finding.value) for finding in findings] == (
        [("a.jpg", "301")] if count > 300 else []
    )


def test_pixel_boxes_need_an_image_size_and_yolo_boxes_do_not(tmp_path: Path) -> None:
    images = {"a.jpg": (0, 0), "b.jpg": SIZE}
    rows: list[Box] = [("a.jpg", "cat", GOOD["coco"]), ("b.jpg", "cat", GOOD["coco"])]
    dataset = rb.read(write_coco(tmp_path / "coco", rows, images=images))
    assert dict(dataset.ledger.dropped) == {"unknown_image_size": 1}
    assert dataset.images.names == ["a.jpg", "b.jpg"], "only the box is dropped, not the image"
    assert rb.read(write_yolo(tmp_path / "yolo", [("a.jpg", "cat", GOOD["yolo"])])).ledger.kept == 1


def test_a_missing_size_is_read_from_the_image_file(tmp_path: Path) -> None:
    write_coco(tmp_path, [("a.png", "cat", GOOD["coco"])], images={"a.png": (0, 0)})
    Image.new("L", SIZE).save(tmp_path / "a.png")
    [region] = rb.read(tmp_path)
    assert region[2:] == (0.1, 0.1, 0.4, 0.6)


@pytest.mark.parametrize(
    ("size", "code"), [(SIZE, ""), ((100, 200), "size_mismatch"), ((400, 200), "size_mismatch")]
)
def test_a_declared_size_wins_and_a_mismatch_is_reported(
    tmp_path: Path, size: tuple[int, int], code: str
) -> None:
    write_coco(tmp_path, [("a.png", "cat", GOOD["coco"])])
    Image.new("L", size).save(tmp_path / "a.png")
    dataset = rb.read(tmp_path)
    assert next(iter(dataset))[2:] == (0.1, 0.1, 0.4, 0.6)
    assert dataset.findings.counts() == ({code: 1} if code else {})
    if code:
        assert mentions(dataset.findings.first(code)[0].value, *size)


def test_a_dataset_can_be_pickled(tmp_path: Path) -> None:
    dataset = rb.read(
        write_coco(tmp_path, [("a.jpg", "cat", GOOD["coco"]), ("a.jpg", "dog", (0, 0, 0, 0))])
    )
    again = pickle.loads(pickle.dumps(dataset))
    assert [*again] == [*dataset]
    assert (again.ledger, [*again.findings]) == (dataset.ledger, [*dataset.findings])
    batches = rb.batches(
        again, tag_ids=ids_of(dataset.tags), image_ids=ids_of(dataset.images.names)
    )
    assert [one.to_json() for one in pickle.loads(pickle.dumps(batches))] == [
        one.to_json() for one in batches
    ]


@pytest.mark.parametrize("form", WRITERS)
def test_a_box_mostly_outside_is_reported_with_the_percentage(tmp_path: Path, form: str) -> None:
    numbers = {"coco": (180, 10, 80, 60), "voc": (180, 10, 260, 70), "yolo": (1.1, 0.4, 0.4, 0.6)}[
        form
    ]
    WRITERS[form](tmp_path, [("a.jpg", "cat", numbers), ("b.jpg", "cat", GOOD[form])])
    dataset = rb.read(tmp_path, **OPTIONS[form])
    [finding] = dataset.findings.first("mostly_outside")
    assert finding.value == f"{' '.join(map(str, numbers))} (75 % outside)"
    assert finding.severity == "warning"
    assert dataset.findings.doubtful() == {"mostly_outside": 1}
    with raises_mentioning(StrictError, "mostly_outside", finding.place):
        rb.read(tmp_path, **OPTIONS[form], strict=True)


PERCENTAGES = {
    "<0.1 %": (150, 50.01, "clipped"),
    "1.2 %": (101.2, 100, "clipped"),
    ">99.9 %": (-99.97, 100, "mostly_outside"),
}


@pytest.mark.parametrize("shown", PERCENTAGES)
def test_a_percentage_is_never_rounded_to_0_or_100(tmp_path: Path, shown: str) -> None:
    left, width, code = PERCENTAGES[shown]
    dataset = rb.read(write_coco(tmp_path, [("a.jpg", "cat", (left, 10, width, 50))]))
    [finding] = dataset.findings.first(code)
    assert f"({shown} outside)" in finding.value
