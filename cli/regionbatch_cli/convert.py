"""`regionbatch convert`: write a dataset as payload files."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

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
from regionbatch_cli.reading import (
    check_files,
    exit_status,
    fail_if_strict,
    finish,
    read_arguments,
    read_dataset,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from regionbatch.batching import Batches
    from regionbatch.findings.finding import AllFindings
    from regionbatch.in_parts.batch_files import BatchFiles
    from regionbatch.names.tables import EarlyIds


@click.command(
    cls=DatasetCommand,
    options_metavar="-o OUT --tag-ids FILE --image-ids FILE [OPTIONS]",
    examples=(
        "regionbatch convert mydata -o out --tag-ids tags.json --image-ids ids.csv",
        "regionbatch convert mydata -o out.jsonl --tag-ids t.csv --image-ids i.csv",
        "regionbatch convert mydata -o - --tag-ids t.csv --image-ids i.csv | jq",
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
    help="Convert on the Dask cluster with this scheduler address, or on one that is started on "
    "this machine (local). If OUT is a folder, the cluster also writes the files.",
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
    from regionbatch.names.renames import read_renames  # noqa: PLC0415 - only if there is work
    from regionbatch.names.tables import early_ids  # noqa: PLC0415
    from regionbatch.output_target import is_for_parts  # noqa: PLC0415
    from regionbatch.part_reading import meanwhile  # noqa: PLC0415

    in_parts = bool(dask) and output != "-" and is_for_parts(output, payload)
    _check_output(options, output, payload, overwrite=overwrite, in_parts=in_parts)
    renames = read_renames(rename, rename_file)
    if dask and in_parts:
        ids = tag_ids, image_ids, renames, skip_unresolved
        return _convert_in_parts(options, output, ids, dask, overwrite=overwrite)
    with progress_display(quiet=options.quiet) as progress:
        tags, images = early_ids(tag_ids, image_ids)
        with dask_executor(dask) as executor, meanwhile(partial(_prepare, images)):
            dataset = read_dataset(options, progress, renames, executor)
        from regionbatch.batching import batches as make_batches  # noqa: PLC0415 - see `_prepare`
        from regionbatch.output import write  # noqa: PLC0415

        batches = make_batches(
            dataset,
            tag_ids=tags,
            image_ids=images,
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
    if options.as_json:
        from regionbatch.report import summary  # noqa: PLC0415 - NumPy: only when there is work

        print_json({**summary(dataset, batches), "output": output})
    else:
        _print(options, dataset.decisions, batches, count, output)
    return finish(options, dataset, batches)


def _prepare(image_ids: EarlyIds) -> None:
    """Load the modules that write payloads, and read the image IDs."""
    import regionbatch.batching  # noqa: PLC0415 - while other processes read parts
    import regionbatch.output  # noqa: F401, PLC0415

    image_ids.read()


def _convert_in_parts(
    options: DatasetOptions,
    output: str,
    ids: tuple[str, str, Mapping[str, str], bool],
    dask: str,
    *,
    overwrite: bool,
) -> int:
    """Have a cluster read the dataset and write the payloads.

    Raises:
        click.UsageError: --html was given.
    """
    from regionbatch.conversion import convert_in_parts  # noqa: PLC0415 - NumPy
    from regionbatch.resolved_ids import IdOptions  # noqa: PLC0415

    if options.html is not None:
        raise click.UsageError(
            "--html: needs all boxes in one process, but with --dask a cluster writes the folder. "
            "Choose a .jsonl file for --output, or leave out one of the options."
        )
    check_files(options)
    with progress_display(quiet=options.quiet) as progress, dask_executor(dask) as executor:
        written = convert_in_parts(
            options.dataset,
            output,
            IdOptions(*ids),
            cast("Executor", executor),  # None only without an address
            strict=options.strict,
            overwrite=overwrite,
            progress=progress,
            if_strict_fails=lambda result: _write_report(options, result),
            **read_arguments(options),
        )
    if options.as_json:
        print_json({**written.summary, "output": output})
    else:
        _print(options, written.decisions, written, len(written), output)
    _write_report(options, written)
    return exit_status(options, written.ledger)


def _write_report(options: DatasetOptions, written: BatchFiles) -> None:
    if options.report:
        from regionbatch.report import write_figures  # noqa: PLC0415 - NumPy
        from regionbatch_cli.wording import WordedFindings  # noqa: PLC0415

        worded = cast("AllFindings", WordedFindings(written.findings))
        names_of_files = {"files", "finding_files"}
        figures = {
            key: written.summary[key] for key in written.summary if key not in names_of_files
        }
        write_figures(options.report, figures, worded)


def _check_output(
    options: DatasetOptions, output: str, payload: str, *, overwrite: bool, in_parts: bool
) -> None:
    """Check before the work starts that the output can be written.

    Raises:
        click.UsageError: The options exclude each other.
        OutputError: The output exists, or cannot be written.
    """
    from regionbatch.output_target import (  # noqa: PLC0415 - only when there is work
        RECOVERED,
        check_target,
        recover_output,
    )

    if output == "-":
        advice = "Write the payloads to a file instead."
        if options.as_json:
            raise click.UsageError(f"--json: prints to standard output, as does -o -. {advice}")
        if sys.stdout is None:
            raise click.UsageError(f"-o: standard output is closed. {advice}")
        return
    if recover_output(output):
        say(options, f"{output}: {RECOVERED}", err=True)
    check_target(output, overwrite=overwrite, in_parts=in_parts, payload=payload)
    report = options.report
    if report and Path(report).resolve().is_relative_to(Path(output).resolve()):
        raise click.UsageError(f"--report: '{report}' is inside the output. Choose another place.")


def _print(
    options: DatasetOptions,
    decisions: Mapping[str, str],
    batches: Batches | BatchFiles,
    count: int,
    output: str,
) -> None:
    """Print what was decided, found and written."""
    err = output == "-"
    print_decisions(options, decisions, err=err)
    print_account(options, batches.ledger, batches.findings, err=err)
    ledger = batches.ledger
    sent = ledger.kept + sum(ledger.adjusted.values())  # `batches.regions` would copy all columns
    regions = counted(sent, "region")
    payloads = counted(count, "batch")
    where = "standard output" if output == "-" else output
    say(options, f"wrote {regions} in {payloads} to {where}", err=err)
