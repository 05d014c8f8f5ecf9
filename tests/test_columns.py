"""How columns are stored: boxes column by column, and large ones in temporary files."""

from __future__ import annotations

import copy
import errno
import gc
import os
import pickle
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT, mentions, process, raises_mentioning, write_coco
from regionbatch.dataset import Regions
from regionbatch.dataset.columns import (
    GrowingColumn,
    JoinedColumn,
    columns_on_disk,
    distinct_codes,
    kept_rows,
    rows_of,
    texts_of,
    zeros,
)

SCENE = ROOT / "fixtures" / "scene"


def regions_of(box: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Regions:
    zero = np.zeros(len(box), np.int32)
    return Regions(zero, zero, box, zero, zero.astype(np.int64), zero.astype(np.int8))


def test_boxes_are_stored_column_by_column() -> None:
    dataset = rb.read(ROOT / "fixtures" / "scene" / "yolo")
    assert dataset.regions.box.flags.f_contiguous
    assert dataset.regions.take(dataset.regions.box[:, 2] > 0.1).box.flags.f_contiguous


@pytest.mark.parametrize("order", ["C", "F"])
def test_boxes_of_any_layout_are_taken(order: str) -> None:
    box = np.asarray(np.arange(40.0).reshape(10, 4), order=order)  # type: ignore[call-overload]
    regions = regions_of(box)
    assert regions.box.flags.f_contiguous
    assert not regions.box.flags.writeable
    np.testing.assert_array_equal(regions.box, box)
    assert np.shares_memory(regions.box, box) == (order == "F")
    np.testing.assert_array_equal(regions.take(np.array([3, 1])).box, box[[3, 1]])
    assert regions.take(np.array([], np.int64)).box.shape == (0, 4)


# Columns in temporary files.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files: an empty one."""
    found = tmp_path / "a folder für columns"
    found.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(found))
    return found


def grown(*blocks: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> GrowingColumn[np.float64]:
    column = GrowingColumn(np.float64, *blocks[0].shape[1:])
    for block in blocks:
        column.append(block)
    return column


@pytest.mark.parametrize("counts", [[0], [3], [0, 1, 0], [20_000, 1, 40_000]])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_column_on_disk_has_the_rows_of_one_in_memory(counts: list[int], order: str) -> None:
    dice = np.random.default_rng(1)
    boxes = [np.asarray(dice.random((count, 4)), order=order) for count in counts]  # type: ignore[call-overload]
    in_memory = grown(*boxes).finished()
    with columns_on_disk():
        on_disk = grown(*boxes).finished()
        of_numbers = grown(*(box[:, 1] for box in boxes)).finished()
        mask = on_disk[:, 0] < 0.5
        rows, kept, none = rows_of(mask), kept_rows(on_disk, mask), zeros(len(mask), np.float64)
    assert on_disk.dtype == in_memory.dtype
    np.testing.assert_array_equal(on_disk, in_memory)
    np.testing.assert_array_equal(of_numbers, in_memory[:, 1])
    np.testing.assert_array_equal(rows, np.flatnonzero(mask))
    np.testing.assert_array_equal(kept, in_memory[mask])
    np.testing.assert_array_equal(none, mask * 0.0)


@pytest.mark.parametrize("codes", [[], [2], [2, 2, -1, -1, 2, 0, 0], [3, 1, 2]])
def test_distinct_codes_are_in_the_order_of_their_first_use(codes: list[int]) -> None:
    assert distinct_codes(np.array(codes, np.int32)) == [*dict.fromkeys(codes)]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.uint64])
def test_texts_of_codes_of_any_integer_type(dtype: type[np.integer[Any]]) -> None:
    assert texts_of(np.array([1, 0, 1], dtype), ["a", "b"]) == ["b", "a", "b"]
    assert texts_of(np.array([], dtype), []) == []


def test_codes_with_fractions_have_no_text() -> None:
    codes: Any = np.array([0.7, 1.0])
    with pytest.raises(TypeError, match="float64"):
        texts_of(codes, ["a", "b"])


def test_negative_codes_have_an_empty_text() -> None:
    assert texts_of(np.array([-1, 1, -2], np.int32), ["a", "b"]) == ["", "b", ""]


@pytest.mark.parametrize("room", [0, 1, 3, 5_000, 100_000, 2**50])
@pytest.mark.parametrize("counts", [[0], [3], [0, 1, 0], [4_000, 1, 7_000]])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reserved_memory_changes_nothing(room: int, counts: list[int], order: str) -> None:
    """It may be too small, too large, or more than there is."""
    dice = np.random.default_rng(1)
    boxes = [np.asarray(dice.random((count, 4)), order=order) for count in counts]  # type: ignore[call-overload]
    for values in (boxes, [box[:, 1] for box in boxes]):
        column = GrowingColumn(np.float64, *values[0].shape[1:])
        column.reserve(room)
        for block in values:
            column.append(block)
        found = column.finished()
        np.testing.assert_array_equal(found, np.concatenate(values))
        assert found.flags.writeable
        assert not any(np.shares_memory(found, block) for block in values)
        if sum(counts) <= room < 2**50:
            assert found.flags.f_contiguous
        assert len(column.finished()) == 0


@pytest.mark.parametrize("counts", [[4, 3], [4, 0], [7], [3, 4], [4, 1, 1]])
def test_joined_columns_that_exceed_reserved_memory_lose_no_row(counts: list[int]) -> None:
    values = np.split(np.arange(float(sum(counts))), np.cumsum(counts)[:-1])
    column = JoinedColumn(np.float64)
    column.reserve(5)
    for block in values:
        column.append(block)
    assert column.finished().tolist() == np.concatenate(values).tolist()
    assert len(column.finished()) == 0


def test_a_column_on_disk_is_an_array_like_any_other(folder: Path) -> None:
    with columns_on_disk():
        column = grown(np.arange(5.0)).finished()
    assert type(column) is np.ndarray
    column[2] = 7
    expected = [0.0, 1.0, 7.0, 3.0, 4.0]
    assert column.tolist() == expected
    assert pickle.loads(pickle.dumps(column, 5)).tolist() == expected
    assert copy.deepcopy(column).tolist() == expected
    del column
    gc.collect()
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize("format_", ["coco", "voc", "yolo"])
def test_a_dataset_with_columns_on_disk_outlives_them(folder: Path, format_: str) -> None:
    in_memory = rb.read(SCENE / format_)
    with columns_on_disk():
        dataset = rb.read(SCENE / format_)
    assert list(dataset) == list(in_memory)
    for other in (pickle.loads(pickle.dumps(dataset)), copy.deepcopy(dataset)):
        assert list(other) == list(in_memory)
        assert other.ledger == in_memory.ledger
        assert list(other.findings) == list(in_memory.findings)
    del dataset
    gc.collect()
    assert [*folder.iterdir()] == []


def test_nothing_is_left_if_reading_fails(folder: Path, tmp_path: Path) -> None:
    write_coco(tmp_path / "set", [("a.jpg", "cat", (10, 10, 20, 20))] * 3)
    file = tmp_path / "set" / "annotations.json"
    file.write_bytes(file.read_bytes()[:-20])
    with columns_on_disk(), pytest.raises(rb.DatasetError):
        rb.read(file, format="coco")
    gc.collect()  # a file that is still open would be a warning
    assert [*folder.iterdir()] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has this device")
@pytest.mark.parametrize("format_", ["coco", "voc", "yolo"])
def test_a_full_folder_for_temporary_files_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    full = partial(Path("/dev/full").open, "r+b", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full())
    with columns_on_disk(), pytest.raises(rb.OutputError) as caught:
        rb.read(SCENE / format_)
    assert (caught.value.place, caught.value.value) == (str(folder), os.strerror(errno.ENOSPC))
    assert mentions(caught.value, folder, "TMPDIR", caught.value.value)


def test_a_missing_folder_for_temporary_files_is_an_error(folder: Path) -> None:
    folder.rmdir()
    with columns_on_disk(), raises_mentioning(rb.OutputError, folder, os.strerror(errno.ENOENT)):
        rb.read(SCENE / "coco")


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of POSIX")
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_many_files_do_not_stay_open(tmp_path: Path, encoding: str) -> None:
    """Each of several splits has a file."""
    for number in range(60):
        folder = write_coco(tmp_path / f"train{number}", [("ü.jpg", "Tür", (10, 10, 20, 20))])
        file = folder / "annotations.json"
        file.write_bytes(file.read_text(encoding="utf-8").encode(encoding))
    run = process("-c", FEW_FILES, tmp_path, PYTHONPATH=os.pathsep.join(sys.path))
    assert run.stdout == "60\n", run.stderr


FEW_FILES = """
import resource, sys
import regionbatch as rb
from regionbatch.dataset.columns import columns_on_disk
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with columns_on_disk():
    print(len(rb.read(sys.argv[1])))
"""
