"""All arithmetic on coordinates: what four numbers mean, and how they become left, top, width, height from 0 to 1.

Every function takes and returns whole columns, float64 of shape (n, 4), and leaves its arguments as they are.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Boxes = NDArray[np.float64]
    Mask = NDArray[np.bool_] | np.bool_  # NumPy types a comparison of arrays so

NOISE = 1e-6
"""A box may reach over the edge by this share of the image's side without being called wrong: it is rounding."""

QUANTUM = 1e-9
"""The step in which numbers are written: a hundred-thousandth of a pixel of the largest picture the service takes."""

_NUDGE = 60
"""Quanta that make up for 32-bit rounding: half a float32 step of left and of width is at most 45 of them."""


_BLOCK = 2**14
"""Rows; half a megabyte of boxes."""


class BoxMode(Enum):
    """What the four numbers of an annotation mean. ABS is in pixels, REL in shares of the image's width and height."""

    XYWH_ABS = "left, top, width, height in pixels"
    """COCO."""
    XYXY_ABS = "left, top, right, bottom in pixels, as edges: a box over all of a W pixels wide image ends at W"
    """Pascal VOC as nearly every tool writes it."""
    XYXY_ABS_FROM_1 = "left, top, right, bottom in pixels, counted from 1, the last pixel included: 1 to W is all of it"
    """Pascal VOC's own devkit: pixel 1 begins at edge 0, pixel W ends at edge W."""
    CXCYWH_REL = "centre x, centre y, width, height as shares"
    """YOLO."""
    XYWH_REL = "left, top, width, height as shares"
    """The COCO files of Azure's own services."""
    XYXY_REL = "left, top, right, bottom as shares"
    """The same with `bbox_format: ltrb`."""

    @property
    def absolute(self) -> bool:
        """Whether the numbers are pixels, so that the image's size is needed."""
        return self.name.split("_")[1] == "ABS"

    @property
    def corners(self) -> bool:
        """Whether the numbers are two corners, which may stand in the wrong order."""
        return self.name.startswith("XYXY")


def finite(box: Boxes) -> Mask:
    """Which boxes have no NaN and no infinity in them, (n,)."""
    first, second, third, fourth = np.isfinite(box).T
    whole: Mask = first & second & third & fourth  # `all(axis=1)` takes three times as long
    return whole


def to_ltwh(box: Boxes, mode: BoxMode, size: Boxes | None = None) -> Boxes:
    """Left, top, width, height from 0 to 1 of boxes as they stand in a file.

    `size` is (n, 2), width and height in pixels of each box's image; absolute modes need it, the others do not.
    Boxes that reach over the image, or are turned inside out, come back so: nothing is judged here.
    """
    first, second = box[:, :2], box[:, 2:]
    if mode is BoxMode.CXCYWH_REL:
        return np.hstack([first - second / 2, second])
    if mode is BoxMode.XYXY_ABS_FROM_1:
        first = first - 1
    if mode.corners:
        second = second - first
    if mode.absolute and size is not None:
        first, second = first / size, second / size
    return np.hstack([first, second])


def from_edges(edges: Boxes, mode: BoxMode) -> Boxes:
    """Left, top, right, bottom edges, in the unit of `mode`, put the way `mode` has them: for boxes around shapes."""
    first, second = edges[:, :2], edges[:, 2:]
    if mode is BoxMode.CXCYWH_REL:
        return np.hstack([(first + second) / 2, second - first])
    if mode is BoxMode.XYXY_ABS_FROM_1:
        return np.hstack([first + 1, second])
    return edges.copy() if mode.corners else np.hstack([first, second - first])


def around_rotated(box: Boxes, angle: NDArray[np.float64], size: Boxes) -> Boxes:
    """Return the axis-aligned boxes that enclose rotated ones.

    Args:
        box: (n, 4), left, top, width, height from 0 to 1, before they are rotated about their centres.
        angle: (n,), radians. Clockwise and anticlockwise give the same box.
        size: (n, 2), width and height in pixels of the image of each box: a rotation is one in pixels.

    Returns:
        (n, 4), left, top, width, height from 0 to 1. They may reach over the image.
    """
    extent = box[:, 2:] * size
    cos, sin = np.abs(np.cos(angle))[:, None], np.abs(np.sin(angle))[:, None]
    enclosing = (extent * cos + extent[:, ::-1] * sin) / size
    return np.hstack([box[:, :2] + (box[:, 2:] - enclosing) / 2, enclosing])


def ordered(box: Boxes, swapped: Mask) -> Boxes:
    """Corners put in order where `swapped`: left before right, top before bottom. For modes with corners."""
    box = box.copy()
    box[swapped, :2], box[swapped, 2:] = (
        np.minimum(box[swapped, :2], box[swapped, 2:]),
        np.maximum(box[swapped, :2], box[swapped, 2:]),
    )
    return box


def overhang(box: Boxes) -> NDArray[np.float64]:
    """How far each left, top, width, height box reaches over the image, in shares of the side; (n,), 0: not at all."""
    left, top, width, height = box.T
    far = np.maximum(left + width, top + height) - 1
    near = -np.minimum(left, top)
    over: NDArray[np.float64] = np.maximum(np.maximum(near, far), 0)
    return over


def clip(box: Boxes, over: NDArray[np.float64] | None = None) -> Boxes:
    """Left, top, width, height boxes cut back to the image; boxes inside it keep their very numbers.

    A box wholly outside comes back with a width or height of 0 or less. `over` is their overhang, if it is known.
    """
    rows = np.flatnonzero((overhang(box) if over is None else over) > 0)
    if not len(rows):
        return box
    clipped = box.copy()
    edge = np.minimum(box[rows, :2] + box[rows, 2:], 1)
    clipped[rows, :2] = np.maximum(box[rows, :2], 0)
    clipped[rows, 2:] = edge - clipped[rows, :2]
    return clipped


def outside(box: Boxes, clipped: Boxes) -> NDArray[np.float64]:
    """Return the share of the area of each box that clipping cut off, (n,); NaN for a box without an area."""
    left = clipped[:, 2:] / box[:, 2:]  # side by side: an area may be beyond the largest number
    share: NDArray[np.float64] = 1 - left[:, 0] * left[:, 1]
    return share


def writable(box: Boxes) -> Boxes:
    """Boxes inside the image as numbers that the service cannot misread, in steps of `QUANTUM`.

    The service has 32-bit floats (its contract: `format: float`). Rounded each by itself, left + width
    would exceed 1 in a third of the boxes that touch the right edge. The numbers returned keep, read as 32-bit or as
    64-bit floats, 0 <= left, 0 < width and left + width <= 1, and the same downwards. They move by at most 6.1e-8.
    """
    # Dividing by a whole number of steps, not multiplying by a fraction, gives the float that prints shortest.
    steps = round(1 / QUANTUM)
    quanta = box * steps
    np.rint(quanta, out=quanta)
    quanta += 0.0  # -0.0 becomes 0.0
    np.maximum(quanta[:, 2:], 1, out=quanta[:, 2:])
    # Only where left + width is next to 1 can rounding bring it above.
    row, side = np.nonzero(quanta[:, :2] + quanta[:, 2:] > steps - 2 * _NUDGE)
    first, second = ((quanta[row, side + more] / steps).astype(np.float32).astype(np.float64) for more in (0, 2))
    row, side = row[first + second > 1], side[first + second > 1]
    # The larger of the two is at least half the side, so it can spare the nudge; the smaller may not.
    larger = np.where(quanta[row, side + 2] > quanta[row, side], side + 2, side)
    quanta[row, larger] -= _NUDGE
    return np.divide(quanta, steps, out=quanta)


def keys_of(image: NDArray[np.int32], tag: NDArray[np.int32], box: Boxes) -> NDArray[np.uint64]:
    """What makes regions equal for the service, (n, 3): image and tag, and the bits of the box as 32-bit floats."""
    keys = np.empty((len(box), 3), np.uint64)
    keys[:, 0] = image.astype(np.uint64) << np.uint64(32) | tag.astype(np.uint64)
    keys[:, 1:] = box.astype(np.float32).view(np.uint64)
    return keys


def mixed_keys(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One number for each row of keys, (n,): equal rows have equal ones, others nearly never."""
    mixed = np.zeros(len(keys), np.uint64)
    for column in keys.T:
        mixed ^= column
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def first_of_equal(image: NDArray[np.int32], tag: NDArray[np.int32], box: Boxes) -> Mask:
    """Which rows are the first with their image, tag and box, (n,). Boxes are equal when their 32-bit floats are.

    The service sees 32-bit floats and refuses a whole batch that holds an entry twice.
    """
    # Sorting several columns is slow. Half a mix of them finds the few rows that can be equal; only those are compared.
    mixed = np.empty(len(box), np.uint32)
    for some in blocks(len(box)):
        mixed[some] = mixed_keys(keys_of(image[some], tag[some], box[some])) >> np.uint64(32)
    order = order_of(mixed)
    alike = np.flatnonzero(np.diff(mixed[order]) == 0)
    suspect = np.zeros(len(box), np.bool_)
    suspect[order[alike]] = suspect[order[alike + 1]] = True
    suspects = np.flatnonzero(suspect)
    keys = keys_of(image[suspects], tag[suspects], box[suspects])
    sorted_ = np.lexsort(keys.T)  # those that are equal stay as they were
    again = (keys[sorted_[1:]] == keys[sorted_[:-1]]).all(axis=1)
    first = np.ones(len(box), np.bool_)
    first[suspects[sorted_[1:][again]]] = False
    return first


def blocks(count: int) -> Iterator[slice]:
    """So many rows in blocks: what is computed of one on the way stays in the processor's cache."""
    for start in range(0, count, _BLOCK):
        yield slice(start, start + _BLOCK)


def order_of(codes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The rows in the order of their codes; those of one code as they were."""
    # NumPy sorts 16 bits by counting: twice that takes a fifth of the time of sorting 32.
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    return order[np.argsort((codes >> np.uint32(16)).astype(np.uint16)[order], kind="stable")]
