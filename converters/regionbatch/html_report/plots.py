"""Plots as plain SVG: bars, grids of cells, and their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.findings.text import escape_unprintable
from regionbatch.html_report.markup import E, thousands
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.html_report.figures import Density, Histogram
    from regionbatch.html_report.markup import Element

_WIDTH, _HEIGHT = 420, 190
_LEFT, _BOTTOM, _TOP, _RIGHT = 44, 30, 14, 8
_PLOT_WIDTH = _WIDTH - _LEFT - _RIGHT
_PLOT_HEIGHT = _HEIGHT - _TOP - _BOTTOM
"""Margins of the plot within a chart."""
_NAME_LETTERS = 22
_LETTER = 6
"""Width of a letter, approximately."""


def histogram_bars(
    histogram: Histogram,
    labels: Sequence[str],
    unit: str,
    *,
    line: int | None = None,
    line_text: str = "",
    links: Sequence[str] = (),
) -> Element:
    """Return a histogram, with a line before the bar `line`; `links` has the link of each bar."""
    counts = histogram.counts.tolist()
    largest = max(1, *counts)
    wide = _PLOT_WIDTH / len(counts)
    high = _PLOT_HEIGHT
    marks: list[Element] = [_axis(), *_count_ticks(largest)]
    free_from = 0.0
    for at, count in enumerate(counts):
        x = _LEFT + at * wide
        if count:
            tall = max(1.0, high * count / largest)
            bar = rectangle(x + 0.5, _TOP + high - tall, wide - 1, tall)
            bar.set("data-count", str(count))
            bar.append(E.title(f"{labels[at]}: {counted(count, unit)}"))
            marks.append(E.a({"href": links[at]}, bar) if links else bar)
        middle, half = x + wide / 2, len(labels[at]) * _LETTER / 2
        if middle - half > free_from:
            free_from = middle + half + _LETTER
            marks.append(text_mark(middle, _HEIGHT - _BOTTOM + 14, labels[at], "middle"))
    if line is not None:
        x = _LEFT + line * wide
        marks += [
            line_mark(x, _TOP, x, _TOP + high, "limit"),
            text_mark(x - 3, _TOP + 9, line_text, "end"),
        ]
    return chart_svg(marks)


def density_cells(
    density: Density,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    axes: tuple[str, str],
    unit: str,
    lines: Sequence[tuple[float, str]] = (),
) -> Element:
    """Return a grid of cells that are darker the more there is in them, on logarithmic axes."""
    marks: list[Element] = [_axis(), *_cells(density, unit)]
    low, top = np.log(density.x_edges[0]), np.log(density.x_edges[-1])

    def along(value: float) -> float:
        return float((np.log(value) - low) / (top - low))

    for value, label in x_ticks:
        marks.append(
            text_mark(_LEFT + _PLOT_WIDTH * along(value), _HEIGHT - _BOTTOM + 14, label, "middle")
        )
    for value, label in y_ticks:
        marks.append(
            text_mark(_LEFT - 4, _TOP + _PLOT_HEIGHT * (1 - along(value)) + 4, label, "end")
        )
    for value, label in lines:
        x, y = _LEFT + _PLOT_WIDTH * along(value), _TOP + _PLOT_HEIGHT * (1 - along(value))
        marks += [
            line_mark(x, _TOP, x, _TOP + _PLOT_HEIGHT, "limit"),
            line_mark(_LEFT, y, _LEFT + _PLOT_WIDTH, y, "limit"),
            text_mark(x + 3, _TOP + 9, label),
        ]
    marks.append(text_mark(_LEFT + _PLOT_WIDTH, _HEIGHT - 2, f"{axes[0]} →", "end"))
    marks.append(text_mark(_LEFT + 4, 10, f"{axes[1]} ↑"))
    return chart_svg(marks)


def _cells(density: Density, unit: str) -> list[Element]:
    """Return a rectangle for each cell of a grid with something in it."""
    cells: list[Element] = []
    columns, rows = len(density.x_edges) - 1, len(density.y_edges) - 1
    largest = np.log1p(max(1, int(density.counts.max())))
    for row, column in np.argwhere(density.counts).tolist():
        count = int(density.counts[row, column])
        cell = rectangle(
            _LEFT + _PLOT_WIDTH * column / columns,
            _TOP + _PLOT_HEIGHT * (rows - 1 - row) / rows,
            _PLOT_WIDTH / columns,
            _PLOT_HEIGHT / rows,
        )
        cell.set("class", f"h{shade(np.log1p(count) / largest)}")
        cell.set("data-count", str(count))
        cell.append(E.title(counted(count, unit)))
        cells.append(cell)
    return cells


def shade(part: float) -> int:
    """Return the shade, from 1 to 9, of a fraction from 0 to 1."""
    return min(9, 1 + int(part * 8.999))


def _count_ticks(largest: int) -> list[Element]:
    high = _PLOT_HEIGHT
    return [
        text_mark(_LEFT - 4, _TOP + 8, thousands(largest), "end"),
        text_mark(_LEFT - 4, _TOP + high, "0", "end"),
    ]


def _axis() -> Element:
    bottom = _HEIGHT - _BOTTOM
    return line_mark(_LEFT, bottom, _WIDTH - _RIGHT, bottom, "axis")


def rectangle(x: float, y: float, width: float, height: float) -> Element:
    """Return a bar or a cell."""
    numbers = {"x": x, "y": y, "width": width, "height": height}
    return E.rect({"class": "bar", **{key: f"{value:.5g}" for key, value in numbers.items()}})


def line_mark(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    """Return a line; `kind` is its CSS class."""
    numbers = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return E.line({"class": kind, **{key: f"{value:.5g}" for key, value in numbers.items()}})


def text_mark(x: float, y: float, text: str, anchor: str = "start") -> Element:
    """Return a text at a point."""
    return E.text({"x": f"{x:.5g}", "y": f"{y:.5g}", "text-anchor": anchor}, text)


def shortened(text: str, most: int = _NAME_LETTERS) -> str:
    """Return a name that fits next to a bar."""
    text = escape_unprintable(text)
    return text if len(text) <= most else text[: max(1, most - 1)] + "…"


def chart_svg(marks: Sequence[Element], height: int = _HEIGHT) -> Element:
    """Return marks as one chart."""
    return E.svg({"viewBox": f"0 0 {_WIDTH} {height}", "class": "chart", "role": "group"}, *marks)


def chart_figure(title: str, caption: str, content: Element) -> Element:
    """Return a chart with its title and caption."""
    content.set("aria-label", title)
    return E.figure(E.h3(title), content, E.figcaption(caption))
