"""Matching regions with those of a project: there is no number that both sides know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regionbatch.customvision.present import TOLERANCE, Columns, match, not_overlapping, pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[int, int, float, float, float, float]


def columns(rows: Sequence[Row]) -> Columns:
    table = np.array(rows, float).reshape(-1, 6)
    return Columns(table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2:])


def test_image_tag_and_box_count() -> None:
    wanted = columns([(0, 0, 0.1, 0.2, 0.3, 0.4), (0, 1, 0.1, 0.2, 0.3, 0.4), (1, 0, 0.1, 0.2, 0.3, 0.4)])
    there = columns([(1, 0, 0.1, 0.2, 0.3, 0.4), (0, 0, 0.1, 0.2, 0.3, 0.4), (2, 1, 0.1, 0.2, 0.3, 0.4)])
    assert match(wanted, there).tolist() == [1, -1, 0]


def test_rounding_is_no_difference_and_more_is_one() -> None:
    wanted = columns([(0, 0, 0.1, 0.2, 0.3, 0.4), (0, 1, 0.1, 0.2, 0.3, 0.4)])
    there = columns([(0, 0, 0.1 + 9e-7, 0.2, 0.3, 0.4 - 9e-7), (0, 1, 0.1 + 2e-6, 0.2, 0.3, 0.4)])
    assert match(wanted, there).tolist() == [0, -1]


def test_none_is_taken_twice() -> None:
    near = [(0, 0, 0.1, 0.2, 0.3, 0.4), (0, 0, 0.1 + 4e-7, 0.2, 0.3, 0.4)]
    assert match(columns(near), columns(near[1:])).tolist() == [-1, 0]
    assert sorted(match(columns(near), columns([near[1], near[0]])).tolist()) == [0, 1]
    assert match(columns(near[:1]), columns([near[0], near[0]])).tolist() == [0]
    assert sorted(match(columns([near[0]] * 3), columns([near[0]] * 2)).tolist()) == [-1, 0, 1]


def test_nothing_on_either_side() -> None:
    one = columns([(0, 0, 0.1, 0.2, 0.3, 0.4)])
    assert match(columns([]), one).tolist() == []
    assert match(one, columns([])).tolist() == [-1]
    assert match(columns([]), columns([])).tolist() == []


def test_an_image_or_tag_that_the_project_does_not_have_matches_nothing() -> None:
    rows = [(-1, 0, 0.1, 0.2, 0.3, 0.4), (0, -1, 0.1, 0.2, 0.3, 0.4), (-1, -1, 0.1, 0.2, 0.3, 0.4)]
    assert match(columns(rows), columns([(0, 0, 0.1, 0.2, 0.3, 0.4)])).tolist() == [-1, -1, -1]


row = st.tuples(st.integers(0, 2), st.integers(0, 1), *[st.integers(0, 40).map(lambda step: step / 40)] * 4)


@given(st.lists(row, max_size=30, unique=True), st.randoms(use_true_random=False), st.booleans(), st.integers(0, 5))
def test_whatever_is_there_is_found(rows: list[Row], random: np.random.RandomState, rounded: bool, gone: int) -> None:
    """In any order, rounded or not; what is gone is what is missing."""
    order = list(range(len(rows)))
    random.shuffle(order)
    order = order[gone:]
    there = columns([rows[number] for number in order])
    if rounded:
        noise = np.array([[random.uniform(-1, 1) for _ in range(4)] for _ in order]).reshape(-1, 4)
        there = there._replace(box=there.box + noise * TOLERANCE * 0.99)
    found = match(columns(rows), there).tolist()
    assert found == [order.index(number) if number in order else -1 for number in range(len(rows))]


def test_a_set_of_several_blocks() -> None:
    """Some images with few regions, one with more than a block of them, some regions without an image."""
    random = np.random.default_rng(7)
    count = 300_000
    image = np.where(random.random(count) < 0.4, 700, random.integers(-1, 2_000, count)).astype(np.int32)
    wanted = Columns(image, random.integers(0, 3, count).astype(np.int32), random.random((count, 4)))
    order = random.permutation(np.flatnonzero(image >= 0))[1_000:]
    expected = np.full(count, -1)
    expected[order] = np.arange(len(order))
    assert (match(wanted, wanted.take(order)) == expected).all()


def test_the_cheapest_pair_goes_first() -> None:
    wanted = columns([(0, 0, 0.1, 0.1, 0.2, 0.2), (0, 0, 0.12, 0.1, 0.2, 0.2)])
    there = columns([(0, 0, 0.125, 0.1, 0.2, 0.2), (0, 0, 0.06, 0.1, 0.2, 0.2), (0, 0, 0.7, 0.7, 0.2, 0.2)])
    every = np.arange(2), np.arange(3)
    found = dict(pairs(wanted, every[0], there, every[1], not_overlapping, 0.5))
    assert found == {1: 0, 0: 1}


def test_overlap() -> None:
    box = np.array([[0.1, 0.1, 0.2, 0.2]])
    others = np.array([[0.1, 0.1, 0.2, 0.2], [0.2, 0.1, 0.2, 0.2], [0.5, 0.5, 0.1, 0.1]])
    assert not_overlapping(box, others)[0].round(9).tolist() == [0, round(2 / 3, 9), 1]
