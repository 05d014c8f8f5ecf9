"""COCO: one JSON of images, categories and annotations, or a folder of them.

Sources of the rules: the data format page of COCO (bbox is x, y, width, height in pixels, measured from the image's
corner); Microsoft's vision-datasets for `bbox_format` and for boxes that are already shares.
"""

from __future__ import annotations

import re
from array import array
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import astuple

from regionbatch.boxes import BoxMode
from regionbatch.dataset import RawAnnotations, tidy
from regionbatch.errors import DatasetError, OptionError
from regionbatch.findings import on_one_line
from regionbatch.options import CocoOptions
from regionbatch.readers import segmentation
from regionbatch.readers.coco_files import coco_files, home_of, of_file, of_folder
from regionbatch.readers.coco_pictures import Listing, Source, finder
from regionbatch.readers.coco_units import Evidence, evidence, in_shares
from regionbatch.readers.files import PictureFinder, tree_of
from regionbatch.readers.jsonpieces import NESTED, Kind, Piece, Pieces, document
from regionbatch.readers.text import as_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import Report
    from regionbatch.options import ReadOptions

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


class _Images(NamedTuple):
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


def _gather_images(records: list[_Image]) -> _Images:
    return _Images(*map(list, _columns(records))) if records else _Images([], [], [], [])


def _gather_categories(records: list[_Category]) -> list[tuple[int, str]]:
    return [(record.id, record.name) for record in records]


def _gather_annotations(records: list[_Annotation]) -> _Boxes:
    crowd, image, bbox, category, id_ = _columns(records) or [()] * 5
    ids = np.fromiter(id_ + image + category, np.int64, 3 * len(records)).reshape(3, -1)
    box = np.fromiter(chain.from_iterable(bbox), np.float64, 4 * len(records)).reshape(-1, 4)
    return _Boxes(ids, box, np.flatnonzero(crowd) if any(crowd) else np.empty(0, np.int64))


_WANTED = {
    "images": Kind(_Image, _gather_images),
    "categories": Kind(_Category, _gather_categories),
    "annotations": Kind(_Annotation, _gather_annotations),
}
_ORDERS = {"": "ltwh", "null": "ltwh", "ltwh": "ltwh", "xywh": "ltwh", "coco": "ltwh", "ltrb": "ltrb", "xyxy": "ltrb"}
"""What `bbox_format` may say in a file."""


class CocoReader:
    """Reads COCO files; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a COCO JSON with images, categories and annotations, or a folder with such files"
    options: ClassVar[type[ReadOptions]] = CocoOptions

    def claims(self, path: Path) -> str | None:
        """Why this is COCO: a JSON whose beginning and end have the keys of one."""
        if path.is_file():
            return "a JSON file" if path.suffix.lower() == ".json" else None
        found = coco_files(tree_of(path))
        return found[0] + (f" and {len(found) - 1} more" if len(found) > 1 else "") if found else None

    def read(self, path: Path, options: CocoOptions, report: Report) -> RawAnnotations:
        """Read one JSON, or all splits of a folder."""
        if path.is_file():
            home = home_of(path)
            tree, chosen = tree_of(home), of_file(path, home, options)
        else:
            tree = tree_of(path)
            chosen = of_folder(tree, options, report)
        collected = _Collected(report, options)
        for split, (name, prefix) in chosen.items():
            source = Source(name, split, prefix, finder(tree, name, split, chosen, options.image_dir))
            with document(Path(tree.on_disk(name))) as opened:
                pieces = Pieces(opened, name, _WANTED, longest="annotations")
                collected.add_file(source, pieces, pieces.scalars, len(opened[1]))
                if pieces.guessed_encoding:
                    report.note("odd_encoding", name)
        if path.is_dir():
            tree.report_strays(report, ".json")
        return collected.annotations()

    def read_loaded(self, content: Mapping[str, Any], options: CocoOptions, report: Report) -> RawAnnotations:
        """Read what `json.load` made of a COCO file, as `pycocotools.coco.COCO(…).dataset` has it.

        Raises:
            DatasetError: Something else stands in place of its arrays.
            OptionError: An option for files is given.
        """
        for name, value in (("split", options.split), ("coco_json", options.coco_json)):
            if value:
                raise OptionError(f"{name}: a loaded COCO has no files, got {value}; leave it out")
        for key in _WANTED:
            if not isinstance(content.get(key), (list, tuple, type(None))):
                kind = type(content[key]).__name__
                raise DatasetError(f"COCO: {key} must be a list, got {kind}; load a COCO file into it")
        collected = _Collected(report, options)
        arrays = {key: list(content.get(key) or ()) for key in _WANTED}
        pieces = [Piece(key, 0, len(records), None, records) for key, records in arrays.items()]
        header = {key: _as_scalar(value) for key, value in content.items()}
        pictures = PictureFinder(tree_of(options.image_dir), [""], None) if options.image_dir else None
        collected.add_file(Source("COCO", "", "", pictures), pieces, header)
        return collected.annotations()


class _Columns:
    """The records of one JSON as they come, piece by piece."""

    def __init__(self, file: int, report: Report) -> None:
        self._file, self._report = file, report
        self._text_ids: dict[str, int] = {}
        self._no_ids: list[object] = []
        self.images = _Images([], [], [], [])
        self.categories: list[tuple[int, str]] = []
        # Arrays that grow in place: joining thousands at the end would need their memory twice.
        self._ids = array("q"), array("q"), array("q")
        self._boxes = array("d")
        self.marks: dict[str, list[int]] = {"box_from_segmentation": [], "crowd": []}
        self.masks: dict[int, tuple[int, int]] = {}
        """Width and height of the masks, by the rows that have their boxes."""
        self._met = dict.fromkeys(_WANTED, 0)

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

    def _add_images(self, found: _Images) -> None:
        self.images.id.extend(found.id)
        self.images.file_name.extend(found.file_name)
        self.images.width.extend(found.width)
        self.images.height.extend(found.height)

    def _plain_images(self, records: list[Any]) -> _Images:
        found = _Images([], [], [], [])
        for number, record in enumerate(records, self._met["images"] + 1):
            id_ = self._id(record.get("id")) if isinstance(record, dict) else None
            name = _name_of(record) if isinstance(record, dict) else ""
            if id_ is None or not name:
                self._report.add("not_an_image", self._file, -number, [record], place="image")
                continue
            found.id.append(id_)
            found.file_name.append(name)
            found.width.append(_side(record.get("width")))
            found.height.append(_side(record.get("height")))
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


class _Read(NamedTuple):
    """What is known of the boxes of a file that was read."""

    corners: bool
    told: Evidence
    masks: list[int]
    """The rows, counted within the file, that have the boxes of masks."""
    sides: list[tuple[int, int]]
    """Width and height of the image, in whose pixels the boxes of these masks are."""


class _Collected:
    """The annotations of all files of a data set, with codes into common tables."""

    def __init__(self, report: Report, options: CocoOptions) -> None:
        self._report, self._options = report, options
        self._images = Listing(report)
        self._tags: dict[str, int] = {}
        self._files: dict[str, _Read] = {}
        self._rows = 0
        self._columns: dict[str, list[NDArray[Any]]] = {"box": [], "image": [], "tag": [], "file": [], "where": []}
        self._marks: dict[str, list[NDArray[np.int64]]] = {}

    def add_file(self, source: Source, pieces: Iterable[Piece], header: Mapping[str, str], size: int = 0) -> None:
        """Read all pieces of a file and look up its ids.

        `header` has the other values of the file; it need not be whole before the pieces are taken.

        Raises:
            DatasetError: It has no images, or boxes of an unknown form.
        """
        file = self._report.file(source.name)
        columns = _Columns(file, self._report)
        for piece in pieces:
            columns.add(piece)
            self._report.progress(f"reading {source.name}", piece.done, size)
        corners = self._check(source.name, header)
        image_index, tag_index = self._add_images(columns.images, source), self._add_tags(columns.categories)
        ids, box = columns.ids(), columns.boxes()
        where, image, tag = ids[0], _look_up(ids[1], image_index), _look_up(ids[2], tag_index)
        self._report_ids(columns, ids, image, tag, file)
        good = (image >= 0) & (tag >= 0)
        if columns.masks:
            self._fit_masks(columns.masks, box, image, good, file, where)
        if corners:
            around = columns.marks["box_from_segmentation"]
            box[around, 2:] += box[around, :2]
        row_now = np.cumsum(good) - 1
        for code, marked in columns.marks.items():
            rows = np.asarray(marked, np.int64)
            self._marks.setdefault(code, []).append(self._rows + row_now[rows[good[rows]]])
        masks = [row for row in columns.masks if good[row]]
        sides = [self._side_of(image[row], columns.masks[row]) for row in masks]
        masks = [int(row_now[row]) for row in masks]
        if not good.all():
            box, image, tag, where = box[good], image[good], tag[good], where[good]
        telling = np.delete(np.arange(len(box)), masks) if masks else slice(None)
        self._files[source.name] = _Read(corners, evidence(box[telling], where[telling], corners=corners), masks, sides)
        self._rows += len(box)
        for key, column in (("box", box), ("image", image), ("tag", tag), ("where", where)):
            self._columns[key].append(column)
        self._columns["file"].append(np.full(len(box), file, np.int32))

    def _check(self, name: str, header: Mapping[str, str]) -> bool:
        """Whether the numbers of a file are corners; and whether it has all that is needed."""
        if header.get("images", "null") == "null":
            keys = on_one_line(", ".join([*header][:5])) or "an empty object"
            needed = "needed is a JSON object with images, annotations and categories"
            raise DatasetError(f"{name}: there is no array of images, got {keys}; {needed}")
        if header.get("annotations", "null") == "null":
            self._report.note("no_annotations", name)
        declared = header.get("bbox_format", "")
        order = self._options.bbox_format
        if order == "auto":
            order = _ORDERS.get(declared.strip().lower(), "")
        if not order:
            options = "--bbox-format ltwh or --bbox-format ltrb"
            shown = on_one_line(declared)
            raise DatasetError(f"{name}: an order of numbers that is not known, got {shown}; choose with {options}")
        return order == "ltrb"

    def _report_ids(
        self,
        columns: _Columns,
        ids: Sequence[NDArray[np.int64]],
        image: NDArray[np.int32],
        tag: NDArray[np.int32],
        file: int,
    ) -> None:
        """Say whose ids lead nowhere, or to more than one image or category."""
        for code, bad, what, values in (
            ("unknown_image", image == _UNKNOWN, "", ids[1]),
            ("ambiguous_id", image == _AMBIGUOUS, "image ", ids[1]),
            ("unknown_category", (image >= 0) & (tag == _UNKNOWN), "", ids[2]),
            ("ambiguous_id", (image >= 0) & (tag == _AMBIGUOUS), "category ", ids[2]),
            ("unknown_class", (image >= 0) & (tag == _NAMELESS), "category ", ids[2]),
        ):
            if bad.any():
                told = columns.id_texts(values[bad], what)
                self._report.add(code, file, ids[0][bad], told, place="annotation")

    def _fit_masks(
        self,
        masks: Mapping[int, tuple[int, int]],
        box: NDArray[np.float64],
        image: NDArray[np.int32],
        good: NDArray[np.bool_],
        file: int,
        where: NDArray[np.int64],
    ) -> None:
        """Scale the boxes of masks, by their rows, to the pixels of their images; one of another shape is no box."""
        for row, mask in masks.items():
            if good[row]:
                side = self._side_of(image[row], mask)
                if abs(side[0] * mask[1] - side[1] * mask[0]) > max(sum(side), sum(mask)):  # more than rounding
                    value = "a mask of {} x {} on an image of {} x {}".format(*mask, *side)
                    self._report.add("not_a_box", file, int(where[row]), [value], place="annotation")
                    good[row] = False
                box[row] *= np.divide(side * 2, mask * 2)

    def _side_of(self, image: int, mask: tuple[int, int]) -> tuple[int, int]:
        """Width and height of an image; those of a mask on it, if it declares none."""
        size = self._images.width[image], self._images.height[image]
        return size if all(size) else mask

    def annotations(self) -> RawAnnotations:
        """Everything that was added.

        Raises:
            AmbiguousDatasetError: It cannot be told whether boxes are pixels or shares.
        """
        report, files = self._report, self._files
        box = _joined(self._columns["box"], np.empty((0, 4)))
        told = {name: one.told for name, one in files.items()}
        shares = in_shares(told, self._options.coco_boxes, report)
        corners = all(one.corners for one in files.values())
        self._decide_order()
        starts = np.cumsum([0, *map(len, self._columns["box"])])
        for start, one, end in zip(starts, files.values(), starts[1:], strict=False):
            if shares and one.masks:
                box[start + np.asarray(one.masks)] /= np.tile(one.sides, 2)
            if one.corners and not corners:  # beside files that have none
                with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and what is no number
                    box[start:end, 2:] -= box[start:end, :2]
        return RawAnnotations(
            mode=_MODES[corners, shares],
            box=box,
            image=_joined(self._columns["image"], np.empty(0, np.int32)),
            tag=_joined(self._columns["tag"], np.empty(0, np.int32)),
            images=self._images.images(),
            tags=list(self._tags),
            file=_joined(self._columns["file"], np.empty(0, np.int32)),
            where=_joined(self._columns["where"], np.empty(0, np.int64)),
            place="annotation",
            marks={code: np.concatenate(rows) for code, rows in self._marks.items()},
        )

    def _decide_order(self) -> None:
        asked = self._options.bbox_format
        said = [name for name, one in self._files.items() if one.corners]
        rest = [name for name, one in self._files.items() if not one.corners]
        if asked != "auto":
            self._report.decide("bbox_format", asked, "as asked")
        elif said:
            others = f"; ltwh in {', '.join(rest)}" if rest else ""
            self._report.decide("bbox_format", "ltrb", f"as declared in {', '.join(said)}{others}")

    def _add_images(self, listed: _Images, source: Source) -> dict[int, int]:
        """Add images to the table; their codes by id, `_AMBIGUOUS` for an id that two different images have."""
        first, ids = len(self._images), listed.id
        self._images.add(source, listed.file_name, listed.width, listed.height)
        names = self._images.names
        index = dict(zip(reversed(ids), range(len(names) - 1, first - 1, -1), strict=True))  # of twins, the first
        for code, id_ in enumerate(ids if len(index) < len(ids) else (), first):
            twin = index[id_]
            if twin != _AMBIGUOUS and names[twin] != names[code]:
                index[id_] = _AMBIGUOUS
        return index

    def _add_tags(self, records: Sequence[tuple[int, str]]) -> dict[int, int]:
        """Add tags; their codes by id, `_AMBIGUOUS` for an id that two have, `_NAMELESS` for that of none."""
        index: dict[int, int] = {}
        names: dict[int, str] = {}
        for id_, name in records:
            code = self._tags.setdefault(name, len(self._tags)) if tidy(name) else _NAMELESS
            index.setdefault(id_, code)
            if names.setdefault(id_, tidy(name)) != tidy(name):
                index[id_] = _AMBIGUOUS
        return index


_UNKNOWN, _AMBIGUOUS, _NAMELESS = -1, -2, -3
_MODES = {
    (False, False): BoxMode.XYWH_ABS,
    (False, True): BoxMode.XYWH_REL,
    (True, False): BoxMode.XYXY_ABS,
    (True, True): BoxMode.XYXY_REL,
}


def _look_up(ids: NDArray[np.int64], index: Mapping[int, int]) -> NDArray[np.int32]:
    """The codes of ids; `_UNKNOWN` for those not in the index."""
    if not index:
        return np.full(len(ids), _UNKNOWN, np.int32)
    keys = np.fromiter(index, np.int64, len(index))
    codes = np.fromiter(index.values(), np.int32, len(index))
    low, high = int(keys.min()), int(keys.max())
    if high - low < 16 * (len(keys) + len(ids)):  # close together: a table is five times as fast as searching
        table = np.full(high - low + 3, _UNKNOWN, np.int32)  # one more at both ends, for all others
        table[keys - (low - 1)] = codes
        found: NDArray[np.int32] = table[np.clip(ids, low - 1, high + 1) - (low - 1)]
        return found
    order = np.argsort(keys)
    keys, codes = keys[order], codes[order]
    at = np.minimum(np.searchsorted(keys, ids), len(keys) - 1)
    return np.where(keys[at] == ids, codes[at], np.int32(_UNKNOWN))


def _joined(arrays: Sequence[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    """Arrays one behind the other; `empty` if there are none. A single one is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate([empty, *arrays])


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


def _as_scalar(value: object) -> str:
    """A value of a loaded COCO as `Pieces.scalars` has those of a file."""
    if value is None:
        return "null"
    return NESTED if isinstance(value, (list, tuple, dict)) else str(value)


def _numbers(bbox: object) -> tuple[float, ...] | None:
    """Four numbers, also where they are written as text."""
    if not isinstance(bbox, (list, tuple, np.ndarray)) or len(bbox) != 4:
        return None
    try:
        return tuple(map(as_number, bbox))
    except (TypeError, ValueError, OverflowError):
        return None


def _side(value: Any) -> int:  # noqa: ANN401 - anything may stand in a file
    """A declared width or height; 0 where none can be made out."""
    try:
        side = as_number(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(side) if 0 < side < 2**31 and side == int(side) else 0
