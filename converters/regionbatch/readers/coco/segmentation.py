"""Compute the boxes around COCO segmentations: polygons, and masks in run-length encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.files.text import as_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_LARGEST_SIDE = 2**16
_LISTS = (list, tuple, np.ndarray)
"""Types that hold a JSON array: a loaded COCO may have NumPy arrays."""


def bbox(segmentation: object) -> tuple[float, float, float, float] | None:
    """Return the box around a segmentation.

    The box around polygons runs from their smallest to their largest coordinates. Masks are decoded
    by pycocotools, the reference implementation of both run-length encodings.

    Args:
        segmentation: A mask; or one or several polygons, lists of x, y, x, y, … with three points
            or more.

    Returns:
        Left, top, width and height in pixels, of the mask if it is one; None if nothing can be
        read.
    """
    try:
        if isinstance(segmentation, dict):
            return _around_mask(segmentation)
        if isinstance(segmentation, _LISTS) and len(segmentation):
            return _around_lists(segmentation)
    except (LookupError, TypeError, ValueError, OverflowError):
        pass
    return None


def mask_size(segmentation: object) -> tuple[int, int] | None:
    """Return the width and height of a mask that `bbox` could read; None if it is not a mask."""
    if not isinstance(segmentation, dict):
        return None
    height, width = (int(side) for side in segmentation["size"])
    return width, height


def _around_lists(
    segmentation: Sequence[Any] | NDArray[Any],
) -> tuple[float, float, float, float] | None:
    polygons = segmentation if isinstance(segmentation[0], _LISTS) else [segmentation]
    if not all(isinstance(polygon, _LISTS) for polygon in polygons):
        return None
    return _around_polygons(
        [np.fromiter(map(as_number, polygon), np.float64, len(polygon)) for polygon in polygons]
    )


def _around_polygons(
    polygons: Sequence[NDArray[np.float64]],
) -> tuple[float, float, float, float] | None:
    if not all(map(is_polygon, polygons)):
        return None
    x = np.concatenate([polygon[::2] for polygon in polygons])
    y = np.concatenate([polygon[1::2] for polygon in polygons])
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    left = float(x.min())
    top = float(y.min())
    return left, top, float(x.max()) - left, float(y.max()) - top


def is_polygon(numbers: Sequence[Any] | NDArray[Any]) -> bool:
    """Return whether numbers may be x, y of three points or more."""
    return len(numbers) >= 6 and len(numbers) % 2 == 0


def _around_mask(mask: dict[str, Any]) -> tuple[float, float, float, float] | None:
    # The C code does not check its input, so only masks whose runs add up reach it.
    height, width = (int(side) for side in mask["size"])
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE):
        return None
    from pycocotools import mask as coco_mask  # noqa: PLC0415 - loaded only if there is a mask

    counts = mask["counts"]
    size = [height, width]
    if isinstance(counts, _LISTS):
        runs = [int(run) for run in counts]
        if min(runs, default=-1) < 0 or sum(runs) != height * width:
            return None
        uncompressed: Any = {"size": size, "counts": runs}
        encoded = coco_mask.frPyObjects(uncompressed, height, width)
    else:
        compressed = counts.encode() if isinstance(counts, str) else counts
        if sum(_run_lengths(compressed)) != height * width:
            return None
        encoded = {"size": size, "counts": compressed}
    left, top, box_width, box_height = coco_mask.toBbox(encoded).tolist()
    return left, top, box_width, box_height


def _run_lengths(counts: bytes) -> Iterator[int]:
    """Yield the run lengths of COCO's compressed form, which pycocotools does not check.

    Each character is 48 plus six bits: five of the number, and one if more follow. From the fourth
    on, a run is stored as its difference from the run two places before.

    Raises:
        ValueError: The form is broken.
    """
    last_but_one = 0
    last = 0
    number = 0
    value = 0
    shift = 0
    for byte in counts:
        part = byte - 48
        if not 0 <= part < 64 or shift > 30:
            raise ValueError("not a compressed mask")
        value |= (part & 31) << shift
        shift += 5
        if part & 32:
            continue
        if part & 16:  # negative
            value -= 1 << shift
        run = value + (last_but_one if number > 2 else 0)
        if run < 0:
            raise ValueError("negative run length")
        yield run
        last_but_one = last
        last = run
        number += 1
        value = 0
        shift = 0
    if shift:
        raise ValueError("truncated mask")
