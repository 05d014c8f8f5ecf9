"""The names and pictures of the images that COCO files list."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.dataset import Images
from regionbatch.pictures import size
from regionbatch.readers.files import SPLIT_NAME, PictureFinder, leaves, match_split, unshared

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from regionbatch.findings import Report
    from regionbatch.readers.files import Tree

_ODD_SIGNS = ("\\", "..", ":", "\n/", "\n./")
"""One of these is in names, on lines of their own, if a path among them is not plain: leads out, or has `\\`."""


class Source(NamedTuple):
    """One JSON file of a data set."""

    name: str
    split: str
    prefix: str
    """What makes the names of its images relative to the data set."""
    finder: PictureFinder | None


def finder(tree: Tree, name: str, split: str, splits: Collection[str], image_dir: Path | None) -> PictureFinder:
    """Looks beside the JSON, in its parent, and in the folders that exports put pictures in.

    A folder elsewhere that is called like another split has that one's pictures only.
    """
    folder = name.rpartition("/")[0]
    parent = folder.rpartition("/")[0]
    words = name.rpartition("/")[2].rpartition(".")[0].split("_")
    parts = dict.fromkeys(("", words[-1], split, *(word for word in words[:1] if SPLIT_NAME.fullmatch(word))))
    below = [*(f"{top}/{part}".strip("/") for part in parts for top in ("", "images")), "data"]
    if image_dir and (meant := match_split(image_dir.name.rstrip("-_0123456789"), splits)) and split not in meant:
        image_dir = None
    inside = [f"{base}/{sub}".strip("/") for base in (folder, parent) for sub in below]
    return PictureFinder(tree, [*inside, "", "images"], image_dir, [*dict.fromkeys(reversed(below))])


class Listing:
    """The images that the files of a data set list, as columns: those of a file stand one behind the other."""

    def __init__(self, report: Report) -> None:
        """Start empty."""
        self._report = report
        self._sources: list[tuple[Source, range]] = []
        """The files, and the rows of what each lists."""
        self.names: list[str] = []
        """With `/`; as in the file otherwise."""
        self._paths: list[str] = []
        """The same from the data set's folder on; as they are, where they leave the data set."""
        self._outside: list[int] = []
        """The rows where they do."""
        self.width: list[int] = []
        self.height: list[int] = []

    def __len__(self) -> int:
        """How many images."""
        return len(self.names)

    def add(self, source: Source, names: Sequence[str], width: Sequence[int], height: Sequence[int]) -> None:
        """Take what a file lists."""
        first = len(self)
        outside: list[int] = []
        lines = "\n" + "\n".join(names)
        if any(sign in lines for sign in _ODD_SIGNS):
            names = [name.replace("\\", "/").removeprefix("./") for name in names]
            outside = [row for row, name in enumerate(names) if leaves(name)]
        paths = [source.prefix + name for name in names] if source.prefix else [*names]
        for row in outside:
            paths[row] = names[row]
        self._outside += [first + row for row in outside]
        self._sources.append((source, range(first, first + len(names))))
        self.names += names
        self._paths += paths
        self.width += width
        self.height += height

    def images(self) -> Images:
        """The images under their names, with their pictures."""
        names, paths = self._named()
        self._report.add("outside_dataset", np.asarray(self._outside, np.int32), table=names)
        splits = list(dict.fromkeys(source.split for source, rows in self._sources if source.split and rows))
        codes = [splits.index(source.split) if source.split in splits else -1 for source, _ in self._sources]
        split = np.repeat(np.asarray(codes, np.int32), [len(rows) for _, rows in self._sources])
        width, height = np.asarray(self.width, np.int32), np.asarray(self.height, np.int32)
        return Images(names, width, height, paths, split, splits)

    def _named(self) -> tuple[list[str], list[str]]:
        """The name of each image and the path of its picture, which is empty where there is none.

        The name is the picture's path, or else the listed one. A picture that several names lead to is that of those
        whose whole path it ends with. What two splits list under one name and have no picture of are two images.
        """
        names, paths = [*self._paths], [""] * len(self)
        found: dict[int, tuple[str, str]] = {}
        for source, rows in self._sources:
            if (finder := source.finder) and finder.may_find(self.names[rows.start : rows.stop]):
                found |= {row: hit for row in rows if (hit := self._picture(row, finder))}
        for row, (name, path) in unshared(found, self.names).items():
            names[row], paths[row] = name, path
        shared = self._in_two_files()
        outside = {*self._outside}
        for source, rows in self._sources if shared else ():
            for row in rows if source.split else ():
                if self._paths[row] in shared and not paths[row] and row not in outside:
                    names[row] = f"{source.prefix}{source.split}/{self.names[row]}"
        return names, paths

    def _picture(self, row: int, finder: PictureFinder) -> tuple[str, str] | None:
        """The picture of an image; of several, the one that has the declared size, or else the first."""
        hits = finder.find_every(self.names[row])
        if len(hits) < 2:
            return hits[0] if hits else None
        chosen = next((hit for hit in hits if size(hit[1]) == (self.width[row], self.height[row])), hits[0])
        self._report.note("picture_chosen", chosen[0], ", ".join(name for name, _ in hits))
        return chosen

    def _in_two_files(self) -> set[str]:
        """The paths that more than one file lists."""
        seen: set[str] = set()
        shared: set[str] = set()
        for _, rows in self._sources if len(self._sources) > 1 else ():
            paths = {*self._paths[rows.start : rows.stop]}
            shared |= paths & seen
            seen |= paths
        return shared
