"""Look up the images and classes of annotations by their IDs, as soon as all IDs are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.boxes import blocks
from regionbatch.dataset.columns import GrowingColumn

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWN = -1
"""The code of an ID that no record has."""
AMBIGUOUS = -2
"""The code of an ID that two different records have."""
NAMELESS = -3
"""The code of the ID of a category without a name."""

_SMALL_TABLE = 2**16
"""IDs that differ by less are always looked up in a table: it has at most 256 KiB."""


class IdIndex:
    """The codes of the IDs of one array. If IDs are equal, the first one counts."""

    def __init__(self, ids: NDArray[np.int64], codes: NDArray[np.int32]) -> None:
        """Index the IDs.

        Args:
            ids: (n,), the IDs.
            codes: (n,), their codes.
        """
        self._keys: NDArray[np.int64] | None = None
        """The IDs in ascending order; None if the codes are a table from the lowest ID."""
        self._start = 0
        """The ID of the first code in the table."""
        low = int(ids.min()) if len(ids) else 0
        high = int(ids.max()) if len(ids) else 0
        # For dense IDs, a table is many times as fast as a search.
        if high - low < max(16 * len(ids), _SMALL_TABLE):
            self._start = low - 1  # one more at both ends for other IDs
            self._codes = np.full(high - low + 3, UNKNOWN, np.int32)
            self._codes[ids[::-1] - self._start] = codes[::-1]  # the last one stays
        else:
            self._keys, first = np.unique(ids, return_index=True)
            self._codes = np.append(codes[first], np.int32(UNKNOWN))

    def look_up(self, ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the codes of k IDs, `UNKNOWN` for those that are not in the index, (k,)."""
        return self._codes.take(self._places(ids), mode="clip")

    def set_ambiguous(self, ids: NDArray[np.int64]) -> None:
        """Change the codes of IDs that are in the index to `AMBIGUOUS`."""
        self._codes[self._places(ids)] = AMBIGUOUS

    def _places(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where the codes of IDs are; an unknown ID may be beyond either end."""
        if self._keys is None:
            return ids - self._start  # a difference that overflows is beyond the other end
        places = np.searchsorted(self._keys, ids)
        is_known = self._keys.take(places, mode="clip") == ids
        return np.where(is_known, places, len(self._keys))


class Codes(NamedTuple):
    """The codes of what n annotations refer to."""

    codes: NDArray[np.int32]
    """(n,); negative: why there is none."""
    lost_ids: NDArray[np.int64]
    """The IDs with a negative code, in order."""

    def lost(self, code: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows with one of the negative codes, and their IDs; (k,) each."""
        if not len(self.lost_ids):
            return self.lost_ids, self.lost_ids
        rows = np.flatnonzero(self.codes < 0)
        has_code = self.codes[rows] == code
        return rows[has_code], self.lost_ids[has_code]


class CodeColumn:
    """The IDs that annotations refer to. They are looked up once there is an index."""

    def __init__(self) -> None:
        """Start without IDs and without an index."""
        self._index: IdIndex | None = None
        self._ids = GrowingColumn(np.int64)
        """The IDs before there was an index."""
        self._codes = GrowingColumn(np.int32)
        self._lost_ids = GrowingColumn(np.int64)

    def reserve(self, count: int) -> None:
        """See `GrowingColumn.reserve`."""
        if self._index is None:
            self._ids.reserve(count)
        else:
            self._codes.reserve(count)

    def append(self, ids: NDArray[np.int64]) -> None:
        """Add IDs, (k,)."""
        if self._index is None:
            self._ids.append(ids)
        else:
            self._append_codes(ids, self._index)

    def look_up_in(self, index: IdIndex) -> None:
        """Look up the IDs so far, and those that follow as soon as they are added."""
        self._index = index
        ids = self._ids.finished()
        self._codes.reserve(len(ids))
        for block in blocks(len(ids)):
            self._append_codes(ids[block], index)

    def _append_codes(self, ids: NDArray[np.int64], index: IdIndex) -> None:
        codes = index.look_up(ids)
        self._codes.append(codes)
        is_lost = codes < 0
        if is_lost.any():
            self._lost_ids.append(ids[is_lost])

    def finished(self) -> Codes:
        """Return the codes of all IDs, and forget them."""
        return Codes(self._codes.finished(), self._lost_ids.finished())
