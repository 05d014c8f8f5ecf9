"""The options of all readers, built in and plugged in, as options of a command.

They are made from the readers' dataclasses. Plugins are imported only when they are needed: to show
help, and to understand an option that is not known otherwise.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import click

from regionbatch.errors import OptionError
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
from regionbatch_cli.help_groups import INPUT, GroupedCommand, GroupedOption, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from dataclasses import Field

    from regionbatch.plugins import ListedOptions

_PLUGINS = "regionbatch_cli.plugin_options"
"""The key in the context of a command, once the plugins were asked for their options."""


class ReaderOption(GroupedOption):
    """An option of one or several readers."""

    def __init__(self, flag: str, field: Field[Any], group: str) -> None:
        """Make the option of a field.

        Args:
            flag: Its name on the command line.
            field: The field of the reader's dataclass.
            group: Title of its group in the help.
        """
        choices = choices_of(field)
        kind: Any = str
        if choices:
            kind = click.Choice(choices)
        elif is_path(field):
            kind = click.Path()
        super().__init__(
            [flag, f"reader_{flag.strip('-').replace('-', '_')}"],
            group=group,
            type=kind,
            multiple=is_repeatable(field),
            metavar=None if choices else _metavar(field),
            help=help_of(field),
        )
        self.flag = flag
        self.field = field


def _metavar(field: Field[Any]) -> str:
    return field.metadata.get("metavar") or ("PATH" if is_path(field) else "TEXT")


class Offer:
    """The options of readers: each has a name on the command line that no other option has."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """Begin without options.

        Args:
            taken: Names of options that the commands have themselves.
        """
        self.taken = set(taken)
        self.options: list[ReaderOption] = []
        self.groups: dict[str, list[tuple[ReaderOption, Field[Any]]]] = {}
        self.broken: dict[str, str] = {}

    def add(self, reader: ListedOptions) -> None:
        """Add the options of a reader, in a group of its own."""
        label = reader.name.upper() if reader.is_built_in else reader.name
        origin = "" if reader.is_built_in else f" ({reader.origin})"
        title = f"{label} options{origin}"
        if reader.options is None:
            self.broken[title] = reader.name
            return
        for field in own_options(reader.options):
            option = self._option(reader.name, field, title)
            self.groups.setdefault(title, []).append((option, field))

    def copy(self) -> Offer:
        """Return an offer with the same options, to which others can be added."""
        made = Offer(self.taken)
        made.options = [*self.options]
        made.groups = {title: [*rows] for title, rows in self.groups.items()}
        return made

    def flag_of(self, field: Field[Any]) -> str:
        """Return the name on the command line of an option of a reader."""
        for rows in self.groups.values():
            for option, own in rows:
                if own is field:
                    return option.flag
        return _flag(field.name)

    def _option(self, reader: str, field: Field[Any], title: str) -> ReaderOption:
        """Return the option of a field: one that is there and means the same, or a new one."""
        flag = _flag(field.name)
        for option in self.options:
            if option.flag == flag and means_the_same(option.field, field):
                return option
        prefix = "--" + re.sub(r"\W+|_", "-", reader)
        while flag in self.taken:
            flag = f"{prefix}-{flag.removeprefix('--')}"
        made = ReaderOption(flag, field, title)
        self.options.append(made)
        self.taken.add(flag)
        return made


def _flag(name: str) -> str:
    return f"--{name.strip('_').replace('_', '-')}"


def help_of(field: Field[Any]) -> str:
    """Return the help of an option as a sentence."""
    text = field.metadata.get("help") or f"option {field.name} of the reader"
    repeatable = " (repeatable)" if is_repeatable(field) else ""
    return f"{text[0].upper()}{text[1:].rstrip('.')}{repeatable}."


def _row(option: ReaderOption, field: Field[Any], ctx: click.Context) -> Row:
    term, _ = option.get_help_record(ctx) or (option.flag, "")
    default = f"  [default: {field.default}]" if isinstance(field.default, str) else ""
    return term, help_of(field) + default


COMMON = [ReaderOption(_flag(field.name), field, INPUT) for field in fields(ReadOptions)]
"""The options that every reader takes."""


class DatasetCommand(GroupedCommand):
    """A command on a dataset, with the options of all readers."""

    own_flags: ClassVar[set[str]] = {"--help", "--version", *(option.flag for option in COMMON)}
    """The names of all options that are not one reader's, of all commands on a dataset."""

    def __init__(self, *args: Any, **settings: Any) -> None:  # noqa: ANN401 - as click.Command
        """Make the command; the options that are no reader's come with it."""
        super().__init__(*args, **settings)
        for parameter in self.params:
            self.own_flags.update(parameter.opts, parameter.secondary_opts)
        names = [parameter.name for parameter in self.params]
        place = names.index("format") + 1
        self.params[place:place] = [*COMMON, *built_in_offer().options]

    def offer(self, ctx: click.Context) -> Offer:
        """Return the options of the readers that are known in a context."""
        found: Offer = ctx.meta.get(_PLUGINS) or built_in_offer()
        return found

    def ask_plugins(self, ctx: click.Context) -> None:
        """Add the options of plugins, which are imported."""
        if _PLUGINS not in ctx.meta:
            ctx.meta[_PLUGINS] = full_offer()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options, with those of plugins once they were asked."""
        built_in = built_in_offer().options
        plugged = [option for option in self.offer(ctx).options if option not in built_in]
        return [*super().get_params(ctx), *plugged]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; plugins are asked if it has an option that is not known."""
        known: set[str] = set()
        for option in self.get_params(ctx):
            known.update(option.opts, option.secondary_opts)
        for word in args:
            if word == "--":
                break
            if word.startswith("--") and word.partition("=")[0] not in known:
                self.ask_plugins(ctx)
                break
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if broken := self.offer(ctx).broken:
                names = ", ".join(broken.values())
                text = f"{error.format_message()} Options of broken plugins are unknown: {names}."
                raise click.UsageError(f"{text} Run regionbatch formats.", ctx) from error
            raise

    def help_groups(self, ctx: click.Context) -> dict[str, list[Row]]:
        """Return the rows of each group; that of a reader follows the input options."""
        self.ask_plugins(ctx)
        offer = self.offer(ctx)
        own = super().help_groups(ctx)
        groups = {INPUT: own.pop(INPUT)}
        for title, rows in offer.groups.items():
            own.pop(title, None)
            groups[title] = [_row(option, field, ctx) for option, field in rows]
        for title in offer.broken:
            groups[title] = [("(broken)", "See regionbatch formats.")]
        return {**groups, **own}


_built_in: list[Offer] = []


def built_in_offer() -> Offer:
    """Return the options of the built-in readers, which are the same objects each time."""
    if not _built_in:
        offer = Offer()
        for reader in built_in_options():
            offer.add(reader)
        _built_in.append(offer)
    return _built_in[0]


def full_offer() -> Offer:
    """Return the options of all readers; plugins are imported."""
    offer = built_in_offer().copy()
    offer.taken |= DatasetCommand.own_flags
    for reader in plugin_options():
        offer.add(reader)
    return offer


def take_reader_options(given: dict[str, Any]) -> dict[str, GivenAs]:
    """Take the options of readers out of a command's arguments; return those that were given.

    Raises:
        click.UsageError: Two options are given that are one keyword of `regionbatch.read`.
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
            raise click.UsageError(f"{both} are options of two formats. Give one of them.")
        taken[name] = GivenAs(option.field, value)
        flags[name] = option.flag
    return taken


def keywords_of(given: Mapping[str, GivenAs]) -> dict[str, Any]:
    """Return options as keywords of `regionbatch.read`; all readers take the common ones."""
    common = {option.field for option in COMMON}
    return {name: one.value if one.option in common else one for name, one in given.items()}


def in_words_of_the_command(error: OptionError, given: Mapping[str, GivenAs]) -> OptionError:
    """Return an error about an option with the name that the option has on the command line."""
    if error.option not in given:
        return error
    ctx = click.get_current_context()
    for option in ctx.command.get_params(ctx):
        if isinstance(option, ReaderOption) and option.field is given[error.option].option:
            for spelling in (error.option, _flag(error.option)):
                if str(error).startswith(f"{spelling}:"):
                    text = option.flag + str(error).removeprefix(spelling)
                    return OptionError(text, place=error.place, option=error.option)
    return error
