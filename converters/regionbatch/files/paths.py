"""Paths in a dataset, as text with `/`: comparing names, and the meaning of folder names.

The role words (for images and labels) and the split words come from 140 public datasets. The key of
a folder is its path without these words.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.normal_form import normal_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from os import PathLike

IMAGE_EXTENSIONS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".gif"),
        *(".webp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".j2k"),
        *(".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
"""Extensions of image files. The first bytes of a file decide what it really is."""

IMAGE_WORDS = ("images", "jpegimages", "imgs", "img", "image", "pictures", "photos", "data")
"""Names of folders of images, in lower case."""
LABEL_WORDS = (
    *("labels", "annotations", "annotation", "label", "labeltxt", "labelsxml", "annots"),
    *("xml", "xmls"),
)
"""Names of folders of label files, in lower case."""
MASK_FOLDERS = frozenset(("mask", "masks", "segmentationclass", "segmentationobject"))
"""Folders of masks, which are named like the images they belong to."""

NAME_CHARACTER = r"[^./\\\s]"
"""A file name has at least one of these characters; a name such as `./` names nothing."""

MAX_DEPTH = 64
"""Maximum number of folders in a path of a dataset."""

_ROLE_WORDS = frozenset((*IMAGE_WORDS, *LABEL_WORDS))
_SPLIT_WORD = re.compile(
    r"(train|training|val|valid|validation|dev|test|testing|trainval|minival)(\d*)"
)
_CANONICAL_SPLIT = {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "testing": "test",
}
_WORD_SEPARATORS = re.compile(r"[-_ .]+")
_DRIVE = re.compile(r"[A-Za-z]:")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):[/\\]")


class SplitWords(NamedTuple):
    """The splits that a path contains, as `train`, `val` and `test`."""

    words: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    """The numbers after these words: the 2017 of `train2017`, the 1 of `train_1`."""

    def __bool__(self) -> bool:
        """Return whether there is any split."""
        return bool(self.words)

    def joined(self, other: SplitWords) -> SplitWords:
        """Return the splits that either of two paths names."""
        return SplitWords(self.words | other.words, self.numbers | other.numbers)

    def differs(self, other: SplitWords) -> bool:
        """Return whether both paths contain splits, but different ones.

        `train` agrees with `train2017`, but `train2014` does not.
        """
        if not (self and other):
            return False
        both_numbered = bool(self.numbers and other.numbers)
        return self.words != other.words or (both_numbered and self.numbers != other.numbers)

    def same(self, other: SplitWords) -> bool:
        """Return whether both paths contain the same splits, or none."""
        return self.words == other.words and not self.differs(other)


class FolderKey(NamedTuple):
    """The identity of a folder, without the words for roles and splits."""

    parts: tuple[str, ...]
    """The remaining parts of its path."""
    splits: SplitWords
    """The splits that its path names."""


def normalise_name(name: str) -> str:
    """Return a name for comparison without regard to case and Unicode form."""
    return name.lower() if name.isascii() else normal_form("NFC", name).casefold()


def normalise_names(names: Sequence[str]) -> list[str]:
    """Return `normalise_name` of many names; if all are ASCII, in a tenth of the time."""
    text = "\0".join(names)
    if names and text.isascii() and text.count("\0") == len(names) - 1:
        return text.lower().split("\0")
    return [*map(normalise_name, names)]


def is_image(name: str) -> bool:
    """Return whether a name has the extension of an image."""
    return name[name.rfind(".") :].lower() in IMAGE_EXTENSIONS if "." in name else False


def image_stem(name: str) -> str:
    """Return a name without its image extension, if it has one."""
    dot = name.rfind(".")
    return name[:dot] if dot >= 0 and name[dot:].lower() in IMAGE_EXTENSIONS else name


def common_extension(names: Sequence[str]) -> str:
    """Return the extension that all base names have (`.txt`); empty if there are several.

    They are searched as one text, which takes a tenth of the time.
    """
    extension = _extension(names)
    is_common = extension and "/".join([*names, ""]).count(f"{extension}/") == len(names)
    return extension if is_common else ""


def _extension(names: Sequence[str]) -> str:
    """Return the extension of the first name; empty if there is none."""
    dot = names[0].rfind(".") if names else -1
    return names[0][dot:] if dot >= 0 else ""


def without_extensions(names: Sequence[str]) -> list[str]:
    """Return base names without their extensions."""
    if extension := common_extension(names):
        end = -len(extension)
        return [name[:end] for name in names]
    return [name[: name.rfind(".")] for name in names]


def stems_as_text(names: Sequence[str]) -> str:
    """Return base names without their extensions, as one text to compare with that of others."""
    text = "/".join([*names, ""])
    extension = _extension(names)
    stems = text.replace(f"{extension}/", "/")
    is_common = extension and len(text) - len(stems) == len(names) * len(extension)
    return stems if is_common else "/".join([*without_extensions(names), ""])


def in_lower_case(names: Sequence[str]) -> str:
    """Return names in lower case, as one text to search all at once: each between newlines."""
    return "\n".join(["", *names, ""]).lower()


def by_folder(paths: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield, for each run of paths in one folder, the folder and the base names.

    >>> list(by_folder(["a/1.txt", "a/2.txt", "b/1.txt"]))
    [('a', ['1.txt', '2.txt']), ('b', ['1.txt'])]
    """
    folder = ""
    names: list[str] = []
    for path in paths:
        above, _, name = path.rpartition("/")
        if above != folder:
            if names:
                yield folder, names
            folder, names = above, []
        names.append(name)
    if names:
        yield folder, names


def joined(folder: str, name: str) -> str:
    """Join a folder and a name. The root of the dataset is the empty string."""
    return f"{folder}/{name}" if folder and name else folder or name


def with_parents(path: str) -> Iterator[str]:
    """Yield a path and all folders above it, except for the root of the dataset."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def path_parts(path: str) -> list[str]:
    r"""Return the parts of a path in a file, without drives, `.`, `..` and empty parts.

    >>> path_parts("C:\\sets\\..\\images\\a.jpg")
    ['sets', 'images', 'a.jpg']
    """
    parts = path.replace("\\", "/").split("/")
    return [part for part in parts if part not in ("", ".", "..") and not _DRIVE.fullmatch(part)]


def base_name(path: str) -> str:
    """Return the last of the `path_parts` of a path in a file; empty if there is none."""
    base = path.replace("\\", "/").rpartition("/")[2]
    return base if base not in ("", ".", "..") else (path_parts(path) or [""])[-1]


def scheme_of(path: str | PathLike[str]) -> str:
    r"""Return the scheme of a URL; empty for a local path.

    A URL is recognised even after `pathlib` has made one slash of two.

    >>> scheme_of("s3://bucket/set"), scheme_of("C:\\sets")
    ('s3', '')
    """
    found = _SCHEME.match(os.fspath(path))
    return found[1] if found else ""


def path_suffixes(path: str) -> Iterator[str]:
    """Yield a path in a file, then ever shorter suffixes of it, as relative paths.

    A path deeper than `MAX_DEPTH` has none.

    >>> list(path_suffixes("/home/me/a.jpg"))
    ['home/me/a.jpg', 'me/a.jpg', 'a.jpg']
    """
    parts = path_parts(path)
    if len(parts) <= MAX_DEPTH:
        for start in range(len(parts)):
            yield "/".join(parts[start:])


def leaves_dataset(path: str) -> bool:
    """Return whether a path in a file may lead out of the dataset: absolute, or with `..`."""
    if path[:1] not in ("/", "\\") and path[1:2] != ":" and ".." not in path:
        return False
    plain = path.replace("\\", "/")
    return plain.startswith("/") or bool(_DRIVE.fullmatch(plain[:2])) or ".." in plain.split("/")


def resolved_path(folder: str, path: str) -> str | None:
    """Resolve a path in a file, with its `..`, relative to the file's folder.

    Args:
        folder: The folder of the file, relative to the dataset.
        path: The path as in the file.

    Returns:
        The path relative to the dataset; None if it leads out.

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


def path_ends_with(path: str, suffix: str) -> bool:
    """Return whether a path ends with all parts of another one; the empty path ends every path."""
    return not suffix or f"/{path}".endswith(f"/{suffix}")


@lru_cache(2**16)
def folder_key(folder: str) -> FolderKey:
    """Return the key of a folder: its normalised path without the words for roles and splits.

    >>> folder_key("Data/train_images/cats")
    FolderKey(parts=('cats',), splits=SplitWords(words=frozenset({'train'}), numbers=frozenset()))
    """
    parts: list[str] = []
    splits: set[str] = set()
    numbers: set[str] = set()
    for part in normalise_name(folder).split("/"):
        rest: list[str] = []
        for word in _WORD_SEPARATORS.split(part):
            if found := _SPLIT_WORD.fullmatch(word):
                splits.add(_CANONICAL_SPLIT.get(found[1], found[1]))
                if found[2]:
                    numbers.add(found[2])
            elif word and word not in _ROLE_WORDS:
                rest.append(word)
        if _SPLIT_WORD.match(part) and all(map(str.isdigit, rest)):
            numbers.update(rest)
        elif rest:
            parts.append("-".join(rest))
    return FolderKey(tuple(parts), SplitWords(frozenset(splits), frozenset(numbers)))


def is_label_word(part: str) -> bool:
    """Return whether a folder of this name holds label files."""
    return normalise_name(part) in LABEL_WORDS


def is_label_folder(folder: str) -> bool:
    """Return whether the last role word in a folder's path is one for labels.

    This is true for `Annotations/x`, but not for `xml/images`.
    """
    return _last_role(folder) in LABEL_WORDS


def is_image_folder(folder: str) -> bool:
    """Return whether the last role word in a folder's path is one for images, and images only.

    This is true for `images/x`. Darknet's `data` also contains label files.
    """
    role = _last_role(folder)
    return role in IMAGE_WORDS and role != "data"


def _last_role(folder: str) -> str:
    roles = [part for part in normalise_name(folder).split("/") if part in _ROLE_WORDS]
    return roles[-1] if roles else ""


@lru_cache(2**10)
def without_label_word(folder: str) -> str:
    """Return a folder's path without the last part that is a label word.

    >>> without_label_word("x/Annotations/sub")
    'x/sub'
    """
    parts = folder.split("/")
    for at in range(len(parts) - 1, -1, -1):
        if is_label_word(parts[at]):
            return "/".join([*parts[:at], *parts[at + 1 :]])
    return folder


def with_word_replaced(folder: str, words: Iterable[str], new: str) -> Iterator[str]:
    """Yield the path with one part replaced, for each part that is one of `words`, last first.

    >>> list(with_word_replaced("labels/train", ("labels",), "images"))
    ['images/train']
    """
    parts = folder.split("/")
    for at in range(len(parts) - 1, -1, -1):
        if normalise_name(parts[at]) in words:
            yield "/".join([*parts[:at], new, *parts[at + 1 :]])
