"""Find the names of a table that may mean the same class or image although they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from regionbatch.files.paths import (
    MAX_DEPTH,
    folder_key,
    image_stem,
    is_image,
    normalise_name,
    path_ends_with,
    path_parts,
)
from regionbatch.similar import loose_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from regionbatch.files.paths import SplitWords

Finder: TypeAlias = "Callable[[str], list[str]]"
"""Returns the names of a table that a name of the dataset may mean."""


def by_case(table: Iterable[str]) -> Finder:
    """Return a finder of names that differ only in case, whitespace or Unicode form."""
    alike: dict[str, list[str]] = {}
    for name in table:
        alike.setdefault(loose_key(name), []).append(name)
    return lambda name: alike.get(loose_key(name), [])


def by_path(table: Iterable[str], names: Iterable[str]) -> Finder:
    """Return a finder of image names: of two paths that match, one ends with the other.

    An extension may be missing on one side. Images are associated with references by the same
    relation, so a match never crosses folders or splits that contradict each other.

    Args:
        table: The names to find.
        names: All names that will be looked up. Only path suffixes that are among them are stored.
    """
    whole: dict[str, list[str]] = {}
    by_suffix: dict[str, list[str]] = {}
    wanted = {form for name in names for form in _forms(name)}
    for name in table:
        for form in _forms(name):
            whole.setdefault(form, []).append(name)
            for suffix in wanted.intersection(_suffixes(form)):
                by_suffix.setdefault(suffix, []).append(name)

    def find(name: str) -> list[str]:
        found: dict[str, None] = {}
        for form in _forms(name):
            found.update(dict.fromkeys(by_suffix.get(form, ())))
            for path in (form, *_suffixes(form)):
                found.update(dict.fromkeys(whole.get(path, ())))
        return [other for other in found if _extensions_agree(name, other)]

    return find


def names_other_split(match: str, name: str, split: str) -> bool:
    """Return whether the folders of a match belong to another split than the image.

    Args:
        match: A name of the table.
        name: The image in the dataset.
        split: The split of the image, which counts if its folders name none.
    """
    own = _splits_of_folder(name) or folder_key(split).splits
    return _splits_of_folder(match).differs(own)


def is_exact_path(name: str, match: str) -> bool:
    """Return whether one path ends exactly with the other, apart from a missing extension."""
    path, other = ("/".join(path_parts(text)) for text in (name, match))
    if is_image(path) != is_image(other):
        path, other = image_stem(path), image_stem(other)
    return path_ends_with(path, other) or path_ends_with(other, path)


def _splits_of_folder(name: str) -> SplitWords:
    return folder_key(name.replace("\\", "/").rpartition("/")[0]).splits


def _extensions_agree(name: str, other: str) -> bool:
    return is_image(name) != is_image(other) or _extension(name) == _extension(other)


def _forms(name: str) -> dict[str, None]:
    """Return the normalised paths by which an image is compared: with and without its extension."""
    path = normalise_name("/".join(path_parts(name)))
    return dict.fromkeys((path, image_stem(path)))  # a set would be in random order


def _suffixes(path: str) -> Iterator[str]:
    """Yield the suffixes of a normalised path, the longest first, up to `MAX_DEPTH` parts."""
    parts = path.split("/")
    for start in range(max(1, len(parts) - MAX_DEPTH), len(parts)):
        yield "/".join(parts[start:])


def _extension(name: str) -> str:
    return normalise_name(name[name.rfind(".") :]) if is_image(name) else ""
