"""Images by URL from a real storage emulator, Azurite, through a proxy that counts."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from customvision.command_place import started
from customvision.rehearsal import (
    Clock,
    expected_regions,
    make_older,
    rehearsal,
    stored_regions,
    upload,
    write_dataset,
    write_noise,
)

import regionbatch as rb
from helpers import write_coco

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AZURITE = shutil.which("azurite-blob")
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of the emulator; in its documentation."""
URLS = "CreateImagesFromUrls"
pytest.importorskip("adlfs", reason="adlfs is not installed (the extra `cloud`)")
pytestmark = [
    pytest.mark.skipif(AZURITE is None, reason="azurite-blob is not on the PATH (npm: azurite)"),
    # adlfs warns when it creates a container, and leaves its connections to the end of the process.
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Get(NamedTuple):
    """A GET that passed the proxy."""

    path: str
    is_whole: bool
    by_library: bool
    """Whether the Azure library sent it."""
    size: int


class CountingProxy(ThreadingHTTPServer):
    """Passes requests on to the emulator, and records those that read blobs."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.gets: list[Get] = []

    def images(self) -> list[Get]:
        return [get for get in self.gets if get.path.endswith((".png", ".bmp"))]


class _Handler(BaseHTTPRequestHandler):
    server: CountingProxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if self.command == "GET":
            path = unquote(urlsplit(self.path).path)
            is_whole = not {"range", "x-ms-range"} & {name.lower() for name in self.headers}
            by_library = "azsdk" in self.headers.get("User-Agent", "")
            self.server.gets.append(Get(path, is_whole, by_library, len(content)))
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


class Account(NamedTuple):
    proxy: CountingProxy
    connection_string: str

    @property
    def options(self) -> dict[str, Any]:
        return {"connection_string": self.connection_string}

    def put(self, name: str, content: bytes) -> None:
        """Put a blob, whatever its name is."""
        from azure.storage.blob import BlobClient  # noqa: PLC0415 - only if adlfs is installed

        with BlobClient.from_connection_string(self.connection_string, "container", name) as blob:
            blob.upload_blob(content, overwrite=True)

    def delete(self, name: str) -> None:
        from azure.storage.blob import BlobClient  # noqa: PLC0415

        with BlobClient.from_connection_string(self.connection_string, "container", name) as blob:
            blob.delete_blob()

    def put_folder(self, folder: Path, to: str) -> None:
        for path in folder.iterdir():
            self.put(f"{to}/{path.name}", path.read_bytes())


@pytest.fixture(scope="module")
def emulator() -> Iterator[Account]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
    process = subprocess.Popen(
        [str(AZURITE), *options, "--blobPort", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        with CountingProxy(port) as proxy:
            threading.Thread(target=proxy.serve_forever, args=[0.01], daemon=True).start()
            endpoint = f"http://127.0.0.1:{proxy.server_port}/{ACCOUNT}"
            account = Account(
                proxy,
                f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
                f"BlobEndpoint={endpoint};",
            )
            _create_container(account)
            yield account
            proxy.shutdown()
    finally:
        process.terminate()
        process.wait()


def _create_container(account: Account) -> None:
    from azure.storage.blob import ContainerClient  # noqa: PLC0415

    text = account.connection_string
    with ContainerClient.from_connection_string(text, "container") as container:
        container.create_container()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            threading.Event().wait(0.1)
        else:
            return
    pytest.fail("the emulator does not start")


@contextmanager
def patient_rehearsal() -> Iterator[tuple[Any, str, rb.TrainingClient]]:
    with (
        rehearsal() as (service, project, _),
        rb.TrainingClient(service.endpoint, service.key, timeout=120) as client,
    ):
        yield service, project, client


NAMES = ["plain.png", "a b.png", "ä.png", "50%.png", "c%20d.png", "e#f.png", "e.png", "i+j,=&.png"]
"""Names that a URL has to encode; two are easily taken for another."""


def test_a_dataset_in_blob_storage(emulator: Account, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    sizes = {name: (100 + 7 * at, 90) for at, name in enumerate(NAMES)}
    for name, size in sizes.items():
        write_noise(folder / name, size, "PNG")
    write_noise(folder / "large.bmp", (400, 300), "BMP")
    sizes["large.bmp"] = (400, 300)
    write_coco(folder, [(name, "cat", (1, 1, 5, 5)) for name in sizes], images=sizes)
    emulator.put_folder(folder, "first/my set")
    dataset = rb.read("az://container/first/my set", storage_options=emulator.options)
    assert len(dataset) == len(sizes)
    read = sum(get.size for get in emulator.proxy.images())
    assert read < 65_536 * len(sizes), "of an image, only the beginning"
    emulator.proxy.gets.clear()
    journal = tmp_path / "journal.sqlite"
    with patient_rehearsal() as (service, project, client):
        result = upload(dataset, client, project, by_url=True, journal=journal)
        assert stored_regions(service, project) == expected_regions(dataset, result)
        assert (result.lost, result.calls[URLS]) == (0, 1)
        fetched = emulator.proxy.images()
        assert {get.path.rpartition("/")[2] for get in fetched} == sizes.keys()
        assert all(get.is_whole and not get.by_library for get in fetched), "only by the service"
        assert len(fetched) == len(sizes)
        assert rb.verify(
            dataset, client, project, journal=journal, rate_limiter=Clock().rate_limiter()
        ).good
        again = upload(dataset, client, project, by_url=True, journal=journal)
        assert (again.new_images, again.sent, again.lost) == (0, 0, 0)
        assert b"sig=" not in journal.read_bytes()


def test_a_blob_that_is_deleted_or_replaced(emulator: Account, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=6, boxes=2)
    emulator.put_folder(folder, "second")
    url = "az://container/second"
    dataset = rb.read(url, storage_options=emulator.options)
    emulator.delete("second/00001.png")
    journal = tmp_path / "journal.sqlite"
    with patient_rehearsal() as (_, project, client):
        result = upload(dataset, client, project, by_url=True, journal=journal)
        refused = [one for one in result.findings if one.code == "image_refused"]
        assert [one.file for one in refused] == ["00001.png"]
        assert refused[0].value.startswith("ErrorSource")
        assert (result.failed, result.created) == (2, 8)

        emulator.put("second/00001.png", (folder / "00001.png").read_bytes())
        write_noise(folder / "00003.png", (64, 64), "PNG")
        emulator.put("second/00003.png", (folder / "00003.png").read_bytes())
        dataset = rb.read(url, storage_options=emulator.options)
        again = upload(dataset, client, project, by_url=True, journal=journal)
        assert again.new_images == 2, "the missing image, and the one with another version"
        assert again.findings.counts()["image_changed"] == 1
        assert again.image_ids["00003.png"] != result.image_ids["00003.png"]
        assert (again.created, again.failed) == (4, 0)


def test_kill_9_and_resume(
    emulator: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each image and each region is stored once, whenever the command is killed."""
    folder = write_dataset(tmp_path / "set", images=150, boxes=3)
    emulator.put_folder(folder, "third")
    emulator.proxy.gets.clear()
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", emulator.connection_string)
    dataset = rb.read("az://container/third", storage_options=emulator.options)
    with patient_rehearsal() as (service, project, client):
        monkeypatch.setenv("VISION_TRAINING_ENDPOINT", service.endpoint)
        monkeypatch.setenv("VISION_TRAINING_KEY", service.key)
        line = ["upload", "az://container/third", "--by-url", "--create-tags"]
        line += ["--project-id", project, "--journal", "journal.sqlite", "--accept-drops"]
        killed = started(*line, cwd=tmp_path)
        end = time.monotonic() + 120
        while not any(get.is_whole for get in emulator.proxy.images()):
            assert time.monotonic() < end
            assert killed.poll() is None, killed.stderr and killed.stderr.read()
            threading.Event().wait(0.01)
        killed.kill()
        killed.communicate()
        assert service.calls["CreateImageRegions"] == 0
        make_older(tmp_path / "journal.sqlite", 60)  # it need not wait for the last call
        resumed = started(*line, cwd=tmp_path)
        _, errors = resumed.communicate(timeout=300)
        assert resumed.returncode == 0, errors
        result = upload(dataset, client, project, dry_run=True, journal=tmp_path / "journal.sqlite")
        assert (result.plan.regions, result.plan.already, result.plan.new_images) == (0, 447, 0)
        assert stored_regions(service, project) == expected_regions(dataset, result)
        assert len(_all_images(project, client)) == 150
    kept = [path.read_bytes() for path in tmp_path.glob("journal.sqlite*")]
    assert not [content for content in kept if re.search(rb"sig=|AccountKey", content)]


def _all_images(project: str, client: rb.TrainingClient) -> list[str]:
    ids: list[str] = []
    for listing in (client.tagged_images, client.untagged_images):
        ids += [image.id for image in listing(project, skip=0)]
    return ids


def test_the_command_without_credentials(
    emulator: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No error contains the signature of the request or the key."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", emulator.connection_string[:-20])
    run = started("upload", "az://container/none", "--by-url", "--local", cwd=tmp_path)
    out, errors = run.communicate(timeout=120)
    assert run.returncode in (1, 2)
    assert KEY not in out + errors
    assert not re.search("sig=", out + errors)
    assert not [*tmp_path.iterdir()]
