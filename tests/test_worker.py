"""The second process: it gives the same results as this one, and is not needed."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from helpers import ROOT, always_use_worker, process, raises_mentioning, write_coco
from regionbatch.readers import worker
from regionbatch.readers.coco import json_stream
from regionbatch.readers.coco.json_text import document
from regionbatch.readers.coco.records import ARRAY_SPECS
from regionbatch.readers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend to have two cores, as a container with one core starts no worker."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1}, raising=False)
    monkeypatch.delenv(worker.PROCESSES_VARIABLE, raising=False)


def result_of(format: str) -> list[Any]:  # noqa: A002 - the keyword of `read`
    dataset = rb.read(SCENE / format, format=format)
    return [list(dataset), dataset.regions.where.tolist(), sorted(dataset.findings), dataset.ledger]


def record_items(patch: pytest.MonkeyPatch) -> list[Any]:
    """Record the items of all workers from now on; None for a worker that failed."""
    items: list[Any] = []
    original = Worker.items

    def spy(one: Worker[Any]) -> Iterator[Any] | None:
        found = original(one)
        items.append(None if found is None else list(found))
        return None if found is None else iter(items[-1])

    patch.setattr(Worker, "items", spy)
    return items


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
def test_a_worker_reads_the_second_half(
    monkeypatch: pytest.MonkeyPatch,
    format: str,  # noqa: A002
) -> None:
    expected = result_of(format)
    always_use_worker(monkeypatch, None)
    items = record_items(monkeypatch)
    assert result_of(format) == expected
    assert items
    assert all(items), "a worker failed"


def one_core(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "sched_getaffinity", lambda _process: {0}, raising=False)
    patch.setattr(os, "cpu_count", lambda: 1)


def disabled(patch: pytest.MonkeyPatch) -> None:
    patch.setenv(worker.PROCESSES_VARIABLE, "1")


def missing_interpreter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", str(ROOT / "python-that-is-missing"))


def embedded_interpreter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", str(ROOT / "annotator.exe"))


def unnamed_interpreter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", None)


def full_disk(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    patch.setattr(tempfile, "TemporaryFile", refuse)


def exception_in_child(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(worker, "_CHILD_CODE", worker._CHILD_CODE + "raise MemoryError")


def killed_child(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(worker, "_CHILD_CODE", "import os; os.kill(os.getpid(), 9)")


def success_without_output(patch: pytest.MonkeyPatch) -> None:
    """As if the program ignored SIGCHLD: the status of a killed child is then 0."""
    patch.setattr(worker, "_CHILD_CODE", "")


def success_with_partial_output(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        worker,
        "_CHILD_CODE",
        worker._CHILD_CODE.replace("    count += 1", "    out.flush(); os._exit(0)"),
    )


def other_package(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(worker, "_PACKAGE_FILE", "elsewhere")


def other_file_name_encoding(patch: pytest.MonkeyPatch) -> None:
    """The child would decode the names of files in another way."""
    patch.setattr(sys, "getfilesystemencoding", lambda: "latin-1")


def frozen_program(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "frozen", True, raising=False)


NO_WORKER = [
    one_core,
    disabled,
    missing_interpreter,
    embedded_interpreter,
    unnamed_interpreter,
    full_disk,
    exception_in_child,
    killed_child,
    success_without_output,
    success_with_partial_output,
    other_package,
    other_file_name_encoding,
    frozen_program,
]


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
@pytest.mark.parametrize("prevent", NO_WORKER)
def test_this_process_reads_everything_if_the_worker_fails(
    monkeypatch: pytest.MonkeyPatch,
    prevent: Callable[[pytest.MonkeyPatch], None],
    format: str,  # noqa: A002
) -> None:
    expected = result_of(format)
    always_use_worker(monkeypatch, None)
    items = record_items(monkeypatch)
    prevent(monkeypatch)
    assert result_of(format) == expected
    assert set(map(bool, items)) == {False}


def numbers(count: int) -> Iterator[tuple[int, int]]:
    for number in range(count):
        yield os.getpid(), number


def endless() -> Iterator[int]:
    while True:
        yield 1


def forever() -> Iterator[int]:
    while True:
        yield from range(0)


def test_items_come_from_another_process_in_order() -> None:
    with Worker(numbers, 3) as one:
        items = list(one.items() or ())
    assert [number for _, number in items] == [0, 1, 2]
    assert {pid for pid, _ in items} != {os.getpid()}
    assert len({pid for pid, _ in items}) == 1


def test_other_output_is_not_mixed_with_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the output of a `sitecustomize` that prints."""
    monkeypatch.setattr(
        worker,
        "_CHILD_CODE",
        f"print('hello' * 9999, flush=True)\n{worker._CHILD_CODE}\nprint('bye', flush=True)",
    )
    with Worker(numbers, 3) as one:
        assert [number for _, number in one.items() or ()] == [0, 1, 2]


def test_a_function_that_cannot_be_pickled_gets_no_worker() -> None:
    """Such as a function of a module that was reloaded."""
    with Worker(lambda: [1]) as one:
        assert one.items() is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not track parent processes")
def test_a_worker_ends_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 2**22)  # no process has this ID
    with Worker(endless) as one:
        assert one.items() is None


def test_the_process_is_gone_after_the_with_block() -> None:
    running: Any = None
    with suppress(KeyboardInterrupt), Worker(forever) as one:
        running = one._process
        assert running.poll() is None
        raise KeyboardInterrupt
    assert running.poll() is not None


@pytest.mark.skipif(sys.platform == "win32", reason="process groups need POSIX")
def test_ctrl_c_does_not_reach_the_worker() -> None:
    with Worker(forever) as one:
        assert one._process is not None
        assert os.getpgid(one._process.pid) != os.getpgid(0)


IN_ANOTHER_FOLDER = """
import os, sys
from regionbatch.readers.worker import Worker
from test_worker import numbers
os.sched_getaffinity = lambda _process: {0, 1}
os.chdir(sys.argv[1])
sys.path[:0] = ["", "."]  # as in a notebook that changed its folder
with Worker(numbers, 3) as one:
    print(len(list(one.items())))
"""


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    modules = (
        "gc",
        "json",
        "pickle",
        "regionbatch",
        "numpy",
        "msgspec",
        "sitecustomize",
        "usercustomize",
    )
    for name in modules:
        (tmp_path / f"{name}.py").write_text(
            "open('imported', 'w')\nraise SystemExit(3)\n", encoding="utf-8"
        )
    path = os.pathsep.join([*filter(None, sys.path), "."])
    run = process("-P", "-c", IN_ANOTHER_FOLDER, tmp_path, PYTHONPATH=path)
    assert run.stdout == "3\n", run.stderr
    assert not (tmp_path / "imported").exists()


def test_a_file_that_was_replaced_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    path = (
        write_coco(tmp_path, [("a.jpg", "cat", (1, 2, 3, 4)), ("a.jpg", "cat", (5, 6, 7, 8))])
        / "annotations.json"
    )
    text = path.read_text(encoding="utf-8")
    at = text.index("}, {", text.index('"annotations"')) + 3
    with document(path) as opened:
        state = opened.state
    call = (path, state, "annotations", ARRAY_SPECS["annotations"], at, 1000)
    assert [chunk.length for chunk in json_stream._typed_chunks(*call)] == [1]
    path.write_text(text + " ", encoding="utf-8")
    assert list(json_stream._typed_chunks(*call)) == []


def test_errors_in_the_second_half_are_reported_as_in_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's part ends where the types do not fit, and where the JSON is broken."""
    boxes = [("a.jpg", "cat", (number, 1, 10, 10)) for number in range(40)]
    path = write_coco(tmp_path, boxes) / "annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"][35]["bbox"] = [1, 2, "x", 4]
    path.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(json_stream.ArrayStream.__init__, "__defaults__", (300,))
    always_use_worker(monkeypatch, None)
    items = record_items(monkeypatch)
    dataset = rb.read(path)
    assert 0 < sum(chunk.length for chunk in items[0]) < 15
    assert len(dataset) == 39
    assert [
        finding.code for finding in dataset.findings if finding.place.endswith("annotation 36")
    ] == ["not_a_box"]
    path.write_text(json.dumps(content)[:-40], encoding="utf-8")
    with raises_mentioning(rb.DatasetError, "annotations.json:1"):
        rb.read(path)
