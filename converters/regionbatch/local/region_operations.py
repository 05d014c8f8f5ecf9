"""The operations on regions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from regionbatch import limits
from regionbatch.local import contract, rules
from regionbatch.local.bodies import decode_body
from regionbatch.local.calls import Result
from regionbatch.local.faults import Fault
from regionbatch.local.rules import RefusedError
from regionbatch.local.shared_operations import DOMAINS, SharedOperations, every_second

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.local.calls import Call
    from regionbatch.local.contract import ImageRegionCreateEntry
    from regionbatch.local.store import ProjectRow, RegionKey


class RegionOperations(SharedOperations):
    """The operations on regions."""

    def create_image_regions(self, call: Call) -> Result:
        """Store regions: each is created, duplicated or exceeded. One invalid region fails all."""
        project = self._writable_project_of(call)
        entries = _decode_regions(call, project)
        images, tags = self._usable_ids(project, entries)
        self._check_ids(entries, images, tags)
        if call.fault is Fault.SKIPPED:
            entries = every_second(entries)

        known = [
            entry
            for entry in entries
            if str(entry.image_id) in images and str(entry.tag_id) in tags
        ]
        new, duplicated, exceeded = self._classify(known, images)
        if duplicated and self.settings.on_existing == "refuse":
            raise RefusedError(400, "BadRequestImageRegions", "Image regions exist already")

        self.store.tag_images(dict.fromkeys((image, tag) for image, tag, *_ in new))
        created = self.store.add_regions(new)
        confirmed = every_second(created) if call.fault is Fault.UNCONFIRMED else created
        summary = contract.ImageRegionCreateSummary(
            created=self._nullable(self._shuffled([*map(self._created, confirmed)])),
            duplicated=self._nullable(self._shuffled(duplicated)),
            exceeded=self._nullable(self._shuffled(exceeded)),
        )
        return Result(summary, self._status(call, complete=len(created) == len(entries)))

    def _usable_ids(
        self, project: ProjectRow, entries: Sequence[ImageRegionCreateEntry]
    ) -> tuple[set[str], set[str]]:
        """Return the IDs of the images of the entries, and of all tags, that are not too new."""
        ids = {str(entry.image_id) for entry in entries}
        images = self.store.known_images(project.id, ids)
        tags = self.store.tag_types(project.id).keys()
        usable_images = self.usable.known_images(project.id, ids)
        return images & usable_images, tags & self.usable.tag_types(project.id).keys()

    def _created(self, region: contract.StoredRegion) -> contract.ImageRegionCreateResult:
        members = msgspec.structs.asdict(region)
        if not self.settings.tag_names:
            members["tag_name"] = None
        return contract.ImageRegionCreateResult(**members)

    def _classify(
        self, entries: Sequence[ImageRegionCreateEntry], images: set[str]
    ) -> tuple[list[RegionKey], list[ImageRegionCreateEntry], list[ImageRegionCreateEntry]]:
        """Return the regions to create, and the entries that are duplicated and exceeded."""
        stored = self.store.regions_on(images)
        existing = set() if self.settings.on_existing == "twice" else set(stored)
        count_of = Counter(image for image, *_ in stored)
        new: list[RegionKey] = []
        duplicated: list[ImageRegionCreateEntry] = []
        exceeded: list[ImageRegionCreateEntry] = []
        for entry in entries:
            key = rules.rounded_key(_key(entry), self.settings.stored_digits)
            image = key[0]
            if key in existing:
                duplicated.append(entry)
            elif count_of[image] >= self.settings.limits.regions_per_image:
                exceeded.append(entry)
            else:
                count_of[image] += 1
                new.append(key)
        return new, duplicated, exceeded

    def delete_image_regions(self, call: Call) -> Result:
        """Delete regions. An image loses a tag with the last region that has it."""
        project = self._writable_project_of(call).id
        regions = call.ids("regionIds", limits.REGIONS_PER_BATCH)
        if not regions:
            raise RefusedError(400, "BadRequestRequiredParamIsNull", "regionIds is missing")
        if len(self.store.known_regions(project, regions)) < len(regions):
            raise RefusedError(
                400, "BadRequestInvalidIds", "regionIds contains regions that do not exist"
            )
        self.store.delete_regions(regions)
        return Result(None, 204)

    def _check_ids(
        self, entries: Sequence[ImageRegionCreateEntry], images: set[str], tags: set[str]
    ) -> None:
        """Refuse unknown images and tags, as `Settings.unknown_ids` says."""
        unknown_images = {str(entry.image_id) for entry in entries} - images
        unknown_tags = {str(entry.tag_id) for entry in entries} - tags
        unknown = ", ".join(sorted(unknown_images | unknown_tags))
        if not unknown or self.settings.unknown_ids == "entry":
            return
        message = f"Unknown IDs: {unknown}"
        if self.settings.unknown_ids == "batch":
            raise RefusedError(400, "BadRequestInvalidIds", message)
        raise RefusedError(404, "NotFoundImage" if unknown_images else "NotFoundTag", message)


def _decode_regions(call: Call, project: ProjectRow) -> list[ImageRegionCreateEntry]:
    """Return the regions of a valid batch, rounded to 32-bit floats as the service stores them."""
    refusal = RefusedError(400, "BadRequestImageRegions", "No image regions provided")
    batch = decode_body(
        call.body, call.content_type, contract.ImageRegionCreateBatch, otherwise=refusal
    )
    entries = batch.regions or []
    boxes = rules.float32_boxes(entries)
    if not entries or np.isnan(boxes).any():
        raise refusal
    if len(entries) > limits.REGIONS_PER_BATCH:
        raise RefusedError(400, "BadRequestExceededBatchSize", "A batch takes at most 64 regions")
    if DOMAINS[project.domain].type != "ObjectDetection":
        raise RefusedError(
            400, "BadRequestNotSupported", "Only object detection projects can have regions"
        )
    if rules.invalid_boxes(boxes).any():
        raise RefusedError(
            400,
            "BadRequestImageRegions",
            "Invalid image region: outside the image, or without an area",
        )
    entries = [
        _with_box(entry, box)
        for entry, box in zip(entries, rules.shortest_decimals(boxes), strict=True)
    ]
    if len(set(map(_key, entries))) < len(entries):
        raise RefusedError(400, "BadRequestImageRegions", "Duplicate image regions")
    return entries


def _with_box(entry: ImageRegionCreateEntry, box: Sequence[float]) -> ImageRegionCreateEntry:
    left, top, width, height = box
    return contract.ImageRegionCreateEntry(
        image_id=entry.image_id, tag_id=entry.tag_id, left=left, top=top, width=width, height=height
    )


def _key(entry: ImageRegionCreateEntry) -> RegionKey:
    return str(entry.image_id), str(entry.tag_id), entry.left, entry.top, entry.width, entry.height
