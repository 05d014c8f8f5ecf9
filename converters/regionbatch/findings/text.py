"""How values and places are shown in messages. This module does not import NumPy."""

from __future__ import annotations

from typing import Literal
from unicodedata import category

Place = Literal["line", "annotation", "image", "entry", "row"]
"""What a finding's `where` counts: lines from 1, COCO IDs, or rows of a table from 0.

A negative number (-1, -2, …) counts records instead: entries without an ID, or XML objects that
share a line."""

_LONGEST_VALUE = 80
_LONGEST_PLACE = 1000


def as_text(value: object) -> str:
    """Return a value from a file as it is shown in messages: short, on one line."""
    if not isinstance(value, str):
        plain = value.tolist() if hasattr(value, "tolist") else value  # NumPy array or scalar
        if plain is not value and isinstance(plain, list):
            if all(isinstance(item, (int, float)) for item in plain):
                return " ".join(f"{number:.10g}" for number in plain)
            plain = repr(plain)
        value = plain if isinstance(plain, str) else repr(plain)
    text = escape_unprintable(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def quoted(text: str) -> str:
    """Return text in single quotes; in double quotes if it contains single ones."""
    quote = '"' if "'" in text and '"' not in text else "'"
    return f"{quote}{text}{quote}"


def escape_unprintable(text: str) -> str:
    r"""Escape the characters that cannot be printed.

    File and class names may contain line breaks and terminal control sequences; in a message these
    must not have an effect.

    Args:
        text: Any text.

    Returns:
        The text with `\n`, `\x1b` and so on for each unprintable character. Spaces of every kind
        are kept.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or category(character) == "Zs"
        else ascii(character)[1:-1]
        for character in text
    )


def is_text(name: str) -> bool:
    """Return whether a name is valid text. Lone surrogates, which JSON can contain, are not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def place_text(file: str, where: int, place: Place) -> str:
    """Return a place as it is shown: `a.xml:4`, `a.xml: object 2`, `a.json: annotation 17`.

    Args:
        file: Path of the file in the dataset, or name of an image or class.
        where: Line number or ID; 0: the whole file; negative: number of a record.
        place: What `where` counts.
    """
    if place == "line":
        if where == 0:
            return file
        return f"{file}:{where}" if where > 0 else f"{file}: object {-where}"
    return f"{file}: {place} {where}" if where >= 0 else f"{file}: {place} no. {-where}"


def shortened_place(name: str) -> str:
    """Return a file or class name, truncated if it is longer than any sensible path."""
    return name if len(name) <= _LONGEST_PLACE else name[:_LONGEST_PLACE] + "…"
