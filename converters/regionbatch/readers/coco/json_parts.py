"""Parts of a large JSON document, whose records other processes decode.

A part starts at a `},{`, where a record probably ends. Its chunks count only if the chunks before
them end exactly there, in the array that was expected: JSON is read from left to right in exactly
one way. A wrong guess costs time, never a record.
"""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.errors import DatasetError
from regionbatch.files.text import NotUtf8Error
from regionbatch.part_ranges import MIN_PARTS, even_ranges, with_small_ends
from regionbatch.readers.coco.json_records import BOUNDARY
from regionbatch.readers.coco.json_text import CHUNK_SIZE, JsonText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from regionbatch.files.storage import Storage
    from regionbatch.readers.coco.json_stream import ArraySpec, Chunk

MAX_PART_SIZE = 2**24
"""Maximum size of a part in bytes."""


class PartOfFile(NamedTuple):
    """The arguments of `decode_part`."""

    storage: Storage
    path: str
    state: tuple[object, ...]
    """Size and modification time of the file; the part is read only if they are the same."""
    key: str
    """The array that makes up most of the document."""
    spec: ArraySpec
    start: int
    """Offset of the first record."""
    end: int
    """Offset of the first record of the next part."""


class DecodedParts:
    """The chunks of parts, by where they start. Each part is taken or skipped once, in order."""

    def __init__(self, starts: Iterable[int] = (), results: Iterable[list[Chunk]] = ()) -> None:
        """Take the parts.

        Args:
            starts: The offset of each part.
            results: The chunks of each.
        """
        self._starts = deque(starts)
        self._results = iter(results)

    @property
    def next_start(self) -> int:
        """Where the next part starts; beyond any document if there is none."""
        return self._starts[0] if self._starts else sys.maxsize

    def take(self, at: int) -> list[Chunk]:
        """Return the chunks of the part that starts at an offset, and skip those before it."""
        while self.next_start <= at:
            start = self._starts.popleft()
            chunks = next(self._results, [])
            if start == at:
                return chunks
        return []


def divide(storage: Storage, path: str, n: int, key: str, spec: ArraySpec) -> list[PartOfFile]:
    """Divide a JSON file into about `n` parts. What precedes the first boundary is in none of them.

    There are none if the file cannot be read: that is reported when it is read as a whole.

    Args:
        storage: Where the file is.
        path: The path to open.
        n: The number of parts.
        key: The array that makes up most of the document.
        spec: How its records are decoded.
    """
    with suppress(OSError, DatasetError), storage.open(path) as file:
        text = JsonText(file, path)
        ranges = even_ranges(text.size, n, MAX_PART_SIZE)
        if len(ranges) >= MIN_PARTS:
            ranges = with_small_ends(ranges)
        starts = _boundaries(text, [each.start for each in ranges[1:]])
        pairs = pairwise([*starts, text.size])
        return [PartOfFile(storage, path, text.state[-2:], key, spec, *pair) for pair in pairs]
    return []


def _boundaries(text: JsonText, wanted: Iterable[int]) -> list[int]:
    """Return where records probably start after some offsets."""
    starts: list[int] = []
    for at in wanted:
        found = BOUNDARY.search(text.read(at, CHUNK_SIZE))
        start = at + found.end() - 1 if found else 0
        if start > (starts[-1] if starts else 0):
            starts.append(start)
    return starts


def is_part_of(text: JsonText, part: PartOfFile) -> bool:
    """Return whether a part belongs to this document, so that its offsets are valid."""
    return not text.is_copy and text.state[-2:] == part.state


def decode_part(
    storage: Storage,
    path: str,
    state: tuple[object, ...],
    key: str,
    spec: ArraySpec,
    start: int,
    end: int,
) -> list[Chunk]:
    """Return the typed chunks of a part, up to its end or to where the type does not fit."""
    from regionbatch.readers.coco.json_stream import ArrayStream  # noqa: PLC0415 - it imports this

    chunks: list[Chunk] = []
    errors = suppress(OSError, ValueError, RecursionError, NotUtf8Error)  # read again as a whole
    with errors, storage.open(path) as file:
        text = JsonText(file, path)
        if text.state[-2:] == state:  # otherwise the file was replaced
            stream = ArrayStream(text, {key: spec}, parts=DecodedParts([end]))
            for chunk in _typed(stream.array(key, start)):
                chunks.append(chunk)
                if text.skip_whitespace(chunk.end) >= end:
                    break
    return chunks


def _typed(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    for chunk in chunks:
        if chunk.typed is None:
            return
        yield chunk
