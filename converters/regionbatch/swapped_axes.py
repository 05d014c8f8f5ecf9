"""Detect boxes with x and y swapped, which only all boxes and image sizes together can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch import boxes
from regionbatch.dataset.columns import take_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.dataset import PlacedAnnotations
    from regionbatch.findings import FindingLog

_MIN_OUTSIDE = 3
"""Minimum number of boxes that extend beyond their images: one or two may be typing errors."""
_MIN_OUTSIDE_FRACTION = 0.1
"""Minimum fraction of all boxes that extend beyond their images."""
_MIN_SWAPPED_FRACTION = 0.99
"""Minimum fraction of all boxes that are inside once x and y are swapped."""
_TOLERANCE = 1.01
"""Factor on an image's sides, because some boxes extend slightly beyond the edge."""


def report_swapped_axes(raw: PlacedAnnotations, log: FindingLog) -> None:
    """Report a dataset in pixels whose boxes fit their images only with x and y swapped.

    Images that EXIF rotates also have such boxes if their stored size is declared.

    Args:
        raw: The annotations, with the sizes of their images.
        log: Receives the finding.
    """
    declared = np.stack([raw.images.width, raw.images.height]).T
    size = np.asarray(declared * _TOLERANCE, np.float64)
    # Square images and images of unknown size are no evidence.
    size[(size <= 0).any(axis=1) | (size[:, 0] == size[:, 1])] = 0
    outside, counted = _count_outside(raw, size)
    if outside < _MIN_OUTSIDE or outside < _MIN_OUTSIDE_FRACTION * counted:
        return
    outside_swapped, _ = _count_outside(raw, size[:, ::-1])
    if counted - outside_swapped >= _MIN_SWAPPED_FRACTION * counted:
        value = f"{outside} of {counted} boxes extend beyond their images"
        log.note("swapped_axes", "all boxes", value)


def _count_outside(raw: PlacedAnnotations, size: NDArray[np.float64]) -> tuple[int, int]:
    """Return how many boxes extend beyond their image, and how many were compared.

    Args:
        raw: The annotations.
        size: (m, 2), width and height of the images in pixels; 0: do not compare.
    """
    outside = counted = 0
    for block in boxes.blocks(len(raw)):
        first = raw.box[block, :2]
        second = raw.box[block, 2:]
        sides = take_rows(size, raw.image[block])
        # Numbers near 1e308 overflow; NaN stays NaN.
        with np.errstate(over="ignore", invalid="ignore"):
            far = np.maximum(first, second) if raw.mode.corners else first + second
            over = (far[:, 0] > sides[:, 0]) | (far[:, 1] > sides[:, 1])
        compared = (sides[:, 0] > 0) & np.isfinite(far[:, 0]) & np.isfinite(far[:, 1])
        outside += int(np.count_nonzero(over & compared))
        counted += int(np.count_nonzero(compared))
    return outside, counted
