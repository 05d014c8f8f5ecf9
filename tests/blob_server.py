"""An HTTP server with signed URLs that expire, in place of blob storage."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "s3cr3t-signature"
"""The start of every signature: a text that contains it leaks one."""


class Sent(NamedTuple):
    """A response of the server."""

    path: str
    status: int
    size: int


class BlobServer(ThreadingHTTPServer):
    """Serves `files` to callers with a signed URL, and records what it sends.

    Attributes:
        files: Bytes by path, which has no slash in front.
        redirects: Where the server redirects to, by path.
        sent: All responses so far.
        before: Called with the path before each response.
        found: Returns where to redirect a query to; for the path `get`.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.sent: list[Sent] = []
        self.signed = 0
        self.before: Callable[[str], object] = lambda _path: None
        self.found: Callable[[str], str] = lambda _query: ""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{quote(path)}"

    def sign(self, path: str, seconds: float) -> str:
        """Return a URL for a path, which may have a protocol in front."""
        path = path.rpartition("://")[2]
        self.signed += 1
        expires = f"{time.time() + seconds:.3f}"
        return f"{self.url(path)}?se={expires}&nr={self.signed}&sig={_signature(path, expires)}"

    def handle_error(self, *_arguments: object) -> None:
        """Say nothing: a caller may give up."""

    def sent_bytes(self) -> dict[str, int]:
        """Return how many bytes of each file were sent."""
        sizes: dict[str, int] = {}
        for path, _, size in self.sent:
            sizes[path] = sizes.get(path, 0) + size
        return sizes


def _signature(path: str, expires: str) -> str:
    return f"{SECRET}-{hashlib.sha256(f'{path}{expires}'.encode()).hexdigest()[:16]}%2F%2B%3D"


class _Handler(BaseHTTPRequestHandler):
    server: BlobServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path).removeprefix("/")
        self.server.before(path)
        if path == "get":
            self.server.redirects[path] = self.server.found(parts.query)
        status, content = self._found(path, parts.query)
        self.server.sent.append(Sent(path, status, len(content)))
        self.send_response(status)
        if path in self.server.redirects:
            self.send_header("Location", self.server.redirects[path])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _found(self, path: str, query: str) -> tuple[int, bytes]:
        if path in self.server.redirects:
            return 302, b""
        given = {name: values[0] for name, values in parse_qs(query).items()}
        expires = given.get("se", "0")
        if given.get("sig") != unquote(_signature(path, expires)) or float(expires) < time.time():
            return 403, b"the signature is wrong or has expired"
        if path not in self.server.files:
            return 404, b"no such blob"
        return 200, self.server.files[path]

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@contextmanager
def blob_server() -> Iterator[BlobServer]:
    """Run a server."""
    with BlobServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
