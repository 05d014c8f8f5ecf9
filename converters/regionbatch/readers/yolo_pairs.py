"""Which label file belongs to which picture of a YOLO data set: by their paths, and what is left by their names."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.dataset import Images
from regionbatch.readers.files import (
    PictureFinder,
    fold,
    joined,
    pictures_of,
    split_of_folder,
    unshared,
    ways_up,
    without_ending,
)
from regionbatch.readers.text import UnreadableError, as_utf8
from regionbatch.readers.yolo_rows import NUMBER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from regionbatch.findings import Report
    from regionbatch.readers.files import Folder, Tree

_PICTURE_FOLDERS = ("images", "jpegimages", "imgs", "img")
_SELDOM_LABELS = frozenset(
    {"classes.txt", "requirements.txt", "license.txt", "train.txt", "val.txt", "valid.txt", "test.txt"}
)
_FEW = 20
"""Lists and notes are fewer in one folder; where more text files have no picture, they are label files."""
_COMMAS = bytes.maketrans(b",;\0", b"   ")
"""Rows of others have these between their numbers, and UTF-16 without a mark has NUL: label files, and told as such."""


class Pairs:
    """Pictures and the label file of each."""

    def __init__(self, tree: Tree, report: Report) -> None:
        """Begin with none."""
        self._tree, self._report = tree, report
        self.pictures: dict[str, str] = {}
        """The split of each picture, by its path."""
        self.label: dict[str, str] = {}
        """The label file of each picture that has one."""
        self.blocked: dict[str, str] = {}
        """Why a label file cannot be opened, for those that are here and cannot."""
        self.told: set[str] = set()
        """What stands in the way of them: folded paths of links, pipes and closed folders."""
        self._absent: set[str] = set()
        """The pictures that are not on disk."""
        self._used: set[str] = set()
        self._unpaired: dict[str, str] = {}
        """The split of each label file without a picture."""
        self._places: dict[str, tuple[str, ...]] = {}

    def places(self, folder: str) -> tuple[str, ...]:
        """Where the label files of the pictures in a folder may lie; the first place wins."""
        if folder not in self._places:
            self._places[folder] = tuple(dict.fromkeys((label_folder(self._tree, folder), folder)))
        return self._places[folder]

    def label_of(self, picture: str) -> str | None:
        """Where the label file of a picture is, letter by letter; None: nowhere."""
        folder, _, name = picture.rpartition("/")
        labels = [joined(place, form) + ".txt" for place in self.places(folder) for form in _forms(name)]
        return next((label for label in labels if label in self._tree), None)

    def add_picture(self, picture: str, split: str) -> None:
        """Take a picture, once."""
        if picture not in self.pictures:
            self.pictures[picture] = split
            if label := self.label_of(picture):
                self._take(picture, label)
            if picture not in self._tree:
                self._absent.add(picture)

    def _take(self, picture: str, label: str) -> None:
        self.label[picture] = label
        self._used.add(label)

    def add_folder(self, top: str, split: str | None) -> None:
        """Take all pictures below a folder, and its label files that have none; without a split, by folder names."""
        for folder, listing in self._tree.folders(top):
            self._add_listed(folder, listing, split)
        for place in self.places(top):
            for folder, listing in self._tree.folders(place):
                labels = {joined(folder, name) for name in listing.by_ending.get(".txt", ())} - self._used
                for label in sorted(label for label in labels if may_be_label(self._tree, label)):
                    self._unpaired.setdefault(label, split_of_folder(label) if split is None else split)

    def _add_listed(self, folder: str, listing: Folder, split: str | None) -> None:
        """Take the pictures of one folder. The same as `add_picture` of each, in a few steps for all."""
        names = pictures_of(listing)
        prefix = joined(folder, "")
        pictures = [prefix + name for name in names]
        new = [picture for picture in pictures if picture not in self.pictures] if self.pictures else pictures
        self.pictures.update(dict.fromkeys(new, split_of_folder(prefix) if split is None else split))
        for place in reversed(self.places(folder)) if names else ():  # the last that is looked at wins
            there = self._tree.folder(place)
            if there and ".txt" in there.by_ending:
                self.label |= _labels_there(pictures, names, joined(place, ""), there)
        self._used.update(filter(None, map(self.label.get, pictures)))

    def not_labels(self, files: Iterable[str]) -> None:
        """Say of some text files that they are no label files."""
        self._used.update(files)

    def has_all(self, tree: Tree) -> bool:
        """Whether all text files of a tree are known to be label files: told by counting."""
        return len(self._used) == sum(len(listing.by_ending.get(".txt", ())) for _, listing in tree.folders())

    def unknown(self, labels: Iterable[str]) -> list[str]:
        """Those of some label files that belong to no split yet."""
        return [label for label in labels if label not in self._used and label not in self._unpaired]

    def finish(self) -> None:
        """Pair what is left, by paths whatever their case, then by names; what is still left are pictures not on disk.

        A name must be the only one of its kind.
        """
        lonely = [picture for picture in self.pictures if picture not in self.label]
        if lonely:
            self._pair_folded(lonely)
            self._find_blocked(lonely)
        self._unpaired = {label: split for label, split in self._unpaired.items() if label not in self._used}
        if self._unpaired:
            left = self.leave_second_labels(self._unpaired)
            self._unpaired = {label: self._unpaired[label] for label in left}
            self._pair_by_name()
            self._add_absent()
        if len(set(self.label.values())) < len(self.label):
            self._report_shared()

    def _pair_folded(self, lonely: list[str]) -> None:
        by_folder: dict[str, list[str]] = {}
        for picture in lonely:
            by_folder.setdefault(picture.rpartition("/")[0], []).append(picture)
        for folder, pictures in by_folder.items():
            for place in self.places(folder):
                if left := self._left_in(place):
                    self._pair_with(pictures, left)

    def _left_in(self, place: str) -> dict[str, list[str]]:
        """The label files of a folder without a picture, by the folded names of their pictures."""
        left: dict[str, list[str]] = {}
        folder = self._tree.find_folder(place)
        listing = None if folder is None else self._tree.folder(folder)
        if folder is not None and listing is not None:
            for name in sorted(listing.by_ending.get(".txt", ())):
                label = joined(folder, name)
                if label not in self._used and may_be_label(self._tree, label):
                    left.setdefault(fold(name[:-4]), []).append(label)
        return left

    def _pair_with(self, pictures: list[str], left: dict[str, list[str]]) -> None:
        """Pair pictures of one folder without regard to case, where there is one name and one label file."""
        names = {picture: _forms(picture.rpartition("/")[2]) for picture in pictures if picture not in self.label}
        often = Counter(map(fold, {stem for stem, _ in names.values()}))
        for picture, forms in names.items():
            found = next((left[key] for key in map(fold, forms) if len(left.get(key, ())) == 1), None)
            if found and often[fold(forms[0])] == 1:
                self._take(picture, found[0])

    def _find_blocked(self, lonely: list[str]) -> None:
        """Find the pictures whose label file is here, but is a pipe or leads out, or lies in such a folder."""
        why = self._tree.blocked()
        for picture in lonely if why else ():
            folder, _, name = picture.rpartition("/")
            labels = [joined(place, form) + ".txt" for place in self.places(folder) for form in _forms(name)]
            ways = ((label, way) for label in labels for way in ways_up(fold(label)) if way in why)
            label, way = next(ways, ("", ""))
            if label and picture not in self.label:
                self.label[picture], self.blocked[label] = label, why[way]
                self.told.add(way)

    def leave_second_labels(self, labels: Iterable[str]) -> list[str]:
        """Tell the label files of pictures that have another one; the others."""
        labels = list(labels)
        claimed = {
            joined(place, form): label
            for picture, label in (self.label.items() if labels else ())
            for place in self.places(picture.rpartition("/")[0])
            for form in _forms(picture.rpartition("/")[2])
        }
        for label in labels:
            if label[:-4] in claimed:
                self._report.note("second_label", label, claimed[label[:-4]])
                self._used.add(label)
        return [label for label in labels if label not in self._used]

    def _pair_by_name(self) -> None:
        lonely = [picture for picture in self.pictures if picture not in self.label]
        if not lonely:
            return
        pictures, labels = _by_stem(self.pictures), _by_stem(chain(self._used, self._unpaired))
        for picture in lonely:
            stem = _forms(picture.rpartition("/")[2])[0]
            [label, *others] = labels.get(stem, [""])
            if label in self._unpaired and not others and len(pictures[stem]) == 1:
                self._report.note("paired_by_name", picture, label)
                self._take(picture, label)
                del self._unpaired[label]

    def _add_absent(self) -> None:
        homes: dict[str, str] = {}
        for label in labels_among(self._tree, self._unpaired):
            folder, _, name = label.rpartition("/")
            if folder not in homes:
                homes[folder] = picture_folder(self._tree, folder)
            picture = joined(homes[folder], name[:-4])
            if picture in self.pictures:
                self._report.note("second_label", label, self.label.get(picture, picture))
                continue
            self.pictures[picture] = self._unpaired[label]
            self._take(picture, label)
            self._absent.add(picture)

    def _report_shared(self) -> None:
        by_label: dict[str, str] = {}
        for picture, label in self.label.items():
            if by_label.setdefault(label, picture) != picture:
                self._report.note("shared_label", label, f"{by_label[label]} and {picture}")

    def strangers(self) -> tuple[str, str]:
        """A picture and a label file, if there are many of both and no two belong together; else two empty texts."""
        here = len(self.pictures) - len(self._absent)
        if not here or 2 * here < len(self.label) or not self._absent.issuperset(self.label):
            return "", ""
        picture = next(picture for picture in self.pictures if picture not in self._absent)
        return picture, next(iter(self.label.values()), "")

    def drop(self, labels: Collection[str]) -> NDArray[np.int32]:
        """Leave out the pictures of some label files; the new code of each picture before, (m,)."""
        if not labels:
            return np.arange(len(self.pictures), dtype=np.int32)
        gone = {picture for picture, label in self.label.items() if label in labels}
        stays = np.fromiter((picture not in gone for picture in self.pictures), np.bool_, len(self.pictures))
        self.pictures = {picture: split for picture, split in self.pictures.items() if picture not in gone}
        return (np.cumsum(stays) - 1).astype(np.int32)

    def keep_splits(self, splits: Collection[str]) -> None:
        """Leave out all pictures of other splits."""
        self.pictures = {picture: split for picture, split in self.pictures.items() if split in splits}
        self.label = {picture: label for picture, label in self.label.items() if picture in self.pictures}
        self._absent.intersection_update(self.pictures)

    def images(self, image_dir: Path | None) -> Images:
        """The pictures as a table; those that are not on disk are looked for in `image_dir`."""
        names = list(self.pictures)
        paths = ["" if name in self._absent else self._tree.on_disk(name) for name in names]
        if image_dir and self._absent:
            rows = [row for row, path in enumerate(paths) if not path]
            finder = PictureFinder(self._tree, [], image_dir)
            found = {row: hit for row in rows if (hit := finder.find_any(names[row]))[1]}
            for row, (name, path) in unshared(found, names, without_ending).items():
                if name == names[row] or name not in self.pictures:
                    names[row], paths[row] = name, path
        splits = list(dict.fromkeys(split for split in self.pictures.values() if split))
        codes = {split: code for code, split in enumerate(splits)}
        nothing = np.zeros(len(names), np.int32)
        split = np.fromiter((codes.get(split, -1) for split in self.pictures.values()), np.int32, len(names))
        return Images(names, nothing, nothing, paths, split, splits)


def may_be_label(tree: Tree, file: str) -> bool:
    """Whether a text file may be a label file; one that is called as lists and notes are must have a row."""
    name = file.rpartition("/")[2].lower()
    if name in _SELDOM_LABELS or name.startswith("readme"):
        return any(map(_is_row, _lines(tree, file)))
    return name.endswith(".txt") and "imagesets/" not in file.lower()


def begins_with_row(tree: Tree, file: str) -> bool:
    """Whether the first line of a file that says something is a class and four numbers, or begins so."""
    return _is_row(first_row(tree, file))


def first_row(tree: Tree, file: str) -> list[bytes]:
    """The words of the first line of a text file that is neither blank nor a comment."""
    return next(_lines(tree, file), [])


def _is_row(words: list[bytes]) -> bool:
    return len(words) > 4 and all(map(NUMBER.fullmatch, words[1:5]))


def _lines(tree: Tree, file: str) -> Iterator[list[bytes]]:
    """The words of each line at the beginning of a text file that is neither blank nor a comment."""
    with suppress(UnreadableError):
        lines = as_utf8(tree.beginning(file))[0].splitlines()
        yield from (words for line in lines if (words := line.split()) and not words[0].startswith(b"#"))


def labels_among(tree: Tree, files: Iterable[str]) -> list[str]:
    """Those of some text files without a picture that are label files: lists of pictures and notes hold no number."""
    files = list(files)
    often = Counter(file.rpartition("/")[0] for file in files)
    return [file for file in files if often[file.rpartition("/")[0]] > _FEW or _has_rows(tree, file)]


def _has_rows(tree: Tree, label: str) -> bool:
    """Whether there is a number in a file, or nothing at all."""
    try:
        words = as_utf8(tree.read(label))[0].translate(_COMMAS).split()
    except UnreadableError:  # told when it is read
        return True
    return not words or any(map(NUMBER.fullmatch, words))


def label_folder(tree: Tree, folder: str) -> str:
    """The folder of the labels of a folder of pictures: the last `images` in it becomes the `labels` beside it."""
    return _swapped(tree, folder, _PICTURE_FOLDERS, ("labels",))


def picture_folder(tree: Tree, folder: str) -> str:
    """The folder of the pictures of a folder of labels."""
    return _swapped(tree, folder, ("labels",), _PICTURE_FOLDERS)


def _swapped(tree: Tree, folder: str, old: Collection[str], new: Collection[str]) -> str:
    """A folder with the last part that is called as one of `old` called as one of `new`, in any case, that is here.

    None is here: the first of `new`.
    """
    parts = folder.split("/")
    places = [at for at in range(len(parts) - 1, -1, -1) if parts[at].lower() in old]
    for at in places:
        for name in new:
            if found := tree.find_folder("/".join([*parts[:at], name])):
                return "/".join([found, *parts[at + 1 :]])
    return "/".join([*parts[: places[0]], next(iter(new)), *parts[places[0] + 1 :]]) if places else folder


def _forms(name: str) -> tuple[str, str]:
    """What the label file of a picture may be called, without `.txt`: mostly `a` for `a.jpg`, sometimes `a.jpg`."""
    return name[: name.rfind(".")], name


def _labels_there(pictures: list[str], names: list[str], top: str, there: Folder) -> dict[str, str]:
    """The label files that lie in a folder, by their pictures."""
    files = there.files
    found = {
        picture: top + label
        for picture, name in zip(pictures, names, strict=True)
        if (label := name[: name.rfind(".")] + ".txt") in files
    }
    if len(found) < len(pictures):
        for picture, name in zip(pictures, names, strict=True):
            if picture not in found and f"{name}.txt" in files:
                found[picture] = f"{top}{name}.txt"
    return found


def _by_stem(paths: Iterable[str]) -> dict[str, list[str]]:
    stems: dict[str, list[str]] = {}
    for path in paths:
        stems.setdefault(path.rpartition("/")[2].rpartition(".")[0], []).append(path)
    return stems
