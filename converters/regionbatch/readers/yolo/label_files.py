"""Find out which text files are YOLO label files."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from regionbatch.files.folders import images_of
from regionbatch.files.paths import (
    IMAGE_EXTENSIONS,
    IMAGE_WORDS,
    LABEL_WORDS,
    image_stem,
    in_lower_case,
    normalise_name,
    stems_as_text,
    with_word_replaced,
    without_extensions,
)
from regionbatch.files.text import UnreadableError, lenient_utf8
from regionbatch.readers.yolo.row_parser import MAX_FILE_SIZE, MAX_ROW_SIZE, NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

_RARELY_LABELS = frozenset(
    {
        "classes.txt",
        "requirements.txt",
        "license.txt",
        "train.txt",
        "val.txt",
        "valid.txt",
        "test.txt",
    }
)
_FEW = 20
"""Maximum lists, logs and notes in one folder: if more text files lack an image, all are labels."""
_SHOWN = 400
"""Bytes of a line that are kept, which is more than a message shows."""
_SEPARATORS_TO_SPACES = bytes.maketrans(b",;\0", b"   ")
"""Rows of other formats have these separators, and UTF-16 without a byte-order mark has NUL.

They are read as label files, so that their rows are reported."""

_LineKind = Literal["row", "like a row", "numbers", "words"]


def find_label_files(
    tree: Tree, lists: set[str], log: FindingLog
) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders with label files, and the label files of each.

    A text file with an image of the same name is a label file. If there are few others in its
    folder, they must contain rows or nothing. Files with numbers but without rows are logs, which
    are reported.

    Args:
        tree: The files of the dataset.
        lists: Known lists of images or class names, which are left out.
        log: Where logs are reported.
    """
    classifier = _TextFileClassifier(tree, log)
    for folder, listing in tree.folders():
        names = listing.by_extension.get(".txt", [])
        if not names or "imagesets/" in f"{folder.lower()}/":
            continue
        without_image = _without_image(tree, folder, names)
        doubtful = _named_like_notes(names)
        if len(without_image) <= _FEW:
            doubtful |= without_image
        prefix = f"{folder}/" if folder else ""
        labels = [prefix + name for name in names]
        others = lists.intersection(labels)
        for name in sorted(doubtful):
            file = prefix + name
            has_image = name not in without_image
            if file not in others and not classifier.is_label_file(file, has_image=has_image):
                others.add(file)
        if others:
            labels = [file for file in labels if file not in others]
        if labels:
            yield folder, labels


class _TextFileClassifier:
    """Decides by content whether text files are label files."""

    def __init__(self, tree: Tree, log: FindingLog) -> None:
        self._tree = tree
        self._log = log

    @cached_property
    def _all_image_names(self) -> set[str]:
        """The names of all images, with and without extension."""
        names: set[str] = set()
        for _, listing in self._tree.folders():
            names.update(map(normalise_name, images_of(listing)))
        return names | set(map(image_stem, names))

    def is_label_file(self, file: str, *, has_image: bool) -> bool:
        """Return whether a text file is a label file; report it if it is a log.

        Args:
            file: The path of the file.
            has_image: Whether its folder, or the one next to it, has an image of its name.
        """
        if not may_be_label_file(self._tree, file):
            return False
        if has_image:
            return True
        content, first_line = _classify_content(self._tree, file)
        if content == "rows":
            return True
        if content == "numbers":
            stem = normalise_name(file.rpartition("/")[2][:-4])
            if stem in self._all_image_names:
                return True
            self._log.note("ignored_file", file, first_line)
        return False


def _named_like_notes(names: Sequence[str]) -> set[str]:
    """Return the names that are typical of lists and notes."""
    text = in_lower_case(names)  # most folders have none
    if "\nreadme" not in text and not any(f"\n{name}\n" in text for name in _RARELY_LABELS):
        return set()
    return set(filter(_is_name_of_notes, names))


def _is_name_of_notes(name: str) -> bool:
    return name.lower() in _RARELY_LABELS or name.lower().startswith("readme")


def _without_image(tree: Tree, folder: str, names: Sequence[str]) -> set[str]:
    """Return the text files in a folder without an image of the same name in it or next to it."""
    images = [*_image_names(tree, folder)]
    text = stems_as_text(names)
    if any(stems_as_text(some) == text for some in images):  # as in most folders
        return set()
    wanted = without_extensions(names)
    stems: set[str] = set()
    for some in map(without_extensions, images):
        rest = iter(some)
        if all(stem in rest for stem in wanted):  # the images are in the same order
            return set()
        stems.update(some)
    return {name for name, stem in zip(names, wanted, strict=True) if stem not in stems}


def _image_names(tree: Tree, folder: str) -> Iterator[list[str]]:
    """Yield the names of the images in a folder and in those next to it, by their extensions."""
    folders = [folder]
    for word in IMAGE_WORDS:
        folders += with_word_replaced(folder, LABEL_WORDS, word)
    for each in folders:
        listing = tree.folder(each)
        by_extension = listing.by_extension if listing else {}
        for extension in IMAGE_EXTENSIONS & by_extension.keys():
            yield by_extension[extension]


def may_be_label_file(tree: Tree, file: str) -> bool:
    """Return whether a text file may be a label file.

    A file with a typical name of a list or of notes must contain a row.
    """
    name = file.rpartition("/")[2]
    if _is_name_of_notes(name):
        return any(map(_is_row, _filled_lines_at_start(tree, file)))
    return name.lower().endswith(".txt")


def starts_with_row(tree: Tree, file: str) -> bool:
    """Return whether the first line with content starts with a class and four numbers."""
    return _is_row(first_line_words(tree, file))


def first_line_words(tree: Tree, file: str) -> list[bytes]:
    """Return the words of the first line that is neither empty nor a comment."""
    return next(_filled_lines_at_start(tree, file), [])


def _is_row(words: list[bytes]) -> bool:
    return len(words) > 4 and all(map(NUMBER.fullmatch, words[1:5]))


def _filled_lines_at_start(tree: Tree, file: str) -> Iterator[list[bytes]]:
    """Yield the words of the first lines of a file, without empty lines and comments."""
    with suppress(UnreadableError):
        for line in lenient_utf8(tree.beginning(file)).splitlines():
            words = line.split()
            if words and not words[0].startswith(b"#"):
                yield words


def _classify_content(tree: Tree, file: str) -> tuple[Literal["rows", "numbers", "words"], str]:
    """Return what a text file contains, and its first line. An empty file counts as rows."""
    try:
        text = _read_text(tree, file)
    except UnreadableError:  # reported when it is read
        return "rows", ""
    kinds: Counter[_LineKind] = Counter()
    for line in _filled_lines(text):
        kind = _kind_of_line(line)
        if kind == "row":
            return "rows", ""
        kinds[kind] += 1
    if not kinds:
        return "rows", ""
    first_line = next(_filled_lines(text))[:_SHOWN].decode("utf-8", "replace").strip()
    if not kinds["numbers"] + kinds["like a row"]:
        return "words", first_line
    if b"\0" in text or kinds["like a row"] * 2 >= kinds.total():
        return "rows", first_line
    return "numbers", first_line


def _read_text(tree: Tree, file: str) -> bytes:
    """Return a text file, or only the beginning of one that is too large for a label file."""
    try:
        return lenient_utf8(tree.read(file, MAX_FILE_SIZE))
    except UnreadableError:
        beginning = lenient_utf8(tree.beginning(file))
        if b"\0" in beginning:  # not a text file
            raise
        return beginning


def _filled_lines(text: bytes) -> Iterator[bytes]:
    lines = io.BytesIO(text.replace(b"\r", b"\n"))
    return filter(bytes.strip, lines)


def _kind_of_line(line: bytes) -> _LineKind:
    """Classify a line: a row, nearly a row, other numbers, or only words.

    A row is a class and at least four numbers. A line that is nearly one has a word for the class,
    words for numbers, or too few numbers.
    """
    words = line.translate(_SEPARATORS_TO_SPACES).split() if len(line) <= MAX_ROW_SIZE else []
    are_numbers = [NUMBER.fullmatch(word) is not None for word in words]
    if not any(are_numbers):
        return "words"
    has_class, *rest = are_numbers
    if rest and all(rest):
        if has_class:
            return "row" if len(rest) >= 4 else "like a row"
        return "like a row" if len(rest) >= 4 else "numbers"
    return "like a row" if has_class and len(rest) == 4 else "numbers"
