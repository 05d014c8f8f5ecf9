"""Conversion in parts: the entries, findings and errors are those of one process."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import defects  # noqa: F401 - it fills the table
import pytest
from defective.table import DEFECTS, make

import regionbatch as rb
from helpers import ROOT, InThisProcess, fixture_cases, id_of
from regionbatch import plugins
from regionbatch.in_parts import division

if TYPE_CHECKING:
    from pathlib import Path

    from regionbatch.testing import Case

FORMATS = ("coco", "voc", "yolo", "cvat", "vott")
CASES = [case for name in FORMATS for case in fixture_cases(name)]
SCENE = ROOT / "fixtures" / "scene"
TABLES: dict[str, Any] = {"tag_ids": SCENE / "tags.json", "image_ids": SCENE / "images.json"}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide also the smallest dataset."""
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


def expect_same(source: Any, folder: Path, ids: dict[str, Any], **options: Any) -> None:
    """Convert in one process and in parts, and compare the results."""
    one = outcome(source, folder / "one.jsonl", **ids, **options)
    parts = outcome(source, folder / "parts", **ids, **options, executor=InThisProcess())
    assert parts == one


def compare(source: Any, folder: Path, **options: Any) -> None:
    """Compare the results with complete and with odd IDs, and of strict mode."""
    try:
        dataset = rb.read(source, **options)
    except rb.RegionBatchError:
        expect_same(source, folder, {"tag_ids": {}, "image_ids": {}}, **options)
        return
    for number, ids in enumerate((all_ids(dataset), odd_ids(dataset))):
        place = folder / str(number)
        place.mkdir()
        expect_same(source, place, ids, **options)
        strict = folder / f"strict{number}"
        strict.mkdir()
        expect_same(source, strict, ids, strict=True, **options)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fixture_is_converted_as_in_one_process(tmp_path: Path, case: Case) -> None:
    name = case.name.partition("/")[0]
    compare(case.input, tmp_path, format=name, **case.options(plugins.get(name).options))


@pytest.mark.parametrize("format", DEFECTS)
@pytest.mark.parametrize("first", range(0, 200, 25))
def test_a_random_dataset_is_converted_as_in_one_process(
    tmp_path: Path,
    format: str,  # noqa: A002 - the keyword of `read`
    first: int,
) -> None:
    for seed in range(first, first + 25):
        draft, _ = make(seed, format, "")
        folder = tmp_path / str(seed)
        for path, content in draft.files().items():
            (folder / "data" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "data" / path).write_bytes(content)
        compare(folder / "data", folder)
