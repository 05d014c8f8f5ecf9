"""`regionbatch convert`: write a dataset as payload files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regionbatch.wording import counted
from regionbatch_cli.cluster import dask_executor
from regionbatch_cli.command_help import INPUT, OUTPUT, option
from regionbatch_cli.options import (
    DatasetOptions,
    dataset_options,
    image_ids_option,
    output_option,
    overwrite_option,
    rename_options,
    skip_unresolved_option,
    tag_ids_option,
)
from regionbatch_cli.printing import print_account, print_decisions, print_json, say
from regionbatch_cli.progress import progress_display
from regionbatch_cli.reader_options import DatasetCommand
from regionbatch_cli.reading import fail_if_strict, finish, read_dataset

if TYPE_CHECKING:
    from regionbatch.batching import Batches
    from regionbatch.dataset import Dataset


@click.command(
    cls=DatasetCommand,
    options_metavar="-o OUT --tag-ids FILE --image-ids FILE [OPTIONS]",
    examples=(
        "regionbatch convert mydata -o out --tag-ids tags.json --image-ids ids.csv",
        "regionbatch convert mydata -o out.jsonl --tag-ids t.csv --image-ids i.csv",
        "regionbatch convert mydata -o - --tag-ids t.csv --image-ids i.csv | head -1",
    ),
)
@output_option("OUT", "Folder or .jsonl file for the payloads, or - for standard output.")
@tag_ids_option
@image_ids_option(required=True)
@rename_options
@skip_unresolved_option
@option(
    OUTPUT,
    "--payload",
    type=click.Choice(["json", "xml"]),
    default="json",
    help="Payload format.",
)
@overwrite_option
@option(
    INPUT,
    "--dask",
    metavar="ADDRESS",
    help="Read with a Dask cluster: the address of its scheduler, or local.",
)
@dataset_options
def convert(
    options: DatasetOptions,
    output: str,
    tag_ids: str,
    image_ids: str,
    rename: tuple[str, ...],
    rename_file: str | None,
    skip_unresolved: bool,
    payload: str,
    overwrite: bool,
    dask: str | None,
) -> int:
    """Write a dataset as ImageRegionCreateBatch payloads.

    A payload has at most 64 regions. The files of --tag-ids and --image-ids contain IDs by name:
    {"name": "id"}, a saved response of GetTags or of an image upload, a list of images, or CSV
    with name,id.
    """
    from regionbatch.batching import batches as make_batches  # noqa: PLC0415 - NumPy
    from regionbatch.names.renames import read_renames  # noqa: PLC0415
    from regionbatch.output import write  # noqa: PLC0415

    _check_output(options, output, overwrite=overwrite)
    renames = read_renames(rename, rename_file)
    with progress_display(quiet=options.quiet) as progress:
        with dask_executor(dask) as executor:
            dataset = read_dataset(options, progress, renames, executor)
        batches = make_batches(
            dataset,
            tag_ids=tag_ids,
            image_ids=image_ids,
            rename=renames,
            skip_unresolved=skip_unresolved,
        )
        fail_if_strict(options, dataset, batches)
        target = sys.stdout.buffer if output == "-" else output
        count = write(
            batches,
            target,
            payload=payload,  # type: ignore[arg-type] # checked by click
            overwrite=overwrite,
            progress=progress,
        )
    _print(options, dataset, batches, count, output)
    return finish(options, dataset, batches)


def _check_output(options: DatasetOptions, output: str, *, overwrite: bool) -> None:
    """Check before the work starts that the output can be written.

    Raises:
        click.UsageError: The options exclude each other.
        OutputError: The output exists, or cannot be written.
    """
    from regionbatch.output import RECOVERED, check_target, recover_output  # noqa: PLC0415 - NumPy

    if output == "-":
        advice = "Write the payloads to a file instead."
        if options.as_json:
            raise click.UsageError(f"--json: prints on standard output, as does -o -. {advice}")
        if sys.stdout is None:
            raise click.UsageError(f"-o: standard output is closed. {advice}")
        return
    if recover_output(output):
        say(options, f"{output}: {RECOVERED}", err=True)
    check_target(output, overwrite=overwrite)
    report = options.report
    if report and Path(report).resolve().is_relative_to(Path(output).resolve()):
        raise click.UsageError(f"--report: '{report}' is in the output. Choose another place.")


def _print(
    options: DatasetOptions, dataset: Dataset, batches: Batches, count: int, output: str
) -> None:
    """Print what was decided, found and written."""
    if options.as_json:
        from regionbatch.report import summary  # noqa: PLC0415 - NumPy: only when there is work

        print_json({**summary(dataset, batches), "output": output})
        return
    err = output == "-"
    print_decisions(options, dataset.decisions, err=err)
    print_account(options, batches.ledger, batches.findings, err=err)
    regions = counted(len(batches.regions), "region")
    payloads = counted(count, "batch")
    where = "standard output" if output == "-" else output
    say(options, f"wrote {regions} in {payloads} to {where}", err=err)
