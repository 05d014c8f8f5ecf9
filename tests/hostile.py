"""Run hostile datasets through the command, each as a process with limits, and print a table for tests/README.md.

python tests/hostile.py [NAME ...]

Each input is made in two sizes, the second twice the first, so that the table shows how time and memory grow. Every
run ends within `SECONDS` and `MEMORY`, with an error or findings of our own, or the table says FAILED and the exit
status is 1. It needs Linux or macOS.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 10
MEMORY = 500
"""MB of one process."""
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
    text = f'{{{more}"images": [{IMAGE}], "categories": [{category}], "annotations": [{annotations}]}}'
    path.write_text(text, "utf-8")
    return path


def image(folder: Path, name: str, head: bytes, size: int = 0) -> None:
    """Write an image file, as a sparse file of at least `size` bytes, and a label that needs its size."""
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
    (folder / "train.txt").write_text("".join(f"images/{number}.jpg\n" for number in range(images)), "utf-8")
    for number in range(min(images, 5000)):
        (folder / "labels" / f"{number}.txt").touch()


def many_lists(folder: Path, folders: int) -> None:
    """Write two equal lists of many names above many folders of labels."""
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
        name = "".join(sign.upper() if number >> at & 1 else sign for at, sign in enumerate("abcdefghijklmnop"))
        for home, file in (("x", f"{name}.jpg"), ("y", f"{name[::-1]}.txt"), ("y", f"{name.swapcase()}.txt")):
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


CVAT_BOX = '<box label="cat" xtl="20" ytl="10" xbr="60" ybr="40" z_order="0" occluded="0" source="manual"></box>\n'


def vott(folder: Path, regions: str, assets: str = "", tags: str = "") -> None:
    """Write a VoTT export with an asset, and perhaps others."""
    asset = '"asset": {"name": "a.jpg", "path": "file:/a.jpg", "size": {"width": 200, "height": 100}, "type": 1}'
    text = f'{{"name": "x", "tags": [{tags}], "assets": {{"1": {{{asset}, "regions": [{regions}]}}{assets}}}}}'
    (folder / "a-export.json").write_text(text, "utf-8")


def vott_region(points: str = "") -> str:
    """Return a region of a VoTT export."""
    box = '"boundingBox": {"height": 30, "width": 40, "left": 20, "top": 10}'
    return f'{{"id": "r", "type": "RECTANGLE", "tags": ["cat"], {box}, "points": [{points}]}}'


def vott_csv(folder: Path, rows: str) -> None:
    """Write a VoTT export as CSV."""
    (folder / "a-export.csv").write_text(f'"image","xmin","ymin","xmax","ymax","label"\n{rows}', "utf-8")


def ids(folder: Path, rows: str) -> None:
    """Write a dataset and, next to it, tables of IDs; the images are looked up by their ends."""
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


def zeros_behind(folder: Path, size: int) -> None:
    """Write a COCO file with NUL after its end."""
    os.truncate(coco(folder), size)


def numbers_as_images(folder: Path, count: int) -> None:
    """Write a COCO file with numbers in place of images."""
    path = coco(folder)
    path.write_text(path.read_text("utf-8").replace('"images": [', '"images": [' + "1," * count), "utf-8")


def detections(folder: Path, count: int) -> None:
    """Write a COCO file, and next to it detections that are called like another split."""
    coco(folder).rename(folder / "train.json")
    (folder / "val.json").write_text("[" + ",".join(['{"bbox":1,"score":1,"image_id":1}'] * count) + "]", "utf-8")


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


class Input(NamedTuple):
    """A hostile dataset of a size."""

    make: Callable[[Path, int], object]
    size: int
    command: str = "inspect"


INPUTS: dict[str, Input] = {
    "ImageSets line with n blanks": Input(lambda at, n: image_set(at, f"a{' ' * n}b\n"), 20_000),
    "ImageSets line of n flags": Input(lambda at, n: image_set(at, f"a{' 1' * n}b\n"), 20_000),
    "ImageSets line of n folders": Input(lambda at, n: image_set(at, f"{'a/' * n}b\n"), 20_000),
    "YOLO token of n digits": Input(lambda at, n: yolo(at, f"{ROW}0 {'1' * n}x 1 1 1\n"), 40_000),
    "YOLO rows that are words": Input(lambda at, n: yolo(at, ROW + "x\n" * n), 4 * MEGA),
    "YOLO row of n numbers": Input(lambda at, n: yolo(at, f"{ROW}0 {'0.5 ' * n}\n"), 7 * MEGA),
    "YOLO row of n words": Input(lambda at, n: yolo(at, f"{ROW}0 {'x ' * n}\n"), 15 * MEGA),
    "YOLO class names, n": Input(lambda at, n: yolo(at, ROW, "".join(f"c{i}\n" for i in range(n))), 500_000),
    "YOLO list of n lists": Input(lambda at, n: yamls(at, f"names: {'[' * n}", 1), 100_000),
    "YAML of n names": Input(lambda at, n: yamls(at, "names:\n" + "- x\n" * n), MEGA // 2),
    "YAML of n anchors": Input(lambda at, n: yamls(at, "train: x\na: &a [1]\nb: [" + "*a," * n + "]\n"), MEGA // 2),
    "<size> with n widths": Input(lambda at, n: voc(at, f"<size>{'<width>9</width>' * n}</size>{thing()}"), 40_000),
    "<size> n times": Input(lambda at, n: voc(at, f"{SIZE * n}{thing()}"), 40_000),
    "<filename>, n different": Input(
        lambda at, n: voc(at, "".join(f"<filename>{i}</filename>" for i in range(n)) + SIZE + thing()), 40_000
    ),
    "<object> with n names": Input(
        lambda at, n: voc(at, SIZE + thing("".join(f"<name>{i}</name>" for i in range(n)))), 40_000
    ),
    "<object> with n <difficult>": Input(
        lambda at, n: voc(at, SIZE + thing(BOX + "<difficult>1</difficult>" * n)), 80_000
    ),
    "<object> with n boxes and n <difficult>": Input(
        lambda at, n: voc(at, SIZE + thing(BOX * n + "<difficult>1</difficult>" * n)), 8_000
    ),
    "<polygon> with n points": Input(
        lambda at, n: voc(at, SIZE + thing(f"<polygon>{'<x1>1</x1><y1>1</y1>' * n}</polygon>")), 80_000
    ),
    "XML of n <x/>": Input(lambda at, n: voc(at, SIZE + thing() + "<x/>" * n), 4 * MEGA),
    "XML of n objects on a line": Input(lambda at, n: voc(at, SIZE + thing() * n), 60_000),
    "XML n deep": Input(lambda at, n: voc(at, f"{'<a>' * n}{'</a>' * n}"), 200_000),
    "class name of n accents": Input(
        lambda at, n: voc(at, f"{SIZE}<object><name>{chr(0x301) * n}{chr(0x316) * n}</name>{BOX}</object>"), 40_000
    ),
    "class name of n accents, COCO": Input(
        lambda at, n: coco(at, category=json.dumps({"id": 1, "name": chr(0x301) * n + chr(0x316) * n})), 40_000
    ),
    "class name of n accents, YOLO": Input(lambda at, n: yolo(at, ROW, f"{chr(0x301) * n}{chr(0x316) * n}\n"), 40_000),
    "COCO: arrays as image_id": Input(
        lambda at, n: coco(at, ",".join([RECORD.replace('"image_id": 1', '"image_id": [1]')] * n)), 200_000
    ),
    "COCO: n different words as image_id": Input(
        lambda at, n: coco(at, ",".join(RECORD.replace('"image_id": 1', f'"image_id": "w{i}"') for i in range(n))),
        200_000,
    ),
    "COCO: n keys": Input(lambda at, n: coco(at, more="".join(f'"k{i}": 1, ' for i in range(n))), MEGA),
    "COCO: annotations that are numbers": Input(lambda at, n: coco(at, ",".join(["1"] * n)), 2 * MEGA),
    "COCO: annotations that are arrays": Input(lambda at, n: coco(at, ",".join(["[]"] * n)), MEGA),
    "COCO: NUL after the end": Input(zeros_behind, 2**31),
    "COCO: one polygon of n points": Input(
        lambda at, n: coco(at, RECORD.replace('"bbox"', f'"segmentation": [[{"1," * 2 * n}1, 1]], "x"')), 500_000
    ),
    "COCO: annotations that are empty": Input(lambda at, n: coco(at, ",".join(["{}"] * n)), 400_000),
    "COCO: objects as bbox": Input(
        lambda at, n: coco(at, ",".join([RECORD.replace("[20, 10, 40, 30]", '{"x": 1}')] * n)), 200_000
    ),
    "COCO: images that are numbers": Input(numbers_as_images, 2 * MEGA),
    "COCO: one key n times in a record": Input(
        lambda at, n: coco(at, RECORD[:-1] + "".join(f', "bbox": [{i}]' for i in range(n)) + "}"), 100_000
    ),
    "COCO: a category of n numbers": Input(
        lambda at, n: coco(at, category=f'{{"id": 1.5, "name": "cat", "x": [{"1.5," * n}1]}}'), 50_000
    ),
    "COCO: a mask of n runs": Input(
        lambda at, n: coco(
            at, f'{{"image_id": 1, "category_id": 1, "segmentation": {{"size": [9, 9], "counts": "{"0" * n}"}}}}'
        ),
        2 * MEGA,
    ),
    "COCO: a string of n bytes": Input(lambda at, n: coco(at, more=f'"x": "{"y" * n}", '), 100 * MEGA),
    "COCO: n blanks": Input(lambda at, n: coco(at, more=" " * n), 100 * MEGA),
    "COCO: a neighbour of n detections": Input(detections, 400_000),
    "COCO: brackets n deep": Input(lambda at, n: coco(at, RECORD[:-1] + f', "x": {"[" * n}{"]" * n}}}'), MEGA),
    "AVIF with n extents": Input(lambda at, n: image(at, "a.avif", iloc(n), 2**33), 100),
    "AVIF, sparse": Input(lambda at, n: image(at, "a.avif", box(b"ftyp", b"avif" + bytes(4) + b"avifmif1"), n), 2**33),
    "JPEG start and n zeros": Input(lambda at, n: image(at, "a.jpg", b"\xff\xd8\xff\xe0", n), 2**30),
    "JPEG of n empty segments": Input(
        lambda at, n: image(at, "a.jpg", b"\xff\xd8" + b"\xff\xe1\x00\x02" * n), 2 * MEGA
    ),
    "PPM with a comment of n bytes": Input(lambda at, n: image(at, "a.ppm", b"P6\n#" + b"x" * n), 40 * MEGA),
    "TIFF of n entries": Input(
        lambda at, n: image(at, "a.tif", b"II*\0\x08\0\0\0" + n.to_bytes(2, "little") + bytes(12 * n)), 30_000
    ),
    "SVG with a width of n digits": Input(
        lambda at, n: image(at, "a.svg", f'<svg width="{"9" * n}" height="1"/>'.encode()), 400
    ),
    "YOLO label files without an image, n": Input(many_files, 10_000),
    "YOLO rows that are one number": Input(lambda at, n: yolo(at, ROW + "1\n" * n), 2 * MEGA),
    "YOLO rows of 1000 numbers": Input(
        lambda at, n: yolo(at, ROW + ("0" + " 1" * 1000 + "\n") * (n // 1000)), 2 * MEGA
    ),
    "YOLO list of n images": Input(listed, 50_000),
    "YOLO list with n empty lines": Input(lambda at, n: yolo(at, ROW, "cat\n" + "\n" * n + "dog\n"), 8 * MEGA),
    "YOLO names above n folders": Input(many_lists, 500),
    "YOLO splits that are forgotten, n": Input(many_splits, 1000),
    "YOLO descriptions, n": Input(many_descriptions, 500),
    "YOLO names in n spellings": Input(spellings, 1000),
    "YOLO images and labels of one name, n": Input(same_name, 2000),
    "YAML of n paths": Input(
        lambda at, n: yamls(at, "path: " + "b/" * 63 + "b\ntrain: [" + ",".join(["a/" * 63 + "a"] * n) + "]\n", 1), 500
    ),
    "YAML of n merges of n": Input(
        lambda at, n: yamls(
            at,
            "".join(f"k{i}: &m{i} {{<<: &all0 []}}\n" if i == 0 else f"k{i}: &m{i} {{x: y}}\n" for i in range(n))
            + f"all: &all [{','.join(f'*m{i}' for i in range(n))}]\n"
            + "".join(f"l{i}: &n{i} {{<<: *all}}\n" for i in range(n))
            + f"<<: [{','.join(f'*n{i}' for i in range(n))}]\nnames: [cat]\n",
            1,
        ),
        4000,
    ),
    "YAML of 10^n aliases": Input(
        lambda at, n: yamls(
            at,
            "a0: &a0 [x]\n"
            + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, n))
            + f"<<: [*a{n - 1}]\nnames: [cat]\n",
            1,
        ),
        20,
    ),
    "<object> with n boxes, n polygons and a rotation": Input(
        lambda at, n: voc(
            at,
            SIZE
            + thing(
                BOX * n
                + "<polygon><x1>1</x1><y1>1</y1><x2>5</x2><y2>5</y2></polygon>" * n
                + "<attributes><attribute><name>rotation</name><value>9</value></attribute></attributes>"
            ),
        ),
        2000,
    ),
    "CVAT: n boxes": Input(lambda at, n: cvat(at, CVAT_BOX * n), 40_000),
    "CVAT: n images": Input(
        lambda at, n: cvat(at, CVAT_BOX, "".join(f'<image name="{i}.jpg" width="9" height="9"/>' for i in range(n))),
        40_000,
    ),
    "CVAT: n images of one name": Input(
        lambda at, n: cvat(at, CVAT_BOX, '<image name="a.jpg" width="200" height="100"/>' * n), 40_000
    ),
    "CVAT: polygon of n points": Input(
        lambda at, n: cvat(at, f'<polygon label="cat" points="{"1,2;" * n}3,4"></polygon>'), MEGA
    ),
    "CVAT: XML of n <x/>": Input(lambda at, n: cvat(at, CVAT_BOX + "<x/>" * n), 4 * MEGA),
    "CVAT: XML of n attributes": Input(
        lambda at, n: cvat(at, CVAT_BOX + "<x " + "".join(f"a{i}='' " for i in range(n)) + "/>"), 20_000
    ),
    "CVAT: n labels in labels": Input(
        lambda at, n: cvat(at, CVAT_BOX, "<meta>" + "<labels>" * 200 + "<label/>" * n + "</labels>" * 200 + "</meta>"),
        20_000,
    ),
    "VoTT: n regions": Input(lambda at, n: vott(at, ",".join([vott_region()] * n)), 20_000),
    "VoTT: n points": Input(lambda at, n: vott(at, vott_region(",".join(['{"x":1,"y":2}'] * n))), 100_000),
    "VoTT: n assets of one name": Input(
        lambda at, n: vott(
            at, vott_region(), "".join(f', "{i}": {{"asset": {{"name": "b", "path": "{i}/b"}}}}' for i in range(2, n))
        ),
        20_000,
    ),
    "VoTT: n tags": Input(
        lambda at, n: vott(at, vott_region(), "", ",".join(f'{{"name": "t{i}"}}' for i in range(n))), 50_000
    ),
    "VoTT: n empty arrays": Input(lambda at, n: vott(at, ",".join(["[]"] * n)), 200_000),
    "VoTT: CSV of n rows": Input(lambda at, n: vott_csv(at, '"a.jpg",20,10,60,40,"cat"\n' * n), 50_000),
    "VoTT: CSV of n words": Input(lambda at, n: vott_csv(at, "x\n" * n), 200_000),
    "VoTT: CSV with a row of n cells": Input(lambda at, n: vott_csv(at, "x," * n), 4 * MEGA),
    "IDs: n of images": Input(
        lambda at, n: ids(at, "".join(f"x/a{i}.jpg,{uuid(i)}\n" for i in range(n))), 100_000, "convert"
    ),
    "IDs: name of n folders": Input(lambda at, n: ids(at, f"{'a/' * n}a.jpg,{uuid(1)}\n"), 50_000, "convert"),
    "IDs: n rows of words": Input(lambda at, n: ids(at, "a,b\n" * n), MEGA, "convert"),
}
"""Inputs by name; each function makes a dataset of size n in a folder."""


class Run(NamedTuple):
    """What a run of the command came to."""

    seconds: float
    """Of CPU, in the command and its helpers."""
    megabytes: float
    status: int | None
    """None: it took more than `SECONDS`, or six times that by the clock."""
    traceback: bool

    @property
    def good(self) -> bool:
        """Return whether it kept to the limits and ended as the command does."""
        return self.status in (0, 1, 3) and self.megabytes <= MEMORY and not self.traceback


def run(folder: Path, command_name: str) -> Run:
    """Run a command on a dataset."""
    with (folder.parent / "output.txt").open("w+b") as output:
        command = [sys.executable, "-m", "regionbatch_cli", command_name, str(folder)]
        if command_name == "convert":
            tables = {name: str(folder.parent / f"{name}.csv") for name in ("tags", "images")}
            command += ["--tags", tables["tags"], "--images", tables["images"], "-o", str(folder.parent / "out.jsonl")]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=limit_time)  # noqa: PLW1509
        timer = threading.Timer(10 * SECONDS, process.kill)  # waiting costs no CPU; other programs may be busy
        timer.start()
        _, state, usage = os.wait4(process.pid, 0)
        timer.cancel()
        status = os.waitstatus_to_exitcode(state)
        process.returncode = status
        output.seek(0)
        broken = b"Traceback" in output.read()
    spent = min(usage.ru_utime + usage.ru_stime, time.perf_counter() - start)
    late = status < 0 or spent > SECONDS
    return Run(spent, usage.ru_maxrss / 1024, None if late else status, broken)


def limit_time() -> None:
    """Let the system stop this process when it has used too much time."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))


def in_child(make: Callable[[], object]) -> None:
    """Call a function in a child, so that what it needs does not count as memory of the command."""
    child = os.fork()
    if not child:
        make()
        os._exit(0)
    os.waitpid(child, 0)


def main(wanted: list[str]) -> int:
    """Print the table; return 1 if an input is not within the limits."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    failed = 0
    sys.stdout.write("| input | n | CPU seconds: n, 2n | MB: n, 2n | exit status |\n| --- | --- | --- | --- | --- |\n")
    for name, given in INPUTS.items():
        if wanted and not any(word in name for word in wanted):
            continue
        runs: list[Run] = []
        for times in (1, 2):
            with tempfile.TemporaryDirectory() as above:
                folder = Path(above) / "dataset"
                folder.mkdir()
                in_child(partial(given.make, folder, given.size * times))
                runs.append(run(folder, given.command))
        failed += not all(run.good for run in runs)
        cells = [
            name,
            f"{given.size:,}",
            ", ".join(f"{run.seconds:.2f}" for run in runs),
            ", ".join(f"{run.megabytes:.0f}" for run in runs),
            ", ".join("killed" if run.status is None else str(run.status) for run in runs)
            + ("" if all(run.good for run in runs) else " FAILED")
            + (" traceback" if any(run.traceback for run in runs) else ""),
        ]
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
        sys.stdout.flush()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
