"""Which images belong to a dataset whose folders or lists say so (YOLO), and the split of each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.association import associate
from regionbatch.files.image_index import ImageIndex
from regionbatch.files.paths import (
    IMAGE_WORDS,
    LABEL_WORDS,
    fold,
    image_stem,
    joined,
    path_parts,
    path_suffixes,
    with_parents,
    with_word_replaced,
)
from regionbatch.files.splits import split_of_folder
from regionbatch.files.tree import images_of
from regionbatch.image_reports import report_matches
from regionbatch.matches import Outcome, ReferenceTable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import ListedImage, References
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

_NO_SPLIT = -1


class Scope:
    """The images that belong to a dataset, in an index that has only these and those of image folders elsewhere."""

    def __init__(self, trees: Sequence[Tree], references: References, log: FindingLog) -> None:
        """List the images of folders and lists; entries that are nowhere are reported."""
        self._references, self._log = references, log
        trees, named = _without_overlap(trees)
        self.index = ImageIndex(trees, named)
        self.uncertain: set[str] = set()
        """Paths of listed images that may be several."""
        found = _Found()
        if references.scoped:
            self._add_folders(trees[0], found)
            self._add_listed(trees, found)
        else:
            self.index.add_tree(0)
        for folder, names in found.present.items():
            self.index.add_folder(0, folder, [*names])
        for top in named if references.scoped else ():
            for folder, listing in trees[0].folders(top):
                if folder not in found.present and (names_here := images_of(listing)):
                    self.index.add_folder(0, folder, names_here)
        for folder, names in found.absent.items():
            self.index.add_folder(0, folder, [*names], absent=True)
        for number in range(1, len(trees)):
            self.index.add_tree(number)
        self.splits, self.split = self._splits(found)

    def _add_folders(self, tree: Tree, found: _Found) -> None:
        for top, split in (self._references.image_folders or {}).items():
            for folder, listing in tree.folders(top):
                names = images_of(listing)
                found.add(folder, names, split_of_folder(f"{folder}/") if split is None else split)

    def _add_listed(self, trees: Sequence[Tree], found: _Found) -> None:
        listed = self._references.listed
        if not listed:
            return
        index = ImageIndex(trees)
        for number in range(len(trees)):
            index.add_tree(number)
        table = ReferenceTable([each.file for each in listed], [each.name for each in listed], by_label=False)
        matches = associate(index, table)
        paths, rows = index.paths(), np.flatnonzero(matches.image >= 0)
        report_matches(index, table, matches, lambda row: paths[matches.image[row]], rows, self._log)
        labels = _LabelPlaces(self._references.files)
        for row, each in enumerate(listed):
            images = matches.images_of(row)
            if images and not index.is_elsewhere(images[0]):
                folder, _, name = index.path(images[0]).rpartition("/")
                found.add(folder, [name], each.split)
            elif images:
                found.elsewhere[index.path(images[0])] = each.split
            elif matches.outcome[row] == Outcome.AMBIGUOUS:
                self._log.note("ambiguous_image", each.file, each.name, each.line)
                folder, _, name = "/".join(path_parts(each.name)).rpartition("/")
                found.absent.setdefault(folder, {}).setdefault(name, each.split)
                self.uncertain.add(joined(folder, name))
            elif path := labels.image_with_label(each):
                folder, _, name = path.rpartition("/")
                found.absent.setdefault(folder, {}).setdefault(name, each.split)
            else:
                self._log.note("missing_label", each.file, each.name, each.line)

    def _splits(self, found: _Found) -> tuple[list[str], NDArray[np.int32]]:
        """Return the names of the splits and the code of each image; -1: none, or not of the dataset."""
        of_image: list[str | None] = []
        for folder in self.index.folders:
            if folder.kin.elsewhere:
                of_image += (found.elsewhere.get(joined(folder.path, name)) for name in folder.names)
            elif self._references.scoped:
                here = found.present.get(folder.path, {}) | found.absent.get(folder.path, {})
                of_image += (here.get(name) for name in folder.names)
            else:
                of_image += [None] * len(folder.names)
        splits = [*dict.fromkeys(split for split in of_image if split)]
        codes: dict[str | None, int] = {"": _NO_SPLIT}
        codes |= {split: code for code, split in enumerate(splits)}
        self.member = np.fromiter((split is not None for split in of_image), np.bool_, len(of_image))
        return splits, np.fromiter((codes.get(split, _NO_SPLIT) for split in of_image), np.int32, len(of_image))

    def wanted(self) -> NDArray[np.bool_]:
        """Return which images of the index belong to the dataset and to the splits that were asked for."""
        if self._references.splits is None:
            return self.member.copy()
        codes = [code for code, split in enumerate(self.splits) if split in self._references.splits]
        return self.member & np.isin(self.split, codes)

    def split_of(self, image: int) -> str:
        """Return the split of an image; empty: none."""
        return self.splits[self.split[image]] if self.split[image] >= 0 else ""


def _without_overlap(trees: Sequence[Tree]) -> tuple[list[Tree], list[str]]:
    """Return the trees without those inside the first one, or named twice; and the paths of those inside it."""
    roots = {os.path.realpath(tree.root): tree for tree in reversed(trees[1:])}
    home = os.path.realpath(trees[0].root) if not trees[0].is_empty else ""
    named: list[str] = []
    others: list[Tree] = []
    for root, tree in reversed(roots.items()):
        if home and (root == home or root.startswith(home.rstrip(os.sep) + os.sep)):
            named.append(root[len(home) :].replace(os.sep, "/").strip("/"))
        else:
            others.append(tree)
    return [trees[0], *others], named


class _Found:
    """Images by their folders, with the split of each; what is found first counts."""

    def __init__(self) -> None:
        self.present: dict[str, dict[str, str]] = {}
        self.absent: dict[str, dict[str, str]] = {}
        self.elsewhere: dict[str, str] = {}

    def add(self, folder: str, names: Sequence[str], split: str) -> None:
        here = self.present.setdefault(folder, {}) if names else {}
        for name in names:
            here.setdefault(name, split)


class _LabelPlaces:
    """Where label files are, for images that are not on disk."""

    def __init__(self, files: Iterable[str]) -> None:
        self._files = files
        self._known: set[tuple[str, str]] | None = None

    def image_with_label(self, listed: ListedImage) -> str:
        """Return the longest end of a listed path that a label file is next to, in the usual folders; or nothing."""
        if self._known is None:
            self._known = {place for file in self._files for place in _places(file, LABEL_WORDS)}
        for end in path_suffixes(listed.name):
            for base in dict.fromkeys((listed.file.rpartition("/")[0], "")):
                path = joined(base, end)
                if not self._known.isdisjoint(_places(path, IMAGE_WORDS)):
                    return path
        return ""


def _places(path: str, words: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the folder of a path, also with any role word in place of its own, and its stem."""
    folder, _, base = path.rpartition("/")
    folded, stem = fold(folder), fold(base[: base.rfind(".")])
    yield folded, stem
    for way in with_word_replaced(folded, words, "\0"):
        yield way, stem


def blocked_labels(tree: Tree, images: Mapping[int, str], extension: str) -> Mapping[int, tuple[str, str, str]]:
    """Return the images whose label file is here and cannot be opened: the file, what stands in its way, and why.

    Args:
        tree: The files of the dataset.
        images: Paths of images.
        extension: That of label files, for those in a folder that cannot be opened.
    """
    why = tree.blocked()
    stems = {path.rpartition(".")[0] if "." in path.rpartition("/")[2] else path: path for path in why}
    found: dict[int, tuple[str, str, str]] = {}
    for image, path in images.items() if why else ():
        folder, _, name = path.rpartition("/")
        folders = [folder, *(way for word in LABEL_WORDS for way in with_word_replaced(folder, IMAGE_WORDS, word))]
        for label in (joined(each, form) for each in folders for form in (image_stem(name), name)):
            way = next((way for way in with_parents(fold(label)) if way in stems), None)
            if way is not None:
                own = stems[way][len(way) :] if way == fold(label) else extension
                found[image] = label + own, stems[way], why[stems[way]]
                break
    return found
