"""Broken files, made at random: no exception but our own, no box outside the image, and the ledger adds up.

`tests/fuzz.py` does the same for as long as one likes, and led by coverage.
"""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from fuzzing import FILES, check, mutated, plant, seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


@pytest.mark.parametrize("format_", FILES)
def test_mutated_fixtures(tmp_path: Path, format_: str) -> None:
    random, became = Random(20), set()
    for number, seed in enumerate(seeds(format_)):
        files = plant(seed, tmp_path / str(number), format_)
        for _ in range(3):
            for path in files:
                original = path.read_bytes()
                path.write_bytes(mutated(original, random))
                became.add(check(tmp_path / str(number), format_))
                path.write_bytes(original)
    assert {"read", "DatasetError"} <= became


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
ID = st.integers(0, 3) | st.sampled_from(["1", 1.0, "x", None]) | ANYTHING
NUMBER = st.floats(-50, 300) | st.sampled_from(["10", "1e1", None, float("nan"), float("inf"), -0.0, 1e308])
BBOX = st.lists(NUMBER, min_size=4, max_size=4) | ANYTHING


def records(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    record = st.fixed_dictionaries({}, optional=fields)
    return st.lists(record | ANYTHING, max_size=6)


@ONE_FOLDER
@given(
    images=records(
        id=ID, file_name=st.sampled_from(["a.jpg", "../b.jpg", "c\\d.png"]) | ANYTHING, width=ID, height=NUMBER
    ),
    categories=records(id=ID, name=st.sampled_from(["cat", " cat", ""]) | ANYTHING),
    annotations=records(id=ID, image_id=ID, category_id=ID, bbox=BBOX, segmentation=BBOX, iscrowd=ID),
)
def test_any_coco(tmp_path: Path, images: list[Any], categories: list[Any], annotations: list[Any]) -> None:
    content = {"images": images, "categories": categories, "annotations": annotations}
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    check(tmp_path / "a.json", "coco")


NAMES = ("object", "bndbox", "xmin", "ymin", "xmax", "ymax", "name", "size", "width", "height", "filename", "polygon")
XML = st.recursive(
    st.sampled_from(["", "5", "1e1", " 20 ", "nan", "x", "&amp;", "cat", "<!-- c -->", "-3"]),
    lambda inner: st.lists(
        st.tuples(st.sampled_from(NAMES), inner).map(lambda pair: f"<{pair[0]}>{pair[1]}</{pair[0]}>"), max_size=6
    ).map("".join),
    max_leaves=20,
)


@ONE_FOLDER
@given(body=XML)
def test_any_voc(tmp_path: Path, body: str) -> None:
    (tmp_path / "a.xml").write_text(f"<annotation>{body}</annotation>", encoding="utf-8")
    check(tmp_path, "voc")


TOKEN = st.sampled_from(["0", "1", "9", "-1", "0.5", ".5", "1e-1", "nan", "inf", "x", "#", "0,5", "300", "0.0"])
ROW = st.lists(TOKEN, max_size=12).map(" ".join) | st.text(max_size=12)


@ONE_FOLDER
@given(
    rows=st.lists(ROW, max_size=8),
    yaml=st.sampled_from(["names: [cat, dog]", "names: {1: cat}"]) | st.text(max_size=30),
)
def test_any_yolo(tmp_path: Path, rows: list[str], yaml: str) -> None:
    (tmp_path / "labels").mkdir(exist_ok=True)
    (tmp_path / "data.yaml").write_text(yaml, encoding="utf-8")
    (tmp_path / "labels" / "a.txt").write_text("\n".join(rows), encoding="utf-8")
    check(tmp_path, "yolo")
