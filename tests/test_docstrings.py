"""Public names have docstrings with all sections, and their examples run."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch
from helpers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FUNCTIONS = [name for name in regionbatch.__all__ if inspect.isfunction(getattr(regionbatch, name))]
ERRORS = [name for name in regionbatch.__all__ if name.endswith("Error")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder that has the fixtures in it."""
    try:
        (tmp_path / "fixtures").symlink_to(ROOT / "fixtures", target_is_directory=True)
    except OSError:  # Windows, without the right to make links
        shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def examples_of(name: str) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    value = getattr(regionbatch, name)
    return [test for test in finder.find(value, name, globs={"rb": regionbatch}) if test.examples]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", regionbatch.__all__)
def test_examples_of_public_names_run(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    output: list[str] = []
    for test in examples_of(name):
        if "arrow" in test.name and not find_spec("pyarrow"):
            continue  # test_arrow.py is skipped too, and says why
        runner.run(test, out=output.append)
    assert not "".join(output)


@pytest.mark.parametrize("name", [name for name in regionbatch.__all__ if name not in ERRORS])
def test_public_names_have_an_example(name: str) -> None:
    assert examples_of(name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_describe_every_argument(name: str) -> None:
    function: Any = getattr(regionbatch, name)
    text = inspect.getdoc(function) or ""
    described = set(re.findall(r"^    \*{0,2}(\w+):", text, re.MULTILINE))
    for parameter in inspect.signature(function).parameters:
        assert parameter in described, parameter
    assert "Raises:" in text or name == "summary"
    returns_nothing = inspect.signature(function).return_annotation in {"None", None}
    assert returns_nothing or "Returns:" in text
