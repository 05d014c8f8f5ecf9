"""`regionbatch explain`: what a finding code means, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from regionbatch_cli.command_help import OUTPUT, GroupedCommand, option, verbose_option
from regionbatch_cli.completion import complete_code
from regionbatch_cli.usage import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regionbatch.findings import Code

SCHEMA_VERSION = 1
"""Version of the form of the JSON output."""

_SEVERITIES = ("error", "warning", "info")
_NAMES = {"error": "error", "warning": "warning", "info": "note"}
_INDENT = "  "


@click.command(
    cls=GroupedCommand,
    examples=(
        "regionbatch explain",
        "regionbatch explain empty_box",
        "regionbatch explain clipped mostly_outside --json",
    ),
)
@click.argument("names", metavar="[CODE]...", nargs=-1, shell_complete=complete_code)
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print the result as JSON.")
@verbose_option
def explain(names: tuple[str, ...], as_json: bool, verbose: bool) -> int:  # noqa: ARG001
    """Explain finding codes: meaning, an example, and what to do.

    Without a CODE, all codes are listed, the most serious first.
    """
    codes = [_code_of(name) for name in names] or _by_severity()
    if as_json:
        from regionbatch_cli.printing import print_json  # noqa: PLC0415 - only here

        print_json({"schema_version": SCHEMA_VERSION, "codes": [_plain(code) for code in codes]})
    elif names:
        for number, code in enumerate(codes):
            if number:
                click.echo()
            _print_explanation(code)
    else:
        _print_list(codes)
    return 0


def _code_of(name: str) -> Code:
    """Return the code with a name.

    Raises:
        click.UsageError: There is none.
    """
    from regionbatch.findings.codes import CODES  # noqa: PLC0415 - only when it is used

    normalised = name.strip("[]").lower().replace("-", "_")
    if normalised in CODES:
        return CODES[normalised]
    advice = suggestion(normalised, CODES, 0.5) or "List all codes with regionbatch explain."
    raise click.UsageError(f"CODE: no such finding code: '{name}'. {advice}")


def _by_severity() -> list[Code]:
    """Return all codes, the most serious first."""
    from regionbatch.findings.codes import CODES  # noqa: PLC0415 - only when it is used

    return sorted(CODES.values(), key=lambda code: _SEVERITIES.index(code.severity))


def _plain(code: Code) -> dict[str, Any]:
    """Return a code as plain values."""
    return {
        "code": code.name,
        "severity": code.severity,
        "effect": code.effect,
        "unit": code.unit,
        "summary": _worded(code.summary),
        "advice": _worded(code.advice),
        "explanation": _worded(code.explanation),
        "example": _worded(code.example),
        "remedy": _worded(code.remedy),
        "fails_strict": fails_strict(code),
        "fails_strict_if": code.fails_strict_if,
    }


def _worded(text: str) -> str:
    from regionbatch_cli.wording import flags_by_keyword, in_command_words  # noqa: PLC0415 - slow

    return in_command_words(text, flags_by_keyword())


def _print_list(codes: Iterable[Code]) -> None:
    """Print each code with its summary, in a section for each severity."""
    from regionbatch_cli.printing import print_heading, print_wrapped  # noqa: PLC0415 - only here

    codes = list(codes)
    width = max(len(code.name) for code in codes) + 2
    severity = ""
    for code in codes:
        if code.severity != severity:
            if severity:
                click.echo()
            severity = code.severity
            print_heading(f"{_NAMES[severity]}s:", severity)
        text = f"{code.name.ljust(width)}{_worded(code.summary)}"
        print_wrapped(text, indent=_INDENT, hanging=" " * (width + len(_INDENT)))
    click.echo("\nExplain one with regionbatch explain CODE.")


def _print_explanation(code: Code) -> None:
    """Print a code with its explanation, an example, and what to do."""
    from regionbatch_cli.printing import print_labelled, print_wrapped  # noqa: PLC0415 - only here

    print_labelled(code.name, _worded(code.summary), severity=code.severity)
    print_wrapped(effect_of(code), indent=_INDENT)
    for title, text in (
        ("", _worded(code.explanation)),
        ("Example:", _worded(code.example)),
        ("What to do:", _worded(code.remedy)),
    ):
        click.echo()
        if title:
            print_wrapped(title, indent=_INDENT)
        indent = _INDENT * 2 if title else _INDENT
        for line in text.splitlines():
            print_wrapped(line, indent=indent)


def effect_of(code: Code) -> str:
    """Return the severity of a code and its effects, as a sentence."""
    effect = {
        "dropped": f"the {code.unit} is dropped",
        "adjusted": f"the {code.unit} is adjusted and kept",
        "noted": "no box is dropped or adjusted",
    }[code.effect]
    if code.found_in == "project":
        effect = "the project differs from the dataset"
    strict = "; strict mode fails" if fails_strict(code) else ""
    if code.fails_strict_if:
        strict = f"; strict mode fails if {code.fails_strict_if}"
    is_status_3 = code.severity == "error" or code.found_in == "project"
    status = "; exit status 3" if is_status_3 else ""
    return f"{_NAMES[code.severity].capitalize()}: {effect}{status}{strict}."


def fails_strict(code: Code) -> bool:
    """Return whether --strict fails on a code."""
    is_loss = code.effect != "noted" and not code.is_intentional
    return (is_loss and code.found_in == "dataset") or code.fails_strict
