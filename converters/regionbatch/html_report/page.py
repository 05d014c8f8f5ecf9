"""The page: one HTML file that requests nothing and runs only its own script."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from regionbatch import __version__
from regionbatch.findings.text import escape_unprintable
from regionbatch.html_report import attention, sections
from regionbatch.html_report.cards import MOST_BYTES, Gallery
from regionbatch.html_report.charts import charts
from regionbatch.html_report.drawing import tag_class
from regionbatch.html_report.finding_images import place_findings
from regionbatch.html_report.markup import E, name, shown, to_html
from regionbatch.html_report.thumbnails import has_pillow
from regionbatch.report import as_json
from regionbatch.training_limits import count_tags
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from regionbatch.findings import Progress
    from regionbatch.html_report.markup import Element
    from regionbatch.html_report.source import Source

    Words = Callable[[str], str]

SIGNATURE = b"<!doctype html>\n<!-- regionbatch report -->"
"""First bytes of a report."""

_MARK = "<!-- cards -->"


def pages(source: Source, most: int, words: Words, progress: Progress | None) -> Iterator[bytes]:
    """Yield the parts of the page.

    Args:
        source: What is shown.
        most: Maximum number of images that are shown.
        words: Rewrites messages of the library: the command names its own options.
        progress: Called while images are decoded.
    """
    placed = place_findings(source)
    gallery = Gallery.of(source, placed, most, progress)
    table = count_tags(
        source.sent.image,
        source.sent.tag,
        source.tags,
        split=source.images.split,
        splits=source.images.splits,
        similar=source.similar,
    )
    points = attention.points(source, gallery, placed, table, words)
    style, script = _resource("page.css"), _resource("page.js")
    data = [gallery.as_data(at) for at in range(len(gallery.shown))]
    root = source.dataset.root
    title = escape_unprintable(root.name or str(root))
    text = Template(_resource("page.html")).substitute(
        style=style,
        style_hash=_csp_hash(style),
        script=script,
        script_hash=_csp_hash(script),
        title=escape(f"{title} - regionbatch"),
        dataset_name=to_html([name(str(root))]),
        head=to_html(_head(source, {one.group.code for one in placed}, words)),
        points=to_html([_points(points, gallery)]),
        gallery_note=to_html(_gallery_notes(source, gallery)),
        cards=_MARK,
        training=to_html(sections.training(source, table)),
        charts=to_html(charts(source)),
        findings=to_html(sections.findings(placed, gallery, words)),
        footer=escape(f"Made by regionbatch {__version__}. This page makes no network requests."),
        data=_json_block(_data(source, gallery, data)),
    )
    before, _, after = text.partition(_MARK)
    yield before.encode()
    for at in range(len(gallery.shown)):
        yield gallery.card(at).encode() + b"\n"
    yield after.encode()


def _resource(file: str) -> str:
    return files(__package__).joinpath(file).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _json_block(content: object) -> str:
    """Return JSON that contains nothing that ends a script element or starts a comment."""
    text = as_json(content).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _head(source: Source, linked: set[str], words: Words) -> Iterator[Element]:
    yield sections.figures_line(source)
    yield sections.ledger_bar("boxes", source.ledger, linked)
    if source.ledger.images.adjusted or source.ledger.images.dropped:
        yield sections.ledger_bar("images", source.ledger.images, linked)
    for part in (sections.verification(source), sections.decisions(source, words)):
        if part is not None:
            yield part


def _points(points: list[attention.Point], gallery: Gallery) -> Element:
    if not points:
        return E.p({"class": "verdict good"}, "Nothing unusual was found.")
    return E.ul({"class": "points"}, *attention.as_cards(points, gallery))


def _gallery_notes(source: Source, gallery: Gallery) -> Iterator[Element]:
    shown, total = len(gallery.shown), len(source.images)
    text = f"{shown:,} of {counted(total, 'image')}"
    if shown < total:
        text += ": the most unusual first, then a random sample"
        limit = MOST_BYTES // 10**6
        why = f"the limit of {limit} MB" if gallery.is_full else "the limit of this page"
        text += f" ({why})"
    else:
        text += ", the most unusual first"
    text += ". Boxes are drawn from the numbers that are sent."
    if shown:
        text += " Grey and dashed: not sent."
    yield E.p({"class": "quiet"}, text)
    if shown and not has_pillow():
        yield E.p(
            {"class": "verdict warning"},
            "Pillow is not installed, so the boxes are drawn on empty frames. Install it: ",
            E.code('pip install "regionbatch[shrink]"'),
        )


def _data(source: Source, gallery: Gallery, images: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the script needs, with the tags and files that the shown images use."""
    used = sorted({one.tag for drawn in gallery.drawn.values() for one in drawn if one.tag >= 0})
    number = {tag: at for at, tag in enumerate(used)}
    for image in images:
        for box in image["boxes"]:
            box[1] = number[box[1]] if isinstance(box[1], int) and box[1] >= 0 else box[1]
    table = source.dataset.findings.files
    tags = [
        [shown(source.tags[tag]), tag_class(source.style_of[tag]), source.tag_ids[tag]]
        for tag in used
    ]
    return {
        "tags": tags,
        "splits": [shown(split) for split in source.images.splits],
        "files": [escape_unprintable(table[code]) for code in gallery.files],
        "hasIds": source.batches is not None,
        "hasPlaceholders": source.has_placeholders,
        "titles": gallery.hint_titles(),
        "images": images,
    }
