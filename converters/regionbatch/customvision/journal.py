"""What an upload did, written before and after every call, so that a run that is killed can be gone on with.

A journal is a SQLite file in WAL mode: what is committed survives a `kill -9`. It holds ids and numbers, and no key.
One run has it at a time; the lock is SQLite's own and ends with the process.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch.databases import JOURNAL, STRICT, address_of, is_empty, is_foreign
from regionbatch.errors import JournalError
from regionbatch.ids import as_uuid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike
    from typing import Self

    from numpy.typing import NDArray

    from regionbatch.dataset import Dataset

FORMAT = 3
_TABLES = f"""
CREATE TABLE IF NOT EXISTS upload (key TEXT PRIMARY KEY, value TEXT NOT NULL) {STRICT};
CREATE TABLE IF NOT EXISTS images (
    name BLOB NOT NULL, id TEXT NOT NULL, size INTEGER NOT NULL, written INTEGER NOT NULL, changed INTEGER NOT NULL,
    inode INTEGER NOT NULL, digest BLOB NOT NULL, former INTEGER NOT NULL, PRIMARY KEY (name, id)) {STRICT};
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY, operation TEXT NOT NULL, sent REAL NOT NULL, done REAL,
    rows BLOB, outcomes BLOB) {STRICT};
"""
# An image is `former` once its picture was replaced by another: its regions are still in the project.
# `rows` are the numbers of regions in the dataset (int32), `outcomes` what became of each (int8, see regions.Outcome).


_ROW_BYTES = np.dtype(np.int32).itemsize


class Stamp(NamedTuple):
    """What a file is recognised by."""

    size: int
    """In bytes."""
    written: int
    """When something was written to it last, in nanoseconds; anybody can set it."""
    changed: int
    """When anything about it changed last, in nanoseconds; nobody can set it."""
    inode: int
    """Its number on its disk: another for a file that was moved to its place."""
    digest: bytes
    """Of what is in it."""


class Uploaded(NamedTuple):
    """An image that went up, and the file that its picture was in."""

    id: str
    file: Stamp


def _blob(name: str) -> bytes:
    """A name as bytes: that of a file may be no text that SQLite takes."""
    return name.encode(errors="surrogatepass")


def fingerprint(dataset: Dataset, rename: Mapping[str, str] | None) -> str:
    """What a dataset is told by: names, classes, boxes. The journal knows the pictures that went up by itself."""
    digest = hashlib.sha256()
    regions = dataset.regions
    for text in (*dataset.images.names, "", *dataset.tags, "", *map(str, sorted((rename or {}).items()))):
        digest.update(_blob(text) + b"\0")
    for column in (regions.image, regions.tag, regions.box):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


class Journal:
    """The journal of one upload; a context manager. Any thread may write.

    Raises:
        JournalError: Another run has it, it is none, or it belongs to another project.
    """

    def __init__(self, path: str | PathLike[str] | None, project_id: str, *, read_only: bool = False) -> None:
        """Open or make it for uploads to a project; None: in memory, for this run.

        With `read_only`, the file may be on a disk that cannot be written, and one that is not there is empty.
        """
        self.path = path
        self._lock = threading.Lock()
        address = _address(path, read_only=read_only)
        with self._told():
            empty = path is None or is_empty(Path(path))
            self._db = sqlite3.connect(
                address, uri=address.startswith("file:"), timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            with self._told():
                self._open(write=not address.startswith("file:"), empty=empty)
            known = {"format": str(FORMAT), "project": as_uuid(project_id) or project_id.strip().lower()}
            for key, value in known.items():
                self._refuse_other(key, value)
            if not read_only:
                with self._transaction():
                    self._db.executemany("INSERT OR REPLACE INTO upload VALUES (?, ?)", known.items())
        except BaseException:
            self._db.close()
            raise

    def _open(self, *, write: bool, empty: bool) -> None:
        """Take the file for this run, and see that it is a whole journal or empty before anything is written to it."""
        if write:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("BEGIN IMMEDIATE")  # of two runs that begin together, one gets it
        if is_foreign(self._db, JOURNAL, empty=empty):
            raise JournalError(f"{self.path}: no journal, but a database of something else; name another --journal")
        [(found,)] = self._db.execute("PRAGMA integrity_check(1)").fetchall()
        if found != "ok":
            raise self._damaged(found)
        if write:
            self._db.execute(f"PRAGMA application_id = {JOURNAL}")  # from the first byte on, it is ours
            self._db.execute("COMMIT")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")

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
        query = "SELECT name, id, size, written, changed, inode, digest FROM images WHERE NOT former"
        rows = self._all(query, kinds=(bytes, str, int, int, int, int, bytes))
        return {self._name(blob): Uploaded(id_, Stamp(*stamp)) for blob, id_, *stamp in rows}

    def names(self) -> dict[str, str]:
        """The name of each image that ever went up, by id: also of replaced ones."""
        rows = self._all("SELECT id, name FROM images", kinds=(str, bytes))
        return {id_: self._name(blob) for id_, blob in rows}

    def add_images(self, images: Mapping[str, Uploaded]) -> None:
        """Remember images that went up; others of their names are former ones now."""
        rows = [(_blob(name), image.id, *image.file) for name, image in images.items()]
        with self._transaction():
            self._db.executemany("UPDATE images SET former = 1 WHERE name = ?", [row[:1] for row in rows])
            self._db.executemany("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, 0)", rows)

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
        query = "SELECT rows, outcomes FROM calls WHERE outcomes IS NOT NULL ORDER BY number"
        for rows, outcomes in self._all(query, kinds=(bytes, bytes)):
            if len(rows) != _ROW_BYTES * len(outcomes):
                raise self._damaged(f"{len(outcomes)} outcomes of {len(rows) / _ROW_BYTES:g} regions")
            yield np.frombuffer(rows, np.int32), np.frombuffer(outcomes, np.int8)

    def unfinished(self) -> float | None:
        """Seconds since the last call that no answer is known of; None: there is none."""
        rows = self._all("SELECT sent FROM calls WHERE done IS NULL ORDER BY sent DESC LIMIT 1", kinds=(float,))
        return max(0.0, time.time() - rows[0][0]) if rows else None

    def is_of(self, dataset: str) -> bool:
        """Whether it was begun with a dataset, told by its fingerprint; one of an upload that did nothing is."""
        return self._is_same("dataset", dataset)

    def begin(self, dataset: str, images: Mapping[str, str]) -> None:
        """From now on it is a dataset's, told by its fingerprint; `images` went up before, ids by name.

        The calls of a run that was killed are closed: what they did is seen in the project. If it was begun with
        another dataset, the numbers of regions in it mean nothing any more, and are forgotten.
        """
        same = self.is_of(dataset)
        with self._transaction():
            self._db.execute("UPDATE calls SET done = sent WHERE done IS NULL")
            if not same:
                self._db.execute("UPDATE calls SET rows = NULL, outcomes = NULL")
                self._db.execute("UPDATE images SET former = 1")
                known = [(_blob(name), id_) for name, id_ in images.items()]
                self._db.executemany("UPDATE images SET former = 0 WHERE name = ? AND id = ?", known)
            self._db.execute("INSERT OR REPLACE INTO upload VALUES ('dataset', ?)", (dataset,))

    def _refuse_other(self, key: str, value: str) -> None:
        """See that it was begun with this; a journal of an upload that did nothing yet is everybody's."""
        if not self._is_same(key, value):
            raise JournalError(
                f"{self.path}: belongs to another upload, got another {key} than it was begun with; "
                "name another --journal (what is in the project already will not be sent twice)"
            )

    def _is_same(self, key: str, value: str) -> bool:
        """Whether what it was begun with is this; if nothing was done with it, it is."""
        query = "SELECT value FROM upload WHERE key = ? AND EXISTS (SELECT * FROM calls)"
        known = self._all(query, key, kinds=(str,))
        return not known or known == [(value,)]

    def _all(self, query: str, *values: str, kinds: Sequence[type]) -> list[Any]:
        """Return the rows of a query, whose columns must be of some kinds: an older SQLite does not see to that."""
        with self._lock, self._told():
            rows = self._db.execute(query, values).fetchall()
        for row in rows:
            if not all(map(isinstance, row, kinds)):
                raise self._damaged(f"{row!r:.80}")
        return rows

    def _name(self, blob: bytes) -> str:
        try:
            return blob.decode(errors="surrogatepass")
        except UnicodeDecodeError as error:
            raise self._damaged(f"{blob!r:.80}") from error

    def _damaged(self, value: str) -> JournalError:
        return JournalError(f"{self.path}: the journal is damaged: '{value}'. Name another --journal.")

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
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be read: '{error.strerror}'. Name another --journal.") from error
        except sqlite3.Error as error:
            what, advice = _TROUBLE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _OTHER_TROUBLE)
            raise JournalError(f"{self.path}: {what}, got {error}; {advice}") from error


def _address(path: str | PathLike[str] | None, *, read_only: bool) -> str:
    """What SQLite is to open; an address for reading only, which leaves nothing beside the file.

    Who is at work, or was killed, leaves a log beside it that has to be read too; without one, the file is all.

    Raises:
        JournalError: It is to be written, and cannot be.
    """
    if path is None or (read_only and not (Path(path).is_file() and Path(path).stat().st_size)):
        return ":memory:"
    if not read_only:
        if Path(path).exists() and not os.access(path, os.W_OK):  # SQLite would say no more than "disk I/O error"
            raise JournalError(f"{path}: {_NO_WRITING[0]}, got one that can only be read; {_NO_WRITING[1]}")
        return str(Path(path).absolute())
    log = Path(f"{path}-wal")
    whole = not (log.exists() and log.stat().st_size)
    return f"{address_of(Path(path).absolute())}?mode=ro" + ("&immutable=1" if whole else "")


_OTHER_TROUBLE = "the journal cannot be used", "name another --journal"
_IN_USE = "another run has this journal", "wait for it"
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
