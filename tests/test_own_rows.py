"""Rows of a program go through the same rules as those of a file."""

from __future__ import annotations

import json
import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from regionbatch.options import RowKeywords

SCENE = ROOT / "fixtures" / "scene"
COORDINATES = ("left", "top", "width", "height")


class Row(NamedTuple):
    """A row of a table, and an annotation of a COCO file."""

    box: Any = (10, 10, 20, 20)
    image: Any = "a.jpg"
    tag: Any = "cat"
    size: tuple[Any, Any] = (200, 100)
    crowd: int = 0


KINDS = {
    "good": Row(),
    "a number as text": Row(("30", "10", " 5 ", "1e1")),
    "NaN": Row((math.nan, 10, 20, 20)),
    "infinity": Row((10, 10, math.inf, 20)),
    "null": Row((10, None, 20, 20)),
    "text": Row((10, 10, "wide", 20)),
    "a number with an underscore": Row((10, 10, "1_0", 20)),
    "digits of another script": Row((10, 10, "١٢", 20)),
    "true": Row((10, True, 20, 20)),
    "a list": Row((10, [10], 20, 20)),
    "a huge number": Row((1e308, 1e308, 1e308, 1e308)),
    "negative": Row((50, 50, -20, 10)),
    "no width": Row((50, 50, 0, 10)),
    "outside": Row((500, 50, 10, 10)),
    "clipped": Row((195, 50, 8, 10)),
    "mostly outside": Row((195, 50, 80, 10)),
    "a duplicate": Row(),
    "no image": Row(image=None),
    "an image without a name": Row(image="./"),
    "an image that is a number": Row(image=7),
    "no class": Row(tag=None),
    "an empty class": Row(tag="  "),
    "a class with whitespace": Row((60, 10, 20, 20), tag=" cat "),
    "a class that is a number": Row((61, 10, 20, 20), tag=5),
    "a class like another": Row((62, 10, 20, 20), tag="CAT"),
    "a class with a control character": Row((63, 10, 20, 20), tag="do\x00g"),
    "no size": Row(image="b.jpg", size=(0, 0)),
    "a size that is none": Row(image="c.jpg", size=(12.5, 100)),
    "another size": Row((64, 10, 20, 20), size=(400, 200)),
    "a crowd": Row((65, 10, 20, 20), crowd=1),
    "an image outside": Row((66, 10, 20, 20), image="../x/d.jpg"),
}


def coco_of(rows: list[Row]) -> dict[str, Any]:
    """Return a COCO file with an annotation for each row, its number as its ID."""
    images: dict[tuple[Any, ...], int] = {}
    categories: dict[tuple[Any, ...], int] = {}
    annotations = []
    for number, row in enumerate(rows):
        annotations.append(
            {
                "id": number,
                "image_id": images.setdefault((row.image, *row.size), len(images)),
                "category_id": categories.setdefault((row.tag, type(row.tag)), len(categories)),
                "bbox": row.box,
                "iscrowd": row.crowd,
            }
        )
    listed = [
        {"id": id_, "file_name": name, "width": width, "height": height}
        for (name, width, height), id_ in images.items()
        if isinstance(name, str) and name != "./"
    ]
    named = [{"id": id_, "name": name} for (name, _), id_ in categories.items()]
    return {"images": listed, "categories": named, "annotations": annotations}


def columns_of(rows: list[Row]) -> dict[str, list[Any]]:
    """Return a table of rows as columns."""
    return {
        "image": [row.image for row in rows],
        "tag": [row.tag for row in rows],
        **{name: [row.box[n] for row in rows] for n, name in enumerate(COORDINATES)},
        "image_width": [row.size[0] for row in rows],
        "image_height": [row.size[1] for row in rows],
        "crowd": [row.crowd for row in rows],
    }


def from_file(rows: list[Row], folder: Path) -> rb.Dataset:
    return rb.read(write_json(folder / "instances.json", coco_of(rows)), coco_boxes="pixels")


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_findings_of_the_same_row_in_a_file(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install pyarrow")
    pd = pytest.importorskip("pandas", reason="pandas is not installed: pip install pandas")
    rows = [Row(), KINDS[kind]]
    frame = pd.DataFrame(columns_of(rows), dtype=object)
    own = rb.Dataset.from_arrow(frame, mode="XYWH_ABS")
    file = from_file(rows, tmp_path)
    counts = file.findings.counts()
    counts.pop("image_not_on_disk", None)
    assert own.findings.counts() == counts
    assert [*own] == [*file]
    assert own.ledger == file.ledger
    of_rows = {(one.code, one.where) for one in own.findings if one.place.startswith("table: row")}
    of_file = {(one.code, one.where) for one in file.findings if ": annotation" in one.place}
    assert of_rows == of_file


def test_a_table_of_all_kinds_has_the_findings_of_a_file(tmp_path: Path) -> None:
    rows = [*KINDS.values()]
    columns = columns_of(rows)
    box = [[columns[name][number] for name in COORDINATES] for number in range(len(rows))]
    own = rb.Dataset.from_arrays(
        image=columns["image"],
        tag=columns["tag"],
        box=box,
        image_width=columns["image_width"],
        image_height=columns["image_height"],
        mode=rb.BoxMode.XYWH_ABS,
    )
    file = from_file([row._replace(crowd=0) for row in rows], tmp_path)
    counts = file.findings.counts()
    counts.pop("image_not_on_disk")
    assert len(counts) > 10
    assert own.findings.counts() == counts
    assert [*own] == [*file]
    assert own.ledger == file.ledger
    assert own.regions.where.tolist() == file.regions.where.tolist()


def test_the_content_of_a_coco_file_is_read() -> None:
    path = SCENE / "coco" / "annotations" / "instances_val.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    before = json.dumps(content)
    own = rb.read(content)
    assert len(own) == 4
    assert own.regions.where.tolist() == [one["id"] for one in content["annotations"]]
    assert json.dumps(content) == before
    assert [*own.tags] == [one["name"] for one in content["categories"]]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_rows_of_each_library_become_a_dataset(library: str) -> None:
    pa = pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install pyarrow")
    module: Any = pytest.importorskip(library, reason=f"{library} is not installed")
    dataset = rb.read(SCENE / "coco")
    tables = {
        "pandas": lambda: pa.table(dataset).to_pandas(),
        "polars": lambda: module.DataFrame(dataset),
        "pyarrow": lambda: module.table(dataset),
    }
    assert_equal(rb.Dataset.from_arrow(tables[library](), mode="XYWH_REL"), dataset)


def test_rows_of_duckdb_become_a_dataset() -> None:
    pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install pyarrow")
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed: pip install duckdb")
    dataset = rb.read(SCENE / "coco")
    rows = duckdb.sql("select * from dataset where width > 0")
    assert_equal(rb.Dataset.from_arrow(rows, mode="XYWH_REL"), dataset)


def assert_equal(own: rb.Dataset, dataset: rb.Dataset) -> None:
    """Check that rows are those of a dataset."""
    assert [*own] == [*dataset]
    assert own.regions.where.tolist() == [*range(12)]
    assert own.ledger.kept == 12
    assert {*own.images.split_names()} == {"train", "val"}


def test_text_columns_of_polars_become_names() -> None:
    pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install pyarrow")
    pl = pytest.importorskip("polars", reason="Polars is not installed: pip install polars")
    frame = pl.DataFrame(
        {
            "image": ["a.jpg", None, "b.jpg"],
            "tag": ["cat", "cat", None],
            "box": [[0.1, 0.1, 0.2, 0.2], [0.1, 0.1, 0.2, 0.2], [0.1, 0.1]],
        }
    )
    own = rb.Dataset.from_arrow(frame, mode="XYWH_REL")
    assert own.findings.counts() == {"not_a_box": 1, "unknown_image": 1}
    fixed = frame.with_columns(pl.Series("box", [[0.1] * 4] * 3, dtype=pl.Array(pl.Float64, 4)))
    assert rb.Dataset.from_arrow(fixed, mode="XYWH_REL").findings.counts() == {
        "unknown_image": 1,
        "unknown_class": 1,
    }


@pytest.mark.parametrize(
    ("mode", "box"),
    [
        ("XYWH_ABS", [20, 10, 100, 50]),
        ("XYXY_ABS", [20, 10, 120, 60]),
        ("XYXY_ABS_FROM_1", [21, 11, 120, 60]),
        ("CXCYWH_REL", [0.35, 0.35, 0.5, 0.5]),
        ("XYWH_REL", [0.1, 0.1, 0.5, 0.5]),
        ("XYXY_REL", [0.1, 0.1, 0.6, 0.6]),
    ],
)
def test_boxes_of_each_mode(mode: str, box: list[float]) -> None:
    own = rb.Dataset.from_arrays(
        image=["a.jpg"],
        tag=["cat"],
        box=np.array([box]),
        mode=rb.BoxMode[mode],
        image_width=[200],
        image_height=np.array([100]),
    )
    assert next(iter(own))[2:] == pytest.approx((0.1, 0.1, 0.5, 0.5))


def test_image_files_are_found_in_image_dir() -> None:
    dataset = rb.read(SCENE / "coco")
    own = rb.Dataset.from_arrays(
        image=[region.image.rpartition("/")[2] for region in dataset],
        tag=[region.tag for region in dataset],
        box=dataset.regions.box,
        mode="XYWH_REL",
        image_dir=SCENE / "coco" / "images",
    )
    assert not own.findings.counts()
    assert all(own.images.paths)


def test_paths_are_names() -> None:
    own = rb.Dataset.from_arrays(
        image=[PurePosixPath("a/b.jpg")],  # type: ignore[list-item]
        tag=["cat"],
        box=[[0.1] * 4],
        mode="XYWH_REL",
    )
    assert own.images.names == ["a/b.jpg"]


def test_an_image_with_two_splits_or_sizes_is_listed_twice() -> None:
    options: RowKeywords = {"only": "cat"}
    own = rb.Dataset.from_arrays(
        image=["a.jpg", "a.jpg", "a.jpg"],
        tag=["cat", "cat", "dog"],
        box=[[1, 1, 5, 5], [2, 2, 5, 5], [3, 3, 5, 5]],
        mode="XYWH_ABS",
        image_width=[10, 20, 0],
        image_height=[10, 20, 0],
        split=["train", "train", None],
        **options,
    )
    assert len(own.images) == 1
    assert own.findings.counts()["merged_image"] == 2
    assert own.ledger.dropped == {"left_out": 1}
    assert [region.left for region in own] == [0.1, 0.1]


def test_a_table_without_rows_is_an_empty_dataset() -> None:
    own = rb.Dataset.from_arrays(image=[], tag=[], box=[], mode="XYWH_REL")
    assert (len(own), len(own.images), own.ledger.read) == (0, 0, 0)
    pa = pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install pyarrow")
    empty = pa.table(rb.read(SCENE / "coco")).slice(0, 0)
    assert len(rb.Dataset.from_arrow(empty, mode="XYWH_REL").images) == 0


def test_names_that_no_row_has_are_not_in_the_dataset() -> None:
    pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install pyarrow")
    table = rb.read(SCENE / "coco").to_arrow().slice(0, 1)
    own = rb.Dataset.from_arrow(table, mode="XYWH_REL")
    assert own.tags == ["person"]
    assert own.images.names == ["images/market.jpg"]


def test_strict_and_cancelling() -> None:
    rows: dict[str, Any] = {"image": ["a.jpg"], "tag": ["cat"], "mode": "XYWH_REL"}
    with pytest.raises(rb.StrictError):
        rb.Dataset.from_arrays(**rows, box=[[0.5, 0.5, 0.9, 0.2]], strict=True)
    assert len(rb.Dataset.from_arrays(**rows, box=[[0.5, 0.5, 0.1, 0.2]], strict=True)) == 1


@pytest.mark.parametrize(
    ("changed", "option"),
    [
        ({"mode": "xywh"}, "mode"),
        ({"mode": 3}, "mode"),
        ({"tag": ["cat", "cat"]}, "tag"),
        ({"tag": [1.5]}, ""),
        ({"tag": np.array([1])}, "tag"),
        ({"tag": "cat"}, "tag"),
        ({"image": 5}, "image"),
        ({"box": np.zeros((1, 5))}, "box"),
        ({"box": np.zeros(4)}, "box"),
        ({"box": []}, "box"),
        ({"strict": "no"}, "strict"),
        ({"progress": 1}, "progress"),
        ({"max_clip": 5}, "max_clip"),
        ({"drop": "nothing"}, "drop"),
        ({"image_dir": "no-such-folder"}, "image_dir"),
        ({"image_dir": 5}, "image_dir"),
    ],
)
def test_wrong_arguments_are_errors(changed: dict[str, Any], option: str) -> None:
    rows: dict[str, Any] = {"image": ["a.jpg"], "tag": ["cat"], "box": [[0.1] * 4]}
    rows |= {"mode": "XYWH_REL", **changed}
    if not option:
        assert rb.Dataset.from_arrays(**rows).findings.counts() == {"unknown_class": 1}
        return
    with pytest.raises(rb.OptionError) as caught:
        rb.Dataset.from_arrays(**rows)
    assert caught.value.option == option


def test_wrong_tables_are_errors() -> None:
    pa = pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install pyarrow")
    good = pa.table(rb.read(SCENE / "coco"))
    wrong: list[Any] = [
        5,
        pa.chunked_array([[1]]),
        good.column("tag").chunk(0),
        {"image": ["a.jpg"]},
        good.drop_columns(["left"]),
        good.drop_columns(["tag"]),
        good.append_column("image", good.column("image")),
        good.append_column("rotation", pa.array([0.5] * 12)),
        good.set_column(1, "tag", pa.array([*range(12)])),
    ]
    for table in wrong:
        with pytest.raises(rb.OptionError):
            rb.Dataset.from_arrow(table, mode="XYWH_REL")
    turned = good.append_column("angle", pa.array([0.0, None] * 6))
    assert len(rb.Dataset.from_arrow(turned, mode="XYWH_REL")) == 12
