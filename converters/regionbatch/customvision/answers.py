"""Answers from whoever is at the endpoint: no more bytes and no more seconds than the service ever needs.

The limits are kept where bytes leave the socket, so they hold for every part of an answer: status lines, headers that
go on for ever, an endless row of `100 Continue`, chunks, a body that drips. What a body is unpacked to has a limit too.
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

ANSWER_BYTES = 64 * 2**20
"""Bytes of an answer, as sent and as unpacked. The largest are pages of 256 images with 300 regions: about 27 MB."""

TIMEOUTS_PER_ANSWER = 5
"""Timeouts that an answer may take as a whole; each of its parts may take one."""


class _Limited(io.RawIOBase):
    """What a socket receives, up to `ANSWER_BYTES` bytes and a deadline."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock, self._raw, self._left = sock, raw, ANSWER_BYTES
        self._timeout = sock.gettimeout()
        self._end = time.monotonic() + TIMEOUTS_PER_ANSWER * (self._timeout or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - bytes to write to
        if self._timeout is not None:
            seconds = self._end - time.monotonic()
            if seconds <= 0:
                raise TimeoutError(f"the answer takes longer than {TIMEOUTS_PER_ANSWER * self._timeout:.0f} seconds")
            self._sock.settimeout(min(self._timeout, seconds))
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise _too_long()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that is read through the limits."""

    def __init__(self, sock: socket.socket, *given: Any, **more: Any) -> None:  # noqa: ANN401 - those of the base
        super().__init__(sock, *given, **more)
        self.fp = io.BufferedReader(_Limited(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _Answer


class _TlsConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """Opens connections whose answers have limits, also those to a proxy."""

    def init_poolmanager(self, *given: Any, **more: Any) -> None:  # noqa: ANN401 - those of the base
        super().init_poolmanager(*given, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - the same
        manager = super().proxy_manager_for(*given, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Session(requests.Session):
    """Follows no redirect: to prepare one, the base unpacks the whole body."""

    def resolve_redirects(self, *_given: Any, **_more: Any) -> Any:  # noqa: ANN401 - those of the base
        return iter(())


def limited_session(*, trust_env: bool) -> requests.Session:
    """Make a session whose answers have limits; with `trust_env`, it goes through the proxy of the environment."""
    session = _Session()
    session.trust_env = trust_env
    for scheme in _POOLS:
        session.mount(f"{scheme}://", _Adapter())
    return session


def unpacked(chunks: Iterable[bytes], encoding: str) -> bytes:
    """Read a body to its end, and unpack it if it is packed: `gzip` is all that is asked for.

    Raises:
        OSError: It is too long, cannot be unpacked, or is packed in another way.
    """
    received = bytearray()
    for chunk in chunks:  # not joined: somebody may send each byte in a chunk of its own
        received += chunk
    if encoding.strip().lower() in ("", "identity"):
        return bytes(received)
    if encoding.strip().lower() != "gzip":
        raise OSError(f"the answer is packed as '{encoding:.40}', which was not asked for")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(received)) as packed:
            body = packed.read(ANSWER_BYTES + 1)
    except (EOFError, zlib.error) as error:
        raise OSError(str(error)) from error
    if len(body) > ANSWER_BYTES:
        raise _too_long()
    return body


def _too_long() -> OSError:
    return OSError(f"the answer is longer than {ANSWER_BYTES // 2**20} MB")
