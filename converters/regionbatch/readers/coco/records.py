"""The records of one COCO JSON as columns: typed where they are plain, one by one where they are not."""

from __future__ import annotations

import re
from array import array
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import astuple

from regionbatch.files.text import as_number, as_side
from regionbatch.readers.coco import segmentation
from regionbatch.readers.coco.jsonpieces import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog
    from regionbatch.readers.coco.jsonpieces import Piece

_NO_IDS = -(2**63)
"""What is no id has a number of its own from here on, so that no two of them are one."""
_TEXT_IDS = -(2**62)
"""Ids that are text, or too long, have a number from here on downwards."""

_NAME = r"[^./\\\s]"
"""A file name has something of this in it; others, as `./`, name nothing."""

Id = Annotated[int, msgspec.Meta(gt=_TEXT_IDS, lt=-_TEXT_IDS)]


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: Annotated[str, msgspec.Meta(pattern=_NAME)]
    width: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0
    height: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0


class _Category(msgspec.Struct, gc=False):
    id: Id
    name: str


class _Annotation(msgspec.Struct, gc=False, kw_only=True):
    # In the order of COCO's own files: a key is looked for first where it is expected.
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    image_id: Id
    bbox: tuple[float, float, float, float]
    category_id: Id
    id: Id = -1


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
    crowd, image, bbox, category, id_ = _columns(records) or [()] * 5
    ids = np.fromiter(id_ + image + category, np.int64, 3 * len(records)).reshape(3, -1)
    box = np.fromiter(chain.from_iterable(bbox), np.float64, 4 * len(records)).reshape(-1, 4)
    return _Boxes(ids, box, np.flatnonzero(crowd) if any(crowd) else np.empty(0, np.int64))


WANTED = {
    "images": Kind(_Image, _gather_images),
    "categories": Kind(_Category, _gather_categories),
    "annotations": Kind(_Annotation, _gather_annotations),
}


class Columns:
    """The records of one JSON as they come, piece by piece."""

    def __init__(self, file: int, report: FindingLog) -> None:
        self._file, self._report = file, report
        self._text_ids: dict[str, int] = {}
        self._no_ids: list[object] = []
        self.images = Images([], [], [], [])
        self.categories: list[tuple[int, str]] = []
        # Arrays that grow in place: joining thousands at the end would need their memory twice.
        self._ids = array("q"), array("q"), array("q")
        self._boxes = array("d")
        self.marks: dict[str, list[int]] = {"box_from_segmentation": [], "crowd": []}
        self.masks: dict[int, tuple[int, int]] = {}
        """Width and height of the masks, by the rows that have their boxes."""
        self._met = dict.fromkeys(WANTED, 0)

    def add(self, piece: Piece) -> None:
        """Take a piece, typed or plain."""
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
        for number, record in enumerate(records, self._met["annotations"] + 1):
            id_ = self._id(record.get("id")) if isinstance(record, dict) else None
            where = id_ if id_ is not None and id_ >= 0 else -number
            box, code = _read_box(record)
            if code != "no_box":
                self._report.read(boxes=1)
            if box is None:
                value = None if code == "no_box" else [_shown(record)]
                self._report.add(code, self._file, where, value, place="annotation")
                continue
            self._mark(self.rows + len(boxes), code, record)
            ids.append((where, self._known_id(record.get("image_id")), self._known_id(record.get("category_id"))))
            boxes.append(box)
        self._append(np.asarray(ids, np.int64).reshape(-1, 3).T, np.asarray(boxes, np.float64).reshape(-1, 4))

    def _mark(self, row: int, code: str, record: dict[str, Any]) -> None:
        if code:
            self.marks[code].append(row)
            if size := segmentation.mask_size(record["segmentation"]):
                self.masks[row] = size
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
        found = Images([], [], [], [])
        for number, record in enumerate(records, self._met["images"] + 1):
            id_ = self._id(record.get("id")) if isinstance(record, dict) else None
            name = _name_of(record) if isinstance(record, dict) else ""
            if id_ is None or not name:
                self._report.add("not_an_image", self._file, -number, [record], place="image")
                continue
            found.id.append(id_)
            found.file_name.append(name)
            found.width.append(as_side(record.get("width")))
            found.height.append(as_side(record.get("height")))
        return found

    def _plain_categories(self, records: list[Any]) -> Iterable[tuple[int, str]]:
        for record in records:
            id_ = self._id(record.get("id")) if isinstance(record, dict) else None
            if id_ is not None:
                yield id_, "" if record.get("name") is None else str(record["name"])

    def _id(self, value: object) -> int | None:
        """An id as a number, so that 1, 1.0 and "1" are one; others get a number of their own, far below."""
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str):
            value = value.strip()
            if not re.fullmatch(r"[+-]?\d{1,99}(\.0*)?", value):
                return self._text_ids.setdefault(value, _TEXT_IDS - len(self._text_ids))
            value = int(value.split(".")[0])
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        if abs(value) < -_TEXT_IDS:
            return value
        return self._text_ids.setdefault(str(value), _TEXT_IDS - len(self._text_ids))

    def _known_id(self, value: object) -> int:
        """The same; what is no id gets a number that no id has."""
        id_ = self._id(value)
        if id_ is None:
            self._no_ids.append(value)
            id_ = _NO_IDS + len(self._no_ids) - 1
        return id_

    def id_texts(self, ids: NDArray[np.int64], what: str) -> Iterator[str]:
        """Ids as they stood in the file, with a word before each that says of what."""
        texts = {number: text for text, number in self._text_ids.items()}
        for number in map(int, ids):
            odd = number - _NO_IDS
            known = texts.get(number, number)
            yield f"{what}{self._no_ids[odd] if odd < len(self._no_ids) else known}"


def _read_box(record: object) -> tuple[tuple[float, ...] | None, str]:
    """The four numbers of a record, and the code that marks them, if any; or None and why there are none."""
    if not isinstance(record, dict):
        return None, "not_a_box"
    bbox, shape = record.get("bbox"), record.get("segmentation")
    if not _is_empty(bbox):
        return _numbers(bbox), "" if _numbers(bbox) else "not_a_box"
    if not _is_empty(shape):
        return (around, "box_from_segmentation") if (around := segmentation.bbox(shape)) else (None, "not_a_box")
    return None, "not_a_box" if "bbox" in record else "no_box"


def _is_empty(value: object) -> bool:
    """Whether nothing is in a value: it is None, or has no length."""
    return value is None or (isinstance(value, (str, list, tuple, dict, np.ndarray)) and not len(value))


def _shown(record: object) -> object:
    """What stands in place of a box in a record that has none."""
    if not isinstance(record, dict):
        return record
    shape = record.get("segmentation")
    return record.get("bbox") if not _is_empty(record.get("bbox")) or _is_empty(shape) else f"segmentation {shape}"


def _name_of(record: Mapping[str, Any]) -> str:
    """The file name of an image, or the last part of the address that it comes from; empty: it has none."""
    name = record.get("file_name")
    if _is_empty(name):
        urls = (record.get(key) for key in ("coco_url", "flickr_url"))
        url = next((url for url in urls if isinstance(url, str)), "")
        name = re.split(r"[?#]", url)[0].rpartition("/")[2]
    return name if isinstance(name, str) and re.search(_NAME, name) else ""


def _numbers(bbox: object) -> tuple[float, ...] | None:
    """Four numbers, also where they are written as text."""
    if not isinstance(bbox, (list, tuple, np.ndarray)) or len(bbox) != 4:
        return None
    try:
        return tuple(map(as_number, bbox))
    except (TypeError, ValueError, OverflowError):
        return None
