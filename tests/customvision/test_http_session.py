"""Limits on the size of a response, compressed and unpacked, and on its duration."""

from __future__ import annotations

import copy
import gzip
import itertools
import pickle
import socket
import threading
import time
import tracemalloc
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from customvision.test_training_client import BATCH, KEY, PROJECT

import regionbatch as rb
from regionbatch.customvision import http_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from customvision.conftest import ScriptedServer

TIMEOUT = 0.2
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def server(parts: Iterable[bytes], pause: float = 0) -> Iterator[str]:
    """Send these bytes to each connection, with a pause before each part; yield the endpoint."""
    stop = threading.Event()
    copies = itertools.tee(parts, 20)

    def respond(connection: socket.socket, parts: Iterable[bytes]) -> None:
        with connection, suppress(OSError):
            connection.recv(2**16)
            for part in parts:
                if stop.wait(pause) if pause else stop.is_set():
                    return
                connection.sendall(part)
            stop.wait()

    def serve() -> None:
        with suppress(OSError):
            for each in copies:
                threads.append(threading.Thread(target=respond, args=(listening.accept()[0], each)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads = [threading.Thread(target=serve)]
        threads[0].start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        stop.set()
        listening.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()


BOMB = gzip.compress(bytes(2**26))


ENDLESS = {
    "a body": itertools.chain([HEAD, b"\r\n["], itertools.repeat(b'{"id": ""},' * 1000)),
    "chunks": itertools.chain(
        [HEAD, b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"1\r\n[\r\n" * 1000)
    ),
    "the length of a chunk": itertools.chain(
        [HEAD, b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"0" * 2**16)
    ),
    "trailers": itertools.chain(
        [HEAD, b"Transfer-Encoding: chunked\r\n\r\n0\r\n"], itertools.repeat(b"a: b\r\n" * 1000)
    ),
    "100 Continue": itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "headers": itertools.chain([HEAD], itertools.repeat(b"a: b\r\n" * 1000)),
    "a header": itertools.chain([HEAD, b"a: "], itertools.repeat(b"b" * 2**16)),
    "a status line": itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"OK" * 1000)),
    "the body of an error": itertools.chain(
        [b"HTTP/1.1 500 No\r\n\r\n"], itertools.repeat(b"no" * 1000)
    ),
    "the body of a redirect": itertools.chain(
        [b"HTTP/1.1 302 Found\r\nLocation: /a\r\n\r\n"], itertools.repeat(b"no" * 1000)
    ),
}


@pytest.mark.parametrize("parts", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_response(parts: Iterable[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_session, "MAX_RESPONSE_BYTES", 2**18)
    with server(parts) as endpoint, rb.TrainingClient(endpoint, KEY, timeout=5) as client:
        tracemalloc.start()
        with pytest.raises(rb.TransportError) as caught:
            client.domains()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert caught.value.status == 0
    assert peak < 2**23


DRIPPING = {
    "a status line": b"HTTP/1.1 200 " + b"O" * 1000,
    "headers": HEAD + b"a: " + b"b" * 1000,
    "a body": HEAD + b"Content-Length: 1000\r\n\r\n" + b"[" * 1000,
}


@pytest.mark.parametrize("text", DRIPPING.values(), ids=DRIPPING)
def test_a_response_that_arrives_byte_by_byte(text: bytes) -> None:
    parts = [text[:-1000], *(text[at : at + 1] for at in range(len(text) - 1000, len(text)))]
    start = time.monotonic()
    with (
        server(parts, pause=TIMEOUT / 4) as endpoint,
        rb.TrainingClient(endpoint, KEY, timeout=TIMEOUT) as client,
    ):
        with pytest.raises(rb.TransportError):
            client.create_regions(PROJECT, BATCH)
        seconds = time.monotonic() - start
    assert TIMEOUT < seconds < 30, "all bytes take 50 seconds"


def test_a_whole_response_may_take_longer_than_one_timeout() -> None:
    body = b"[]".center(20)
    parts = [HEAD + b"Content-Length: 20\r\n\r\n", *(body[at : at + 2] for at in range(0, 20, 2))]
    with (
        server(parts, pause=0.15) as endpoint,
        rb.TrainingClient(endpoint, KEY, timeout=1) as client,
    ):
        assert client.domains() == []


@pytest.mark.parametrize("status", [200, 302, 404, 500])
@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "deflate", "br"])
def test_a_decompression_bomb(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, status: int, encoding: str
) -> None:
    monkeypatch.setattr(http_session, "MAX_RESPONSE_BYTES", 2**20)
    body = gzip.compress(BOMB) if "," in encoding else BOMB
    scripted.add_response(status, body, Content_Encoding=encoding, Location="/a")
    with rb.TrainingClient(scripted.endpoint, KEY) as client:
        tracemalloc.start()
        with pytest.raises(rb.TransportError):
            client.domains()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 16 * 2**20


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"[]")[:-3], b"[]", gzip.compress(b"[]") + b"x" * 30],
    ids=["truncated", "not compressed", "with trailing bytes"],
)
def test_a_body_that_cannot_be_unpacked(scripted: ScriptedServer, body: bytes) -> None:
    scripted.add_response(200, body, Content_Encoding="gzip")
    with rb.TrainingClient(scripted.endpoint, KEY) as client, pytest.raises(rb.TransportError):
        client.domains()


def test_a_compressed_body(scripted: ScriptedServer) -> None:
    """The connection is reused."""
    with rb.TrainingClient(scripted.endpoint, KEY) as client:
        for encoding in ("gzip", "GZIP"):
            scripted.add_response(200, gzip.compress(b'[{"id": "a"}]'), Content_Encoding=encoding)
            assert [domain.id for domain in client.domains()] == ["a"]
    assert scripted.requests[0].headers["Accept-Encoding"] == "gzip"


def test_the_largest_page_of_the_service_is_within_the_limit() -> None:
    """A page of 256 images with 300 regions each, with all members of the API."""
    region = (
        b'{"regionId":"%(id)s","tagName":"%(name)s","created":"2026-01-01T00:00:00.0000000Z",'
        b'"tagId":"%(id)s",'
        b'"left":0.12345678,"top":0.12345678,"width":0.12345678,"height":0.12345678}'
    ) % {b"id": b"-" * 36, b"name": b"x" * 64}
    assert 2 * 256 * (300 * len(region) + 2000) < http_session.MAX_RESPONSE_BYTES


@pytest.mark.parametrize("through", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_cannot_be_pickled_or_copied(through: object) -> None:
    """The key would be in the copy."""
    client = rb.TrainingClient("https://a.example", KEY)
    with pytest.raises(TypeError) as caught:
        through(client)  # type: ignore[operator]
    assert KEY not in str(caught.value)
