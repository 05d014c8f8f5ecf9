"""Divide a dataset into parts."""

from __future__ import annotations

from itertools import pairwise

MIN_PARTS = 16
"""Minimum number of parts of a dataset, so that a slow process hardly delays the end."""

MIN_PARTS_OF_LARGE = 4
"""A dataset with this many parts of full size is large: starting processes is worth it."""


def even_ranges(count: int, n: int, most: int) -> list[range]:
    """Divide `range(count)` into about equal ranges.

    Args:
        count: The number of items.
        n: The number of ranges, or fewer if there are fewer items.
        most: The largest size of a range; there are more ranges if necessary.

    Example:
        >>> from regionbatch.part_ranges import even_ranges
        >>> even_ranges(5, 2, 100)
        [range(0, 2), range(2, 5)]
    """
    n = min(count, max(n, -(-count // most)))
    ends = [count * number // n for number in range(n + 1)] if n else []
    return [range(*pair) for pair in pairwise(ends)]
