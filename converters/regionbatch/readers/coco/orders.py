"""Whether the boxes of a COCO file are left, top, width, height, or corners: left, top, right, bottom.

COCO means the first, and few files say so. Some tools write corners all the same. The polygons and areas of the
annotations prove which it is; boxes that are cut off at the edge of the image, and would fit it as corners, make it
doubtful.
"""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import numpy as np

from regionbatch import boxes
from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.files.text import as_number
from regionbatch.findings import on_one_line
from regionbatch.readers.coco import segmentation
from regionbatch.readers.coco.jsonpieces import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.readers.coco.jsonpieces import Piece

_SMALL_FILE = 2**23
"""Bytes. The polygons of a file that is no larger are compared if a single box may be corners."""

_SUSPICIOUS = 0.25
"""Those of a larger one, if so many of its boxes may be. In published datasets, a tenth may."""

_CUT = 0.01
"""Or if so many are cut off at the edge of the image and would fit as corners."""

_BOX_AREAS = 0.9
"""Of the areas without a polygon, so many must be those of boxes. Those of masks are equal to one by chance."""

_MOST_MASKS = 1000
"""Of a file. Decoding one takes as long as reading a hundred boxes."""

_TOLERATED = 0.01
"""Of the boxes that prove an order, so many may contradict the rest without an error."""

_ORDERS = {"": "ltwh", "null": "ltwh", "ltwh": "ltwh", "xywh": "ltwh", "coco": "ltwh", "ltrb": "ltrb", "xyxy": "ltrb"}
"""What `bbox_format` may say in a file."""

_NONE = (np.nan,) * 4


class _Shape(msgspec.Struct, gc=False, kw_only=True):
    segmentation: list[list[int | float]] | dict[str, Any] | str | None = None
    area: float | None = None
    bbox: Annotated[list[float], msgspec.Meta(min_length=4, max_length=4)]
    id: Any = -1  # whatever it is: no more than a place, and a size
    image_id: Any = -1


SHAPES = {"annotations": Kind(_Shape)}
"""What is read of a file again where its polygons are compared."""


class Proof(NamedTuple):
    """How many boxes fit their polygon or area in one order only."""

    ltwh: int
    ltrb: int
    centres: int
    """Boxes that fit their polygon as centre, width and height only, if they are most; no option reads them so."""
    first: tuple[str, str, str]
    """The first of each, with its place."""


class Order(NamedTuple):
    """The order of the numbers of a file."""

    corners: bool
    against: int = 0
    """Boxes whose polygon or area proves the other order; few, or it is an error."""
    proved: int = 0
    """Boxes whose polygon or area proves one of the two."""
    better: tuple[int, int] = (0, 0)
    """Boxes that would fit their image better in the other order: in pixels, and from 0 to 1."""
    certain: int = 0
    """Boxes that make no sense in the other order."""
    either: int = 0
    """Boxes that make sense in both, and are not the same."""
    boxes: int = 0

    @property
    def name(self) -> str:
        """`ltrb` or `ltwh`."""
        return "ltrb" if self.corners else "ltwh"

    def doubt(self, *, shares: bool) -> str:
        """Return why the order is doubtful; empty: it is not."""
        if self.against:
            return f"{self.against} of {self.proved} boxes fit their polygon or area in the other order"
        better = self.better[shares]
        if self.proved or better < 2 or 2 * better < self.boxes or self.certain > _TOLERATED * self.boxes:
            return ""
        what = "have swapped corners" if self.corners else "are cut off at an edge"
        return f"{better} of {self.boxes} boxes {what}, but fit in the other order"


def stated_order(name: str, stated: str, modes: Mapping[str, int], rows: int) -> bool:
    """Return whether a file says that its boxes are corners.

    Args:
        name: The file.
        stated: Its `bbox_format`.
        modes: How many boxes have which `bbox_mode`, other than that of left, top, width, height.
        rows: How many boxes there are.

    Raises:
        DatasetError: It says something unknown.
        AmbiguousDatasetError: It says one thing here and another there.
    """
    order = _ORDERS.get(stated.strip().lower(), "")
    odd = next((mode for mode in modes if mode != "ltrb"), "" if order else stated)
    if odd:
        raise DatasetError(
            f"{name}: an order of numbers that is not known, got {on_one_line(odd)}; "
            "choose with --bbox-format ltwh or --bbox-format ltrb",
            place=name,
            option="bbox_format",
        )
    with_mode = modes.get("ltrb", 0)
    if 0 < with_mode < rows:
        raise _ambiguous(name, f"only {with_mode} of {rows} boxes have a 'bbox_mode' of corners")
    if with_mode and order == "ltwh" and stated not in ("", "null"):
        raise _ambiguous(name, f"'bbox_format' and 'bbox_mode' of its boxes contradict each other: {stated!r}")
    return with_mode > 0 or order == "ltrb"


def examined(
    name: str,
    corners: bool,
    box: boxes.Boxes,
    image: NDArray[np.int32],
    sizes: boxes.Boxes,
    shapes: Callable[[], Iterable[Piece]],
    size_of: Callable[[object], boxes.Boxes],
    file_size: int,
) -> Order:
    """Compare the order of a file with its polygons and areas, and with the edges of the images.

    Args:
        name: The file.
        corners: What it says.
        box: (n, 4), as in the file.
        image: (n,), codes into `sizes`; less than 0: unknown.
        sizes: (m, 2), declared width and height of the images; 0: unknown. The last one is 0.
        shapes: Gives the pieces of `SHAPES`.
        size_of: Gives the row of `sizes` of the image of an ID.
        file_size: Bytes.

    Raises:
        AmbiguousDatasetError: It is the other order, for all boxes or for some.
    """
    order = Order(corners, boxes=len(box))
    for block in boxes.blocks(len(box)):
        order = _seen(order, box[block], sizes[np.maximum(image[block], -1)])
    if not _must_compare(order, file_size):
        return order
    proof = prove(shapes(), corners=corners, size_of=size_of)
    proved = proof.ltwh + proof.ltrb
    if proof.centres > proved:
        raise AmbiguousDatasetError(
            f"{name}: {proof.centres} boxes fit their polygon as centre, width and height only: {proof.first[2]}. "
            "Convert them, or use --bbox-format ltwh to read them as left, top, width, height.",
            place=name,
            option="bbox_format",
        )
    against, first = (proof.ltwh, proof.first[0]) if corners else (proof.ltrb, proof.first[1])
    if against > _TOLERATED * proved:
        other, read = ("left, top, width, height", "corners")[:: 1 if corners else -1]
        raise _ambiguous(
            name, f"{against} of {proved} boxes fit their polygon or area as {other}, and not as {read}: {first}"
        )
    return order._replace(against=against, proved=proved)


def _ambiguous(name: str, what: str) -> AmbiguousDatasetError:
    return AmbiguousDatasetError(
        f"{name}: {what}. Choose with --bbox-format ltwh or --bbox-format ltrb.", place=name, option="bbox_format"
    )


def _seen(order: Order, box: boxes.Boxes, size: boxes.Boxes) -> Order:
    """Count what a block of boxes shows."""
    inverted = _either(box[:, 2:] < box[:, :2])
    either = may_be_corners(box)
    rows = np.flatnonzero(inverted if order.corners else either)  # others cannot fit better
    pixels, shares = (
        int(np.count_nonzero(fits_better(box[rows], some, corners=order.corners)))
        for some in (size[rows], np.ones((len(rows), 2)))
    )
    return order._replace(
        better=(order.better[0] + pixels, order.better[1] + shares),
        certain=order.certain + (0 if order.corners else int(np.count_nonzero(inverted))),
        either=order.either + int(np.count_nonzero(either)),
    )


def _must_compare(order: Order, file_size: int) -> bool:
    if order.corners:  # as few files have them
        return order.boxes > 0
    if file_size <= _SMALL_FILE:
        return True
    if order.either >= _SUSPICIOUS * order.boxes:
        return order.either > 0
    return order.better[0] >= _CUT * order.boxes


def _either(mask: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - NumPy types a comparison as an array or a truth
    """Which rows of a mask of two columns have one; `any(axis=1)` takes ten times as long."""
    either: NDArray[np.bool_] = mask[:, 0] | mask[:, 1]
    return either


def _both(mask: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - the same
    both: NDArray[np.bool_] = mask[:, 0] & mask[:, 1]
    return both


def may_be_corners(box: boxes.Boxes) -> NDArray[np.bool_]:
    """Which boxes make sense in both orders, and are not the same in both, (n,)."""
    first, second = box[:, :2], box[:, 2:]
    return _both(second > first) & _both(first >= 0) & _either(first > 0)


def fits_better(box: boxes.Boxes, size: boxes.Boxes, *, corners: bool) -> NDArray[np.bool_]:
    """Which boxes contradict the order they are read in, and fit their image in the other one, (n,).

    Args:
        box: (n, 4), as in the file.
        size: (n, 2), width and height of the image in the unit of the boxes; 0: unknown.
        corners: Whether they are read as corners, which contradict that by their order; others, by being cut off.
    """
    limit = np.where(size > 1, size + 1, size + 1e-3)  # a pixel is rounding
    first, second = box[:, :2], box[:, 2:]
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and what is no number
        inside = _both(first + second <= limit)
        if corners:
            better = inside & _either(second < first) & _both(first >= 0)
        else:
            better = ~inside & _both(second <= limit) & may_be_corners(box)
    return better & _both(size > 0) & _both(second > 0)


def prove(pieces: Iterable[Piece], *, corners: bool, size_of: Callable[[object], boxes.Boxes]) -> Proof:
    """Compare the boxes of a file with their polygons and areas.

    Args:
        pieces: Those of `SHAPES`.
        corners: How the boxes are read.
        size_of: Gives width and height of the image of an ID; 0: unknown.
    """
    shapes = _Shapes(size_of, corners=corners)
    records = chain.from_iterable(piece.plain if piece.typed is None else piece.typed for piece in pieces)
    for number, record in enumerate(records, 1):
        if isinstance(record, _Shape):
            shapes.add(record.bbox, record.area, record.segmentation, _whole(record.id), record.image_id, number)
        elif isinstance(record, dict):
            shapes.add_plain(record, number)
    return shapes.proof()


class _Shapes:
    """Boxes with their areas and the boxes around their polygons."""

    def __init__(self, size_of: Callable[[object], boxes.Boxes], *, corners: bool) -> None:
        self._size_of, self._corners = size_of, corners
        self._masks = 0
        self._rows = array("d")
        """Nine numbers a box: itself, its area, and left, top, width, height of the polygons."""
        self._shown = array("d")
        """Four numbers a box: itself, as in the file."""
        self._where = array("q")

    def add_plain(self, record: dict[str, Any], number: int) -> None:
        bbox, area = record.get("bbox"), _number(record.get("area"))
        if isinstance(bbox, (list, tuple, np.ndarray)) and len(bbox) == 4:
            id_, image = _whole(record.get("id")), record.get("image_id")
            self.add([*map(_number, bbox)], area, record.get("segmentation"), id_, image, number)

    def add(
        self, box: Sequence[float], area: float | None, shape: object, id_: int, image: object, number: int
    ) -> None:
        self._masks += isinstance(shape, dict)
        skipped = isinstance(shape, dict) and self._masks > _MOST_MASKS
        outline = None if skipped else segmentation.bbox(shape)
        told = (np.nan if area is None else area, *(outline or _NONE))
        self._shown.extend(box)
        if max(box) <= 1 and any(number > 1 for number in told) and (size := self._size_of(image)).all():
            box = (np.reshape(box, (2, 2)) * size).ravel().tolist()  # normalised, next to pixels
        self._rows.extend((*box, *told))
        self._where.append(id_ if 0 <= id_ < 2**63 else -number)

    def proof(self) -> Proof:
        rows = np.asarray(self._rows, np.float64).reshape(-1, 9)
        box, area, outline = rows[:, :4], rows[:, 4], rows[:, 5:]
        by_outline, by_area = np.empty((2, len(box), 3), np.bool_)
        for block in boxes.blocks(len(box)):
            with np.errstate(over="ignore", invalid="ignore"):
                edges = _edges(box[block])
                by_outline[block] = _fit_outlines(edges, outline[block])
                by_area[block] = _fit_areas(edges, area[block])
        judged = np.full(len(box), True) if self._corners else may_be_corners(box)
        without = np.isnan(outline).any(axis=1)
        areas = without & (area > 0) & judged
        if np.count_nonzero(by_area[areas].any(axis=1)) < _BOX_AREAS * np.count_nonzero(areas):
            areas[:] = False
        fits = (by_outline[:, :2] | (by_area[:, :2] & areas[:, None])) & judged[:, None]
        only = fits & ~fits[:, ::-1]
        ltwh, ltrb = np.count_nonzero(only, axis=0).tolist()
        sides = by_outline[:, 0] | by_outline[:, 1]
        centred = by_outline[:, 2] & ~sides
        centres = int(np.count_nonzero(centred))
        if centres <= np.count_nonzero(sides):
            centres = 0
        return Proof(ltwh, ltrb, centres, (self._first(only[:, 0]), self._first(only[:, 1]), self._first(centred)))

    def _first(self, rows: NDArray[np.bool_]) -> str:
        hit = np.flatnonzero(rows)
        if not len(hit):
            return ""
        row = int(hit[0])
        where, box = self._where[row], self._shown[4 * row : 4 * row + 4]
        place = f"annotation {where}" if where >= 0 else f"annotation no. {-where}"
        return f"{place} ({' '.join(f'{number:.10g}' for number in box)})"


def _whole(value: object) -> int:
    return value if isinstance(value, int) else -1


def _number(value: object) -> float:
    try:
        return as_number(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _edges(box: boxes.Boxes) -> NDArray[np.float64]:
    """The edges of boxes, (n, 3, 4): read as left, top, width, height, as corners, and as centre, width, height."""
    near, half = box[:, :2], box[:, 2:] / 2
    return np.stack([np.hstack([near, near + box[:, 2:]]), box, np.hstack([near - half, near + half])], axis=1)


def _fit_outlines(edges: NDArray[np.float64], outline: boxes.Boxes) -> NDArray[np.bool_]:
    """Whether the edges of each reading, (n, 3, 4), are those of the polygon, up to a pixel; (n, 3)."""
    near = np.where((edges[:, 1] > 1).any(axis=1), 1 + boxes.NOISE, 1e-3)
    around = np.hstack([outline[:, :2], outline[:, :2] + outline[:, 2:]])
    fit: NDArray[np.bool_] = np.abs(edges - around[:, None]).max(axis=2) <= near[:, None]
    return fit


def _fit_areas(edges: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the area of each reading is that of the annotation, up to two decimals of its sides.

    Some tools count pixels: both corners are inside.
    """
    sides = edges[:, :, 2:] - edges[:, :, :2]
    pixels = np.any(edges[:, 1] > 1, axis=1, keepdims=True)
    rounding = np.where(pixels, sides.sum(axis=2) / 100 + 1, sides.sum(axis=2) / 1000)
    near = np.abs(sides.prod(axis=2) - area[:, None]) <= rounding
    counted = np.abs((sides + 1).prod(axis=2) - area[:, None]) <= rounding
    fit: NDArray[np.bool_] = (sides > 0).all(axis=2) & (near | (counted & pixels))
    return fit
