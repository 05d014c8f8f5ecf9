"""Fetch the images of CreateImagesFromUrls, from servers on this machine only.

The real service fetches from the Internet. This one never leaves the machine: a host must be a
loopback address or `localhost`, even after a redirect, so that no call can reach another network.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from regionbatch.local.rules import NO_SOURCE, TOO_LARGE, inspect_image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from urllib.parse import SplitResult

    from regionbatch.local.rules import ImageFile
    from regionbatch.local.settings import Limits

AT_A_TIME = 8
"""Images of a call that are fetched at a time."""
SECONDS = 20.0
"""Longest time to fetch an image, redirects included."""
MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PUNCTUATION = "!#$%&'()*+,-./:;=?@[]_~"
"""Characters that stay unquoted in the target of a request."""


class _TooLargeError(Exception):
    pass


def fetch_images(urls: Iterable[str], limits: Limits) -> dict[str, ImageFile]:
    """Fetch images, and return what was found at each URL."""
    different = [*dict.fromkeys(urls)]
    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="regionbatch-fetch") as threads:
        found = threads.map(partial(fetch_image, limits=limits), different)
        return dict(zip(different, found, strict=True))


def fetch_image(url: str, limits: Limits) -> ImageFile:
    """Fetch an image; one that cannot be fetched has the status `ErrorSource`."""
    try:
        return inspect_image(_content_at(url, limits.image_bytes), limits)
    except _TooLargeError:
        return TOO_LARGE
    except (OSError, ValueError, http.client.HTTPException):
        return NO_SOURCE


def _content_at(url: str, most: int) -> bytes:
    """Return the content at a URL, if it has at most `most` bytes."""
    deadline = time.monotonic() + SECONDS
    for _ in range(1 + MAX_REDIRECTS):
        parts = urlsplit(url)
        with closing(_connect(parts, deadline)) as connection:
            # A server that sends a byte now and then never runs into a timeout of the socket.
            timer = threading.Timer(deadline - time.monotonic(), _interrupt, [connection.sock])
            timer.start()
            try:
                response = _get(connection, parts)
                if response.status not in _REDIRECTS:
                    return _read(response, most, deadline)
            finally:
                timer.cancel()
            url = urljoin(url, response.headers.get("Location", ""))
    raise ValueError("too many redirects")


def _connect(parts: SplitResult, deadline: float) -> http.client.HTTPConnection:
    """Connect to a server on this machine."""
    host = parts.hostname or ""
    if parts.scheme != "http":
        raise ValueError("not http")
    addresses = _loopback_addresses(host)
    connection = http.client.HTTPConnection(host, parts.port or 80)
    timeout = deadline - time.monotonic()
    if timeout <= 0:
        raise TimeoutError
    connection.sock = socket.create_connection((addresses[0], connection.port), timeout)
    return connection


def _loopback_addresses(host: str) -> list[str]:
    """Return the addresses of a host that is this machine. No name server is asked about others."""
    if host == "localhost" or host.endswith(".localhost"):
        found = [row[4][0] for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    else:
        found = [host]
    if not all(ipaddress.ip_address(address).is_loopback for address in found):
        raise ValueError("not on this machine")
    return [str(address) for address in found]


def _get(connection: http.client.HTTPConnection, parts: SplitResult) -> http.client.HTTPResponse:
    target = quote(parts.path or "/", safe=_PUNCTUATION)
    if parts.query:
        target += f"?{quote(parts.query, safe=_PUNCTUATION)}"
    host = parts.netloc.rpartition("@")[2]
    connection.request("GET", target, headers={"Host": host, "Accept-Encoding": "identity"})
    return connection.getresponse()


def _read(response: http.client.HTTPResponse, most: int, deadline: float) -> bytes:
    """Return the body of a response.

    Raises:
        ValueError: The body is incomplete.
        _TooLargeError: It is larger than `most`.
    """
    if response.status != http.client.OK:
        raise ValueError("no content")
    if (response.length or 0) > most:
        raise _TooLargeError
    content = response.read(most + 1)
    if len(content) > most:
        raise _TooLargeError
    if response.length or time.monotonic() > deadline:
        raise ValueError("truncated")
    return content


def _interrupt(connected: socket.socket) -> None:
    """End a transfer in another thread."""
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
