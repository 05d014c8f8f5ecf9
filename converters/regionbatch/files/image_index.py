"""The image files of a dataset and of external image folders, numbered folder by folder.

There are few folders, so they are looked up first, and whole folders are matched as sets of names.
`image_lookup` then finds the remaining images one by one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice, repeat
from operator import length_hint, lt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.files.folders import images_of
from regionbatch.files.paths import (
    IMAGE_WORDS,
    MASK_FOLDERS,
    SplitWords,
    common_extension,
    folder_key,
    is_label_folder,
    joined,
    normalise_name,
    normalise_names,
    stems_as_text,
    with_word_replaced,
    without_extensions,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.tree import Tree

    Size = tuple[int, int]

ANY_WORD = "\0"
"""Replaces a role word in the path of a folder; no file name contains this character."""


class FolderTraits(NamedTuple):
    """Properties that decide whether the images of a folder may belong to a reference."""

    splits: SplitWords
    """The splits in its path, or in the path of the external image folder that contains it."""
    root_splits: SplitWords
    """The splits in the name of the external image folder."""
    external: bool
    """Whether it is in an image folder outside the dataset."""
    in_image_dir: bool
    """Whether it is an `image_dir` or inside one, so that its images take precedence."""
    of_labels: bool
    """Whether the last role word in its path is one for labels, not one for images."""


class ImageFolder(NamedTuple):
    """A folder with images."""

    tree: int
    """0 for the dataset; from 1 for an external image folder."""
    path: str
    key: tuple[str, ...]
    """See `folder_key`."""
    traits: FolderTraits
    first: int
    """The number of its first image; the others follow."""
    names: list[str]


class ImageIndex:
    """Numbered images, folder by folder."""

    def __init__(self, trees: Sequence[Tree], image_dirs: Sequence[str] = ()) -> None:
        """Start without images; they are added by `add_tree` and `add_folder`.

        Args:
            trees: The tree of the dataset, then those of external image folders.
            image_dirs: Folders of the dataset that `image_dir` names.
        """
        self._trees = trees
        self._image_dirs = [normalise_name(f"{path}/") if path else "" for path in image_dirs]
        external_splits = [folder_key(tree.root.name).splits for tree in trees[1:]]
        self._root_splits = [SplitWords(), *external_splits]
        self.folders: list[ImageFolder] = []
        self.folder_of: list[int] = []
        """The number of each image's folder."""
        self.names: list[str] = []
        """The base name of each image."""
        self._absent: set[int] = set()
        self._paths: list[str] = []
        self._sizes: dict[int, Size] = {}
        self._by_key: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._by_path: dict[str, list[int]] = defaultdict(list)
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._stems: dict[int, dict[str, int]] = {}

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def add_tree(self, tree: int) -> None:
        """Add all images of a tree, except those in folders of masks."""
        for path, listing in self._trees[tree].folders():
            if names := images_of(listing):
                self.add_folder(tree, path, names)

    def add_folder(self, tree: int, path: str, names: list[str], *, absent: bool = False) -> None:
        """Add the images of one folder, each once.

        Args:
            tree: The number of the tree.
            path: The folder, relative to the tree.
            names: The base names of the images.
            absent: Whether the images are not on disk.
        """
        normalised = normalise_name(path)
        if not MASK_FOLDERS.isdisjoint(normalised.split("/")):
            return
        number = len(self.folders)
        key = folder_key(path)
        traits = FolderTraits(
            splits=key.splits.joined(self._root_splits[tree]),
            root_splits=self._root_splits[tree],
            external=tree > 0,
            in_image_dir=tree > 0 or f"{normalised}/".startswith(tuple(self._image_dirs)),
            of_labels=is_label_folder(path),
        )
        self.folders.append(ImageFolder(tree, path, key.parts, traits, len(self), names))
        if absent:
            self._absent.update(range(len(self), len(self) + len(names)))
        self.names += names
        self.folder_of += [number] * len(names)
        self._by_key[key.parts].append(number)
        self._by_path[normalised].append(number)
        for path_with_any in with_word_replaced(normalised, IMAGE_WORDS, ANY_WORD):
            self._by_word[path_with_any].append(number)

    def folder(self, image: int) -> ImageFolder:
        """Return the folder of an image."""
        return self.folders[self.folder_of[image]]

    def path(self, image: int) -> str:
        """Return the path of an image, relative to its tree."""
        return joined(self.folder(image).path, self.names[image])

    def paths(self) -> list[str]:
        """Return the paths of all images, relative to their trees.

        If an external image has the same path as another image, the name of its image folder is
        put in front.
        """
        if len(self._paths) < len(self):
            self._paths = []
            for folder in self.folders:
                top = f"{folder.path}/" if folder.path else ""
                self._paths += [top + name for name in folder.names]
            if len(self._trees) > 1:
                self._separate_equal_paths()
        return self._paths

    def _separate_equal_paths(self) -> None:
        counts = Counter(self._paths)
        if len(counts) == len(self._paths):
            return
        for image, path in enumerate(self._paths):
            tree = self.folder(image).tree
            if tree and counts[path] > 1:
                self._paths[image] = joined(self._trees[tree].root.name, path)

    def all_on_disk(self) -> list[str]:
        """Return the paths to open of all images; empty strings for absent images."""
        found: list[str] = []
        for folder in self.folders:
            top = self._trees[folder.tree].on_disk(f"{folder.path}/" if folder.path else "")
            found += [top + name for name in folder.names]
        for image in self._absent:
            found[image] = ""
        return found

    def on_disk(self, image: int) -> str:
        """Return the path to open; empty if the image is absent."""
        if image in self._absent:
            return ""
        return self._trees[self.folder(image).tree].on_disk(self.path(image))

    def is_external(self, image: int) -> bool:
        """Return whether an image is in an image folder outside the dataset."""
        return self.folder(image).traits.external

    def is_in_image_dir(self, image: int) -> bool:
        """Return whether an image is in an `image_dir`."""
        return self.folder(image).traits.in_image_dir

    def size(self, image: int) -> Size:
        """Return stored width and height in pixels, read once; (0, 0) if unreadable."""
        if image not in self._sizes:
            path = self.on_disk(image)
            storage = self._trees[self.folder(image).tree].storage
            self._sizes[image] = next(storage.image_sizes([path])) if path else (0, 0)
        return self._sizes[image]

    def fits(self, image: int, size: Size) -> bool:
        """Return whether an image's size is the given one, possibly transposed, or is unknown."""
        return self.size(image) in (size, size[::-1], (0, 0))

    def in_one_folder(self, images: Iterable[int]) -> bool:
        """Return whether all images are in one folder."""
        return len({self.folder_of[image] for image in images}) == 1

    def named(self, name: str, images: Iterable[int]) -> list[int]:
        """Return those of the given images that have a base name; case is ignored."""
        name = normalise_name(name)
        return [image for image in images if normalise_name(self.names[image]) == name]

    def folders_with_key(self, key: tuple[str, ...], splits: SplitWords) -> list[int]:
        """Return the folders with a key and splits; if any have equal numbers, only those."""
        same: list[int] = []
        same_numbers: list[int] = []
        for number in self._by_key.get(key, ()):
            traits = self.folders[number].traits
            if traits.of_labels or not traits.splits.same(splits):
                continue
            same.append(number)
            if traits.splits.numbers == splits.numbers:
                same_numbers.append(number)
        return same_numbers or same

    def folders_at(self, path: str) -> list[int]:
        """Return the folders with a path in any tree; case is ignored."""
        return self._by_path.get(normalise_name(path), [])

    def dataset_folders_at(self, path: str) -> list[int]:
        """Return the folders with a path in the dataset; case is ignored."""
        return [number for number in self.folders_at(path) if self.folders[number].tree == 0]

    def parallel_folders(self, label_folder: str, label_words: Collection[str]) -> list[int]:
        """Return the folders whose path has an image word where a label folder has a label word."""
        paths = with_word_replaced(normalise_name(label_folder), label_words, ANY_WORD)
        return [folder for path in paths for folder in self._by_word.get(path, ())]

    def repeated_stems(self) -> set[str]:
        """Return the normalised names without extension that several images have."""
        names = normalise_names(self.names)
        counts = Counter(name[: name.rfind(".")] for name in names)
        if len(counts) == len(names):
            return set()
        return {stem for stem, count in counts.items() if count > 1}

    def with_stems_of(self, folder: int, labels: Sequence[str]) -> NDArray[np.int32]:
        """Return the image of a folder with the name of each label file; -1: none, or several.

        Args:
            folder: The number of the folder.
            labels: Names of label files. Extensions do not matter.
        """
        first, names = self.folders[folder].first, self.folders[folder].names
        if common_extension(names) and stems_as_text(names) == stems_as_text(labels):
            return np.arange(first, first + len(names), dtype=np.int32)  # each once, as usual
        own, stems = without_extensions(names), without_extensions(labels)
        found = _in_order(stems, own)
        if found is not None:
            return found + np.int32(first)
        if folder not in self._stems:
            self._stems[folder] = dict(zip(own, range(first, first + len(own)), strict=True))
            if len(self._stems[folder]) < len(own):
                for stem, count in Counter(own).items():
                    if count > 1:
                        del self._stems[folder][stem]
        images = map(self._stems[folder].get, stems, repeat(-1))
        return np.fromiter(images, np.int32, len(stems))

    def images_by_name(self, folder: int) -> Mapping[str, int]:
        """Return the images of a folder by name."""
        names, first = self.folders[folder].names, self.folders[folder].first
        return dict(zip(names, range(first, first + len(names)), strict=True))


def _in_order(names: Sequence[str], others: Sequence[str]) -> NDArray[np.int32] | None:
    """Return the positions of names among others; None if either is not in ascending order.

    This takes a quarter of the time of a dict. Most label files and images are sorted alike.
    """
    if not all(map(lt, others, islice(others, 1, None))):
        return None
    rest = iter(others)
    found = [len(others) - length_hint(rest) - 1 for name in names if name in rest]
    return np.asarray(found, np.int32) if len(found) == len(names) else None
