"""The conformance kit: pytest tests for a reader. The built-in readers pass the same tests.

The tests of a plugin are one class. `pytest` runs every test of the kit for every case in the
folder:

    from pathlib import Path

    from mypackage import MyReader
    from regionbatch.testing import ReaderTests


    class TestMyReader(ReaderTests):
        reader = MyReader
        cases = Path(__file__).parent / "cases"

A case is a folder with a name that says what is special about it:

    cases/short-row/
    ├── input/              the dataset
    └── case.toml           the expected result

Put the dataset into `input` and let the kit write `case.toml` from what your reader does now.
READER is the name of a registered format, or `module:Class`:

    python -m regionbatch.testing record mypackage:MyReader cases/short-row

Then check the file by hand, because a recorded result is not necessarily right. For a table with
two bad rows it may contain:

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

Every key is optional:

    about            a sentence about the case
    read             the file in `input` to read; default: the folder `input`
    tags             the class names, in any order
    regions          image, tag, left, top, width, height; from 0 to 1, compared within 1e-6
    [options]        keyword arguments for `regionbatch.read`; paths relative to the case's folder
    [boxes]          read, kept, adjusted = {code = n}, dropped = {code = n}
    [images]         the same for images
    [findings]       code = n, the number of all findings of the code
    [places]         code = place of its first finding
    [decisions]      option = value decided
    [error]          type, the class name of the error; option and place, attributes of the error
    [draw]           images that a script draws (see fixtures/draw.py); the kit ignores it

Regions, accounts and findings are always compared completely. A count that is left out is derived:
`boxes.read` is the number of regions and dropped boxes, and `images.read` that of images with
regions and dropped images. `kept` is the number of records that were neither adjusted nor dropped.
Each adjusted or dropped record counts as a finding. `tags`, `[places]`, `[decisions]`,
`error.option` and `error.place` are compared only if they are given. A case with `[error]` has no
regions, accounts or findings.

`record` replaces an existing `case.toml` only with `--force`, and then keeps `about`, `read`,
`[options]` and `[draw]`. To record a case with options, write these first, and use `--force`.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import regionbatch
from regionbatch.boxes import BoxMode
from regionbatch.case_checks import (
    TOLERANCE,
    check_codes,
    check_dataset,
    check_error,
    check_types,
    expect,
    expect_equal,
)
from regionbatch.cases import Case, CaseError, cases_in
from regionbatch.dataset import MARKS, RawAnnotations, References
from regionbatch.errors import DatasetError, OptionError, RegionBatchError
from regionbatch.files.tree import Tree
from regionbatch.findings import FindingLog
from regionbatch.findings.codes import CODES
from regionbatch.option_values import make_options
from regionbatch.options import ReadOptions
from regionbatch.part_checks import check_parts
from regionbatch.part_reading import reads_in_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from regionbatch.dataset import Dataset
    from regionbatch.plugins import Reader

__all__ = ["REWRITTEN", "TOLERANCE", "Case", "CaseError", "ReaderTests", "cases_in"]

REWRITTEN: Mapping[str, Callable[[bytes], bytes]] = {
    "byte-order-mark": lambda text: b"\xef\xbb\xbf" + text,
    "crlf": lambda text: text.replace(b"\n", b"\r\n"),
    "no-final-newline": lambda text: text.rstrip(b"\n"),
}
"""Changes to UTF-8 text files that do not change their meaning."""

_COLUMN_TYPES = {"box": "f8", "image": "i4", "tag": "i4", "file": "i4", "where": "i8"}
_IMAGE_COLUMN_TYPES = {"file": "i4", "width": "i4", "height": "i4", "split": "i4"}

_FOREIGN_FILES: Mapping[str, bytes] = {
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
"""Files that no reader should crash on if a user chooses them by mistake."""


collected_cases = cache(cases_in)
"""`cases_in`, cached because pytest asks for the cases of a folder once for each test."""


class ReaderTests:
    """The tests of a reader.

    Derive a class with a name that starts with `Test`, and set `reader` and `cases`.
    """

    reader: ClassVar[type[Reader]]
    """Class of the reader. An instance is created without arguments, as for a plugin."""
    cases: ClassVar[Path]
    """Folder of the cases."""
    rewritten: ClassVar[Iterable[str]] = tuple(REWRITTEN)
    """Keys of `REWRITTEN` that must not change the result; empty for a format that is not text."""

    def pytest_generate_tests(self, metafunc: Any) -> None:  # noqa: ANN401 - pytest's Metafunc; pytest is not imported
        """Parametrise the tests: `case` with every case, `readable` with those without an error."""
        cases = collected_cases(self.cases)
        readable = [case for case in cases if not case.expects_error]
        for argument, chosen in (("case", cases), ("readable", readable)):
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, chosen, ids=[case.name for case in chosen])

    # The contract.

    def test_title_is_one_line(self) -> None:
        """The title is shown in the list of formats."""
        title = self.reader.title
        is_line = bool(title.strip()) and "\n" not in title
        expect(is_line, f"{self.reader.__name__}.title: not one line: {title!r}.")

    def test_options_are_a_frozen_dataclass(self) -> None:
        """Options can be given by keyword, and have help texts and allowed defaults."""
        options = self.reader.options
        place = f"{self.reader.__name__}.options"
        is_derived = is_dataclass(options) and issubclass(options, ReadOptions)
        expect(is_derived, f"{place}: not a dataclass derived from ReadOptions: {options!r}.")
        is_frozen = options.__dataclass_params__.frozen  # type: ignore[attr-defined]
        expect(is_frozen, f"{place}: the dataclass is not frozen.")
        defaults = options()
        for field in fields(options):
            name = f"{place}.{field.name}"
            choices = field.metadata.get("choices", ())
            default = getattr(defaults, field.name)
            has_help = bool(field.metadata.get("help"))
            expect(has_help, f"{name}: no help text. Declare it with options.option(…).")
            is_allowed = not choices or default in choices
            expect(is_allowed, f"{name}: the default {default!r} is not among {choices}.")

    def test_detect_never_raises(self, tmp_path: Path) -> None:
        """`detect` returns a reason or None for any files, and None for an empty folder."""
        reader = self.reader()
        for path in (*_write_foreign_files(tmp_path), tmp_path):
            reason = reader.detect(Tree.at(path))
            is_reason = reason is None or (isinstance(reason, str) and reason != "")
            expect(is_reason, f"{path.name}: detect returned {reason!r}.")
        empty = tmp_path / "empty"
        empty.mkdir()
        reason = reader.detect(Tree.at(empty))
        expect(reason is None, f"empty folder: detect must return None, not {reason!r}.")

    def test_foreign_files_raise_an_error_of_regionbatch(self, tmp_path: Path) -> None:
        """The wrong file gives a `RegionBatchError` with a message, or a dataset."""
        for path in (*_write_foreign_files(tmp_path), tmp_path):
            try:
                regionbatch.read(path, format=self.reader())
            except RegionBatchError as error:
                has_text = bool(str(error).strip())
                expect(has_text, f"{path.name}: {type(error).__name__} has no message.")

    def test_detects_its_cases(self, readable: Case) -> None:
        """Whatever can be read is detected."""
        reason = self.reader().detect(Tree.at(readable.input))
        expect(reason, f"{readable.input}: detect returned {reason!r}.")

    def test_refers_to_files_of_the_dataset(self, readable: Case) -> None:
        """`references` names files of the dataset."""
        tree, options = self._tree_and_options(readable)
        references = self.reader().references(tree, options, FindingLog())
        is_references = isinstance(references, References)
        expect(is_references, f"{readable.path}: references returned {type(references).__name__}.")
        for file in (*references.files, *references.others):
            expect(file in tree, f"{readable.path}: not a file of the dataset: {file!r}.")

    def test_returns_columns(self, readable: Case) -> None:
        """`read` returns arrays of the declared types, with indexes into the tables."""
        log = FindingLog()
        tree, options = self._tree_and_options(readable)
        reader = self.reader()
        references = reader.references(tree, options, log)
        raw = reader.read(tree, [*references.files], options, log)
        place = readable.path
        expect(isinstance(raw, RawAnnotations), f"{place}: read returned {type(raw).__name__}.")
        expect(isinstance(raw.mode, BoxMode), f"{place}: mode is {raw.mode!r}.")
        check_types(readable, raw, _COLUMN_TYPES)
        check_types(readable, raw.images, _IMAGE_COLUMN_TYPES)
        check_codes(readable, "file", raw.file, len(log.files))
        check_codes(readable, "images.file", raw.images.file, len(log.files))
        check_codes(readable, "images.split", raw.images.split + 1, len(raw.images.splits) + 1)
        for code in raw.images.file.tolist():
            file = log.files[code]
            is_known = file in references.files
            expect(is_known, f"{place}: images.file is not a file to read: {file!r}.")
        for mark, rows in raw.marks.items():
            is_known = mark in CODES or mark in MARKS
            expect(is_known, f"{place}: neither a finding code nor a mark: {mark!r}.")
            check_codes(readable, f"marks[{mark!r}]", np.asarray(rows), len(raw))

    def _tree_and_options(self, case: Case) -> tuple[Tree, Any]:
        given = _reader_options(self.reader, case.options(self.reader.options))
        options = make_options(self.reader(), self.reader.__name__, given)
        tree = Tree.at(case.input)
        tree.encoding = options.encoding
        return tree, options

    def test_an_unknown_split_is_an_error(self, readable: Case) -> None:
        """A split that does not exist is an error; reading everything instead would be wrong."""
        options = {**readable.options(self.reader.options), "split": "no-such-split"}
        try:
            regionbatch.read(readable.input, format=self.reader(), **options)
        except (DatasetError, OptionError):
            return
        raise AssertionError(f"{readable.path}: no DatasetError for split='no-such-split'.")

    # The cases.

    def test_case(self, case: Case) -> None:
        """Regions, accounts, findings and places are what the case expects.

        The reader keeps no state from what it read before, and writes nothing.
        """
        before = _contents(case.path)
        reader = self.reader()
        outcome = self._check(case, case.input, reader)
        if not isinstance(outcome, RegionBatchError):
            options = case.options(self.reader.options)
            again = regionbatch.read(case.input, format=reader, **options)
            expect_equal(case, "regions read again", list(again), list(outcome))
            found, found_again = list(outcome.findings), list(again.findings)
            expect_equal(case, "findings read again", found_again, found)
            self._check_images(case, outcome)
        expect_equal(case, "files after reading", _contents(case.path), before)

    def test_parts(self, readable: Case) -> None:
        """A reader that reads in parts returns and reports the same for any number of parts."""
        reader = self.reader()
        if reads_in_parts(reader):
            check_parts(readable, reader, readable.options(self.reader.options))

    def test_rewritten(self, case: Case, tmp_path: Path) -> None:
        """Another folder, other line endings or a byte-order mark give the same result."""
        folder = tmp_path / "moved här, with spaces"
        shutil.copytree(case.path / "input", folder)
        texts = {path: data for path, data in _files(folder) if _is_plain_text(data)}
        variants = {"unchanged": texts}
        for change in self.rewritten:
            changed = {path: REWRITTEN[change](data) for path, data in texts.items()}
            if changed != texts:
                variants.pop("unchanged", None)  # each variant is in another folder
                variants[change] = changed
        for change, files in variants.items():
            for path, data in files.items():
                path.write_bytes(data)
            try:
                self._check(case, folder / str(case.expected.get("read", "")), self.reader())
            except Exception as error:
                error.add_note(f"In a copy in another folder: {change}.")
                raise

    def _check(self, case: Case, path: Path, reader: Reader) -> Dataset | RegionBatchError:
        """Read a path, compare the outcome with the case, and return it."""
        try:
            outcome = regionbatch.read(path, format=reader, **case.options(self.reader.options))
        except RegionBatchError as error:
            if not case.expects_error:
                raise
            check_error(case, error)
            return error
        check_dataset(case, outcome)
        return outcome

    def _check_images(self, case: Case, dataset: Dataset) -> None:
        """Check that all images are in the dataset, or in a folder of images that was given."""
        tree, options = self._tree_and_options(case)
        roots = [Path(os.path.realpath(root)) for root in (tree.root, *options.image_dir)]
        for path in filter(None, dataset.images.paths):
            real = Path(os.path.realpath(path))
            is_inside = any(real.is_relative_to(root) for root in roots)
            expect(is_inside, f"{case.path}: opened an image outside the dataset: {path!r}.")


def _reader_options(reader: type[Reader], given: dict[str, Any]) -> dict[str, Any]:
    known = {field.name for field in fields(reader.options)}
    return {name: value for name, value in given.items() if name in known}


def _write_foreign_files(folder: Path) -> list[Path]:
    """Write the foreign files, and folders with names of files; return all paths."""
    for name, content in _FOREIGN_FILES.items():
        (folder / name).write_bytes(content)
    for name in ("folder.json", "folder.xml", "folder.txt"):
        (folder / name).mkdir()
    return sorted(folder.iterdir())


def _contents(folder: Path) -> dict[Path, bytes]:
    return dict(_files(folder))


def _files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield all files below a folder with their contents, sorted."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


def _is_plain_text(data: bytes) -> bool:
    """Return whether a file is UTF-8 with Unix line endings and without a byte-order mark."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return not (data.startswith(b"\xef\xbb\xbf") or b"\r" in data or b"\0" in data)


if __name__ == "__main__":
    from regionbatch.recording import main

    sys.exit(main())
