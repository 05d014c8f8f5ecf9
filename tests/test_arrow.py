"""Regions, findings and batches as Arrow tables, read by the libraries themselves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT, batches_of, process, write_coco, write_yolo
from regionbatch import arrow
from regionbatch.arrow import Coded

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install pyarrow")
SCENE = ROOT / "fixtures" / "scene"
BOX = ("left", "top", "width", "height")


@pytest.fixture
def dataset() -> rb.Dataset:
    return rb.read(SCENE / "coco")


def addresses(box: np.ndarray[Any, Any]) -> list[int]:
    """Return where each column of boxes starts in memory."""
    return [column.ctypes.data for column in box.T]


def test_a_table_has_the_rows_of_the_dataset(dataset: rb.Dataset) -> None:
    rows = dataset.to_arrow().to_pylist()
    for row, region in zip(rows, dataset, strict=True):
        assert (row["image"], row["tag"], *(row[name] for name in BOX)) == tuple(region)
    images = dataset.images
    first = dataset.regions.image[0]
    assert rows[0]["split"] == images.split_names()[first]
    assert (rows[0]["image_width"], rows[0]["image_height"]) == (640, 480)
    assert rows[0]["file"] == dataset.findings.files[dataset.regions.file[0]]
    assert [row["where"] for row in rows] == dataset.regions.where.tolist()
    assert {row["adjusted"] for row in rows} == {None}


def test_what_is_unknown_is_null_and_adjusted_boxes_have_their_code(tmp_path: Path) -> None:
    boxes = [("a.jpg", "cat", [0.5, 0.5, 0.2, 0.2]), ("a.jpg", "cat", [0.1, 0.5, 0.4, 0.2])]
    write_yolo(tmp_path, boxes)
    table = rb.read(tmp_path).to_arrow().to_pydict()
    assert table["adjusted"] == [None, "clipped"]
    assert table["split"] == [None, None]
    unknown = write_coco(
        tmp_path / "coco", [("b.jpg", "cat", [0.1, 0.1, 0.2, 0.2])], images={"b.jpg": (0, 0)}
    )
    table = rb.read(unknown, coco_boxes="normalised").to_arrow().to_pydict()
    assert table["image_width"] == table["image_height"] == [None]


def test_an_empty_dataset_is_a_table_without_rows(tmp_path: Path) -> None:
    dataset = rb.read(write_coco(tmp_path, [], images={"a.jpg": (10, 10)}))
    assert dataset.to_arrow().num_rows == 0
    assert dataset.to_arrow().schema == rb.read(SCENE / "coco").to_arrow().schema
    assert dataset.findings.to_arrow().num_rows == len(dataset.findings)
    assert pa.table(rb.read(SCENE / "coco").findings).num_rows == 0
    assert batches_of(dataset).to_arrow().num_rows == 0


def test_findings_are_rows_with_the_fields_of_a_finding() -> None:
    findings = rb.read(ROOT / "fixtures" / "yolo" / "over-the-edge" / "input").findings
    assert len(findings)
    rows = findings.to_arrow().to_pylist()
    assert rows == [finding._asdict() for finding in findings]
    assert pa.types.is_dictionary(findings.to_arrow().schema.field("code").type)


def test_many_findings_keep_their_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(arrow, "_ROWS_AT_ONCE", 3)
    boxes = [("a.jpg", "cat", [-1, number, 9 * (number % 3), 5]) for number in range(10)]
    findings = rb.read(write_coco(tmp_path, boxes)).findings
    assert len(findings.counts()) > 1
    assert findings.to_arrow().to_pylist() == [finding._asdict() for finding in findings]


def test_batches_are_rows_with_the_number_of_their_batch(tmp_path: Path) -> None:
    boxes = [("a.jpg", "cat", [number, 0, 5, 5]) for number in range(100)]
    batches = batches_of(rb.read(write_coco(tmp_path, boxes)))
    rows = batches.to_arrow().to_pylist()
    entries = [(number, entry) for number, batch in enumerate(batches) for entry in batch]
    for row, (number, entry) in zip(rows, entries, strict=True):
        assert (row["imageId"], row["tagId"], row["batch"]) == (
            entry.image_id,
            entry.tag_id,
            number,
        )
        assert [row[name] for name in BOX] == [getattr(entry, name) for name in BOX]


def test_two_names_with_one_id_are_one_entry_of_the_dictionary(dataset: rb.Dataset) -> None:
    one = "0a1b2c3d-0000-4000-8000-00000000000a"
    batches = rb.batches(
        dataset,
        tag_ids=dict.fromkeys(dataset.tags, one),
        image_ids={
            name: f"0a1b2c3d-0000-4000-8000-{i:012}" for i, name in enumerate(dataset.images.names)
        },
    )
    assert batches.to_arrow().column("tagId").unique().to_pylist() == [one]
    assert batches.to_arrow().column("tagId").chunk(0).dictionary.to_pylist() == [one]


def test_half_a_surrogate_pair_is_escaped() -> None:
    table = arrow.table_of_columns(
        {"name": Coded(np.array([1, -1, 0], np.int32), ["a", "b\udc80\x00"])}
    )
    assert table.column("name").to_pylist() == ["b\\udc80\x00", None, "a"]


def test_box_columns_share_the_memory_of_the_dataset_in_pyarrow(dataset: rb.Dataset) -> None:
    for table in (dataset.to_arrow(), pa.table(dataset)):
        found = [table.column(name).chunk(0).buffers()[1].address for name in BOX]
        assert found == addresses(dataset.regions.box)


def test_box_columns_share_the_memory_of_the_dataset_in_polars(dataset: rb.Dataset) -> None:
    pl = pytest.importorskip("polars", reason="Polars is not installed: pip install polars")
    frame = pl.DataFrame(dataset)
    columns = [frame[name].to_numpy(allow_copy=False) for name in BOX]
    assert [column.ctypes.data for column in columns] == addresses(dataset.regions.box)


def test_polars_reads_all_three(dataset: rb.Dataset) -> None:
    pl = pytest.importorskip("polars", reason="Polars is not installed: pip install polars")
    frame = pl.DataFrame(dataset)
    assert frame["tag"].to_list() == [region.tag for region in dataset]
    assert frame["left"].to_list() == [region.left for region in dataset]
    clipped = rb.read(ROOT / "fixtures" / "yolo" / "over-the-edge" / "input")
    assert set(pl.DataFrame(clipped.findings)["code"]) == set(clipped.findings.counts())
    assert pl.DataFrame(batches_of(dataset)).columns[:2] == ["imageId", "tagId"]


def test_pandas_reads_all_three(dataset: rb.Dataset) -> None:
    pd = pytest.importorskip("pandas", "3", reason="pandas 3 is not installed: pip install pandas")
    frame = pd.DataFrame.from_arrow(dataset)
    assert frame["tag"].tolist() == [region.tag for region in dataset]
    assert frame["left"].tolist() == [region.left for region in dataset]
    assert len(pd.DataFrame.from_arrow(batches_of(dataset))) == len(dataset)
    assert pd.DataFrame.from_arrow(dataset.findings).columns[0] == "code"


def test_duckdb_reads_all_three(dataset: rb.Dataset) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed: pip install duckdb")
    counted = duckdb.sql("select tag, count(*) from dataset group by tag").fetchall()
    assert dict(counted) == {
        tag: sum(region.tag == tag for region in dataset) for tag in dataset.tags
    }
    findings = rb.read(ROOT / "fixtures" / "yolo" / "over-the-edge" / "input").findings
    counted = duckdb.sql("select code, count(*) from findings group by code").fetchall()
    assert dict(counted) == findings.counts()
    batches = batches_of(dataset)  # noqa: F841 - DuckDB finds it by its name
    assert duckdb.sql("select count(*) from batches").fetchall() == [(len(dataset),)]


def test_pyarrow_is_imported_when_a_table_is_made() -> None:
    code = (
        "import sys, regionbatch as rb\n"
        f"dataset = rb.read({str(SCENE / 'coco')!r})\n"
        "assert 'pyarrow' not in sys.modules\n"
        "dataset.to_arrow()\n"
        "assert 'pyarrow' in sys.modules\n"
    )
    run = process("-c", code)
    assert run.returncode == 0, run.stderr


def test_without_pyarrow_the_error_says_what_to_install(
    dataset: rb.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for make in (dataset.to_arrow, dataset.findings.to_arrow, dataset.__arrow_c_stream__):
        with pytest.raises(rb.OptionError) as caught:
            make()
        assert "regionbatch[arrow]" in str(caught.value)
