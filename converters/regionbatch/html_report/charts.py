"""The charts, as plain SVG: a bar is a link that filters the images."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from regionbatch.html_report import figures
from regionbatch.html_report.figures import GRID, Density, Histogram
from regionbatch.html_report.markup import E, name, shown, thousands
from regionbatch.html_report.plots import (
    chart_figure,
    chart_svg,
    density_cells,
    histogram_bars,
    rectangle,
    shade,
    shortened,
    text_mark,
)
from regionbatch.limits import IMAGE_BYTES, IMAGE_SIDE, REGIONS_PER_IMAGE, SMALL_IMAGE_SIDE
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from regionbatch.html_report.markup import Child, Element
    from regionbatch.html_report.source import Source

_MOST_TAGS = 30
_MOST_MAPS = 11
_MOST_TOGETHER = 16
_ROW = 18


def charts(source: Source) -> Iterator[Element]:
    """Yield all charts of a dataset."""
    if len(source.sent):
        yield boxes_per_tag(source)
    yield boxes_per_image(source)
    if len(source.sent):
        yield box_sizes(source)
        yield aspect_ratios(source)
    yield from _image_sizes(source)
    if len(source.sent):
        yield heat_maps(source)
        if np.count_nonzero(source.boxes_per_tag) > 1:
            yield occurring_together(source)
    if len(source.images.splits) > 1:
        yield splits(source)


def filter_link(**state: str) -> str:
    """Return the address that filters the images, such as `#tag=person`."""
    pairs = (f"{key}={quote(shown(value))}" for key, value in state.items())
    return "#" + "&".join(pairs)


def boxes_per_tag(source: Source) -> Element:
    """Return a bar for each tag; a click shows its images."""
    counts = source.boxes_per_tag
    shown = figures.tags_by_count(source, _MOST_TAGS)
    largest = int(counts.max())
    rows = []
    for at, tag in enumerate(shown):
        count = int(counts[tag])
        y = at * _ROW
        rows.append(
            E.a(
                {"href": filter_link(tag=source.tags[tag]), "data-count": count},
                E.title(f"{source.tags[tag]}: {counted(count, 'box')}"),
                text_mark(150, y + 13, shortened(source.tags[tag]), "end"),
                rectangle(156, y + 3, max(1.0, 190 * count / largest), _ROW - 6),
                text_mark(160 + 190 * count / largest, y + 13, thousands(count)),
            )
        )
    used = int(np.count_nonzero(counts))
    more = f" The {len(shown)} most frequent of {used} tags." if used > len(shown) else ""
    return chart_figure(
        "Boxes per tag",
        f"Click a bar to see the images of the tag.{more}",
        chart_svg(rows, height=len(shown) * _ROW + 4),
    )


def boxes_per_image(source: Source) -> Element:
    """Return a histogram of boxes per image, with the limit of the service."""
    histogram = figures.boxes_per_image(source.boxes_per_image, REGIONS_PER_IMAGE)
    edges = [int(edge) for edge in histogram.edges]
    labels = []
    for low, high in pairwise(edges):
        labels.append(f"{low}" if high - low == 1 else f"{low}-{high - 1}")
    links = [filter_link(boxes=label) for label in labels]
    labels[-1] = f">{REGIONS_PER_IMAGE}"
    over = int(histogram.counts[-1])
    empty = int(histogram.counts[0])
    note = f"{counted(empty, 'image')} without a box. "
    note += f"{counted(over, 'image')} above the limit of {REGIONS_PER_IMAGE} (line)."
    line = len(labels) - 1
    return chart_figure(
        "Boxes per image",
        note,
        histogram_bars(histogram, labels, "image", line=line, line_text="300", links=links),
    )


def box_sizes(source: Source) -> Element:
    """Return a chart of the widths and heights of boxes, as fractions of the image."""
    box = source.sent.box
    edges = figures.logarithmic(0.002, 1, 36)
    density = Density.of(box[:, 2], box[:, 3], edges, edges)
    ticks = [(0.01, "1%"), (0.1, "10%"), (0.5, "50%"), (1.0, "100%")]
    return chart_figure(
        "Width and height of boxes",
        "As fractions of the image. Darker: more boxes. The top right corner is the whole image.",
        density_cells(density, ticks, ticks, ("width", "height"), "box"),
    )


def aspect_ratios(source: Source) -> Element:
    """Return a histogram of width to height."""
    histogram = figures.aspect_ratios(source)
    labels = [_ratio(edge) for edge in histogram.edges[:-1]]
    return chart_figure(
        "Aspect ratios of boxes",
        "Width to height. Square boxes are in the middle.",
        histogram_bars(histogram, labels, "box"),
    )


def _ratio(ratio: float) -> str:
    return f"{ratio:.2g}:1" if ratio >= 0.99 else f"1:{1 / ratio:.2g}"


def _image_sizes(source: Source) -> Iterator[Element]:
    width, height = source.images.width, source.images.height
    known = (width > 0) & (height > 0)
    if known.any():
        yield image_sizes(width[known], height[known], int((~known).sum()))
    sizes = figures.file_sizes(source)
    if len(sizes):
        yield image_file_sizes(sizes)


def image_sizes(width: NDArray[np.int32], height: NDArray[np.int32], unknown: int) -> Element:
    """Return a chart of the sizes of images, with the limits of the service."""
    edges = figures.logarithmic(16, 32_768, 44)
    density = Density.of(width.astype(float), height.astype(float), edges, edges)
    ticks = [(100.0, "100"), (1000.0, "1,000"), (10_000.0, "10,000")]
    lines = [(float(SMALL_IMAGE_SIDE), "256"), (float(IMAGE_SIDE), "10,240")]
    small = int(np.count_nonzero(np.minimum(width, height) < SMALL_IMAGE_SIDE))
    large = int(np.count_nonzero(np.maximum(width, height) > IMAGE_SIDE))
    note = f"{counted(small, 'image')} with a side below {SMALL_IMAGE_SIDE} px, which Custom "
    note += f"Vision enlarges; {counted(large, 'image')} with a side above {IMAGE_SIDE:,} px, "
    note += "which it refuses."
    if unknown:
        note += f" {counted(unknown, 'image')} of unknown size."
    svg = density_cells(density, ticks, ticks, ("width in pixels", "height"), "image", lines)
    return chart_figure("Sizes of images", note, svg)


def image_file_sizes(sizes: NDArray[np.int64]) -> Element:
    """Return a histogram of the sizes of image files, with the limit of the service."""
    mib = 2.0**20
    steps = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 6, 10, 20]
    largest = max(float(sizes.max()) / mib, 20.0)
    histogram = Histogram.of(sizes / mib, [*steps, largest + 1])
    # A file of exactly the limit is accepted.
    at = steps.index(6)
    exactly = int(np.count_nonzero(sizes == IMAGE_BYTES))
    counts = histogram.counts.copy()
    counts[at] -= exactly
    counts[at - 1] += exactly
    labels = [f"{step:g}" for step in steps]
    over = int(counts[at:].sum())
    svg = histogram_bars(
        Histogram(histogram.edges, counts), labels, "image", line=at, line_text="6 MB"
    )
    return chart_figure(
        "Sizes of image files", f"In MB. {counted(over, 'file')} above the limit of 6 MB.", svg
    )


def heat_maps(source: Source) -> Element:
    """Return maps of where boxes lie, for all tags together and for the most frequent ones."""
    regions = source.sent
    shown = figures.tags_by_count(source, _MOST_MAPS)
    maps = [_heat_map("all tags", None, figures.heat_map(regions, slice(None)), len(regions))]
    if len(shown) > 1:
        for tag in shown:
            rows = np.flatnonzero(regions.tag == tag)
            maps.append(
                _heat_map(
                    source.tags[tag], source.tags[tag], figures.heat_map(regions, rows), len(rows)
                )
            )
    return chart_figure(
        "Where boxes lie",
        "Darker: more boxes cover this part of the image.",
        E.div({"class": "maps"}, *maps),
    )


def _heat_map(title: str, tag: str | None, counts: NDArray[np.int64], boxes: int) -> Element:
    largest = max(1, int(counts.max(initial=0)))
    cells = [
        E.rect(
            {"x": x, "y": y, "width": 1, "height": 1, "class": f"h{shade(counts[y, x] / largest)}"}
        )
        for y in range(GRID)
        for x in range(GRID)
        if counts[y, x]
    ]
    label = f"{title}: positions of {counted(boxes, 'box')}"
    svg = E.svg(
        {
            "viewBox": f"0 0 {GRID} {GRID}",
            "role": "img",
            "aria-label": label,
            "class": "map",
            "shape-rendering": "crispEdges",
        },
        *cells,
    )
    caption: Child = (
        name(title) if tag is None else E.a({"href": filter_link(tag=tag)}, name(title))
    )
    return E.div(svg, E.span(caption, " ", E.small(thousands(boxes))))


def occurring_together(source: Source) -> Element:
    """Return a matrix of the tags that occur on the same images."""
    tags = figures.tags_by_count(source, _MOST_TOGETHER)
    counts = figures.together(source, tags)
    own = np.maximum(counts.diagonal(), 1)
    size, left = 17, 130
    marks: list[Element] = []
    for at, tag in enumerate(tags):
        label = f"{at + 1} {shortened(source.tags[tag], 16)}"
        marks.append(text_mark(left - 6, 22 + at * size + 12, label, "end"))
        marks.append(text_mark(left + at * size + size / 2, 16, str(at + 1), "middle"))
    for row, tag in enumerate(tags):
        for column, other in enumerate(tags):
            count = int(counts[row, column])
            part = count / int(own[row])
            cell = rectangle(left + column * size, 22 + row * size, size - 1, size - 1)
            cell.set("class", "own" if row == column else f"h{shade(part) if count else 0}")
            what = f"{counted(count, 'image')} with '{source.tags[tag]}'"
            if row != column:
                what += f" and '{source.tags[other]}' ({part:.0%})"
            cell.set("data-count", str(count))
            cell.append(E.title(what))
            both = {"tag": source.tags[tag], "with": source.tags[other]}
            marks.append(E.a({"href": filter_link(**both)}, cell))
    return chart_figure(
        "Tags that occur together",
        "Fraction of the images with the tag of the row that also have the tag of the column.",
        chart_svg(marks, height=26 + len(tags) * size),
    )


def splits(source: Source) -> Element:
    """Return a chart of the images and boxes of each split."""
    images = source.images
    split_of_box = images.split[source.sent.image]
    marks: list[Element] = []
    y = 0
    for title, codes in (("images", images.split), ("boxes", split_of_box)):
        counts = np.bincount(codes + 1, minlength=len(images.splits) + 1)
        marks.append(text_mark(0, y + 13, title))
        x = 60.0
        names = ["no split", *images.splits]
        for code, count in enumerate(counts.tolist()):
            if not count:
                continue
            width = 350 * count / len(codes)
            label = f"{names[code]}: {count:,} {title} ({count / len(codes):.0%})"
            bar = rectangle(x, y, max(0.5, width - 1), 18)
            bar.set("class", f"s{code % 6}")
            children: list[Child] = [E.title(label), bar]
            if width > 40:
                children.append(text_mark(x + 4, y + 13, shortened(names[code], int(width / 8))))
            attributes = {"data-count": count}
            if code:
                attributes["href"] = filter_link(split=names[code])
            marks.append(E.a(attributes, *children))
            x += width
        y += 26
    return chart_figure(
        "Balance of the splits",
        "Click a split to see its images. The table of tags shows how many images of each split "
        "have a tag.",
        chart_svg(marks, height=y),
    )
