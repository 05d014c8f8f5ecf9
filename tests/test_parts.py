"""Parts read by other processes: the results are the same, and no other process is needed."""

from __future__ import annotations

import io
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tblib import pickling_support

import regionbatch as rb
from helpers import (
    ROOT,
    InThisProcess,
    ManualClock,
    always_in_parts,
    command,
    id_of,
    process,
    raises_mentioning,
    write_coco,
)
from messages.executor_mistakes import DIFFERENCES, Client, Elsewhere, WithoutPackage
from regionbatch import errors, part_reading, part_waiting, parts, process_count, processes
from regionbatch.files.storage import LOCAL
from regionbatch.part_ranges import MIN_PARTS, even_ranges
from regionbatch.parts import run_parts
from regionbatch.process_count import PROCESSES_VARIABLE, available_processes
from regionbatch.processes import ChildProcesses, local_processes
from regionbatch.readers.coco.json_parts import decode_part, divide
from regionbatch.readers.coco.records import ARRAY_SPECS
from regionbatch.readers.yolo.label_parts import read_label_files
from regionbatch.readers.yolo.reader import YoloReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"


@pytest.fixture(autouse=True)
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use two processes, even on a machine with one core."""
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")


def result_of(format: str, executor: Executor | None = None) -> list[Any]:  # noqa: A002 - the keyword of `read`
    dataset = rb.read(SCENE / format, format=format, executor=executor)
    return [list(dataset), dataset.regions.where.tolist(), list(dataset.findings), dataset.ledger]


# Ranges and the number of processes.


@pytest.mark.parametrize(
    ("count", "n", "most", "sizes"),
    [
        (0, 16, 10, []),
        (1, 16, 10, [1]),
        (7, 3, 10, [2, 2, 3]),
        (7, 1, 2, [1, 2, 2, 2]),
        (100, 16, 1000, [6, 6, 6, 7] * 4),
    ],
)
def test_ranges_are_about_equal_and_never_too_large(
    count: int, n: int, most: int, sizes: list[int]
) -> None:
    ranges = even_ranges(count, n, most)
    assert [*map(len, ranges)] == sizes
    assert [number for each in ranges for number in each] == [*range(count)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "nonsense\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "0\n"}, 8),
    ],
)
def test_a_container_gets_as_many_processes_as_its_quota_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.setattr(process_count, "_CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    for value in ("", " "):
        monkeypatch.setenv(PROCESSES_VARIABLE, value)
        assert available_processes() == expected
    for value in ("5", " 05 "):
        monkeypatch.setenv(PROCESSES_VARIABLE, value)
        assert available_processes() == 5


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "x", "+2", "2 3", "٢", "10000", "9" * 5000])
def test_a_wrong_number_of_processes_is_an_error_for_every_dataset(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(PROCESSES_VARIABLE, value)
    with pytest.raises(rb.OptionError) as caught:
        rb.read(ROOT / "fixtures/scene/coco")
    assert (caught.value.place, caught.value.value) == (PROCESSES_VARIABLE, value)
    run = command("inspect", ROOT / "fixtures/scene/coco")
    assert run.status == 2
    assert run.stderr.startswith(f"Error: {PROCESSES_VARIABLE}: ")


# Results come in order, from any executor.


def numbered(number: int) -> tuple[int, int]:
    return number, os.getpid()


def broken_at_two(number: int) -> int:
    if number == 2:
        raise rb.AmbiguousDatasetError("a.json: two", place="a.json", option="x", choices=["y"])
    return number


def unpicklable(number: int) -> Callable[[], int]:
    return lambda: number


def killed_elsewhere(number: int, parent: int) -> int:
    if number == 3 and os.getpid() != parent:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return number


JOBS = [(number,) for number in range(20)]


def test_results_come_in_order_from_another_process() -> None:
    with local_processes() as executor:
        assert executor is not None
        results = [*run_parts(numbered, JOBS, executor)]
    assert [number for number, _ in results] == [*range(20)]
    assert os.getpid() not in {pid for _, pid in results}


READ_AHEAD = threading.Event()


def waiting_for_the_next(number: int) -> int:
    if number == 0 and not READ_AHEAD.wait(30):
        raise TimeoutError
    READ_AHEAD.set()
    return broken_at_two(number)


def test_this_process_reads_parts_too_instead_of_waiting() -> None:
    """And an error of a part is still raised in its turn."""
    READ_AHEAD.clear()
    with ThreadPoolExecutor(1) as executor:
        results = run_parts(waiting_for_the_next, JOBS, executor, is_own=True)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(rb.AmbiguousDatasetError):
            next(results)


def test_only_some_parts_are_submitted_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_MAX_WAITING", 3)
    executor = InThisProcess()
    for done, _ in enumerate(run_parts(numbered, JOBS, executor), 1):
        assert len(executor.results) <= done + 2
    assert len(executor.results) == 20


def test_an_error_of_a_part_is_raised_in_its_turn_with_its_data() -> None:
    results = run_parts(broken_at_two, JOBS, InThisProcess())
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(rb.AmbiguousDatasetError) as caught:
        next(results)
    error = caught.value
    assert [error.place, error.option, error.choices] == ["a.json", "x", ("y",)]


@pytest.mark.parametrize("name", [name for name in rb.__all__ if name.endswith("Error")])
def test_errors_keep_their_data_when_they_are_pickled(name: str) -> None:
    pickling_support.install()  # as Dask does
    error = getattr(errors, name)("a: b", place="a", option="b", value=3, choices=["c", "d"])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.__dict__) == (str(error), error.__dict__)


def test_what_cannot_be_pickled_is_computed_here(caplog: pytest.LogCaptureFixture) -> None:
    results = run_parts(unpicklable, JOBS[:3], InThisProcess())
    assert [call() for call in results] == [0, 1, 2]
    assert len(caplog.records) == 1, "one warning"


def test_an_executor_that_was_shut_down_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    expected = result_of("yolo")
    assert result_of("yolo", executor) == expected
    assert len(caplog.records) == 1


class Never(Executor):
    """Returns futures that are never done, like a cluster whose scheduler is gone."""

    def __init__(self, client: object = None) -> None:
        self._client = client

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        return Future()


def test_an_executor_that_does_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(part_waiting, "GIVE_UP_SECONDS", 0.0)
    monkeypatch.setattr(part_waiting, "_POLL", 0.001)
    assert [number for number, _ in run_parts(numbered, JOBS, Never())] == [*range(20)]
    assert len(caplog.records) == 1


class LastFirst(InThisProcess):
    """Has the results of later calls first."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Future[Any], Future[Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls.append((future, super().submit(fn, *args)))
        return future

    def finish_one(self) -> None:
        future, done = self.calls.pop()
        future.set_result(done.result())


def test_a_slow_part_is_waited_for_while_others_have_results(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    executor = LastFirst()
    clock = ManualClock()

    def wait(*_: object) -> None:
        clock.time += 0.9 * part_waiting.GIVE_UP_SECONDS
        executor.finish_one()

    monkeypatch.setattr(part_waiting, "wait", wait)
    monkeypatch.setattr(part_waiting, "time", SimpleNamespace(monotonic=clock))
    assert [number for number, _ in run_parts(numbered, JOBS[:5], executor)] == [*range(5)]
    assert not caplog.records


def test_a_warning_about_an_executor_contains_no_credential(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def submit(*_: Any, **__: Any) -> Future[Any]:
        raise OSError("cannot connect to tcp://me:SECRET@host:8786")

    executor: Any = SimpleNamespace(submit=submit)
    assert [number for number, _ in run_parts(numbered, JOBS, executor)] == [*range(20)]
    assert "host:8786" in caplog.text
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize("status", ["closing", "closed"])
def test_a_closed_cluster_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    monkeypatch.setattr(part_waiting, "_POLL", 0.001)
    client = SimpleNamespace(status=status)
    assert [number for number, _ in run_parts(numbered, JOBS, Never(client))] == [*range(20)]
    assert len(caplog.records) == 1


class Returning(InThisProcess):
    """Has other results than those of the calls."""

    def __init__(self, change: Callable[[list[Any]], Any]) -> None:
        super().__init__()
        self.change = change

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        super().submit(fn, *args)
        future: Future[Any] = Future()
        future.set_result(self.change(self.results))
        return future


class WithoutFuture(InThisProcess):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        return super().submit(fn, *args).result()


class Nothing(InThisProcess):
    def submit(self, *_: Any, **__: Any) -> Any:
        return None


@pytest.mark.parametrize(
    "executor",
    [
        Returning(lambda _: None),
        Returning(lambda _: "a text"),
        Returning(lambda results: results[0]),
        Returning(lambda results: results[-1][-1]),
        WithoutFuture(),
        Nothing(),
    ],
    ids=["none", "text", "remembered", "unpacked", "no future", "nothing"],
)
def test_an_executor_that_returns_something_else_is_an_error(executor: Executor) -> None:
    with pytest.raises(rb.OptionError) as caught:
        result_of("voc", executor)
    assert caught.value.option == "executor"


def test_parts_of_a_killed_process_are_read_again() -> None:
    jobs = [(number, os.getpid()) for number in range(10)]
    with local_processes() as executor:
        assert executor is not None
        assert [*run_parts(killed_elsewhere, jobs, executor, is_own=True)] == [*range(10)]


STARTED: list[int] = []
MAY_END = threading.Event()


def held(number: int) -> None:
    STARTED.append(number)
    assert MAY_END.wait(30)


def test_calls_that_have_not_started_are_cancelled() -> None:
    STARTED.clear()
    MAY_END.clear()
    with ThreadPoolExecutor(1) as executor:
        run_parts(held, JOBS, executor).close()
        MAY_END.set()
    assert len(STARTED) <= 1


# Other processes must have the same package and see the same files.


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
@pytest.mark.parametrize("difference", DIFFERENCES.values(), ids=DIFFERENCES)
def test_a_process_that_differs_is_an_error(format: str, difference: Any) -> None:  # noqa: A002
    with pytest.raises(rb.OptionError) as caught:
        result_of(format, Elsewhere(*difference))
    assert caught.value.option == "executor"


def test_a_process_without_the_package_is_an_error() -> None:
    with raises_mentioning(rb.OptionError, "executor", rb.__version__):
        result_of("yolo", WithoutPackage())


@pytest.mark.parametrize("value", [3, "dask", Client(), object()])
def test_something_else_than_an_executor_is_an_error(value: Any) -> None:
    with pytest.raises(rb.OptionError) as caught:
        rb.read(SCENE / "coco", executor=value)
    assert (caught.value.option, caught.value.value) == ("executor", value)
    with pytest.raises(rb.OptionError):
        rb.convert(SCENE / "coco", "out", tag_ids={}, image_ids={}, executor=value)


class Shifted(YoloReader):
    """Changes what `read` returns, and knows nothing of parts."""

    def read(self, *arguments: Any) -> Any:
        raw = super().read(*arguments)
        return replace(raw, box=raw.box / 2)


class ShiftedInParts(YoloReader):
    def merge(self, *arguments: Any) -> Any:
        raw = super().merge(*arguments)
        return replace(raw, box=raw.box / 2)


@pytest.mark.parametrize("reader", [Shifted(), ShiftedInParts()])
def test_a_reader_derived_from_another_gives_the_same_with_an_executor(reader: Any) -> None:
    executor = InThisProcess()
    expected = list(rb.read(SCENE / "yolo", format=reader))
    assert list(rb.read(SCENE / "yolo", format=reader, executor=executor)) == expected
    assert expected != list(rb.read(SCENE / "yolo"))
    assert bool(executor.results) == isinstance(reader, ShiftedInParts)


# Processes of this machine.


def one_core(patch: pytest.MonkeyPatch) -> None:
    patch.delenv(PROCESSES_VARIABLE)
    patch.setattr(process_count, "_count_cores", lambda: 1)


def disabled(patch: pytest.MonkeyPatch) -> None:
    patch.setenv(PROCESSES_VARIABLE, "1")


def missing_interpreter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", str(ROOT / "python-that-is-missing"))


def embedded_interpreter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", str(ROOT / "annotator.exe"))


def unnamed_interpreter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", None)


def frozen_program(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "frozen", True, raising=False)


def no_process(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    patch.setattr(subprocess, "Popen", refuse)


ANSWER_CALLS = "regionbatch.parts.answer_calls(jobs, results)"
"""The last line of what a child process runs."""


def no_thread(patch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    patch.setattr(threading.Thread, "start", refuse)


def exception_in_child(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(processes, "_CHILD_CODE", "raise MemoryError")


def killed_child(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(processes, "_CHILD_CODE", "import os; os.kill(os.getpid(), 9)")


def killed_in_a_result(patch: pytest.MonkeyPatch) -> None:
    half = (
        "work, arguments = pickle.load(jobs)\n"
        "result = pickle.dumps(work(*arguments), 5)\n"
        "results.write(len(result).to_bytes(8, 'little') + result[:-1])\n"
        "results.flush()\n"
    )
    assert ANSWER_CALLS in processes._CHILD_CODE
    patch.setattr(processes, "_CHILD_CODE", processes._CHILD_CODE.replace(ANSWER_CALLS, half))


def other_package(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rb, "__file__", "elsewhere")


PREVENTED = [
    one_core,
    disabled,
    missing_interpreter,
    embedded_interpreter,
    unnamed_interpreter,
    frozen_program,
    no_process,
    no_thread,
    exception_in_child,
    killed_child,
    killed_in_a_result,
    other_package,
]


@pytest.mark.parametrize("prevent", PREVENTED)
def test_this_process_reads_everything_if_others_fail(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    prevent: Callable[[pytest.MonkeyPatch], None],
) -> None:
    expected = result_of("yolo")
    monkeypatch.setattr(part_reading, "MIN_PARTS_OF_LARGE", 0)
    prevent(monkeypatch)
    assert result_of("yolo") == expected
    assert not caplog.records, "nothing that a user can change"


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
def test_large_datasets_are_read_by_processes(
    monkeypatch: pytest.MonkeyPatch,
    format: str,  # noqa: A002
) -> None:
    expected = result_of(format)
    monkeypatch.setattr(part_reading, "MIN_PARTS_OF_LARGE", 0)
    monkeypatch.setattr(Future, "cancel", lambda _: False)  # this process leaves all parts to them
    pids: list[int] = []
    original = subprocess.Popen

    def spy(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        child = original(*arguments, **options)
        pids.append(child.pid)
        return child

    monkeypatch.setattr(subprocess, "Popen", spy)
    assert result_of(format) == expected
    assert pids


@pytest.mark.skipif(sys.platform == "win32", reason="select needs POSIX for pipes")
def test_processes_load_their_modules_before_the_first_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = processes._CHILD_CODE.replace(
        ANSWER_CALLS, "results.write(b'*'); results.flush()\n" + ANSWER_CALLS
    )
    monkeypatch.setattr(processes, "_CHILD_CODE", code)
    with closing_children(1) as children:
        assert isinstance(children, ChildProcesses)
        children._threads.submit(int).result()
        children._threads.shutdown()  # the process has been started
        process = children._children[0]._process
        assert process is not None
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 30)[0]


def test_no_more_processes_start_than_there_are_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []

    def start(child: object) -> None:
        started.append(child)

    monkeypatch.setattr(processes._Child, "start", start)
    with closing_children(1000) as children:
        assert isinstance(children, ChildProcesses)
        children._threads.shutdown()
    assert len(started) == MIN_PARTS


def test_an_error_does_not_depend_on_the_executor(tmp_path: Path) -> None:
    """Whether a dataset is large is decided before images are found, which reads its data.yaml."""
    (tmp_path / "data.yaml").write_text("names: {0: cat, 0: dog}\ntrain: .\n", encoding="utf-8")
    (tmp_path / "elsewhere.jpg").touch()
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n", encoding="utf-8")
    errors = []
    for executor in (None, InThisProcess()):
        with pytest.raises(rb.RegionBatchError) as caught:
            rb.read(tmp_path, executor=executor)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("is_broken", [False, True])
@pytest.mark.parametrize("ids", ["{", '{"a.jpg": "not a UUID"}', None])
def test_ids_read_while_others_read_parts_fail_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: str | None, *, is_broken: bool
) -> None:
    """An error of the dataset comes first, unless the file is missing."""
    path = large_coco(tmp_path)
    if is_broken:
        path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    file = tmp_path / "ids.json"
    if ids is not None:
        file.write_text(ids, encoding="utf-8")
    errors = []
    for count in (1, 3):
        if count > 1:
            always_in_parts(monkeypatch, count)
        expected = rb.DatasetError if is_broken and ids is not None else rb.ResolveError
        with pytest.raises(expected) as caught:
            rb.convert(path, tmp_path / "out.jsonl", tag_ids=SCENE / "tags.json", image_ids=file)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_any_error_of_a_mapping_comes_after_those_of_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unusable(dict[str, str]):
        def items(self) -> Any:
            raise ValueError("unusable")

    path = large_coco(tmp_path)
    always_in_parts(monkeypatch, 3)
    tables: Any = {"tag_ids": {"cat": id_of("cat")}, "image_ids": Unusable(a="b")}
    with pytest.raises(ValueError, match="unusable"):
        rb.convert(path, io.BytesIO(), **tables)
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    with pytest.raises(rb.DatasetError):
        rb.convert(path, io.BytesIO(), **tables)


def test_image_ids_are_read_while_others_read_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read once: their file may change afterwards, and a pipe has them only once."""
    path = large_coco(tmp_path)
    file = tmp_path / "ids.json"
    first = id_of("first")
    always_in_parts(monkeypatch, 3)

    def replace(*_: object) -> None:
        file.write_text(json.dumps({"a.jpg": id_of("second")}), encoding="utf-8")

    def converted(ids: str) -> bytes:
        file.write_text(ids, encoding="utf-8")
        out = io.BytesIO()
        rb.convert(path, out, tag_ids={"cat": id_of("cat")}, image_ids=file, progress=replace)
        return out.getvalue()

    assert json.loads(converted(json.dumps({"a.jpg": first})))["regions"][0]["imageId"] == first
    with raises_mentioning(rb.ResolveError, "ids.json", "not valid JSON"):
        converted("{")


def test_images_of_lists_are_read_by_processes_for_a_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The label files have no split of their own."""
    dataset = ROOT / "fixtures" / "yolo" / "list-of-images" / "input"
    expected = list(rb.read(dataset, split="train"))
    monkeypatch.setattr(part_reading, "MIN_PARTS_OF_LARGE", 0)
    executor = InThisProcess()
    monkeypatch.setattr(part_reading, "available_processes", lambda: 2)
    monkeypatch.setattr(processes, "local_processes", lambda **_: nullcontext(executor))
    assert list(rb.read(dataset, split="train")) == expected
    assert executor.results


def yolo_of_splits(folder: Path) -> None:
    """Write a dataset whose splits are not in alphabetical order, with an image for each label."""
    splits = ("train", "valid", "test")
    lines = ["names: [cat]", *(f"{split}: {split}/images" for split in splits)]
    (folder / "data.yaml").write_text("\n".join(lines), encoding="utf-8")
    for split in splits:
        for role, name in (("images", "a.jpg"), ("labels", "a.txt")):
            (folder / split / role).mkdir(parents=True)
            (folder / split / role / name).write_text("0 .5 .5 .2 .2" * (role == "labels"))


def test_label_files_are_read_once_while_their_images_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    yolo_of_splits(tmp_path)
    expected = list(rb.read(tmp_path))
    executor = always_in_parts(monkeypatch, 3)
    assert isinstance(executor, InThisProcess)
    assert list(rb.read(tmp_path)) == expected
    assert len(executor.results) == 3


def test_label_files_are_read_again_if_their_images_show_that_one_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    yolo_of_splits(tmp_path)
    (tmp_path / "train" / "images" / "a.txt").write_text("0 .1 .1 .1 .1")  # a second label file
    dataset = rb.read(tmp_path)
    assert len(dataset) == 3
    assert dataset.findings.counts()["second_label"] == 1
    executor = always_in_parts(monkeypatch, 2)
    assert isinstance(executor, InThisProcess)
    again = rb.read(tmp_path)
    assert list(again) == list(dataset)
    assert again.findings.counts() == dataset.findings.counts()
    assert len(executor.results) == 4


def forever(_number: int) -> None:
    while True:
        pass


def test_processes_end_with_the_block() -> None:
    with suppress(KeyboardInterrupt), local_processes() as executor:
        assert executor is not None
        pid = executor.submit(os.getpid).result()
        endless = executor.submit(forever, 1)
        raise KeyboardInterrupt
    with pytest.raises(Exception):  # noqa: B017 - whatever the executor says
        endless.result(timeout=30)
    if sys.platform != "win32":
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_that_starts_while_the_block_ends_is_ended_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This happens if the file has an error at its start, or after an early Ctrl-C."""
    is_starting, is_ending = threading.Event(), threading.Event()
    start, kill = subprocess.Popen, processes._Child.kill

    def start_late(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        is_starting.set()
        assert is_ending.wait(30)
        return start(*arguments, **options)

    def kill_early(child: Any) -> None:
        kill(child)
        is_ending.set()

    monkeypatch.setattr(subprocess, "Popen", start_late)
    monkeypatch.setattr(processes._Child, "kill", kill_early)
    with local_processes() as executor:
        assert executor is not None
        endless = executor.submit(forever, 1)
        assert is_starting.wait(30)
    with pytest.raises(Exception):  # noqa: B017 - whatever the executor says
        endless.result(timeout=30)


@pytest.mark.skipif(sys.platform == "win32", reason="process groups need POSIX")
def test_ctrl_c_does_not_reach_child_processes() -> None:
    with closing_children(1) as children:
        assert children.submit(os.getpgid, 0).result() != os.getpgid(0)


@contextmanager
def closing_children(count: int) -> Iterator[Executor]:
    children = ChildProcesses(count)
    try:
        yield children
    finally:
        children.shutdown()


def test_other_output_is_not_mixed_with_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the output of a `sitecustomize` that prints."""
    code = processes._CHILD_CODE.replace(
        "import regionbatch", "print('x' * 99999)\nimport regionbatch"
    )
    monkeypatch.setattr(processes, "_CHILD_CODE", code)
    with closing_children(1) as children:
        assert children.submit(numbered, 3).result()[0] == 3


IN_ANOTHER_FOLDER = """
import os, sys
from regionbatch.processes import local_processes
from regionbatch.files.storage import LOCAL
from regionbatch.parts import run_parts
from test_parts import numbered
os.chdir(sys.argv[1])
sys.path[:0] = ["", "."]  # as in a notebook that changed its folder
with local_processes() as executor:
    results = [*run_parts(numbered, [(1,), (2,)], executor)]
    print(len(results), os.getpid() in {pid for _, pid in results})
"""


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    for name in (
        "gc",
        "json",
        "pickle",
        "regionbatch",
        "numpy",
        "msgspec",
        "sitecustomize",
    ):
        (tmp_path / f"{name}.py").write_text(
            "open('imported', 'w')\nraise SystemExit(3)\n", encoding="utf-8"
        )
    path = os.pathsep.join(filter(None, sys.path))
    run = process("-P", "-c", IN_ANOTHER_FOLDER, tmp_path, PYTHONPATH=path)
    assert run.stdout == "2 False\n", run.stderr
    assert not (tmp_path / "imported").exists()


SCRIPT = """
import sys
import regionbatch as rb
from regionbatch import part_reading
part_reading.MIN_PARTS_OF_LARGE = 0
print(len(rb.read(sys.argv[1])))
"""


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    run = process(script, SCENE / "yolo")
    assert (run.stdout, run.stderr) == ("12\n", "")


# COCO: parts of one file.


def large_coco(folder: Path, count: int = 40) -> Path:
    boxes = [("a.jpg", "cat", (number, 1, 10, 10)) for number in range(count)]
    return write_coco(folder, boxes) / "annotations.json"


def test_a_file_that_was_replaced_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    path = large_coco(tmp_path)
    jobs = divide(LOCAL, str(path), 3, "annotations", ARRAY_SPECS["annotations"])
    assert len(jobs) == 2
    assert all(decode_part(*job) for job in jobs)
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert not any(decode_part(*job) for job in jobs)


def test_the_last_parts_are_smaller(tmp_path: Path) -> None:
    """Otherwise, a process that is done early waits for another one as long as a part takes."""
    path = large_coco(tmp_path, 2000)
    text = path.read_text(encoding="utf-8").replace('}, {"', "},\n" + " " * 999 + '{"')
    path.write_text(text, encoding="utf-8")
    jobs = divide(LOCAL, str(path), MIN_PARTS, "annotations", ARRAY_SPECS["annotations"])
    sizes = [job.end - job.start for job in jobs]
    assert len(jobs) > MIN_PARTS
    assert max(sizes[-8:]) < min(sizes[:-8]) / 2
    assert jobs[-1].end == path.stat().st_size


class Replacing(InThisProcess):
    """Replaces a file before it reads the first part."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__()
        self.path = path
        self.text = text

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        self.path.write_text(self.text, encoding="utf-8")
        return super().submit(fn, *args)


def test_a_file_replaced_before_it_is_read_is_read_as_it_is_now(tmp_path: Path) -> None:
    path = large_coco(tmp_path / "old")
    new = large_coco(tmp_path / "new", 50).read_text(encoding="utf-8")
    assert len(rb.read(path, executor=Replacing(path, new))) == 50


def test_errors_in_a_part_are_reported_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part ends where the types do not fit, and where the JSON is broken."""
    path = large_coco(tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"][35]["bbox"] = [1, 2, "x", 4]
    path.write_text(json.dumps(content), encoding="utf-8")
    executor = always_in_parts(monkeypatch, 3)
    dataset = rb.read(path)
    assert isinstance(executor, InThisProcess)
    assert any(part for _, _, part in executor.results)
    assert len(dataset) == 39
    assert [
        finding.code for finding in dataset.findings if finding.place.endswith("annotation 36")
    ] == ["not_a_box"]
    path.write_text(json.dumps(content)[:-40], encoding="utf-8")
    with raises_mentioning(rb.DatasetError, "annotations.json:1"):
        rb.read(path)


def test_a_part_that_starts_within_a_record_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there may look like another record."""
    inner = [{"id": 90, "image_id": 1, "category_id": 1, "bbox": [at, 50, 5, 5]} for at in range(6)]
    boxes = [("a.jpg", "cat", (number, 1, 10, 10)) for number in range(40)]
    path = write_coco(tmp_path, boxes, inner=inner) / "annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    expected = list(rb.read(path))
    for count in (3, 7, 40):
        executor = always_in_parts(monkeypatch, count)
        assert list(rb.read(path)) == expected
        assert isinstance(executor, InThisProcess)
        assert any(part for _, _, part in executor.results)


def test_the_first_error_of_broken_json_is_reported_whatever_the_number_of_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is true even if a string that is never closed hides where the array ends."""
    path = large_coco(tmp_path)
    records = path.read_text(encoding="utf-8").split('"bbox":')
    for at in (5, 6, -2):
        records[at] += "bbox:"
    text = '"bbox":'.join(records).replace('bbox:"bbox":', 'bbox":')
    path.write_text(text, encoding="utf-8")
    found = set()
    for count in (1, 2, 7):
        always_in_parts(monkeypatch, count)
        with pytest.raises(rb.DatasetError) as caught:
            rb.read(path, format="coco")
        found.add(str(caught.value))
    assert len(found) == 1, found


def test_an_empty_part_takes_at_most_10_milliseconds() -> None:
    """In CPU time of this process, which submits it and waits for it."""
    jobs: list[Any] = [(LOCAL, [], "auto", 0)] * 200
    with ThreadPoolExecutor(2) as executor:
        start = os.times()
        for _ in run_parts(read_label_files, jobs, executor):
            pass
        end = os.times()
    assert (end.user + end.system - start.user - start.system) / len(jobs) < 0.010
