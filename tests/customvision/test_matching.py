"""Matching regions with those of a project by image, tag and box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regionbatch.customvision.matching import (
    TOLERANCE,
    match_regions,
    nearest_pairs,
    overlap_distance,
)
from regionbatch.customvision.snapshot import RegionColumns

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[int, int, float, float, float, float]


def columns(rows: Sequence[Row]) -> RegionColumns:
    table = np.array(rows, float).reshape(-1, 6)
    return RegionColumns(table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2:])


def test_regions_match_by_image_tag_and_box() -> None:
    wanted = columns(
        [(0, 0, 0.1, 0.2, 0.3, 0.4), (0, 1, 0.1, 0.2, 0.3, 0.4), (1, 0, 0.1, 0.2, 0.3, 0.4)]
    )
    stored = columns(
        [(1, 0, 0.1, 0.2, 0.3, 0.4), (0, 0, 0.1, 0.2, 0.3, 0.4), (2, 1, 0.1, 0.2, 0.3, 0.4)]
    )
    assert match_regions(wanted, stored).tolist() == [1, -1, 0]


def test_rounded_regions_match_and_moved_ones_do_not() -> None:
    wanted = columns([(0, 0, 0.1, 0.2, 0.3, 0.4), (0, 1, 0.1, 0.2, 0.3, 0.4)])
    stored = columns([(0, 0, 0.1 + 9e-7, 0.2, 0.3, 0.4 - 9e-7), (0, 1, 0.1 + 2e-6, 0.2, 0.3, 0.4)])
    assert match_regions(wanted, stored).tolist() == [0, -1]


def test_no_stored_region_is_matched_twice() -> None:
    near = [(0, 0, 0.1, 0.2, 0.3, 0.4), (0, 0, 0.1 + 4e-7, 0.2, 0.3, 0.4)]
    assert match_regions(columns(near), columns(near[1:])).tolist() == [-1, 0]
    assert sorted(match_regions(columns(near), columns([near[1], near[0]])).tolist()) == [0, 1]
    assert match_regions(columns(near[:1]), columns([near[0], near[0]])).tolist() == [0]
    assert sorted(match_regions(columns([near[0]] * 3), columns([near[0]] * 2)).tolist()) == [
        -1,
        0,
        1,
    ]


def test_empty_sides() -> None:
    one = columns([(0, 0, 0.1, 0.2, 0.3, 0.4)])
    assert match_regions(columns([]), one).tolist() == []
    assert match_regions(one, columns([])).tolist() == [-1]
    assert match_regions(columns([]), columns([])).tolist() == []


def test_a_region_without_image_or_tag_in_the_project_does_not_match() -> None:
    rows = [(-1, 0, 0.1, 0.2, 0.3, 0.4), (0, -1, 0.1, 0.2, 0.3, 0.4), (-1, -1, 0.1, 0.2, 0.3, 0.4)]
    assert match_regions(columns(rows), columns([(0, 0, 0.1, 0.2, 0.3, 0.4)])).tolist() == [
        -1,
        -1,
        -1,
    ]


row = st.tuples(
    st.integers(0, 2), st.integers(0, 1), *[st.integers(0, 40).map(lambda step: step / 40)] * 4
)


@given(
    st.lists(row, max_size=30, unique=True),
    st.randoms(use_true_random=False),
    st.booleans(),
    st.integers(0, 5),
)
def test_stored_regions_are_found_in_any_order(
    rows: list[Row], random: np.random.RandomState, rounded: bool, removed: int
) -> None:
    """In any order, rounded or not; those that were removed are missing."""
    order = list(range(len(rows)))
    random.shuffle(order)
    order = order[removed:]
    stored = columns([rows[number] for number in order])
    if rounded:
        noise = np.array([[random.uniform(-1, 1) for _ in range(4)] for _ in order]).reshape(-1, 4)
        stored = stored._replace(box=stored.box + noise * TOLERANCE * 0.99)
    found = match_regions(columns(rows), stored).tolist()
    assert found == [order.index(number) if number in order else -1 for number in range(len(rows))]


def test_a_dataset_of_several_blocks() -> None:
    """Images with few regions, one with more than a block of them, and regions without an image."""
    random = np.random.default_rng(7)
    count = 300_000
    image = np.where(random.random(count) < 0.4, 700, random.integers(-1, 2_000, count)).astype(
        np.int32
    )
    wanted = RegionColumns(
        image, random.integers(0, 3, count).astype(np.int32), random.random((count, 4))
    )
    order = random.permutation(np.flatnonzero(image >= 0))[1_000:]
    expected = np.full(count, -1)
    expected[order] = np.arange(len(order))
    assert (match_regions(wanted, wanted.take(order)) == expected).all()


def test_the_nearest_pair_comes_first() -> None:
    wanted = columns([(0, 0, 0.1, 0.1, 0.2, 0.2), (0, 0, 0.12, 0.1, 0.2, 0.2)])
    stored = columns(
        [(0, 0, 0.125, 0.1, 0.2, 0.2), (0, 0, 0.06, 0.1, 0.2, 0.2), (0, 0, 0.7, 0.7, 0.2, 0.2)]
    )
    every = np.arange(2), np.arange(3)
    found = dict(nearest_pairs(wanted, every[0], stored, every[1], overlap_distance, 0.5))
    assert found == {1: 0, 0: 1}


def test_overlap_distance() -> None:
    box = np.array([[0.1, 0.1, 0.2, 0.2]])
    others = np.array([[0.1, 0.1, 0.2, 0.2], [0.2, 0.1, 0.2, 0.2], [0.5, 0.5, 0.1, 0.1]])
    assert overlap_distance(box, others)[0].round(9).tolist() == [0, round(2 / 3, 9), 1]
