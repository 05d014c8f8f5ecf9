"""HTML and SVG elements whose text cannot break out: lxml escapes it, and odd characters are shown.

Class and file names come from anywhere. They may contain markup, control characters or letters that
are written from right to left; `name` puts them into an element that isolates them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lxml import etree
from lxml.builder import ElementMaker

from regionbatch.findings.text import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Element = Any  # the stubs of lxml have no common type for HTML and SVG
    Child = Any


_LONGEST = 250
"""Longest class or file name in characters; file systems allow as many bytes."""


def _add_text(element: Element, text: str) -> None:
    text = escape_unprintable(text)
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def _add_attributes(element: Element, attributes: Mapping[str, object]) -> None:
    for key, value in attributes.items():
        if value is not None and value is not False:
            element.set(key, "" if value is True else escape_unprintable(str(value)))


def _add_number(element: Element, number: float) -> None:
    _add_text(element, thousands(number))


E: Any = ElementMaker(
    typemap={str: _add_text, dict: _add_attributes, int: _add_number},
)
"""Makes elements: `E.td({"class": "number"}, 12)`. Text is escaped, and so are attributes."""


def name(text: str) -> Element:
    """Return an element with a class or file name, isolated from the text around it."""
    return E.bdi({"class": "name"}, shown(text))


def shown(text: str) -> str:
    """Return a class or file name as the page shows it: printable, without the middle if long.

    Names of one dataset often differ only at their ends, such as files in deep folders.
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
    return escape_unprintable(text)


def thousands(number: float) -> str:
    """Return a number with a comma between thousands."""
    return f"{number:,}"


def with_code(text: str) -> list[Child]:
    """Return text whose parts in backticks are code, as children of an element."""
    parts = text.split("`")
    if not len(parts) % 2:
        return [text]
    return [E.code(part) if at % 2 else part for at, part in enumerate(parts)]


def to_html(elements: Iterable[Element]) -> str:
    """Return elements as HTML."""
    return "".join(
        etree.tostring(element, method="html", encoding="unicode", with_tail=False)
        for element in elements
    )
