"""Options in groups: how the help of a command shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Function = TypeVar("Function", bound="Callable[..., Any]")

INPUT = "Input options"
IDS = "ID options"
SERVICE = "Custom Vision options"
UPLOAD = "Upload options"
OUTPUT = "Output options"
GENERAL = "General options"
ORDER = (INPUT, IDS, SERVICE, UPLOAD, OUTPUT, GENERAL)

_TERM_WIDTH = 28
"""Longer terms have their help in the next line."""

Row = tuple[str, str]
"""An option as it is written, and its help."""


class GroupedOption(click.Option):
    """An option that belongs to a group."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - as click.Option
        group: str = GENERAL,
        **settings: Any,  # noqa: ANN401 - as click.Option
    ) -> None:
        """Make the option.

        Args:
            *args: As for `click.Option`.
            group: Title of its group in the help.
            **settings: As for `click.Option`.
        """
        super().__init__(*args, **settings)
        self.group = group


def option(
    group: str,
    *names: str,
    **settings: Any,  # noqa: ANN401 - as click.option
) -> Callable[[Function], Function]:
    """Give a command an option that its help shows in a group; the rest is as in `click.option`."""
    return click.option(*names, cls=GroupedOption, group=group, **settings)


class GroupedCommand(click.Command):
    """A command whose help shows the options in groups."""

    def help_groups(self, ctx: click.Context) -> dict[str, list[Row]]:
        """Return the rows of each group of options, in the order of the help."""
        groups: dict[str, list[Row]] = {title: [] for title in ORDER}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", GENERAL), []).append(record)
        return groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group, with the help texts below each other."""
        groups = {title: rows for title, rows in self.help_groups(ctx).items() if rows}
        width = _common_width(groups.values())
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(list(_padded(rows, width)), col_max=width)


def _common_width(groups: Iterable[Iterable[Row]]) -> int:
    """Return the width of the longest term that has its help in the same line."""
    lengths = [len(term) for rows in groups for term, _ in rows]
    return max((length for length in lengths if length <= _TERM_WIDTH), default=0)


def _padded(rows: Iterable[Row], width: int) -> Iterator[Row]:
    """Make the terms of a group as wide as those of all groups: click aligns each section alone."""
    for term, text in rows:
        yield term.ljust(width), text
