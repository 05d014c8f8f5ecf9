"""Every message that a user can meet is provoked, and checked by `messages/language.py`.

`python tests/review_messages.py` prints them all for a person to read.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import regionbatch
from messages import collected
from messages.call_mistakes import CALL_MISTAKES
from messages.dataset_mistakes import DATASET_MISTAKES
from messages.executor_mistakes import EXECUTOR_MISTAKES
from messages.language import KEYWORD, avoided_words, message_problems
from regionbatch import errors
from regionbatch.findings import FindingLog
from regionbatch.findings.codes import CODES
from regionbatch_cli.explain import effect_of
from regionbatch_cli.wording import reworded

if TYPE_CHECKING:
    from collections.abc import Iterable

LIBRARY = Path(regionbatch.__path__[0])
NOT_PROVOKED = ("customvision", "local", "cases.py", "recording.py", "testing.py", "errors.py")
"""Packages and modules whose errors are provoked by tests of their own."""
OF_TABLES = () if find_spec("pyarrow") else ("arrow.py", "own_rows.py")
"""Modules whose errors need PyArrow, if it is not installed."""


def no_problems(problems: Iterable[str]) -> None:
    assert not "\n".join(problems)


@pytest.fixture(scope="module")
def errors_by_mistake(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[regionbatch.RegionBatchError, collected.Frames]]:
    """The error of each mistake, with the lines of its traceback."""
    return {
        name: collected.error_of(name, tmp_path_factory.mktemp("mistake"))
        for name in (*DATASET_MISTAKES, *CALL_MISTAKES, *EXECUTOR_MISTAKES)
    }


def test_an_error_says_where_what_and_what_to_do(
    errors_by_mistake: dict[str, tuple[regionbatch.RegionBatchError, collected.Frames]],
) -> None:
    for name, (error, _) in errors_by_mistake.items():
        message = str(error)
        no_problems(f"{name}: {problem}: {message}" for problem in message_problems(message))
        is_list = isinstance(error, regionbatch.StrictError)
        assert ("\n" in message) == is_list, f"{name}: only strict mode lists several findings"
        assert "Traceback" not in message
        if error.place:
            assert error.place in message
        elif not isinstance(error, regionbatch.PluginError):
            assert error.option, f"{name}: an error is about a place or an option"


def test_a_backslash_in_double_quotes_is_explained(
    errors_by_mistake: dict[str, tuple[regionbatch.RegionBatchError, collected.Frames]],
) -> None:
    for name in ("a backslash in double quotes", "a path of a Windows user in double quotes"):
        error, _ = errors_by_mistake[name]
        assert "use single quotes" in str(error)


def test_the_advice_for_a_temporary_folder_is_about_its_problem(
    errors_by_mistake: dict[str, tuple[regionbatch.RegionBatchError, collected.Frames]],
) -> None:
    missing, _ = errors_by_mistake["a missing folder for temporary files"]
    assert "Create the folder" in str(missing)
    assert "Free space" not in str(missing)
    full, _ = errors_by_mistake["a temporary file without space"]
    assert "Free space" in str(full)


def test_every_raise_is_provoked(
    errors_by_mistake: dict[str, tuple[regionbatch.RegionBatchError, collected.Frames]],
) -> None:
    """Each `raise` of the library's errors is where one of the mistakes ends."""
    met = {frame for _, frames in errors_by_mistake.values() for frame in frames}
    raises = {
        path: list(_raises(path))
        for path in sorted(LIBRARY.rglob("*.py"))
        if path.relative_to(LIBRARY).parts[0] not in NOT_PROVOKED + OF_TABLES
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
    messages = set(collected.messages_of_fixtures(format))
    assert len(messages) > 10
    no_problems(
        f"{problem}: {message}" for message in messages for problem in message_problems(message)
    )


@pytest.mark.parametrize("name", ["region_missing", "region_moved", "region_extra"])
def test_a_project_that_differs_is_explained_as_status_3(name: str) -> None:
    """Nothing is dropped, and strict mode does not apply after the first write."""
    effect = effect_of(CODES[name])
    assert "exit status 3" in effect
    assert "dropped" not in effect
    assert "strict" not in effect


@pytest.mark.parametrize("name", ["region_failed", "region_exceeded"])
def test_strict_mode_does_not_know_what_happens_after_the_first_write(name: str) -> None:
    effect = effect_of(CODES[name])
    assert "exit status 3" in effect
    assert "dropped" in effect
    assert "strict" not in effect


def test_the_reason_of_an_uncertain_decision_is_complete() -> None:
    log = FindingLog()
    reason = 'rows look like a confidence and a box in 3 of 3; use `yolo_rows="box"` to confirm it'
    log.decide("yolo_rows", "auto", reason, doubtful=True)
    [finding] = log.findings()
    assert finding.value == log.decisions["yolo_rows"] == f"auto ({reason})"
    worded = reworded(finding, {"yolo_rows": "--yolo-rows"})
    assert worded.place == "--yolo-rows"
    for text in (worded.value, worded.message):
        assert "use --yolo-rows box to confirm it)" in text
        assert not KEYWORD.search(text)
    log.decide("names", "x" * 10_000, "they are long", doubtful=True)
    assert max(len(each.value) for each in log.findings()) < 400


def test_help_uses_the_words_of_the_glossary() -> None:
    for command, text in collected.help_texts().items():
        assert not avoided_words(text), command
        assert not KEYWORD.search(text), command
        assert max(map(len, text.splitlines())) <= 80, command
        assert "…" not in text.partition("Commands:")[2], command


def test_sources_use_the_words_of_the_glossary() -> None:
    """Docstrings, comments, strings and pages."""
    for path in collected.sources():
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines() if avoided_words(text) else []
        no_problems(
            f"{path}:{number}: {problem}"
            for number, line in enumerate(lines, 1)
            for problem in avoided_words(line)
        )
