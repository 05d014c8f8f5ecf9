"""The text of one file: read safely, and decoded so that two names never become one.

It needs no NumPy, so that a helper that parses text starts fast.

Which encoding a text is in, in this order:

1. what its byte-order mark says, or the zeros of UTF-16;
2. UTF-8, if it is that: by chance, no longer text is;
3. what the file declares, as XML can;
4. what the user says with the option `encoding`;
5. cp1252, which is a guess and a doubtful decision (`report_guess`).
"""

from __future__ import annotations

import codecs
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from regionbatch.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import FileIO

    from regionbatch.findings import FindingLog

LARGEST_LABEL_FILE = 64 * 2**20
"""Bytes. A label file of one image has no reason to be larger."""

_FIRST_READ = 2**14
"""Bytes. Nearly every label file is smaller, and asking for more costs more."""
_PIECE = 2**18
"""Bytes that a large file is looked through by; no more than a processor keeps at hand."""
_OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class UnreadableError(Exception):
    """A file that cannot be read; the text says why. Readers turn it into a finding."""


class UndecodableError(UnreadableError):
    """A text that is not in the encoding that it must be in."""

    def __init__(self, what: str, option: str = "") -> None:
        """Keep what is wrong, and the option that may be wrong; empty: the file itself is."""
        super().__init__(what)
        self.option = option


def read_bytes(path: str, *, whole: bool = True, most: int | None = None) -> bytes:
    """Return the bytes of a label file, or the first of them.

    Args:
        path: The path to open.
        whole: Whether all bytes are wanted, not only the first (16 KiB at most).
        most: The most bytes that the file may have. [default: `LARGEST_LABEL_FILE`]

    Raises:
        UnreadableError: It is larger, or the system refuses.
    """
    most = LARGEST_LABEL_FILE if most is None else most
    try:
        handle = os.open(path, _OPEN)
        try:
            data = os.read(handle, _FIRST_READ)
            if whole and len(data) == _FIRST_READ:
                data = _with_rest(data, handle, most)
        finally:
            os.close(handle)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    if len(data) > most:
        raise UnreadableError(f"larger than {most >> 20} MiB")
    return data


def _with_rest(start: bytes, handle: int, most: int) -> bytes:
    """Return the start of a file and what follows it, to a little more than `most` bytes."""
    if os.fstat(handle).st_size > most:
        raise UnreadableError(f"larger than {most >> 20} MiB")
    parts, size = [start], len(start)
    while size <= most and (part := os.read(handle, 2**20)):  # it may grow meanwhile
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def as_utf8(data: bytes, asked: str | None = None, declared: str | None = None) -> tuple[bytes, bool]:
    """Return a text as UTF-8 without byte-order mark; see the module for the rule.

    Args:
        data: The bytes of the file.
        asked: The codec that the user says texts are in that are not UTF-8.
        declared: The encoding that the file itself declares, as it is written there.

    Returns:
        The text; and whether its encoding is a guess: different bytes are then different text,
        but not certainly the right one.

    Raises:
        UndecodableError: It is not what its mark or the user says.
    """
    data, marked = _without_mark(data)
    if marked and (marked != "utf-8" or is_utf8(data)):
        return _decoded(data, marked), False
    said = codec_of(declared) if declared else None
    if data.isascii():
        return _decoded(data, said) if said and said.startswith(_SEVEN_BIT) else data, False
    if is_utf8(data) and not _may_be_chance(data, said or asked):
        return data, False
    if said and _keeps_ascii(said):
        try:
            return _decoded(data, said), False
        except UndecodableError:
            pass  # a file may declare what it is not
    if asked:
        return _decoded(data, asked), False
    return (data, False) if is_utf8(data) else (data.decode("cp1252", "latin-1").encode(), True)


def sniffed(data: bytes) -> bytes:
    """Return the beginning of a text as UTF-8, for recognising a format: what is wrong in it does not matter."""
    data, marked = _without_mark(data)
    return data.decode(marked, "replace").encode() if marked else data


def is_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def checked_encoding(name: str) -> str:
    """Return the codec of an encoding that the user names.

    Raises:
        OptionError: There is none, or ASCII is something else in it.
    """
    codec = codec_of(name)
    if codec is None or not _keeps_ascii(codec):
        what = "no such text encoding" if codec is None else "text in ASCII is something else in this encoding"
        advice = "Name one such as gbk, big5, cp932, euc-kr or cp1251."
        raise OptionError(f"--encoding: {what}: {name!r}. {advice}", option="encoding")
    return codec


def report_guess(log: FindingLog, file: str, names: Iterable[str]) -> None:
    """Report a text whose encoding is a guess; the first time that this changes a name, as a doubtful decision.

    Args:
        log: Where to report it.
        file: The file in the dataset.
        names: Names of classes or images in it, as read.
    """
    log.note("odd_encoding", file)
    odd = next((name for name in names if not name.isascii()), None)
    if odd is not None and "encoding" not in log.decisions:
        evidence = f"the name {odd.strip()[:20]!r} is not UTF-8, in {file}"  # shown in 80 characters
        log.decide("encoding", "cp1252", evidence, doubtful=True)


def is_utf8_file(file: FileIO, *, but_ascii: bool = False) -> bool:
    """Return whether a file is UTF-8 (or only ASCII) without a mark of UTF-16, a piece at a time.

    A large document is seldom anything else, and is not to be in memory for that.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    buffer, first = bytearray(_PIECE), True
    with memoryview(buffer) as view:
        while length := file.readinto(view) or 0:
            if first and _without_mark(bytes(view[:4]))[1].startswith(("utf-16", "utf-32")):
                return False
            first = False
            piece = buffer if length == _PIECE else buffer[:length]
            if piece.isascii() and not decoder.getstate()[0]:
                continue
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                return False
            if but_ascii:
                return False
    return not decoder.getstate()[0]


def words_of(text: bytes) -> Iterable[str]:
    """Yield the words of a text that are not ASCII, for `report_guess`."""
    return (found[0].decode() for found in _ODD_WORD.finditer(text))


_ODD_WORD = re.compile(rb"[^\s\"\'<>,;:=(){}\[\]]*[\x80-\xff][^\s\"\'<>,;:=(){}\[\]]*")

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before that of UTF-16, which begins like it
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_SEVEN_BIT = ("iso2022", "hz", "utf-7")
"""Codecs that write everything in ASCII bytes."""
_CLEARLY_UTF8 = re.compile(rb"[\xe0-\xf4]|[A-Za-z][\xc2-\xdf]|[\x80-\xbf][A-Za-z]")
"""Characters of three bytes, or of two bytes next to letters of ASCII."""
_NOT_ASCII = bytes({*range(32, 127)} - {ord("\\")}) + rb"\u0041 +AGEA- ~{VP~} .xn--bcher-kva. " + b"\x1b$B\t\r\n"
"""ASCII of which some codecs make something else."""


def _without_mark(data: bytes) -> tuple[bytes, str]:
    """Return a text without its byte-order mark, and the codec that this says; empty: there is none."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :], codec
    if b"\0" in data[:2]:  # UTF-16 without a mark: no text begins with NUL, or has it after one letter
        return data, "utf-16-be" if data[0] == 0 else "utf-16-le"
    return data, ""


def _decoded(data: bytes, codec: str) -> bytes:
    try:
        return data.decode(codec).encode()
    except UnicodeError as error:  # also what a surrogate without its other half becomes
        if codec.startswith(("utf-16", "utf-32")):
            raise UndecodableError(f"not text in {codec}") from error
        place = ""
        if isinstance(error, UnicodeDecodeError):
            shown = data[error.start : error.start + 2].hex(" ")
            line = data.count(b"\n", 0, error.start) + 1
            place = f" in line {line}: {shown}"
        raise UndecodableError(f"not text in {codec}{place}", "encoding") from error


@lru_cache
def codec_of(name: str) -> str | None:
    """Return the codec of an encoding by any of its names; None: there is none."""
    try:
        codec = codecs.lookup(name).name
        b" ".decode(codec)  # raises for what is no text, such as zip
    except (LookupError, ValueError):
        return None
    return codec


@lru_cache
def _keeps_ascii(codec: str) -> bool:
    try:
        return _NOT_ASCII.decode(codec) == _NOT_ASCII.decode("ascii")
    except (LookupError, ValueError):
        return False


@lru_cache
def _is_multibyte(codec: str) -> bool:
    """Return whether two bytes may be one character: bytes are then seldom text by chance."""
    return any(len(pair.decode(codec, "replace")) == 1 for pair in (b"\xb0\xa1", b"\x88\x9f"))


def _may_be_chance(data: bytes, said: str | None) -> bool:
    """Return whether UTF-8 may be a few characters of a multi-byte encoding that is declared or asked for.

    Of 猫 in GBK, UTF-8 makes è. With longer characters of UTF-8, or inside words, chance does not do that.
    """
    return bool(said and _keeps_ascii(said) and _is_multibyte(said) and not _CLEARLY_UTF8.search(data))


def as_number(value: Any) -> float:  # noqa: ANN401 - anything may stand in a file
    """A number, also as text.

    Raises:
        TypeError, ValueError, OverflowError: It is none, or `true`, which only Python takes for one.
    """
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(value, str):
        refuse_odd_digits(value)
    return float(value)


def as_side(value: Any) -> int:  # noqa: ANN401 - anything may be in a file
    """Return a declared width or height of an image in pixels; 0 for what is none."""
    try:
        side = as_number(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(side) if 0 < side < 2**31 and side == int(side) else 0


def refuse_odd_digits(text: str) -> None:
    """Raise ValueError for what Python takes as a number and nobody writes as one: `1_0`, digits of other scripts."""
    if "_" in text or not text.isascii():
        raise ValueError(text)


def _in_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Return what a decoder puts in place of bytes that cp1252 does not define, as browsers do: each its own."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("latin-1", _in_latin_1)
