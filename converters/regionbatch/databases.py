"""SQLite files of our own: the journal of an upload, and what the local service keeps."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path, PurePath

JOURNAL, SERVICE = 0x7262_0001, 0x7262_0002
"""Application ids, by which SQLite tells whose a file is."""

STRICT = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
"""What follows a table whose columns take only values of their type; an older SQLite cannot keep that."""

_MAGIC = b"SQLite format 3\0"


def is_empty(path: Path) -> bool:
    """Return whether a database is still to be made at a path: nothing is there, or an empty file. Only reads.

    Raises:
        sqlite3.DatabaseError: Something is there that is no database. SQLite would take over a file of a few bytes.
        OSError: It cannot be read.
    """
    if not os.path.lexists(path):
        return True
    if not path.is_file():  # a pipe would be waited for
        raise sqlite3.DatabaseError("not a file")
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head not in (b"", _MAGIC):
        raise sqlite3.DatabaseError("file is not a database")
    return not head


def is_foreign(db: sqlite3.Connection, application: int, *, empty: bool) -> bool:
    """Return whether a database is of something else, and must be left alone. Only reads.

    Args:
        db: The database.
        application: The application id of ours.
        empty: Whether its file was empty before. A database without tables may have an owner.
    """
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return owner != application and bool(tables or not empty)


def address_of(path: PurePath) -> str:
    """Return the address of an absolute path as SQLite takes it.

    SQLite wants the host empty: a share is `file:////nas/share/a.sqlite`, and not as `Path.as_uri` has it.
    """
    text = path.as_posix()
    return "file://" + quote(os.fsencode(text if text.startswith("/") else f"/{text}"), safe="/:")
