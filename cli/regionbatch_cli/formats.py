"""`regionbatch formats`: list the readers, built in and of plugins."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from regionbatch_cli.command_help import OUTPUT, GroupedCommand, option, verbose_option

if TYPE_CHECKING:
    from collections.abc import Iterable
    from dataclasses import Field

    from regionbatch.plugins import ReaderInfo


@click.command(cls=GroupedCommand, examples=("regionbatch formats", "regionbatch formats --json"))
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print the list as JSON.")
@verbose_option
def formats(as_json: bool, verbose: bool) -> int:  # noqa: ARG001 - read where an error is printed
    """List the formats that can be read, with their options."""
    from regionbatch.plugins import listed  # noqa: PLC0415 - loads all readers

    readers = list(listed())
    if as_json:
        from regionbatch_cli.printing import print_json  # noqa: PLC0415 - as above

        print_json({reader.name: _as_plain_values(reader) for reader in readers})
    else:
        _print(readers)
    return 0


def _as_plain_values(info: ReaderInfo) -> dict[str, Any]:
    from regionbatch.options import is_repeatable  # noqa: PLC0415 - as above

    options = fields(info.reader.options) if info.reader else ()
    return {
        "origin": info.origin,
        "title": info.reader.title if info.reader else None,
        "options": [field.name for field in options],
        "repeatable": [field.name for field in options if is_repeatable(field)],
        "error": info.error or None,
    }


def _print(readers: Iterable[ReaderInfo]) -> None:
    from regionbatch_cli.printing import screen_width, wrapped  # noqa: PLC0415 - as above
    from regionbatch_cli.reader_options import COMMON, all_reader_options  # noqa: PLC0415
    from regionbatch_cli.wording import flags_by_keyword, in_command_words  # noqa: PLC0415

    known = all_reader_options()
    flags = flags_by_keyword()
    width = screen_width()
    name_width = max(len(option.flag) for option in [*COMMON, *known.options])
    for info in readers:
        what = (
            f"broken: {in_command_words(info.error, flags)}"
            if info.reader is None
            else info.reader.title
        )
        for line in wrapped(f"{info.name} ({info.origin}): {what}", width, hanging="  "):
            click.echo(line)
        for field in fields(info.reader.options) if info.reader else ():
            flag = known.flag_of(field)
            text = f"{flag.ljust(name_width)} {_description(field)}"
            for line in wrapped(text, width, "    ", " " * (name_width + 5)):
                click.echo(line)


def _description(field: Field[Any]) -> str:
    """Return the help of an option and its choices."""
    from regionbatch.options import choices_of, is_repeatable  # noqa: PLC0415 - as above

    parts = [field.metadata.get("help", "")]
    if is_repeatable(field):
        parts.append("(repeatable)")
    if choices := choices_of(field):
        parts.append(f"[{' | '.join(choices)}]")
    return " ".join(parts)
