"""Rows of a CSV file, with whichever separator the spreadsheet of its author has put."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_TABLE = 64 * 2**20
"""Bytes of a table of IDs or names: with 600 of them for each image that a project can have."""
_SEPARATORS = ",;\t"


def table_bytes(path: Path) -> bytes:
    """Return the bytes of a table.

    Raises:
        OSError: It cannot be read.
        ResolveError: It is larger than `LARGEST_TABLE`.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST_TABLE + 1)
    if len(data) > LARGEST_TABLE:
        raise ResolveError(f"{path}: larger than {LARGEST_TABLE >> 20} MiB. A table of a project is smaller.")
    return data


def is_csv(path: Path) -> bool:
    """Whether a path has the ending of a CSV file."""
    return path.suffix.lower() in (".csv", ".tsv")


def csv_rows(text: str, path: Path) -> list[list[str]]:
    """The rows that are not blank, split at the separator that gives most of them a second column; comma if none does.

    Raises:
        ResolveError: A field is longer than any name can be.
    """
    import csv  # noqa: PLC0415 - only where there is one
    import io  # noqa: PLC0415

    def split(separator: str) -> Iterator[list[str]]:
        return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)

    try:
        # One table at a time: a row is a list, and takes 50 times its text.
        columns = {separator: sum(len(row) > 1 for row in split(separator)) for separator in _SEPARATORS}
        rows = [row for row in split(max(_SEPARATORS, key=columns.__getitem__)) if any(map(str.strip, row))]
    except csv.Error as error:
        raise ResolveError(f"{path}: not CSV, got {error}; needed are two columns, as name,id") from error
    return rows
