"""What is told about a dataset: findings with their places, decisions, the ledger (read = kept + adjusted + dropped).

A finding is a row only when somebody looks at it. Inside, all findings of one kind are one group of columns, so that a
million of them cost a few arrays.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple
from unicodedata import category

import numpy as np

from regionbatch.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Progress = Callable[[str, int, int], None]

Place = Literal["line", "annotation", "image", "entry"]
"""What `where` counts: lines from 1; or COCO ids. A negative number, from -1 on, is the record's own number: of an
entry without an id, or of an XML object that shares its line with others."""

_LONGEST_VALUE = 80
_LONGEST_PLACE = 1000


class Finding(NamedTuple):
    """One thing found: what (`code`), how grave, where, and the sentence that tells it."""

    code: str
    severity: str
    """`info` (noted), `warning` (adjusted, or worth a look) or `error` (dropped)."""
    place: str
    """`file:line`, `file: annotation 17`, or the file or image alone."""
    message: str
    """`PLACE: WHAT, got VALUE; NEXT STEP`."""
    file: str
    where: int
    """0: the whole file or image."""
    value: str
    """What stood there, as text; may be empty."""


class _Texts:
    """Values as they are shown, one behind the other in one piece of memory."""

    def __init__(self, values: Iterable[object] = ()) -> None:
        self._text, self._ends = bytearray(), array("q")
        self.extend(values)

    def append(self, value: object) -> None:
        self._text += as_text(value).encode()
        self._ends.append(len(self._text))

    def extend(self, values: Iterable[object]) -> None:
        for value in values:
            self.append(value)

    def __getitem__(self, row: int) -> str:
        return self._text[self._ends[row - 1] if row else 0 : self._ends[row]].decode()


class ClippedBoxes:
    """Boxes as in the file, with the share of each that is outside the image, as values of findings."""

    def __init__(self, box: NDArray[np.float64], outside: NDArray[np.float64]) -> None:
        """Take the columns, (n, 4) and (n,)."""
        self._box, self._outside = box, outside

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
class _Group:
    """Findings of one code. The columns of those that come one by one are arrays that grow."""

    code: str
    table: Sequence[str]
    file: NDArray[np.int32] | array[int]
    where: NDArray[np.int64] | array[int]
    value: _Texts | ClippedBoxes | NDArray[np.float64] | NDArray[np.int64] | None
    place: Place
    doubtful: bool = False

    def __len__(self) -> int:
        return len(self.file)

    def rows(self, most: int | None) -> Iterator[Finding]:
        for row in range(len(self) if most is None else min(most, len(self))):
            yield self._row(row)

    def _row(self, row: int) -> Finding:
        rule = CODES[self.code]
        file, where = self.table[self.file[row]], int(self.where[row])
        place = place_text(on_one_line(_shortened(file)), where, self.place)
        value = "" if self.value is None else as_text(self.value[row])
        got = f", got {value}" if value else ""
        message = f"{place}: {rule.what}{got}; {rule.advice}"
        severity = "warning" if self.doubtful and rule.severity == "info" else rule.severity
        return Finding(self.code, severity, place, message, file, where, value)


class Findings:
    """All findings of a dataset, in the order they were made; iterating yields `Finding` rows."""

    def __init__(self, groups: Sequence[_Group], files: Sequence[str]) -> None:
        """Take the groups as they are; `files` is what the `file` codes of regions point into."""
        self._groups = tuple(groups)
        self.files = files

    def __iter__(self) -> Iterator[Finding]:
        """All findings, one row after the other."""
        for group in self._groups:
            yield from group.rows(None)

    def __len__(self) -> int:
        """How many findings."""
        return sum(map(len, self._groups))

    def __repr__(self) -> str:
        """`Findings({'empty_box': 2})`."""
        return f"Findings({self.counts()})"

    def counts(self) -> dict[str, int]:
        """How many findings of each code, in the order the codes are documented."""
        counted: Counter[str] = Counter()
        for group in self._groups:
            counted[group.code] += len(group)
        return {code: counted[code] for code in CODES if counted[code]}

    def doubtful(self) -> dict[str, int]:
        """Return how many findings of each code say that something may be wrong, though nothing was changed."""
        counted: Counter[str] = Counter()
        for group in self._groups:
            if group.doubtful or CODES[group.code].doubtful:
                counted[group.code] += len(group)
        return {code: counted[code] for code in CODES if counted[code]}

    def first(self, code: str, most: int = 3) -> list[Finding]:
        """The first few findings of one code."""
        found: list[Finding] = []
        for group in self._groups:
            if group.code == code and len(found) < most:
                found.extend(group.rows(most - len(found)))
        return found

    def without(self, code: str) -> Findings:
        """Return all findings but those of one code."""
        return Findings([group for group in self._groups if group.code != code], self.files)

    def __add__(self, other: Findings) -> Findings:
        """The findings of two steps, one after the other."""
        return Findings([*self._groups, *other._groups], self.files)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of things read: read = kept + all adjusted + all dropped. Each is counted once, by its first code."""

    read: int
    kept: int
    """As they were."""
    adjusted: Mapping[str, int]
    """Kept, but changed; by code."""
    dropped: Mapping[str, int]
    """By code."""

    @property
    def balanced(self) -> bool:
        """Whether it adds up."""
        return self.read == self.kept + sum(self.adjusted.values()) + sum(self.dropped.values())

    @property
    def lost(self) -> int:
        """Dropped without anybody having asked for it."""
        return sum(n for code, n in self.dropped.items() if not CODES[code].asked)

    def __str__(self) -> str:
        """`4888 read = 4880 kept + 6 adjusted + 2 dropped`."""
        adjusted, dropped = sum(self.adjusted.values()), sum(self.dropped.values())
        return f"{self.read} read = {self.kept} kept + {adjusted} adjusted + {dropped} dropped"


@dataclass(frozen=True, slots=True)
class Ledger(Account):
    """The account of the boxes, and beside it that of the images."""

    images: Account = field(default_factory=lambda: Account(0, 0, {}, {}))


class FindingLog:
    """What readers and rules report to while a dataset is read."""

    def __init__(self, progress: Progress | None = None) -> None:
        """Start empty. `progress` is called with what is done, how much of it, and how much there is."""
        self.files: list[str] = []
        self.decisions: dict[str, str] = {}
        self.boxes_read = 0
        self.images_read = 0
        self.progress: Progress = progress or (lambda _what, _done, _all: None)
        self._groups: list[_Group] = []
        self._growing: dict[tuple[str, int, Place, bool], tuple[array[int], array[int], _Texts]] = {}
        """Files, places and values of the findings that come one by one, by code, table and kind of place."""
        self._names: dict[str, list[str]] = {}
        """What `note` was told of, by code."""

    def file(self, name: str) -> int:
        """The code of a file, for `file` columns. Give each file once."""
        self.files.append(name)
        return len(self.files) - 1

    def add_files(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The codes of many files."""
        first = len(self.files)
        self.files += names
        return np.arange(first, len(self.files), dtype=np.int32)

    def read(self, *, boxes: int = 0, images: int = 0) -> None:
        """Count records met in the files, good or bad. The ledger must add up to these, so count before you judge."""
        self.boxes_read += boxes
        self.images_read += images

    def add(
        self,
        code: str,
        file: int | NDArray[np.int32],
        where: int | Sequence[int] | NDArray[np.int64] = 0,
        value: Iterable[object] | ClippedBoxes | None = None,
        *,
        place: Place = "line",
        table: Sequence[str] | None = None,
        doubtful: bool = False,
    ) -> None:
        """Report one finding, or a column of them: `file` and `where` are numbers or columns, `value` a column.

        Args:
            code: One of `codes.CODES`.
            file: Codes into `files`, or into `table` where one is given (image names, for example).
            where: The place in the file; see `place`.
            value: What is there; any iterable of values.
            place: What `where` counts.
            table: What `file` points into.
            doubtful: Whether strict mode fails on it, though nothing was dropped or adjusted.
        """
        table = self.files if table is None else table
        if isinstance(file, int) and isinstance(where, int):
            self._add_one(code, file, where, "" if value is None else next(iter(value)), place, table, doubtful)
            return
        wheres = np.atleast_1d(np.asarray(where, np.int64))
        files = np.broadcast_to(np.asarray(file, np.int32), np.broadcast_shapes(wheres.shape, np.shape(file)))
        wheres = np.broadcast_to(wheres, files.shape)
        if len(files):
            values = value if value is None or isinstance(value, (np.ndarray, ClippedBoxes)) else _Texts(value)
            self._groups.append(_Group(CODES[code].name, table, files, wheres, values, place, doubtful))

    def add_each(
        self, code: str, file: int, where: Sequence[int], values: Iterable[object], *, place: Place = "line"
    ) -> None:
        """Report findings of one file as if they came one by one, in the columns of these: a call for many records."""
        if where:
            files, wheres, texts = self._growing_columns(code, place, self.files)
            files.extend([file] * len(where))
            wheres.extend(where)
            texts.extend(values)

    def note(self, code: str, name: str, value: object = "", where: int = 0, *, doubtful: bool = False) -> None:
        """Report one finding about something that no table has, by its name: a file that is no label file, a class."""
        names = self._names.setdefault(code, [])
        if not names or names[-1] != name:
            names.append(name)
        self._add_one(code, len(names) - 1, where, value, "line", names, doubtful)

    def _add_one(
        self,
        code: str,
        file: int,
        where: int,
        value: object,
        place: Place,
        table: Sequence[str],
        doubtful: bool = False,
    ) -> None:
        """Put a finding behind those of its kind, so that a million that come one by one are a few columns too."""
        files, wheres, values = self._growing_columns(code, place, table, doubtful)
        files.append(file)
        wheres.append(where)
        values.append(value)

    def _growing_columns(
        self, code: str, place: Place, table: Sequence[str], doubtful: bool = False
    ) -> tuple[array[int], array[int], _Texts]:
        key = code, id(table), place, doubtful  # the group keeps the table, so that no other gets its number
        if key not in self._growing:
            self._growing[key] = array("i"), array("q"), _Texts()
            self._groups.append(_Group(CODES[code].name, table, *self._growing[key], place, doubtful))
        return self._growing[key]

    def decide(self, option: str, value: str, evidence: str, *, doubtful: bool = False) -> None:
        """Say what was decided about the whole dataset. `option` (an API keyword) is what overrides it.

        What was said of the option before stands beside it.
        """
        told = on_one_line(f"{value} ({evidence})")
        before = self.decisions.get(option, told)
        self.decisions[option] = told if before == told else f"{before}; {told}"
        if doubtful:
            text = f"{value}, because {evidence}"
            self.note("doubtful_decision", f"--{option.replace('_', '-')}", text)

    def names(self, code: str) -> Iterator[str]:
        """Yield the names of the files or images that have a finding."""
        for group in self._groups:
            if group.code == code:
                yield from (group.table[file] for file in group.file)

    def findings(self) -> Findings:
        """What was reported so far."""
        return Findings(self._groups, self.files)

    def dropped(self, unit: str) -> dict[str, int]:
        """How many boxes or images were dropped, by code."""
        return self._by_effect("dropped", unit)

    def adjusted(self, unit: str) -> dict[str, int]:
        """How many findings adjusted a box or image, by code; one box may be in several."""
        return self._by_effect("adjusted", unit)

    def _by_effect(self, effect: str, unit: str) -> dict[str, int]:
        counts = self.findings().counts()
        return {code: n for code, n in counts.items() if (CODES[code].effect, CODES[code].unit) == (effect, unit)}


def as_text(value: object) -> str:
    """A value from a file as it is shown to people: short, on one line."""
    if isinstance(value, np.ndarray):
        return " ".join(f"{number:.10g}" for number in value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    text = on_one_line(value if isinstance(value, str) else repr(value))
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def on_one_line(text: str) -> str:
    """Text with all that cannot be printed escaped: no name breaks a line, or tells a terminal what to do."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or category(sign) == "Zs" else ascii(sign)[1:-1] for sign in text)


def _shortened(name: str) -> str:
    """A name that is no longer than a path can sensibly be: a class name may be a whole file."""
    return name if len(name) <= _LONGEST_PLACE else name[:_LONGEST_PLACE] + "…"


def place_text(file: str, where: int, place: Place) -> str:
    """Return a place as it is shown: `a.xml:4`, `a.xml: object 2`, `a.json: annotation 17`."""
    if where == 0 and place == "line":
        return file
    if place == "line":
        return f"{file}:{where}" if where > 0 else f"{file}: object {-where}"
    return f"{file}: {place} {where}" if where >= 0 else f"{file}: {place} no. {-where}"
