"""The text of a JSON file of any size, of which one window is in memory.

It is read, not mapped: where another process truncates a mapped file, the system ends this one (SIGBUS), and nothing in
Python can catch that. A read ends with an error of ours, and of a large document it is no slower.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from regionbatch.errors import DatasetError
from regionbatch.files.text import UndecodableError, as_utf8, is_utf8_file
from regionbatch.files.tree import undecodable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

WINDOW = 2**16
"""Bytes read at a time where only a few are needed: keys, commas, whitespace."""

PIECE = 2**19
"""Bytes read at a time where all are looked at."""

_LONG_LINE = 200
"""Bytes. Further on in a line, a place has the column too: many files are one line."""

_BLANK = re.compile(rb"[ \t\r\n]*+")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[\[\]{}]', re.DOTALL)
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+("?)', re.DOTALL)


class JsonText:
    """The bytes of a document. What `at` counts is bytes from its start."""

    def __init__(self, file: FileIO, name: str, *, guessed: bool = False) -> None:
        """Take the file, and what errors call it; `guessed`: its encoding is a guess, see `files.text`."""
        self.file, self.name, self.guessed = file, name, guessed
        self.state = state_of(file)
        self.size = self.state[2]
        self._window, self._start = b"", 0

    def check_unchanged(self) -> None:
        """Raise DatasetError if the file is not what it was when it was opened."""
        if state_of(self.file) != self.state:
            raise self._changed()

    def read_into(self, room: memoryview, at: int) -> int:
        """Fill `room` with the bytes from `at` on, as far as there are any; return how many.

        Raises:
            DatasetError: The file has become shorter.
        """
        wanted = min(len(room), self.size - at)
        filled = 0
        self.file.seek(at)
        while filled < wanted:
            read = self.file.readinto(room[filled:wanted])
            if not read:
                raise self._changed()
            filled += read
        return filled

    def read(self, at: int, length: int) -> bytes:
        """Return so many bytes from `at` on; fewer at the end of the document."""
        wanted = max(0, min(length, self.size - at))
        self.file.seek(at)
        found = self.file.read(wanted) or b""
        while len(found) < wanted:
            more = self.file.read(wanted - len(found))
            if not more:
                raise self._changed()
            found += more
        return found

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole document."""
        return (self.read(start, PIECE) for start in range(0, self.size, PIECE))

    def near(self, at: int, length: int) -> tuple[bytes, int]:
        """Return a window that has so many bytes from `at` on, unless the document ends; and where in it `at` is."""
        within = at - self._start
        if within < 0 or (within + length > len(self._window) and self._start + len(self._window) < self.size):
            self._window, self._start, within = self.read(at, max(length, WINDOW)), at, 0
        return self._window, within

    def byte(self, at: int) -> bytes:
        """Return one byte; none at the end."""
        window, within = self.near(at, 1)
        return window[within : within + 1]

    def match(self, pattern: re.Pattern[bytes], at: int, length: int = WINDOW) -> re.Match[bytes] | None:
        """Match a pattern at `at` that needs no more than so many bytes. Places in the match count from its start."""
        window, within = self.near(at, length)
        return pattern.match(window, within, within + length)

    def after(self, pattern: re.Pattern[bytes], at: int) -> int:
        """Return the byte after a run of single bytes that a pattern matches, however long; it may be none."""
        while True:
            window, within = self.near(at, 1)
            found = pattern.match(window, within)
            end = found.end() if found else within
            at += end - within
            if end < len(window) or end == within:
                return at

    def blank(self, at: int) -> int:
        """Return the first byte from `at` on that is no whitespace."""
        return self.after(_BLANK, at)

    def tokens(self, at: int, limit: int = sys.maxsize) -> Iterator[tuple[int, int, int]]:
        """Yield the brackets and strings from `at` on, where no string is open: the first byte, the start, the end.

        A string without end goes to the end of the document; one that goes beyond `limit` ends somewhere behind that.
        """
        while at < self.size:
            window = self.read(at, PIECE)
            end = at + len(window)
            for found in _TOKEN.finditer(window):
                after = at + found.end()
                if after >= end - 1 and found[1] == b"":  # open; a backslash may be left
                    end = after = self._end_of_string(after, min(limit, self.size))
                yield window[found.start()], at + found.start(), after
            at = end

    def _end_of_string(self, at: int, limit: int) -> int:
        """Return the byte after a string that is open at `at`, or one behind `limit`."""
        while at <= limit:
            found = _REST_OF_STRING.match(self.read(at, PIECE))
            if found is None or found.end() == 0:  # a backslash that ends the document
                break
            at += found.end()
            if found[1]:
                return at
        return at if at > limit else self.size

    def place(self, at: int) -> str:
        """Return a place as it is shown: the line, and the column in a long one."""
        line, newline = 1, -1
        for start in range(0, at, PIECE):
            window = self.read(start, min(PIECE, at - start))
            line += window.count(b"\n")
            last = window.rfind(b"\n")
            newline = start + last if last >= 0 else newline
        column = at - newline
        return f"{self.name}:{line}:{column}" if column > _LONG_LINE else f"{self.name}:{line}"

    def _changed(self) -> DatasetError:
        what = "the file was changed while it was read. Read it again once nothing writes to it."
        return DatasetError(f"{self.name}: {what}", place=self.name)


@contextmanager
def document(path: Path, name: str = "", encoding: str | None = None) -> Iterator[JsonText]:
    """Open a JSON file as UTF-8, without loading it. Other encodings become UTF-8 in a temporary file.

    Args:
        path: The file on disk.
        name: The place that errors name; empty: the name of the file.
        encoding: The codec that the user names; see `as_utf8`.

    Raises:
        DatasetError: It is empty, is not in the encoding that it must be in, or the system refuses.
    """
    with ExitStack() as stack:
        try:
            text = _opened(path, name or path.name, encoding, stack)
        except OSError as error:
            what = f"cannot be read, got {error.strerror or error}; check its permissions"
            raise DatasetError(f"{path}: {what}", place=name or path.name) from error
        yield text


def _opened(path: Path, name: str, encoding: str | None, stack: ExitStack) -> JsonText:
    file, guessed = stack.enter_context(path.open("rb", buffering=0)), False
    if not is_utf8_file(file, but_ascii=encoding is not None):
        import tempfile  # noqa: PLC0415 - only for other encodings

        file.seek(0)
        try:
            text, guessed = as_utf8(file.readall(), encoding)
        except UndecodableError as error:
            raise undecodable(name, error) from error
        file = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the stack's
        for start in range(0, len(text), PIECE):  # one call may not write all
            file.write(text[start : start + PIECE])
    found = JsonText(file, name, guessed=guessed)
    if found.size == 0:
        raise DatasetError(f"{path}: the file is empty; it may not have been written to its end", place=name)
    return found


def state_of(file: FileIO) -> tuple[int, ...]:
    """Return what tells one file, as it is now, from others."""
    stat = os.fstat(file.fileno())
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
