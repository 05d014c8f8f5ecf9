"""What the commands print: lines that wrap at words, findings, decisions, the ledger and JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from regionbatch_cli.failures import use_colours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from regionbatch.findings import Code, Ledger
    from regionbatch.findings.finding import AllFindings
    from regionbatch_cli.options import DatasetOptions

_PLACES, _PLACES_IF_VERBOSE = 3, 20
"""Places that are printed for each finding code."""

_SEVERITIES = ("error", "warning", "info")
"""Most serious first."""
_LABELS = {"error": "error", "warning": "warning", "info": "note"}
_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
_UNITS = {
    "box": ("box", "boxes"),
    "image": ("image", "images"),
    "tag": ("class", "classes"),
    "record": ("record", "records"),
}

_INDENT = "  "


def screen_width(*, err: bool = False) -> int | None:
    """Return the columns of the terminal; None where lines are not wrapped: in a pipe or a file."""
    stream = sys.stderr if err else sys.stdout
    if stream is None or not stream.isatty():
        return None
    import shutil  # noqa: PLC0415 - it loads three compression libraries

    return shutil.get_terminal_size().columns


def wrapped(text: str, width: int | None, indent: str = "", hanging: str = "") -> list[str]:
    """Return text as lines that break between words.

    A word that is longer than a line, such as a path, stays whole.

    Args:
        text: One line of text.
        width: Columns of the terminal; None: do not wrap.
        indent: Put before the first line.
        hanging: Put before the other lines.
    """
    if width is None:
        return [indent + text]
    from rich.cells import cell_len  # noqa: PLC0415 - only on a terminal; knows wide characters

    lines = [indent]
    has_words = False
    for word in text.split(" "):
        if has_words and cell_len(f"{lines[-1]} {word}") > width:
            lines.append(hanging)
            has_words = False
        lines[-1] += f" {word}" if has_words else word
        has_words = True
    return lines


def say(
    options: DatasetOptions,
    text: str = "",
    *,
    indent: str = "",
    hanging: str | None = None,
    err: bool = False,
) -> None:
    """Print a line for people, unless --quiet was given."""
    if options.quiet:
        return
    hanging = indent + _INDENT if hanging is None else hanging
    for line in wrapped(text, screen_width(err=err), indent, hanging):
        click.echo(line, err=err)


def print_labelled(label: str, text: str, *, severity: str = "", err: bool = False) -> None:
    """Print a line that starts with a coloured word."""
    stream = sys.stderr if err else sys.stdout
    whole = f"{label}: {text}" if label else text
    first, *more = wrapped(whole, screen_width(err=err), hanging=_INDENT)
    if severity and label and use_colours(stream):
        styled = click.style(label, fg=_COLOURS[severity], bold=severity == "error" or None)
        first = styled + first.removeprefix(label)
    for line in (first, *more):
        click.echo(line, err=err)


def print_heading(text: str, severity: str) -> None:
    """Print a coloured line."""
    if use_colours(sys.stdout):
        text = click.style(text, fg=_COLOURS[severity], bold=True)
    click.echo(text)


def print_wrapped(text: str, *, indent: str = "", hanging: str | None = None) -> None:
    """Print a line on standard output, wrapped at words on a terminal."""
    for line in wrapped(text, screen_width(), indent, indent if hanging is None else hanging):
        click.echo(line)


def print_warning(text: str) -> None:
    """Print a warning about the command line on standard error."""
    print_labelled("Warning", text, severity="warning", err=True)


def print_json(content: dict[str, Any]) -> None:
    """Print a result for programs."""
    from regionbatch.report import as_json  # noqa: PLC0415 - NumPy: only when there is work

    click.echo(as_json(content, indent=2))


def print_decisions(
    options: DatasetOptions, decisions: Mapping[str, str], *, err: bool = False
) -> None:
    """Print each decision about the dataset, with the option that overrides it."""
    from regionbatch_cli.wording import flags_by_keyword, in_command_words  # noqa: PLC0415

    flags = flags_by_keyword()
    for keyword, decision in decisions.items():
        text = in_command_words(str(decision), flags)
        say(options, f"{flags.get(keyword, keyword)}: {text}", indent=_INDENT, err=err)


def print_account(
    options: DatasetOptions,
    ledger: Ledger,
    findings: AllFindings,
    *,
    notes: bool = False,
    err: bool = False,
) -> None:
    """Print the ledger and the findings; with `notes`, also those that are only noted."""
    say(options, f"boxes:  {ledger}", hanging=" " * 8, err=err)
    say(options, f"images: {ledger.images}", hanging=" " * 8, err=err)
    print_findings(options, findings, notes=notes, err=err)


def print_findings(
    options: DatasetOptions,
    findings: AllFindings,
    *,
    printed: Mapping[str, int] | None = None,
    notes: bool = False,
    err: bool = False,
) -> None:
    """Print each finding code with its first places, the most serious first.

    Args:
        options: How much is printed.
        findings: What was found.
        printed: Counts by code of findings that were printed before; they are not repeated.
        notes: Print codes that are only noted, too.
        err: Print on standard error.
    """
    if options.quiet:
        return
    for severity, code, count in _by_severity(findings):
        if printed and printed.get(code.name) == count:
            continue
        is_note = severity == "info" and code.effect != "dropped"
        if is_note and not (notes or options.verbose):
            continue
        _print_code(options, findings, code, count, severity, err=err)


def _by_severity(findings: AllFindings) -> Iterator[tuple[str, Code, int]]:
    """Yield the severity, the code and the number of findings of each code."""
    from regionbatch.findings.codes import CODES  # noqa: PLC0415 - only when there is work

    counts = findings.counts()
    doubtful = findings.doubtful()
    for severity in _SEVERITIES:
        for name, count in counts.items():
            own = CODES[name].severity
            if own == "info" and name in doubtful:
                own = "warning"
            if own == severity:
                yield severity, CODES[name], count


def _print_code(
    options: DatasetOptions,
    findings: AllFindings,
    code: Code,
    count: int,
    severity: str,
    *,
    err: bool,
) -> None:
    """Print a finding code: what is wrong, what to do, and the first places."""
    from regionbatch_cli.wording import (  # noqa: PLC0415
        finding_place,
        finding_value,
        flags_by_keyword,
        in_command_words,
    )

    flags = flags_by_keyword()
    text = in_command_words(f"{code.summary}. {code.advice} [{code.name}]", flags)
    if code.unit != "dataset":
        outcome = f" {code.outcome}" if code.outcome else ""
        text = f"{_counted(count, code.unit)}{outcome}: {text}"
    print_labelled(_LABELS[severity], text, severity=severity, err=err)
    most = _PLACES_IF_VERBOSE if options.verbose else _PLACES
    indent = _INDENT * 2
    for finding in findings.first(code.name, most):
        value = finding_value(finding, flags)
        shown = f": {value}" if value else ""
        place = finding_place(finding, flags)
        say(options, f"{place}{shown}", indent=indent, err=err)
    if count > most:
        more = f"… and {count - most} more. List all with --report FILE."
        say(options, more, indent=indent, err=err)


def _counted(count: int, unit: str) -> str:
    """Return a number of things, such as `1 box` or `2 boxes`."""
    one, many = _UNITS[unit]
    return f"{count} {one if count == 1 else many}"
