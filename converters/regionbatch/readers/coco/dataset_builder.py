"""Build the annotations of a dataset from all of its COCO files."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.dataset import RawAnnotations
from regionbatch.dataset.columns import (
    GrowingColumn,
    JoinedColumn,
    kept_rows,
    renumbered,
    zeros,
)
from regionbatch.errors import DatasetError
from regionbatch.findings import escape_unprintable
from regionbatch.readers.coco.box_order import BoxOrder, count_order_evidence, declares_corners
from regionbatch.readers.coco.id_codes import AMBIGUOUS, NAMELESS, UNKNOWN
from regionbatch.readers.coco.json_kinds import WHAT_COCO_IS
from regionbatch.readers.coco.name_tables import ClassNameTable, ImageNameTable, with_unknown
from regionbatch.readers.coco.order_proof import compare_with_shapes
from regionbatch.readers.coco.records import FileRecords
from regionbatch.readers.coco.rotation import Rotation, Rotations
from regionbatch.readers.units import (
    PERCENT_REASON,
    UnitEvidence,
    collect_evidence,
    decide_normalised,
    may_be_percent,
    raise_if_tiny,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog
    from regionbatch.options import CocoOptions
    from regionbatch.readers.coco.json_stream import Chunk
    from regionbatch.readers.coco.name_tables import FileImages
    from regionbatch.readers.coco.records import FileColumns

_MODES = {
    (False, False): BoxMode.XYWH_ABS,
    (False, True): BoxMode.XYWH_REL,
    (True, False): BoxMode.XYXY_ABS,
    (True, True): BoxMode.XYXY_REL,
}
"""The mode of boxes, by whether they are corners and whether they are normalised."""


class CocoSource(NamedTuple):
    """A COCO file while it is read, or a loaded COCO."""

    name: str
    """The file, for messages."""
    chunks: Iterable[Chunk]
    """The chunks of `records.ARRAY_SPECS`."""
    header: Mapping[str, str]
    """The other values of the file, complete once the chunks have been taken."""
    shapes: Callable[[], Iterable[Chunk]]
    """Returns the chunks of `order_proof.SHAPE_SPECS`."""
    size: int = 0
    """Bytes; 0: unknown."""


@dataclass(slots=True)
class _FileBoxes:
    """The boxes of one file as columns; n of them."""

    file: int
    records: FileRecords
    images: FileImages
    class_names: list[str]
    sizes: NDArray[np.float64]
    """(m + 1, 2), the declared sizes of the images; the last one is always unknown."""
    box: NDArray[np.float64]
    """(n, 4)"""
    where: NDArray[np.int64]
    """(n,), annotation IDs."""
    image: NDArray[np.int32]
    """(n,), codes of images in the file; negative: why there is none."""
    tag: NDArray[np.int32]
    """(n,), codes of classes in the file; negative: why there is none."""
    is_kept: NDArray[np.bool_]
    """(n,), whether a box has an image and a class."""

    def image_size(self, row: int, mask: tuple[int, int]) -> tuple[int, int]:
        """Return the declared size of the image of a box; if it has none, the size of its mask."""
        width, height = self.sizes[self.image[row]].tolist()
        return (int(width), int(height)) if width and height else mask


class _FileSummary(NamedTuple):
    """What the decisions about all boxes need to know about one file."""

    rows: int
    """The number of its boxes that are kept."""
    order: BoxOrder
    evidence: UnitEvidence
    mask_rows: list[int]
    """The rows, counted within the file, with boxes around masks. These are in pixels."""
    mask_sizes: list[tuple[int, int]]
    """Width and height of the images of these rows."""


class DatasetBuilder:
    """Collects the annotations of all files, with codes into common tables."""

    def __init__(self, log: FindingLog, options: CocoOptions) -> None:
        """Start without files."""
        self._log = log
        self._options = options
        self._images = ImageNameTable()
        self._classes = ClassNameTable()
        self._files: dict[str, _FileSummary] = {}
        self._rows = 0
        # Not lists: if they are on disk, each column keeps a file open.
        self._box = JoinedColumn(np.float64, 4)
        self._image = JoinedColumn(np.int32)
        self._tag = JoinedColumn(np.int32)
        self._where = JoinedColumn(np.int64)
        self._file = GrowingColumn(np.int32)
        self._marks: dict[str, list[NDArray[np.int64]]] = {}
        self._rotations: dict[int, Rotation] = {}

    def add_file(self, source: CocoSource, file: int) -> Iterable[str]:
        """Read all chunks of a file.

        Args:
            source: The file.
            file: Its code, from `FindingLog.file`.

        Returns:
            The names of its classes and images.

        Raises:
            NotUtf8Error: The file is not UTF-8. Nothing was added or reported.
            DatasetError: The file has no images, or declares an unknown order of coordinates.
            AmbiguousDatasetError: The order of its coordinates is mixed or contradicted.
        """
        records = FileRecords(file, self._log, source.size)
        for chunk in source.chunks:
            records.add(chunk)
            self._log.progress(f"reading {source.name}", chunk.end, source.size)
        self._log.read(boxes=records.boxes_read, images=records.images_read)
        self._check_header(source)
        found = self._boxes_of(records, file)
        self._scale_masks(found)
        order = self._order(source, found)
        if order.corners:
            around = np.asarray(records.marks["box_from_segmentation"])
            found.box[around, 2:] += found.box[around, :2]
        self._add_boxes(source.name, found, order)
        class_names = (name for _, name in records.categories)
        return chain(class_names, records.image_names)

    def _check_header(self, source: CocoSource) -> None:
        """Raise an error if a file has no images, and report if it has no annotations."""
        if source.header.get("images", "null") == "null":
            keys = escape_unprintable(", ".join([*source.header][:5]))
            what = (
                f"no 'images' array among the keys: '{keys}'"
                if keys
                else "the JSON object is empty"
            )
            message = f"{source.name}: {what}. {WHAT_COCO_IS}"
            raise DatasetError(message, place=source.name, value=keys or None)
        if source.header.get("annotations", "null") == "null":
            self._log.note("no_annotations", source.name)

    def _boxes_of(self, records: FileRecords, file: int) -> _FileBoxes:
        """Return the boxes of a file, and report those without an image or a class."""
        columns = records.finished()
        self._report_lost(columns, records, file)
        image = columns.image.codes
        tag = columns.category.codes
        return _FileBoxes(
            file=file,
            records=records,
            images=columns.images,
            class_names=columns.classes.names,
            sizes=with_unknown(columns.images.size),
            box=columns.box,
            where=columns.where,
            image=image,
            tag=tag,
            is_kept=(image >= 0) & (tag >= 0),
        )

    def _report_lost(self, columns: FileColumns, records: FileRecords, file: int) -> None:
        """Report each box without an image, and each other one without a class."""
        for code, column, reason, kind in (
            ("unknown_image", columns.image, UNKNOWN, ""),
            ("ambiguous_id", columns.image, AMBIGUOUS, "image "),
            ("unknown_category", columns.category, UNKNOWN, ""),
            ("ambiguous_id", columns.category, AMBIGUOUS, "category "),
            ("unknown_class", columns.category, NAMELESS, "category "),
        ):
            rows, ids = column.lost(reason)
            if column is columns.category:
                has_image = columns.image.codes[rows] >= 0
                rows = rows[has_image]
                ids = ids[has_image]
            if len(rows):
                texts = records.ids.texts(ids, kind)
                self._log.add(code, file, columns.where[rows], texts, place="annotation")

    def _scale_masks(self, found: _FileBoxes) -> None:
        """Scale the boxes around masks to the pixels of their images.

        A mask with other proportions than its image gives no box.
        """
        for row, mask in found.records.masks.items():
            if not found.is_kept[row]:
                continue
            size = found.image_size(row, mask)
            rounding = max(sum(size), sum(mask))
            if abs(size[0] * mask[1] - size[1] * mask[0]) > rounding:
                value = "a mask of {} x {} on an image of {} x {}".format(*mask, *size)
                where = int(found.where[row])
                self._log.add("not_a_box", found.file, where, [value], place="annotation")
                found.is_kept[row] = False
            found.box[row] *= np.divide(size * 2, mask * 2)

    def _order(self, source: CocoSource, found: _FileBoxes) -> BoxOrder:
        """Decide the order of coordinates in a file, and check it against its other evidence."""
        if self._options.bbox_format != "auto":
            return BoxOrder(self._options.bbox_format == "ltrb")
        records = found.records
        box = found.box
        image = found.image
        if around := records.marks["box_from_segmentation"]:
            has_box = np.ones(len(box), np.bool_)
            has_box[np.asarray(around)] = False
            box = kept_rows(box, has_box)
            image = kept_rows(image, has_box)
        stated = source.header.get("bbox_format", "")
        corners = declares_corners(source.name, stated, records.orders, len(box))

        def sizes_of(ids: Sequence[object]) -> NDArray[np.float64]:
            codes = found.images.code_by_id.look_up(records.ids.numbers(ids))
            return found.sizes[np.maximum(codes, UNKNOWN)]

        order = count_order_evidence(box, image, found.sizes, corners=corners)
        if not order.must_compare(source.size):
            return order
        proof = compare_with_shapes(source.shapes(), corners=corners, sizes_of=sizes_of)
        return order.confirmed_by(proof, source.name)

    def _add_boxes(self, name: str, found: _FileBoxes, order: BoxOrder) -> None:
        """Add the boxes of a file that are kept."""
        kept = found.is_kept
        self._add_marks(found)
        masks = {row: size for row, size in found.records.masks.items() if kept[row]}
        mask_sizes = [found.image_size(row, size) for row, size in masks.items()]
        # Boxes around masks are in pixels even if the others are normalised.
        is_evidence = kept.copy()
        is_evidence[[*masks]] = False
        corners = order.corners
        evidence = collect_evidence(found.box, found.where, corners=corners, only=is_evidence)
        mask_rows = renumbered(np.asarray([*masks], np.int64), kept).tolist()
        box = kept_rows(found.box, kept)
        image = kept_rows(found.image, kept)
        tag = kept_rows(found.tag, kept)
        self._box.append(box)
        self._image.append(self._images.recoded(image, found.images, found.file))
        self._tag.append(self._classes.recoded(tag, found.class_names))
        self._where.append(kept_rows(found.where, kept))
        count = len(box)
        self._file.append(np.broadcast_to(np.int32(found.file), count))
        self._rows += count
        self._files[name] = _FileSummary(count, order, evidence, mask_rows, mask_sizes)

    def _add_marks(self, found: _FileBoxes) -> None:
        """Add the marks and rotations of a file, by the rows that its boxes get."""
        kept = found.is_kept
        for code, marked in found.records.marks.items():
            rows = np.asarray(marked)
            new_rows = renumbered(rows[kept[rows]], kept)
            self._marks.setdefault(code, []).append(self._rows + new_rows)
        rotated = [row for row in found.records.rotations if kept[row]]
        new_rows = self._rows + renumbered(np.asarray(rotated, np.int64), kept)
        for row, new_row in zip(rotated, new_rows.tolist(), strict=True):
            self._rotations[new_row] = found.records.rotations[row]

    def build(self) -> RawAnnotations:
        """Return everything that was added.

        Raises:
            AmbiguousDatasetError: Boxes may be in pixels or normalised.
        """
        box = self._box.finished()
        image = self._image.finished()
        corners = all(one.order.corners for one in self._files.values())
        normalised = self._decide_unit(box, image, corners=corners)
        mode = _MODES[corners, normalised]
        self._convert(box, mode)
        angle = self._angles(box, image, mode)
        return RawAnnotations(
            mode=mode,
            box=box,
            image=image,
            tag=self._tag.finished(),
            images=self._images.references(),
            tags=self._classes.names(),
            file=self._file.finished(),
            where=self._where.finished(),
            place="annotation",
            marks={code: np.concatenate(rows) for code, rows in self._marks.items()},
            angle=angle,
        )

    def _decide_unit(
        self, box: NDArray[np.float64], image: NDArray[np.int32], *, corners: bool
    ) -> bool:
        """Decide whether all boxes are normalised, and report this and the order."""
        wanted = self._options.coco_boxes
        evidence = {name: one.evidence for name, one in self._files.items()}
        normalised = decide_normalised(
            evidence, wanted, self._log, option="coco_boxes", place="annotation"
        )
        self._report_order(normalised=normalised)
        if not normalised and wanted == "auto":
            raise_if_tiny(box, next(iter(self._files), ""), "coco_boxes")
            self._doubt_percent(box, image, corners=corners)
        return normalised

    def _doubt_percent(
        self, box: NDArray[np.float64], image: NDArray[np.int32], *, corners: bool
    ) -> None:
        """Report boxes in pixels that may be percentages."""
        if any((box[block] > 100).any() for block in boxes.blocks(len(box))):
            return
        if may_be_percent(box, image, self._images.sizes(), corners=corners):
            self._log.decide("coco_boxes", "pixels", PERCENT_REASON, doubtful=True)

    def _report_order(self, *, normalised: bool) -> None:
        """Report the order of coordinates if it was declared or requested, or is doubtful."""
        requested = self._options.bbox_format
        if requested != "auto":
            self._log.decide("bbox_format", requested, "as requested")
            return
        orders = {name: one.order for name, one in self._files.items()}
        declared = [name for name, order in orders.items() if order.corners]
        others = [name for name, order in orders.items() if not order.corners]
        if declared:
            reason = f"declared in {', '.join(declared)}"
            if others:
                reason += f"; ltwh in {', '.join(others)}"
            self._log.decide("bbox_format", "ltrb", reason)
        for name, order in orders.items():
            if doubt := order.doubt(normalised=normalised):
                self._log.decide("bbox_format", order.name, f"{doubt}, in {name}", doubtful=True)

    def _convert(self, box: NDArray[np.float64], mode: BoxMode) -> None:
        """Convert the boxes of each file, in place, to the mode of the dataset."""
        start = 0
        for one in self._files.values():
            end = start + one.rows
            if one.mask_rows and not mode.absolute:
                box[start + np.asarray(one.mask_rows)] /= np.tile(one.mask_sizes, 2)
            if one.order.corners and not mode.corners:  # other files have no corners
                with np.errstate(over="ignore", invalid="ignore"):  # near 1e308, infinity and NaN
                    box[start:end, 2:] -= box[start:end, :2]
            start = end

    def _angles(
        self, box: NDArray[np.float64], image: NDArray[np.int32], mode: BoxMode
    ) -> NDArray[np.float64] | None:
        """Return the angles of all boxes in radians; None if none is rotated."""
        if not self._rotations:
            return None
        rows = np.fromiter(self._rotations, np.int64, len(self._rotations))
        size = np.ones((len(rows), 2))
        if not mode.absolute:
            size = np.maximum(self._images.sizes()[image[rows]], 1)
        ltwh = boxes.to_ltwh(box[rows], mode)
        rotations = Rotations([*self._rotations.values()])
        rotated, is_unclear, is_meaningless = rotations.judge(ltwh, size)
        for code, marked in (("unclear_rotation", is_unclear), ("unread_angle", is_meaningless)):
            self._marks.setdefault(code, []).append(rows[marked])
        if not rotated.any():
            return None
        angle = zeros(len(box), np.float64)
        angle[rows] = rotated
        return angle
