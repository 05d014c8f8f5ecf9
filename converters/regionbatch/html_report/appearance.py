"""What the pixels show: boxes that look unlike others of their tag, and images that are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.html_report.hints import Hints
from regionbatch.html_report.robust import PER_DEVIATION, Usual
from regionbatch.html_report.thumbnails import CONTRAST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from regionbatch.html_report.source import Rows, Source
    from regionbatch.html_report.thumbnails import Floats, Thumbnail

_LEAST_SPREAD = np.array([0.02] * 5 + [0.15] + [0.02] * 3, np.float32)
_UNUSUAL = 3.0
"""Root mean square of the deviations above which a box looks unusual."""
_FAR = 2.5
"""Factor on the distance that a tenth of the boxes exceed: only boxes beyond that are unusual."""
_LEAST_CONTRAST = 0.015
"""Least contrast of a tag's usual box from which boxes of the tag are judged by contrast."""
_FEWEST_BOXES = 3
"""Boxes of an image from which it is judged as a whole."""
_LEAST_VARIATION = 0.15
_LOST_CONTRAST = 0.3
"""Fraction of the usual contrast below which boxes seem to belong to another image."""
_FAR_BELOW = 2.4
"""Number of spreads below the usual contrast from which an image is unusual."""
_FITS = 1.3
"""Distance from another tag below which a box looks like one of that tag."""


def look_hints(source: Source, rows: Rows, thumbnails: Sequence[Thumbnail]) -> list[Hints]:
    """Return boxes whose colours and texture are unusual for their tag.

    Args:
        source: The dataset.
        rows: The rows of the regions in the thumbnails, one image after the other.
        thumbnails: The thumbnails.
    """
    looks = [one.looks for one in thumbnails if one.looks is not None]
    if not looks:
        return []
    values = np.concatenate(looks)
    if not len(values):
        return []
    regions = source.regions
    tag = regions.tag[rows]
    usual = Usual.of(values, tag, len(source.dataset.tags), _LEAST_SPREAD)
    distance = usual.distances(values, tag)
    is_distinct = usual.tell_apart(values, tag)
    other = usual.likeliest_other(values, tag)
    other_distance = np.where(other < 0, np.inf, usual.distances(values, other))
    tags = source.dataset.tags
    mixed = np.flatnonzero((distance > _FITS * 1.4) & (other_distance < distance / 2))
    is_clear = (other_distance[mixed] < _FITS) & is_distinct[tag[mixed]] & is_distinct[other[mixed]]
    mixed = mixed[is_clear]
    limit = max(_UNUSUAL, _FAR * float(np.quantile(distance, 0.9)))
    odd = np.setdiff1d(np.flatnonzero(distance > limit), mixed)

    def mixed_text(at: int) -> str:
        own, instead = tags[tag[mixed[at]]], tags[other[mixed[at]]]
        return f"a '{own}' box looks like '{instead}' in colours and texture"

    def odd_text(at: int) -> str:
        return f"a '{tags[tag[odd[at]]]}' box looks unlike the others in colours and texture"

    image = regions.image[rows]
    mixed_score = np.minimum(30 * distance[mixed], 100)
    odd_score = np.minimum(15 * distance[odd], 80)
    title = "Looks like another tag"
    return [
        Hints("other_tag", title, image[mixed], rows[mixed], mixed_score, mixed_text),
        _misplaced(source, values, rows, usual),
        Hints("unlike_others", "Looks unlike its tag", image[odd], rows[odd], odd_score, odd_text),
    ]


def file_hints(
    source: Source, shown: Sequence[int], thumbnails: Sequence[Thumbnail]
) -> list[Hints]:
    """Return the images whose file equals another one, and those that EXIF says to rotate.

    Args:
        source: The dataset.
        shown: The images.
        thumbnails: The thumbnail of each.
    """
    names = source.images.names
    by_content: dict[tuple[bytes, tuple[int, int]], list[int]] = {}
    for image, one in zip(shown, thumbnails, strict=True):
        if one.jpeg:
            by_content.setdefault((one.jpeg, one.size), []).append(image)
    groups = [images for images in by_content.values() if len(images) > 1]
    other_of = {
        image: other
        for images in groups
        for image, other in zip(images, images[1:] + images[:1], strict=True)
    }
    twins = [*other_of]
    rotated = [image for image, one in zip(shown, thumbnails, strict=True) if one.orientation > 1]

    def same_text(at: int) -> str:
        return f"it is the same image as '{names[other_of[twins[at]]]}'"

    def rotated_text(_: int) -> str:
        return "EXIF asks for it to be rotated; it is shown as stored"

    return [
        _about_images("same_pixels", "Same image under two names", twins, 80, same_text),
        _about_images("rotated", "Rotated by EXIF", rotated, 25, rotated_text),
    ]


def _about_images(
    code: str, title: str, images: Sequence[int], score: float, text: Callable[[int], str]
) -> Hints:
    count = len(images)
    nowhere = np.full(count, -1, np.int64)
    image = np.asarray(images, np.int32)
    return Hints(code, title, image, nowhere, np.full(count, score, np.float32), text)


def _misplaced(source: Source, values: Floats, rows: Rows, usual: Usual) -> Hints:
    """Return images whose boxes differ less from their surroundings than those of other images.

    This happens if the boxes belong to another image, so that they lie anywhere on this one.
    """
    regions = source.regions
    contrast = usual.centre[regions.tag[rows]][:, CONTRAST]
    strength = (contrast**2).sum(axis=1)
    has_contrast = strength > _LEAST_CONTRAST**2  # False for NaN
    image = regions.image[rows][has_contrast]
    along = (values[:, CONTRAST] * contrast).sum(axis=1)[has_contrast] / strength[has_contrast]
    count = len(source.images)
    boxes = np.bincount(image, minlength=count)
    judged = np.flatnonzero(boxes >= _FEWEST_BOXES)
    mean = np.bincount(image, np.clip(along, -2, 4), minlength=count)[judged] / boxes[judged]
    usual_mean = np.median(mean) if len(mean) else 0.0
    spread = np.median(np.abs(mean - usual_mean)) * PER_DEVIATION if len(mean) else 0.0
    limit = usual_mean - _FAR_BELOW * max(float(spread), _LEAST_VARIATION)
    found = np.flatnonzero((mean < _LOST_CONTRAST) & (mean < limit))

    def text(at: int) -> str:
        part = max(float(mean[found[at]]), 0)
        return (
            f"its boxes differ from their surroundings only {part:.0%} as much as usual: they may "
            "belong to another image"
        )

    images = judged[found].astype(np.int32)
    score = np.full(len(images), 110, np.float32)
    nowhere = np.full(len(images), -1, np.int64)
    return Hints("misplaced", "Boxes of another image?", images, nowhere, score, text)
