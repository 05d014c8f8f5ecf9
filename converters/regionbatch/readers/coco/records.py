"""The records of one COCO JSON as columns: typed where they are plain, one by one where they are not."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import astuple

from regionbatch.errors import DatasetError
from regionbatch.files.text import as_side
from regionbatch.findings import as_text
from regionbatch.readers.coco import segmentation
from regionbatch.readers.coco.jsonpieces import Kind
from regionbatch.readers.coco.jsontext import PIECE
from regionbatch.readers.coco.plain_values import NAME, class_name, differing, name_of, order_of, read_box, shown
from regionbatch.readers.coco.rotation import Rotation, rotation_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog, Place
    from regionbatch.readers.coco.jsonpieces import Piece

_NO_IDS = -(2**63)
"""What is no id has a number of its own from here on, so that no two of them are one."""
_TEXT_IDS = -(2**62)
"""Ids that are text, or too long, have a number from here on downwards."""

MAX_VALUES = 100_000
"""Records of a file that are no objects, and are dropped one by one; an error from there on."""

_MOST_EXACT = 2**53
"""From here on a float stands for several whole numbers."""

_ID = re.compile(r"-?[0-9]{1,99}(\.0*)?")
"""Text that is a whole number, as people write one."""

Id = Annotated[int, msgspec.Meta(gt=_TEXT_IDS, lt=-_TEXT_IDS)]
Zero = Annotated[float, msgspec.Meta(ge=0, le=0)]


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: Annotated[str, msgspec.Meta(pattern=NAME)]
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
    # In the order of COCO's own files: a key is looked for first where it is expected.
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    image_id: Id
    bbox: tuple[float, float, float, float]
    category_id: Id
    id: Id = -1
    # Only checked: what turns a box or orders its numbers in another way is for plain records.
    attributes: _Attributes | None = None
    rotation: Zero | None = None
    angle: Zero | None = None
    capital_rotation: Zero | None = msgspec.field(default=None, name="Rotation")
    capital_angle: Zero | None = msgspec.field(default=None, name="Angle")
    bbox_mode: Annotated[int, msgspec.Meta(ge=1, le=1)] | None = None


class Images(NamedTuple):
    """Images as columns."""

    id: list[int]
    file_name: list[str]
    width: list[int]
    height: list[int]


class _Boxes(NamedTuple):
    """Annotations as columns; k of them."""

    ids: NDArray[np.int64]
    """(3, k): annotation, image, category."""
    box: NDArray[np.float64]
    """(k, 4)"""
    crowd: NDArray[np.int64]
    """The rows that are marked as crowds."""


def _columns(records: Sequence[msgspec.Struct]) -> list[tuple[Any, ...]]:
    """The fields of records as columns; none, if there are no records."""
    return list(zip(*map(astuple, records), strict=True))


def _gather_images(records: list[_Image]) -> Images:
    return Images(*map(list, _columns(records))) if records else Images([], [], [], [])


def _gather_categories(records: list[_Category]) -> list[tuple[int, str]]:
    return [(record.id, record.name) for record in records]


def _gather_annotations(records: list[_Annotation]) -> _Boxes:
    # Lists of attributes, one after the other, take a third of the time of rows that are turned into columns.
    ids = [one.id for one in records]
    ids += [one.image_id for one in records]
    ids += [one.category_id for one in records]
    box = np.fromiter(chain.from_iterable([one.bbox for one in records]), np.float64, 4 * len(records))
    crowd = [one.iscrowd for one in records]
    rows = np.flatnonzero(crowd) if any(crowd) else np.empty(0, np.int64)
    return _Boxes(np.fromiter(ids, np.int64, len(ids)).reshape(3, -1), box.reshape(-1, 4), rows)


WANTED = {
    "images": Kind(_Image, _gather_images, (b"id", b"file_name", b"width", b"height")),
    "categories": Kind(_Category, _gather_categories, (b"id", b"name"), exact=True, largest=PIECE),
    "annotations": Kind(
        _Annotation,
        _gather_annotations,
        (b"bbox", b"image_id", b"category_id"),
        signs=((ord("x"), 1), (ord("_"), 2)),
    ),
}


class _BadRecords:
    """The records of a piece that are not read, by code. A file may have nothing else: they are reported at once."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[list[int], list[object]]] = {}

    def add(self, code: str, where: int, value: object) -> None:
        wheres, values = self._found.setdefault(code, ([], []))
        wheres.append(where)
        values.append(value)

    def count(self, code: str) -> int:
        return len(self._found[code][0]) if code in self._found else 0

    def report(self, log: FindingLog, file: int, place: Place) -> None:
        for code, (wheres, values) in self._found.items():
            log.add_each(code, file, wheres, values, place=place)


class Columns:
    """The records of one JSON as they come, piece by piece."""

    def __init__(self, file: int, report: FindingLog) -> None:
        self._file, self._report = file, report
        self._text_ids: dict[str, int] = {}
        self._no_ids: list[str] = []
        self.images = Images([], [], [], [])
        self.categories: list[tuple[int, str]] = []
        # Arrays that grow in place: joining thousands at the end would need their memory twice.
        self._ids = array("q"), array("q"), array("q")
        self._boxes = array("d")
        self.marks: dict[str, list[int]] = {"box_from_segmentation": [], "crowd": []}
        self.masks: dict[int, tuple[int, int]] = {}
        """Width and height of the masks, by the rows that have their boxes."""
        self.rotations: dict[int, Rotation] = {}
        """By the rows that have one."""
        self.orders: Counter[str] = Counter()
        """How many records declare which order of the numbers, other than ltwh."""
        self._odd_names: dict[int, str] = {}
        """What is in place of a name, by category."""
        self._met = dict.fromkeys(WANTED, 0)
        self._values = 0
        """Records that are no objects."""

    def add(self, piece: Piece) -> None:
        """Take a piece, typed or plain.

        Raises:
            DatasetError: More than `MAX_VALUES` records are no objects.
        """
        self._values += sum(not isinstance(record, dict) for record in piece.plain)
        if self._values > MAX_VALUES:
            name = self._report.files[self._file]
            what = f"more than {MAX_VALUES} records are numbers, text or arrays. A record of COCO is an object."
            raise DatasetError(f"{name}: {what}", place=name)
        if piece.key == "annotations":
            if piece.typed is None:
                self._add_plain_annotations(piece.plain)
            else:
                self._add_boxes(piece.typed)
        elif piece.key == "images":
            self._report.read(images=piece.records)
            self._add_images(self._plain_images(piece.plain) if piece.typed is None else piece.typed)
        else:
            self.categories += self._plain_categories(piece.plain) if piece.typed is None else piece.typed
        self._met[piece.key] += piece.records

    def _add_boxes(self, boxes: _Boxes) -> None:
        self._report.read(boxes=len(boxes.box))
        unnamed = np.flatnonzero(boxes.ids[0] < 0)
        boxes.ids[0, unnamed] = -1 - self._met["annotations"] - unnamed
        self.marks["crowd"] += (boxes.crowd + self.rows).tolist()
        self._append(boxes.ids, boxes.box)

    def _add_plain_annotations(self, records: list[Any]) -> None:
        ids: list[tuple[int, int, int]] = []
        boxes: list[tuple[float, ...]] = []
        bad = _BadRecords()
        for number, record in enumerate(records, self._met["annotations"] + 1):
            if not isinstance(record, dict):
                bad.add("not_a_box", -number, record)
                continue
            id_ = self.id_of(record.get("id"))
            where = id_ if id_ is not None and id_ >= 0 else -number
            box, code = read_box(record)
            if box is None:
                bad.add(code, where, "" if code == "no_box" else shown(record))
                continue
            rotation = None if code else rotation_of(record)
            if isinstance(rotation, str):
                bad.add("unclear_rotation", where, rotation)
                continue
            self._mark(self.rows + len(boxes), code, record, rotation)
            ids.append((where, self._known_id(record.get("image_id")), self._known_id(record.get("category_id"))))
            boxes.append(box)
        self._report.read(boxes=len(records) - bad.count("no_box"))
        bad.report(self._report, self._file, "annotation")
        self._append(np.asarray(ids, np.int64).reshape(-1, 3).T, np.asarray(boxes, np.float64).reshape(-1, 4))

    def _mark(self, row: int, code: str, record: dict[str, Any], rotation: Rotation | None) -> None:
        if code:
            self.marks[code].append(row)
            if size := segmentation.mask_size(record["segmentation"]):
                self.masks[row] = size
        elif (order := order_of(record)) != "ltwh":
            self.orders[order] += 1
        if rotation:
            self.rotations[row] = rotation
        if record.get("iscrowd") in (1, "1", True):
            self.marks["crowd"].append(row)

    def _append(self, ids: NDArray[np.int64], boxes: NDArray[np.float64]) -> None:
        for column, more in zip(self._ids, ids, strict=True):
            column.frombytes(more.tobytes())
        self._boxes.frombytes(boxes.tobytes())

    @property
    def rows(self) -> int:
        """How many boxes so far."""
        return len(self._boxes) // 4

    def ids(self) -> list[NDArray[np.int64]]:
        """The ids of annotations, images and categories, each (n,); nothing can be added afterwards."""
        return [np.asarray(column, np.int64) for column in self._ids]

    def boxes(self) -> NDArray[np.float64]:
        """The boxes, (n, 4); likewise."""
        return np.asarray(self._boxes, np.float64).reshape(-1, 4)

    def _add_images(self, found: Images) -> None:
        self.images.id.extend(found.id)
        self.images.file_name.extend(found.file_name)
        self.images.width.extend(found.width)
        self.images.height.extend(found.height)

    def _plain_images(self, records: list[Any]) -> Images:
        found, bad = Images([], [], [], []), _BadRecords()
        for number, record in enumerate(records, self._met["images"] + 1):
            id_ = self.id_of(record.get("id")) if isinstance(record, dict) else None
            name = name_of(record) if isinstance(record, dict) else ""
            if id_ is None or not name or differing(record, "images"):
                bad.add("not_an_image", -number, record)
                continue
            found.id.append(id_)
            found.file_name.append(name)
            found.width.append(as_side(record.get("width")))
            found.height.append(as_side(record.get("height")))
        bad.report(self._report, self._file, "image")
        return found

    def _plain_categories(self, records: list[Any]) -> Iterable[tuple[int, str]]:
        for record in records:
            id_ = self.id_of(record.get("id")) if isinstance(record, dict) else None
            if id_ is None:
                continue
            name = class_name(record)
            if not name and record.get("name") is not None:
                twice = differing(record, "categories")
                self._odd_names[id_] = f", {twice}" if twice else f" named {record['name']!r}"
            yield id_, name

    def id_of(self, value: object) -> int | None:
        """An id as a number, so that 1, 1.0 and "1" are one; others get a number of their own, far below.

        None: it is no id, as a float that stands for several whole numbers.
        """
        if type(value) is int and abs(value) < -_TEXT_IDS:  # as most are
            return value
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str):
            value = value.strip()
            if not _ID.fullmatch(value):
                return self._text_ids.setdefault(value, _TEXT_IDS - len(self._text_ids))
            value = int(value.split(".")[0])
        if isinstance(value, float) and value.is_integer() and abs(value) < _MOST_EXACT:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        if abs(value) < -_TEXT_IDS:
            return value
        return self._text_ids.setdefault(str(value), _TEXT_IDS - len(self._text_ids))

    def _known_id(self, value: object) -> int:
        """The same; what is no id gets a number that no id has."""
        id_ = self.id_of(value)
        if id_ is None:
            self._no_ids.append(as_text(value))
            id_ = _NO_IDS + len(self._no_ids) - 1
        return id_

    def id_texts(self, ids: NDArray[np.int64], what: str) -> Iterator[str]:
        """Ids as they stood in the file, with a word before each that says of what."""
        texts = {number: text for text, number in self._text_ids.items()}
        for number in map(int, ids):
            odd = number - _NO_IDS
            known = texts.get(number, number)
            name = self._odd_names.get(number, "") if what == "category " else ""
            yield f"{what}{self._no_ids[odd] if odd < len(self._no_ids) else known}{name}"
