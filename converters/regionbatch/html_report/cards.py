"""The images of the report: a card for each, and what the full view of it needs."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.findings.text import escape_unprintable
from regionbatch.html_report.appearance import file_hints, look_hints
from regionbatch.html_report.charts import filter_link
from regionbatch.html_report.drawing import Drawings, as_row, overlay
from regionbatch.html_report.hints import all_hints
from regionbatch.html_report.markup import E, name, shown, to_html
from regionbatch.html_report.ranking import Ranking
from regionbatch.html_report.thumbnails import SIDE, Thumbnail, thumbnails
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from regionbatch.findings import Progress
    from regionbatch.html_report.drawing import Drawn
    from regionbatch.html_report.finding_images import PlacedFindings
    from regionbatch.html_report.markup import Element
    from regionbatch.html_report.ranking import Reason
    from regionbatch.html_report.source import Source

MOST_BYTES = 20 * 10**6
"""Maximum bytes of the images with their boxes: a browser opens a larger page slowly."""

_BYTES_OF_CARD, _BYTES_OF_BOX, _BYTES_OF_CORNER = 2000, 300, 40
"""Bytes in the page and in the script's data, measured on boxes whose tags alternate."""
_REASONS = 4
_TURNED = {
    2: "mirrored",
    3: "rotated by 180°",
    4: "mirrored upside down",
    5: "mirrored and rotated by 90°",
    6: "rotated by 90°",
    7: "mirrored and rotated by 270°",
    8: "rotated by 270°",
}


@dataclass
class Gallery:
    """The images that the report shows, the worst first."""

    source: Source
    shown: Sequence[int]
    """The images."""
    thumbnails: dict[int, Thumbnail]
    drawn: dict[int, list[Drawn]]
    reasons: dict[int, list[Reason]]
    is_full: bool
    """Whether images were left out because the page would be too large."""
    files: dict[int, int] = field(default_factory=dict)
    """The files that the rows of `as_data` point into, by their codes in the dataset."""

    @classmethod
    def of(
        cls,
        source: Source,
        findings: Sequence[PlacedFindings],
        most: int,
        progress: Progress | None = None,
    ) -> Gallery:
        """Choose images, decode them and rank them.

        Args:
            source: The dataset.
            findings: All findings, with their images.
            most: Maximum number of images that are shown.
            progress: Called while images are decoded.
        """
        if not most:
            return cls(source, [], {}, {}, {}, is_full=False)
        ranking = Ranking(source, findings, all_hints(source))
        chosen = ranking.choose(most)
        found, drawn = _draw(source, chosen, progress)
        ranking.hints += file_hints(source, [*found], [*found.values()])
        seen = [image for image, thumbnail in found.items() if thumbnail.looks is not None]
        if seen:
            rows = np.concatenate([source.regions_by_image[image] for image in seen])
            ranking.hints += look_hints(source, rows, [found[image] for image in seen])
        shown = ranking.ordered([*found])
        is_full = len(found) < len(chosen)
        return cls(source, shown, found, drawn, ranking.reasons(shown), is_full)

    def card(self, at: int) -> str:
        """Return the card of the image at a position, as HTML."""
        image = self.shown[at]
        title = self.source.images.names[image]
        why = [E.li({"class": reason.severity}, reason.text) for reason in self._texts(image)]
        note = _orientation_note(self.thumbnails[image])
        if note:
            why.append(E.li({"class": "info"}, note))
        card = E.li(
            {"class": "card", "data-at": at},
            E.a({"class": "open", "href": filter_link(image=title)}, self.drawing(image)),
            E.p({"class": "file"}, name(title), " ", E.small(self._contents(image))),
            *([E.ul({"class": "why"}, *why)] if why else []),
        )
        return to_html([card])

    def _texts(self, image: int) -> list[Reason]:
        """Return the most serious reasons of an image, without mere notes and repetitions."""
        reasons = self.reasons[image]
        found = [one for one in reasons if one.severity != "info" and one.code != "rotated"]
        return [*{one.text: one for one in found[::-1]}.values()][::-1][:_REASONS]

    def drawing(self, image: int, is_meant: Callable[[Drawn], bool] | None = None) -> Element:
        """Return an image with its boxes; those for which `is_meant` is true are emphasised."""
        thumbnail = self.thumbnails[image]
        width, height = _shown_size(self.source, image, thumbnail)
        title = self.source.images.names[image]
        what = f"{title}: {self._contents(image)}"
        if thumbnail.jpeg:
            encoded = base64.b64encode(thumbnail.jpeg).decode()
            base = E.img(
                {
                    "src": f"data:image/jpeg;base64,{encoded}",
                    "alt": what,
                    "width": width,
                    "height": height,
                }
            )
        else:
            base = E.svg(
                {
                    "class": "frame",
                    "viewBox": f"0 0 {width} {height}",
                    "width": width,
                    "height": height,
                    "role": "img",
                    "aria-label": f"{what}. {thumbnail.problem}",
                }
            )
        boxes = overlay(self.source, self.drawn[image], width / height, is_meant)
        return E.span({"class": "shown"}, base, boxes)

    def _contents(self, image: int) -> str:
        """Return the number of boxes that are sent, and of those that are not."""
        source = self.source
        sent = int(source.boxes_per_image[image])
        others = self._boxes(image) - sent
        return counted(sent, "box") + (f", {others} not sent" if others else "")

    def _boxes(self, image: int) -> int:
        """Return the number of boxes that the dataset has or had on an image."""
        source = self.source
        return len(source.regions_by_image[image]) + len(source.dropped_by_image[image])

    def _note_of_many(self, image: int) -> str:
        drawn, count = len(self.drawn[image]), self._boxes(image)
        return f"Only {drawn:,} of {count:,} boxes are drawn." if drawn < count else ""

    def hint_titles(self) -> dict[str, str]:
        """Return the titles of the hints by code."""
        found = (one for reasons in self.reasons.values() for one in reasons)
        return {one.code: one.title for one in found if one.severity == "hint"}

    def as_data(self, at: int) -> dict[str, Any]:
        """Return what the script needs to filter and to show an image."""
        image = self.shown[at]
        images = self.source.images
        names = self.source.dataset.findings.files
        places = self.source.regions.places(len(names))
        thumbnail = self.thumbnails[image]
        size = thumbnail.size if thumbnail.jpeg else (0, 0)
        declared = int(images.width[image]), int(images.height[image])
        batches = self.source.batches
        notes = [thumbnail.problem, _orientation_note(thumbnail), self._note_of_many(image)]
        return {
            "name": shown(images.names[image]),
            "size": declared if all(declared) else size,
            "split": int(images.split[image]),
            "id": batches.image_ids[image] if batches else "",
            "codes": sorted({reason.code for reason in self.reasons[image]}),
            "why": [[one.severity, escape_unprintable(one.text)] for one in self.reasons[image]],
            "notes": [note for note in notes if note],
            "boxes": [as_row(one, self.files, names, places) for one in self.drawn[image]],
        }


def _draw(
    source: Source, chosen: Sequence[int], progress: Progress | None
) -> tuple[dict[int, Thumbnail], dict[int, list[Drawn]]]:
    """Return the thumbnails and the boxes of images, until they have as many bytes as allowed."""
    drawings = Drawings.of(source)
    made = thumbnails(
        [source.images.paths[image] for image in chosen],
        [source.regions.box[source.regions_by_image[image]] for image in chosen],
        lambda done: progress("drawing images", done, len(chosen)) if progress else None,
    )
    found: dict[int, Thumbnail] = {}
    drawn: dict[int, list[Drawn]] = {}
    total = 0
    for image, thumbnail in zip(chosen, made, strict=True):
        width, height = _shown_size(source, image, thumbnail)
        boxes = drawings.on(image, width / height)
        total += len(thumbnail.jpeg) * 4 // 3 + _BYTES_OF_CARD
        total += sum(map(_bytes_of, boxes))
        if total > MOST_BYTES:
            break
        found[image] = thumbnail
        drawn[image] = boxes
    return found, drawn


def _bytes_of(one: Drawn) -> int:
    """Return about how many bytes a box needs on the page."""
    return _BYTES_OF_BOX + _BYTES_OF_CORNER * len(one.outline) + len(one.extra_tag)


def _shown_size(source: Source, image: int, thumbnail: Thumbnail) -> tuple[int, int]:
    """Return the width and height at which an image is shown; square if they are unknown."""
    if thumbnail.jpeg:
        return thumbnail.shown
    width, height = int(source.images.width[image]), int(source.images.height[image])
    if width <= 0 or height <= 0:
        return SIDE, SIDE
    scale = SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _orientation_note(thumbnail: Thumbnail) -> str:
    turned = _TURNED.get(thumbnail.orientation)
    if not turned:
        return ""
    return (
        f"EXIF asks for this image to be {turned}. It is shown as stored; "
        "what Custom Vision does with it is unknown."
    )
