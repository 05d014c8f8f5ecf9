"""Images that the service fetches by signed URLs, which are secrets: nothing keeps a signature."""

from __future__ import annotations

import json
import logging
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np
import pytest
from blob_server import SECRET, BlobServer, blob_server
from customvision.rehearsal import (
    UPLOADING,
    Clock,
    assert_exact,
    faults,
    rehearsal,
    send_small_batches,
    stored_regions,
    upload,
    write_dataset,
    write_image,
)

import regionbatch as rb
from helpers import mentions, write_coco
from regionbatch.customvision.service_types import ImageUrl
from regionbatch.customvision.signed_urls import SECONDS, address_of
from regionbatch.customvision.url_delivery import MAX_FETCHES
from regionbatch.local import Fault, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from customvision.command_place import Place
    from customvision.conftest import ScriptedServer

    from regionbatch.local import Faults, LocalService

URLS, FILES = "CreateImagesFromUrls", "CreateImagesFromFiles"


class Remote(NamedTuple):
    """A dataset whose images are on a server."""

    folder: Path
    dataset: rb.Dataset
    blobs: BlobServer

    def sign(self, path: str, seconds: float) -> str:
        return self.blobs.sign(Path(path).name, seconds)

    def put(self) -> None:
        """Put the image files on the server."""
        for path in map(Path, self.dataset.images.paths):
            self.blobs.files[path.name] = path.read_bytes()


@pytest.fixture
def blobs() -> Iterator[BlobServer]:
    with blob_server() as server:
        yield server


@pytest.fixture
def remote(tmp_path: Path, blobs: BlobServer) -> Remote:
    folder = write_dataset(tmp_path / "set", images=9, boxes=4)
    found = Remote(folder, rb.read(folder), blobs)
    found.put()
    return found


@pytest.fixture
def of_sizes(tmp_path: Path, blobs: BlobServer) -> Remote:
    """Three images of different shapes, with a box each."""
    sizes = {"a.png": (300, 400), "b.png": (500, 400), "c.png": (64, 48)}
    folder = tmp_path / "sizes"
    folder.mkdir()
    for colour, (name, size) in enumerate(sizes.items()):
        write_image(folder / name, size, colour)
    write_coco(folder, [(name, "cat", (1, 1, 5, 5)) for name in sizes], images=sizes)
    found = Remote(folder, rb.read(folder), blobs)
    found.put()
    return found


class Target(NamedTuple):
    service: LocalService
    project: str
    client: rb.TrainingClient


@pytest.fixture
def target() -> Iterator[Target]:
    with rehearsal() as (service, project, _), patient(service) as client:
        yield Target(service, project, client)


def patient(service: LocalService, version: str = "3.2") -> rb.TrainingClient:
    """Return a client that waits until the service has fetched images on a busy machine."""
    return rb.TrainingClient(service.endpoint, service.key, version=version, timeout=60)


def send(remote: Remote, target: Target, **options: Any) -> rb.UploadResult:
    options = {"by_url": remote.sign, **options}
    return upload(remote.dataset, target.client, target.project, **options)


def refusals(result: rb.UploadResult) -> dict[str, str]:
    found = [one for one in result.findings if one.code == "image_refused"]
    return {one.file: one.value.partition(":")[0] for one in found}


def test_no_image_passes_this_machine(remote: Remote, target: Target) -> None:
    for path in remote.dataset.images.paths:
        Path(path).unlink()
    result = send(remote, target)
    assert_exact(remote.dataset, result, target.service, target.project)
    assert (result.calls[URLS], result.calls.get(FILES, 0)) == (1, 0)
    assert result.calls == result.plan.calls
    assert remote.blobs.sent_bytes() == {
        name: len(content) for name, content in remote.blobs.files.items()
    }


def test_64_urls_in_a_call(tmp_path: Path, blobs: BlobServer, target: Target) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set", images=130, boxes=1))
    remote = Remote(tmp_path, dataset, blobs)
    remote.put()
    plan = send(remote, target, dry_run=True).plan
    assert (plan.calls[URLS], plan.new_images, blobs.sent) == (3, 130, [])
    assert target.service.calls[URLS] == 0
    assert send(remote, target).calls == plan.calls


def test_a_renewed_signature_is_the_same_image(remote: Remote, target: Target) -> None:
    journal = remote.folder / "journal.sqlite"
    first = send(remote, target, journal=journal)
    sent = len(remote.blobs.sent)
    again = send(remote, target, journal=journal)
    assert (again.sent, again.new_images, again.image_ids) == (0, 0, first.image_ids)
    assert again.calls == again.plan.calls
    assert len(remote.blobs.sent) == sent
    verified = rb.verify(
        remote.dataset,
        target.client,
        target.project,
        journal=journal,
        rate_limiter=Clock().rate_limiter(),
    )
    assert verified.good


def test_nothing_keeps_a_signature(
    of_sizes: Remote, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    del of_sizes.blobs.files["b.png"]
    journal = of_sizes.folder / "journal.sqlite"
    result = send(of_sizes, target, journal=journal)
    assert refusals(result) == {"b.png": "ErrorSource"}
    rb.write_html(of_sizes.dataset, of_sizes.folder / "report.html", result)
    kept = [
        *[path.read_bytes() for path in of_sizes.folder.rglob("*") if path.is_file()],
        pickle.dumps(result.findings),
        repr(vars(result)).encode(),
        "".join(f"{one}" for one in result.findings).encode(),
        caplog.text.encode(),
        repr(ImageUrl(url=of_sizes.sign("a.png", 60))).encode(),
    ]
    assert journal.stat().st_size
    assert of_sizes.blobs.signed > 0
    assert not [content for content in kept if SECRET.encode() in content or b"sig=" in content]


SPELLINGS = [
    "cannot fetch {url}",
    "cannot fetch '{url}'.",
    "cannot fetch {quoted}",
    "cannot fetch {twice}",
    "query: {query}",
    "signature {signature} has expired",
    "signature {plain} has expired",
    "<html>{url}</html>",
]


@pytest.mark.parametrize("status", [400, 403, 429, 500, 200])
def test_an_answer_that_quotes_a_url(
    scripted: ScriptedServer, blobs: BlobServer, status: int
) -> None:
    with rb.TrainingClient(scripted.endpoint, "k" * 32) as client:
        for text in SPELLINGS:
            _check_that_an_answer_is_cleaned(scripted, blobs, client, text, status)


def _check_that_an_answer_is_cleaned(
    scripted: ScriptedServer, blobs: BlobServer, client: rb.TrainingClient, text: str, status: int
) -> None:
    url = blobs.sign("a b.png", 60)
    query = url.partition("?")[2]
    signature = query.rpartition("=")[2]
    message = text.format(
        url=url,
        quoted=quote(url, safe=""),
        twice=quote(quote(url, safe=""), safe=""),
        query=query,
        signature=signature,
        plain=unquote(signature),
    )
    body: Any = {"code": message, "message": message}
    if status == 200:
        body = {"images": [{"sourceUrl": message, "status": message, "image": None}]}
    scripted.add_response(status, json.dumps(body), Content_Type="application/json")
    try:
        kept: object = client.create_images_from_urls(_PROJECT, [url])
    except rb.ServiceError as error:
        kept = [error, vars(error), pickle.dumps(error)]
        chain: BaseException | None = error
        while chain is not None:
            kept.append(str(chain))
            chain = chain.__cause__
    assert SECRET not in repr(kept)
    assert url.encode() in scripted.requests[-1].body


_PROJECT = "e0a29092-7004-5bd9-a6e7-11e882b8adb1"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://h/a.jpg?sig=s", "https://h/a.jpg"),
        ("https://H/A%20b.jpg", "https://h/A b.jpg"),
        ("HTTPS://user:key@h:8/a.jpg#sig", "https://h:8/a.jpg"),
        ("https%3A%2F%2Fh%2Fa.jpg%3Fsig%3Ds", "https://h/a.jpg"),
        ("https%253A%252F%252Fh%252Fa.jpg%253Fsig%253Ds", "https://h/a.jpg"),
        ('"https://h/a.jpg?sig=s"', "https://h/a.jpg"),
        ("%25" * 3000, ""),
        ("", ""),
        ("https://[/a.jpg?sig=s", "https://[/a.jpg"),
    ],
)
def test_the_address_of_a_url(url: str, address: str) -> None:
    found = address_of(url)
    assert found == address or (address == "" and "sig" not in found)


def test_an_image_that_cannot_be_fetched_is_refused(of_sizes: Remote, target: Target) -> None:
    """A missing blob, and a redirect to another machine."""
    del of_sizes.blobs.files["a.png"]
    of_sizes.blobs.redirects["b.png"] = "http://192.0.2.1/b.png"
    result = send(of_sizes, target)
    assert refusals(result) == {"a.png": "ErrorSource", "b.png": "ErrorSource"}
    assert (result.failed, result.created, result.lost, result.refused_images) == (2, 1, 2, 2)
    assert result.calls[URLS] == MAX_FETCHES, "each time with new signatures"


def test_an_expired_signature_is_renewed(of_sizes: Remote, target: Target) -> None:
    signed: list[str] = []

    def sign(path: str, seconds: int) -> str:
        assert seconds == SECONDS
        is_first = path not in signed
        signed.append(path)
        return of_sizes.sign(path, -1 if is_first and path.endswith("b.png") else seconds)

    result = send(of_sizes, target, by_url=sign)
    assert_exact(of_sizes.dataset, result, target.service, target.project)
    b = next(path for path in signed if path.endswith("b.png"))
    assert signed.count(b) == 2
    result = send(of_sizes, Target(*target), by_url=lambda path, _: of_sizes.sign(path, -1))
    assert set(refusals(result).values()) == {"ErrorSource"}


def test_signing_ends_during_the_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blobs: BlobServer, target: Target
) -> None:
    """The credentials expire: the run ends, and resumes later."""
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path / "set", images=5 * 8, boxes=1))
    remote = Remote(tmp_path, dataset, blobs)
    remote.put()
    journal = tmp_path / "journal.sqlite"

    def sign(path: str, seconds: int) -> str:
        if blobs.signed > 8:
            raise PermissionError(f"no key for {remote.sign(path, seconds)}")
        return remote.sign(path, seconds)

    with pytest.raises(rb.ServiceError) as caught:
        send(remote, target, by_url=sign, journal=journal)
    assert caught.value.code == "NotSigned"
    assert SECRET not in str(caught.value)
    before = len(blobs.sent)
    result = send(remote, target, journal=journal)
    assert_exact(dataset, result, target.service, target.project)
    assert len(blobs.sent) - before < 5 * 8


@pytest.mark.parametrize("source_url", ["name", "null", "renamed", "encoded", "prefixed"])
@pytest.mark.parametrize("quoted", [False, True])
def test_spellings_of_the_url_in_the_response(
    remote: Remote, source_url: Any, quoted: bool
) -> None:
    settings = Settings(source_url=source_url, quoted_names=quoted)
    with rehearsal(settings) as (service, project, _), patient(service) as client:
        result = send(remote, Target(service, project, client))
        assert_exact(remote.dataset, result, service, project)


def test_images_are_not_confused_by_an_answer(
    of_sizes: Remote, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer swaps the URLs of two images, but their sizes show which is which."""
    create = target.client.create_images_from_urls

    def swapped(*arguments: Any, **options: Any) -> Any:
        results = create(*arguments, **options)
        one, two = [row for row in results if str(row.source_url).endswith(("a.png", "b.png"))]
        one.source_url, two.source_url = two.source_url, one.source_url
        return results

    monkeypatch.setattr(target.client, "create_images_from_urls", swapped)
    result = send(of_sizes, target)
    assert refusals(result) == {"a.png": "ImageChanged", "b.png": "ImageChanged"}
    assert len(target.service.regions(target.project)) == 1


def test_an_answer_with_one_url_for_all(
    remote: Remote, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = target.client.create_images_from_urls

    def alike(*arguments: Any, **options: Any) -> Any:
        results = create(*arguments, **options)
        for row in results:
            row.source_url = results[0].source_url
        return results

    monkeypatch.setattr(target.client, "create_images_from_urls", alike)
    result = send(remote, target)
    assert_exact(remote.dataset, result, target.service, target.project)
    assert result.calls[URLS] == 1 + 9, "one by one"


def test_urls_that_differ_in_their_query(remote: Remote, target: Target) -> None:
    """The images are sent one by one."""
    wanted: dict[str, str] = {}

    def sign(path: str, seconds: int) -> str:
        number = str(len(wanted))
        wanted[number] = remote.sign(path, seconds)
        return f"{remote.blobs.url('get')}?image={number}"

    remote.blobs.found = lambda query: wanted[query.rpartition("=")[2]]
    result = send(remote, target, by_url=sign)
    assert_exact(remote.dataset, result, target.service, target.project)
    assert result.calls[URLS] == 1 + 9


@pytest.mark.parametrize("expires", [60, -1])
def test_one_url_for_all_images_that_cannot_be_fetched(
    of_sizes: Remote, target: Target, expires: int
) -> None:
    """The function ignores the path. The blob is missing, or the signature has expired."""
    if expires < 0:
        of_sizes.blobs.files["same.png"] = b""
    result = send(of_sizes, target, by_url=lambda *_: of_sizes.blobs.sign("same.png", expires))
    assert refusals(result) == dict.fromkeys(of_sizes.dataset.images.names, "ErrorSource")
    assert result.calls[URLS] == 1 + 3 * MAX_FETCHES, "one by one"


@pytest.mark.parametrize("source_url", ["name", "null", "renamed"])
@pytest.mark.parametrize("by_url", [False, True])
def test_a_response_without_names_that_refuses_all_images(
    of_sizes: Remote, source_url: Any, by_url: bool
) -> None:
    """The reason is that of the service, even if its response names no image."""
    settings = Settings(source_url=source_url)
    with rehearsal(settings) as (service, project, client):
        for path in map(Path, of_sizes.dataset.images.paths):
            content = path.read_bytes()[:8] + path.name.encode()
            of_sizes.blobs.files[path.name] = content
            path.write_bytes(content)
        options = {} if by_url else {"by_url": False}
        result = send(of_sizes, Target(service, project, client), **options)
    assert set(refusals(result).values()) == {"ErrorImageFormat"}


@pytest.mark.parametrize("kind", sorted({*Fault} - {Fault.SLOW, Fault.SHIFTED}))
def test_faults_of_the_call(remote: Remote, kind: Fault) -> None:
    """Each image is stored once, although no call can be looked up."""
    met: Faults = faults(1, (kind,), rate=1, operations=frozenset({URLS}), cap=2, hold=0.1, late=9)
    clock = Clock()
    with rehearsal(faults=met, clock=clock.now) as (service, project, _):
        with patient(service) as client:
            limiter = clock.rate_limiter()
            result = send(remote, Target(service, project, client), rate_limiter=limiter)
        assert_exact(remote.dataset, result, service, project)
        assert len({*result.image_ids.values()}) == 9
        if service.calls[URLS] > 1:
            assert service.faults.injected[kind] > 0


def test_an_image_that_changed_since_it_was_read(of_sizes: Remote, target: Target) -> None:
    """Another shape is another image; another size of the same shape is reported."""
    write_image(of_sizes.folder / "a.png", (400, 300), 9)
    write_image(of_sizes.folder / "b.png", (1000, 801), 9)
    write_image(of_sizes.folder / "c.png", (341, 256), 9)  # as if the service enlarged it
    of_sizes.put()
    result = send(of_sizes, target)
    assert refusals(result) == {"a.png": "ImageChanged"}
    assert [one.file for one in result.findings if one.code == "size_mismatch"] == ["b.png"]
    assert (result.created, result.failed) == (2, 1)


def test_a_declared_size_that_differs_from_the_file(
    of_sizes: Remote, target: Target, blobs: BlobServer
) -> None:
    """It was reported when the dataset was read; the boxes were drawn in the declared size."""
    write_image(of_sizes.folder / "a.png", (600, 700), 9)
    remote = Remote(of_sizes.folder, rb.read(of_sizes.folder), blobs)
    remote.put()
    result = send(remote, target)
    assert result.lost == 0
    assert [one.file for one in result.findings if one.code == "size_mismatch"] == ["a.png"]


def test_images_with_the_same_bytes(of_sizes: Remote, target: Target) -> None:
    of_sizes.blobs.files["a.png"] = of_sizes.blobs.files["b.png"]
    sizes = np.array([[500, 500, 64], [400, 400, 48]], np.int32)
    images = replace(of_sizes.dataset.images, width=sizes[0], height=sizes[1])
    dataset = replace(of_sizes.dataset, images=images)
    result = send(of_sizes._replace(dataset=dataset), target)
    assert result.image_ids["a.png"] == result.image_ids["b.png"]
    assert result.findings.counts()["same_image"] == 1
    assert (result.lost, len(target.service.regions(target.project))) == (0, 3)


@pytest.mark.parametrize("first_by_url", [False, True])
def test_files_and_urls_give_the_same_images(
    remote: Remote, target: Target, first_by_url: bool
) -> None:
    """The journal cannot compare a file with a URL, but the service recognises the image."""
    journal = remote.folder / "journal.sqlite"
    sign = remote.sign
    first = send(remote, target, journal=journal, by_url=sign if first_by_url else False)
    again = send(remote, target, journal=journal, by_url=False if first_by_url else sign)
    assert again.image_ids == first.image_ids
    assert (again.sent, again.lost) == (0, 0)
    assert "image_changed" not in again.findings.counts()
    assert stored_regions(target.service, target.project).total() == len(remote.dataset)


def test_stored_names(remote: Remote) -> None:
    with rehearsal(version="3.3") as (service, project, _), patient(service, "3.3") as client:
        target = Target(service, project, client)
        first = send(remote, target, store_names=True)
        assert first.calls[URLS] == 9 == first.plan.calls[URLS]
        again = send(remote, target, store_names=True)
        assert (again.new_images, again.image_ids, again.sent) == (0, first.image_ids, 0)
        other = send(remote, target, by_url=False)
        assert (other.calls[FILES], other.image_ids, other.sent) == (1, first.image_ids, 0)


def test_pruning(remote: Remote, target: Target) -> None:
    journal = remote.folder / "journal.sqlite"
    send(remote, target, journal=journal)
    fewer = remote.dataset.regions.image != 0
    rows = rb.read(write_dataset(remote.folder, images=9, boxes=3))
    assert fewer.any()
    result = send(
        remote._replace(dataset=rows), target, journal=journal, prune=True, prune_limit="all"
    )
    assert result.deleted > 0
    assert_exact(rows, result, target.service, target.project)


def no_key(_path: str, _seconds: int) -> str:
    raise PermissionError(f"no key: https://h/a.jpg?sig={SECRET}")


def no_key_in_a_long_text(_path: str, _seconds: int) -> str:
    """Raise an error that is shortened before the `@` of the URL."""
    raise PermissionError(f"{'x' * 200} https://me:{SECRET}{'y' * 100}@h/a.jpg")


@pytest.mark.parametrize(
    ("by_url", "options"),
    [
        (True, {}),  # the images are on this machine
        (lambda path, _: path, {}),
        (lambda _path, _: "ftp://h/a.jpg", {}),
        (lambda _path, _: f"https://h/a b.jpg?sig={SECRET}", {}),
        (lambda _path, _: None, {}),
        (no_key, {}),
        (no_key_in_a_long_text, {}),
        ("yes", {}),
        (1, {}),
        (None, {}),
        (no_key, {"shrink": True}),
        (True, {"shrink": True}),
    ],
)
def test_images_that_cannot_be_uploaded_by_url(
    remote: Remote, target: Target, by_url: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(rb.OptionError) as caught:
        send(remote, target, by_url=by_url, **options)
    assert caught.value.option == "by_url"
    assert SECRET not in f"{caught.value}{caught.value.value}"
    assert not re.search("sig", repr(caught.value.__cause__))
    assert target.service.calls[URLS] == 0


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://h/a.jpg", "not an http or https URL"),
        ("https://h/a b.jpg", "a character in the URL is not encoded: use urllib.parse.quote"),
        ("https://h/a\n.jpg", "a character in the URL is not encoded: use urllib.parse.quote"),
    ],
)
def test_a_function_that_returns_no_usable_url(
    remote: Remote, target: Target, url: str, reason: str
) -> None:
    with pytest.raises(rb.OptionError) as caught:
        send(remote, target, by_url=lambda *_: url)
    assert str(caught.value).endswith(f": '{reason}'. Correct the function.")


def test_reasons_are_shown_as_a_whole(of_sizes: Remote, target: Target) -> None:
    """A value of a finding is shortened to 80 characters, so a reason must not be longer."""

    def sign(path: str, seconds: int) -> str:
        return "https://h/a b.png" if path.endswith("c.png") else of_sizes.sign(path, seconds)

    write_image(of_sizes.folder / "a.png", (400, 300), 9)
    of_sizes.put()
    del of_sizes.blobs.files["b.png"]
    result = send(of_sizes, target, by_url=sign)
    found = {one.file: one for one in result.findings if one.code == "image_refused"}
    assert {name: one.value for name, one in found.items()} == {
        "a.png": "ImageChanged: 300 x 400 in the dataset, 400 x 300 at its URL",
        "b.png": "ErrorSource: cannot be fetched: missing, denied, or its signature expired",
        "c.png": "NotSigned: a character in the URL is not encoded: use urllib.parse.quote",
    }
    assert "`shrink=True` helps with size and format, unless" in found["b.png"].message


def test_a_stopped_upload_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blobs: BlobServer, target: Target
) -> None:
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path / "set", images=6 * 8, boxes=1))
    remote = Remote(tmp_path, dataset, blobs)
    remote.put()
    journal = tmp_path / "journal.sqlite"

    def stop(step: str, done: int, _total: int) -> None:
        if step == UPLOADING and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(remote, target, journal=journal, progress=stop)
    before = len(blobs.sent)
    assert before < 6 * 8 + 1
    result = send(remote, target, journal=journal)
    assert_exact(dataset, result, target.service, target.project)
    assert 0 < result.new_images < 6 * 8


def test_no_image_can_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blobs: BlobServer, target: Target
) -> None:
    """No batch is accepted, so the run ends soon."""
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path / "set", images=4 * 8, boxes=1))
    with pytest.raises(rb.ServiceError) as caught:
        send(Remote(tmp_path, dataset, blobs), target)
    assert caught.value.code == "ErrorSource"
    assert not target.service.regions(target.project)


@pytest.mark.parametrize(
    ("arguments", "tokens"), [(["--shrink"], ["--shrink", "--by-url"]), ([], ["--image-dir"])]
)
def test_wrong_usage_of_the_command(place: Place, arguments: list[str], tokens: list[str]) -> None:
    result = place.run("upload", "--by-url", "--create-tags", *arguments)
    assert result.status == 2
    assert mentions(result.stderr, "--by-url", *tokens)
    assert not place.service.calls[URLS]


def test_an_upload_without_images_signs_nothing(tmp_path: Path, target: Target) -> None:
    folder = write_dataset(tmp_path, images=2)
    for path in folder.glob("*.png"):
        path.unlink()
    dataset = rb.read(folder)
    result = upload(dataset, target.client, target.project, by_url=True, skip_unresolved=True)
    assert (result.new_images, result.sent) == (0, 0)
