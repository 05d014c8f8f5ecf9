"""What the documents show is run, and what there is stands in the documents.

A block that begins with three back-ticks and `console` has commands in the lines that begin with `$ `, and below each
what it prints; a line of `…` stands for any lines, and `…` within a line for any text. A block of `python` is run, in
the order of its file; `#> text` at the end of a statement, or in the lines below it, is what the statement prints.
Blocks of `sh`, `text` and the like are only read. All blocks of a file are run in one folder that has a copy of
`fixtures/` in it.
"""

from __future__ import annotations

import ast
import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
import pytest

from helpers import ROOT, environment
from regionbatch.codes import CODES
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTS = ["README.md", "converters/README.md", "cli/README.md", "fixtures/README.md", "tests/README.md"]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks_of(text: str, language: str) -> Iterator[tuple[int, str]]:
    """Each block of a language, with the line of the document it begins at."""
    for found in BLOCK.finditer(text):
        if found[1] == language:
            yield text.count("\n", 0, found.start(2)) + 1, found[2]


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
        "(?:.*\n)*" if line.strip() == "…" else ".*".join(map(re.escape, line.rstrip().split("…"))) + " *\n"
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
    for line, block in blocks_of(text_of(name), "console"):
        pairs = list(commands_of(block))
        assert pairs, f"{name}:{line}: no command in this block"
        for command, shown in pairs:
            run = subprocess.run(
                command,
                shell=True,
                cwd=folder,
                env=environment(PATH=path_with_command, COLUMNS="100"),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=120,
                check=False,
            )
            assert is_shown(shown, run.stdout), f"{name}:{line}: $ {command}\nprints\n{run.stdout}\nnot\n{shown}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_python_runs_and_prints_what_is_shown(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": "document"}
    monkeypatch.setitem(sys.modules, "document", ModuleType("document"))  # dataclasses look it up
    for line, block in blocks_of(text_of(name), "python"):
        run_block(block, names, f"{name}:{line}")


def run_block(block: str, names: dict[str, Any], place: str) -> None:
    """Run the statements of a block one by one, and compare what they print where it is shown."""
    lines = block.splitlines()
    statements = ast.parse(block).body
    following = [*(statement.lineno - 1 for statement in statements[1:]), len(lines)]
    for statement, next_line in zip(statements, following, strict=True):
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(ast.Module([statement], []), place, "exec", dont_inherit=True), names)
        its_lines = lines[(statement.end_lineno or 1) - 1 : next_line]
        shown = [line.partition("#>")[2].removeprefix(" ") for line in its_lines if "#>" in line]
        if shown:
            text = "".join(f"{line}\n" for line in shown)
            assert is_shown(text, printed.getvalue()), f"{place}: prints\n{printed.getvalue()}\nnot\n{text}"


def test_the_readme_begins_with_what_runs() -> None:
    """The command and its output stand near the top, and the two lines that do all the set-up before them."""
    text = text_of("README.md")
    assert re.search(r"^python -m pip install .*&& regionbatch upload fixtures/", text, re.MULTILINE)
    assert re.search(r"^python -m pip install .*&& python -m pytest -n 2$", text, re.MULTILINE)
    [first, *_] = blocks_of(text, "console")
    assert first[0] < 60
    assert list(blocks_of(text, "python"))


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
                assert re.search(rf"(?<![\w-]){re.escape(spelling)}(?![\w-])", text), f"{name} {spelling}"
            if isinstance(parameter.type, click.Choice):
                missing = [one for one in parameter.type.choices if not re.search(rf"\b{re.escape(one)}\b", text)]
                assert not missing, f"{name} {parameter.opts[0]}: {missing}"


def test_no_option_is_documented_that_does_not_exist() -> None:
    options = [option for one in commands.commands.values() for option in one.params]
    known = {spelling for option in options for spelling in (*option.opts, *option.secondary_opts)}
    known |= {"--help", "--version"}
    written = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text_of("cli/README.md") + text_of("README.md")))
    assert written <= known


def test_every_code_is_documented_as_it_is() -> None:
    text = text_of("converters/README.md")
    for code in CODES.values():
        row = f"| `{code.name}` | {code.effect} | {code.unit} | {code.what}; {code.advice} |"
        assert row in text, f"the table of codes in converters/README.md needs this row:\n{row}"
    above = text[: text.index("### All codes")]
    for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text):
        if re.search(rf"\| `{name}` \| (noted|adjusted|dropped) ", text):
            assert name in CODES, f"{name} is no code any more"
    named = {code for row in re.findall(r"^\|.*\| ((?:`[a-z_]+` ?)+)\|$", above, re.MULTILINE) for code in row.split()}
    assert len(named) > 40
    assert {code.strip("`") for code in named} <= {*CODES}, "a row leads to a code that does not exist any more"
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


def test_how_blocks_are_found() -> None:
    text = "a\n```console\n$ one \\\n    more\nout\n\n$ two\n```\n```sh\n$ three\n```\n"
    [(line, block)] = blocks_of(text, "console")
    assert line == 3
    assert list(commands_of(block)) == [("one more", "out\n\n"), ("two", "")]


@pytest.mark.parametrize("block", ["y = 5\nx = 5\nprint(\n    x,\n)  #> 5\n", "x = 5\nprint(x)\n#> 5\ny = 6\n"])
def test_how_python_is_compared(block: str) -> None:
    run_block(block, {}, "here")
    for old, new in (("#> 5", "#> 6"), ("#> 5", "#> 5\n#> 5"), ("x = 5", "x = 55"), ("#> 5", "#>")):
        with pytest.raises(AssertionError, match="here: prints"):
            run_block(block.replace(old, new), {}, "here")
