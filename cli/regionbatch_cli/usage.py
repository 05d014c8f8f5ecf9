"""Usage errors in the form of all other messages: what is wrong, where, and what to do."""

from __future__ import annotations

import re
from math import isnan
from typing import TYPE_CHECKING

import click

from regionbatch_cli.failures import print_error

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXTRA_ARGUMENTS = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


def print_usage_error(error: click.UsageError) -> None:
    """Print how the command is used, where help is, and what is wrong."""
    ctx = error.ctx
    if ctx is not None:
        click.echo(ctx.get_usage(), err=True)
        click.echo(f"Try '{ctx.command_path} --help' for help.\n", err=True)
    print_error(usage_text(error))


def usage_text(error: click.UsageError) -> str:
    """Return what is wrong with a command line, and what to do."""
    text = error.format_message()
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return _missing(error.param)
    if isinstance(error, click.BadOptionUsage):
        takes_none = "not take" in text
        what = "takes no value. Remove it." if takes_none else "the value is missing. Add one."
        return f"{error.option_name}: {what}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        return f"{_name_of(error.param)}: {error.message}"
    if found := _EXTRA_ARGUMENTS.match(text):
        params = error.ctx.command.params if error.ctx else ()
        takes_path = any(isinstance(param, click.Argument) for param in params)
        advice = "Put quotes around a path that contains spaces" if takes_path else "Remove it"
        return f"unexpected argument: '{found[1]}'. {advice}."
    return text


def _no_such_option(error: click.NoSuchOption) -> str:
    command = error.ctx.command if error.ctx else None
    names: list[str] = []
    for parameter in command.get_params(error.ctx) if command and error.ctx else ():
        if isinstance(parameter, click.Option) and not parameter.hidden:
            names += [*parameter.opts, *parameter.secondary_opts]
    advice = suggestion(error.option_name, names) or "List all options with --help."
    return f"{error.option_name}: no such option. {advice}"


def suggestion(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return `Did you mean …?` with similar names; empty if there are none.

    Args:
        name: What the user typed.
        known: The names that are allowed.
        cutoff: How similar names must be, from 0 to 1.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only for mistakes

    by_word = {each.lstrip("-"): each for each in known}  # dashes make all options similar
    similar = get_close_matches(name.lstrip("-"), by_word, 3, cutoff)
    *others, last = [by_word[word] for word in similar] or [""]
    first = f"{', '.join(others)} or " if others else ""
    return f"Did you mean {first}{last}?" if last else ""


def _name_of(parameter: click.Parameter) -> str:
    is_option = isinstance(parameter, click.Option)
    return parameter.opts[-1] if is_option else parameter.human_readable_name


def _missing(parameter: click.Parameter) -> str:
    flag = _name_of(parameter)
    if not isinstance(parameter, click.Option):
        return f"{flag}: missing. Add it."
    text = parameter.help or ""
    return f"{flag}: missing. Add {flag} {parameter.metavar}: {text[:1].lower()}{text[1:]}"


def wrong_value(option: click.Option, value: object, ctx: click.Context) -> str:
    """Return what is wrong with the value of an option; empty if it is allowed."""
    if _is_allowed(option, value, ctx):
        return ""
    flag = next((name for name in option.opts if name.startswith("--")), option.opts[0])
    kind = option.type
    if isinstance(kind, click.Choice):
        choices = ", ".join(map(str, kind.choices))
        return f"{flag}: not an allowed value: '{value}'. Choose one of: {choices}."
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        number = "a whole number" if isinstance(kind, click.IntRange) else "a number"
        limits = f"of {kind.min} or more" if kind.max is None else f"from {kind.min} to {kind.max}"
        return f"{flag}: not {number} {limits}: '{value}'. Correct it."
    if isinstance(kind, click.Path):
        if not value:
            alternative = "" if option.required else f", or leave out {flag}"
            return f"{flag}: empty path. Give a path{alternative}."
        return f"{flag}: {_path_problem(str(value), is_file=not kind.dir_okay)}"
    return ""


def _is_allowed(option: click.Option, value: object, ctx: click.Context) -> bool:
    if isinstance(option.type, click.Path) and value == "":  # such as an unset variable in quotes
        return False
    try:
        converted = option.type(value, option, ctx)
    except click.BadParameter:
        return False
    return not (isinstance(converted, float) and isnan(converted))  # NaN is in all ranges of click


def _path_problem(path: str, *, is_file: bool) -> str:
    from pathlib import Path  # noqa: PLC0415 - only for mistakes

    from regionbatch.files.folders import absence_of  # noqa: PLC0415 - as above

    if is_file and Path(path).is_dir():
        return f"a folder, not a file: '{path}'. Choose a file."
    return absence_of(path, "file" if is_file else "file or folder")
