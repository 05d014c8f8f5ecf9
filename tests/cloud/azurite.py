"""The storage emulator of Azure, Azurite, started once for the tests, with a proxy that counts.

It is the npm package `azurite`. It keeps everything in memory, and calls nothing on the network.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

from helpers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account key of the emulator, from its documentation."""
LEAVES_CONNECTIONS = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
"""Marks of tests with adlfs, which leaves its connections open until the process ends."""
_OPTIONS = ("--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
_SECONDS = 60


def emulator_program() -> str | None:
    """Return the path of the emulator: from AZURITE_BLOB, PATH or ./node_modules; or None."""
    found = os.environ.get("AZURITE_BLOB") or shutil.which("azurite-blob")
    return found or shutil.which("azurite-blob", path=ROOT / "node_modules" / ".bin")


class Get(NamedTuple):
    """A request that read a blob."""

    blob: str
    size: int
    at_once: int
    """Number of requests in progress when this one arrived, including itself."""
    is_whole: bool
    """Whether it read the whole blob."""
    by_library: bool
    """Whether the Azure library sent it."""


class CountingProxy(ThreadingHTTPServer):
    """Passes requests on to the emulator, and records those that read blobs."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.gets: list[Get] = []
        self.under_way = 0
        self.lock = threading.Lock()

    def handle_error(self, *_arguments: object) -> None:
        """Say nothing: clients may close connections."""


class _Handler(BaseHTTPRequestHandler):
    server: CountingProxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        server = self.server
        with server.lock:
            server.under_way += 1
            at_once = server.under_way
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_SECONDS)
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            content = response.read()
            connection.close()
        finally:
            with server.lock:
                server.under_way -= 1
        parts = urlsplit(self.path)
        if self.command == "GET" and "comp=list" not in parts.query:
            blob = unquote(parts.path).split("/", 2)[2]
            is_whole = not {"range", "x-ms-range"} & {name.lower() for name in self.headers}
            by_library = "azsdk" in self.headers.get("User-Agent", "")
            server.gets.append(Get(blob, len(content), at_once, is_whole, by_library))
        self.send_response(response.status)
        for name, value in response.headers.items():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        length = response.headers.get("Content-Length", "0") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass_on  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


class Emulator(NamedTuple):
    """A running emulator with one account."""

    proxy: CountingProxy

    @property
    def connection_string(self) -> str:
        port = self.proxy.server_address[1]
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        )

    @property
    def options(self) -> dict[str, Any]:
        """The storage options that open the account."""
        return {"connection_string": self.connection_string}

    def limited(self, container: str, permission: str) -> str:
        """Return a connection string with a signature that permits some calls, such as `rl`."""
        from azure.storage.blob import generate_container_sas  # noqa: PLC0415 - with adlfs only

        expiry = datetime.now(UTC) + timedelta(hours=1)
        signature = generate_container_sas(
            ACCOUNT, container, account_key=KEY, permission=permission, expiry=expiry
        )
        endpoint = f"http://127.0.0.1:{self.proxy.server_address[1]}/{ACCOUNT}"
        return f"BlobEndpoint={endpoint};SharedAccessSignature={signature}"

    def container(self, name: str) -> Any:
        """Return a client of the Azure library for a container, which is created if needed."""
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - with adlfs only
        from azure.storage.blob import ContainerClient  # noqa: PLC0415

        client = ContainerClient.from_connection_string(self.connection_string, name)
        with suppress(ResourceExistsError):
            client.create_container()
        return client

    def put_folder(self, folder: Path, container: str, prefix: str) -> None:
        """Upload the files of a folder."""
        with self.container(container) as client:
            for path in folder.rglob("*"):
                if path.is_file():
                    name = f"{prefix}/{path.relative_to(folder).as_posix()}"
                    client.upload_blob(name, path.read_bytes(), overwrite=True)


@contextmanager
def running_emulator(program: str, folder: Path) -> Iterator[Emulator]:
    """Start the emulator, and a proxy in front of it."""
    command = [program, *_OPTIONS, "--blobHost", "127.0.0.1", "--blobPort", "0"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    )
    try:
        with CountingProxy(_port_of(process)) as proxy:
            thread = threading.Thread(target=proxy.serve_forever, daemon=True)
            thread.start()
            yield Emulator(proxy)
            proxy.shutdown()
            thread.join()
    finally:
        process.terminate()
        process.communicate()


def _port_of(process: subprocess.Popen[str]) -> int:
    """Return the port that the emulator has chosen, once it listens."""
    timer = threading.Timer(_SECONDS, process.kill)
    timer.start()
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"listens on http://127\.0\.0\.1:(\d+)", line):
            timer.cancel()
            return int(found[1])
    raise AssertionError(f"azurite-blob does not listen, and ended with {process.wait()}")
