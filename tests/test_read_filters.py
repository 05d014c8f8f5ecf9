"""Options of `regionbatch.read` that leave out boxes or fail on them: drop, only, strict, …"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from helpers import Box, raises_mentioning, write_coco, write_voc
from regionbatch.errors import OptionError, StrictError

if TYPE_CHECKING:
    from pathlib import Path

BOX = (20, 10, 80, 60)
"""A good box of a COCO file: left, top, width, height."""
CORNERS = (20, 10, 100, 70)
"""The same box in a VOC file: left, top, right, bottom."""


@pytest.mark.parametrize("mark", ["difficult", "truncated", "occluded"])
def test_marked_objects_are_kept_unless_drop_names_the_mark(tmp_path: Path, mark: str) -> None:
    write_voc(tmp_path, [("a.jpg", "cat", CORNERS), ("a.jpg", "dog", CORNERS)])
    path = tmp_path / "a.xml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("<name>dog", f"<{mark}>1</{mark}><name>dog"), encoding="utf-8")
    kept = rb.read(tmp_path)
    assert (len(kept), kept.findings.counts()["marked"], kept.ledger.kept) == (2, 1, 2)
    assert [one.value for one in kept.findings.first("marked")] == [mark]
    rest = rb.read(tmp_path, drop=[mark])
    assert [region.tag for region in rest] == ["cat"]
    assert dict(rest.ledger.dropped) == {"left_out": 1}
    assert rest.ledger.lost == 0, "the user asked for it"


def test_crowds_are_kept_unless_drop_names_them(tmp_path: Path) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", BOX)], iscrowd=1)
    kept = rb.read(tmp_path)
    assert (kept.findings.counts()["marked"], kept.ledger.kept) == (1, 1)
    assert [one.value for one in kept.findings.first("marked")] == ["crowd"]
    assert dict(rb.read(tmp_path, drop=["crowd"]).ledger.dropped) == {"left_out": 1}


def test_a_single_name_may_be_a_string(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, [("a.jpg", "cat", BOX), ("a.jpg", "dog", BOX)], iscrowd=1)
    assert [region.tag for region in rb.read(folder, only="cat")] == ["cat"]
    assert len(rb.read(folder, drop="crowd")) == 0


def test_only_keeps_some_classes(tmp_path: Path) -> None:
    rows: list[Box] = [("a.jpg", name, BOX) for name in ("cat", "dog", "cow")]
    dataset = rb.read(write_coco(tmp_path, rows), only=["dog", "cow"])
    assert [region.tag for region in dataset] == ["dog", "cow"]
    assert dict(dataset.ledger.dropped) == {"left_out": 1}
    assert dataset.ledger.lost == 0


def test_a_class_that_does_not_exist_is_an_option_error(tmp_path: Path) -> None:
    """A typing error must not give an empty result."""
    write_coco(tmp_path, [("a.jpg", "cat", BOX), ("a.jpg", "dog", BOX)])
    with pytest.raises(OptionError) as caught:
        rb.read(tmp_path, only=["Cat", "dog", "cow"])
    assert caught.value.option == "only"
    assert caught.value.value == ["Cat", "cow"]
    assert caught.value.choices == ("cat", "dog")


def test_a_mark_that_does_not_exist_is_an_option_error(tmp_path: Path) -> None:
    with raises_mentioning(OptionError, "--drop", "blurred", "crowd", "difficult"):
        rb.read(tmp_path, drop=["blurred"])


@pytest.mark.parametrize("only", [1, [1], ["cat", None]])
def test_a_class_that_is_not_text_is_an_option_error(tmp_path: Path, only: Any) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", BOX)])
    with raises_mentioning(OptionError, "only"):
        rb.read(tmp_path, only=only)


def test_max_clip_leaves_out_boxes_that_are_mostly_outside(tmp_path: Path) -> None:
    boxes = {0.2: (120, 10, 100, 50), 0.6: (160, 10, 100, 50), 1: (210, 10, 100, 50)}
    write_coco(tmp_path, [("a.jpg", "cat", numbers) for numbers in boxes.values()])
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
        assert ledger.lost == 1, (
            "only the box outside the image is lost; the others were left out on request"
        )


@pytest.mark.parametrize(
    "fraction", [-0.1, 1.1, math.nan, math.inf, "x", "", "0,5", "50%", True, [0.5]]
)
def test_a_wrong_max_clip_is_an_option_error(tmp_path: Path, fraction: Any) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", BOX)])
    with pytest.raises(OptionError) as caught:
        rb.read(tmp_path, max_clip=fraction)
    assert caught.value.option == "max_clip"


STRICT = {
    "a dropped box": ((20, 10, 0, 5), "empty_box"),
    "an adjusted box": ((-20, 10, 60, 5), "clipped"),
    "rounding noise": ((150, 10, 50.0001, 50), ""),
}


@pytest.mark.parametrize(("numbers", "code"), STRICT.values(), ids=STRICT)
def test_strict_mode_fails_on_dropped_and_adjusted_boxes(
    tmp_path: Path, numbers: tuple[float, ...], code: str
) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", numbers), ("b.jpg", "cat", BOX)])
    if code:
        [finding] = rb.read(tmp_path).findings.first(code)
        with raises_mentioning(StrictError, code, 1, finding.place):
            rb.read(tmp_path, strict=True)
    else:
        rb.read(tmp_path, strict=True)


def test_strict_mode_allows_boxes_left_out_on_request(tmp_path: Path) -> None:
    write_coco(tmp_path, [("a.jpg", "cat", BOX), ("a.jpg", "dog", BOX)])
    assert len(rb.read(tmp_path, strict=True, only=["dog"])) == 1
