"""Conversion in parts: the entries, findings and errors are those of one process."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from unittest import mock

import defects  # noqa: F401 - it fills the table
import pytest
from defective.table import DEFECTS, make

import regionbatch as rb
from all_cases import check_each, one_of_each_kind
from helpers import InThisProcess, fixture_cases, id_of, process, write_coco
from regionbatch import conversion, plugins
from regionbatch.in_parts import division

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from regionbatch.testing import Case

FORMATS = ("coco", "voc", "yolo", "cvat", "vott")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide even the smallest dataset."""
    monkeypatch.setattr(division, "ROWS_PER_PART", 2)


def all_ids(dataset: rb.Dataset) -> dict[str, Any]:
    """Return an ID for each name."""
    return {
        "tag_ids": {name: id_of(f"tag {name}") for name in dataset.tags},
        "image_ids": {name: id_of(name) for name in dataset.images.names},
    }


def odd_ids(dataset: rb.Dataset) -> dict[str, Any]:
    """Return IDs of which some are shared and some are missing."""
    return {
        "tag_ids": {
            name: id_of(f"tag {at % 3}") for at, name in enumerate(dataset.tags) if at != 1
        },
        "image_ids": {
            name: id_of(str(at % 4)) for at, name in enumerate(dataset.images.names) if at % 5 != 3
        },
        "skip_unresolved": True,
    }


def outcome(source: Any, out: Path, **options: Any) -> Any:
    """Return what a conversion wrote and returned, or its error."""
    try:
        result = rb.convert(source, out, **options)
    except rb.RegionBatchError as error:
        assert not out.exists()
        return type(error), str(error)
    counts = result.findings.counts()
    first = {code: result.findings.first(code, 3) for code in counts}
    return (
        [entry for batch in result for entry in batch],
        len(result.regions),
        result.ledger,
        list(result.ledger.dropped.items()),
        [*counts.items()],
        result.findings.doubtful(),
        first,
        Counter(result.findings),
    )


def expect_same(
    source: Any,
    folder: Path,
    ids: dict[str, Any],
    dataset: rb.Dataset | None = None,
    **options: Any,
) -> None:
    """Convert in one process and in parts, and compare the results.

    `dataset` is what was read of the source, which takes half of the time of a conversion.
    """
    is_read = mock.patch.object(conversion, "read", return_value=dataset)
    with is_read if dataset is not None else nullcontext():
        one = outcome(source, folder / "one.jsonl", **ids, **options)
    parts = outcome(source, folder / "parts", **ids, **options, executor=InThisProcess())
    assert parts == one


def compare(
    source: Any, folder: Path, *, strict: bool = False, if_doubtful: bool = False, **options: Any
) -> None:
    """Compare the results with odd IDs and, if wanted, those of strict mode.

    With `if_doubtful`, those of strict mode only if it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        dataset = rb.read(source, **options)
    except rb.RegionBatchError:
        expect_same(source, folder, {"tag_ids": {}, "image_ids": {}}, **options)
        return
    expect_same(source, folder, odd_ids(dataset), dataset, **options)
    if strict or (if_doubtful and dataset.findings.doubtful()):
        (folder / "strict").mkdir()
        ids = all_ids(dataset)
        expect_same(source, folder / "strict", ids, dataset, strict=True, **options)


@pytest.mark.parametrize("name", FORMATS)
def test_fixtures_are_converted_as_in_one_process(tmp_path: Path, name: str) -> None:
    reader = plugins.get(name)

    def check(case: Case) -> None:
        options = case.options(reader.options)
        compare(case.input, tmp_path / case.name, format=reader, **options)

    check_each(one_of_each_kind(fixture_cases(name)), check)


@pytest.mark.parametrize("format", DEFECTS)
def test_datasets_with_each_defect_are_converted_as_in_one_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format: str,  # noqa: A002 - the keyword of `read`
) -> None:
    monkeypatch.setattr(division, "ROWS_PER_PART", 5)
    for seed in range(len(DEFECTS[format])):
        draft, _ = make(seed, format, "")
        folder = tmp_path / str(seed)
        for path, content in draft.files().items():
            (folder / "data" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "data" / path).write_bytes(content)
        compare(folder / "data", folder, strict=seed % 3 == 0, if_doubtful=True)


# What is in the folder, and what happens to what was there.


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """A dataset of 50 boxes on 7 images."""
    rows = [(f"a {number % 7} ü.jpg", "cat", [number, 1, 10, 20]) for number in range(50)]
    return write_coco(tmp_path / "data", rows)


def ids_for(source: Path) -> dict[str, Any]:
    return all_ids(rb.read(source))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_has_payloads_findings_and_a_summary(boxes: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "out"
    written = rb.convert(boxes, out, **ids_for(boxes), executor=InThisProcess())
    assert isinstance(written, rb.BatchFiles)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    names = [each["name"] for each in summary["files"] + summary["finding_files"]]
    assert names_in(out) == sorted([*names, "summary.json"])
    assert {"part-00001.jsonl", "findings-00000.ndjson"} <= {*names}
    for each in summary["files"]:
        lines = (out / each["name"]).read_bytes().splitlines()
        batches = [json.loads(line)["regions"] for line in lines]
        assert each["batches"] == len(batches)
        assert (
            each["regions"] == sum(map(len, batches)) == 64 * len(batches) - 64 + len(batches[-1])
        )
        assert each["bytes"] == (out / each["name"]).stat().st_size
    assert [path.name for path in written.files] == [each["name"] for each in summary["files"]]
    assert summary["batches"] == len(written) == len(list(written))
    assert summary["boxes"]["read"] == len(written.regions) == 50
    records = [
        json.loads(line)
        for each in summary["finding_files"]
        for line in (out / each["name"]).read_text(encoding="utf-8").splitlines()
    ]
    assert records == [finding._asdict() for finding in written.findings]
    assert len(written.findings.first("image_not_on_disk", 7)) == 7
    assert written.decisions == rb.read(boxes).decisions


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_an_image_is_never_divided(tmp_path: Path, count: int) -> None:
    rows = [("a.jpg", "cat", [at % 150, at // 150, 10, 20]) for at in range(count)]
    source = write_coco(tmp_path / "data", rows, images={"a.jpg": (200, 100)}, tags=["cat"])
    written = rb.convert(source, tmp_path / "out", **ids_for(source), executor=InThisProcess())
    assert isinstance(written, rb.BatchFiles)
    assert len(written.files) == bool(count)
    assert len(written.regions) == count


def test_output_of_either_kind_is_replaced_by_the_other(boxes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for executor in (InThisProcess(), None, InThisProcess()):
        rb.convert(boxes, out, **ids_for(boxes), executor=executor, overwrite=True)
        assert ("summary.json" in names_in(out)) == bool(executor)
        with pytest.raises(rb.OutputError):
            rb.convert(boxes, out, **ids_for(boxes), executor=InThisProcess())
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(rb.OutputError):
        rb.convert(boxes, out, **ids_for(boxes), executor=InThisProcess(), overwrite=True)
    assert "notes.txt" in names_in(out)


@pytest.mark.parametrize("payload", ["json", "xml"])
def test_one_file_and_xml_are_written_by_this_process(
    boxes: Path, tmp_path: Path, payload: Any
) -> None:
    out = tmp_path / ("out.jsonl" if payload == "json" else "out")
    written = rb.convert(boxes, out, **ids_for(boxes), executor=InThisProcess(), payload=payload)
    assert isinstance(written, rb.Batches)


# Executors that fail.


class Refusing(InThisProcess):
    def submit(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("shut down")


class Twice(InThisProcess):
    """Calls each function twice, like a scheduler that believes that a worker is lost."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        super().submit(fn, *args)
        return super().submit(fn, *args)


@pytest.mark.parametrize("executor", [Refusing(), Twice()])
def test_an_executor_that_fails_changes_nothing(
    boxes: Path, tmp_path: Path, executor: InThisProcess
) -> None:
    written = rb.convert(boxes, tmp_path / "out", **ids_for(boxes), executor=executor)
    one = rb.convert(boxes, tmp_path / "one.jsonl", **ids_for(boxes))
    entries = [[entry for batch in result for entry in batch] for result in (one, written)]
    assert entries[0] == entries[1]
    assert names_in(tmp_path) == ["data", "one.jsonl", "out"]


class Elsewhere(InThisProcess):
    """Does not see the folder of the output."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        hidden = [*self.folder.glob(".out.*")]
        away = [path.rename(path.with_name(f"away{path.name}")) for path in hidden]
        try:
            return super().submit(fn, *args)
        finally:
            for path, name in zip(away, hidden, strict=True):
                path.rename(name)

    folder: Path


class WritingElsewhere(Elsewhere):
    """Has another folder at the same path."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        future = InThisProcess.submit(self, fn, *args)
        for path in self.folder.glob(".out.*/part-*"):
            path.unlink()
        return future


class WritingLess(Elsewhere):
    """Has a folder in which the end of a file has not arrived."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        future = InThisProcess.submit(self, fn, *args)
        for path in self.folder.glob(".out.*/part-*"):
            path.write_bytes(path.read_bytes()[:-1])
        return future


@pytest.mark.parametrize("kind", [Elsewhere, WritingElsewhere, WritingLess])
def test_processes_that_do_not_see_the_folder_are_an_error(
    boxes: Path, tmp_path: Path, kind: type[Elsewhere]
) -> None:
    executor = kind()
    executor.folder = tmp_path
    with pytest.raises(rb.OptionError) as caught:
        rb.convert(boxes, tmp_path / "out", **ids_for(boxes), executor=executor)
    assert caught.value.option == "executor"
    assert names_in(tmp_path) == ["data"]


def test_a_run_that_is_cancelled_leaves_nothing(boxes: Path, tmp_path: Path) -> None:
    def cancel(step: str, _done: int, _total: int) -> None:
        if step == "writing payloads":
            raise KeyboardInterrupt

    with ThreadPoolExecutor(2) as executor, pytest.raises(KeyboardInterrupt):
        rb.convert(boxes, tmp_path / "out", **ids_for(boxes), executor=executor, progress=cancel)
    assert names_in(tmp_path) == ["data"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of POSIX")
@pytest.mark.parametrize("limit", [500, 5000])
def test_a_full_disk_is_an_error_of_the_output(boxes: Path, tmp_path: Path, limit: int) -> None:
    """The disk is full when the file of rows or the payloads are written."""
    path = os.pathsep.join(sys.path)
    run = process("-c", FULL_DISK, boxes, tmp_path / "out", str(limit), PYTHONPATH=path)
    assert run.stdout == "OutputError\n", run.stderr
    assert names_in(tmp_path) == ["data"]


FULL_DISK = """
import resource, signal, sys
import regionbatch as rb
from helpers import InThisProcess
from test_in_parts import ids_for
ids = ids_for(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    rb.convert(sys.argv[1], sys.argv[2], **ids, executor=InThisProcess())
except rb.OutputError as error:
    print(type(error).__name__)
"""


def test_an_executor_that_fails_is_reported_once_in_each_conversion(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading, counting and writing all need it."""
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    source = write_coco(tmp_path / "set", [(f"{at}.jpg", "cat", (1, 1, 9, 9)) for at in range(9)])
    ids = all_ids(rb.read(source))
    for number in range(2):
        written = rb.convert(source, tmp_path / f"out {number}", **ids, executor=executor)
        assert len(written.regions) == 9
        assert len(caplog.records) == number + 1
