"""Parse any Pascal VOC file with lxml: bytes to the values in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from regionbatch.readers.safe_xml import InvalidXmlError, line_of, parse_safely, places_of
from regionbatch.readers.voc.header import (
    NOT_NAMED,
    devkit_in_path,
    devkit_in_source,
    size_in,
)
from regionbatch.readers.voc.objects import ParsedObject, parse_object, without_box
from regionbatch.readers.voc.shapes import text_of

if TYPE_CHECKING:
    from lxml import etree

    from regionbatch.readers.voc.header import Leaf

_HEADER_TAGS = ("filename", "size", "source", "folder", "path")
_SHAPE_TAGS = frozenset(("bndbox", "Bndbox", "BndBox", "bndBox", "BNDBOX", "robndbox", "polygon"))
_BOX_TAGS = frozenset(("object", "Object", "OBJECT", *_SHAPE_TAGS))
"""The elements that are boxes, in the spellings that occur."""
_OUTSIDE, _IN_OBJECT, _IN_STRAY = range(3)
"""Where an element is: outside boxes, in an <object> that is read, or in a stray box."""


class Annotation(NamedTuple):
    """The contents of a file."""

    file_name: str
    """Empty: missing or ambiguous."""
    size: tuple[int, int]
    """Width and height in pixels; 0: missing or ambiguous."""
    devkit: int
    """How it refers to the VOC devkit; see `header`."""
    objects: list[ParsedObject]
    is_encoding_guessed: bool


def parse(data: bytes, encoding: str | None = None) -> Annotation:
    """Parse a file.

    Args:
        data: The bytes of the file.
        encoding: The codec that the user chose.

    Raises:
        UndecodableError: The bytes do not match their byte-order mark or the chosen encoding.
        UnsafeXmlError: The file declares or uses entities.
        InvalidXmlError: The file is not XML, has no <annotation>, or has all boxes outside of it.
    """
    root, is_encoding_guessed = parse_safely(data, "annotation", encoding)
    elements = [*root.iterchildren("object")]
    strays = _stray_boxes(root, elements)
    if strays and not elements:
        raise InvalidXmlError(_location(strays[0]), strays[0].sourceline or 0)
    places = iter(places_of([line_of(element) for element in [*elements, *strays]]))
    objects: list[ParsedObject] = []
    for element in elements:
        objects += parse_object(element, next(places))
    for stray in strays:
        objects.append(without_box(next(places), "", "not_a_box", _location(stray)))
    return Annotation(*_header(root), objects, is_encoding_guessed)


def _header(root: etree._Element) -> tuple[str, tuple[int, int], int]:
    """Return the file name, the width and height, and how the file refers to the VOC devkit.

    Of two values that differ, neither can be trusted: the result is then empty, or 0.
    """
    names: set[str] = set()
    sizes: set[tuple[int, int]] = set()
    devkit = NOT_NAMED
    for element in root.iterchildren(*_HEADER_TAGS):
        if element.tag == "filename":
            names.add(text_of(element).strip())
        elif element.tag == "size":
            sizes.add(size_in(_leaves(element)))
        elif element.tag == "source":
            devkit = max(devkit, devkit_in_source(*_leaves(element)))
        else:
            devkit = max(devkit, devkit_in_path(element.text or ""))
    names.discard("")
    sizes.discard((0, 0))
    name = names.pop() if len(names) == 1 else ""
    size = sizes.pop() if len(sizes) == 1 else (0, 0)
    return name, size, devkit


def _leaves(element: etree._Element) -> list[Leaf]:
    return [(str(child.tag), child.text) for child in element]


def _stray_boxes(root: etree._Element, objects: list[etree._Element]) -> list[etree._Element]:
    """Return the boxes outside of `objects` and of other boxes, and each <object> in an object."""
    own = {*objects}
    for box in root.iter(*_BOX_TAGS):
        if box not in own and not (box.tag in _SHAPE_TAGS and box.getparent() in own):
            return _find_strays(root, own)
    return []  # the case in nearly every file


def _find_strays(root: etree._Element, own: set[etree._Element]) -> list[etree._Element]:
    strays: list[etree._Element] = []
    place_of: dict[etree._Element | None, int] = {None: _OUTSIDE}
    for element in root.iter():
        place = place_of[element.getparent()]
        if element in own:
            place = _IN_OBJECT
        elif element.tag in _BOX_TAGS:
            is_nested_object = place == _IN_OBJECT and element.tag not in _SHAPE_TAGS
            if place == _OUTSIDE or is_nested_object:
                place = _IN_STRAY
                strays.append(element)
        place_of[element] = place
    return strays


def _location(stray: etree._Element) -> str:
    parent = stray.getparent()
    parent_tag = "" if parent is None else str(parent.tag)
    return f"a box in an unexpected place: <{parent_tag}><{stray.tag!s}>"
