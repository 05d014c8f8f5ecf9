"""Match regions of a dataset with those of a project, by image, tag and box.

The two sides share no ID: the service gives each region an ID, but the dataset does not have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco_mask

from regionbatch.boxes import hash_keys, region_keys, stable_argsort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from regionbatch.customvision.snapshot import Boxes, Codes, RegionColumns

    Rows = NDArray[np.int64]

TOLERANCE = 1e-6
"""Largest difference of a coordinate that counts as rounding (as observed on the service)."""
NEAR = 1e-3
"""Largest difference of a coordinate of a region that was sent, if the service stores fewer digits.

It is used only for regions that are known to be in the project.
"""
_ROUNDING = {5: 1.01e-5, 4: 1.001e-4, 3: 0.9999e-3}
"""Largest difference of a stored coordinate, by the number of digits that are stored.

A truncated number differs by up to one unit of its last digit. With 3 digits, a whole unit is
excluded: it is a pixel of an image that is 1000 pixels wide.
"""
MAX_NEAR_OVERLAP_DISTANCE = 0.05
"""Largest 1 - IoU of a stored region that is nearly equal to one of the dataset."""
_BLOCK = 2**16
"""Number of regions that are compared at a time, approximately."""


def match_regions(wanted: RegionColumns, stored: RegionColumns) -> Rows:
    """Match each region with a stored one of the same image, tag and box.

    Regions whose 32-bit floats are equal are matched first, then the nearest within `TOLERANCE`.

    Args:
        wanted: n regions.
        stored: The regions of the project.

    Returns:
        (n,), the row in `stored` of each region; -1: none. No row is used twice.
    """
    found = _match_equal(wanted, stored)
    return match_more(found, wanted, stored, max_difference, TOLERANCE)


def match_more(
    found: Rows,
    wanted: RegionColumns,
    stored: RegionColumns,
    distance: Callable[[Boxes, Boxes], Boxes],
    max_distance: float,
    may_match: NDArray[np.bool_] | None = None,
) -> Rows:
    """Match each region that is still unmatched with the nearest stored region.

    Args:
        found: (n,), the result of `match_regions`.
        wanted: n regions.
        stored: The regions of the project.
        distance: See `nearest_pairs`.
        max_distance: See `nearest_pairs`.
        may_match: (n,), the regions to match. [default: all]

    Returns:
        (n,), as `match_regions` returns it.
    """
    is_left = (found < 0) & (wanted.image >= 0) & (wanted.tag >= 0)
    left = np.flatnonzero(is_left if may_match is None else is_left & may_match)
    if not len(left):
        return found
    found = found.copy()
    free = unmatched(found, len(stored.image))
    for row, other in nearest_pairs(wanted, left, stored, free, distance, max_distance):
        found[row] = other
    return found


def unmatched(found: Rows, count: int) -> Rows:
    """Return the rows of `count` stored regions that no region was matched with."""
    is_free = np.ones(count, np.bool_)
    is_free[found[found >= 0]] = False
    return np.flatnonzero(is_free)


def nearest_pairs(
    wanted: RegionColumns,
    wanted_rows: Rows,
    stored: RegionColumns,
    stored_rows: Rows,
    distance: Callable[[Boxes, Boxes], Boxes],
    max_distance: float,
) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows with the same image and tag, the nearest first, no row twice.

    Args:
        wanted: Regions of the dataset.
        wanted_rows: The rows of `wanted` to pair.
        stored: Regions of the project.
        stored_rows: The rows of `stored` to pair.
        distance: Returns the distance of each of m boxes from each of n boxes, (m, n).
        max_distance: The largest distance of a pair.
    """
    stored_groups = _group_by_image_and_tag(stored, stored_rows)
    for key, rows in _group_by_image_and_tag(wanted, wanted_rows).items():
        others = stored_groups.get(key)
        if others is None:
            continue
        distances = distance(wanted.box[rows], stored.box[others])
        for _ in range(min(distances.shape)):
            row, other = divmod(int(distances.argmin()), distances.shape[1])
            if distances[row, other] > max_distance:
                break
            yield int(rows[row]), int(others[other])
            distances[row] = np.inf
            distances[:, other] = np.inf


def _group_by_image_and_tag(regions: RegionColumns, rows: Rows) -> dict[tuple[int, int], Rows]:
    if not len(rows):
        return {}
    order = rows[np.lexsort((regions.tag[rows], regions.image[rows]))]
    image = regions.image[order]
    tag = regions.tag[order]
    starts = np.flatnonzero((image[1:] != image[:-1]) | (tag[1:] != tag[:-1])) + 1
    groups: dict[tuple[int, int], Rows] = {}
    for group in np.split(order, starts):
        groups[int(regions.image[group[0]]), int(regions.tag[group[0]])] = group
    return groups


def _match_equal(wanted: RegionColumns, stored: RegionColumns) -> Rows:
    """Match regions with equal 32-bit floats: the first of several with the first, and so on."""
    found = np.full(len(wanted.image), -1, np.int64)
    for wanted_rows, stored_rows in _image_blocks(wanted.image, stored.image):
        rows, others = _equal_pairs(wanted.take(wanted_rows), stored.take(stored_rows))
        found[wanted_rows[rows]] = stored_rows[others]
    return found


def _image_blocks(wanted: Codes, stored: Codes) -> Iterator[tuple[Rows, Rows]]:
    """Yield the rows of both sides for some images at a time.

    The arrays that a comparison needs would be too large for all regions of a large dataset.
    """
    image_count = int(max(wanted.max(initial=-1), stored.max(initial=-1))) + 1
    wanted_order, wanted_starts = _rows_by_image(wanted, image_count)
    stored_order, stored_starts = _rows_by_image(stored, image_count)
    ends = np.flatnonzero(np.diff((wanted_starts + stored_starts) // _BLOCK, append=-1))
    for low, high in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        yield (
            wanted_order[wanted_starts[low] : wanted_starts[high]],
            stored_order[stored_starts[low] : stored_starts[high]],
        )


def _rows_by_image(codes: Codes, image_count: int) -> tuple[Rows, Rows]:
    """Return the rows in the order of their images, and where each image starts in it.

    Rows without an image, -1, come before the first image.
    """
    order = stable_argsort((codes + 1).astype(np.uint32))
    return order, np.bincount(codes + 1, minlength=image_count + 1).cumsum()


def _equal_pairs(wanted: RegionColumns, stored: RegionColumns) -> tuple[Rows, Rows]:
    """Return the rows of regions that are equal on both sides, as pairs."""
    wanted_keys = region_keys(*wanted)
    stored_keys = region_keys(*stored)
    wanted_order, wanted_hash = _sorted_hashes(wanted_keys)
    stored_order, stored_hash = _sorted_hashes(stored_keys)
    # The k-th of several equal regions is paired with the k-th stored one.
    first_stored = np.searchsorted(stored_hash, wanted_hash)
    nth = np.arange(len(wanted_order)) - np.searchsorted(wanted_hash, wanted_hash)
    other = first_stored + nth
    is_stored = other < np.searchsorted(stored_hash, wanted_hash, side="right")
    rows = wanted_order[is_stored]
    others = stored_order[other[is_stored]]
    # Different regions may have the same hash.
    is_same = (wanted_keys[rows] == stored_keys[others]).all(axis=1)
    return rows[is_same], others[is_same]


def _sorted_hashes(keys: NDArray[np.uint64]) -> tuple[Rows, NDArray[np.uint64]]:
    """Return the stable order of keys by their hashes, and the hashes in this order."""
    hashes = hash_keys(keys)
    order = np.argsort(hashes, kind="stable")
    return order, hashes[order]


def max_difference(first: Boxes, second: Boxes) -> Boxes:
    """Return the largest difference of a coordinate for each of m with each of n boxes, (m, n)."""
    difference: Boxes = np.abs(first[:, None] - second[None]).max(axis=2)
    return difference


def rounding_distance(first: Boxes, second: Boxes) -> Boxes:
    """Return the largest difference of a coordinate, as a part of what rounding explains.

    Args:
        first: m boxes.
        second: n boxes that are stored.

    Returns:
        (m, n): at most 1 if rounding the first box to the digits of the second explains it.
    """
    rounding = np.full(len(second), TOLERANCE)
    for digits, largest in _ROUNDING.items():
        has_digits = (np.abs(second.round(digits) - second) < TOLERANCE / 10).all(axis=1)
        rounding[has_digits] = largest
    distance: Boxes = max_difference(first, second) / rounding
    return distance


def overlap_distance(first: Boxes, second: Boxes) -> Boxes:
    """Return 1 - IoU of each of m with each of n boxes, (m, n): 0 if equal, 1 if disjoint."""
    iou: Any = coco_mask.iou  # its stubs do not know that it takes boxes as float64
    distance: Boxes = 1 - iou(first, second, [False] * len(second))
    return distance
