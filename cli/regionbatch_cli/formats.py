"""`regionbatch formats`: the readers, built in and plugged in."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable
    from dataclasses import Field

    from regionbatch.plugins import Listed


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def formats(as_json: bool) -> int:
    """List the formats that can be read, with their options.

    \b
    Example:
      regionbatch formats
    """
    from regionbatch.plugins import listed  # noqa: PLC0415 - loads all readers

    rows = list(listed())
    if as_json:
        from regionbatch_cli.shared import print_json  # noqa: PLC0415 - as above

        print_json({one.name: _for_programs(one) for one in rows})
    else:
        _print(rows)
    return 0


def _for_programs(one: Listed) -> dict[str, Any]:
    from regionbatch.options import is_repeatable  # noqa: PLC0415 - as above

    options = fields(one.reader.options) if one.reader else ()
    return {
        "origin": one.origin,
        "title": one.reader.title if one.reader else None,
        "options": [field.name for field in options],
        "repeatable": [field.name for field in options if is_repeatable(field)],
        "trouble": one.trouble or None,
    }


def _print(rows: Iterable[Listed]) -> None:
    from regionbatch_cli.reader_options import full_offer  # noqa: PLC0415 - as above

    offer = full_offer()
    for one in rows:
        if one.reader is None:
            click.echo(f"{one.name} ({one.origin}): broken: {one.trouble}")
            continue
        click.echo(f"{one.name} ({one.origin}): {one.reader.title}")
        for field in fields(one.reader.options):
            click.echo(f"    {field.name:<11} {_description(field, offer.flag_of(field))}")


def _description(field: Field[Any], flag: str) -> str:
    """Return the help of an option, its choices, and its name if that is another one."""
    from regionbatch.options import choices_of, is_repeatable  # noqa: PLC0415 - as above

    parts = [field.metadata.get("help", "")]
    if is_repeatable(field):
        parts.append("(repeatable)")
    if flag != f"--{field.name.replace('_', '-')}":
        parts.append(f"(option: {flag})")
    if choices := choices_of(field):
        parts.append(f" {' | '.join(choices)}")
    return " ".join(parts)
