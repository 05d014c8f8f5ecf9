"""Regions as the text of a payload, many at once: no Python object a region.

Every number is written with nine decimals, so every entry has the same length, and the text of many entries is one
array of bytes: the fixed parts once, the ids copied in from tables, the digits from a table of 000 to 999.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.boxes import QUANTUM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Regions

_ID = 36


def entry(image_id: str, tag_id: str, *box: float) -> str:
    """The text of one entry, with its comma: what `Entries.text` writes for many."""
    left, top, width, height = (f"{number:.9f}" for number in box)
    ids = f'"imageId":"{image_id}","tagId":"{tag_id}"'
    return f'{{{ids},"left":{left},"top":{top},"width":{width},"height":{height}}},'


_TEMPLATE = entry("-" * _ID, "-" * _ID, 0, 0, 0, 0)
"""As the reference page of CreateImageRegions has it."""

LENGTH = len(_TEMPLATE)
"""Bytes of an entry, with its comma."""

_IMAGE_AT = _TEMPLATE.index('"-') + 1
_TAG_AT = _TEMPLATE.index('"-', _IMAGE_AT) + 1
_NUMBERS_AT = [_TEMPLATE.index(f'"{name}":') + len(name) + 3 for name in ("left", "top", "width", "height")]
_ENTRY = np.frombuffer(_TEMPLATE.encode(), np.uint8)
_ZERO = ord("0")
_THREE_DIGITS = np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)), axis=1).astype(np.uint8) + np.uint8(_ZERO)


class Entries:
    """The texts of entries, for regions whose images and tags have these ids by code."""

    def __init__(self, image_ids: Sequence[str], tag_ids: Sequence[str]) -> None:
        """Ids are UUIDs of 36 characters; those of codes that no region has may be empty."""
        self._images, self._tags = _table(image_ids), _table(tag_ids)

    def text(self, regions: Regions, start: int, end: int) -> bytes:
        """The entries of some regions, one after the other, each with a comma behind: `LENGTH` bytes a region."""
        image, tag, box = (column[start:end] for column in (regions.image, regions.tag, regions.box))
        rows = np.empty((len(box), LENGTH), np.uint8)
        rows[:] = _ENTRY
        rows[:, _IMAGE_AT : _IMAGE_AT + _ID] = self._images[image]
        rows[:, _TAG_AT : _TAG_AT + _ID] = self._tags[tag]
        for at, quanta in zip(_NUMBERS_AT, np.rint(box.T / QUANTUM).astype(np.int64), strict=True):
            thousands, low = np.divmod(quanta, 1000)
            millions, middle = np.divmod(thousands, 1000)
            whole, high = np.divmod(millions, 1000)
            rows[:, at] = whole + _ZERO
            for place, digits in ((2, high), (5, middle), (8, low)):
                rows[:, at + place : at + place + 3] = _THREE_DIGITS[digits]
        return rows.tobytes()


def _table(ids: Sequence[str]) -> NDArray[np.uint8]:
    text = "".join(id_ or "-" * _ID for id_ in ids)
    return np.frombuffer(text.encode("ascii"), np.uint8).reshape(-1, _ID)
