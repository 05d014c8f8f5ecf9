"""The hostile datasets by name; each is made in a size n and in 2n."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from hostile_data.writers import (
    BOX,
    CVAT_BOX,
    MEGA,
    RECORD,
    ROW,
    SIZE,
    box,
    coco,
    cvat,
    detections,
    ids,
    iloc,
    image,
    image_set,
    listed,
    many_descriptions,
    many_files,
    many_lists,
    many_splits,
    numbers_as_images,
    same_name,
    spellings,
    thing,
    uuid,
    voc,
    vott,
    vott_csv,
    vott_region,
    yamls,
    yolo,
    zeros_after,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Input(NamedTuple):
    """A hostile dataset: the function that makes it, its size n, and the command that reads it."""

    make: Callable[[Path, int], object]
    size: int
    command: str = "inspect"


INPUTS: dict[str, Input] = {
    "ImageSets line with n spaces": Input(lambda at, n: image_set(at, f"a{' ' * n}b\n"), 20_000),
    "ImageSets line of n flags": Input(lambda at, n: image_set(at, f"a{' 1' * n}b\n"), 20_000),
    "ImageSets line of n folders": Input(lambda at, n: image_set(at, f"{'a/' * n}b\n"), 20_000),
    "YOLO token of n digits": Input(lambda at, n: yolo(at, f"{ROW}0 {'1' * n}x 1 1 1\n"), 40_000),
    "YOLO rows that are words": Input(lambda at, n: yolo(at, ROW + "x\n" * n), 4 * MEGA),
    "YOLO row of n numbers": Input(lambda at, n: yolo(at, f"{ROW}0 {'0.5 ' * n}\n"), 7 * MEGA),
    "YOLO row of n words": Input(lambda at, n: yolo(at, f"{ROW}0 {'x ' * n}\n"), 15 * MEGA),
    "YOLO class names, n": Input(
        lambda at, n: yolo(at, ROW, "".join(f"c{i}\n" for i in range(n))), 500_000
    ),
    "YOLO list of n lists": Input(lambda at, n: yamls(at, f"names: {'[' * n}", 1), 100_000),
    "YAML of n names": Input(lambda at, n: yamls(at, "names:\n" + "- x\n" * n), MEGA // 2),
    "YAML of n anchors": Input(
        lambda at, n: yamls(at, "train: x\na: &a [1]\nb: [" + "*a," * n + "]\n"), MEGA // 2
    ),
    "<size> with n widths": Input(
        lambda at, n: voc(at, f"<size>{'<width>9</width>' * n}</size>{thing()}"), 40_000
    ),
    "<size> n times": Input(lambda at, n: voc(at, f"{SIZE * n}{thing()}"), 40_000),
    "<filename>, n different": Input(
        lambda at, n: voc(
            at, "".join(f"<filename>{i}</filename>" for i in range(n)) + SIZE + thing()
        ),
        40_000,
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
        lambda at, n: voc(at, SIZE + thing(f"<polygon>{'<x1>1</x1><y1>1</y1>' * n}</polygon>")),
        80_000,
    ),
    "XML of n <x/>": Input(lambda at, n: voc(at, SIZE + thing() + "<x/>" * n), 4 * MEGA),
    "XML of n objects on a line": Input(lambda at, n: voc(at, SIZE + thing() * n), 60_000),
    "XML n deep": Input(lambda at, n: voc(at, f"{'<a>' * n}{'</a>' * n}"), 200_000),
    "class name of n accents": Input(
        lambda at, n: voc(
            at, f"{SIZE}<object><name>{chr(0x301) * n}{chr(0x316) * n}</name>{BOX}</object>"
        ),
        40_000,
    ),
    "class name of n accents, COCO": Input(
        lambda at, n: coco(
            at, category=json.dumps({"id": 1, "name": chr(0x301) * n + chr(0x316) * n})
        ),
        40_000,
    ),
    "class name of n accents, YOLO": Input(
        lambda at, n: yolo(at, ROW, f"{chr(0x301) * n}{chr(0x316) * n}\n"), 40_000
    ),
    "COCO: arrays as image_id": Input(
        lambda at, n: coco(at, ",".join([RECORD.replace('"image_id": 1', '"image_id": [1]')] * n)),
        200_000,
    ),
    "COCO: n different words as image_id": Input(
        lambda at, n: coco(
            at, ",".join(RECORD.replace('"image_id": 1', f'"image_id": "w{i}"') for i in range(n))
        ),
        200_000,
    ),
    "COCO: n keys": Input(
        lambda at, n: coco(at, more="".join(f'"k{i}": 1, ' for i in range(n))), MEGA
    ),
    "COCO: annotations that are numbers": Input(
        lambda at, n: coco(at, ",".join(["1"] * n)), 2 * MEGA
    ),
    "COCO: annotations that are arrays": Input(lambda at, n: coco(at, ",".join(["[]"] * n)), MEGA),
    "COCO: NUL after the end": Input(zeros_after, 2**31),
    "COCO: one polygon of n points": Input(
        lambda at, n: coco(
            at, RECORD.replace('"bbox"', f'"segmentation": [[{"1," * 2 * n}1, 1]], "x"')
        ),
        500_000,
    ),
    "COCO: annotations that are empty": Input(
        lambda at, n: coco(at, ",".join(["{}"] * n)), 400_000
    ),
    "COCO: objects as bbox": Input(
        lambda at, n: coco(at, ",".join([RECORD.replace("[20, 10, 40, 30]", '{"x": 1}')] * n)),
        200_000,
    ),
    "COCO: images that are numbers": Input(numbers_as_images, 2 * MEGA),
    "COCO: one key n times in a record": Input(
        lambda at, n: coco(at, RECORD[:-1] + "".join(f', "bbox": [{i}]' for i in range(n)) + "}"),
        100_000,
    ),
    "COCO: a category of n numbers": Input(
        lambda at, n: coco(at, category=f'{{"id": 1.5, "name": "cat", "x": [{"1.5," * n}1]}}'),
        50_000,
    ),
    "COCO: a mask of n runs": Input(
        lambda at, n: coco(
            at,
            '{"image_id": 1, "category_id": 1, '
            f'"segmentation": {{"size": [9, 9], "counts": "{"0" * n}"}}}}',
        ),
        2 * MEGA,
    ),
    "COCO: a string of n bytes": Input(
        lambda at, n: coco(at, more=f'"x": "{"y" * n}", '), 100 * MEGA
    ),
    "COCO: n spaces": Input(lambda at, n: coco(at, more=" " * n), 100 * MEGA),
    "COCO: a neighbour of n detections": Input(detections, 400_000),
    "COCO: brackets n deep": Input(
        lambda at, n: coco(at, RECORD[:-1] + f', "x": {"[" * n}{"]" * n}}}'), MEGA
    ),
    "AVIF with n extents": Input(lambda at, n: image(at, "a.avif", iloc(n), 2**33), 100),
    "AVIF, sparse": Input(
        lambda at, n: image(at, "a.avif", box(b"ftyp", b"avif" + bytes(4) + b"avifmif1"), n), 2**33
    ),
    "JPEG start and n zeros": Input(
        lambda at, n: image(at, "a.jpg", b"\xff\xd8\xff\xe0", n), 2**30
    ),
    "JPEG of n empty segments": Input(
        lambda at, n: image(at, "a.jpg", b"\xff\xd8" + b"\xff\xe1\x00\x02" * n), 2 * MEGA
    ),
    "PPM with a comment of n bytes": Input(
        lambda at, n: image(at, "a.ppm", b"P6\n#" + b"x" * n), 40 * MEGA
    ),
    "TIFF of n entries": Input(
        lambda at, n: image(
            at, "a.tif", b"II*\0\x08\0\0\0" + n.to_bytes(2, "little") + bytes(12 * n)
        ),
        30_000,
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
    "YOLO list with n empty lines": Input(
        lambda at, n: yolo(at, ROW, "cat\n" + "\n" * n + "dog\n"), 8 * MEGA
    ),
    "YOLO names above n folders": Input(many_lists, 500),
    "YOLO splits missing in the YAML, n": Input(many_splits, 1000),
    "YOLO descriptions, n": Input(many_descriptions, 500),
    "YOLO names in n spellings": Input(spellings, 1000),
    "YOLO images and labels of one name, n": Input(same_name, 2000),
    "YAML of n paths": Input(
        lambda at, n: yamls(
            at, "path: " + "b/" * 63 + "b\ntrain: [" + ",".join(["a/" * 63 + "a"] * n) + "]\n", 1
        ),
        500,
    ),
    "YAML of n merges of n": Input(
        lambda at, n: yamls(
            at,
            "".join(
                f"k{i}: &m{i} {{<<: &all0 []}}\n" if i == 0 else f"k{i}: &m{i} {{x: y}}\n"
                for i in range(n)
            )
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
                + "<attributes><attribute>"
                + "<name>rotation</name><value>9</value>"
                + "</attribute></attributes>"
            ),
        ),
        2000,
    ),
    "CVAT: n boxes": Input(lambda at, n: cvat(at, CVAT_BOX * n), 40_000),
    "CVAT: n images": Input(
        lambda at, n: cvat(
            at, CVAT_BOX, "".join(f'<image name="{i}.jpg" width="9" height="9"/>' for i in range(n))
        ),
        40_000,
    ),
    "CVAT: n images of one name": Input(
        lambda at, n: cvat(at, CVAT_BOX, '<image name="a.jpg" width="200" height="100"/>' * n),
        40_000,
    ),
    "CVAT: polygon of n points": Input(
        lambda at, n: cvat(at, f'<polygon label="cat" points="{"1,2;" * n}3,4"></polygon>'), MEGA
    ),
    "CVAT: XML of n <x/>": Input(lambda at, n: cvat(at, CVAT_BOX + "<x/>" * n), 4 * MEGA),
    "CVAT: XML of n attributes": Input(
        lambda at, n: cvat(at, CVAT_BOX + "<x " + "".join(f"a{i}='' " for i in range(n)) + "/>"),
        20_000,
    ),
    "CVAT: n labels in labels": Input(
        lambda at, n: cvat(
            at,
            CVAT_BOX,
            "<meta>" + "<labels>" * 200 + "<label/>" * n + "</labels>" * 200 + "</meta>",
        ),
        20_000,
    ),
    "VoTT: n regions": Input(lambda at, n: vott(at, ",".join([vott_region()] * n)), 20_000),
    "VoTT: n points": Input(
        lambda at, n: vott(at, vott_region(",".join(['{"x":1,"y":2}'] * n))), 100_000
    ),
    "VoTT: n assets of one name": Input(
        lambda at, n: vott(
            at,
            vott_region(),
            "".join(f', "{i}": {{"asset": {{"name": "b", "path": "{i}/b"}}}}' for i in range(2, n)),
        ),
        20_000,
    ),
    "VoTT: n tags": Input(
        lambda at, n: vott(
            at, vott_region(), "", ",".join(f'{{"name": "t{i}"}}' for i in range(n))
        ),
        50_000,
    ),
    "VoTT: n empty arrays": Input(lambda at, n: vott(at, ",".join(["[]"] * n)), 200_000),
    "VoTT: CSV of n rows": Input(
        lambda at, n: vott_csv(at, '"a.jpg",20,10,60,40,"cat"\n' * n), 50_000
    ),
    "VoTT: CSV of n words": Input(lambda at, n: vott_csv(at, "x\n" * n), 200_000),
    "VoTT: CSV with a row of n cells": Input(lambda at, n: vott_csv(at, "x," * n), 4 * MEGA),
    "IDs: n of images": Input(
        lambda at, n: ids(at, "".join(f"x/a{i}.jpg,{uuid(i)}\n" for i in range(n))),
        100_000,
        "convert",
    ),
    "IDs: name of n folders": Input(
        lambda at, n: ids(at, f"{'a/' * n}a.jpg,{uuid(1)}\n"), 50_000, "convert"
    ),
    "IDs: n rows of words": Input(lambda at, n: ids(at, "a,b\n" * n), MEGA, "convert"),
}
"""Inputs by name; each function makes a dataset of size n in a folder."""
