"""Read the sizes of images from their files, and compare them with declared sizes.

If a declared size differs from the file's, or if EXIF rotates the image, the boxes may fit only one
of the two sizes, which shows where they were drawn. If they fit both, the size is doubtful.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.files.storage import image_sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.dataset import Images, PlacedAnnotations
    from regionbatch.findings import FindingLog

    Sizes = NDArray[np.int32]
    Mask = NDArray[np.bool_]

_TOLERANCE = 0.02
"""How far a box may extend beyond the image that it was drawn in, as a fraction of the side."""
_MUCH_SMALLER = 0.75
"""Fraction of the declared width or height up to which a file is much smaller than declared."""
_MANY_BOXES = 10
"""If at least this many boxes all fit much smaller files, it is not by chance."""


class _Files(NamedTuple):
    """The sizes in the files of m images, and the number of their boxes."""

    stored: Sizes
    """(m, 2), width and height in pixels; 0: unknown."""
    shown: Sizes
    """(m, 2), the same after EXIF rotation; read only where it matters."""
    number_of_boxes: NDArray[np.int64]
    """(m,), the number of boxes on each image. Without boxes, its size does not matter."""

    @property
    def has_boxes(self) -> Mask:
        """(m,), whether each image has boxes."""
        return self.number_of_boxes > 0


def report_absent(images: Images, log: FindingLog) -> None:
    """Report images that are not on disk, except those reported as ambiguous."""
    if all(images.paths):
        return
    ambiguous = set(log.names("ambiguous_image"))
    absent = np.flatnonzero(np.array(images.paths, np.object_) == "").astype(np.int32)
    if ambiguous:
        absent = absent[[images.names[row] not in ambiguous for row in absent.tolist()]]
    log.add("image_not_on_disk", absent, table=images.names)


def with_image_sizes(raw: PlacedAnnotations, log: FindingLog) -> PlacedAnnotations:
    """Return annotations whose images have a size: the declared one, or that of the file.

    A declared size is kept even if the file has another one, because the boxes were drawn in it.
    The exception is an image whose width and height are swapped and whose boxes fit only the file.
    If no size is declared, the stored size of the file is used. The exception is an image that EXIF
    rotates and whose boxes fit only the rotated image.

    Args:
        raw: The annotations; a size of 0 is not declared.
        log: Where differences are reported.
    """
    images = raw.images
    if not any(images.paths):
        return raw
    declared = np.stack([images.width, images.height], axis=1)
    count = np.zeros(len(images), np.int64)
    for block in boxes.blocks(len(raw)):
        np.add.at(count, raw.image[block], 1)
    files = _measure(images, declared, count, log)
    is_known = np.all(files.stored > 0, axis=1)
    is_declared = np.all(declared > 0, axis=1)
    missing = is_known & ~is_declared
    differs = is_known & is_declared & np.any(files.stored != declared, axis=1)
    rotated = missing & np.any(files.shown != files.stored, axis=1)
    size = np.where(missing[:, None], files.stored, declared)
    if differs.any() or rotated.any():
        extent = _extent(raw, differs | rotated)
        size = _judge_rotated(images, files, extent, rotated, size, log)
        size = _judge_declared(images, declared, files, extent, differs, size, log)
    return replace(raw, images=replace(images, width=size[:, 0], height=size[:, 1]))


def _measure(images: Images, declared: Sizes, count: NDArray[np.int64], log: FindingLog) -> _Files:
    """Read the sizes from the image files."""
    on_disk = [row for row, path in enumerate(images.paths) if path]
    stored = np.zeros((len(images), 2), np.int32)
    sizes = image_sizes(images.paths[row] for row in on_disk)
    for done, (row, size) in enumerate(zip(on_disk, sizes, strict=True)):
        if done % 1000 == 0:
            log.progress("measuring images", done, len(on_disk))
        stored[row] = size
    log.progress("measuring images", len(on_disk), len(on_disk))
    shown = stored.copy()
    swapped = np.all(stored[:, ::-1] == declared, axis=1)
    undeclared = np.any(declared <= 0, axis=1)
    is_known = np.all(stored > 0, axis=1)
    rows = np.flatnonzero((swapped | undeclared) & is_known).tolist()
    sizes = image_sizes((images.paths[row] for row in rows), exif_rotation=True)
    for row, rotated in zip(rows, sizes, strict=True):
        shown[row] = rotated if all(rotated) else stored[row]
    return _Files(stored, shown, count)


def _extent(raw: PlacedAnnotations, wanted: Mask) -> NDArray[np.float64]:
    """Return (m, 2), how far right and down the boxes of each image extend, in pixels.

    It is 0 for images that are not `wanted`, or whose boxes are not in pixels.
    """
    extent = np.zeros((len(raw.images), 2))
    if not raw.mode.absolute:
        return extent
    for block in boxes.blocks(len(raw)):
        image = raw.image[block]
        is_compared = wanted[image] & boxes.finite(raw.box[block])
        if raw.angle is not None:
            is_compared &= raw.angle[block] == 0
        box = raw.box[block][is_compared]
        with np.errstate(over="ignore"):
            ends = box[:, :2] + np.maximum(box[:, 2:], 0)
        if raw.mode.corners:
            ends = np.maximum(box[:, :2], box[:, 2:])
        np.maximum.at(extent, image[is_compared], ends)
    return extent


def _fits(extent: NDArray[np.float64], size: Sizes) -> Mask:
    fits: Mask = np.all(extent <= size * (1 + _TOLERANCE), axis=1)
    return fits


def _judge_rotated(
    images: Images,
    files: _Files,
    extent: NDArray[np.float64],
    rotated: Mask,
    size: Sizes,
    log: FindingLog,
) -> Sizes:
    """Choose and report the sizes of images without a declared size that EXIF rotates."""
    stored, shown = files.stored, files.shown
    fits_stored = _fits(extent, stored)
    fits_shown = _fits(extent, shown)
    only_shown = rotated & fits_shown & ~fits_stored
    unclear = rotated & (fits_stored == fits_shown) & files.has_boxes
    only_stored = rotated & ~only_shown & ~unclear
    wording = "{} x {} stored, {} x {} after EXIF rotation"
    _report(images, only_shown, stored, shown, wording + "; the latter is used", log)
    _report(images, only_stored, stored, shown, wording, log)
    _report(images, unclear, stored, shown, wording + "; boxes fit both", log, doubtful=True)
    return np.where(only_shown[:, None], shown, size)


def _judge_declared(
    images: Images,
    declared: Sizes,
    files: _Files,
    extent: NDArray[np.float64],
    differs: Mask,
    size: Sizes,
    log: FindingLog,
) -> Sizes:
    """Choose and report the sizes of images whose files have other sizes than declared.

    An exporter swaps width and height of all images or none: where boxes fit both sizes, the other
    images decide, but the size is doubtful. If the images disagree, all sizes are doubtful.
    """
    stored = files.stored
    fits_declared = _fits(extent, declared)
    fits_file = _fits(extent, stored)
    swapped = differs & np.all(declared == stored[:, ::-1], axis=1)
    only_file = swapped & fits_file & ~fits_declared
    only_declared = swapped & fits_declared & ~fits_file
    by_exif = swapped & np.all(files.shown == declared, axis=1) & ~only_file
    unclear = swapped & files.has_boxes & ~(only_file | only_declared | by_exif)
    as_others = unclear & bool(np.count_nonzero(only_file) > np.count_nonzero(only_declared))
    another_image = differs & ~swapped & fits_file & ~fits_declared
    images_disagree = bool(only_file.any() and only_declared.any())
    too_small = _fitting_too_well(declared, files, extent, differs & ~swapped)
    rest = differs & ~(only_file | by_exif | unclear | another_image | too_small)
    for rows, explanation, doubtful in (
        (only_file, "; the file's size is used", images_disagree),
        (by_exif, "; EXIF rotates it", False),
        (unclear & ~as_others, "; the boxes fit both", True),
        (as_others, "; the file's size is used", True),
        (another_image, "; perhaps another image", True),
        (too_small, "; all boxes fit both", True),
        (rest & only_declared & ~by_exif, "; boxes fit only the declared size", images_disagree),
        (rest & ~only_declared, "", False),
    ):
        wording = "{} x {} declared, {} x {} in the file" + explanation
        _report(images, rows, declared, stored, wording, log, doubtful=doubtful)
    return np.where((only_file | as_others)[:, None], stored, size)


def _fitting_too_well(
    declared: Sizes, files: _Files, extent: NDArray[np.float64], differs: Mask
) -> Mask:
    """Return the images whose files are much smaller than declared, if all their boxes still fit.

    If the boxes had been drawn before the images were scaled down, some would not fit.
    """
    is_smaller = np.any(files.stored <= declared * _MUCH_SMALLER, axis=1)
    has_extent = np.any(extent > 0, axis=1)
    smaller = differs & files.has_boxes & is_smaller & has_extent
    are_many = files.number_of_boxes[smaller].sum() >= _MANY_BOXES
    fit: Mask = smaller & bool(are_many and _fits(extent, files.stored)[smaller].all())
    return fit


def _report(
    images: Images,
    rows: Mask,
    first: Sizes,
    second: Sizes,
    wording: str,
    log: FindingLog,
    *,
    doubtful: bool = False,
) -> None:
    """Report that two sizes of some images differ."""
    numbers = np.flatnonzero(rows).astype(np.int32)
    both = np.hstack([first[numbers], second[numbers]])
    values = [wording.format(*row) for row in both.tolist()]
    log.add("size_mismatch", numbers, value=values, table=images.names, doubtful=doubtful)
