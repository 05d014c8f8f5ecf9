"""Parse the text of YOLO label files into rows of numbers, many files at a time.

Nearly all label files contain nothing but numbers. Their joined text is decoded by a JSON parser,
which takes a tenth of the time that a loop over the lines takes. Files that contain anything else
are parsed line by line. Both ways return the same rows; `rows` interprets them.
"""

from __future__ import annotations

import io
import re
from array import array
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from regionbatch.files.text import UnreadableError, as_utf8
from regionbatch.readers.packed_floats import PACKED_FLOAT, packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.storage import Storage

NUMBER = re.compile(
    rb"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:e[+-]?\d++)?|[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE
)
"""A number. Its quantifiers are possessive, so that a million digits and a letter are scanned
once."""
MAX_FILE_SIZE = 8 * 2**20
"""Largest label file in bytes. No image needs more, and the numbers take 12 times the memory."""
MAX_ROW_SIZE = 2**20
"""Longest row in bytes: a polygon of 50,000 points."""
MAX_INVALID_ROWS = 10_000
"""Maximum invalid rows in one file. A file with more is some other kind of text: it is not read."""
TOO_MANY_INVALID_ROWS = f"more than {MAX_INVALID_ROWS:,} invalid rows"
_BLOCK = 2**22
"""Bytes of label text that are parsed at a time."""
_CHUNK = 2**17
"""Bytes of label text that are decoded at a time, or one row. Python's list of numbers is 16 times
as large: a small one uses the memory of the one before, and stays in the processor's cache."""
_SHOWN = 400
"""Bytes of an invalid row that are kept, which is more than a message shows."""
_NEWLINE = ord("\n")
_SPACE = ord(" ")
_TAB = ord("\t")
_COMMA = np.uint8(ord(","))
_decode = msgspec.json.Decoder(list[float]).decode


class InvalidRow(NamedTuple):
    """A row that contains something other than numbers."""

    file: int
    """The index of its file among the parsed files."""
    line: int
    """Its line number, from 1."""
    text: str


class ParsedRows(NamedTuple):
    """Rows of numbers, which may differ in length; r rows of v numbers in all."""

    values: NDArray[np.float64]
    """(v,) The numbers, row after row."""
    lengths: NDArray[np.int64]
    """(r,) How many numbers each row has."""
    file: NDArray[np.int64]
    """(r,) The index of each row's file among the parsed files."""
    line: NDArray[np.int64]
    """(r,) The line number of each row, from 1."""
    invalid: Sequence[InvalidRow] = ()

    def without_files(self, files: NDArray[np.int64]) -> ParsedRows:
        """Return the rows of all files except some."""
        keep = ~np.isin(self.file, files)
        values = self.values[np.repeat(keep, self.lengths)]
        removed = set(files.tolist())
        invalid = [row for row in self.invalid if row.file not in removed]
        return ParsedRows(values, self.lengths[keep], self.file[keep], self.line[keep], invalid)


class LabelBlock(NamedTuple):
    """The content of several consecutive label files."""

    file_count: int
    rows: ParsedRows | None
    """Their rows if they contain nothing but numbers."""
    texts: list[bytes]
    """Otherwise their texts as UTF-8, to be parsed by `parse_block`."""
    unreadable: dict[int, str]
    """Why a file could not be read, by its index in the block. It counts as empty."""
    guessed: list[int]
    """The indexes of files that are not UTF-8, so that their encoding is a guess."""


def load_blocks(storage: Storage, paths: Sequence[str]) -> Iterator[LabelBlock]:
    """Read label files, and yield as many at a time as fit into a block.

    Args:
        storage: Where the files are.
        paths: The paths to open.
    """
    contents: list[bytes | UnreadableError] = []
    size = 0
    for content in storage.read_many(paths, most=MAX_FILE_SIZE):
        contents.append(content)
        if isinstance(content, bytes):
            size += len(content)
        if size >= _BLOCK:
            yield build_block(*_decoded(contents))
            contents, size = [], 0
    yield build_block(*_decoded(contents))


def _decoded(
    contents: Sequence[bytes | UnreadableError],
) -> tuple[list[bytes], dict[int, str], list[int]]:
    """Return the texts of some files, and what `LabelBlock` says about them."""
    unreadable: dict[int, str] = {}
    guessed: list[int] = []
    texts: list[bytes] = []
    for index, content in enumerate(contents):
        if isinstance(content, bytes) and content.isascii():
            texts.append(content)
            continue
        text = b""
        try:
            if isinstance(content, UnreadableError):
                raise content
            text, is_guess = as_utf8(content)
            if is_guess:
                guessed.append(index)
        except UnreadableError as error:
            unreadable[index] = str(error)
        texts.append(text)
    return texts, unreadable, guessed


def build_block(texts: list[bytes], unreadable: dict[int, str], guessed: list[int]) -> LabelBlock:
    """Return the block of some texts, parsed if they contain nothing but numbers."""
    rows = _parse_at_once(texts)
    return LabelBlock(len(texts), rows, texts if rows is None else [], unreadable, guessed)


def parse_block(block: LabelBlock) -> ParsedRows:
    """Return the rows of the label files in a block."""
    return _parse_by_halves(block.texts) if block.rows is None else block.rows


def _parse_by_halves(texts: Sequence[bytes]) -> ParsedRows:
    """Parse all files at once except those that contain more than numbers, found by bisection."""
    if len(texts) == 1:
        return _parse_by_line(texts[0])
    half = len(texts) // 2
    parts: list[ParsedRows] = []
    for part in (texts[:half], texts[half:]):
        rows = _parse_at_once(part)
        parts.append(_parse_by_halves(part) if rows is None else rows)
    first, second = parts
    moved = [row._replace(file=row.file + half) for row in second.invalid]
    return ParsedRows(
        np.concatenate([first.values, second.values]),
        np.concatenate([first.lengths, second.lengths]),
        np.concatenate([first.file, second.file + half]),
        np.concatenate([first.line, second.line]),
        [*first.invalid, *moved],
    )


def _parse_at_once(texts: Sequence[bytes]) -> ParsedRows | None:
    """Parse all texts in one pass; return None if they contain anything but numbers as in JSON."""
    texts, joined = _with_line_feeds(texts)
    if b"\r" in joined:  # a carriage return without a line feed also ends a line
        return None
    characters = np.frombuffer(joined, np.uint8)
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    text_ends = np.cumsum(sizes)
    if (characters[text_ends[sizes > 0] - 1] != _NEWLINE).any():
        return _parse_at_once([_with_final_newline(text) for text in texts])
    line_ends = np.flatnonzero(characters == _NEWLINE)
    if len(joined) > MAX_ROW_SIZE and np.diff(line_ends, prepend=-1).max() > MAX_ROW_SIZE:
        return None
    values = None if b"," in joined else _decode_numbers(joined)
    if values is None:
        return None
    is_space = characters <= _SPACE
    token_ends = np.flatnonzero(is_space[1:] > is_space[:-1])
    lengths = np.diff(np.searchsorted(token_ends, line_ends), prepend=0)
    lines_before = np.searchsorted(line_ends, text_ends - sizes)
    file = np.repeat(np.arange(len(texts)), np.diff(lines_before, append=len(line_ends)))
    line = np.arange(len(line_ends)) - lines_before[file] + 1
    filled = lengths > 0
    if filled.all():
        return ParsedRows(values, lengths, file, line)
    return ParsedRows(values, lengths[filled], file[filled], line[filled])


def _with_line_feeds(texts: Sequence[bytes]) -> tuple[Sequence[bytes], bytes]:
    r"""Return the texts with `\n` for `\r\n`, and all of them joined."""
    joined = b"".join(texts)
    if b"\r" in joined:
        texts = [text.replace(b"\r\n", b"\n") for text in texts]
        joined = b"".join(texts)
    return texts, joined


def _with_final_newline(text: bytes) -> bytes:
    return text if text.endswith(b"\n") or not text else text + b"\n"


def _decode_numbers(joined: bytes) -> NDArray[np.float64] | None:
    """Return the numbers of rows up to `MAX_ROW_SIZE` long; None if they contain anything else."""
    parts: list[NDArray[np.float64]] = []
    start = 0
    while start < len(joined):
        end = joined.find(b"\n", start + _CHUNK) + 1 or len(joined)
        part = _decode_chunk(joined[start:end])
        if part is None:
            return None
        parts.append(part)
        start = end
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0), *parts])


def _decode_chunk(chunk: bytes) -> NDArray[np.float64] | None:
    # Nearly all files have one character between numbers, which takes half the time of `split`.
    numbers = _decode_list(_with_commas(chunk))
    if numbers is None:
        numbers = _decode_list(b"[%b]" % b",".join(chunk.split()))
    if numbers is None:
        return None
    return packed(numbers, PACKED_FLOAT)["number"].astype(np.float64)


def _with_commas(chunk: bytes) -> memoryview:
    """Return lines in square brackets, with commas for all whitespace but the last newline."""
    characters = np.frombuffer(chunk, np.uint8)
    is_space = (characters == _SPACE) | (characters == _TAB) | (characters == _NEWLINE)
    text = np.empty(len(chunk) + 1, np.uint8)
    # No whitespace is greater than a comma. `bytes.translate` takes ten times as long.
    np.maximum(characters, is_space * _COMMA, out=text[1:])
    text[0], text[-1] = ord("["), ord("]")
    return text.data


def _decode_list(text: bytes | memoryview) -> list[float] | None:
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return None


def _parse_by_line(text: bytes) -> ParsedRows:
    """Return the rows of one text, up to the invalid row that is one too many."""
    values, lengths, lines = array("d"), array("q"), array("q")
    invalid: list[InvalidRow] = []
    line_feeds = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, line in enumerate(io.BytesIO(line_feeds), 1):
        row = line.strip()
        tokens = row.split() if len(row) <= MAX_ROW_SIZE else ()
        if tokens and all(map(NUMBER.fullmatch, tokens)):
            values.extend(map(float, tokens))
            lengths.append(len(tokens))
            lines.append(number)
        elif row:
            invalid.append(InvalidRow(0, number, row[:_SHOWN].decode("utf-8", "replace")))
            if len(invalid) > MAX_INVALID_ROWS:
                break
    return ParsedRows(
        np.asarray(values, np.float64),
        np.asarray(lengths, np.int64),
        np.zeros(len(lengths), np.int64),
        np.asarray(lines, np.int64),
        invalid,
    )
