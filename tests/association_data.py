"""Datasets of a few files, for tests of which image belongs to which annotations."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import regionbatch as rb


SIZE, OTHER_SIZE = (80, 80), (30, 17)


def png(width: int = 80, height: int = 80) -> bytes:
    """Return a PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (width + 1) * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def write(
    folder: Path, files: Mapping[str, str], images: Iterable[str] | Mapping[str, tuple[int, int]]
) -> Path:
    """Write a dataset and return its folder."""
    sizes = images if isinstance(images, dict) else dict.fromkeys(images, SIZE)
    contents = {name: text.encode() for name, text in files.items()}
    contents |= {name: png(*size) for name, size in sizes.items()}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def coco(*names: str) -> str:
    """Return a COCO file that lists images of `SIZE`, each with one box."""
    images = [
        {"id": n, "file_name": name, "width": 80, "height": 80} for n, name in enumerate(names)
    ]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [8, 8, 32, 32]}
        for n in range(len(names))
    ]
    return json.dumps(
        {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": boxes}
    )


def voc(name: str = "", size: tuple[int, int] | None = SIZE) -> str:
    """Return a VOC file with one box."""
    width, height = size or (0, 0)
    box = "<bndbox><xmin>8</xmin><ymin>8</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
    declared = f"<size><width>{width}</width><height>{height}</height></size>" if size else ""
    header = f"<filename>{name}</filename>{declared}"
    return f"<annotation>{header}<object><name>cat</name>{box}</object></annotation>"


def cvat(name: str, subset: str) -> str:
    """Return a CVAT file with an image of `SIZE` and one box."""
    box = '<box label="cat" xtl="8" ytl="8" xbr="40" ybr="40"/>'
    attributes = f'name="{name}" subset="{subset}" width="80" height="80"'
    return f"<annotations><image {attributes}>{box}</image></annotations>"


ROW = "0 0.3 0.3 0.4 0.4\n"


def placed(dataset: rb.Dataset, root: Path) -> dict[str, str]:
    """Return the file of each image with a box, by its name; empty if it is not on disk."""
    used = {region.image for region in dataset}
    files = zip(dataset.images.names, dataset.images.paths, strict=True)
    return {
        name: path.removeprefix(f"{root}/").replace("\\", "/") if path else ""
        for name, path in files
        if name in used
    }


YAML = "names: [cat]\n"
