"""Files that hold a table: JSON, or CSV with the separator of the author's spreadsheet."""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionbatch.errors import ResolveError
from regionbatch.files.cloud_paths import is_cloud
from regionbatch.files.small_json import json_problem, load_json
from regionbatch.files.storage import first_bytes, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import PurePath

    from regionbatch.files.cloud_paths import CloudPath

LARGEST_TABLE = 64 * 2**20
"""Maximum size of a table in bytes: over 600 bytes for each image that a project can have."""
_SEPARATORS = ",;\t"


def check_exists(path: PurePath) -> None:
    """Raise ResolveError if a table file does not exist."""
    with _errors_of(path):
        if is_cloud(path):
            _first_bytes_in_cloud(path, 1)
        else:
            Path(path).stat()  # not opened: what a pipe contains can be read only once


def read_bytes(path: PurePath) -> bytes:
    """Return the content of a table file.

    Raises:
        ResolveError: It cannot be read, or is larger than `LARGEST_TABLE`.
    """
    with _errors_of(path):
        if is_cloud(path):
            data = _first_bytes_in_cloud(path, LARGEST_TABLE + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(LARGEST_TABLE + 1)
    if len(data) > LARGEST_TABLE:
        raise ResolveError(
            f"{path}: larger than {LARGEST_TABLE >> 20} MiB. No project needs such a large table: "
            "check that this is the right file.",
            place=str(path),
        )
    return data


def _first_bytes_in_cloud(path: CloudPath, most: int) -> bytes:
    data = first_bytes(path, most)
    if not data and kind_of(path) == "folder":
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return data


@contextmanager
def _errors_of(path: PurePath) -> Iterator[None]:
    """Turn errors of the system into errors about a table file."""
    try:
        yield
    except OSError as error:
        advice = "Check the path."
        if is_cloud(path) and error.errno not in (errno.ENOENT, errno.EISDIR):
            advice = "Check the network, and the credentials in the environment or in "
            advice += "`storage_options`."
        raise ResolveError(
            f"{path}: cannot be read: '{error.strerror or error}'. {advice}",
            place=str(path),
        ) from error


def decoded(data: bytes, path: PurePath) -> str:
    """Return the text of a table file, without a byte-order mark.

    Raises:
        ResolveError: It is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ResolveError(f"{path}: not UTF-8 text. Save it as UTF-8.", place=str(path)) from error


def is_csv(path: PurePath) -> bool:
    """Return whether a path has the extension of a CSV file."""
    return path.suffix.lower() in (".csv", ".tsv")


def csv_rows(text: str, path: PurePath) -> list[list[str]]:
    """Return the rows that are not blank.

    The separator is the one that gives most rows a second column; a comma if none does.

    Raises:
        ResolveError: A field is longer than any name can be.
    """
    import csv  # noqa: PLC0415 - only needed for CSV files
    import io  # noqa: PLC0415

    def split_at(separator: str) -> Iterator[list[str]]:
        return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)

    def rows_with_columns(separator: str) -> int:
        # Counted without keeping the rows: as lists, they take 50 times the memory of their text.
        return sum(len(row) > 1 for row in split_at(separator))

    try:
        best = max(_SEPARATORS, key=rows_with_columns)
        return [row for row in split_at(best) if any(map(str.strip, row))]
    except csv.Error as error:
        raise ResolveError(
            f"{path}: not valid CSV: '{error}'. Use two columns, such as name,id.",
            place=str(path),
        ) from error


def parsed_json(
    text: str, path: PurePath, pairs_hook: Callable[[list[tuple[str, Any]]], object], expected: str
) -> object:
    """Return the content of JSON text, with objects as `pairs_hook` returns them.

    Args:
        text: The text.
        path: Its file, for messages.
        pairs_hook: Called with the (key, value) pairs of each object, duplicate keys included.
        expected: What the file should hold, for messages.

    Raises:
        ResolveError: The text is not JSON.
    """
    try:
        content: object = load_json(text, pairs_hook)
    except (ValueError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ResolveError(
            f"{path}{line}: not valid JSON ({json_problem(error)}). Use {expected}.",
            place=f"{path}{line}",
        ) from error
    return content
