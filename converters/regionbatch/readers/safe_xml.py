"""XML of label files, parsed safely: entities are never expanded and nothing is fetched."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from lxml import etree

from regionbatch.files.text import UnreadableError, as_utf8, report_guess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog


def _safe_parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",  # whatever the file declares: what is parsed was made UTF-8
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


_PARSER = _safe_parser()
_ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z_:][\w.:-]{0,99};")
"""An entity that is not one of XML's own."""
_DECLARED = re.compile(rb"\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']", re.IGNORECASE)
"""The encoding that a file declares."""
_AFTER_THE_REASON = re.compile(r",? (?:line \d|(?:use|try|see) xml)", re.IGNORECASE)
"""Where a message of the parser continues with its place, which we report ourselves, or with advice to programmers."""

_NODE, _ATTRIBUTE = 150, 200
"""Bytes of memory for a tag with what follows it, and for an attribute: of `<x/>`, 30 times its own bytes."""
_SPARE, _TIMES = 64 * 2**20, 16
"""What a file may need: so many bytes, and so many times its own."""

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


def safe_root(data: bytes, name: str, encoding: str | None = None) -> tuple[etree._Element, bool]:
    """Parse a file.

    Args:
        data: The bytes of the file.
        name: What its root element must be called.
        encoding: The codec that the user names; see `as_utf8`.

    Returns:
        The root element, without namespaces; and whether its encoding is a guess.

    Raises:
        UndecodableError: It is not in the encoding that its mark or the user says.
        UnsafeError: It declares or uses entities.
        BrokenError: It is not XML, or its root element is another.
    """
    declared = _DECLARED.match(data)
    data, guessed = as_utf8(data, encoding, declared[1].decode("ascii", "replace") if declared else None)
    if data.count(b"<") * _NODE + data.count(b"=") * _ATTRIBUTE > _SPARE + _TIMES * len(data):
        raise BrokenError("too many elements for its size")
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        broken = BrokenError(*_reason(error))
        if b"<!ENTITY" in data:  # the parser's own limit on entities stopped it
            raise UnsafeError(str(broken)) from error
        raise broken from error
    if b"<!" in data:
        _refuse_entities(root, data)
    if b"xmlns" in data:
        _forget_namespaces(root)
    if root.tag != name:
        raise BrokenError(f"<{root.tag!s}> where <{name}> is needed", root.sourceline or 0)
    return root, guessed


def read_root(tree: Tree, file: str, name: str, log: FindingLog) -> etree._Element | None:
    """Read a file and return its root element, which must be called `name`; None: it cannot be read, and is reported.

    A file that cannot be read counts as one image.
    """
    try:
        root, guessed = safe_root(tree.read(file), name, tree.encoding)
    except UnsafeError as error:
        log.note("unsafe_xml", file, str(error))
    except BrokenError as error:
        log.note("unreadable_file", file, str(error), error.line)
    except UnreadableError as error:
        log.note("unreadable_file", file, str(error))
    else:
        if guessed:
            report_guess(log, file, _texts_of(root))
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


def _texts_of(root: etree._Element) -> Iterator[str]:
    for element in root.iter():
        yield from filter(None, (element.text, *element.attrib.values()))


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
    if found := _ENTITY.search(data):
        raise UnsafeError(found[0].decode("ascii", "replace"))


def _forget_namespaces(root: etree._Element) -> None:
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
