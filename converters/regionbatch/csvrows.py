"""Rows of a CSV file, with whichever separator the spreadsheet of its author has put."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.errors import ResolveError

if TYPE_CHECKING:
    from pathlib import Path

_SEPARATORS = ",;\t"


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

    try:
        tables = [
            list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True))
            for separator in _SEPARATORS
        ]
    except csv.Error as error:
        raise ResolveError(f"{path}: not CSV, got {error}; needed are two columns, as name,id") from error
    rows = max(tables, key=lambda table: sum(len(row) > 1 for row in table))
    return [row for row in rows if any(map(str.strip, row))]
