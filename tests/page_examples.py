"""Run the examples of a page, in their order, in one folder.

A block with a title, such as `python title="make.py"`, is a file: it is saved. In a block of
`console`, lines that start with `$ ` are commands; the lines below each are its output. A line
of `…` matches any lines, and `…` within a line any text. `regionbatch serve` runs until the page
ends, and `export` sets a variable for the commands below it. A block of `python` runs as
code or, with `>>>`, as a doctest. Other blocks, such as `sh` and `text`, are not run.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import socket
import subprocess
import sys
from contextlib import chdir
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self
from unittest import mock

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from helpers import ROOT, command, environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sybil import Document, Example, Region
    from sybil.typing import Parser

LIBRARIES = ("duckdb", "pandas", "polars", "pyarrow")
"""Libraries that examples import, and that may be absent."""

SHELL_SYNTAX = re.compile(r"[|&;<>$`*?~(){}\[\]]")
"""Characters that a shell acts on."""

PORT = "8750"
"""The port of local services in pages; a free one is used instead."""


def page(name: str, *parsers: Parser) -> Document:
    """Return a page of the project with the examples that parsers find."""
    return Sybil(parsers, path=str(ROOT)).parse(ROOT / name)


def commands_of(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block, and what is shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        while line.endswith("\\"):
            more, _, shown = shown.partition("\n")
            line = f"{line[:-1]}{more.strip()}"
        yield line, shown


def is_shown(shown: str, printed: str) -> bool:
    """Return whether a page shows what was printed, with `…` for what it leaves out."""
    pattern = "".join(
        "(?:.*\n)*"
        if line.strip() == "…"
        else ".*".join(map(re.escape, line.rstrip().split("…"))) + " *\n"
        for line in shown.rstrip().splitlines()
    )
    return re.fullmatch(pattern, f"{printed.rstrip()}\n" if printed.strip() else "") is not None


class PageRun:
    """Runs the examples of one page in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.skipped: list[int] = []
        self._environment = environment(
            PATH=path_with_command(folder),
            COLUMNS="100",
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
            PYTEST_DEBUG_TEMPROOT=str(folder / ".bin"),  # no other run of pytest deletes it
        )
        self._services: list[subprocess.Popen[str]] = []
        self._port = free_port()
        self._missing = [library for library in LIBRARIES if not find_spec(library)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for service in self._services:
            service.kill()
            service.communicate()

    def examples(self) -> Document:
        """Return the page with all examples that can run here."""
        console = [CodeBlockParser("console", self.run_commands)] if sys.platform != "win32" else []
        python = PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)
        return page(self.name, self._titled_blocks, *console, python)

    def run(self, example: Example) -> None:
        """Run one example, unless it needs a library that is not installed."""
        if any(needs(str(example.parsed), library) for library in self._missing):
            self.skipped.append(example.line)
        else:
            example.evaluate()

    def run_commands(self, example: Example) -> None:
        """Run the commands of a block, and compare what they print with what is shown."""
        place = f"{self.name}:{example.line}"
        pairs = list(commands_of(example.parsed.replace(PORT, self._port)))
        assert pairs, f"{place}: no command in this block"
        for line, shown in pairs:
            printed = self._output_of(line)
            assert is_shown(shown, printed), f"{place}: $ {line}\nprints\n{printed}\nnot\n{shown}"

    def _output_of(self, line: str) -> str:
        """Run a command line; return what it prints, also on standard error."""
        if variable := re.fullmatch(r"export (\w+)=(\S+)", line):
            self._environment[variable[1]] = variable[2]
            return ""
        if line.startswith("regionbatch serve "):
            return self._start(line)
        if line.startswith("regionbatch ") and not SHELL_SYNTAX.search(line):
            return self._run_here(line)
        run = subprocess.run(
            line,
            shell=True,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return run.stdout

    def _run_here(self, line: str) -> str:
        """Run the command in this process, in the page's folder: a new process needs a second."""
        with mock.patch.dict(os.environ, self._environment), chdir(self.folder):
            return command(*shlex.split(line)[1:], one_stream=True).stdout

    def _start(self, line: str) -> str:
        """Start a service; return the first line that it prints."""
        service = subprocess.Popen(
            f"exec {line}",
            shell=True,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._services.append(service)
        assert service.stdout
        return service.stdout.readline()

    def _titled_blocks(self, document: Document) -> Iterable[Region]:
        """Find the blocks that are files."""
        for region in FencedCodeBlockLexer(r'\w+ title="[^"]+"')(document):
            region.parsed = region.lexemes["source"]
            region.evaluator = self._save
            yield region

    def _save(self, example: Example) -> None:
        [name] = re.findall('"(.+)"', example.region.lexemes["language"])
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(example.parsed, encoding="utf-8")


def path_with_command(folder: Path) -> str:
    """Return a PATH whose `regionbatch` and `python` are those of this environment."""
    bin_folder = folder / ".bin"
    bin_folder.mkdir()
    for name, arguments in (("regionbatch", " -m regionbatch_cli"), ("python", "")):
        script = bin_folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return os.pathsep.join([str(bin_folder), os.environ["PATH"]])


def free_port() -> str:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


def needs(code: str, library: str) -> bool:
    """Return whether an example needs a library; all tables need PyArrow."""
    imports_any = any(f"import {one}" in code for one in LIBRARIES)
    return f"import {library}" in code or (library == "pyarrow" and imports_any)
