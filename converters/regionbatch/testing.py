"""The conformance kit: what every reader must do, as pytest tests for yours. Our own readers pass it first.

A plugin's tests are three lines (and the imports of what they name: `from regionbatch.testing import ReaderTests`);
`pytest` runs every test below over every case in the folder:

    class TestMyReader(ReaderTests):
        reader = MyReader
        cases = Path(__file__).parent / "cases"

A case is a folder named after what is special about it:

    cases/short-row/
    ├── input/              the data set
    ├── expected.jsonl      a region a line: {"image", "tag", "left", "top", "width", "height"}, shares to 1e-6
    └── findings.json       what is told about it

`findings.json` has the accounts and counts as `regionbatch inspect --json` prints them, so a new case begins with its
output (and a hand that checks it):

    boxes, images    {"read", "kept", "adjusted": {code: n}, "dropped": {code: n}}
    findings         {code: n}, all of them
    places           {code: place of the first}; optional, as the rest
    decisions        {option: how the decision begins}
    tags             the class names, in any order
    options          what `regionbatch.read` is given; a path is relative to the case's folder
    read             the file of the input to read, if it is not the folder
    error            {"type": name of the class, "says": [parts of its text]}: the case is refused, and has no rows
"""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import regionbatch
from regionbatch.boxes import BoxMode
from regionbatch.codes import CODES
from regionbatch.dataset import Images, RawAnnotations
from regionbatch.errors import DatasetError, RegionBatchError
from regionbatch.findings import Report
from regionbatch.options import ReadOptions, is_path
from regionbatch.report import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from regionbatch.dataset import Dataset
    from regionbatch.plugins import Reader

TOLERANCE = 1e-6
"""How far a number of a region may be from the expected one."""

REWRITTEN: Mapping[str, Callable[[bytes], bytes]] = {
    "byte-order-mark": lambda text: b"\xef\xbb\xbf" + text,
    "crlf": lambda text: text.replace(b"\n", b"\r\n"),
    "no-final-newline": lambda text: text.rstrip(b"\n"),
}
"""Other spellings of UTF-8 text that change nothing about what it says."""

_STRANGERS: Mapping[str, bytes] = {
    "empty.json": b"",
    "broken.json": b'{"images": [{"id": 1',
    "list.json": b'[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]',
    "coco.json": b'{"images": [], "annotations": [], "categories": []}',
    "voc.xml": b"<annotation><filename>a.jpg</filename></annotation>",
    "broken.xml": b"<annotation><object>",
    "yolo.txt": b"0 0.5 0.5 0.25 0.25\n",
    "words.txt": b"a page of words\nand nothing else\n",
    "table.csv": b"a,b\n1,2\n",
    "data.yaml": b"names: [cat]\n",
    "broken.yaml": b"names: [cat\n\t}",
    "zeros.dat": bytes(64),
    "bytes.json": bytes(range(256)),
    "bytes.xml": bytes(range(256)),
    "bytes.csv": bytes(range(256)),
    "bytes": bytes(range(256)),
}
"""Files that a reader meets when somebody names the wrong one."""


class Case:
    """One case: a folder with `input`, `expected.jsonl` and `findings.json`."""

    def __init__(self, path: Path, name: str) -> None:
        """`name` is what the test is called by."""
        self.path, self.name = path, name
        self.expected: dict[str, Any] = json.loads((path / "findings.json").read_text(encoding="utf-8"))

    @property
    def input(self) -> Path:
        """What is read: the folder, or a file in it."""
        return self.path / "input" / str(self.expected.get("read", ""))

    @property
    def refused(self) -> bool:
        """Whether reading must end in an error."""
        return "error" in self.expected

    def rows(self) -> list[tuple[Any, ...]]:
        """The expected regions: image, tag, left, top, width, height."""
        lines = (self.path / "expected.jsonl").read_text(encoding="utf-8").splitlines()
        return [tuple(json.loads(line)[key] for key in _ROW) for line in lines]

    def options(self, declared: type[ReadOptions]) -> dict[str, Any]:
        """What `regionbatch.read` is given, paths made absolute."""
        paths = {field.name for field in fields(declared) if is_path(field)}
        given: dict[str, Any] = self.expected.get("options", {})
        return {name: self.path / value if name in paths else value for name, value in given.items()}


_ROW = ("image", "tag", "left", "top", "width", "height")


def cases_in(folder: Path) -> list[Case]:
    """All cases below a folder, sorted, named by their paths from it (`coco/crowd-rle`).

    Raises:
        FileNotFoundError: There is none.
    """
    found = sorted(
        path.parent for path in folder.rglob("findings.json") if "input" not in path.relative_to(folder).parts
    )
    if not found:
        raise FileNotFoundError(f"{folder}: no case here; needed are folders with input and findings.json")
    return [Case(path, f"{folder.name}/{path.relative_to(folder).as_posix()}") for path in found]


class ReaderTests:
    """The tests. Derive a class whose name begins with `Test`, and set `reader` and `cases`."""

    reader: ClassVar[type[Reader]]
    """The class of the reader; it is made without arguments, as a plugin is."""
    cases: ClassVar[Path]
    """The folder of the cases."""
    rewritten: ClassVar[Iterable[str]] = tuple(REWRITTEN)
    """Which of `REWRITTEN` the format stands; empty for one that is no text."""

    def pytest_generate_tests(self, metafunc: Any) -> None:  # noqa: ANN401 - pytest's Metafunc; pytest is not imported
        """Run the tests that take a case once for each: `case` is any, `readable` one that is not refused."""
        cases = cases_in(self.cases)
        for wanted, chosen in (("case", cases), ("readable", [case for case in cases if not case.refused])):
            if wanted in metafunc.fixturenames:
                metafunc.parametrize(wanted, chosen, ids=[case.name for case in chosen])
        if "spelling" in metafunc.fixturenames:
            metafunc.parametrize("spelling", list(self.rewritten))

    # The contract.

    def test_title_is_one_line(self) -> None:
        """The title stands in the list of formats."""
        title = self.reader.title
        _expect(title.strip() and "\n" not in title, f"{self.reader.__name__}.title: one line is needed, got {title!r}")

    def test_options_are_a_frozen_dataclass(self) -> None:
        """Options are made from keywords, have help texts, and defaults that are allowed."""
        options = self.reader.options
        place = f"{self.reader.__name__}.options"
        _expect(
            is_dataclass(options) and issubclass(options, ReadOptions),
            f"{place}: a dataclass derived from regionbatch.options.ReadOptions is needed, got {options!r}",
        )
        _expect(options.__dataclass_params__.frozen, f"{place}: it must be frozen")  # type: ignore[attr-defined]
        defaults = options()
        for field in fields(options):
            choices, default = field.metadata.get("choices", ()), getattr(defaults, field.name)
            _expect(field.metadata.get("help"), f"{place}.{field.name}: no help text; make it with options.option(…)")
            _expect(
                not choices or default in choices,
                f"{place}.{field.name}: the default must be among the choices {choices}, got {default!r}",
            )

    def test_claims_never_raises(self, tmp_path: Path) -> None:
        """`claims` says why or None, whatever it is shown; nothing is claimed where there is nothing."""
        reader = self.reader()
        for path in (*_strangers(tmp_path), tmp_path):
            claim = reader.claims(path)
            _expect(claim is None or (isinstance(claim, str) and claim), f"{path.name}: claims returned {claim!r}")
        nothing = tmp_path / "nothing"
        nothing.mkdir()
        for path in (nothing, tmp_path / "missing", tmp_path / "missing.json"):
            claim = reader.claims(path)
            _expect(claim is None, f"{path.name}: there is nothing to claim, got {claim!r}")

    def test_strangers_are_refused_in_words(self, tmp_path: Path) -> None:
        """The wrong file ends in a `RegionBatchError`, or in a data set; nothing else escapes."""
        for path in (*_strangers(tmp_path), tmp_path):
            try:
                regionbatch.read(path, format=self.reader())
            except RegionBatchError as error:
                _expect(str(error).strip(), f"{path.name}: {type(error).__name__} says nothing")

    def test_claims_its_cases(self, readable: Case) -> None:
        """What can be read is claimed."""
        _expect(self.reader().claims(readable.input), f"{readable.input}: claims returned nothing")

    def test_returns_columns(self, readable: Case) -> None:
        """`read` returns arrays of the declared types, with codes that point into the tables."""
        report = Report()
        options, given = self.reader.options, readable.options(self.reader.options)
        known = {field.name for field in fields(options)}
        raw = self.reader().read(
            readable.input, options(**{name: value for name, value in given.items() if name in known}), report
        )
        _expect(isinstance(raw, RawAnnotations), f"{readable.path}: read returned {type(raw).__name__}")
        _expect(isinstance(raw.mode, BoxMode), f"{readable.path}: mode is {raw.mode!r}")
        _check_types(readable, raw, {"box": "f8", "image": "i4", "tag": "i4", "file": "i4", "where": "i8"})
        _check_types(readable, raw.images, {"width": "i4", "height": "i4", "split": "i4"})
        _check_codes(readable, "file", raw.file, len(report.files))
        _check_codes(readable, "images.split", raw.images.split + 1, len(raw.images.splits) + 1)
        for code, rows in raw.marks.items():
            _expect(code in CODES, f"{readable.path}: marks has {code!r}, which is no finding code")
            _check_codes(readable, f"marks[{code!r}]", np.asarray(rows), len(raw))
        for name, path in zip(raw.images.names, raw.images.paths, strict=True):
            _expect("\\" not in name, f"{readable.path}: images.names must have /, got {name}")
            _expect(not path or Path(path).is_file(), f"{readable.path}: images.paths has no file {path}")

    def test_refuses_a_split_that_is_not_there(self, readable: Case) -> None:
        """`split` is obeyed or refused; to read everything in its place would be silent."""
        options = {**readable.options(self.reader.options), "split": "no-such-split"}
        try:
            regionbatch.read(readable.input, format=self.reader(), **options)
        except DatasetError:
            return
        raise AssertionError(f"{readable.path}: split='no-such-split' was not refused; raise a DatasetError")

    # The cases.

    def test_case(self, case: Case) -> None:
        """Regions, accounts, findings and their places are as written down beside the case."""
        self._check(case, case.input)

    def test_reads_the_same_twice(self, readable: Case) -> None:
        """A reader remembers nothing of what it read before."""
        reader, options = self.reader(), readable.options(self.reader.options)
        first, second = (regionbatch.read(readable.input, format=reader, **options) for _ in range(2))
        _equal(readable, "regions read a second time", list(second), list(first))
        _equal(readable, "findings of a second time", list(second.findings), list(first.findings))

    def test_writes_nothing(self, case: Case) -> None:
        """The data set's folder is as it was."""
        before = _contents(case.path)
        self._outcome(case, case.input)
        _equal(case, "files after reading", _contents(case.path), before)

    def test_moved(self, case: Case, tmp_path: Path) -> None:
        """Another place on disk changes nothing."""
        self._check(case, _copy(case, tmp_path / "moved här, with blanks"))

    def test_rewritten(self, case: Case, spelling: str, tmp_path: Path) -> None:
        """Another spelling of all its text files changes nothing."""
        at = _copy(case, tmp_path / "rewritten")
        for path in (tmp_path / "rewritten").rglob("*"):
            if path.is_file() and _is_plain_text(data := path.read_bytes()):
                path.write_bytes(REWRITTEN[spelling](data))
        self._check(case, at)

    def _outcome(self, case: Case, path: Path) -> Dataset | RegionBatchError:
        try:
            return regionbatch.read(path, format=self.reader(), **case.options(self.reader.options))
        except RegionBatchError as error:
            if not case.refused:
                raise
            return error

    def _check(self, case: Case, path: Path) -> None:
        """Compare what comes of reading a path with what is expected of a case."""
        outcome, wanted = self._outcome(case, path), case.expected
        if isinstance(outcome, RegionBatchError):
            _equal(case, "error", type(outcome).__name__, wanted["error"]["type"])
            for part in wanted["error"]["says"]:
                _expect(part in str(outcome), f"{case.path}: the error must say {part!r}, got {outcome}")
            return
        _expect(not case.refused, f"{case.path}: it must be refused, got {outcome.ledger}")
        _compare_rows(case, [tuple(row) for row in outcome], case.rows())
        told = summary(outcome)
        for key in ("findings", "boxes", "images"):
            _equal(case, key, told[key], wanted[key])
        for code, place in wanted.get("places", {}).items():
            _equal(case, f"place of the first {code}", outcome.findings.first(code, 1)[0].place, place)
        for option, start in wanted.get("decisions", {}).items():
            decision = outcome.decisions.get(option, "")
            _expect(decision.startswith(start), f"{case.path}: {option} must be decided as {start!r}, got {decision!r}")
        if "tags" in wanted:
            _equal(case, "tags", sorted(outcome.tags), sorted(wanted["tags"]))


def _strangers(folder: Path) -> list[Path]:
    for name, content in _STRANGERS.items():
        (folder / name).write_bytes(content)
    for name in ("folder.json", "folder.xml", "folder.txt"):
        (folder / name).mkdir()
    return sorted(folder.iterdir())


def _copy(case: Case, to: Path) -> Path:
    """Copy a case's input; what is to be read of the copy."""
    shutil.copytree(case.path / "input", to)
    return to / str(case.expected.get("read", ""))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _is_plain_text(data: bytes) -> bool:
    """Whether a file is UTF-8 with line ends as here, and says nothing else about its encoding."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return not (data.startswith(b"\xef\xbb\xbf") or b"\r" in data or b"\0" in data)


def _check_types(case: Case, columns: RawAnnotations | Images, types: Mapping[str, str]) -> None:
    for name, wanted in types.items():
        got = getattr(columns, name).dtype
        _expect(got == np.dtype(wanted), f"{case.path}: {name} must be {np.dtype(wanted)}, got {got}")


def _check_codes(case: Case, name: str, codes: np.ndarray[Any, Any], count: int) -> None:
    inside = not len(codes) or (codes.min() >= 0 and codes.max() < count)
    _expect(inside, f"{case.path}: {name} must point into a table of {count}, got {codes}")


def _compare_rows(case: Case, got: list[tuple[Any, ...]], wanted: list[tuple[Any, ...]]) -> None:
    got, wanted = sorted(got, key=_rounded), sorted(wanted, key=_rounded)
    for row, expected in zip(got, wanted, strict=False):
        same = row[:2] == expected[:2] and np.allclose(row[2:], expected[2:], rtol=0, atol=TOLERANCE)
        _expect(same, f"{case.path}: regions differ, got {row}; expected {expected}")
    _equal(case, "number of regions", len(got), len(wanted))


def _rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:2], *(round(number, 5) for number in row[2:]))


def _equal(case: Case, what: str, got: object, wanted: object) -> None:
    _expect(got == wanted, f"{case.path}: {what} differ, got {got}; expected {wanted}")


def _expect(condition: object, message: str) -> None:
    """Fail a test. An assertion would be gone under `python -O`."""
    if not condition:
        raise AssertionError(message)
