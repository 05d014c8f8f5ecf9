"""The library as a part of a program: wrong types, logs, copies, threads, cancelling."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import pickle
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields
from functools import partial
from multiprocessing import get_context
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport

import regionbatch as rb
from helpers import ROOT, batches_of, ids_of, process, raises_mentioning, write_coco
from regionbatch.local import LocalService
from regionbatch.options import BUILT_IN_OPTIONS, choices_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"
KEY = "a-secret-key-of-32-characters-00"
ENDPOINT = "https://name.cognitiveservices.azure.com"
PROJECT = "0a1b2c3d-0000-4000-8000-00000000000a"
IDS: dict[str, Any] = {"tag_ids": {}, "image_ids": {}}


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


# --- wrong types


def uploaded(**options: Any) -> Callable[[rb.Dataset, Path], object]:
    """Upload to a service that is never called."""

    def run(dataset: rb.Dataset, _: Path) -> object:
        with rb.TrainingClient(ENDPOINT, KEY) as client:
            given = {"dataset": dataset, "client": client, "project_id": PROJECT, **options}
            return rb.upload(**given)

    return run


def verified(**options: Any) -> Callable[[rb.Dataset, Path], object]:
    """Verify with a service that is never called."""

    def run(dataset: rb.Dataset, _: Path) -> object:
        with rb.TrainingClient(ENDPOINT, KEY) as client:
            given = {"dataset": dataset, "client": client, "project_id": PROJECT, **options}
            return rb.verify(**given)

    return run


WRONG: dict[str, Callable[[Any, Path], object]] = {
    "write a dataset": lambda data, path: rb.write(data, path / "out"),
    "write a path": lambda _, path: rb.write("batches", path / "out"),  # type: ignore[arg-type]
    "write a number": lambda _, path: rb.write(5, path / "out"),  # type: ignore[arg-type]
    "write texts": lambda _, path: rb.write(["a"], path / "out"),  # type: ignore[list-item]
    "write to a number": lambda data, _: rb.write(batches_of(data), 5),  # type: ignore[arg-type]
    "overwrite as text": lambda data, path: rb.write(batches_of(data), path / "o", overwrite="no"),  # type: ignore[arg-type]
    "progress of write": lambda data, path: rb.write(batches_of(data), path / "o", progress=1),  # type: ignore[arg-type]
    "batches of a path": lambda *_: rb.batches("path", **IDS),  # type: ignore[arg-type]
    "batches of batches": lambda data, _: rb.batches(batches_of(data), **IDS),  # type: ignore[arg-type]
    "batches of nothing": lambda *_: rb.batches(None, **IDS),  # type: ignore[arg-type]
    "skip_unresolved as text": lambda data, _: rb.batches(data, **IDS | {"skip_unresolved": "no"}),
    "IDs that are a number": lambda data, _: rb.batches(data, tag_ids=3, image_ids={}),  # type: ignore[arg-type]
    "renames that are text": lambda data, _: rb.batches(data, **IDS | {"rename": "a=b"}),
    "a summary of a path": lambda *_: rb.summary("path"),  # type: ignore[arg-type]
    "a report of a path": lambda _, path: rb.write_report(path / "r.json", "path"),  # type: ignore[arg-type]
    "read a number": lambda *_: rb.read(3),  # type: ignore[arg-type]
    "read a list": lambda *_: rb.read([1]),  # type: ignore[arg-type]
    "read a dataset": lambda data, _: rb.read(data),
    "progress of read": lambda *_: rb.read(SCENE / "coco", progress=1),  # type: ignore[arg-type]
    "strict as text": lambda *_: rb.read(SCENE / "coco", strict="no"),  # type: ignore[arg-type]
    "strict as a number": lambda *_: rb.read(SCENE / "coco", strict=1),  # type: ignore[arg-type]
    "a misspelt option": lambda *_: rb.read(SCENE / "coco", spilt="train"),  # type: ignore[call-arg]
    "IDs of a number": lambda *_: rb.read_ids(3),  # type: ignore[arg-type]
    "an endpoint that is a number": lambda *_: rb.TrainingClient(3, "k"),  # type: ignore[arg-type]
    "no endpoint": lambda *_: rb.TrainingClient(None, "k"),  # type: ignore[arg-type]
    "a key that is a number": lambda *_: rb.TrainingClient(ENDPOINT, 3),  # type: ignore[arg-type]
    "a key as bytes": lambda *_: rb.TrainingClient(ENDPOINT, b"k"),  # type: ignore[arg-type]
    "a version that is a number": lambda *_: rb.TrainingClient(ENDPOINT, KEY, version=3.3),  # type: ignore[arg-type]
    "a timeout as text": lambda *_: rb.TrainingClient(ENDPOINT, KEY, timeout="9"),  # type: ignore[arg-type]
    "a timeout of 0": lambda *_: rb.TrainingClient(ENDPOINT, KEY, timeout=0),
    "a transport that is none": lambda *_: rb.TrainingClient(ENDPOINT, KEY, transport=5),  # type: ignore[arg-type]
    "a session that is none": lambda *_: rb.TrainingClient(ENDPOINT, KEY, session=5),  # type: ignore[arg-type]
    "a credential that is none": lambda *_: rb.TrainingClient(ENDPOINT, credential=5),  # type: ignore[arg-type]
    "a transport and a session": lambda *_: rb.TrainingClient(
        ENDPOINT, KEY, transport=RequestsTransport(), session=requests.Session()
    ),
    "upload a path": uploaded(dataset="path"),
    "upload with a path as client": uploaded(client="path"),
    "upload to a number": uploaded(project_id=5),
    "create_tags as text": uploaded(create_tags="no"),
    "dry_run as text": uploaded(dry_run="no"),
    "progress of upload": uploaded(progress=1),
    "planned of upload": uploaded(planned=1),
    "notice of upload": uploaded(notice="x"),
    "tier as a number": uploaded(tier=0),
    "tier as a list": uploaded(tier=["F0"]),
    "in_flight as text": uploaded(in_flight="3"),
    "no batch in flight": uploaded(in_flight=0),
    "journal as a number": uploaded(journal=3),
    "verify a path": verified(dataset="path"),
    "verify with nothing": verified(client=None),
    "progress of verify": verified(progress=1),
    "convert with strict as text": lambda _, path: rb.convert(
        SCENE / "coco", path / "o", **IDS | {"strict": "no"}
    ),
    "convert a number": lambda _, path: rb.convert(3, path / "o", **IDS),  # type: ignore[arg-type]
    "convert to a number": lambda *_: rb.convert(SCENE / "coco", 3, **IDS),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_type_is_an_error_of_the_library(
    name: str, scene: rb.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(rb.RegionBatchError) as caught:
        WRONG[name](scene, tmp_path)
    assert not any(tmp_path.iterdir())
    assert KEY not in str(caught.value)
    assert caught.value.option or isinstance(caught.value, rb.ResolveError)


# --- representations


def test_representations_are_short(service: LocalService, tmp_path: Path) -> None:
    boxes = [(f"{n}.jpg", f"class {n % 50}", [10, 10, 20, 20]) for n in range(2000)]
    dataset = rb.read(write_coco(tmp_path, boxes))
    project = service.create_project("many")
    with client_of(service) as client:
        result = rb.upload(
            dataset, client, project, create_tags=True, skip_unresolved=True, dry_run=True
        )
        found = rb.verify(dataset, client, project, image_ids=ids_of(dataset.images.names))
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
            progress=lambda step, _done, _total: steps.append(step),
        )
        assert "sending regions" in steps
        for step in dict.fromkeys(steps):
            with contextlib.suppress(Cancelled):
                rb.upload(scene, client, project, **options, progress=partial(cancel_at, step))
        result = rb.upload(scene, client, project, **options)
        assert result.verification
        assert result.verification.good
        assert result.already + result.created == 12
        assert len(client.tagged_images(project)) == len({one.image for one in scene})


# --- types


def test_the_keywords_of_read_are_the_options_of_the_readers() -> None:
    names = {"Iterable": Iterable, "Callable": Callable, "PathLike": PathLike}
    hints = get_type_hints(rb.ReadKeywords, localns=names)
    options = {
        field.name: field for reader in BUILT_IN_OPTIONS.values() for field in fields(reader)
    }
    assert {*hints} == {*options}
    for name, field in options.items():
        if choices := choices_of(field):
            assert get_origin(hints[name]) is Literal
            assert {str(value) for value in get_args(hints[name])} == {*choices}


USER_PROJECT = """
import regionbatch as rb

dataset = rb.read("a", split="train", coco_boxes="pixels", format="coco", voc_origin=0)
rb.read("a", spilt="train")  # wrong
rb.read("a", coco_boxes="inches")  # wrong
rb.read("a", progress=1)  # wrong
rb.read("a", strict="no")  # wrong
rb.write(dataset, "out")  # wrong
rb.batches("a", tag_ids={}, image_ids={})  # wrong
rb.batches(dataset, tag_ids={}, image_ids={}, skip_unresolved="no")  # wrong
rb.TrainingClient(3, "k")  # wrong
rb.convert("a", "out", tag_ids={}, image_ids={}, spilt="train")  # wrong
rb.Dataset.from_arrow(dataset, mode="XYWH")  # wrong
rb.Dataset.from_arrow(dataset, mode="XYWH_ABS", max_clp=0.5)  # wrong
rb.Dataset.from_arrow(3, mode="XYWH_ABS")  # wrong
dataset.where(dataset.regions.box[:, 2] > 0.1, reason=3)  # wrong
dataset.rename(["a"])  # wrong
rb.concat([1])  # wrong
dataset.split_by(3)["train"]  # wrong
dataset.split_by("split")["train"].where([True]).rename({"a": "b"}).split_by(2)[0].to_arrow()
rb.Dataset.from_arrow(dataset, mode="XYWH_ABS", image_dir="images", drop="crowd")
rb.Dataset.from_arrow(dataset.to_arrow(), mode=rb.BoxMode.XYWH_REL)
"""


def wrong_lines() -> set[int]:
    return {n for n, line in enumerate(USER_PROJECT.splitlines(), 1) if line.endswith("# wrong")}


@pytest.fixture
def user_project(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(USER_PROJECT, encoding="utf-8")
    return path


def test_mypy_finds_mistakes_in_a_program(user_project: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed: pip install mypy")
    config = user_project.with_name("mypy.ini")
    config.write_text(
        f"[mypy]\nstrict = true\nmypy_path = {ROOT / 'converters'}\n"
        "[mypy-regionbatch.*]\nignore_errors = true\n"
        "[mypy-pyarrow.*,imagesize.*,pycocotools.*]\nignore_missing_imports = true\n",
        encoding="utf-8",
    )
    run = process("-m", "mypy", "--config-file", config, "--output", "json", user_project)
    found = {json.loads(line)["line"] for line in run.stdout.splitlines() if line.startswith("{")}
    assert found == wrong_lines(), run.stdout + run.stderr


def test_pyright_finds_mistakes_in_a_program(user_project: Path) -> None:
    pytest.importorskip("pyright", reason="pyright is not installed: pip install pyright")
    (user_project.parent / "pyrightconfig.json").write_text(
        json.dumps({"extraPaths": [str(ROOT / "converters")], "include": ["program.py"]}),
        encoding="utf-8",
    )
    run = process(
        "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, cwd=user_project.parent
    )
    if not run.stdout.startswith("{"):
        pytest.skip(f"pyright cannot run: {run.stderr.strip()[-200:]}")
    found = {
        one["range"]["start"]["line"] + 1
        for one in json.loads(run.stdout)["generalDiagnostics"]
        if one["severity"] == "error"
    }
    assert found == wrong_lines(), run.stdout
