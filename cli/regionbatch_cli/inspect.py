"""`regionbatch inspect`: what is it, what is in it, what is wrong with it. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from regionbatch_cli.reader_options import DatasetCommand
from regionbatch_cli.shared import Common, dataset_options, finish, print_account, print_json, progress_bar, read

if TYPE_CHECKING:
    from rich.table import Table

    from regionbatch.dataset import Dataset


_MOST_CLASSES, _MOST_SPLITS = 1000, 20
"""Rows and columns of the table: twice the tags that a project can have, and the splits that fit on a screen."""
_WIDE = 10_000


@click.command(cls=DatasetCommand)
@dataset_options
def inspect(common: Common) -> int:
    """Show what a dataset contains and what is wrong with it.

    Changes nothing.

    \b
    Examples:
      regionbatch inspect mydata
      regionbatch inspect mydata --split val --report findings.json
      regionbatch inspect annotations/instances_val2017.json --json
    """
    with progress_bar(common) as progress:
        dataset = read(common, progress)
    if common.as_json:
        from regionbatch.report import summary  # noqa: PLC0415 - NumPy: only when there is work

        print_json(summary(dataset))
    elif not common.quiet:
        _print(common, dataset)
    return finish(common, dataset)


def _print(common: Common, dataset: Dataset) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.markup import escape  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE  # nothing is cut off in a pipe
    found = dataset.decisions.get("format", dataset.format)
    console.print(f"[bold]{escape(str(dataset.root))}[/]: {escape(found)}", soft_wrap=True)
    for option, decision in dataset.decisions.items():
        if option != "format":
            console.print(f"  {option}: {decision}", markup=False, soft_wrap=True)
    console.print(_classes(dataset))
    if len(dataset):
        console.print(_sizes(dataset))
    print_account(common, dataset.ledger, dataset.findings, notes=True)


def _classes(dataset: Dataset) -> Table:
    """Boxes per class and split; a row a class, the most frequent first. Not more than somebody reads."""
    import numpy as np  # noqa: PLC0415 - as above
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    images, regions = dataset.images, dataset.regions
    splits = [*images.splits, *([""] if (images.split < 0).any() and images.splits else [])]
    if len(splits) > _MOST_SPLITS:
        splits = []
    table = Table(box=box.SIMPLE)
    table.add_column("class", overflow="fold")
    for name in [*(split or "no split" for split in splits), "boxes", "images"]:
        table.add_column(_cell(name), justify="right")
    width = max(1, len(splits))  # a column a split, in the order shown; those in none last
    column = np.where(images.split < 0, width - 1, images.split)[regions.image] if splits else np.int64(0)
    counts = np.bincount(regions.tag * np.int64(width) + column, minlength=len(dataset.tags) * width)
    counts = counts.reshape(-1, width)
    pairs = np.unique(regions.tag * np.int64(len(images)) + regions.image)
    with_tag = np.bincount(pairs // max(1, len(images)), minlength=len(dataset.tags))
    boxes = counts.sum(axis=1)
    for tag in np.argsort(-boxes, kind="stable")[:_MOST_CLASSES].tolist():
        cells = [*counts[tag, : len(splits)].tolist(), boxes[tag], with_tag[tag]]
        table.add_row(_cell(dataset.tags[tag]), *map(str, cells))
    if len(boxes) > _MOST_CLASSES:
        table.add_row(f"… and {len(boxes) - _MOST_CLASSES} more")
    cells = counts.sum(axis=0)[: len(splits)].tolist()
    empty = len(images) - len(np.unique(regions.image))
    table.add_section()
    table.add_row("all", *map(str, [*cells, len(regions), f"{len(images)} ({empty} without boxes)"]))
    return table


def _cell(text: str) -> str:
    """A name as it is shown: it is on one line, and tells neither the terminal nor rich what to do."""
    from rich.markup import escape  # noqa: PLC0415 - as above

    from regionbatch.findings import on_one_line  # noqa: PLC0415

    return escape(on_one_line(text))


def _sizes(dataset: Dataset) -> Table:
    """The smallest, middle and largest boxes, and how many an image has."""
    import numpy as np  # noqa: PLC0415 - as above
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    regions = dataset.regions
    table = Table("", "smallest", "median", "largest", box=box.SIMPLE)
    per_image = np.bincount(regions.image)
    for name, values, form in (
        ("box width, % of image", regions.box[:, 2] * 100, "{:.2f}"),
        ("box height, % of image", regions.box[:, 3] * 100, "{:.2f}"),
        ("box area, % of image", regions.box[:, 2] * regions.box[:, 3] * 100, "{:.3f}"),
        ("boxes an image (with any)", per_image[per_image > 0], "{:.0f}"),
    ):
        table.add_row(name, *(form.format(number) for number in (values.min(), np.median(values), values.max())))
    return table
