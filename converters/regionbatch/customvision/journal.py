"""What an upload did, written before and after every call, so that a run that is killed can be gone on with.

A journal is a SQLite file in WAL mode: what is committed survives a `kill -9`. It holds ids and numbers, and no key.
One run has it at a time; the lock is SQLite's own and ends with the process.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from os import PathLike
    from typing import Self

    from numpy.typing import NDArray


FORMAT = 1
_LOCKED = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
_TABLES = """
CREATE TABLE IF NOT EXISTS upload (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS images (name TEXT PRIMARY KEY, id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY, operation TEXT NOT NULL, sent REAL NOT NULL, done REAL,
    rows BLOB, outcomes BLOB);
"""
# `rows` are the numbers of regions in the data set (int32), `outcomes` what became of each (int8, see regions.Outcome).


class Journal:
    """The journal of one upload; a context manager. Any thread may write.

    Raises:
        JournalError: Another run has it, it is none, or it belongs to another upload.
    """

    def __init__(self, path: str | PathLike[str] | None, upload: Mapping[str, str]) -> None:
        """Open or make it for an upload, told by some texts that must not change; None: in memory, for this run."""
        self.path = path
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path or ":memory:", timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: cannot be opened, got {error}; check the path") from error
        try:
            self._db.executescript(_LOCKED)
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
            self._claim({"format": str(FORMAT), **upload})
        except sqlite3.OperationalError as error:
            self._db.close()
            raise JournalError(
                f"{path}: another run has this journal, got {error}; wait for it, or name another --journal"
            ) from error
        except (sqlite3.DatabaseError, JournalError) as error:
            self._db.close()
            if isinstance(error, JournalError):
                raise
            raise JournalError(f"{path}: no journal, got {error}; name another --journal") from error

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

    def images(self) -> dict[str, str]:
        """Ids of the images that went up, by name."""
        with self._lock:
            return dict(self._db.execute("SELECT name, id FROM images").fetchall())

    def add_images(self, ids: Iterable[tuple[str, str]]) -> None:
        """Remember the ids of images."""
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO images VALUES (?, ?)", ids)

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
        with self._lock:
            found = self._db.execute("SELECT rows, outcomes FROM calls WHERE outcomes IS NOT NULL ORDER BY number")
            for rows, outcomes in found:
                yield np.frombuffer(rows, np.int32), np.frombuffer(outcomes, np.int8)

    def unfinished(self) -> float | None:
        """Seconds since the last call that no answer is known of; None: there is none."""
        with self._lock:
            (sent,) = self._db.execute("SELECT max(sent) FROM calls WHERE done IS NULL").fetchone()
        return None if sent is None else max(0.0, time.time() - sent)

    def give_up(self) -> None:
        """Close the calls of a run that was killed: what they did is seen in the project."""
        with self._transaction():
            self._db.execute("UPDATE calls SET done = sent WHERE done IS NULL")

    def _claim(self, upload: Mapping[str, str]) -> None:
        known = dict(self._db.execute("SELECT key, value FROM upload").fetchall())
        for key, value in upload.items():
            if known.get(key, value) != value:
                raise JournalError(
                    f"{self.path}: belongs to another upload, got another {key} than it was begun with; "
                    "name another --journal (what is in the project already will not be sent twice)"
                )
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO upload VALUES (?, ?)", upload.items())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise JournalError(
                    f"{self.path}: cannot be written, got {error}; make room, and run it again"
                ) from error
