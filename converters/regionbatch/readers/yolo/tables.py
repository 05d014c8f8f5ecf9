"""The text of YOLO label files as tables of numbers: read and parsed many at once, in one pass over their joined text.

The joined text is parsed as numbers by a JSON parser, the fastest there is here; a file with anything in it that is no
plain number is parsed line by line instead. Both give the same table of numbers; `rows` says what they mean.
"""

from __future__ import annotations

import io
import re
from array import array
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from regionbatch.files.text import UnreadableError, as_utf8, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

NUMBER = re.compile(rb"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:e[+-]?\d++)?|[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
"""Possessive: a million digits and a letter are looked at once."""
LARGEST_FILE = 8 * 2**20
"""Bytes of a label file: an image has no reason for more, and numbers take a dozen times as much memory."""
LONGEST_ROW = 2**20
"""Bytes of a row: a polygon of 50,000 points. What is longer is not a row."""
MOST_BAD_ROWS = 10_000
"""Rows of one file that are no rows, before it is taken for another kind of text and dropped as a whole."""
TOO_MANY_BAD_ROWS = f"more than {MOST_BAD_ROWS} rows that are no boxes"
_BLOCK = 2**22
"""Bytes of label text parsed at a time."""
_PIECE = 2 * LONGEST_ROW
"""Bytes of label text made into numbers at a time."""
_SHOWN = 400
"""Bytes of a bad row that are kept, more than a message shows."""
_NEWLINE = ord("\n")
_COMMAS = bytes.maketrans(b" \t\n", b",,,")
_decode = msgspec.json.Decoder(list[float]).decode


class Table(NamedTuple):
    """Rows of numbers of different lengths; r rows, v numbers."""

    values: NDArray[np.float64]
    """(v,)"""
    lengths: NDArray[np.int64]
    """(r,)"""
    file: NDArray[np.int64]
    """(r,), which of the texts."""
    line: NDArray[np.int64]
    """(r,), from 1."""
    odd: Sequence[Odd] = ()
    """The rows that are not of numbers."""

    def without(self, files: NDArray[np.int64]) -> Table:
        """Return the rows of all texts but some."""
        keep = ~np.isin(self.file, files)
        values = self.values[np.repeat(keep, self.lengths)]
        gone = {*files.tolist()}
        odd = [each for each in self.odd if each.file not in gone]
        return Table(values, self.lengths[keep], self.file[keep], self.line[keep], odd)


class Odd(NamedTuple):
    """A row that is not of numbers."""

    file: int
    """Which of the texts."""
    line: int
    text: str


class Block(NamedTuple):
    """Some label files, one after the other."""

    files: int
    """How many."""
    table: Table | None
    """Their numbers, if they hold nothing else."""
    texts: list[bytes]
    """Otherwise what they hold, as UTF-8."""
    unreadable: dict[int, str]
    """Why a file, by its number in the block, cannot be read; it counts as empty."""
    guessed: list[int]
    """Those that are no UTF-8."""


def load(paths: Sequence[str]) -> Iterator[Block]:
    """Read label files, as many at a time as fit into a block."""
    texts: list[bytes] = []
    unreadable: dict[int, str] = {}
    guessed: list[int] = []
    size = 0
    for path in paths:
        try:
            text = read_bytes(path, most=LARGEST_FILE)
            if not text.isascii():
                text, odd = as_utf8(text)
                guessed += [len(texts)] if odd else []
        except UnreadableError as error:
            unreadable[len(texts)] = str(error)
            text = b""
        texts.append(text)
        size += len(text)
        if size >= _BLOCK:
            yield _block(texts, unreadable, guessed)
            texts, unreadable, guessed, size = [], {}, [], 0
    yield _block(texts, unreadable, guessed)


def _block(texts: list[bytes], unreadable: dict[int, str], guessed: list[int]) -> Block:
    table = _plain_numbers(texts)
    return Block(len(texts), table, texts if table is None else [], unreadable, guessed)


def tabulate(block: Block) -> Table:
    """Return the rows of label files."""
    return _in_halves(block.texts) if block.table is None else block.table


def _in_halves(texts: Sequence[bytes]) -> Table:
    """Look for the files that have more in them than numbers, which are taken line by line."""
    if len(texts) == 1:
        return _line_by_line(texts[0])
    half = len(texts) // 2
    parts: list[Table] = []
    for part in (texts[:half], texts[half:]):
        table = _plain_numbers(part)
        parts.append(_in_halves(part) if table is None else table)
    first, second = parts
    odd = [*first.odd, *(each._replace(file=each.file + half) for each in second.odd)]
    return Table(
        np.concatenate([first.values, second.values]),
        np.concatenate([first.lengths, second.lengths]),
        np.concatenate([first.file, second.file + half]),
        np.concatenate([first.line, second.line]),
        odd,
    )


def _plain_numbers(texts: Sequence[bytes]) -> Table | None:
    """All texts in one pass; None if there is anything but numbers as JSON has them."""
    joined = b"".join(texts)
    if b"\r" in joined:
        texts = [text.replace(b"\r\n", b"\n") for text in texts]
        joined = b"".join(texts)
        if b"\r" in joined:  # a line end of its own
            return None
    signs = np.frombuffer(joined, np.uint8)
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    text_ends = np.cumsum(sizes)
    if (signs[text_ends[sizes > 0] - 1] != _NEWLINE).any():
        return _plain_numbers([text if text.endswith(b"\n") or not text else text + b"\n" for text in texts])
    line_ends = np.flatnonzero(signs == _NEWLINE)
    if len(joined) > LONGEST_ROW and np.diff(line_ends, prepend=-1).max() > LONGEST_ROW:
        return None
    values = None if b"," in joined else _numbers(joined)
    if values is None:
        return None
    blank = signs <= ord(" ")
    token_ends = np.flatnonzero(blank[1:] & ~blank[:-1])
    lengths = np.diff(np.searchsorted(token_ends, line_ends), prepend=0)
    lines_before = np.searchsorted(line_ends, text_ends - sizes)
    file = np.repeat(np.arange(len(texts)), np.diff(lines_before, append=len(line_ends)))
    line = np.arange(len(line_ends)) - lines_before[file] + 1
    filled = lengths > 0
    if filled.all():
        return Table(values, lengths, file, line)
    return Table(values, lengths[filled], file[filled], line[filled])


def _numbers(joined: bytes) -> NDArray[np.float64] | None:
    """Return all numbers of whole rows, none longer than `LONGEST_ROW`; None if there is anything else."""
    parts: list[NDArray[np.float64]] = []
    start = 0
    while start < len(joined):
        end = joined.rfind(b"\n", start, start + _PIECE) + 1  # a list of Python's numbers is 16 times as large
        part = _numbers_of_piece(joined[start:end])
        if part is None:
            return None
        parts.append(part)
        start = end
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0), *parts])


def _numbers_of_piece(piece: bytes) -> NDArray[np.float64] | None:
    for text in (piece[:-1].translate(_COMMAS), None):  # one blank between numbers; or any, at twice the time
        try:
            numbers = _decode(b"[" + (b",".join(piece.split()) if text is None else text) + b"]")
        except msgspec.DecodeError:
            continue
        return np.fromiter(numbers, np.float64, len(numbers))
    return None


def _line_by_line(text: bytes) -> Table:
    """Return the rows of one text, up to the bad row that is one too many."""
    values, lengths, lines = array("d"), array("q"), array("q")
    odd: list[Odd] = []
    for number, line in enumerate(io.BytesIO(text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")), 1):
        row = line.strip()
        tokens = row.split() if len(row) <= LONGEST_ROW else ()
        if row and tokens and all(map(NUMBER.fullmatch, tokens)):
            values.extend(map(float, tokens))
            lengths.append(len(tokens))
            lines.append(number)
        elif row:
            odd.append(Odd(0, number, row[:_SHOWN].decode("utf-8", "replace")))
            if len(odd) > MOST_BAD_ROWS:
                break
    return Table(
        np.asarray(values, np.float64),
        np.asarray(lengths, np.int64),
        np.zeros(len(lengths), np.int64),
        np.asarray(lines, np.int64),
        odd,
    )
