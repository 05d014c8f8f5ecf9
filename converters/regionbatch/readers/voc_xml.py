"""One Pascal VOC file: bytes to the values in it. Entities are never expanded and nothing is fetched."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterator


def _safe_parser(encoding: str | None = None) -> etree.XMLParser:
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


_PARSER, _CP1252 = _safe_parser(), _safe_parser("cp1252")
_DEVKIT = re.compile(r"VOC ?20(0[5-9]|1[0-2])")
_YES = frozenset({"1", "true", "yes", "y", "t"})
_FLAGS = frozenset({"difficult", "truncated", "occluded"})
_CORNERS = {"xmin": 0, "ymin": 1, "xmax": 2, "ymax": 3}

Box = tuple[float, float, float, float]
NO_BOX: Box = (math.nan, math.nan, math.nan, math.nan)


class UnsafeError(Exception):
    """The file declares entities."""


class BrokenError(Exception):
    """The file is no XML, or no annotation."""

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(what)
        self.line = line


class Object(NamedTuple):
    """One box of an <object>, or what is wrong with it."""

    line: int
    name: str
    box: Box
    marks: tuple[str, ...] = ()
    trouble: str = ""
    """A finding code; the box is then no box."""
    value: str = ""


class Annotation(NamedTuple):
    """What a file says. Width and height are 0 where it does not tell them."""

    file_name: str
    width: int
    height: int
    devkit: bool
    """Whether its source is the VOC devkit itself."""
    objects: list[Object]
    guessed_encoding: bool


def parse(data: bytes) -> Annotation:
    """Parse a file.

    Raises:
        UnsafeError: It declares entities.
        BrokenError: It is not XML, or has no <annotation>.
    """
    try:
        root, guessed = _root(data)
    except BrokenError as error:
        if b"<!ENTITY" in data:  # the parser's own limit on entities stopped it
            raise UnsafeError(str(error)) from error
        raise
    if b"<!" in data or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        _refuse_entities(root)
    if _name(root) != "annotation":
        raise BrokenError(f"<{_name(root)}> where <annotation> is needed", root.sourceline or 0)
    file_name, size, devkit = "", (0, 0), False
    objects: list[Object] = []
    for child in root:
        name = _name(child)
        if name == "object":
            objects += _objects(child)
        elif name == "filename":
            file_name = _text(child)
        elif name == "size":
            sides = {_name(side): _text(side) for side in child}
            size = _side(sides.get("width", "")), _side(sides.get("height", ""))
        elif name == "source":
            devkit = any(_DEVKIT.search(_text(part)) for part in child if _name(part) in ("database", "annotation"))
    return Annotation(file_name, *size, devkit, objects, guessed)


def _root(data: bytes) -> tuple[etree._Element, bool]:
    try:
        return etree.fromstring(data, _PARSER), False
    except etree.XMLSyntaxError as error:
        if error.code != etree.ErrorTypes.ERR_INVALID_CHAR and "encod" not in str(error.msg).lower():
            raise BrokenError(_reason(error), error.lineno or 0) from error
    try:
        return etree.fromstring(data, _CP1252), True
    except etree.XMLSyntaxError as error:
        raise BrokenError(_reason(error), error.lineno or 0) from error


def _reason(error: etree.XMLSyntaxError) -> str:
    return str(error.msg or "not XML").partition(", line ")[0]


def _refuse_entities(root: etree._Element) -> None:
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and next(iter(dtd.iterentities()), None) is not None:
        raise UnsafeError("<!ENTITY>")


def _objects(element: etree._Element) -> Iterator[Object]:
    """The boxes of an <object>: of its direct children, since parts and attributes inside have names and boxes too."""
    line, name, marks = element.sourceline or 0, "", []
    boxes, shapes = [], []
    for child in element:
        tag = _name(child)
        if tag == "name":
            name = _text(child)
        elif tag == "bndbox":
            boxes.append(child)
        elif tag in ("robndbox", "polygon"):
            shapes.append(child)
        elif tag in _FLAGS and _is_yes(_text(child)):
            marks.append(tag)
    if not name.strip():
        yield Object(line, name, NO_BOX, (), "unknown_class", "no name")
    elif not boxes and not shapes:
        yield Object(line, name, NO_BOX, (), "not_a_box", "no bndbox")
    else:
        for part in boxes or shapes:
            box = _corners(part) if boxes else _around(part)
            if box is None:
                yield Object(line, name, NO_BOX, (), "not_a_box", " ".join(part.itertext()))
            else:
                yield Object(line, name, box, tuple(marks) if boxes else (*marks, "box_from_shape"))


def _corners(bndbox: etree._Element) -> Box | None:
    box = [math.nan] * 4
    missing = 4
    try:
        for child in bndbox:
            if (at := _CORNERS.get(_name(child))) is not None:
                box[at] = float(_text(child))
                missing -= 1
    except ValueError:
        return None
    return (box[0], box[1], box[2], box[3]) if missing == 0 else None


def _around(shape: etree._Element) -> Box | None:
    """The edges of the upright box around a turned box (cx, cy, w, h, angle in radians) or a polygon."""
    try:
        if _name(shape) == "robndbox":
            values = {_name(child): float(_text(child)) for child in shape}
            x, y, width, height, angle = (values[key] for key in ("cx", "cy", "w", "h", "angle"))
            cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
            half_x, half_y = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
            return x - half_x, y - half_y, x + half_x, y + half_y
        points = [(_name(child)[:1], float(_text(child))) for child in shape.iter() if not len(child) and _text(child)]
        xs, ys = ([value for axis, value in points if axis == wanted] for wanted in "xy")
        return (min(xs), min(ys), max(xs), max(ys)) if len(xs) > 1 and len(xs) == len(ys) else None
    except (KeyError, ValueError):
        return None


def _name(element: etree._Element) -> str:
    """The name of an element without its namespace."""
    tag = element.tag
    if not isinstance(tag, str):  # an entity reference, which stays one
        return ""
    return tag.rpartition("}")[2] if tag[0] == "{" else tag


def _text(element: etree._Element) -> str:
    return (element.text or "").strip()


def _side(text: str) -> int:
    try:
        side = float(text)
    except ValueError:
        return 0
    return int(side) if 0 < side < 2**31 else 0


def _is_yes(text: str) -> bool:
    return text.lower() in _YES
