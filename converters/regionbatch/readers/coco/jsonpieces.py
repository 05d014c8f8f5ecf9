"""The arrays of a large JSON document, a piece at a time, so that memory is bounded by a piece and not by the file.

A piece is cut where a record seems to end, and is decoded as an array of its own. The text before it is a whole number
of records, so if the piece decodes, the cut was right: JSON has one reading from left to right. If not, the place is
found by counting brackets outside strings. So a `},{` in a string or a nested array costs time, never a record.

Of a large document, a helper decodes what stands behind some `},{` in the middle meanwhile. What it made counts only if
the pieces before it end exactly there.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import nullcontext, suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from regionbatch.errors import DatasetError
from regionbatch.readers.coco.jsonrecords import plain_records, typed_records
from regionbatch.readers.coco.jsontext import PIECE, document
from regionbatch.readers.helper import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from regionbatch.readers.coco.jsontext import JsonText

LARGEST_RECORD = 2**22
"""Bytes. One annotation with its polygons has no reason to be larger, and its Python values may take 20 times that."""

MAX_KEYS = 10_000
"""At the top level of a document; an error from there on. COCO has six."""

MAX_PADDING = 2**16
"""Bytes of whitespace and NUL that may follow the end of a document; an error from there on."""

NESTED = "[…]"
"""What `scalars` has for an array or an object that is not one of ours."""

HELPED = 2**26
"""Bytes of a document from which on a helper is worth its start."""

_START = 3 * 2**24
"""Bytes that are decoded here until a helper has started."""

_PADDING = re.compile(rb"[ \t\r\n\0]*+")
_KEY = re.compile(rb'"((?:[^"\\]|\\.){0,200}+)"')
_LONGEST_KEY = 402
"""Bytes that `_KEY` matches at most."""
_CUT = re.compile(rb"}[ \t\r\n]*+,[ \t\r\n]*+{")
_END = re.compile(rb"}[ \t\r\n]*+\][ \t\r\n]*+(?:,[ \t\r\n]*+\"|})")
_SCALAR = re.compile(rb"[-+.\w]{1,40}")
_SCALARS = re.compile(rb"(?:[ \t\r\n]*+[-+.\w]++[ \t\r\n]*+,)++")
"""Values that are no strings, arrays or objects, in place of records."""


class Kind(NamedTuple):
    """The records of an array."""

    record: type[msgspec.Struct]
    """What each is decoded as."""
    gather: Callable[[list[Any]], Any] = list
    """What the records of a piece are turned into at once, as columns: a function of a module."""
    keys: tuple[bytes, ...] = ()
    """Keys that a record must not have twice; the type requires them, and would take the last one."""
    signs: tuple[tuple[int, int], ...] = ()
    """Bytes and how often they are in `keys`, in none twice. In an array with no more of them than the records need,
    no key is repeated."""
    exact: bool = False
    """Whether numbers of plain records keep their text (`jsonrecords.Written`), since they may be names."""
    largest: int = LARGEST_RECORD
    """Bytes of a record; an error from there on."""


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


class _Records(NamedTuple):
    """Records of an array, before they are a piece."""

    length: int
    """Bytes."""
    last: bool
    typed: list[Any] | None
    plain: list[Any]


class Pieces:
    """Walks the top level of a JSON object and yields pieces of the arrays that are wanted, in file order."""

    def __init__(
        self,
        text: JsonText,
        wanted: Mapping[str, Kind],
        size: int = PIECE,
        *,
        longest: str = "",
    ) -> None:
        """`text` is what `document` gives.

        `wanted` are the kinds of records by the keys of their arrays, and `longest` the key that has most of a large
        document: with it, a helper is asked for.
        """
        self._text, self._name, self._size = text, text.name, min(size, text.size)
        self._wanted = wanted
        self._decoders: dict[str, Callable[[memoryview], list[Any]]] = {
            key: msgspec.json.Decoder(list[kind.record]).decode  # type: ignore[name-defined]
            for key, kind in wanted.items()
        }
        self._longest = longest
        self._helped = sys.maxsize
        """The byte that the first record of a helper begins at; beyond all: none is there, or it has been heard."""
        self.scalars: dict[str, str] = {}
        """The keys met at the top level so far, with the beginning of what stands there, or `NESTED`."""

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
        text, path = self._text, self._text.file.name
        middle = (text.size + _START) // 2
        far = self._longest and text.size >= HELPED and isinstance(path, str)  # what was UTF-16 has no name
        cut = _CUT.search(text.read(middle, PIECE)) if far else None
        if not cut:
            return nullcontext()
        self._helped = middle + cut.end() - 1
        kind = self._wanted[self._longest]
        return Helper(_from_middle, Path(path), text.state, self._longest, kind, self._helped, self._size)

    def _walk(self, helper: Helper[Piece] | None) -> Iterator[Piece]:
        text = self._text
        at = text.blank(3 if text.read(0, 3) == b"\xef\xbb\xbf" else 0)
        if text.byte(at) != b"{":
            raise self._broken(at, "a JSON object is needed")
        at, keys = text.blank(at + 1), 0
        while text.byte(at) != b"}":
            start, keys = at, keys + 1
            key, at = self._key(at)
            if keys > MAX_KEYS:
                raise self._broken(start, f"there are more than {MAX_KEYS} keys at the top level")
            if key in self.scalars and key in self._decoders:
                raise self._broken(start, f"{key} stands here a second time; keep one")
            before, self.scalars[key] = self.scalars.get(key), ""
            if key in self._decoders and text.byte(at) == b"[":
                for piece in self.array(key, at + 1, helper):
                    yield piece
                    at = piece.done
            else:
                at = self._other(key, at)
                if before not in (None, self.scalars[key]):
                    raise self._broken(start, f"{key} is here a second time with another value; keep one")
            at = text.blank(at)
            if text.byte(at) == b",":
                at = text.blank(at + 1)
            elif text.byte(at) != b"}":
                raise self._broken(at, "a comma or the closing } is needed")
        self._check_end(at + 1)
        text.check_unchanged()

    def _key(self, at: int) -> tuple[str, int]:
        """The key that begins at a byte, and the byte that its value begins at."""
        found = self._text.match(_KEY, at, _LONGEST_KEY)
        behind = self._text.blank(at + len(found[0])) if found else at
        if not found or self._text.byte(behind) != b":":
            raise self._broken(at, 'a key as "annotations": is needed')
        return _unescaped(found[1]), self._text.blank(behind + 1)

    def _other(self, key: str, at: int) -> int:
        """The byte behind a value that is no array of ours, of which a short one is kept."""
        end = self._skip(at)
        self.scalars[key] = NESTED
        if self._text.byte(at) not in (b"[", b"{"):
            self.scalars[key] = self._text.read(at, min(end - at, 80)).decode("utf-8", "replace").strip('"')
        if key in self._decoders and self.scalars[key] != "null":
            raise self._broken(at, f"{key} must be an array")
        return end

    def _check_end(self, at: int) -> None:
        if self._text.size - at > MAX_PADDING:
            raise self._broken(at, f"more than {MAX_PADDING >> 10} KiB follow the end of the JSON")
        behind = self._text.after(_PADDING, at)
        if behind < self._text.size:
            raise self._broken(behind, "there is more behind the end of the JSON")

    def array(self, key: str, at: int, helper: Helper[Piece] | None = None) -> Iterator[Piece]:
        """The pieces of an array, from the beginning of a record on; the last one's `done` is behind its bracket.

        Raises:
            DatasetError: As iterating does.
        """
        kind, begin, last = self._wanted[key], at, False
        buffer = bytearray(b"[") + bytearray(self._size + 1)  # `[`, records, `]`
        while not last:
            filled = self._fill(buffer, at)
            found = self._up_to_cut(key, buffer, filled) or self._up_to_bracket(key, at)
            if not (found.typed or found.plain) and at > begin:
                raise self._broken(self._text.blank(at), "a record is needed behind a comma")
            at, last = self._text.blank(at + found.length) + 1, found.last  # behind the comma or the bracket
            if found.typed is not None:
                yield Piece(key, at, len(found.typed), kind.gather(found.typed), [], last)
            else:
                yield Piece(key, at, len(found.plain), None, found.plain, last)
            del found
            if (following := self._text.blank(at)) >= self._helped:
                reached = key == self._longest and following == self._helped
                self._helped = sys.maxsize
                for piece in (helper.items() if helper and reached else None) or ():
                    yield piece
                    at, last = piece.done, piece.last

    def _up_to_cut(self, key: str, buffer: bytearray, filled: int) -> _Records | None:
        """The records up to where one seems to end; None: it does not."""
        decode, kind = self._decoders[key], self._wanted[key]
        for length, last in _cuts(buffer, filled):
            typed = typed_records(decode, buffer, length, kind.keys, kind.signs)
            if typed is not None:
                return _Records(length, last, typed, [])
        for length, last in _cuts(buffer, filled):
            with suppress(ValueError):  # the cut is wrong, or the JSON is
                plain = plain_records(bytes(buffer[: length + 1]) + b"]", exact=kind.exact)
                return _Records(length, last, None, plain)
        return None

    def _up_to_bracket(self, key: str, at: int) -> _Records:
        """The records up to where one ends, certainly."""
        decode, kind = self._decoders[key], self._wanted[key]
        length, last = self._count_brackets(at, kind.largest)
        records = bytearray(b"[") + bytearray(length + 1)
        with memoryview(records) as view, view[1:-1] as room:
            self._text.read_into(room, at)
        typed = typed_records(decode, records, length, kind.keys, kind.signs)
        if typed is not None:
            return _Records(length, last, typed, [])
        records[-1:] = b"]"
        return _Records(length, last, None, self._plain(records, at, exact=kind.exact))

    def _fill(self, buffer: bytearray, at: int) -> int:
        """Read the document from `at` on behind the first byte of `buffer`; where it is filled to.

        Of what a helper decodes, no more than the first bracket.
        """
        with memoryview(buffer) as view, view[1:-1] as room, room[: self._helped + 1 - at] as rest:
            return 1 + self._text.read_into(rest, at)

    def _plain(self, records: bytearray, at: int, *, exact: bool) -> list[Any]:
        """Records that the types do not fit (NaN, ids as text, a bbox of three numbers), by Python's own parser."""
        text = bytes(records)
        try:
            return plain_records(text, exact=exact)
        except ValueError as error:
            place = at + len(text.decode()[: getattr(error, "pos", 1)].encode()) - 1
            raise self._broken(place, f"JSON that cannot be read ({getattr(error, 'msg', error)})") from error

    def _count_brackets(self, start: int, largest: int) -> tuple[int, bool]:
        """How many bytes of whole records begin at `start`, as many as a piece may hold; and whether the array ends."""
        text, depth, whole, limit = self._text, 0, 0, min(start + self._size, self._helped)
        if bare := text.match(_SCALARS, start, limit - start):
            return len(bare[0]) - 1, False
        for sign, first, end in text.tokens(start, start + largest):
            if whole and end > limit:
                return whole, False
            depth += (sign in b"[{") - (sign in b"]}")
            if depth < 0:
                return first - start, True
            if depth == 0 and text.byte(text.blank(end)) == b",":
                whole = end - start
            if end - start > largest and not whole:
                raise self._broken(start, f"a record is larger than {largest >> 10} KiB; check what wrote the file")
        raise self._broken(text.size, "the file ends in the middle of an array; it is cut off")

    def _skip(self, at: int) -> int:
        """The byte behind a value that nobody wants."""
        if self._text.byte(at) not in (b"{", b"[", b'"'):
            scalar = self._text.match(_SCALAR, at)
            if not scalar:
                raise self._broken(at, "a value is needed")
            return at + len(scalar[0])
        depth = 0
        for sign, _, end in self._text.tokens(at):
            depth += (sign in b"[{") - (sign in b"]}")
            if depth == 0:
                return end
        raise self._broken(self._text.size, "the file ends in the middle of a value; it is cut off")

    def _broken(self, at: int, what: str) -> DatasetError:
        place = self._text.place(at)
        near = self._text.read(at, 30).decode("utf-8", "replace").strip() or "the end of the file"
        advice, option = "repair the file or export it again", ""
        if self._text.guessed:  # half a character may be a quotation mark or a backslash
            advice, option = "name its encoding with --encoding, or save it as UTF-8", "encoding"
        return DatasetError(f"{place}: {what}, got {near!a}; {advice}", place=place, option=option)


def _from_middle(path: Path, state: tuple[int, ...], key: str, kind: Kind, at: int, size: int) -> Iterator[Piece]:
    """What a helper does: the pieces from a record in the middle of an array on, as far as they are typed."""
    with document(path) as text:
        if text.state == state:  # or else another file has this name now
            pieces = Pieces(text, {key: kind}, size)
            yield from takewhile(lambda piece: piece.typed is not None, pieces.array(key, at))


def _cuts(buffer: bytearray, filled: int) -> Iterator[tuple[int, bool]]:
    """Where what is filled seems to end with a whole record: how many bytes of records, and whether the array ends."""
    if cut := _last_cut(buffer, filled):
        yield cut - 1, False
    if end := _END.search(buffer, 1, filled):
        yield end.start(), True  # behind `[` and up to the last record's `}`


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
