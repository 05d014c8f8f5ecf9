"""CVAT for images: an XML file that lists images, each with its shapes.

Sources of the rules: CVAT's page on its XML format, version 1.1, and its exporter (a project has a folder a subset).
"""

from __future__ import annotations

import math
import re
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from regionbatch.boxes import BoxMode
from regionbatch.dataset import References
from regionbatch.errors import DatasetError
from regionbatch.files.splits import require_splits, split_of_file
from regionbatch.files.text import as_number, as_side
from regionbatch.findings import FindingLog
from regionbatch.options import ReadOptions
from regionbatch.readers.builder import AnnotationBuilder
from regionbatch.readers.units import require_pixels
from regionbatch.readers.xml_start import xml_start

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lxml import etree

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree

_ROOT = re.compile(rb"<(?:[\w.-]+:)?annotations[\s/>]")
_CHILD = re.compile(rb"<(?:[\w.-]+:)?(?:version|meta|image)[\s/>]")
_SHAPES = ("box", "polygon", "ellipse", "mask")
_MOST_POINTS = 100_000
"""Points of a shape: each takes a hundred times the memory of its text."""
_WITHOUT_BOX = ("polyline", "points", "cuboid", "skeleton", "tag")


class CvatReader:
    """Reads CVAT's XML for images; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a CVAT for images XML (version 1.1), or a folder with such files"
    options: ClassVar[type[ReadOptions]] = ReadOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the first XML file with <annotations> and what CVAT puts into it."""
        first = islice(tree.candidates(".xml"), 1000)
        return next((name for name in first if _is_cvat(xml_start(tree, name))), None)

    def references(self, tree: Tree, options: ReadOptions, log: FindingLog) -> References:  # noqa: ARG002 - see `read`
        """Return the XML files; which splits are in them is known when they are read."""
        files: dict[str, str] = {}
        for name in tree.candidates(".xml"):
            start = xml_start(tree, name)
            if tree.named or _is_cvat(start) or not start.strip(b"\xef\xbb\xbf \r\n"):  # also one that cannot be read
                files[name] = split_of_file(name)
            else:
                log.note("ignored_file", name, "XML that is not of CVAT")
        if not files:
            advice = "Name the folder that holds annotations.xml."
            raise DatasetError(f"{tree.root}: no CVAT XML here{tree.closed_folders()}. {advice}", option="format")
        return References(files, extensions=(".xml",))

    def read(self, tree: Tree, files: Sequence[str], options: ReadOptions, log: FindingLog) -> RawAnnotations:
        """Read XML files, or what of them is of the split that was asked for."""
        builder, wanted = AnnotationBuilder(), None
        if options.split is not None:  # reads the files twice; to keep them all would need much memory
            once = _parsed(tree, files, FindingLog())
            known = [_split_of(image, name) for name, root in once for image in root.iterfind("image")]
            wanted = require_splits(tree.source, options.split, known)
        for name, root in _parsed(tree, files, log):
            _File(name, builder, log).add(root, wanted)
        return require_pixels(builder.build(BoxMode.XYXY_ABS), log)


def _is_cvat(start: bytes) -> bool:
    root = _ROOT.search(start)
    return root is not None and _CHILD.search(start, root.end()) is not None


def _parsed(tree: Tree, files: Sequence[str], log: FindingLog) -> Iterator[tuple[str, etree._Element]]:
    """Yield the files that can be read, with their root elements; report the others.

    Raises:
        DatasetError: None can be read, or one is of CVAT for video.
    """
    from regionbatch.readers.safe_xml import line_of, read_root  # noqa: PLC0415 - lxml, only here

    readable = 0
    for done, name in enumerate(files):
        log.progress("reading XML files", done, len(files))
        root = read_root(tree, name, "annotations", log)
        if root is None:
            continue
        if (track := root.find("track")) is not None:
            place = f"{name}:{line}" if (line := line_of(track)) else name
            what = "tracks of CVAT for video are not supported. Export the task as CVAT for images."
            raise DatasetError(f"{place}: {what}", place=place)
        readable += 1
        yield name, root
    if not readable:
        first = next(one for one in log.findings() if one.code in ("unreadable_file", "unsafe_xml"))
        what = f"{tree.source}: no XML file can be read ({first.place}: {first.value}). Repair it."
        raise DatasetError(what, place=first.place)


def _split_of(image: etree._Element, file: str) -> str:
    return image.get("subset", "").strip() or split_of_file(file)


class _File:
    """One file on its way into the columns."""

    def __init__(self, name: str, builder: AnnotationBuilder, log: FindingLog) -> None:
        self._name, self._builder, self._log, self._file = name, builder, log, log.file(name)

    def add(self, root: etree._Element, wanted: Collection[str] | None) -> None:
        """Add the images of the wanted splits, and their boxes; None: all."""
        from regionbatch.readers.safe_xml import line_of, places_of  # noqa: PLC0415 - as above

        for label in root.iterfind("meta//labels/label"):
            if (name := label.findtext("name", "").strip()) and not label.findtext("parent", ""):
                self._builder.add_tag(name)  # those with a parent are parts of skeletons
        images = root.findall("image")
        if not images:
            self._log.note("no_annotations", self._name)
        shapes = [shape for image in images for shape in image]
        own = {*shapes}
        lost = [shape for shape in root.iter(*_SHAPES) if shape not in own]
        where = dict(zip([*shapes, *lost], places_of([*shapes, *lost]), strict=True))
        where.update((image, line_of(image)) for image in images)
        for image, name in zip(images, _declared_names(images), strict=True):
            if wanted is None or _split_of(image, self._name) in wanted:
                self._add_image(image, name, where)
        self._log.read(boxes=len(lost))
        for shape in lost:
            self._log.add("not_a_box", self._file, where[shape], [f"<{shape.tag!s}> that is not directly in <image>"])

    def _add_image(self, image: etree._Element, name: str, where: dict[etree._Element, int]) -> None:
        log, code = self._log, -1
        log.read(images=1)
        if name.strip(" ./\\"):
            sides = as_side(image.get("width")), as_side(image.get("height"))
            code = self._builder.add_image(name, self._file, *sides, _split_of(image, self._name))
        else:
            log.add("not_an_image", self._file, where[image], ["no name"])
        for shape in image:
            if shape.tag in _WITHOUT_BOX:
                log.add("no_box", self._file, where[shape], [f"<{shape.tag!s}>"])
                continue
            log.read(boxes=1)
            if code < 0:
                log.add("unknown_image", self._file, where[shape], ["an image without a name"])
                continue
            try:
                box, angle = _box(shape)
            except ValueError as error:
                log.add("not_a_box", self._file, where[shape], [str(error)])
                continue
            marks = ["occluded"] if shape.get("occluded", "").strip().lower() in ("1", "true") else []
            marks += [] if shape.tag == "box" else ["box_from_shape"]
            self._builder.add_box(code, shape.get("label", ""), self._file, where[shape], box, marks, angle)


def _declared_names(images: Sequence[etree._Element]) -> list[str]:
    """Return the names of images; if two subsets have one of them, all follow their subsets, as on disk."""
    declared = [(image.get("name", ""), image.get("subset", "")) for image in images]
    if len({*declared}) == len({name for name, _ in declared}):
        return [name for name, _ in declared]
    return [f"{subset}/{name}" if name and subset else name for name, subset in declared]


def _box(shape: etree._Element) -> tuple[list[float], float]:
    """Return the edges of a shape, and the angle in radians by which they are still to be rotated about its centre.

    Raises:
        ValueError: It has none; the text is what is there.
    """
    if shape.tag not in _SHAPES:
        raise ValueError(f"<{shape.tag!s}>: unknown shape")
    try:
        if shape.tag == "polygon":
            return _around(shape.get("points", "")), 0
        if shape.tag == "mask":
            left, top, width, height = (as_number(shape.get(key)) for key in ("left", "top", "width", "height"))
            _refuse_negative(width, height)
            return [left, top, left + width, top + height], 0
        angle = math.radians(as_number(shape.get("rotation", 0)) % 180)  # half a turn gives the same box
        if shape.tag == "box":
            return [as_number(shape.get(edge)) for edge in ("xtl", "ytl", "xbr", "ybr")], angle
        x, y, across, down = (as_number(shape.get(key)) for key in ("cx", "cy", "rx", "ry"))
        _refuse_negative(across, down)
        return _around_ellipse(x, y, across, down, angle), 0
    except (TypeError, ValueError):
        shown = (f"{name}={value}" for name, value in shape.attrib.items() if name not in ("label", "source"))
        raise ValueError(f"<{shape.tag!s}> {' '.join(shown)}") from None


def _refuse_negative(*sides: float) -> None:
    if min(sides) < 0:
        raise ValueError(sides)


def _around_ellipse(x: float, y: float, across: float, down: float, angle: float) -> list[float]:
    """Return the edges of the box around an ellipse, which is smaller than the one around its rotated bounding box."""
    half_width = math.hypot(across * math.cos(angle), down * math.sin(angle))
    half_height = math.hypot(across * math.sin(angle), down * math.cos(angle))
    return [x - half_width, y - half_height, x + half_width, y + half_height]


def _around(points: str) -> list[float]:
    """Return the edges of the box around `x,y;x,y;…`; raise ValueError if these are not three points or more."""
    if points.count(";") > _MOST_POINTS:
        raise ValueError(points)
    across, down = zip(*(map(as_number, point.split(",")) for point in points.split(";")), strict=True)
    if len(across) < 3 or not all(map(math.isfinite, (*across, *down))):
        raise ValueError(points)
    return [min(across), min(down), max(across), max(down)]
