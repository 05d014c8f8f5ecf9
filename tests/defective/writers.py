"""Plain writers of COCO, Pascal VOC and YOLO.

A draft holds the records of one dataset before they become bytes, each next to the box that it is about, so that a
defect can change what is written without changing what is true.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from xml.sax.saxutils import escape

from defective.scenes import Box, Edges, Picture, Scene, centred, id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random


@dataclass
class Draft:
    """A dataset before it becomes files. Defects change it."""

    rng: Random
    scene: Scene
    encoding: str = "utf-8"
    """What text files are written in."""
    remedy: list[str] = field(default_factory=list)
    """Options with which the truth must be read, where the dataset alone leaves it open; {folder} is the dataset."""
    tag_id: Callable[[str], str] = id_of
    image_id: Callable[[str], str] = id_of
    """What stands in the tables of IDs, by name."""
    after: list[Callable[[dict[str, bytes]], object]] = field(default_factory=list)
    """Changes of the finished files."""
    layout: str = ""
    layouts: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Choose a layout."""
        self.layout = self.rng.choice(self.layouts)

    def text(self, content: str) -> bytes:
        """Text as bytes, in the encoding of the dataset."""
        return content.encode(self.encoding)

    def files(self) -> dict[str, bytes]:
        """All files of the dataset by their paths."""
        files = self.written()
        files |= {picture.path: picture.bytes() for picture in self.scene.pictures}
        for change in self.after:
            change(files)
        return files

    def written(self) -> dict[str, bytes]:
        """The label files, and all else but images; gives each picture its folder."""
        raise NotImplementedError


# COCO


class Raw(str):
    """JSON as it is to be written."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object whose keys may be there twice."""


def as_json(value: object) -> str:
    """JSON of plain values, and of the two classes above."""
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
    """COCO: `records` are annotations, `images` are entries; defects change these dicts, or make them `Pairs`."""

    layouts = ("one file", "annotations", "roboflow")
    records: list[tuple[Any, Picture, Box]]
    images: list[tuple[Any, Picture]]
    categories: list[Any]

    def make(self) -> None:
        """Make the records of the scene as it is."""
        rng, first = self.rng, self.rng.choice((0, 1, 7))
        shape = rng.choice(("", "area", "area and polygon"))
        self.categories = [{"id": first + 2 * tag, "name": name} for tag, name in enumerate(self.scene.classes)]
        self.images, self.records = [], []
        for number, picture in enumerate(self.scene.pictures, rng.choice((0, 1, 1000))):
            width, height = picture.size
            self.images.append(({"id": number, "file_name": picture.name, "width": width, "height": height}, picture))
            for box in picture.boxes:
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
                self.records.append((record, picture, box))

    def strip(self, *keys: str) -> None:
        """Take keys out of all annotations."""
        for record, _, _ in self.records:
            for key in keys:
                record.pop(key, None)

    def written(self) -> dict[str, bytes]:
        """A JSON, or one for each split."""
        paths = {
            "one file": ("annotations.json", "images/"),
            "annotations": ("annotations/instances_{}.json", "images/{}/"),
            "roboflow": ("{}/_annotations.coco.json", "{}/"),
        }
        file, folder = paths[self.layout]
        documents: dict[str, dict[str, list[Any]]] = {}
        for entry, picture in self.images:
            picture.folder = folder.format(picture.split)
            documents.setdefault(file.format(picture.split), {"images": [], "annotations": []})["images"].append(entry)
        for record, picture, _ in self.records:
            documents[file.format(picture.split)]["annotations"].append(record)
        return {
            path: self.text(as_json({**document, "categories": self.categories}))
            for path, document in documents.items()
        }


def polygon_of(edges: Edges) -> list[float]:
    """The corners of a box, one after the other."""
    left, top, right, bottom = edges
    return [left, top, right, top, right, bottom, left, bottom]


# Pascal VOC


@dataclass
class Thing:
    """An `<object>`."""

    name: str
    numbers: dict[str, object]
    """What is in `<bndbox>`."""
    more: str = ""
    """XML after the name."""
    shape: str = ""
    """XML in place of `<bndbox>`."""

    def xml(self) -> str:
        """The element."""
        numbers = "".join(f"\t\t\t<{key}>{value}</{key}>\n" for key, value in self.numbers.items())
        shape = self.shape or f"<bndbox>\n{numbers}\t\t</bndbox>"
        return f"\t<object>\n\t\t<name>{escape(self.name)}</name>\n{self.more}\t\t{shape}\n\t</object>\n"


@dataclass
class Head:
    """What a VOC file says of its image."""

    size: tuple[int, int] | None
    folder: str = "images"
    source: str = "<database>Unknown</database>"


class Voc(Draft):
    """Pascal VOC: `records` are objects, `heads` are what the files say of their images."""

    layouts = ("devkit", "flat", "splits")
    records: list[tuple[Thing, Picture, Box]]
    heads: dict[str, Head]
    declaration = '<?xml version="1.0" encoding="utf-8"?>\n'

    def make(self) -> None:
        """Make the records of the scene as it is."""
        more = self.rng.choice(
            ("", "\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n")
        )
        self.declaration = self.rng.choice(("", self.declaration))
        self.heads = {picture.stem: Head(picture.size) for picture in self.scene.pictures}
        self.records = []
        for picture in self.scene.pictures:
            for box in picture.boxes:
                numbers = dict(zip(("xmin", "ymin", "xmax", "ymax"), box.edges, strict=True))
                self.records.append((Thing(self.scene.classes[box.tag], {**numbers}, more), picture, box))

    def written(self) -> dict[str, bytes]:
        """An XML for each picture."""
        files = {}
        folders = {"devkit": ("Annotations/", "JPEGImages/"), "flat": ("", ""), "splits": ("{}/", "{}/")}[self.layout]
        for picture in self.scene.pictures:
            labels, picture.folder = (folder.format(picture.split) for folder in folders)
            things = [thing for thing, one, _ in self.records if one is picture]
            files[f"{labels}{picture.stem}.xml"] = self.text(self.xml(picture, things))
        return files

    def xml(self, picture: Picture, things: list[Thing]) -> str:
        """One file."""
        head = self.heads[picture.stem]
        size = ""
        if head.size:
            width, height = head.size
            size = f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
        return (
            f"{self.declaration}<annotation>\n\t<folder>{head.folder}</folder>\n"
            f"\t<filename>{escape(picture.name)}</filename>\n\t<source>{head.source}</source>\n{size}"
            + "".join(thing.xml() for thing in things)
            + "</annotation>\n"
        )


# YOLO

Row = list[str]


class Yolo(Draft):
    """YOLO: `records` are rows of words, `names` the lines or entries of the list of names."""

    layouts = ("ultralytics", "roboflow", "flat", "labelimg", "darknet")
    records: list[tuple[Row, Picture, Box]]
    names: list[str]
    yaml = ""
    """More lines for the data.yaml."""
    splits: dict[str, str]
    """The entries of a data.yaml, where they are special."""

    def make(self) -> None:
        """Make the records of the scene as it is."""
        digits = self.rng.choice((8, 10, 15))
        self.names = self.rng.choice((as_list, as_mapping))(self.scene.classes)
        self.splits = {}
        self.records = []
        for picture in self.scene.pictures:
            for box in picture.boxes:
                numbers = [f"{number:.{digits}f}" for number in centred(box.edges, picture.size)]
                self.records.append(([str(box.tag), *numbers], picture, box))

    def written(self) -> dict[str, bytes]:
        """A label file for each picture, and what describes them."""
        folders = {
            "ultralytics": ("labels/{}/", "images/{}/"),
            "roboflow": ("{}/labels/", "{}/images/"),
            "flat": ("", ""),
            "labelimg": ("labels/", "images/"),
            "darknet": ("data/obj/", "data/obj/"),
        }[self.layout]
        files = dict(self.descriptions())
        for picture in self.scene.pictures:
            labels, picture.folder = (folder.format(picture.split) for folder in folders)
            rows = [" ".join(row) for row, one, _ in self.records if one is picture]
            files[f"{labels}{picture.stem}.txt"] = self.text("".join(f"{row}\n" for row in rows))
        return files

    def descriptions(self) -> Iterator[tuple[str, bytes]]:
        """The files with the names and the splits."""
        lines = "".join(f"{name}\n" for name in self.scene.classes)
        splits = ("train", "val")
        if self.layout in {"flat", "labelimg"}:
            yield "classes.txt" if self.layout == "flat" else "labels/classes.txt", self.text(lines)
        elif self.layout == "darknet":
            data = "classes = {}\ntrain = data/train.txt\nvalid = data/val.txt\nnames = data/obj.names\n"
            yield "data/obj.data", self.text(data.format(len(self.scene.classes)))
            yield "data/obj.names", self.text(lines)
            for split in splits:
                listed = [f"data/obj/{one.name}\n" for one in self.scene.pictures if one.split == split]
                yield f"data/{split}.txt", self.text("".join(listed))
        else:
            entry = "images/{}" if self.layout == "ultralytics" else "../{}/images"
            entries = {split: entry.format(split) for split in splits} | self.splits
            yaml = "".join(f"{split}: {value}\n" for split, value in entries.items())
            yield "data.yaml", self.text(yaml + self.yaml + "\n".join([*self.names, ""]))


def as_list(names: list[str]) -> list[str]:
    """The lines of a data.yaml with a list of names."""
    return [f"nc: {len(names)}", f"names: [{', '.join(map(quoted, names))}]"]


def as_mapping(names: list[str]) -> list[str]:
    """The lines of a data.yaml with the number of each name."""
    return ["names:", *(f"  {number}: {quoted(name)}" for number, name in enumerate(names))]


def quoted(name: str) -> str:
    """A name in YAML."""
    return json.dumps(name, ensure_ascii=False)
