"""A SQLite database with one transaction per call, and copies that get its writes later."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from regionbatch.sqlite_files import SERVICE, check_database, is_foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

PRAGMAS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"


def _is_in_use(error: sqlite3.Error) -> bool:
    """Return whether another process is using the database, which is then a valid one."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class _Write(NamedTuple):
    """A statement that was committed."""

    moment: float
    statement: str
    rows: Sequence[Sequence[Any]]


class Database:
    """A SQLite database. Every statement runs in a `transaction`, one per call of the service.

    A delayed copy gets the same writes some seconds later, so it is always what the database was
    that long ago, including regions that have been deleted since.
    """

    schema = ""

    def __init__(
        self: Self,  # without it, mypy takes the copies for plain databases
        path: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        lags: Collection[float] = (),
    ) -> None:
        """Open or create the database.

        Args:
            path: The file. [default: in memory]
            clock: Returns the time in seconds.
            lags: The seconds of delay of each copy. [default: no copies]

        Raises:
            OSError: The file cannot be opened.
            sqlite3.Error: The file is not a database of the service, or cannot be opened.
        """
        is_new = False
        if path is not None:
            check_database(path)
            is_new = not os.path.lexists(path)
        self._db = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False
        )
        self._lock = threading.Lock()
        self._clock = clock
        self._uncommitted: list[tuple[str, Sequence[Sequence[Any]]]] = []
        try:
            if is_foreign(self._db, SERVICE, path):
                raise sqlite3.DatabaseError("its tables belong to another program")
            self._db.executescript(f"PRAGMA application_id = {SERVICE}; {PRAGMAS} {self.schema}")
        except sqlite3.Error as error:
            self._db.close()
            if is_new and path is not None and not _is_in_use(error):
                path.unlink(missing_ok=True)
            raise
        self._copies: dict[float, Self] = {}
        self._pending: dict[float, deque[_Write]] = {}
        for lag in filter(None, lags):
            self._copies[lag] = self._copy()
            self._pending[lag] = deque()

    def _copy(self) -> Self:
        copy = type(self)()
        self._db.backup(copy._db)  # noqa: SLF001 - of the same class
        return copy

    def close(self) -> None:
        """Close the database and its copies."""
        self._db.close()
        for copy in self._copies.values():
            copy.close()

    def delayed(self, lag: float) -> Self:
        """Return the copy with this delay, one of the lags; 0: the database itself."""
        if lag:
            return self._copies[lag]
        return self

    @contextmanager
    def transaction(self, moment: float | None = None) -> Iterator[None]:
        """Write everything in the block, or nothing if it raises an exception.

        Args:
            moment: The time of the writes. [default: now]
        """
        with self._lock:
            now = self._clock()
            self._update_copies(now)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                self._uncommitted.clear()
                raise
            self._db.execute("COMMIT")
            self._share_writes(now if moment is None else moment)

    def _write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement that changes the database, once for each row of values."""
        self._db.executemany(statement, rows)
        if self._copies:
            self._uncommitted.append((statement, rows))

    def _share_writes(self, moment: float) -> None:
        writes = [_Write(moment, *write) for write in self._uncommitted]
        self._uncommitted.clear()
        for pending in self._pending.values():
            pending.extend(writes)

    def _update_copies(self, now: float) -> None:
        """Apply the writes that each copy is due to get."""
        for lag, pending in self._pending.items():
            while pending and pending[0].moment + lag <= now:
                write = pending.popleft()
                self._copies[lag]._db.executemany(write.statement, write.rows)  # noqa: SLF001 - as above
