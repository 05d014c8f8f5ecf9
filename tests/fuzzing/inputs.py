"""What the fuzzer changes: files of small datasets, and image files of every format."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

FIXTURES = ROOT / "fixtures"
MAX_BYTES = 20_000
"""Length of an input; what matters happens in small files."""

IMAGES = "images"
"""The target that fuzzes image headers; the others fuzz a reader."""


class Slot(NamedTuple):
    """One file of a dataset, with the input as its content, and how the dataset is read."""

    file: str
    options: Mapping[str, Any] = {}
    other_files: Mapping[str, str] = {}
    """The other files, with their text."""
    extensions: tuple[str, ...] = ()
    """Extensions of the fixture files used as seeds; empty: the extension of `file`."""


VOC = """<annotation><filename>b.jpg</filename><size><width>100</width><height>80</height></size>
<object><name>cat</name><bndbox><xmin>10</xmin><ymin>10</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
</annotation>"""
ROWS = "0 0.5 0.5 0.25 0.25\n1 0.25 0.5 0.25 0.25\n"
COCO = json.dumps(
    {
        "images": [
            {"id": 1, "file_name": "a.jpg"},
            {"id": 2, "file_name": "b.jpg", "width": 64, "height": 48},
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 30, 40]} for n in (1, 2)
        ],
    }
)
SLOTS: dict[str, list[Slot]] = {
    "coco": [
        Slot("data.json"),
        Slot("data.json", {"coco_boxes": "pixels"}),
        Slot("data.json", {"coco_boxes": "normalised", "bbox_format": "ltrb"}),
        Slot(
            "annotations/instances_train.json",
            {"drop": ("crowd",)},
            {"annotations/instances_val.json": COCO},
        ),
        Slot("a.jpg", {}, {"data.json": COCO}, (".jpg", ".png")),
    ],
    "voc": [
        Slot("Annotations/a.xml", {}, {"Annotations/b.xml": VOC}),
        Slot("Annotations/a.xml", {"voc_origin": "1", "drop": ("difficult", "truncated")}),
        Slot(
            "Annotations/a.xml",
            {"voc_boxes": "normalised", "bbox_format": "ltwh", "voc_angles": "degrees"},
        ),
        Slot(
            "ImageSets/Main/train.txt",
            {"split": "train"},
            {"Annotations/a.xml": VOC, "Annotations/b.xml": VOC},
        ),
    ],
    "yolo": [
        Slot("labels/a.txt", {}, {"classes.txt": "cat\ndog\n", "labels/b.txt": ROWS}),
        Slot("labels/a.txt", {"yolo_rows": "box"}, {"classes.txt": "cat\ndog\n"}),
        Slot("labels/a.txt", {"yolo_rows": "confidence-first"}, {"classes.txt": "cat\ndog\n"}),
        Slot("labels/a.txt", {"yolo_rows": "polygon"}, {"classes.txt": "cat\ndog\n"}),
        Slot(
            "data.yaml",
            {},
            {"images/train/a.jpg": "", "labels/train/a.txt": ROWS, "train/labels/b.txt": ROWS},
        ),
        Slot("classes.txt", {}, {"labels/a.txt": ROWS}),
        Slot(
            "data/obj.data",
            {},
            {"data/obj.names": "cat\ndog\n", "data/train.txt": "a.jpg", "data/a.txt": ROWS},
        ),
        Slot(
            "train.txt",
            {},
            {"data.yaml": "train: train.txt\nnames: [cat, dog]\n", "labels/a.txt": ROWS},
            (".txt",),
        ),
        Slot("notes.json", {}, {"labels/a.txt": ROWS}),
    ],
    "yaml": [
        Slot(
            "data.yaml",
            {},
            {"images/train/a.jpg": "", "labels/train/a.txt": ROWS, "train/labels/b.txt": ROWS},
        ),
        Slot("data.yaml", {"split": "train"}, {"train/labels/b.txt": ROWS}),
        Slot("data.yaml", {"names": "data.yaml"}, {"labels/a.txt": ROWS}),
        Slot("sub/dataset.yml", {}, {"labels/a.txt": ROWS, "sub/labels/b.txt": ROWS}),
    ],
}

READERS = {target: "yolo" if target == "yaml" else target for target in SLOTS}
"""The reader that each target of `SLOTS` fuzzes."""

TARGETS = (*SLOTS, IMAGES)


@cache
def seeds(target: str) -> list[bytes]:
    """Return the inputs to start from; the first byte is the number of the slot."""
    if target == IMAGES:
        return _image_seeds()
    files = [
        path
        for path in sorted((FIXTURES / READERS[target]).rglob("*"))
        if path.is_file() and "input" in path.parts
    ]
    files += [path for path in sorted((FIXTURES / "scene").rglob("*")) if path.is_file()]
    contents = {path: path.read_bytes() for path in files if path.stat().st_size <= MAX_BYTES}
    found: list[bytes] = []
    for number, slot in enumerate(SLOTS[target]):
        extensions = slot.extensions or _EXTENSIONS.get(target) or (Path(slot.file).suffix,)
        prefix = bytes([number])
        found += sorted(
            {prefix + text for path, text in contents.items() if path.suffix in extensions}
        )
    return found


_EXTENSIONS = {"yaml": (".yaml", ".yml")}


def _image_seeds() -> list[bytes]:
    """Return an image of each format that Pillow writes, and some written byte by byte."""
    made = import_module("test_image_headers").MADE
    images = [make()[:MAX_BYTES] for make in made.values()]
    # Slot 0 reads the size as stored, slot 1 as rotated by EXIF.
    return [bytes([number]) + image for image in images for number in (0, 1)]
