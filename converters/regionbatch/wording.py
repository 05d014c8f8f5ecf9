"""Numbers and names as messages show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.findings.text import escape_unprintable, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTED = 10
"""Maximum number of names that a message lists."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun in singular or plural.

    >>> counted(1, "box"), counted(2, "box"), counted(2, "tag")
    ('1 box', '2 boxes', '2 tags')
    """
    if count == 1:
        return f"1 {noun}"
    suffix = "es" if noun.endswith(("x", "ch")) else "s"
    return f"{count} {plural or noun + suffix}"


def quoted_names(names: Iterable[str], most: int = LISTED) -> str:
    """Return names in quotes; those after the first `most` are only counted.

    >>> quoted_names(["cat", "dog", "cow"], most=2)
    "'cat', 'dog' and 1 more"
    """
    return listed([quoted(escape_unprintable(name)) for name in names], most)


def listed(items: Iterable[str], most: int = LISTED, separator: str = ", ") -> str:
    """Return items with separators; those after the first `most` are only counted."""
    items = list(items)
    more = len(items) - most
    text = separator.join(items[:most])
    return f"{text} and {more} more" if more > 0 else text
