"""Find the images of a dataset that declares them by folders or lists (YOLO), and their splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.association import associate
from regionbatch.files.cloud_paths import path_within, real_path
from regionbatch.files.folders import images_of
from regionbatch.files.image_index import ImageIndex
from regionbatch.files.paths import (
    IMAGE_WORDS,
    LABEL_WORDS,
    image_stem,
    joined,
    normalise_name,
    path_parts,
    path_suffixes,
    with_parents,
    with_word_replaced,
)
from regionbatch.files.splits import split_of_folder
from regionbatch.image_reports import report_matches
from regionbatch.matches import MatchOutcome, ReferenceTable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import ListedImage, References
    from regionbatch.files.image_index import ImageFolder
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.matches import Matches

_NO_SPLIT = -1


class Scope:
    """The images that belong to a dataset, in an index of these and of external images."""

    def __init__(self, trees: Sequence[Tree], references: References, log: FindingLog) -> None:
        """List the images of folders and lists, and report listed images that do not exist."""
        self._references = references
        self._log = log
        trees, image_dirs = _without_overlap(trees)
        self.index = ImageIndex(trees, image_dirs)
        self.uncertain: set[str] = set()
        """Paths of listed images that may mean several files."""
        found = _Members()
        if references.scoped:
            self._add_folders(trees[0], found)
            self._add_listed(trees, found)
            self._index_members(trees[0], image_dirs, found)
        else:
            self.index.add_tree(0)
        for number in range(1, len(trees)):
            self.index.add_tree(number)
        of_image: list[str | None] = []
        for folder in self.index.folders:
            of_image += self._splits(folder, found)
        self.splits: list[str] = [*dict.fromkeys(filter(None, of_image))]
        """The names of the splits."""
        self.split = self._codes(of_image)
        """(n,), the code of each image's split; -1: none, or not a member."""
        self.member = np.asarray([split is not None for split in of_image], np.bool_)
        """(n,), whether each image belongs to the dataset."""

    def _add_folders(self, tree: Tree, found: _Members) -> None:
        for top, split in (self._references.image_folders or {}).items():
            for folder, listing in tree.folders(top):
                names = images_of(listing)
                found.add(folder, names, split_of_folder(f"{folder}/") if split is None else split)

    def _add_listed(self, trees: Sequence[Tree], found: _Members) -> None:
        """Add the images that lists name."""
        listed = self._references.listed
        if not listed:
            return
        index = ImageIndex(trees)
        for number in range(len(trees)):
            index.add_tree(number)
        files, names = [each.file for each in listed], [each.name for each in listed]
        table = ReferenceTable(files, names, by_label=False)
        matches = associate(index, table)
        paths = index.paths()
        rows = np.flatnonzero(matches.image >= 0)
        report_matches(
            index, table, matches, lambda row: paths[matches.image[row]], rows, self._log
        )
        labels = _LabelPlaces(self._references.files)
        for row, each in enumerate(listed):
            self._add_one_listed(each, row, matches, index, labels, found)

    def _add_one_listed(
        self,
        listed: ListedImage,
        row: int,
        matches: Matches,
        index: ImageIndex,
        labels: _LabelPlaces,
        found: _Members,
    ) -> None:
        images = matches.images_of(row)
        if images:
            path = index.path(images[0])
            if index.is_external(images[0]):
                found.external[path] = listed.split
            else:
                folder, _, name = path.rpartition("/")
                found.add(folder, [name], listed.split)
        elif matches.outcome[row] == MatchOutcome.AMBIGUOUS:
            self._log.note("ambiguous_image", listed.file, listed.name, listed.line)
            self.uncertain.add(found.add_absent("/".join(path_parts(listed.name)), listed.split))
        elif path := labels.image_with_label(listed):
            found.add_absent(path, listed.split)
        else:
            self._log.note("missing_label", listed.file, listed.name, listed.line)

    def _index_members(self, tree: Tree, image_dirs: Iterable[str], found: _Members) -> None:
        for folder, members in found.on_disk.items():
            self.index.add_folder(0, folder, members.names)
        for top in image_dirs:
            for folder, listing in tree.folders(top):
                others = images_of(listing)
                if folder not in found.on_disk and others:
                    self.index.add_folder(0, folder, others)
        for folder, names in found.absent.items():
            self.index.add_folder(0, folder, [*names], absent=True)

    def _splits(self, folder: ImageFolder, found: _Members) -> Iterable[str | None]:
        """Return the split of each image in a folder; empty: none; None: not a member."""
        if folder.traits.external:
            return [found.external.get(joined(folder.path, name)) for name in folder.names]
        if not self._references.scoped:
            return [None] * len(folder.names)
        members = found.on_disk.get(folder.path)
        if folder.path not in found.absent:
            return members.splits if members else [None] * len(folder.names)
        splits = dict(zip(members.names, members.splits, strict=True)) if members else {}
        return map({**splits, **found.absent[folder.path]}.get, folder.names)

    def _codes(self, of_image: Sequence[str | None]) -> NDArray[np.int32]:
        codes: dict[str | None, int] = {split: code for code, split in enumerate(self.splits)}
        codes |= dict.fromkeys(("", None), _NO_SPLIT)
        return np.fromiter(map(codes.__getitem__, of_image), np.int32, len(of_image))

    def wanted(self) -> NDArray[np.bool_]:
        """Return (n,), whether each image belongs to the dataset and to a requested split."""
        if self._references.splits is None:
            return self.member.copy()
        codes = [code for code, split in enumerate(self.splits) if split in self._references.splits]
        return self.member & np.isin(self.split, codes)

    def split_of(self, image: int) -> str:
        """Return the split of an image; empty if it has none."""
        return self.splits[self.split[image]] if self.split[image] >= 0 else ""


def _without_overlap(trees: Sequence[Tree]) -> tuple[list[Tree], list[str]]:
    """Separate external image folders from those inside the dataset; each counts once.

    Returns:
        The tree of the dataset and the external ones; and the paths of folders in the dataset.
    """
    roots = {real_path(tree.root): tree for tree in reversed(trees[1:])}
    home = None if trees[0].is_empty else real_path(trees[0].root)
    inside: list[str] = []
    external: list[Tree] = []
    for root, tree in reversed(roots.items()):
        if home is not None and (root == home or home in root.parents):
            inside.append(path_within(root, home))
        else:
            external.append(tree)
    return [trees[0], *external], inside


class _FolderMembers:
    """The images of a folder with their splits; the first split of an image counts."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.splits: list[str] = []
        self._known: set[str] = set()
        """The names, collected only if images are added again: most folders are added as a
        whole."""

    def add(self, names: Sequence[str], split: str) -> None:
        if self.names:
            self._known = self._known or {*self.names}
            names = [name for name in names if name not in self._known]
            self._known.update(names)
        self.names += names
        self.splits += [split] * len(names)


class _Members:
    """The images of a dataset with their splits, by folder; the first split of an image counts."""

    def __init__(self) -> None:
        self.on_disk: dict[str, _FolderMembers] = {}
        self.absent: dict[str, dict[str, str]] = {}
        self.external: dict[str, str] = {}
        """The splits of external images, by path."""

    def add(self, folder: str, names: Sequence[str], split: str) -> None:
        """Add the images of a folder on disk."""
        if not names:
            return
        self.on_disk.setdefault(folder, _FolderMembers()).add(names, split)

    def add_absent(self, path: str, split: str) -> str:
        """Add an image that is not on disk and return its path."""
        folder, _, name = path.rpartition("/")
        self.absent.setdefault(folder, {}).setdefault(name, split)
        return path


class _LabelPlaces:
    """Places of label files, for images that are not on disk."""

    def __init__(self, files: Iterable[str]) -> None:
        self._files = files
        self._known: set[tuple[str, str]] | None = None

    def image_with_label(self, listed: ListedImage) -> str:
        """Return the longest suffix of a listed path for which a label file exists; empty if none.

        The label file is in the same folder or in a parallel one.
        """
        if self._known is None:
            self._known = {place for file in self._files for place in _places(file, LABEL_WORDS)}
        for suffix in path_suffixes(listed.name):
            for base in dict.fromkeys((listed.file.rpartition("/")[0], "")):
                path = joined(base, suffix)
                if not self._known.isdisjoint(_places(path, IMAGE_WORDS)):
                    return path
        return ""


def _places(path: str, words: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield folder and stem of a path, also with a placeholder for each role word."""
    folder, _, base = path.rpartition("/")
    folder = normalise_name(folder)
    stem = normalise_name(base[: base.rfind(".")])
    yield folder, stem
    for with_any in with_word_replaced(folder, words, "\0"):
        yield with_any, stem


def blocked_labels(
    tree: Tree, images: Mapping[int, str], extension: str
) -> Mapping[int, tuple[str, str, str]]:
    """Return the images whose label file exists but cannot be opened.

    Args:
        tree: The files of the dataset.
        images: Paths of images.
        extension: The extension of label files in a folder that cannot be opened.

    Returns:
        By number of the image: the label file, the path that cannot be opened (it or a folder), and
        the reason.
    """
    reasons = tree.blocked()
    if not reasons:
        return {}
    by_stem = {_without_extension(path): path for path in reasons}
    found: dict[int, tuple[str, str, str]] = {}
    for image, path in images.items():
        for label in _labels_of(path):
            normalised = normalise_name(label)
            blocked = next((part for part in with_parents(normalised) if part in by_stem), None)
            if blocked is None:
                continue
            blocked_path = by_stem[blocked]
            is_file = blocked == normalised
            label_extension = blocked_path[len(blocked) :] if is_file else extension
            found[image] = label + label_extension, blocked_path, reasons[blocked_path]
            break
    return found


def _labels_of(image: str) -> Iterator[str]:
    """Yield the paths without extension that the label file of an image may have."""
    folder, _, name = image.rpartition("/")
    folders = [folder]
    for word in LABEL_WORDS:
        folders += with_word_replaced(folder, IMAGE_WORDS, word)
    for each in folders:
        yield joined(each, image_stem(name))
        yield joined(each, name)


def _without_extension(path: str) -> str:
    return path.rpartition(".")[0] if "." in path.rpartition("/")[2] else path
