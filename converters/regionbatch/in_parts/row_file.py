"""Rows of annotations in a temporary file, so that memory holds only those of a few parts."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from regionbatch.dataset import PlacedAnnotations

    Records = NDArray[np.void]

_BLOCK_ROWS = 2**17
"""Rows that are ordered by part at a time: 10 MB."""


class RowFile:
    """Records in a temporary file, those of each part together and in the order of reading."""

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
        with _disk_errors():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`

    def close(self) -> None:
        """Delete the file."""
        with suppress(OSError):  # what is left in its buffer cannot be written
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
            with _disk_errors():
                self._file.seek(int(self._end[each]) * self.layout.itemsize)
                self._file.write(ordered[first : first + count].view(np.uint8).data)
            self._end[each] += count
            first += count

    def part(self, number: int) -> Records:
        """Return the records of a part."""
        records = np.empty(int(self._counts[number]), self.layout)
        with _disk_errors():
            self._file.seek(int(self._start[number]) * self.layout.itemsize)
            self._file.readinto(records.view(np.uint8).data)
        return records


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn errors of the system into errors about the folder for temporary files."""
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir()
        raise OutputError(
            f"{folder}: no temporary file can be written here: '{error.strerror or error}'. Free "
            "some space, or set the environment variable TMPDIR to another folder.",
            place=folder,
        ) from error


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
