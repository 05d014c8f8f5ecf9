"""Tables on a terminal, and those of `inspect`: boxes by class and split, and sizes of boxes."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click
import numpy as np

from regionbatch.findings.text import escape_unprintable
from regionbatch.training_limits import tags_of
from regionbatch_cli.failures import use_colours
from regionbatch_cli.printing import screen_width, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.customvision.projects import ProjectFigures
    from regionbatch.dataset import Dataset

_MOST_CLASSES = 1000
"""Maximum rows of the table: twice the tags that a project can have."""
_MOST_SPLITS = 20
"""Maximum splits in the table. With more of them, only the sums are printed."""
_SMALLEST_NAME_COLUMN = 16
_GAP = "  "

_TEXT = re.compile(r".*[^\W\d].*")
"""A cell with a letter. Columns without one have numbers, and are aligned on the right."""

Row = tuple[str, ...]
"""The cells of a line of a table: a name, then numbers or other texts."""


def print_tables(dataset: Dataset) -> None:
    """Print the boxes by class and split, and the sizes of the boxes."""
    click.echo()
    header, rows = _boxes_by_class(dataset)
    print_table(header, rows, last_is_total=True)
    empty = len(dataset.images) - len(np.unique(dataset.regions.image))
    if empty:
        click.echo(f"Images without boxes: {empty}")
    if len(dataset):
        click.echo()
        print_table(("size of boxes", "smallest", "median", "largest"), _box_sizes(dataset))
    click.echo()


def print_projects(projects: Sequence[ProjectFigures]) -> None:
    """Print a line for each project."""
    rows: list[Row] = []
    for row in projects:
        texts = map(escape_unprintable, (row.name, row.id, row.domain, row.type, row.status))
        regions = "" if row.regions is None else str(row.regions)
        rows.append((*texts, str(row.tags), str(row.images), regions))
    header = ("name", "ID", "domain", "type", "status", "tags", "images", "regions")
    print_table(header, rows)


def _boxes_by_class(dataset: Dataset) -> tuple[Row, list[Row]]:
    """Return the table of classes, the most frequent first, with a last row for all."""
    splits, counts = _counts_by_split(dataset)
    boxes = counts.sum(axis=1)
    images = tags_of(dataset).images
    rows: list[Row] = []
    for tag in np.argsort(-boxes, kind="stable")[:_MOST_CLASSES].tolist():
        numbers = [*counts[tag, : len(splits)], boxes[tag], images[tag]]
        rows.append((escape_unprintable(dataset.tags[tag]), *map(str, numbers)))
    if len(boxes) > _MOST_CLASSES:
        rows.append((f"… and {len(boxes) - _MOST_CLASSES} more", *[""] * (len(splits) + 2)))
    totals = [*counts.sum(axis=0)[: len(splits)], len(dataset.regions), len(dataset.images)]
    rows.append(("all", *map(str, totals)))
    names = [escape_unprintable(split) for split in splits]
    return ("class", *names, "boxes", "images"), rows


def _counts_by_split(dataset: Dataset) -> tuple[list[str], NDArray[np.int64]]:
    """Return the splits to show and the boxes, (classes, splits); those without one are last."""
    images, regions = dataset.images, dataset.regions
    splits = list(images.splits)
    if splits and (images.split < 0).any():
        splits.append("no split")
    if len(splits) > _MOST_SPLITS:
        splits = []
    width = max(1, len(splits))
    column: NDArray[np.int64] = np.zeros(len(regions), np.int64)
    if splits:
        column = np.where(images.split < 0, width - 1, images.split)[regions.image]
    cell = regions.tag * np.int64(width) + column
    counts = np.bincount(cell, minlength=len(dataset.tags) * width)
    return splits, counts.reshape(-1, width)


def _box_sizes(dataset: Dataset) -> list[Row]:
    """Return the smallest, median and largest boxes, and boxes per image."""
    width, height = dataset.regions.box[:, 2], dataset.regions.box[:, 3]
    per_image = np.bincount(dataset.regions.image)
    rows: list[Row] = []
    for name, values, form in (
        ("width, % of image", width * 100, "{:.2f}"),
        ("height, % of image", height * 100, "{:.2f}"),
        ("area, % of image", width * height * 100, "{:.3f}"),
        ("boxes per image, if any", per_image[per_image > 0], "{:.0f}"),
    ):
        extremes = (values.min(), np.median(values), values.max())
        rows.append((name, *map(form.format, extremes)))
    return rows


def print_table(header: Row, rows: Sequence[Row], *, last_is_total: bool = False) -> None:
    """Print a table; on a narrow terminal, its columns in several parts."""
    widths = [max(map(_cells, column)) for column in zip(header, *rows, strict=True)]
    text_columns = {
        column for row in rows for column, cell in enumerate(row) if _TEXT.fullmatch(cell)
    }
    for number, columns in enumerate(_parts(widths, screen_width())):
        if number:
            click.echo()
        part_widths = _part_widths(widths, columns)
        are_texts = [column in text_columns for column in columns]
        rule = "─" * (sum(part_widths) + len(_GAP) * len(columns))
        _print_row(_part_of(header, columns), part_widths, are_texts, bold=True)
        click.echo(rule)
        for row in rows:
            if last_is_total and row is rows[-1]:
                click.echo(rule)
            _print_row(_part_of(row, columns), part_widths, are_texts)


def _part_widths(widths: Sequence[int], columns: Sequence[int]) -> list[int]:
    """Return the widths of the names and of some other columns; long names are wrapped."""
    part = [widths[column] for column in columns]
    width = screen_width()
    if width is None:
        return [widths[0], *part]
    room = width - sum(part) - len(_GAP) * len(part)
    return [min(widths[0], max(_SMALLEST_NAME_COLUMN, room)), *part]


def _part_of(row: Row, columns: Sequence[int]) -> list[str]:
    return [row[0], *(row[column] for column in columns)]


def _parts(widths: Sequence[int], width: int | None) -> list[list[int]]:
    """Return the other columns that fit next to the names, in as many parts as needed."""
    name_width = min(widths[0], _SMALLEST_NAME_COLUMN)
    parts: list[list[int]] = [[]]
    used = name_width
    for column in range(1, len(widths)):
        needed = widths[column] + len(_GAP)
        if width is not None and parts[-1] and used + needed > width:
            parts.append([])
            used = name_width
        parts[-1].append(column)
        used += needed
    return parts


def _print_row(
    cells: Sequence[str], widths: Sequence[int], are_texts: Sequence[bool], *, bold: bool = False
) -> None:
    """Print a row; a long name is wrapped at words, the other cells are on its first line."""
    limit = widths[0] if screen_width() is not None else None
    first, *more = wrapped(cells[0], limit, hanging=_GAP)
    line = first + " " * (widths[0] - _cells(first))
    for cell, width, is_text in zip(cells[1:], widths[1:], are_texts, strict=True):
        space = " " * (width - _cells(cell))
        line += _GAP + (cell + space if is_text else space + cell)
    line = line.rstrip()
    if bold and use_colours(sys.stdout):
        line = click.style(line, bold=True)
    click.echo(line)
    for each in more:
        click.echo(each)


def _cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - only for wide characters

    return cell_len(text)
