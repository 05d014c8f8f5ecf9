"""Read the rows of a table that a program has in memory: names, numbers, and where they are.

A row is a record as in a file: it may have no name, or something other than a number. Nothing is
converted that the COCO reader would not convert, so that equal rows have equal findings.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from regionbatch.arrow import Coded
from regionbatch.dataset import MARKS, ImageReferences, RawAnnotations
from regionbatch.errors import OptionError
from regionbatch.files.paths import NAME_CHARACTER
from regionbatch.files.text import as_number, as_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.boxes import BoxMode
    from regionbatch.findings import FindingLog

    Codes = NDArray[np.int32]
    Numbers = NDArray[np.float64]
    Mask = NDArray[np.bool_]

Column: TypeAlias = "Coded | NDArray[Any] | Sequence[Any]"
"""Values of n rows: texts as codes, numbers as an array, or anything as Python objects."""

TABLE = "table"
"""The file that findings name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The columns of n rows."""

    image: Column
    """Names of images."""
    tag: Column
    """Names of classes."""
    box: Column | Sequence[Column]
    """An array, (n, 4); n sequences of four numbers; or, as a tuple, four columns of numbers."""
    image_width: Column | None = None
    """Widths of the images in pixels."""
    image_height: Column | None = None
    """Heights of the images in pixels."""
    split: Column | None = None
    """Names of splits."""
    marks: Mapping[str, Column] = field(default_factory=dict)
    """True or 1 where a row has one of `MARKS`."""


def as_column(values: Any) -> Column:  # noqa: ANN401 - whatever a program has
    """Return a sequence, an array or a series as a column."""
    if isinstance(values, np.ma.MaskedArray):
        return values.tolist()  # type: ignore[no-any-return] # None for what is masked
    if isinstance(values, Coded) or not hasattr(values, "__array__"):
        return values if isinstance(values, Coded) else [*values]
    array = np.asarray(values)
    return array if array.dtype.kind in "iuf" else array.tolist()


def read_rows(rows: Rows, mode: BoxMode, log: FindingLog) -> RawAnnotations:
    """Return the annotations of rows; those without a name or four numbers are reported.

    Args:
        rows: The columns.
        mode: What the four numbers mean.
        log: Where findings are reported.

    Raises:
        OptionError: The columns have different lengths, or names are numbers.
    """
    image = _names("image", _paths_as_names(rows.image), re.compile(NAME_CHARACTER).search)
    tag = _names("tag", _numbers_as_names(rows.tag))
    box, is_box = _boxes(rows.box)
    count = len(image.codes)
    split = _names("split", [""] * count if rows.split is None else rows.split)
    sizes = [_sides(column, count) for column in (rows.image_width, rows.image_height)]
    _check_lengths(count, tag=tag.codes, box=box, split=split.codes, image_size=sizes[0] + sizes[1])
    file = log.file(TABLE)
    log.read(boxes=count)
    kept = np.ones(count, np.bool_)
    for code, is_bad, value in (
        ("not_a_box", ~is_box, lambda row: _value_of_box(rows.box, row)),
        ("unknown_image", image.codes < 0, lambda row: _value(rows.image, row)),
        ("unknown_class", tag.codes < 0, lambda row: _value(rows.tag, row)),
    ):
        bad = np.flatnonzero(is_bad & kept)
        log.add(code, np.full(len(bad), file, np.int32), bad, map(value, bad.tolist()), place="row")
        kept[bad] = False
    where = np.flatnonzero(kept)
    references, codes = _references(image, split, np.stack(sizes, axis=1), file)
    log.read(images=len(references))
    return RawAnnotations(
        mode=mode,
        box=box[where],
        image=codes[where],
        tag=tag.codes[where],
        images=references,
        tags=tag.names,
        file=np.full(len(where), file, np.int32),
        where=where,
        place="row",
        marks=_marks(rows.marks, where),
    )


def _names(column_name: str, column: Column, is_name: Callable[[str], object] = bool) -> Coded:
    """Return the names of a column in the order of their first rows; -1 for none."""
    if isinstance(column, np.ndarray):
        raise OptionError(
            f"{column_name}: not names: '{column.dtype}'. Pass names as text.",
            option=column_name,
            value=str(column.dtype),
        )
    if isinstance(column, Coded):
        return _in_order(column, is_name)
    codes: dict[str, int] = {}
    found = [
        codes.setdefault(value, len(codes)) if isinstance(value, str) else -1 for value in column
    ]
    return _in_order(Coded(np.asarray(found, np.int32), [*codes]), is_name)


def _paths_as_names(column: Column) -> Column:
    """Return a column of images; a `pathlib.Path` is a name as it is written."""
    if isinstance(column, (Coded, np.ndarray)):
        return column
    return [os.fspath(value) if isinstance(value, os.PathLike) else value for value in column]


def _numbers_as_names(column: Column) -> Column:
    """Return a column of classes; a whole number among names is a name as it is written."""
    if isinstance(column, (Coded, np.ndarray)):
        return column
    return [str(value) if _is_whole(value) else value for value in column]


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _in_order(column: Coded, is_name: Callable[[str], object]) -> Coded:
    """Return a column whose names are used, valid, and in the order of their first rows."""
    codes, names = column
    count = len(codes)
    first = np.full(len(names) + 1, count)  # the last entry: no name
    first[codes[::-1]] = np.arange(count - 1, -1, -1)
    is_used = first[:-1] < count
    is_used &= np.fromiter((bool(is_name(name)) for name in names), np.bool_, len(names))
    order = np.argsort(first[:-1], kind="stable")
    order = order[is_used[order]]
    new = np.full(len(names) + 1, -1, np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    return Coded(new[codes], [names[code] for code in order.tolist()])


def _boxes(box: Column | Sequence[Column]) -> tuple[Numbers, Mask]:
    """Return the boxes, (n, 4), and which rows have four numbers, (n,)."""
    if isinstance(box, tuple) and not isinstance(box, Coded):
        columns = [numbers_of(column) for column in box]
        _check_lengths(len(columns[0][0]), **{f"box {n}": c for n, (c, _) in enumerate(columns)})
        is_number = np.logical_and.reduce([is_number for _, is_number in columns])
        return np.stack([numbers for numbers, _ in columns], axis=1), is_number
    if isinstance(box, np.ndarray):
        if box.ndim != 2 or box.shape[1] != 4:
            raise OptionError(
                f"box: wrong shape: '{box.shape}'. Pass an array of shape (n, 4).",
                option="box",
                value=box.shape,
            )
        return box.astype(np.float64), np.ones(len(box), np.bool_)
    values = box if not isinstance(box, Coded) else [None] * len(box.codes)
    found = [*map(_four_numbers, values)]
    is_box = np.fromiter((numbers is not None for numbers in found), np.bool_, len(found))
    numbers = np.array([row or (np.nan,) * 4 for row in found], np.float64).reshape(-1, 4)
    return numbers, is_box


def _four_numbers(value: Any) -> tuple[float, ...] | None:  # noqa: ANN401 - anything
    if not isinstance(value, (list, tuple, np.ndarray)) or len(value) != 4:
        return None
    try:
        return tuple(map(as_number, value))
    except (TypeError, ValueError, OverflowError):
        return None


def numbers_of(column: Column) -> tuple[Numbers, Mask]:
    """Return the numbers of a column, which may be written as text, and which rows have one."""
    if isinstance(column, np.ndarray):
        return column.astype(np.float64), np.ones(len(column), np.bool_)
    if isinstance(column, Coded):
        numbers, is_number = numbers_of([*column.names, None])
        return numbers[column.codes], is_number[column.codes]
    numbers = np.full(len(column), np.nan)
    is_number = np.ones(len(column), np.bool_)
    for row, value in enumerate(column):
        try:
            numbers[row] = as_number(value)
        except (TypeError, ValueError, OverflowError):
            is_number[row] = False
    return numbers, is_number


def _sides(column: Column | None, count: int) -> Codes:
    """Return widths or heights in pixels; 0: unknown."""
    if column is None:
        return np.zeros(count, np.int32)
    if not isinstance(column, np.ndarray):
        values = [*column.names, None] if isinstance(column, Coded) else column
        sides = np.fromiter(map(as_side, values), np.int32, len(values))
        return sides[column.codes] if isinstance(column, Coded) else sides
    is_side = (column > 0) & (column < 2**31) & (column == np.floor(column))
    return np.where(is_side, column, 0).astype(np.int32)


def _references(
    image: Coded, split: Coded, sizes: Codes, file: int
) -> tuple[ImageReferences, Codes]:
    """Return the images that rows name, and the code of each row's image; -1: none.

    An image with several splits or sizes is listed once for each, as a file may list it.
    """
    named = np.flatnonzero(image.codes >= 0)
    codes = image.codes[named]
    traits = np.column_stack([codes, split.codes[named], _completed(sizes[named], codes)])
    first = np.zeros(len(image.names), np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    rows = first
    if not np.array_equal(traits, traits[first[codes]]):
        _, rows, inverse = np.unique(traits, axis=0, return_index=True, return_inverse=True)
        codes = inverse.ravel().astype(np.int32)
    of_row = np.full(len(image.codes), -1, np.int32)
    of_row[named] = codes
    listed, splits, width, height = traits[rows].T.copy()
    names = [image.names[code] for code in listed.tolist()]
    of_table = np.full(len(rows), file, np.int32)
    return ImageReferences(names, of_table, width, height, splits, split.names), of_row


def _completed(sizes: Codes, image: Codes) -> Codes:
    """Return sizes, with missing ones taken from an earlier or later row of the same image."""
    is_known = np.all(sizes > 0, axis=1)
    if is_known.all() or not is_known.any():
        return sizes
    of_image = np.zeros((int(image.max()) + 1, 2), np.int32)
    of_image[image[is_known][::-1]] = sizes[is_known][::-1]
    return np.where(is_known[:, None], sizes, of_image[image])


def _marks(columns: Mapping[str, Column], where: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return the new rows of each mark."""
    marks: dict[str, NDArray[np.int64]] = {}
    for mark in MARKS:
        if mark in columns:
            column = columns[mark]
            values = column.tolist() if isinstance(column, np.ndarray) else column
            is_marked = np.fromiter((value in (1, "1") for value in values), np.bool_, len(values))
            marks[mark] = np.flatnonzero(is_marked[where])
    return marks


def _check_lengths(count: int, **columns: Codes | Numbers) -> None:
    """Raise an error unless all columns have the length of `image`."""
    for name, column in columns.items():
        if len(column) != count:
            raise OptionError(
                f"{name}: wrong number of rows: '{len(column)}'. Pass {count}, as for `image`.",
                option=name,
                value=len(column),
            )


def _value_of_box(box: Column | Sequence[Column], row: int) -> object:
    """Return what a finding shows for a box that is not four numbers."""
    if isinstance(box, tuple) and not isinstance(box, Coded):
        return " ".join(str(_value(column, row)) for column in box)
    return _value(box, row)


def _value(column: Column, row: int) -> object:
    """Return the value of a row."""
    if isinstance(column, Coded):
        code = column.codes[row]
        return None if code < 0 else column.names[code]
    return column[row]
