"""Boxes whose x and y are swapped: nothing in a box says so, but all boxes and image sizes together do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
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
    size = np.stack([raw.images.width, raw.images.height], axis=1)[raw.image]
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and what is no number
        far = np.maximum(raw.box[:, :2], raw.box[:, 2:]) if raw.mode.corners else raw.box[:, :2] + raw.box[:, 2:]
    oblong = (size > 0).all(axis=1) & (size[:, 0] != size[:, 1]) & np.isfinite(far).all(axis=1)
    far, size = far[oblong], size[oblong] * _ROUNDED
    outside = int(np.count_nonzero((far > size).any(axis=1)))
    if outside < _OUTSIDE or outside < _OFTEN * len(far):
        return
    if (far <= size[:, ::-1]).all(axis=1).mean() >= _SWAPPED:
        log.note("swapped_axes", "all boxes", f"{outside} of {len(far)} reach over the image as they are")
