"""`regionbatch verify`: compare a project with a dataset."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from regionbatch_cli.options import DatasetOptions, dataset_options, skip_unresolved_option
from regionbatch_cli.printing import print_account, print_json, say
from regionbatch_cli.progress import progress_display, show_start
from regionbatch_cli.reader_options import DatasetCommand
from regionbatch_cli.reading import finish, read_dataset
from regionbatch_cli.service import (
    ServiceOptions,
    default_journal,
    existing_journal,
    service_options,
)

if TYPE_CHECKING:
    from regionbatch.customvision.comparison import Verification
    from regionbatch.dataset import Dataset


@click.command(
    cls=DatasetCommand,
    examples=(
        "regionbatch verify mydata --project-id ID",
        "regionbatch verify mydata --project-id ID --report differences.json",
    ),
)
@skip_unresolved_option
@service_options
@dataset_options
def verify(
    options: DatasetOptions,
    service: ServiceOptions,
    rename: tuple[str, ...],
    rename_file: str | None,
    image_ids: str | None,
    journal: str | None,
    skip_unresolved: bool,
) -> int:
    """Compare a Custom Vision project with a dataset.

    Lists the regions that are missing from the project, have moved, or are not in the dataset.
    Image IDs are read from --image-ids, from the journal of the upload, or from names that the
    project stores (upload --store-names). Other images are recognised by their regions.
    """
    from regionbatch.customvision.verify import verify as verify_dataset  # noqa: PLC0415 - slow
    from regionbatch.names.renames import read_renames  # noqa: PLC0415

    renames = read_renames(rename, rename_file)
    with progress_display(quiet=options.quiet) as progress, ExitStack() as stack:
        client, project_id, rate_limiter = service.connect(progress)
        stack.enter_context(client)
        journal_file = existing_journal(
            journal, default_journal(options.dataset, options.reader, project_id)
        )
        dataset = read_dataset(options, progress, renames)
        show_start(progress, "reading the project")
        result = verify_dataset(
            dataset,
            client,
            project_id,
            image_ids=image_ids,
            journal=journal_file,
            rename=renames,
            tier=service.tier,
            progress=progress,
            rate_limiter=rate_limiter,
            skip_unresolved=skip_unresolved,
        )
    return _finish(options, dataset, result)


def _finish(options: DatasetOptions, dataset: Dataset, result: Verification) -> int:
    """Print the result and return the exit status."""
    more = {"verification": result.summary()}
    if options.as_json:
        from regionbatch.report import summary  # noqa: PLC0415 - NumPy: only when there is work

        content = {**summary(dataset, result.batches), **more}
        print_json({**content, "findings": result.findings.counts()})
    else:
        print_account(options, result.batches.ledger, result.findings)
        say(options, f"verified: {result}", hanging=" " * 10)
    lost = result.missing + result.moved + result.extra
    return finish(
        options,
        dataset,
        result.batches,
        findings=result.findings,
        more=more,
        lost=lost,
        result=result,
    )
