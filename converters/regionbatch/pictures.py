"""The size of pictures, from the first bytes of their files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from regionbatch.dataset import Images, RawAnnotations
    from regionbatch.findings import Report

EXTENSIONS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
        *(".avif", ".heic", ".heif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
"""What names of pictures end in; what a picture really is, its first bytes say."""


def size(path: str, *, turned: bool = False) -> tuple[int, int]:
    """Width and height in pixels as stored, or as turned by EXIF; (0, 0) if the file tells none."""
    import imagesize  # noqa: PLC0415 - it loads an HTTP client; label files need none

    try:
        width, height = imagesize.get(path, exif_rotation=turned)
    except Exception:  # noqa: BLE001 - a hostile picture may break the library in any way
        return 0, 0
    return (int(width), int(height)) if width > 0 and height > 0 else (0, 0)


def report_absent(images: Images, report: Report) -> None:
    """Say which images have no picture on disk."""
    absent = [row for row, path in enumerate(images.paths) if not path]
    report.add("image_not_on_disk", np.asarray(absent, np.int32), table=images.names)


def measured(raw: RawAnnotations, report: Report) -> RawAnnotations:
    """Annotations whose images have the size of their picture where none was declared; others are compared.

    A declared size is kept, since the boxes were drawn in it, even where the picture now has another. Where none is and
    EXIF turns the picture, nobody knows which way round the boxes were drawn: that is told.
    """
    images = raw.images
    on_disk = [row for row, path in enumerate(images.paths) if path]
    if not on_disk:
        return raw
    found = np.zeros((len(images), 2), np.int32)
    for done, row in enumerate(on_disk):
        if done % 1000 == 0:
            report.progress("measuring pictures", done, len(on_disk))
        found[row] = np.minimum(size(images.paths[row]), np.iinfo(np.int32).max)
    report.progress("measuring pictures", len(on_disk), len(on_disk))
    declared = np.stack([images.width, images.height], axis=1)
    known = np.all(found > 0, axis=1)
    missing = known & ~np.all(declared > 0, axis=1)
    differs = known & ~missing & np.any(found != declared, axis=1)
    turned = differs & np.all(found[:, ::-1] == declared, axis=1)
    for code, mask in (("size_transposed", turned), ("size_mismatch", differs & ~turned)):
        rows = np.flatnonzero(mask)
        sizes = zip(declared[rows].tolist(), found[rows].tolist(), strict=True)
        values = [f"{w} x {h} declared, {x} x {y} in the picture" for (w, h), (x, y) in sizes]
        report.add(code, rows.astype(np.int32), value=values, table=images.names)
    doubtful = {row: size(images.paths[row], turned=True) for row in np.flatnonzero(missing).tolist()}
    doubtful = {row: shown for row, shown in doubtful.items() if shown != tuple(found[row])}
    values = ["{} x {} stored, {} x {} as EXIF turns it".format(*found[row], *shown) for row, shown in doubtful.items()]
    report.add("size_transposed", np.asarray([*doubtful], np.int32), value=values, table=images.names)
    filled = np.where(np.expand_dims(missing, 1), found, declared)
    return replace(raw, images=replace(images, width=filled[:, 0], height=filled[:, 1]))
