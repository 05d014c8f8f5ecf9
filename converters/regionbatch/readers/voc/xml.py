"""One Pascal VOC file: bytes to the values in it. Entities are never expanded and nothing is fetched."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from regionbatch.files.text import UnreadableError, as_number, as_side, read_bytes, refuse_odd_digits
from regionbatch.readers.safe_xml import BrokenError, UnsafeError, places_of, safe_root

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lxml import etree

NOT_NAMED, NAMED, DEVKIT = range(3)
"""What a file says about the VOC devkit: nothing, its name somewhere, or that it is the source."""

_DEVKIT = re.compile(r"\s*The VOC ?20\d\d Database\s*", re.IGNORECASE)
_NAMED = re.compile(r"VOC[ _-]?20\d\d(?!\d)", re.IGNORECASE)
_YES = frozenset({"1", "true", "yes", "y", "t"})
_FLAGS = {
    spelt: flag
    for flag in ("difficult", "truncated", "occluded", "deleted")
    for spelt in (flag, flag.capitalize(), flag.upper())
}
"""The marks by the names of elements. LabelMe keeps an object that was removed, with <deleted>1</deleted>."""
_SHAPES = frozenset(("bndbox", "Bndbox", "BndBox", "bndBox", "BNDBOX", "robndbox", "polygon"))
_BOXES = frozenset(("object", "Object", "OBJECT", *_SHAPES))
"""What boxes are called, in the spellings that are met."""
_TURNING = frozenset(("attributes", "rotation", "Rotation", "angle", "Angle"))
"""What may say that a box is rotated."""
_NOWHERE, _IN_OWN, _IN_HIDDEN = range(3)
_TURNED = ("cx", "cy", "w", "h", "angle")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_POINT = re.compile(r"[xy]\d*")
_side = lru_cache(1024)(as_side)  # a dataset has few sizes
LARGEST_FILE = 16 * 2**20
"""Bytes of a file about one image."""
_MOST_PAIRS = 10_000
"""Boxes times shapes in one <object> with a rotation, each of which is compared with each."""
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
    angle: float = 0.0
    """By which the box is rotated about its centre. In radians, unless it is of a <robndbox>."""
    robndbox: bool = False
    """Whether it is a <robndbox>: the unit of its angle is known from all of the dataset only."""


class Annotation(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=True):
    """What a file says. Width and height are 0 where it does not tell them."""

    file_name: str
    width: int
    height: int
    devkit: int
    """What it says about the VOC devkit: `NOT_NAMED`, `NAMED` or `DEVKIT`."""
    objects: list[Object]
    guessed_encoding: bool


class Trouble(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=True):
    """Why a file is dropped."""

    code: str
    """The finding."""
    what: str
    line: int = 0


def parse_file(path: str, encoding: str | None = None) -> Annotation | Trouble:
    """Read and parse a file; `encoding` is the codec that the user names."""
    try:
        return parse(read_bytes(path, most=LARGEST_FILE), encoding)
    except UnreadableError as error:
        return Trouble("unreadable_file", str(error))
    except UnsafeError as error:
        return Trouble("unsafe_xml", str(error))
    except BrokenError as error:
        return Trouble("unreadable_file", str(error), error.line)


def parse_packed(paths: Sequence[str], encoding: str | None = None) -> Iterator[bytes]:
    """What `parse_file` makes of many files, some at a time, for `unpack`: small, and quickly made into objects."""
    for start in range(0, len(paths), _PACKED):
        yield msgspec.msgpack.encode([parse_file(path, encoding) for path in paths[start : start + _PACKED]])


def unpack(packed: bytes) -> list[Annotation | Trouble]:
    """What `parse_packed` packed."""
    return msgspec.msgpack.decode(packed, type=list[Annotation | Trouble])


def parse(data: bytes, encoding: str | None = None) -> Annotation:
    """Parse a file.

    Raises:
        UndecodableError: It is not in the encoding that its mark or the user says.
        UnsafeError: It declares or uses entities.
        BrokenError: It is not XML, has no <annotation>, or keeps its boxes where nobody does.
    """
    root, guessed = safe_root(data, "annotation", encoding)
    names, sizes, devkit = set(), set(), NOT_NAMED
    things = []
    for child in root:
        tag = child.tag
        if tag == "object":
            things.append(child)
        elif tag == "filename":
            names.add(_text(child).strip())
        elif tag == "size":
            sizes.add(_size(child))
        elif tag == "source":
            devkit = max(devkit, _devkit(*((str(part.tag), part.text) for part in child)))
        elif tag == "folder" or tag == "path":  # noqa: PLR1714 - as below
            devkit = max(devkit, NAMED if _NAMED.search(child.text or "") else NOT_NAMED)
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
        often = Counter(side.tag for side in size)
        sides = {tag: text for tag, text in sides.items() if often[tag] == 1}
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
    names, marks, boxes, shapes, turning = _parts(element)
    if "deleted" in marks:
        return [Object(where, next(iter(names), ""), NO_BOX, (), "deleted", ", ".join(names))]
    if len(names) != 1:
        value = f"several names: {', '.join(names)}" if names else "no name"
        return [Object(where, next(iter(names), ""), NO_BOX, (), "unknown_class", value)]
    [name] = names
    usual = len(boxes) == 1 and len(boxes[0]) == 4 and not turning
    if usual and (box := _corners(boxes[0])) is not None:
        return [Object(where, name, box, marks)]
    if not boxes:
        found = [_shape(where, name, part, marks) for part in shapes]
        return found or [Object(where, name, NO_BOX, (), "not_a_box", "no bndbox")]
    return _boxes(where, name, boxes, shapes, turning, marks)


def _boxes(
    where: int,
    name: str,
    boxes: list[etree._Element],
    shapes: list[etree._Element],
    turning: list[etree._Element],
    marks: tuple[str, ...],
) -> list[Object]:
    """The boxes of an <object>, which its other parts may rotate."""
    try:
        angle, doubt = _rotation([*turning, *(child for part in boxes for child in part if child.tag in _TURNING)])
    except ValueError as error:
        return [Object(where, name, NO_BOX, (), "not_a_box", str(error)) for _ in boxes]
    if (angle or doubt) and len(boxes) * len(shapes) > _MOST_PAIRS:
        return [Object(where, name, NO_BOX, (), "not_a_box", "a rotation of too many boxes and shapes") for _ in boxes]
    upright = [_around(shape) for shape in shapes if shape.tag == "polygon"] if angle or doubt else []
    found = []
    for part in boxes:
        if (box := _corners(part)) is None:
            found.append(_no_box(where, name, part))
        elif any(_are_alike(box, around) for around in upright):
            found.append(Object(where, name, box, marks))
        else:
            found.append(Object(where, name, box, marks + doubt, angle=angle))
    return found


def _shape(where: int, name: str, shape: etree._Element, marks: tuple[str, ...]) -> Object:
    """A <robndbox>, or the box around a <polygon>."""
    if shape.tag == "polygon":
        if (box := _around(shape)) is not None:
            return Object(where, name, box, (*marks, "box_from_shape"))
    elif (turned := _robndbox(shape)) is not None:
        return Object(where, name, turned[0], marks, angle=turned[1], robndbox=True)
    return _no_box(where, name, shape)


def _no_box(where: int, name: str, element: etree._Element) -> Object:
    return Object(where, name, NO_BOX, (), "not_a_box", " ".join(" ".join(element.itertext()).split()))


def _parts(
    element: etree._Element,
) -> tuple[Collection[str], tuple[str, ...], list[etree._Element], list[etree._Element], list[etree._Element]]:
    """The different names of an <object>, its marks, its boxes, its other shapes, and what may rotate its boxes."""
    names: dict[str, None] = {}
    marks: tuple[str, ...] = ()
    boxes, shapes, turning = [], [], []
    for child in element:
        tag = child.tag
        if tag == "name":
            if name := _text(child):
                names[name] = None
        elif tag == "bndbox":
            boxes.append(child)
        elif tag == "robndbox" or tag == "polygon":  # noqa: PLR1714 - no tuple is made for each of a million elements
            shapes.append(child)
        elif tag in _FLAGS:
            if child.text != "0" and _FLAGS[tag] not in marks and _is_yes(_text(child)):
                marks += (_FLAGS[tag],)
        elif tag in _TURNING:
            turning.append(child)
    return names, marks, boxes, shapes, turning


def _rotation(elements: list[etree._Element]) -> tuple[float, tuple[str, ...]]:
    """What says that a box is rotated: its angle in radians, 0 for none, and the finding if it is not certain.

    CVAT's attribute `rotation` is in degrees. A <rotation> next to the corners is certainly so only beyond a full turn
    in radians, and an <angle> may be that of anything.

    Raises:
        ValueError: A rotation is no number, or there are two.
    """
    attributes = [text for element in elements if element.tag == "attributes" for text in _rotations_in(element)]
    loose = [_text(element) for element in elements if _is_called(element, "rotation")]
    values = [*attributes, *filter(None, loose)]
    if not values:
        angles = any(_is_angle(_text(element)) for element in elements if _is_called(element, "angle"))
        return 0.0, ("unread_angle",) if angles else ()
    try:
        [degrees] = {as_number(value) for value in values}
    except ValueError:
        raise ValueError(f"rotation: {', '.join(sorted({*values})) or 'empty'}") from None
    if attributes or abs(degrees) > 2 * math.pi:
        return math.radians(degrees % 180), ()  # half a turn gives the same box
    return 0.0, ("unclear_rotation",) if degrees else ()


def _rotations_in(attributes: etree._Element) -> Iterator[str]:
    """The values of all attributes called `rotation`: <name> and <value>, name="rotation", or <rotation>."""
    for attribute in attributes:
        texts = {child.tag: _text(child) for child in attribute}
        name = texts.get("name") or attribute.get("name") or str(attribute.tag)
        if name.strip().lower() == "rotation":
            yield texts.get("value", "") if texts else _text(attribute)


def _is_called(element: etree._Element, name: str) -> bool:
    return str(element.tag).lower() == name


def _is_angle(text: str) -> bool:
    try:
        return as_number(text) not in (0, 360)
    except ValueError:
        return False  # such as "side view"


def _are_alike(box: Box, around: Box | None) -> bool:
    """Whether a box is the one around a <polygon>, to about a pixel: whatever angle is next to it, it is upright."""
    pixel = 1 if max(box) > 1 else 0.01
    return around is not None and all(abs(a - b) <= pixel for a, b in zip(box, around, strict=True))


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


def _robndbox(element: etree._Element) -> tuple[Box, float] | None:
    """The edges of a <robndbox> before it is rotated, and its angle; None: it is no box."""
    try:
        values = {child.tag: as_number(_text(child)) for child in element if not len(child)}
        x, y, width, height, angle = (values[key] for key in _TURNED)
    except (KeyError, ValueError):
        return None
    if sum(child.tag in _TURNED for child in element) != len(_TURNED) or min(width, height) < 0:
        return None
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), angle


def _around(polygon: etree._Element) -> Box | None:
    """The edges of the box around a <polygon>."""
    leaves = [child for child in polygon.iter() if not len(child) and _POINT.fullmatch(str(child.tag))]
    try:
        points = [(str(child.tag)[0], as_number(_text(child))) for child in leaves if _text(child)]
    except ValueError:
        return None
    xs, ys = ([value for axis, value in points if axis == wanted] for wanted in "xy")
    if len(xs) < 2 or len(xs) != len(ys) or not all(map(math.isfinite, (*xs, *ys))):
        return None
    return min(xs), min(ys), max(xs), max(ys)


def _text(element: etree._Element) -> str:
    text = "".join(element.itertext()) if len(element) else element.text
    return (text or "").strip(" \t\r\n")  # XML's own; what else a name has around it is the core's concern


def _is_yes(text: str) -> bool:
    """`1`, `true`, `yes`; any number but 0."""
    try:
        return text.lower() in _YES or as_number(text) != 0
    except ValueError:
        return False


@lru_cache(1024)
def _devkit(*elements: tuple[str, str | None]) -> int:
    """What the tags and texts of some elements say about the VOC devkit.

    Only the devkit's own <database> makes it the source. Its name elsewhere is that of a template, or of a folder.
    """
    if any(tag == "database" and _DEVKIT.fullmatch(text or "") for tag, text in elements):
        return DEVKIT
    return NAMED if any(_NAMED.search(text or "") for _, text in elements) else NOT_NAMED
