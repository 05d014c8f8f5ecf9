"""Hooks of MkDocs: the pages of the site are files of the project, or made from the code.

A page has the path of its file in the project, so that its links are the same in both. On the site,
names of finding codes and commands are links to their pages.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

SITE = Path(__file__).parent
ROOT = SITE.parents[2]
sys.path.insert(0, str(SITE))  # MkDocs loads this file alone

import code_pages  # noqa: E402 - found by the line above
import command_pages  # noqa: E402

FOLDERS = {"converters/docs/": "", "cli/docs/": "command/"}
"""Folders of pages, and where they are on the site."""
FILES = {
    ".github/CONTRIBUTING.md": "contribute/index",
    ".github/SECURITY.md": "contribute/security",
    "CHANGELOG.md": "contribute/changelog",
    "fixtures/README.md": "contribute/fixtures",
    "tests/README.md": "contribute/tests",
    "tests/customvision/README.md": "contribute/upload-tests",
    "tests/plugin_example/README.md": "contribute/plugin",
}
"""Other pages, and where they are on the site."""
ASSETS = ("*.png", "*.svg", "*.css")

_NAME = re.compile(r"(?<![\[`\w])`([a-z]+(?:_[a-z]+)*|regionbatch [a-z]+)`(?![`\]])")
"""Inline code that may be a finding code or a command, outside of links."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of this site's folder with those of the project and generated pages."""
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in page_files()}
    for path in [*texts, *files_in_folders(*ASSETS)]:
        files.append(_file(path, config))
    for path, text in generated_pages(texts).items():
        file = File.generated(config, path, content=text)
        file.dest_uri = destination(path)
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Make links of finding codes and commands."""
    return with_links(markdown, page.file.src_uri)


def page_files() -> list[str]:
    """Return the paths of the pages that are files, relative to the project."""
    return [*files_in_folders("*.md"), *FILES]


def files_in_folders(*patterns: str) -> list[str]:
    """Return the paths of files in the folders of pages, relative to the project."""
    found = [path for each in FOLDERS for one in patterns for path in (ROOT / each).rglob(one)]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def generated_pages(texts: dict[str, str]) -> dict[str, str]:
    """Return the pages that are made from the code; `texts` are those that mention codes."""
    return code_pages.pages(texts) | command_pages.pages()


def destination(path: str) -> str:
    """Return where a file of the project is on the site."""
    if path in FILES:
        return f"{FILES[path]}.html"
    for folder, place in FOLDERS.items():
        if path.startswith(folder):
            target = place + path.removeprefix(folder)
            return re.sub(r"\.md$", ".html", target)
    raise ValueError(path)


def with_links(markdown: str, page: str) -> str:
    """Return a page in which finding codes and commands are links, except in code and titles."""

    def link(match: re.Match[str]) -> str:
        target = code_pages.path_of(match[1]) or command_pages.path_of(match[1])
        if target is None or target == page:
            return match[0]
        return f"[{match[0]}]({posixpath.relpath(target, posixpath.dirname(page))})"

    lines = []
    is_code = False
    for line in markdown.split("\n"):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        lines.append(line if is_code or line.startswith("#") else _NAME.sub(link, line))
    return "\n".join(lines)


def _file(path: str, config: MkDocsConfig) -> File:
    return File(path, str(ROOT), config.site_dir, False, dest_uri=destination(path))
