"""Payloads have the form of the reference page, and the content of the dataset."""

from __future__ import annotations

import itertools
import json
import pickle
import random
import re
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from azure.cognitiveservices.vision.customvision.training import models
from jsonschema import Draft202012Validator, FormatChecker
from lxml import etree
from msrest import Deserializer, Serializer

import regionbatch as rb
from helpers import (
    Box,
    batches_of,
    id_of,
    ids_of,
    mentions,
    raises_mentioning,
    write_coco,
    write_json,
)
from regionbatch.batching import Batch, Entry
from regionbatch.errors import OptionError, ResolveError

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = ["imageId", "tagId", "left", "top", "width", "height"]
SCHEMA = {
    "type": "object",
    "required": ["regions"],
    "additionalProperties": False,
    "properties": {
        "regions": {
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": {
                "type": "object",
                "required": FIELDS,
                "additionalProperties": False,
                "properties": {
                    **{key: {"type": "string", "format": "uuid"} for key in FIELDS[:2]},
                    **{
                        key: {"type": "number", "format": "float", "minimum": 0, "maximum": 1}
                        for key in FIELDS[2:]
                    },
                },
            },
        }
    },
}
"""The schema on the reference page of CreateImageRegions, without other fields."""

checker = FormatChecker(["uuid"])


@checker.checks("float")
def _is_32_bit_float(value: object) -> bool:
    """Return whether a number is a 32-bit float, up to nine decimals."""
    return not isinstance(value, float) or abs(float(np.float32(value)) - value) <= 2**-24


validator = Draft202012Validator(SCHEMA, format_checker=checker)
model_classes = {name: value for name, value in vars(models).items() if isinstance(value, type)}


@pytest.fixture
def dataset(tmp_path: Path) -> rb.Dataset:
    """A dataset of 1,000 boxes on 40 images; many touch the right and lower edges."""
    dice = random.Random(5)
    rows: list[Box] = []
    for _ in range(1000):
        x, y = dice.randrange(199), dice.randrange(99)
        corner = (
            (200 - x, 100 - y)
            if dice.random() < 0.5
            else (dice.uniform(1, 200 - x), dice.uniform(1, 100 - y))
        )
        rows.append(
            (f"{dice.randrange(40)}.jpg", dice.choice(["cat", "dog", "cow"]), (x, y, *corner))
        )
    return rb.read(write_coco(tmp_path, rows), coco_boxes="pixels")


def entries_of(dataset: rb.Dataset) -> list[dict[str, Any]]:
    """Return the entries that the payloads must contain, in any order."""
    return [
        dict(zip(FIELDS, (id_of(region.image), id_of(region.tag), *region[2:]), strict=True))
        for region in dataset
    ]


def in_order(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entries, key=lambda entry: tuple(entry.values()))


def test_every_payload_fits_the_reference_page(dataset: rb.Dataset) -> None:
    for batch in batches_of(dataset):
        content = json.loads(batch.to_json())
        validator.validate(content)
        assert all(list(entry) == FIELDS for entry in content["regions"]), (
            "in the order of the page"
        )


def test_the_schema_rejects_wrong_payloads(dataset: rb.Dataset) -> None:
    content = json.loads(batches_of(dataset)[0].to_json())
    first = content["regions"][0]
    for spoilt in (
        {**first, "left": "0.5"},
        {**first, "tagId": "cat"},
        {**first, "left": 1.5},
        {**first, "id": 1},
    ):
        assert not validator.is_valid({"regions": [spoilt]})
    assert not validator.is_valid({"regions": [first] * 65})


def test_payloads_have_the_content_of_the_dataset(dataset: rb.Dataset) -> None:
    sent = [
        entry for batch in batches_of(dataset) for entry in json.loads(batch.to_json())["regions"]
    ]
    assert in_order(sent) == in_order(entries_of(dataset))


def test_the_official_sdk_reads_every_payload(dataset: rb.Dataset) -> None:
    """Its models validate every payload and return it unchanged."""
    read, write = Deserializer(model_classes), Serializer(model_classes)
    for batch in batches_of(dataset):
        content = json.loads(batch.to_json())
        model = read("ImageRegionCreateBatch", content)
        assert isinstance(model, models.ImageRegionCreateBatch)
        assert not model.additional_properties
        assert [
            (entry.image_id, entry.tag_id, entry.left, entry.width) for entry in model.regions
        ] == [(entry.image_id, entry.tag_id, entry.left, entry.width) for entry in batch]
        assert write.body(model, "ImageRegionCreateBatch") == content


def test_xml_has_the_content_of_json(dataset: rb.Dataset) -> None:
    for batch in batches_of(dataset):
        root = etree.fromstring(batch.to_xml())
        assert root.tag == "ImageRegionCreateBatch"
        regions = []
        for element in root:
            assert element.tag == "regions"
            texts = {str(child.tag): child.text or "" for child in element}
            regions.append(
                {key: text if key.endswith("Id") else float(text) for key, text in texts.items()}
            )
        assert regions == json.loads(batch.to_json())["regions"]


def test_the_service_cannot_misread_a_number(dataset: rb.Dataset) -> None:
    """Even if it parses the text as 32-bit floats."""
    for batch in batches_of(dataset):
        for entry in json.loads(batch.to_json(), parse_float=np.float32)["regions"]:
            left, top, width, height = (np.float32(entry[key]) for key in FIELDS[2:])
            assert left >= 0 < width
            assert top >= 0 < height
            assert left + width <= 1
            assert top + height <= 1


def test_batches_are_full_and_images_stay_together(dataset: rb.Dataset) -> None:
    batches = batches_of(dataset)
    lengths = [len(batch) for batch in batches]
    assert len(lengths) == len(batches) == -(-len(dataset) // 64)
    assert set(lengths[:-1]) == {64}
    assert 1 <= lengths[-1] <= 64
    images = [entry.image_id for batch in batches for entry in batch]
    runs = [image for image, _ in itertools.groupby(images)]
    assert len(runs) == len(set(runs)), "the regions of an image are next to each other"


@pytest.mark.parametrize(
    ("count", "lengths"), [(0, []), (1, [1]), (64, [64]), (65, [64, 1]), (128, [64, 64])]
)
def test_the_edge_of_a_batch(tmp_path: Path, count: int, lengths: list[int]) -> None:
    rows: list[Box] = [("a.jpg", "cat", (number / 2, 5, 5, 5)) for number in range(count)]
    batches = batches_of(
        rb.read(write_coco(tmp_path, rows, images={"a.jpg": (200, 100)}), coco_boxes="pixels")
    )
    assert [len(batch) for batch in batches] == lengths


def test_lines_may_be_kept(dataset: rb.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regionbatch.batching._BATCHES_AT_ONCE", 1)
    batches = batches_of(dataset)
    kept = [line.tobytes() for lines in [*batches.lines()] for line in lines]
    assert len(kept) > 2
    assert kept == [batch.to_json() + b"\n" for batch in batches]


def test_batches_are_a_sequence(dataset: rb.Dataset) -> None:
    """Batches are created when accessed, in any order."""
    batches = batches_of(dataset)
    bodies = [batch.to_json() for batch in batches]
    assert [batches[number].to_json() for number in range(len(batches))] == bodies
    assert batches[-1].to_json() == bodies[-1]
    assert [batch.to_json() for batch in batches[2:5]] == bodies[2:5]
    with pytest.raises(IndexError):
        batches[len(batches)]
    first = batches[0]
    assert list(first)[3:5] == first[3:5] == [first[3], first[4]]


@pytest.mark.parametrize("wanted", [slice(None), slice(None, None, -1), slice(7), slice(5, 290)])
def test_all_ways_to_the_same_payloads(tmp_path: Path, wanted: slice) -> None:
    """Regions in another order than the dataset's: all, some, a copy, and after `regions`."""
    boxes: list[Box] = [
        (f"{row * 7 % 50}.jpg", "cat", (row % 90, row // 90, 9, 9)) for row in range(300)
    ]
    dataset = rb.read(write_coco(tmp_path, boxes))
    batches = batches_of(dataset).take(np.arange(300)[wanted])
    copied = pickle.loads(pickle.dumps(batches))
    expected = [batch.to_json() for batch in batches]
    assert [batch.to_json() for batch in batches] == expected
    assert [batches[number].to_json() for number in range(len(batches))] == expected
    for same in (batches, copied, copied.take(np.arange(len(copied.rows)))):
        assert [batch.to_json() for batch in same] == expected
        assert (same.regions.box == dataset.regions.box[same.rows]).all()
        assert (same.regions.where == dataset.regions.where[same.rows]).all()
    assert list(copied.rows) == list(batches.rows)


def test_a_copy_has_only_the_regions_that_are_sent(tmp_path: Path) -> None:
    boxes: list[Box] = [("a.jpg", "cat", (row % 90, row // 90, 9, 9)) for row in range(900)]
    batches = batches_of(rb.read(write_coco(tmp_path, boxes)))
    size, size_of_few = (len(pickle.dumps(each)) for each in (batches, batches.take(np.arange(9))))
    assert size - size_of_few > 891 * 4 * 8  # the bytes of the other boxes


def test_golden_bytes(tmp_path: Path) -> None:
    """No byte of a payload changes unintentionally."""
    rows: list[Box] = [
        ("a.jpg", "cat", (0, 0, 200, 100)),
        ("b.jpg", "dog", (20, 10, 80, 60)),
        ("a.jpg", "dog", (200 / 3, 10, 400 / 3, 1e-4)),
    ]
    batches = rb.batches(
        rb.read(write_coco(tmp_path, rows)),
        tag_ids={
            "cat": "b607964f-7bd6-4a3b-a869-6791fb6aab87",
            "dog": "D8D8D8D8-1111-4222-8333-444444444444",
        },
        image_ids={
            "a.jpg": "0a1b2c3d-0000-4000-8000-00000000000a",
            "b.jpg": "{0a1b2c3d-0000-4000-8000-00000000000b}",
        },
    )
    [batch] = batches
    assert batch.to_json() == (
        b'{"regions":['
        b'{"imageId":"0a1b2c3d-0000-4000-8000-00000000000a","tagId":"b607964f-7bd6-4a3b-a869-6791fb6aab87",'
        b'"left":0.000000000,"top":0.000000000,"width":1.000000000,"height":1.000000000},'
        b'{"imageId":"0a1b2c3d-0000-4000-8000-00000000000a","tagId":"d8d8d8d8-1111-4222-8333-444444444444",'
        b'"left":0.333333333,"top":0.100000000,"width":0.666666607,"height":0.000001000},'
        b'{"imageId":"0a1b2c3d-0000-4000-8000-00000000000b","tagId":"d8d8d8d8-1111-4222-8333-444444444444",'
        b'"left":0.100000000,"top":0.100000000,"width":0.400000000,"height":0.600000000}'
        b"]}"
    )
    assert batch.to_xml().startswith(
        b"<ImageRegionCreateBatch><regions><imageId>0a1b2c3d-0000-4000-8000-00000000000a</imageId>"
        b"<tagId>b607964f-7bd6-4a3b-a869-6791fb6aab87</tagId><left>0.000000000</left><top>0.000000000</top><width>1.000000000</width>"
        b"<height>1.000000000</height></regions><regions>"
    )


def test_classes_with_one_id_give_no_duplicates(tmp_path: Path) -> None:
    """The service rejects a whole batch with a duplicate entry."""
    box = (20, 10, 80, 60)
    rows: list[Box] = [
        ("a.jpg", "cat", box),
        ("a.jpg", "kitten", box),
        ("a.jpg", "kitten", (0, 0, 5, 5)),
    ]
    dataset = rb.read(write_coco(tmp_path, rows))
    tags = {"cat": id_of("cat")}
    batches = rb.batches(
        dataset, tag_ids=tags, image_ids=ids_of(["a.jpg"]), rename={"kitten": "cat"}
    )
    assert [entry.tag_id for entry in batches[0]] == [id_of("cat")] * 2
    assert dict(batches.ledger.dropped) == {"duplicate": 1}
    assert (batches.ledger.read, batches.ledger.kept) == (3, 2)
    assert dict(dataset.ledger.dropped) == {}, "the ledger of the dataset does not change"
    [finding] = batches.findings.first("duplicate")
    assert finding.where == 2
    assert mentions(finding.value, "kitten", "a.jpg")


def test_images_with_one_id_stay_together_and_give_no_duplicates(tmp_path: Path) -> None:
    box = (20, 10, 80, 60)
    rows: list[Box] = [
        ("a.jpg", "cat", box),
        ("b.jpg", "cat", box),
        ("c.jpg", "cat", box),
        ("c.jpg", "cat", (0, 0, 5, 5)),
    ]
    dataset = rb.read(write_coco(tmp_path, rows))
    images = {"a.jpg": id_of("same"), "b.jpg": id_of("b"), "c.jpg": id_of("same")}
    batches = rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=images)
    assert [entry.image_id for entry in batches[0]] == [id_of("same"), id_of("same"), id_of("b")]
    assert dict(batches.ledger.dropped) == {"duplicate": 1}


def test_the_ledger_without_names_that_have_no_id(tmp_path: Path) -> None:
    rows: list[Box] = [
        ("a.jpg", "cat", (20, 10, 80, 60)),
        ("a.jpg", "dog", (20, 10, 80, 60)),
        ("b.jpg", "cat", (20, 10, 80, 60)),
        ("a.jpg", "cat", (-20, 10, 80, 60)),
        ("a.jpg", "cat", (20, 10, 0, 60)),
        ("b.jpg", "dog", (-20, 10, 80, 60)),
    ]
    dataset = rb.read(write_coco(tmp_path, rows))
    with raises_mentioning(ResolveError, "dog"):
        rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of(["a.jpg"]))
    batches = rb.batches(
        dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of(["a.jpg"]), skip_unresolved=True
    )
    ledger = batches.ledger
    assert (ledger.read, ledger.kept) == (6, 1)
    assert dict(ledger.adjusted) == {"clipped": 1}
    assert dict(ledger.dropped) == {"empty_box": 1, "unresolved": 3}
    assert ledger.lost == 1, "skipping is intentional; dropping the empty box is not"
    assert [finding.where for finding in batches.findings.first("unresolved", 9)] == [2, 3, 6]
    assert len(batches.regions) == 2 == len(batches[0])


def test_a_name_without_a_box_needs_no_id(tmp_path: Path) -> None:
    images = {"a.jpg": (200, 100), "empty.jpg": (200, 100)}
    dataset = rb.read(
        write_coco(tmp_path, [("a.jpg", "cat", (1, 2, 30, 4))], images=images, tags=["unused"])
    )
    assert dataset.tags == ["unused", "cat"]
    assert len(rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of(["a.jpg"]))) == 1


def test_ids_may_be_mappings_or_files(tmp_path: Path, dataset: rb.Dataset) -> None:
    tags, images = ids_of(dataset.tags), ids_of(dataset.images.names)
    of_tables = rb.batches(dataset, tag_ids=tags, image_ids=images)
    tags_file, images_file = (
        write_json(tmp_path / "t.json", tags),
        write_json(tmp_path / "i.json", images),
    )
    of_files = rb.batches(dataset, tag_ids=str(tags_file), image_ids=images_file)
    assert [batch.to_json() for batch in of_tables] == [batch.to_json() for batch in of_files]
    wrong: Any = 5
    with pytest.raises(OptionError) as caught:
        rb.batches(dataset, tag_ids=wrong, image_ids=images)
    assert (caught.value.option, caught.value.value) == ("tag_ids", wrong)


def test_arguments_are_not_changed(dataset: rb.Dataset) -> None:
    tags, images = ids_of(dataset.tags), ids_of(dataset.images.names)
    rename = {"cat": "dog"}
    before = json.dumps([tags, images, rename]), list(dataset)
    rb.batches(dataset, tag_ids=tags, image_ids=images, rename=rename)
    assert (json.dumps([tags, images, rename]), list(dataset)) == before


def test_a_batch_made_of_entries_is_checked() -> None:
    good = Entry(id_of("image"), id_of("tag"), 0.1, 0.2, 0.3, 0.4)
    assert list(Batch.of([good] * 64)) == [good] * 64
    for entries in (
        [],
        [good] * 65,
        [msgspec.structs.replace(good, left=float("nan"))],
        [msgspec.structs.replace(good, width=1.5)],
        [msgspec.structs.replace(good, tag_id="cat")],
    ):
        with pytest.raises(OptionError) as caught:
            Batch.of(entries)
        assert caught.value.option == "entries"


def test_representations_have_one_line(tmp_path: Path) -> None:
    dataset = rb.read(write_coco(tmp_path, [("a.jpg", "cat", (1, 2, 30, 4))] * 2))
    batches = batches_of(dataset)
    shown: dict[str, tuple[object, list[object]]] = {
        "Dataset": (dataset, ["coco", tmp_path, 2, 1]),
        "Images": (dataset.images, [1]),
        "Regions": (dataset.regions, [1]),
        "Findings": (dataset.findings, ["'duplicate': 1", "'image_not_on_disk': 1"]),
        "Batches": (batches, [1]),
        "Batch": (batches[0], [1]),
    }
    for kind, (one, figures) in shown.items():
        assert re.fullmatch(rf"{kind}\(.*\)", repr(one)), "`.` does not match a newline"
        assert mentions(repr(one), *figures)
