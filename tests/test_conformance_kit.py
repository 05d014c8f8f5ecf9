"""The conformance kit finds the defects of a reader."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT, raises_mentioning, write_yolo
from regionbatch.errors import DatasetError, PluginError
from regionbatch.options import ReadOptions, option
from regionbatch.readers.yolo.reader import YoloReader
from regionbatch.testing import Case, ReaderTests, cases_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from regionbatch.dataset import RawAnnotations, References
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

FIXTURES = ROOT / "fixtures"


class OneRow(YoloReader):
    """A sound reader. Each class below changes one thing."""

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return raw

    def chosen(self, references: References) -> References:
        return references

    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:
        return self.chosen(super().references(tree, options, log))

    def read(
        self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog
    ) -> RawAnnotations:
        return self.changed(super().read(tree, files, options, log))


class WithoutTitle(OneRow):
    title = ""


class WithoutOptions(OneRow):
    options = int  # type: ignore[assignment]


@dataclass
class _Loose:
    split: str | None = None


class WithLooseOptions(OneRow):
    options = _Loose  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class _WrongDefault(ReadOptions):
    unit: str = option("unit of the numbers", ("pixels", "normalised"), default="metres")


class WithWrongDefault(OneRow):
    options = _WrongDefault


@dataclass(frozen=True, kw_only=True)
class _Helpless(ReadOptions):
    unit: str = "pixels"


class WithHelplessOption(OneRow):
    options = _Helpless


class DetectsEverything(OneRow):
    def detect(self, tree: Tree) -> str | None:
        return f"its name is {tree.root.name}"


class DetectsTrue(OneRow):
    def detect(self, tree: Tree) -> str | None:
        return tree.root.exists()  # type: ignore[return-value]


class DetectsNothing(OneRow):
    def detect(self, tree: Tree) -> str | None:
        return None


class RaisesInDetect(OneRow):
    def detect(self, tree: Tree) -> str | None:
        return (tree.root / "data.yaml").read_text(encoding="utf-8")


class RaisesInReferences(OneRow):
    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:
        raise KeyError(tree.source)


class RaisesInRead(OneRow):
    def read(
        self,
        tree: Tree,
        files: Sequence[str],
        options: Any,
        log: FindingLog,
    ) -> RawAnnotations:
        raise KeyError(tree.source)


class RefersToNoFile(OneRow):
    """Like a list of files that is out of date."""

    def chosen(self, references: References) -> References:
        return replace(references, files={**references.files, "gone.txt": ""})


class RefersToAnotherDataset(OneRow):
    def chosen(self, references: References) -> References:
        return replace(references, others=["../another.txt"])


class RefersByAbsolutePaths(OneRow):
    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:
        references = super().references(tree, options, log)
        return replace(
            references,
            files={tree.on_disk(file): split for file, split in references.files.items()},
        )


class ReturnsFilesOnly(OneRow):
    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:
        return super().references(tree, options, log).files  # type: ignore[return-value]


class ReturnsRows(OneRow):
    def read(
        self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog
    ) -> RawAnnotations:
        return super().read(tree, files, options, log).box.tolist()  # type: ignore[no-any-return]


class ModeAsText(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, mode=raw.mode.name)  # type: ignore[arg-type]


class ImagesOfAnotherFile(OneRow):
    """Assigns the image of each file to the list of names."""

    def read(
        self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog
    ) -> RawAnnotations:
        raw = super().read(tree, files, options, log)
        other = log.file("classes.txt")
        return replace(
            raw, images=replace(raw.images, file=np.full(len(raw.images), other, np.int32))
        )


class ImagesBeyond(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, file=raw.images.file + np.int32(7)))


class WideSizes(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, width=raw.images.width.astype(np.int64)))


class SplitBeyond(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, split=raw.images.split + np.int32(1)))


class WideCodes(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, image=raw.image.astype(np.int64))


class UnknownMark(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, marks={"blurred": np.zeros(1, np.int64)})


class MarkBeyond(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, marks={"crowd": np.full(1, 99)})


class FileBeyond(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, file=raw.file + np.int32(7))


class AnySplit(OneRow):
    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:
        return super().references(tree, replace(options, split=None), log)


class Remembers(OneRow):
    times = 0

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        self.times += 1
        return replace(raw, box=raw.box / self.times)


class Writes(OneRow):
    def read(
        self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog
    ) -> RawAnnotations:
        (tree.root / "cache.txt").write_text("", encoding="utf-8")
        return super().read(tree, files, options, log)


class WrongPlaces(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, where=raw.where + 1)


class MovedBoxes(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, box=raw.box * 1.001)


class RenamedTags(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, tags=[name.upper() for name in raw.tags])


class LosesBoxes(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        first = slice(1)
        return replace(
            raw,
            box=raw.box[first],
            image=raw.image[first],
            tag=raw.tag[first],
            file=raw.file[first],
            where=raw.where[first],
            marks={},
        )


class FailsOnLineEnds(OneRow):
    def read(
        self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog
    ) -> RawAnnotations:
        for file in files:
            if b"\r" in tree.read(file):
                raise DatasetError(f"{file}: Windows line ends. Convert it.")
        return super().read(tree, files, options, log)


DEFECTS: dict[type[OneRow], tuple[str, ...]] = {
    WithoutTitle: ("title_is_one_line",),
    WithoutOptions: ("options_are_a_frozen_dataclass",),
    WithLooseOptions: ("options_are_a_frozen_dataclass",),
    WithWrongDefault: ("options_are_a_frozen_dataclass",),
    WithHelplessOption: ("options_are_a_frozen_dataclass",),
    DetectsEverything: ("detect_never_raises",),
    DetectsTrue: ("detect_never_raises",),
    RaisesInDetect: ("detect_never_raises",),
    DetectsNothing: ("detects_its_cases",),
    RaisesInReferences: ("foreign_files_raise_an_error_of_regionbatch", "case"),
    RaisesInRead: ("foreign_files_raise_an_error_of_regionbatch", "case"),
    RefersToNoFile: ("refers_to_files_of_the_dataset", "case"),
    RefersToAnotherDataset: ("refers_to_files_of_the_dataset", "case"),
    RefersByAbsolutePaths: ("refers_to_files_of_the_dataset", "case"),
    ReturnsFilesOnly: ("refers_to_files_of_the_dataset",),
    ReturnsRows: ("returns_columns",),
    ModeAsText: ("returns_columns",),
    ImagesOfAnotherFile: ("returns_columns", "case"),
    ImagesBeyond: ("returns_columns",),
    WideSizes: ("returns_columns",),
    SplitBeyond: ("returns_columns",),
    WideCodes: ("returns_columns",),
    UnknownMark: ("returns_columns",),
    MarkBeyond: ("returns_columns",),
    FileBeyond: ("returns_columns",),
    AnySplit: ("an_unknown_split_is_an_error",),
    Remembers: ("reads_the_same_twice",),
    Writes: ("writes_nothing",),
    WrongPlaces: ("case", "moved"),
    MovedBoxes: ("case", "moved", "rewritten"),
    RenamedTags: ("case",),
    LosesBoxes: ("case",),
    FailsOnLineEnds: ("rewritten",),
}
"""Defective readers, and the tests that find the defect."""

READING = (
    "case",
    "rewritten",
    "foreign_files_raise_an_error_of_regionbatch",
    "detect_never_raises",
)
"""Tests in which exceptions of a reader are not caught."""

RAISED: dict[type[OneRow], type[Exception]] = {
    RaisesInDetect: OSError,
    RaisesInReferences: KeyError,
    RaisesInRead: KeyError,
    RefersToNoFile: PluginError,
    RefersToAnotherDataset: PluginError,
    RefersByAbsolutePaths: PluginError,
    ImagesOfAnotherFile: PluginError,
    LosesBoxes: PluginError,
    FailsOnLineEnds: DatasetError,
}
"""Exceptions of some of the readers."""


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A copy of a case with two boxes and a clipped one; a defective reader may write into it."""
    shutil.copytree(FIXTURES / "yolo" / "over-the-edge", tmp_path / "over-the-edge")
    return Case(tmp_path / "over-the-edge", "over-the-edge")


def run_kit(reader: type[OneRow], test: str, case: Case, tmp_path: Path) -> None:
    class Kit(ReaderTests):
        rewritten: ClassVar[tuple[str, ...]] = ("crlf",)

    Kit.reader = reader
    method: Callable[..., None] = getattr(Kit(), f"test_{test}")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    values = {"case": case, "readable": case, "change": "crlf", "tmp_path": scratch}
    names = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    method(**{name: values[name] for name in names})


@pytest.mark.parametrize("test", sorted({test for tests in DEFECTS.values() for test in tests}))
def test_a_sound_reader_passes(test: str, case: Case, tmp_path: Path) -> None:
    run_kit(OneRow, test, case, tmp_path)


@pytest.mark.parametrize(
    ("reader", "test"),
    [(reader, test) for reader, tests in DEFECTS.items() for test in tests],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_defective_reader_fails(
    reader: type[OneRow], test: str, case: Case, tmp_path: Path
) -> None:
    wanted = RAISED.get(reader, AssertionError) if test in READING else AssertionError
    with pytest.raises(wanted, match=r"\w"):
        run_kit(reader, test, case, tmp_path)


def test_a_dataset_that_should_fail_but_does_not_is_a_failure(case: Case, tmp_path: Path) -> None:
    case.expected["error"] = {"type": "DatasetError"}
    with raises_mentioning(AssertionError, case.path):
        run_kit(OneRow, "case", case, tmp_path)


class RaisesADatasetError(OneRow):
    def read(
        self,
        tree: Tree,
        files: Sequence[str],
        options: Any,
        log: FindingLog,
    ) -> RawAnnotations:
        raise DatasetError(f"{tree.source}: no rows", place="a.txt:1", option="names")


def test_an_error_is_compared_by_its_attributes(case: Case, tmp_path: Path) -> None:
    right = {"type": "DatasetError", "place": "a.txt:1", "option": "names"}
    for number, attribute in enumerate(right):
        case.expected["error"] = right | {attribute: "another"}
        (tmp_path / str(number)).mkdir()
        with raises_mentioning(AssertionError, case.path, attribute, "another"):
            run_kit(RaisesADatasetError, "case", case, tmp_path / str(number))
    case.expected["error"] = right
    run_kit(RaisesADatasetError, "case", case, tmp_path)


@pytest.mark.parametrize(
    ("table", "wrong", "tokens"),
    [
        ("places", {"clipped": "a.txt:2"}, ["clipped", "a.txt:2"]),
        ("places", {"duplicate": "a.txt:2"}, ["duplicate", "a.txt:2"]),
        ("decisions", {"yolo_rows": "aut"}, ["yolo_rows", "aut"]),
        ("decisions", {"split": "train"}, ["split", "train"]),
        ("tags", ["cat"], ["tags"]),
        ("findings", {"clipped": 1}, ["findings"]),
        ("images", {"read": 2, "kept": 2, "adjusted": {}, "dropped": {}}, ["images"]),
        ("regions", [], ["regions"]),
    ],
)
def test_a_case_that_expects_something_else_fails(
    table: str, wrong: object, tokens: list[str], case: Case, tmp_path: Path
) -> None:
    case.expected[table] = wrong
    with raises_mentioning(AssertionError, case.path, *tokens):
        run_kit(OneRow, "case", case, tmp_path)


def test_a_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    with raises_mentioning(FileNotFoundError, tmp_path, "case.toml"):
        cases_in(tmp_path)


def test_read_takes_a_reader(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "set", [("a.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    dataset = rb.read(folder, format=OneRow())
    assert dataset.format == "OneRow"
    assert [region.tag for region in dataset] == ["cat"]


class ReversesImages(OneRow):
    """Returns the images in another order than the files."""

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, file=raw.images.file[::-1]))


class InventsImages(OneRow):
    """Returns one more image than there are files."""

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        images, first = raw.images, np.append(np.arange(len(raw.images)), 0)
        more = replace(
            images,
            names=[*images.names, ""],
            file=images.file[first],
            width=images.width[first],
            height=images.height[first],
            split=images.split[first],
        )
        return replace(raw, images=more)


@pytest.mark.parametrize("reader", [ReversesImages, InventsImages])
def test_images_in_another_order_than_the_files_are_an_error(
    reader: type[OneRow], tmp_path: Path
) -> None:
    """Boxes of one image would otherwise get to another."""
    rows = [(name, "cat", (0.2, 0.25, 0.2, 0.3)) for name in ("a.jpg", "b.jpg")]
    folder = write_yolo(tmp_path / "set", rows)
    with pytest.raises(PluginError, match=r"^[ab]\.txt: "):
        rb.read(folder, format=reader())
