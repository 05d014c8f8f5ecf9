"""Find images one by one, by folder, key or suffix of the path.

Images are looked up in groups, and the groups cache their answers, so that n references to one name
do not need n comparisons each.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import unquote

from regionbatch.files.image_index import ANY_WORD
from regionbatch.files.paths import (
    IMAGE_WORDS,
    LABEL_WORDS,
    image_stem,
    is_image,
    joined,
    normalise_name,
    with_word_replaced,
)
from regionbatch.files.spelling import (
    ANY_EXTENSION,
    Spelling,
    form_of_path,
    forms_of_image,
    normalised_names,
    spelling_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from regionbatch.files.image_index import FolderTraits, ImageFolder, ImageIndex, Size

    Groups = dict[FolderTraits, "ImageGroup"]
    _Key = tuple[object, ...]

MAX_RIVALS = 64
"""Maximum number of equally good images that are compared further."""


class ImageGroup:
    """Images among which a reference chooses; answers are cached."""

    __slots__ = ("_best", "_by_form", "_by_size", "_fitting", "_index", "images")

    def __init__(self, index: ImageIndex, images: Iterable[int] = ()) -> None:
        """Start with some images."""
        self._index = index
        self.images = [*images]
        self._best: dict[tuple[str, str], tuple[int, list[int]]] = {}
        self._by_form: dict[str, list[int]] = {}
        self._by_size: dict[Size, list[int]] | None = None
        self._fitting: dict[Size, ImageGroup] = {}

    def best(self, name: str, second_name: str) -> tuple[int, list[int]]:
        """Return the best spelling of a name, and the first `MAX_RIVALS` images that have it.

        Args:
            name: The wanted name.
            second_name: Another base name, which decides between several; empty if there is none.
        """
        # Names without an exact match share one search for all their spellings.
        exact = self._exactly(name)
        key = (name if exact else f"\0{normalise_name(name)}"), second_name
        if key not in self._best:
            self._best[key] = self._find_best(name, second_name, exact)
        return self._best[key]

    def _exactly(self, name: str) -> list[int]:
        """Return the images with a name, which may lack one or two extensions."""
        if not self._by_form:
            for image in self.images:
                whole = self._index.names[image]
                stem = image_stem(whole)
                for form in {whole, stem, image_stem(stem)}:
                    self._by_form.setdefault(form, []).append(image)
        return self._by_form.get(name, [])

    def _find_best(self, name: str, second_name: str, exact: list[int]) -> tuple[int, list[int]]:
        best, found = self._best_spelled(name, exact)
        if not found or best >= Spelling.OTHER_CASE:
            best, found = self._best_spelled(name, self.images)
        if len(found) > 1 and second_name:
            found = self._index.named(second_name, found) or found
        return best, found[:MAX_RIVALS]

    def _best_spelled(self, name: str, images: list[int]) -> tuple[int, list[int]]:
        """Return the best spelling among images, and the images that have it."""
        names = self._index.names
        spelled = [spelling_of(names[image], name) for image in images]
        best = min(spelled, default=Spelling.EXACT)
        return best, [image for image, how in zip(images, spelled, strict=True) if how == best]

    def of_size(self, size: Size) -> list[int]:
        """Return the images with a size."""
        if self._by_size is None:
            self._by_size = defaultdict(list)
            for image in self.images:
                self._by_size[self._index.size(image)].append(image)
        return self._by_size.get(size, [])

    def fitting(self, size: Size) -> ImageGroup:
        """Return the images with a size, possibly transposed, and those of unknown size."""
        if size not in self._fitting:
            images: list[int] = []
            for each in dict.fromkeys((size, size[::-1], (0, 0))):
                images += self.of_size(each)
            self._fitting[size] = ImageGroup(self._index, images)
        return self._fitting[size]


class ImageLookup:
    """The images with wanted names, in groups by folder, key and suffix of the path."""

    def __init__(self, index: ImageIndex, names: Iterable[str]) -> None:
        """Find the images with these names in all folders."""
        self._index = index
        self._wanted: set[str] = set()
        for name in names:
            self._wanted |= {normalise_name(name), normalise_name(unquote(name))}
        self._groups: dict[_Key, Groups] = {}
        self.base_names: set[str] = set()
        """The normalised names of the images found, with extension."""
        self._found: set[str] = set()
        for folder in index.folders:
            self._add(folder)

    def _add(self, folder: ImageFolder) -> None:
        path = normalise_name(folder.path)
        parallel = [*with_word_replaced(path, IMAGE_WORDS, ANY_WORD)]
        for image, name in _wanted_images(folder, self._wanted):
            self.base_names.add(normalise_name(name))
            self._found |= normalised_names(name)
            for key in _path_keys(path, name):
                self._put(key, folder.traits, image)
            for form in forms_of_image(name, self._wanted):
                for key in _folder_keys(folder, path, parallel, form):
                    self._put(key, folder.traits, image)

    def _put(self, key: _Key, traits: FolderTraits, image: int) -> None:
        groups = self._groups.setdefault(key, {})
        if traits not in groups:
            groups[traits] = ImageGroup(self._index)
        groups[traits].images.append(image)

    def has(self, name: str) -> bool:
        """Return whether any image has a name."""
        if normalise_name(name) in self._found:
            return True
        return "%" in name and normalise_name(unquote(name)) in self._found

    def in_folder(self, folder: str, form: str) -> Groups:
        """Return the images with a form (see `forms_of_wanted`) in a folder of the dataset."""
        return self._groups.get(("same", normalise_name(folder), form), {})

    def in_parallel_folders(self, label_folder: str, form: str) -> Iterator[Groups]:
        """Yield the images in folders with an image word where a label folder has a label word."""
        for path in with_word_replaced(normalise_name(label_folder), LABEL_WORDS, ANY_WORD):
            yield self._groups.get(("parallel", path, form), {})

    def with_key(self, key: tuple[str, ...], form: str) -> Groups:
        """Return the images in folders with a key."""
        return self._groups.get(("key", key, form), {})

    def with_longer_key(self, key: tuple[str, ...], form: str) -> Groups:
        """Return the images in folders whose key is longer and ends with these parts."""
        return self._groups.get(("key suffix", key, form), {})

    def at_path(self, path: str) -> Groups:
        """Return the images at a whole path in any tree; any extension if the path has none."""
        return self._groups.get(("path", form_of_path(path)), {})

    def with_path_suffix(self, suffix: str) -> Groups:
        """Return the images whose path ends with parts; any extension if the suffix has none."""
        return self._groups.get(("path suffix", form_of_path(suffix)), {})


def _path_keys(folder: str, name: str) -> Iterator[_Key]:
    """Yield the keys of an image by its path, with and without its extension."""
    stem = normalise_name(image_stem(name)) + ANY_EXTENSION
    for path in (joined(folder, normalise_name(name)), joined(folder, stem)):
        yield "path", path
        parts = path.split("/")
        for start in range(len(parts)):
            yield "path suffix", "/".join(parts[start:])


def _folder_keys(
    folder: ImageFolder, path: str, parallel: Iterable[str], form: str
) -> Iterator[_Key]:
    """Yield the keys of an image by its folder and the form of its name."""
    if not folder.traits.external:
        yield "same", path, form
    for parallel_path in parallel:
        yield "parallel", parallel_path, form
    yield "key", folder.key, form
    for start in range(1, len(folder.key) + 1):
        yield "key suffix", folder.key[start:], form


def _wanted_images(folder: ImageFolder, wanted: set[str]) -> Iterator[tuple[int, str]]:
    """Yield the images of a folder with a wanted name."""
    candidates: Iterable[tuple[int, str]] = enumerate(folder.names, folder.first)
    text = "".join(folder.names)
    if text.isascii() and "%" not in text:
        candidates = _plain_candidates(candidates, wanted)
    for image, name in candidates:
        if not wanted.isdisjoint(normalised_names(name)):
            yield image, name


def _plain_candidates(
    images: Iterable[tuple[int, str]], wanted: set[str]
) -> Iterator[tuple[int, str]]:
    """Yield the ASCII names that may be wanted; passes over the others without normalising them."""
    for image, name in images:
        lower = name.lower()
        stem = lower[: lower.rfind(".")]
        if stem in wanted or lower in wanted or is_image(stem):
            yield image, name
