"""Commands and options whose help shows groups, defaults and examples."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from regionbatch_cli.failures import failure_of
from regionbatch_cli.usage import suggestion, wrong_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Function = TypeVar("Function", bound="Callable[..., Any]")

INPUT = "Input options"
IDS = "ID options"
SERVICE = "Service options"
UPLOAD = "Upload options"
BEHAVIOUR = "Behaviour options"
FAULTS = "Fault options"
OUTPUT = "Output options"
GENERAL = "General options"
ORDER = (INPUT, IDS, SERVICE, UPLOAD, BEHAVIOUR, FAULTS, OUTPUT, GENERAL)

Row = tuple[str, str]
"""An option or command as it is written, and its help."""

_WIDEST_TERM = 26
"""Longer terms have their help on the next line."""
_NARROW = 60
"""On a terminal with fewer columns, every option has its help on the next line."""
_NARROW_INDENT = 4
_OLD_NAMES = "regionbatch_cli.old_names"
"""Key of `ctx.meta` for the old option names that were given, with the new ones."""


class GroupedOption(click.Option):
    """An option that belongs to a group of the help."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - as click.Option
        group: str = GENERAL,
        default_text: str = "",
        old_name: str = "",
        **settings: Any,  # noqa: ANN401 - as click.Option
    ) -> None:
        """Create the option.

        Args:
            *args: As for `click.Option`.
            group: Title of its group in the help.
            default_text: What the help shows as the default, if it is not a fixed text.
            old_name: An older name of the option, which has the same effect.
            **settings: As for `click.Option`.
        """
        super().__init__(*args, **settings)
        self.group = group
        self.default_text = default_text
        self.old_name = old_name

    def get_help_record(self, ctx: click.Context) -> Row | None:
        """Return the option and its help: one phrase, then its default in brackets."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        return record[0], f"{self.help or ''}{self._remarks()}"

    def _remarks(self) -> str:
        """Return what the help shows in brackets."""
        default = self.default_text
        if not default and isinstance(self.default, str):
            default = self.default
        remarks = [f"default: {default}"] if default else []
        if isinstance(self.envvar, str):
            remarks.append(f"env: {self.envvar}")
        if self.required:
            remarks.append("required")
        return "".join(f" [{remark}]" for remark in remarks)

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:  # noqa: ANN401 - as click
        """Return the value in the option's type; if it is wrong, the error says what is allowed."""
        for each in value if self.multiple and value else (value,):
            if problem := wrong_value(self, each, ctx):
                raise click.UsageError(problem, ctx)
        return super().type_cast_value(ctx, value)

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """Return the value and its source; an old name of the option has the same effect."""
        value, source = super().consume_value(ctx, opts)
        old_value = opts.get(_old_parameter(self.old_name)) if self.old_name else None
        if old_value is None:
            return value, source
        new_name = self.opts[-1]
        if source is ParameterSource.COMMANDLINE:
            if not self.multiple:
                what = f"{self.old_name}: the old name of {new_name}. Give only {new_name}."
                raise click.UsageError(what, ctx)
            old_value = [*value, *old_value]
        ctx.meta.setdefault(_OLD_NAMES, {})[self.old_name] = new_name
        return old_value, ParameterSource.COMMANDLINE


def option(
    group: str,
    *names: str,
    old_name: str = "",
    **settings: Any,  # noqa: ANN401 - as click.option
) -> Callable[[Function], Function]:
    """Return a decorator that adds an option to a command.

    Args:
        group: Title of its group in the help.
        *names: As for `click.option`.
        old_name: An older name of the option. It is not in the help; using it prints a warning.
        **settings: As for `click.option` and `GroupedOption`.
    """
    add = click.option(*names, cls=GroupedOption, group=group, old_name=old_name, **settings)
    if not old_name:
        return add
    add_old = click.option(
        old_name,
        _old_parameter(old_name),
        cls=GroupedOption,
        hidden=True,
        expose_value=False,
        multiple=settings.get("multiple", False),
        type=settings.get("type"),
        help=f"Old name of {names[-1] if names[-1].startswith('-') else names[-2]}.",
    )

    def add_both(function: Function) -> Function:
        return add(add_old(function))

    return add_both


def _old_parameter(old_name: str) -> str:
    return f"old_{old_name.strip('-').replace('-', '_')}"


def old_names_given(ctx: click.Context) -> dict[str, str]:
    """Return the old option names on the command line, with the new name of each."""
    names: dict[str, str] = ctx.meta.get(_OLD_NAMES, {})
    return names


verbose_option = option(
    GENERAL,
    "-v",
    "--verbose",
    is_flag=True,
    help="Print the traceback of an error.",
)
"""Adds `verbose` to a command that reads no dataset."""


class GroupedCommand(click.Command):
    """A command whose help shows options in groups and ends with examples."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - as click.Command
        examples: Sequence[str] = (),
        **settings: Any,  # noqa: ANN401 - as click.Command
    ) -> None:
        """Create the command.

        Args:
            *args: As for `click.Command`.
            examples: Command lines for the end of the help.
            **settings: As for `click.Command`.
        """
        super().__init__(*args, **settings)
        self.examples = tuple(examples)

    def help_groups(self, ctx: click.Context) -> dict[str, list[Row]]:
        """Return the rows of each group of options, in the order of the help."""
        groups: dict[str, list[Row]] = {title: [] for title in ORDER}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", GENERAL), []).append(record)
        return groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group of options."""
        groups = self.help_groups(ctx)
        width = _term_width(groups.values())
        for title, rows in groups.items():
            if rows:
                with formatter.section(title):
                    write_rows(formatter, rows, width)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the examples."""
        write_examples(formatter, self.examples)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click
        """Run the command; its errors are worded for the command line."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            failure = failure_of(error, ctx)
            if failure is None:
                raise
            raise failure from error


class GroupedCommands(click.Group):
    """A group of commands, listed in the order of `commands`, with their whole summaries."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - as click.Group
        examples: Sequence[str] = (),
        **settings: Any,  # noqa: ANN401 - as click.Group
    ) -> None:
        """Create the group; `examples` are command lines for the end of the help."""
        super().__init__(*args, **settings)
        self.examples = tuple(examples)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names."""
        name = args[0]
        if name not in self.commands and name[:1] != "-" and not ctx.resilient_parsing:
            advice = suggestion(name, self.commands) or "List all commands with --help."
            raise click.UsageError(f"{name}: no such command. {advice}", ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click
        """Return the names of the commands."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the first sentence of the help of each command."""
        rows = [
            (name, (command.help or "").partition("\n\n")[0].replace("\n", " "))
            for name, command in self.commands.items()
        ]
        with formatter.section("Commands"):
            write_rows(formatter, rows, _term_width([rows]))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the examples."""
        write_examples(formatter, self.examples)


def _term_width(groups: Iterable[Iterable[Row]]) -> int:
    """Return the width of the longest term that has its help on the same line."""
    lengths = [len(term) for rows in groups for term, _ in rows]
    return max((length for length in lengths if length <= _WIDEST_TERM), default=0)


def write_rows(formatter: click.HelpFormatter, rows: Iterable[Row], term_width: int) -> None:
    """Write options or commands with their help next to them, or below them where it is narrow."""
    indent = formatter.current_indent
    column = indent + term_width + 2
    if formatter.width < _NARROW:
        column = indent + _NARROW_INDENT
    for term, text in rows:
        *first_lines, line = _wrap_term(" " * indent + term, formatter.width)
        for each in first_lines:
            formatter.write(f"{each}\n")
        help_lines = _wrap(text, formatter.width - column)
        if len(line) + 2 <= column and help_lines:
            line = line.ljust(column) + help_lines.pop(0)
        formatter.write(f"{line}\n")
        for each in help_lines:
            formatter.write(f"{' ' * column}{each}\n")


def _wrap_term(term: str, width: int) -> list[str]:
    """Split an option that is longer than a line between its choices."""
    lines = [""]
    for part in term.replace("|", "|\n").splitlines():
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append(" " * _NARROW_INDENT)
        lines[-1] += part
    return lines


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def write_examples(formatter: click.HelpFormatter, examples: Iterable[str]) -> None:
    """Write command lines at the end of a help text, in several lines where it is narrow."""
    with formatter.section("Examples"):
        indent = " " * formatter.current_indent
        for example in examples:
            lines = [""]
            for part in re.split(r" (?=--|-\w|\|)", example):
                if lines[-1] and len(f"{lines[-1]} {part} \\") > formatter.width - len(indent):
                    lines.append(" " * _NARROW_INDENT + part)
                else:
                    lines[-1] = f"{lines[-1]} {part}".strip()
            formatter.write(indent + f" \\\n{indent}".join(lines) + "\n")
