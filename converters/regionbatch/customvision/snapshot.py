"""What a project contains: its images and regions as columns, read page by page or by image ID."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.errors import ServiceError, TransportError
from regionbatch.limits import IMAGES_PER_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.service_types import ServiceImage, ServiceRegion
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.findings import Progress

    Codes = NDArray[np.int32]
    Boxes = NDArray[np.float64]

_UNKNOWN_IMAGE_STATUSES = (400, 404)
"""The statuses that a service may use if it does not know an image ID."""


class RegionColumns(NamedTuple):
    """Regions as columns; n of them."""

    image: Codes
    """(n,), codes of image IDs; -1: the project does not have the image."""
    tag: Codes
    """(n,), codes of tag IDs; -1: the project does not have the tag."""
    box: Boxes
    """(n, 4), left, top, width, height; normalised to 0-1."""

    def take(self, rows: NDArray[np.int64]) -> RegionColumns:
        """Return some of the regions, by number."""
        return RegionColumns(self.image[rows], self.tag[rows], self.box[rows])


@dataclass(frozen=True, slots=True, eq=False)
class ProjectSnapshot:
    """The images and regions that a project had when it was read."""

    images: dict[str, int]
    """Codes by image ID."""
    tags: dict[str, int]
    """Codes by tag ID."""
    regions: RegionColumns

    def project_columns(self, batches: Batches) -> RegionColumns:
        """Return the regions of batches with the codes of the project."""
        regions = batches.regions
        image = _translate(regions.image, batches.image_ids, self.images)
        tag = _translate(regions.tag, batches.tag_ids, self.tags)
        return RegionColumns(image, tag, regions.box)

    def updated_with(self, newer: ProjectSnapshot) -> ProjectSnapshot:
        """Return this snapshot, with the images that a newer snapshot contains taken from there."""
        if not newer.images:
            return self
        images = dict(self.images)
        tags = dict(self.tags)
        new_image_codes = _add_ids(images, newer.images)
        new_tag_codes = _add_ids(tags, newer.tags)
        kept = self.regions.take(np.flatnonzero(~np.isin(self.regions.image, new_image_codes)))
        added = newer.regions
        regions = RegionColumns(
            np.concatenate([kept.image, new_image_codes[added.image]]),
            np.concatenate([kept.tag, new_tag_codes[added.tag]]),
            np.concatenate([kept.box, added.box]),
        )
        return ProjectSnapshot(images, tags, regions)


def _translate(codes: Codes, ids: Sequence[str], known: Mapping[str, int]) -> Codes:
    """Translate codes into those that another table has for the same IDs; -1: none."""
    used, position = np.unique(codes, return_inverse=True)
    translated = [known.get(ids[code], -1) for code in used.tolist()]
    return np.asarray(translated, np.int32)[position]


def _add_ids(codes: dict[str, int], ids: Iterable[str]) -> Codes:
    """Add IDs to a table, and return the code that each has there."""
    return np.asarray([codes.setdefault(id_, len(codes)) for id_ in ids], np.int32)


class SnapshotBuilder:
    """Collects images, page by page, into columns."""

    def __init__(self) -> None:
        """Start empty."""
        self._images: dict[str, int] = {}
        self._tags: dict[str, int] = {}
        no_codes = np.zeros(0, np.int32)
        self._parts = [RegionColumns(no_codes, no_codes, np.zeros((0, 4)))]

    def add(self, images: Iterable[ServiceImage]) -> bool:
        """Add a page, without images that were added before; return whether any was new."""
        count_before = len(self._images)
        image_codes: list[int] = []
        regions: list[ServiceRegion] = []
        for image in images:
            code = len(self._images)
            is_new = self._images.setdefault(image.id.lower(), code) == code
            if is_new and image.regions:
                image_codes += [code] * len(image.regions)
                regions += image.regions
        self._parts.append(as_columns(regions, image_codes, self._tags))
        return len(self._images) > count_before

    def snapshot(self) -> ProjectSnapshot:
        """Return what was collected."""
        image, tag, box = map(np.concatenate, zip(*self._parts, strict=True))
        return ProjectSnapshot(self._images, self._tags, RegionColumns(image, tag, box))


def as_columns(
    regions: Sequence[ServiceRegion], image_codes: Sequence[int], tags: dict[str, int]
) -> RegionColumns:
    """Return the regions of a response as columns.

    Args:
        regions: The regions.
        image_codes: The code of the image of each.
        tags: Codes by tag ID; IDs that are new are added.
    """
    tag_codes = [tags.setdefault(region.tag_id.lower(), len(tags)) for region in regions]
    boxes = [(region.left, region.top, region.width, region.height) for region in regions]
    return RegionColumns(
        np.asarray(image_codes, np.int32),
        np.asarray(tag_codes, np.int32),
        np.asarray(boxes, float).reshape(-1, 4),
    )


def read_project(
    session: ProjectSession, *, untagged: bool = True, progress: Progress | None = None
) -> ProjectSnapshot:
    """Read all images of a project with their regions.

    Args:
        session: The project.
        untagged: Whether to read the images without regions too.
        progress: Called after each page.

    Raises:
        ServiceError: The project cannot be read.
    """
    listings: list[tuple[str, Callable[[int], list[ServiceImage]]]] = [
        ("GetTaggedImages", session.tagged_images)
    ]
    if untagged:
        listings.append(("GetUntaggedImages", session.untagged_images))
    builder = SnapshotBuilder()
    count = 0
    for operation, listing in listings:
        skip = 0
        # A short page may only mean that the service returns fewer, so read until an empty one.
        while page := listing(skip):
            if not builder.add(page):
                raise TransportError(
                    f"{operation}: the listing repeats itself after {skip} images. Run it again."
                )
            skip += len(page)
            count += len(page)
            if progress:
                progress("reading the project", count, 0)
    return builder.snapshot()


def read_images(session: ProjectSession, ids: Sequence[str]) -> ProjectSnapshot:
    """Read some images with their regions, without those that the project does not have."""
    builder = SnapshotBuilder()
    for start in range(0, len(ids), IMAGES_PER_BATCH):
        builder.add(_images_by_id(session, ids[start : start + IMAGES_PER_BATCH]))
    return builder.snapshot()


def refresh_images(
    session: ProjectSession, snapshot: ProjectSnapshot, regions: Batches
) -> ProjectSnapshot:
    """Read the images of some regions again, by ID, because a listing may be out of date."""
    codes = np.unique(regions.regions.image).tolist()
    ids = [regions.image_ids[code] for code in codes]
    return snapshot.updated_with(read_images(session, ids))


def _images_by_id(session: ProjectSession, ids: Sequence[str]) -> list[ServiceImage]:
    """Return images by their IDs. If the service refuses unknown IDs, ask for fewer at a time."""
    try:
        return session.images_by_id(ids)
    except ServiceError as error:
        is_unknown = error.status in _UNKNOWN_IMAGE_STATUSES and error.code != "NotFoundProject"
        if not is_unknown:
            raise
    if len(ids) == 1:
        return []
    middle = len(ids) // 2
    return [*_images_by_id(session, ids[:middle]), *_images_by_id(session, ids[middle:])]
