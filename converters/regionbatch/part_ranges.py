"""Divide a dataset into parts."""

from __future__ import annotations

from itertools import pairwise

MIN_PARTS = 16
"""Parts that a dataset is divided into at least, so that a slow process delays the end little."""

MIN_PARTS_OF_LARGE = 4
"""Parts of full size from which on a dataset is large: reading it is worth starting processes."""


def even_ranges(count: int, n: int, most: int) -> list[range]:
    """Divide `range(count)` into about equal ranges.

    Args:
        count: The number of items.
        n: The number of ranges, if there are so many items.
        most: The largest size of a range; there are more ranges if necessary.

    Example:
        >>> from regionbatch.part_ranges import even_ranges
        >>> even_ranges(5, 2, 100)
        [range(0, 2), range(2, 5)]
    """
    n = min(count, max(n, -(-count // most)))
    ends = [count * number // n for number in range(n + 1)] if n else []
    return [range(*pair) for pair in pairwise(ends)]
