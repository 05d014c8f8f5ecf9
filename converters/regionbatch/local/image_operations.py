"""The operations on images."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from regionbatch import limits
from regionbatch.local import contract, rules
from regionbatch.local.bodies import decode_body
from regionbatch.local.calls import Result
from regionbatch.local.faults import Fault
from regionbatch.local.rules import RefusedError
from regionbatch.local.shared_operations import DOMAINS, SharedOperations, every_second

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from regionbatch.local.calls import Call
    from regionbatch.local.contract import ImageFileCreateEntry
    from regionbatch.local.store import ProjectRow

TAGGING = ("All", "Tagged", "Untagged")


class _Upload(NamedTuple):
    """The result for one image of an upload."""

    name: str
    status: str
    image: str | None
    """The ID; None: the image was refused."""


class ImageOperations(SharedOperations):
    """The operations on images."""

    def create_images_from_files(self, call: Call) -> Result:
        """Store images. Each has its own status; bytes that are already stored keep their ID."""
        project = self._writable_project_of(call)
        batch = _decode_batch(call)
        common_tags = {str(tag) for tag in batch.tag_ids or ()}
        entries = batch.images or []
        _check_batch_size(entries, common_tags)
        if call.fault is Fault.SKIPPED:
            entries = every_second(entries)

        tag_types = self.store.tag_types(project.id)
        remaining = self.settings.limits.images - self.store.count_images(project.id, "All")
        uploads = []
        for entry in entries:
            tags = common_tags | _tags_of(entry)
            status, image = self._store_image(project, entry, tags, tag_types, remaining)
            if status == "OK":
                remaining -= 1
            uploads.append(_Upload(entry.name or "", status, image))

        successful = all(upload.status == "OK" for upload in uploads)
        confirmed = every_second(uploads) if call.fault is Fault.UNCONFIRMED else uploads
        summary = contract.ImageCreateSummary(
            is_batch_successful=successful, images=self._shuffled(self._upload_results(confirmed))
        )
        return Result(summary, self._status(call, complete=successful))

    def _upload_results(self, uploads: Sequence[_Upload]) -> list[contract.ImageCreateResult]:
        stored = self._images({upload.image for upload in uploads if upload.image})
        images = {image.id: image for image in stored}
        results = []
        for name, status, image_id in uploads:
            image: contract.Image | msgspec.UnsetType | None = None
            if image_id:
                image = images[image_id]
            elif not self.settings.nulls:
                image = msgspec.UNSET
            source_url = f'"{name}"' if self.settings.quoted_names else name
            results.append(
                contract.ImageCreateResult(source_url=source_url, status=status, image=image)
            )
        return results

    def get_images(self, call: Call) -> Result:
        """Return a page of all images; since v3.3."""
        return self._page(call, self._tagging_of(call))

    def get_tagged_images(self, call: Call) -> Result:
        """Return a page of the images with tags, or with any of some tags."""
        return self._page(call, "Tagged")

    def get_untagged_images(self, call: Call) -> Result:
        """Return a page of the images without tags."""
        return self._page(call, "Untagged")

    def get_images_by_ids(self, call: Call) -> Result:
        """Return images by their IDs, without those that do not exist."""
        project = self._project_of(call).id
        known = self.store.known_images(project, call.ids("imageIds", rules.MAX_IMAGE_IDS))
        return Result(self._shuffled(self._images(known)))

    def get_image_count(self, call: Call) -> Result:
        """Count all images; since v3.3."""
        return self._count(call, self._tagging_of(call))

    def get_tagged_image_count(self, call: Call) -> Result:
        """Count the images with tags, or with any of some tags."""
        return self._count(call, "Tagged")

    def get_untagged_image_count(self, call: Call) -> Result:
        """Count the images without tags."""
        return self._count(call, "Untagged")

    def delete_images(self, call: Call) -> Result:
        """Delete images with their regions. With allImages or allIterations, the status is 202."""
        project = self._writable_project_of(call).id
        images = call.ids("imageIds", rules.MAX_IMAGE_IDS)
        all_images = call.flag("allImages")
        if all_images == bool(images):
            raise RefusedError(
                400, "BadRequestRequiredParamIsNull", "Give either imageIds or allImages=true"
            )
        self.store.delete_images(project, None if all_images else images)
        return Result(None, 202 if all_images or call.flag("allIterations") else 204)

    def _images(self, ids: Iterable[str]) -> list[contract.Image]:
        """Return images, with tags and regions in random order; empty lists follow `nulls`."""
        images = []
        for image in self.store.images(list(ids)):
            tags = self._nullable(image.tags or [])
            regions = self._nullable(image.regions or [])
            images.append(msgspec.structs.replace(image, tags=tags, regions=regions))
        return images

    def _tagging_of(self, call: Call) -> str:
        if call.query.get("$filter"):
            raise RefusedError(
                400, "BadRequestNotSupported", "This service stores no metadata to filter by"
            )
        return call.choice("taggingStatus", TAGGING, "All")

    def _page(self, call: Call, tagging: str) -> Result:
        project = self._project_of(call).id
        tags = call.ids("tagIds", rules.MAX_TAGS) if tagging != "Untagged" else []
        order = call.choice("orderBy", ("Newest", "Oldest"), "Newest")
        take = call.number("take", rules.DEFAULT_TAKE, limits.IMAGES_PER_PAGE)
        skip = call.number("skip", 0)
        ids = self.store.page(project, tagging, tags, order=order, take=take, skip=skip)
        return Result(self._images(ids))

    def _count(self, call: Call, tagging: str) -> Result:
        tags = call.ids("tagIds") if tagging != "Untagged" else []
        return Result(self.store.count_images(self._project_of(call).id, tagging, tags))

    def _store_image(
        self,
        project: ProjectRow,
        entry: ImageFileCreateEntry,
        tags: set[str],
        tag_types: dict[str, str],
        remaining: int,
    ) -> tuple[str, str | None]:
        """Store an image of an upload with its tags and regions.

        Args:
            project: The project.
            entry: The image.
            tags: The tags of the image and its regions.
            tag_types: The type of each tag of the project.
            remaining: How many images the project still accepts.

        Returns:
            The status, and the ID; None: the image was refused.
        """
        status, width, height = rules.check_image(entry.contents, self.settings.limits)
        if status != "OK":
            return status, None
        digest = hashlib.sha256(entry.contents or b"").digest()
        existing = self.store.image_with(project.id, digest)
        if existing:
            return "OKDuplicate", existing
        regions = entry.regions or []
        boxes = rules.float32_boxes(regions)
        status = self._check_annotations(project, tags, tag_types, boxes)
        if status == "OK" and remaining <= 0:
            status = "ErrorLimitExceed"
        if status != "OK":
            return status, None
        image = self.store.add_image(project.id, digest, width, height)
        self.store.tag_images({(image, tag) for tag in tags})
        rows = zip(regions, boxes.tolist(), strict=True)
        self.store.add_regions([(image, str(region.tag_id), *box) for region, box in rows])
        return "OK", image

    def _check_annotations(
        self,
        project: ProjectRow,
        tags: set[str],
        tag_types: dict[str, str],
        boxes: NDArray[np.float32],
    ) -> str:
        """Return the status of the tags and regions of an image."""
        if not tags <= tag_types.keys():
            return "ErrorInvalidTag"
        if {"Regular", "Negative"} <= {tag_types[tag] for tag in tags}:
            return "ErrorNegativeAndRegularTagOnSameImage"
        takes_regions = DOMAINS[project.domain].type == "ObjectDetection"
        if len(boxes) and (not takes_regions or rules.invalid_boxes(boxes).any()):
            return "ErrorInvalidRegion"
        if len(boxes) > self.settings.limits.regions_per_image:
            return "ErrorRegionLimitExceed"
        return "OK"


def _decode_batch(call: Call) -> contract.ImageFileCreateBatch:
    refusal = RefusedError(400, "BadRequestImageBatch", "No images provided")
    batch = decode_body(
        call.body, call.content_type, contract.ImageFileCreateBatch, otherwise=refusal
    )
    if not batch.images:
        raise refusal
    return batch


def _check_batch_size(entries: Sequence[ImageFileCreateEntry], common_tags: set[str]) -> None:
    tags = common_tags.union(*map(_tags_of, entries))
    if len(entries) > limits.IMAGES_PER_BATCH or len(tags) > rules.MAX_TAGS:
        raise RefusedError(
            400, "BadRequestExceededBatchSize", "A batch takes at most 64 images and 20 tags"
        )


def _tags_of(entry: ImageFileCreateEntry) -> set[str]:
    tags = {str(tag) for tag in entry.tag_ids or ()}
    return tags.union(str(region.tag_id) for region in entry.regions or ())
