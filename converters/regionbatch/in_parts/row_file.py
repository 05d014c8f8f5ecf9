"""Rows of annotations in a temporary file, so that memory holds only those of a few parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.temporary_files import (
    read_rows,
    temporary_file,
    temporary_file_errors,
    write_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from regionbatch.dataset import PlacedAnnotations

    Records = NDArray[np.void]

_BLOCK_ROWS = 2**17
"""Rows that are ordered by part at a time: 10 MB."""


class RowFile:
    """Records in a temporary file, grouped by part, in the order of reading."""

    def __init__(self, layout: np.dtype[np.void], counts: NDArray[np.int64]) -> None:
        """Create the file.

        Args:
            layout: The fields of a record.
            counts: (k,), the number of records of each part.
        """
        self.layout = layout
        self._counts = counts
        self._start = np.append(0, np.cumsum(counts))
        self._end = self._start[:-1].copy()
        """Where the next record of each part is written."""
        with temporary_file_errors():
            self._file = temporary_file()

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def add(self, part: NDArray[np.integer[Any]], records: Records) -> None:
        """Add records with the number of their parts."""
        number = part.astype(np.min_scalar_type(len(self._counts)))  # 8 and 16 bits sort fastest
        order = np.argsort(number, kind="stable")
        ordered = records[order]
        counts = np.bincount(part, minlength=len(self._counts))
        first = 0
        for each in np.flatnonzero(counts).tolist():
            count = int(counts[each])
            with temporary_file_errors():
                self._file.seek(int(self._end[each]) * self.layout.itemsize)
                write_rows(self._file, ordered[first : first + count])
            self._end[each] += count
            first += count

    def part(self, number: int) -> Records:
        """Return the records of a part."""
        records = np.empty(int(self._counts[number]), self.layout)
        with temporary_file_errors():
            self._file.seek(int(self._start[number]) * self.layout.itemsize)
            read_rows(self._file, records)
        return records


def layout_of(raw: PlacedAnnotations) -> np.dtype[np.void]:
    """Return the fields of a record: the columns of annotations, and the number of the row."""
    fields: list[tuple[Any, ...]] = [
        ("row", "i8"),
        ("box", "f8", (4,)),
        ("image", "i4"),
        ("tag", "i4"),
        ("file", "i4"),
        ("where", "i8"),
        ("marks", "?", (len(raw.marks),)),
    ]
    if raw.angle is not None:
        fields.append(("angle", "f8"))
    return np.dtype(fields)


def records_of(raw: PlacedAnnotations) -> Iterator[Records]:
    """Yield the rows of annotations as records, many at once."""
    layout = layout_of(raw)
    marks = [np.sort(rows) for rows in raw.marks.values()]
    for start in range(0, len(raw), _BLOCK_ROWS):
        block = slice(start, min(start + _BLOCK_ROWS, len(raw)))
        records = np.zeros(block.stop - start, layout)
        records["row"] = np.arange(start, block.stop)
        for name in ("box", "image", "tag", "file", "where"):
            records[name] = getattr(raw, name)[block]
        if raw.angle is not None:
            records["angle"] = raw.angle[block]
        for number, rows in enumerate(marks):
            some = slice(*np.searchsorted(rows, (start, block.stop)))
            records["marks"][rows[some] - start, number] = True
        yield records
