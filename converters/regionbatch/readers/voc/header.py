"""What the elements of a Pascal VOC file outside its objects mean: the image size, and the source.

Elements are given by their names and texts, so that it does not matter how they were parsed.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from regionbatch.files.text import as_side

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_NAMED, NAMED, DEVKIT = range(3)
"""How a file refers to the VOC devkit: not at all, by name only, or as its source."""

_DEVKIT = re.compile(r"\s*The VOC ?20\d\d Database\s*", re.IGNORECASE)
_DEVKIT_NAME = re.compile(r"VOC[ _-]?20\d\d(?!\d)", re.IGNORECASE)

_side = lru_cache(1024)(as_side)  # a dataset has few image sizes

Leaf = tuple[str, str | None]
"""The name and the text of an element without children."""


def size_in(sides: Sequence[Leaf]) -> tuple[int, int]:
    """Return the width and height in a <size>; 0 for one that is missing or duplicate."""
    text_of = dict(sides)
    if len(text_of) < len(sides):
        count_of = Counter(tag for tag, _ in sides)
        text_of = {tag: text for tag, text in sides if count_of[tag] == 1}
    return _side(text_of.get("width")), _side(text_of.get("height"))


@lru_cache(1024)
def devkit_in_source(*elements: Leaf) -> int:
    """Return how a <source> refers to the VOC devkit.

    Only the devkit's own <database> makes it the source. Elsewhere, its name comes from a template.
    """
    is_named = False
    for tag, text in elements:
        if tag == "database" and _DEVKIT.fullmatch(text or ""):
            return DEVKIT
        is_named = is_named or bool(_DEVKIT_NAME.search(text or ""))
    return NAMED if is_named else NOT_NAMED


def devkit_in_path(text: str) -> int:
    """Return how a <folder> or <path> refers to the VOC devkit."""
    return NAMED if _DEVKIT_NAME.search(text) else NOT_NAMED
