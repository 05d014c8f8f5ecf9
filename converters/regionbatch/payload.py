"""Regions as the text of a payload, many at once: no Python object a region.

Every number is written with nine decimals, so every entry has the same length, and the text of many entries is one
table of records: the fixed parts once, the ids copied in from tables, the digits four at a time from a table of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.boxes import QUANTUM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Regions

_ID = "S36"
_NUMBERS = ("left", "top", "width", "height")


def entry(image_id: str, tag_id: str, *box: float) -> str:
    """The text of one entry, with its comma: what `Entries.text` writes for many."""
    left, top, width, height = (f"{number:.9f}" for number in box)
    ids = f'"imageId":"{image_id}","tagId":"{tag_id}"'
    return f'{{{ids},"left":{left},"top":{top},"width":{width},"height":{height}}},'


_TEMPLATE = entry("-" * 36, "-" * 36, 0, 0, 0, 0)
"""As the reference page of CreateImageRegions has it."""

LENGTH = len(_TEMPLATE)
"""Bytes of an entry, with its comma."""


def _layout() -> np.dtype[np.void]:
    """Where the ids and digits of an entry stand. A number is `whole`, a point, `first` four, `next` four, `last`."""
    fields = [("image", _ID, _TEMPLATE.index('"-') + 1), ("tag", _ID, _TEMPLATE.rindex('"-') + 1)]
    for name in _NUMBERS:
        at = _TEMPLATE.index(f'"{name}":') + len(name) + 3
        fields += [(f"{name}.whole", "u1", at), (f"{name}.first", "u4", at + 2)]
        fields += [(f"{name}.next", "u4", at + 6), (f"{name}.last", "u1", at + 10)]
    names, formats, offsets = zip(*fields, strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": LENGTH})


_LAYOUT = _layout()
_ZERO = ord("0")
_FOUR_DIGITS = (np.indices((10,) * 4, np.uint8).reshape(4, -1).T + np.uint8(_ZERO)).copy().view(np.uint32).ravel()
"""From 0000 to 9999, as four characters each."""


class Entries:
    """The texts of entries, for regions whose images and tags have these ids by code."""

    def __init__(self, image_ids: Sequence[str], tag_ids: Sequence[str]) -> None:
        """Ids are UUIDs of 36 characters; those of codes that no region has may be empty."""
        self._images, self._tags = np.array(image_ids, _ID), np.array(tag_ids, _ID)

    def text(self, regions: Regions, start: int, end: int) -> bytes:
        """The entries of some regions, one after the other, each with a comma behind: `LENGTH` bytes a region."""
        box = regions.box[start:end]
        rows = np.frombuffer(bytearray(_TEMPLATE.encode()) * len(box), _LAYOUT)
        rows["image"] = self._images[regions.image[start:end]]
        rows["tag"] = self._tags[regions.tag[start:end]]
        for name, digits in zip(_NUMBERS, zip(*_digits(box), strict=True), strict=True):
            for part, column in zip(("whole", "first", "next", "last"), digits, strict=True):
                rows[f"{name}.{part}"] = column
        return rows.tobytes()


def _digits(box: NDArray[np.float64]) -> tuple[NDArray[np.uint32], ...]:
    """The characters of boxes, each (4, n): the digit before the point, four and four behind it, the last one."""
    # No `divmod`: dividing a whole array by a number is done many at a time, taking the rest is not.
    quanta = np.rint(box.T * round(1 / QUANTUM)).astype(np.uint32)
    upper = quanta // 10**5
    lower = quanta - upper * 10**5
    whole, following = upper // 10**4, lower // 10
    first, last = upper - whole * 10**4, lower - following * 10
    return whole + _ZERO, _FOUR_DIGITS[first], _FOUR_DIGITS[following], last + _ZERO
