"""Paths in a dataset as text with `/`: how names compare, what folders are called, and which split they name.

The words of roles and splits come from 140 public datasets; a folder's key is what remains without them.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.normal_form import normal_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

IMAGE_EXTENSIONS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
        *(".avif", ".heic", ".heif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
"""Extensions of image files; what an image really is, its first bytes say."""

IMAGE_WORDS = ("images", "jpegimages", "imgs", "img", "image", "pictures", "photos", "data")
LABEL_WORDS = (
    *("labels", "annotations", "annotation", "label", "labeltxt", "labelsxml", "annots"),
    *("xml", "xmls"),
)
MASK_FOLDERS = frozenset(("mask", "masks", "segmentationclass", "segmentationobject"))
"""Folders whose images are masks: named like the images they belong to."""

MAX_DEPTH = 64
"""The most folders in a path of a dataset."""

_ROLE_WORDS = frozenset((*IMAGE_WORDS, *LABEL_WORDS))
_SPLIT_WORD = re.compile(r"(train|training|val|valid|validation|dev|test|testing|trainval|minival)(\d*)")
_SAME_SPLIT = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}
_BETWEEN_WORDS = re.compile(r"[-_ .]+")
_DRIVE = re.compile(r"[A-Za-z]:")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):[/\\]")


class SplitWords(NamedTuple):
    """The splits that the words of a path name, as `train`, `val` and `test`."""

    words: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    """What follows these words: the 2017 of `train2017`, the 1 of `train_1`."""

    def __bool__(self) -> bool:
        """Return whether any is named."""
        return bool(self.words)

    def joined(self, other: SplitWords) -> SplitWords:
        """Return the splits that one of two paths names."""
        return SplitWords(self.words | other.words, self.numbers | other.numbers)

    def differs(self, other: SplitWords) -> bool:
        """Return whether both name splits, and not the same: `train2017` is `train`, but not `train2014`."""
        both_numbered = bool(self.numbers and other.numbers)
        return bool(self and other) and (self.words != other.words or (both_numbered and self.numbers != other.numbers))

    def same(self, other: SplitWords) -> bool:
        """Return whether both name the same splits, or none."""
        return self.words == other.words and not self.differs(other)


class FolderKey(NamedTuple):
    """What a folder is called apart from roles and splits."""

    parts: tuple[str, ...]
    splits: SplitWords


def fold(name: str) -> str:
    """Return a name for comparison without regard to case and Unicode form."""
    return name.lower() if name.isascii() else normal_form("NFC", name).casefold()


def is_image(name: str) -> bool:
    """Return whether a name has the extension of an image."""
    return name[name.rfind(".") :].lower() in IMAGE_EXTENSIONS if "." in name else False


def image_stem(name: str) -> str:
    """Return a name without the extension of an image, if it has one."""
    return name[: name.rfind(".")] if is_image(name) else name


def joined(folder: str, name: str) -> str:
    """Return a path below a folder, which is empty for the dataset's own."""
    return f"{folder}/{name}" if folder and name else folder or name


def with_parents(path: str) -> Iterator[str]:
    """Yield a path and all folders above it, without the dataset's own."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def path_parts(path: str) -> list[str]:
    r"""Return the parts of a path in a file: `\` is `/`; `.`, `..`, drives and empty parts are left out.

    >>> path_parts("C:\\sets\\..\\images\\a.jpg")
    ['sets', 'images', 'a.jpg']
    """
    parts = path.replace("\\", "/").split("/")
    return [part for part in parts if part not in ("", ".", "..") and not _DRIVE.fullmatch(part)]


def base_name(path: str) -> str:
    """Return the last part of a path in a file, as `path_parts` has it; empty: there is none."""
    base = path.replace("\\", "/").rpartition("/")[2]
    return base if base not in ("", ".", "..") else (path_parts(path) or [""])[-1]


def scheme_of(path: str | PathLike[str]) -> str:
    r"""Return the scheme of an address, also after `pathlib` made one slash of two; empty for a path on this machine.

    >>> scheme_of("s3://bucket/set"), scheme_of("C:\\sets")
    ('s3', '')
    """
    found = _SCHEME.match(os.fspath(path))
    return found[1] if found else ""


def path_suffixes(path: str) -> Iterator[str]:
    """Yield a path in a file, then shorter and shorter ends of it: of `/home/me/a.jpg` also `me/a.jpg` and `a.jpg`.

    No suffix leads anywhere but down. A path deeper than `MAX_DEPTH` has none.
    """
    parts = path_parts(path)
    if len(parts) <= MAX_DEPTH:
        for start in range(len(parts)):
            yield "/".join(parts[start:])


def leaves_dataset(path: str) -> bool:
    """Return whether a path in a file is absolute or climbs with `..`: it may name something outside."""
    if path[:1] not in ("/", "\\") and path[1:2] != ":" and ".." not in path:
        return False
    plain = path.replace("\\", "/")
    return plain.startswith("/") or bool(_DRIVE.fullmatch(plain[:2])) or ".." in plain.split("/")


def resolved_path(folder: str, path: str) -> str | None:
    """Return a path in a file relative to the root, its `..` obeyed from the file's folder; None: it leads out.

    >>> resolved_path("labels/x", "../../images/a.jpg")
    'images/a.jpg'
    """
    plain = path.replace("\\", "/")
    if plain.startswith("/") or _DRIVE.fullmatch(plain[:2]):
        return None
    parts = folder.split("/") if folder else []
    for part in plain.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def ends_with(path: str, end: str) -> bool:
    """Return whether a path ends with whole parts of another; every path ends with the empty one."""
    return not end or f"/{path}".endswith(f"/{end}")


@lru_cache(2**16)
def folder_key(folder: str) -> FolderKey:
    """Return the key of a folder: its path in folded case without role words and split words.

    >>> folder_key("Data/train_images/cats")
    FolderKey(parts=('cats',), splits=SplitWords(words=frozenset({'train'}), numbers=frozenset()))
    """
    parts: list[str] = []
    splits: set[str] = set()
    numbers: set[str] = set()
    for part in fold(folder).split("/"):
        rest: list[str] = []
        for word in _BETWEEN_WORDS.split(part):
            if found := _SPLIT_WORD.fullmatch(word):
                splits.add(_SAME_SPLIT.get(found[1], found[1]))
                numbers.update({found[2]} - {""})
            elif word and word not in _ROLE_WORDS:
                rest.append(word)
        if _SPLIT_WORD.match(part) and all(map(str.isdigit, rest)):
            numbers.update(rest)
        elif rest:
            parts.append("-".join(rest))
    return FolderKey(tuple(parts), SplitWords(frozenset(splits), frozenset(numbers)))


def is_label_word(part: str) -> bool:
    """Return whether a folder of this name holds labels."""
    return fold(part) in LABEL_WORDS


def is_label_folder(folder: str) -> bool:
    """Return whether the last role word in the path of a folder is one of labels: `Annotations/x`, not `xml/images`."""
    roles = [part for part in fold(folder).split("/") if part in _ROLE_WORDS]
    return bool(roles) and roles[-1] in LABEL_WORDS


def without_label_word(folder: str) -> str:
    """Return the path of a folder without its last part that is a label word: `x/Annotations/sub` becomes `x/sub`."""
    parts = folder.split("/")
    for at in range(len(parts) - 1, -1, -1):
        if is_label_word(parts[at]):
            return "/".join([*parts[:at], *parts[at + 1 :]])
    return folder


def with_word_replaced(folder: str, words: Iterable[str], new: str) -> Iterator[str]:
    """Yield the path with each of its parts in turn, from the last on, that is one of `words` replaced by `new`.

    >>> list(with_word_replaced("labels/train", ("labels",), "images"))
    ['images/train']
    """
    parts = folder.split("/")
    for at in range(len(parts) - 1, -1, -1):
        if fold(parts[at]) in words:
            yield "/".join([*parts[:at], new, *parts[at + 1 :]])
