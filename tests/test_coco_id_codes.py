"""The IDs of COCO records are looked up alike, whatever they are and whenever they are known."""

from __future__ import annotations

import json
from itertools import permutations
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import regionbatch as rb
from helpers import InThisProcess
from regionbatch.dataset.columns import columns_on_disk
from regionbatch.readers.coco.id_codes import AMBIGUOUS, UNKNOWN, CodeColumn, IdIndex
from regionbatch.readers.coco.record_ids import MAX_NUMBER

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from regionbatch.readers.coco.id_codes import Codes

EXTREMES = [-(2**63), -(2**63) + 1, -MAX_NUMBER, -1, 0, 1, MAX_NUMBER - 1, 2**63 - 1]


def ids(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


def index_of(numbers: NDArray[np.int64]) -> IdIndex:
    return IdIndex(numbers, np.arange(len(numbers), dtype=np.int32))


@pytest.mark.parametrize("low", [-MAX_NUMBER - 50, -3, 0, 1, 10**6, MAX_NUMBER - 100])
@pytest.mark.parametrize("step", [1, 7, 10**9], ids="by {}".format)
@pytest.mark.parametrize("count", [0, 1, 60])
def test_each_id_has_the_code_of_its_first_record(low: int, step: int, count: int) -> None:
    """In a table or by a search, also if the difference of two IDs has more than 64 bits."""
    distinct = [low + step * number for number in range(count)]
    known = ids(*np.random.default_rng(1).permutation(ids(*distinct, *distinct)).tolist())
    expected: dict[int, int] = {}
    for code, id_ in enumerate(known.tolist()):
        expected.setdefault(id_, code)
    wanted = [*distinct, low - 1, low + 1, low + step * count, *EXTREMES]
    index = index_of(known)
    codes = index.look_up(ids(*wanted))
    assert codes.dtype == np.int32
    assert codes.tolist() == [expected.get(id_, UNKNOWN) for id_ in wanted]
    if count:
        index.set_ambiguous(known[:1])
        expected[int(known[0])] = AMBIGUOUS
        codes = index.look_up(ids(*wanted))
        assert codes.tolist() == [expected.get(id_, UNKNOWN) for id_ in wanted]


def looked_up(before: list[list[int]], after: list[list[int]]) -> Codes:
    column = CodeColumn()
    column.reserve(3)
    for numbers in before:
        column.append(ids(*numbers))
    index = index_of(ids(5, 6, 7))
    index.set_ambiguous(ids(6))
    column.look_up_in(index)
    for numbers in after:
        column.append(ids(*numbers))
    return column.finished()


def test_ids_are_looked_up_alike_before_and_after_there_is_an_index() -> None:
    chunks = [[5, 9, 7], [], [6, 5], [8]]
    for known_after in range(len(chunks) + 1):
        found = looked_up(chunks[:known_after], chunks[known_after:])
        assert found.codes.tolist() == [0, UNKNOWN, 2, AMBIGUOUS, 0, UNKNOWN]
        assert found.lost_ids.tolist() == [9, 6, 8]
        unknown = [column.tolist() for column in found.lost(UNKNOWN)]
        ambiguous = [column.tolist() for column in found.lost(AMBIGUOUS)]
        assert unknown == [[1, 5], [9, 8]]
        assert ambiguous == [[3], [6]]


def content(*, long_first: bool) -> dict[str, list[dict[str, Any]]]:
    """Return a COCO of several chunks, with IDs of all kinds.

    Its first or its last records are much longer than the others: how many boxes it has cannot be
    known from the first ones.
    """
    images: list[dict[str, Any]] = [
        {"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480}
        for number in range(1000, 1060)
    ]
    images += [{**images[0], "file_name": "other.jpg"}, {**images[1], "file_name": "./1001.jpg"}]
    images += [{"id": "ü", "file_name": "ü.jpg", "width": 640, "height": 480}]
    categories: list[dict[str, Any]] = [
        {"id": 1, "name": "cat"},
        {"id": 2, "name": "dog"},
        {"id": 2, "name": "cow"},
        {"id": 3, "name": " "},
        {"id": "x", "name": "cat"},
    ]
    annotations = [
        {
            "id": number,
            "image_id": 999 + number % 62,
            "category_id": number % 5,
            "bbox": [number % 97, number % 89, 50 + number % 7, 40],
            "iscrowd": 0,
        }
        for number in range(1, 9001)
    ]
    annotations[4000]["image_id"] = "ü"
    annotations[4001]["category_id"] = "x"
    annotations[4002]["image_id"] = [1]
    annotations[4003]["category_id"] = None
    del annotations[4004]["bbox"]
    annotations[4004]["segmentation"] = {"size": [240, 320], "counts": [5000, 900, 70900]}
    for one in annotations[:400] if long_first else annotations[-400:]:
        one["caption"] = "text " * 400
    return {"images": images, "categories": categories, "annotations": annotations}


def account(dataset: rb.Dataset) -> tuple[object, ...]:
    return (
        list(dataset),
        list(dataset.findings),
        dataset.decisions,
        dataset.ledger,
        dataset.images.names,
        dataset.regions.where.tolist(),
    )


def write(path: Path, arrays: dict[str, Any]) -> Path:
    path.write_text(json.dumps(arrays, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.mark.parametrize("long_first", [True, False], ids=["long first", "short first"])
def test_the_order_of_the_arrays_changes_nothing(tmp_path: Path, *, long_first: bool) -> None:
    """In memory, in temporary files, in parts and if the COCO is loaded."""
    arrays = content(long_first=long_first)
    usual = rb.read(write(tmp_path / "coco.json", arrays))
    codes = {finding.code for finding in usual.findings}
    assert codes >= {"unknown_image", "ambiguous_id", "unknown_category", "unknown_class"}
    expected = account(usual)
    for keys in permutations(arrays):
        reordered = {key: arrays[key] for key in keys}
        path = write(tmp_path / "coco.json", reordered)
        assert account(rb.read(path)) == expected
        with columns_on_disk():
            assert account(rb.read(path)) == expected
        executor = InThisProcess()
        assert account(rb.read(path, executor=executor)) == expected
        assert executor.results
        loaded = account(rb.read(SimpleNamespace(dataset=reordered)))
        assert loaded[0] == expected[0]


@pytest.mark.parametrize("more", [{}, {"categories": None}, {"categories": []}])
def test_an_array_without_records_has_no_ids(tmp_path: Path, more: dict[str, Any]) -> None:
    arrays = {**content(long_first=False), **more}
    if not more:
        del arrays["categories"]
    dataset = rb.read(write(tmp_path / "coco.json", arrays))
    assert len(dataset) == 0
    codes = [finding.code for finding in dataset.findings]
    assert codes.count("unknown_category") > 8000


def test_an_image_may_be_listed_twice_by_the_same_path(tmp_path: Path) -> None:
    """Only different images with the same ID are ambiguous."""
    images = [{"id": 1, "file_name": name, "width": 640, "height": 480} for name in ("a", "./a")]
    category = {"id": 1, "name": "cat"}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40]}
    arrays: dict[str, Any] = {
        "images": images,
        "categories": [category],
        "annotations": [annotation],
    }
    assert len(rb.read(write(tmp_path / "coco.json", arrays))) == 1
    images[1]["file_name"] = "b"
    dataset = rb.read(write(tmp_path / "coco.json", arrays))
    assert [finding.code for finding in dataset.findings][:1] == ["ambiguous_id"]


def test_the_ids_of_each_file_are_its_own(tmp_path: Path) -> None:
    """Files share the classes of the same name, whatever IDs and whatever order they have."""
    for split, names in (("train", ["cat", "dog"]), ("val", ["cow", "dog", "cat"])):
        images = [
            {"id": number, "file_name": f"{split}/{name}.jpg", "width": 640, "height": 480}
            for number, name in enumerate(names)
        ]
        categories = [{"id": number, "name": name} for number, name in enumerate(names)]
        annotations = [
            {"id": number, "image_id": number, "category_id": number, "bbox": [10, 20, 30, 40]}
            for number in range(len(names))
        ]
        write(
            tmp_path / f"instances_{split}.json",
            {"images": images, "categories": categories, "annotations": annotations},
        )
    assert [row[:2] for row in rb.read(tmp_path)] == [
        ("train/cat.jpg", "cat"),
        ("train/dog.jpg", "dog"),
        ("val/cow.jpg", "cow"),
        ("val/dog.jpg", "dog"),
        ("val/cat.jpg", "cat"),
    ]
