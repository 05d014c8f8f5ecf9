"""The rows of YOLO label files: what their numbers mean. The rules stand once, on tables of numbers (`tables`)."""

from __future__ import annotations

from enum import IntFlag
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.readers.yolo.tables import MOST_BAD_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.tables import Table

_FAR = 2
"""No share that somebody meant is beyond it."""
_OVERHANG = 0.05
"""No box that somebody labelled reaches further over its image, in shares of the image's side."""
_REACH, _ROUNDING = 0.55, 1e-3
"""How far keypoints are from the centre of their box, in shares of its side, and a bit: some lie next to it."""
_CLEAR = 6
"""Numbers after the box from which on one point outside it is no corner of a polygon, of which the rest is inside."""


class Rows(NamedTuple):
    """Boxes in `BoxMode.CXCYWH_REL`, of the rows that are boxes or shapes; and what else they say about their kind."""

    tag: NDArray[np.int64]
    box: NDArray[np.float64]
    file: NDArray[np.int64]
    line: NDArray[np.int64]
    shape: NDArray[np.bool_]
    """Whether the box is the one around a polygon."""
    length: NDArray[np.int32]
    """How many numbers the row has."""
    last: NDArray[np.float64]
    """Of a box of six numbers, and of one with a rotation, the sixth: a confidence, a track ID or the rotation. Of a
    row that is read as points, the last: a track ID, or 0.5 if it is none. NaN: other rows."""
    pose: NDArray[np.uint8]
    """Of a row that is read as points, in which ways it looks like a box with keypoints; see `Pose`."""

    def take(self, mask: NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        return Rows(*(column[mask] for column in self))  # type: ignore[arg-type]


class Pose(IntFlag):
    """How numbers after the first four look like keypoints of the box that these four may be."""

    PAIRS = 1
    """All of them are x, y within the box."""
    TRIPLES = 2
    """All of them are x, y, visibility or confidence, with x, y within the box."""
    FLAGS = 4
    """Every third is a visibility: 0, 1 or 2."""
    SIZE = 8
    """As a point, the third and fourth would be the only one outside the box: they are its size."""


def interpret(
    table: Table, kind: str, keypoints: int, log: FindingLog, files: NDArray[np.int32]
) -> tuple[Rows, list[int]]:
    """Return what the rows mean, each by its own length unless `kind` says it.

    5 numbers are a class and a box; 6 have a confidence, a track ID or a rotation after it. More, and odd, are a class
    and points: a polygon, or the corners of a rotated box. Where boxes have keypoints, no row is points: these follow
    the box, and perhaps a confidence follows them. The rest are no rows: counted and reported.

    Args:
        table: The rows of some texts.
        kind: The option `yolo_rows`.
        keypoints: How many numbers keypoints are, behind each box.
        log: Where bad rows are counted and reported.
        files: The codes of the texts in the log.

    Returns:
        The rows; and the texts that have more than `MOST_BAD_ROWS` bad ones, of which no row counts.
    """
    count = table.lengths
    is_box, is_shape, skip = _kinds(count, kind, keypoints)
    start = np.cumsum(count) - count
    tag = table.values[start]
    whole = np.isfinite(tag) & (tag == np.floor(tag)) & (np.abs(tag) < 2**31)
    bad = ~(is_box | is_shape) | ~whole
    if len(spoilt := _spoilt(table, bad)):
        return interpret(table.without(spoilt), kind, keypoints, log, files)[0], spoilt.tolist()
    log.read(boxes=len(count) + len(table.odd))
    _report_bad(table, bad, start, log, files)
    box = np.empty((len(count), 4))
    is_box, is_shape = is_box & whole, is_shape & whole
    box[is_box] = table.values[start[is_box][:, None] + np.arange(skip, skip + 4)]
    if is_shape.any():
        box[is_shape] = _around(table.values, start[is_shape] + 1, count[is_shape] - 1)
    six = is_box & ((count >= 6) if kind.startswith("xywhr-") else (count == 6))
    last = _last(table.values, start, count, six, is_shape)
    pose = _poses(table.values, start, count, is_shape)
    tag = np.where(whole, tag, -1).astype(np.int64)
    rows = Rows(tag, box, table.file, table.line, is_shape, count.astype(np.int32), last, pose)
    return rows.take(~bad) if bad.any() else rows, []


def _spoilt(table: Table, bad: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the texts with too many bad rows."""
    if np.count_nonzero(bad) + len(table.odd) <= MOST_BAD_ROWS:
        return np.empty(0, np.int64)
    bad_of = np.concatenate([table.file[bad], np.asarray([each.file for each in table.odd], np.int64)])
    return np.flatnonzero(np.bincount(bad_of) > MOST_BAD_ROWS)


def _report_bad(
    table: Table, bad: NDArray[np.bool_], start: NDArray[np.int64], log: FindingLog, files: NDArray[np.int32]
) -> None:
    """Report the rows that are no rows."""
    if table.odd:
        file, line, texts = zip(*table.odd, strict=True)
        log.add("not_a_row", files[np.asarray(file)], line, texts)
    if bad.any():
        ends = start + np.minimum(table.lengths, 12)
        shown = zip(compress(start, bad), compress(ends, bad), strict=True)
        values = (table.values[at:end] for at, end in shown)
        log.add("not_a_row", files[table.file[bad]], table.line[bad], values)


def _kinds(count: NDArray[np.int64], kind: str, keypoints: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """Return which rows are boxes and which are points, by their lengths; and where the box begins."""
    none = np.zeros(len(count), np.bool_)
    points = (count >= 7) & (count % 2 == 1)
    if kind == "polygon":
        return none, points, 1
    if kind == "confidence-first":
        return count >= 6, none, 2
    if kind != "auto":
        return count >= 5, none, 1
    is_box = (count == 5) | (count == 6)
    if keypoints:
        return is_box | (count == 5 + keypoints) | (count == 6 + keypoints), none, 1
    return is_box, points, 1


def far(rows: Rows) -> NDArray[np.bool_]:
    """Which rows have numbers far beyond 1, of a shape any of its points. Those with infinity or NaN have none."""
    # Most datasets need only this look. A shape within it reaches no further than 4 / 3 + 4 / 3 / 2 = 2.
    if len(rows.box) == 0 or (rows.box.max() <= 4 / 3 and rows.box.min() >= -4 / 3):
        return np.zeros(len(rows.box), np.bool_)
    sizes = np.abs(rows.box)
    with np.errstate(over="ignore"):  # numbers near 1e308
        reach = np.where(rows.shape[:, None], sizes[:, :2] + sizes[:, 2:] / 2, np.maximum(sizes[:, :2], sizes[:, 2:]))
    return np.asarray((reach > _FAR).any(axis=1) & boxes.finite(rows.box), np.bool_)


def _last(
    values: NDArray[np.float64],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    six: NDArray[np.bool_],
    is_shape: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return `Rows.last`. Where the first numbers are far beyond 1, as pixels are, the last is no track ID."""
    last = np.full(len(start), np.nan)
    if six.any():
        last[six] = values[start[six] + 5]
    if is_shape.any():
        numbers = values[start[is_shape][:, None] + np.arange(1, 6)]
        near = (np.abs(numbers) <= _FAR).all(axis=1)
        last[is_shape] = np.where(near, values[(start + count - 1)[is_shape]], 0.5)
    return last


def _poses(
    values: NDArray[np.float64], start: NDArray[np.int64], count: NDArray[np.int64], is_shape: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Return `Rows.pose`, of the lengths that many of the rows have: keypoints make all rows equally long."""
    poses = np.zeros(len(count), np.uint8)
    lengths, shares = np.unique(count[is_shape], return_counts=True)
    for length in lengths[shares * 4 >= shares.sum()].tolist():
        those = np.flatnonzero(is_shape & (count == length))
        poses[those] = _pose(values[start[those][:, None] + np.arange(1, length)])
    return poses


def _pose(numbers: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return how rows of one length, without their classes, look like a box and keypoints."""
    centre, size, rest = numbers[:, None, :2], numbers[:, None, 2:4], numbers[:, 4:]
    with np.errstate(invalid="ignore", over="ignore"):  # infinity and NaN
        overhang = np.abs(centre - 0.5) + size / 2 - 0.5
        is_box = np.all((size > 0) & (overhang <= _OVERHANG), axis=(1, 2))
        pose = np.where(is_box & _within(rest.reshape(len(rest), -1, 2), centre, size), Pose.PAIRS, 0)
        if rest.shape[1] >= _CLEAR:
            pose += np.where(_within(size, centre, size), 0, Pose.SIZE)
        if rest.shape[1] == 4:
            pose[_are_parallelograms(numbers.reshape(-1, 4, 2))] = 0
        if rest.shape[1] % 3 == 0:
            triples = rest.reshape(len(rest), -1, 3)
            third = triples[:, :, 2]
            flags = ((third == 0) | (third == 1) | (third == 2)).all(axis=1)
            confidences = ((third >= 0) & (third <= 1)).all(axis=1)
            inside = _within(triples[:, :, :2], centre, size) & (flags | confidences)
            pose += np.where(is_box & inside, Pose.TRIPLES, 0) + np.where(is_box & flags, Pose.FLAGS, 0)
    return pose.astype(np.uint8)


def _are_parallelograms(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows of four points are rotated boxes, rather than a box and two keypoints."""
    first, second, third, fourth = corners.transpose(1, 0, 2)
    side, other = second - first, fourth - first
    area = np.abs(side[:, 0] * other[:, 1] - side[:, 1] * other[:, 0])
    skew = np.abs(first - second + third - fourth).max(axis=1)
    return np.asarray((area > _ROUNDING**2) & (skew < 4 * _ROUNDING), np.bool_)


def _within(points: NDArray[np.float64], centre: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the rows whose points are all in the box, or next to it.

    0, 0 is a point that is not labelled. A row of such points only is one if another row has all its points inside.
    """
    inside = np.all(np.abs(points - centre) <= size * _REACH + _ROUNDING, axis=2)
    missing = np.all(points == 0, axis=2)
    within = np.all(inside | missing, axis=1)
    labelled = within & np.any(inside, axis=1)
    return np.asarray(within if labelled.any() else labelled, np.bool_)


def _around(values: NDArray[np.float64], start: NDArray[np.int64], length: NDArray[np.int64]) -> boxes.Boxes:
    """The boxes around runs of x, y, x, y, … in `values`."""
    first = np.cumsum(length) - length
    at = np.arange(length.sum()) + np.repeat(start - first, length)
    points = values[at].reshape(-1, 2)
    with np.errstate(invalid="ignore", over="ignore"):  # infinity and NaN are told later, as what they are
        edges = np.hstack([np.minimum.reduceat(points, first // 2), np.maximum.reduceat(points, first // 2)])
        return boxes.from_edges(edges, BoxMode.CXCYWH_REL)
