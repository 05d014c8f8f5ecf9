"""The rules on boxes, through `regionbatch.read`: what is kept, adjusted and dropped, and that it adds up."""

from __future__ import annotations

import json
import math
import pickle
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import regionbatch as rb
from helpers import (
    SIZE,
    Box,
    batches_of,
    ids_of,
    mentions,
    raises_mentioning,
    write_coco,
    write_json,
    write_voc,
    write_yolo,
)
from regionbatch.boxes import BoxMode
from regionbatch.clean import clean
from regionbatch.codes import CODES
from regionbatch.dataset import Images, PlacedAnnotations
from regionbatch.errors import AmbiguousDatasetError, OptionError, PluginError, StrictError
from regionbatch.findings import FindingLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from regionbatch.findings import Account

WRITERS: dict[str, Callable[[Path, list[Box]], Path]] = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}
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
"""The same box in each format, 0.1 0.1 0.4 0.6 as shares."""


class Case(NamedTuple):
    """Four numbers in a file, and what becomes of them."""

    format: str
    numbers: tuple[object, ...]
    code: str
    """Empty: kept as it is."""
    box: tuple[float, float, float, float] | None = None
    """None: dropped."""


CASES = {
    "coco inside": Case("coco", (20, 10, 80, 60), "", (0.1, 0.1, 0.4, 0.6)),
    "coco the whole image": Case("coco", (0, 0, 200, 100), "", (0, 0, 1, 1)),
    "coco numbers as text": Case("coco", ("20", "10", "80", "60.0"), "", (0.1, 0.1, 0.4, 0.6)),
    "coco rounding noise at the edge": Case("coco", (150, 10, 50.0001, 50), "", (0.75, 0.1, 0.25, 0.5)),
    "coco more than noise": Case("coco", (150, 10, 50.001, 50), "clipped", (0.75, 0.1, 0.25, 0.5)),
    "coco over the right edge": Case("coco", (150, 10, 100, 50), "clipped", (0.75, 0.1, 0.25, 0.5)),
    "coco over the left edge": Case("coco", (-20, 10, 60, 50), "clipped", (0, 0.1, 0.2, 0.5)),
    "coco over top and bottom": Case("coco", (20, -5, 80, 110), "clipped", (0.1, 0, 0.4, 1)),
    "coco half outside": Case("coco", (-40, 10, 80, 50), "clipped", (0, 0.1, 0.2, 0.5)),
    "coco more than half outside": Case("coco", (-40, 10, 79, 50), "mostly_outside", (0, 0.1, 0.195, 0.5)),
    "coco more than half outside by both sides": Case("coco", (-20, -20, 60, 60), "mostly_outside", (0, 0, 0.2, 0.4)),
    "coco huge": Case("coco", (0, 0, 1e308, 50), "mostly_outside", (0, 0, 1, 0.5)),
    "coco outside": Case("coco", (300, 10, 20, 20), "empty_box"),
    "coco outside on the left": Case("coco", (-50, 10, 20, 20), "empty_box"),
    "coco begins where the image ends": Case("coco", (200, 10, 20, 20), "empty_box"),
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
    "voc fractions": Case("voc", ("20.5", " 10.25 ", "100.5", "7.025e1"), "", (0.1025, 0.1025, 0.4, 0.6)),
    "voc corners swapped": Case("voc", (100, 70, 20, 10), "reordered", (0.1, 0.1, 0.4, 0.6)),
    "voc left and right swapped": Case("voc", (100, 10, 20, 70), "reordered", (0.1, 0.1, 0.4, 0.6)),
    "voc over the edge": Case("voc", (-1, 10, 100, 101), "clipped", (0, 0.1, 0.5, 0.9)),
    "voc a digit too many": Case("voc", (20, 10, 1000, 70), "mostly_outside", (0.1, 0.1, 0.9, 0.6)),
    "voc no width": Case("voc", (20, 10, 20, 70), "empty_box"),
    "voc outside": Case("voc", (220, 10, 240, 70), "empty_box"),
    "voc NaN": Case("voc", ("nan", 10, 240, 70), "not_a_box"),
    "voc infinity": Case("voc", (10, 10, "inf", 70), "not_a_box"),
    "voc words": Case("voc", ("left", 10, 240, 70), "not_a_box"),
    "yolo inside": Case("yolo", (0.3, 0.4, 0.4, 0.6), "", (0.1, 0.1, 0.4, 0.6)),
    "yolo rounding noise at the edge": Case("yolo", (0.75, 0.5, 0.500001, 0.5), "", (0.4999995, 0.25, 0.5000005, 0.5)),
    "yolo over the edge": Case("yolo", (0.9, 0.5, 0.4, 0.5), "clipped", (0.7, 0.25, 0.3, 0.5)),
    "yolo mostly outside": Case("yolo", (1.1, 0.5, 0.4, 0.5), "mostly_outside", (0.9, 0.25, 0.1, 0.5)),
    "yolo outside": Case("yolo", (1.5, 0.5, 0.4, 0.5), "empty_box"),
    "yolo no height": Case("yolo", (0.5, 0.5, 0.4, 0), "empty_box"),
    "yolo negative width": Case("yolo", (0.5, 0.5, -0.4, 0.5), "negative_size"),
    "yolo NaN": Case("yolo", ("nan", 0.5, 0.4, 0.5), "not_a_box"),
    "yolo infinity": Case("yolo", (0.5, "-inf", 0.4, 0.5), "not_a_box"),
    "yolo words": Case("yolo", ("x", "y", "w", "h"), "not_a_row"),
    "yolo three numbers": Case("yolo", (0.5, 0.5, 0.4), "not_a_row"),
    "yolo commas": Case("yolo", ("0.5,", "0.5,", "0.4,", "0.5"), "not_a_row"),
    "yolo confidence behind": Case("yolo", (0.3, 0.4, 0.4, 0.6, 0.99), "", (0.1, 0.1, 0.4, 0.6)),
    "yolo four points": Case("yolo", (0.1, 0.1, 0.5, 0.1, 0.5, 0.7, 0.1, 0.7), "box_from_shape", (0.1, 0.1, 0.4, 0.6)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_becomes_of_a_box(tmp_path: Path, case: Case) -> None:
    """Beside a good box of another image, which is kept whatever happens."""
    WRITERS[case.format](tmp_path, [("a.jpg", "cat", case.numbers), ("b.jpg", "cat", GOOD[case.format])])
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


TWICE_WRONG = {
    "swapped and over the edge": ("voc", (250, 70, 20, 10), "reordered", "adjusted"),
    "swapped and outside": ("voc", (250, 70, 220, 10), "empty_box", "dropped"),
    "shape and over the edge": ("yolo", (0.5, 0.5, 1.5, 0.5, 0.5, 0.7, 0.5, 0.7), "box_from_shape", "adjusted"),
    "shape and outside": ("yolo", (1.5, 0.5, 1.6, 0.5, 1.5, 0.7, 1.6, 0.7), "empty_box", "dropped"),
    "NaN and negative": ("coco", (math.nan, 5, -5, 20), "not_a_box", "dropped"),
    "negative and outside": ("coco", (300, 5, -5, 20), "negative_size", "dropped"),
}


@pytest.mark.parametrize(("form", "numbers", "code", "effect"), TWICE_WRONG.values(), ids=TWICE_WRONG)
def test_two_defects_count_once(tmp_path: Path, form: str, numbers: tuple[float, ...], code: str, effect: str) -> None:
    WRITERS[form](tmp_path, [("a.jpg", "cat", numbers), ("a.jpg", "cat", GOOD[form])])
    ledger = rb.read(tmp_path, **OPTIONS[form]).ledger
    assert (ledger.read, ledger.kept) == (2, 1)
    assert {"adjusted": dict(ledger.adjusted), "dropped": dict(ledger.dropped)}[effect] == {code: 1}
    assert sum(ledger.adjusted.values()) + sum(ledger.dropped.values()) == 1


@pytest.mark.parametrize("form", WRITERS)
def test_a_box_that_stands_twice_is_kept_once(tmp_path: Path, form: str) -> None:
    good = GOOD[form]
    moved = (good[0] * 1.05, *good[1:])
    rows: list[Box] = [
        ("a.jpg", "cat", good),
        ("b.jpg", "cat", good),  # another image
        ("a.jpg", "dog", good),  # another tag
        ("a.jpg", "cat", moved),  # another box
        ("a.jpg", "cat", good),  # the first again
    ]
    WRITERS[form](tmp_path, rows)
    dataset = rb.read(tmp_path, **OPTIONS[form])
    assert dict(dataset.ledger.dropped) == {"duplicate": 1}
    assert len(dataset) == len(set(dataset)) == 4
    [finding] = dataset.findings.first("duplicate")
    assert finding.where == {"coco": 5, "voc": 5, "yolo": 4}[form], "the first is kept, the later one is reported"


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


def test_classes_that_may_be_one_are_counted(tmp_path: Path) -> None:
    names = ["rbc", "RBC", "rbc", "wbc", "Rbc", "rbc"]
    rows: list[Box] = [("a.jpg", name, (number, 10, 80, 60)) for number, name in enumerate(names)]
    write_coco(tmp_path, rows, tags=["WBC"])
    dataset = rb.read(tmp_path, coco_boxes="pixels")
    [finding] = dataset.findings.first("similar_tags")
    assert (finding.place, finding.value, finding.severity) == ("rbc", "rbc: 3, RBC: 1, Rbc: 1", "warning")
    assert len(dataset) == 6, "they stay what they are"
    with raises_mentioning(StrictError, "similar_tags", "--map"):
        rb.read(tmp_path, coco_boxes="pixels", strict=True)
    rb.read(tmp_path, coco_boxes="pixels", strict=True, only=["rbc", "wbc"])


def test_a_class_without_a_name_is_unknown(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [("a.jpg", "  ", GOOD["coco"]), ("a.jpg", "cat", GOOD["coco"])])
    dataset = rb.read(path)
    assert dict(dataset.ledger.dropped) == {"unknown_class": 1}
    assert [region.tag for region in dataset] == ["cat"]


def test_one_image_listed_twice_has_the_boxes_of_both(tmp_path: Path) -> None:
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


def images_of(*listed: tuple[str, int, str]) -> PlacedAnnotations:
    """Images without boxes: name, width, path."""
    names, widths, paths = zip(*listed, strict=True)
    sizes = np.array(widths, np.int32)
    nothing = np.zeros(0, np.int32)
    images = Images(names, sizes, sizes, paths, sizes * 0 - 1)
    return PlacedAnnotations(
        BoxMode.XYWH_ABS, np.zeros((0, 4)), nothing, nothing, images, [], nothing, np.zeros(0, np.int64)
    )


def test_one_image_with_two_sizes_is_told() -> None:
    report = FindingLog()
    report.read(images=3)
    clean(images_of(("a.jpg", 200, "x/a.jpg"), ("a.jpg", 100, "x/a.jpg"), ("a.jpg", 0, "")), report)
    (told,) = report.findings().first("size_mismatch")
    assert (told.place, told.value) == ("a.jpg", "200 x 200 and 100 x 100 declared")


def test_a_merged_image_keeps_its_own_split() -> None:
    raw = images_of(("a.jpg", 9, ""), ("a.jpg", 9, ""), ("b.jpg", 9, ""))
    images = replace(raw.images, split=np.array([1, 1, 0], np.int32), splits=("train", "val"))
    report = FindingLog()
    report.read(images=3)
    merged = clean(replace(raw, images=images), report)[0]
    assert [(name, merged.splits[code]) for name, code in zip(merged.names, merged.split, strict=True)] == [
        ("a.jpg", "val"),
        ("b.jpg", "train"),
    ]


def test_two_pictures_of_one_name_are_never_made_one() -> None:
    report = FindingLog()
    report.read(images=2)
    with raises_mentioning(AmbiguousDatasetError, "a.jpg", "x/a.jpg", "y/a.jpg"):
        clean(images_of(("a.jpg", 200, "x/a.jpg"), ("a.jpg", 200, "y/a.jpg")), report)


@pytest.mark.parametrize("count", [300, 301])
def test_more_regions_than_an_image_takes_are_told(tmp_path: Path, count: int) -> None:
    rows: list[Box] = [("a.jpg", "cat", (number / 10, 10, 5, 5)) for number in range(count)]
    rows += [("b.jpg", "cat", GOOD["coco"])]
    dataset = rb.read(write_coco(tmp_path, rows), coco_boxes="pixels")
    assert len(dataset) == count + 1, "they are not dropped: which ones would be a guess"
    told = dataset.findings.first("over_region_limit")
    assert [(finding.file, finding.value) for finding in told] == ([("a.jpg", "301")] if count > 300 else [])


def test_pixels_without_a_size_are_dropped_and_yolo_needs_none(tmp_path: Path) -> None:
    images = {"a.jpg": (0, 0), "b.jpg": SIZE}
    rows: list[Box] = [("a.jpg", "cat", GOOD["coco"]), ("b.jpg", "cat", GOOD["coco"])]
    dataset = rb.read(write_coco(tmp_path / "coco", rows, images=images))
    assert dict(dataset.ledger.dropped) == {"unknown_image_size": 1}
    assert dataset.images.names == ["a.jpg", "b.jpg"], "the image stays: only its box cannot be sent"
    assert rb.read(write_yolo(tmp_path / "yolo", [("a.jpg", "cat", GOOD["yolo"])])).ledger.kept == 1


def test_a_missing_size_is_the_picture_s(tmp_path: Path) -> None:
    write_coco(tmp_path, [("a.png", "cat", GOOD["coco"])], images={"a.png": (0, 0)})
    Image.new("L", SIZE).save(tmp_path / "a.png")
    [region] = rb.read(tmp_path)
    assert region[2:] == (0.1, 0.1, 0.4, 0.6)


@pytest.mark.parametrize(("size", "code"), [(SIZE, ""), ((100, 200), "size_mismatch"), ((400, 200), "size_mismatch")])
def test_a_declared_size_wins_but_is_compared(tmp_path: Path, size: tuple[int, int], code: str) -> None:
    write_coco(tmp_path, [("a.png", "cat", GOOD["coco"])])
    Image.new("L", size).save(tmp_path / "a.png")
    dataset = rb.read(tmp_path)
    assert next(iter(dataset))[2:] == (0.1, 0.1, 0.4, 0.6)
    assert dataset.findings.counts() == ({code: 1} if code else {})
    if code:
        assert mentions(dataset.findings.first(code)[0].value, *size)


@pytest.mark.parametrize("mark", ["difficult", "truncated", "occluded"])
def test_marked_objects_are_kept_unless_asked(tmp_path: Path, mark: str) -> None:
    write_voc(tmp_path, [("a.jpg", "cat", GOOD["voc"]), ("a.jpg", "dog", GOOD["voc"])])
    path = tmp_path / "a.xml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("<name>dog", f"<{mark}>1</{mark}><name>dog"), encoding="utf-8")
    kept = rb.read(tmp_path)
    assert (len(kept), kept.findings.counts()["marked"], kept.ledger.kept) == (2, 1, 2)
    assert [one.value for one in kept.findings.first("marked")] == [mark]
    less = rb.read(tmp_path, drop=[mark])
    assert [region.tag for region in less] == ["cat"]
    assert dict(less.ledger.dropped) == {"left_out": 1}
    assert less.ledger.lost == 0, "it was asked for"


def test_crowds_are_kept_unless_asked(tmp_path: Path) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", GOOD["coco"])], iscrowd=1)
    kept = rb.read(tmp_path)
    assert (kept.findings.counts()["marked"], kept.ledger.kept) == (1, 1)
    assert [one.value for one in kept.findings.first("marked")] == ["crowd"]
    assert dict(rb.read(tmp_path, drop=["crowd"]).ledger.dropped) == {"left_out": 1}


def test_one_name_may_be_a_text(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, [("a.jpg", "cat", GOOD["coco"]), ("a.jpg", "dog", GOOD["coco"])], iscrowd=1)
    assert [region.tag for region in rb.read(folder, only="cat")] == ["cat"]
    assert len(rb.read(folder, drop="crowd")) == 0


def test_a_data_set_can_be_handed_to_another_process(tmp_path: Path) -> None:
    dataset = rb.read(write_coco(tmp_path, [("a.jpg", "cat", GOOD["coco"]), ("a.jpg", "dog", (0, 0, 0, 0))]))
    again = pickle.loads(pickle.dumps(dataset))
    assert [*again] == [*dataset]
    assert (again.ledger, [*again.findings]) == (dataset.ledger, [*dataset.findings])
    batches = rb.batches(again, tag_ids=ids_of(dataset.tags), image_ids=ids_of(dataset.images.names))
    assert [one.to_json() for one in pickle.loads(pickle.dumps(batches))] == [one.to_json() for one in batches]


def test_only_some_classes(tmp_path: Path) -> None:
    rows: list[Box] = [("a.jpg", name, GOOD["coco"]) for name in ("cat", "dog", "cow")]
    dataset = rb.read(write_coco(tmp_path, rows), only=["dog", "cow"])
    assert [region.tag for region in dataset] == ["dog", "cow"]
    assert dict(dataset.ledger.dropped) == {"left_out": 1}
    assert dataset.ledger.lost == 0


def test_a_class_that_does_not_exist_is_an_option_error(tmp_path: Path) -> None:
    """A slip of the pen must not end in an empty result."""
    write_coco(tmp_path, [("a.jpg", "cat", GOOD["coco"]), ("a.jpg", "dog", GOOD["coco"])])
    with raises_mentioning(OptionError, "--only", "Cat", "cow", "cat", "dog"):
        rb.read(tmp_path, only=["Cat", "dog", "cow"])


def test_a_mark_that_does_not_exist_is_an_option_error(tmp_path: Path) -> None:
    with raises_mentioning(OptionError, "--drop", "blurred", "crowd", "difficult"):
        rb.read(tmp_path, drop=["blurred"])


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_cut_off_is_told_as_a_share(tmp_path: Path, form: str) -> None:
    numbers = {"coco": (180, 10, 80, 60), "voc": (180, 10, 260, 70), "yolo": (1.1, 0.4, 0.4, 0.6)}[form]
    WRITERS[form](tmp_path, [("a.jpg", "cat", numbers), ("b.jpg", "cat", GOOD[form])])
    dataset = rb.read(tmp_path, **OPTIONS[form])
    [finding] = dataset.findings.first("mostly_outside")
    assert finding.value == f"{' '.join(map(str, numbers))} (75 % outside)"
    assert finding.severity == "warning"
    assert dataset.findings.doubtful() == {"mostly_outside": 1}
    with raises_mentioning(StrictError, "mostly_outside", finding.place):
        rb.read(tmp_path, **OPTIONS[form], strict=True)


SHARES = {
    "<0.1 %": (150, 50.01, "clipped"),
    "1.2 %": (101.2, 100, "clipped"),
    ">99.9 %": (-99.97, 100, "mostly_outside"),
}


@pytest.mark.parametrize("shown", SHARES)
def test_a_share_is_never_rounded_to_nothing_or_all(tmp_path: Path, shown: str) -> None:
    left, width, code = SHARES[shown]
    dataset = rb.read(write_coco(tmp_path, [("a.jpg", "cat", (left, 10, width, 50))]))
    [finding] = dataset.findings.first(code)
    assert f"({shown} outside)" in finding.value


def test_boxes_that_are_cut_too_much_are_left_out_if_asked(tmp_path: Path) -> None:
    shares = {0.2: (120, 10, 100, 50), 0.6: (160, 10, 100, 50), 1: (210, 10, 100, 50)}
    write_coco(tmp_path, [("a.jpg", "cat", numbers) for numbers in shares.values()])
    for most, expected in {
        0: {"empty_box": 1, "left_out": 2},
        0.2: {"empty_box": 1, "left_out": 1},
        0.5: {"empty_box": 1, "left_out": 1},
        "0.6": {"empty_box": 1},
        1: {"empty_box": 1},
        None: {"empty_box": 1},
    }.items():
        ledger = rb.read(tmp_path, max_clip=most).ledger  # type: ignore[arg-type]
        assert dict(ledger.dropped) == expected, most
        assert ledger.lost == 1, "what was asked for is no loss; a box outside the image is"


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, math.inf, "x", "", "0,5", "50%", True, [0.5]])
def test_a_share_that_is_none_is_an_option_error(tmp_path: Path, share: Any) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", GOOD["coco"])])
    with pytest.raises(OptionError) as caught:
        rb.read(tmp_path, max_clip=share)
    assert caught.value.option == "max_clip"


STRICT = {
    "a dropped box": ((20, 10, 0, 5), "empty_box"),
    "an adjusted box": ((-20, 10, 60, 5), "clipped"),
    "rounding noise": ((150, 10, 50.0001, 50), ""),
}


@pytest.mark.parametrize(("numbers", "code"), STRICT.values(), ids=STRICT)
def test_strict(tmp_path: Path, numbers: tuple[float, ...], code: str) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", numbers), ("b.jpg", "cat", GOOD["coco"])])
    if code:
        [finding] = rb.read(tmp_path).findings.first(code)
        with raises_mentioning(StrictError, code, 1, finding.place):
            rb.read(tmp_path, strict=True)
    else:
        rb.read(tmp_path, strict=True)


def test_strict_allows_what_was_asked_for(tmp_path: Path) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", GOOD["coco"]), ("a.jpg", "dog", GOOD["coco"])])
    assert len(rb.read(tmp_path, strict=True, only=["dog"])) == 1


# --- the ledger, for any annotations


numbers_in_files: st.SearchStrategy[object] = st.one_of(
    st.sampled_from([0, 10, 20, 50, 100, 200, -5, 0.1, 0.5, 1, 1e-12, 1e308, -1e308, math.nan, math.inf, -math.inf]),
    st.sampled_from(["12", "x", ""]),
    st.floats(-50, 250),
)
quads = st.one_of(
    st.sampled_from([(10, 10, 20, 20), (0.5, 0.5, 0.2, 0.2), (150, 50, 100, 100), (30, 30, 5, 5)]),
    st.tuples(*[numbers_in_files] * 4),
    st.lists(numbers_in_files, max_size=7),
)
images_in_files = st.sampled_from(["a.jpg", "b.jpg", "c.jpg"])
tags_in_files = st.sampled_from(["cat", "dog", " dog", ""])


def assert_account(dataset: rb.Dataset, boxes: int, images: int) -> None:
    """The ledger has every record that stood in the files, and agrees with the findings and the columns."""
    ledger = dataset.ledger
    for account, read in ((ledger, boxes), (ledger.images, images)):
        assert account.read == read
        assert_adds_up(account)
    assert ledger.kept + sum(ledger.adjusted.values()) == len(dataset)
    counts = dataset.findings.counts()
    dropped = {code: n for code, n in counts.items() if (CODES[code].effect, CODES[code].unit) == ("dropped", "box")}
    assert dict(ledger.dropped) == dropped
    written = dataset.regions.box
    assert (written[:, :2] >= 0).all()
    assert (written[:, 2:] > 0).all()
    assert (written[:, :2] + written[:, 2:] <= 1).all()
    assert len(set(dataset)) == len(dataset)
    assert batches_of(dataset).ledger.read == boxes


def assert_adds_up(account: Account) -> None:
    assert account.read == account.kept + sum(account.adjusted.values()) + sum(account.dropped.values())
    assert min([account.kept, *account.adjusted.values(), *account.dropped.values()]) >= 0


coco_records = st.one_of(
    st.fixed_dictionaries(
        {"bbox": st.one_of(quads, st.sampled_from([None, [], "", {}, 5]))},
        optional={
            "id": st.one_of(st.integers(-2, 5), st.sampled_from(["7", "x", None, 1.5, 2**70, True])),
            "image_id": st.one_of(st.integers(0, 5), st.sampled_from(["1", 1.0, "x", None, True])),
            "category_id": st.one_of(st.integers(0, 5), st.sampled_from(["1", 1.0, "x", None])),
            "iscrowd": st.sampled_from([0, 1, "1", None]),
            "segmentation": st.sampled_from([[], "", [[1, 1, 9, 1, 9, 9]], {"counts": "junk", "size": [4, 4]}, [[1]]]),
        },
    ),
    st.fixed_dictionaries({"image_id": st.just(1), "category_id": st.just(1), "segmentation": st.just([[1, 1, 9, 9]])}),
    st.sampled_from([{"caption": "a cat"}, 5, "text", None, []]),
)


@settings(max_examples=100)
@given(st.lists(coco_records, max_size=12), st.lists(st.sampled_from([1, 1, 2, "3", None]), max_size=5))
def test_coco_ledger_adds_up(records: list[Any], image_ids: list[object]) -> None:
    content = {
        "images": [
            {"id": id_, "file_name": f"{at % 3}.jpg", "width": 200, "height": 100} for at, id_ in enumerate(image_ids)
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 2, "name": "cow"}],
        "annotations": records,
    }
    no_boxes = [
        record
        for record in records
        if isinstance(record, dict) and "bbox" not in record and record.get("segmentation") in (None, [], "", {})
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        dataset = rb.read(path, coco_boxes="pixels")
    assert_account(dataset, len(records) - len(no_boxes), len(image_ids))


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            images_in_files,
            st.one_of(st.sampled_from(["0", "1", "1.0", "7", "-1", "x", "0.5", "nan"]), st.just("0")),
            quads,
        ),
        max_size=12,
    )
)
def test_yolo_ledger_adds_up(rows: list[tuple[str, str, tuple[object, ...]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_yolo(Path(folder), [], images=["a.jpg", "b.jpg", "c.jpg"], tags=["cat", "dog"])
        for image, number, numbers in rows:
            (Path(folder) / image).touch()  # a text file without an image may be something else
            with (Path(folder) / image).with_suffix(".txt").open("a", encoding="utf-8") as file:
                file.write(" ".join([number, *map(str, numbers)]) + "\n")
        try:
            dataset = rb.read(folder, format="yolo")
        except AmbiguousDatasetError:
            return  # mostly pixels: refused as a whole
        assert_account(dataset, len(rows), 3)


voc_parts = st.sampled_from(
    [
        "<robndbox><cx>50</cx><cy>50</cy><w>20</w><h>10</h><angle>0.7</angle></robndbox>",
        "<polygon><x1>1</x1><y1>1</y1><x2>50</x2><y2>1</y2><x3>50</x3><y3>60</y3></polygon>",
        "<polygon><x1>1</x1></polygon>",
        "<bndbox/>",
        "<bndbox><xmin>1</xmin></bndbox>",
        "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>",
    ]
)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(images_in_files, tags_in_files, st.lists(st.one_of(quads, voc_parts), max_size=3)), max_size=8)
)
def test_voc_ledger_adds_up(objects: list[tuple[str, str, list[Any]]]) -> None:
    texts = {"a.jpg": "", "b.jpg": "", "c.jpg": ""}
    boxes = 0
    for image, tag, parts in objects:
        body = ""
        for part in parts:
            sides = zip(("xmin", "ymin", "xmax", "ymax"), part, strict=False)
            corners = "".join(f"<{side}>{number}</{side}>" for side, number in sides)
            body += part if isinstance(part, str) else f"<bndbox>{corners}</bndbox>"
        texts[image] += f"<object><name>{tag}</name>{body}</object>"
        named = bool(tag.strip())
        # A box each; an object without any is one record; shapes count only where no upright box is given.
        upright = sum(not isinstance(part, str) or part.startswith("<bndbox") for part in parts)
        shapes = sum(isinstance(part, str) and part.startswith(("<rob", "<poly")) for part in parts)
        boxes += (upright or shapes or 1) if named else 1
    with tempfile.TemporaryDirectory() as folder:
        for image, text in texts.items():
            size = f"<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height></size>"
            (Path(folder) / image).with_suffix(".xml").write_text(
                f"<annotation><filename>{image}</filename>{size}{text}</annotation>", encoding="utf-8"
            )
        assert_account(rb.read(folder, voc_boxes="pixels"), boxes, 3)


# --- a reader that counts wrong


def raw_annotations(**changes: Any) -> PlacedAnnotations:
    fields: dict[str, Any] = {
        "mode": BoxMode.XYWH_REL,
        "box": np.array([[0.1, 0.1, 0.4, 0.6]]),
        "image": np.zeros(1, np.int32),
        "tag": np.zeros(1, np.int32),
        "images": Images(["a.jpg"], np.zeros(1, np.int32), np.zeros(1, np.int32), [""], np.zeros(1, np.int32), ["x"]),
        "tags": ["cat"],
        "file": np.zeros(1, np.int32),
        "where": np.ones(1, np.int64),
    }
    return PlacedAnnotations(**{**fields, **changes})


def log_of_one() -> FindingLog:
    """Return the log of a reader that met one image with one box."""
    report = FindingLog()
    report.file("a.txt")
    report.read(boxes=1, images=1)
    return report


@pytest.mark.parametrize(("boxes", "images", "what"), [(2, 1, "boxes"), (0, 1, "boxes"), (1, 2, "images")])
def test_a_reader_that_counts_wrong_is_a_plugin_error(boxes: int, images: int, what: str) -> None:
    report = FindingLog()
    report.file("a.txt")
    report.read(boxes=boxes, images=images)
    with raises_mentioning(PluginError, what):
        clean(raw_annotations(), report)


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
def test_a_rotated_box_becomes_the_box_around_it(mode: BoxMode, box: tuple[float, ...], degrees: float) -> None:
    side = np.full(1, 400, np.int32)
    images = Images(["a.jpg"], side, side, [""], side * 0 - 1)
    raw = raw_annotations(mode=mode, box=np.array([box], float), images=images, angle=np.radians([degrees]))
    report = log_of_one()
    *_, regions, ledger = clean(raw, report)
    assert regions.box[0] == pytest.approx((0.366747, 0.694199, 0.266506, 0.211603), abs=1e-6)
    assert ledger.adjusted == {"box_from_shape": 1}


def test_a_box_is_rotated_in_pixels_not_in_shares() -> None:
    images = Images(["a.jpg"], np.array([200], np.int32), np.array([100], np.int32), [""], np.array([-1], np.int32))
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
def test_a_rotation_needs_an_angle_and_the_size_of_the_image(angle: float, box: tuple[float, ...], code: str) -> None:
    raw = raw_annotations(mode=BoxMode.CXCYWH_REL, box=np.array([box]), angle=np.array([angle]))
    ledger = clean(raw, log_of_one())[-1]
    assert dict(ledger.dropped) == ({code: 1} if code else {})


@pytest.mark.parametrize("width", [0.0, -0.1])
def test_a_rotated_line_is_no_box(width: float) -> None:
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
def test_columns_of_wrong_shape_are_refused(changes: dict[str, Any], tokens: list[object]) -> None:
    with raises_mentioning(ValueError, *tokens):
        raw_annotations(**changes)


def test_columns_cannot_be_written_to(tmp_path: Path) -> None:
    dataset = rb.read(write_coco(tmp_path, [("a.jpg", "cat", GOOD["coco"])]))
    for column in (dataset.regions.box, dataset.regions.image, dataset.images.width):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 5
