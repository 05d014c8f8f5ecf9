"""The rows of YOLO label files: read and parsed many at once, in one pass over their joined text.

The joined text is parsed as numbers by a JSON parser, the fastest there is here; a file with anything in it that is no
plain number is parsed line by line instead. Both give the same table of numbers; the rules stand once, on that table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.files.text import UnreadableError, as_utf8, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog

NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_BLOCK = 2**22
"""Bytes of label text parsed at a time."""
_FAR = 2
"""No share that somebody meant is beyond it."""
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


class Rows(NamedTuple):
    """Boxes in `BoxMode.CXCYWH_REL`, of the rows that are boxes or shapes."""

    tag: NDArray[np.int64]
    box: NDArray[np.float64]
    file: NDArray[np.int64]
    line: NDArray[np.int64]
    shape: NDArray[np.bool_]
    """Whether the box is the one around a polygon or a turned box."""
    extra: NDArray[np.bool_]
    """Whether columns behind the box were left out."""
    last: NDArray[np.float64]
    """Of a row of seven that is read as points, the last number: a track id, or 0.5 if none. NaN: other rows."""

    def take(self, mask: NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        return Rows(*(column[mask] for column in self))  # type: ignore[arg-type]


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
            text = read_bytes(path)
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


def tabulate(block: Block, log: FindingLog, files: NDArray[np.int32]) -> Table:
    """The numbers of label files; `files` are their codes in the log.

    Lines that are no rows of numbers are counted and reported, with their line.
    """
    return _in_halves(block.texts, log, files) if block.table is None else block.table


def _in_halves(texts: Sequence[bytes], log: FindingLog, files: NDArray[np.int32]) -> Table:
    """Look for the files that have more in them than numbers, which are taken line by line."""
    if len(texts) == 1:
        return _line_by_line(texts[0], log, int(files[0]))
    half = len(texts) // 2
    parts: list[Table] = []
    for part in (slice(half), slice(half, None)):
        table = _plain_numbers(texts[part])
        parts.append(_in_halves(texts[part], log, files[part]) if table is None else table)
    parts[1] = parts[1]._replace(file=parts[1].file + half)
    return Table(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


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
    values = None if b"," in joined else _numbers(joined)
    if values is None:
        return None
    blank = signs <= ord(" ")
    token_ends = np.flatnonzero(blank[1:] & ~blank[:-1])
    line_ends = np.flatnonzero(signs == _NEWLINE)
    lengths = np.diff(np.searchsorted(token_ends, line_ends), prepend=0)
    lines_before = np.searchsorted(line_ends, text_ends - sizes)
    file = np.repeat(np.arange(len(texts)), np.diff(lines_before, append=len(line_ends)))
    line = np.arange(len(line_ends)) - lines_before[file] + 1
    filled = lengths > 0
    if filled.all():
        return Table(values, lengths, file, line)
    return Table(values, lengths[filled], file[filled], line[filled])


def _numbers(joined: bytes) -> NDArray[np.float64] | None:
    for text in (joined[:-1].translate(_COMMAS), None):  # one blank between numbers; or any, at twice the time
        try:
            numbers = _decode(b"[" + (b",".join(joined.split()) if text is None else text) + b"]")
        except msgspec.DecodeError:
            continue
        return np.fromiter(numbers, np.float64, len(numbers))
    return None


def _line_by_line(text: bytes, log: FindingLog, file: int) -> Table:
    values: list[float] = []
    lengths: list[int] = []
    lines: list[int] = []
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", text), 1):
        tokens = line.split()
        if all(map(NUMBER.fullmatch, tokens)):
            values += map(float, tokens)
            if tokens:
                lengths.append(len(tokens))
                lines.append(number)
        else:
            log.read(boxes=1)
            log.add("not_a_row", file, number, [line.decode("utf-8", "replace").strip()])
    return Table(
        np.asarray(values, np.float64),
        np.asarray(lengths, np.int64),
        np.zeros(len(lengths), np.int64),
        np.asarray(lines, np.int64),
    )


def interpret(table: Table, kind: str, keypoints: int, log: FindingLog, files: NDArray[np.int32]) -> Rows:
    """What the rows mean, each by its own length unless `kind` says it.

    5 numbers are a class and a box; 6 have a confidence or a track id behind, or as many as the `keypoints` of the data
    set are. More, and odd, are a class and points: a polygon, or the corners of a turned box. The rest are no rows:
    counted and reported.
    """
    count = table.lengths
    log.read(boxes=len(count))
    if kind == "box":
        is_box, skip = count >= 5, 1
    elif kind == "confidence-first":
        is_box, skip = count >= 6, 2
    else:
        is_box, skip = ((count == 5) | (count == 6) | (count == 5 + keypoints)) & (kind != "polygon"), 1
    is_shape = ~is_box & (count >= 7) & (count % 2 == 1) & (kind in ("auto", "polygon"))
    start = np.cumsum(count) - count
    tag = table.values[start]
    whole = np.isfinite(tag) & (tag == np.floor(tag)) & (np.abs(tag) < 2**31)
    bad = ~(is_box | is_shape) | ~whole
    if bad.any():
        texts = (table.values[at : at + min(length, 12)] for at, length in zip(start[bad], count[bad], strict=True))
        log.add("not_a_row", files[table.file[bad]], table.line[bad], texts)
    box = np.empty((len(count), 4))
    is_box, is_shape = is_box & whole, is_shape & whole
    box[is_box] = table.values[start[is_box][:, None] + np.arange(skip, skip + 4)]
    if is_shape.any():
        box[is_shape] = _around(table.values, start[is_shape] + 1, count[is_shape] - 1)
    extra = is_box & (count > 5)
    last = _last_of_seven(table.values, start, count, is_shape)
    rows = Rows(np.where(whole, tag, -1).astype(np.int64), box, table.file, table.line, is_shape, extra, last)
    return rows.take(~bad) if bad.any() else rows


def far(rows: Rows) -> NDArray[np.bool_]:
    """Which rows have numbers far beyond 1, of a shape any of its points. Those with infinity or NaN have none."""
    # Most data sets need only this look. A shape within it reaches no further than 4 / 3 + 4 / 3 / 2 = 2.
    if len(rows.box) == 0 or (rows.box.max() <= 4 / 3 and rows.box.min() >= -4 / 3):
        return np.zeros(len(rows.box), np.bool_)
    sizes = np.abs(rows.box)
    with np.errstate(over="ignore"):  # numbers near 1e308
        reach = np.where(rows.shape[:, None], sizes[:, :2] + sizes[:, 2:] / 2, np.maximum(sizes[:, :2], sizes[:, 2:]))
    return np.asarray((reach > _FAR).any(axis=1) & boxes.finite(rows.box), np.bool_)


def _last_of_seven(
    values: NDArray[np.float64], start: NDArray[np.int64], count: NDArray[np.int64], is_shape: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """See `Rows.last`. Where a number before the last is far beyond 1, the row is no box with something behind it."""
    last = np.full(len(count), np.nan)
    seven = is_shape & (count == 7)
    if seven.any():
        numbers = values[start[seven][:, None] + np.arange(1, 7)]
        last[seven] = np.where((np.abs(numbers[:, :5]) <= _FAR).all(axis=1), numbers[:, 5], 0.5)
    return last


def _around(values: NDArray[np.float64], start: NDArray[np.int64], length: NDArray[np.int64]) -> boxes.Boxes:
    """The boxes around runs of x, y, x, y, … in `values`."""
    first = np.cumsum(length) - length
    at = np.arange(length.sum()) + np.repeat(start - first, length)
    points = values[at].reshape(-1, 2)
    with np.errstate(invalid="ignore", over="ignore"):  # infinity and NaN are told later, as what they are
        edges = np.hstack([np.minimum.reduceat(points, first // 2), np.maximum.reduceat(points, first // 2)])
        return boxes.from_edges(edges, BoxMode.CXCYWH_REL)
