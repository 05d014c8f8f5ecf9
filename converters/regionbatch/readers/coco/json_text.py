"""The text of a JSON file of any size, with one window of it in memory.

The file is read, not memory-mapped: if another process truncates a mapped file, the system kills
this process (SIGBUS), which Python cannot catch. Reading raises an error instead if bytes are
missing, and is no slower on large documents.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from regionbatch.errors import DatasetError
from regionbatch.files.storage import LOCAL
from regionbatch.files.text import (
    NotUtf8Error,
    UndecodableError,
    as_utf8,
    is_utf8_file,
    is_wide,
)
from regionbatch.files.tree import undecodable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import RawIOBase
    from os import PathLike

    from regionbatch.files.storage import Storage

WINDOW_SIZE = 2**16
"""Bytes read at a time where only a few are needed: keys, commas, whitespace."""

CHUNK_SIZE = 2**19
"""Bytes read at a time where all are needed."""

_LONG_LINE = 200
"""Bytes of a line from which a place includes the column, because many files are a single line."""

_REPAIR = "Repair the file or export it again."
TRUNCATED = "The file is truncated; export it again."
"""The advice of errors about a document that ends too early."""

_SCALAR = re.compile(rb"[-+.\w]{1,40}")
_WHITESPACE = re.compile(rb"[ \t\r\n]*+")
# Before Python 3.11.5 (gh-106052), a possessive group keeps what it matched before it failed. This
# one looks ahead, so that it fails before it matches anything.
_STRING = rb'[^"\\]*+(?:(?=\\.)\\.[^"\\]*+)*+("?)'
_TOKEN = re.compile(rb'"%b|[\[\]{}]' % _STRING, re.DOTALL)
_REST_OF_STRING = re.compile(_STRING, re.DOTALL)


class JsonText:
    """The bytes of a document. Every `at` is an offset in bytes from its start."""

    def __init__(
        self,
        file: RawIOBase,
        name: str,
        *,
        is_guess: bool = False,
        is_copy: bool = False,
        is_checked: bool = True,
    ) -> None:
        """Take an open file.

        Args:
            file: The document as UTF-8.
            name: The place that errors name.
            is_guess: Whether the encoding of the original file is a guess, see `files.text`.
            is_copy: See the attribute.
            is_checked: Whether it is known to be UTF-8, or need not be.
        """
        self.file = file
        self.name = name
        self.is_guess = is_guess
        self.state: tuple[object, ...] = getattr(file, "opened", None) or file_state(file)
        self.size = file.seek(0, os.SEEK_END)
        self.is_copy = is_copy
        """Whether the file is a temporary copy in UTF-8."""
        self.checked = self.size if is_checked else 0
        """The bytes before this offset are known to be UTF-8."""
        self._window = b""
        self._start = 0

    def check_unchanged(self) -> None:
        """Raise DatasetError if the file has changed since it was opened."""
        if self._is_changed():
            raise self._changed()

    def _is_changed(self) -> bool:
        with _errors_of_reading(self.name):
            return file_state(self.file) != self.state

    def check_utf8(self, to: int) -> None:
        """Raise NotUtf8Error if the bytes before an offset, where a character ends, are not UTF-8.

        Records are checked when they are decoded, because reading them twice takes longer.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        while self.checked < to:
            piece = self.read(self.checked, min(CHUNK_SIZE, to - self.checked))
            self.checked += len(piece)
            try:
                decoder.decode(piece, final=self.checked == to)
            except UnicodeDecodeError as error:
                raise NotUtf8Error(self.name) from error

    def read_into(self, target: memoryview, at: int) -> int:
        """Fill a buffer with the bytes from `at` on, and return how many there were.

        Raises:
            DatasetError: The file has become shorter, or cannot be read.
        """
        wanted = min(len(target), self.size - at)
        filled = 0
        with _errors_of_reading(self.name):
            self.file.seek(at)
            while filled < wanted:
                read = self.file.readinto(target[filled:wanted])
                if not read:
                    raise self._changed()
                filled += read
        return filled

    def read(self, at: int, length: int) -> bytes:
        """Return `length` bytes from `at` on, or fewer at the end of the document.

        Raises:
            DatasetError: The file has become shorter, or cannot be read.
        """
        wanted = max(0, min(length, self.size - at))
        with _errors_of_reading(self.name):
            self.file.seek(at)
            found = self.file.read(wanted) or b""
            while len(found) < wanted:
                more = self.file.read(wanted - len(found))
                if not more:
                    raise self._changed()
                found += more
        return found

    def chunks(self) -> Iterator[bytes]:
        """Yield the whole document in chunks."""
        return (self.read(start, CHUNK_SIZE) for start in range(0, self.size, CHUNK_SIZE))

    def window(self, at: int, length: int) -> tuple[bytes, int]:
        """Return a window with at least `length` bytes from `at` on, and the offset of `at` in it.

        It has fewer bytes only at the end of the document.
        """
        within = at - self._start
        end = within + length
        is_missing = end > len(self._window) and self._start + len(self._window) < self.size
        if within < 0 or is_missing:
            self._window = self.read(at, max(length, WINDOW_SIZE))
            self._start = at
            within = 0
        return self._window, within

    def byte(self, at: int) -> bytes:
        """Return the byte at `at`; empty at the end of the document."""
        window, within = self.window(at, 1)
        return window[within : within + 1]

    def match(
        self, pattern: re.Pattern[bytes], at: int, length: int = WINDOW_SIZE
    ) -> re.Match[bytes] | None:
        """Match a pattern at `at` within the next `length` bytes.

        Offsets in the match count from the start of the window, not of the document.
        """
        window, within = self.window(at, length)
        return pattern.match(window, within, within + length)

    def skip(self, pattern: re.Pattern[bytes], at: int) -> int:
        """Return the offset after a run of bytes that each match a pattern, however long it is."""
        while True:
            window, within = self.window(at, 1)
            found = pattern.match(window, within)
            end = found.end() if found else within
            at += end - within
            if end < len(window) or end == within:
                return at

    def skip_whitespace(self, at: int) -> int:
        """Return the offset of the first byte from `at` on that is not whitespace."""
        return self.skip(_WHITESPACE, at)

    def skip_value(self, at: int) -> int:
        """Return the offset after a value that is not needed."""
        if self.byte(at) not in (b"{", b"[", b'"'):
            scalar = self.match(_SCALAR, at)
            if not scalar:
                raise self.error(at, "expected a value")
            return at + len(scalar[0])
        depth = 0
        for token, _, end in self.tokens(at):
            depth += (token in b"[{") - (token in b"]}")
            if depth == 0:
                return end
        raise self.error(self.size, "unexpected end of file inside a value", TRUNCATED)

    def tokens(self, at: int, limit: int = sys.maxsize) -> Iterator[tuple[int, int, int]]:
        """Yield all brackets and strings from `at` on, which must be outside a string.

        A string that is never closed ends with the document. If a string ends after `limit`, the
        end that is given may be too early, but is also after it.

        Yields:
            The first byte of the token, its start and its end.
        """
        while at < self.size:
            window = self.read(at, CHUNK_SIZE)
            end = at + len(window)
            for found in _TOKEN.finditer(window):
                after = at + found.end()
                if after >= end - 1 and found[1] == b"":  # not closed; a backslash may be left
                    end = after = self._end_of_string(after, min(limit, self.size))
                yield window[found.start()], at + found.start(), after
            at = end

    def _end_of_string(self, at: int, limit: int) -> int:
        """Return the offset after a string that is open at `at`, or one beyond `limit`."""
        while at <= limit:
            found = _REST_OF_STRING.match(self.read(at, CHUNK_SIZE))
            if found is None or found.end() == 0:  # the document ends with a backslash
                break
            at += found.end()
            if found[1]:
                return at
        return at if at > limit else self.size

    def place(self, at: int) -> str:
        """Return the place of an offset: `a.json:3`, with the column if the line is long."""
        line = 1
        newline = -1
        for start in range(0, at, CHUNK_SIZE):
            window = self.read(start, min(CHUNK_SIZE, at - start))
            line += window.count(b"\n")
            last = window.rfind(b"\n")
            if last >= 0:
                newline = start + last
        column = at - newline
        return f"{self.name}:{line}:{column}" if column > _LONG_LINE else f"{self.name}:{line}"

    def error(self, at: int, what: str, advice: str = _REPAIR) -> DatasetError:
        """Return the error for what is wrong at an offset, with the text that follows it."""
        if self._is_changed():  # parts of two versions may be mixed
            return self._changed()
        self.check_utf8(self.size)  # raises if this text is not UTF-8
        option = ""
        if self.is_guess:  # half a character may be a quotation mark or a backslash
            advice = "Specify the file's encoding with `encoding`, or save it as UTF-8."
            option = "encoding"
        found = self.read(at, 30).decode("utf-8", "replace").strip()
        if found:
            what = f"{what}: {found!a}"
        elif what.startswith("expected"):
            what = f"unexpected end of file, {what}"
            advice = advice if self.is_guess else TRUNCATED
        place = self.place(at)
        message = f"{place}: {what}. {advice}"
        return DatasetError(message, place=place, option=option, value=found or None)

    def _changed(self) -> DatasetError:
        what = (
            "the file changed while it was being read. Read it again when no program writes to it."
        )
        return DatasetError(f"{self.name}: {what}", place=self.name)


@contextmanager
def document(
    path: str | PathLike[str],
    name: str = "",
    encoding: str | None = None,
    storage: Storage = LOCAL,
    *,
    is_checked: bool = True,
) -> Iterator[JsonText]:
    """Open a JSON file as UTF-8 without loading it. Other encodings use a temporary file.

    If the file is opened before it is checked, reading it may raise NotUtf8Error.

    Args:
        path: The path to open.
        name: The place that errors name; empty: the name of the file.
        encoding: The codec that the user names; see `as_utf8`.
        storage: Where the file is.
        is_checked: Whether to check the encoding of the whole file first.

    Raises:
        DatasetError: The file is empty, cannot be decoded, or cannot be opened.
    """
    name = name or os.path.basename(path)  # noqa: PTH119 - text
    with ExitStack() as stack:
        with _errors_of_reading(name):
            file = stack.enter_context(storage.open(os.fspath(path)))
            text = _open(file, name, encoding, stack, is_checked=is_checked or bool(encoding))
        yield text


@contextmanager
def _errors_of_reading(name: str) -> Iterator[None]:
    """Turn errors of the system into errors about the file: a disk or a connection may fail."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        what = f"the file cannot be read: {reason!r}. Check that it exists and is readable."
        raise DatasetError(f"{name}: {what}", place=name, value=reason) from error


def _open(
    file: RawIOBase, name: str, encoding: str | None, stack: ExitStack, *, is_checked: bool
) -> JsonText:
    is_guess = is_copy = False
    if is_checked:
        is_utf8 = is_utf8_file(file, but_ascii=encoding is not None)
    else:
        is_utf8 = not is_wide(file.read(4) or b"")
    if not is_utf8:
        import tempfile  # noqa: PLC0415 - only for other encodings

        is_copy = True
        file.seek(0)
        try:
            text, is_guess = as_utf8(file.readall(), encoding)
        except UndecodableError as error:
            raise undecodable(name, error) from error
        file = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - in `stack`
        for start in range(0, len(text), CHUNK_SIZE):  # one call may not write all
            file.write(text[start : start + CHUNK_SIZE])
    found = JsonText(
        file, name, is_guess=is_guess, is_copy=is_copy, is_checked=is_checked or is_copy
    )
    if found.size == 0:
        raise DatasetError(f"{name}: the file is empty. Export it again.", place=name)
    return found


def file_state(file: RawIOBase) -> tuple[object, ...]:
    """Return device, inode, size and modification time, which change if the file does."""
    state_in_cloud: Callable[[], tuple[object, ...]] | None = getattr(file, "state", None)
    if state_in_cloud:
        return state_in_cloud()
    stat = os.fstat(file.fileno())
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
