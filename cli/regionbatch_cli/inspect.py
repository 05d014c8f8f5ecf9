"""`regionbatch inspect`: show the format, content and defects of a dataset. Changes nothing."""

from __future__ import annotations

import click

from regionbatch_cli.options import DatasetOptions, dataset_options
from regionbatch_cli.printing import print_account, print_decisions, print_json, say
from regionbatch_cli.progress import progress_display
from regionbatch_cli.reader_options import DatasetCommand
from regionbatch_cli.reading import finish, read_dataset


@click.command(
    cls=DatasetCommand,
    examples=(
        "regionbatch inspect mydata",
        "regionbatch inspect mydata --split val --report findings.json",
        "regionbatch inspect annotations/instances_val2017.json --json",
    ),
)
@dataset_options
def inspect(options: DatasetOptions) -> int:
    """Show what a dataset contains and what is wrong with it.

    Changes nothing.
    """
    with progress_display(quiet=options.quiet) as progress:
        dataset = read_dataset(options, progress)
    if options.as_json:
        from regionbatch.report import summary  # noqa: PLC0415 - NumPy: only when there is work

        print_json(summary(dataset))
    elif not options.quiet:
        from regionbatch_cli.tables import print_tables  # noqa: PLC0415 - as above

        decisions = {name: text for name, text in dataset.decisions.items() if name != "format"}
        say(options, f"{dataset.root}: {dataset.decisions.get('format', dataset.format)}")
        print_decisions(options, decisions)
        print_tables(dataset)
        print_account(options, dataset.ledger, dataset.findings, notes=True)
    return finish(options, dataset)
