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


def with_small_ends(ranges: list[range]) -> list[range]:
    """Divide the last two ranges into quarters, so that no process waits long for another.

    Example:
        >>> from regionbatch.part_ranges import with_small_ends
        >>> with_small_ends([range(0, 8), range(8, 12), range(12, 14)])[1:]
        [range(8, 9), range(9, 10), range(10, 11), range(11, 12), range(12, 13), range(13, 14)]
    """
    small: list[range] = []
    for each in ranges[-2:]:
        small += [each[part.start : part.stop] for part in even_ranges(len(each), 4, len(each))]
    return [*ranges[:-2], *small]
