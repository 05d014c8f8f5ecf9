"""Columns of equal length: collect, check and store them, take rows, and change or look up codes.

Columns with one entry per box are computed in blocks of rows, and stored in memory or, for datasets
that need not fit into it, in temporary files (`columns_on_disk`). A column in a file is an array
too: the file is mapped into memory, and disappears with the array.
"""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields
from mmap import mmap
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from regionbatch.boxes import blocks
from regionbatch.temporary_files import temporary_file, temporary_file_errors, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

Number = TypeVar("Number", bound=np.generic)

_SPARE = 16
"""Memory for one row in so many is reserved in addition, in case more rows come than expected."""

_open_files: ContextVar[ExitStack | None] = ContextVar("_open_files", default=None)
"""Closes the temporary files of columns that are still growing; None: columns are in memory."""


@contextmanager
def columns_on_disk() -> Iterator[None]:
    """Store the columns that are made in the block in temporary files, not in memory.

    Raises:
        OutputError: A temporary file cannot be written.

    Example:
        >>> from regionbatch.dataset.columns import columns_on_disk
        >>> with columns_on_disk():
        ...     dataset = rb.read("fixtures/scene/coco")
        >>> len(dataset)
        12
    """
    with ExitStack() as files:
        token = _open_files.set(files)
        try:
            yield
        finally:
            _open_files.reset(token)


@contextmanager
def own_columns() -> Iterator[None]:
    """Close the columns that are started in the block, even if they are not finished."""
    if _open_files.get() is None:
        yield
    else:
        with columns_on_disk():
            yield


class GrowingColumn(Generic[Number]):
    """A column that is made of blocks of rows."""

    def __init__(self, dtype: type[Number], *row_shape: int) -> None:
        """Start without rows.

        Args:
            dtype: The type of its numbers.
            *row_shape: The shape of a row. [default: a row is one number]
        """
        self._dtype = dtype
        self._row_shape = row_shape
        self._reserved = np.empty((*row_shape, 0), dtype)
        """Memory for rows, stored column by column. The rows in it precede the blocks."""
        self._blocks: list[NDArray[Number]] = []
        self._length = 0
        """The number of rows in the reserved memory, or in the file."""
        self._file: IO[bytes] | None = None
        files = _open_files.get()
        if files is not None:
            with temporary_file_errors():
                self._file = files.enter_context(temporary_file())

    def reserve(self, count: int) -> None:
        """Reserve memory for rows before the first one is added.

        Rows are then copied when they are added, not when all are known. If there are more than
        the memory is for, the others are kept as without a reservation. A column on disk needs no
        memory.

        Args:
            count: The expected number of rows. A few more are reserved.
        """
        if self._file is None:
            with suppress(MemoryError):  # the rows may be fewer than expected
                self._reserved = np.empty((*self._row_shape, count + count // _SPARE), self._dtype)

    def append(self, rows: NDArray[Number]) -> None:
        """Add rows. Do not change them afterwards: they may be copied later.

        Raises:
            OutputError: A temporary file cannot be written.
        """
        end = self._length + len(rows)
        if self._file is not None:
            with temporary_file_errors():
                for block in blocks(len(rows)):
                    write_rows(self._file, np.ascontiguousarray(rows[block], self._dtype))
        elif end <= self._reserved.shape[-1] and not self._blocks:
            self._reserved[..., self._length : end] = rows.T
        else:
            self._blocks.append(rows)
            return
        self._length = end

    def finished(self) -> NDArray[Number]:
        """Return all rows, and forget them."""
        if self._file is None:
            return self._joined()
        shape = (self._length, *self._row_shape)
        with temporary_file_errors(), self._file as file:
            if not self._length:  # an empty file cannot be mapped
                return np.empty(shape, self._dtype)
            return np.ndarray(shape, self._dtype, mmap(file.fileno(), 0))

    def _joined(self) -> NDArray[Number]:
        """Return the rows in memory, and forget them."""
        added = self._blocks
        self._blocks = []
        if not added:
            return self._shrunk()
        if self._length:
            added.insert(0, self._shrunk())
        return np.concatenate(added, dtype=self._dtype)

    def _shrunk(self) -> NDArray[Number]:
        """Return the rows in the reserved memory, without the rest of it, and forget them."""
        found = self._reserved
        count = self._length
        self._reserved = np.empty((*self._row_shape, 0), self._dtype)
        self._length = 0
        flat = found.reshape(-1)
        columns = found.reshape(math.prod(self._row_shape), found.shape[-1])
        for number, column in enumerate(columns[1:], 1):
            flat[number * count : (number + 1) * count] = column[:count]
        found.resize((*self._row_shape, count), refcheck=False)  # its views are not used again
        return found.T


class JoinedColumn(GrowingColumn[Number]):
    """A column that is made of other columns. A single column in memory is not copied."""

    def finished(self) -> NDArray[Number]:
        """Return all rows, and forget them."""
        if len(self._blocks) == 1 and not self._length:  # else others precede the block
            return self._blocks.pop()
        return super().finished()


def computed(
    count: int, of_block: Callable[[slice], NDArray[Number]], dtype: type[Number], *row_shape: int
) -> NDArray[Number]:
    """Return a column that is computed block by block.

    Args:
        count: The number of rows to compute it from.
        of_block: Returns the rows of the column for a slice of those rows.
        dtype: See `GrowingColumn`.
        *row_shape: See `GrowingColumn`.
    """
    column = GrowingColumn(dtype, *row_shape)
    for block in blocks(count):
        column.append(of_block(block))
    return column.finished()


def zeros(count: int, dtype: type[Number]) -> NDArray[Number]:
    """Return a column of zeros."""
    column = GrowingColumn(dtype)
    column.append(np.broadcast_to(np.zeros((), dtype), count))
    return column.finished()


def rows_of(mask: Mask) -> NDArray[np.int64]:
    """Return the row numbers of a mask."""
    return computed(len(mask), lambda block: np.flatnonzero(mask[block]) + block.start, np.int64)


def kept_rows(column: NDArray[Number], kept: Mask) -> NDArray[Number]:
    """Return the rows of a mask, or the column itself if the mask has all rows."""
    if kept.all():
        return column

    def of_block(block: slice) -> NDArray[Number]:
        return take_rows(column[block], np.flatnonzero(kept[block]))

    return computed(len(column), of_block, column.dtype.type, *column.shape[1:])


def renumbered(rows: NDArray[np.int64], kept: Mask) -> NDArray[np.int64]:
    """Return the new row numbers of kept rows after the other rows are removed."""
    return rows - np.searchsorted(np.flatnonzero(~kept), rows)


class Reconstructed:
    """A dataclass that is copied and unpickled through its constructor: arrays stay read-only."""

    __slots__ = ()

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Return how to recreate it."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]


def freeze(columns: object, length: int, **shapes: tuple[int, ...]) -> None:
    """Check the number of rows and the row shape of each column, and make the columns read-only."""
    for name, row_shape in shapes.items():
        column = getattr(columns, name)
        if not isinstance(column, np.ndarray):
            shape: tuple[int, ...] = (len(column),)
        else:
            shape = column.shape
            column = column.view()
            column.flags.writeable = False
            object.__setattr__(columns, name, column)
        expected = (length, *row_shape)
        if shape != expected:
            raise ValueError(
                f"{type(columns).__name__}.{name}: wrong shape: '{shape}'. Expected {expected}."
            )


def by_column(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return boxes, (n, 4), stored column by column, without a copy if they already are."""
    return np.asarray(box, order="F")


def block_of(box: NDArray[np.float64], block: slice) -> NDArray[np.float64]:
    """Return some boxes, stored column by column: long calculations are then twice as fast."""
    rows = box[block]
    return by_column(rows) if rows.flags.c_contiguous else rows


def take_rows(
    box: NDArray[Number], rows: NDArray[np.bool_] | NDArray[np.integer[Any]]
) -> NDArray[Number]:
    """Return the boxes with the given row numbers, (m, 4), stored column by column."""
    # Along an axis of whole columns: seven times as fast as an index in square brackets.
    return box.T.take(rows, axis=-1).T


def recoded(tag: NDArray[np.int32], new: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return new codes of tags; -1 (no tag) stays -1."""
    return np.append(new, np.int32(-1))[tag]


def distinct_codes(codes: NDArray[np.integer[Any]]) -> list[int]:
    """Return the distinct codes in the order of their first use."""
    starts = np.append(codes[:1], codes[1:][codes[1:] != codes[:-1]])  # of runs of equal codes
    return [*dict.fromkeys(starts.tolist())]


def texts_of(codes: NDArray[np.integer[Any]], texts: Sequence[str]) -> list[str]:
    """Return the text of each code; an empty one for a negative code."""
    whole = codes.astype(np.int64, casting="same_kind")  # fractions are an error
    at = np.maximum(whole, -1)  # an unsigned type has no -1
    found: list[str] = np.array([*texts, ""], np.object_)[at].tolist()
    return found
