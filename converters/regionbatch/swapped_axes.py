"""Boxes whose x and y are swapped: nothing in a box says so, but all boxes and image sizes together do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch import boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.dataset import PlacedAnnotations
    from regionbatch.findings import FindingLog

_OUTSIDE = 3
"""Boxes that must reach over their images: one or two may be typing errors."""
_OFTEN = 0.1
"""Of the boxes, so many must."""
_SWAPPED = 0.99
"""Of the boxes, so many must lie inside once x and y are swapped."""
_ROUNDED = 1.01
"""Sides of an image that boxes may take, since some reach over the edge by a little."""


def report_swapped_axes(raw: PlacedAnnotations, log: FindingLog) -> None:
    """Report boxes in pixels that reach over their images as they are, and lie inside with x and y swapped.

    An image that is shown rotated, of which the size as stored is declared, has such boxes too.

    Args:
        raw: The annotations, with the sizes of their images.
        log: Where it is reported.
    """
    size = np.asarray(np.stack([raw.images.width, raw.images.height], axis=1) * _ROUNDED, np.float64)
    size[(size <= 0).any(axis=1) | (size[:, 0] == size[:, 1])] = 0  # of unknown and square images, nothing is seen
    outside, seen = _count(raw, size)
    if outside >= _OUTSIDE and outside >= _OFTEN * seen and seen - _count(raw, size[:, ::-1])[0] >= _SWAPPED * seen:
        log.note("swapped_axes", "all boxes", f"{outside} of {seen} reach over the image as they are")


def _count(raw: PlacedAnnotations, size: NDArray[np.float64]) -> tuple[int, int]:
    """Return how many boxes reach over their image, and how many have one.

    Args:
        raw: The annotations.
        size: (m, 2), width and height of the images; 0: not to be counted.
    """
    outside = seen = 0
    for block in boxes.blocks(len(raw)):
        near, second, sides = raw.box[block, :2], raw.box[block, 2:], size[raw.image[block]]
        with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and what is no number
            far = np.maximum(near, second) if raw.mode.corners else near + second
            over = (far[:, 0] > sides[:, 0]) | (far[:, 1] > sides[:, 1])
            counted = (sides[:, 0] > 0) & np.isfinite(far[:, 0]) & np.isfinite(far[:, 1])
        outside += int(np.count_nonzero(over & counted))
        seen += int(np.count_nonzero(counted))
    return outside, seen
