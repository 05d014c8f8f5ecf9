"""Which image each finding is about, so that the report can show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.boxes import hash_keys
from regionbatch.findings.codes import CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.findings.finding import FindingGroup
    from regionbatch.findings.text import Place
    from regionbatch.html_report.source import Codes, Rows, Source

_FOLDERS = {"images", "jpegimages", "labels", "annotations"}


@dataclass(frozen=True)
class PlacedFindings:
    """Findings of one code, with the image of each."""

    group: FindingGroup
    severity: str
    image: Codes
    """(k,), the image of each finding; -1: none, or the image is not known."""


def place_findings(source: Source) -> list[PlacedFindings]:
    """Return all findings with their images."""
    places = _Places(source)
    placed = []
    for group in source.findings.groups:
        if len(group):
            severity = CODES[group.code].severity
            if group.doubtful and severity == "info":
                severity = "warning"
            placed.append(PlacedFindings(group, severity, places.images_of(group)))
    return placed


class _Places:
    """Looks up images by the places of boxes, by files and by names."""

    def __init__(self, source: Source) -> None:
        self._source = source
        regions, originals = source.regions, source.originals
        self._file = np.concatenate([regions.file, originals.file])
        self._where = np.concatenate([regions.where, originals.where])
        self._image = np.concatenate([regions.image, originals.image])
        self._sorted: tuple[Rows, Rows] | None = None
        self._of_file: Codes | None = None

    def images_of(self, group: FindingGroup) -> Codes:
        """Return the image of each finding of a group; -1: unknown."""
        file = np.asarray(group.file, np.int32)
        if group.table is not self._source.dataset.findings.files:
            return self._by_name(group, file)
        image = np.full(len(file), -1, np.int32)
        at = np.flatnonzero(self._has_boxes_at(group.place)[file])
        image[at] = self._by_place(file[at], np.asarray(group.where, np.int64)[at])
        unknown = image < 0
        if unknown.any():
            image[unknown] = self._by_file(file[unknown])
        return image

    def _has_boxes_at(self, place: Place) -> NDArray[np.bool_]:
        """Return for each file whether the `where` of its boxes is this kind of place."""
        places = self._source.regions.places(len(self._source.dataset.findings.files))
        return np.array([one == place for one in places], np.bool_)

    def _by_name(self, group: FindingGroup, file: Codes) -> Codes:
        used, position = np.unique(file, return_inverse=True)
        known = self._source.image_of_name
        found = [known.get(group.table[code], -1) for code in used.tolist()]
        return np.asarray(found, np.int32)[position]

    def _by_place(self, file: Codes, where: Rows) -> Codes:
        if self._sorted is None:
            keys = _keys(self._file, self._where)
            order = np.argsort(keys, kind="stable")
            self._sorted = keys[order], order
        keys, order = self._sorted
        if not len(keys):
            return np.full(len(file), -1, np.int32)
        wanted = _keys(file, where)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, self._image[order[at]], -1).astype(np.int32)

    def _by_file(self, file: Codes) -> Codes:
        """Return the images of files that are about one image only."""
        if self._of_file is None:
            count = len(self._source.dataset.findings.files)
            self._of_file = np.full(count, -1, np.int32)
            self._of_file[self._file] = self._image
            several = self._of_file[self._file] != self._image
            self._of_file[self._file[several]] = -1
            self._add_files_without_boxes(self._of_file)
        return self._of_file[file]

    def _add_files_without_boxes(self, of_file: Codes) -> None:
        """Find the images of label files whose boxes were all dropped while they were read."""
        files = self._source.dataset.findings.files
        empty = np.setdiff1d(np.arange(len(files)), self._file).tolist()
        images: dict[tuple[str, ...], int] = {}
        for image, name in enumerate(self._source.images.names if empty else ()):
            parts = _label_parts(name)
            images[parts] = -1 if parts in images else image
        for code in empty:
            of_file[code] = images.get(_label_parts(files[code]), -1)


def _label_parts(path: str) -> tuple[str, ...]:
    """Return what a label file and its image have in common: `train/images/a.jpg` is `train, a`."""
    folder, stem = PurePosixPath(path).parent, PurePosixPath(path).stem
    return (*(part for part in folder.parts if part.lower() not in _FOLDERS), stem)


def _keys(file: Codes, where: Rows) -> Rows:
    columns = np.stack([file.astype(np.uint64), where.astype(np.uint64)], axis=1)
    return hash_keys(columns).astype(np.int64)
