"""VoTT, Microsoft's labelling tool: its JSON and CSV exports, and the asset files of its projects.

Sources of the rules: VoTT's model of assets and regions (pixels, measured from the image's corner) and its exporters.
"""

from __future__ import annotations

import io
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from regionbatch.boxes import BoxMode
from regionbatch.dataset import References
from regionbatch.errors import DatasetError
from regionbatch.files.splits import require_splits, split_of_file
from regionbatch.files.text import as_number, as_side
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
    from collections.abc import Iterator, Sequence

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog, Place

_NOT_IMAGES = (2, 3, 4)  # the types of assets that are videos, frames of videos and TFRecords
_FRAME = re.compile(r"#t=[\d.]+$")  # how VoTT names the frames of a video
_SIDES = ("left", "top", "width", "height")


class VottReader:
    """Reads VoTT's exports; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a VoTT export (JSON or CSV), or a folder with exports or asset files"
    options: ClassVar[type[ReadOptions]] = ReadOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the first file that is of VoTT."""
        return next((name for name in islice(tree.candidates(".json", ".csv"), 1000) if kind_of(tree, name)), None)

    def references(self, tree: Tree, options: ReadOptions, log: FindingLog) -> References:
        """Return the files of the first kind that is there."""
        kinds = {name: kind for name in tree.candidates(".json", ".csv") if (kind := kind_of(tree, name))}
        chosen = next((kind for kind in KINDS if kind in kinds.values()), "")
        if not chosen:
            seen = next(iter(kinds.values()), f"no VoTT export{tree.closed_folders()}")
            advice = "Name an exported JSON or CSV, or the folder with the asset files."
            raise DatasetError(f"{tree.source}: {seen}. {advice}", option="format", place=tree.named)
        files = {name: split_of_file(name) for name, kind in kinds.items() if kind == chosen}
        for name, kind in kinds.items():
            if kind != chosen:
                value = f"{kind}; the boxes were read from {next(iter(files))}"
                log.add("ignored_file", log.file(name), 0, [value], doubtful=True)
        superseded = [name for name, kind in kinds.items() if kind in KINDS and kind != chosen]
        if options.split is not None:
            wanted = require_splits(tree.source, options.split, files.values())
            files = {name: split for name, split in files.items() if split in wanted}
        return References(
            files,
            others=[name for name in kinds if name not in files],
            superseded=superseded if options.split is None else (),
            extensions=(".json", ".csv"),
        )

    def read(self, tree: Tree, files: Sequence[str], options: ReadOptions, log: FindingLog) -> RawAnnotations:  # noqa: ARG002 - the files are of the split
        """Read files, all of one kind."""
        builder = AnnotationBuilder()
        is_csv = kind_of(tree, files[0]) == CSV
        contents = dict(contents_of(tree, files, log, is_csv=is_csv))
        assets = [asset for content in contents.values() for asset in assets_of(content)]
        names = names_of(assets)  # of all files: two assets of one name may be in two
        for done, (name, content) in enumerate(contents.items()):
            log.progress("reading VoTT files", done, len(files))
            one = _File(name, builder, log, "line" if is_csv else "entry")
            images = one.add_rows(content["text"]) if is_csv else one.add_assets(content, names)
            if not images:
                log.note("no_annotations", name)
        if not contents:
            first = next(one for one in log.findings() if one.code == "unreadable_file")
            what = f"nothing can be read ({first.place}: {first.value}). Repair it."
            raise DatasetError(f"{tree.source}: {what}", place=files[0])
        raw = builder.build(BoxMode.XYXY_ABS) if is_csv else builder.build(BoxMode.XYWH_ABS, "entry")
        return require_pixels(raw, log)


class _File:
    """One file on its way into the columns."""

    def __init__(self, name: str, builder: AnnotationBuilder, log: FindingLog, place: Place) -> None:
        self._builder, self._log, self._place, self._file = builder, log, place, log.file(name)

    def add_rows(self, text: str) -> int:
        """Add the rows of a CSV, a box each; return how many images there are."""
        separator = separator_of(text)
        images: dict[str, int] = {}
        lines = enumerate(io.StringIO(text, newline=None), 1)
        rows = [(number, cells) for number, line in lines if any(cells := cells_of(line, separator))]
        for number, cells in rows[1:]:  # without the header
            if len(cells) != 6:
                self._log.read(boxes=1)
                self._log.add("not_a_box", self._file, number, [separator.join(cells)])
                continue
            name, *corners, tag = cells
            if name not in images:
                images[name] = self._add_image(name, number, "line")
            self._add_boxes(images[name], name, [tag], number, _numbers(corners), separator.join(corners))
        return len(images)

    def add_assets(self, content: dict[str, Any], names: Iterator[str]) -> int:
        """Add the assets of a JSON, which take the next names, with their regions; return how many there are."""
        for tag in tags_of(content.get("tags")):
            self._builder.add_tag(tag)
        records, assets = records_of(content), assets_of(content)
        number = 0
        for entry, (record, asset) in enumerate(zip(records, assets, strict=True), 1):
            name = next(names)
            size = found if isinstance(found := asset.get("size"), dict) else {}
            sides = as_side(size.get("width")), as_side(size.get("height"))
            image = self._add_image(name, -entry, "image", sides, asset.get("type"))
            regions = record.get("regions")
            for region in regions if isinstance(regions, list) else filter(None, [regions]):
                number += 1
                self._add_region(image, name, -number, region)
        return len(records)

    def _add_image(self, name: str, where: int, place: Place, sides: tuple[int, int] = (0, 0), kind: object = 1) -> int:
        """Return the code of an image; -1: it is none."""
        self._log.read(images=1)
        is_video = kind in _NOT_IMAGES or _FRAME.search(name)
        if is_video or not name.strip(" ./\\"):
            value = f"{name} (of a video)" if is_video else "no name"
            self._log.add("not_an_image", self._file, where, [value], place=place)
            return -1
        return self._builder.add_image(name, self._file, *sides)

    def _add_region(self, image: int, name: str, where: int, region: object) -> None:
        found = region if isinstance(region, dict) else {"boundingBox": region}
        kind = str(found.get("type")).upper()
        if kind in ("POINT", "POLYLINE"):
            self._log.add("no_box", self._file, where, [f"{name}: {kind}"], place=self._place)
            return
        declared = found.get("boundingBox")
        box = _numbers([declared.get(side) for side in _SIDES] if isinstance(declared, dict) else [])
        around = _around(found.get("points"))
        marks: list[str] = []
        if around and (not box or (kind == "POLYGON" and _differ(box, around))):
            box, marks = around, ["box_from_shape"]
        self._add_boxes(image, name, tags_of(found.get("tags")) or [""], where, box, f"{name}: {declared}", marks)

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
        """Add a box for each of its tags, or report each."""
        self._log.read(boxes=len(tags))
        for tag in tags:
            if image < 0:
                self._log.add("unknown_image", self._file, where, [name or "no name"], place=self._place)
            elif not box:
                self._log.add("not_a_box", self._file, where, [shown], place=self._place)
            else:
                self._builder.add_box(image, tag, self._file, where, box, marks)


def _around(points: object) -> list[float]:
    """Return the box around three points or more; empty: there are not."""
    if not isinstance(points, list) or len(points) < 3 or not all(isinstance(point, dict) for point in points):
        return []
    across, down = (_numbers([point.get(axis) for point in points]) for axis in "xy")
    if not (across and down and all(map(math.isfinite, (*across, *down)))):
        return []
    return [min(across), min(down), max(across) - min(across), max(down) - min(down)]


def _differ(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two boxes differ by more than a pixel."""
    return not all(abs(a - b) <= 1 for a, b in zip(one, other, strict=True))


def _numbers(values: Sequence[object]) -> list[float]:
    """Return values as numbers; empty: one of them is none."""
    try:
        return [as_number(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return []
