"""Batches of few of a dataset's regions take the time and memory of few, not of all."""

from __future__ import annotations

import pickle
import tracemalloc
import weakref

import numpy as np
import pytest

import regionbatch as rb
from helpers import batches_of

COUNT = 6400


def shuffled() -> rb.Dataset:
    """Return many regions in another order than that of the batches."""
    dice = np.random.default_rng(1)
    images = dice.permutation(np.repeat(np.arange(COUNT // 64), 64))
    box = np.column_stack([dice.integers(0, 2**19, (COUNT, 2)) / 2**20, np.full((COUNT, 2), 0.25)])
    return rb.Dataset.from_arrays(
        image=[f"{number}.jpg" for number in images],
        tag=np.full(COUNT, "cat"),
        box=box,
        mode="XYWH_REL",
    )


def bodies(batches: rb.Batches) -> list[bytes]:
    return [batch.to_json() for batch in batches]


@pytest.fixture
def batches() -> rb.Batches:
    return batches_of(shuffled())


def test_few_regions_are_pickled_without_the_others(batches: rb.Batches) -> None:
    whole = len(pickle.dumps(batches))
    few = batches.take(np.arange(100, 164))
    text = pickle.dumps(few)
    assert len(text) < whole / 5
    assert bodies(pickle.loads(text)) == bodies(few)
    _ = batches.regions
    assert len(pickle.dumps(batches)) < whole * 1.1  # once, not twice


def test_few_regions_do_not_keep_the_others_in_memory() -> None:
    dataset = shuffled()
    batches = batches_of(dataset)
    few = batches.take(np.arange(64))
    first = batches[0].to_json()
    column = weakref.ref(dataset.regions.box)
    assert column() is not None
    del dataset, batches
    assert column() is None
    assert bodies(few) == [first]


def test_regions_that_were_taken_replace_those_of_the_dataset() -> None:
    dataset = shuffled()
    batches = batches_of(dataset)
    expected = bodies(batches)
    column = weakref.ref(dataset.regions.box)
    del dataset
    assert column() is not None
    assert len(batches.regions) == COUNT
    assert column() is None
    assert bodies(batches) == expected


def test_one_batch_does_not_copy_all_regions(batches: rb.Batches) -> None:
    expected = bodies(batches)
    tracemalloc.start()
    found = batches[7]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.to_json() == expected[7]
    assert peak < COUNT * 8


@pytest.mark.parametrize("is_copied", [False, True])
def test_regions_are_taken_of_those_that_were_taken(
    batches: rb.Batches, *, is_copied: bool
) -> None:
    """By their numbers or a mask, with the tags of any of them."""
    entries = [entry for batch in batches for entry in batch]
    if is_copied:
        _ = batches.regions
    rows = np.random.default_rng(2).permutation(COUNT)[: COUNT - 100]
    most = batches.take(rows)
    mask = np.arange(len(rows)) % 50 == 3
    few = most.take(mask).take(np.array([-1, 5, 5]))
    chosen = rows[mask][[-1, 5, 5]]
    assert [entry for batch in few for entry in batch] == [entries[row] for row in chosen]
    assert few.rows.tolist() == batches.rows[chosen].tolist()
    assert [entry for batch in most for entry in batch] == [entries[row] for row in rows]
    tag = batches.tag_ids[0]
    other = "00000000-0000-0000-0000-000000000007"
    [renamed] = few.with_tags({tag: other})
    assert renamed.to_json() == few[0].to_json().replace(tag.encode(), other.encode())
