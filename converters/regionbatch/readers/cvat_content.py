"""Collect the content of one CVAT file as columns while the file is parsed.

A tree of the file would need 18 times its size: a box has seven attributes of 250 bytes each.
"""

from __future__ import annotations

import math
from array import array
from sys import intern
from typing import TYPE_CHECKING

from regionbatch.files.text import as_number, as_side
from regionbatch.readers.safe_xml import line_of, local_name

if TYPE_CHECKING:
    from lxml import etree

SHAPES = ("box", "polygon", "ellipse", "mask")
SHAPES_WITHOUT_BOX = ("polyline", "points", "cuboid", "skeleton", "tag")
_MAX_POINTS = 100_000
"""Maximum points of a shape: each needs a hundred times the memory of its text."""
_MAX_PROBLEM_LENGTH = 100
"""Characters of a problem that are kept: findings show 80."""
_NO_BOX = (math.nan,) * 4


class CvatContent:
    """Images, shapes and labels of a file, in its order; a column each."""

    def __init__(self) -> None:
        """Start empty."""
        self.labels: list[str] = []
        self.track_line = -1
        """Line of the first track (0: unknown); -1: there is none."""

        self.image_names: list[str] = []
        self.image_subsets: list[str] = []
        self.image_sizes = array("q")
        """Width and height of each image, in pixels; 0: not declared."""
        self.image_lines = array("q")

        self.shape_tags: list[str] = []
        self.shape_labels: list[str] = []
        self.shape_images = array("q")
        """The number of each shape's image."""
        self.shape_lines = array("q")
        self.boxes = array("d")
        """Four edges of each shape, in pixels."""
        self.angles = array("d")
        """Rotation of each box about its centre, in radians."""
        self.problems: list[str] = []
        """Why a shape has no box; empty: it has one."""
        self.occluded = bytearray()

        self.stray_tags: list[str] = []
        """Shapes that are not direct children of an image."""
        self.stray_lines = array("q")

        self._open_image: etree._Element | None = None
        self._open_labels: dict[etree._Element, dict[str, str]] = {}
        """Name and parent of each <label> that has not ended; labels may contain labels."""

    def end(self, element: etree._Element, parent: etree._Element) -> None:
        """Collect an element at its end tag."""
        tag = local_name(element)
        # A <label> that is a shape was opened too, so it is removed before anything else.
        label = self._open_labels.pop(element, None)
        if parent is self._open_image or _is_image(parent):
            self._open(parent)
            self._add_shape(element, tag)
        elif tag == "image" and _is_root(parent):
            self._open(element)
            self._open_image = None
        elif tag in SHAPES:
            self.stray_tags.append(intern(tag))
            self.stray_lines.append(line_of(element))
        elif tag == "track" and _is_root(parent) and self.track_line < 0:
            self.track_line = line_of(element)
        else:
            self._collect_label(element, parent, tag, label or {})

    def _open(self, image: etree._Element) -> None:
        """Add an image, at its first child or at its end."""
        if image is self._open_image:
            return
        self._open_image = image
        self.image_names.append(image.get("name", ""))
        self.image_subsets.append(intern(image.get("subset", "")))
        self.image_sizes.extend((as_side(image.get("width")), as_side(image.get("height"))))
        self.image_lines.append(line_of(image))

    def _add_shape(self, shape: etree._Element, tag: str) -> None:
        box, angle, problem = _NO_BOX, 0.0, ""
        if tag not in SHAPES_WITHOUT_BOX:
            try:
                box, angle = box_of(shape, tag)
            except ValueError as error:
                problem = str(error)
        self.shape_tags.append(intern(tag))
        self.shape_labels.append(intern(shape.get("label", "")))
        self.shape_images.append(len(self.image_names) - 1)
        self.shape_lines.append(line_of(shape))
        self.boxes.extend(box)
        self.angles.append(angle)
        self.problems.append(intern(problem[:_MAX_PROBLEM_LENGTH]))
        self.occluded.append(shape.get("occluded", "").strip().lower() in ("1", "true"))

    def _collect_label(
        self, element: etree._Element, parent: etree._Element, tag: str, label: dict[str, str]
    ) -> None:
        """Collect the labels of a task: `<meta>…<labels><label><name>…`."""
        if tag in ("name", "parent") and local_name(parent) == "label":
            self._open_labels.setdefault(parent, {}).setdefault(tag, element.text or "")
        elif tag == "label":
            name = label.get("name", "").strip()
            is_part_of_skeleton = bool(label.get("parent"))
            if name and not is_part_of_skeleton and _is_in_meta(parent):
                self.labels.append(name)


def _is_root(element: etree._Element) -> bool:
    return element.getparent() is None


def _is_image(element: etree._Element) -> bool:
    """Return whether an element is an <image> directly in the root."""
    parent = element.getparent()
    return local_name(element) == "image" and parent is not None and _is_root(parent)


def _is_in_meta(labels: etree._Element) -> bool:
    """Return whether an element is a <labels> somewhere below the <meta> of the root."""
    if local_name(labels) != "labels":
        return False
    top = [labels, *labels.iterancestors()][-2:]
    return len(top) == 2 and top[0] is not labels and local_name(top[0]) == "meta"


def box_of(shape: etree._Element, tag: str) -> tuple[tuple[float, float, float, float], float]:
    """Return the edges of a shape, and the angle in radians of their rotation about the centre.

    Raises:
        ValueError: The shape has no valid box. The text is the value of the finding.
    """
    if tag not in SHAPES:
        raise ValueError(f"<{tag}>: unknown shape")
    try:
        if tag == "polygon":
            return _polygon_bounds(shape.get("points", "")), 0
        if tag == "mask":
            return _mask_bounds(shape), 0
        rotation = as_number(shape.get("rotation", 0))
        angle = math.radians(rotation % 180)  # half a turn gives the same box
        if tag == "ellipse":
            return _ellipse_bounds(shape, angle), 0
        return _numbers(shape, "xtl", "ytl", "xbr", "ybr"), angle
    except (TypeError, ValueError):
        raise ValueError(f"<{tag}> {_shown_attributes(shape)}") from None


def _shown_attributes(shape: etree._Element) -> str:
    hidden = ("label", "source")
    shown = [f"{name}={value}" for name, value in shape.attrib.items() if name not in hidden]
    return " ".join(shown)


def _numbers(shape: etree._Element, *names: str) -> tuple[float, float, float, float]:
    first, second, third, fourth = (as_number(shape.get(name)) for name in names)
    return first, second, third, fourth


def _mask_bounds(mask: etree._Element) -> tuple[float, float, float, float]:
    left, top, width, height = _numbers(mask, "left", "top", "width", "height")
    _reject_negative(width, height)
    return left, top, left + width, top + height


def _ellipse_bounds(ellipse: etree._Element, angle: float) -> tuple[float, float, float, float]:
    """Return the box around a rotated ellipse, which is smaller than around its rotated box."""
    x, y, x_radius, y_radius = _numbers(ellipse, "cx", "cy", "rx", "ry")
    _reject_negative(x_radius, y_radius)
    half_width = math.hypot(x_radius * math.cos(angle), y_radius * math.sin(angle))
    half_height = math.hypot(x_radius * math.sin(angle), y_radius * math.cos(angle))
    return x - half_width, y - half_height, x + half_width, y + half_height


def _reject_negative(*sides: float) -> None:
    if min(sides) < 0:
        raise ValueError(sides)


def _polygon_bounds(points: str) -> tuple[float, float, float, float]:
    """Return the edges of the box around `x,y;x,y;…`.

    Raises:
        ValueError: These are not three finite points or more.
    """
    if points.count(";") > _MAX_POINTS:
        raise ValueError(points)
    pairs = (map(as_number, point.split(",")) for point in points.split(";"))
    xs, ys = zip(*pairs, strict=True)
    if len(xs) < 3 or not all(map(math.isfinite, (*xs, *ys))):
        raise ValueError(points)
    return min(xs), min(ys), max(xs), max(ys)
