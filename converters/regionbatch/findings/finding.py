"""Findings: what is wrong with a record, where, and what was done about it.

A `Finding` is created only when it is accessed. Internally, all findings of one kind share one
group of columns, so that a million of them need only a few arrays.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from regionbatch import arrow
from regionbatch.findings.codes import CODES
from regionbatch.findings.decision import Decision
from regionbatch.findings.text import (
    Place,
    as_text,
    escape_unprintable,
    place_text,
    quoted,
    shortened_place,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


_NUMBERS_AT_ONCE = 4096
_LONGEST_DECISION = 300


class Finding(NamedTuple):
    """One finding: something in the dataset that was dropped, adjusted or noted.

    Example:
        >>> dataset = rb.read("fixtures/yolo/over-the-edge/input")
        >>> finding = dataset.findings.first("clipped")[0]
        >>> finding.place
        'a.txt:1'
        >>> finding.severity
        'warning'
    """

    code: str
    """Finding code, such as `empty_box`; `regionbatch explain CODE` explains it."""
    severity: str
    """`info` (noted), `warning` (adjusted or to be checked) or `error` (dropped, not confirmed)."""
    place: str
    """`FILE:LINE`, `FILE: annotation 17`, or only a file, image, class or option."""
    message: str
    """`PLACE: what is wrong: 'value'. What to do. [code]`."""
    file: str
    """Path in the dataset, or the name of an image, class or option."""
    where: int
    """Line number, COCO ID or, from 0, row of a table; negative: number of the record.

    A line of 0 is the whole file or image.
    """
    value: str
    """The offending value as text, at most 80 characters (a decision: 300); may be empty."""


class ValueTexts:
    """Values as they are shown in messages, stored in one buffer to save memory."""

    def __init__(self, values: Iterable[object] = ()) -> None:
        self._text = bytearray()
        self._ends = array("q")
        self.extend(values)

    def append(self, value: object) -> None:
        """Store one value. A decision may be longer than a value from a file: its end matters."""
        text = as_text(value)
        if isinstance(value, Decision):
            text = value if len(value) <= _LONGEST_DECISION else value[:_LONGEST_DECISION] + "…"
        self._text += text.encode()
        self._ends.append(len(self._text))

    def extend(self, values: Iterable[object]) -> None:
        """Store several values."""
        for value in values:
            self.append(value)

    def __getitem__(self, row: int) -> str:
        start = self._ends[row - 1] if row else 0
        return self._text[start : self._ends[row]].decode()


class SameText:
    """Values of findings that are all the same text."""

    def __init__(self, value: object) -> None:
        """Keep the text as it is shown."""
        self._text = as_text(value)

    def __getitem__(self, _row: int) -> str:
        return self._text


class ClippedBoxes:
    """Values of findings: boxes as in the file, and how much of each is outside its image."""

    def __init__(self, box: NDArray[np.float64], outside: NDArray[np.float64]) -> None:
        """Keep the columns.

        Args:
            box: The four numbers of each box as in the file, (n, 4).
            outside: Fraction of each box that is outside its image, 0 to 1, (n,).
        """
        self._box = box
        self._outside = outside

    def __getitem__(self, row: int) -> str:
        """Return a value as it is shown: `500 10 9324 90 (98.4 % outside)`."""
        percent = 100 * float(self._outside[row])
        shown = f"{percent:.3g}"
        if percent < 0.1:
            shown = "<0.1"
        elif percent > 99.9:
            shown = ">99.9"
        return f"{as_text(self._box[row])} ({shown} % outside)"


@dataclass(frozen=True, slots=True, eq=False)
class FindingGroup:
    """Findings of one code, as columns, which grow if the findings are reported one by one."""

    code: str
    table: Sequence[str]
    """Names that `file` points into."""
    file: NDArray[np.int32] | array[int]
    where: NDArray[np.int64] | array[int]
    value: ValueTexts | SameText | ClippedBoxes | NDArray[np.float64] | NDArray[np.int64] | None
    place: Place
    doubtful: bool = False

    def __len__(self) -> int:
        return len(self.file)

    @property
    def fails_strict(self) -> bool:
        """Whether strict mode fails although nothing was lost."""
        return self.doubtful or CODES[self.code].fails_strict

    def rows(self, most: int | None) -> Iterator[Finding]:
        """Yield the findings, at most `most` of them."""
        code = CODES[self.code]
        is_raised = self.doubtful and code.severity == "info"
        severity = "warning" if is_raised else code.severity
        end = f". {code.advice} [{self.code}]"
        shown_file, last = "", -1
        places = zip(_numbers(self.file), _numbers(self.where), strict=True)
        for row, (number, where) in enumerate(islice(places, most)):
            file = self.table[number]
            if number != last:
                shown_file, last = escape_unprintable(shortened_place(file)), number
            place = place_text(shown_file, where, self.place)
            value = "" if self.value is None else self.value[row]
            if not isinstance(self.value, ValueTexts):
                value = as_text(value)
            shown = f": {quoted(value)}" if value else ""
            message = f"{place}: {code.summary}{shown}{end}"
            yield Finding(self.code, severity, place, message, file, where, value)


def _numbers(column: NDArray[np.integer[Any]] | array[int]) -> Iterator[int]:
    for start in range(0, len(column), _NUMBERS_AT_ONCE):
        yield from column[start : start + _NUMBERS_AT_ONCE].tolist()


class AllFindings(Protocol):
    """What reports and messages need from findings, which may be in memory or in files."""

    def __iter__(self) -> Iterator[Finding]:
        """Yield all findings."""

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each code, in the order of the documentation."""

    def doubtful(self) -> dict[str, int]:
        """Return the number of findings of each code that make strict mode fail without a loss."""

    def first(self, code: str, most: int = 3) -> list[Finding]:
        """Return the first findings of one code."""


class Findings:
    """All findings of a dataset, in the order reported. Iterating yields `Finding`s.

    Example:
        >>> findings = rb.read("fixtures/coco/over-the-edge/input").findings
        >>> findings.counts()["clipped"] > 0
        True
    """

    def __init__(self, groups: Sequence[FindingGroup], files: Sequence[str]) -> None:
        """Keep the groups.

        Args:
            groups: Findings as columns.
            files: Paths in the dataset that the `file` codes of regions point into.
        """
        self.groups = tuple(groups)
        """The findings as columns."""
        self.files = files

    def __iter__(self) -> Iterator[Finding]:
        """Yield all findings."""
        for group in self.groups:
            yield from group.rows(None)

    def __len__(self) -> int:
        """Return the number of findings."""
        return sum(map(len, self.groups))

    def __repr__(self) -> str:
        """Return a summary, such as `Findings({'empty_box': 2})`."""
        return f"Findings({self.counts()})"

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each code, in the order of the documentation."""
        return _counts(self.groups)

    def doubtful(self) -> dict[str, int]:
        """Return the number of findings of each code that make strict mode fail without a loss."""
        return _counts(group for group in self.groups if group.fails_strict)

    def first(self, code: str, most: int = 3) -> list[Finding]:
        """Return the first findings of one code.

        Args:
            code: A finding code.
            most: How many to return at most.
        """
        found: list[Finding] = []
        for group in self.groups:
            if group.code == code and len(found) < most:
                found.extend(group.rows(most - len(found)))
        return found

    def without(self, code: str) -> Findings:
        """Return all findings except those of one code."""
        return Findings([group for group in self.groups if group.code != code], self.files)

    def to_arrow(self) -> pa.Table:
        """Return the findings as a PyArrow table with the columns of `Finding`.

        Needs the extra `arrow`. Polars, pandas, DuckDB and PyArrow also take the findings
        themselves.

        Returns:
            The table; `code`, `severity` and `file` are dictionaries.

        Raises:
            OptionError: PyArrow is not installed.

        Example:
            >>> dataset = rb.read("fixtures/yolo/over-the-edge/input")
            >>> dataset.findings.to_arrow().column_names[:3]
            ['code', 'severity', 'place']
        """
        return arrow_of(self)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return `to_arrow()` as a stream: the Arrow PyCapsule interface."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __add__(self, other: Findings) -> Findings:
        """Return the findings of two steps, one after the other."""
        return Findings([*self.groups, *other.groups], self.files)


def arrow_of(findings: Iterable[Finding]) -> pa.Table:
    """Return findings as a PyArrow table; see `Findings.to_arrow`."""
    types = {name: int if name == "where" else str for name in Finding._fields}
    return arrow.table_of_rows(types, findings, coded=("code", "severity", "file"))


def _counts(groups: Iterable[FindingGroup]) -> dict[str, int]:
    """Count the findings of each code, in the order of the documentation."""
    return sum_of_counts({group.code: len(group)} for group in groups)


def sum_of_counts(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add numbers by finding code; the result is in the order of the documentation."""
    total: Counter[str] = Counter()
    for counts in several:
        total.update(counts)
    return {code: total[code] for code in CODES if total[code]}
