"""Every message that a user can meet is provoked, and checked by `messages/language.py`.

`python tests/review_messages.py` prints them all for a person to read.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import regionbatch
from messages import collected
from messages.call_mistakes import CALL_MISTAKES
from messages.dataset_mistakes import DATASET_MISTAKES
from messages.language import KEYWORD, avoided_words, message_problems
from regionbatch import errors
from regionbatch.findings.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Iterable

LIBRARY = Path(regionbatch.__path__[0])
NOT_PROVOKED = ("customvision", "local", "cases.py", "recording.py", "testing.py", "errors.py")
"""Packages and modules whose errors are provoked by tests of their own."""


def no_problems(problems: Iterable[str]) -> None:
    assert not "\n".join(problems)


@pytest.mark.parametrize("name", [*DATASET_MISTAKES, *CALL_MISTAKES])
def test_an_error_says_where_what_and_what_to_do(name: str, tmp_path: Path) -> None:
    error, _ = collected.error_of(name, tmp_path)
    message = str(error)
    no_problems(f"{problem}: {message}" for problem in message_problems(message))
    is_list = isinstance(error, regionbatch.StrictError)
    assert ("\n" in message) == is_list, "only strict mode lists several findings"
    assert "Traceback" not in message


def test_every_raise_is_provoked(tmp_path: Path) -> None:
    """Each `raise` of the library's errors is where one of the mistakes ends."""
    met = set()
    for number, name in enumerate([*DATASET_MISTAKES, *CALL_MISTAKES]):
        (tmp_path / str(number)).mkdir()
        _, frames = collected.error_of(name, tmp_path / str(number))
        met.update(frames)
    raises = {
        path: list(_raises(path))
        for path in sorted(LIBRARY.rglob("*.py"))
        if path.relative_to(LIBRARY).parts[0] not in NOT_PROVOKED
    }
    assert sum(map(len, raises.values())) > 60
    no_problems(
        f"{path.name}:{lines.start} raises an error that no mistake provokes"
        for path, found in raises.items()
        for lines in found
        if not any((str(path), line) in met for line in lines)
    )


def _raises(path: Path) -> Iterable[range]:
    """Yield the lines of each statement that raises an error of the library."""
    family = {name for name, value in vars(errors).items() if isinstance(value, type)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            if name in family:
                yield range(node.lineno, (node.end_lineno or node.lineno) + 1)


@pytest.mark.parametrize("code", CODES)
def test_a_finding_says_where_what_and_what_to_do(code: str) -> None:
    finding = collected.finding_of(code)
    no_problems(f"{problem}: {finding.message}" for problem in message_problems(finding.message))
    assert finding.message.startswith("labels/a\\x1b.txt:7: ")
    assert "'a\\nvalue'" in finding.message
    assert finding.message.endswith(f" [{code}]")


@pytest.mark.parametrize("format", ["coco", "voc", "yolo", "cvat", "vott"])
def test_the_messages_of_all_fixtures(format: str) -> None:  # noqa: A002 - the keyword of `read`
    messages = list(collected.messages_of_fixtures(format))
    assert len(messages) > 10
    no_problems(
        f"{problem}: {message}" for message in messages for problem in message_problems(message)
    )


def test_help_uses_the_words_of_the_glossary() -> None:
    for command, text in collected.help_texts().items():
        assert not avoided_words(text), command
        assert not KEYWORD.search(text), command
        assert max(map(len, text.splitlines())) <= 80, command
        assert "…" not in text.partition("Commands:")[2], command


@pytest.mark.parametrize("path", collected.sources(), ids=lambda path: path.name)
def test_sources_use_the_words_of_the_glossary(path: Path) -> None:
    """Docstrings, comments, strings and pages."""
    text = path.read_text(encoding="utf-8")
    no_problems(
        f"{path}:{number}: {problem}"
        for number, line in enumerate(text.splitlines(), 1)
        for problem in avoided_words(line)
    )
