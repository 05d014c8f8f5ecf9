"""The images and classes of all COCO files of a dataset, with the codes that annotations use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.dataset import ImageReferences, normalise_label
from regionbatch.dataset.columns import JoinedColumn, computed
from regionbatch.files.paths import path_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.readers.coco.records import ImageColumns

UNKNOWN = -1
"""The code of an ID that no record has."""
AMBIGUOUS = -2
"""The code of an ID that two different records have."""
NAMELESS = -3
"""The code of a category without a name."""

_LARGEST_COUNT = 2**16
"""More boxes than that do not make a table of IDs larger."""


class ImageNameTable:
    """The images of all files."""

    def __init__(self) -> None:
        """Start without images."""
        self._names: list[str] = []
        self._width: list[int] = []
        self._height: list[int] = []
        self._file = JoinedColumn(np.int32)

    def add(self, images: ImageColumns, file: int) -> dict[int, int]:
        """Add the images of a file, and return their codes by ID."""
        names = self._names
        first = len(names)
        names += images.file_name
        self._width += images.width
        self._height += images.height
        self._file.append(np.full(len(images.id), file, np.int32))
        codes = range(len(names) - 1, first - 1, -1)
        index = dict(zip(reversed(images.id), codes, strict=True))  # the first of equal IDs counts
        if len(index) < len(images.id):
            for code, id_ in enumerate(images.id, first):
                other = index[id_]
                if other != AMBIGUOUS and path_parts(names[other]) != path_parts(names[code]):
                    index[id_] = AMBIGUOUS
        return index

    def size(self, code: int) -> tuple[int, int]:
        """Return the declared width and height of an image; 0: unknown."""
        return self._width[code], self._height[code]

    def sizes(self) -> NDArray[np.float64]:
        """Return the declared sizes of all images, (m + 1, 2).

        0 is unknown. The last size is always unknown, so that `UNKNOWN` is a code for it.
        """
        return np.array([[*self._width, 0], [*self._height, 0]], np.float64).T

    def references(self) -> ImageReferences:
        """Return the images as annotations need them."""
        return ImageReferences(
            self._names,
            self._file.finished(),
            np.asarray(self._width, np.int32),
            np.asarray(self._height, np.int32),
        )


class CategoryNames:
    """The classes of all files. Categories with the same name are one class."""

    def __init__(self) -> None:
        """Start without classes."""
        self._codes: dict[str, int] = {}

    def add(self, categories: Sequence[tuple[int, str]]) -> dict[int, int]:
        """Add the categories of a file, IDs and names, and return their codes by ID."""
        index: dict[int, int] = {}
        names: dict[int, str] = {}
        for id_, name in categories:
            label = normalise_label(name)
            code = self._codes.setdefault(name, len(self._codes)) if label else NAMELESS
            index.setdefault(id_, code)
            if names.setdefault(id_, label) != label:
                index[id_] = AMBIGUOUS
        return index

    def names(self) -> list[str]:
        """Return the names in the order of their codes."""
        return list(self._codes)


def look_up(ids: NDArray[np.int64], index: Mapping[int, int]) -> NDArray[np.int32]:
    """Return the codes of IDs, `UNKNOWN` for those not in the index, (n,)."""
    codes_of = _look_up_in(index, len(ids))
    return computed(len(ids), lambda block: codes_of(ids[block]), np.int32)


def _look_up_in(
    index: Mapping[int, int], count: int
) -> Callable[[NDArray[np.int64]], NDArray[np.int32]]:
    """Return a function that looks up IDs; `count` is how many there are."""
    if not index:
        return lambda ids: np.full(len(ids), UNKNOWN, np.int32)
    keys = np.fromiter(index, np.int64, len(index))
    codes = np.fromiter(index.values(), np.int32, len(index))
    low = int(keys.min())
    high = int(keys.max())
    # For dense IDs, a table is five times as fast.
    if high - low < 16 * (len(keys) + min(count, _LARGEST_COUNT)):
        table = np.full(high - low + 3, UNKNOWN, np.int32)  # one more at both ends for other IDs
        table[keys - (low - 1)] = codes
        return lambda ids: table[np.clip(ids, low - 1, high + 1) - (low - 1)]
    order = np.argsort(keys)
    keys = keys[order]
    codes = codes[order]

    def found(ids: NDArray[np.int64]) -> NDArray[np.int32]:
        at = np.minimum(np.searchsorted(keys, ids), len(keys) - 1)
        return np.where(keys[at] == ids, codes[at], np.int32(UNKNOWN))

    return found
