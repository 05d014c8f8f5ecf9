"""The site: pages that are made from the code are complete, and it builds without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click
import pytest

import code_pages
import command_pages
from helpers import ROOT, environment
from regionbatch.findings.codes import CODES
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from pathlib import Path


def test_every_code_has_a_page_with_the_texts_of_explain() -> None:
    texts = {"converters/docs/a.md": "# A page\n\n`clipped`\n", "CHANGELOG.md": "`clipped`"}
    pages = code_pages.pages(texts)
    index = pages.pop("converters/docs/codes/index.md")
    assert len(pages) == len(CODES)
    for code in CODES.values():
        page = pages[f"converters/docs/codes/{code.name}.md"]
        assert code.example in page
        assert code.remedy.replace("<", "&lt;").replace("|", "&#124;") in page or "`" in code.remedy
        assert f"| `{code.name}` |" in index
    assert "[A page](../a.md)" in pages["converters/docs/codes/clipped.md"]


def test_every_option_is_on_the_page_of_its_command() -> None:
    pages = command_pages.pages()
    assert {*pages} == {f"cli/docs/{name}.md" for name in commands.commands}
    for name, command in commands.commands.items():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                for spelling in option.opts:
                    assert re.search(
                        rf"^`.*(?<![\w-]){spelling}\b.*`$",
                        pages[f"cli/docs/{name}.md"],
                        re.MULTILINE,
                    )


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"script", "img", "iframe"}:
            self.loaded.append(values.get("src") or "")
        elif tag == "link" and values.get("rel") in {"stylesheet", "preload", "icon"}:
            self.loaded.append(values.get("href") or "")
        elif tag == "a":
            self.links.append(values.get("href") or "")


@pytest.mark.skipif(not find_spec("mkdocs"), reason="needs the extra docs: mkdocs")
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    arguments = ["build", "--strict", "-f", str(ROOT / "converters/docs/mkdocs.yml"), "-d"]
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", *arguments, str(tmp_path)],
        env=environment(NO_MKDOCS_2_WARNING="1"),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > len(CODES) + len(commands.commands) + 20
    for path in pages:
        found = _Links()
        found.feed(path.read_text(encoding="utf-8"))
        assert not [one for one in found.loaded if one.startswith(("http:", "https:", "//"))], path
        for link in found.links:
            target = link.partition("#")[0]
            if target and not re.match(r"\w+:|/", target):
                assert (path.parent / target).exists(), f"{path.relative_to(tmp_path)}: {link}"
    clipped = (tmp_path / "formats" / "all-formats.html").read_text(encoding="utf-8")
    assert 'href="../codes/clipped.html"' in clipped
