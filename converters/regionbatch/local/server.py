"""The service on 127.0.0.1: in the background for a test or a rehearsal, in the foreground for `regionbatch serve`."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from regionbatch.errors import OptionError

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from regionbatch.local.app import Api
except ImportError as error:
    raise OptionError(
        f'local service: a library is missing, got "{error}"; install it with: pip install "regionbatch[local]"'
    ) from error

from regionbatch.local.contract import DOMAINS
from regionbatch.local.faults import Faults
from regionbatch.local.settings import Settings
from regionbatch.local.store import Store

if TYPE_CHECKING:
    import asyncio
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from regionbatch.local.contract import DomainType, ImageRegionCreateResult

ANY_KEY = "local"
HOST = "127.0.0.1"
_SLICE = 0.5
"""Seconds of a wait: one without end cannot be interrupted on Windows."""


class LocalService:
    """The training API on this machine; a context manager.

    >>> with LocalService() as service:
    ...     project = service.create_project("cells")
    ...     client = TrainingClient(service.endpoint, service.key)

    Everything is kept in memory, or in the SQLite file `database`. `faults` break a share of the calls.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        faults: Faults | None = None,
        database: Path | None = None,
        port: int = 0,
    ) -> None:
        """Open the port (0: a free one) and the database; answers begin with `start`.

        Raises:
            OptionError: when the port is in use, or the database cannot be opened.

        """
        self.settings = settings or Settings()
        self.faults = faults or Faults(rate=0)
        self._store = _open(database)
        try:
            self._socket = _listen(port)
        except OptionError:
            self._store.close()
            raise
        self.endpoint = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self.key = self.settings.key or ANY_KEY
        self._api = Api(self._store, self.settings, self.faults)
        self._server = _Server(self._api)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="regionbatch-local")

    @property
    def calls(self) -> Counter[str]:
        """Calls so far by operation, as the contract names them, refused and failed ones included."""
        return self._api.calls

    def create_project(self, name: str, domain: DomainType = "ObjectDetection") -> str:
        """Make a project without a call; its id."""
        wanted = next(row.id for row in DOMAINS if row.type == domain)
        with self._store.transaction():
            return self._store.add_project(name, None, wanted, None, "")

    def project(self, name: str) -> str:
        """The id of the project of this name; it is made if there is none."""
        with self._store.transaction():
            known = [row.id for row in self._store.projects() if row.name == name]
        return known[0] if known else self.create_project(name)

    def regions(self, project: str) -> list[ImageRegionCreateResult]:
        """Return all regions of a project as they are stored, without a call."""
        with self._store.transaction():
            return self._store.regions(project)

    def start(self) -> None:
        """Start answering; returns when the service does."""
        self._thread.start()
        while self._thread.is_alive() and not self._server.ready.wait(_SLICE):
            pass

    def stop(self) -> None:
        """Finish the calls under way (for a second at most), then close port and database."""
        self._server.should_exit = True
        self.wait()
        self._store.close()

    def wait(self) -> None:
        """Wait until the service ends, or Ctrl-C."""
        while self._thread.is_alive():
            self._thread.join(_SLICE)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


def run_service(
    settings: Settings | None = None,
    *,
    database: Path | None = None,
    port: int = 0,
    ready: Callable[[LocalService], object] = lambda _service: None,
) -> None:
    """Serve until Ctrl-C; `ready` is called once, with the service, when it answers."""
    with contextlib.suppress(KeyboardInterrupt), LocalService(settings, database=database, port=port) as service:
        ready(service)
        service.wait()


def _open(database: Path | None) -> Store:
    try:
        return Store(database)
    except OSError as error:
        raise OptionError(f"{database}: cannot be opened: '{error.strerror}'. Choose another file.") from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN:
            raise OptionError(f"{database}: cannot be opened, got {str(error)!r}; check the folder") from error
        raise OptionError(
            f"{database}: is no database of this service, got {str(error)!r}; name a new file, or one that it made"
        ) from error


def _listen(port: int) -> socket.socket:
    hint = f"got {port}; name another one, or 0 for a free one"
    if not 0 <= port <= 65_535:
        raise OptionError(f"port: out of range, {hint}")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise OptionError(f"port: cannot be opened ({error}), {hint}") from error


class _Protocol(H11Protocol):
    """Give a call its connection, so that a fault can break it; and send the two parts of an answer without delay.

    asyncio would turn Nagle's algorithm off itself, but not on a socket that `socket.create_server` made: each answer
    then waits 40 ms for the caller's acknowledgement.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state: dict[str, Any] = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """A server that says when it answers, and leaves signals alone: it runs in a thread."""

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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
