"""The project's own SQLite files: the journal of an upload, and the store of the local service."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path, PurePath

JOURNAL = 0x7262_0001
"""Application ID of a journal: SQLite keeps it in the file's header."""
SERVICE = 0x7262_0002
"""Application ID of the local service's store."""

STRICT = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
"""Table option that makes columns reject values of other types; older versions do not have it."""

_MAGIC = b"SQLite format 3\0"


def check_database(path: Path) -> None:
    """Check that a path is a database, or that one can be created there. It is only read.

    Raises:
        sqlite3.DatabaseError: The path is not a database. SQLite would overwrite a short file.
        OSError: The path cannot be read.
    """
    if not os.path.lexists(path):
        return
    if not path.is_file():  # reading a pipe would block
        raise sqlite3.DatabaseError("not a file")
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head not in (b"", _MAGIC):
        raise sqlite3.DatabaseError("file is not a database")


def is_foreign(db: sqlite3.Connection, application: int, path: Path | None) -> bool:
    """Return whether a database belongs to another application and must not be changed.

    The database is only read. A database without tables may have an owner too, but an empty file
    has none. If the first transaction was killed, the file is empty once SQLite has rolled it back.

    Args:
        db: The database.
        application: The application ID of our file.
        path: The file; None: it is in memory.
    """
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    is_empty = path is None or not path.exists() or not path.stat().st_size
    return owner != application and bool(tables or not is_empty)


def sqlite_uri(path: PurePath) -> str:
    """Return the `file:` URI of an absolute path in the form that SQLite accepts.

    SQLite requires an empty host: a network share is `file:////nas/share/a.sqlite`, which
    `Path.as_uri` writes differently.
    """
    text = path.as_posix()
    return "file://" + quote(os.fsencode(text if text.startswith("/") else f"/{text}"), safe="/:")
