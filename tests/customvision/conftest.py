"""A server with scripted responses that the local service never sends, and a `Place`."""

from __future__ import annotations

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

import pytest
from customvision.command_place import KEY, Place
from customvision.rehearsal import rehearsal

from regionbatch import limits
from regionbatch.local import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class ReceivedRequest(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class ScriptedServer(ThreadingHTTPServer):
    """Sends responses in turn, and records the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.responses: deque[tuple[int, dict[str, str], bytes]] = deque()
        self.requests: list[ReceivedRequest] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add_response(self, status: int, body: bytes | str = b"", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.responses.append((status, named, body.encode() if isinstance(body, str) else body))


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer
    protocol_version = "HTTP/1.1"

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(
            ReceivedRequest(self.command, self.path, dict(self.headers), body)
        )
        status, headers, content = self.server.responses.popleft()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _respond  # noqa: N815 - the names that http.server calls

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def any_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands in this process ignore the call rate of their tier."""
    tiers = {name: tier._replace(calls_per_second=1e4) for name, tier in limits.TIERS.items()}
    monkeypatch.setattr(limits, "TIERS", tiers)


@pytest.fixture
def place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    any_rate: None,  # noqa: ARG001
) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    with rehearsal(Settings(key=KEY)) as (service, project, client):
        monkeypatch.setenv("VISION_TRAINING_ENDPOINT", f"{service.endpoint}/")
        monkeypatch.setenv("VISION_TRAINING_KEY", KEY)
        yield Place(tmp_path, service, project, client)
