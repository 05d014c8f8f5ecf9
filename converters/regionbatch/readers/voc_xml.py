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
    root, guessed = _annotation(data)
    file_name, size, devkit = "", (0, 0), False
    objects: list[Object] = []
    for child in root:
        tag = child.tag
        if tag == "object":
            objects += _objects(child)
        elif tag == "filename":
            file_name = _text(child)
        elif tag == "size":
            sides = {side.tag: _text(side) for side in child}
            size = _side(sides.get("width", "")), _side(sides.get("height", ""))
        elif tag == "source":
            devkit = any(_DEVKIT.search(_text(part)) for part in child if part.tag in ("database", "annotation"))
    return Annotation(file_name, *size, devkit, objects, guessed)


def _annotation(data: bytes) -> tuple[etree._Element, bool]:
    """The root, without namespaces, once it is sure that it is safe and an annotation; and whether it was cp1252."""
    try:
        root, guessed = _root(data)
    except BrokenError as error:
        if b"<!ENTITY" in data:  # the parser's own limit on entities stopped it
            raise UnsafeError(str(error)) from error
        raise
    if b"<!" in data or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        _refuse_entities(root)
    if str(root.tag)[:1] == "{":
        _forget_namespaces(root)
    if root.tag != "annotation":
        raise BrokenError(f"<{root.tag!s}> where <annotation> is needed", root.sourceline or 0)
    return root, guessed


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


def _forget_namespaces(root: etree._Element) -> None:
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]


def _objects(element: etree._Element) -> Iterator[Object]:
    """The boxes of an <object>: of its direct children, since parts and attributes inside have names and boxes too."""
    line, name = element.sourceline or 0, ""
    marks: tuple[str, ...] = ()
    boxes, shapes = [], []
    for child in element:
        tag = child.tag
        if tag == "name":
            name = _text(child)
        elif tag == "bndbox":
            boxes.append(child)
        elif tag == "robndbox" or tag == "polygon":  # noqa: PLR1714 - no tuple is made for each of a million elements
            shapes.append(child)
        elif tag in _FLAGS and _text(child).lower() in _YES:
            marks += (tag,)
    if not name:
        yield Object(line, name, NO_BOX, (), "unknown_class", "no name")
    elif not boxes and not shapes:
        yield Object(line, name, NO_BOX, (), "not_a_box", "no bndbox")
    for part in (boxes or shapes) if name else ():
        box = _corners(part) if boxes else _around(part)
        if box is None:
            yield Object(line, name, NO_BOX, (), "not_a_box", " ".join(" ".join(part.itertext()).split()))
        else:
            yield Object(line, name, box, marks if boxes else (*marks, "box_from_shape"))


def _corners(bndbox: etree._Element) -> Box | None:
    texts = {child.tag: child.text for child in bndbox}
    try:
        return float(texts["xmin"]), float(texts["ymin"]), float(texts["xmax"]), float(texts["ymax"])  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        return None


def _around(shape: etree._Element) -> Box | None:
    """The edges of the upright box around a turned box (cx, cy, w, h, angle in radians) or a polygon."""
    try:
        if shape.tag == "robndbox":
            values = {child.tag: float(_text(child)) for child in shape}
            x, y, width, height, angle = (values[key] for key in ("cx", "cy", "w", "h", "angle"))
            cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
            half_x, half_y = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
            return x - half_x, y - half_y, x + half_x, y + half_y
        points = [
            (str(child.tag)[:1], float(_text(child))) for child in shape.iter() if not len(child) and _text(child)
        ]
        xs, ys = ([value for axis, value in points if axis == wanted] for wanted in "xy")
        return (min(xs), min(ys), max(xs), max(ys)) if len(xs) > 1 and len(xs) == len(ys) else None
    except (KeyError, ValueError):
        return None


def _text(element: etree._Element) -> str:
    return (element.text or "").strip()


def _side(text: str) -> int:
    try:
        side = float(text)
    except ValueError:
        return 0
    return int(side) if 0 < side < 2**31 and side == int(side) else 0
