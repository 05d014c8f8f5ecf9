"""The arithmetic on coordinates: properties of any boxes."""

from __future__ import annotations

from decimal import Decimal
from operator import itemgetter
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
MAX_CHANGE = 6.1e-8 + 1e-9
"""Largest change of a number: twice half a float32 step, and the step of written numbers."""

fractions = st.one_of(
    st.floats(0, 1),
    st.sampled_from([0.0, 1.0, 0.5, 1 / 3, 2 / 3, 1e-9, 1 - 1e-9, 5e-10, 1e-7, 1 - 6e-8, 0.1, 0.7]),
    st.builds(
        lambda part, side: min(part, side) / side, st.integers(0, 20000), st.integers(1, 20000)
    ),
)


@st.composite
def inside(draw: st.DrawFn) -> boxes.Boxes:
    """Boxes inside the image (left, top, width, height), many of which touch its edges."""
    edges = draw(arrays(np.float64, st.tuples(st.integers(1, 8), st.just(4)), elements=fractions))
    first, second = np.minimum(edges[:, :2], edges[:, 2:]), np.maximum(edges[:, :2], edges[:, 2:])
    box = np.hstack([first, second - first])
    return box[(box[:, 2:] >= boxes.QUANTUM).all(axis=1)]


any_boxes = arrays(
    np.float64,
    st.tuples(st.integers(0, 8), st.just(4)),
    elements=st.one_of(st.floats(-2, 3), fractions, st.floats(-1e9, 1e9)),
)


def are_safe(box: boxes.Boxes) -> NDArray[np.bool_]:
    """Return which boxes keep the rules of the service, read as 32-bit or 64-bit floats; (n,)."""
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
def test_quantised_boxes_keep_the_rules_of_the_service(box: boxes.Boxes) -> None:
    written = boxes.quantise(box)
    assert are_safe(written).all()
    assert (np.abs(written - box) <= MAX_CHANGE).all()
    for number in written.ravel().tolist():
        exponent = Decimal(repr(number)).as_tuple().exponent
        assert isinstance(exponent, int)
        assert exponent >= -9, f"{number} has more than nine decimals"


@pytest.mark.parametrize("touches", ["right edge", "one side of the image", "anything"])
def test_many_quantised_boxes_keep_the_rules_of_the_service(touches: str) -> None:
    """Without the correction, a third of the boxes that touch the right edge would break them."""
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
        assert (naive[:, :2].astype(np.float64) + naive[:, 2:] > 1).mean() > 0.1, (
            "the boxes are too easy"
        )
    written = boxes.quantise(boxes.clip(box))
    assert are_safe(written).all()
    assert np.abs(written - box).max() <= MAX_CHANGE


def test_quantised_boxes_close_to_the_edge_keep_the_rules_of_the_service() -> None:
    """Boxes that end a few steps before the edge can be rounded beyond it too."""
    random = np.random.default_rng(8)
    first = random.random((100_000, 2))
    second = 1 - first - random.integers(0, 150, first.shape) * boxes.QUANTUM
    written = boxes.quantise(np.hstack([first, np.maximum(second, boxes.QUANTUM)]))
    assert are_safe(written).all()


@given(
    st.lists(
        st.integers(0, 2**32 - 1)
        | st.integers(0, 3)
        | st.integers(0, 5).map(lambda step: step << 16)
    )
)
def test_stable_argsort_equals_a_stable_sort(codes: list[int]) -> None:
    wanted = sorted(range(len(codes)), key=codes.__getitem__)
    assert boxes.stable_argsort(np.array(codes, np.uint32)).tolist() == wanted


def test_minus_zero_becomes_zero() -> None:
    written = boxes.quantise(np.array([[-0.0, -0.0, 0.5, 0.5]]))
    assert not np.signbit(written).any()


@given(arrays(np.float64, (5, 4), elements=st.floats(-1e4, 1e4)), st.sampled_from(MODES))
def test_from_edges_is_the_inverse_of_to_ltwh(corners: boxes.Boxes, mode: BoxMode) -> None:
    size = np.full((5, 2), [640.0, 480.0])
    edges = np.hstack(
        [np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])]
    )
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
def test_to_ltwh_converts_every_mode(mode: BoxMode, numbers: list[float]) -> None:
    box = boxes.to_ltwh(np.array([numbers], np.float64), mode, np.array([[200.0, 100.0]]))
    np.testing.assert_allclose(box, [[0.1, 0.1, 0.4, 0.6]], rtol=0, atol=1e-15)


@given(any_boxes)
def test_clip_keeps_boxes_inside_the_image_and_clips_the_others(box: boxes.Boxes) -> None:
    clipped = boxes.clip(box)
    good = (boxes.overhang(box) == 0) & (box[:, 2:] >= 0).all(axis=1)
    assert (clipped[good] == box[good]).all()
    real = (clipped[:, 2:] > 0).all(axis=1)
    assert (clipped[real, :2] >= 0).all()
    assert (clipped[real, :2] + clipped[real, 2:] <= 1 + 1e-15).all()
    outside = ((box[:, :2] >= 1) | (box[:, :2] + box[:, 2:] <= 0)).any(axis=1)
    kept = (clipped[:, 2:] >= boxes.QUANTUM).all(axis=1)  # what the rule on empty boxes keeps
    assert not (kept & outside).any()


@given(any_boxes)
def test_overhang_is_the_largest_distance_beyond_an_edge(box: boxes.Boxes) -> None:
    wanted = [
        max(0.0, -left, -top, left + width - 1, top + height - 1)
        for left, top, width, height in box.tolist()
    ]
    assert boxes.overhang(box).tolist() == wanted


@given(any_boxes, st.data())
def test_order_corners_changes_only_swapped_boxes(box: boxes.Boxes, data: st.DataObject) -> None:
    swapped = data.draw(arrays(np.bool_, len(box)))
    ordered = boxes.order_corners(box, swapped)
    assert (ordered[~swapped] == box[~swapped]).all()
    for before, after in zip(box[swapped].tolist(), ordered[swapped].tolist(), strict=True):
        assert after == [*map(min, before[:2], before[2:]), *map(max, before[:2], before[2:])]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 2),
            *[st.sampled_from([0.0, 0.1, 0.1 + 1e-12, 0.25, 0.3])] * 4,
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_first_of_equal_agrees_with_a_set(
    rows: list[tuple[float, ...]], in_order_of_images: bool
) -> None:
    """0.1 and 0.1 + 1e-12 are one 32-bit float."""
    if in_order_of_images:
        rows = sorted(rows, key=itemgetter(0))
    table = np.array(rows, np.float64).reshape(-1, 6)
    seen: set[tuple[float, ...]] = set()
    wanted = []
    for row in table.tolist():
        key = tuple(np.array(row, np.float32).tolist())
        wanted.append(key not in seen)
        seen.add(key)
    image, tag = table[:, 0].astype(np.int32), table[:, 1].astype(np.int32)
    for block in (4, boxes.BLOCK_ROWS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(boxes, "BLOCK_ROWS", block)
            patch.setattr(boxes, "_PART_ROWS", block)
            first = boxes.first_of_equal(image, tag, table[:, 2:])
        assert np.asarray(first).tolist() == wanted


@pytest.mark.parametrize("bits", [1, 4, 22])
@pytest.mark.parametrize("rounds", [1, 3, 500])
def test_first_of_equal_with_many_hashes_in_a_bin(
    bits: int, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "_MOST_BITS", bits)
    monkeypatch.setattr(boxes, "_MOST_ROUNDS", rounds)
    random = np.random.default_rng(1)
    kinds = random.random((500, 4))
    kind = random.integers(0, len(kinds), 2000)
    codes = np.zeros(len(kind), np.int32)
    first = np.zeros(len(kind), np.bool_)
    first[np.unique(kind, return_index=True)[1]] = True
    assert (boxes.first_of_equal(codes, codes, kinds[kind]) == first).all()


@pytest.mark.parametrize("rows_of_image", [1, 3, 40, 500])
def test_hashes_are_compared_in_parts_if_the_rows_of_each_image_are_together(
    rows_of_image: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "_PART_ROWS", 16)
    compared: list[int] = []
    compare = boxes._may_be_repeated

    def counted(hashes: NDArray[np.uint32]) -> boxes.Mask:
        compared.append(len(hashes))
        return compare(hashes)

    monkeypatch.setattr(boxes, "_may_be_repeated", counted)
    image = np.repeat(np.arange(600, dtype=np.int32), rows_of_image)[:600]
    random = np.random.default_rng(1)
    box = random.integers(0, 2, (len(image), 4)) / 4
    seen: set[tuple[float, ...]] = set()
    for order in (slice(None), random.permutation(len(image))):
        compared.clear()
        seen.clear()
        first = boxes.first_of_equal(image[order], np.zeros_like(image), box[order])
        for row, *numbers in zip(
            np.asarray(first).tolist(), image[order], *box[order].T, strict=True
        ):
            assert row == (tuple(numbers) not in seen)
            seen.add(tuple(numbers))
        assert sum(compared) == len(image)
        if isinstance(order, slice):
            assert max(compared) < 16 + 2 * rows_of_image
    assert compared == [600]  # the last order is that of no image


@given(any_boxes, st.sampled_from(MODES))
def test_no_function_changes_its_arguments(box: boxes.Boxes, mode: BoxMode) -> None:
    size = np.full((len(box), 2), 100.0)
    codes = np.zeros(len(box), np.int32)
    before = box.copy()
    for frozen in (box, size, codes):
        frozen.flags.writeable = False
    boxes.to_ltwh(box, mode, size)
    boxes.from_edges(box, mode)
    boxes.order_corners(box, np.ones(len(box), np.bool_))
    boxes.overhang(box)
    boxes.clip(box)
    boxes.quantise(boxes.clip(box))
    boxes.first_of_equal(codes, codes, box)
    assert (box == before).all()


def test_modes_that_are_absolute_or_have_corners() -> None:
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
