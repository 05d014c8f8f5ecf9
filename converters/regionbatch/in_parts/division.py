"""Divide images into ranges with about equally many boxes. No image is in two ranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS_PER_PART = 2**16
"""Approximate maximum of boxes in a part. A part of this size is sent and judged in 0.1 s."""
_SMALL_PART = 2**12
"""Approximate minimum of boxes in a part."""
_PARTS = 16
"""Number of parts if fewer would suffice, so that a slow process hardly delays the end."""

Counts = NDArray[np.int64]
Codes = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """The part of each of m images."""

    part: Codes
    """(m,), the number of the part, from 0."""
    local: Codes
    """(m,), the number of the image within its part."""
    order: NDArray[np.int64]
    """(m,), the images ordered by part."""
    starts: Counts
    """(k + 1,), where each of k parts starts in `order`."""

    @classmethod
    def of(cls, part: Codes, count: int) -> Division:
        """Return the division of images whose parts are known.

        Args:
            part: (m,), the number of the part of each image.
            count: The number of parts.
        """
        order = np.argsort(part, kind="stable")
        starts = np.append(0, np.cumsum(np.bincount(part, minlength=count)))
        local = np.empty(len(part), np.int32)
        local[order] = np.arange(len(part)) - starts[part[order]]
        return cls(part, local, order, starts)

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self.starts) - 1

    def images_of(self, part: int) -> NDArray[np.int64]:
        """Return the images of a part, in ascending order."""
        return self.order[self.starts[part] : self.starts[part + 1]]


def divide(boxes: Counts, group: Codes) -> Division:
    """Divide images into ranges, which depend on nothing but the dataset.

    Args:
        boxes: (m,), the number of boxes of each image.
        group: (m,), the image that each one is kept together with, often itself. Ranges are ranges
            of groups.
    """
    of_group = np.bincount(group, boxes, minlength=len(boxes)).astype(np.int64)
    firsts = _first_groups(of_group)
    part = np.searchsorted(firsts, group, side="right").astype(np.int32) - np.int32(1)
    return Division.of(part, len(firsts))


def _first_groups(boxes: Counts) -> NDArray[np.int64]:
    """Return the first group of each range."""
    ends = np.cumsum(boxes)
    total = int(ends[-1]) if len(ends) else 0
    count = max(min(_PARTS, total // _SMALL_PART + 1), -(-total // ROWS_PER_PART))
    wanted = total * np.arange(1, min(count, total)) // count
    firsts = np.unique(np.append(0, np.searchsorted(ends, wanted) + 1))
    return firsts[(firsts == 0) | (ends[firsts - 1] < total)] if total else firsts
