"""The help of the commands."""

from __future__ import annotations

import re

import click
import pytest

from helpers import (
    command,
    mentions,
)
from regionbatch_cli.main import commands

COMMANDS = sorted(commands.commands)


def test_help_of_the_command() -> None:
    run = command("--help")
    assert run.status == 0
    assert all(name in run.stdout for name in COMMANDS)
    assert mentions(run.stdout, 0, 1, 2, 3), "the exit statuses"
    assert re.search(r"^ +regionbatch inspect ", run.stdout, re.MULTILINE), "an example"
    assert command("-h").stdout == run.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str) -> None:
    run = command(name, "--help")
    assert run.status == 0
    assert re.search(rf"^ +regionbatch {name}\b", run.stdout, re.MULTILINE), "it has an example"
    one = commands.commands[name]
    assert one.help
    for parameter in one.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} has no help"
            assert re.search(r"\.( \[default: .*\])?$", parameter.help), (
                f"{parameter.name}: a sentence"
            )
            assert parameter.hidden or all(spelling in run.stdout for spelling in parameter.opts)


def test_an_option_has_the_same_help_in_every_command() -> None:
    """Except where the commands write or print different things."""
    exceptions = ("as_json", "verbose", "output")
    meanings: dict[str, str | None] = {}
    for one in commands.commands.values():
        for parameter in one.params:
            if isinstance(parameter, click.Option) and parameter.name not in exceptions:
                for spelling in parameter.opts:
                    assert meanings.setdefault(spelling, parameter.help) == parameter.help, spelling
