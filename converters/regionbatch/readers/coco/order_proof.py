"""Prove the order of box coordinates with the polygons and areas of the annotations."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import numpy as np

from regionbatch import boxes
from regionbatch.files.text import as_number
from regionbatch.readers.coco import segmentation
from regionbatch.readers.coco.box_order import may_be_corners
from regionbatch.readers.coco.json_stream import ArraySpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.readers.coco.json_stream import Chunk

_BOX_AREAS = 0.9
"""Fraction of the areas without a polygon that must be the area of their box. Areas of masks, which
are smaller, are equal to one only by chance."""

_MAX_MASKS = 1000
"""Maximum masks of a file that are decoded: each takes as long as reading a hundred boxes."""

_MISSING = (np.nan,) * 4
_LISTS = (list, tuple, np.ndarray)
"""Types of a bbox: a loaded COCO may have NumPy arrays."""


class _Shape(msgspec.Struct, gc=False, kw_only=True):
    segmentation: list[list[float]] | dict[str, Any] | str | None = None
    area: float | None = None
    bbox: Annotated[list[float], msgspec.Meta(min_length=4, max_length=4)]
    id: Any = -1  # of any type: it is only used as a place and to find the size of the image
    image_id: Any = -1


class _Skipped(msgspec.Struct, gc=False):
    pass


class _ShapeColumns(NamedTuple):
    """Boxes of a chunk with their areas and segmentations; k of them."""

    box: NDArray[np.float64]
    """(k, 4), as in the file."""
    area: NDArray[np.float64]
    """(k,); NaN: none."""
    outline: NDArray[np.float64]
    """(k, 4), the boxes around polygons; NaN: none."""
    place: NDArray[np.int64]
    """(k,), the IDs of the annotations, or the negative numbers of their records in the chunk."""
    image: list[object]
    """k IDs of images."""
    masks: dict[int, dict[str, Any]]
    """The masks, by row."""


def _shapes_to_columns(records: list[_Shape]) -> _ShapeColumns:
    numbers = chain.from_iterable([one.bbox for one in records])
    shapes = [one.segmentation for one in records]
    places = [_place(one.id, number) for number, one in enumerate(records, 1)]
    return _ShapeColumns(
        np.fromiter(numbers, np.float64, 4 * len(records)).reshape(-1, 4),
        np.asarray([np.nan if one.area is None else one.area for one in records], np.float64),
        _around_polygons(shapes),
        np.asarray(places, np.int64),
        [one.image_id for one in records],
        {row: shape for row, shape in enumerate(shapes) if isinstance(shape, dict)},
    )


def _around_polygons(shapes: Sequence[object]) -> NDArray[np.float64]:
    """Return the boxes around the polygons of each shape, (k, 4), as `segmentation.bbox` does.

    They are computed at once: one by one, the comparison takes three times as long. NaN: not
    polygons.
    """
    around = np.full((len(shapes), 4), np.nan)
    rows: list[int] = []
    counts: list[int] = []
    polygons: list[list[float]] = []
    for row, shape in enumerate(shapes):
        if isinstance(shape, list) and shape and all(map(segmentation.is_polygon, shape)):
            rows.append(row)
            counts.append(sum(map(len, shape)))
            polygons += shape
    if rows:
        numbers = np.fromiter(chain.from_iterable(polygons), np.float64, sum(counts))
        ends = np.cumsum(counts) // 2
        starts = np.concatenate([[0], ends[:-1]])
        points = numbers.reshape(-1, 2).T
        low = np.minimum.reduceat(points, starts, axis=1)
        high = np.maximum.reduceat(points, starts, axis=1)
        is_finite = (np.isfinite(low) & np.isfinite(high)).all(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            around[rows] = np.where(is_finite, np.vstack([low, high - low]), np.nan).T
    return around


SHAPE_SPECS = {
    "images": ArraySpec(_Skipped, len),
    "annotations": ArraySpec(_Shape, _shapes_to_columns),
}
"""How annotations are read again, to compare boxes with their polygons."""


class OrderProof(NamedTuple):
    """Boxes that fit their polygon or area in one order only: counts, and the first of each."""

    ltwh: int
    ltrb: int
    centred: int
    """Boxes that fit their polygon only as centre, width, height; 0 unless they are the majority.
    No option reads these."""
    first_ltwh: str
    """The place of the first, with its numbers; empty if there is none."""
    first_ltrb: str
    first_centred: str


def compare_with_shapes(
    chunks: Iterable[Chunk], *, corners: bool, sizes_of: Callable[[Sequence[object]], boxes.Boxes]
) -> OrderProof:
    """Compare the boxes of a file with their polygons and areas.

    Args:
        chunks: The chunks of `SHAPE_SPECS`.
        corners: Whether the boxes are read as corners.
        sizes_of: Returns width and height of the images with k IDs, (k, 2); 0: unknown.
    """
    shapes = _Shapes(sizes_of, corners=corners)
    for chunk in chunks:
        if chunk.key == "annotations":
            shapes.add(_plain_columns(chunk.plain) if chunk.typed is None else chunk.typed)
            shapes.records += chunk.length
    return shapes.proof()


def _plain_columns(records: Sequence[object]) -> _ShapeColumns:
    numbers: list[Sequence[float]] = []
    """Nine numbers for each box: itself, its area, and the box around its polygons."""
    places: list[int] = []
    images: list[object] = []
    masks: dict[int, dict[str, Any]] = {}
    for number, record in enumerate(records, 1):
        bbox = record.get("bbox") if isinstance(record, dict) else None
        if not isinstance(record, dict) or not isinstance(bbox, _LISTS) or len(bbox) != 4:
            continue
        shape = record.get("segmentation")
        if isinstance(shape, dict):
            masks[len(places)] = shape
            shape = None
        area = _number_or_nan(record.get("area"))
        outline = segmentation.bbox(shape) or _MISSING
        numbers.append([*map(_number_or_nan, bbox), area, *outline])
        places.append(_place(record.get("id"), number))
        images.append(record.get("image_id"))
    table = np.asarray(numbers, np.float64).reshape(-1, 9)
    place = np.asarray(places, np.int64)
    return _ShapeColumns(table[:, :4], table[:, 4], table[:, 5:], place, images, masks)


def _place(id_: object, number: int) -> int:
    """Return the ID of a record, or its negative number if that is not a whole number."""
    return id_ if isinstance(id_, int) and 0 <= id_ < 2**63 else -number


def _number_or_nan(value: object) -> float:
    try:
        return as_number(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


class _Shapes:
    """Boxes with their areas and the boxes around their segmentations, in columns."""

    def __init__(
        self, sizes_of: Callable[[Sequence[object]], boxes.Boxes], *, corners: bool
    ) -> None:
        self._sizes_of = sizes_of
        self._corners = corners
        self.records = 0
        """The number of records so far."""
        self._masks = 0
        none = np.empty((0, 4))
        self._columns = [(none, np.empty(0), none, np.empty(0, np.int64))]
        """Boxes, areas, outlines and places, as in `_ShapeColumns`."""
        self._as_found: dict[int, NDArray[np.float64]] = {}
        """The boxes that were scaled, as in the file, by row."""
        self._rows = 0

    def add(self, columns: _ShapeColumns) -> None:
        """Add the boxes of a chunk."""
        for row, mask in columns.masks.items():
            self._masks += 1
            if self._masks <= _MAX_MASKS:
                columns.outline[row] = segmentation.bbox(mask) or _MISSING
        self._scale(columns)
        number = columns.place < 0
        columns.place[number] -= self.records
        self._columns.append(columns[:4])
        self._rows += len(columns.box)

    def _scale(self, columns: _ShapeColumns) -> None:
        """Scale normalised boxes next to a polygon or area in pixels."""
        is_small = (columns.box <= 1).all(axis=1)
        in_pixels = (columns.area > 1) | (columns.outline > 1).any(axis=1)
        rows = np.flatnonzero(is_small & in_pixels).tolist()
        sizes = self._sizes_of([columns.image[row] for row in rows])
        for row, size in zip(rows, sizes, strict=True):
            if size.all():
                self._as_found[self._rows + row] = columns.box[row].copy()
                columns.box[row] *= np.tile(size, 2)

    def proof(self) -> OrderProof:
        """Count the boxes that fit in one order only."""
        box, area, outline, place = map(np.concatenate, zip(*self._columns, strict=True))
        by_outline, by_area = _fits(box, area, outline)
        judged = np.full(len(box), True) if self._corners else may_be_corners(box)
        usable = _usable_areas(area, outline, by_area, judged)
        fits = (by_outline[:, :2] | (by_area[:, :2] & usable[:, None])) & judged[:, None]
        only = fits & ~fits[:, ::-1]
        ltwh, ltrb = np.count_nonzero(only, axis=0).tolist()
        at_side = by_outline[:, 0] | by_outline[:, 1]
        is_centred = by_outline[:, 2] & ~at_side
        centred = int(np.count_nonzero(is_centred))
        if centred <= np.count_nonzero(at_side):
            centred = 0
        firsts = [self._first(rows, box, place) for rows in (only[:, 0], only[:, 1], is_centred)]
        return OrderProof(ltwh, ltrb, centred, *firsts)

    def _first(
        self, rows: NDArray[np.bool_], boxes_: NDArray[np.float64], places: NDArray[np.int64]
    ) -> str:
        """Return the place of the first of some rows, with its numbers."""
        hits = np.flatnonzero(rows)
        if not len(hits):
            return ""
        row = int(hits[0])
        place = int(places[row])
        box = " ".join(f"{number:.10g}" for number in self._as_found.get(row, boxes_[row]))
        return f"annotation {place} ({box})" if place >= 0 else f"annotation no. {-place} ({box})"


def _fits(
    box: boxes.Boxes, area: NDArray[np.float64], outline: boxes.Boxes
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which readings of each box fit its outline, and which fit its area, (n, 3) each."""
    by_outline, by_area = np.empty((2, len(box), 3), np.bool_)
    for block in boxes.blocks(len(box)):
        with np.errstate(over="ignore", invalid="ignore"):
            edges = _edges(box[block])
            by_outline[block] = _fit_outlines(edges, outline[block])
            by_area[block] = _fit_areas(edges, area[block])
    return by_outline, by_area


def _usable_areas(
    area: NDArray[np.float64],
    outline: boxes.Boxes,
    by_area: NDArray[np.bool_],
    judged: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return which areas prove an order: those without a polygon, if nearly all are of boxes."""
    usable = np.isnan(outline).any(axis=1) & (area > 0) & judged
    fitting = np.count_nonzero(by_area[usable].any(axis=1))
    if fitting < _BOX_AREAS * np.count_nonzero(usable):
        usable[:] = False
    return usable


def _edges(box: boxes.Boxes) -> NDArray[np.float64]:
    """Return the edges of boxes in each reading, (n, 3, 4).

    The readings are left, top, width, height; corners; and centre, width, height.
    """
    near = box[:, :2]
    half = box[:, 2:] / 2
    ltwh = np.hstack([near, near + box[:, 2:]])
    centred = np.hstack([near - half, near + half])
    return np.stack([ltwh, box, centred], axis=1)


def _fit_outlines(edges: NDArray[np.float64], outline: boxes.Boxes) -> NDArray[np.bool_]:
    """Return which readings, (n, 3, 4), have the edges of the polygon within a pixel, (n, 3)."""
    in_pixels = (edges[:, 1] > 1).any(axis=1)
    tolerance = np.where(in_pixels, 1 + boxes.NOISE, 1e-3)
    around = np.hstack([outline[:, :2], outline[:, :2] + outline[:, 2:]])
    distance = np.abs(edges - around[:, None]).max(axis=2)
    fit: NDArray[np.bool_] = distance <= tolerance[:, None]
    return fit


def _fit_areas(edges: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which readings, (n, 3, 4), have the area of the annotation, (n, 3).

    Sides may be rounded to two decimals. Some tools count the pixels from corner to corner, both
    included.
    """
    sides = edges[:, :, 2:] - edges[:, :, :2]
    in_pixels = np.any(edges[:, 1] > 1, axis=1, keepdims=True)
    rounding = np.where(in_pixels, sides.sum(axis=2) / 100 + 1, sides.sum(axis=2) / 1000)
    is_area = np.abs(sides.prod(axis=2) - area[:, None]) <= rounding
    is_pixel_count = np.abs((sides + 1).prod(axis=2) - area[:, None]) <= rounding
    fit: NDArray[np.bool_] = (sides > 0).all(axis=2) & (is_area | (is_pixel_count & in_pixels))
    return fit
