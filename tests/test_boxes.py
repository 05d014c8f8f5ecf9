"""The arithmetic on coordinates: properties that hold for any boxes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from regionbatch import boxes
from regionbatch.boxes import BoxMode

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODES = list(BoxMode)
MOVED = 6.1e-8 + 1e-9
"""How far a number may move: half a float32 step, twice, and the step it is written in."""

shares = st.one_of(
    st.floats(0, 1),
    st.sampled_from([0.0, 1.0, 0.5, 1 / 3, 2 / 3, 1e-9, 1 - 1e-9, 5e-10, 1e-7, 1 - 6e-8, 0.1, 0.7]),
    st.builds(lambda part, side: min(part, side) / side, st.integers(0, 20000), st.integers(1, 20000)),
)


@st.composite
def inside(draw: st.DrawFn) -> boxes.Boxes:
    """Boxes inside the image (left, top, width, height), many of which touch its edges."""
    edges = draw(arrays(np.float64, st.tuples(st.integers(1, 8), st.just(4)), elements=shares))
    first, second = np.minimum(edges[:, :2], edges[:, 2:]), np.maximum(edges[:, :2], edges[:, 2:])
    box = np.hstack([first, second - first])
    return box[(box[:, 2:] >= boxes.QUANTUM).all(axis=1)]


any_boxes = arrays(
    np.float64,
    st.tuples(st.integers(0, 8), st.just(4)),
    elements=st.one_of(st.floats(-2, 3), shares, st.floats(-1e9, 1e9)),
)


def keeps_the_rules(box: boxes.Boxes) -> NDArray[np.bool_]:
    """Which boxes the service cannot misread: a row each."""
    single = box.astype(np.float32)
    double_of_single = single.astype(np.float64)
    return np.asarray(
        (single[:, :2] >= 0).all(axis=1)
        & (single[:, 2:] > 0).all(axis=1)
        & (single[:, :2] + single[:, 2:] <= 1).all(axis=1)  # added as 32-bit floats
        & (double_of_single[:, :2] + double_of_single[:, 2:] <= 1).all(axis=1)  # added exactly
        & (box[:, :2] + box[:, 2:] <= 1).all(axis=1)
        & (box[:, :2] >= 0).all(axis=1)
        & (box[:, 2:] > 0).all(axis=1)
        & ~np.signbit(box).any(axis=1)  # no -0.0
    )


@given(inside())
def test_written_numbers_cannot_be_misread(box: boxes.Boxes) -> None:
    written = boxes.writable(box)
    assert keeps_the_rules(written).all()
    assert (np.abs(written - box) <= MOVED).all()
    for number in written.ravel().tolist():
        exponent = Decimal(repr(number)).as_tuple().exponent
        assert isinstance(exponent, int)
        assert exponent >= -9, f"{number} has more than nine decimals"


@pytest.mark.parametrize("touches", ["right edge", "one side of the image", "anything"])
def test_written_numbers_of_many_boxes(touches: str) -> None:
    """The defect this guards against shows in a third of the boxes that touch the right edge, so many are needed."""
    random = np.random.default_rng(7)
    side = random.integers(1, 30_000, (100_000, 2)).astype(np.float64)
    first = np.floor(random.random((100_000, 2)) * side)
    if touches == "one side of the image":
        first[:, 0] = np.floor(10 ** (random.random(100_000) * 4)) - 1
        first = np.minimum(first, side - 1)
    second = side
    if touches == "anything":
        second = np.minimum(first + 1 + np.floor(random.random(first.shape) * side), side)
    box = boxes.to_ltwh(np.hstack([first, second]), BoxMode.XYXY_ABS, side)
    naive = box.astype(np.float32)
    if touches != "anything":
        assert (naive[:, :2].astype(np.float64) + naive[:, 2:] > 1).mean() > 0.1, "the boxes are too easy"
    written = boxes.writable(boxes.clip(box))
    assert keeps_the_rules(written).all()
    assert np.abs(written - box).max() <= MOVED


def test_written_numbers_of_boxes_that_end_close_to_the_edge() -> None:
    """Those that end a few steps before it round over it too."""
    random = np.random.default_rng(8)
    first = random.random((100_000, 2))
    second = 1 - first - random.integers(0, 150, first.shape) * boxes.QUANTUM
    written = boxes.writable(np.hstack([first, np.maximum(second, boxes.QUANTUM)]))
    assert keeps_the_rules(written).all()


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3) | st.integers(0, 5).map(lambda step: step << 16)))
def test_order_is_that_of_sorting_and_keeps_what_is_equal(codes: list[int]) -> None:
    wanted = sorted(range(len(codes)), key=codes.__getitem__)
    assert boxes.order_of(np.array(codes, np.uint32)).tolist() == wanted


def test_minus_zero_is_written_as_zero() -> None:
    written = boxes.writable(np.array([[-0.0, -0.0, 0.5, 0.5]]))
    assert not np.signbit(written).any()


@given(arrays(np.float64, (5, 4), elements=st.floats(-1e4, 1e4)), st.sampled_from(MODES))
def test_edges_survive_every_mode(corners: boxes.Boxes, mode: BoxMode) -> None:
    """What is put the way of a mode and read back by it is the same box."""
    size = np.full((5, 2), [640.0, 480.0])
    edges = np.hstack([np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])])
    back = boxes.to_ltwh(boxes.from_edges(edges, mode), mode, size)
    unit = np.hstack([size, size]) if mode.absolute else np.ones((5, 4))
    wanted = np.hstack([edges[:, :2], edges[:, 2:] - edges[:, :2]]) / unit
    np.testing.assert_allclose(back, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("mode", "numbers"),
    [
        (BoxMode.XYWH_ABS, [20, 10, 80, 60]),
        (BoxMode.XYXY_ABS, [20, 10, 100, 70]),
        (BoxMode.XYXY_ABS_FROM_1, [21, 11, 100, 70]),
        (BoxMode.CXCYWH_REL, [0.3, 0.4, 0.4, 0.6]),
        (BoxMode.XYWH_REL, [0.1, 0.1, 0.4, 0.6]),
        (BoxMode.XYXY_REL, [0.1, 0.1, 0.5, 0.7]),
    ],
)
def test_one_box_in_every_mode(mode: BoxMode, numbers: list[float]) -> None:
    box = boxes.to_ltwh(np.array([numbers], np.float64), mode, np.array([[200.0, 100.0]]))
    np.testing.assert_allclose(box, [[0.1, 0.1, 0.4, 0.6]], rtol=0, atol=1e-15)


@given(any_boxes)
def test_clip_leaves_what_is_inside_and_cuts_the_rest(box: boxes.Boxes) -> None:
    clipped = boxes.clip(box)
    good = (boxes.overhang(box) == 0) & (box[:, 2:] >= 0).all(axis=1)
    assert (clipped[good] == box[good]).all()
    real = (clipped[:, 2:] > 0).all(axis=1)
    assert (clipped[real, :2] >= 0).all()
    assert (clipped[real, :2] + clipped[real, 2:] <= 1 + 1e-15).all()
    outside = ((box[:, :2] >= 1) | (box[:, :2] + box[:, 2:] <= 0)).any(axis=1)
    kept = (clipped[:, 2:] >= boxes.QUANTUM).all(axis=1)  # what the rule on empty boxes lets through
    assert not (kept & outside).any()


@given(any_boxes)
def test_overhang_is_the_farthest_reach(box: boxes.Boxes) -> None:
    wanted = [max(0.0, -left, -top, left + width - 1, top + height - 1) for left, top, width, height in box.tolist()]
    assert boxes.overhang(box).tolist() == wanted


@given(any_boxes, st.data())
def test_corners_are_put_in_order_where_asked(box: boxes.Boxes, data: st.DataObject) -> None:
    swapped = data.draw(arrays(np.bool_, len(box)))
    tidy = boxes.ordered(box, swapped)
    assert (tidy[~swapped] == box[~swapped]).all()
    for before, after in zip(box[swapped].tolist(), tidy[swapped].tolist(), strict=True):
        assert after == [*map(min, before[:2], before[2:]), *map(max, before[:2], before[2:])]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), *[st.sampled_from([0.0, 0.1, 0.1 + 1e-12, 0.25, 0.3])] * 4),
        max_size=30,
    )
)
def test_first_of_equal_is_what_a_set_would_say(rows: list[tuple[float, ...]]) -> None:
    """0.1 and 0.1 + 1e-12 are one 32-bit float."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    seen: set[tuple[float, ...]] = set()
    wanted = []
    for row in table.tolist():
        key = tuple(np.array(row, np.float32).tolist())
        wanted.append(key not in seen)
        seen.add(key)
    image, tag = table[:, 0].astype(np.int32), table[:, 1].astype(np.int32)
    assert np.asarray(boxes.first_of_equal(image, tag, table[:, 2:])).tolist() == wanted


@given(any_boxes, st.sampled_from(MODES))
def test_arguments_stay_as_they_are(box: boxes.Boxes, mode: BoxMode) -> None:
    size = np.full((len(box), 2), 100.0)
    codes = np.zeros(len(box), np.int32)
    before = box.copy()
    for frozen in (box, size, codes):
        frozen.flags.writeable = False
    boxes.to_ltwh(box, mode, size)
    boxes.from_edges(box, mode)
    boxes.ordered(box, np.ones(len(box), np.bool_))
    boxes.overhang(box)
    boxes.clip(box)
    boxes.writable(boxes.clip(box))
    boxes.first_of_equal(codes, codes, box)
    assert (box == before).all()


def test_modes_know_what_they_are() -> None:
    assert {mode for mode in BoxMode if mode.absolute} == {
        BoxMode.XYWH_ABS,
        BoxMode.XYXY_ABS,
        BoxMode.XYXY_ABS_FROM_1,
    }
    assert {mode for mode in BoxMode if mode.corners} == {
        BoxMode.XYXY_ABS,
        BoxMode.XYXY_ABS_FROM_1,
        BoxMode.XYXY_REL,
    }
