"""The arrays of a large JSON document, a piece at a time, so that memory is bounded by a piece and not by the file.

A piece is cut where a record seems to end, and is decoded as an array of its own. The text before it is a whole number
of records, so if the piece decodes, the cut was right: JSON has one reading from left to right. If not, the place is
found by counting brackets outside strings. So a `},{` in a string or a nested array costs time, never a record.

Of a large document, a helper decodes what stands behind some `},{` in the middle meanwhile. What it made counts only if
the pieces before it end exactly there.
"""

from __future__ import annotations

import codecs
import json
import mmap
import os
import re
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from regionbatch.errors import DatasetError
from regionbatch.files.text import as_utf8
from regionbatch.readers.helper import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from io import FileIO

PIECE = 2**19
"""Bytes decoded at a time."""

LARGEST_RECORD = 2**24
"""Bytes. One annotation with its polygons has no reason to be larger."""

NESTED = "[…]"
"""What an array or an object that nobody reads is told as."""

HELPED = 2**26
"""Bytes of a document from which on a helper is worth its start."""

_START = 3 * 2**24
"""Bytes that are decoded here until a helper has started."""

_LONG_LINE = 200
"""Bytes. Further on in a line, a place has the column too: many files are one line."""

_MOST_DIGITS = 100
"""Of a whole number that is kept exactly, as long ids need; longer ones are no ids, and slow to convert."""

_BLANK = re.compile(rb"[ \t\r\n]*+")
_PADDING = re.compile(rb"[ \t\r\n\0]*+")
_KEY = re.compile(rb'"((?:[^"\\]|\\.){0,200}+)"[ \t\r\n]*+:[ \t\r\n]*+')
_CUT = re.compile(rb"}[ \t\r\n]*+,[ \t\r\n]*+{")
_END = re.compile(rb"}[ \t\r\n]*+\][ \t\r\n]*+(?:,[ \t\r\n]*+\"|})")
_SCALAR = re.compile(rb"[-+.\w]{1,40}")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)  # a string without end goes to the end


class Kind(NamedTuple):
    """The records of an array."""

    record: type[msgspec.Struct]
    """What each is decoded as."""
    gather: Callable[[list[Any]], Any] = list
    """What the records of a piece are turned into at once, as columns: a function of a module."""


class Piece(NamedTuple):
    """Some records of one array, in order: typed, or as plain Python values where the types do not fit."""

    key: str
    done: int
    """The byte of the document that this piece ends at."""
    records: int
    """How many."""
    typed: Any
    """What `Kind.gather` made of them; None: the types do not fit."""
    plain: list[Any]
    last: bool = False
    """Whether the array ends here."""


@contextmanager
def document(path: Path, name: str = "") -> Iterator[tuple[FileIO, mmap.mmap]]:
    """A JSON file as UTF-8 bytes, opened and mapped but not loaded. UTF-16 becomes UTF-8 in a temporary file.

    Args:
        path: The file on disk.
        name: The place that errors name; empty: the name of the file.

    Raises:
        DatasetError: It is empty, or the system refuses.
    """
    with ExitStack() as stack:
        try:
            opened = _opened(path, name or path.name, stack)
        except OSError as error:
            what = f"cannot be read, got {error.strerror or error}; check its permissions"
            raise DatasetError(f"{path}: {what}", place=name or path.name) from error
        yield opened


def _opened(path: Path, name: str, stack: ExitStack) -> tuple[FileIO, mmap.mmap]:
    file = stack.enter_context(path.open("rb", buffering=0))
    if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
        import tempfile  # noqa: PLC0415 - only for UTF-16

        utf_16, file = file, stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the stack's
        utf_16.seek(0)
        for text in codecs.iterdecode(iter(lambda: utf_16.read(PIECE), b""), "utf-16", "replace"):
            file.write(text.encode())
    if os.fstat(file.fileno()).st_size == 0:
        raise DatasetError(f"{path}: the file is empty; it may not have been written to its end", place=name)
    return file, stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


class Pieces:
    """Walks the top level of a JSON object and yields pieces of the arrays that are wanted, in file order."""

    def __init__(
        self,
        opened: tuple[FileIO, mmap.mmap],
        name: str,
        wanted: Mapping[str, Kind],
        size: int = PIECE,
        *,
        longest: str = "",
    ) -> None:
        """`opened` is what `document` gives; `name` is for messages.

        `wanted` are the kinds of records by the keys of their arrays, and `longest` the key that has most of a large
        document: with it, a helper is asked for.
        """
        self._file, self._text = opened
        self._name, self._size = name, min(size, len(self._text))
        self._wanted = wanted
        self._decoders: dict[str, Callable[[memoryview], list[Any]]] = {
            key: msgspec.json.Decoder(list[kind.record]).decode  # type: ignore[name-defined]
            for key, kind in wanted.items()
        }
        self._longest = longest
        self._helped = sys.maxsize
        """The byte that the first record of a helper begins at; beyond all: none is there, or it has been heard."""
        self._forgotten = 0
        self.scalars: dict[str, str] = {}
        """The keys met at the top level so far, with the beginning of what stands there, or `NESTED`."""
        self.guessed_encoding = False
        """Whether a piece was not UTF-8 and was read as cp1252."""

    def __iter__(self) -> Iterator[Piece]:
        """The pieces.

        Raises:
            DatasetError: The document is not a JSON object, is cut off, has something behind it, or a wanted key
                stands in it twice or is no array.
        """
        try:
            with self._helper() as helper:
                yield from self._walk(helper)
        except RecursionError as error:
            raise DatasetError(
                f"{self._name}: brackets are nested too deep to be annotations; check what wrote the file",
                place=self._name,
            ) from error

    def _helper(self) -> Helper[Piece] | nullcontext[None]:
        """Decodes the second half meanwhile, if that is worth it."""
        path, size = self._file.name, len(self._text)
        middle = (size + _START) // 2
        far = self._longest and size >= HELPED and isinstance(path, str)  # what was UTF-16 has no name
        cut = _CUT.search(self._text, middle, middle + LARGEST_RECORD) if far else None
        if not cut:
            return nullcontext()
        self._helped = cut.end() - 1
        kind = self._wanted[self._longest]
        return Helper(_from_middle, Path(path), _state(self._file), self._longest, kind, self._helped, self._size)

    def _walk(self, helper: Helper[Piece] | None) -> Iterator[Piece]:
        at = self._blank(3 if self._text[:3] == b"\xef\xbb\xbf" else 0)
        if self._text[at : at + 1] != b"{":
            raise self._broken(at, "a JSON object is needed")
        at = self._blank(at + 1)
        while self._text[at : at + 1] != b"}":
            found = _KEY.match(self._text, at)
            if not found:
                raise self._broken(at, 'a key as "annotations": is needed')
            key, at = _unescaped(found[1]), found.end()
            if key in self.scalars and key in self._decoders:
                raise self._broken(found.start(), f"{key} stands here a second time; keep one")
            self.scalars[key] = ""
            if key in self._decoders and self._text[at : at + 1] == b"[":
                for piece in self.array(key, at + 1, helper):
                    yield piece
                    at = piece.done
            else:
                at = self._other(key, at)
            at = self._blank(at)
            if self._text[at : at + 1] == b",":
                at = self._blank(at + 1)
            elif self._text[at : at + 1] != b"}":
                raise self._broken(at, "a comma or the closing } is needed")
        self._check_end(at + 1)

    def _other(self, key: str, at: int) -> int:
        """The byte behind a value that is no array of ours, of which a short one is kept."""
        end = self._skip(at)
        self.scalars[key] = NESTED
        if self._text[at] not in b"[{":
            self.scalars[key] = self._text[at : min(end, at + 80)].decode("utf-8", "replace").strip('"')
        if key in self._decoders and self.scalars[key] != "null":
            raise self._broken(at, f"{key} must be an array")
        return end

    def _check_end(self, at: int) -> None:
        behind = _PADDING.match(self._text, at)
        if behind and behind.end() < len(self._text):
            raise self._broken(behind.end(), "there is more behind the end of the JSON")

    def array(self, key: str, at: int, helper: Helper[Piece] | None = None) -> Iterator[Piece]:
        """The pieces of an array, from the beginning of a record on; the last one's `done` is behind its bracket.

        Raises:
            DatasetError: As iterating does.
        """
        decode, gather, last = self._decoders[key], self._wanted[key].gather, False
        buffer = bytearray(b"[") + bytearray(self._size + 1)  # `[`, records, `]`
        while not last:
            filled = self._fill(buffer, at)
            end, plain = _last_cut(buffer, filled) - 1, []
            typed = _typed(decode, buffer, end) if end > 0 else None
            if typed is None and (found := _END.search(buffer, 1, filled)):
                end = found.start()  # behind `[` and up to the last record's `}`
                del found  # it holds the buffer
                typed = _typed(decode, buffer, end)
                last = typed is not None
            if typed is None:
                end, last = self._count_brackets(at)
                records = bytearray(b"[" + self._text[at : at + end] + b"]")
                typed = _typed(decode, records, end)
                plain = self._plain(records, at) if typed is None else []
            at = self._text.find(b"]" if last else b",", at + end) + 1
            self._forget(at)
            if typed is None:
                yield Piece(key, at, len(plain), None, plain, last)
            else:
                yield Piece(key, at, len(typed), gather(typed), [], last)
            if (following := self._blank(at)) >= self._helped:
                reached = key == self._longest and following == self._helped
                self._helped = sys.maxsize
                for piece in (helper.items() if helper and reached else None) or ():
                    yield piece
                    at, last = piece.done, piece.last

    def _fill(self, buffer: bytearray, at: int) -> int:
        """Read the document from `at` on behind the first byte of `buffer`; where it is filled to.

        Of what a helper decodes, no more than the first bracket.
        """
        # Read, not copied out of the map: touching each page of that costs more than the parsing saves.
        self._file.seek(at)
        with memoryview(buffer) as view, view[1:-1] as room, room[: self._helped + 1 - at] as rest:
            return 1 + (self._file.readinto(rest) or 0)

    def _plain(self, records: bytearray, at: int) -> list[Any]:
        """Records that the types do not fit (NaN, ids as text, a bbox of three numbers), by Python's own parser."""
        text, guessed = as_utf8(bytes(records))
        self.guessed_encoding |= guessed
        try:
            values = json.loads(text, strict=False, parse_int=_whole)
        except ValueError as error:
            place = at + len(text.decode()[: getattr(error, "pos", 1)].encode()) - 1
            raise self._broken(place, f"JSON that cannot be read ({getattr(error, 'msg', error)})") from error
        return list(values)

    def _count_brackets(self, start: int) -> tuple[int, bool]:
        """How many bytes of whole records begin at `start`, as many as a piece may hold; and whether the array ends."""
        depth, whole, limit = 0, 0, min(start + self._size, self._helped)
        for token in _TOKEN.finditer(self._text, start):
            sign = self._text[token.start()]
            if sign in b"[{":
                depth += 1
            elif sign in b"]}":
                depth -= 1
            if depth < 0:
                return token.start() - start, True
            if depth == 0 and self._text[(after := self._blank(token.end())) : after + 1] == b",":
                if whole and token.end() > limit:
                    break
                whole = token.end() - start
            if token.end() - start > LARGEST_RECORD and not whole:
                raise self._broken(
                    start, f"a record is larger than {LARGEST_RECORD >> 20} MiB; check what wrote the file"
                )
        if not whole:
            raise self._broken(len(self._text), "the file ends in the middle of an array; it is cut off")
        return whole, False

    def _skip(self, at: int) -> int:
        """The byte behind a value that nobody wants."""
        if self._text[at : at + 1] not in (b"{", b"[", b'"'):
            scalar = _SCALAR.match(self._text, at)
            if not scalar:
                raise self._broken(at, "a value is needed")
            return scalar.end()
        depth = 0
        for token in _TOKEN.finditer(self._text, at):
            sign = self._text[token.start()]
            depth += (sign in b"[{") - (sign in b"]}")
            if depth == 0:
                self._forget(token.end())
                return token.end()
        raise self._broken(len(self._text), "the file ends in the middle of a value; it is cut off")

    def _blank(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return found.end() if found else at

    def _forget(self, end: int) -> None:
        """Let the system take back the pages already read; they would count as this process's memory."""
        whole = end // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        if hasattr(self._text, "madvise") and whole > self._forgotten:
            self._text.madvise(mmap.MADV_DONTNEED, self._forgotten, whole - self._forgotten)
            self._forgotten = whole

    def _broken(self, at: int, what: str) -> DatasetError:
        line = 1 + sum(self._text[start : min(start + PIECE, at)].count(b"\n") for start in range(0, at, PIECE))
        column = at - self._text.rfind(b"\n", 0, at)
        place = f"{self._name}:{line}:{column}" if column > _LONG_LINE else f"{self._name}:{line}"
        near = self._text[at : at + 30].decode("utf-8", "replace").strip() or "the end of the file"
        return DatasetError(f"{place}: {what}, got {near!a}; repair the file or export it again", place=place)


def _from_middle(path: Path, state: tuple[int, ...], key: str, kind: Kind, at: int, size: int) -> Iterator[Piece]:
    """What a helper does: the pieces from a record in the middle of an array on, as far as they are typed."""
    with document(path) as opened:
        if _state(opened[0]) == state:  # or else another file has this name now
            pieces = Pieces(opened, path.name, {key: kind}, size)
            yield from takewhile(lambda piece: piece.typed is not None, pieces.array(key, at))


def _state(file: FileIO) -> tuple[int, ...]:
    """What tells one file, as it is now, from others."""
    stat = os.fstat(file.fileno())
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _typed(decode: Callable[[memoryview], list[Any]], buffer: bytearray, end: int) -> list[Any] | None:
    """The records in the first `end` bytes behind the bracket that `buffer` begins with; None: they do not fit."""
    comma, buffer[end + 1] = buffer[end + 1], ord("]")
    with memoryview(buffer) as view, view[: end + 2] as records:
        try:
            return decode(records)
        except (msgspec.DecodeError, UnicodeDecodeError):
            buffer[end + 1] = comma  # it may stand in a string, which is decoded again from here
            return None


def _last_cut(buffer: bytearray, filled: int) -> int:
    """Where the last record of what is filled seems to end, behind a `}` that `,{` follows; 0: nowhere."""
    end = filled
    for _ in range(100):  # objects inside the last, incomplete record
        end = buffer.rfind(b"}", 0, end)
        if end < 0:
            break
        if _CUT.match(buffer, end, filled):
            return end + 1
    return 0


def _unescaped(key: bytes) -> str:
    """A key as it is meant: JSON may write any letter of it as a number."""
    try:
        return str(json.loads(b'"' + key + b'"', strict=False))
    except ValueError:
        return key.decode("utf-8", "replace")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < _MOST_DIGITS else float(digits)
