"""`regionbatch ids`: write the IDs of a project as the tables that `convert` reads."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionbatch.wording import counted, quoted_names
from regionbatch_cli.command_help import GENERAL, OUTPUT, GroupedCommand, option, verbose_option
from regionbatch_cli.failures import LOST
from regionbatch_cli.options import ExistingPath, output_option, overwrite_option
from regionbatch_cli.progress import progress_display, show_start
from regionbatch_cli.service import (
    SUFFIX,
    ServiceOptions,
    connection_options,
    default_journal,
    existing_journal,
    journal_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.customvision.id_tables import IdTables

_NO_NAMES = (
    "Image names are unknown: Custom Vision stores none by default. Give the DATASET of "
    "the upload, or its journal with --journal."
)
_STORED_NAMES = "If the images were uploaded with --store-names, use --api-version 3.3."


@click.command(
    cls=GroupedCommand,
    options_metavar="--project-id ID -o DIR [OPTIONS]",
    examples=(
        "regionbatch ids mydata --project-id ID -o ids",
        "regionbatch ids --project-id ID -o ids --journal mydata.sqlite",
        "regionbatch convert mydata -o out --tag-ids ids/tags.json --image-ids ids/images.json",
    ),
)
@click.argument("dataset", required=False, type=ExistingPath(exists=True, readable=False))
@connection_options
@journal_option
@output_option("DIR", "Folder for tags.json and images.json.")
@overwrite_option
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print the tables as JSON.")
@verbose_option
@option(GENERAL, "-q", "--quiet", is_flag=True, help="Print only errors, and the result of --json.")
def ids(
    service: ServiceOptions,
    dataset: str | None,
    journal: str | None,
    output: str,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 - read where an error is printed
) -> int:
    """Write the tag and image IDs of a project as files for convert.

    tags.json has the ID of each tag by name. images.json has the ID of each image whose name is
    known. The names are in the journal of the upload (found by DATASET, or given with --journal),
    or in the project itself after an upload with --store-names (API version 3.3).
    """
    from regionbatch.customvision.id_tables import (  # noqa: PLC0415 - NumPy: only when there is work
        IMAGES_FILE,
        check_id_files,
        read_id_tables,
        write_id_files,
    )
    from regionbatch.customvision.session import ProjectSession  # noqa: PLC0415

    if output == "-":
        raise click.UsageError("--output: the IDs are written to two files. Give a folder.")
    check_id_files(output, overwrite=overwrite)
    with progress_display(quiet=quiet) as progress, ExitStack() as stack:
        client, project_id, rate_limiter = service.connect(progress)
        stack.enter_context(client)
        default = default_journal(dataset, {}, project_id) if dataset else None
        journal_file = existing_journal(journal, default)
        session = ProjectSession(client, project_id, rate_limiter)
        show_start(progress, "reading the project")
        tables = read_id_tables(session, journal_file, progress)
    written = write_id_files(output, tables.tags, tables.images, overwrite=overwrite)
    earlier = Path(output) / IMAGES_FILE
    is_kept = tables.images is None and earlier.exists()
    if as_json:
        _print_json(tables, written)
    elif not quiet:
        _print(tables, written)
        if tables.images is None:
            _print_no_names(journal_file, default, service.api_version)
        if is_kept:
            _print_kept(earlier)
    names_are_missing = is_kept or (tables.images is None and bool(dataset or journal))
    return LOST if tables.deleted or tables.ambiguous or names_are_missing else 0


def _print_json(tables: IdTables, written: Sequence[Path]) -> None:
    from regionbatch_cli.printing import print_json  # noqa: PLC0415 - only here

    content: dict[str, Any] = {
        "tags": tables.tags,
        "images": tables.images,
        "unnamed": tables.unnamed,
        "deleted": tables.deleted,
        "ambiguous": tables.ambiguous,
        "files": [str(path) for path in written],
    }
    print_json(content)


def _print(tables: IdTables, written: Sequence[Path]) -> None:
    """Print what was written, and which names or images are left out."""
    from regionbatch_cli.printing import print_labelled, print_wrapped  # noqa: PLC0415 - only here

    hanging = " " * 8
    print_wrapped(f"tags:   {counted(len(tables.tags), 'tag')} in {written[0]}", hanging=hanging)
    if tables.images is None:
        print_wrapped("images: images.json was not written", hanging=hanging)
    else:
        count = counted(len(tables.images), "image")
        print_wrapped(f"images: {count} in {written[1]}", hanging=hanging)
        if tables.unnamed:
            others = counted(tables.unnamed, "other image")
            text = f"the names of {others} in the project are unknown."
            print_labelled("note", text, severity="info")
    if tables.deleted:
        images = counted(len(tables.deleted), "image")
        text = f"left out {images} that the project no longer has: {quoted_names(tables.deleted)}."
        print_labelled("warning", text, severity="warning")
    if tables.ambiguous:
        names = counted(len(tables.ambiguous), "name")
        text = f"left out {names} that several images have: {quoted_names(tables.ambiguous)}."
        print_labelled("warning", text, severity="warning")


def _print_no_names(journal: str | Path | None, default: Path | None, version: str) -> None:
    """Print why no image name is known, and where names could be from.

    Args:
        journal: The journal that was read.
        default: The journal that the upload of the given dataset has by default.
        version: The version of the API.
    """
    from regionbatch_cli.printing import print_labelled  # noqa: PLC0415 - only here

    label, severity = "warning", "warning"
    if journal is not None:
        text = f"{journal}: the journal has no image names. Use --journal with the journal of the"
        text += " run that uploaded the images."
    elif default is not None:
        text = f"{default}: no such journal here, so image names are unknown. Run the command in"
        text += f" the folder where you ran the upload, or use --journal.{_journals_like(default)}"
    else:
        label, severity = "note", "info"
        text = _NO_NAMES
    if version == "3.2":
        text += f" {_STORED_NAMES}"
    print_labelled(label, text, severity=severity)


def _print_kept(images: Path) -> None:
    """Print that the table of images is not from this run; it may be from another project."""
    from regionbatch_cli.printing import print_labelled  # noqa: PLC0415 - only here

    text = f"{images}: from an earlier run, perhaps of another project. Check it, or delete it."
    print_labelled("warning", text, severity="warning")


def _journals_like(default: Path) -> str:
    """Return a sentence about journals of parts of a dataset, if there is none for all of it."""
    start = default.name.removesuffix(SUFFIX).rpartition("-")[0]
    others = [path.name for path in sorted(Path.cwd().iterdir()) if _is_journal(path.name, start)]
    return f" Journals of parts of the dataset: {quoted_names(others)}." if others else ""


def _is_journal(name: str, start: str) -> bool:
    return name.startswith(f"{start}-") and name.endswith(SUFFIX)
