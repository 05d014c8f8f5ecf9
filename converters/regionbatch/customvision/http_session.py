"""An HTTP session that limits the size and the duration of every response.

The limits apply where bytes leave the socket, so they cover every part of a response: status lines,
endless headers, an endless series of `100 Continue`, chunks, and a body that arrives byte by byte.
The size of an unpacked body is limited too. `requests` and urllib3 have timeouts for single reads
only, and no limit on sizes.
"""

from __future__ import annotations

import gzip
import http.client
import io
import time
import zlib
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

MAX_RESPONSE_BYTES = 64 * 2**20
"""Maximum size of a response, as sent and as unpacked.

The largest responses are pages of 256 images with 300 regions each, about 27 MB.
"""

TIMEOUTS_PER_RESPONSE = 5
"""Maximum duration of a whole response, in read timeouts; each read may take one timeout."""


class _LimitedSocket(io.RawIOBase):
    """The bytes received from a socket, up to `MAX_RESPONSE_BYTES` and a deadline."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._bytes_left = MAX_RESPONSE_BYTES
        self._timeout = sock.gettimeout()
        self._deadline = time.monotonic() + TIMEOUTS_PER_RESPONSE * (self._timeout or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - a writable buffer
        if self._timeout is not None:
            seconds_left = self._deadline - time.monotonic()
            if seconds_left <= 0:
                longest = TIMEOUTS_PER_RESPONSE * self._timeout
                raise TimeoutError(f"the response takes longer than {longest:.0f} s")
            self._sock.settimeout(min(self._timeout, seconds_left))
        count = self._raw.readinto(buffer)
        self._bytes_left -= count or 0
        if self._bytes_left < 0:
            raise _too_long()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_LimitedSocket(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _LimitedResponse


class _TlsConnection(HTTPSConnection):
    response_class = _LimitedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """Opens connections with limited responses, including those to a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the base
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the base
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Session(requests.Session):
    """A session that follows no redirect: preparing one would unpack the whole body."""

    def resolve_redirects(self, *_args: Any, **_kwargs: Any) -> Any:  # noqa: ANN401 - as the base
        return iter(())


def limited_session(*, trust_env: bool) -> requests.Session:
    """Return a session with limited responses.

    Args:
        trust_env: Whether to use the proxy that the environment names.
    """
    session = _Session()
    session.trust_env = trust_env
    for scheme in _POOLS:
        session.mount(f"{scheme}://", _Adapter())
    return session


def read_body(chunks: Iterable[bytes], encoding: str) -> bytes:
    """Read a whole body and unpack it if it is compressed with gzip, the only encoding requested.

    Raises:
        OSError: The body is too long, cannot be unpacked, or has another encoding.
    """
    received = bytearray()
    for chunk in chunks:  # not joined: a hostile server may send each byte as a chunk
        received += chunk
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return bytes(received)
    if encoding != "gzip":
        raise OSError(f"the response has an encoding that was not requested: {encoding:.40}")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(received)) as packed:
            body = packed.read(MAX_RESPONSE_BYTES + 1)
    except (EOFError, zlib.error) as error:
        raise OSError(str(error)) from error
    if len(body) > MAX_RESPONSE_BYTES:
        raise _too_long()
    return body


def _too_long() -> OSError:
    return OSError(f"the response is longer than {MAX_RESPONSE_BYTES // 2**20} MB")
