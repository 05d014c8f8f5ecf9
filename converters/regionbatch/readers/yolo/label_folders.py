"""Where the label files of image folders are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.files.paths import IMAGE_WORDS, LABEL_WORDS, normalise_name
from regionbatch.readers.yolo.lookup import parent_folder

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from regionbatch.files.tree import Tree

_MAX_WORDS = 3
"""Maximum number of image words in a path, counted from its end, that a label word replaces."""


def possible_label_folders(folder: str) -> Iterator[str]:
    """Yield the paths where the label files of an image folder may be, besides that folder.

    >>> next(possible_label_folders("images/train"))
    'labels/train'
    """
    parts = folder.split("/")
    indexes = [index for index, part in enumerate(parts) if normalise_name(part) in IMAGE_WORDS]
    last_first = indexes[::-1][:_MAX_WORDS]
    for word in LABEL_WORDS:
        for index in last_first:
            yield "/".join([*parts[:index], word, *parts[index + 1 :]])


def find_label_folders(tree: Tree, image_folders: Mapping[str, str]) -> dict[str, str]:
    """Return the folders that may contain the label files of image folders, with their split.

    Args:
        tree: The files of the dataset.
        image_folders: The split of each image folder.
    """
    found: dict[str, str] = {}
    for folder, split in image_folders.items():
        for path in possible_label_folders(folder):
            label_folder = tree.find_folder(path)
            if label_folder is not None:
                found.setdefault(label_folder, split)
        found.setdefault(folder, split)
    return found


def enclosing_folder(folder: str, folders: Container[str]) -> str | None:
    """Return the deepest of `folders` that is `folder` or above it; None if there is none."""
    while folder not in folders:
        if not folder:
            return None
        folder = parent_folder(folder)
    return folder
