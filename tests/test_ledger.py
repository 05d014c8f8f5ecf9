"""The ledger adds up for any annotations: read = kept + adjusted + dropped."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

import regionbatch as rb
from helpers import SIZE, batches_of, write_yolo
from regionbatch.errors import AmbiguousDatasetError
from regionbatch.findings.codes import CODES

if TYPE_CHECKING:
    from regionbatch.findings import Account

numbers_in_files: st.SearchStrategy[object] = st.one_of(
    st.sampled_from(
        [
            0,
            10,
            20,
            50,
            100,
            200,
            -5,
            0.1,
            0.5,
            1,
            1e-12,
            1e308,
            -1e308,
            math.nan,
            math.inf,
            -math.inf,
        ]
    ),
    st.sampled_from(["12", "x", ""]),
    st.floats(-50, 250),
)
quads = st.one_of(
    st.sampled_from([(10, 10, 20, 20), (0.5, 0.5, 0.2, 0.2), (150, 50, 100, 100), (30, 30, 5, 5)]),
    st.tuples(*[numbers_in_files] * 4),
    st.lists(numbers_in_files, max_size=7),
)
images_in_files = st.sampled_from(["a.jpg", "b.jpg", "c.jpg"])
tags_in_files = st.sampled_from(["cat", "dog", " dog", ""])


def assert_account(dataset: rb.Dataset, boxes: int, images: int) -> None:
    """Check that the ledger counts every record, and agrees with the findings and the columns."""
    ledger = dataset.ledger
    for account, read in ((ledger, boxes), (ledger.images, images)):
        assert account.read == read
        assert_adds_up(account)
    assert ledger.kept + sum(ledger.adjusted.values()) == len(dataset)
    counts = dataset.findings.counts()
    dropped = {
        code: n
        for code, n in counts.items()
        if (CODES[code].effect, CODES[code].unit) == ("dropped", "box")
    }
    assert dict(ledger.dropped) == dropped
    written = dataset.regions.box
    assert (written[:, :2] >= 0).all()
    assert (written[:, 2:] > 0).all()
    assert (written[:, :2] + written[:, 2:] <= 1).all()
    assert len(set(dataset)) == len(dataset)
    assert batches_of(dataset).ledger.read == boxes


def assert_adds_up(account: Account) -> None:
    assert account.read == account.kept + sum(account.adjusted.values()) + sum(
        account.dropped.values()
    )
    assert min([account.kept, *account.adjusted.values(), *account.dropped.values()]) >= 0


coco_records = st.one_of(
    st.fixed_dictionaries(
        {"bbox": st.one_of(quads, st.sampled_from([None, [], "", {}, 5]))},
        optional={
            "id": st.one_of(
                st.integers(-2, 5), st.sampled_from(["7", "x", None, 1.5, 2**70, True])
            ),
            "image_id": st.one_of(st.integers(0, 5), st.sampled_from(["1", 1.0, "x", None, True])),
            "category_id": st.one_of(st.integers(0, 5), st.sampled_from(["1", 1.0, "x", None])),
            "iscrowd": st.sampled_from([0, 1, "1", None]),
            "segmentation": st.sampled_from(
                [[], "", [[1, 1, 9, 1, 9, 9]], {"counts": "junk", "size": [4, 4]}, [[1]]]
            ),
        },
    ),
    st.fixed_dictionaries(
        {"image_id": st.just(1), "category_id": st.just(1), "segmentation": st.just([[1, 1, 9, 9]])}
    ),
    st.sampled_from([{"caption": "a cat"}, 5, "text", None, []]),
)


@settings(max_examples=100)
@given(
    st.lists(coco_records, max_size=12), st.lists(st.sampled_from([1, 1, 2, "3", None]), max_size=5)
)
def test_coco_ledger_adds_up(records: list[Any], image_ids: list[object]) -> None:
    content = {
        "images": [
            {"id": id_, "file_name": f"{at % 3}.jpg", "width": 200, "height": 100}
            for at, id_ in enumerate(image_ids)
        ],
        "categories": [
            {"id": 1, "name": "cat"},
            {"id": 2, "name": "dog"},
            {"id": 2, "name": "cow"},
        ],
        "annotations": records,
    }
    no_boxes = [
        record
        for record in records
        if isinstance(record, dict)
        and "bbox" not in record
        and record.get("segmentation") in (None, [], "", {})
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        dataset = rb.read(path, coco_boxes="pixels")
    assert_account(dataset, len(records) - len(no_boxes), len(image_ids))


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            images_in_files,
            st.one_of(
                st.sampled_from(["0", "1", "1.0", "7", "-1", "x", "0.5", "nan"]), st.just("0")
            ),
            quads,
        ),
        max_size=12,
    )
)
def test_yolo_ledger_adds_up(rows: list[tuple[str, str, tuple[object, ...]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_yolo(Path(folder), [], images=["a.jpg", "b.jpg", "c.jpg"], tags=["cat", "dog"])
        for image, number, numbers in rows:
            (Path(folder) / image).touch()  # a text file without an image may be something else
            with (Path(folder) / image).with_suffix(".txt").open("a", encoding="utf-8") as file:
                file.write(" ".join([number, *map(str, numbers)]) + "\n")
        try:
            dataset = rb.read(folder, format="yolo")
        except AmbiguousDatasetError:
            return  # mostly pixels: the whole dataset is rejected
        assert_account(dataset, len(rows), 3)


voc_parts = st.sampled_from(
    [
        "<robndbox><cx>50</cx><cy>50</cy><w>20</w><h>10</h><angle>0.7</angle></robndbox>",
        "<polygon><x1>1</x1><y1>1</y1><x2>50</x2><y2>1</y2><x3>50</x3><y3>60</y3></polygon>",
        "<polygon><x1>1</x1></polygon>",
        "<bndbox/>",
        "<bndbox><xmin>1</xmin></bndbox>",
        "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>",
    ]
)


def count_boxes(tag: str, parts: list[Any]) -> int:
    """Return how many records a VOC object counts as.

    Each box counts, or one record if there is none; shapes only without an axis-aligned box.
    """
    if not tag.strip():
        return 1
    boxes = shapes = 0
    for part in parts:
        if not isinstance(part, str) or part.startswith("<bndbox"):
            boxes += 1
        elif part.startswith(("<rob", "<poly")):
            shapes += 1
    return boxes or shapes or 1


def voc_object(tag: str, parts: list[Any]) -> str:
    """Return the XML of an object with some boxes and shapes."""
    body = ""
    for part in parts:
        if isinstance(part, str):
            body += part
        else:
            sides = zip(("xmin", "ymin", "xmax", "ymax"), part, strict=False)
            corners = "".join(f"<{side}>{number}</{side}>" for side, number in sides)
            body += f"<bndbox>{corners}</bndbox>"
    return f"<object><name>{tag}</name>{body}</object>"


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            images_in_files, tags_in_files, st.lists(st.one_of(quads, voc_parts), max_size=3)
        ),
        max_size=8,
    )
)
def test_voc_ledger_adds_up(objects: list[tuple[str, str, list[Any]]]) -> None:
    texts = {"a.jpg": "", "b.jpg": "", "c.jpg": ""}
    boxes = 0
    for image, tag, parts in objects:
        texts[image] += voc_object(tag, parts)
        boxes += count_boxes(tag, parts)
    with tempfile.TemporaryDirectory() as folder:
        for image, text in texts.items():
            size = f"<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height></size>"
            (Path(folder) / image).with_suffix(".xml").write_text(
                f"<annotation><filename>{image}</filename>{size}{text}</annotation>",
                encoding="utf-8",
            )
        assert_account(rb.read(folder, voc_boxes="pixels"), boxes, 3)
