"""Which text files are YOLO label files."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from regionbatch.files.paths import IMAGE_WORDS, LABEL_WORDS, with_word_replaced
from regionbatch.files.text import UnreadableError, as_utf8
from regionbatch.files.tree import images_of
from regionbatch.readers.yolo.rows import NUMBER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from regionbatch.files.tree import Tree

_SELDOM_LABELS = frozenset(
    {"classes.txt", "requirements.txt", "license.txt", "train.txt", "val.txt", "valid.txt", "test.txt"}
)
_FEW = 20
"""Lists and notes are fewer in one folder; where there are more text files, they are label files."""
_COMMAS = bytes.maketrans(b",;\0", b"   ")
"""Rows of others have these between their numbers, and UTF-16 without a mark has NUL: label files, reported as such."""


def label_files(tree: Tree, lists: Collection[str]) -> Iterator[str]:
    """Yield the label files of a tree, folder by folder, without the lists of images or names that are known.

    Where text files are few and have no image next to them, there must be a number in a label file, or nothing at all.
    """
    for folder, listing in tree.folders():
        if "imagesets/" in f"{folder.lower()}/":
            continue
        names = sorted(listing.by_extension.get(".txt", ()))
        prefix = f"{folder}/" if folder else ""
        doubtful = set(names) if len(names) <= _FEW else _called_like_notes(names)
        stems = _image_stems(tree, folder) if doubtful else set()
        for name in names:
            file = prefix + name
            if file in lists or (name in doubtful and not _is_label(tree, file, stems)):
                continue
            yield file


def _called_like_notes(names: list[str]) -> set[str]:
    """Return the names of text files that are mostly lists and notes."""
    joined_names = "\n" + "\n".join(names).lower()
    if "\nreadme" not in joined_names and _SELDOM_LABELS.isdisjoint(joined_names.split("\n")):
        return set()
    return {name for name in names if name.lower() in _SELDOM_LABELS or name.lower().startswith("readme")}


def _is_label(tree: Tree, file: str, stems: Collection[str]) -> bool:
    name = file.rpartition("/")[2]
    return may_be_label(tree, file) and (name[:-4] in stems or _has_rows(tree, file))


def _image_stems(tree: Tree, folder: str) -> set[str]:
    """Return the names without extension of the images in a folder and next to it."""
    beside = (way for word in IMAGE_WORDS for way in with_word_replaced(folder, LABEL_WORDS, word))
    listings = (tree.folder(each) for each in (folder, *beside))
    return {name[: name.rfind(".")] for listing in listings if listing for name in images_of(listing)}


def may_be_label(tree: Tree, file: str) -> bool:
    """Return whether a text file may be a label file; one that is called as lists and notes are must have a row."""
    name = file.rpartition("/")[2].lower()
    if name in _SELDOM_LABELS or name.startswith("readme"):
        return any(map(_is_row, _lines(tree, file)))
    return name.endswith(".txt")


def begins_with_row(tree: Tree, file: str) -> bool:
    """Return whether the first line of a file that says something is a class and four numbers, or begins so."""
    return _is_row(first_row(tree, file))


def first_row(tree: Tree, file: str) -> list[bytes]:
    """Return the words of the first line of a text file that is neither blank nor a comment."""
    return next(_lines(tree, file), [])


def _is_row(words: list[bytes]) -> bool:
    return len(words) > 4 and all(map(NUMBER.fullmatch, words[1:5]))


def _lines(tree: Tree, file: str) -> Iterator[list[bytes]]:
    """Yield the words of each line at the beginning of a text file that is neither blank nor a comment."""
    with suppress(UnreadableError):
        lines = as_utf8(tree.beginning(file))[0].splitlines()
        yield from (words for line in lines if (words := line.split()) and not words[0].startswith(b"#"))


def _has_rows(tree: Tree, label: str) -> bool:
    """Return whether there is a number in a file, or nothing at all."""
    try:
        words = as_utf8(tree.read(label))[0].translate(_COMMAS).split()
    except UnreadableError:  # reported when it is read
        return True
    return not words or any(map(NUMBER.fullmatch, words))
