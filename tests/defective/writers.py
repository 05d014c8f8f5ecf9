"""Plain writers of COCO, Pascal VOC and YOLO.

A draft holds the records of one dataset before they are written, each with the box that it
describes. So a defect can change what is written without changing what is true.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from xml.sax.saxutils import escape

from defective.scenes import Box, Edges, Scene, SceneImage, centred, id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random


@dataclass
class Draft:
    """A dataset before it becomes files. Defects change it."""

    rng: Random
    scene: Scene
    encoding: str = "utf-8"
    """The encoding of text files."""
    remedy: list[str] = field(default_factory=list)
    """Options with which the dataset is read correctly if it alone is ambiguous.

    `{folder}` is the dataset."""
    tag_id: Callable[[str], str] = id_of
    image_id: Callable[[str], str] = id_of
    """The IDs in the ID files, by name."""
    after: list[Callable[[dict[str, bytes]], object]] = field(default_factory=list)
    """Changes to make to the finished files."""
    layout: str = ""
    layouts: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Choose a layout."""
        self.layout = self.rng.choice(self.layouts)

    def text(self, content: str) -> bytes:
        """Return text as bytes, in the encoding of the dataset."""
        return content.encode(self.encoding)

    def files(self) -> dict[str, bytes]:
        """Return all files of the dataset by their paths."""
        files = self.written()
        files |= {image.path: image.bytes() for image in self.scene.images}
        for change in self.after:
            change(files)
        return files

    def written(self) -> dict[str, bytes]:
        """Return all files except images; set the folder of each image."""
        raise NotImplementedError


# COCO


class Raw(str):
    """JSON text that is written as it is."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object that may have a key twice."""


def as_json(value: object) -> str:
    """Return JSON of plain values and of the two classes above."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, dict):
        value = Pairs(value.items())
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(key)}: {as_json(part)}" for key, part in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class Coco(Draft):
    """COCO: `records` are annotations, `images` are entries.

    Defects change these dictionaries, or replace them with `Pairs`.
    """

    layouts = ("one file", "annotations", "roboflow")
    records: list[tuple[Any, SceneImage, Box]]
    images: list[tuple[Any, SceneImage]]
    categories: list[Any]

    def make(self) -> None:
        """Make the records of the scene."""
        rng, first = self.rng, self.rng.choice((0, 1, 7))
        shape = rng.choice(("", "area", "area and polygon"))
        self.categories = [
            {"id": first + 2 * tag, "name": name} for tag, name in enumerate(self.scene.classes)
        ]
        self.images, self.records = [], []
        for number, image in enumerate(self.scene.images, rng.choice((0, 1, 1000))):
            width, height = image.size
            self.images.append(
                (
                    {"id": number, "file_name": image.name, "width": width, "height": height},
                    image,
                )
            )
            for box in image.boxes:
                record: dict[str, Any] = {
                    "id": len(self.records) + 1,
                    "image_id": number,
                    "category_id": first + 2 * box.tag,
                }
                record |= {"bbox": [*box.edges[:2], *box.size], "iscrowd": 0}
                if shape:
                    record |= {"area": box.size[0] * box.size[1]}
                if "polygon" in shape:
                    record |= {"segmentation": [polygon_of(box.edges)]}
                self.records.append((record, image, box))

    def strip(self, *keys: str) -> None:
        """Remove keys from all annotations."""
        for record, _, _ in self.records:
            for key in keys:
                record.pop(key, None)

    def written(self) -> dict[str, bytes]:
        """Return one JSON file, or one for each split."""
        paths = {
            "one file": ("annotations.json", "images/"),
            "annotations": ("annotations/instances_{}.json", "images/{}/"),
            "roboflow": ("{}/_annotations.coco.json", "{}/"),
        }
        file, folder = paths[self.layout]
        documents: dict[str, dict[str, list[Any]]] = {}
        for entry, image in self.images:
            image.folder = folder.format(image.split)
            documents.setdefault(file.format(image.split), {"images": [], "annotations": []})[
                "images"
            ].append(entry)
        for record, image, _ in self.records:
            documents[file.format(image.split)]["annotations"].append(record)
        return {
            path: self.text(as_json({**document, "categories": self.categories}))
            for path, document in documents.items()
        }


def polygon_of(edges: Edges) -> list[float]:
    """Return the corners of a box, one after the other."""
    left, top, right, bottom = edges
    return [left, top, right, top, right, bottom, left, bottom]


# Pascal VOC


@dataclass
class VocObject:
    """An `<object>`."""

    name: str
    numbers: dict[str, object]
    """The content of `<bndbox>`."""
    more: str = ""
    """XML after the name."""
    shape: str = ""
    """XML instead of `<bndbox>`."""

    def xml(self) -> str:
        """Return the element as text."""
        numbers = "".join(f"\t\t\t<{key}>{value}</{key}>\n" for key, value in self.numbers.items())
        shape = self.shape or f"<bndbox>\n{numbers}\t\t</bndbox>"
        name = f"\t\t<name>{escape(self.name)}</name>\n"
        return f"\t<object>\n{name}{self.more}\t\t{shape}\n\t</object>\n"


@dataclass
class VocHeader:
    """What a VOC file says about its image."""

    size: tuple[int, int] | None
    folder: str = "images"
    source: str = "<database>Unknown</database>"


class Voc(Draft):
    """Pascal VOC: `records` are objects, `headers` are what the files say about their images."""

    layouts = ("devkit", "flat", "splits")
    records: list[tuple[VocObject, SceneImage, Box]]
    headers: dict[str, VocHeader]
    declaration = '<?xml version="1.0" encoding="utf-8"?>\n'

    def make(self) -> None:
        """Make the records of the scene."""
        more = self.rng.choice(
            (
                "",
                "\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n",
            )
        )
        self.declaration = self.rng.choice(("", self.declaration))
        self.headers = {image.stem: VocHeader(image.size) for image in self.scene.images}
        self.records = []
        for image in self.scene.images:
            for box in image.boxes:
                numbers = dict(zip(("xmin", "ymin", "xmax", "ymax"), box.edges, strict=True))
                self.records.append(
                    (VocObject(self.scene.classes[box.tag], {**numbers}, more), image, box)
                )

    def written(self) -> dict[str, bytes]:
        """Return an XML file for each image."""
        files = {}
        folders = {
            "devkit": ("Annotations/", "JPEGImages/"),
            "flat": ("", ""),
            "splits": ("{}/", "{}/"),
        }[self.layout]
        for image in self.scene.images:
            labels, image.folder = (folder.format(image.split) for folder in folders)
            voc_objects = [voc_object for voc_object, one, _ in self.records if one is image]
            files[f"{labels}{image.stem}.xml"] = self.text(self.xml(image, voc_objects))
        return files

    def xml(self, image: SceneImage, voc_objects: list[VocObject]) -> str:
        """Return the text of one file."""
        header = self.headers[image.stem]
        size = ""
        if header.size:
            width, height = header.size
            size = (
                f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
            )
        return (
            f"{self.declaration}<annotation>\n\t<folder>{header.folder}</folder>\n"
            f"\t<filename>{escape(image.name)}</filename>\n\t<source>{header.source}</source>\n{size}"
            + "".join(voc_object.xml() for voc_object in voc_objects)
            + "</annotation>\n"
        )


# YOLO

Row = list[str]


class Yolo(Draft):
    """YOLO: `records` are rows of words, `names` are the lines of the data.yaml with names."""

    layouts = ("ultralytics", "roboflow", "flat", "labelimg", "darknet")
    records: list[tuple[Row, SceneImage, Box]]
    names: list[str]
    yaml = ""
    """More lines for the data.yaml."""
    splits: dict[str, str]
    """The paths in a data.yaml, if they are special ones."""

    def make(self) -> None:
        """Make the records of the scene."""
        digits = self.rng.choice((8, 10, 15))
        self.names = self.rng.choice((as_list, as_mapping))(self.scene.classes)
        self.splits = {}
        self.records = []
        for image in self.scene.images:
            for box in image.boxes:
                numbers = [f"{number:.{digits}f}" for number in centred(box.edges, image.size)]
                self.records.append(([str(box.tag), *numbers], image, box))

    def written(self) -> dict[str, bytes]:
        """Return a label file for each image, and the files with names and splits."""
        folders = {
            "ultralytics": ("labels/{}/", "images/{}/"),
            "roboflow": ("{}/labels/", "{}/images/"),
            "flat": ("", ""),
            "labelimg": ("labels/", "images/"),
            "darknet": ("data/obj/", "data/obj/"),
        }[self.layout]
        files = dict(self.descriptions())
        for image in self.scene.images:
            labels, image.folder = (folder.format(image.split) for folder in folders)
            rows = [" ".join(row) for row, one, _ in self.records if one is image]
            files[f"{labels}{image.stem}.txt"] = self.text("".join(f"{row}\n" for row in rows))
        return files

    def descriptions(self) -> Iterator[tuple[str, bytes]]:
        """Yield the files with names and splits."""
        lines = "".join(f"{name}\n" for name in self.scene.classes)
        splits = ("train", "val")
        if self.layout in {"flat", "labelimg"}:
            yield "classes.txt" if self.layout == "flat" else "labels/classes.txt", self.text(lines)
        elif self.layout == "darknet":
            data = f"classes = {len(self.scene.classes)}\ntrain = data/train.txt\n"
            data += "valid = data/val.txt\nnames = data/obj.names\n"
            yield "data/obj.data", self.text(data)
            yield "data/obj.names", self.text(lines)
            for split in splits:
                listed = [
                    f"data/obj/{one.name}\n" for one in self.scene.images if one.split == split
                ]
                yield f"data/{split}.txt", self.text("".join(listed))
        else:
            entry = "images/{}" if self.layout == "ultralytics" else "../{}/images"
            entries = {split: entry.format(split) for split in splits} | self.splits
            yaml = "".join(f"{split}: {value}\n" for split, value in entries.items())
            yield "data.yaml", self.text(yaml + self.yaml + "\n".join([*self.names, ""]))


def as_list(names: list[str]) -> list[str]:
    """Return the lines of a data.yaml with a list of names."""
    return [f"nc: {len(names)}", f"names: [{', '.join(map(quoted, names))}]"]


def as_mapping(names: list[str]) -> list[str]:
    """Return the lines of a data.yaml with the number of each name."""
    return ["names:", *(f"  {number}: {quoted(name)}" for number, name in enumerate(names))]


def quoted(name: str) -> str:
    """Return a name as YAML."""
    return json.dumps(name, ensure_ascii=False)
