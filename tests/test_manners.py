"""The library as a part of a program: logs, copies, threads, cancelling."""

from __future__ import annotations

import contextlib
import copy
import logging
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport
from customvision.rehearsal import Clock

import regionbatch as rb
from helpers import ROOT, batches_of, ids_of, process, raises_mentioning, write_coco
from regionbatch.local import LocalService

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"


class Cancelled(Exception):  # noqa: N818 - no error
    """Raised by a progress callback."""


@pytest.fixture(scope="module")
def scene() -> rb.Dataset:
    return rb.read(SCENE / "coco")


@pytest.fixture
def service() -> Iterator[LocalService]:
    with LocalService() as running:
        yield running


def client_of(service: LocalService) -> rb.TrainingClient:
    return rb.TrainingClient(service.endpoint, service.key)


# --- representations


def test_representations_are_short(service: LocalService, tmp_path: Path) -> None:
    boxes = [(f"{n}.jpg", f"class {n % 50}", [10, 10, 20, 20]) for n in range(2000)]
    dataset = rb.read(write_coco(tmp_path, boxes))
    project = service.create_project("many")
    with client_of(service) as client:
        limiter = Clock().rate_limiter()
        options: dict[str, Any] = {"create_tags": True, "skip_unresolved": True, "dry_run": True}
        result = rb.upload(dataset, client, project, rate_limiter=limiter, **options)
        ids = ids_of(dataset.images.names)
        found = rb.verify(dataset, client, project, image_ids=ids, rate_limiter=limiter)
    for value in (dataset, dataset.findings, result, result.plan, found, batches_of(dataset)):
        assert len(repr(value)) < 2000, type(value)
    assert service.key not in repr((result, found, client))


# --- logging


def test_an_upload_is_logged_and_azure_is_quiet(
    scene: rb.Dataset, service: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    project = service.create_project("logged")
    with caplog.at_level(logging.INFO), client_of(service) as client:
        rb.upload(scene, client, project, create_tags=True)
    names = {record.name.partition(".")[0] for record in caplog.records}
    assert names == {"regionbatch"}
    assert 2 <= len(caplog.records) < 10
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="regionbatch"), client_of(service) as client:
        rb.upload(scene, client, service.create_project("again"), create_tags=True)
    assert any("12" in record.getMessage() for record in caplog.records)
    assert service.key not in caplog.text


def test_waits_and_retries_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    from regionbatch.customvision.rate_limiter import RateLimiter  # noqa: PLC0415
    from regionbatch.errors import TransportError  # noqa: PLC0415

    answers: list[object] = [TransportError("GetTags: no response. Try again."), "an answer"]

    def make() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = iter(range(1000))
    limiter = RateLimiter(now=lambda: float(next(clock)), sleep=lambda _: None, seed=1)
    with caplog.at_level(logging.INFO, logger="regionbatch"):
        assert limiter.call("GetTags", make, repeat=True) == "an answer"
    assert "no response" in caplog.text


def test_calls_are_logged_on_request(
    service: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="regionbatch.http"), client_of(service) as client:
        client.domains()
    assert any(record.name == "regionbatch.http" for record in caplog.records)
    assert service.key not in caplog.text


def test_importing_the_library_configures_no_logging() -> None:
    code = (
        "import logging, regionbatch as rb\n"
        f"rb.read({str(SCENE / 'coco')!r})\n"
        "assert not logging.getLogger().handlers\n"
        "assert logging.getLogger('regionbatch').level == logging.NOTSET\n"
    )
    run = process("-c", code)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""


# --- transport and session


def test_a_session_of_the_program_is_used_and_not_closed(service: LocalService) -> None:
    class Session(requests.Session):
        calls = 0
        closed = False

        def request(self, *args: Any, **options: Any) -> requests.Response:
            Session.calls += 1
            return super().request(*args, **options)

        def close(self) -> None:
            Session.closed = True

    session = Session()
    with rb.TrainingClient(service.endpoint, service.key, session=session) as client:
        assert client.domains()
    assert Session.calls == 1
    assert not Session.closed


def test_a_transport_of_the_program_is_used(service: LocalService) -> None:
    class Recording(RequestsTransport):  # type: ignore[misc]
        sent: list[str]

        def send(self, request: Any, **options: Any) -> Any:
            self.sent.append(request.url)
            return super().send(request, **options)

    transport = Recording()
    transport.sent = []
    with rb.TrainingClient(service.endpoint, service.key, transport=transport) as client:
        assert client.domains()
    assert len(transport.sent) == 1


# --- convert


def test_convert_is_read_batches_and_write(tmp_path: Path) -> None:
    ids: dict[str, Any] = {"tag_ids": SCENE / "tags.json", "image_ids": SCENE / "images.json"}
    batches = rb.convert(SCENE / "coco", tmp_path / "one.jsonl", **ids, split="train")
    rb.write(rb.batches(rb.read(SCENE / "coco", split="train"), **ids), tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert batches.ledger.kept == len(batches.regions) == 8
    with pytest.raises(rb.OutputError):
        rb.convert("no such dataset", tmp_path / "one.jsonl", **ids)
    rb.convert(SCENE / "coco", tmp_path / "one.jsonl", **ids, overwrite=True)
    rb.convert(SCENE / "coco", tmp_path / "xml", **ids, payload="xml", rename={"café": "person"})
    assert [path.name for path in (tmp_path / "xml").iterdir()] == ["batch-00001.xml"]


def test_convert_in_strict_mode_writes_nothing(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "set", [("a.jpg", "cat", [-5, 10, 20, 20])])
    ids: dict[str, Any] = {"tag_ids": ids_of(["cat"]), "image_ids": ids_of(["a.jpg"])}
    with pytest.raises(rb.StrictError):
        rb.convert(folder, tmp_path / "out", **ids, strict=True)
    assert not (tmp_path / "out").exists()
    assert len(rb.convert(folder, tmp_path / "out", **ids)) == 1


# --- copies, processes, threads


def test_what_is_returned_can_be_pickled_and_copied(
    scene: rb.Dataset, service: LocalService
) -> None:
    project = service.create_project("pickled")
    with client_of(service) as client:
        result = rb.upload(scene, client, project, create_tags=True)
        found = rb.verify(scene, client, project, image_ids=dict(result.image_ids))
        for copied in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                copied(client)
    for value in (scene, scene.findings, scene.ledger, batches_of(scene), result, found):
        stored = pickle.dumps(value)
        assert service.key.encode() not in stored
        assert repr(pickle.loads(stored)) == repr(copy.deepcopy(value)) == repr(value)
    again = pickle.loads(pickle.dumps(scene))
    assert [*again] == [*scene]
    assert not again.regions.box.flags.writeable
    assert again.regions.box.flags.f_contiguous
    assert not copy.deepcopy(scene).images.width.flags.writeable
    assert [batch.to_json() for batch in pickle.loads(pickle.dumps(result)).batches] == [
        batch.to_json() for batch in result.batches
    ]


def test_errors_can_be_pickled() -> None:
    with pytest.raises(rb.OptionError) as caught:
        rb.read(SCENE / "coco", coco_boxes="inches")  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.option, again.choices) == (
        str(caught.value),
        "coco_boxes",
        caught.value.choices,
    )
    refused = rb.AccessError("GetTags: denied. Check the key.", status=401, code="Unauthorized")
    assert pickle.loads(pickle.dumps(refused)).status == 401


def test_datasets_are_read_in_threads_and_processes(scene: rb.Dataset) -> None:
    folders = [SCENE / name for name in ("coco", "voc", "yolo", "coco")]
    with ThreadPoolExecutor(4) as threads:
        found = [*threads.map(rb.read, folders)]
    assert [len(one) for one in found] == [12] * 4
    assert [*found[0]] == [*found[3]] == [*scene]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        assert [*processes.submit(rb.read, SCENE / "coco").result()] == [*scene]


# --- cancelling


def cancel_at(wanted: str, step: str, _done: int, _total: int) -> None:
    if wanted in step:
        raise Cancelled(step)


def test_a_progress_callback_cancels_reading() -> None:
    steps: list[str] = []
    rb.read(SCENE / "voc", progress=lambda step, _done, _total: steps.append(step))
    for step in dict.fromkeys(steps):
        with raises_mentioning(Cancelled, step):
            rb.read(SCENE / "voc", progress=partial(cancel_at, step))


def test_a_progress_callback_cancels_writing(scene: rb.Dataset, tmp_path: Path) -> None:
    for target in ("out", "out.jsonl"):
        with pytest.raises(Cancelled):
            rb.write(batches_of(scene), tmp_path / target, progress=partial(cancel_at, "writing"))
    assert not any(tmp_path.iterdir())


def test_an_upload_that_was_cancelled_is_resumed(
    scene: rb.Dataset, service: LocalService, tmp_path: Path
) -> None:
    project = service.create_project("cancelled")
    steps: list[str] = []
    options: dict[str, Any] = {"create_tags": True, "journal": tmp_path / "j.sqlite"}
    with client_of(service) as client:
        spare = service.create_project("spare")
        rb.upload(
            scene,
            client,
            spare,
            create_tags=True,
            rate_limiter=Clock().rate_limiter(),
            progress=lambda step, _done, _total: steps.append(step),
        )
        assert "sending regions" in steps
        for step in dict.fromkeys(steps):
            options["rate_limiter"] = Clock().rate_limiter()  # a stopped rate limiter makes no call
            with contextlib.suppress(Cancelled):
                rb.upload(scene, client, project, **options, progress=partial(cancel_at, step))
        options["rate_limiter"] = Clock().rate_limiter()
        result = rb.upload(scene, client, project, **options)
        assert result.verification
        assert result.verification.good
        assert result.already + result.created == 12
        assert len(client.tagged_images(project)) == len({one.image for one in scene})
