"""How the base names of images are compared with a wanted name."""

from __future__ import annotations

from enum import IntEnum
from urllib.parse import unquote

from regionbatch.files.paths import image_stem, is_image, normalise_name

ANY_EXTENSION = "\0"
"""Ends a form that matches any extension; no file name contains this character."""


class Spelling(IntEnum):
    """How the name of an image differs from the wanted one; the smallest is best."""

    EXACT = 0
    WHOLE_NAME = 1
    """The stem has the extension of an image: label file `a.jpg.txt`, or image `a.jpg.png`."""
    OTHER_CASE = 2
    """The first difference that is reported."""
    ENCODED = 3
    SECOND_EXTENSION = 4


def spelling_of(name: str, wanted: str) -> Spelling:
    """Return how the name of an image differs from the wanted one, which may lack the extension."""
    stem = image_stem(name)
    if wanted != stem and wanted == image_stem(stem):
        return Spelling.SECOND_EXTENSION
    if wanted == name:
        return Spelling.EXACT
    if wanted == stem:
        return Spelling.WHOLE_NAME if is_image(stem) else Spelling.EXACT
    if normalise_name(wanted) in (normalise_name(stem), normalise_name(name)):
        return Spelling.OTHER_CASE
    return Spelling.ENCODED


def forms_of_wanted(name: str, *, whole: bool) -> list[str]:
    """Return the forms of a wanted name by which `ImageLookup` finds images.

    Args:
        name: The wanted name.
        whole: Whether it includes the extension of the image.
    """
    extension = "" if whole else ANY_EXTENSION
    decoded = unquote(name)
    return [*dict.fromkeys(normalise_name(each) + extension for each in (name, decoded))]


def form_of_path(path: str) -> str:
    """Return the form of a wanted path, with or without the extension of an image."""
    return normalise_name(path) + ("" if is_image(path) else ANY_EXTENSION)


def normalised_names(name: str) -> set[str]:
    """Return the normalised names by which an image is found.

    These are its name with the extension, without it, and without a second one; also
    percent-decoded.
    """
    stem = image_stem(name)
    names = {name, stem, image_stem(stem)}
    return {normalise_name(each) for each in names | set(map(unquote, names))}


def forms_of_image(name: str, wanted: set[str]) -> set[str]:
    """Return the forms of an image that match one of the wanted names."""
    whole = {normalise_name(name), normalise_name(unquote(name))}
    return (whole & wanted) | {each + ANY_EXTENSION for each in normalised_names(name) & wanted}
