"""Generate a dataset for the benchmark: the same seed gives the same bytes on every machine.

    python tests/benchmarks/generate.py coco|voc|yolo DIR [--scale 0.01] [--seed 17] [--no-images]

Writes DIR/dataset, the ID tables DIR/tags.json and DIR/images.json, and the counts DIR/facts.json.

At scale 1 a dataset is as large as the best known one of its format:
- coco: instances_train2017.json; 118,287 images, 117,266 of them with 860,001 annotations, 450 MB
  on one line.
- yolo: the same images and boxes as label files. Each image file is a JPEG header without pixels,
  for readers that need its size.
- voc: VOC2012's trainval; 17,125 XML files with 40,138 objects, without image files.

Random numbers are raw 64-bit words of PCG64, whose stream NumPy promises to keep (NEP 19), and all
arithmetic is on integers. Boxes are in hundredths of a pixel. Fields that no reader uses have a
realistic size, not a realistic content: polygons are noise inside their box.
"""

from __future__ import annotations

import argparse
import json
import uuid
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from class_names import COCO_CLASSES, COCO_IDS, COCO_NAMES, VOC_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

SIZES = np.array(
    [(640, 480)] * 5 + [(480, 640), (640, 427), (427, 640), (500, 375), (375, 500), (612, 612)],
    np.int64,
)
CROWD_EVERY = 85
CHUNK = 20_000


class Dice:
    """Random whole numbers from a seed."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def below(self, limit: int | Integers, count: int) -> Integers:
        """Return uniform numbers from 0 to `limit` - 1."""
        return (self._bits.random_raw(count) >> np.uint64(1)).astype(np.int64) % limit

    def skewed(self, limit: int | Integers, count: int) -> Integers:
        """Return numbers from 0 to `limit` - 1, on average a quarter of it."""
        return (self.below(2**15, count) * self.below(2**15, count) * limit) >> 30

    def shuffled(self, count: int) -> Integers:
        """Return 0 to `count` - 1 in random order."""
        return np.argsort(self._bits.random_raw(count), kind="stable")


@dataclass(frozen=True)
class Content:
    """The content of a dataset in any format.

    Attributes:
        ids: Image IDs, shape (m,).
        sizes: Widths and heights of the images in pixels, shape (m, 2).
        image: Image of each box, an index into `ids`, shape (n,).
        label: Class of each box, shape (n,).
        box: Left, top, width and height in hundredths of a pixel, shape (n, 4).
    """

    ids: Integers
    sizes: Integers
    image: Integers
    label: Integers
    box: Integers


def make_scene(dice: Dice, images: int, images_with_boxes: int, boxes: int, labels: int) -> Content:
    """Return a random scene; boxes lie in their images and are at least a pixel wide and high."""
    ids = np.cumsum(1 + dice.below(9, images))
    sizes = SIZES[dice.below(len(SIZES), images)]
    rest = dice.below(images_with_boxes, boxes - images_with_boxes)
    owner = np.concatenate([np.arange(images_with_boxes), rest])[dice.shuffled(boxes)]
    image = dice.shuffled(images)[owner]
    sides = sizes[image] * 100
    size = np.stack([100 + dice.skewed(sides[:, side] - 99, boxes) for side in (0, 1)], axis=1)
    start = np.stack(
        [dice.below(sides[:, side] - size[:, side] + 1, boxes) for side in (0, 1)], axis=1
    )
    return Content(ids, sizes, image, dice.skewed(labels, boxes), np.hstack([start, size]))


def write_coco(root: Path, scale: float, dice: Dice, **_: bool) -> dict[str, int]:
    """Write annotations/instances_train2017.json, keys and separators as published."""
    scene = _train2017(scale, dice)
    names = [f"{number:012d}.jpg" for number in scene.ids.tolist()]
    path = root / "dataset" / "annotations" / "instances_train2017.json"
    path.parent.mkdir(parents=True)
    supers = [above for above, below in COCO_CLASSES.items() for _ in below.split(", ")]
    categories = [
        {"supercategory": above, "id": number, "name": name}
        for above, number, name in zip(supers, COCO_IDS, COCO_NAMES, strict=True)
    ]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(
            '{"info": {"description": "In the shape of COCO 2017", "version": "1.0", '
            '"year": 2017}, '
        )
        file.write(
            '"licenses": [{"url": "http://example.org/by/2.0/", "id": 4, '
            '"name": "Attribution License"}], '
        )
        file.write('"images": [')
        _write_joined(file.write, _coco_images(scene, names))
        file.write('], "annotations": [')
        _write_joined(file.write, _coco_annotations(scene, dice))
        file.write(f'], "categories": {json.dumps(categories)}}}')
    return _finish(root, scene, names, COCO_NAMES)


def write_yolo(root: Path, scale: float, dice: Dice, *, with_images: bool) -> dict[str, int]:
    """Write data.yaml, labels/train2017/*.txt and, unless excluded, images/train2017/*.jpg."""
    scene = _train2017(scale, dice)
    stems = [f"{number:012d}" for number in scene.ids.tolist()]
    labels, images = (root / "dataset" / kind / "train2017" for kind in ("labels", "images"))
    labels.mkdir(parents=True)
    images.mkdir(parents=True)
    listed = "".join(f"  {code}: {name}\n" for code, name in enumerate(COCO_NAMES))
    _write(
        root / "dataset" / "data.yaml",
        f"path: .\ntrain: images/train2017\nval: images/train2017\nnames:\n{listed}",
    )
    order, bounds = _by_image(scene)
    sides = scene.sizes[scene.image] * 100
    start, size = scene.box[:, :2], scene.box[:, 2:]
    centre = ((2 * start + size) * 1_000_000 + sides) // (2 * sides)  # rounded millionths
    relative_size = (2 * size * 1_000_000 + sides) // (2 * sides)
    row_numbers = np.column_stack([scene.label, centre, relative_size])[order]
    rows = [
        f"{c} {x / 1e6:.6f} {y / 1e6:.6f} {w / 1e6:.6f} {h / 1e6:.6f}\n"
        for c, x, y, w, h in row_numbers.tolist()
    ]
    for stem, (first, end), (width, height) in zip(
        stems, pairwise(bounds), scene.sizes.tolist(), strict=True
    ):
        _write(labels / f"{stem}.txt", "".join(rows[first:end]))
        if with_images:
            (images / f"{stem}.jpg").write_bytes(_jpeg_header(width, height))
    return _finish(root, scene, [f"images/train2017/{stem}.jpg" for stem in stems], COCO_NAMES)


def write_voc(root: Path, scale: float, dice: Dice, **_: bool) -> dict[str, int]:
    """Write Annotations/*.xml and ImageSets/Main/*.txt.

    Pixels count from 1, and the last one belongs to the box.
    """
    images = _scaled(17_125, scale)
    scene = make_scene(dice, images, images, _scaled(40_138, scale), len(VOC_NAMES))
    stems = [f"{2007 + 6 * number // images}_{number + 1:06d}" for number in range(images)]
    annotations, lists = root / "dataset" / "Annotations", root / "dataset" / "ImageSets" / "Main"
    annotations.mkdir(parents=True)
    lists.mkdir(parents=True)
    order, bounds = _by_image(scene)
    start, size = scene.box[:, :2], scene.box[:, 2:]
    edges = np.hstack([start // 100 + 1, (start + size) // 100])
    flags = dice.below(32, len(edges))
    objects = [
        _voc_object(*row) for row in np.column_stack([scene.label, flags, edges])[order].tolist()
    ]
    for stem, (first, end), (width, height) in zip(
        stems, pairwise(bounds), scene.sizes.tolist(), strict=True
    ):
        _write(
            annotations / f"{stem}.xml", _voc_file(stem, width, height, "".join(objects[first:end]))
        )
    for split, part in (("train", stems[::2]), ("val", stems[1::2]), ("trainval", stems)):
        _write(lists / f"{split}.txt", "".join(f"{stem}\n" for stem in part))
    return _finish(root, scene, [f"{stem}.jpg" for stem in stems], VOC_NAMES)


WRITERS: dict[str, Callable[..., dict[str, int]]] = {
    "coco": write_coco,
    "voc": write_voc,
    "yolo": write_yolo,
}


def _train2017(scale: float, dice: Dice) -> Content:
    return make_scene(
        dice,
        _scaled(118_287, scale),
        _scaled(117_266, scale),
        _scaled(860_001, scale),
        len(COCO_NAMES),
    )


def _scaled(whole: int, scale: float) -> int:
    return max(1, round(whole * scale))


def _by_image(scene: Content) -> tuple[Integers, list[int]]:
    """Return an order that groups boxes by image, and the bounds of each image in it."""
    order = np.argsort(scene.image, kind="stable")
    return order, np.searchsorted(scene.image[order], np.arange(len(scene.ids) + 1)).tolist()


def _coco_images(scene: Content, names: list[str]) -> Iterator[str]:
    for number, name, (width, height) in zip(
        scene.ids.tolist(), names, scene.sizes.tolist(), strict=True
    ):
        yield (
            f'{{"license": 4, "file_name": "{name}", '
            f'"coco_url": "http://images.example.org/train2017/{name}", '
            f'"height": {height}, "width": {width}, "date_captured": "2013-11-14 11:18:45", '
            f'"flickr_url": "http://snapshot.example.org/8186/{number:010d}_4e622c8349_z.jpg", '
            f'"id": {number}}}'
        )


def _coco_annotations(scene: Content, dice: Dice) -> Iterator[str]:
    """Yield the records in the order of their IDs, crowds last, as published."""
    text = np.array(
        [repr(hundredths / 100) for hundredths in range(SIZES.max() * 100 + 1)], dtype=object
    )
    count = len(scene.box)
    crowds = count // CROWD_EVERY
    record_ids = np.cumsum(1 + dice.below(4, count))
    record_ids[count - crowds :] += 900_100_000_000
    category_ids = np.array(COCO_IDS)[scene.label]
    for first in range(0, count, CHUNK):
        part = slice(first, min(first + CHUNK, count))
        box, image = scene.box[part], scene.image[part]
        shapes = _polygons(text, box, dice)
        areas = (
            box[:, 2] * box[:, 3] * (20_000 + dice.below(40_000, len(box)))
        ) >> 16  # in 1/10,000 of a pixel
        rows = zip(
            shapes,
            areas.tolist(),
            scene.ids[image].tolist(),
            text[box].tolist(),
            category_ids[part].tolist(),
            record_ids[part].tolist(),
            scene.sizes[image].tolist(),
            strict=True,
        )
        for number, (shape, area, image_id, edges, category_id, record_id, size) in enumerate(
            rows, first
        ):
            is_crowd = number >= count - crowds
            yield (
                f'{{"segmentation": {_runs(size, dice) if is_crowd else shape}, '
                f'"area": {area / 10_000!r}, '
                f'"iscrowd": {is_crowd:d}, "image_id": {image_id}, "bbox": [{", ".join(edges)}], '
                f'"category_id": {category_id}, "id": {record_id}}}'
            )


def _polygons(text: NDArray[np.object_], box: Integers, dice: Dice) -> Iterator[str]:
    """Yield a polygon for each box, with 4 to 72 points, 21 on average.

    The first two points are the corners of the box. Every tenth polygon has two parts.
    """
    points = 4 + dice.skewed(69, len(box))
    ends = np.cumsum(points)
    offset = np.column_stack([dice.below(2**16 + 1, ends[-1]) for _ in range(2)])
    offset[ends - points] = 0
    offset[ends - points + 1] = 2**16
    spread = np.repeat(box, points, axis=0)
    numbers = text[spread[:, :2] + ((spread[:, 2:] * offset) >> 16)].ravel().tolist()
    for end, length, die in zip(
        (2 * ends).tolist(), (2 * points).tolist(), dice.below(10, len(box)).tolist(), strict=True
    ):
        first = end - length
        if die == 0 and length >= 12:
            outer, inner = numbers[first : end - 6], numbers[end - 6 : end]
            yield f"[[{', '.join(outer)}], [{', '.join(inner)}]]"
        else:
            yield f"[[{', '.join(numbers[first:end])}]]"


def _runs(size: list[int], dice: Dice) -> str:
    """Return an uncompressed run-length mask of an image, with size as width and height."""
    width, height = size
    cuts = np.unique(dice.below(width * height, 300))
    return json.dumps(
        {
            "counts": np.diff(cuts, prepend=0, append=width * height).tolist(),
            "size": [height, width],
        }
    )


def _voc_object(label: int, flags: int, xmin: int, ymin: int, xmax: int, ymax: int) -> str:
    """Return an <object>; every 32nd has a head, which is a <part> and not an object."""
    edges = (
        f"<xmin>{xmin}</xmin>\n\t\t\t<ymin>{ymin}</ymin>\n"
        f"\t\t\t<xmax>{xmax}</xmax>\n\t\t\t<ymax>{ymax}</ymax>"
    )
    head = f"\t\t<part>\n\t\t\t<name>head</name>\n\t\t\t<bndbox>{edges}</bndbox>\n\t\t</part>\n"
    return (
        f"\t<object>\n\t\t<name>{VOC_NAMES[label]}</name>\n\t\t<pose>Unspecified</pose>\n"
        f"\t\t<truncated>{flags & 1}</truncated>\n"
        f"\t\t<difficult>{int(flags & 14 == 14)}</difficult>\n"
        f"\t\t<bndbox>\n\t\t\t{edges}\n\t\t</bndbox>\n{head if flags == 31 else ''}\t</object>\n"
    )


def _voc_file(stem: str, width: int, height: int, objects: str) -> str:
    return (
        f"<annotation>\n\t<folder>VOC2012</folder>\n\t<filename>{stem}.jpg</filename>\n\t<source>\n"
        f"\t\t<database>The VOC{stem[:4]} Database</database>\n"
        f"\t\t<annotation>PASCAL VOC{stem[:4]}</annotation>\n"
        f"\t\t<image>flickr</image>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n"
        f"\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )


def _jpeg_header(width: int, height: int) -> bytes:
    """Return a JPEG file without pixels."""
    jfif = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    frame = b"\xff\xc0\x00\x11\x08" + size + b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    return (
        b"\xff\xd8"
        + jfif
        + frame
        + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00\xff\xd9"
    )


def _write_joined(write: Callable[[str], object], records: Iterable[str]) -> None:
    separator = ""
    for record in records:
        write(separator)
        write(record)
        separator = ", "


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def _finish(root: Path, scene: Content, images: list[str], labels: list[str]) -> dict[str, int]:
    """Write an ID for every name, and return the counts of the dataset."""
    for kind, names in (("tags", labels), ("images", images)):
        ids = {name: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{name}")) for name in names}
        _write(root / f"{kind}.json", json.dumps(ids, indent=1))
    return {
        "images": len(images),
        "images_with_boxes": len(np.unique(scene.image)),
        "regions": len(scene.box),
        "classes": len(labels),
        "bytes": sum(
            path.stat().st_size for path in (root / "dataset").rglob("*.*") if path.suffix != ".jpg"
        ),
    }


def generate(
    kind: str, root: Path, *, scale: float = 0.01, seed: int = 17, with_images: bool = True
) -> dict[str, int]:
    """Write a dataset into the new folder `root`, and return its counts, as in facts.json."""
    root.mkdir(parents=True)
    facts = WRITERS[kind](root, scale, Dice(seed), with_images=with_images)
    _write(root / "facts.json", json.dumps(facts))
    return facts


def main() -> None:
    """Read the command line, generate, print the facts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("format", choices=WRITERS)
    parser.add_argument("dir", type=Path, help="a new folder")
    parser.add_argument("--scale", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--no-images", action="store_true", help="yolo: label files only")
    given = parser.parse_args()
    facts = generate(
        given.format, given.dir, scale=given.scale, seed=given.seed, with_images=not given.no_images
    )
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
