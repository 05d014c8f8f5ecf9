"""Readers that break one rule of the contract each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch.boxes import BoxMode
from regionbatch.dataset import (
    ImageReferences,
    RawAnnotations,
    References,
)
from regionbatch.options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog


class Counting:
    """A reader that counts one box more than it returns."""

    title: ClassVar[str] = "counts wrong"
    options: ClassVar[type[ReadOptions]] = ReadOptions

    def detect(self, tree: Tree) -> str | None:
        return tree.source

    def references(self, _tree: Tree, _options: ReadOptions, _log: FindingLog) -> References:
        return References({})

    def read(
        self, _tree: Tree, _files: Sequence[str], _options: ReadOptions, log: FindingLog
    ) -> RawAnnotations:
        log.read(boxes=1)
        return without_boxes([])


@dataclass(frozen=True, kw_only=True)
class OddOptions(ReadOptions):
    """An option without a default."""

    needed: str


class WithOddOptions(Counting):
    """A reader with an option that has no default."""

    options = OddOptions


class Raising(Counting):
    """A reader that raises an exception that is not one of regionbatch."""

    def read(
        self, _tree: Tree, _files: Sequence[str], _options: ReadOptions, _log: FindingLog
    ) -> RawAnnotations:
        raise KeyError("a")


class Outside(Counting):
    """A reader that refers to a file outside the dataset."""

    def references(self, _tree: Tree, _options: ReadOptions, _log: FindingLog) -> References:
        return References({"../a.txt": ""})


class Foreign(Counting):
    """A reader that returns the image of a file that it was not asked to read."""

    def references(self, _tree: Tree, _options: ReadOptions, _log: FindingLog) -> References:
        return References({"a.txt": ""}, one_image_each=True)

    def read(
        self, _tree: Tree, _files: Sequence[str], _options: ReadOptions, log: FindingLog
    ) -> RawAnnotations:
        log.read(images=1)
        return without_boxes([log.file("b.txt")])


class Disordered(Counting):
    """A reader that returns the images of label files in another order than the files."""

    def references(self, _tree: Tree, _options: ReadOptions, _log: FindingLog) -> References:
        return References({"a.txt": "", "b.txt": ""}, one_image_each=True, declares_names=False)

    def read(
        self, _tree: Tree, files: Sequence[str], _options: ReadOptions, log: FindingLog
    ) -> RawAnnotations:
        log.read(images=len(files))
        return without_boxes(log.add_files(files)[::-1].tolist())


def without_boxes(files: list[int]) -> RawAnnotations:
    """Return an image for each of some files, by their codes, and no box."""
    nothing, sizes = np.empty(0, np.int32), np.zeros(len(files), np.int32)
    images = ImageReferences([""] * len(files), np.asarray(files, np.int32), sizes, sizes)
    return RawAnnotations(
        BoxMode.XYWH_REL,
        np.empty((0, 4)),
        nothing,
        nothing,
        images,
        [],
        nothing,
        np.empty(0, np.int64),
    )
