"""The rules of the project's language that a program can check: forms and words."""

from __future__ import annotations

import re

MESSAGE = re.compile(r"\S.*?: \S.*?\. [A-Z`].*[.)?](?: \[\w+\])?|\S.*?: \S.*[.?](?: \[\w+\])?")
"""`PLACE: what is wrong: 'value'. What to do. [code]`"""

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
"""An option of the command, which no message of the library names."""

KEYWORD = re.compile(r"`[a-z_]+(=[^`]*)?`")
"""A Python keyword as the library writes it, which no message of the command has."""

VALUE_WITHOUT_QUOTES = re.compile(r", got\b")

ONE_OF_MANY = re.compile(
    r"(?<![\d.,])(?<! of )1 (boxes|images|tags|classes|files|regions|rows|batches)\b"
)
"""`1 boxes`; but `1 of 1 boxes` is fine."""

AVOIDED: dict[str, str] = {
    r"\bdata sets?\b": "dataset",
    r"\bletter by letter\b": "exactly",
    r"\b(?<!be )told\b": "reported, listed, logged",
    r"\btells\b": "reports, shows, says",
    r"\bin shares\b|\bshares (from|of|between|within)\b|\bas shares\b": "normalised coordinates",
    r"\bnobody('s)?\b": "unknown, not used, none",
    r"\b(go|goes|went|going|gone) (up|in|on with)\b": "upload, send, continue",
    r"\b(?-i:[Bb]egins?|[Bb]egan|[Bb]egun)\b": "start, resume, continue",
    r"(?<!-)\bbeside\b(?!-)": "next to",
    r"\bbehind\b": "after",
    r"\bcut off\b": "truncated, clipped",
    r"\bstands (in|there|here|beside|behind|twice)\b": "is",
    r"\bstands?\b(?!-| still| by| for)": "is",
    r"\ba second time\b|\bstands twice\b|\bis there twice\b": "duplicate",
    r"\bpatience\b|\bstubborn\b": "give up after, tries",
    r"\bdoubt is refused\b|\brefuse doubt\b": "strict mode fails on",
    r"\brooms\b|\broom of\b|\bhouse\b": "module, package, layer",
    r"\bupright\b": "axis-aligned",
    r"\bturned (box|boxes|by|left|right)\b": "rotated",
    r"\bblanks\b": "whitespace",
    r"\bheadings?\b": "header",
    r"(?<!line )(?<!line-)\bendings?\b": "extension",
    r"(?<![\"'`/])\bpictures?\b(?![\"'`/])": "image, image file",  # but a folder may be `pictures`
}
"""Expressions that the glossary avoids, with what to write instead."""

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")

_AVOIDED = {re.compile(pattern, re.IGNORECASE): better for pattern, better in AVOIDED.items()}


def avoided_words(text: str) -> list[str]:
    """Return the avoided expressions in a text, each with what to write instead."""
    return [
        f"{match[0]!r} (better: {better})"
        for pattern, better in _AVOIDED.items()
        for match in pattern.finditer(text)
    ]


def message_problems(message: str) -> list[str]:
    """Return what is wrong with the form of a message of the library."""
    first = message.split("\n", 1)[0]
    own_words = _QUOTED.sub("''", message).partition(": ")[2]  # without the place and values
    problems = avoided_words(own_words)
    if not MESSAGE.fullmatch(first):
        problems.append("not of the form `PLACE: what is wrong: 'value'. What to do.`")
    if flag := FLAG.search(message):
        problems.append(f"names an option of the command: {flag[0]}")
    if VALUE_WITHOUT_QUOTES.search(message):
        problems.append("', got VALUE': quote the value after a colon")
    if many := ONE_OF_MANY.search(message):
        problems.append(f"singular and plural: {many[0]!r}")
    return problems
