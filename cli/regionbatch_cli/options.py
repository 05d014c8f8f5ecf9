"""Options that several commands take. An option means the same in every command."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from regionbatch.files.paths import scheme_of
from regionbatch.plugins import BUILT_IN
from regionbatch_cli.command_help import (
    GENERAL,
    IDS,
    INPUT,
    OUTPUT,
    SERVICE,
    old_names_given,
    option,
)
from regionbatch_cli.completion import complete_class, complete_format, complete_mark
from regionbatch_cli.html import HTML_OPTIONS
from regionbatch_cli.reader_options import take_reader_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from regionbatch.options import GivenAs

Function = TypeVar("Function", bound="Callable[..., Any]")


class ExistingPath(click.Path):
    """The path of a file or folder that exists; a URL is not looked up."""

    def convert(
        self,
        value: str | PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | PathLike[str]:
        """Return the path."""
        if scheme_of(value):
            return value
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            from regionbatch.files.folders import absence_of  # noqa: PLC0415 - only for mistakes

            kind = "file or folder" if self.dir_okay else "file"
            self.fail(absence_of(value, kind), param, ctx)


EXISTING_FILE = ExistingPath(exists=True, dir_okay=False)


@dataclass(frozen=True)
class DatasetOptions:
    """What every command on a dataset takes."""

    dataset: str
    format: str | None
    drop: tuple[str, ...]
    only: tuple[str, ...]
    max_clip: str | None
    strict: bool
    accept_drops: bool
    report: str | None
    html: str | None
    html_images: int | None
    as_json: bool
    verbose: bool
    quiet: bool
    option: tuple[str, ...]
    reader: dict[str, GivenAs]
    """The reader options that were given, by keyword."""

    @property
    def marks(self) -> list[str]:
        """The marks of --drop, which may be separated by commas; an empty one if there is none."""
        marks = []
        for text in self.drop:
            marks += [mark.strip() for mark in text.split(",") if mark.strip()] or [""]
        return marks


_DATASET_OPTIONS = (
    click.argument("dataset", type=click.Path()),
    option(
        INPUT,
        "--format",
        metavar="NAME",
        default_text="detected",
        help=f"Format of the dataset: {', '.join(BUILT_IN)}, or that of a plugin.",
        shell_complete=complete_format,
    ),
    option(
        INPUT,
        "--drop",
        multiple=True,
        metavar="MARK,…",
        help="Leave out boxes with a mark: crowd, difficult, truncated, occluded (repeatable).",
        shell_complete=complete_mark,
    ),
    option(
        INPUT,
        "--only",
        "--keep",
        multiple=True,
        metavar="CLASS",
        help="Keep only this class (repeatable).",
        shell_complete=complete_class,
    ),
    option(
        INPUT,
        "--max-clip",
        metavar="FRACTION",
        help="Leave out boxes with more than this fraction (0 to 1) outside the image.",
    ),
    option(
        OUTPUT,
        "--report",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Write all findings with their places to a JSON file.",
    ),
    *HTML_OPTIONS,
    option(OUTPUT, "--json", "as_json", is_flag=True, help="Print the result as JSON."),
    option(
        GENERAL,
        "--strict",
        is_flag=True,
        help="Fail and write nothing if a box is dropped or adjusted, a decision is uncertain, or "
        "there is another serious finding (see explain).",
    ),
    option(
        GENERAL,
        "--accept-drops",
        is_flag=True,
        help="Exit with status 0 even if records were dropped or not confirmed.",
    ),
    option(
        GENERAL,
        "-v",
        "--verbose",
        is_flag=True,
        help="Print more places of each finding, and the traceback of an error.",
    ),
    option(
        GENERAL, "-q", "--quiet", is_flag=True, help="Print only errors, and the result of --json."
    ),
    option(
        INPUT,
        "-O",
        "--option",
        multiple=True,
        hidden=True,
        metavar="NAME=VALUE",
        help="Option of a reader, by its name in Python.",
    ),
)


def dataset_options(function: Function) -> Function:
    """Add the dataset and the options for reading it to a command, as one argument `options`.

    The options of the readers are added by `DatasetCommand`.
    """

    @wraps(function)
    def run(**given: Any) -> Any:  # noqa: ANN401 - all options of the command
        reader = take_reader_options(given)
        names = [field.name for field in fields(DatasetOptions) if field.name != "reader"]
        own = {name: given.pop(name) for name in names}
        options = DatasetOptions(**own, reader=reader)
        _warn_about_old_names(options)
        return function(options=options, **given)

    for each in reversed(_DATASET_OPTIONS):
        run = each(run)
    return run  # type: ignore[return-value]


def _warn_about_old_names(options: DatasetOptions) -> None:
    """Print one line that names the new names of old options, unless --quiet was given."""
    old_names = old_names_given(click.get_current_context())
    if old_names and not options.quiet:
        from regionbatch_cli.printing import print_warning  # noqa: PLC0415 - only for old names

        names = "name" if len(old_names) == 1 else "names"
        renamed = ", ".join(f"{old} is now {new}" for old, new in old_names.items())
        print_warning(f"{renamed}. Use the new {names}; old names will be removed.")


tag_ids_option = option(
    IDS,
    "--tag-ids",
    old_name="--tags",
    required=True,
    type=EXISTING_FILE,
    metavar="FILE",
    help="Tag IDs by class name, as JSON or CSV.",
)
"""Adds `tag_ids` to a command."""


def image_ids_option(*, required: bool) -> Callable[[Function], Function]:
    """Add `image_ids` to a command."""
    return option(
        IDS,
        "--image-ids",
        old_name="--images",
        required=required,
        type=EXISTING_FILE,
        metavar="FILE",
        help="Image IDs by image name, as JSON or CSV.",
    )


def rename_options(function: Function) -> Function:
    """Add the options that map classes to tags, as `rename` and `rename_file`."""
    add_rename = option(
        IDS,
        "--rename",
        old_name="--map",
        multiple=True,
        metavar="OLD=NEW",
        help="Map dataset class OLD to project tag NEW (repeatable).",
    )
    add_rename_file = option(
        IDS,
        "--rename-file",
        old_name="--map-file",
        type=EXISTING_FILE,
        metavar="FILE",
        help='File of class-to-tag mappings: JSON {"old": "new"} or CSV old,new.',
    )
    return add_rename(add_rename_file(function))


skip_unresolved_option = option(
    IDS,
    "--skip-unresolved",
    is_flag=True,
    help="Leave out boxes whose tag or image is not found in the ID files, in the project or on "
    "disk.",
)
"""Adds `skip_unresolved` to a command."""

overwrite_option = option(
    OUTPUT, "--overwrite", is_flag=True, help="Replace the output of an earlier run."
)
"""Adds `overwrite` to a command."""


def output_option(metavar: str, text: str) -> Callable[[Function], Function]:
    """Add `output` to a command."""
    return option(
        OUTPUT,
        "-o",
        "--output",
        required=True,
        type=click.Path(allow_dash=True),
        metavar=metavar,
        help=text,
    )


tier_option = option(
    SERVICE,
    "--tier",
    type=click.Choice(["F0", "S0"]),
    default="S0",
    help="Pricing tier, which sets the limits.",
)
"""Adds `tier` to a command."""
