"""The service on 127.0.0.1: in the background for tests and rehearsals, or in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from regionbatch.errors import OptionError

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from regionbatch.local.app import Api
except ImportError as error:
    raise OptionError(
        f"local service: a required package is not installed: '{error.name}'. "
        'Install it: pip install "regionbatch[local]".',
        value=error.name,
    ) from error

from regionbatch.local.contract import DOMAINS
from regionbatch.local.faults import Faults
from regionbatch.local.settings import Settings
from regionbatch.local.store import Store

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Collection
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from regionbatch.local.contract import DomainType, StoredRegion

ANY_KEY = "local"
"""The key for callers if the service accepts any."""
HOST = "127.0.0.1"
_MAX_PORT = 65_535
_NO_ACCESS = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    )
)
"""Error codes of SQLite that say nothing about what a file contains."""
_WAIT_STEP = 0.5
"""Seconds of one wait. On Windows, a wait without a limit cannot be interrupted."""


class LocalService:
    """The training API on this machine, as a context manager.

    Attributes:
        settings: The settings of the service.
        faults: Which calls fail, and how; may be changed while the service runs.
        endpoint: The URL for callers, such as `http://127.0.0.1:8080`.
        key: The key for callers.

    Example:
        >>> from regionbatch.local import LocalService
        >>> with LocalService() as service:
        ...     project = service.create_project("cells")
        ...     service.regions(project)
        []
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        faults: Faults | None = None,
        database: Path | None = None,
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the port and the database. The service responds after `start`.

        Args:
            settings: How the service behaves. [default: `Settings()`]
            faults: Which calls fail. [default: none]
            database: The SQLite file that keeps everything. [default: in memory]
            port: The port on 127.0.0.1. [default: 0, any free port]
            clock: Returns the time in seconds, for the lags and the rate of `Settings` and for
                late writes. A test that sets the time need not wait. [default: the real time]

        Raises:
            OptionError: The port is in use, or the database cannot be opened.
        """
        self.settings = settings or Settings()
        self.faults = faults or Faults(rate=0)
        self._socket = _listen(port)  # first, because it leaves no file if it fails
        try:
            self._store = _open(database, clock, self.settings.lags)
        except BaseException:
            self._socket.close()
            raise
        self.endpoint = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self.key = self.settings.key or ANY_KEY
        self._api = Api(self._store, self.settings, self.faults, clock)
        self._server = _Server(self._api)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="regionbatch-local"
        )

    @property
    def calls(self) -> Counter[str]:
        """The number of calls so far by operation, including refused and failed ones."""
        return self._api.calls

    def create_project(self, name: str, domain: DomainType = "ObjectDetection") -> str:
        """Create a project directly, without an API call, and return its ID.

        Args:
            name: The name; another project may have it.
            domain: The type of the project.
        """
        domain_id = next(row.id for row in DOMAINS if row.type == domain)
        with self._store.transaction():
            return self._store.add_project(name, None, domain_id, None, "")

    def project(self, name: str) -> str:
        """Return the ID of the project with this name; create the project if it does not exist.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     service.project("cells") == service.project("cells")
            True
        """
        with self._store.transaction():
            known = [row.id for row in self._store.projects() if row.name == name]
        return known[0] if known else self.create_project(name)

    def regions(self, project: str) -> list[StoredRegion]:
        """Return all regions of a project as they are stored now, without an API call or a lag.

        Args:
            project: The ID of the project.
        """
        self._api.apply_late_writes()
        with self._store.transaction():
            return self._store.regions(project)

    def start(self) -> None:
        """Start the service, and return when it responds."""
        self._thread.start()
        while self._thread.is_alive() and not self._server.ready.wait(_WAIT_STEP):
            pass

    def stop(self) -> None:
        """Wait up to a second for running calls, then close the port and the database."""
        self._server.stop()
        self.wait()
        self._store.close()

    def wait(self) -> None:
        """Wait until the service stops or Ctrl-C is pressed."""
        while self._thread.is_alive():
            self._thread.join(_WAIT_STEP)

    def __enter__(self) -> Self:
        """Start the service."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the service."""
        self.stop()


def run_service(
    settings: Settings | None = None,
    *,
    faults: Faults | None = None,
    database: Path | None = None,
    port: int = 0,
    ready: Callable[[LocalService], object] = lambda _service: None,
) -> None:
    """Serve in the foreground until Ctrl-C.

    Args:
        settings: How the service behaves. [default: `Settings()`]
        faults: Which calls fail. [default: none]
        database: The SQLite file that keeps everything. [default: in memory]
        port: The port on 127.0.0.1. [default: 0, any free port]
        ready: Called once with the service, when it responds.

    Raises:
        OptionError: The port is in use, or the database cannot be opened.
    """
    with (
        contextlib.suppress(KeyboardInterrupt),
        LocalService(settings, faults=faults, database=database, port=port) as service,
    ):
        ready(service)
        service.wait()


def _open(database: Path | None, clock: Callable[[], float], lags: Collection[float]) -> Store:
    try:
        return Store(database, clock=clock, lags=lags)
    except OSError as error:
        raise _database_error(database, "cannot be opened", error.strerror) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        what = "cannot be opened" if code in _NO_ACCESS else "not a database of the local service"
        raise _database_error(database, what, str(error)) from error


def _database_error(database: Path | None, what: str, reason: str | None) -> OptionError:
    return OptionError(
        f"{database}: {what}: '{reason}'. Choose another file with `database`.",
        option="database",
        value=str(database),
    )


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= _MAX_PORT:
        raise _port_error(port, f"must be from 0 to {_MAX_PORT}")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error  # without the address
        raise _port_error(port, f"cannot be opened ({reason})") from error


def _port_error(port: int, what: str) -> OptionError:
    return OptionError(
        f"port: {what}: '{port}'. Choose another port, or 0 for any free one.",
        option="port",
        value=port,
    )


class _Protocol(H11Protocol):
    """Gives each call its connection, so that a fault can break it, and sends without delay.

    asyncio disables Nagle's algorithm, but not for a socket from `socket.create_server`: each
    response would wait 40 ms for the caller's acknowledgement.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state: dict[str, Any] = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """A server that signals when it is ready. It runs in a thread, so it handles no signals."""

    def __init__(self, api: Api) -> None:
        super().__init__(
            uvicorn.Config(
                api.app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self.ready = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Ask the server to stop, from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has stopped already
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.ready.set()

    async def main_loop(self) -> None:
        """Wait for `stop`. The loop of uvicorn checks for it only ten times a second."""
        while not await self.on_tick(0):  # which also updates the date of responses
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop at once if no call is running. uvicorn always waits for 0.1 seconds."""
        for each in (*self.servers, *(sockets or ())):
            each.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # connections without a call are closed now
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
