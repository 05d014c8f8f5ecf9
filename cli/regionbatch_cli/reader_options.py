"""The options of all readers, built in and of plugins, as options of a command.

They are made from the readers' dataclasses. Plugins are imported only when they are needed: to show
help, and to understand an option that is not known otherwise.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import click

from regionbatch.options import (
    GivenAs,
    ReadOptions,
    choices_of,
    is_path,
    is_repeatable,
    means_the_same,
    own_options,
)
from regionbatch.plugins import built_in_options, plugin_options
from regionbatch_cli.command_help import INPUT, GroupedCommand, GroupedOption, Row
from regionbatch_cli.completion import complete_encoding, complete_split
from regionbatch_cli.wording import remember_flags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from dataclasses import Field

    from click.shell_completion import CompletionItem

    from regionbatch.plugins import ReaderOptionsInfo

_ALL_OPTIONS = "regionbatch_cli.all_reader_options"
"""Key of `ctx.meta` for the options of all readers, once plugins were imported."""

_COMPLETIONS = {"split": complete_split, "encoding": complete_encoding}
"""Functions that complete the values of options that every reader takes."""


class ReaderOption(GroupedOption):
    """An option of one or several readers."""

    def __init__(self, flag: str, field: Field[Any], group: str) -> None:
        """Create the option for a field.

        Args:
            flag: Its name on the command line.
            field: The field of the reader's dataclass.
            group: Title of its group in the help.
        """
        choices = choices_of(field)
        value_type: Any = str
        if choices:
            value_type = click.Choice(choices)
        elif is_path(field):
            value_type = click.Path()
        super().__init__(
            [flag, f"reader_{flag.strip('-').replace('-', '_')}"],
            group=group,
            default_text=field.default if isinstance(field.default, str) else "",
            type=value_type,
            multiple=is_repeatable(field),
            metavar=None if choices else _metavar(field),
            help=help_of(field),
            shell_complete=_COMPLETIONS.get(field.name),
        )
        self.flag = flag
        self.field = field


def _metavar(field: Field[Any]) -> str:
    return field.metadata.get("metavar") or ("PATH" if is_path(field) else "TEXT")


class ReaderOptions:
    """Options of readers. Each has a name on the command line that no other option has."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """Start without options.

        Args:
            taken: Names of options that the commands have themselves.
        """
        self.taken = set(taken)
        self.options: list[ReaderOption] = []
        self.groups: dict[str, list[tuple[ReaderOption, Field[Any]]]] = {}
        """Options and fields by the title of the reader's group in the help."""
        self.broken: dict[str, str] = {}
        """Names of broken readers by the title of the group."""

    def add(self, reader: ReaderOptionsInfo) -> None:
        """Add the options of a reader, in a group of its own."""
        label = reader.name.upper() if reader.is_built_in else reader.name
        origin = "" if reader.is_built_in else f" ({reader.origin})"
        title = f"{label} format options{origin}"
        if reader.options is None:
            self.broken[title] = reader.name
            return
        for field in own_options(reader.options):
            option = self._option(reader.name, field, title)
            self.groups.setdefault(title, []).append((option, field))

    def copy(self) -> ReaderOptions:
        """Return a copy with the same options, to which others can be added."""
        copy = ReaderOptions(self.taken)
        copy.options = [*self.options]
        copy.groups = {title: [*rows] for title, rows in self.groups.items()}
        return copy

    def flag_of(self, field: Field[Any]) -> str:
        """Return the name on the command line of an option of a reader."""
        for rows in self.groups.values():
            for option, own in rows:
                if own is field:
                    return option.flag
        return _flag(field.name)

    def _option(self, reader: str, field: Field[Any], title: str) -> ReaderOption:
        """Return the option for a field: an existing one that means the same, or a new one."""
        flag = _flag(field.name)
        for option in self.options:
            if option.flag == flag and means_the_same(option.field, field):
                return option
        prefix = "--" + re.sub(r"\W+|_", "-", reader)
        while flag in self.taken:
            flag = f"{prefix}-{flag.removeprefix('--')}"
        new_option = ReaderOption(flag, field, title)
        self.options.append(new_option)
        self.taken.add(flag)
        return new_option


def _flag(name: str) -> str:
    return f"--{name.strip('_').replace('_', '-')}"


def help_of(field: Field[Any]) -> str:
    """Return the help of an option as a sentence."""
    text = field.metadata.get("help") or f"option {field.name} of the reader"
    repeatable = " (repeatable)" if is_repeatable(field) else ""
    return f"{text[0].upper()}{text[1:].rstrip('.')}{repeatable}."


def _row(option: ReaderOption, field: Field[Any], ctx: click.Context) -> Row:
    """Return the help of an option with the text of one of the readers that share it."""
    term, _ = option.get_help_record(ctx) or (option.flag, "")
    default = f" [default: {field.default}]" if isinstance(field.default, str) else ""
    return term, help_of(field) + default


COMMON = [ReaderOption(_flag(field.name), field, INPUT) for field in fields(ReadOptions)]
"""The options that every reader takes."""


class DatasetCommand(GroupedCommand):
    """A command on a dataset, with the options of all readers."""

    own_flags: ClassVar[set[str]] = {"--help", "--version", *(option.flag for option in COMMON)}
    """The options of all commands on a dataset that do not belong to a single reader."""

    def __init__(self, *args: Any, **settings: Any) -> None:  # noqa: ANN401 - as GroupedCommand
        """Create the command with its own options, and add those of the built-in readers."""
        super().__init__(*args, **settings)
        for parameter in self.params:
            self.own_flags.update(parameter.opts, parameter.secondary_opts)
        names = [parameter.name for parameter in self.params]
        place = names.index("format") + 1
        self.params[place:place] = [*COMMON, *built_in_reader_options().options]

    def known_options(self, ctx: click.Context) -> ReaderOptions:
        """Return the options of the readers that are loaded: all, or the built-in ones."""
        known: ReaderOptions = ctx.meta.get(_ALL_OPTIONS) or built_in_reader_options()
        return known

    def load_plugins(self, ctx: click.Context) -> None:
        """Add the options of plugins, which are imported."""
        if _ALL_OPTIONS not in ctx.meta:
            ctx.meta[_ALL_OPTIONS] = all_reader_options()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options, with those of plugins once they are loaded."""
        built_in = built_in_reader_options().options
        plugged = [option for option in self.known_options(ctx).options if option not in built_in]
        return [*super().get_params(ctx), *plugged]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; plugins are loaded if it has an unknown option."""
        known: set[str] = set()
        for option in self.get_params(ctx):
            known.update(option.opts, option.secondary_opts)
        for word in args:
            if word == "--":
                break
            if word.startswith("--") and word.partition("=")[0] not in known:
                self.load_plugins(ctx)
                break
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            broken = self.known_options(ctx).broken
            if not broken:
                raise
            names = ", ".join(broken.values())
            what = f"no such option; those of broken plugins are unknown: '{names}'"
            text = f"{error.option_name}: {what}. Run regionbatch formats."
            raise click.UsageError(text, ctx) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the options that start as typed, including those of plugins."""
        if incomplete.startswith("-"):
            self.load_plugins(ctx)
        return super().shell_complete(ctx, incomplete)

    def help_groups(self, ctx: click.Context) -> dict[str, list[Row]]:
        """Return the rows of each group; those of readers follow the input options."""
        self.load_plugins(ctx)
        known = self.known_options(ctx)
        own = super().help_groups(ctx)
        groups = {INPUT: own.pop(INPUT)}
        for title, rows in known.groups.items():
            own.pop(title, None)
            groups[title] = [_row(option, field, ctx) for option, field in rows]
        for title in known.broken:
            groups[title] = [("(broken)", "See regionbatch formats.")]
        return {**groups, **own}


_built_in: list[ReaderOptions] = []


def built_in_reader_options() -> ReaderOptions:
    """Return the options of the built-in readers: the same objects each time."""
    if not _built_in:
        options = ReaderOptions()
        for reader in built_in_options():
            options.add(reader)
        _built_in.append(options)
    return _built_in[0]


def all_reader_options() -> ReaderOptions:
    """Return the options of all readers; plugins are imported."""
    options = built_in_reader_options().copy()
    options.taken |= DatasetCommand.own_flags
    for reader in plugin_options():
        options.add(reader)
    return options


def take_reader_options(given: dict[str, Any]) -> dict[str, GivenAs]:
    """Remove the options of readers from a command's arguments, and return those that were given.

    Raises:
        click.UsageError: Two options are the same keyword of `regionbatch.read`.
    """
    ctx = click.get_current_context()
    taken: dict[str, GivenAs] = {}
    flags: dict[str, str] = {}
    for option in ctx.command.get_params(ctx):
        if not isinstance(option, ReaderOption):
            continue
        value = given.pop(option.name or "", None)
        if value in (None, ()):
            continue
        name = option.field.name
        if name in taken:
            both = f"{flags[name]} and {option.flag}"
            raise click.UsageError(f"{both} belong to different formats. Use only one of them.")
        taken[name] = GivenAs(option.field, value)
        flags[name] = option.flag
    remember_flags(ctx, flags)
    return taken


def keywords_of(given: Mapping[str, GivenAs]) -> dict[str, Any]:
    """Return reader options as keywords of `regionbatch.read`.

    The value of an option that every reader takes is passed as it is.
    """
    common = {option.field for option in COMMON}
    keywords: dict[str, Any] = {}
    for name, value in given.items():
        keywords[name] = value.value if value.option in common else value
    return keywords
