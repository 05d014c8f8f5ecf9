"""Reword messages of the library: the command names its options, not keywords of Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regionbatch.errors import OptionError, StrictError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from regionbatch.errors import RegionBatchError
    from regionbatch.findings import Finding
    from regionbatch.findings.finding import AllFindings

_KEYWORD = (
    r"(?P<alternative>,? or (?:in|pass a function as) )?"
    r"`(?P<name>[A-Za-z_]\w*)(?:=(?P<value>[^`]*))?`"
)
"""A keyword argument in a message, with or without a value: `image_dir`, `coco_boxes="pixels"`.
The command cannot take a function, so such an alternative is left out."""

_OTHER_NAMES = {
    "source": "DATASET",
    "dataset": "DATASET",
    "target": "--output",
    "project": "--project-id",
    "key": "--key-file",
    "credential": "--entra",
    "version": "--api-version",
    "executor": "--dask",
    "storage_options": "",
}
"""Arguments of the library that the command names in another way. Empty: it has no such option, so
that an alternative with it (` or in …`) is left out."""

_GIVEN_FLAGS = "regionbatch_cli.given_flags"
"""Key of `ctx.meta` for the spelling of each reader option that was given, by keyword."""


def remember_flags(ctx: click.Context, flags: Mapping[str, str]) -> None:
    """Keep how reader options were spelled on the command line.

    If two plugins have options of the same name, one of them has a prefix on the command line.
    """
    ctx.meta[_GIVEN_FLAGS] = dict(flags)


def flags_by_keyword(ctx: click.Context | None = None) -> Mapping[str, str]:
    """Return how the command line spells each keyword argument of the library."""
    ctx = ctx or click.get_current_context(silent=True)
    if ctx is None:
        return _OTHER_NAMES
    return _Flags(ctx)


class _Flags(Mapping[str, str]):
    """Options by keyword. Other commands are imported only for a keyword that this one lacks."""

    def __init__(self, ctx: click.Context) -> None:
        self._ctx = ctx
        given: dict[str, str] = ctx.meta.get(_GIVEN_FLAGS, {})
        self._own = dict(_flags_of(ctx.command, ctx)) | given

    @cached_property
    def _all(self) -> dict[str, str]:
        root = self._ctx.find_root().command
        flags = dict(_OTHER_NAMES)
        for command in root.commands.values() if isinstance(root, click.Group) else ():
            flags.update(_flags_of(command, self._ctx))
        return flags | self._own

    def __getitem__(self, keyword: str) -> str:
        return self._own[keyword] if keyword in self._own else self._all[keyword]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _flags_of(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, str]]:
    parameters = command.get_params(ctx) if command is ctx.command else command.params
    for parameter in parameters:
        if not (isinstance(parameter, click.Option) and parameter.name and parameter.expose_value):
            continue
        # A hidden option of another command is not known here, such as --key of serve.
        if not parameter.hidden or command is ctx.command:
            field = getattr(parameter, "field", None)
            keyword = field.name if field else parameter.name
            yield keyword, _main_name(parameter.opts)


def _main_name(names: Iterable[str]) -> str:
    """Return the first name with two dashes: the main name of an option."""
    names = list(names)
    return next((name for name in names if name.startswith("--")), names[0])


def in_command_words(text: str, flags: Mapping[str, str], verbatim: Iterable[str] = ()) -> str:
    """Return a message with options of the command in place of keyword arguments.

    Args:
        text: A message of the library. Keywords are in backticks: `coco_boxes="pixels"`.
        flags: Options by keyword, as from `flags_by_keyword`.
        verbatim: Parts that stay as they are, such as a class name with backticks.

    Returns:
        The message with `--coco-boxes pixels`. An unknown name in backticks stays as it is.
    """
    if "`" not in text:
        return text
    quoted = [re.escape(part) for part in verbatim if "`" in part]
    pattern = "|".join([*quoted, _KEYWORD])

    def replace(found: re.Match[str]) -> str:
        name, alternative = found["name"], found["alternative"] or ""
        if name is None or name not in flags:
            return found[0]
        if "function" in alternative:
            return ""
        if not flags[name]:
            return "" if alternative else found[0]
        return alternative + _with_value(flags[name], found["value"])

    return re.sub(pattern, replace, text)


def _with_value(flag: str, value: str | None) -> str:
    """Return an option with a value that a message writes as in Python."""
    if value is None or value == "True":
        return flag
    if value == "False":
        return f"no {flag}"
    return " ".join(f"{flag} {_on_command_line(each)}" for each in _python_values(value))


def _python_values(text: str) -> list[str]:
    """Return the values that a Python expression stands for, as text."""
    from ast import literal_eval  # noqa: PLC0415 - only for messages

    try:
        value = literal_eval(text)
    except (ValueError, SyntaxError):
        return [text]
    if isinstance(value, dict):
        return [f"{old}={new}" for old, new in value.items()]
    if isinstance(value, (list, tuple)):
        return [str(each) for each in value]
    return [str(value)]


def _on_command_line(value: str) -> str:
    return f"'{value}'" if re.search(r"\s", value) else value


def error_text(error: RegionBatchError, ctx: click.Context | None = None) -> str:
    """Return the message of an error in the words of the command."""
    from regionbatch.findings.text import escape_unprintable  # noqa: PLC0415 - only for errors

    flags = flags_by_keyword(ctx)
    text = str(error)
    findings: Sequence[Finding] = ()
    if isinstance(error, StrictError):
        findings = error.findings
        text = text.rsplit("\n", len(findings))[0]  # the dataset's name may contain newlines
    text = _with_leading_flag(text, error, flags)
    place = _relative(error.place)
    text = text.replace(error.place, place, 1)
    verbatim = [place, "" if error.value is None else str(error.value)]
    lines = in_command_words(text, flags, verbatim).splitlines()
    lines += [f"  {reworded(finding, flags).message}" for finding in findings]
    return "\n".join(map(escape_unprintable, lines))


def _relative(place: str) -> str:
    """Return an absolute path in the current folder as a relative one, as it was probably given."""
    with suppress(OSError, ValueError):  # the current folder was deleted, or the path is elsewhere
        return str(Path(place).relative_to(Path.cwd()))
    return place


def _with_leading_flag(text: str, error: RegionBatchError, flags: Mapping[str, str]) -> str:
    """Return a message that starts with an option instead of a keyword argument."""
    first, colon, rest = text.partition(":")
    keyword = first.strip("`-").replace("-", "_")
    is_option = keyword == error.option or isinstance(error, OptionError)
    if colon and is_option and flags.get(keyword) and first != error.place:
        return f"{flags[keyword]}:{rest}"
    return text


class WordedFindings:
    """Findings whose messages are in the words of the command, for the report file."""

    def __init__(self, findings: AllFindings) -> None:
        """Wrap findings of the library."""
        self._findings = findings
        self._flags = flags_by_keyword()

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each code."""
        return self._findings.counts()

    def __iter__(self) -> Iterator[Finding]:
        """Yield every finding."""
        return (reworded(finding, self._flags) for finding in self._findings)


def reworded(finding: Finding, flags: Mapping[str, str]) -> Finding:
    """Return a finding in the words of the command."""
    is_decision = finding.code == "doubtful_decision"
    verbatim = () if is_decision else (finding.place, finding.value)
    message = in_command_words(finding.message, flags, verbatim)
    place = finding_place(finding, flags)
    if place != finding.place:
        message = place + message.removeprefix(finding.place)
    return finding._replace(message=message, place=place, value=finding_value(finding, flags))


def finding_place(finding: Finding, flags: Mapping[str, str]) -> str:
    """Return where a finding is; the place of a doubtful decision is an option."""
    if finding.code == "doubtful_decision":
        return flags.get(finding.place, finding.place)
    return finding.place


def finding_value(finding: Finding, flags: Mapping[str, str]) -> str:
    """Return the value of a finding; that of a doubtful decision may advise an option."""
    if finding.code == "doubtful_decision":
        return in_command_words(finding.value, flags)
    return finding.value
