"""The reader of VoTT, Microsoft's labelling tool: JSON and CSV exports, and asset files.

Sources of the rules: VoTT's model of assets and regions (pixels, measured from the top left corner
of the image), and its exporters.
"""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any, ClassVar

from regionbatch.boxes import BoxMode
from regionbatch.dataset import References
from regionbatch.errors import DatasetError
from regionbatch.files.splits import require_splits, split_of_file
from regionbatch.files.text import as_number, as_side
from regionbatch.findings.text import quoted
from regionbatch.options import ReadOptions
from regionbatch.readers.builder import AnnotationBuilder
from regionbatch.readers.units import require_pixels
from regionbatch.readers.vott_files import (
    CSV,
    KINDS,
    assets_of,
    cells_of,
    contents_of,
    kind_of,
    names_of,
    records_of,
    separator_of,
    tags_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog, Place

_EXTENSIONS = (".json", ".csv")
_NOT_IMAGES = (2, 3, 4)
"""The types of assets that are videos, video frames and TFRecords."""
_VIDEO_FRAME = re.compile(r"#t=[\d.]+$")
"""The end of the name of a video frame."""
_SIDES = ("left", "top", "width", "height")


def detect(tree: Tree) -> str | None:
    """Return the first file in one of VoTT's formats."""
    return tree.first_candidate(kind_of, *_EXTENSIONS)


class VottReader:
    """Reads VoTT's exports and asset files. Implements `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a VoTT export (JSON or CSV), or a folder with exports or asset files"
    options: ClassVar[type[ReadOptions]] = ReadOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the first file in one of VoTT's formats."""
        return detect(tree)

    def references(self, tree: Tree, options: ReadOptions, log: FindingLog) -> References:
        """Return the files of the best kind that exists, and report the others.

        Raises:
            DatasetError: There is no file with boxes, or no such split.
        """
        kinds = _kinds_of_files(tree)
        chosen = next((kind for kind in KINDS if kind in kinds.values()), "")
        if not chosen:
            found = next(iter(kinds.values()), f"no VoTT export{tree.unreadable_folders_note()}")
            raise DatasetError(
                f"{tree.source}: {found}. "
                "Choose an exported JSON or CSV, or the folder with the asset files.",
                option="format",
                place=tree.named,
            )
        files = {name: split_of_file(name) for name, kind in kinds.items() if kind == chosen}
        superseded = _report_superseded(kinds, chosen, log)
        if options.split is not None:
            splits = require_splits(tree.source, options.split, files.values())
            files = {name: split for name, split in files.items() if split in splits}
            superseded = []
        return References(
            files,
            others=[name for name in kinds if name not in files],
            superseded=superseded,
            extensions=_EXTENSIONS,
        )

    def read(
        self,
        tree: Tree,
        files: Sequence[str],
        options: ReadOptions,  # noqa: ARG002 - required by `regionbatch.plugins.Reader`
        log: FindingLog,
    ) -> RawAnnotations:
        """Read files of one kind.

        Raises:
            DatasetError: No file can be read, or all boxes are normalised.
        """
        builder = AnnotationBuilder()
        is_csv = kind_of(tree, files[0]) == CSV
        contents = dict(contents_of(tree, files, log, is_csv=is_csv))
        if not contents:
            raise _nothing_readable(tree, files, log)
        assets = [asset for content in contents.values() for asset in assets_of(content)]
        names = names_of(assets)  # for all files, which may share a name
        for done, (name, content) in enumerate(contents.items()):
            log.progress("reading VoTT files", done, len(files))
            adder = _FileAdder(name, builder, log, "line" if is_csv else "entry")
            count = adder.add_rows(content["text"]) if is_csv else adder.add_assets(content, names)
            if not count:
                log.note("no_annotations", name)
        if is_csv:
            return require_pixels(builder.build(BoxMode.XYXY_ABS), log)
        return require_pixels(builder.build(BoxMode.XYWH_ABS, "entry"), log)


def _kinds_of_files(tree: Tree) -> dict[str, str]:
    kinds = {name: kind_of(tree, name) for name in tree.candidates(*_EXTENSIONS)}
    return {name: kind for name, kind in kinds.items() if kind}


def _report_superseded(kinds: Mapping[str, str], chosen: str, log: FindingLog) -> list[str]:
    """Report the files of other kinds than the chosen one; return those with boxes."""
    first = next(name for name, kind in kinds.items() if kind == chosen)
    others = {name: kind for name, kind in kinds.items() if kind != chosen}
    for name, kind in others.items():
        value = f"{kind}; the boxes were read from {first}"
        log.add("ignored_file", log.file(name), 0, [value], doubtful=True)
    return [name for name, kind in others.items() if kind in KINDS]


def _nothing_readable(tree: Tree, files: Sequence[str], log: FindingLog) -> DatasetError:
    first = next(finding for finding in log.findings() if finding.code == "unreadable_file")
    return DatasetError(
        f"{tree.source}: no file can be read. "
        f"First problem: {first.place}: {quoted(first.value)}. "
        "Repair or replace the files.",
        place=files[0],
        value=first.value,
    )


class _FileAdder:
    """Adds the images and boxes of one file to the columns."""

    def __init__(
        self, name: str, builder: AnnotationBuilder, log: FindingLog, place: Place
    ) -> None:
        self._builder = builder
        self._log = log
        self._place = place
        self._file = log.file(name)

    def add_rows(self, text: str) -> int:
        """Add the rows of a CSV, one box each. Return the number of images."""
        separator = separator_of(text)
        images: dict[str, int] = {}
        is_header = True
        for number, line in enumerate(io.StringIO(text, newline=None), 1):
            cells = cells_of(line, separator)
            if not any(cells):
                continue
            if is_header:
                is_header = False
            elif len(cells) != 6:
                self._log.read(boxes=1)
                self._log.add("not_a_box", self._file, number, [separator.join(cells)])
            else:
                name, *corners, tag = cells
                if name not in images:
                    images[name] = self._add_image(name, number, "line")
                box = _numbers(corners)
                shown = separator.join(corners)
                self._add_boxes(images[name], name, [tag], number, box, shown)
        return len(images)

    def add_assets(self, content: dict[str, Any], names: Iterator[str]) -> int:
        """Add the assets of a JSON with their regions. Return the number of assets.

        Args:
            content: The JSON.
            names: An iterator over the names of the assets of all files, of which this file's are
                next.
        """
        for tag in tags_of(content.get("tags")):
            self._builder.add_tag(tag)
        records = records_of(content)
        number = 0
        for entry, (record, asset) in enumerate(zip(records, assets_of(content), strict=True), 1):
            name = next(names)
            image = self._add_image(name, -entry, "image", _size_of(asset), asset.get("type"))
            for region in _regions_of(record):
                number += 1
                self._add_region(image, name, -number, region)
        return len(records)

    def _add_image(
        self, name: str, where: int, place: Place, size: tuple[int, int] = (0, 0), kind: object = 1
    ) -> int:
        """Add an image and return its code; report an asset that is not an image and return -1."""
        self._log.read(images=1)
        is_video = kind in _NOT_IMAGES or _VIDEO_FRAME.search(name)
        if is_video or not name.strip(" ./\\"):
            value = f"{name} (not an image)" if is_video else "no name"
            self._log.add("not_an_image", self._file, where, [value], place=place)
            return -1
        return self._builder.add_image(name, self._file, *size)

    def _add_region(self, image: int, name: str, where: int, region: object) -> None:
        fields = region if isinstance(region, dict) else {"boundingBox": region}
        kind = str(fields.get("type")).upper()
        if kind in ("POINT", "POLYLINE"):
            self._log.add("no_box", self._file, where, [f"{name}: {kind}"], place=self._place)
            return
        declared = fields.get("boundingBox")
        shown = f"{name}: {'no boundingBox' if declared is None else declared}"
        box: list[float] = []
        if isinstance(declared, dict):
            box = _numbers([declared.get(side) for side in _SIDES])
        bounds = _bounds_of(fields.get("points"))
        marks: list[str] = []
        if bounds and (not box or (kind == "POLYGON" and _differ(box, bounds))):
            box = bounds
            marks = ["box_from_shape"]
        tags = tags_of(fields.get("tags")) or [""]
        self._add_boxes(image, name, tags, where, box, shown, marks)

    def _add_boxes(
        self,
        image: int,
        name: str,
        tags: list[str],
        where: int,
        box: list[float],
        shown: str,
        marks: Sequence[str] = (),
    ) -> None:
        """Add a box for each of its tags, or report why there is none.

        Args:
            image: The code of the image; -1: the asset is not an image.
            name: The name of the image.
            tags: The tags of the box.
            where: The place of the box in the file.
            box: Four numbers; empty: they are invalid.
            shown: The box as in the file, for the finding.
            marks: The marks of the box.
        """
        self._log.read(boxes=len(tags))
        for tag in tags:
            if image < 0:
                value = [name or "no name"]
                self._log.add("unknown_image", self._file, where, value, place=self._place)
            elif not box:
                self._log.add("not_a_box", self._file, where, [shown], place=self._place)
            else:
                self._builder.add_box(image, tag, self._file, where, box, marks)


def _size_of(asset: dict[str, Any]) -> tuple[int, int]:
    size = asset.get("size")
    if not isinstance(size, dict):
        return 0, 0
    return as_side(size.get("width")), as_side(size.get("height"))


def _regions_of(record: dict[str, Any]) -> list[Any]:
    """Return the regions of a record. Anything other than a list is one invalid region."""
    regions = record.get("regions")
    if isinstance(regions, list):
        return regions
    return [regions] if regions else []


def _bounds_of(points: object) -> list[float]:
    """Return the left, top, width and height of three points or more; empty if they are invalid."""
    if not isinstance(points, list) or len(points) < 3:
        return []
    if not all(isinstance(point, dict) for point in points):
        return []
    xs = _numbers([point.get("x") for point in points])
    ys = _numbers([point.get("y") for point in points])
    if not xs or not ys or not all(map(math.isfinite, (*xs, *ys))):
        return []
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def _differ(box: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two boxes differ by more than a pixel."""
    return not all(abs(a - b) <= 1 for a, b in zip(box, other, strict=True))


def _numbers(values: Sequence[object]) -> list[float]:
    """Return values as numbers; empty if one of them is not a number."""
    try:
        return [as_number(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return []
