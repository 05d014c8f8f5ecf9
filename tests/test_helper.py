"""The second process: what it does is what would be done here, and without it nothing is missing."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from helpers import ROOT, always_helped, process, raises_mentioning, write_coco
from regionbatch.readers import helper
from regionbatch.readers.coco import jsonpieces
from regionbatch.readers.coco.jsontext import document
from regionbatch.readers.coco.records import WANTED
from regionbatch.readers.helper import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on any machine of today: a container with one core has no helper."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1}, raising=False)
    monkeypatch.delenv(helper.VARIABLE, raising=False)


def seen(format: str) -> list[Any]:  # noqa: A002 - the keyword of `read`
    dataset = rb.read(SCENE / format, format=format)
    return [list(dataset), dataset.regions.where.tolist(), sorted(dataset.findings), dataset.ledger]


def spied(patch: pytest.MonkeyPatch) -> list[Any]:
    """The items of all helpers from now on, as they are asked for; None for a helper that has none."""
    items: list[Any] = []
    asked = Helper.items

    def spy(one: Helper[Any]) -> Iterator[Any] | None:
        got = asked(one)
        found = None if got is None else list(got)
        items.append(found)
        return None if found is None else iter(found)

    patch.setattr(Helper, "items", spy)
    return items


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
def test_a_helper_reads_the_second_half(monkeypatch: pytest.MonkeyPatch, format: str) -> None:  # noqa: A002
    expected = seen(format)
    always_helped(monkeypatch, None)
    items = spied(monkeypatch)
    assert seen(format) == expected
    assert items
    assert all(items), "a helper failed"


def without_a_core(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "sched_getaffinity", lambda _process: {0}, raising=False)
    patch.setattr(os, "cpu_count", lambda: 1)


def forbidden(patch: pytest.MonkeyPatch) -> None:
    patch.setenv(helper.VARIABLE, "1")


def no_such_program(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", str(ROOT / "python-that-is-not-here"))


def a_program_of_its_own(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", str(ROOT / "annotator.exe"))


def nameless_program(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", None)


def full_disk(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    patch.setattr(tempfile, "TemporaryFile", refuse)


def it_breaks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(helper, "_CHILD", helper._CHILD + "raise MemoryError")


def it_is_killed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(helper, "_CHILD", "import os; os.kill(os.getpid(), 9)")


def it_ends_well_with_nothing(patch: pytest.MonkeyPatch) -> None:
    """As it seems where a program ignores SIGCHLD: the status of a killed child is then 0."""
    patch.setattr(helper, "_CHILD", "")


def it_ends_well_before_the_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(helper, "_CHILD", helper._CHILD.replace("    count += 1", "    out.flush(); os._exit(0)"))


def other_modules(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(helper, "_OURS", "elsewhere")


def other_names(patch: pytest.MonkeyPatch) -> None:
    """Where names of files are bytes in another encoding than there."""
    patch.setattr(sys, "getfilesystemencoding", lambda: "latin-1")


def frozen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "frozen", True, raising=False)


WITHOUT = [
    without_a_core,
    forbidden,
    no_such_program,
    a_program_of_its_own,
    nameless_program,
    full_disk,
    it_breaks,
    it_is_killed,
    it_ends_well_with_nothing,
    it_ends_well_before_the_end,
    other_modules,
    other_names,
    frozen,
]


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
@pytest.mark.parametrize("without", WITHOUT)
def test_without_one_all_is_read_here(
    monkeypatch: pytest.MonkeyPatch,
    without: Callable[[pytest.MonkeyPatch], None],
    format: str,  # noqa: A002
) -> None:
    expected = seen(format)
    always_helped(monkeypatch, None)
    items = spied(monkeypatch)
    without(monkeypatch)
    assert seen(format) == expected
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


def test_items_come_one_by_one_from_another_process() -> None:
    with Helper(numbers, 3) as one:
        items = list(one.items() or ())
    assert [number for _, number in items] == [0, 1, 2]
    assert {pid for pid, _ in items} != {os.getpid()}
    assert len({pid for pid, _ in items}) == 1


def test_other_output_is_not_mixed_with_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a `sitecustomize` that prints."""
    monkeypatch.setattr(
        helper, "_CHILD", f"print('hello' * 9999, flush=True)\n{helper._CHILD}\nprint('bye', flush=True)"
    )
    with Helper(numbers, 3) as one:
        assert [number for _, number in one.items() or ()] == [0, 1, 2]


def test_what_cannot_be_sent_has_no_helper() -> None:
    """As a function of a module that was loaded again."""
    with Helper(lambda: [1]) as one:
        assert one.items() is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no account of parents")
def test_it_ends_when_its_parent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 2**22)  # nobody's
    with Helper(endless) as one:
        assert one.items() is None


def test_it_is_gone_behind_its_with() -> None:
    running: Any = None
    with suppress(KeyboardInterrupt), Helper(forever) as one:
        running = one._process
        assert running.poll() is None
        raise KeyboardInterrupt
    assert running.poll() is not None


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are those of POSIX")
def test_ctrl_c_does_not_reach_it() -> None:
    with Helper(forever) as one:
        assert one._process is not None
        assert os.getpgid(one._process.pid) != os.getpgid(0)


NOT_FROM_HERE = """
import os, sys
import regionbatch.readers.helper as helper
from test_helper import numbers
os.sched_getaffinity = lambda _process: {0, 1}
os.chdir(sys.argv[1])
sys.path[:0] = ["", "."]  # as in a notebook that changed its folder
with helper.Helper(numbers, 3) as one:
    print(len(list(one.items())))
"""


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    modules = ("gc", "json", "pickle", "regionbatch", "numpy", "msgspec", "sitecustomize", "usercustomize")
    for name in modules:
        (tmp_path / f"{name}.py").write_text("open('imported', 'w')\nraise SystemExit(3)\n", encoding="utf-8")
    path = os.pathsep.join([*filter(None, sys.path), "."])
    run = process("-P", "-c", NOT_FROM_HERE, tmp_path, PYTHONPATH=path)
    assert run.stdout == "3\n", run.stderr
    assert not (tmp_path / "imported").exists()


def test_a_file_that_was_replaced_meanwhile_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [("a.jpg", "cat", (1, 2, 3, 4)), ("a.jpg", "cat", (5, 6, 7, 8))]) / "annotations.json"
    text = path.read_text(encoding="utf-8")
    at = text.index("}, {", text.index('"annotations"')) + 3
    with document(path) as opened:
        state = opened.state
    call = (path, state, "annotations", WANTED["annotations"], at, 1000)
    assert [piece.records for piece in jsonpieces._from_middle(*call)] == [1]
    path.write_text(text + " ", encoding="utf-8")
    assert list(jsonpieces._from_middle(*call)) == []


def test_what_is_wrong_in_the_second_half_is_told_as_in_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the types do not fit, and where the JSON is broken, the helper's part ends."""
    boxes = [("a.jpg", "cat", (number, 1, 10, 10)) for number in range(40)]
    path = write_coco(tmp_path, boxes) / "annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"][35]["bbox"] = [1, 2, "x", 4]
    path.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(jsonpieces.Pieces.__init__, "__defaults__", (300,))
    always_helped(monkeypatch, None)
    items = spied(monkeypatch)
    dataset = rb.read(path)
    assert 0 < sum(piece.records for piece in items[0]) < 15
    assert len(dataset) == 39
    assert [finding.code for finding in dataset.findings if finding.place.endswith("annotation 36")] == ["not_a_box"]
    path.write_text(json.dumps(content)[:-40], encoding="utf-8")
    with raises_mentioning(rb.DatasetError, "annotations.json:1"):
        rb.read(path)
