"""Prove the order of box coordinates with the polygons and areas of the annotations."""

from __future__ import annotations

from array import array
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


class _Shape(msgspec.Struct, gc=False, kw_only=True):
    segmentation: list[list[int | float]] | dict[str, Any] | str | None = None
    area: float | None = None
    bbox: Annotated[list[float], msgspec.Meta(min_length=4, max_length=4)]
    id: Any = -1  # anything: it is only a place, and finds the size of the image
    image_id: Any = -1


SHAPE_SPECS = {"annotations": ArraySpec(_Shape)}
"""How annotations are read again, to compare boxes with their polygons."""


class OrderProof(NamedTuple):
    """Boxes that fit their polygon or area in one order only: counts, and the first of each."""

    ltwh: int
    ltrb: int
    centred: int
    """Boxes that fit their polygon only as centre, width, height, if most do. No option reads
    these."""
    first_ltwh: str
    """The place of the first, with its numbers; empty if there is none."""
    first_ltrb: str
    first_centred: str


def compare_with_shapes(
    chunks: Iterable[Chunk], *, corners: bool, size_of: Callable[[object], boxes.Boxes]
) -> OrderProof:
    """Compare the boxes of a file with their polygons and areas.

    Args:
        chunks: The chunks of `SHAPE_SPECS`.
        corners: Whether the boxes are read as corners.
        size_of: Returns width and height of the image with an ID; 0: unknown.
    """
    shapes = _Shapes(size_of, corners=corners)
    records = chain.from_iterable(
        chunk.plain if chunk.typed is None else chunk.typed for chunk in chunks
    )
    for number, record in enumerate(records, 1):
        if isinstance(record, _Shape):
            place = _place(record.id, number)
            shapes.add(record.bbox, record.area, record.segmentation, place, record.image_id)
        elif isinstance(record, dict):
            _add_plain(shapes, record, number)
    return shapes.proof()


def _add_plain(shapes: _Shapes, record: dict[str, Any], number: int) -> None:
    bbox = record.get("bbox")
    if isinstance(bbox, (list, tuple, np.ndarray)) and len(bbox) == 4:
        area = _number_or_nan(record.get("area"))
        place = _place(record.get("id"), number)
        box = [*map(_number_or_nan, bbox)]
        shapes.add(box, area, record.get("segmentation"), place, record.get("image_id"))


def _place(id_: object, number: int) -> int:
    """Return the ID of a record, or its negative number if that is not a whole number."""
    return id_ if isinstance(id_, int) and 0 <= id_ < 2**63 else -number


def _number_or_nan(value: object) -> float:
    try:
        return as_number(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


class _Shapes:
    """Boxes with their areas and the boxes around their polygons, in columns."""

    def __init__(self, size_of: Callable[[object], boxes.Boxes], *, corners: bool) -> None:
        self._size_of = size_of
        self._corners = corners
        self._masks = 0
        self._rows = array("d")
        """Nine numbers for each box: itself, its area, and the box around its polygons."""
        self._as_found = array("d")
        """Four numbers for each box, as in the file."""
        self._places = array("q")

    def add(
        self, box: Sequence[float], area: float | None, shape: object, place: int, image: object
    ) -> None:
        """Add a box with its area and segmentation."""
        outline = self._outline(shape) or _MISSING
        area = np.nan if area is None else area
        self._as_found.extend(box)
        if max(box) <= 1 and (area > 1 or any(number > 1 for number in outline)):
            # A normalised box next to a polygon in pixels.
            size = self._size_of(image)
            if size.all():
                box = (np.reshape(box, (2, 2)) * size).ravel().tolist()
        self._rows.extend((*box, area, *outline))
        self._places.append(place)

    def _outline(self, shape: object) -> tuple[float, float, float, float] | None:
        if isinstance(shape, dict):
            self._masks += 1
            if self._masks > _MAX_MASKS:
                return None
        return segmentation.bbox(shape)

    def proof(self) -> OrderProof:
        """Count the boxes that fit in one order only."""
        rows = np.asarray(self._rows, np.float64).reshape(-1, 9)
        box, area, outline = rows[:, :4], rows[:, 4], rows[:, 5:]
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
        firsts = [self._first(rows) for rows in (only[:, 0], only[:, 1], is_centred)]
        return OrderProof(ltwh, ltrb, centred, *firsts)

    def _first(self, rows: NDArray[np.bool_]) -> str:
        """Return the place of the first of some rows, with its numbers."""
        hits = np.flatnonzero(rows)
        if not len(hits):
            return ""
        row = int(hits[0])
        place = self._places[row]
        box = " ".join(f"{number:.10g}" for number in self._as_found[4 * row : 4 * row + 4])
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
