"""Find and decode the records in a chunk of JSON.

Typed records are fast to decode; plain ones may be anything.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


_MAX_DIGITS = 100
"""Whole numbers with more digits stay text, which is just as exact and needs no conversion."""

_MANY_DIGITS = re.compile(rb"[0-9]{%d}" % _MAX_DIGITS)
BOUNDARY = re.compile(rb"}[ \t\r\n]*+,[ \t\r\n]*+{")
"""The place where one record seems to end and the next one seems to start."""

_ARRAY_END = re.compile(rb"}[ \t\r\n]*+\][ \t\r\n]*+(?:,[ \t\r\n]*+\"|})")
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")


class UniqueKeys(NamedTuple):
    """Keys that a record's type requires, and that it must not repeat: msgspec takes the last."""

    keys: tuple[bytes, ...]
    byte: int = 0
    """A byte that each key contains once, and that is rare elsewhere; 0: none. If a chunk has
    exactly as many as its records need, no record repeats a key."""


class DuplicateKeyDict(dict[str, Any]):
    """An object with duplicate keys. Each has its last value, as with every JSON parser."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        """Take the keys and values in order."""
        super().__init__(pairs)
        values: dict[str, list[Any]] = {}
        for key, value in pairs:
            values.setdefault(key, []).append(value)
        self.conflicts: dict[str, list[Any]] = {}
        """All values of each key whose values differ."""
        for key, some in values.items():
            if any(value != some[0] for value in some[1:]):  # NaN differs from itself
                self.conflicts[key] = some


class LiteralFloat(float):
    """A number with a fraction or an exponent that keeps its literal: 1.10 is not 1.1 as a name."""

    literal: str

    def __new__(cls, literal: str) -> Self:
        """Convert the literal."""
        number = super().__new__(cls, literal)
        number.literal = literal
        return number


def boundaries(buffer: bytearray, filled: int) -> Iterator[tuple[int, bool]]:
    """Yield where whole records seem to end: their size in bytes, and whether the array ends."""
    if after := _after_last_record(buffer, filled):
        yield after - 1, False
    if end := _ARRAY_END.search(buffer, 1, filled):
        yield end.start(), True  # the size without `[`, and with the last record's `}`


def _after_last_record(buffer: bytearray, filled: int) -> int:
    """Return the offset after the last `}` that `,{` follows; 0 if there is none."""
    end = filled
    for _ in range(100):  # objects inside the last, incomplete record
        end = buffer.rfind(b"}", 0, end)
        if end < 0:
            break
        if BOUNDARY.match(buffer, end, filled):
            return end + 1
    return 0


def typed_records(
    decode: Callable[[memoryview], list[Any]],
    buffer: bytearray,
    end: int,
    unique: Sequence[UniqueKeys] = (),
) -> list[Any] | None:
    """Decode the first `end` bytes after the bracket that `buffer` starts with.

    Args:
        decode: The decoder of an array.
        buffer: A bracket, records, and at least one more byte.
        end: The length of the records in bytes.
        unique: Keys that a record must not repeat.

    Returns:
        The records; None if they do not fit the type, or if one may repeat a key.
    """
    comma = buffer[end + 1]
    buffer[end + 1] = ord("]")
    with memoryview(buffer) as view, view[: end + 2] as records:
        try:
            typed = decode(records)
            if not unique or _has_no_duplicates(buffer, end, unique, len(typed)):
                return typed
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    buffer[end + 1] = comma  # it may belong to a string that is decoded again from here
    return None


def _has_no_duplicates(
    buffer: bytearray, end: int, unique: Sequence[UniqueKeys], records: int
) -> bool:
    """Return whether it is certain that no record repeats a key that its type requires."""
    escape = buffer.find(b"\\", 0, end)
    if escape >= 0 and _ESCAPED_LETTER.search(buffer, escape, end):
        return False
    # Counting a byte takes a quarter of the time of counting a key.
    text = np.frombuffer(buffer, np.uint8, end)
    return all(
        (byte and np.count_nonzero(text == byte) == len(keys) * records)
        or all(buffer.count(b'"%b"' % key, 0, end) == records for key in keys)
        for keys, byte in unique
    )


def plain_records(text: bytes, *, keep_literals: bool = False) -> list[Any]:
    """Decode an array with Python's own parser, which accepts NaN and control characters.

    Args:
        text: The array as UTF-8.
        keep_literals: Whether numbers with a fraction keep their text (`LiteralFloat`).

    Raises:
        ValueError: It is not JSON.
    """
    # `int` itself is built into the parser; any other function is called for each number.
    as_int = _int_or_text if _MANY_DIGITS.search(text) else int
    values = json.loads(
        text,
        strict=False,
        parse_int=as_int,
        parse_float=LiteralFloat if keep_literals else float,
        object_pairs_hook=_as_dict,
    )
    return list(values)


def _int_or_text(digits: str) -> int | str:
    return int(digits) if len(digits) < _MAX_DIGITS else digits


def _as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else DuplicateKeyDict(pairs)


def unescape_key(key: bytes) -> str:
    """Decode the escapes of a key: JSON may write any character as its code point."""
    try:
        return str(json.loads(b'"' + key + b'"', strict=False))
    except ValueError:
        return key.decode("utf-8", "replace")
