"""Payloads that parts write to a folder of a cloud; with the memory of fsspec as a cloud."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from cloud.failing import write_or_fail

import regionbatch as rb
from helpers import ROOT, InThisProcess, command, ids_of, write_coco
from regionbatch.files.cloud_paths import CloudPath
from regionbatch.in_parts import convert as in_parts
from regionbatch.in_parts import division

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"
OUT = "memory://container/my out"
KEY = "/container/my out/"
IMAGES = [f"a {number} ü.jpg" for number in range(7)]
TABLES: dict[str, Any] = {"tag_ids": ids_of(["cat"]), "image_ids": ids_of(IMAGES)}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "ROWS_PER_PART", 2)


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """A dataset of 50 boxes on 7 images, of which one is adjusted."""
    rows = [(IMAGES[number % 7], "cat", [number, 1, 10, 20]) for number in range(49)]
    return write_coco(tmp_path / "data", [*rows, (IMAGES[0], "cat", [195, 1, 10, 20])])


def convert(boxes: Path, out: object = OUT, **options: Any) -> rb.BatchFiles:
    options = {"executor": InThisProcess(), **TABLES, **options}
    written = rb.convert(boxes, out, **options)  # type: ignore[arg-type]
    assert isinstance(written, rb.BatchFiles)
    return written


def files_in(cloud: Any, key: str = KEY) -> dict[str, bytes]:
    return {path.removeprefix(key): cloud.cat_file(path) for path in cloud.find(key)}


def put_earlier_output(cloud: Any) -> None:
    for number in range(1, 30):
        cloud.pipe_file(f"{KEY}part-{number:05}.jsonl", b'{"regions":[]}\n')
    cloud.pipe_file(f"{KEY}summary.json", b'{\n "schema_version": 1}')


def test_a_folder_is_that_of_this_machine(boxes: Path, tmp_path: Path, cloud: Any) -> None:
    here = convert(boxes, tmp_path / "out")
    there = convert(boxes)
    names = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert files_in(cloud) == names
    assert there.files == [CloudPath(OUT) / path.name for path in here.files]
    assert len(there.files) > 3
    for one, other in ((here, there), (here, pickle.loads(pickle.dumps(there)))):
        assert [*other.regions] == [*one.regions]
        assert Counter(other.findings) == Counter(one.findings)
        assert other.findings.first("image_not_on_disk", 7) == one.findings.first(
            "image_not_on_disk", 7
        )
        assert (other.ledger, other.summary) == (one.ledger, one.summary)


def test_a_container_is_a_folder(boxes: Path, cloud: Any) -> None:
    convert(boxes, "memory://container")
    assert "summary.json" in files_in(cloud, "/container/")


def test_earlier_output_is_replaced(boxes: Path, tmp_path: Path, cloud: Any) -> None:
    convert(boxes, tmp_path / "out")
    put_earlier_output(cloud)
    cloud.pipe_file(f"{KEY}unfinished-0123456789abcdef", b"regionbatch\n")
    before = files_in(cloud)
    with pytest.raises(rb.OutputError) as caught:
        convert(boxes)
    assert caught.value.option == "overwrite"
    assert files_in(cloud) == before
    for _ in range(2):
        convert(boxes, overwrite=True)
        assert set(files_in(cloud)) == {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.usefixtures("cloud")
def test_results_show_what_was_written_last(boxes: Path) -> None:
    """They do not show what a file of the same size contained before."""
    convert(boxes)
    tables = {**TABLES, "tag_ids": {"cat": "11111111-2222-3333-4444-555555555555"}}
    later = convert(boxes, overwrite=True, **tables)
    assert {entry.tag_id for entry in later.regions} == {*tables["tag_ids"].values()}


def test_the_summary_is_deleted_first_and_written_last(
    boxes: Path, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_earlier_output(cloud)
    done: list[tuple[str, str]] = []
    for name, at in (("put_file", 1), ("rm_file", 0)):
        original = getattr(type(cloud), name)

        def call(
            self: Any,
            *paths: Any,
            name: str = name,
            at: int = at,
            original: Any = original,
            **rest: Any,
        ) -> Any:
            done.append((name, paths[at].rpartition("/")[2].partition("-")[0]))
            return original(self, *paths, **rest)

        monkeypatch.setattr(type(cloud), name, call)
    convert(boxes, overwrite=True)
    summary = "summary.json"
    assert done[0] == ("rm_file", summary)
    assert done[-2:] == [("put_file", summary), ("rm_file", "unfinished")]
    assert done.count(("put_file", summary)) == done.count(("rm_file", summary)) == 1
    last_removed = max(at for at, each in enumerate(done) if each == ("rm_file", "part"))
    assert last_removed < done.index(("put_file", "unfinished"))


@pytest.mark.parametrize("name", ["notes.txt", "below/part-00001.jsonl", "part-00001.jsonl"])
def test_other_files_are_kept(boxes: Path, cloud: Any, name: str) -> None:
    put_earlier_output(cloud)
    cloud.pipe_file(KEY + name, b"mine")
    before = files_in(cloud)
    for overwrite in (False, True):
        with pytest.raises(rb.OutputError):
            convert(boxes, overwrite=overwrite)
    assert files_in(cloud) == before


def test_a_file_that_another_program_adds_is_kept(boxes: Path, cloud: Any) -> None:
    def add(step: str, _done: int, _total: int) -> None:
        if step == "writing payloads":
            cloud.pipe_file(f"{KEY}notes.txt", b"mine")
            cloud.pipe_file(f"{KEY}part-00099.jsonl", b'{"regions":[]}')  # left by a lost process

    convert(boxes, progress=add)
    assert files_in(cloud)["notes.txt"] == b"mine"
    assert "part-00099.jsonl" not in files_in(cloud)


def test_a_file_is_not_a_folder(boxes: Path, cloud: Any) -> None:
    cloud.pipe_file("/container/my out", b"mine")
    with pytest.raises(rb.OutputError):
        convert(boxes, overwrite=True)


@pytest.mark.parametrize("executor", [None, InThisProcess()])
@pytest.mark.parametrize("out", [OUT, f"{OUT}.jsonl", "memory://container"])
def test_xml_is_refused_without_advice_that_does_not_help(
    tmp_path: Path, cloud: Any, out: str, executor: Any
) -> None:
    """The dataset does not exist: XML is refused before it is read."""
    with pytest.raises(rb.OptionError) as caught:
        rb.convert(tmp_path / "none", out, payload="xml", executor=executor, **TABLES)
    assert (caught.value.option, caught.value.choices) == ("payload", ("json",))
    assert ".jsonl" not in str(caught.value).removeprefix(out)
    tables = ("--tag-ids", SCENE / "tags.json", "--image-ids", SCENE / "images.json")
    cluster = ("--dask", "local") if executor else ()
    done = command("convert", tmp_path, "-o", out, *tables, "--payload", "xml", *cluster)
    assert done.status == 2
    assert "--payload json" in done.stderr
    advice = done.stderr.rpartition(out)[2]
    assert ".jsonl" not in advice
    assert "--dask" not in advice
    assert files_in(cloud) == {}


# Runs that fail.


def fails(boxes: Path, error: type[BaseException], **options: Any) -> BaseException:
    with pytest.raises(error) as caught:
        convert(boxes, overwrite=True, storage_options={"key": "SECRETKEY"}, **options)
    shown = f"{caught.value} {caught.value.__dict__} {caught.value.__cause__!r}"
    assert "SECRETKEY" not in shown
    return caught.value


@pytest.mark.parametrize("has_earlier", [True, False])
def test_a_run_that_fails_leaves_nothing(
    boxes: Path, cloud: Any, monkeypatch: pytest.MonkeyPatch, has_earlier: bool
) -> None:
    def cancel(step: str, done: int, _total: int) -> None:
        if step == "writing payloads" and done > 20:
            assert files_in(cloud)
            raise KeyboardInterrupt

    def prepare() -> None:
        assert files_in(cloud) == {}
        if has_earlier:
            put_earlier_output(cloud)

    prepare()
    fails(boxes, KeyboardInterrupt, progress=cancel)
    prepare()
    fails(boxes, rb.StrictError, strict=True)
    prepare()
    monkeypatch.setattr(in_parts, "write_part", write_or_fail)
    fails(boxes, rb.OutputError)
    assert files_in(cloud) == {}


@pytest.mark.parametrize("is_in_cloud", [True, False])
def test_a_cancelled_run_is_no_error_in_its_processes(
    boxes: Path, tmp_path: Path, cloud: Any, is_in_cloud: bool
) -> None:
    """They no longer see the folder. Dask would print an error that they raise."""
    executor = Twice()

    def cancel(step: str, *_: int) -> None:
        if step == "writing payloads":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(boxes, OUT if is_in_cloud else tmp_path / "out", executor=executor, progress=cancel)
    for call in executor.calls:  # as if they were still under way
        assert InThisProcess().submit(*call).exception() is None
    assert files_in(cloud) == {}
    assert not (tmp_path / "out").exists()


def test_a_run_that_fails_before_it_writes_changes_nothing(boxes: Path, cloud: Any) -> None:
    put_earlier_output(cloud)
    before = files_in(cloud)
    fails(boxes, rb.ResolveError, tag_ids={})
    fails(boxes, rb.OptionError, drop="nothing-known")
    assert files_in(cloud) == before


def test_a_cloud_that_denies_a_file(
    boxes: Path, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = type(cloud).put_file

    def put(self: Any, local: str, path: str, **options: Any) -> Any:
        if path.endswith("part-00002.jsonl"):
            raise PermissionError("no SECRETKEY")
        return original(self, local, path, **options)

    monkeypatch.setattr(type(cloud), "put_file", put)
    fails(boxes, rb.OutputError)
    assert files_in(cloud) == {}


class WithCloud(InThisProcess):
    """Calls functions like processes that see another cloud than this one."""

    def __init__(self, cloud: Any) -> None:
        super().__init__()
        self.cloud = cloud


class SeeingAnotherAccount(WithCloud):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        kept = dict(self.cloud.store)
        self.cloud.store.clear()
        try:
            return super().submit(fn, *args)
        finally:
            assert not self.cloud.store
            self.cloud.store.update(kept)


class WritingElsewhere(WithCloud):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        future = super().submit(fn, *args)
        for path in self.cloud.glob(f"{KEY}part-*"):
            self.cloud.rm_file(path)
        return future


@pytest.mark.parametrize("kind", [SeeingAnotherAccount, WritingElsewhere])
def test_processes_that_do_not_see_the_folder_are_an_error(
    boxes: Path, cloud: Any, kind: type[WithCloud]
) -> None:
    error = fails(boxes, rb.OptionError, executor=kind(cloud))
    assert isinstance(error, rb.OptionError)
    assert error.option == "executor"
    assert files_in(cloud) == {}


class Twice(InThisProcess):
    """Calls each function twice, like a scheduler that believes that a worker is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        self.calls.append((fn, *args))
        super().submit(fn, *args)
        return super().submit(fn, *args)


def test_a_part_that_is_written_twice_changes_nothing(boxes: Path, cloud: Any) -> None:
    convert(boxes)
    expected = files_in(cloud)
    executor = Twice()
    convert(boxes, overwrite=True, executor=executor)
    assert files_in(cloud) == expected
    for call in executor.calls:  # and a third time, after the end
        InThisProcess().submit(*call)
    assert files_in(cloud) == expected


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_process_that_is_late(
    boxes: Path, cloud: Any, monkeypatch: pytest.MonkeyPatch, is_complete: bool
) -> None:
    """The run ends while a process uploads a file: it stays only if the run was complete."""
    original = type(cloud).put_file
    unfinished: dict[str, Any] = {}
    late: list[str] = []
    is_late = False

    def put(self: Any, local: str, path: str, **options: Any) -> None:
        original(self, local, path, **options)
        if "unfinished" in path:
            unfinished[path] = self.store[path]
        elif is_late:
            late.append(path)
            self.store.pop(next(iter(unfinished)))

    monkeypatch.setattr(type(cloud), "put_file", put)
    executor = Twice()
    convert(boxes, executor=executor)
    expected = files_in(cloud)
    if not is_complete:
        expected = {}
        cloud.rm(KEY, recursive=True)
    is_late = True
    for call in executor.calls:
        cloud.store.update(unfinished)
        InThisProcess().submit(*call)
        for path in unfinished:
            cloud.store.pop(path, None)  # the call read something
    assert files_in(cloud) == expected
    assert len(late) > 3


def test_two_runs_at_once_are_not_mixed(boxes: Path, cloud: Any) -> None:
    """The later one replaces the folder; the earlier one fails, and changes nothing in it."""
    later: list[dict[str, bytes]] = []

    def replace(step: str, _done: int, _total: int) -> None:
        if step == "writing payloads" and not later:
            later.append({})
            convert(boxes, overwrite=True)
            later[0] = files_in(cloud)

    with pytest.raises((rb.OutputError, rb.OptionError)):
        convert(boxes, progress=replace)
    assert files_in(cloud) == later[0]
    assert "summary.json" in later[0]


def test_only_other_processes_write_a_folder(boxes: Path, cloud: Any) -> None:
    """Without other processes, a folder would have to appear in one step, which no cloud can do."""
    for options in ({"executor": None}, {"payload": "xml"}):
        with pytest.raises(rb.OptionError):
            convert(boxes, **options)
    assert files_in(cloud) == {}
    assert json.loads(json.dumps(convert(boxes).summary))["boxes"]["read"] == 50


def test_the_command_checks_the_folder_first(boxes: Path, tmp_path: Path, cloud: Any) -> None:
    cloud.pipe_file(f"{KEY}notes.txt", b"mine")
    tables = []
    for option, names in (("--tag-ids", TABLES["tag_ids"]), ("--image-ids", TABLES["image_ids"])):
        (tmp_path / f"{option}.json").write_text(json.dumps(names), encoding="utf-8")
        tables += [option, str(tmp_path / f"{option}.json")]
    for options, status in (((), 2), (("--dask", "local", "--overwrite"), 1)):
        assert command("convert", str(boxes), "-o", OUT, *tables, *options).status == status
    assert files_in(cloud) == {"notes.txt": b"mine"}
