"""Stream the arrays of a large JSON document in chunks, so that memory does not grow with the file.

A chunk ends where a record seems to end (`},{`) and is decoded as an array of its own. Everything
before it is a whole number of records, so if the chunk decodes, the boundary was right: JSON is
read from left to right in exactly one way. If it does not decode, the boundary is found by counting
brackets outside strings. A `},{` inside a string or a nested array costs time, never a record.

Other processes may decode parts of a large document at the same time; see `json_parts`.

This is written by hand because no library does it: msgspec decodes into typed records, but needs
the whole document in memory. Incremental parsers such as ijson build a Python object for each
value; with its C backend, ijson took about six times as long on a file of 50 MB. Neither gives the
line of an error in a document that is not in memory.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from regionbatch.errors import DatasetError
from regionbatch.files.small_json import json_problem
from regionbatch.files.text import NotUtf8Error, is_utf8
from regionbatch.readers.coco.json_parts import DecodedParts
from regionbatch.readers.coco.json_records import (
    UniqueKeys,
    boundaries,
    plain_records,
    typed_records,
    unescape_key,
)
from regionbatch.readers.coco.json_text import CHUNK_SIZE, TRUNCATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from regionbatch.readers.coco.json_text import JsonText

MAX_RECORD_SIZE = 2**22
"""Maximum bytes of a record. No annotation with its polygons is that large, and as Python values, a
record takes 20 times as much memory."""

MAX_KEYS = 10_000
"""Keys at the top level of a document; COCO has six."""

MAX_PADDING = 2**16
"""Bytes of whitespace and NUL that may follow the end of a document."""

NESTED = "[…]"
"""What `ArrayStream.header` has for an array or object that is not one of the wanted arrays."""

_PADDING = re.compile(rb"[ \t\r\n\0]*+")
_KEY = re.compile(rb'"((?:[^"\\]|\\.){0,200})"')
_MAX_KEY_LENGTH = 402
"""Bytes that `_KEY` matches at most."""
_SCALARS = re.compile(rb"[ \t\r\n]*+[-+.\w][-+.\w \t\r\n,]*+")
"""Numbers, true, false and null in place of records, with all characters that are between them."""


class ArraySpec(NamedTuple):
    """How the records of one array are decoded."""

    record: type[msgspec.Struct]
    """The type of each record."""
    to_columns: Callable[[list[Any]], Any] = list
    """Turns the records of a chunk into columns. A module-level function, which can be pickled."""
    unique: tuple[UniqueKeys, ...] = ()
    """Keys that a record must not repeat."""
    keep_literals: bool = False
    """Whether numbers of plain records keep their text (`LiteralFloat`): they may be names."""
    max_record_size: int = MAX_RECORD_SIZE
    """Bytes of a record; a larger one is an error."""


class Chunk(NamedTuple):
    """Some records of one array, in order: typed, or plain values if the type does not fit."""

    key: str
    """The key of the array."""
    end: int
    """The offset in the document after the chunk."""
    length: int
    """The number of records."""
    typed: Any
    """What `ArraySpec.to_columns` returned; None if the type does not fit."""
    plain: list[Any]
    """The records if the type does not fit, else empty."""
    is_last: bool = False
    """Whether the array ends here."""


class _Records(NamedTuple):
    """Decoded records of an array, not yet a chunk."""

    size: int
    """Bytes."""
    is_last: bool
    typed: list[Any] | None
    plain: list[Any]

    def to_chunk(self, key: str, end: int, spec: ArraySpec) -> Chunk:
        if self.typed is None:
            return Chunk(key, end, len(self.plain), None, self.plain, self.is_last)
        typed = spec.to_columns(self.typed)
        return Chunk(key, end, len(self.typed), typed, [], self.is_last)


class ArrayStream:
    """Walks the top level of a JSON object and yields its wanted arrays in chunks."""

    def __init__(
        self,
        text: JsonText,
        wanted: Mapping[str, ArraySpec],
        size: int = CHUNK_SIZE,
        *,
        longest: str = "",
        parts: DecodedParts | None = None,
    ) -> None:
        """Prepare to read a document.

        Args:
            text: The document, from `json_text.document`.
            wanted: How to decode the records, by the keys of their arrays.
            size: The largest chunk in bytes.
            longest: The key that makes up most of a large document.
            parts: Parts of its array that other processes decode.
        """
        self._text = text
        self._size = min(size, text.size)
        self._wanted = wanted
        self._decoders: dict[str, Callable[[memoryview], list[Any]]] = {
            key: msgspec.json.Decoder(list[spec.record]).decode  # type: ignore[name-defined]
            for key, spec in wanted.items()
        }
        self._longest = longest
        self._parts = parts or DecodedParts()
        self.header: dict[str, str] = {}
        """The keys met at the top level so far, each with the start of its value, `NESTED`, or
        nothing for a wanted array."""

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the chunks.

        Raises:
            DatasetError: The document is not a JSON object, is truncated, is followed by something
                else, has a wanted key twice, or a wanted key is not an array.
            NotUtf8Error: It was not checked before, and is not UTF-8. The chunks so far are typed.
        """
        try:
            yield from self._walk()
        except RecursionError as error:
            self._text.check_utf8(self._text.size)
            name = self._text.name
            what = "brackets are nested too deeply. Check the tool that wrote the file."
            raise DatasetError(f"{name}: {what}", place=name) from error

    def _walk(self) -> Iterator[Chunk]:
        text = self._text
        at = self._start_of_object()
        keys = 0
        while text.byte(at) != b"}":
            start = at
            key, at = self._key(start)
            keys += 1
            if keys > MAX_KEYS:
                raise self._text.error(start, f"more than {MAX_KEYS:,} keys at the top level")
            if key in self._decoders and key in self.header:
                raise self._duplicate(at, key)
            if key in self._decoders and text.byte(at) == b"[":
                self.header[key] = ""
                text.check_utf8(at)
                for chunk in self.array(key, at + 1):
                    at = chunk.end
                    text.checked = max(text.checked, at)
                    yield chunk
            else:
                at = self._other_value(key, start, at)
            at = self._next_key(at)
        self._check_end(at + 1)
        text.check_utf8(text.size)
        text.check_unchanged()

    def _start_of_object(self) -> int:
        """Return the offset of the first key, or of the closing brace."""
        text = self._text
        at = text.skip_whitespace(3 if text.read(0, 3) == b"\xef\xbb\xbf" else 0)
        if text.byte(at) != b"{":
            raise self._text.error(at, "expected a JSON object")
        return text.skip_whitespace(at + 1)

    def _key(self, at: int) -> tuple[str, int]:
        """Return the key at an offset, and the offset of its value."""
        text = self._text
        found = text.match(_KEY, at, _MAX_KEY_LENGTH)
        if found:
            colon = text.skip_whitespace(at + len(found[0]))
            if text.byte(colon) == b":":
                return unescape_key(found[1]), text.skip_whitespace(colon + 1)
        raise self._text.error(at, "expected a key in double quotes and a colon")

    def _next_key(self, at: int) -> int:
        """Return the offset of the next key, or of the closing brace, after a value."""
        at = self._text.skip_whitespace(at)
        if self._text.byte(at) == b",":
            at = self._text.skip_whitespace(at + 1)
            if self._text.byte(at) == b"}":
                raise self._text.error(at, "expected a key after the comma")
        elif self._text.byte(at) != b"}":
            raise self._text.error(at, "expected a comma or '}'")
        return at

    def _other_value(self, key: str, start: int, at: int) -> int:
        """Note a value that is not a wanted array in the header, and return the offset after it."""
        text = self._text
        end = text.skip_value(at)
        value = NESTED
        if text.byte(at) not in (b"[", b"{"):
            value = text.read(at, min(end - at, 80)).decode("utf-8", "replace").strip('"')
        if key in self._decoders and value != "null":
            raise self._text.error(at, f"{key!r} is not an array")
        if self.header.get(key, value) != value:
            raise self._duplicate(start, key)
        self.header[key] = value
        return end

    def _check_end(self, at: int) -> None:
        if self._text.size - at > MAX_PADDING:
            what = f"more than {MAX_PADDING >> 10} KiB follow the end of the JSON"
            raise self._text.error(at, what)
        after = self._text.skip(_PADDING, at)
        if after < self._text.size:
            raise self._text.error(after, "unexpected text after the end of the JSON")

    def array(self, key: str, at: int) -> Iterator[Chunk]:
        """Yield the chunks of an array.

        Args:
            key: The key of the array.
            at: The offset after its bracket, or of one of its records.

        Raises:
            DatasetError, NotUtf8Error: As for the whole document.
        """
        spec = self._wanted[key]
        start = at
        is_last = False
        buffer = bytearray(b"[") + bytearray(self._size + 1)  # `[`, records, `]`
        while not is_last:
            if chunks := self._decoded(key, at):
                yield from chunks
                at = chunks[-1].end
                is_last = chunks[-1].is_last
                continue
            filled = self._fill(buffer, at)
            found = self._to_boundary(key, buffer, filled) or self._to_bracket(key, at)
            if not (found.typed or found.plain) and at > start:
                raise self._text.error(
                    self._text.skip_whitespace(at), "expected a record after the comma"
                )
            at = self._text.skip_whitespace(at + found.size) + 1  # after the comma or the bracket
            is_last = found.is_last
            yield found.to_chunk(key, at, spec)
            del found  # otherwise two chunks would be in memory

    def _decoded(self, key: str, at: int) -> list[Chunk]:
        """Return the chunks of the part that starts with the record at or after an offset."""
        following = self._text.skip_whitespace(at)
        if following < self._parts.next_start:
            return []
        chunks = self._parts.take(following)
        return chunks if key == self._longest else []

    def _to_boundary(self, key: str, buffer: bytearray, filled: int) -> _Records | None:
        """Decode the records up to where one seems to end; None if that was wrong."""
        spec = self._wanted[key]
        for size, is_last in boundaries(buffer, filled):
            typed = self._typed(key, buffer, size)
            if typed is not None:
                return _Records(size, is_last, typed, [])
        self._text.check_utf8(self._text.size)  # plain records may become findings at once
        for size, is_last in boundaries(buffer, filled):
            with suppress(ValueError):  # the boundary is wrong, or the JSON is
                text = bytes(buffer[: size + 1]) + b"]"
                plain = plain_records(text, keep_literals=spec.keep_literals)
                return _Records(size, is_last, None, plain)
        return None

    def _to_bracket(self, key: str, at: int) -> _Records:
        """Decode the records up to where one certainly ends."""
        spec = self._wanted[key]
        size, is_last = self._count_brackets(at, spec.max_record_size)
        records = bytearray(b"[") + bytearray(size + 1)
        with memoryview(records) as view, view[1:-1] as target:
            self._text.read_into(target, at)
        typed = self._typed(key, records, size)
        if typed is not None:
            return _Records(size, is_last, typed, [])
        self._text.check_utf8(self._text.size)
        records[-1:] = b"]"
        plain = self._plain(records, at, keep_literals=spec.keep_literals)
        return _Records(size, is_last, None, plain)

    def _fill(self, buffer: bytearray, at: int) -> int:
        """Read the document from `at` on into a buffer, after its bracket, and return the end.

        Only the first brace of the next part is read.
        """
        with (
            memoryview(buffer) as view,
            view[1:-1] as target,
            target[: self._parts.next_start + 1 - at] as part,
        ):
            return 1 + self._text.read_into(part, at)

    def _typed(self, key: str, buffer: bytearray, size: int) -> list[Any] | None:
        """Decode records by their type; None if it does not fit them."""
        spec = self._wanted[key]
        decode = self._decoders[key]
        typed = typed_records(decode, buffer, size, spec.unique)
        is_read = typed is not None
        if is_read and not (buffer.isascii() or is_utf8(bytes(buffer[1 : size + 1]))):
            raise NotUtf8Error(self._text.name)
        return typed

    def _plain(self, records: bytearray, at: int, *, keep_literals: bool) -> list[Any]:
        """Decode records that the type does not fit: NaN, IDs as text, a bbox of three numbers."""
        text = bytes(records)
        try:
            return plain_records(text, keep_literals=keep_literals)
        except ValueError as error:
            place = at + len(text.decode()[: getattr(error, "pos", 1)].encode()) - 1
            raise self._text.error(place, f"not valid JSON ({json_problem(error)})") from error

    def _count_brackets(self, start: int, max_record_size: int) -> tuple[int, bool]:
        """Count how many bytes of whole records fit into a chunk.

        Returns:
            The bytes; and whether the array ends there.
        """
        text = self._text
        limit = min(start + self._size, self._parts.next_start)
        scalars = text.match(_SCALARS, start, limit - start)
        if scalars and b"," in scalars[0]:
            return scalars[0].rfind(b","), False
        depth = 0
        whole = 0
        for token, first, end in text.tokens(start, start + max_record_size):
            if whole and end > limit:
                return whole, False
            depth += (token in b"[{") - (token in b"]}")
            if depth < 0:
                return first - start, True
            if depth == 0 and text.byte(text.skip_whitespace(end)) == b",":
                whole = end - start
            if end - start > max_record_size and not whole:
                what = f"a record is larger than {max_record_size >> 10} KiB"
                raise self._text.error(start, what, "Check the tool that wrote the file.")
        if whole:  # an error in these records comes first
            return whole, False
        raise self._text.error(text.size, "unexpected end of file inside an array", TRUNCATED)

    def _duplicate(self, at: int, key: str) -> DatasetError:
        return self._text.error(at, f"duplicate key {key!r}", "Keep one of them.")
