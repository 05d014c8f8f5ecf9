"""Which text files are YOLO label files."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Literal

from regionbatch.files.paths import IMAGE_EXTENSIONS, IMAGE_WORDS, LABEL_WORDS, fold, image_stem, with_word_replaced
from regionbatch.files.text import UnreadableError, sniffed
from regionbatch.files.tree import images_of
from regionbatch.readers.yolo.tables import LARGEST_FILE, LONGEST_ROW, NUMBER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

_SELDOM_LABELS = frozenset(
    {"classes.txt", "requirements.txt", "license.txt", "train.txt", "val.txt", "valid.txt", "test.txt"}
)
_FEW = 20
"""Lists, logs and notes are fewer in one folder; where more text files have no image, they are label files."""
_SHOWN = 400
"""Bytes of a line that are kept, more than a message shows."""
_COMMAS = bytes.maketrans(b",;\0", b"   ")
"""Rows of others have these between their numbers, and UTF-16 without a mark has NUL: label files, reported as such."""


def label_files(tree: Tree, lists: Collection[str], log: FindingLog) -> Iterator[str]:
    """Yield the label files of a tree, folder by folder, without the lists of images or names that are known.

    A text file with an image of its name is a label file. Where the others are few, there must be rows in them, or
    nothing at all. Those with numbers and without rows are logs, and reported.
    """

    @cache
    def all_images() -> set[str]:
        names = {fold(name) for _, listing in tree.folders() for name in images_of(listing)}
        return names | {image_stem(name) for name in names}

    for folder, listing in tree.folders():
        if "imagesets/" in f"{folder.lower()}/":
            continue
        names = sorted(listing.by_extension.get(".txt", ()))
        prefix = f"{folder}/" if folder else ""
        stems = _image_stems(tree, folder) if names else set()
        alone = {name for name in names if name[:-4] not in stems}
        doubtful = _called_like_notes(names) | (alone if len(alone) <= _FEW else set())
        for name in names:
            file = prefix + name
            if file in lists or (name in doubtful and not may_be_label(tree, file)):
                continue
            if name not in doubtful or name[:-4] in stems:
                yield file
                continue
            content, line = _content(tree, file)
            if content == "rows" or (content == "numbers" and fold(name[:-4]) in all_images()):
                yield file
            elif content == "numbers":
                log.note("ignored_file", file, line)


def _called_like_notes(names: list[str]) -> set[str]:
    """Return the names of text files that are mostly lists and notes."""
    joined_names = "\n" + "\n".join(names).lower()
    if "\nreadme" not in joined_names and _SELDOM_LABELS.isdisjoint(joined_names.split("\n")):
        return set()
    return {name for name in names if name.lower() in _SELDOM_LABELS or name.lower().startswith("readme")}


def _image_stems(tree: Tree, folder: str) -> set[str]:
    """Return the names without extension of the images in a folder and next to it."""
    beside = (way for word in IMAGE_WORDS for way in with_word_replaced(folder, LABEL_WORDS, word))
    listings = (tree.folder(each) for each in (folder, *beside))
    by_extension = [listing.by_extension for listing in listings if listing]
    return {
        name[: -len(extension)]
        for found in by_extension
        for extension in IMAGE_EXTENSIONS & found.keys()
        for name in found[extension]
    }


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
        lines = sniffed(tree.beginning(file)).splitlines()
        yield from (words for line in lines if (words := line.split()) and not words[0].startswith(b"#"))


def _content(tree: Tree, file: str) -> tuple[Literal["rows", "numbers", "words"], str]:
    """Return what a text file is made of, and its first line. One with nothing in it has rows: none."""
    try:
        text = _text(tree, file)
    except UnreadableError:  # reported when it is read
        return "rows", ""
    kinds: Counter[str] = Counter()
    for line in _filled_lines(text):
        kind = _kind_of_line(line)
        if kind == "row":
            return "rows", ""
        kinds[kind] += 1
    if not kinds:
        return "rows", ""
    first = next(_filled_lines(text))[:_SHOWN].decode("utf-8", "replace").strip()
    if not kinds["numbers"] + kinds["like a row"]:
        return "words", first
    return "rows" if b"\0" in text or kinds["like a row"] * 2 >= kinds.total() else "numbers", first


def _text(tree: Tree, file: str) -> bytes:
    """Return a text file; the beginning of one that is too large for a label file, by which it is judged then."""
    try:
        return sniffed(tree.read(file, LARGEST_FILE))
    except UnreadableError:
        beginning = sniffed(tree.beginning(file))
        if b"\0" in beginning:  # not a text
            raise
        return beginning


def _filled_lines(text: bytes) -> Iterator[bytes]:
    lines = io.BytesIO(text.replace(b"\r", b"\n"))
    return filter(bytes.strip, lines)


def _kind_of_line(line: bytes) -> Literal["row", "like a row", "numbers", "words"]:
    """Return what a line is: a class and four numbers or more, nearly so, something with a number, or only words.

    One that is nearly so has a word for the class, or words for numbers, or numbers missing.
    """
    words = line.translate(_COMMAS).split() if len(line) <= LONGEST_ROW else ()
    if not words:
        return "words"
    first, *others = words
    numbered = NUMBER.fullmatch(first) is not None
    are_numbers = bool(others) and all(map(NUMBER.fullmatch, others))
    if are_numbers and numbered and len(others) >= 4:
        return "row"
    if (are_numbers and (numbered or len(others) >= 4)) or (not are_numbers and numbered and len(others) == 4):
        return "like a row"
    return "numbers" if numbered or any(map(NUMBER.fullmatch, others)) else "words"
