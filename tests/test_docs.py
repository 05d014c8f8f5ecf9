"""The examples in the pages run, and the pages name every option, code and function.

In a block of `console`, lines that start with `$ ` are commands; the lines below each are its
output. A line of `…` matches any lines, and `…` within a line any text. A block of `python` runs as
code or, with `>>>`, as a doctest. Other blocks, such as `sh` and `text`, are not run. All blocks of
a page run in one folder, which has a copy of `fixtures/`.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click
import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from helpers import ROOT, environment
from regionbatch.findings.codes import CODES
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil import Document, Example
    from sybil.typing import Parser

DOCUMENTS = [
    "README.md",
    "converters/README.md",
    "converters/docs/clouds.md",
    "converters/docs/pipeline.md",
    "cli/README.md",
    "fixtures/README.md",
    "tests/README.md",
]
LIBRARIES = ("duckdb", "pandas", "polars", "pyarrow")
"""Libraries that examples import, and that may be absent."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def page(name: str, parser: Parser) -> Document:
    """Return a page of the project with the examples that a parser finds."""
    return Sybil([parser], path=str(ROOT)).parse(ROOT / name)


def commands_of(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what is shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        while line.endswith("\\"):
            more, _, shown = shown.partition("\n")
            line = f"{line[:-1]}{more.strip()}"
        yield line, shown


def is_shown(shown: str, printed: str) -> bool:
    """Whether a document shows what was printed, with `…` for what it leaves out."""
    pattern = "".join(
        "(?:.*\n)*"
        if line.strip() == "…"
        else ".*".join(map(re.escape, line.rstrip().split("…"))) + " *\n"
        for line in shown.rstrip().splitlines()
    )
    return re.fullmatch(pattern, f"{printed.rstrip()}\n" if printed.strip() else "") is not None


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the fixtures."""
    return Path(shutil.copytree(ROOT / "fixtures", tmp_path_factory.mktemp("copied") / "fixtures"))


@pytest.fixture
def folder(copied: Path, tmp_path: Path) -> Path:
    """A folder to work in, with the fixtures in it."""
    shutil.copytree(copied, tmp_path / "fixtures", copy_function=os.link)
    return tmp_path


@pytest.fixture
def path_with_command(tmp_path: Path) -> str:
    """A PATH whose `regionbatch` and `python` are those of this environment."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, arguments in (("regionbatch", " -m regionbatch_cli"), ("python", "")):
        script = bin_folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return os.pathsep.join([str(bin_folder), os.environ["PATH"]])


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are written for a POSIX shell")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_print_what_is_shown(folder: Path, path_with_command: str, name: str) -> None:
    def run(example: Example) -> None:
        place = f"{name}:{example.line}"
        pairs = list(commands_of(example.parsed))
        assert pairs, f"{place}: no command in this block"
        for command, shown in pairs:
            printed = output_of(command, folder, path_with_command)
            assert is_shown(shown, printed), (
                f"{place}: $ {command}\nprints\n{printed}\nnot\n{shown}"
            )

    for example in page(name, CodeBlockParser("console", run)):
        example.evaluate()


def output_of(command: str, folder: Path, path: str) -> str:
    """Run a command line in a shell; return what it prints, also on standard error."""
    run = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment(PATH=path, COLUMNS="100"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return run.stdout


@pytest.mark.parametrize("name", DOCUMENTS)
def test_python_runs_and_prints_what_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "document", ModuleType("document"))  # for dataclasses
    document = page(name, PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS))
    document.namespace["__name__"] = "document"
    missing = [library for library in LIBRARIES if not find_spec(library)]
    skipped = []
    for example in document:
        if any(needs(str(example.parsed), library) for library in missing):
            skipped.append(example.line)
        else:
            example.evaluate()
    if skipped:
        pytest.skip(f"not installed: {', '.join(missing)}: {name}, lines {skipped}")


def needs(code: str, library: str) -> bool:
    """Whether an example needs a library; all tables need PyArrow."""
    imports_any = any(f"import {one}" in code for one in LIBRARIES)
    return f"import {library}" in code or (library == "pyarrow" and imports_any)


def test_the_readme_begins_with_what_runs() -> None:
    """The command and its output are near the top, after two lines that do all the set-up."""
    text = text_of("README.md")
    assert re.search(
        r"^python -m pip install .*&& regionbatch upload fixtures/", text, re.MULTILINE
    )
    assert re.search(r"^python -m pip install .*&& python -m pytest -n 2$", text, re.MULTILINE)
    [first, *_] = page("README.md", CodeBlockParser("console"))
    assert first.line < 60
    assert list(page("README.md", CodeBlockParser("python")))


def test_every_link_between_documents_leads_somewhere() -> None:
    for name in [*DOCUMENTS, "CHANGELOG.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text_of(name)):
            assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"


def test_every_file_that_a_document_names_exists() -> None:
    """`batching.py` in the guide to the library is a file of the library."""
    for name in ("converters/README.md", "cli/README.md"):
        home = (ROOT / name).parent
        files = {path.name for path in home.rglob("*.py")}
        for named in re.findall(r"`(\w+\.py)`", text_of(name)):
            assert named in files, f"{name}: {named}"


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_command_and_option_is_documented(name: str) -> None:
    text = text_of("cli/README.md")
    assert f"regionbatch {name}" in text
    for parameter in commands.commands[name].params:
        if isinstance(parameter, click.Option):
            for spelling in parameter.opts:
                assert re.search(rf"(?<![\w-]){re.escape(spelling)}(?![\w-])", text), (
                    f"{name} {spelling}"
                )
            if isinstance(parameter.type, click.Choice):
                missing = [
                    one
                    for one in parameter.type.choices
                    if not re.search(rf"\b{re.escape(one)}\b", text)
                ]
                assert not missing, f"{name} {parameter.opts[0]}: {missing}"


def test_no_option_is_documented_that_does_not_exist() -> None:
    options = [option for one in commands.commands.values() for option in one.params]
    known = {spelling for option in options for spelling in (*option.opts, *option.secondary_opts)}
    known |= {"--help", "--version"}
    written = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]*", text_of("cli/README.md") + text_of("README.md"))
    )
    assert written <= known


def test_old_names_of_options_are_only_in_the_table_of_old_names() -> None:
    parameters = [each for one in commands.commands.values() for each in one.params]
    old = {getattr(each, "old_name", "") for each in parameters} - {""}
    assert "--tags" in old
    for name in ("README.md", "converters/README.md"):
        assert not old & set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text_of(name))), name


def test_every_code_is_documented_as_it_is() -> None:
    text = text_of("converters/README.md")
    for code in CODES.values():
        row = f"| `{code.name}` | {code.effect} | {code.unit} | {code.summary}. {code.advice} |"
        assert row in text, f"the table of codes in converters/README.md needs this row:\n{row}"
    above = text[: text.index("### All codes")]
    for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text):
        if re.search(rf"\| `{name}` \| (noted|adjusted|dropped) ", text):
            assert name in CODES, f"{name} is no code any more"
    named = {
        code
        for row in re.findall(r"^\|.*\| ((?:`[a-z_]+` ?)+)\|$", above, re.MULTILINE)
        for code in row.split()
    }
    assert len(named) > 40
    assert {code.strip("`") for code in named} <= {*CODES}, (
        "a row leads to a code that does not exist any more"
    )
    missing = [name for name in CODES if f"`{name}`" not in above]
    assert not missing, "no row of what real files hold leads to these codes"


def test_the_changelog_has_the_version_or_is_ahead_of_it() -> None:
    assert re.search(r"^## (Unreleased|\[?\d+\.\d+\.\d+)", text_of("CHANGELOG.md"), re.MULTILINE)


# --- this machinery can fail


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("one\ntwo\n", "one\ntwo\n", True),
        ("one\n", "one\ntwo\n", False),
        ("one\n…\nfour\n", "one\ntwo\nthree\nfour\n", True),
        ("one\n…\nfour\n", "one\nfour\n", True),
        ("one … three\n", "one two three\n", True),
        ("one … three\n", "one two four\n", False),
        ("a.b\n", "axb\n", False),
        ("", "", True),
        ("", "text\n", False),
        ("text\n", "", False),
    ],
)
def test_how_output_is_compared(shown: str, printed: str, same: bool) -> None:
    assert is_shown(shown, printed) is same


def test_how_commands_are_found() -> None:
    block = "$ one \\\n    more\nout\n\n$ two\n"
    assert list(commands_of(block)) == [("one more", "out\n\n"), ("two", "")]
