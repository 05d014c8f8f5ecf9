"""Find the rotation of a Pascal VOC box in the elements next to its corners.

CVAT writes an attribute `rotation` in degrees. Other tools write <rotation> or <angle>, without
saying what they mean.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from regionbatch.files.text import as_number
from regionbatch.readers.voc.shapes import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

ROTATION_TAGS = frozenset(("attributes", "rotation", "Rotation", "angle", "Angle"))
"""The elements that may say that a box is rotated."""


def find_rotation(elements: Sequence[etree._Element]) -> tuple[float, tuple[str, ...]]:
    """Return the rotation that elements give a box.

    A <rotation> next to the corners is in degrees for certain only if it is more than a full turn
    in radians. An <angle> may be the angle of anything.

    Args:
        elements: Elements whose names are in `ROTATION_TAGS`.

    Returns:
        The angle in radians (0: none); and the code of a finding if the rotation is not certain.

    Raises:
        ValueError: A rotation is not a number, or there are two different ones.
    """
    attributes = _rotation_attributes(elements)
    texts = [text_of(element) for element in elements if _is_called(element, "rotation")]
    values = [*attributes, *filter(None, texts)]
    if not values:
        return 0.0, ("unread_angle",) if _has_angle(elements) else ()
    try:
        [degrees] = {as_number(value) for value in values}
    except ValueError:
        shown = ", ".join(sorted({*values})) or "empty"
        raise ValueError(f"rotation: {shown}") from None
    if attributes or abs(degrees) > 2 * math.pi:
        return math.radians(degrees % 180), ()  # half a turn gives the same box
    return 0.0, ("unclear_rotation",) if degrees else ()


def _rotation_attributes(elements: Sequence[etree._Element]) -> list[str]:
    """Return the value of each attribute called `rotation` in <attributes> elements.

    It is written with <name> and <value>, with name="rotation", or as <rotation>.
    """
    found = []
    for element in elements:
        for attribute in element if element.tag == "attributes" else ():
            texts = {child.tag: text_of(child) for child in attribute}
            name = texts.get("name") or attribute.get("name") or str(attribute.tag)
            if name.strip().lower() == "rotation":
                found.append(texts.get("value", "") if texts else text_of(attribute))
    return found


def _has_angle(elements: Sequence[etree._Element]) -> bool:
    """Return whether one of some elements is an <angle> that would rotate a box."""
    angles = (text_of(element) for element in elements if _is_called(element, "angle"))
    return any(map(_would_rotate, angles))


def _is_called(element: etree._Element, name: str) -> bool:
    return str(element.tag).lower() == name


def _would_rotate(angle: str) -> bool:
    try:
        return as_number(angle) not in (0, 360)
    except ValueError:
        return False  # such as "side view"
