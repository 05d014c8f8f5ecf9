"""What is drawn on an image: its boxes as they are sent, and those that are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.boxes import QUANTUM
from regionbatch.findings.codes import ADJUSTING
from regionbatch.findings.text import place_text
from regionbatch.html_report.markup import E, shown
from regionbatch.html_report.source import code_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings.text import Place
    from regionbatch.html_report.markup import Element
    from regionbatch.html_report.source import Source

    Point = tuple[float, float]

MOST_DRAWN = 1000
"""Maximum number of boxes drawn on an image, and of dropped ones; up to 300 can be sent."""
COLOURS = 8
DASHES = 5
_FAR = 3.0
"""A box beyond the image is drawn up to this many sides away; its numbers are in the table."""
_VISIBLE = 0.02
"""Shortest side at which a dropped box is drawn, as a fraction of the image's side."""
_MOST = 1e5
"""Larger coordinates of dropped boxes are shown as this number."""
_HEAD = 0.05
"""Longest head of an arrow, as a fraction of the image's width."""


class Drawn(NamedTuple):
    """One box on an image."""

    kind: str
    """`sent`, `adjusted`, `missing`, `moved`, `dropped` or `extra`."""
    tag: int
    """A tag of the dataset; -1: it has none, or another one (`extra_tag`)."""
    box: Sequence[float] | None
    """Left, top, width and height. None: the box does not have these numbers.

    For `dropped`, they are as in the file, for `extra` as in the project, and otherwise as in the
    payload.
    """
    other: Sequence[float] | None
    """An adjusted box as in the file, or a moved one as in the project."""
    outline: Sequence[Point]
    """The corners of a dropped box, or of an adjusted one as in the file."""
    code: str
    """The finding code of a box that was adjusted or is not sent."""
    file: int
    """The file of the box, as a code into `Findings.files`; -1: none."""
    where: int
    position: int
    """Number of the entry in the payloads, from 0; -1: it is not sent."""
    row: int = -1
    """The row of the region; -1: it is not a region."""
    extra_tag: str = ""


@dataclass(frozen=True)
class Drawings:
    """Collects what is drawn on the images of a dataset."""

    source: Source
    position: NDArray[np.int64]
    """(n,), the position of each region in the payloads; -1: it is not sent."""
    status: dict[int, str]
    """`missing` or `moved`, by region."""
    stored: dict[int, Sequence[float]]
    """The box that the project has instead of a moved region."""
    extra: dict[int, list[tuple[str, Sequence[float]]]]
    """Tags and boxes that only the project has, by image."""

    @classmethod
    def of(cls, source: Source) -> Drawings:
        """Prepare the look-ups."""
        position = np.full(len(source.regions), -1, np.int64)
        position[source.sent_rows] = np.arange(len(source.sent_rows))
        status: dict[int, str] = {}
        stored: dict[int, Sequence[float]] = {}
        extra: dict[int, list[tuple[str, Sequence[float]]]] = {}
        found = source.differences
        if found is not None:
            rows = source.sent_rows
            status |= dict.fromkeys(rows[found.missing].tolist(), "missing")
            moved = rows[found.moved].tolist()
            status |= dict.fromkeys(moved, "moved")
            stored = dict(zip(moved, found.moved_box.tolist(), strict=True))
            columns = (found.extra_image, found.extra_tag, found.extra_box.tolist())
            for image, tag, box in zip(*columns, strict=True):
                if image in source.image_of_name:
                    extra.setdefault(source.image_of_name[image], []).append((tag, box))
        return cls(source, position, status, stored, extra)

    def on(self, image: int, aspect: float) -> list[Drawn]:
        """Return the boxes of an image, the largest first.

        Args:
            image: The image.
            aspect: Its width divided by its height, for rotated boxes.
        """
        kept = self.source.regions_by_image[image][:MOST_DRAWN].tolist()
        dropped = self.source.dropped_by_image[image][:MOST_DRAWN].tolist()
        drawn = [self._region(row, aspect) for row in kept]
        drawn += [self._original(row, aspect) for row in dropped]
        for tag, box in self.extra.get(image, ()):
            drawn.append(Drawn("extra", -1, box, None, (), "region_extra", -1, 0, -1, -1, tag))
        return sorted(drawn, key=lambda one: -abs(one.box[2] * one.box[3]) if one.box else 0.0)

    def _region(self, row: int, aspect: float) -> Drawn:
        source = self.source
        regions = source.regions
        original = int(source.original_of[row])
        kind = self.status.get(row, "sent")
        code = ADJUSTING[regions.adjusted[row]]
        box = regions.box[row].tolist()
        other = self.stored.get(row)
        outline: Sequence[Point] = ()
        position = int(self.position[row])
        if position < 0:
            kind, code, outline = "dropped", source.why_not_sent(row), _corners(box, 0, aspect)
        elif kind == "sent" and code:
            kind = "adjusted"
        if original >= 0 and kind == "adjusted":
            other = source.originals.box[original].tolist()
            outline = _corners(other, float(source.originals.angle[original]), aspect)
        tag, file, where = (
            int(column[row]) for column in (regions.tag, regions.file, regions.where)
        )
        return Drawn(kind, tag, box, other, outline, code, file, where, position, row)

    def _original(self, row: int, aspect: float) -> Drawn:
        originals = self.source.originals
        numbers = originals.box[row]
        box = numbers.tolist() if np.isfinite(numbers).all() else None
        outline = _corners(box, float(originals.angle[row]), aspect) if box else ()
        tag, file, where = (
            int(column[row]) for column in (originals.tag, originals.file, originals.where)
        )
        code = code_name(int(originals.code[row]))
        return Drawn("dropped", tag, box, None, outline, code, file, where, -1)


def _corners(box: Sequence[float], angle: float, aspect: float) -> list[Point]:
    """Return the corners of a box that is rotated about its centre, as fractions of the image."""
    left, top, width, height = box
    x, y = left + width / 2, top + height / 2
    # A box without an area would not be visible.
    width, height = max(abs(width), _VISIBLE), max(abs(height), _VISIBLE)
    cos, sin = np.cos(angle), np.sin(angle)
    corners = []
    for right, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        across, along = right * width / 2 * aspect, down * height / 2
        corners.append((x + (across * cos - along * sin) / aspect, y + across * sin + along * cos))
    return corners


def tag_class(style: int) -> str:
    """Return the CSS classes of a look: neighbours differ in colour and in dash pattern."""
    if style < 0:
        return "none"
    return f"c{style % COLOURS} d{(style + style // COLOURS) % DASHES}"


def overlay(
    source: Source,
    drawn: Sequence[Drawn],
    aspect: float,
    is_meant: Callable[[Drawn], bool] | None = None,
) -> Element:
    """Return boxes as SVG, in coordinates from 0 to 1; one `.box` for each, in their order.

    Args:
        source: The dataset.
        drawn: The boxes.
        aspect: Width of the image divided by its height.
        is_meant: Which boxes are emphasised; None: all are drawn alike.
    """
    groups: list[Element] = []
    last: tuple[str, int, str, bool] | None = None
    for one in drawn:
        is_emphasised = is_meant is not None and is_meant(one)
        look = (one.kind, one.tag, one.extra_tag, is_emphasised)
        if look != last:
            classes = f"{one.kind} {tag_class(source.style_of[one.tag])}"
            classes += " meant" if is_emphasised else ""
            groups.append(E.g({"class": classes}, E.title(label(one, source.tags))))
            last = look
        groups[-1].extend(_marks(one, aspect))
    view = {"viewBox": "0 0 1 1", "preserveAspectRatio": "none", "aria-hidden": "true"}
    kind = "boxes" if is_meant is None else "boxes some"
    return E.svg({"class": kind, **view}, *groups)


def _marks(one: Drawn, aspect: float) -> Iterator[Element]:
    if one.box is None:
        yield E.g({"class": "box"})
        return
    if one.kind == "dropped":
        yield _polygon(one.outline, "box")
        return
    yield _rectangle(one.box, "box")
    if one.kind == "adjusted" and one.outline:
        yield _polygon(one.outline, "was")
    if one.kind == "moved" and one.other is not None:
        yield _rectangle(one.other, "now")
        yield _arrow(one.box, one.other, aspect)


def _rectangle(box: Sequence[float], kind: str) -> Element:
    left, top, width, height = map(_short, box)
    return E.rect({"class": kind, "x": left, "y": top, "width": width, "height": height})


def _polygon(corners: Sequence[Point], kind: str) -> Element:
    near = (min(max(value, -_FAR), _FAR) for corner in corners for value in corner)
    return E.polygon({"class": kind, "points": " ".join(map(_short, near))})


def _arrow(start: Sequence[float], end: Sequence[float], aspect: float) -> Element:
    """Return an arrow from the centre of one box to that of another."""
    (x1, y1), (x2, y2) = (
        (left + width / 2, top + height / 2) for left, top, width, height in (start, end)
    )
    across, along = x2 - x1, (y2 - y1) / aspect
    angle = np.arctan2(along, across)
    head = min(_HEAD, float(np.hypot(across, along)) / 2)
    path = f"M{_short(x1)} {_short(y1)}L{_short(x2)} {_short(y2)}"
    for side in (2.6, -2.6):
        x = x2 + head * float(np.cos(angle + side))
        y = y2 + head * aspect * float(np.sin(angle + side))
        path += f"M{_short(x)} {_short(y)}L{_short(x2)} {_short(y2)}"
    return E.path({"class": "arrow", "d": path})


def _short(number: float) -> str:
    """Return a coordinate rounded to a hundredth of a pixel of a large screen."""
    return f"{number:.6f}".rstrip("0").rstrip(".") or "0"


def label(one: Drawn, tags: Sequence[str]) -> str:
    """Return the name of a box: its tag and, unless it is sent unchanged, what became of it."""
    tag = one.extra_tag or (tags[one.tag] if one.tag >= 0 else "no class")
    notes = {
        "sent": "",
        "adjusted": f" (adjusted: {one.code})",
        "dropped": f" (not sent: {one.code})",
        "missing": " (missing from the project)",
        "moved": " (elsewhere in the project)",
        "extra": " (only in the project)",
    }
    return tag + notes[one.kind]


def as_row(
    one: Drawn, files: dict[int, int], names: Sequence[str], places: Sequence[Place]
) -> list[object]:
    """Return a box for the script of the page: see `page.js` for the fields."""
    file, suffix = -1, ""
    if one.file >= 0:
        path = names[one.file]
        suffix = place_text(path, one.where, places[one.file])[len(path) :]
        file = files.setdefault(one.file, len(files))
    tag: object = shown(one.extra_tag) if one.extra_tag else one.tag
    box, other = _quanta(one.box), _quanta(one.other)
    return [one.kind, tag, box, other, one.code, file, suffix, one.position]


def _quanta(box: Sequence[float] | None) -> list[int] | None:
    """Return numbers as multiples of 1e-9: exactly the digits of the payload."""
    if box is None:
        return None
    return [round(min(max(number, -_MOST), _MOST) / QUANTUM) for number in box]
