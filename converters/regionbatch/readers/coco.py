"""COCO: one JSON of images, categories and annotations, or a folder of them.

Sources of the rules: the data format page of COCO (bbox is x, y, width, height in pixels, measured from the image's
corner); Microsoft's vision-datasets for `bbox_format` and for boxes that are already shares.
"""

from __future__ import annotations

import re
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.dataset import Images, RawAnnotations
from regionbatch.errors import AmbiguousDatasetError
from regionbatch.options import CocoOptions
from regionbatch.readers import segmentation
from regionbatch.readers.coco_files import coco_files, of_file, of_folder
from regionbatch.readers.files import PictureFinder, Tree, leaves, tree_of
from regionbatch.readers.jsonpieces import Piece, Pieces, document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import Report
    from regionbatch.options import ReadOptions

_NO_ID = -(2**63)
_TEXT_IDS = -(2**62)


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


class _Annotation(msgspec.Struct, gc=False):
    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    id: Id = -1
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0


_WANTED: Mapping[str, type[msgspec.Struct]] = {"images": _Image, "categories": _Category, "annotations": _Annotation}
_ANNOTATION_FOLDERS = frozenset({"annotations", "annotation", "labels"})


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
            home = path.parent.parent if path.parent.name.lower() in _ANNOTATION_FOLDERS else path.parent
            tree, chosen = tree_of(home), of_file(path, home, options)
        else:
            tree = tree_of(path)
            chosen = of_folder(tree, options, report)
        collected = _Collected(report, options)
        for split, name in chosen.items():
            with document(Path(tree.on_disk(name))) as opened:
                pieces = Pieces(opened, name, _WANTED)
                collected.add_file(name, split, pieces, _finder(tree, name, options), len(opened[1]))
                collected.add_format(pieces.scalars.get("bbox_format", ""))
                if pieces.guessed_encoding:
                    report.add("odd_encoding", 0, table=[name])
        tree.report_strays(report, ".json")
        return collected.annotations()

    def read_loaded(self, content: Mapping[str, Any], options: CocoOptions, report: Report) -> RawAnnotations:
        """Read what `json.load` made of a COCO file, as `pycocotools.coco.COCO(…).dataset` has it."""
        collected = _Collected(report, options)
        pieces = [Piece[Any](key, 0, None, list(content.get(key) or ())) for key in _WANTED]
        finder = PictureFinder(tree_of(options.image_dir), [""], None) if options.image_dir else None
        collected.add_file("COCO", "", pieces, finder)
        collected.add_format(str(content.get("bbox_format", "")))
        return collected.annotations()


class _Columns:
    """The records of one JSON as they come, piece by piece."""

    def __init__(self, file: int, report: Report) -> None:
        self._file, self._report = file, report
        self._text_ids: dict[str, int] = {}
        self.images: list[tuple[int, str, int, int]] = []
        self.categories: list[tuple[int, str]] = []
        self.ids: list[NDArray[np.int64]] = []
        """Per piece (3, k): annotation, image, category."""
        self.boxes: list[NDArray[np.float64]] = []
        self.marks: dict[str, list[int]] = {"box_from_segmentation": [], "crowd": []}
        self.rows = 0
        self._met = dict.fromkeys(_WANTED, 0)

    def add(self, piece: Piece[Any]) -> None:
        """Take a piece, typed or plain."""
        records = piece.plain if piece.typed is None else piece.typed
        if piece.key == "annotations":
            if piece.typed is None:
                self._add_plain_annotations(records)
            else:
                self._add_typed_annotations(records)
        elif piece.key == "images":
            self._report.read(images=len(records))
            self.images += map(_image_fields, records) if piece.typed else self._plain_images(records)
        else:
            self.categories += map(_category_fields, records) if piece.typed else self._plain_categories(records)
        self._met[piece.key] += len(records)

    def _add_typed_annotations(self, records: list[_Annotation]) -> None:
        count = len(records)
        self._report.read(boxes=count)
        ids = np.stack([np.fromiter(map(get, records), np.int64, count) for get in _annotation_ids])
        unnamed = np.flatnonzero(ids[0] < 0)
        ids[0, unnamed] = -1 - self._met["annotations"] - unnamed
        crowd = np.fromiter(map(_annotation_crowd, records), np.bool_, count)
        self.marks["crowd"] += (np.flatnonzero(crowd) + self.rows).tolist()
        flat = [number for record in records for number in record.bbox]
        self._append(ids, np.fromiter(flat, np.float64, 4 * count).reshape(-1, 4))

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
                value = record.get("bbox") if isinstance(record, dict) else record
                self._report.add(code, self._file, where, None if code == "no_box" else [value], place="annotation")
                continue
            if code:
                self.marks[code].append(self.rows + len(boxes))
            if record.get("iscrowd") in (1, "1", True):
                self.marks["crowd"].append(self.rows + len(boxes))
            image, category = self._id(record.get("image_id")), self._id(record.get("category_id"))
            ids.append((where, _NO_ID if image is None else image, _NO_ID if category is None else category))
            boxes.append(box)
        self._append(np.asarray(ids, np.int64).reshape(-1, 3).T, np.asarray(boxes, np.float64).reshape(-1, 4))

    def _append(self, ids: NDArray[np.int64], boxes: NDArray[np.float64]) -> None:
        self.ids.append(ids)
        self.boxes.append(boxes)
        self.rows += len(boxes)

    def _plain_images(self, records: list[Any]) -> Iterable[tuple[int, str, int, int]]:
        for number, record in enumerate(records, self._met["images"] + 1):
            id_ = self._id(record.get("id")) if isinstance(record, dict) else None
            name = record.get("file_name") if isinstance(record, dict) else None
            if id_ is None or not isinstance(name, str) or not re.search(_NAME, name):
                self._report.add("not_an_image", self._file, -number, [record], place="image")
            else:
                yield id_, name, _side(record.get("width")), _side(record.get("height"))

    def _plain_categories(self, records: list[Any]) -> Iterable[tuple[int, str]]:
        for record in records:
            id_ = self._id(record.get("id")) if isinstance(record, dict) else None
            if id_ is not None and record.get("name") is not None:
                yield id_, str(record["name"])

    def _id(self, value: object) -> int | None:
        """An id as a number, so that 1, 1.0 and "1" are one; other text gets a number of its own, far below."""
        if isinstance(value, str):
            value = value.strip()
            if not re.fullmatch(r"[+-]?\d{1,18}(\.0*)?", value):
                return self._text_ids.setdefault(value, _TEXT_IDS - len(self._text_ids))
            return int(value.split(".")[0])
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < -_TEXT_IDS:
            return None
        return int(value) if value == int(value) else None

    def id_texts(self, ids: NDArray[np.int64]) -> Iterator[object]:
        """Ids as they stood in the file."""
        texts = {number: text for text, number in self._text_ids.items()} | {_NO_ID: "nothing that is an id"}
        return (texts.get(number, number) for number in map(int, ids))


_annotation_ids = [attrgetter(name) for name in ("id", "image_id", "category_id")]
_annotation_crowd = attrgetter("iscrowd")
_image_fields = attrgetter("id", "file_name", "width", "height")
_category_fields = attrgetter("id", "name")


class _Collected:
    """The annotations of all files of a data set, with codes into common tables."""

    def __init__(self, report: Report, options: CocoOptions) -> None:
        self._report, self._options = report, options
        self._names: list[str] = []
        self._paths: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        self._splits: list[int] = []
        self._split_names: list[str] = []
        self._tags: list[str] = []
        self._formats: list[str] = []
        self._rows = 0
        self._columns: dict[str, list[NDArray[Any]]] = {"box": [], "image": [], "tag": [], "file": [], "where": []}
        self._marks: dict[str, list[NDArray[np.int64]]] = {}

    def add_file(
        self, name: str, split: str, pieces: Iterable[Piece[Any]], finder: PictureFinder | None, size: int = 0
    ) -> None:
        """Read all pieces of a file and look up its ids."""
        report, file = self._report, self._report.file(name)
        columns = _Columns(file, report)
        for piece in pieces:
            columns.add(piece)
            report.progress(f"reading {name}", piece.done, size)
        image_index = self._add_images(columns.images, split, name, finder)
        tag_index = self._add_tags(columns.categories)
        ids = np.concatenate([np.empty((3, 0), np.int64), *columns.ids], axis=1)
        box = np.concatenate([np.empty((0, 4)), *columns.boxes])
        where, image, tag = ids[0], _look_up(ids[1], image_index), _look_up(ids[2], tag_index)
        good = (image >= 0) & (tag >= 0)
        for code, bad, values in (
            ("unknown_image", image == _UNKNOWN, ids[1]),
            ("ambiguous_id", image == _AMBIGUOUS, ids[1]),
            ("unknown_category", (image >= 0) & (tag == _UNKNOWN), ids[2]),
            ("ambiguous_id", (image >= 0) & (tag == _AMBIGUOUS), ids[2]),
        ):
            if bad.any():
                report.add(code, file, where[bad], columns.id_texts(values[bad]), place="annotation")
        row_now = np.cumsum(good) - 1 + self._rows
        for code, marked in columns.marks.items():
            marked_rows = np.asarray(marked, np.int64)
            self._marks.setdefault(code, []).append(row_now[marked_rows[good[marked_rows]]])
        if not good.all():
            box, image, tag, where = box[good], image[good], tag[good], where[good]
        self._rows += len(box)
        for key, column in (("box", box), ("image", image), ("tag", tag), ("where", where)):
            self._columns[key].append(column)
        self._columns["file"].append(np.full(len(box), file, np.int32))

    def add_format(self, bbox_format: str) -> None:
        """Say what `bbox_format` the file just added declares."""
        asked = self._options.bbox_format
        declared = "ltrb" if bbox_format.lower() == "ltrb" else "ltwh"
        self._formats.append(declared if asked == "auto" else asked)
        if asked != "auto":
            self._report.decide("bbox_format", asked, "as asked")
        elif declared == "ltrb":
            self._report.decide("bbox_format", "ltrb", "the file says so")

    def annotations(self) -> RawAnnotations:
        """Everything that was added."""
        box = _joined(self._columns["box"], np.empty((0, 4)))
        image = _joined(self._columns["image"], np.empty(0, np.int32))
        sizes = np.asarray(self._sizes, np.int32).reshape(-1, 2)
        corners = set(self._formats) == {"ltrb"}
        if not corners:
            starts = np.cumsum([0, *map(len, self._columns["box"])])
            for start, end, bbox_format in zip(starts, starts[1:], self._formats, strict=False):
                if bbox_format == "ltrb":  # beside files that are not
                    with np.errstate(over="ignore", invalid="ignore"):  # as in `_in_shares`
                        box[start:end, 2:] -= box[start:end, :2]
        shares = _in_shares(box, sizes[image], corners, self._options.coco_boxes, self._report)
        return RawAnnotations(
            mode=_MODES[corners, shares],
            box=box,
            image=image,
            tag=_joined(self._columns["tag"], np.empty(0, np.int32)),
            images=Images(
                self._names,
                sizes[:, 0],
                sizes[:, 1],
                self._paths,
                np.asarray(self._splits, np.int32),
                self._split_names,
            ),
            tags=self._tags,
            file=_joined(self._columns["file"], np.empty(0, np.int32)),
            where=_joined(self._columns["where"], np.empty(0, np.int64)),
            place="annotation",
            marks={code: np.concatenate(rows) for code, rows in self._marks.items()},
        )

    def _add_images(
        self, records: Sequence[tuple[int, str, int, int]], split: str, file: str, finder: PictureFinder | None
    ) -> dict[int, int]:
        """Add images to the tables; their codes by id, `_AMBIGUOUS` for an id that two different images have."""
        if split and split not in self._split_names:
            self._split_names.append(split)
        self._splits += [self._split_names.index(split) if split else -1] * len(records)
        self._sizes += [(width, height) for _, _, width, height in records]
        first, names = len(self._names), self._names
        listed = [name.replace("\\", "/").removeprefix("./") for _, name, _, _ in records]
        outside = {row for row, name in enumerate(listed) if leaves(name)}
        folder = file.rpartition("/")[0]
        prefix = f"{folder}/" if folder and folder.rpartition("/")[2].lower() not in _ANNOTATION_FOLDERS else ""
        names += [name if row in outside else prefix + name for row, name in enumerate(listed)]
        self._paths += [""] * len(listed)
        found = finder.find_all(listed) if finder else {}
        for row, (name, path) in found.items():
            names[first + row], self._paths[first + row] = name, path
        self._report.add("outside_dataset", np.asarray(sorted(outside), np.int32) + np.int32(first), table=names)
        return self._codes_by_id([id_ for id_, _, _, _ in records], first)

    def _codes_by_id(self, ids: Sequence[int], first: int) -> dict[int, int]:
        codes = dict(zip(ids, range(first, first + len(ids)), strict=True))
        if len(codes) < len(ids):
            for code, id_ in enumerate(ids, first):
                twin = codes[id_]
                if twin != _AMBIGUOUS and self._names[twin] != self._names[code]:
                    codes[id_] = _AMBIGUOUS
        return codes

    def _add_tags(self, records: Sequence[tuple[int, str]]) -> dict[int, int]:
        index: dict[int, int] = {}
        for id_, name in records:
            if name not in self._tags:
                self._tags.append(name)
            code = self._tags.index(name)
            if index.setdefault(id_, code) != code:
                index[id_] = _AMBIGUOUS
        return index


_UNKNOWN, _AMBIGUOUS = -1, -2
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
    low, span = int(keys.min()), int(keys.max()) - int(keys.min()) + 1
    if span <= 16 * (len(keys) + len(ids)):  # ids that lie close together: a table, five times as fast as searching
        table = np.full(span + 1, _UNKNOWN, np.int32)
        table[keys - low] = codes
        return table[np.where((ids >= low) & (ids < low + span), ids - low, span)]
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
    if bbox not in (None, [], ""):
        return _numbers(bbox), "" if _numbers(bbox) else "not_a_box"
    if shape not in (None, [], "", {}):
        return (around, "box_from_segmentation") if (around := segmentation.bbox(shape)) else (None, "not_a_box")
    return None, "not_a_box" if "bbox" in record else "no_box"


def _numbers(bbox: object) -> tuple[float, ...] | None:
    """Four numbers, also where they are written as text."""
    if not isinstance(bbox, (list, tuple)) or len(bbox) != 4 or any(isinstance(part, bool) for part in bbox):
        return None
    try:
        return tuple(map(float, bbox))
    except (TypeError, ValueError, OverflowError):
        return None


def _side(value: Any) -> int:  # noqa: ANN401 - anything may stand in a file
    """A declared width or height; 0 where none can be made out."""
    try:
        side = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(side) if 0 < side < 2**31 and side == int(side) else 0


def _in_shares(box: NDArray[np.float64], size: NDArray[np.int32], corners: bool, wanted: str, report: Report) -> bool:
    """Whether boxes are shares of the image's sides and not pixels."""
    if wanted != "auto":
        report.decide("coco_boxes", wanted, "as asked")
        return wanted == "normalised"
    finite = boxes.finite(box)
    first, second = box[:, :2], box[:, 2:]
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and what is no number
        small = (second if corners else first + second) <= 1 + boxes.NOISE
    # A box of one pixel in the corner is small too, so the images must be larger than that.
    larger = size != 1
    small = finite & small[:, 0] & small[:, 1] & (larger[:, 0] | larger[:, 1])
    within, count = int(np.count_nonzero(small)), int(np.count_nonzero(finite))
    if count and within == count:
        report.decide("coco_boxes", "normalised", f"all edges of all {count} boxes are 1 or less")
        return True
    if within * 2 > count:
        raise AmbiguousDatasetError(
            f"{report.files[0]}: boxes may be pixels or shares, got {within} of {count} within 0 to 1; "
            "choose with --coco-boxes pixels or --coco-boxes normalised"
        )
    report.decide("coco_boxes", "pixels", f"{count - within} of {count} boxes reach beyond 1")
    return False


def _finder(tree: Tree, name: str, options: CocoOptions) -> PictureFinder:
    """Looks beside the JSON, in its parent, and in the folders that exports put pictures in."""
    folder = name.rpartition("/")[0]
    parent = folder.rpartition("/")[0]
    stem = name.rpartition("/")[2].removesuffix(".json").rpartition("_")[2]
    below = [f"{base}/{sub}".strip("/") for base in (folder, parent) for sub in ("", "images", stem, f"images/{stem}")]
    return PictureFinder(tree, [*below, "", "images"], options.image_dir)
