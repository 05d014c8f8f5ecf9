"""The annotations of all COCO files of a dataset, with codes into common tables."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations, tidy
from regionbatch.errors import DatasetError
from regionbatch.files.paths import path_parts
from regionbatch.findings import on_one_line
from regionbatch.readers.coco.orders import Order, examined, stated_order
from regionbatch.readers.coco.records import Columns, Images
from regionbatch.readers.coco.rotation import Rotation, Rotations
from regionbatch.readers.units import PERCENT_DOUBT, Evidence, evidence, in_shares, may_be_percent, refuse_tiny

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog
    from regionbatch.options import CocoOptions
    from regionbatch.readers.coco.jsonpieces import Piece


class _Read(NamedTuple):
    """What is known of the boxes of a file that was read."""

    order: Order
    told: Evidence
    masks: list[int]
    """The rows, counted within the file, that have the boxes of masks."""
    sides: list[tuple[int, int]]
    """Width and height of the image, in whose pixels the boxes of these masks are."""


class Collected:
    """The annotations of all files of a dataset, with codes into common tables."""

    def __init__(self, report: FindingLog, options: CocoOptions) -> None:
        self._report, self._options = report, options
        self._names: list[str] = []
        self._width: list[int] = []
        self._height: list[int] = []
        self._image_files: list[NDArray[np.int32]] = []
        self._tags: dict[str, int] = {}
        self._files: dict[str, _Read] = {}
        self._rows = 0
        self._columns: dict[str, list[NDArray[Any]]] = {"box": [], "image": [], "tag": [], "file": [], "where": []}
        self._marks: dict[str, list[NDArray[np.int64]]] = {}
        self._rotations: dict[int, Rotation] = {}

    def add_file(
        self,
        name: str,
        pieces: Iterable[Piece],
        header: Mapping[str, str],
        shapes: Callable[[], Iterable[Piece]],
        size: int = 0,
    ) -> Iterable[str]:
        """Read all pieces of a file and look up its ids; return the names of classes and images in it.

        Args:
            name: The file, for messages.
            pieces: The pieces of `records.WANTED`.
            header: The other values of the file. It need not be whole before the pieces are taken.
            shapes: Gives the pieces of `orders.SHAPES`.
            size: Bytes.

        Raises:
            DatasetError: It has no images, or boxes of an unknown form.
            AmbiguousDatasetError: The order of the numbers of its boxes is not what it seems, or is mixed.
        """
        file = self._report.file(name)
        columns = Columns(file, self._report)
        for piece in pieces:
            columns.add(piece)
            self._report.progress(f"reading {name}", piece.done, size)
        self._check_images(name, header)
        image_index, tag_index = self._add_images(columns.images, file), self._add_tags(columns.categories)
        ids, box = columns.ids(), columns.boxes()
        where, image, tag = ids[0], _look_up(ids[1], image_index), _look_up(ids[2], tag_index)
        self._report_ids(columns, ids, image, tag, file)
        good = (image >= 0) & (tag >= 0)
        if columns.masks:
            self._fit_masks(columns.masks, box, image, good, file, where)
        order = self._order(name, header.get("bbox_format", ""), columns, box, image, shapes, image_index, size)
        if order.corners:
            around = columns.marks["box_from_segmentation"]
            box[around, 2:] += box[around, :2]
        row_now = np.cumsum(good) - 1
        for code, marked in columns.marks.items():
            rows = np.asarray(marked, np.int64)
            self._marks.setdefault(code, []).append(self._rows + row_now[rows[good[rows]]])
        for row, rotation in columns.rotations.items():
            if good[row]:
                self._rotations[self._rows + int(row_now[row])] = rotation
        masks = [row for row in columns.masks if good[row]]
        sides = [self._side_of(image[row], columns.masks[row]) for row in masks]
        masks = [int(row_now[row]) for row in masks]
        if not good.all():
            box, image, tag, where = box[good], image[good], tag[good], where[good]
        telling = np.delete(np.arange(len(box)), masks) if masks else slice(None)
        told = evidence(box[telling], where[telling], corners=order.corners)
        self._files[name] = _Read(order, told, masks, sides)
        self._rows += len(box)
        for key, column in (("box", box), ("image", image), ("tag", tag), ("where", where)):
            self._columns[key].append(column)
        self._columns["file"].append(np.full(len(box), file, np.int32))
        return chain((tag_name for _, tag_name in columns.categories), columns.images.file_name)

    def _check_images(self, name: str, header: Mapping[str, str]) -> None:
        """Check that a file has what is needed."""
        if header.get("images", "null") == "null":
            keys = on_one_line(", ".join([*header][:5])) or "an empty object"
            needed = "needed is a JSON object with images, annotations and categories"
            raise DatasetError(f"{name}: there is no array of images, got {keys}; {needed}", place=name)
        if header.get("annotations", "null") == "null":
            self._report.note("no_annotations", name)

    def _order(
        self,
        name: str,
        stated: str,
        columns: Columns,
        box: NDArray[np.float64],
        image: NDArray[np.int32],
        shapes: Callable[[], Iterable[Piece]],
        image_index: Mapping[int, int],
        size: int,
    ) -> Order:
        """The order of the numbers of a file, as asked for or stated, and compared with what else is in the file."""
        if self._options.bbox_format != "auto":
            return Order(self._options.bbox_format == "ltrb")
        if around := columns.marks["box_from_segmentation"]:
            box, image = np.delete(box, around, axis=0), np.delete(image, around)
        corners = stated_order(name, stated, columns.orders, len(box))
        sizes = self._sizes()

        def size_of(id_: object) -> NDArray[np.float64]:
            number = columns.id_of(id_)
            code = _UNKNOWN if number is None else image_index.get(number, _UNKNOWN)
            size: NDArray[np.float64] = sizes[max(code, _UNKNOWN)]  # the last one is unknown, too
            return size

        return examined(name, corners, box, image, sizes, shapes, size_of, size)

    def _sizes(self) -> NDArray[np.float64]:
        """The declared sizes of all images so far, (m + 1, 2); 0: unknown, as the last one, -1, always is."""
        return np.array([[*self._width, 0], [*self._height, 0]], np.float64).T

    def _report_ids(
        self,
        columns: Columns,
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
        size = self._width[image], self._height[image]
        return size if all(size) else mask

    def annotations(self) -> RawAnnotations:
        """Everything that was added.

        Raises:
            AmbiguousDatasetError: It cannot be told whether boxes are pixels or shares.
        """
        report, files = self._report, self._files
        box = _joined(self._columns["box"], np.empty((0, 4)))
        told = {name: one.told for name, one in files.items()}
        shares = in_shares(told, self._options.coco_boxes, report, option="coco_boxes", place="annotation")
        corners = all(one.order.corners for one in files.values())
        image = _joined(self._columns["image"], np.empty(0, np.int32))
        self._decide_order(shares=shares)
        if not shares and self._options.coco_boxes == "auto":
            refuse_tiny(box, next(iter(files), ""), "coco_boxes")
            self._doubt_percent(box, image, corners=corners)
        starts = np.cumsum([0, *map(len, self._columns["box"])])
        for start, one, end in zip(starts, files.values(), starts[1:], strict=False):
            if shares and one.masks:
                box[start + np.asarray(one.masks)] /= np.tile(one.sides, 2)
            if one.order.corners and not corners:  # beside files that have none
                with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and what is no number
                    box[start:end, 2:] -= box[start:end, :2]
        angle = self._angles(box, image, _MODES[corners, shares])
        return RawAnnotations(
            mode=_MODES[corners, shares],
            box=box,
            image=image,
            tag=_joined(self._columns["tag"], np.empty(0, np.int32)),
            images=self._references(),
            tags=list(self._tags),
            file=_joined(self._columns["file"], np.empty(0, np.int32)),
            where=_joined(self._columns["where"], np.empty(0, np.int64)),
            place="annotation",
            marks={code: np.concatenate(rows) for code, rows in self._marks.items()},
            angle=angle,
        )

    def _doubt_percent(self, box: NDArray[np.float64], image: NDArray[np.int32], *, corners: bool) -> None:
        """Report boxes in pixels that may be percentages."""
        if not len(box) or not np.fmax.reduce(box, axis=None) <= 100:
            return
        far = box[:, 2:] if corners else box[:, :2] + box[:, 2:]
        if may_be_percent(far, self._sizes()[image]):
            self._report.decide("coco_boxes", "pixels", PERCENT_DOUBT, doubtful=True)

    def _angles(self, box: NDArray[np.float64], image: NDArray[np.int32], mode: BoxMode) -> NDArray[np.float64] | None:
        """The angles of all boxes; None: none is rotated."""
        if not self._rotations:
            return None
        rows = np.fromiter(self._rotations, np.int64, len(self._rotations))
        size = np.ones((len(rows), 2)) if mode.absolute else np.maximum(self._sizes()[image[rows]], 1)
        ltwh = boxes.to_ltwh(box[rows], mode)
        some, unclear, meaningless = Rotations([*self._rotations.values()]).judge(ltwh, size)
        for code, marked in (("unclear_rotation", unclear), ("unread_angle", meaningless)):
            self._marks.setdefault(code, []).append(rows[marked])
        angle = np.zeros(len(box))
        angle[rows] = some
        return angle if some.any() else None

    def _decide_order(self, *, shares: bool) -> None:
        """Say what was decided about the order of the numbers, and where it is doubtful."""
        asked = self._options.bbox_format
        if asked != "auto":
            self._report.decide("bbox_format", asked, "as asked")
            return
        orders = {name: one.order for name, one in self._files.items()}
        said = [name for name, order in orders.items() if order.corners]
        rest = [name for name, order in orders.items() if not order.corners]
        if said:
            others = f"; ltwh in {', '.join(rest)}" if rest else ""
            self._report.decide("bbox_format", "ltrb", f"as declared in {', '.join(said)}{others}")
        for name, order in orders.items():
            if why := order.doubt(shares=shares):
                self._report.decide("bbox_format", order.name, f"{why} in {name}", doubtful=True)

    def _references(self) -> ImageReferences:
        return ImageReferences(
            self._names,
            _joined(self._image_files, np.empty(0, np.int32)),
            np.asarray(self._width, np.int32),
            np.asarray(self._height, np.int32),
        )

    def _add_images(self, listed: Images, file: int) -> dict[int, int]:
        """Add images to the table; their codes by ID, `_AMBIGUOUS` for an ID that two different images have."""
        first, ids, names = len(self._names), listed.id, self._names
        names += listed.file_name
        self._width += listed.width
        self._height += listed.height
        self._image_files.append(np.full(len(ids), file, np.int32))
        index = dict(zip(reversed(ids), range(len(names) - 1, first - 1, -1), strict=True))  # of twins, the first
        for code, id_ in enumerate(ids if len(index) < len(ids) else (), first):
            twin = index[id_]
            if twin != _AMBIGUOUS and path_parts(names[twin]) != path_parts(names[code]):
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
