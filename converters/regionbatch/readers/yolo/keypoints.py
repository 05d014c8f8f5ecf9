"""Find out whether rows that may be polygons look like boxes with keypoints."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OVERHANG = 0.05
"""The most that a labelled box extends beyond its image, as a fraction of the image's side."""
_REACH = 0.55
"""How far keypoints are from the centre of their box, as a fraction of its side."""
_TOLERANCE = 1e-3
"""How far keypoints may be beyond that, and how far corners may be rounded, in normalised
coordinates."""
_CLEAR = 6
"""Number of values after the box from which the box's size cannot be a corner of a polygon.

It would be the only point of the row outside the box."""


class KeypointPattern(IntFlag):
    """Ways in which the values after the box of a row look like keypoints of this box."""

    PAIRS = 1
    """All are x, y inside the box."""
    TRIPLES = 2
    """All are x, y, visibility or confidence, with x, y inside the box."""
    FLAGS = 4
    """Every third value is a visibility: 0, 1 or 2."""
    SIZE = 8
    """The third and fourth value are a size: as a point, they would be the only one outside."""


def keypoint_patterns(
    values: NDArray[np.float64],
    start: NDArray[np.int64],
    lengths: NDArray[np.int64],
    is_polygon: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Return the `KeypointPattern` of each row that may be a polygon, and 0 for all others.

    Only lengths that many of these rows have are compared: keypoints make all rows equally long.

    Args:
        values: (v,) The numbers of all rows.
        start: (n,) The index of each row's first value.
        lengths: (n,) How many values each row has.
        is_polygon: (n,) Whether each row is read as a class and points.
    """
    patterns = np.zeros(len(lengths), np.uint8)
    common, counts = np.unique(lengths[is_polygon], return_counts=True)
    for length in common[counts * 4 >= counts.sum()].tolist():
        rows = np.flatnonzero(is_polygon & (lengths == length))
        patterns[rows] = _patterns(values[start[rows][:, None] + np.arange(1, length)])
    return patterns


def _patterns(numbers: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the pattern of rows of one length, given without their classes."""
    centre, size, rest = numbers[:, None, :2], numbers[:, None, 2:4], numbers[:, 4:]
    with np.errstate(invalid="ignore", over="ignore"):  # infinity and NaN
        overhang = np.abs(centre - 0.5) + size / 2 - 0.5
        is_box = np.all((size > 0) & (overhang <= _OVERHANG), axis=(1, 2))
        in_pairs = is_box & _are_inside(rest.reshape(len(rest), -1, 2), centre, size)
        pattern = np.where(in_pairs, KeypointPattern.PAIRS, 0)
        if rest.shape[1] >= _CLEAR:
            size_is_inside = _are_inside(size, centre, size)
            pattern += np.where(size_is_inside, 0, KeypointPattern.SIZE)
        if rest.shape[1] == 4:
            pattern[_are_parallelograms(numbers.reshape(-1, 4, 2))] = 0
        if rest.shape[1] % 3 == 0:
            triples = rest.reshape(len(rest), -1, 3)
            third = triples[:, :, 2]
            are_flags = ((third == 0) | (third == 1) | (third == 2)).all(axis=1)
            are_confidences = ((third >= 0) & (third <= 1)).all(axis=1)
            in_triples = _are_inside(triples[:, :, :2], centre, size)
            in_triples &= is_box & (are_flags | are_confidences)
            pattern += np.where(in_triples, KeypointPattern.TRIPLES, 0)
            pattern += np.where(is_box & are_flags, KeypointPattern.FLAGS, 0)
    return pattern.astype(np.uint8)


def _are_parallelograms(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows of four points are rotated boxes, rather than a box and two keypoints."""
    first, second, third, fourth = corners.transpose(1, 0, 2)
    side, other = second - first, fourth - first
    area = np.abs(side[:, 0] * other[:, 1] - side[:, 1] * other[:, 0])
    skew = np.abs(first - second + third - fourth).max(axis=1)
    return np.asarray((area > _TOLERANCE**2) & (skew < 4 * _TOLERANCE), np.bool_)


def _are_inside(
    points: NDArray[np.float64], centre: NDArray[np.float64], size: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the rows whose points are all inside the box, or hardly outside.

    The point 0, 0 means "not labelled". A row of only such points counts if any other row has all
    its labelled points inside.
    """
    inside = np.all(np.abs(points - centre) <= size * _REACH + _TOLERANCE, axis=2)
    missing = np.all(points == 0, axis=2)
    all_inside = np.all(inside | missing, axis=1)
    labelled = all_inside & np.any(inside, axis=1)
    return np.asarray(all_inside if labelled.any() else labelled, np.bool_)
