"""One <object> of a Pascal VOC file: its name, its marks, and its boxes with their rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from regionbatch.files.text import as_number
from regionbatch.readers.voc.rotation import ROTATION_TAGS, find_rotation
from regionbatch.readers.voc.shapes import (
    NO_BOX,
    Box,
    are_alike,
    bndbox_corners,
    polygon_bounds,
    robndbox_edges,
    text_of,
)

if TYPE_CHECKING:
    from lxml import etree

_TRUE = frozenset({"1", "true", "yes", "y", "t"})
_MARKS = {
    spelling: mark
    for mark in ("difficult", "truncated", "occluded", "deleted")
    for spelling in (mark, mark.capitalize(), mark.upper())
}
"""The mark that each element sets. LabelMe keeps a removed object, with <deleted>1</deleted>."""
_MAX_PAIRS = 10_000
"""Maximum boxes times shapes in a rotated <object>: each box is compared with each polygon."""


class ParsedObject(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One box of an <object>, or the reason why it has none."""

    where: int
    """The line; or, if several objects share it, minus the number of the object in the file."""
    name: str
    box: Box
    marks: tuple[str, ...] = ()
    code: str = ""
    """The code of the finding that drops it; empty: the box is usable."""
    value: str = ""
    """The value of that finding."""
    angle: float = 0.0
    """The rotation about the centre: in radians, unless the box is a <robndbox>."""
    is_robndbox: bool = False
    """Whether it is a <robndbox>, whose unit of angles is decided for the whole dataset."""


class _Parts(msgspec.Struct, gc=False):
    """The direct children of an <object> that matter."""

    names: dict[str, None]
    """The different names, in order."""
    marks: tuple[str, ...]
    boxes: list[etree._Element]
    """<bndbox> elements."""
    shapes: list[etree._Element]
    """<robndbox> and <polygon> elements."""
    rotations: list[etree._Element]
    """Elements that may say that the boxes are rotated."""


def parse_object(element: etree._Element, where: int) -> list[ParsedObject]:
    """Return the boxes of an <object>, or the reason why it has none.

    Only direct children count: <part> and <attributes> contain names and boxes of their own.
    """
    parts = _parts(element)
    names, boxes = parts.names, parts.boxes
    if "deleted" in parts.marks:
        return [without_box(where, next(iter(names), ""), "deleted", ", ".join(names))]
    if len(names) != 1:
        value = f"several names: {', '.join(names)}" if names else "no name"
        return [without_box(where, next(iter(names), ""), "unknown_class", value)]
    [name] = names
    if len(boxes) == 1 and len(boxes[0]) == 4 and not parts.rotations:  # nearly always
        corners = bndbox_corners(boxes[0])
        if corners is not None:
            return [ParsedObject(where, name, corners, parts.marks)]
    if boxes:
        return _from_boxes(where, name, parts)
    if parts.shapes:
        return [_from_shape(where, name, shape, parts.marks) for shape in parts.shapes]
    return [without_box(where, name, "not_a_box", "no bndbox")]


def without_box(where: int, name: str, code: str, value: str) -> ParsedObject:
    """Return an object that a finding drops."""
    return ParsedObject(where, name, NO_BOX, (), code, value)


def _parts(element: etree._Element) -> _Parts:
    names: dict[str, None] = {}
    marks: tuple[str, ...] = ()
    boxes: list[etree._Element] = []
    shapes: list[etree._Element] = []
    rotations: list[etree._Element] = []
    for child in element:
        tag = child.tag
        if tag == "name":
            if name := text_of(child):
                names[name] = None
        elif tag == "bndbox":
            boxes.append(child)
        elif tag == "robndbox" or tag == "polygon":  # noqa: PLR1714 - builds no tuple; hot
            shapes.append(child)
        elif tag in _MARKS:
            if child.text != "0" and _MARKS[tag] not in marks and is_true(text_of(child)):
                marks += (_MARKS[tag],)
        elif tag in ROTATION_TAGS:
            rotations.append(child)
    return _Parts(names, marks, boxes, shapes, rotations)


def is_true(text: str) -> bool:
    """Return whether a mark is set: `1`, `true`, `yes`; or any number but 0."""
    try:
        return text.lower() in _TRUE or as_number(text) != 0
    except ValueError:
        return False


def _from_boxes(where: int, name: str, parts: _Parts) -> list[ParsedObject]:
    """Return the boxes of an <object>, rotated as other elements say."""
    rotations = parts.rotations.copy()
    for box in parts.boxes:
        rotations += [child for child in box if child.tag in ROTATION_TAGS]
    bounds: list[Box] = []
    try:
        angle, doubts = find_rotation(rotations)
        if angle or doubts:
            bounds = _polygon_bounds(parts)
    except ValueError as error:
        return [without_box(where, name, "not_a_box", str(error)) for _ in parts.boxes]
    found = []
    for box in parts.boxes:
        corners = bndbox_corners(box)
        if corners is None:
            found.append(_not_a_box(where, name, box))
        elif any(are_alike(corners, each) for each in bounds):
            # The box encloses the polygon: it is axis-aligned, whatever the angle.
            found.append(ParsedObject(where, name, corners, parts.marks))
        else:
            found.append(ParsedObject(where, name, corners, parts.marks + doubts, angle=angle))
    return found


def _polygon_bounds(parts: _Parts) -> list[Box]:
    """Return the boxes around the valid polygons of an <object>.

    Raises:
        ValueError: It has too many boxes and shapes to compare.
    """
    if len(parts.boxes) * len(parts.shapes) > _MAX_PAIRS:
        raise ValueError("too many boxes and shapes in a rotated <object>")
    found = (polygon_bounds(shape) for shape in parts.shapes if shape.tag == "polygon")
    return [bounds for bounds in found if bounds is not None]


def _from_shape(
    where: int, name: str, shape: etree._Element, marks: tuple[str, ...]
) -> ParsedObject:
    """Return a <robndbox>, or the box around a <polygon>."""
    if shape.tag == "polygon":
        bounds = polygon_bounds(shape)
        if bounds is not None:
            return ParsedObject(where, name, bounds, (*marks, "box_from_shape"))
        return _not_a_box(where, name, shape)
    rotated = robndbox_edges(shape)
    if rotated is None:
        return _not_a_box(where, name, shape)
    edges, angle = rotated
    return ParsedObject(where, name, edges, marks, angle=angle, is_robndbox=True)


def _not_a_box(where: int, name: str, element: etree._Element) -> ParsedObject:
    """Return an object whose box or shape is invalid; the finding shows the text in it."""
    words = " ".join(element.itertext()).split()
    return without_box(where, name, "not_a_box", " ".join(words))
