"""SQLite files of our own: the journal of an upload, and what the local service keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

JOURNAL, SERVICE = 0x7262_0001, 0x7262_0002
"""Application ids, by which SQLite tells whose a file is."""


def is_foreign(db: sqlite3.Connection, application: int) -> bool:
    """Whether a database holds something else, and must be left alone. Only reads."""
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(tables) and owner != application
