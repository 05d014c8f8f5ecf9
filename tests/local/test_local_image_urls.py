"""CreateImagesFromUrls: the service fetches images, but never leaves this machine."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from blob_server import BlobServer, blob_server

from regionbatch.local import TIERS, Fault, Faults, image_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.conftest import Reply, Workspace

    Start = Callable[..., Workspace]


@pytest.fixture
def blobs() -> Iterator[BlobServer]:
    with blob_server() as server:
        yield server


def post(work: Workspace, *urls: str, **batch: Any) -> Reply:
    return work.call("POST", "{p}/images/urls", {"images": [{"url": url} for url in urls], **batch})


def statuses(reply: Reply) -> dict[str, str]:
    return {row["sourceUrl"]: row["status"] for row in reply.json["images"]}


@pytest.mark.parametrize("version", ["v3.2", "v3.3", "v3.4-preview"])
def test_images_are_fetched_and_named_by_their_urls(
    workspace: Start, blobs: BlobServer, version: str
) -> None:
    work = workspace(version=version)
    for number in range(9, 30):
        blobs.files[f"set/ä {number}#?.png"] = work.image_file(number)
    urls = [blobs.sign(path, 60) for path in blobs.files]
    reply = post(work, *urls, tagIds=[work.tag])
    assert reply.status == 200
    assert statuses(reply) == dict.fromkeys(urls, "OK")
    assert list(statuses(reply)) != urls, "in random order"
    image = reply.json["images"][0]["image"]
    assert (image["width"], image["height"], image["tags"][0]["tagId"]) == (32, 24, work.tag)
    assert blobs.sent_bytes() == {path: len(content) for path, content in blobs.files.items()}


def test_the_same_bytes_keep_their_id(workspace: Start, blobs: BlobServer) -> None:
    work = workspace()
    blobs.files |= {"a.png": work.image_file(1), "b.png": work.image_file(9)}
    first, again = blobs.sign("b.png", 60), blobs.sign("b.png", 60)
    reply = post(work, blobs.sign("a.png", 60), first, again)
    assert sorted(statuses(reply).values()) == ["OK", "OKDuplicate", "OKDuplicate"]
    ids = {row["sourceUrl"]: row["image"]["id"] for row in reply.json["images"]}
    assert ids[first] == ids[again]
    assert work.images[0] in ids.values()


def test_each_image_has_its_own_status(workspace: Start, blobs: BlobServer) -> None:
    work = workspace(version="v3.3", limits=replace(TIERS["F0"], image_bytes=5_000, aspect=5))
    png = work.image_file(9)
    blobs.files |= {
        "good": png,
        "text": b"not an image",
        "empty": b"",
        "heavy": png + bytes(5_000),
        "thin": work.image_file(9, size=(51, 10)),
        "expired": png,
    }
    urls = {path: blobs.sign(path, 60) for path in [*blobs.files, "missing"]}
    urls["expired"] = blobs.sign("expired", -1)
    reply = post(work, *urls.values())
    assert reply.status == 207
    found = statuses(reply)
    assert {path: found[url] for path, url in urls.items()} == {
        "good": "OK",
        "text": "ErrorImageFormat",
        "empty": "ErrorSource",
        "heavy": "ErrorImageSize",
        "thin": "ErrorImageDimensions",
        "expired": "ErrorSource",
        "missing": "ErrorSource",
    }
    assert reply.json["isBatchSuccessful"] is False


def test_redirects_stay_on_this_machine(workspace: Start, blobs: BlobServer) -> None:
    work = workspace()
    blobs.files["a.png"] = work.image_file(9)
    blobs.redirects |= {
        "here": blobs.sign("a.png", 60),
        "relative": "here",
        "away": "http://192.0.2.1/a.png",
        "name": "http://example.com/a.png",
        "loop": "loop",
        "nowhere": "",
        "file": "file:///etc/passwd",
    }
    reply = post(work, *map(blobs.url, blobs.redirects))
    found = statuses(reply)
    assert {path: found[blobs.url(path)] for path in blobs.redirects} == {
        "here": "OK",
        "relative": "OKDuplicate",
        "away": "ErrorSource",
        "name": "ErrorSource",
        "loop": "ErrorSource",
        "nowhere": "ErrorSource",
        "file": "ErrorSource",
    }


OUTSIDE = [
    "http://192.0.2.1/a.png",
    "http://example.com/a.png",
    "http://127.0.0.1.example.com/a.png",
    "http://notlocalhost/a.png",
    "http://0.0.0.0:{port}/a.png",
    "http://2130706433:{port}/a.png",
    "http://[::]:{port}/a.png",
    "https://127.0.0.1:{port}/a.png",
    "ftp://127.0.0.1:{port}/a.png",
    "file:///etc/passwd",
    "http://user@192.0.2.1@127.0.0.1/",
    "http://127.0.0.1:99999/",
    "http://[127.0.0.1/",
    "//127.0.0.1:{port}/a.png",
    "a.png",
    "",
    "http://127.0.0.1:{port}/a.png\r\nHost: x",
    "http://127.0.0.1:1/a.png",
]


def test_no_other_address_is_asked(
    workspace: Start, blobs: BlobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a name server is asked."""
    work = workspace()
    asked: list[str] = []
    connect, resolve = socket.create_connection, socket.getaddrinfo

    def only_here(address: Any, *more: Any, **options: Any) -> Any:
        asked.append(address[0])
        return connect(address, *more, **options)

    def recorded(host: Any, *more: Any, **options: Any) -> Any:
        asked.append(host)
        return resolve(host, *more, **options)

    monkeypatch.setattr(socket, "create_connection", only_here)
    monkeypatch.setattr(socket, "getaddrinfo", recorded)
    blobs.files["a.png"] = work.image_file(9)
    urls = [url.format(port=blobs.server_port) for url in OUTSIDE]
    reply = post(work, *urls)
    assert statuses(reply) == dict.fromkeys(urls, "ErrorSource")
    assert {*asked} <= {"127.0.0.1"}
    signed = blobs.sign("a.png", 60).replace("127.0.0.1", "localhost")
    assert statuses(post(work, signed)) == {signed: "OK"}


def test_a_slow_server_is_abandoned(workspace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends a byte now and then, in its headers or its body."""
    monkeypatch.setattr(image_sources, "SECONDS", 0.4)
    work = workspace()
    starts = (
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"",
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def trickle(connection: socket.socket, start: bytes) -> None:
            with connection:
                try:
                    connection.sendall(start)
                    while True:
                        connection.sendall(b"x")
                        time.sleep(0.02)
                except OSError:
                    return

        def serve() -> None:
            for start in starts:
                connection, _ = listening.accept()
                threading.Thread(target=trickle, args=[connection, start], daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        port = listening.getsockname()[1]
        urls = [f"http://127.0.0.1:{port}/{number}" for number in range(len(starts))]
        start_time = time.monotonic()
        assert statuses(post(work, *urls)) == dict.fromkeys(urls, "ErrorSource")
        assert time.monotonic() - start_time < 5


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n\x89PNG",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\x89PNG",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\n\r\n\x89PNG",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_damaged_responses(workspace: Start, response: bytes) -> None:
    work = workspace()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(response)

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/a.png"
        assert statuses(post(work, url)) == {url: "ErrorSource"}


def test_other_calls_are_answered_while_images_are_fetched(
    workspace: Start, blobs: BlobServer
) -> None:
    work = workspace()
    blobs.files["a.png"] = work.image_file(9)
    asked, answered = threading.Event(), threading.Event()

    def wait(_path: str) -> None:
        asked.set()
        answered.wait(10)

    blobs.before = wait
    replies: list[Reply] = []
    call = threading.Thread(target=lambda: replies.append(post(work, blobs.sign("a.png", 60))))
    call.start()
    assert asked.wait(10)
    assert work.call("POST", "{p}/tags", name="other").status == 200
    answered.set()
    call.join()
    assert replies[0].json["isBatchSuccessful"]


def test_limits_of_a_batch(workspace: Start, blobs: BlobServer) -> None:
    work = workspace()
    too_many = [blobs.sign(f"{number}.png", 60) for number in range(65)]
    assert post(work, *too_many).code == "BadRequestExceededBatchSize"
    for body in (b"", b"{}", b'{"images": []}', b'{"images": [{"uri": "x"}]}'):
        assert work.call("POST", "{p}/images/urls", body).code == "BadRequestImageBatch"
    assert not blobs.sent, "nothing was fetched"
    work.project = work.project[::-1]
    assert post(work, "http://127.0.0.1:1/").status == 404


@pytest.mark.parametrize(
    ("fault", "applied"),
    [(Fault.ERROR_504_LATE, 1), (Fault.ERROR_503, 0), (Fault.ERROR_503_APPLIED, 1)],
)
def test_faults(workspace: Start, blobs: BlobServer, fault: Fault, applied: int) -> None:
    work = workspace(faults=Faults(rate=1, kinds=(fault,), cap=1, late=0))
    blobs.files["a.png"] = work.image_file(9)
    assert post(work, blobs.sign("a.png", 60)).status in (503, 504)
    assert work.call("GET", "{p}/images/untagged/count").json == 2 + applied


def test_metadata_and_regions(workspace: Start, blobs: BlobServer) -> None:
    work = workspace(version="v3.3")
    blobs.files["a.png"] = work.image_file(9)
    region = {"tagId": work.tag, "left": 0, "top": 0, "width": 0.5, "height": 0.5}
    entry = {"url": blobs.sign("a.png", 60), "regions": [region]}
    body = {"images": [entry], "metadata": {"name": "a"}}
    [row] = work.call("POST", "{p}/images/urls", body).json["images"]
    assert row["image"]["metadata"] == {"name": "a"}
    assert work.stored() == [(0, 0, 0.5, 0.5)]
