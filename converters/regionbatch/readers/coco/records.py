"""Read the records of one COCO file as columns: typed chunks at once, plain ones one by one."""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import numpy as np

from regionbatch.dataset.columns import GrowingColumn
from regionbatch.errors import DatasetError
from regionbatch.files.paths import NAME_CHARACTER
from regionbatch.files.text import as_side
from regionbatch.readers.coco import segmentation
from regionbatch.readers.coco.id_codes import CodeColumn
from regionbatch.readers.coco.json_records import UniqueKeys
from regionbatch.readers.coco.json_stream import ArraySpec
from regionbatch.readers.coco.json_text import CHUNK_SIZE
from regionbatch.readers.coco.name_tables import FileClasses, FileImages, classes_of, images_of
from regionbatch.readers.coco.plain_values import (
    category_name,
    conflicting_values,
    declared_order,
    image_name,
    read_box,
    value_in_place_of_box,
)
from regionbatch.readers.coco.record_ids import MAX_NUMBER, RecordIds
from regionbatch.readers.coco.rotation import Rotation, rotation_of
from regionbatch.readers.packed_floats import PACKED_FLOAT, packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog, Place
    from regionbatch.readers.coco.id_codes import Codes
    from regionbatch.readers.coco.json_stream import Chunk

MAX_NON_OBJECTS = 100_000
"""Records of a file that are not objects. Each is a finding; more of them are an error."""

Id = Annotated[int, msgspec.Meta(gt=-MAX_NUMBER, lt=MAX_NUMBER)]
Zero = Annotated[float, msgspec.Meta(ge=0, le=0)]


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: Annotated[str, msgspec.Meta(pattern=NAME_CHARACTER)]
    width: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    height: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _Category(msgspec.Struct, gc=False):
    id: Id
    name: str


class _Attributes(msgspec.Struct, gc=False):
    rotation: Zero | None = None
    angle: Zero | None = None
    capital_rotation: Zero | None = msgspec.field(default=None, name="Rotation")
    capital_angle: Zero | None = msgspec.field(default=None, name="Angle")


class _Annotation(msgspec.Struct, gc=False, kw_only=True):
    # In the order of COCO's own files: msgspec looks for a key first where it expects it.
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    image_id: Id
    bbox: tuple[float, float, float, float]
    category_id: Id
    id: Id = -1
    # Only checked: a record that is rotated or declares another order must not fit the type.
    attributes: _Attributes | None = None
    rotation: Zero | None = None
    angle: Zero | None = None
    capital_rotation: Zero | None = msgspec.field(default=None, name="Rotation")
    capital_angle: Zero | None = msgspec.field(default=None, name="Angle")
    bbox_mode: Annotated[int, msgspec.Meta(ge=1, le=1)] | None = None


class _ImageColumns(NamedTuple):
    """The images of a chunk as columns; k of them."""

    names: list[str]
    numbers: NDArray[np.int64]
    """(3, k): ID, width, height."""


class _BoxColumns(NamedTuple):
    """The annotations of a chunk as columns; k of them."""

    ids: NDArray[np.int64]
    """(3, k): annotation, image, category."""
    box: NDArray[np.float64]
    """(4, k): left, top, width, height, or two corners."""
    crowd: NDArray[np.int64]
    """The numbers of the rows that are crowds."""


class FileColumns(NamedTuple):
    """The records of a file as columns, with n annotations that have a box."""

    images: FileImages
    classes: FileClasses
    where: NDArray[np.int64]
    """(n,), annotation IDs."""
    image: Codes
    """Which of the images each box is on."""
    category: Codes
    """Which of the classes each box has."""
    box: NDArray[np.float64]
    """(n, 4)"""


def _images_to_columns(records: list[_Image]) -> _ImageColumns:
    # Lists of one attribute each take a third of the time of transposing rows.
    numbers = [one.id for one in records]
    numbers += [one.width for one in records]
    numbers += [one.height for one in records]
    return _ImageColumns([one.file_name for one in records], _three_rows(numbers))


def _categories_to_columns(records: list[_Category]) -> list[tuple[int, str]]:
    return [(record.id, record.name) for record in records]


def _annotations_to_columns(records: list[_Annotation]) -> _BoxColumns:
    ids = [one.id for one in records]
    ids += [one.image_id for one in records]
    ids += [one.category_id for one in records]
    crowd = [one.iscrowd for one in records]
    rows = np.flatnonzero(crowd) if any(crowd) else np.empty(0, np.int64)
    return _BoxColumns(_three_rows(ids), _boxes_to_columns(records), rows)


def _three_rows(numbers: list[int]) -> NDArray[np.int64]:
    """Return k numbers of each of three kinds, (3, k)."""
    # `np.fromiter` takes a third longer than packing the numbers first.
    return np.frombuffer(struct.pack(f"{len(numbers)}q", *numbers), np.int64).reshape(3, -1)


def _boxes_to_columns(records: list[_Annotation]) -> NDArray[np.float64]:
    """Return the boxes, (4, k)."""
    numbers = packed([one.bbox for one in records], _PACKED_BOX)["box"]["number"]
    return numbers.T.astype(np.float64, order="C")


_PACKED_BOX = np.dtype([("type", "u1"), ("box", PACKED_FLOAT, 4)])


ARRAY_SPECS = {
    "images": ArraySpec(
        _Image, _images_to_columns, (UniqueKeys((b"id", b"file_name", b"width", b"height")),)
    ),
    "categories": ArraySpec(
        _Category,
        _categories_to_columns,
        (UniqueKeys((b"id", b"name")),),
        keep_literals=True,
        max_record_size=CHUNK_SIZE,
    ),
    "annotations": ArraySpec(
        _Annotation,
        _annotations_to_columns,
        (UniqueKeys((b"bbox",), ord("x")), UniqueKeys((b"image_id", b"category_id"), ord("_"))),
    ),
}
"""How the arrays of a COCO file are read."""


class _BadRecords:
    """Unreadable records of a chunk, by finding code; reported at once, as there may be many."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[list[int], list[object]]] = {}

    def add(self, code: str, where: int, value: object) -> None:
        places, values = self._found.setdefault(code, ([], []))
        places.append(where)
        values.append(value)

    def count(self, code: str) -> int:
        return len(self._found[code][0]) if code in self._found else 0

    def report(self, log: FindingLog, file: int, place: Place) -> None:
        for code, (places, values) in self._found.items():
            log.add_each(code, file, places, values, place=place)


class FileRecords:
    """Collects the records of one file, chunk by chunk."""

    def __init__(self, file: int, log: FindingLog, size: int) -> None:
        """Start without records.

        Args:
            file: The code of the file, from `FindingLog.file`.
            log: Where records that cannot be read are reported.
            size: The size of the file in bytes; 0: unknown.
        """
        self._file = file
        self._log = log
        self._size = size
        self._end = 0
        """Where the records so far end in the file."""
        self._non_objects = 0
        self._records = dict.fromkeys(ARRAY_SPECS, 0)
        """The number of records so far, by the key of their array."""
        self.ids = RecordIds()
        self.image_names: list[str] = []
        self._image_numbers = [np.empty((3, 0), np.int64)]
        self.categories: list[tuple[int, str]] = []
        self.rows = 0
        """The number of boxes so far."""
        self.boxes_read = 0
        self.images_read = 0
        self._where = GrowingColumn(np.int64)
        self._image = CodeColumn()
        self._category = CodeColumn()
        self._images: FileImages | None = None
        self._classes: FileClasses | None = None
        self._boxes = GrowingColumn(np.float64, 4)
        self.marks = {"box_from_segmentation": array("q"), "crowd": array("q")}
        """Row numbers by what applies to them."""
        self.masks: dict[int, tuple[int, int]] = {}
        """Width and height of each mask, by the row of the box around it."""
        self.rotations: dict[int, Rotation] = {}
        """The rotations, by row."""
        self.orders: Counter[str] = Counter()
        """The number of records that declare each order of coordinates, except ltwh."""

    def add(self, chunk: Chunk) -> None:
        """Add the records of a chunk.

        Raises:
            DatasetError: More than `MAX_NON_OBJECTS` records are not objects.
        """
        self._count_non_objects(chunk.plain)
        if chunk.key == "annotations":
            if not self.rows:
                self._reserve(chunk)
            if chunk.typed is None:
                self._add_plain_annotations(chunk.plain)
            else:
                self._add_boxes(chunk.typed)
        elif chunk.key == "images":
            self.images_read += chunk.length
            images = self._plain_images(chunk.plain) if chunk.typed is None else chunk.typed
            self.image_names += images.names
            self._image_numbers.append(images.numbers)
        elif chunk.typed is None:
            self.categories += self._plain_categories(chunk.plain)
        else:
            self.categories += chunk.typed
        self._records[chunk.key] += chunk.length
        self._end = chunk.end
        # No array occurs twice, so that no more IDs follow: those of boxes can be looked up.
        if chunk.is_last and chunk.key == "images":
            self._complete_images()
        elif chunk.is_last and chunk.key == "categories":
            self._complete_classes()

    def _reserve(self, first: Chunk) -> None:
        """Reserve memory for as many boxes as the file has if its other records are as long."""
        count = first.length
        if not first.is_last:
            rest = max(0, self._size - first.end) / (first.end - self._end)
            count += int(rest * count)
        for column in (self._where, self._image, self._category, self._boxes):
            column.reserve(count)

    def _complete_images(self) -> FileImages:
        """Look up the images of the boxes, and return all images."""
        ids, *size = np.concatenate(self._image_numbers, axis=1)
        self._image_numbers.clear()
        self._images = images_of(self.image_names, ids, np.asarray(size, np.int32).T)
        self._image.look_up_in(self._images.code_by_id)
        return self._images

    def _complete_classes(self) -> FileClasses:
        """Look up the classes of the boxes, and return all classes."""
        self._classes = classes_of(self.categories)
        self._category.look_up_in(self._classes.code_by_id)
        return self._classes

    def _count_non_objects(self, records: list[Any]) -> None:
        self._non_objects += sum(not isinstance(record, dict) for record in records)
        if self._non_objects > MAX_NON_OBJECTS:
            name = self._log.files[self._file]
            what = f"more than {MAX_NON_OBJECTS:,} records are not JSON objects"
            raise DatasetError(f"{name}: {what}. Export the file again as COCO.", place=name)

    def _add_boxes(self, boxes: _BoxColumns) -> None:
        self.boxes_read += boxes.box.shape[1]
        ids = boxes.ids
        without_id = np.flatnonzero(ids[0] < 0)
        if len(without_id):
            ids = ids.copy()  # arrays from another process may be read-only
            ids[0, without_id] = -1 - self._records["annotations"] - without_id
        self.marks["crowd"].extend((boxes.crowd + self.rows).tolist())
        self._append(ids, boxes.box)

    def _add_plain_annotations(self, records: list[Any]) -> None:
        ids: list[tuple[int, int, int]] = []
        boxes: list[tuple[float, ...]] = []
        bad = _BadRecords()
        for number, record in enumerate(records, self._records["annotations"] + 1):
            if not isinstance(record, dict):
                bad.add("not_a_box", -number, record)
                continue
            id_ = self.ids.number(record.get("id"))
            where = id_ if id_ is not None and id_ >= 0 else -number
            box, code = read_box(record)
            if box is None:
                bad.add(code, where, "" if code == "no_box" else value_in_place_of_box(record))
                continue
            rotation = None if code else rotation_of(record)
            if isinstance(rotation, str):
                bad.add("unclear_rotation", where, rotation)
                continue
            self._mark(self.rows + len(boxes), code, record, rotation)
            image = self.ids.number_or_new(record.get("image_id"))
            category = self.ids.number_or_new(record.get("category_id"))
            ids.append((where, image, category))
            boxes.append(box)
        self.boxes_read += len(records) - bad.count("no_box")
        bad.report(self._log, self._file, "annotation")
        self._append(
            np.asarray(ids, np.int64).reshape(-1, 3).T,
            np.asarray(boxes, np.float64).reshape(-1, 4).T,
        )

    def _mark(self, row: int, code: str, record: dict[str, Any], rotation: Rotation | None) -> None:
        if code:
            self.marks[code].append(row)
            if size := segmentation.mask_size(record["segmentation"]):
                self.masks[row] = size
        elif (order := declared_order(record)) != "ltwh":
            self.orders[order] += 1
        if rotation:
            self.rotations[row] = rotation
        if record.get("iscrowd") in (1, "1", True):
            self.marks["crowd"].append(row)

    def _append(self, ids: NDArray[np.int64], boxes: NDArray[np.float64]) -> None:
        where, image, category = ids
        self._where.append(where)
        self._image.append(image)
        self._category.append(category)
        self._boxes.append(boxes.T)
        self.rows += len(where)

    def finished(self) -> FileColumns:
        """Return all records as columns, and forget the annotations."""
        return FileColumns(
            images=self._images or self._complete_images(),
            classes=self._classes or self._complete_classes(),
            where=self._where.finished(),
            image=self._image.finished(),
            category=self._category.finished(),
            box=self._boxes.finished(),
        )

    def _plain_images(self, records: Sequence[Any]) -> _ImageColumns:
        names: list[str] = []
        numbers: list[tuple[int, int, int]] = []
        bad = _BadRecords()
        for number, record in enumerate(records, self._records["images"] + 1):
            id_ = self.ids.number(record.get("id")) if isinstance(record, dict) else None
            name = image_name(record) if isinstance(record, dict) else ""
            if id_ is None or not name or conflicting_values(record, "images"):
                bad.add("not_an_image", -number, record)
                continue
            names.append(name)
            numbers.append((id_, as_side(record.get("width")), as_side(record.get("height"))))
        bad.report(self._log, self._file, "image")
        return _ImageColumns(names, np.asarray(numbers, np.int64).reshape(-1, 3).T)

    def _plain_categories(self, records: Iterable[Any]) -> Iterator[tuple[int, str]]:
        for record in records:
            id_ = self.ids.number(record.get("id")) if isinstance(record, dict) else None
            if id_ is None:
                continue
            name = category_name(record)
            if not name and record.get("name") is not None:
                conflict = conflicting_values(record, "categories")
                text = f", {conflict}" if conflict else f" named {record['name']!r}"
                self.ids.invalid_names[id_] = text
            yield id_, name
