"""XML of label files, parsed safely: entities are never expanded and nothing is fetched."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from lxml import etree

from regionbatch.files.text import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog


def _safe_parser(encoding: str | None = None) -> etree.XMLParser:
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


_PARSER, _UTF8, _CP1252 = _safe_parser(), _safe_parser("utf-8"), _safe_parser("cp1252")
_ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z_:][\w.:-]{0,99};")
"""An entity that is not one of XML's own."""
_LATIN = re.compile(
    rb"\s*<\?xml[^>]*encoding\s*=\s*[\"'](?:iso-?8859-?15?|latin-?1|(?:windows-|cp)1252)[\"']", re.IGNORECASE
)
"""A declaration that any bytes obey. Text that is UTF-8 as well is that: by chance, no word with an umlaut is."""
_AFTER_THE_REASON = re.compile(r",? (?:line \d|(?:use|try|see) xml)", re.IGNORECASE)
"""Where a message of the parser continues with its place, which we report ourselves, or with advice to programmers."""

_LAST_LINE = 65_000
"""The parser keeps lines as 16-bit numbers; what it says of elements further down may be wrong by some lines."""


class UnsafeError(Exception):
    """The file declares or uses entities."""


class BrokenError(Exception):
    """The file is not XML, or not of the format."""

    def __init__(self, what: str, line: int = 0) -> None:
        """Keep what is wrong, and the line; 0: unknown."""
        super().__init__(what)
        self.line = line


def safe_root(data: bytes, name: str) -> tuple[etree._Element, bool]:
    """Parse a file.

    Args:
        data: The bytes of the file.
        name: What its root element must be called.

    Returns:
        The root element, without namespaces; and whether the text was read as cp1252 because it is not UTF-8.

    Raises:
        UnsafeError: It declares or uses entities.
        BrokenError: It is not XML, or its root element is another.
    """
    try:
        root, guessed = _root(data)
    except BrokenError as error:
        if b"<!ENTITY" in data:  # the parser's own limit on entities stopped it
            raise UnsafeError(str(error)) from error
        raise
    # A DOCTYPE begins with these two letters, but in encodings that make something else of them.
    if b"<!" in data or not data.startswith(b"<" + name.encode()):
        _refuse_entities(root, data)
    # In UTF-16, and where a file does not begin with this character, the word is written with other bytes.
    if b"xmlns" in data or b"\0" in data or not data.startswith((b"<", b"\xef\xbb\xbf<")):
        _forget_namespaces(root)
    if root.tag != name:
        raise BrokenError(f"<{root.tag!s}> where <{name}> is needed", root.sourceline or 0)
    return root, guessed


def read_root(tree: Tree, file: str, name: str, log: FindingLog) -> etree._Element | None:
    """Read a file and return its root element, which must be called `name`; None: it cannot be read, and is reported.

    A file that cannot be read counts as one image.
    """
    try:
        root, guessed = safe_root(tree.read(file), name)
    except UnsafeError as error:
        log.note("unsafe_xml", file, str(error))
    except BrokenError as error:
        log.note("unreadable_file", file, str(error), error.line)
    except UnreadableError as error:
        log.note("unreadable_file", file, str(error))
    else:
        if guessed:
            log.note("odd_encoding", file)
        return root
    log.read(images=1)
    return None


def line_of(element: etree._Element) -> int:
    """Return the line of an element; 0: unknown."""
    line = element.sourceline or 0
    return line if line < _LAST_LINE else 0


def places_of(elements: Sequence[etree._Element]) -> list[int]:
    """Return the line of each element; else its number as a negative one, from -1 on.

    An element has no line of its own where several begin on one line, and far down in a large file.
    """
    lines = [*map(line_of, elements)]
    often = Counter(lines)
    if len(often) == len(lines) and 0 not in often:
        return lines
    return [line if line and often[line] == 1 else -number for number, line in enumerate(lines, 1)]


def _root(data: bytes) -> tuple[etree._Element, bool]:
    """Return the root as the file declares its encoding; where that fails, as UTF-8 if it is that, else as cp1252."""
    try:
        utf8 = not data.isascii() and _LATIN.match(data) and _is_utf8(data)
        return etree.fromstring(data, _UTF8 if utf8 else _PARSER), False
    except etree.XMLSyntaxError as error:
        first = error
    guessed = not _is_utf8(data)
    if guessed and first.code != etree.ErrorTypes.ERR_INVALID_CHAR and "encod" not in str(first.msg).lower():
        raise BrokenError(*_reason(first))
    try:
        return etree.fromstring(data, _CP1252 if guessed else _UTF8), guessed
    except etree.XMLSyntaxError as error:
        raise BrokenError(*_reason(error)) from first


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _reason(error: etree.XMLSyntaxError) -> tuple[str, int]:
    """Return what the parser says is wrong, and the line."""
    reason = _AFTER_THE_REASON.split(str(error.msg or "not XML"))[0]
    return reason.strip(), error.lineno or 0


def _refuse_entities(root: etree._Element, data: bytes) -> None:
    """Without a DOCTYPE there can be none. With one, what an unread DTD may declare stays in the tree unexpanded.

    In attributes it does not: the parser leaves it out.
    """
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is None:
        return
    if next(iter(dtd.iterentities()), None) is not None:
        raise UnsafeError("<!ENTITY>")
    if (used := next(root.iter(etree.Entity), None)) is not None:
        raise UnsafeError(str(used.text))
    if found := _ENTITY.search(data.replace(b"\0", b"")):
        raise UnsafeError(found[0].decode("ascii", "replace"))


def _forget_namespaces(root: etree._Element) -> None:
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
