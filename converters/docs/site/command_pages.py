"""A page for each command, from the options that its `--help` shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from regionbatch_cli.command_help import GroupedCommand
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = "cli/docs"
PROGRAM = "regionbatch"


def path_of(name: str) -> str | None:
    """Return the path of the page of a command such as `regionbatch upload`; None: no command."""
    program, _, command = name.partition(" ")
    is_command = program == PROGRAM and command in commands.commands
    return f"{FOLDER}/{command}.md" if is_command else None


def pages() -> dict[str, str]:
    """Return the text of each page by its path."""
    context = click.Context(commands, info_name=PROGRAM, **commands.context_settings)
    found = {}
    for name, command in commands.commands.items():
        with click.Context(command, parent=context, info_name=name) as inner:
            found[f"{FOLDER}/{name}.md"] = "\n".join(_page_lines(name, command, inner))
    return found


def _page_lines(name: str, command: click.Command, context: click.Context) -> Iterable[str]:
    assert isinstance(command, GroupedCommand)
    yield from (f"# {PROGRAM} {name}", "")
    for paragraph in (command.help or "").split("\n\n"):
        yield from (_as_markdown(" ".join(paragraph.split())), "")
    yield from (
        "```text",
        f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}",
    )
    yield from ("```", "")
    for title, rows in command.help_groups(context).items():
        if rows:
            yield from (f"## {title}", "")
            for term, text in rows:
                yield from (f"`{term}`", f":   {_as_markdown(text)}", "")
    yield from ("## Examples", "", "```sh", *command.examples, "```", "")


def _as_markdown(text: str) -> str:
    """Return Markdown that shows every character of a text as it is, with options as code."""
    escaped = re.sub(r"([\\`*_<>\[\]])", r"\\\1", text)
    return re.sub(r"(?<![\w-])--[a-z][a-z-]*", r"`\g<0>`", escaped)
