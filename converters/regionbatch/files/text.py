"""The text of one file: read safely, decoded.

It needs no NumPy, so that a helper that parses text starts fast.
"""

from __future__ import annotations

import codecs
import os
from typing import Any

LARGEST_LABEL_FILE = 64 * 2**20
"""Bytes. A label file of one image has no reason to be larger."""

_FIRST_READ = 2**14
"""Bytes. Nearly every label file is smaller, and asking for more costs more."""
_OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class UnreadableError(Exception):
    """A file that cannot be read; the text says why. Readers turn it into a finding."""


def read_bytes(path: str, *, whole: bool = True) -> bytes:
    """The bytes of a label file, or the first of them.

    Raises:
        UnreadableError: It is larger than `LARGEST_LABEL_FILE`, or the system refuses.
    """
    try:
        handle = os.open(path, _OPEN)
        try:
            data = os.read(handle, _FIRST_READ)
            if whole and len(data) == _FIRST_READ:
                parts = [data]
                while (part := os.read(handle, 2**20)) and len(parts) * 2**20 <= LARGEST_LABEL_FILE:
                    parts.append(part)
                data = b"".join(parts)
        finally:
            os.close(handle)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    if len(data) > LARGEST_LABEL_FILE:
        raise UnreadableError(f"larger than {LARGEST_LABEL_FILE >> 20} MiB")
    return data


def as_utf8(data: bytes) -> tuple[bytes, bool]:
    """Text as UTF-8 without byte-order mark; and whether some of it is none, which is read as cp1252."""
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").encode(), False
    elif b"\0" in data[:2]:  # the same without a mark: no text begins with NUL, or has it behind one letter
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le", "replace").encode(), False
    try:
        if not data.isascii():
            data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "cp1252").encode(), True
    return data, False


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


def _in_cp1252(error: UnicodeError) -> tuple[str, int]:
    """What a decoder puts in place of bytes that are not UTF-8, and where it goes on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("cp1252", _in_cp1252)
