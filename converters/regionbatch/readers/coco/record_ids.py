"""Turn the IDs of COCO records, whatever their types are, into whole numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.findings import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

MAX_NUMBER = 2**62
"""IDs that are text, or numbers of at least this size, get numbers from `-MAX_NUMBER` downwards."""

_FIRST_INVALID = -(2**63)
"""Values that are not IDs get numbers of their own from here upwards, so that no two are equal."""

_MAX_EXACT_FLOAT = 2**53
"""From here on, one float represents several whole numbers."""

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,99}(\.0*)?")
"""Text that is a whole number as people write it."""


class RecordIds:
    """The IDs of one file as numbers. The same ID always has the same number."""

    def __init__(self) -> None:
        """Start without IDs."""
        self._texts: dict[str, int] = {}
        self._invalid: list[str] = []
        self.invalid_names: dict[int, str] = {}
        """The text that a finding shows for the invalid name of a category, by its ID."""

    def number(self, value: object) -> int | None:
        """Return an ID as a number: 1, 1.0 and "1" are the same.

        Returns:
            None if it is not an ID, such as a float that represents several whole numbers.
        """
        if type(value) is int and abs(value) < MAX_NUMBER:  # the usual case
            return value
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str):
            value = value.strip()
            if not _WHOLE_NUMBER.fullmatch(value):
                return self._number_of_text(value)
            value = int(value.split(".")[0])
        if isinstance(value, float) and value.is_integer() and abs(value) < _MAX_EXACT_FLOAT:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if abs(value) < MAX_NUMBER else self._number_of_text(str(value))

    def _number_of_text(self, text: str) -> int:
        return self._texts.setdefault(text, -MAX_NUMBER - len(self._texts))

    def number_or_new(self, value: object) -> int:
        """Return an ID as a number; a value that is not an ID gets a number of its own."""
        number = self.number(value)
        if number is None:
            self._invalid.append(as_text(value))
            number = _FIRST_INVALID + len(self._invalid) - 1
        return number

    def numbers(self, values: Iterable[object]) -> NDArray[np.int64]:
        """Return IDs as numbers; a value that is not an ID gets one that no record has."""
        found = [self.number(value) for value in values]
        return np.asarray([_FIRST_INVALID if one is None else one for one in found], np.int64)

    def texts(self, numbers: NDArray[np.int64], kind: str) -> Iterator[str]:
        """Yield IDs as a finding shows them: as in the file, after the kind of their record.

        Args:
            numbers: (n,), what `number_or_new` returned.
            kind: `image `, `category `, or nothing.
        """
        texts = dict(enumerate(self._invalid, _FIRST_INVALID))
        texts.update((number, text) for text, number in self._texts.items())
        for number in map(int, numbers):
            name = self.invalid_names.get(number, "") if kind == "category " else ""
            yield f"{kind}{texts.get(number, number)}{name}"
