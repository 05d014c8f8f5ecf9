"""`regionbatch formats`: the readers, built in and plugged in."""

from __future__ import annotations

from dataclasses import fields

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON, for programs.")
def formats(as_json: bool) -> int:
    """List the formats that can be read, and the options of each.

    \b
    Example:
      regionbatch formats
    """
    from regionbatch.plugins import listed  # noqa: PLC0415 - loads all readers

    rows = list(listed())
    if as_json:
        from regionbatch_cli.shared import print_json  # noqa: PLC0415 - as above

        print_json(
            {
                one.name: {
                    "origin": one.origin,
                    "title": one.reader.title if one.reader else None,
                    "options": [field.name for field in fields(one.reader.options)] if one.reader else [],
                    "trouble": one.trouble or None,
                }
                for one in rows
            }
        )
        return 0
    for one in rows:
        if one.reader is None:
            click.echo(f"{one.name} ({one.origin}): broken: {one.trouble}")
            continue
        click.echo(f"{one.name} ({one.origin}): {one.reader.title}")
        for field in fields(one.reader.options):
            choices = " | ".join(field.metadata.get("choices", ()))
            told = f"  {choices}" if choices else ""
            click.echo(f"    {field.name:<11} {field.metadata.get('help', '')}{told}")
    return 0
