"""The numbers in the shapes of Pascal VOC files: <bndbox>, <robndbox> and <polygon>."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from regionbatch.files.text import as_number, reject_unusual_digits

if TYPE_CHECKING:
    from lxml import etree

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_ROBNDBOX = ("cx", "cy", "w", "h", "angle")
_COORDINATE = re.compile(r"[xy]\d*")
"""The elements in a <polygon> that are coordinates: x, y, or x1, y1, x2, ..."""

Box = tuple[float, float, float, float]
"""The four numbers of a box, in the order of the file."""
NO_BOX: Box = (math.nan, math.nan, math.nan, math.nan)


def text_of(element: etree._Element) -> str:
    """Return all text of an element without XML's whitespace around it."""
    text = "".join(element.itertext()) if len(element) else element.text
    return (text or "").strip(" \t\r\n")  # readers keep other whitespace around names


def bndbox_corners(bndbox: etree._Element) -> Box | None:
    """Return the four numbers of a <bndbox>; None if it does not have each of them once."""
    texts = {child.tag: child.text for child in bndbox if not len(child)}
    if len(bndbox) != 4 and sum(child.tag in _CORNERS for child in bndbox) != 4:
        return None
    try:
        xmin, ymin, xmax, ymax = texts["xmin"], texts["ymin"], texts["xmax"], texts["ymax"]
        reject_unusual_digits(xmin + ymin + xmax + ymax)  # type: ignore[operator]
        return float(xmin), float(ymin), float(xmax), float(ymax)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        return None


def robndbox_edges(robndbox: etree._Element) -> tuple[Box, float] | None:
    """Return the edges of a <robndbox> before its rotation, and its angle; None if invalid."""
    try:
        values = {child.tag: as_number(text_of(child)) for child in robndbox if not len(child)}
        x, y, width, height, angle = (values[key] for key in _ROBNDBOX)
    except (KeyError, ValueError):
        return None
    has_each_once = sum(child.tag in _ROBNDBOX for child in robndbox) == len(_ROBNDBOX)
    if not has_each_once or min(width, height) < 0:
        return None
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), angle


def polygon_bounds(polygon: etree._Element) -> Box | None:
    """Return the edges of the box around a <polygon>; None if invalid."""
    xs: list[float] = []
    ys: list[float] = []
    for child in polygon.iter():
        tag = str(child.tag)
        if len(child) or not _COORDINATE.fullmatch(tag):
            continue
        text = text_of(child)
        if not text:
            continue
        try:
            (xs if tag[0] == "x" else ys).append(as_number(text))
        except ValueError:
            return None
    if len(xs) < 2 or len(xs) != len(ys) or not all(map(math.isfinite, (*xs, *ys))):
        return None
    return min(xs), min(ys), max(xs), max(ys)


def are_alike(box: Box, other: Box) -> bool:
    """Return whether two boxes are the same to about a pixel."""
    tolerance = 1 if max(box) > 1 else 0.01  # normalised boxes have no number above 1
    return all(abs(a - b) <= tolerance for a, b in zip(box, other, strict=True))
