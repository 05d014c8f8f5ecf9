"""The text of payloads, for many regions at once.

No encoder is used, because one such as `msgspec` needs a Python object for each region, takes more
than twice as long (0.5 s for a million regions against 0.2 s), and does not write a fixed number of
decimals. With nine decimals, every entry has the same length, so the text of many bodies is one
table of records. The fixed parts are written once, the IDs are copied from tables, and the digits
are copied four at a time from a table of all four-digit texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from regionbatch.boxes import QUANTUM, blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Regions

EntryValues: TypeAlias = "tuple[str, str, float, float, float, float]"
"""Image ID, tag ID, left, top, width and height."""

_ID = "S36"
_BOX = np.dtype("V16")
"""Four quanta, which are taken as one item."""
_ZERO = ord("0")
_NUMBERS = ("left", "top", "width", "height")


def body(entries: Iterable[EntryValues]) -> bytes:
    """Return the body of a call, as `Bodies.lines` writes it for many."""
    return _START + ",".join(map(_entry, entries)).encode("ascii") + _END


def count(text: bytes) -> int:
    """Return the number of entries of a body."""
    return (len(text) - len(_START) - len(_END) + 1) // _LENGTH


def _entry(values: EntryValues) -> str:
    image_id, tag_id, *box = values
    left, top, width, height = (f"{number:.9f}" for number in box)
    ids = f'"imageId":"{image_id}","tagId":"{tag_id}"'
    return f'{{{ids},"left":{left},"top":{top},"width":{width},"height":{height}}}'


_START = b'{"regions":['
_END = b"]}"
_TEMPLATE = _entry(("-" * 36, "-" * 36, 0, 0, 0, 0))
"""An entry as on the reference page of CreateImageRegions."""
_LENGTH = len(_TEMPLATE) + 1
"""Length of an entry in bytes, with the comma or bracket after it."""


def _layout() -> np.dtype[np.void]:
    """Return the positions of IDs and digits in an entry.

    A number consists of the digit `whole`, a point, four digits `first`, four digits `next` and the
    digit `last`.
    """
    image_at = _TEMPLATE.index('"-') + 1
    tag_at = _TEMPLATE.rindex('"-') + 1
    fields = [("image", _ID, image_at), ("tag", _ID, tag_at)]
    for name in _NUMBERS:
        at = _TEMPLATE.index(f'"{name}":') + len(name) + 3
        fields += [(f"{name}.whole", "u1", at), (f"{name}.first", "u4", at + 2)]
        fields += [(f"{name}.next", "u4", at + 6), (f"{name}.last", "u1", at + 10)]
    names, formats, offsets = zip(*fields, strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": _LENGTH})


def _four_digits() -> NDArray[np.uint32]:
    """Return the texts from 0000 to 9999, as four characters each."""
    digits = np.indices((10,) * 4, np.uint8).reshape(4, -1).T
    return (digits + np.uint8(_ZERO)).copy().view(np.uint32).ravel()


_LAYOUT = _layout()
_FOUR_DIGITS = _four_digits()


class EntryColumns(NamedTuple):
    """n entries as columns."""

    image: NDArray[np.int32]
    """(n,), codes into the table of image IDs."""
    tag: NDArray[np.int32]
    """(n,), codes into the table of tag IDs."""
    quanta: NDArray[np.uint32]
    """(4, n), left, top, width and height as multiples of `QUANTUM`."""


def entries_of(regions: Regions, some: slice) -> EntryColumns:
    """Return consecutive regions as entries.

    Args:
        regions: The regions.
        some: Their rows.
    """
    return EntryColumns(regions.image[some], regions.tag[some], _quanta(regions.box[some]).T)


class ReorderedEntries:
    """Entries for the regions of a dataset in another order.

    The boxes are copied once, row by row: to take a row that may be anywhere in memory, one place
    is then read instead of four.
    """

    def __init__(self, regions: Regions, rows: NDArray[np.int64]) -> None:
        """Copy the boxes.

        Args:
            regions: The regions of the dataset.
            rows: (n,), the row of each entry.
        """
        self._regions = regions
        self._rows = rows
        self._quanta = np.empty((len(regions), 4), np.uint32)
        for block in blocks(len(regions)):
            self._quanta[block] = _quanta(regions.box[block])

    def entries_of(self, some: slice) -> EntryColumns:
        """Return consecutive entries.

        Args:
            some: Their numbers.
        """
        rows = self._rows[some]
        quanta = self._quanta.view(_BOX)[:, 0].take(rows).view(np.uint32).reshape(-1, 4)
        return EntryColumns(
            self._regions.image.take(rows), self._regions.tag.take(rows), quanta.T.copy()
        )


class Bodies:
    """Writes the text of bodies for regions, with IDs from two tables."""

    def __init__(self, image_ids: Sequence[str], tag_ids: Sequence[str]) -> None:
        """Keep the IDs as tables.

        Args:
            image_ids: UUIDs of 36 characters by image code; may be empty for unused codes.
            tag_ids: UUIDs of 36 characters by tag code; may be empty for unused codes.
        """
        self._images = np.array(image_ids, _ID)
        self._tags = np.array(tag_ids, _ID)

    def line(self, columns: EntryColumns) -> NDArray[np.uint8]:
        """Return the text of one body with these entries, (1, k)."""
        text = blank_lines(1, len(columns.image))
        self.write(text, columns)
        return text

    def write(self, text: NDArray[np.uint8], columns: EntryColumns) -> None:
        """Write IDs and digits into the text of bodies.

        Args:
            text: What `blank_lines` returned, or some of its lines.
            columns: The entries of all of these bodies.
        """
        bodies, length = text.shape
        entries = (length - len(_START) - len(_END)) // _LENGTH
        rows = text[:, len(_START) : len(_START) + entries * _LENGTH].view(_LAYOUT)
        shape = bodies, entries
        rows["image"] = self._images.take(columns.image).reshape(shape)
        rows["tag"] = self._tags.take(columns.tag).reshape(shape)
        for part, digits in _digits(columns.quanta).items():
            for name, column in zip(_NUMBERS, digits, strict=True):
                rows[f"{name}.{part}"] = column.reshape(shape)


def blank_lines(bodies: int, entries: int) -> NDArray[np.uint8]:
    """Return the text of bodies without IDs and digits, each with a newline."""
    template = _START + ",".join([_TEMPLATE] * entries).encode() + _END + b"\n"
    return np.tile(np.frombuffer(template, np.uint8), (bodies, 1))


def _quanta(box: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Return boxes as multiples of `QUANTUM`, (n, 4), stored as the boxes are."""
    return np.rint(box * round(1 / QUANTUM)).astype(np.uint32)


def _digits(quanta: NDArray[np.uint32]) -> dict[str, NDArray[np.uint32]]:
    """Return the characters of quanta, each (4, n), by the part of a number (see `_layout`)."""
    # No `divmod`: NumPy vectorises a division by a constant, but not the remainder.
    upper = quanta // 10**5
    lower = quanta - upper * 10**5
    whole = upper // 10**4
    first = upper - whole * 10**4
    following = lower // 10
    last = lower - following * 10
    return {
        "whole": whole + _ZERO,
        "first": _FOUR_DIGITS[first],
        "next": _FOUR_DIGITS[following],
        "last": last + _ZERO,
    }
