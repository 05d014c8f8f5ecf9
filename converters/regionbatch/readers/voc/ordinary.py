"""Recognise the ordinary layout of Pascal VOC files and take its values, without an XML parser.

It is the layout of the devkit and of most tools: a few known elements in any order, each at most
once, without attributes, and boxes of four plain numbers. The expressions below are its grammar.
A file with anything else (a comment, an entity, another element, an unusual number) does not match;
then lxml parses it. Where a file matches, the result is that of lxml, in a fifth of its time.

The expressions take linear time: no two alternatives start alike, and the repeats that match single
characters are possessive. Repeated groups are not: with captures inside, Python 3.11 gets those
wrong.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from regionbatch.files.text import is_utf8
from regionbatch.readers.voc.header import devkit_in_path, devkit_in_source, size_in
from regionbatch.readers.voc.objects import is_true

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

MAX_SIZE = 65_000
"""Maximum bytes of a file, which then has fewer lines than lxml can count and fewer elements than a
file may have."""

_CUT = b"\0"
"""Takes the place of an <object>. It is allowed between the elements of <annotation> only."""
_SPACE = r"[ \t\n]*+"
_TEXT = r"[^<>&\x00-\x08\x0b-\x1f]*+"
_NUMBER = r"-?[0-9]++(?:\.[0-9]++)?"


def _element(tag: str, content: str) -> str:
    return f"<{tag}>{content}</{tag}>"


def _any_of(elements: Iterable[str], space: str = _SPACE) -> str:
    """Return an expression for one of several elements, and the whitespace after it."""
    return f"(?:(?:{'|'.join(elements)}){space})"


def _leaves(*tags: str) -> str:
    """Return an expression for any number of elements with text."""
    return f"{_any_of(_element(tag, _TEXT) for tag in tags)}*"


def _once(group: int, content: str) -> str:
    """Return an expression for a group that captures its content, and matches at most once."""
    return f"(?({group})(?!)|({content}))"


_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_PART_BOX = _element("bndbox", f"{_SPACE}{_leaves(*_CORNERS)}")
_PART = _element("part", f"{_SPACE}{_element('name', _TEXT)}{_SPACE}{_PART_BOX}{_SPACE}")
_FLAGS = ("truncated", "difficult", "occluded")
_REST = _any_of([*(_element(tag, _TEXT) for tag in ("pose", *_FLAGS)), _PART])
_FOUR_CORNERS = _any_of(
    _element(corner, _once(group, _NUMBER)) for group, corner in enumerate(_CORNERS, 4)
)
_OBJECT = re.compile(
    (
        rf"(<object>{_SPACE}<name>{_SPACE}([^<>&\x00-\x20]{_TEXT})</name>{_SPACE}({_REST}*)"
        rf"<bndbox>{_SPACE}{_FOUR_CORNERS}{{4}}</bndbox>{_SPACE}({_REST}*)</object>)"
    ).encode()
)
"""Captures the object, its name, the elements before the box, its corners, and those after it."""

_SOURCE = _SPACE + _leaves("database", "annotation", "image", "flickrid")
_SIZE = _SPACE + _leaves("width", "height", "depth")
_OWNER = _element("owner", _SPACE + _leaves("flickrid", "name"))
_CAPTURED = {"folder": _TEXT, "filename": _TEXT, "path": _TEXT, "source": _SOURCE, "size": _SIZE}
_TOP_SPACE = r"[ \t\n\x00]*+"
_TOP = _any_of(
    [
        *(
            _element(tag, _once(group, content))
            for group, (tag, content) in enumerate(_CAPTURED.items(), 1)
        ),
        _element("segmented", _TEXT),
        _OWNER,
    ],
    _TOP_SPACE,
)
_DECLARATION = (
    r"""<\?xml version=(?:"1\.0"|'1\.0')(?: encoding=(?:"(?:utf|UTF)-8"|'(?:utf|UTF)-8'))?"""
    rf""" ?\?>{_SPACE}"""
)
_FILE = re.compile(
    (
        rf'(?:{_DECLARATION})?<annotation(?: verified="(?:yes|no)")?>{_TOP_SPACE}{_TOP}*'
        rf"</annotation>{_SPACE}"
    ).encode()
)
"""A file without its objects. Captures the content of each element in `_CAPTURED`."""

_FLAG = re.compile(f"<({'|'.join(_FLAGS)})>({_TEXT})<".encode())
_LEAF = re.compile(f"<([a-z]+)>({_TEXT})<".encode())


_STEP = _OBJECT.groups + 1
"""Pieces for each object: the text before it, and what `_OBJECT` captures."""


class OrdinaryContent(NamedTuple):
    """The values in consecutive files, as columns of files and of their boxes."""

    file_names: list[str]
    sizes: list[tuple[int, int]]
    devkits: list[int]
    counts: list[int]
    """The number of boxes in each file."""
    where: NDArray[np.int64]
    """The place of each box; see `safe_xml.places_of`."""
    names: list[str]
    numbers: NDArray[np.float64]
    """(k, 4), the four numbers of each box."""
    marks: list[tuple[str, ...]]


class OrdinaryFiles:
    """Consecutive files of the ordinary layout. Each is taken apart, and all are read at once."""

    def __init__(self) -> None:
        """Start without files."""
        self._headers: list[tuple[bytes, ...]] = []
        self._counts: list[int] = []
        self._pieces: list[bytes] = []
        """`_STEP` pieces for each object of all files."""

    def add(self, data: bytes, encoding: str | None = None) -> bool:
        """Add a file if it has the ordinary layout, and return whether it does.

        Args:
            data: The bytes of the file.
            encoding: The codec that the user chose. It may apply to text that is not ASCII.
        """
        if len(data) > MAX_SIZE or _CUT in data:
            return False
        if not data.isascii() and (encoding or b"\xef\xbf" in data or not is_utf8(data)):
            return False  # U+FFFE and U+FFFF, which XML does not allow, start with these bytes
        pieces = _OBJECT.split(data.replace(b"\r\n", b"\n") if b"\r" in data else data)
        found = _FILE.fullmatch(_CUT.join(pieces[::_STEP]))
        if found is None:
            return False
        self._headers.append(found.groups(b""))
        self._counts.append(len(pieces) // _STEP)
        pieces.pop()  # the text after the last object
        self._pieces += pieces
        return True

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._counts)

    def content(self) -> OrdinaryContent:
        """Return the values in all files; there is at least one."""
        folders, file_names, paths, sources, sizes = zip(*self._headers, strict=True)
        columns = [self._pieces[piece::_STEP] for piece in range(_STEP)]
        texts, objects, names, before, *corners, after = columns
        name_of = {name: name.decode().strip(" \t\n") for name in {*names}}
        devkit_of_paths = (map(_devkit_of_path, texts) for texts in (folders, paths))
        return OrdinaryContent(
            [name.decode().strip() for name in file_names],
            [*map(_size_of, sizes)],
            [*map(max, map(_devkit_of_source, sources), *devkit_of_paths)],
            self._counts,
            _places(texts, objects, self._counts),
            [*map(name_of.__getitem__, names)],
            np.stack([_floats(corner) for corner in corners], axis=1),
            [*map(_marks_of, before, after)],
        )


_decode_floats = msgspec.json.Decoder(list[float]).decode


def _floats(numbers: Sequence[bytes]) -> NDArray[np.float64]:
    """Return the values of numbers, in a third of the time of `float`."""
    values: Iterable[float] = map(float, numbers)
    joined = b",".join(numbers)
    if b"-" not in joined:  # the decoder takes -0 for 0
        with suppress(msgspec.DecodeError):  # zeros at the start, or hundreds of digits
            values = _decode_floats(b"[%b]" % joined)
    return np.fromiter(values, np.float64, len(numbers))


def _places(
    texts: Sequence[bytes], objects: Sequence[bytes], counts: Sequence[int]
) -> NDArray[np.int64]:
    """Return the line of each object or, if its file has several there, minus its number.

    Args:
        texts: The text between each object and the previous one in its file.
        objects: The text of each object.
        counts: The number of objects in each file.
    """
    count = len(objects)
    inside = np.fromiter(map(bytes.count, objects, repeat(b"\n")), np.int64, count)
    before = np.fromiter(map(bytes.count, texts, repeat(b"\n")), np.int64, count)
    lines = before.copy()  # since the start of the previous object
    lines[1:] += inside[:-1]
    line = np.cumsum(lines)  # across all files
    in_file = np.array(counts)
    first = np.repeat(np.cumsum(in_file) - in_file, in_file)
    line += 1 + (before - line)[first]
    number = np.arange(count) - first
    is_shared = (lines == 0) & (number > 0)
    is_shared[:-1] |= is_shared[1:].copy()
    return np.where(is_shared, -1 - number, line)


def _leaves_in(content: bytes) -> list[tuple[str, str]]:
    return [(tag.decode(), text.decode()) for tag, text in _LEAF.findall(content)]


# The same texts occur in many files.


@lru_cache(4096)
def _marks_of(before: bytes, after: bytes) -> tuple[str, ...]:
    """Return the marks that an object sets, in order."""
    flags = _FLAG.findall(before + after)
    return tuple(
        {tag.decode(): None for tag, text in flags if is_true(text.decode().strip(" \t\n"))}
    )


@lru_cache(4096)
def _size_of(content: bytes) -> tuple[int, int]:
    return size_in(_leaves_in(content))


@lru_cache(4096)
def _devkit_of_source(content: bytes) -> int:
    return devkit_in_source(*_leaves_in(content))


@lru_cache(4096)
def _devkit_of_path(text: bytes) -> int:
    return devkit_in_path(text.decode())
