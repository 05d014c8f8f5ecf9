"""Parse the XML of label files safely: entities are never expanded, nothing is fetched."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

from lxml import etree

from regionbatch.errors import DatasetError
from regionbatch.files.text import UnreadableError, as_utf8
from regionbatch.findings.text import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from regionbatch.findings import FindingLog

Parsed = TypeVar("Parsed")


_SAFE_SETTINGS: dict[str, Any] = {
    "encoding": "utf-8",  # whatever the file declares: the text is converted to UTF-8 first
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
"""Settings of every parser, for trees and for streams."""
_PARSER = etree.XMLParser(**_SAFE_SETTINGS)
_ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z_:][\w.:-]{0,99};")
"""A reference to an entity, except the five of XML itself."""
_DECLARED = re.compile(rb"\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']", re.IGNORECASE)
"""The encoding that a file declares."""
_AFTER_THE_REASON = re.compile(r",? (?:line \d|(?:use|try|see) xml)", re.IGNORECASE)
"""The text after the reason in a message of libxml2: the place, or advice for programmers."""

_NODE_BYTES = 150
"""Memory for a tag and the text after it. For `<x/>`, that is 30 times its size in the file."""
_ATTRIBUTE_BYTES = 200
"""Memory for an attribute."""
_STREAMED_BYTES = 120
"""Memory for what is collected about one streamed element, with its finding."""
_SPARE_BYTES = 64 * 2**20
_BYTES_PER_BYTE = 8
"""A file may need `_SPARE_BYTES` of memory, plus this many bytes for each of its own."""

_LAST_LINE = 65_000
"""libxml2 stores line numbers in 16 bits; beyond this line they may be off by a few lines."""


class UnsafeXmlError(Exception):
    """The file declares or uses entities."""


class InvalidXmlError(Exception):
    """The file is not well-formed XML, or not of the expected format."""

    def __init__(self, reason: str, line: int = 0) -> None:
        """Keep the reason and the line (0: unknown)."""
        super().__init__(reason)
        self.line = line


def parse_safely(
    data: bytes, root_tag: str, encoding: str | None = None
) -> tuple[etree._Element, bool]:
    """Parse an XML file into a tree.

    Args:
        data: The bytes of the file.
        root_tag: The expected name of the root element.
        encoding: The codec that the user chose; see `as_utf8`.

    Returns:
        The root element, without namespaces; and whether the encoding is a guess.

    Raises:
        UndecodableError: The bytes do not match their byte-order mark or the chosen encoding.
        UnsafeXmlError: The file declares or uses entities.
        InvalidXmlError: The file is not well-formed, too dense, or has another root element.
    """
    data, is_guess = _decoded(data, encoding)
    memory = data.count(b"<") * _NODE_BYTES + data.count(b"=") * _ATTRIBUTE_BYTES
    _reject_dense(data, memory)
    with _errors_of_parser(data):
        root = etree.fromstring(data, _PARSER)
    if b"<!" in data:
        _reject_entities(root, data)
    if b"xmlns" in data:
        _strip_namespaces(root)
    _reject_other_root(root, root_tag)
    return root, is_guess


def stream_safely(
    data: bytes,
    root_tag: str,
    encoding: str | None,
    end: Callable[[etree._Element, etree._Element], None],
) -> bool:
    """Parse an XML file element by element; the memory does not grow with the number of elements.

    Args:
        data: The bytes of the file.
        root_tag: The expected name of the root element.
        encoding: The codec that the user chose; see `as_utf8`.
        end: Called with each element below the root at its end tag, and with its parent. The tag
            may have a namespace. The children of the element have been removed. What it collects is
            valid only if no error is raised.

    Returns:
        Whether the encoding is a guess.

    Raises:
        UndecodableError, UnsafeXmlError, InvalidXmlError: See `parse_safely`.
    """
    data, is_guess = _decoded(data, encoding)
    if not data:
        raise InvalidXmlError("Document is empty", 1)  # as libxml2 words it for a tree
    _reject_dense(data, data.count(b"<") * _STREAMED_BYTES)
    root = _stream(data, end)
    if b"<!" in data:
        _reject_entities(root, data)
    _reject_other_root(root, root_tag)
    return is_guess


def _stream(data: bytes, end: Callable[[etree._Element, etree._Element], None]) -> etree._Element:
    """Call a function for each element below the root; return the root, without its content."""
    events = etree.iterparse(BytesIO(data), **_SAFE_SETTINGS)
    with _errors_of_parser(data, events):
        for _, element in events:
            parent = element.getparent()
            if parent is None:
                continue
            end(element, parent)
            element.clear()
            # Only the last child is kept: the parser still needs it.
            if (previous := element.getprevious()) is not None:
                parent.remove(previous)
    if events.root is None:
        raise InvalidXmlError("no root element")
    return events.root


def local_name(element: etree._Element) -> str:
    """Return the tag of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def reported(log: FindingLog, file: str, parse: Callable[[], Parsed]) -> Parsed | None:
    """Call a function that parses a file; if it fails, report the error and return None.

    A file that cannot be read counts as one image.
    """
    try:
        return parse()
    except UnsafeXmlError as error:
        log.note("unsafe_xml", file, str(error))
    except InvalidXmlError as error:
        log.note("unreadable_file", file, str(error), error.line)
    except UnreadableError as error:
        log.note("unreadable_file", file, str(error))
    log.read(images=1)
    return None


def nothing_readable(source: str, log: FindingLog) -> DatasetError:
    """Return the error for a dataset in which no XML file can be read.

    Args:
        source: The path that the user gave.
        log: Where the files were reported; the error repeats the first of these findings.
    """
    failed = ("unreadable_file", "unsafe_xml")
    first = next(finding for finding in log.findings() if finding.code in failed)
    return DatasetError(
        f"{source}: no XML file can be read. "
        f"First problem: {first.place}: {quoted(first.value)}. "
        "Repair or replace the files.",
        place=first.place,
        value=first.value,
    )


def line_of(element: etree._Element) -> int:
    """Return the line of an element; 0: unknown."""
    line = element.sourceline or 0
    return line if line < _LAST_LINE else 0


def places_of(lines: Sequence[int]) -> list[int]:
    """Return the lines of elements, or their numbers as negative ones (the first is -1).

    Lines do not identify elements that share one, and are unknown (0) near the end of a large file.
    """
    distinct = set(lines)
    if len(distinct) == len(lines) and 0 not in distinct:
        return [*lines]
    count_of = Counter(lines)
    places = []
    for number, line in enumerate(lines, 1):
        is_unique = line > 0 and count_of[line] == 1
        places.append(line if is_unique else -number)
    return places


def _decoded(data: bytes, encoding: str | None) -> tuple[bytes, bool]:
    """Return a file as UTF-8, and whether its encoding is a guess."""
    declared = _DECLARED.match(data)
    declared_encoding = declared[1].decode("ascii", "replace") if declared else None
    return as_utf8(data, encoding, declared_encoding)


def _reject_dense(data: bytes, memory: int) -> None:
    if memory > _SPARE_BYTES + _BYTES_PER_BYTE * len(data):
        raise InvalidXmlError("too many elements for the size of the file")


def _reject_other_root(root: etree._Element, root_tag: str) -> None:
    if local_name(root) != root_tag:
        line = root.sourceline or 0
        raise InvalidXmlError(f"the root element is <{local_name(root)}>, not <{root_tag}>", line)


@contextmanager
def _errors_of_parser(
    data: bytes, events: etree.iterparse[tuple[str, etree._Element]] | None = None
) -> Iterator[None]:
    """Turn errors of lxml into our own.

    Args:
        data: The bytes of the file.
        events: The parser, if the file is streamed. After an undefined entity libxml2 continues,
            and lxml raises only "no element found" at the end; the log of the parser has the error.
    """
    try:
        yield
    except etree.XMLSyntaxError as error:
        message, line = error.msg, error.lineno or 0
        if not line and events is not None:
            for logged in events.error_log.filter_from_errors():
                message, line = logged.message, logged.line
        reason = _AFTER_THE_REASON.split(str(message or "not XML"))[0].strip()
        if b"<!ENTITY" in data:  # libxml2's own limit on entities stopped it
            raise UnsafeXmlError(reason) from error
        raise InvalidXmlError(reason, line) from error


def _reject_entities(root: etree._Element, data: bytes) -> None:
    """Raise an error if a file declares or uses entities.

    Without a DOCTYPE there are none. With one, entities of an external DTD stay unexpanded in the
    tree; only in attributes does the parser remove them, so the text itself is searched too.
    """
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is None:
        return
    if next(iter(dtd.iterentities()), None) is not None:
        raise UnsafeXmlError("<!ENTITY>")
    if (used := next(root.iter(etree.Entity), None)) is not None:
        raise UnsafeXmlError(str(used.text))
    if found := _ENTITY.search(data):
        raise UnsafeXmlError(found[0].decode("ascii", "replace"))


def _strip_namespaces(root: etree._Element) -> None:
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
