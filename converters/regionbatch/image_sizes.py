"""The size of images: taken from their files where none is declared, compared where one is.

Where a declared size is not the file's, or EXIF rotates the image, the boxes can tell which one they were drawn in:
they may fit only one of the two. Where they do not tell, it is a doubt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.files.image_headers import image_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from regionbatch.dataset import Images, PlacedAnnotations
    from regionbatch.findings import FindingLog

    Sizes = NDArray[np.int32]
    Mask = NDArray[np.bool_]

_SLACK = 0.02
"""Share of a side by which a box may reach over the edge of the image that it was drawn in."""
_SMALLER, _MANY = 0.75, 10
"""Where files have at most this share of a declared side, and so many boxes all lie within them, that is no chance."""


class _Files(NamedTuple):
    """What the files of m images say, (m, 2), and the boxes of these images."""

    stored: Sizes
    """Width and height; 0: unknown."""
    shown: Sizes
    """The same as EXIF rotates the image; read only where it matters."""
    number_of_boxes: NDArray[np.int64]
    """(m,), how many boxes there are; without any, no size matters."""

    @property
    def boxed(self) -> Mask:
        """(m,), whether there are boxes."""
        return self.number_of_boxes > 0


def report_absent(images: Images, log: FindingLog) -> None:
    """Report images without a file, but for those that several files may be."""
    reported = set(log.names("ambiguous_image"))
    absent = [row for row, path in enumerate(images.paths) if not path and images.names[row] not in reported]
    log.add("image_not_on_disk", np.asarray(absent, np.int32), table=images.names)


def measured(raw: PlacedAnnotations, log: FindingLog) -> PlacedAnnotations:
    """Return annotations whose images have a size: the declared one, or that of the file.

    A declared size is kept, since the boxes were drawn in it, even where the file now has another; unless width and
    height are swapped and the boxes fit the file only. Where none is declared, the file's counts as it is stored;
    unless EXIF rotates the image and the boxes fit only that.
    """
    images = raw.images
    if not any(images.paths):
        return raw
    declared = np.stack([images.width, images.height], axis=1)
    count = np.bincount(raw.image, minlength=len(images))
    files = _measure(images, declared, count, log)
    known, said = np.all(files.stored > 0, axis=1), np.all(declared > 0, axis=1)
    missing, differs = known & ~said, known & said & np.any(files.stored != declared, axis=1)
    turned = missing & np.any(files.shown != files.stored, axis=1)
    size = np.where(missing[:, None], files.stored, declared)
    if differs.any() or turned.any():
        reach = _reach(raw, differs | turned)
        size = _judge_turned(images, files, reach, turned, size, log)
        size = _judge_declared(images, declared, files, reach, differs, size, log)
    return replace(raw, images=replace(images, width=size[:, 0], height=size[:, 1]))


def _measure(images: Images, declared: Sizes, count: NDArray[np.int64], log: FindingLog) -> _Files:
    """Read the sizes of the image files."""
    on_disk = [row for row, path in enumerate(images.paths) if path]
    stored = np.zeros((len(images), 2), np.int32)
    for done, row in enumerate(on_disk):
        if done % 1000 == 0:
            log.progress("measuring images", done, len(on_disk))
        stored[row] = image_size(images.paths[row])
    log.progress("measuring images", len(on_disk), len(on_disk))
    shown = stored.copy()
    swapped = np.all(stored[:, ::-1] == declared, axis=1) | np.any(declared <= 0, axis=1)
    for row in np.flatnonzero(swapped & np.all(stored > 0, axis=1)).tolist():
        rotated = image_size(images.paths[row], exif_rotation=True)
        shown[row] = rotated if all(rotated) else stored[row]
    return _Files(stored, shown, count)


def _reach(raw: PlacedAnnotations, wanted: Mask) -> NDArray[np.float64]:
    """Return how far to the right and down the boxes of images reach, in pixels; 0: not known, or not wanted."""
    reach = np.zeros((len(raw.images), 2))
    rows = np.flatnonzero(wanted[raw.image] & boxes.finite(raw.box)) if raw.mode.absolute else np.zeros(0, np.int64)
    if raw.angle is not None:
        rows = rows[raw.angle[rows] == 0]
    box = raw.box[rows]
    with np.errstate(over="ignore"):
        ends = np.maximum(box[:, :2], box[:, 2:]) if raw.mode.corners else box[:, :2] + np.maximum(box[:, 2:], 0)
    np.maximum.at(reach, raw.image[rows], ends)
    return reach


def _fits(reach: NDArray[np.float64], size: Sizes) -> Mask:
    fits: Mask = np.all(reach <= size * (1 + _SLACK), axis=1)
    return fits


def _judge_turned(
    images: Images, files: _Files, reach: NDArray[np.float64], turned: Mask, size: Sizes, log: FindingLog
) -> Sizes:
    """Choose and report the size of images that declare none and that EXIF rotates."""
    stored, shown = _fits(reach, files.stored), _fits(reach, files.shown)
    wording = "{} x {} stored, {} x {} as EXIF rotates it"
    only_shown = turned & shown & ~stored
    _report(images, only_shown, files.stored, files.shown, wording + "; the latter is taken", log)
    open_ = turned & (stored == shown) & files.boxed
    _report(images, turned & ~only_shown & ~open_, files.stored, files.shown, wording, log)
    _report(images, open_, files.stored, files.shown, wording + "; boxes fit both", log, doubtful=True)
    return np.where(only_shown[:, None], files.shown, size)


def _judge_declared(
    images: Images,
    declared: Sizes,
    files: _Files,
    reach: NDArray[np.float64],
    differs: Mask,
    size: Sizes,
    log: FindingLog,
) -> Sizes:
    """Choose and report the size of images whose file has another than the declared one.

    An exporter that swaps width and height does so always: where the boxes of an image fit both, those of the other
    images count, but it stays a doubt; so does all where some images say this and others that. Where EXIF rotates the
    image to the declared size, that is why.
    """
    fits, fits_file = _fits(reach, declared), _fits(reach, files.stored)
    swapped = differs & np.all(declared == files.stored[:, ::-1], axis=1)
    only_file, only_declared = swapped & fits_file & ~fits, swapped & fits & ~fits_file
    by_exif = swapped & np.all(files.shown == declared, axis=1) & ~only_file
    open_ = swapped & files.boxed & ~(only_file | only_declared | by_exif)
    others = open_ & bool(np.count_nonzero(only_file) > np.count_nonzero(only_declared))
    strange = differs & ~swapped & fits_file & ~fits
    mixed = bool(only_file.any() and only_declared.any())
    fitting = _fitting_too_well(declared, files, reach, differs & ~swapped)
    rest = differs & ~(only_file | by_exif | open_ | strange | fitting)
    for rows, more, doubtful in (
        (only_file, "; swapped, the file's is taken", mixed),
        (by_exif, "; swapped by EXIF", False),
        (open_ & ~others, "; swapped, boxes fit both", True),
        (others, "; swapped, the file's is taken", True),
        (strange, "; another image?", True),
        (fitting, "; all boxes fit both", True),
        (rest & only_declared & ~by_exif, "; swapped, boxes fit the declared", mixed),
        (rest & ~only_declared, "", False),
    ):
        wording = "{} x {} declared, {} x {} in the file" + more
        _report(images, rows, declared, files.stored, wording, log, doubtful=doubtful)
    return np.where((only_file | others)[:, None], files.stored, size)


def _fitting_too_well(declared: Sizes, files: _Files, reach: NDArray[np.float64], differs: Mask) -> Mask:
    """Return the images whose files are much smaller than declared, if all of their boxes fit the files nevertheless.

    Of boxes that were drawn in a larger image, before it was scaled down, some would not.
    """
    smaller = differs & files.boxed & np.any(files.stored <= declared * _SMALLER, axis=1) & np.any(reach > 0, axis=1)
    many = files.number_of_boxes[smaller].sum() >= _MANY
    fit: Mask = smaller & bool(many and _fits(reach, files.stored)[smaller].all())
    return fit


def _report(
    images: Images, rows: Mask, first: Sizes, second: Sizes, wording: str, log: FindingLog, *, doubtful: bool = False
) -> None:
    """Report a mismatch of two sizes of some images."""
    numbers = np.flatnonzero(rows)
    sizes: Iterable[tuple[list[int], list[int]]] = zip(first[numbers].tolist(), second[numbers].tolist(), strict=True)
    values = [wording.format(*one, *other) for one, other in sizes]
    log.add("size_mismatch", numbers.astype(np.int32), value=values, table=images.names, doubtful=doubtful)
