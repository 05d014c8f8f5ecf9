"""What a project contains: its images and regions as columns, read page by page or by image ID."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.customvision.stored_names import StoredName
from regionbatch.errors import ServiceError, TransportError
from regionbatch.limits import IMAGES_PER_BATCH, IMAGES_PER_PAGE
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.service_types import ServiceImage, ServiceRegion
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.findings import Progress

    Codes = NDArray[np.int32]
    Boxes = NDArray[np.float64]

NO_IMAGE = np.int32(-2)
"""The code of an image without regions of the dataset."""
_MAX_READS = 3
"""How often a listing is read if its rows move meanwhile."""
_MAX_REPEATED_PAGES = 8
"""Pages in a row without a new image after which a listing counts as endless."""
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
    names: dict[str, StoredName] = field(default_factory=dict)
    """Names by image ID, for images whose metadata has one."""

    def project_columns(self, batches: Batches) -> RegionColumns:
        """Return the regions of batches with the codes of the project."""
        regions = batches.regions
        image = _translate(regions.image, batches.image_ids, self.images)
        tag = _translate(regions.tag, batches.tag_ids, self.tags)
        return RegionColumns(image, tag, regions.box)

    def image_ids_at(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the IDs of the images of some of its regions."""
        ids = [*self.images]
        return [ids[code] for code in np.unique(self.regions.image[rows]).tolist()]

    def regions_on_images_of(self, other: ProjectSnapshot) -> RegionColumns:
        """Return the regions on images that another snapshot has too, with its codes."""
        codes = [self.images[id_] for id_ in other.images if id_ in self.images]
        regions = self.regions.take(np.flatnonzero(np.isin(self.regions.image, codes)))
        image = _translate(regions.image, [*self.images], other.images)
        tag = _translate(regions.tag, [*self.tags], other.tags)
        return RegionColumns(image, tag, regions.box)

    def updated_with(self, newer: ProjectSnapshot) -> ProjectSnapshot:
        """Return this snapshot, with the images of a newer snapshot in place of its own."""
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
        return ProjectSnapshot(images, tags, regions, {**self.names, **newer.names})


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

    def __init__(self, *, keep_region_ids: bool = False) -> None:
        """Start empty."""
        self.region_ids: list[str] = []
        """The ID of each region of the snapshot, if they are kept."""
        self._keeps_region_ids = keep_region_ids
        self._images: dict[str, int] = {}
        self._tags: dict[str, int] = {}
        self._names: dict[str, StoredName] = {}
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
            if name := StoredName.of(image.metadata):
                self._names[image.id.lower()] = name
            if is_new and image.regions:
                image_codes += [code] * len(image.regions)
                regions += image.regions
        self._parts.append(as_columns(regions, image_codes, self._tags))
        if self._keeps_region_ids:
            self.region_ids += [region.region_id for region in regions]
        return len(self._images) > count_before

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def snapshot(self) -> ProjectSnapshot:
        """Return what was collected."""
        image, tag, box = map(np.concatenate, zip(*self._parts, strict=True))
        return ProjectSnapshot(
            self._images, self._tags, RegionColumns(image, tag, box), self._names
        )


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
    earlier: set[str] = set()
    for _ in range(_MAX_READS):
        reader = _ListingReader(progress)
        for operation, listing in listings:
            reader.read(operation, listing)
        snapshot = reader.builder.snapshot()
        if not reader.has_moved_rows:
            return snapshot
        earlier |= snapshot.images.keys()
    # Somebody keeps changing the project: images that the last listing lacks are read by ID.
    return snapshot.updated_with(read_images(session, sorted(earlier - snapshot.images.keys())))


class _ListingReader:
    """Reads listings page by page, and notices rows that move while it reads.

    When somebody tags, untags or deletes an image, the rows after it move by one: a page then
    repeats a row, or skips one. So each page starts with the last row of the page before it.
    """

    def __init__(self, progress: Progress | None) -> None:
        self.builder = SnapshotBuilder()
        self.has_moved_rows = False
        self._progress = progress
        self._count = 0

    def read(self, operation: str, listing: Callable[[int], list[ServiceImage]]) -> None:
        """Read a listing.

        Raises:
            TransportError: It does not end.
        """
        skip = 0
        last = ""
        repeated_pages = 0
        # A short page may only mean that the service returns fewer, so read until an empty one.
        while page := listing(skip):
            rows = page[1:] if page[0].id == last else page
            self.has_moved_rows = self.has_moved_rows or (bool(last) and len(rows) == len(page))
            if not rows:
                return
            repeated_pages = 0 if self.builder.add(rows) else repeated_pages + 1
            if repeated_pages == _MAX_REPEATED_PAGES:
                raise TransportError(
                    f"{operation}: the listing repeats itself after "
                    f"{counted(len(self.builder), 'image')}. Try again when the project is not "
                    "being changed."
                )
            self._count += len(rows)
            if self._progress:
                self._progress("reading the project", self._count, 0)
            skip += len(page)
            last = ""
            if len(page) > 1:
                skip -= 1
                last = page[-1].id
        self.has_moved_rows = self.has_moved_rows or bool(last)


def pages_of(image_count: int) -> int:
    """Return how many calls read a listing: each page repeats a row, and the last has no other."""
    if not image_count:
        return 1
    return 2 + max(0, -(-(image_count - IMAGES_PER_PAGE) // (IMAGES_PER_PAGE - 1)))


def read_images(session: ProjectSession, ids: Sequence[str]) -> ProjectSnapshot:
    """Read some images with their regions, without those that the project does not have."""
    return read_images_with_ids(session, ids)[0]


def read_images_with_ids(
    session: ProjectSession, ids: Sequence[str]
) -> tuple[ProjectSnapshot, list[str]]:
    """Read images as `read_images` does, and return the ID of each of their regions too."""
    builder = SnapshotBuilder(keep_region_ids=True)
    for start in range(0, len(ids), IMAGES_PER_BATCH):
        builder.add(_images_by_id(session, ids[start : start + IMAGES_PER_BATCH]))
    return builder.snapshot(), builder.region_ids


def refresh_images(
    session: ProjectSession, snapshot: ProjectSnapshot, regions: Batches
) -> ProjectSnapshot:
    """Read the images of some regions again, by ID, because a listing may be out of date."""
    return snapshot.updated_with(read_images(session, image_ids_of(regions)))


def image_ids_of(regions: Batches) -> list[str]:
    """Return the IDs of the images that regions are on."""
    codes = np.unique(regions.regions.image).tolist()
    return [regions.image_ids[code] for code in codes]


def await_images(
    session: ProjectSession,
    snapshot: ProjectSnapshot,
    outdated: Callable[[ProjectSnapshot], Sequence[str]],
    *,
    elapsed: float = 0.0,
) -> ProjectSnapshot:
    """Read images again until they show what was written, for up to a minute.

    Args:
        session: The project.
        snapshot: What the project contained when it was read.
        outdated: Returns the IDs of the images that do not yet show what was written.
        elapsed: Seconds since the last write.
    """
    limiter = session.rate_limiter
    for wait in (0.0, *limiter.settle_waits(elapsed=elapsed)):
        ids = outdated(snapshot)
        if not ids:
            break
        count = counted(len(ids), "image")
        reason = f"the project may not be up to date yet ({count}); reading again in {wait:.0f} s"
        limiter.wait(reason, wait)
        snapshot = snapshot.updated_with(read_images(session, ids))
    return snapshot


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
