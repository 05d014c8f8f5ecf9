"""The boxes of regions are stored column by column."""

from __future__ import annotations

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT
from regionbatch.dataset import Regions


def regions_of(box: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Regions:
    zero = np.zeros(len(box), np.int32)
    return Regions(zero, zero, box, zero, zero.astype(np.int64), zero.astype(np.int8))


def test_boxes_are_stored_column_by_column() -> None:
    dataset = rb.read(ROOT / "fixtures" / "scene" / "yolo")
    assert dataset.regions.box.flags.f_contiguous
    assert dataset.regions.take(dataset.regions.box[:, 2] > 0.1).box.flags.f_contiguous


@pytest.mark.parametrize("order", ["C", "F"])
def test_boxes_of_any_layout_are_taken(order: str) -> None:
    box = np.asarray(np.arange(40.0).reshape(10, 4), order=order)  # type: ignore[call-overload]
    regions = regions_of(box)
    assert regions.box.flags.f_contiguous
    assert not regions.box.flags.writeable
    np.testing.assert_array_equal(regions.box, box)
    assert np.shares_memory(regions.box, box) == (order == "F")
    np.testing.assert_array_equal(regions.take(np.array([3, 1])).box, box[[3, 1]])
    assert regions.take(np.array([], np.int64)).box.shape == (0, 4)
