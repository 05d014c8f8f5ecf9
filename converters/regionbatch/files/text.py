"""Read the text of one file with limits, and decode it so that different bytes stay different.

This module does not need NumPy, so that a worker process that parses text starts fast.

The encoding of a text is, in this order:

1. that of its byte-order mark, or UTF-16 if it starts with NUL bytes as UTF-16 does;
2. UTF-8, if it is valid UTF-8, which longer text is never by chance;
3. the one that the file declares, as XML can;
4. the one that the user chooses with the option `encoding`;
5. cp1252, which is a guess and a doubtful decision (`report_guess`).
"""

from __future__ import annotations

import codecs
import os
import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from regionbatch.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import RawIOBase

    from regionbatch.findings import FindingLog

MAX_LABEL_FILE_BYTES = 64 * 2**20
"""Largest label file that is read, in bytes. One for a single image need not be larger."""

_FIRST_READ = 2**14
"""Bytes of the first read. Nearly every label file is smaller, and larger reads cost more."""
_CHUNK = 2**18
"""Bytes of a large file that are checked at a time; they stay in the processor's cache."""
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


class UnreadableError(Exception):
    """A file cannot be read; the text says why. Readers report it as a finding."""


class UndecodableError(UnreadableError):
    """A text is not valid in the encoding that applies to it."""

    def __init__(self, what: str, option: str = "") -> None:
        """Store what is wrong.

        Args:
            what: The text of the error.
            option: The option that may be wrong; empty if the file itself is.
        """
        super().__init__(what)
        self.option = option


class NotUtf8Error(Exception):
    """A text that was expected to be UTF-8 is not; see `as_utf8`."""


def read_bytes(path: str, *, head_only: bool = False, most: int | None = None) -> bytes:
    """Return the bytes of a label file.

    Args:
        path: The path to open.
        head_only: Whether to return only the first bytes (at most 16 KiB).
        most: The largest size in bytes. [default: `MAX_LABEL_FILE_BYTES`]

    Raises:
        UnreadableError: The file is larger, or the system denies it.
    """
    most = MAX_LABEL_FILE_BYTES if most is None else most
    try:
        handle = os.open(path, _OPEN_FLAGS)
        try:
            data = os.read(handle, _FIRST_READ)
            if not head_only and len(data) == _FIRST_READ:
                data = _with_rest(data, handle, most)
        finally:
            os.close(handle)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    if len(data) > most:
        raise UnreadableError(f"larger than {most >> 20} MiB")
    return data


def _with_rest(start: bytes, handle: int, most: int) -> bytes:
    """Return the whole file, or a little more than `most` bytes of it."""
    if os.fstat(handle).st_size > most:
        raise UnreadableError(f"larger than {most >> 20} MiB")
    parts = [start]
    size = len(start)
    while size <= most and (part := os.read(handle, 2**20)):  # the file may grow meanwhile
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def as_utf8(
    data: bytes, asked: str | None = None, declared: str | None = None
) -> tuple[bytes, bool]:
    """Return text as UTF-8 without a byte-order mark; see the module for the rules.

    Args:
        data: The bytes of the file.
        asked: The codec that the user chose for text that is not UTF-8.
        declared: The encoding that the file declares, as written there.

    Returns:
        The text, and whether its encoding is a guess. Different bytes are then still different
        text, but it may be the wrong text.

    Raises:
        UndecodableError: The text does not match its byte-order mark or the chosen encoding.
    """
    data, marked = _without_mark(data)
    if marked and (marked != "utf-8" or is_utf8(data)):
        return _decoded(data, marked), False
    codec = codec_of(declared) if declared else None
    if not data.isascii():
        return _non_ascii_as_utf8(data, asked, codec)
    if codec and codec.startswith(_SEVEN_BIT):
        return _decoded(data, codec), False
    return data, False


def _non_ascii_as_utf8(data: bytes, asked: str | None, declared: str | None) -> tuple[bytes, bool]:
    is_valid = is_utf8(data)
    if is_valid and not _may_be_chance(data, declared or asked):
        return data, False
    if declared and _keeps_ascii(declared):
        with suppress(UndecodableError):  # a file may declare a wrong encoding
            return _decoded(data, declared), False
    if asked:
        return _decoded(data, asked), False
    if is_valid:
        return data, False
    return data.decode("cp1252", "latin-1").encode(), True


def lenient_utf8(data: bytes) -> bytes:
    """Return the start of a text as UTF-8 to detect its format; invalid bytes do not matter."""
    data, marked = _without_mark(data)
    return data.decode(marked, "replace").encode() if marked else data


def is_utf8(data: bytes) -> bool:
    """Return whether bytes are valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def checked_encoding(name: str) -> str:
    """Return the codec of an encoding that the user chose.

    Raises:
        OptionError: There is no such encoding, or it is not compatible with ASCII.
    """
    codec = codec_of(name)
    if codec is None or not _keeps_ascii(codec):
        what = "no such text encoding" if codec is None else "encoding not compatible with ASCII"
        raise OptionError(
            f"encoding: {what}: {name!r}. Use, for example, gbk, big5, cp932, euc-kr or cp1251.",
            option="encoding",
            value=name,
        )
    return codec


def report_guess(log: FindingLog, file: str, names: Iterable[str]) -> None:
    """Report a text whose encoding is a guess.

    The first text in which a name depends on the guess also becomes a doubtful decision.

    Args:
        log: Receives the finding.
        file: The file in the dataset.
        names: The names of classes or images in it, as read.
    """
    log.note("odd_encoding", file)
    odd = next((name for name in names if not name.isascii()), None)
    if odd is not None and "encoding" not in log.decisions:
        shown = odd.strip()[:20]  # messages show 80 characters of a value
        evidence = f"the name {shown!r} in {file} is not UTF-8"
        log.decide("encoding", "cp1252", evidence, doubtful=True)


def is_utf8_file(file: RawIOBase, *, but_ascii: bool = False) -> bool:
    """Return whether a file is UTF-8 and has no byte-order mark of UTF-16, reading it in chunks.

    A large file is almost always UTF-8, and need not be in memory to check that.

    Args:
        file: The file, at its start.
        but_ascii: Whether the file must be ASCII.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    buffer = bytearray(_CHUNK)
    is_first = True
    with memoryview(buffer) as view:
        while length := file.readinto(view) or 0:
            if is_first and is_wide(bytes(view[:4])):
                return False
            is_first = False
            chunk = buffer if length == _CHUNK else buffer[:length]
            if chunk.isascii() and not decoder.getstate()[0]:
                continue
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return False
            if but_ascii:
                return False
    return not decoder.getstate()[0]


def is_wide(start: bytes) -> bool:
    """Return whether the first four bytes of a text are those of UTF-16 or UTF-32."""
    return _without_mark(start)[1].startswith(("utf-16", "utf-32"))


def non_ascii_words(text: bytes) -> Iterable[str]:
    """Yield the words of a UTF-8 text that contain non-ASCII characters, for `report_guess`."""
    return (found[0].decode() for found in _NON_ASCII_WORD.finditer(text))


_NON_ASCII_WORD = re.compile(rb"[^\s\"\'<>,;:=(){}\[\]]*[\x80-\xff][^\s\"\'<>,;:=(){}\[\]]*")

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is the start of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_SEVEN_BIT = ("iso2022", "hz", "utf-7")
"""Codecs that escape other characters in ASCII bytes."""
_CLEARLY_UTF8 = re.compile(rb"[\xe0-\xf4]|[A-Za-z][\xc2-\xdf]|[\x80-\xbf][A-Za-z]")
"""Characters of three bytes, or of two bytes next to ASCII letters."""
_ASCII_PROBE = (
    bytes({*range(32, 127)} - {ord("\\")})
    + rb"\u0041 +AGEA- ~{VP~} .xn--bcher-kva. "
    + b"\x1b$B\t\r\n"
)
"""ASCII text that incompatible codecs change: they use it for escapes."""


def _without_mark(data: bytes) -> tuple[bytes, str]:
    """Return a text without its byte-order mark, and the mark's codec; empty if it has none."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :], codec
    # UTF-16 without a mark: no other text has a NUL in its first two bytes.
    if b"\0" in data[:2]:
        return data, "utf-16-be" if data[0] == 0 else "utf-16-le"
    return data, ""


def _decoded(data: bytes, codec: str) -> bytes:
    try:
        return data.decode(codec).encode()
    except UnicodeError as error:  # also for a lone surrogate
        if codec.startswith(("utf-16", "utf-32")):
            raise UndecodableError(f"not valid {codec} text") from error
        place = ""
        if isinstance(error, UnicodeDecodeError):
            shown = data[error.start : error.start + 2].hex(" ")
            line = data.count(b"\n", 0, error.start) + 1
            place = f" on line {line}: '{shown}'"
        raise UndecodableError(f"not valid {codec} text{place}", "encoding") from error


@lru_cache
def codec_of(name: str) -> str | None:
    """Return the codec of an encoding by any of its names; None if there is no such encoding."""
    try:
        codec = codecs.lookup(name).name
        b" ".decode(codec)  # raises for codecs that do not produce text, such as zip
    except (LookupError, ValueError):
        return None
    return codec


@lru_cache
def _keeps_ascii(codec: str) -> bool:
    try:
        return _ASCII_PROBE.decode(codec) == _ASCII_PROBE.decode("ascii")
    except (LookupError, ValueError):
        return False


@lru_cache
def _is_multibyte(codec: str) -> bool:
    """Return whether two bytes may be one character."""
    return any(len(pair.decode(codec, "replace")) == 1 for pair in (b"\xb0\xa1", b"\x88\x9f"))


def _may_be_chance(data: bytes, codec: str | None) -> bool:
    """Return whether text that is valid UTF-8 may be a few characters of a multi-byte encoding.

    The bytes of 猫 in GBK are è in UTF-8. Longer UTF-8 characters, or UTF-8 characters inside
    words, do not occur by chance.

    Args:
        data: The text.
        codec: The encoding that the file declares or the user chose.
    """
    if not codec or not _keeps_ascii(codec) or not _is_multibyte(codec):
        return False
    return _CLEARLY_UTF8.search(data) is None


def as_number(value: Any) -> float:  # noqa: ANN401 - anything may be in a file
    """Return a number that may be written as text.

    Raises:
        TypeError, ValueError, OverflowError: It is not a number. `true` is not a number either,
            although Python treats it as one.
    """
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(value, str):
        reject_unusual_digits(value)
    return float(value)


def as_side(value: Any) -> int:  # noqa: ANN401 - anything may be in a file
    """Return a declared width or height of an image in pixels; 0 if it is not a size."""
    try:
        side = as_number(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(side) if 0 < side < 2**31 and side == int(side) else 0


def reject_unusual_digits(text: str) -> None:
    """Raise ValueError for numbers that only Python accepts: `1_0`, digits of other scripts."""
    if "_" in text or not text.isascii():
        raise ValueError(text)


def _in_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes that cp1252 leaves undefined as browsers do: each to its own character."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("latin-1", _in_latin_1)
