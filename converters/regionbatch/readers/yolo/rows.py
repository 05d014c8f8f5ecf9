"""Interpret the rows of YOLO label files: what the numbers of each row mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.dataset.columns import computed
from regionbatch.findings.finding import ValueTexts
from regionbatch.readers.yolo.keypoints import keypoint_patterns
from regionbatch.readers.yolo.row_parser import MAX_INVALID_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.readers.yolo.row_parser import ParsedRows

_FAR = 2
"""No intended normalised coordinate is beyond it."""


class LabelRows(NamedTuple):
    """The boxes of label rows, and what else shows how the rows are meant; n rows."""

    class_number: NDArray[np.int64]
    """(n,)"""
    box: NDArray[np.float64]
    """(n, 4) in `BoxMode.CXCYWH_REL`."""
    file: NDArray[np.int32]
    """(n,) The index of each row's file among the parsed files."""
    line: NDArray[np.int64]
    """(n,) from 1."""
    is_polygon: NDArray[np.bool_]
    """(n,) Whether the row is read as points: a polygon or the corners of a rotated box.

    Its box is the one around them."""
    length: NDArray[np.int32]
    """(n,) How many numbers the row has."""
    last: NDArray[np.float64]
    """(n,) A number that may be something other than a coordinate; NaN if the row has none.

    The sixth of a box of six numbers or with a rotation: a confidence, a track ID or the rotation.
    The last of a polygon: a coordinate or a track ID; 0.5 if it cannot be a track ID."""
    keypoints: NDArray[np.uint8]
    """(n,) How a polygon looks like a box with keypoints, as flags of `KeypointPattern`."""

    def take(self, mask: NDArray[np.bool_]) -> LabelRows:
        """Return some of the rows."""
        return LabelRows(*(column[mask] for column in self))  # type: ignore[arg-type]


class InvalidRows(NamedTuple):
    """Rows that are neither boxes nor polygons, in the order of files and lines; k rows."""

    file: NDArray[np.int64]
    """(k,) The index of each row's file among the parsed files."""
    line: NDArray[np.int64]
    """(k,) from 1."""
    text: ValueTexts


class InterpretedRows(NamedTuple):
    """What the rows of some files mean."""

    rows: LabelRows
    invalid: InvalidRows
    dropped: list[int]
    """The indexes of files with more than `MAX_INVALID_ROWS` invalid rows. None of the rows of such
    a file is in the tables."""


def interpret_rows(parsed: ParsedRows, row_format: str, keypoint_values: int) -> InterpretedRows:
    """Return what the rows mean, each by its own length unless `row_format` says it.

    5 numbers are a class and a box. A sixth is a confidence, a track ID or a rotation. An odd
    number of 7 or more is a class and points: a polygon, or the corners of a rotated box. Where
    boxes have keypoints, no row is a polygon: the keypoints follow the box, and a confidence may
    follow them. All other rows are invalid.

    Args:
        parsed: The rows of some files.
        row_format: The option `yolo_rows`.
        keypoint_values: How many numbers the keypoints of a box take; 0: no keypoints.
    """
    kinds = _row_kinds(parsed.lengths, row_format, keypoint_values)
    start = np.cumsum(parsed.lengths) - parsed.lengths
    number = parsed.values[start]
    is_class = np.isfinite(number) & (number == np.floor(number)) & (np.abs(number) < 2**31)
    is_invalid = ~(kinds.is_box | kinds.is_polygon) | ~is_class
    dropped = _files_to_drop(parsed, is_invalid)
    if len(dropped):
        others = interpret_rows(parsed.without_files(dropped), row_format, keypoint_values)
        return others._replace(dropped=dropped.tolist())
    invalid = _invalid_rows(parsed, is_invalid, start)
    class_number = np.where(is_class, number, -1).astype(np.int64)
    rows = _label_rows(parsed, start, class_number, kinds.where(is_class))
    return InterpretedRows(rows.take(~is_invalid) if is_invalid.any() else rows, invalid, [])


def _label_rows(
    parsed: ParsedRows, start: NDArray[np.int64], class_number: NDArray[np.int64], kinds: _RowKinds
) -> LabelRows:
    """Return the table of all rows. The boxes of invalid rows are undefined."""
    values, lengths = parsed.values, parsed.lengths
    return LabelRows(
        class_number=class_number,
        box=_boxes_of_rows(values, start, lengths, kinds),
        file=parsed.file.astype(np.int32),
        line=parsed.line,
        is_polygon=kinds.is_polygon,
        length=lengths.astype(np.int32),
        last=_last_values(values, start, lengths, kinds),
        keypoints=keypoint_patterns(values, start, lengths, kinds.is_polygon),
    )


def _boxes_of_rows(
    values: NDArray[np.float64],
    start: NDArray[np.int64],
    lengths: NDArray[np.int64],
    kinds: _RowKinds,
) -> boxes.Boxes:
    """Return the box of each row; for rows that are neither boxes nor polygons, anything."""
    first = kinds.first_of_box
    if len(lengths) and kinds.is_box.all() and (lengths == lengths[0]).all():  # the usual case
        return values.reshape(len(lengths), -1)[:, first : first + 4].copy()
    box = np.empty((len(lengths), 4))
    box[kinds.is_box] = values[start[kinds.is_box][:, None] + np.arange(first, first + 4)]
    if kinds.is_polygon.any():
        points = lengths[kinds.is_polygon] - 1
        box[kinds.is_polygon] = _bounding_boxes(values, start[kinds.is_polygon] + 1, points)
    return box


def _files_to_drop(parsed: ParsedRows, invalid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the files with too many invalid rows."""
    if np.count_nonzero(invalid) + len(parsed.invalid) <= MAX_INVALID_ROWS:
        return np.empty(0, np.int64)
    of_text = np.asarray([row.file for row in parsed.invalid], np.int64)
    counts = np.bincount(np.concatenate([parsed.file[invalid], of_text]))
    return np.flatnonzero(counts > MAX_INVALID_ROWS)


def _invalid_rows(
    parsed: ParsedRows, invalid: NDArray[np.bool_], start: NDArray[np.int64]
) -> InvalidRows:
    """Return the rows with words and those with unfitting numbers."""
    ends = start + np.minimum(parsed.lengths, 12)
    shown = zip(start[invalid].tolist(), ends[invalid].tolist(), strict=True)
    values: list[object] = [row.text for row in parsed.invalid]
    values += [parsed.values[at:end] for at, end in shown]
    file = np.asarray([row.file for row in parsed.invalid], np.int64)
    line = np.asarray([row.line for row in parsed.invalid], np.int64)
    file = np.concatenate([file, parsed.file[invalid]])
    line = np.concatenate([line, parsed.line[invalid]])
    order = np.lexsort((line, file))
    text = ValueTexts(values[at] for at in order.tolist())
    return InvalidRows(file[order], line[order], text)


class _RowKinds(NamedTuple):
    """Which rows are boxes and which are polygons, by their lengths; n rows."""

    is_box: NDArray[np.bool_]
    is_polygon: NDArray[np.bool_]
    has_sixth: NDArray[np.bool_]
    """(n,) Which boxes have a sixth number that may be a rotation."""
    first_of_box: int = 1
    """The index of a box's first number in its row."""

    def where(self, mask: NDArray[np.bool_]) -> _RowKinds:
        """Return the same for some of the rows; the others are neither boxes nor polygons."""
        kinds = (self.is_box & mask, self.is_polygon & mask, self.has_sixth & mask)
        return _RowKinds(*kinds, self.first_of_box)


def _row_kinds(lengths: NDArray[np.int64], row_format: str, keypoint_values: int) -> _RowKinds:
    none = np.zeros(len(lengths), np.bool_)
    is_six = lengths == 6
    may_be_polygon = (lengths >= 7) & (lengths % 2 == 1)
    if row_format == "polygon":
        return _RowKinds(none, may_be_polygon, none)
    if row_format == "confidence-first":
        return _RowKinds(lengths >= 6, none, is_six, first_of_box=2)
    if row_format.startswith("xywhr-"):
        return _RowKinds(lengths >= 5, none, lengths >= 6)
    if row_format == "box":
        return _RowKinds(lengths >= 5, none, is_six)
    is_box = (lengths == 5) | is_six
    if keypoint_values:
        is_box |= (lengths == 5 + keypoint_values) | (lengths == 6 + keypoint_values)
        return _RowKinds(is_box, none, is_six)
    return _RowKinds(is_box, may_be_polygon, is_six)


def far_outside(rows: LabelRows) -> NDArray[np.bool_]:
    """Return which rows have coordinates far beyond 1, as pixels are; of polygons, any point.

    Rows with infinity or NaN are not among them.
    """
    # Enough for most datasets. A polygon's box within it extends to 4 / 3 + 4 / 3 / 2 = 2 at most.
    if len(rows.box) == 0 or (rows.box.max() <= 4 / 3 and rows.box.min() >= -4 / 3):
        return np.zeros(len(rows.box), np.bool_)
    return computed(
        len(rows.box), lambda block: _are_far(rows.box[block], rows.is_polygon[block]), np.bool_
    )


def _are_far(box: boxes.Boxes, is_polygon: NDArray[np.bool_]) -> NDArray[np.bool_]:
    sizes = np.abs(box)
    with np.errstate(over="ignore"):  # numbers near 1e308
        reach = np.where(
            is_polygon[:, None],
            sizes[:, :2] + sizes[:, 2:] / 2,
            np.maximum(sizes[:, :2], sizes[:, 2:]),
        )
    return np.asarray((reach > _FAR).any(axis=1) & boxes.finite(box), np.bool_)


def _last_values(
    values: NDArray[np.float64],
    start: NDArray[np.int64],
    lengths: NDArray[np.int64],
    kinds: _RowKinds,
) -> NDArray[np.float64]:
    """Return `LabelRows.last`. A polygon in pixels does not end with a track ID."""
    last = np.full(len(start), np.nan)
    if kinds.has_sixth.any():
        last[kinds.has_sixth] = values[start[kinds.has_sixth] + 5]
    if kinds.is_polygon.any():
        first_five = values[start[kinds.is_polygon][:, None] + np.arange(1, 6)]
        near = (np.abs(first_five) <= _FAR).all(axis=1)
        ends = (start + lengths - 1)[kinds.is_polygon]
        last[kinds.is_polygon] = np.where(near, values[ends], 0.5)
    return last


def _bounding_boxes(
    values: NDArray[np.float64], start: NDArray[np.int64], lengths: NDArray[np.int64]
) -> boxes.Boxes:
    """Return the boxes around runs of x, y, x, y, … in `values`."""
    first = np.cumsum(lengths) - lengths
    at = np.arange(lengths.sum()) + np.repeat(start - first, lengths)
    points = values[at].reshape(-1, 2)
    with np.errstate(invalid="ignore", over="ignore"):  # infinity and NaN are reported later
        least = np.minimum.reduceat(points, first // 2)
        most = np.maximum.reduceat(points, first // 2)
        return boxes.from_edges(np.hstack([least, most]), BoxMode.CXCYWH_REL)
