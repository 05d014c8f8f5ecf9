"""Collect messages: errors of the mistakes, findings of codes and fixtures, help, sources."""

from __future__ import annotations

import traceback
from functools import partial
from typing import TYPE_CHECKING

import click
import pytest

import regionbatch
from all_cases import one_of_each_kind
from helpers import ROOT, fixture_cases
from messages.call_mistakes import CALL_MISTAKES
from messages.causes import read
from messages.dataset_mistakes import DATASET_MISTAKES
from messages.executor_mistakes import EXECUTOR_MISTAKES
from regionbatch import plugins
from regionbatch.findings import FindingLog
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from regionbatch.findings import Finding

Frames = list[tuple[str, int]]
"""Files and lines of a traceback."""


def error_of(name: str, folder: Path) -> tuple[regionbatch.RegionBatchError, Frames]:
    """Make a mistake in an empty folder; return the error and the lines of its traceback."""
    mistakes: dict[str, Callable[[Path], object]] = {
        **{key: partial(read, value) for key, value in DATASET_MISTAKES.items()},
        **CALL_MISTAKES,
        **EXECUTOR_MISTAKES,
    }
    with pytest.raises(regionbatch.RegionBatchError) as caught:
        mistakes[name](folder)
    frames = traceback.extract_tb(caught.value.__traceback__)
    return caught.value, [(frame.filename, frame.lineno or 0) for frame in frames]


def finding_of(code: str) -> Finding:
    """Return a finding of a code whose file and value need escaping."""
    log = FindingLog()
    log.note(code, "labels/a\x1b.txt", "a\nvalue", 7)
    [finding] = log.findings()
    return finding


def messages_of_fixtures(format: str) -> Iterator[str]:  # noqa: A002 - the keyword of `read`
    """Yield the messages of cases in `fixtures/`: all errors, and findings of each kind."""
    reader = plugins.get(format)
    cases = fixture_cases(format)
    errors = [case for case in cases if case.expects_error]
    readable = [case for case in cases if not case.expects_error]
    for case in (*errors, *one_of_each_kind(readable)):
        try:
            dataset = regionbatch.read(case.input, format=reader, **case.options(reader.options))
        except regionbatch.RegionBatchError as error:
            yield str(error)
        else:
            for finding in dataset.findings:
                yield finding.message


def help_texts() -> dict[str, str]:
    """Return the help of every command, 80 columns wide."""
    # Click keeps the help option that it makes first, so it needs the settings of the command.
    settings = {**commands.context_settings, "terminal_width": 80}
    context = click.Context(commands, info_name="regionbatch", **settings)
    texts = {"regionbatch": commands.get_help(context)}
    for name, command in commands.commands.items():
        with click.Context(command, parent=context, info_name=name, **settings) as inner:
            texts[name] = command.get_help(inner)
    return texts


def sources() -> list[Path]:
    """Return the files that people read: Python files and pages, without data of fixtures."""
    found = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "pyproject.toml"]
    for folder in ("converters", "cli", "tests"):
        found += sorted((ROOT / folder).rglob("*.py")) + sorted((ROOT / folder).rglob("*.md"))
    found += [*sorted((ROOT / "fixtures").glob("*.py")), ROOT / "fixtures" / "README.md"]
    return [path for path in found if path.name != "language.py"]
