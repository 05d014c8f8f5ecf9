"""The examples in the pages run, and the pages name every option, code and function."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from sybil.parsers.markdown import CodeBlockParser

import regionbatch
from helpers import ROOT
from page_examples import PageRun, commands_of, is_shown, page
from regionbatch.findings.codes import CODES
from regionbatch.options import BUILT_IN_OPTIONS, ReadOptions, choices_of
from regionbatch_cli.main import commands

DOCS = ROOT / "converters" / "docs"
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in [
        ROOT / "README.md",
        *sorted((ROOT / "converters").rglob("*.md")),
        *sorted((ROOT / "cli").rglob("*.md")),
        ROOT / "fixtures" / "README.md",
        ROOT / "tests" / "README.md",
    ]
]
WITH_EXAMPLES = [
    name
    for name in PAGES
    if re.search(r"^```(console|python)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
]
HOW_TO_WRITE_A_READER = "converters/docs/write-a-reader.md"
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the fixtures."""
    return Path(shutil.copytree(ROOT / "fixtures", tmp_path_factory.mktemp("copied") / "fixtures"))


@pytest.fixture
def folder(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the fixtures; modules that are saved in it can be imported."""
    try:
        (tmp_path / "fixtures").symlink_to(copied, target_is_directory=True)
    except OSError:  # Windows, without the right to make links
        shutil.copytree(copied, tmp_path / "fixtures", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run_and_print_what_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "document", ModuleType("document"))  # dataclasses look it up
    caplog.set_level(logging.NOTSET, logger="regionbatch")  # a page changes it; it is restored
    before = set(sys.modules)
    with PageRun(name, folder) as run:
        document = run.examples()
        document.namespace["__name__"] = "document"
        for example in document:
            run.run(example)
    for module in set(sys.modules) - before:
        if (getattr(sys.modules[module], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[module]
    if run.skipped:
        pytest.skip(f"a library is not installed: {name}, lines {run.skipped}")


def test_the_readme_is_short_and_starts_with_what_runs() -> None:
    """The command and its output are near the top, after lines that do all the set-up."""
    text = text_of("README.md")
    assert len(text.splitlines()) < 120
    assert re.search(r"^python -m pip install .*regionbatch", text, re.MULTILINE)
    assert re.search(
        r"^python -m pip install .*&& regionbatch upload fixtures/", text, re.MULTILINE
    )
    [tests] = re.findall(r".*python -m pytest.*", text)  # `.ci/run` runs this line
    assert re.fullmatch(r"python -m pip install .*&& python -m pytest -n 3", tests)
    [first, *_] = page("README.md", CodeBlockParser("console"))
    assert first.line < 60
    assert list(page("README.md", CodeBlockParser("python")))


def test_every_link_between_pages_leads_somewhere() -> None:
    for name in [*PAGES, "CHANGELOG.md"]:
        text = re.sub(r"^```.*?^```", "", text_of(name), flags=re.MULTILINE | re.DOTALL)
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
            path = (ROOT / name).parent / target if target else ROOT / name
            assert path.exists(), f"{name}: {target}"
            if anchor:
                titles = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
                assert anchor in map(anchor_of, titles), f"{name}: {target}#{anchor}"


def anchor_of(title: str) -> str:
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


def test_every_file_that_a_page_names_exists() -> None:
    """`batching.py` in the list of modules is a file of the library."""
    files = {
        path.name for folder in ("converters", "cli") for path in (ROOT / folder).rglob("*.py")
    }
    for name in ("converters/docs/modules.md", "converters/docs/association.md"):
        for named in re.findall(r"`(\w+\.py)`", text_of(name)):
            assert named in files, f"{name}: {named}"


def test_every_module_is_in_the_list_of_modules() -> None:
    text = text_of("converters/docs/modules.md")
    for path in (ROOT / "converters" / "regionbatch").iterdir():
        shown = f"{path.name}/" if path.is_dir() else path.name
        if not path.name.startswith("__") and path.suffix in {"", ".py"}:
            assert f"`{shown}`" in text, shown


def test_every_command_is_documented_and_no_option_that_does_not_exist() -> None:
    for name in commands.commands:
        assert f"regionbatch {name}" in text_of("cli/docs/index.md")
    options = [option for one in commands.commands.values() for option in one.params]
    known = {spelling for option in options for spelling in (*option.opts, *option.secondary_opts)}
    known |= {"--help", "--version"}
    for name in PAGES:
        if name != HOW_TO_WRITE_A_READER and not name.endswith("/README.md"):
            assert {*FLAG.findall(text_of(name))} <= known, name


@pytest.mark.parametrize("format", ["", *BUILT_IN_OPTIONS])
def test_every_option_of_a_reader_is_on_the_page_of_its_format(format: str) -> None:  # noqa: A002
    text = text_of(f"converters/docs/formats/{format or 'index'}.md")
    common = {field.name for field in fields(ReadOptions)}
    reader = BUILT_IN_OPTIONS[format] if format else ReadOptions
    for field in fields(reader):
        if not format or field.name not in common:
            flag = f"--{field.name.replace('_', '-')}"
            [row] = re.findall(rf"^\| `{flag} .*$", text, re.MULTILINE)
            assert f"| `{field.name}` |" in row
            assert not [one for one in choices_of(field) if not re.search(rf"\b{one}\b", row)]


def test_old_names_of_options_are_only_in_the_table_of_old_names() -> None:
    parameters = [each for one in commands.commands.values() for each in one.params]
    old = {getattr(each, "old_name", "") for each in parameters} - {""}
    assert "--tags" in old
    for name in PAGES:
        if name != "cli/docs/index.md":
            assert not old & set(FLAG.findall(text_of(name))), name


def test_every_code_is_described_and_rows_lead_to_codes_that_exist() -> None:
    rows = [
        row
        for path in [*(DOCS / "formats").glob("*.md"), DOCS / "upload-events.md"]
        for row in re.findall(
            r"^\|.*\| ((?:`[a-z_]+` ?)+)\|$", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    named = {code.strip("`") for row in rows for code in row.split()}
    assert len(named) > 40
    assert named <= {*CODES}, "a row leads to a code that does not exist any more"
    text = "".join(map(text_of, set(PAGES) - {HOW_TO_WRITE_A_READER}))
    assert not [name for name in CODES if f"`{name}`" not in text]


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "api").glob("*.md"))
    documented = re.findall(r"^::: regionbatch\.(\w+)$", text, re.MULTILINE)
    assert sorted({*documented} - {"testing"}) == regionbatch.__all__


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
