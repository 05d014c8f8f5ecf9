"""`regionbatch verify`: what a project has, compared with a dataset."""

from __future__ import annotations

import click

from regionbatch_cli.reader_options import DatasetCommand
from regionbatch_cli.service import Service, service_options
from regionbatch_cli.shared import Common, dataset_options, finish, print_account, print_json, progress_bar, read, say


@click.command(cls=DatasetCommand)
@service_options
@dataset_options
def verify(
    common: Common,
    service: Service,
    mapped: tuple[str, ...],
    map_file: str | None,
    images: str | None,
    journal: str | None,
    tier: str,
) -> int:
    """Compare a Custom Vision project with a dataset.

    Lists the regions that are missing from the project, have moved, or are not in the dataset.
    The service keeps no image names: image IDs are read from --images or from the journal of the
    upload; without them, images are recognised by their regions.

    \b
    Examples:
      regionbatch verify mydata --project ID
      regionbatch verify mydata --project ID --report differences.json
    """
    from regionbatch.customvision.verify import verify as verify_dataset  # noqa: PLC0415 - only when there is work
    from regionbatch.renaming import read_renames  # noqa: PLC0415

    rename = read_renames(mapped, map_file)
    client, project = service.connect()
    known = service.journal_of(common)
    with client, progress_bar(common) as progress:
        dataset = read(common, progress, rename)
        result = verify_dataset(
            dataset,
            client,
            project,
            image_ids=images,
            journal=journal or (known if known.exists() else None),
            rename=rename,
            tier=tier,
            progress=progress,
        )
    more = {"verification": result.summary()}
    if common.as_json:
        from regionbatch.report import summary  # noqa: PLC0415 - as above

        print_json({**summary(dataset, result.batches), **more, "findings": result.findings.counts()})
    else:
        print_account(common, result.batches.ledger, result.findings)
        say(common, f"proof:  {result}")
    lost = result.missing + result.moved + result.extra
    return finish(common, dataset, result.batches, findings=result.findings, more=more, lost=lost)
