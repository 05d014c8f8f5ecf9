"""Short fuzzing of the readers with every test run: what is broken never breaks the run.

`fuzzing/` has the inputs, the mutations and the checks; `fuzz.py` does the long runs.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzing.checks import DatasetSandbox, ImageSandbox, check_message, sandbox
from fuzzing.inputs import IMAGES, SLOTS, TARGETS, seeds
from fuzzing.mutations import WORDS, mutated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

shared = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=30,
)
"""The folder of a test is shared by its examples: each of them writes the file that it is about."""


@pytest.fixture(params=TARGETS)
def box(request: pytest.FixtureRequest, tmp_path: Path) -> DatasetSandbox | ImageSandbox:
    return sandbox(request.param, tmp_path)


@given(data=st.data())
@shared
def test_files_of_the_fixtures_with_changes(
    box: DatasetSandbox | ImageSandbox, data: st.DataObject
) -> None:
    seed = data.draw(st.sampled_from(seeds(box.target)))
    box.check(seed[:1] + mutated(seed[1:], data.draw(st.randoms(use_true_random=False))))


@given(data=st.data())
@shared
def test_any_bytes(box: DatasetSandbox | ImageSandbox, data: st.DataObject) -> None:
    slots = 2 if box.target == IMAGES else len(SLOTS[box.target])
    number = data.draw(st.integers(0, slots - 1))
    parts = data.draw(
        st.lists(st.sampled_from(WORDS) | st.binary(max_size=9) | st.just(b"\n"), max_size=12)
    )
    box.check(bytes([number]) + b"".join(parts))


# Documents of the right shape, with wild values in them.

wild_numbers = (
    st.floats()
    | st.floats(-2, 600)
    | st.integers(-2, 600)
    | st.sampled_from(
        [10**400, -(10**25), 2**31, 2**62, 2**63, 1e308, -1e308, 5e-324, float("inf"), float("nan")]
    )
)
wild_texts = st.text(max_size=6) | st.sampled_from(
    [
        "\ud800",
        "\x1b[2J",
        "a\nb",
        "../a.jpg",
        "C:\\a.jpg",
        "/",
        "",
        " ",
        "é",
        "e\u0301",
        "a.jpg",
        "1",
        "1.0",
        "NaN",
        "x" * 200,
    ]
)
wild = st.recursive(
    st.none() | st.booleans() | wild_numbers | wild_texts,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["size", "counts", "id"]), inner)
    ),
    max_leaves=6,
)
ids = st.sampled_from([1, 2, "1", 1.0, 0, -1, "x", None, 2**62, True, [1]]) | wild
sides = st.sampled_from([100, "100", 100.0, 0, -1, 2**31, 1]) | wild
numbers = st.lists(wild_numbers | st.floats(0, 50), min_size=4, max_size=4)
extremes = st.lists(st.sampled_from([1e308, -1e308, 1e999, -1e999, 5]), min_size=4, max_size=4)
polygons = st.lists(st.lists(wild_numbers, max_size=9), max_size=3)
masks = st.fixed_dictionaries(
    {
        "size": st.lists(st.integers(-1, 12), max_size=3),
        "counts": st.lists(st.integers(-1, 99)) | wild_texts,
    }
)


def changed(good: dict[str, Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a valid record with some fields changed or missing; at times any other value."""
    changes = st.one_of(
        *(st.tuples(st.just(name), values | st.just(...)) for name, values in fields.items())
    )
    altered = st.lists(changes, max_size=3).map(lambda pairs: {**good, **dict(pairs)})
    kept = altered.map(
        lambda record: {key: value for key, value in record.items() if value is not ...}
    )
    return kept | kept | kept | wild


coco_fields: dict[str, st.SearchStrategy[Any]] = {
    "images": st.lists(
        changed(
            {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80},
            id=ids,
            file_name=wild_texts,
            width=sides,
            height=sides,
        ),
        min_size=1,
        max_size=4,
    ),
    "categories": st.lists(
        changed({"id": 1, "name": "cat"}, id=ids, name=wild_texts | wild), min_size=1, max_size=3
    ),
    "annotations": st.lists(
        changed(
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]},
            id=ids,
            image_id=ids,
            category_id=ids,
            bbox=numbers | extremes | wild,
            segmentation=polygons | masks | wild,
            iscrowd=st.sampled_from([0, 1, "1", 2, None]),
        ),
        min_size=1,
        max_size=6,
    ),
    "bbox_format": st.sampled_from(["ltrb", "ltwh", 5]),
}
coco_documents = (
    st.fixed_dictionaries(coco_fields)
    | st.fixed_dictionaries(coco_fields)
    | changed({}, **coco_fields)
)


def good_beside(document: Any) -> Any:
    """Return a document that is sure to have an image, a class and a box."""
    if isinstance(document, dict):
        for key, record in (
            ("images", {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}),
            ("categories", {"id": 1, "name": "cat"}),
            ("annotations", {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}),
        ):
            document[key] = [
                record,
                *(document[key] if isinstance(document.get(key), list) else []),
            ]
    return document


@pytest.mark.parametrize("box", ["coco"], indirect=True)
@given(data=st.data(), document=coco_documents, good=st.booleans())
@settings(shared, max_examples=60)
def test_coco_documents(
    box: DatasetSandbox | ImageSandbox, data: st.DataObject, document: Any, good: bool
) -> None:
    text = json.dumps(
        good_beside(document) if good else document, ensure_ascii=data.draw(st.booleans())
    )
    box.check(bytes([data.draw(st.integers(0, 3))]) + text.encode(errors="backslashreplace"))


tags = st.sampled_from(
    [
        *(
            "annotation",
            "object",
            "name",
            "filename",
            "size",
            "width",
            "height",
            "bndbox",
            "robndbox",
            "polygon",
            "part",
        ),
        *(
            "xmin",
            "ymin",
            "xmax",
            "ymax",
            "cx",
            "cy",
            "w",
            "h",
            "angle",
            "x1",
            "y1",
            "x2",
            "y2",
            "pt",
            "x",
            "y",
        ),
        *("difficult", "truncated", "source", "database", "object xmlns='http://a.b/'"),
    ]
)
xml_texts = st.sampled_from(
    ["", "10", "1e1", " 50.5\n", "cat", "a.jpg", "../a.jpg", "VOC2007", "1", "yes"]
) | (
    st.one_of(
        wild_numbers.map(repr),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=5),
    )
)


def element(tag: str, content: str) -> str:
    return f"<{tag}>{content}</{tag.partition(' ')[0]}>"


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


elements = st.recursive(
    st.tuples(tags, xml_texts.map(escaped)).map(lambda pair: element(*pair)),
    lambda inner: st.tuples(tags, st.lists(inner, max_size=6).map("".join)).map(
        lambda pair: element(*pair)
    ),
    max_leaves=25,
)
corners = st.tuples(*[xml_texts.map(escaped)] * 4).map(
    lambda four: element("bndbox", "".join(map(element, ("xmin", "ymin", "xmax", "ymax"), four)))
)
objects = st.lists(elements | corners, max_size=5).map(
    lambda parts: element("object", f"<name>cat</name>{''.join(parts)}")
)


@pytest.mark.parametrize("box", ["voc"], indirect=True)
@given(data=st.data(), parts=st.lists(elements | objects, max_size=5))
@shared
def test_voc_documents(
    box: DatasetSandbox | ImageSandbox, data: st.DataObject, parts: list[str]
) -> None:
    size = data.draw(st.sampled_from(["", "<size><width>100</width><height>80</height></size>"]))
    text = element("annotation", size + "".join(parts))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
    box.check(bytes([data.draw(st.integers(0, 1))]) + text.encode(encoding))


row_numbers = (
    st.sampled_from(
        [
            "0",
            "1",
            "2",
            "0.5",
            ".5",
            "1e-3",
            "-0",
            "nan",
            "inf",
            "1e400",
            "0x1",
            "1_0",
            "٣",
            "person",
            "640",
        ]
    )
    | st.floats(0, 1).map(repr)
    | wild_numbers.map(repr)
)
rows = st.lists(row_numbers, max_size=14).map(" ".join)
good_rows = st.tuples(*[st.floats(0, 1).map(repr)] * 4).map(lambda four: f"0 {' '.join(four)}")


@pytest.mark.parametrize("box", ["yolo"], indirect=True)
@given(data=st.data(), text=st.lists(rows | good_rows, max_size=8))
@shared
def test_yolo_rows(
    box: DatasetSandbox | ImageSandbox, data: st.DataObject, text: list[str]
) -> None:
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r", " \t\n"]))
    box.check(bytes([data.draw(st.integers(0, 3))]) + end.join(text).encode())


yaml_values = st.recursive(
    wild_texts
    | st.sampled_from(
        [
            '"\\UFFFFFFFF"',
            '"\\ud800"',
            '"\\n\\e"',
            "images/train",
            "train",
            ".",
            "..",
            "train.txt",
            "*a",
            "&a x",
            "[",
            "'",
            "0",
            "2",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: f"[{', '.join(parts)}]")
        | st.dictionaries(st.integers(-1, 4).map(str) | wild_texts, inner, max_size=4).map(
            lambda pairs: f"{{{', '.join(f'{key}: {value}' for key, value in pairs.items())}}}"
        )
    ),
    max_leaves=6,
)
yaml_keys = st.sampled_from(["names", "train", "val", "test", "nc", "path"])


@pytest.mark.parametrize("box", ["yolo"], indirect=True)
@given(entries=st.lists(st.tuples(yaml_keys, yaml_values), max_size=6), train=st.booleans())
@shared
def test_data_yaml(
    box: DatasetSandbox | ImageSandbox, entries: list[tuple[str, str]], train: bool
) -> None:
    lines = ["train: images/train", "names: [cat, dog]"] if train else []
    text = "\n".join([*lines, *(f"{key}: {value}" for key, value in entries)])
    number = next(number for number, slot in enumerate(SLOTS["yolo"]) if slot.file == "data.yaml")
    box.check(bytes([number]) + text.encode(errors="replace"))


# The rules themselves: a check that finds nothing when something is wrong is worse than none.


def test_seeds_reach_the_boxes(box: DatasetSandbox | ImageSandbox) -> None:
    """Most seeds can be read unchanged; otherwise the mutations would reach little code."""
    chance = random.Random(0)
    inputs = seeds(box.target)
    outcomes = [box.check(data) for data in chance.sample(inputs, 40)]
    good = "size" if box.target == IMAGES else "read"
    assert outcomes.count(good) > 20
    assert len(inputs) > 60


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ("a.txt:3: no row, got 5; correct it", False),
        ("東京\u3000.txt:3: no row; correct it", False),
        ("a.txt:3: no row,\ngot 5", True),
        ("a.txt:3: no row, got \x1b[2J", True),
        ("no place", True),
        ("a: " + "x" * 9999, True),
    ],
)
def test_a_wrong_message_is_seen(message: str, wrong: bool) -> None:
    check: Callable[[str], None] = check_message
    if wrong:
        with pytest.raises(AssertionError):
            check(message)
    else:
        check(message)
