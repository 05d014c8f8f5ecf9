"""Results, findings and messages are the same for any number of parts: fixtures, random datasets.

The conformance kit compares the fixtures that can be read in up to 7 parts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import defects  # noqa: F401 - it fills the table
import pytest
from defective.table import DEFECTS, make

import regionbatch as rb
from all_cases import check_each, one_of_each_kind
from helpers import InThisProcess, always_in_parts, fixture_cases
from regionbatch import boxes, part_reading
from regionbatch.dataset.columns import columns_on_disk
from regionbatch.plugins import get
from regionbatch.readers.coco.json_stream import ArrayStream
from regionbatch.readers.yolo.row_parser import MAX_INVALID_ROWS

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from regionbatch.testing import Case

FORMATS = ("coco", "voc", "yolo")
NUMBERS = (1, 2, 3, 7, 16)
SEEDS = int(os.environ.get("REGIONBATCH_SEEDS", "20"))
"""Random datasets; 200 have been compared."""
BLOCK = 10
"""Seeds per test."""


@pytest.fixture(autouse=True)
def chunks_of_64_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a part of a small JSON file several chunks."""
    monkeypatch.setattr(ArrayStream.__init__, "__defaults__", (64,))


def result_of(path: Path, executor: Executor | None = None, **options: Any) -> list[Any]:
    """Return everything that a caller can see of reading a dataset."""
    try:
        dataset = rb.read(path, executor=executor, **options)
    except rb.RegionBatchError as error:
        return [type(error), str(error), error.__dict__]
    regions = dataset.regions
    return [
        list(dataset),
        [dataset.findings.files[file] for file in regions.file],
        [regions.where.tolist(), regions.adjusted.tolist()],
        [dataset.images.names, dataset.images.paths, dataset.tags],
        list(dataset.findings),
        [dataset.ledger, dict(dataset.decisions)],
    ]


def check(patch: pytest.MonkeyPatch, path: Path, numbers: Any = NUMBERS, **options: Any) -> None:
    expected = result_of(path, **options)
    for n in numbers:
        patch.setattr(part_reading, "MIN_PARTS", n)
        assert result_of(path, InThisProcess(), **options) == expected, f"{n} parts of {path}"


def check_on_disk(patch: pytest.MonkeyPatch, path: Path, **options: Any) -> None:
    """Read a dataset with columns in temporary files, in blocks of three rows."""
    expected = result_of(path, **options)
    with patch.context() as patch_, columns_on_disk():
        patch_.setattr(part_reading, "MIN_PARTS", 3)
        patch_.setattr(boxes, "BLOCK_ROWS", 3)
        found = result_of(path, InThisProcess(), **options)
    for result in (found, expected):  # rules report block by block
        result[4:5] = map(sorted, result[4:5])
    assert found == expected, path


@pytest.mark.parametrize("format", FORMATS)
def test_errors_are_the_same_for_any_number_of_parts(
    monkeypatch: pytest.MonkeyPatch,
    format: str,  # noqa: A002
) -> None:
    def check_error(case: Case) -> None:
        options = case.options(get(format).options)
        check(monkeypatch, case.input, (3, 16), format=format, **options)

    check_each([case for case in fixture_cases(format) if case.expects_error], check_error)


@pytest.mark.parametrize("format", FORMATS)
def test_results_are_the_same_for_16_parts(
    monkeypatch: pytest.MonkeyPatch,
    format: str,  # noqa: A002
) -> None:
    def check_result(case: Case) -> None:
        check(monkeypatch, case.input, [16], format=format, **case.options(get(format).options))

    readable = [case for case in fixture_cases(format) if not case.expects_error]
    check_each(one_of_each_kind(readable)[::2], check_result)


def test_what_is_wrong_in_the_files_of_a_later_part_has_its_own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part numbers its files from 0."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    row = b"0 .5 .5 .2 .2\n"
    contents = [
        row,
        row,
        row + b"0 x\n",
        row + "0 é\n".encode("cp1252"),
        row + b"0 x\n" * (MAX_INVALID_ROWS + 1),
        row,
    ]
    for number, content in enumerate(contents):
        (tmp_path / "labels" / f"{number}.txt").write_bytes(content)
    findings = {(each.code, each.file) for each in rb.read(tmp_path).findings}
    assert {
        ("not_a_row", "labels/2.txt"),
        ("odd_encoding", "labels/3.txt"),
        ("unreadable_file", "labels/4.txt"),
    } <= findings
    check(monkeypatch, tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_results_are_the_same_if_reading_starts_before_images_are_found(
    monkeypatch: pytest.MonkeyPatch,
    format: str,  # noqa: A002
) -> None:
    def check_case(case: Case) -> None:
        options = case.options(get(format).options)
        expected = result_of(case.input, format=format, **options)
        with monkeypatch.context() as patch:
            always_in_parts(patch, 3)
            assert result_of(case.input, format=format, **options) == expected, case

    check_each(one_of_each_kind(fixture_cases(format)), check_case)


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_random_datasets_give_the_same_for_any_number_of_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    formats = [name for name in DEFECTS if name in FORMATS]
    assert formats
    for seed in range(first, first + BLOCK):
        draft, _ = make(seed, formats[seed % len(formats)])
        for path, content in draft.files().items():
            file = tmp_path / str(seed) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        check(monkeypatch, tmp_path / str(seed))
        check_on_disk(monkeypatch, tmp_path / str(seed))


@pytest.mark.parametrize("format_", [*FORMATS, "cvat", "vott"])
def test_results_are_the_same_with_columns_on_disk(
    monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    def check_case(case: Case) -> None:
        check_on_disk(monkeypatch, case.input, format=format_, **case.options(get(format_).options))

    check_each(one_of_each_kind(fixture_cases(format_)), check_case)
