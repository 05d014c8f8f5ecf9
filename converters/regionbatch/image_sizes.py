"""The size of images: taken from their files where none is declared, compared where one is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.files.image_headers import image_size

if TYPE_CHECKING:
    from regionbatch.dataset import Images, PlacedAnnotations
    from regionbatch.findings import FindingLog


def report_absent(images: Images, log: FindingLog) -> None:
    """Report images without a file, but for those that several files may be."""
    reported = set(log.names("ambiguous_image"))
    absent = [row for row, path in enumerate(images.paths) if not path and images.names[row] not in reported]
    log.add("image_not_on_disk", np.asarray(absent, np.int32), table=images.names)


def measured(raw: PlacedAnnotations, log: FindingLog) -> PlacedAnnotations:
    """Return annotations whose images have the size of their file where none was declared; others are compared.

    A declared size is kept, since the boxes were drawn in it, even where the file now has another. Where none is
    declared and EXIF rotates the image, it is unknown which way round the boxes were drawn: that is reported.
    """
    images = raw.images
    on_disk = [row for row, path in enumerate(images.paths) if path]
    if not on_disk:
        return raw
    found = np.zeros((len(images), 2), np.int32)
    for done, row in enumerate(on_disk):
        if done % 1000 == 0:
            log.progress("measuring images", done, len(on_disk))
        found[row] = np.minimum(image_size(images.paths[row]), np.iinfo(np.int32).max)
    log.progress("measuring images", len(on_disk), len(on_disk))
    declared = np.stack([images.width, images.height], axis=1)
    known = np.all(found > 0, axis=1)
    missing = known & ~np.all(declared > 0, axis=1)
    differs = known & ~missing & np.any(found != declared, axis=1)
    rows = np.flatnonzero(differs)
    sizes = zip(declared[rows].tolist(), found[rows].tolist(), strict=True)
    values = [f"{w} x {h} declared, {x} x {y} in the file" + _swapped((w, h), (x, y)) for (w, h), (x, y) in sizes]
    log.add("size_mismatch", rows.astype(np.int32), value=values, table=images.names)
    doubtful = {row: image_size(images.paths[row], exif_rotation=True) for row in np.flatnonzero(missing).tolist()}
    doubtful = {row: shown for row, shown in doubtful.items() if shown != tuple(found[row])}
    values = [
        "{} x {} stored, {} x {} as EXIF rotates it".format(*found[row], *shown) for row, shown in doubtful.items()
    ]
    log.add("size_mismatch", np.asarray([*doubtful], np.int32), value=values, table=images.names)
    filled = np.where(np.expand_dims(missing, 1), found, declared)
    return replace(raw, images=replace(images, width=filled[:, 0], height=filled[:, 1]))


def _swapped(declared: tuple[int, int], found: tuple[int, int]) -> str:
    return " (swapped; rotated by EXIF?)" if declared == found[::-1] else ""
