"""Readers with one defect each, and the tests of the conformance kit that find it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.errors import DatasetError, PluginError
from regionbatch.options import ReadOptions, option
from regionbatch.readers.yolo.reader import YoloReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.dataset import RawAnnotations, References
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog


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
        return Path(tree.root).exists()  # type: ignore[return-value]


class DetectsNothing(OneRow):
    def detect(self, tree: Tree) -> str | None:
        return None


class RaisesInDetect(OneRow):
    def detect(self, tree: Tree) -> str | None:
        return Path(tree.root / "data.yaml").read_text(encoding="utf-8")


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
        Path(tree.root / "cache.txt").write_text("", encoding="utf-8")
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


class CountsParts(YoloReader):
    def parts(self, tree: Tree, files: Sequence[str], options: Any, n: int) -> list[Any]:
        found = super().parts(tree, files, options, n)
        nothing = (found[0][0], [], *found[0][2:])
        return [*found, *[nothing] * n]

    def merge(
        self, tree: Tree, files: Any, options: Any, log: FindingLog, jobs: Any, results: Any
    ) -> RawAnnotations:
        log.decide("parts", str(len(jobs)), "as they came")
        return super().merge(tree, files, options, log, jobs, results)


class UnpicklableParts(YoloReader):
    read_part = staticmethod(lambda *_: None)  # type: ignore[assignment]

    def merge(
        self, tree: Tree, files: Any, options: Any, log: FindingLog, jobs: Any, results: Any
    ) -> RawAnnotations:
        found = YoloReader.read_part(*jobs[0])
        next(results)
        return super().merge(tree, files, options, log, jobs, iter([found]))


DEFECTS: dict[type[YoloReader], tuple[str, ...]] = {
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
    Remembers: ("case",),
    Writes: ("case",),
    WrongPlaces: ("case", "rewritten"),
    MovedBoxes: ("case", "rewritten"),
    RenamedTags: ("case",),
    LosesBoxes: ("case",),
    FailsOnLineEnds: ("rewritten",),
    CountsParts: ("parts",),
    UnpicklableParts: ("parts",),
}
"""Defective readers, and the tests that find the defect."""

READING = (
    "case",
    "rewritten",
    "foreign_files_raise_an_error_of_regionbatch",
    "detect_never_raises",
)
"""Tests in which exceptions of a reader are not caught."""

RAISED: dict[type[YoloReader], type[Exception]] = {
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
