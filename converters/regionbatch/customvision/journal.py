"""What an upload did, written before and after every call, so that a run that is killed can be gone on with.

A journal is a SQLite file in WAL mode: what is committed survives a `kill -9`. It holds ids and numbers, and no key.
One run has it at a time; the lock is SQLite's own and ends with the process.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.databases import JOURNAL, is_foreign
from regionbatch.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import PathLike
    from typing import Self

    from numpy.typing import NDArray

FORMAT = 2
_TABLES = """
CREATE TABLE IF NOT EXISTS upload (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS images (
    name TEXT PRIMARY KEY, id TEXT NOT NULL, size INTEGER NOT NULL, changed INTEGER NOT NULL, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY, operation TEXT NOT NULL, sent REAL NOT NULL, done REAL,
    rows BLOB, outcomes BLOB);
"""
# `rows` are the numbers of regions in the data set (int32), `outcomes` what became of each (int8, see regions.Outcome).


class Stamp(NamedTuple):
    """What a file is recognised by."""

    size: int
    """In bytes."""
    changed: int
    """When it was changed last, in nanoseconds."""
    digest: bytes
    """Of what is in it."""


class Uploaded(NamedTuple):
    """An image that went up, and the file that its picture was in."""

    id: str
    file: Stamp


class Journal:
    """The journal of one upload; a context manager. Any thread may write.

    Raises:
        JournalError: Another run has it, it is none, or it belongs to another project.
    """

    def __init__(self, path: str | PathLike[str] | None, project_id: str) -> None:
        """Open or make it for uploads to a project; None: in memory, for this run."""
        self.path = path
        self._lock = threading.Lock()
        with self._told():
            self._db = sqlite3.connect(path or ":memory:", timeout=0, isolation_level=None, check_same_thread=False)
        try:
            with self._told():
                self._open()
            self._claim("format", str(FORMAT))
            self._claim("project", project_id.strip().lower())
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        """Take the file for this run, and see that it is a journal or empty before anything is written to it."""
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("BEGIN IMMEDIATE")  # of two runs that begin together, one gets it
        if is_foreign(self._db, JOURNAL):
            raise JournalError(f"{self.path}: no journal, but a database of something else; name another --journal")
        self._db.execute("COMMIT")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(f"BEGIN IMMEDIATE; PRAGMA application_id = {JOURNAL}; {_TABLES} COMMIT;")

    def close(self) -> None:
        """Close it, and let others have it."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close."""
        self.close()

    def images(self) -> dict[str, Uploaded]:
        """The images that went up, by name."""
        with self._lock, self._told():
            rows = self._db.execute("SELECT name, id, size, changed, digest FROM images").fetchall()
        return {name: Uploaded(id_, Stamp(*stamp)) for name, id_, *stamp in rows}

    def add_images(self, images: Mapping[str, Uploaded]) -> None:
        """Remember images that went up."""
        rows = [(name, image.id, *image.file) for name, image in images.items()]
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", rows)

    def before(self, operation: str, rows: NDArray[np.int64] | None = None, number: int | None = None) -> int:
        """Remember that a call is made now, or, with its number, made again; the number."""
        blob = None if rows is None else rows.astype(np.int32).tobytes()
        with self._transaction():
            made = self._db.execute(
                "INSERT OR REPLACE INTO calls (number, operation, sent, rows) VALUES (?, ?, ?, ?)",
                (number, operation, time.time(), blob),
            )
        return made.lastrowid or 0

    def after(self, number: int, outcomes: NDArray[np.int8] | None = None) -> None:
        """Remember what came of a call."""
        blob = None if outcomes is None else outcomes.tobytes()
        with self._transaction():
            self._db.execute("UPDATE calls SET done = ?, outcomes = ? WHERE number = ?", (time.time(), blob, number))

    def outcomes(self) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int8]]]:
        """Rows and outcomes of all calls that were done, in their order."""
        with self._lock, self._told():
            found = self._db.execute("SELECT rows, outcomes FROM calls WHERE outcomes IS NOT NULL ORDER BY number")
            for rows, outcomes in found:
                yield np.frombuffer(rows, np.int32), np.frombuffer(outcomes, np.int8)

    def unfinished(self) -> float | None:
        """Seconds since the last call that no answer is known of; None: there is none."""
        with self._lock, self._told():
            (sent,) = self._db.execute("SELECT max(sent) FROM calls WHERE done IS NULL").fetchone()
        return None if sent is None else max(0.0, time.time() - sent)

    def give_up(self) -> None:
        """Close the calls of a run that was killed: what they did is seen in the project."""
        with self._transaction():
            self._db.execute("UPDATE calls SET done = sent WHERE done IS NULL")

    def is_of(self, dataset: str) -> bool:
        """Whether it was begun with a data set, told by its fingerprint; if not, it is that data set's from now on.

        Then the numbers of regions in it mean nothing any more, and are forgotten. The images are not.
        """
        if self._is_same("data set", dataset):
            return True
        with self._transaction():
            self._db.execute("UPDATE calls SET rows = NULL, outcomes = NULL")
            self._db.execute("UPDATE upload SET value = ? WHERE key = 'data set'", (dataset,))
        return False

    def _claim(self, key: str, value: str) -> None:
        """See that it was begun with this; a journal of an upload that did nothing yet is everybody's."""
        if not self._is_same(key, value):
            raise JournalError(
                f"{self.path}: belongs to another upload, got another {key} than it was begun with; "
                "name another --journal (what is in the project already will not be sent twice)"
            )

    def _is_same(self, key: str, value: str) -> bool:
        """Whether what is known is this, after it was noted if nothing was done before."""
        with self._transaction():
            (done,) = self._db.execute("SELECT count(*) FROM calls").fetchone()
            if not done:
                self._db.execute("DELETE FROM upload WHERE key = ?", (key,))
            self._db.execute("INSERT OR IGNORE INTO upload VALUES (?, ?)", (key, value))
            (known,) = self._db.execute("SELECT value FROM upload WHERE key = ?", (key,)).fetchone()
        return bool(known == value)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn SQLite's errors into ours, each with what to do about it."""
        try:
            yield
        except sqlite3.Error as error:
            what, advice = _TROUBLE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _OTHER_TROUBLE)
            raise JournalError(f"{self.path}: {what}, got {error}; {advice}") from error


_OTHER_TROUBLE = "the journal cannot be used", "name another --journal"
_IN_USE = "another run has this journal", "wait for it, or name another --journal"
_NO_JOURNAL = "no journal, or a damaged one", "name another --journal"
_NO_WRITING = "the journal cannot be written", "name another --journal, in a folder that can be written"
_TROUBLE = {
    sqlite3.SQLITE_BUSY: _IN_USE,
    sqlite3.SQLITE_LOCKED: _IN_USE,
    sqlite3.SQLITE_NOTADB: _NO_JOURNAL,
    sqlite3.SQLITE_CORRUPT: _NO_JOURNAL,
    sqlite3.SQLITE_FULL: ("the journal cannot be written", "make room, and run it again"),
    sqlite3.SQLITE_IOERR: ("the journal cannot be written", "make room or mend the disk, and run it again"),
    sqlite3.SQLITE_READONLY: _NO_WRITING,
    sqlite3.SQLITE_CANTOPEN: ("the journal cannot be opened", _NO_WRITING[1]),
}
