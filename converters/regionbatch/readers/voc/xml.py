"""Parse one Pascal VOC file: bytes to the values in it."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from regionbatch.files.text import UnreadableError, as_side
from regionbatch.readers.safe_xml import (
    InvalidXmlError,
    UnsafeXmlError,
    line_of,
    parse_safely,
    places_of,
)
from regionbatch.readers.voc.objects import ParsedObject, parse_object, without_box
from regionbatch.readers.voc.shapes import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lxml import etree

    from regionbatch.files.storage import Storage

NOT_NAMED, NAMED, DEVKIT = range(3)
"""How a file refers to the VOC devkit: not at all, by name only, or as its source."""

MAX_FILE_SIZE = 16 * 2**20
"""Bytes of a file about one image."""

_DEVKIT = re.compile(r"\s*The VOC ?20\d\d Database\s*", re.IGNORECASE)
_DEVKIT_NAME = re.compile(r"VOC[ _-]?20\d\d(?!\d)", re.IGNORECASE)
_HEADER_TAGS = ("filename", "size", "source", "folder", "path")
_SHAPE_TAGS = frozenset(("bndbox", "Bndbox", "BndBox", "bndBox", "BNDBOX", "robndbox", "polygon"))
_BOX_TAGS = frozenset(("object", "Object", "OBJECT", *_SHAPE_TAGS))
"""The elements that are boxes, in the spellings that occur."""
_OUTSIDE, _IN_OBJECT, _IN_STRAY = range(3)
"""Where an element is: outside boxes, in an <object> that is read, or in a stray box."""
_FILES_PER_PACKET = 500
"""Files that a worker sends at once."""

_side = lru_cache(1024)(as_side)  # a dataset has few image sizes


class Annotation(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=True):
    """The contents of a file."""

    file_name: str
    """Empty: missing or ambiguous."""
    width: int
    """Pixels; 0: missing or ambiguous."""
    height: int
    """Pixels; 0: missing or ambiguous."""
    devkit: int
    """How it refers to the VOC devkit: `NOT_NAMED`, `NAMED` or `DEVKIT`."""
    objects: list[ParsedObject]
    is_encoding_guessed: bool


class FileError(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=True):
    """Why a file is dropped."""

    code: str
    """The code of the finding."""
    reason: str
    line: int = 0


def parse_files(
    storage: Storage, paths: Sequence[str], encoding: str | None = None
) -> Iterator[Annotation | FileError]:
    """Read files, and yield what each contains.

    Args:
        storage: Where the files are.
        paths: The paths to open.
        encoding: The codec that the user chose.
    """
    for content in storage.read_many(paths, most=MAX_FILE_SIZE):
        yield _parse_content(content, encoding)


def _parse_content(
    content: bytes | UnreadableError, encoding: str | None
) -> Annotation | FileError:
    try:
        if isinstance(content, UnreadableError):
            raise content
        return parse(content, encoding)
    except UnreadableError as error:
        return FileError("unreadable_file", str(error))
    except UnsafeXmlError as error:
        return FileError("unsafe_xml", str(error))
    except InvalidXmlError as error:
        return FileError("unreadable_file", str(error), error.line)


def parse_packed(
    storage: Storage, paths: Sequence[str], encoding: str | None = None
) -> Iterator[bytes]:
    """Parse files and yield packets of results, which are small and which `unpack` decodes fast."""
    results = parse_files(storage, paths, encoding)
    while packet := [*islice(results, _FILES_PER_PACKET)]:
        yield msgspec.msgpack.encode(packet)


def unpack(packet: bytes) -> list[Annotation | FileError]:
    """Return the results in a packet of `parse_packed`."""
    return msgspec.msgpack.decode(packet, type=list[Annotation | FileError])


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
    file_name, (width, height), devkit = _header(root)
    return Annotation(file_name, width, height, devkit, objects, is_encoding_guessed)


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
            sizes.add(_size(element))
        elif element.tag == "source":
            parts = ((str(part.tag), part.text) for part in element)
            devkit = max(devkit, _devkit_in(*parts))
        elif _DEVKIT_NAME.search(element.text or ""):
            devkit = max(devkit, NAMED)
    names.discard("")
    sizes.discard((0, 0))
    name = names.pop() if len(names) == 1 else ""
    size = sizes.pop() if len(sizes) == 1 else (0, 0)
    return name, size, devkit


def _size(size: etree._Element) -> tuple[int, int]:
    """Return the width and height; 0 for one that is missing or duplicate."""
    sides = {side.tag: side.text for side in size}
    if len(sides) < len(size):
        count_of = Counter(side.tag for side in size)
        sides = {tag: text for tag, text in sides.items() if count_of[tag] == 1}
    return _side(sides.get("width")), _side(sides.get("height"))


@lru_cache(1024)
def _devkit_in(*elements: tuple[str, str | None]) -> int:
    """Return how a <source> refers to the VOC devkit, from the names and texts of its elements.

    Only the devkit's own <database> makes it the source. Elsewhere, its name comes from a template.
    """
    is_named = False
    for tag, text in elements:
        if tag == "database" and _DEVKIT.fullmatch(text or ""):
            return DEVKIT
        is_named = is_named or bool(_DEVKIT_NAME.search(text or ""))
    return NAMED if is_named else NOT_NAMED


def _stray_boxes(root: etree._Element, objects: list[etree._Element]) -> list[etree._Element]:
    """Return the boxes outside of `objects` and of other boxes, and each <object> in an object."""
    own = {*objects}
    for box in root.iter(*_BOX_TAGS):
        if box not in own and not (box.tag in _SHAPE_TAGS and box.getparent() in own):
            return _find_strays(root, own)
    return []  # as in nearly every file


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
