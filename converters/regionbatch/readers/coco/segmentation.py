"""Boxes around COCO segmentations: polygons, and masks in run-length encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.files.text import as_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_LARGEST_SIDE = 2**16
_LISTS = (list, tuple, np.ndarray)
"""What stands for an array: a loaded COCO may hold NumPy's."""


def bbox(segmentation: object) -> tuple[float, float, float, float] | None:
    """Left, top, width, height in pixels around a segmentation; None: nothing can be made of it.

    Polygons are lists of x, y, x, y, …, each of three points or more; the box runs from their smallest to their largest
    coordinates. Masks are what pycocotools decodes, the reference implementation of both run-length encodings; the
    pixels are the mask's own.
    """
    try:
        if isinstance(segmentation, dict):
            return _around_mask(segmentation)
        if isinstance(segmentation, _LISTS) and len(segmentation):
            polygons = segmentation if isinstance(segmentation[0], _LISTS) else [segmentation]
            if all(isinstance(polygon, _LISTS) for polygon in polygons):
                return _around_polygons([np.fromiter(map(as_number, one), np.float64, len(one)) for one in polygons])
    except (LookupError, TypeError, ValueError, OverflowError):
        pass
    return None


def mask_size(segmentation: object) -> tuple[int, int] | None:
    """Width and height of a mask that `bbox` found a box around; None: it is no mask."""
    if not isinstance(segmentation, dict):
        return None
    height, width = (int(side) for side in segmentation["size"])
    return width, height


def _around_polygons(polygons: Sequence[NDArray[np.float64]]) -> tuple[float, float, float, float] | None:
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in polygons):
        return None
    across, down = (np.concatenate([polygon[axis::2] for polygon in polygons]) for axis in (0, 1))
    if not (np.isfinite(across).all() and np.isfinite(down).all()):
        return None
    left, top = float(across.min()), float(down.min())
    return left, top, float(across.max()) - left, float(down.max()) - top


def _around_mask(mask: dict[str, Any]) -> tuple[float, float, float, float] | None:
    # The C code believes what it is given, so nothing reaches it that does not add up.
    height, width = (int(side) for side in mask["size"])
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE):
        return None
    from pycocotools import mask as coco_mask  # noqa: PLC0415 - loaded only where a mask is met

    counts = mask["counts"]
    if isinstance(counts, _LISTS):
        runs = [int(run) for run in counts]
        if min(runs, default=-1) < 0 or sum(runs) != height * width:
            return None
        encoded = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)  # type: ignore[call-overload]
    else:
        encoded = {"size": [height, width], "counts": counts.encode() if isinstance(counts, str) else counts}
        if sum(_runs(encoded["counts"])) != height * width:
            return None
    left, top, box_width, box_height = coco_mask.toBbox(encoded).tolist()
    return left, top, box_width, box_height


def _runs(counts: bytes) -> Iterator[int]:
    """Yield the run lengths in COCO's compressed form: 5 bits a character, the sixth says that more follow, from 48 on.

    From the third on a run is stored as the difference to the one before the last. Raises ValueError if it is broken.
    """
    before, last, number = 0, 0, 0
    value, shift = 0, 0
    for byte in counts:
        part = byte - 48
        if not 0 <= part < 64 or shift > 30:
            raise ValueError("not a compressed mask")
        value |= (part & 31) << shift
        shift += 5
        if not part & 32:
            if part & 16:
                value -= 1 << shift
            run = value + (before if number > 2 else 0)
            if run < 0:
                raise ValueError("a negative run")
            yield run
            before, last, number = last, run, number + 1
            value, shift = 0, 0
    if shift:
        raise ValueError("the mask is cut off")
