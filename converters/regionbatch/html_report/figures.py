"""The numbers of the charts. They always cover the whole dataset."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Regions
    from regionbatch.html_report.source import Rows, Source

    Counts = NDArray[np.int64]
    Numbers = NDArray[np.float64]

GRID = 24
"""Cells of a heat map along each side."""


@dataclass(frozen=True)
class Histogram:
    """How many values lie between edges."""

    edges: Sequence[float]
    """k + 1 edges, ascending. A value on an edge belongs to the bar that starts there."""
    counts: Counts
    """(k,)."""

    @classmethod
    def of(cls, values: Numbers | Counts, edges: Sequence[float]) -> Histogram:
        """Count values; those beyond the edges are in the first or the last bar."""
        position = np.searchsorted(np.asarray(edges, float), values, side="right") - 1
        inside = np.clip(position, 0, len(edges) - 2)
        return cls(edges, np.bincount(inside, minlength=len(edges) - 1))


@dataclass(frozen=True)
class Density:
    """How many points lie in each cell of a grid."""

    x_edges: Sequence[float]
    y_edges: Sequence[float]
    counts: Counts
    """(y, x)."""

    @classmethod
    def of(
        cls, x: Numbers, y: Numbers, x_edges: Sequence[float], y_edges: Sequence[float]
    ) -> Density:
        """Count points in cells; a point beyond the edges counts in the nearest cell."""
        columns, rows = len(x_edges) - 1, len(y_edges) - 1
        column = np.clip(np.searchsorted(x_edges, x, side="right") - 1, 0, columns - 1)
        row = np.clip(np.searchsorted(y_edges, y, side="right") - 1, 0, rows - 1)
        counts = np.bincount(row * columns + column, minlength=rows * columns)
        return cls(x_edges, y_edges, counts.reshape(rows, columns))


def logarithmic(low: float, high: float, count: int) -> list[float]:
    """Return `count` + 1 edges whose ratios are equal."""
    edges: list[float] = np.geomspace(low, high, count + 1).tolist()
    return edges


def boxes_per_image(counts: Counts, limit: int) -> Histogram:
    """Return a histogram of boxes per image, with an edge just above the limit."""
    edges = [0.0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 75, 100, 150, 200]
    return Histogram.of(counts, [*edges, limit + 1, max(limit * 2, int(counts.max(initial=0))) + 1])


def aspect_ratios(source: Source) -> Histogram:
    """Return a histogram of the width-to-height ratios of boxes, in pixels if these are known."""
    regions, images = source.sent, source.images
    known = (images.width > 0) & (images.height > 0)
    shape = np.where(known, images.width / np.maximum(images.height, 1), 1.0)
    ratio = regions.box[:, 2] / regions.box[:, 3] * shape[regions.image]
    return Histogram.of(ratio, logarithmic(1 / 16, 16, 24))


def heat_map(regions: Regions, rows: Rows | slice) -> Counts:
    """Return how many boxes cover each cell of a grid over the image, (GRID, GRID)."""
    box = regions.box[rows]
    start = np.floor(box[:, :2] * GRID).astype(np.int64).clip(0, GRID - 1)
    end = np.ceil((box[:, :2] + box[:, 2:]) * GRID - 1e-6).astype(np.int64).clip(1, GRID)
    # Each box adds 1 at its first cell and takes it away after its last; the sums are the map.
    corners = np.zeros((GRID + 1) ** 2, np.int64)
    for y, x, sign in (
        (start[:, 1], start[:, 0], 1),
        (start[:, 1], end[:, 0], -1),
        (end[:, 1], start[:, 0], -1),
        (end[:, 1], end[:, 0], 1),
    ):
        corners += sign * np.bincount(y * (GRID + 1) + x, minlength=len(corners))
    summed = corners.reshape(GRID + 1, GRID + 1).cumsum(axis=0).cumsum(axis=1)
    return summed[:GRID, :GRID]


def together(source: Source, tags: Sequence[int]) -> Counts:
    """Return the number of images with each pair of tags, (k, k); the diagonal counts each tag."""
    regions = source.sent
    position = np.full(len(source.tags), -1)
    position[[*tags]] = np.arange(len(tags))
    column = position[regions.tag]
    rows = np.flatnonzero(column >= 0)
    has = np.zeros((len(source.images), len(tags)), np.float32)
    has[regions.image[rows], column[rows]] = 1
    counts: Counts = np.rint(has.T @ has).astype(np.int64)
    return counts


def file_sizes(source: Source) -> Counts:
    """Return the sizes of the image files in bytes; files that are missing are left out."""
    sizes = []
    for path in filter(None, source.images.paths):
        try:
            sizes.append(os.stat(path).st_size)  # noqa: PTH116 - text: there may be 200,000 paths
        except OSError:
            continue
    return np.asarray(sizes, np.int64)


def tags_by_count(source: Source, most: int) -> list[int]:
    """Return the tags with the most boxes, the most frequent first."""
    counts = source.boxes_per_tag
    order: list[int] = np.argsort(-counts, kind="stable")[:most].tolist()
    return [tag for tag in order if counts[tag]]
