"""The records of one piece of JSON: typed, which is fast, or as plain Python values, which takes anything."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_DIGITS = 100
"""Of a whole number that is converted; longer ones stay text, which is as exact, and not slow."""

_MANY_DIGITS = re.compile(rb"[0-9]{%d}" % _MOST_DIGITS)
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")


class Repeated(dict[str, Any]):
    """An object in which keys are repeated. Its values are the last ones, as for every parser."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        """Take its keys and values in order."""
        super().__init__(pairs)
        values: dict[str, list[Any]] = {}
        for key, value in pairs:
            values.setdefault(key, []).append(value)
        self.differing = {key: some for key, some in values.items() if any(value != some[0] for value in some)}
        """All values of the keys that have different ones."""


class Written(float):
    """A number with a fraction or an exponent that knows how it was written."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Convert the text."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def typed_records(
    decode: Callable[[memoryview], list[Any]],
    buffer: bytearray,
    end: int,
    keys: Sequence[bytes] = (),
    signs: Sequence[tuple[int, int]] = (),
) -> list[Any] | None:
    """Decode the first `end` bytes behind the bracket that `buffer` begins with.

    Args:
        decode: The decoder of an array.
        buffer: A bracket, records, and at least one more byte.
        end: How many bytes of records.
        keys: See `jsonpieces.Kind`.
        signs: The same.

    Returns:
        The records; None: they do not fit the type, or one of them may have one of `keys` twice.
    """
    comma, buffer[end + 1] = buffer[end + 1], ord("]")
    with memoryview(buffer) as view, view[: end + 2] as records:
        try:
            typed = decode(records)
            if not keys or _none_is_repeated(buffer, end, keys, signs, len(typed)):
                return typed
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    buffer[end + 1] = comma  # it may stand in a string, which is decoded again from here
    return None


def _none_is_repeated(
    buffer: bytearray, end: int, keys: Sequence[bytes], signs: Sequence[tuple[int, int]], records: int
) -> bool:
    """Return whether it is certain that no record has one of the keys, which the type requires, twice."""
    escape = buffer.find(b"\\", 0, end)
    if escape >= 0 and _ESCAPED_LETTER.search(buffer, escape, end):
        return False
    text = np.frombuffer(buffer, np.uint8, end)  # counting a byte takes a quarter of the time of counting a key
    if signs and all(np.count_nonzero(text == sign) == count * records for sign, count in signs):
        return True
    return all(buffer.count(b'"%b"' % key, 0, end) == records for key in keys)


def plain_records(text: bytes, *, exact: bool = False) -> list[Any]:
    """Decode an array of records by Python's own parser, which also takes NaN and control characters.

    Args:
        text: The array as UTF-8.
        exact: Whether numbers with a fraction keep their text (`Written`).

    Raises:
        ValueError: It is not JSON.
    """
    as_float = Written if exact else float
    as_int = _whole if _MANY_DIGITS.search(text) else int  # which is not called, but built into the parser
    values = json.loads(text, strict=False, parse_int=as_int, parse_float=as_float, object_pairs_hook=_object)
    return list(values)


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < _MOST_DIGITS else digits


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(pairs)
