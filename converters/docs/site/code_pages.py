"""A page for each finding code, from the table that `regionbatch explain` prints."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from regionbatch.findings.codes import CODES
from regionbatch_cli.explain import effect_of, fails_strict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from regionbatch.findings.code import Code

FOLDER = "converters/docs/codes"
INDEX = f"{FOLDER}/index.md"
TITLES = {
    "error": "Errors: something is dropped",
    "warning": "Warnings: something is adjusted, or should be checked",
    "info": "Notes",
}


def path_of(name: str) -> str | None:
    """Return the path of the page of a finding code; None if there is no such code."""
    return f"{FOLDER}/{name}.md" if name in CODES else None


def pages(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each page by its path.

    Args:
        texts: The other pages by path. A code links to those that mention it.
    """
    found = {INDEX: index_page()}
    for code in CODES.values():
        mentions = [path for path, text in texts.items() if f"`{code.name}`" in text]
        found[f"{FOLDER}/{code.name}.md"] = code_page(code, mentions, texts)
    return found


def index_page() -> str:
    """Return the page that lists all codes, the most serious first."""
    lines = [
        "# Finding codes",
        "",
        "Every finding has one of these codes. A box is counted once, under its first code.",
        "`regionbatch explain CODE` prints the same text as the page of a code.",
    ]
    for severity, title in TITLES.items():
        lines += ["", f"## {title}", "", "| code | message | of |", "| --- | --- | --- |"]
        lines += [
            f"| `{code.name}` | {_plain(code.summary)}. {_plain(code.advice)} | {_about(code)} |"
            for code in CODES.values()
            if code.severity == severity
        ]
    return "\n".join([*lines, ""])


def code_page(code: Code, mentions: Iterable[str], texts: Mapping[str, str]) -> str:
    """Return the page of one code, with links to the pages that mention it."""
    lines = [
        f"# {code.name}",
        "",
        f"**{_plain(code.summary[:1].upper() + code.summary[1:])}.** {effect_of(code)}",
        "",
        _plain(code.explanation),
        "",
        "## Example",
        "",
        "```text",
        code.example,
        "```",
        "",
        "## What to do",
        "",
        _plain(code.remedy),
        "",
        "## Read more",
        "",
        *(
            f"- [{_title(texts[path])}]({posixpath.relpath(path, FOLDER)})"
            for path in mentions
            if path.startswith("converters/docs/")
        ),
        "- [All finding codes](index.md)",
        "",
    ]
    return "\n".join(lines)


def _about(code: Code) -> str:
    return f"{code.unit}; strict mode fails" if fails_strict(code) else code.unit


def _title(text: str) -> str:
    match = re.search(r"^# (.+)$", text, re.MULTILINE)
    return match[1] if match else "?"


def _plain(text: str) -> str:
    """Return a text in which nothing is read as HTML or as a column of a table."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else part.replace("<", "&lt;").replace("|", "&#124;")
        for part in parts
    )
