"""The same dataset with another spelling, order or place gives the same regions.

`test_scene.py` reverses records and adds images; this module has all other changes.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

import regionbatch
from helpers import ROOT, write_coco, write_json, write_voc, write_yolo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIXTURES = ROOT / "fixtures"
VARIANTS = sorted(path.name for path in (FIXTURES / "scene").iterdir() if path.is_dir())
TEXT_EXTENSIONS = (".json", ".xml", ".txt", ".yaml", ".data", ".names")


def content_of(dataset: regionbatch.Dataset) -> list[Any]:
    """Return what must not change.

    Regions to the last bit in any order, the ledger, the classes, and the findings without places.
    """
    ledger = [dataset.ledger.read, dict(dataset.ledger.adjusted), dict(dataset.ledger.dropped)]
    return [sorted(dataset), ledger, sorted(dataset.tags), dataset.findings.counts()]


def files_of(folder: Path, *extensions: str) -> list[Path]:
    """Return the files of a folder that have one of some extensions."""
    return [path for path in sorted(folder.rglob("*")) if path.suffix in extensions]


# Changes to all files of a dataset.


def with_crlf(folder: Path) -> None:
    for path in files_of(folder, *TEXT_EXTENSIONS):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def with_byte_order_mark(folder: Path) -> None:
    for path in files_of(folder, *TEXT_EXTENSIONS):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def as_utf16(folder: Path) -> None:
    for path in files_of(folder, *TEXT_EXTENSIONS):
        text = path.read_text(encoding="utf-8").replace('encoding="utf-8"', 'encoding="utf-16"')
        path.write_bytes(text.encode("utf-16"))


def with_least_whitespace(folder: Path) -> None:
    """Write JSON without spaces, XML without line ends, and rows without a final line end.

    Empty lines between the rows must not matter.
    """
    for path in files_of(folder, ".json"):
        path.write_text(
            json.dumps(load(path), separators=(",", ":"), ensure_ascii=False), encoding="utf-8"
        )
    for path in files_of(folder, ".xml"):
        path.write_text(re.sub(r">\s+<", "><", path.read_text(encoding="utf-8")), encoding="utf-8")
    for path in files_of(folder / "labels", ".txt"):
        path.write_text(
            path.read_text(encoding="utf-8").replace("\n", "\n\n").rstrip(), encoding="utf-8"
        )


def with_most_whitespace(folder: Path) -> None:
    """Write whitespace wherever it is allowed, and escape all characters that are not ASCII."""
    for path in files_of(folder, ".json"):
        path.write_text(
            json.dumps(load(path), indent="\t \r\n", separators=(" \n, ", "\n :\t")),
            encoding="utf-8",
        )
    for path in files_of(folder, ".xml"):
        root = etree.fromstring(path.read_bytes())
        etree.indent(root, "\t\n  ")
        path.write_bytes(etree.tostring(root, encoding="ascii"))
    for path in label_rows(folder):
        path.write_text(
            path.read_text(encoding="utf-8").replace(" ", " \t ").replace("\n", " \n"),
            encoding="utf-8",
        )


def with_keys_reordered(folder: Path) -> None:
    """Reverse keys of JSON objects, children of XML elements and lines of .data files."""
    for path in files_of(folder, ".json"):
        path.write_text(
            json.dumps(with_keys_reversed(load(path)), ensure_ascii=False), encoding="utf-8"
        )
    for path in files_of(folder, ".xml"):
        root = etree.fromstring(path.read_bytes())
        for element in root.iter():
            if element.tag not in ("polygon", "annotation"):
                element[:] = reversed(element)
        path.write_bytes(etree.tostring(root, encoding="utf-8"))
    for path in files_of(folder, ".data"):
        path.write_text(
            "\n".join(reversed(path.read_text(encoding="utf-8").splitlines())), encoding="utf-8"
        )


def with_numbers_spelled_differently(folder: Path) -> None:
    """Write 10 as 10.0 or 1e1, in JSON also as "10"; IDs too."""
    for path in files_of(folder, ".json"):
        content = load(path)
        for number, record in enumerate(content.get("annotations", ())):
            spell: Callable[[float], Any] = (float, str, lambda value: f"{value:.12e}")[number % 3]
            record.update(
                {key: spell(record[key]) for key in ("image_id", "category_id") if number % 3 < 2}
            )
            if "bbox" in record:
                record["bbox"] = [spell(value) for value in record["bbox"]]
        write_json(path, content)
    for path in files_of(folder, ".xml"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(
            r"<(xm..|width)>(\d+)</", lambda found: f"<{found[1]}>{int(found[2]) / 10}e1</", text
        )
        path.write_text(re.sub(r"<(ym..|height)>(\d+)</", r"<\1>\2.0</", text), encoding="utf-8")
    for path in label_rows(folder):
        text = re.sub(r"(?m)^(\d+) ", r"\1.0 ", path.read_text(encoding="utf-8"))
        path.write_text(re.sub(r" 0\.", " .", text), encoding="utf-8")


def with_fields_of_other_tools(folder: Path) -> None:
    """Add keys, elements and attributes that say nothing about boxes."""
    other = {"annotations": [{"bbox": [9, 9, 9, 9]}], "text": '},{"images":[{', "deep": [[[{}]]]}
    for path in files_of(folder, ".json"):
        if path.name == "notes.json":
            continue
        content = load(path)
        for key in ("images", "annotations", "categories"):
            content[key] = [
                {"other": other, **record, "more": other} for record in content.get(key, ())
            ]
        write_json(path, {"before": other, **content, "after": [other, "}]}"]})
    for path in files_of(folder, ".xml"):
        text = path.read_text(encoding="utf-8").replace(
            "<object>", '<object id="1" b="&lt;">\n<other><name>x</name></other>'
        )
        path.write_text(
            text.replace("<filename>", "<!-- <object> --><?pi <object>?><filename>"),
            encoding="utf-8",
        )
    for path in files_of(folder, ".yaml"):
        path.write_text(
            "# train: nowhere\nother: {names: [x]}\n" + path.read_text(encoding="utf-8"),
            encoding="utf-8",
        )


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def with_keys_reversed(value: Any) -> Any:
    """Return a JSON value with the keys of all its objects reversed."""
    if isinstance(value, dict):
        return {key: with_keys_reversed(value[key]) for key in reversed(value)}
    return [with_keys_reversed(part) for part in value] if isinstance(value, list) else value


def label_rows(folder: Path) -> list[Path]:
    return [path for path in files_of(folder, ".txt") if re.match(rb"\d+ \d", path.read_bytes())]


@pytest.mark.parametrize(
    "change",
    [
        *(
            with_crlf,
            with_byte_order_mark,
            as_utf16,
            with_least_whitespace,
            with_most_whitespace,
            with_keys_reordered,
        ),
        *(with_numbers_spelled_differently, with_fields_of_other_tools),
    ],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_change_of_spelling_does_not_matter(
    variant: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    shutil.copytree(FIXTURES / "scene" / variant, tmp_path / "scene")
    before = content_of(regionbatch.read(tmp_path / "scene"))
    change(tmp_path / "scene")
    assert content_of(regionbatch.read(tmp_path / "scene")) == before


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_folder_does_not_matter(variant: str, tmp_path: Path) -> None:
    """Not even if the folders above have names that folders of a dataset have."""
    before = content_of(regionbatch.read(FIXTURES / "scene" / variant))
    for place in ("my set, of 東京 & Zürich (2)", "images/train/labels", "Annotations/annotations"):
        shutil.copytree(FIXTURES / "scene" / variant, tmp_path / place)
        assert content_of(regionbatch.read(tmp_path / place)) == before


# Generated datasets.

edges = st.integers(0, 400).map(lambda eighths: eighths / 8)
boxes = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["cat", "Hund", "кот"]),
        st.tuples(edges, edges, edges, edges),
    ),
    min_size=1,
    max_size=12,
)
IMAGES = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), (200, 100))


@contextmanager
def new_folder() -> Iterator[Path]:
    """Yield a folder for one example of a property."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@given(boxes, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_formats_and_orders_give_the_same_regions(rows: list[Any], rng: Any) -> None:
    """Boxes may be clipped, empty or duplicate.

    Numbers are eighths of a pixel, which every format can store exactly.
    """
    listed = [(f"{image}.jpg", tag, numbers) for image, tag, numbers in rows]
    shuffled = listed.copy()
    rng.shuffle(shuffled)
    results = []
    with new_folder() as folder:
        for number, some in enumerate((listed, shuffled)):
            ltwh = [(image, tag, (x - 5, y, w + 0.125, h)) for image, tag, (x, y, w, h) in some]
            corners = [(image, tag, (x, y, x + w, y + h)) for image, tag, (x, y, w, h) in ltwh]
            centres = [
                (image, tag, ((x + w / 2) / 200, (y + h / 2) / 100, w / 200, h / 100))
                for image, tag, (x, y, w, h) in ltwh
            ]
            write_coco(folder / f"coco{number}", ltwh, images=IMAGES)
            write_voc(folder / f"voc{number}", corners, images=IMAGES)
            write_yolo(folder / f"yolo{number}", centres, images=list(IMAGES))
            for format in ("coco", "voc", "yolo"):  # noqa: A001 - as everywhere
                options: dict[str, Any] = {"coco_boxes": "pixels"} if format == "coco" else {}
                dataset = regionbatch.read(folder / f"{format}{number}", format=format, **options)
                regions = sorted(
                    (region.image[:1], *region[1:2], *np.round(region[2:], 7)) for region in dataset
                )
                ledger = dataset.ledger
                results.append((regions, ledger.read, dict(ledger.adjusted), dict(ledger.dropped)))
    assert all(result == results[0] for result in results)


# Lists of names and images.


def test_an_empty_line_in_a_list_counts(tmp_path: Path) -> None:
    """Classes after it keep their numbers, as in labelImg and darknet; findings name the line."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(
        "0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n2 .5 .5 .2 .2\n", encoding="utf-8"
    )
    (tmp_path / "obj.names").write_text("cat\n\ndog \u2028x\n\n \n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text("train: train.txt\n", encoding="utf-8")
    (tmp_path / "train.txt").write_text("\nimages/a.jpg\n\n\nimages/b.jpg\n", encoding="utf-8")
    dataset = regionbatch.read(tmp_path)
    assert [region.tag for region in dataset] == ["cat", "dog \u2028x"]
    places = {finding.code: finding.place for finding in dataset.findings}
    images = {"image_not_on_disk": "images/a.jpg"}
    assert places == {"missing_label": "train.txt:5", "unknown_class": "labels/a.txt:2", **images}
