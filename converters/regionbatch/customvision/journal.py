"""The record of an upload, written before and after every call, so that a killed run can resume.

A journal is a SQLite file in WAL mode: what is committed survives a `kill -9`. It contains IDs and
numbers, but no key. One run uses it at a time; the lock is SQLite's own and ends with the process.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.customvision.fingerprints import (
    HASH_BYTES,
    FileFingerprint,
    UploadedImage,
    name_as_bytes,
)
from regionbatch.customvision.journal_file import (
    OTHER_FILE,
    OTHER_PROBLEM,
    PROBLEMS,
    address_of,
    journal_error,
    raise_if_no_folder,
)
from regionbatch.names.uuids import as_uuid
from regionbatch.sqlite_files import JOURNAL, STRICT, check_database, is_foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike
    from typing import Self

    from numpy.typing import NDArray

    from regionbatch.errors import JournalError


FORMAT = 4
_TABLES = f"""
CREATE TABLE IF NOT EXISTS upload (key TEXT PRIMARY KEY, value TEXT NOT NULL) {STRICT};
CREATE TABLE IF NOT EXISTS images (
    name BLOB NOT NULL, id TEXT NOT NULL, size INTEGER NOT NULL, written INTEGER NOT NULL,
    changed INTEGER NOT NULL, inode INTEGER NOT NULL, digest BLOB NOT NULL, former INTEGER NOT NULL,
    PRIMARY KEY (name, id)) {STRICT};
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY, operation TEXT NOT NULL, sent REAL NOT NULL, done REAL,
    regions BLOB, outcomes BLOB) {STRICT};
"""
# An image is `former` once another image file replaced it: its regions are still in the project.
# `regions` are the hashes of regions (uint64, `region_hashes`), `outcomes` what became of each
# (int8, a `regions.RegionOutcome`).

_OPEN_TIMEOUT = 1.0
"""Seconds to wait for another run that opens the same file, so that exactly one gets it."""


class Journal:
    """The journal of the uploads to one project; a context manager. Any thread may write to it.

    Args:
        path: The file, created at the first write if it does not exist; None: in memory, for this
            run only.
        project_id: The project that is uploaded to.
        read_only: Write nothing. The file may be on a disk that cannot be written to. If the file
            does not exist, the journal is empty.

    Raises:
        JournalError: Another run uses the journal, it belongs to another project, it cannot be
            opened, or the file is not a journal.
    """

    def __init__(
        self, path: str | PathLike[str] | None, project_id: str, *, read_only: bool = False
    ) -> None:
        """Open the file and lock it, unless it is only read."""
        self.path = path
        self._lock = threading.Lock()
        self._creation_lock = threading.Lock()
        self._project = as_uuid(project_id) or project_id.strip().lower()
        is_new = path is not None and not read_only and not os.path.lexists(path)
        if is_new and path is not None:
            raise_if_no_folder(path)
        self._is_to_be_created = is_new
        self._connect(None if is_new else path, read_only=read_only)

    def _connect(self, path: str | PathLike[str] | None, *, read_only: bool) -> None:
        """Open a file, or a database in memory."""
        address = address_of(path, read_only=read_only)
        is_uri = address.startswith("file:")
        with self._translated_errors():
            if path is not None:
                check_database(Path(path))
            self._db = sqlite3.connect(
                address,
                uri=is_uri,
                timeout=_OPEN_TIMEOUT,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with self._translated_errors():
                self._open(path, write=not is_uri)
            self._check_format_and_project(self._project, write=not read_only)
        except BaseException:
            self._db.close()
            raise

    def _create(self) -> None:
        """Create the file, which did not exist when the journal was opened."""
        if not self._is_to_be_created or self.path is None:
            return
        with self._translated_errors():
            try:
                Path(self.path).open("xb").close()
            except FileExistsError:
                raise self._error(
                    "another run has created this journal in the meantime",
                    "Wait for that run to finish, then run the upload again.",
                ) from None
        self._is_to_be_created = False
        self._db.close()
        self._connect(self.path, read_only=False)

    def _open(self, path: str | PathLike[str] | None, *, write: bool) -> None:
        """Lock the file, and check that it is empty or a whole journal before writing to it."""
        if write:
            lock = ["PRAGMA locking_mode = EXCLUSIVE", "BEGIN IMMEDIATE"]
            if path is not None and Path(path).exists() and not Path(path).stat().st_size:
                # If runs start together, the one that gets the write lock could not commit, because
                # those that wait in exclusive mode keep a shared lock.
                lock.reverse()
            for statement in lock:
                self._db.execute(statement)
        if is_foreign(self._db, JOURNAL, None if path is None else Path(path)):
            raise self._error("not a journal, but another kind of database", OTHER_FILE)
        [(result,)] = self._db.execute("PRAGMA integrity_check(1)").fetchall()
        if result != "ok":
            raise self._damaged(result)
        if write:
            # Marked as a journal from its first byte on.
            self._db.execute(f"PRAGMA application_id = {JOURNAL}")
            self._db.execute("COMMIT")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")

    def _check_format_and_project(self, project: str, *, write: bool) -> None:
        needed = {"format": str(FORMAT), "project": project}
        for key, value in needed.items():
            found = self._recorded(key)
            if found not in (None, value):
                raise self._error(
                    f"created for another {key}: '{found}'",
                    "Name another file with `journal`; nothing is stored twice.",
                    value=found,
                )
        if write:
            with self._lock, self._committed():
                self._db.executemany("INSERT OR REPLACE INTO upload VALUES (?, ?)", needed.items())

    def close(self) -> None:
        """Close the file, so that another run can use it."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        self.close()

    def images(self) -> dict[str, UploadedImage]:
        """Return the uploaded images by name, without those that were replaced."""
        rows = self._query(
            "SELECT name, id, size, written, changed, inode, digest FROM images WHERE NOT former",
            types=(bytes, str, int, int, int, int, bytes),
        )
        images: dict[str, UploadedImage] = {}
        for name, id_, *fingerprint in rows:
            images[self._name(name)] = UploadedImage(id_, FileFingerprint(*fingerprint))
        return images

    def names_by_id(self) -> dict[str, str]:
        """Return the name of each image that was ever uploaded, by ID, including replaced ones."""
        rows = self._query("SELECT id, name FROM images", types=(str, bytes))
        return {id_: self._name(name) for id_, name in rows}

    def add_images(self, images: Mapping[str, UploadedImage]) -> None:
        """Record uploaded images. They replace earlier images of the same names."""
        rows = [(name_as_bytes(name), image.id, *image.file) for name, image in images.items()]
        with self._transaction():
            self._db.executemany(
                "UPDATE images SET former = 1 WHERE name = ?", [row[:1] for row in rows]
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, 0)", rows
            )

    def start_call(
        self, operation: str, regions: NDArray[np.uint64] | None = None, number: int | None = None
    ) -> int:
        """Record that a call is about to be made.

        Args:
            operation: The name of the call.
            regions: The hashes of the regions that are sent.
            number: The number of the call if it is repeated.

        Returns:
            The number of the call.
        """
        blob = None if regions is None else regions.astype(np.uint64).tobytes()
        with self._transaction():
            made = self._db.execute(
                "INSERT OR REPLACE INTO calls (number, operation, sent, regions) "
                "VALUES (?, ?, ?, ?)",
                (number, operation, time.time(), blob),
            )
        return made.lastrowid or 0

    def finish_call(self, number: int, outcomes: NDArray[np.int8] | None = None) -> None:
        """Record the result of a call: the `RegionOutcome` of each of its regions."""
        blob = None if outcomes is None else outcomes.tobytes()
        with self._transaction():
            self._db.execute(
                "UPDATE calls SET done = ?, outcomes = ? WHERE number = ?",
                (time.time(), blob, number),
            )

    def outcomes(self) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int8]]]:
        """Yield the region hashes and outcomes of each finished call, oldest first."""
        query = "SELECT regions, outcomes FROM calls WHERE outcomes IS NOT NULL ORDER BY number"
        for hashes, outcomes in self._query(query, types=(bytes, bytes)):
            if len(hashes) != HASH_BYTES * len(outcomes):
                count = len(hashes) / HASH_BYTES
                raise self._damaged(f"{len(outcomes)} outcomes for {count:g} regions")
            yield np.frombuffer(hashes, np.uint64), np.frombuffer(outcomes, np.int8)

    def seconds_since_unfinished_call(self) -> float | None:
        """Return the age of the last call that has no result; None: all calls have one."""
        rows = self._query(
            "SELECT sent FROM calls WHERE done IS NULL ORDER BY sent DESC LIMIT 1", types=(float,)
        )
        return max(0.0, time.time() - rows[0][0]) if rows else None

    def seconds_since_last_call(self) -> float:
        """Return the age of the last call; infinite if there was none."""
        rows = self._query(
            "SELECT done FROM calls WHERE done IS NOT NULL ORDER BY done DESC LIMIT 1",
            types=(float,),
        )
        return max(0.0, time.time() - rows[0][0]) if rows else float("inf")

    def belongs_to(self, dataset_fingerprint: str) -> bool:
        """Return whether the journal was created for this dataset. An unused one belongs to any."""
        return self._recorded("dataset") in (None, dataset_fingerprint)

    def start_run(self, dataset_fingerprint: str, images: Mapping[str, str]) -> None:
        """Record the dataset that is uploaded from now on.

        The unfinished calls of a killed run are closed: the project shows what they did.

        Args:
            dataset_fingerprint: See `fingerprint_dataset`.
            images: IDs by name of the images that were uploaded before and still count.
        """
        is_same = self.belongs_to(dataset_fingerprint)
        with self._transaction():
            self._db.execute("UPDATE calls SET done = sent WHERE done IS NULL")
            if not is_same:
                self._db.execute("UPDATE images SET former = 1")
                known = [(name_as_bytes(name), id_) for name, id_ in images.items()]
                self._db.executemany(
                    "UPDATE images SET former = 0 WHERE name = ? AND id = ?", known
                )
            self._db.execute(
                "INSERT OR REPLACE INTO upload VALUES ('dataset', ?)", (dataset_fingerprint,)
            )

    def _recorded(self, key: str) -> str | None:
        """Return what the journal was created for; None if no call was made yet."""
        query = "SELECT value FROM upload WHERE key = ? AND EXISTS (SELECT * FROM calls)"
        rows = self._query(query, key, types=(str,))
        return rows[0][0] if rows else None

    def _query(self, query: str, *values: str, types: Sequence[type]) -> list[Any]:
        """Return the rows of a query, and check their types, which an older SQLite does not."""
        with self._lock, self._translated_errors():
            rows = self._db.execute(query, values).fetchall()
        for row in rows:
            if not all(map(isinstance, row, types)):
                raise self._damaged(f"{row!r:.80}")
        return rows

    def _name(self, blob: bytes) -> str:
        try:
            return blob.decode(errors="surrogatepass")
        except UnicodeDecodeError as error:
            raise self._damaged(f"{blob!r:.80}") from error

    def _damaged(self, value: str) -> JournalError:
        return self._error(f"the journal is damaged: '{value}'", OTHER_FILE, value=value)

    def _error(self, problem: str, advice: str, value: object = None) -> JournalError:
        return journal_error(self.path, problem, advice, value)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Write to the file, which is created before the first write."""
        with self._creation_lock:
            self._create()
        with self._lock, self._committed():
            yield

    @contextmanager
    def _committed(self) -> Iterator[None]:
        with self._translated_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise SQLite's errors as `JournalError`, with what to do."""
        try:
            yield
        except OSError as error:
            raise self._error(f"cannot read the journal: '{error.strerror}'", OTHER_FILE) from error
        except sqlite3.Error as error:
            primary_code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            problem, advice = PROBLEMS.get(primary_code, OTHER_PROBLEM)
            raise self._error(f"{problem}: '{error}'", advice) from error
