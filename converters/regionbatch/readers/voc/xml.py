"""One Pascal VOC file: bytes to the values in it. Entities are never expanded and nothing is fetched."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from regionbatch.files.text import UnreadableError, as_number, as_side, read_bytes, refuse_odd_digits
from regionbatch.readers.safe_xml import BrokenError, UnsafeError, places_of, safe_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lxml import etree

_DEVKIT = re.compile(r"VOC ?20(0[5-9]|1[0-2])")
_YES = frozenset({"1", "true", "yes", "y", "t"})
_FLAGS = {
    spelt: flag for flag in ("difficult", "truncated", "occluded") for spelt in (flag, flag.capitalize(), flag.upper())
}
"""The marks by the names of elements."""
_SHAPES = frozenset(("bndbox", "Bndbox", "BndBox", "bndBox", "BNDBOX", "robndbox", "polygon"))
_BOXES = frozenset(("object", "Object", "OBJECT", *_SHAPES))
"""What boxes are called, in the spellings that are met."""
_NOWHERE, _IN_OWN, _IN_HIDDEN = range(3)
_TURNED = ("cx", "cy", "w", "h", "angle")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_POINT = re.compile(r"[xy]\d*")
_side = lru_cache(1024)(as_side)  # a dataset has few sizes
_PACKED = 500
"""Files that go from a helper to us together."""

Box = tuple[float, float, float, float]
NO_BOX: Box = (math.nan, math.nan, math.nan, math.nan)


class Object(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One box of an <object>, or what is wrong with it."""

    where: int
    """Its line; or, where several begin on one line, its number in the file as a negative number."""
    name: str
    box: Box
    marks: tuple[str, ...] = ()
    trouble: str = ""
    """A finding code; the box is then no box."""
    value: str = ""


class Annotation(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=True):
    """What a file says. Width and height are 0 where it does not tell them."""

    file_name: str
    width: int
    height: int
    devkit: bool
    """Whether its source is the VOC devkit itself."""
    objects: list[Object]
    guessed_encoding: bool


class Trouble(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=True):
    """Why a file is dropped."""

    code: str
    """The finding."""
    what: str
    line: int = 0


def parse_file(path: str) -> Annotation | Trouble:
    """Read and parse a file."""
    try:
        return parse(read_bytes(path))
    except UnreadableError as error:
        return Trouble("unreadable_file", str(error))
    except UnsafeError as error:
        return Trouble("unsafe_xml", str(error))
    except BrokenError as error:
        return Trouble("unreadable_file", str(error), error.line)


def parse_packed(paths: Sequence[str]) -> Iterator[bytes]:
    """What `parse_file` makes of many files, some at a time, for `unpack`: small, and quickly made into objects."""
    for start in range(0, len(paths), _PACKED):
        yield msgspec.msgpack.encode([*map(parse_file, paths[start : start + _PACKED])])


def unpack(packed: bytes) -> list[Annotation | Trouble]:
    """What `parse_packed` packed."""
    return msgspec.msgpack.decode(packed, type=list[Annotation | Trouble])


def parse(data: bytes) -> Annotation:
    """Parse a file.

    Raises:
        UnsafeError: It declares or uses entities.
        BrokenError: It is not XML, has no <annotation>, or keeps its boxes where nobody does.
    """
    root, guessed = safe_root(data, "annotation")
    names, sizes, devkit = set(), set(), False
    things = []
    for child in root:
        tag = child.tag
        if tag == "object":
            things.append(child)
        elif tag == "filename":
            names.add(_text(child))
        elif tag == "size":
            sizes.add(_size(child))
        elif tag == "source":
            told = {part.tag: part.text for part in child}
            devkit = _is_devkit(told.get("database")) or _is_devkit(told.get("annotation"))
    hidden = _hidden_boxes(root, things)
    if hidden and not things:
        raise BrokenError(f"boxes {_place_of(hidden[0])}", hidden[0].sourceline or 0)
    places = iter(places_of([*things, *hidden]))
    objects: list[Object] = []
    for thing in things:
        objects += _objects(thing, next(places))
    objects += [Object(next(places), "", NO_BOX, (), "not_a_box", _place_of(box)) for box in hidden]
    # Of two that differ, none can be believed.
    names.discard("")
    sizes.discard((0, 0))
    file_name = names.pop() if len(names) == 1 else ""
    width, height = sizes.pop() if len(sizes) == 1 else (0, 0)
    return Annotation(file_name, width, height, devkit, objects, guessed)


def _size(size: etree._Element) -> tuple[int, int]:
    """Width and height; 0 for one that is missing, or there twice."""
    sides = {side.tag: side.text for side in size}
    if len(sides) < len(size):
        tags = [side.tag for side in size]
        sides = {tag: text for tag, text in sides.items() if tags.count(tag) == 1}
    return _side(sides.get("width")), _side(sides.get("height"))


def _hidden_boxes(root: etree._Element, things: list[etree._Element]) -> list[etree._Element]:
    """The boxes that stand neither in one of the `things` nor in another box; and the <object>s that do."""
    own = {*things}
    if all(box in own or (box.tag in _SHAPES and box.getparent() in own) for box in root.iter(*_BOXES)):
        return []
    hidden: list[etree._Element] = []
    place: dict[etree._Element | None, int] = {None: _NOWHERE}
    for element in root.iter():
        above = place[element.getparent()]
        if element in own:
            place[element] = _IN_OWN
        elif element.tag in _BOXES and (above == _NOWHERE or (above == _IN_OWN and element.tag not in _SHAPES)):
            place[element] = _IN_HIDDEN
            hidden.append(element)
        else:
            place[element] = above
    return hidden


def _place_of(hidden: etree._Element) -> str:
    above = hidden.getparent()
    return f"at an unusual place, as <{'' if above is None else above.tag!s}><{hidden.tag!s}>"


def _objects(element: etree._Element, where: int) -> list[Object]:
    """The boxes of an <object>: of its direct children, since parts and attributes inside have names and boxes too."""
    names, marks, boxes, shapes = _parts(element)
    if len(names) != 1:
        value = f"several names: {', '.join(names)}" if names else "no name"
        return [Object(where, next(iter(names), ""), NO_BOX, (), "unknown_class", value)]
    [name] = names
    if len(boxes) == 1 and (box := _corners(boxes[0])) is not None:  # as it should be
        return [Object(where, name, box, marks)]
    if boxes:
        found = [(part, _corners(part), marks) for part in boxes]
    elif shapes:
        found = [(part, _around(part), (*marks, "box_from_shape")) for part in shapes]
    else:
        return [Object(where, name, NO_BOX, (), "not_a_box", "no bndbox")]
    return [
        Object(where, name, box, marks)
        if box is not None
        else Object(where, name, NO_BOX, (), "not_a_box", " ".join(" ".join(part.itertext()).split()))
        for part, box, marks in found
    ]


def _parts(
    element: etree._Element,
) -> tuple[list[str], tuple[str, ...], list[etree._Element], list[etree._Element]]:
    """The different names of an <object>, its marks, its boxes and its other shapes."""
    names: list[str] = []
    marks: tuple[str, ...] = ()
    boxes, shapes = [], []
    for child in element:
        tag = child.tag
        if tag == "name":
            if (name := _text(child)) and name not in names:
                names.append(name)
        elif tag == "bndbox":
            boxes.append(child)
        elif tag == "robndbox" or tag == "polygon":  # noqa: PLR1714 - no tuple is made for each of a million elements
            shapes.append(child)
        elif tag in _FLAGS and child.text != "0" and _is_yes(_text(child)):
            marks += (_FLAGS[tag],)
    return names, marks, boxes, shapes


def _corners(bndbox: etree._Element) -> Box | None:
    """The four numbers; None: there are not four, each once."""
    texts = {child.tag: child.text for child in bndbox if not len(child)}
    if len(bndbox) != 4 and sum(child.tag in _CORNERS for child in bndbox) != 4:
        return None
    try:
        xmin, ymin, xmax, ymax = texts["xmin"], texts["ymin"], texts["xmax"], texts["ymax"]
        refuse_odd_digits(xmin + ymin + xmax + ymax)  # type: ignore[operator]
        return float(xmin), float(ymin), float(xmax), float(ymax)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        return None


def _around(shape: etree._Element) -> Box | None:
    """The edges of the upright box around a turned box (cx, cy, w, h, angle in radians) or a polygon."""
    try:
        if shape.tag == "robndbox":
            values = {child.tag: as_number(_text(child)) for child in shape if not len(child)}
            if sum(child.tag in _TURNED for child in shape) != len(_TURNED):
                return None
            x, y, width, height, angle = (values[key] for key in _TURNED)
            cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
            half_x, half_y = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
            return x - half_x, y - half_y, x + half_x, y + half_y
        leaves = [child for child in shape.iter() if not len(child) and _POINT.fullmatch(str(child.tag))]
        points = [(str(child.tag)[0], as_number(_text(child))) for child in leaves if _text(child)]
    except (KeyError, ValueError):
        return None
    xs, ys = ([value for axis, value in points if axis == wanted] for wanted in "xy")
    if len(xs) < 2 or len(xs) != len(ys) or not all(map(math.isfinite, (*xs, *ys))):
        return None
    return min(xs), min(ys), max(xs), max(ys)


def _text(element: etree._Element) -> str:
    text = "".join(element.itertext()) if len(element) else element.text
    return (text or "").strip()


def _is_yes(text: str) -> bool:
    """`1`, `true`, `yes`; any number but 0."""
    try:
        return text.lower() in _YES or as_number(text) != 0
    except ValueError:
        return False


@lru_cache(1024)
def _is_devkit(text: str | None) -> bool:
    return bool(text) and _DEVKIT.search(text or "") is not None
