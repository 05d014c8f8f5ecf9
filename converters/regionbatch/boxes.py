"""All arithmetic on coordinates: the meaning of four numbers, and their conversion to 0 to 1.

Every function takes and returns whole columns, float64 of shape (n, 4), and never changes its
arguments. "LTWH boxes" are left, top, width, height as fractions of the image's sides.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Boxes = NDArray[np.float64]
    Mask = NDArray[np.bool_] | np.bool_  # the type of a comparison in NumPy's stubs

NOISE = 1e-6
"""Largest overhang, as a fraction of the image's side, that is treated as rounding error."""

QUANTUM = 1e-9
"""Step of written numbers: 1/100,000 of a pixel of the largest image that the service accepts."""

_NUDGE = 60
"""Quanta that compensate for float32 rounding: half a step of left and of width is at most 45."""

BLOCK_ROWS = 2**14
"""Rows of a block: half a megabyte of boxes."""

_PART_ROWS = 2**17
"""Rows whose hashes are compared at once if those of each image are together: a megabyte."""

_MOST_BITS = 22
"""Maximum number of bits of a hash that choose its bin: the bins take 16 MiB at most."""

_MOST_ROUNDS = 32
"""Maximum number of times that hashes in bins are compared. A million hashes need about eight."""


class BoxMode(Enum):
    """What the four numbers of an annotation mean: ABS is in pixels, REL is normalised (0 to 1).

    Example:
        >>> [mode.name for mode in rb.BoxMode if mode.corners]
        ['XYXY_ABS', 'XYXY_ABS_FROM_1', 'XYXY_REL']
    """

    XYWH_ABS = "left, top, width, height in pixels"
    """COCO."""
    XYXY_ABS = "left, top, right, bottom in pixels, as edges: the full width of W pixels is 0 to W"
    """Pascal VOC as nearly every tool writes it."""
    XYXY_ABS_FROM_1 = "left, top, right, bottom as pixel numbers, from 1 to W, both included"
    """Pascal VOC's own devkit: pixel 1 starts at edge 0, pixel W ends at edge W."""
    CXCYWH_REL = "centre x, centre y, width, height, normalised"
    """YOLO."""
    XYWH_REL = "left, top, width, height, normalised"
    """The COCO files of Azure's own services."""
    XYXY_REL = "left, top, right, bottom, normalised"
    """The same with `bbox_format: ltrb`."""

    @property
    def absolute(self) -> bool:
        """Whether the numbers are pixels, so that the image's size is needed."""
        return self.name.split("_")[1] == "ABS"

    @property
    def corners(self) -> bool:
        """Whether the numbers are two corners, which may be in the wrong order."""
        return self.name.startswith("XYXY")


ModeName: TypeAlias = Literal[
    "XYWH_ABS", "XYXY_ABS", "XYXY_ABS_FROM_1", "CXCYWH_REL", "XYWH_REL", "XYXY_REL"
]
"""The name of a `BoxMode`."""


def finite(box: Boxes) -> Mask:
    """Return which boxes contain neither NaN nor infinity, (n,)."""
    first, second, third, fourth = np.isfinite(box).T
    mask: Mask = first & second & third & fourth  # `all(axis=1)` takes three times as long
    return mask


def to_ltwh(box: Boxes, mode: BoxMode, size: Boxes | None = None) -> Boxes:
    """Convert boxes as in a file to LTWH boxes, without judging them.

    Args:
        box: (n, 4), the numbers as `mode` describes them.
        mode: What the numbers mean.
        size: (n, 2), width and height of each box's image in pixels; needed for absolute modes.

    Returns:
        (n, 4), normalised left, top, width, height. Boxes that extend beyond the image, and sides
        that are negative, stay so.
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
    """Convert left, top, right, bottom edges to boxes of a mode: the inverse of `to_ltwh`.

    Args:
        edges: (n, 4), in the unit of `mode`, such as the bounds of a polygon.
        mode: What the returned numbers mean.
    """
    first, second = edges[:, :2], edges[:, 2:]
    if mode is BoxMode.CXCYWH_REL:
        return np.hstack([(first + second) / 2, second - first])
    if mode is BoxMode.XYXY_ABS_FROM_1:
        return np.hstack([first + 1, second])
    return edges.copy() if mode.corners else np.hstack([first, second - first])


def enclose_rotated(box: Boxes, angle: NDArray[np.float64], size: Boxes) -> Boxes:
    """Return the axis-aligned boxes that enclose rotated ones.

    Args:
        box: (n, 4), LTWH boxes before they are rotated about their centres.
        angle: (n,), radians. Clockwise and anticlockwise give the same box.
        size: (n, 2), width and height in pixels of each box's image. Boxes are rotated in pixels.

    Returns:
        (n, 4), LTWH boxes. They may extend beyond the image.
    """
    extent = box[:, 2:] * size
    cos = np.abs(np.cos(angle))[:, None]
    sin = np.abs(np.sin(angle))[:, None]
    enclosing = (extent * cos + extent[:, ::-1] * sin) / size
    return np.hstack([box[:, :2] + (box[:, 2:] - enclosing) / 2, enclosing])


def order_corners(box: Boxes, swapped: Mask) -> Boxes:
    """Sort the corners of the boxes in `swapped`, (n,): left before right, top before bottom.

    The boxes must have a mode with corners.
    """
    first, second = box[swapped, :2], box[swapped, 2:]
    box = box.copy()
    box[swapped, :2] = np.minimum(first, second)
    box[swapped, 2:] = np.maximum(first, second)
    return box


def overhang(box: Boxes) -> NDArray[np.float64]:
    """Return how far each LTWH box extends beyond the image, as a fraction of the side.

    Returns:
        (n,), the largest of the four sides; 0 for a box inside the image.
    """
    left, top, width, height = box.T
    far = np.maximum(left + width, top + height) - 1
    near = -np.minimum(left, top)
    over: NDArray[np.float64] = np.maximum(np.maximum(near, far), 0)
    return over


def clip(box: Boxes, over: NDArray[np.float64] | None = None) -> Boxes:
    """Clip LTWH boxes to the image. Boxes inside it keep exactly their numbers.

    Args:
        box: (n, 4).
        over: (n,), their `overhang`, if it is known.

    Returns:
        (n, 4). A box entirely outside the image gets a width or height of 0 or less.
    """
    rows = np.flatnonzero((overhang(box) if over is None else over) > 0)
    if not len(rows):
        return box
    clipped = box.copy()
    edge = np.minimum(box[rows, :2] + box[rows, 2:], 1)
    clipped[rows, :2] = np.maximum(box[rows, :2], 0)
    clipped[rows, 2:] = edge - clipped[rows, :2]
    return clipped


def fraction_outside(box: Boxes, clipped: Boxes) -> NDArray[np.float64]:
    """Return the fraction of each LTWH box's area that clipping removed, (n,).

    It is NaN for a box without an area.
    """
    kept = clipped[:, 2:] / box[:, 2:]  # each side on its own, because an area may overflow
    fraction: NDArray[np.float64] = 1 - kept[:, 0] * kept[:, 1]
    return fraction


def quantise(box: Boxes) -> Boxes:
    """Round LTWH boxes inside the image to steps of `QUANTUM`, safe for 32-bit floats.

    The service uses 32-bit floats (its contract says `format: float`). If each number were rounded
    on its own, left + width would exceed 1 in a third of the boxes that touch the right edge.

    Returns:
        (n, 4). Read as 32-bit or as 64-bit floats, they satisfy 0 <= left, 0 < width and
        left + width <= 1, and the same for top and height. No number moves by more than 6.1e-8.
    """
    # Dividing by an integer, not multiplying by a fraction, gives the float that prints shortest.
    steps = round(1 / QUANTUM)
    quanta = box * steps
    np.rint(quanta, out=quanta)
    quanta += 0.0  # -0.0 becomes 0.0
    np.maximum(quanta[:, 2:], 1, out=quanta[:, 2:])
    for side in (0, 1):
        # Rounding can exceed 1 only where left + width is close to it.
        near = np.flatnonzero(quanta[:, side] + quanta[:, side + 2] > steps - 2 * _NUDGE)
        first = _as_float32(quanta[near, side] / steps)
        second = _as_float32(quanta[near, side + 2] / steps)
        row = near[first + second > 1]
        # The larger of the two is at least half the side, so it can spare the nudge.
        larger = np.where(quanta[row, side + 2] > quanta[row, side], side + 2, side)
        quanta[row, larger] -= _NUDGE
    return np.divide(quanta, steps, out=quanta)


def _as_float32(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return numbers.astype(np.float32).astype(np.float64)


def region_keys(image: NDArray[np.int32], tag: NDArray[np.int32], box: Boxes) -> NDArray[np.uint64]:
    """Return keys that are equal if the service treats the regions as equal.

    It compares the image, the tag and the box as 32-bit floats.

    Args:
        image: (n,), codes of the images.
        tag: (n,), codes of the tags.
        box: (n, 4), LTWH boxes.

    Returns:
        (n, 3): image and tag in one number, then the bits of the box. It is stored column by
        column.
    """
    left, top, width, height = box.T.astype(np.float32).view(np.uint32)
    keys = np.stack([image, top, height], dtype=np.uint64, casting="unsafe")
    keys <<= np.uint64(32)
    keys |= np.stack([tag, left, width], dtype=np.uint64, casting="unsafe")
    return keys.T


def hash_keys(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a hash of each row of keys, (n,). Different rows almost never share one."""
    mixed = np.zeros(len(keys), np.uint64)
    for column in keys.T:
        mixed ^= column
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def first_of_equal(image: NDArray[np.int32], tag: NDArray[np.int32], box: Boxes) -> Mask:
    """Return which rows are the first with their image, tag and box as 32-bit floats, (n,).

    The service sees 32-bit floats, and rejects a whole batch that contains an entry twice.
    """
    # Sorting three columns is slow. Half a hash finds the few rows that can be equal; only those
    # are compared.
    hashes = np.empty(len(box), np.uint32)
    for block in blocks(len(box)):
        keys = region_keys(image[block], tag[block], box[block])
        hashes[block] = hash_keys(keys) >> np.uint64(32)
    may_be_repeated = np.empty(len(box), np.bool_)
    for part in _parts_of_images(image):
        may_be_repeated[part] = _may_be_repeated(hashes[part])
    suspects = np.flatnonzero(may_be_repeated)
    keys = region_keys(image[suspects], tag[suspects], box[suspects])
    order = np.lexsort(keys.T)  # stable: the first of equal rows stays first
    repeated = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    first = np.ones(len(box), np.bool_)
    first[suspects[order[1:][repeated]]] = False
    return first


def _parts_of_images(image: NDArray[np.int32]) -> Iterator[slice]:
    """Yield slices of rows such that all rows of an image are in one of them.

    They fit into the processor's cache if the rows are in order of images. For ten million rows,
    this takes a third of the time.
    """
    starts = [0]
    if not (image[1:] < image[:-1]).any():
        # `np.unique` imports `numpy.ma`, which takes a twentieth of the time of a small conversion.
        starts = [*dict.fromkeys(np.searchsorted(image, image[::_PART_ROWS]).tolist())]
    return map(slice, starts, [*starts[1:], len(image)])


def _may_be_repeated(hashes: NDArray[np.uint32]) -> Mask:
    """Return which hashes may occur several times, (n,): all that do, and perhaps a few others."""
    # Each round compares the hashes of a bin with one of them, whichever it is. Those that differ
    # from it are left for the next round. This takes half the time of sorting all hashes.
    bits = min(len(hashes).bit_length(), _MOST_BITS)
    row_of_bin = np.empty(2**bits, np.uint32)  # Only the bins in use are written and read.
    may_be = np.zeros(len(hashes), np.bool_)
    rows = np.arange(len(hashes), dtype=np.uint32)
    left = hashes
    for _ in range(_MOST_ROUNDS):
        if not len(rows):
            break
        for block in blocks(len(rows)):
            row_of_bin[_bins(left[block], bits)] = rows[block]
        different = [rows[:0]]
        for block in blocks(len(rows)):
            chosen = row_of_bin[_bins(left[block], bits)]
            others = np.flatnonzero(chosen != rows[block])
            row = rows[block][others]
            chosen = chosen[others]
            equal = left[block][others] == hashes[chosen]
            may_be[row[equal]] = True
            may_be[chosen[equal]] = True
            different.append(row[~equal])
        rows = np.concatenate(different)
        left = hashes[rows]
    may_be[rows] = True  # only if a bin has very many hashes
    return may_be


def _bins(hashes: NDArray[np.uint32], bits: int) -> NDArray[np.intp]:
    """Return the bin of each hash: its first bits."""
    return (hashes >> np.uint32(32 - bits)).astype(np.intp)


def blocks(count: int) -> Iterator[slice]:
    """Yield slices of rows small enough that intermediate results stay in the processor's cache."""
    for start in range(0, count, BLOCK_ROWS):
        yield slice(start, start + BLOCK_ROWS)


def stable_argsort(codes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the row numbers in ascending order of their codes; equal codes keep their order."""
    # NumPy sorts 16 bits by counting: doing that twice takes a fifth of the time of 32 bits.
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    return order[np.argsort((codes >> np.uint32(16)).astype(np.uint16)[order], kind="stable")]
