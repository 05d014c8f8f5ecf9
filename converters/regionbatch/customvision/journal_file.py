"""The file of a journal: how SQLite opens it, and what to do if it cannot be used."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.argument_checks import check_paths
from regionbatch.errors import JournalError
from regionbatch.files.paths import scheme_of
from regionbatch.sqlite_files import sqlite_uri

if TYPE_CHECKING:
    from os import PathLike

OTHER_FILE = "Name another file with `journal`."


def journal_error(
    path: str | PathLike[str] | None, problem: str, advice: str, value: object = None
) -> JournalError:
    """Return an error about a journal."""
    return JournalError(
        f"{path}: {problem}. {advice}", place=str(path), option="journal", value=value
    )


def check_journal_path(path: object) -> None:
    """Check the path of a journal before any call to the service. None means that there is no file.

    Raises:
        OptionError: It is not a path.
        JournalError: It is a URL.
    """
    check_paths(journal=path)
    if isinstance(path, (str, os.PathLike)) and scheme_of(path):
        problem = "a journal must be on this machine"
        raise journal_error(path, problem, "Name a local file with `journal`.")


def raise_if_no_folder(path: str | PathLike[str]) -> None:
    """Raise if a journal cannot be created, before anything is uploaded.

    Raises:
        JournalError: The folder does not exist, or cannot be written to.
    """
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise journal_error(path, "cannot open the journal: no such folder", _WRITABLE_FOLDER)
    if not os.access(folder, os.W_OK):
        raise journal_error(path, f"{_CANNOT_WRITE}: the folder is read-only", _WRITABLE_FOLDER)


def missing_journal(path: str | PathLike[str]) -> JournalError:
    """Return the error for a journal that is read but does not exist."""
    return journal_error(path, "no such journal", "Check the path, or leave out `journal`.")


def address_of(path: str | PathLike[str] | None, *, read_only: bool) -> str:
    """Return the name to open in SQLite: a path, or a URI with which it leaves no other file.

    A run that is under way, or was killed, leaves a log next to the file, which must be read too.
    Without one, the file is complete and can be opened as immutable.

    Raises:
        JournalError: The file cannot be written to, but must be.
    """
    if path is None:
        return ":memory:"
    file = Path(path)
    if read_only:
        if not (file.is_file() and file.stat().st_size):
            return ":memory:"
        log = Path(f"{path}-wal")
        is_complete = not (log.exists() and log.stat().st_size)
        mode = "?mode=ro&immutable=1" if is_complete else "?mode=ro"
        return sqlite_uri(file.absolute()) + mode
    if file.exists() and not os.access(path, os.W_OK):  # SQLite would only say "disk I/O error"
        raise journal_error(path, f"{_CANNOT_WRITE}: the file is read-only", _WRITABLE_FOLDER)
    return str(file.absolute())


_CANNOT_WRITE = "cannot write the journal"
_WRITABLE_FOLDER = "Name another file with `journal`, in a folder that can be written to."
_IN_USE = ("another run uses this journal", "Wait for that run to finish.")
_NOT_A_JOURNAL = ("not a journal, or a damaged one", OTHER_FILE)
OTHER_PROBLEM = ("cannot use the journal", OTHER_FILE)
PROBLEMS = {
    sqlite3.SQLITE_BUSY: _IN_USE,
    sqlite3.SQLITE_LOCKED: _IN_USE,
    sqlite3.SQLITE_NOTADB: _NOT_A_JOURNAL,
    sqlite3.SQLITE_CORRUPT: _NOT_A_JOURNAL,
    sqlite3.SQLITE_FULL: (_CANNOT_WRITE, "Free disk space, then run the upload again."),
    sqlite3.SQLITE_IOERR: (
        _CANNOT_WRITE,
        "Free disk space or repair the disk, then run the upload again.",
    ),
    sqlite3.SQLITE_READONLY: (_CANNOT_WRITE, _WRITABLE_FOLDER),
    sqlite3.SQLITE_CANTOPEN: ("cannot open the journal", _WRITABLE_FOLDER),
}
"""The problem and what to do, by SQLite's primary error codes."""
