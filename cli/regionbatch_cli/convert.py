"""`regionbatch convert`: a dataset to payload files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from regionbatch_cli.help_groups import IDS, OUTPUT, option
from regionbatch_cli.reader_options import DatasetCommand
from regionbatch_cli.shared import (
    Common,
    dataset_options,
    finish,
    map_options,
    print_account,
    print_json,
    progress_bar,
    read,
    refuse_doubt,
    say,
    skip_option,
)


@click.command(cls=DatasetCommand, options_metavar="-o OUT --tags FILE --images FILE [OPTIONS]")
@option(
    OUTPUT,
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="Folder, .jsonl file, or - for standard output.",
)
@option(
    IDS,
    "--tags",
    required=True,
    type=click.Path(),
    metavar="FILE",
    help="Tag IDs by class name: JSON or CSV.",
)
@option(
    IDS,
    "--images",
    required=True,
    type=click.Path(),
    metavar="FILE",
    help="Image IDs by image name: JSON or CSV.",
)
@map_options
@skip_option
@option(
    OUTPUT,
    "--payload",
    type=click.Choice(["json", "xml"]),
    default="json",
    help="Format of the payloads.",
)
@option(OUTPUT, "--overwrite", is_flag=True, help="Replace the output of an earlier run.")
@dataset_options
def convert(
    common: Common,
    output: str,
    tags: str,
    images: str,
    mapped: tuple[str, ...],
    map_file: str | None,
    skip_unresolved: bool,
    payload: str,
    overwrite: bool,
) -> int:
    """Write a dataset as ImageRegionCreateBatch payloads.

    A payload has at most 64 regions. The files of --tags and --images contain IDs by name:
    {"name": "id"}, a response of GetTags or of an image upload, a list of images, or CSV with
    name,id.

    \b
    Examples:
      regionbatch convert mydata -o out --tags tags.json --images images.csv
      regionbatch convert mydata -o out.jsonl --tags tags.csv --images ids.csv
      regionbatch convert mydata -o - --tags tags.csv --images ids.csv | head -n 1
    """
    from regionbatch.batching import batches as make_batches  # noqa: PLC0415 - NumPy: only when there is work
    from regionbatch.errors import OptionError  # noqa: PLC0415
    from regionbatch.output import GIVEN_BACK, check_target, give_back, write  # noqa: PLC0415
    from regionbatch.renaming import read_renames  # noqa: PLC0415
    from regionbatch.report import summary  # noqa: PLC0415

    to_stdout = output == "-"
    if to_stdout and common.as_json:
        raise click.UsageError("--json and -o - both want standard output; write the payloads to a file.")
    if to_stdout and sys.stdout is None:
        raise click.UsageError("-o - needs standard output, which is closed; write the payloads to a file.")
    if not to_stdout:
        if give_back(output):
            say(common, f"{output}: {GIVEN_BACK}", err=True)
        check_target(output, overwrite=overwrite)
        if common.report and Path(common.report).resolve().is_relative_to(Path(output).resolve()):
            raise OptionError(f"--report: {common.report} is in the output; choose another place")
    rename = read_renames(mapped, map_file)
    with progress_bar(common) as progress:
        dataset = read(common, progress, rename)
        batches = make_batches(dataset, tag_ids=tags, image_ids=images, rename=rename, skip_unresolved=skip_unresolved)
        refuse_doubt(common, dataset, batches)
        target = sys.stdout.buffer if to_stdout else output
        count = write(batches, target, payload=payload, overwrite=overwrite, progress=progress)  # type: ignore[arg-type]
    if common.as_json:
        print_json({**summary(dataset, batches), "output": output})
    else:
        for option, decision in dataset.decisions.items():
            say(common, f"{option}: {decision}", err=to_stdout)
        print_account(common, batches.ledger, batches.findings, err=to_stdout)
        where = "standard output" if to_stdout else output
        say(
            common,
            f"wrote {len(batches.regions)} regions in {count} batch{'' if count == 1 else 'es'} to {where}",
            err=to_stdout,
        )
    return finish(common, dataset, batches)
