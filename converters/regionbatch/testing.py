"""The conformance kit: what every reader must do, as pytest tests for yours. Our own readers pass it first.

The tests of a plugin are one class. `pytest` runs every test of the kit over every case in the folder:

    from pathlib import Path

    from mypackage import MyReader
    from regionbatch.testing import ReaderTests


    class TestMyReader(ReaderTests):
        reader = MyReader
        cases = Path(__file__).parent / "cases"

A case is a folder named after what is special about it:

    cases/short-row/
    ├── input/              the dataset
    └── case.toml           what is expected of it

Put the dataset into `input` and let the kit write `case.toml` from what your reader does now. READER is the name of a
registered format or `module:Class`:

    python -m regionbatch.testing record mypackage:MyReader cases/short-row

Then check the file by hand: it is recorded, not proven. For a table with two bad rows it may be:

    regions = [
      ["a.jpg", "cat", 0.1, 0.1, 0.2, 0.3],
    ]

    [boxes]
    dropped = {not_a_box = 2}

    [findings]
    image_not_on_disk = 1

    [places]
    not_a_box = "boxes.csv:3"
    image_not_on_disk = "a.jpg"

Everything is optional:

    about            a sentence for people
    read             the file in `input` to read; default: the folder `input`
    tags             the class names, in any order
    regions          image, tag, left, top, width, height; from 0 to 1, compared to 1e-6
    [options]        keyword arguments for `regionbatch.read`; paths are relative to the folder of the case
    [boxes]          read, kept, adjusted = {code = n}, dropped = {code = n}
    [images]         the same for images
    [findings]       code = n; n is the number of all findings of the code
    [places]         code = place of its first finding
    [decisions]      option = value decided
    [error]          type, the class name of the error; option and place, attributes of the error
    [draw]           images that a script draws (see fixtures/draw.py); the kit ignores it

Regions, accounts and findings are always compared exactly. A count that is left out is derived: `boxes.read` is the
number of regions and dropped boxes, `images.read` that of images with regions and dropped images, `kept` is what was
neither adjusted nor dropped, and each record adjusted or dropped is a finding. `tags`, `[places]`, `[decisions]`,
`error.option` and `error.place` are compared only where they are given. A case with `[error]` has no regions, accounts
or findings.

`record` replaces an existing `case.toml` only with `--force`, and then keeps `about`, `read`, `[options]` and `[draw]`.
To record a case with options, write these first, and use `--force`.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import regionbatch
from regionbatch.boxes import BoxMode
from regionbatch.cases import Case, CaseError, cases_in
from regionbatch.codes import CODES
from regionbatch.dataset import MARKS, ImageReferences, RawAnnotations, References
from regionbatch.errors import DatasetError, RegionBatchError
from regionbatch.files.tree import Tree
from regionbatch.findings import FindingLog
from regionbatch.options import ReadOptions
from regionbatch.reading import make_options
from regionbatch.report import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from regionbatch.dataset import Dataset
    from regionbatch.plugins import Reader

__all__ = ["REWRITTEN", "TOLERANCE", "Case", "CaseError", "ReaderTests", "cases_in"]

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

    def test_detect_never_raises(self, tmp_path: Path) -> None:
        """`detect` says why or None, whatever it is shown; nothing is found where there is nothing."""
        reader = self.reader()
        for path in (*_strangers(tmp_path), tmp_path):
            why = reader.detect(Tree.at(path))
            _expect(why is None or (isinstance(why, str) and why), f"{path.name}: detect returned {why!r}")
        nothing = tmp_path / "nothing"
        nothing.mkdir()
        why = reader.detect(Tree.at(nothing))
        _expect(why is None, f"an empty folder: detect must return None, not {why!r}")

    def test_strangers_are_refused_in_words(self, tmp_path: Path) -> None:
        """The wrong file ends in a `RegionBatchError`, or in a dataset; nothing else escapes."""
        for path in (*_strangers(tmp_path), tmp_path):
            try:
                regionbatch.read(path, format=self.reader())
            except RegionBatchError as error:
                _expect(str(error).strip(), f"{path.name}: {type(error).__name__} says nothing")

    def test_detects_its_cases(self, readable: Case) -> None:
        """What can be read is detected."""
        _expect(self.reader().detect(Tree.at(readable.input)), f"{readable.input}: detect returned nothing")

    def test_refers_to_files_of_the_dataset(self, readable: Case) -> None:
        """`references` names files that are in the dataset; images are opened nowhere else."""
        tree, options = self._tree_and_options(readable)
        references = self.reader().references(tree, options, FindingLog())
        _expect(isinstance(references, References), f"{readable.path}: references returned {type(references).__name__}")
        for file in (*references.files, *references.others):
            _expect(file in tree, f"{readable.path}: references names a file that is not in the dataset: {file!r}")
        given = readable.options(self.reader.options)
        dataset = regionbatch.read(readable.input, format=self.reader(), **given)
        roots = [Path(os.path.realpath(root)) for root in (tree.root, *options.image_dir)]
        for path in filter(None, dataset.images.paths):
            inside = any(Path(os.path.realpath(path)).is_relative_to(root) for root in roots)
            _expect(inside, f"{readable.path}: an image outside the dataset was opened: {path!r}")

    def test_returns_columns(self, readable: Case) -> None:
        """`read` returns arrays of the declared types, with codes that point into the tables."""
        log, (tree, options) = FindingLog(), self._tree_and_options(readable)
        reader = self.reader()
        references = reader.references(tree, options, log)
        raw = reader.read(tree, [*references.files], options, log)
        _expect(isinstance(raw, RawAnnotations), f"{readable.path}: read returned {type(raw).__name__}")
        _expect(isinstance(raw.mode, BoxMode), f"{readable.path}: mode is {raw.mode!r}")
        _check_types(readable, raw, {"box": "f8", "image": "i4", "tag": "i4", "file": "i4", "where": "i8"})
        _check_types(readable, raw.images, {"file": "i4", "width": "i4", "height": "i4", "split": "i4"})
        _check_codes(readable, "file", raw.file, len(log.files))
        _check_codes(readable, "images.file", raw.images.file, len(log.files))
        _check_codes(readable, "images.split", raw.images.split + 1, len(raw.images.splits) + 1)
        for code in raw.images.file.tolist():
            known = log.files[code] in references.files
            _expect(known, f"{readable.path}: images.file names a file that was not to be read: {log.files[code]!r}")
        for code, rows in raw.marks.items():
            _expect(code in {*CODES, *MARKS}, f"{readable.path}: marks has {code!r}, which is no finding code or mark")
            _check_codes(readable, f"marks[{code!r}]", np.asarray(rows), len(raw))

    def _tree_and_options(self, case: Case) -> tuple[Tree, Any]:
        given = _own(self.reader, case.options(self.reader.options))
        options = make_options(self.reader(), self.reader.__name__, given)
        tree = Tree.at(case.input)
        tree.encoding = options.encoding
        return tree, options

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
        """Regions, accounts, findings and their places are as the case expects."""
        self._check(case, case.input)

    def test_reads_the_same_twice(self, readable: Case) -> None:
        """A reader remembers nothing of what it read before."""
        reader, options = self.reader(), readable.options(self.reader.options)
        first, second = (regionbatch.read(readable.input, format=reader, **options) for _ in range(2))
        _equal(readable, "regions read a second time", list(second), list(first))
        _equal(readable, "findings of a second time", list(second.findings), list(first.findings))

    def test_writes_nothing(self, case: Case) -> None:
        """The dataset's folder is as it was."""
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
        outcome = self._outcome(case, path)
        if isinstance(outcome, RegionBatchError):
            _compare_error(case, outcome)
            return
        _expect(not case.refused, f"{case.path}: it must be refused, got {outcome.ledger}")
        _compare_rows(case, [tuple(row) for row in outcome], case.rows())
        found = summary(outcome)
        for key in ("boxes", "images", "findings"):
            _equal(case, key, found[key], case.expected[key])
        _compare_details(case, outcome)


def _own(reader: type[Reader], given: dict[str, Any]) -> dict[str, Any]:
    known = {field.name for field in fields(reader.options)}
    return {name: value for name, value in given.items() if name in known}


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


def _check_types(case: Case, columns: RawAnnotations | ImageReferences, types: Mapping[str, str]) -> None:
    for name, wanted in types.items():
        got = getattr(columns, name).dtype
        _expect(got == np.dtype(wanted), f"{case.path}: {name} must be {np.dtype(wanted)}, got {got}")


def _check_codes(case: Case, name: str, codes: np.ndarray[Any, Any], count: int) -> None:
    inside = not len(codes) or (codes.min() >= 0 and codes.max() < count)
    _expect(inside, f"{case.path}: {name} must point into a table of {count}, got {codes}")


def _compare_error(case: Case, error: RegionBatchError) -> None:
    wanted = case.expected["error"]
    _equal(case, "type of the error", type(error).__name__, wanted["type"])
    for attribute in ("option", "place"):
        if attribute in wanted:
            _equal(case, f"{attribute} of the error", getattr(error, attribute), wanted[attribute])


def _compare_details(case: Case, dataset: Dataset) -> None:
    """Compare what a case may expect besides regions, accounts and findings."""
    for code, place in case.expected.get("places", {}).items():
        places = [finding.place for finding in dataset.findings.first(code, 1)]
        _equal(case, f"place of the first {code}", places, [place])
    for option, value in case.expected.get("decisions", {}).items():
        decision = dataset.decisions.get(option, "")
        same = decision == value or decision.startswith(f"{value} (")
        _expect(same, f"{case.path}: {option} must be decided as {value!r}, got {decision!r}")
    if "tags" in case.expected:
        _equal(case, "tags", sorted(dataset.tags), sorted(case.expected["tags"]))


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


if __name__ == "__main__":
    from regionbatch.recording import main

    sys.exit(main())
