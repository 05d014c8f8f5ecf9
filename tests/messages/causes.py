"""Datasets with a mistake, and how they are read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import regionbatch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Files = dict[str, str | bytes]
IMAGES = '"images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}]'
CATEGORIES = '"categories": [{"id": 1, "name": "cat"}]'
RECORD = '{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}'
COCO = f'{{{IMAGES}, {CATEGORIES}, "annotations": [{RECORD}]}}'
VOC = "<annotation><size><width>9</width><height>9</height></size></annotation>"
ROW = "0 0.5 0.5 0.25 0.25\n"
YOLO: Files = {"labels/a.txt": ROW, "classes.txt": "cat\n"}


class Cause(NamedTuple):
    """A dataset with a mistake, and how it is read."""

    files: Files
    read: str = ""
    """The path to read, relative to the dataset's folder."""
    options: Mapping[str, Any] = {}
    sparse: int = 0
    """Length in bytes that the first file is extended to; it uses few bytes on disk."""


def coco(annotations: str) -> Files:
    """Return a COCO file whose annotations, and the rest of the file, are this text."""
    return {"a.json": f"{{{IMAGES}, {CATEGORIES}, {annotations}"}


def voc(*boxes: str) -> str:
    """Return a VOC file with some boxes, each on its own line."""
    edges = (
        "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>".format(*box.split())
        for box in boxes
    )
    objects = [f"<object><name>cat</name><bndbox>{each}</bndbox></object>" for each in edges]
    return "\n".join([VOC.removesuffix("</annotation>"), *objects, "</annotation>"])


def read(cause: Cause, folder: Path) -> None:
    """Write the dataset of a cause to a folder and read it."""
    folder = folder / "set"
    folder.mkdir()
    for name, text in cause.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    if cause.sparse:
        os.truncate(folder / next(iter(cause.files)), cause.sparse)
    options = dict(cause.options)
    if "names" in options:
        options["names"] = folder / options["names"]
    regionbatch.read(folder / cause.read, **options)


def dataset(folder: Path, *names: str, tags: str = "cat\n") -> regionbatch.Dataset:
    """Return a dataset with a box on each of some images."""
    files: dict[str, str | bytes] = {
        "classes.txt": tags,
        **{f"{name}.txt": ROW for name in names or ("a",)},
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(str(text).encode())
    return regionbatch.read(folder)
