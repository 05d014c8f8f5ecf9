"""Write hostile datasets: label files, lists, images and tables of IDs, each of any size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MEGA = 2**20

SIZE = "<size><width>200</width><height>100</height><depth>3</depth></size>"
BOX = "<bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>40</ymax></bndbox>"
IMAGE = '{"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}'
CATEGORY = '{"id": 1, "name": "cat"}'
RECORD = '{"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 40, 30]}'
ROW = "0 0.5 0.5 0.25 0.25\n"


def voc(folder: Path, body: str) -> None:
    """Write one Pascal VOC file."""
    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "Annotations" / "a.xml").write_text(f"<annotation>{body}</annotation>", "utf-8")


def thing(inside: str = BOX) -> str:
    """Return an <object>."""
    return f"<object><name>cat</name>{inside}</object>"


def yolo(folder: Path, rows: str, names: str = "cat\n") -> None:
    """Write one label file and its class names."""
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text(rows, "utf-8")
    (folder / "classes.txt").write_text(names, "utf-8")


def coco(folder: Path, annotations: str = RECORD, more: str = "", category: str = CATEGORY) -> Path:
    """Write one COCO file."""
    path = folder / "a.json"
    text = (
        f'{{{more}"images": [{IMAGE}], "categories": [{category}], "annotations": [{annotations}]}}'
    )
    path.write_text(text, "utf-8")
    return path


def image(folder: Path, name: str, head: bytes, size: int = 0) -> None:
    """Write a sparse image file of at least `size` bytes, and a label that needs its size."""
    voc(folder, f"<filename>{name}</filename>{thing()}")
    (folder / "JPEGImages").mkdir()
    path = folder / "JPEGImages" / name
    path.write_bytes(head)
    if size > len(head):
        os.truncate(path, size)


def image_set(folder: Path, line: str) -> None:
    """Write a list in ImageSets."""
    voc(folder, SIZE + thing())
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "train.txt").write_text(line, "utf-8")


def yamls(folder: Path, text: str, files: int = 3) -> None:
    """Write several descriptions."""
    yolo(folder, ROW)
    for number in range(files):
        (folder / f"{number}.yaml").write_text(text, "utf-8")


def listed(folder: Path, images: int) -> None:
    """Write a description whose list has many images."""
    yolo(folder, ROW)
    (folder / "data.yaml").write_text("names: [cat]\ntrain: train.txt\n", "utf-8")
    (folder / "train.txt").write_text(
        "".join(f"images/{number}.jpg\n" for number in range(images)), "utf-8"
    )
    for number in range(min(images, 5000)):
        (folder / "labels" / f"{number}.txt").touch()


def many_lists(folder: Path, folders: int) -> None:
    """Write two equal lists of many names and many folders of labels."""
    names = "".join(f"name {number}\n" for number in range(50_000))
    yolo(folder, ROW, names)
    (folder / "obj.names").write_text(names, "utf-8")
    for number in range(folders):
        (folder / str(number) / "labels").mkdir(parents=True)
        (folder / str(number) / "labels" / "b.txt").write_text(ROW, "utf-8")


def many_splits(folder: Path, folders: int) -> None:
    """Write many folders called like splits that a description forgets."""
    yolo(folder, ROW)
    (folder / "data.yaml").write_text("names: [cat]\ntrain: images/train\n", "utf-8")
    (folder / "images" / "train").mkdir(parents=True)
    (folder / "images" / "train" / "a.jpg").touch()
    for number in range(folders):
        (folder / "labels" / f"test{number}").mkdir(parents=True)
        (folder / "labels" / f"test{number}" / "b.txt").write_text(ROW, "utf-8")


def many_descriptions(folder: Path, folders: int) -> None:
    """Write many datasets, each with its own description."""
    for number in range(folders):
        home = folder / f"d{number}"
        (home / "train" / "images").mkdir(parents=True)
        (home / "train" / "labels").mkdir()
        (home / "train" / "labels" / "a.txt").write_text(ROW, "utf-8")
        (home / "train" / "images" / "a.jpg").touch()
        (home / "data.yaml").write_text("names: [cat]\ntrain: train/images\n", "utf-8")


def spellings(folder: Path, count: int) -> None:
    """Write many images and labels whose names differ in case only."""
    for number in range(count):
        name = "".join(
            letter.upper() if number >> at & 1 else letter
            for at, letter in enumerate("abcdefghijklmnop")
        )
        for home, file in (
            ("x", f"{name}.jpg"),
            ("y", f"{name[::-1]}.txt"),
            ("y", f"{name.swapcase()}.txt"),
        ):
            (folder / home).mkdir(exist_ok=True)
            (folder / home / file).write_text("" if home == "x" else ROW, "utf-8")
    (folder / "classes.txt").write_text("cat\n", "utf-8")


def same_name(folder: Path, count: int) -> None:
    """Write many images and labels of one name, each in a folder of its own."""
    for number in range(count):
        for home, file in ((f"p{number}", "a.jpg"), (f"q{number}", "a.txt")):
            (folder / home).mkdir()
            (folder / home / file).write_text(ROW if home[0] == "q" else "", "utf-8")
    (folder / "classes.txt").write_text("cat\n", "utf-8")


def cvat(folder: Path, shapes: str, images: str = "") -> None:
    """Write a CVAT file with an image, and perhaps others."""
    first = f'<image id="0" name="a.jpg" width="200" height="100">{shapes}</image>'
    (folder / "annotations.xml").write_text(
        f"<annotations><version>1.1</version>{first}{images}</annotations>", "utf-8"
    )


CVAT_BOX = (
    '<box label="cat" xtl="20" ytl="10" xbr="60" ybr="40" '
    'z_order="0" occluded="0" source="manual"></box>\n'
)


def vott(folder: Path, regions: str, assets: str = "", tags: str = "") -> None:
    """Write a VoTT export with an asset, and perhaps others."""
    size = '"size": {"width": 200, "height": 100}'
    asset = f'"asset": {{"name": "a.jpg", "path": "file:/a.jpg", {size}, "type": 1}}'
    first = f'"1": {{{asset}, "regions": [{regions}]}}'
    text = f'{{"name": "x", "tags": [{tags}], "assets": {{{first}{assets}}}}}'
    (folder / "a-export.json").write_text(text, "utf-8")


def vott_region(points: str = "") -> str:
    """Return a region of a VoTT export."""
    box = '"boundingBox": {"height": 30, "width": 40, "left": 20, "top": 10}'
    return f'{{"id": "r", "type": "RECTANGLE", "tags": ["cat"], {box}, "points": [{points}]}}'


def vott_csv(folder: Path, rows: str) -> None:
    """Write a VoTT export as CSV."""
    (folder / "a-export.csv").write_text(
        f'"image","xmin","ymin","xmax","ymax","label"\n{rows}', "utf-8"
    )


def ids(folder: Path, rows: str) -> None:
    """Write a dataset and tables of IDs next to it; images are matched by the last path parts."""
    coco(folder)
    (folder.parent / "tags.csv").write_text("cat,12345678-1234-5678-1234-567812345678\n", "utf-8")
    (folder.parent / "images.csv").write_text(rows, "utf-8")


def uuid(number: int) -> str:
    """Return an ID."""
    return f"12345678-1234-5678-1234-{number:012}"


def many_files(folder: Path, count: int) -> None:
    """Write many empty label files."""
    yolo(folder, ROW)
    for number in range(count):
        (folder / "labels" / f"x{number}.txt").touch()


def zeros_after(folder: Path, size: int) -> None:
    """Write a COCO file with NUL after its end."""
    os.truncate(coco(folder), size)


def numbers_as_images(folder: Path, count: int) -> None:
    """Write a COCO file with numbers in place of images."""
    path = coco(folder)
    path.write_text(
        path.read_text("utf-8").replace('"images": [', '"images": [' + "1," * count), "utf-8"
    )


def detections(folder: Path, count: int) -> None:
    """Write a COCO file, and next to it detections that are called like another split."""
    coco(folder).rename(folder / "train.json")
    (folder / "val.json").write_text(
        "[" + ",".join(['{"bbox":1,"score":1,"image_id":1}'] * count) + "]", "utf-8"
    )


def iloc(extents: int) -> bytes:
    """Return an AVIF whose item locations claim large extents."""
    part = (2**28).to_bytes(4, "big")
    entries = b"".join((0).to_bytes(4, "big") + part for _ in range(extents))
    item = (1).to_bytes(2, "big") + (0).to_bytes(2, "big") + extents.to_bytes(2, "big") + entries
    located = box(b"iloc", bytes(4) + b"\x44\x00" + (1).to_bytes(2, "big") + item)
    return box(b"ftyp", b"avif" + bytes(4) + b"avifmif1") + box(b"meta", bytes(4) + located)


def box(kind: bytes, content: bytes) -> bytes:
    """Return a box of an ISO media file."""
    return (len(content) + 8).to_bytes(4, "big") + kind + content
