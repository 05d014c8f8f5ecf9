"""The log that readers and rules report to while a dataset is read."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch.findings.codes import CODES
from regionbatch.findings.decision import Decision
from regionbatch.findings.finding import (
    ClippedBoxes,
    FindingGroup,
    Findings,
    SameText,
    ValueTexts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings.text import Place

Progress = Callable[[str, int, int], None]
"""Called with the current step, how many items are done, and how many there are (0: unknown)."""


_Kind = tuple[str, int, "Place", bool]
"""What findings must have in common to share columns: the code, the `id` of the table of names, the
kind of place, and whether they are doubtful. The columns keep a reference to the table, so that its
`id` is not reused. It is a plain tuple, which halves the time to report a single finding."""


class _Columns(NamedTuple):
    """Columns of findings that are reported one by one."""

    file: array[int]
    where: array[int]
    value: ValueTexts


class FindingLog:
    """Collects findings, decisions and counts while a dataset is read.

    A reader gets one and reports with `read`, `add`, `note` and `decide`.

    Example:
        >>> from regionbatch.findings import FindingLog
        >>> log = FindingLog()
        >>> file = log.file("boxes.csv")
        >>> log.read(boxes=1)
        >>> log.add("not_a_box", file, 3, ["1,2"])
        >>> next(iter(log.findings())).message
        "boxes.csv:3: not a box of four numbers: '1,2'. Correct or remove it. [not_a_box]"
    """

    def __init__(self, progress: Progress | None = None) -> None:
        """Start with an empty log.

        Args:
            progress: Called with the current step, how many items are done, and how many there are.
        """
        self.files: list[str] = []
        """Paths of the annotation files in the dataset; `file` codes point into it."""
        self.decisions: dict[str, Decision] = {}
        """What was decided, by option."""
        self.boxes_read = 0
        self.images_read = 0
        self.progress: Progress = progress or (lambda _step, _done, _total: None)
        self._groups: list[FindingGroup] = []
        self._growing: dict[_Kind, _Columns] = {}
        self._noted_names: dict[str, list[str]] = {}
        """Names given to `note`, by code."""

    def file(self, name: str) -> int:
        """Register a file and return its code for `file` columns. Register each file once."""
        self.files.append(name)
        return len(self.files) - 1

    def add_files(self, names: Sequence[str]) -> NDArray[np.int32]:
        """Register many files and return their codes."""
        first = len(self.files)
        self.files += names
        return np.arange(first, len(self.files), dtype=np.int32)

    def read(self, *, boxes: int = 0, images: int = 0) -> None:
        """Count records in the files, good or bad.

        The ledger must add up to these counts, so count a record before you drop it.

        Args:
            boxes: Number of boxes.
            images: Number of images.
        """
        self.boxes_read += boxes
        self.images_read += images

    def add(
        self,
        code: str,
        file: int | NDArray[np.int32],
        where: int | Sequence[int] | NDArray[np.int64] = 0,
        value: Iterable[object] | ClippedBoxes | SameText | ValueTexts | None = None,
        *,
        place: Place | tuple[Place, ...] = "line",
        table: Sequence[str] | None = None,
        doubtful: bool = False,
    ) -> None:
        """Report one finding, or many findings of one code as columns.

        Args:
            code: A key of `regionbatch.findings.CODES`.
            file: Code of the file, or a column of them. They are indexes into `files`, or into
                `table` if one is given (image names, for example).
            where: Place in the file, or a column of places; see `place`.
            value: The offending values, one for each finding.
            place: What `where` counts, or what it counts in each file.
            table: Names that `file` points into.
            doubtful: Whether strict mode fails on it, although nothing was dropped or adjusted.
        """
        table = self.files if table is None else table
        if isinstance(place, tuple):
            self._add_by_place(
                code, np.asarray(file, np.int32), np.asarray(where), value, place, table
            )
            return
        kind = (code, id(table), place, doubtful)
        if isinstance(file, int) and isinstance(where, int):
            one_value = "" if value is None else next(iter(value))
            self._add_one(kind, table, file, where, one_value)
        else:
            self._add_columns(kind, table, np.asarray(file, np.int32), where, value)

    def _add_by_place(
        self,
        code: str,
        file: NDArray[np.int32],
        where: NDArray[np.int64],
        value: Iterable[object] | ClippedBoxes | SameText | ValueTexts | None,
        places: tuple[Place, ...],
        table: Sequence[str],
    ) -> None:
        """Add a group for each kind of place, because messages word each kind differently."""
        values = [*value] if isinstance(value, Iterable) else None
        for place in dict.fromkeys(places):
            rows = np.flatnonzero(np.asarray([one == place for one in places])[file])
            some = value if values is None else [values[row] for row in rows.tolist()]
            self.add(code, file[rows], where[rows], some, place=place, table=table)

    def _add_columns(
        self,
        kind: _Kind,
        table: Sequence[str],
        file: NDArray[np.int32],
        where: int | Sequence[int] | NDArray[np.int64],
        value: Iterable[object] | ClippedBoxes | SameText | ValueTexts | None,
    ) -> None:
        """Add a group of its own: views of the given columns, which are not copied."""
        wheres = np.atleast_1d(np.asarray(where, np.int64))
        shape = np.broadcast_shapes(wheres.shape, file.shape)
        if not shape[0]:
            return
        if value is None or isinstance(value, (np.ndarray, ClippedBoxes, SameText, ValueTexts)):
            values: ValueTexts | SameText | ClippedBoxes | NDArray[Any] | None = value
        else:
            values = ValueTexts(value)
        code, _, place, doubtful = kind
        files = np.broadcast_to(file, shape)
        wheres = np.broadcast_to(wheres, shape)
        name = CODES[code].name
        self._groups.append(FindingGroup(name, table, files, wheres, values, place, doubtful))

    def add_each(
        self,
        code: str,
        file: int,
        where: Sequence[int],
        values: Iterable[object],
        *,
        place: Place = "line",
    ) -> None:
        """Report several findings of one file, like repeated calls of `add` but faster.

        Args:
            code: A key of `regionbatch.findings.CODES`.
            file: Code of the file.
            where: Place of each finding.
            values: The offending value of each finding.
            place: What `where` counts.
        """
        if where:
            kind: _Kind = (code, id(self.files), place, False)
            columns = self._growing_columns(kind, self.files)
            columns.file.extend([file] * len(where))
            columns.where.extend(where)
            columns.value.extend(values)

    def note(
        self, code: str, name: str, value: object = "", where: int = 0, *, doubtful: bool = False
    ) -> None:
        """Report one finding about something by its name: a class, an option, an ignored file.

        Args:
            code: A key of `regionbatch.findings.CODES`.
            name: The place that the message starts with.
            value: The offending value.
            where: Line number; 0: none.
            doubtful: Whether strict mode fails on it, although nothing was dropped or adjusted.
        """
        names = self._noted_names.setdefault(code, [])
        if not names or names[-1] != name:
            names.append(name)
        kind: _Kind = (code, id(names), "line", doubtful)
        self._add_one(kind, names, len(names) - 1, where, value)

    def _add_one(
        self, kind: _Kind, table: Sequence[str], file: int, where: int, value: object
    ) -> None:
        columns = self._growing_columns(kind, table)
        columns.file.append(file)
        columns.where.append(where)
        columns.value.append(value)

    def _growing_columns(self, kind: _Kind, table: Sequence[str]) -> _Columns:
        """Return the columns for findings of a kind, so that a million need little memory."""
        columns = self._growing.get(kind)
        if columns is None:
            columns = _Columns(array("i"), array("q"), ValueTexts())
            self._growing[kind] = columns
            code, _, place, doubtful = kind
            self._groups.append(FindingGroup(CODES[code].name, table, *columns, place, doubtful))
        return columns

    def decide(self, option: str, value: str, evidence: str, *, doubtful: bool = False) -> None:
        """Report what was decided about the whole dataset.

        A second decision for an option is appended to the first.

        Args:
            option: Keyword argument of `regionbatch.read` that overrides the decision.
            value: The value that was used.
            evidence: Why, in a few words.
            doubtful: Whether the evidence is weak. Then it is also a finding, and strict mode
                fails.

        Example:
            >>> from regionbatch.findings import FindingLog
            >>> log = FindingLog()
            >>> log.decide("voc_origin", "1", "coordinates reach the width of 3 images")
            >>> log.decisions["voc_origin"]
            '1 (coordinates reach the width of 3 images)'
            >>> log.decisions["voc_origin"].value
            '1'
        """
        decision = Decision(value, evidence, doubtful)
        earlier = self.decisions.get(option)
        self.decisions[option] = decision if earlier is None else earlier.joined(decision)
        if doubtful:
            self.note("doubtful_decision", option, decision)

    def names(self, code: str) -> Iterator[str]:
        """Yield the names of the files or images that have a finding of a code."""
        for group in self._groups:
            if group.code == code:
                yield from (group.table[file] for file in group.file)

    def findings(self) -> Findings:
        """Return the findings reported so far."""
        return Findings(self._groups, self.files)

    def dropped(self, unit: str) -> dict[str, int]:
        """Return how many boxes or images were dropped, by code."""
        return self._by_effect("dropped", unit)

    def adjusted(self, unit: str) -> dict[str, int]:
        """Return how many findings adjusted a box or image, by code; a box may have several."""
        return self._by_effect("adjusted", unit)

    def _by_effect(self, effect: str, unit: str) -> dict[str, int]:
        counts = self.findings().counts()
        wanted = (effect, unit)
        return {
            code: count
            for code, count in counts.items()
            if (CODES[code].effect, CODES[code].unit) == wanted
        }
