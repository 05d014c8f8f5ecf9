"""Regions as the text of payloads, many at once: no Python object a region.

Every number is written with nine decimals, so every entry has the same length, and the text of many bodies is one
table of records: the fixed parts once, the ids copied in from tables, the digits four at a time from a table of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from regionbatch.boxes import QUANTUM

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Regions

Entry: TypeAlias = "tuple[str, str, float, float, float, float]"
"""Image id, tag id, left, top, width and height."""

_ID = "S36"
_NUMBERS = ("left", "top", "width", "height")


def body(entries: Iterable[Entry]) -> bytes:
    """The body of a call: what `Bodies.lines` writes for many."""
    return _BEGIN + ",".join(map(_entry, entries)).encode("ascii") + _END


def count(text: bytes) -> int:
    """How many entries a body has."""
    return (len(text) - len(_BEGIN) - len(_END) + 1) // _LENGTH


def _entry(values: Entry) -> str:
    image_id, tag_id, *box = values
    left, top, width, height = (f"{number:.9f}" for number in box)
    ids = f'"imageId":"{image_id}","tagId":"{tag_id}"'
    return f'{{{ids},"left":{left},"top":{top},"width":{width},"height":{height}}}'


_BEGIN, _END = b'{"regions":[', b"]}"
_TEMPLATE = _entry(("-" * 36, "-" * 36, 0, 0, 0, 0))
"""As the reference page of CreateImageRegions has it."""
_LENGTH = len(_TEMPLATE) + 1
"""Bytes of an entry, with the comma or bracket behind."""


def _layout() -> np.dtype[np.void]:
    """Where the ids and digits of an entry stand. A number is `whole`, a point, `first` four, `next` four, `last`."""
    fields = [("image", _ID, _TEMPLATE.index('"-') + 1), ("tag", _ID, _TEMPLATE.rindex('"-') + 1)]
    for name in _NUMBERS:
        at = _TEMPLATE.index(f'"{name}":') + len(name) + 3
        fields += [(f"{name}.whole", "u1", at), (f"{name}.first", "u4", at + 2)]
        fields += [(f"{name}.next", "u4", at + 6), (f"{name}.last", "u1", at + 10)]
    names, formats, offsets = zip(*fields, strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": _LENGTH})


_LAYOUT = _layout()
_ZERO = ord("0")
_FOUR_DIGITS = (np.indices((10,) * 4, np.uint8).reshape(4, -1).T + np.uint8(_ZERO)).copy().view(np.uint32).ravel()
"""From 0000 to 9999, as four characters each."""


class Bodies:
    """The texts of bodies, for regions whose images and tags have these ids by code."""

    def __init__(self, image_ids: Sequence[str], tag_ids: Sequence[str]) -> None:
        """Ids are UUIDs of 36 characters; those of codes that no region has may be empty."""
        self._images, self._tags = np.array(image_ids, _ID), np.array(tag_ids, _ID)

    def lines(self, regions: Regions, start: int, bodies: int, entries: int) -> NDArray[np.uint8]:
        """Some `bodies` of so many `entries` each, from a region on: a row of characters each, with a line end."""
        some = slice(start, start + bodies * entries)
        template = _BEGIN + ",".join([_TEMPLATE] * entries).encode() + _END + b"\n"
        text = np.tile(np.frombuffer(template, np.uint8), (bodies, 1))
        rows = text[:, len(_BEGIN) : len(_BEGIN) + entries * _LENGTH].view(_LAYOUT)
        shape = bodies, entries
        rows["image"] = self._images[regions.image[some]].reshape(shape)
        rows["tag"] = self._tags[regions.tag[some]].reshape(shape)
        for name, digits in zip(_NUMBERS, zip(*_digits(regions.box[some]), strict=True), strict=True):
            for part, column in zip(("whole", "first", "next", "last"), digits, strict=True):
                rows[f"{name}.{part}"] = column.reshape(shape)
        return text


def _digits(box: NDArray[np.float64]) -> tuple[NDArray[np.uint32], ...]:
    """The characters of boxes, each (4, n): the digit before the point, four and four behind it, the last one."""
    # No `divmod`: dividing a whole array by a number is done many at a time, taking the rest is not.
    quanta = np.rint(box.T * round(1 / QUANTUM)).astype(np.uint32)
    upper = quanta // 10**5
    lower = quanta - upper * 10**5
    whole, following = upper // 10**4, lower // 10
    first, last = upper - whole * 10**4, lower - following * 10
    return whole + _ZERO, _FOUR_DIGITS[first], _FOUR_DIGITS[following], last + _ZERO
