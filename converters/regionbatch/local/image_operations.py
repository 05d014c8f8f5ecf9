"""The operations on images."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from regionbatch import limits
from regionbatch.local import contract, rules
from regionbatch.local.bodies import decode_body
from regionbatch.local.calls import Result
from regionbatch.local.faults import Fault
from regionbatch.local.image_sources import fetch_images
from regionbatch.local.rules import RefusedError
from regionbatch.local.shared_operations import DOMAINS, SharedOperations, every_second
from regionbatch.local.store import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from regionbatch.local.calls import Call
    from regionbatch.local.rules import ImageFile
    from regionbatch.local.settings import Limits, SourceUrl
    from regionbatch.local.store import ProjectRow, RegionKey, Store

    Batch = contract.ImageFileCreateBatch | contract.ImageUrlCreateBatch
    Entry = contract.ImageFileCreateEntry | contract.ImageUrlCreateEntry

B = TypeVar("B", contract.ImageFileCreateBatch, contract.ImageUrlCreateBatch)
TAGGING = ("All", "Tagged", "Untagged")
METADATA_FILTER = re.compile(r"metadata=(?P<key>\S+) eq '(?P<value>(?:[^']|'')*)'")
SPELLING_OF_FAULT: dict[Fault | None, SourceUrl] = {
    Fault.NAMELESS: "null",
    Fault.RENAMED: "renamed",
}


class _Source(NamedTuple):
    """An image to upload."""

    name: str
    """Its name or URL."""
    entry: Entry
    file: ImageFile


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
        batch = _decode_batch(call, contract.ImageFileCreateBatch)
        limits_ = self.settings.limits
        sources = [
            _Source(entry.name or "", entry, rules.inspect_image(entry.contents, limits_))
            for entry in batch.images or ()
        ]
        return self._create_images(call, project, batch, sources)

    def create_images_from_urls(self, call: Call) -> Result:
        """Store the images that were fetched from URLs, with the same rules."""
        project = self._writable_project_of(call)
        batch = _decode_batch(call, contract.ImageUrlCreateBatch)
        sources = [
            _Source(entry.url, entry, call.sources[entry.url]) for entry in batch.images or ()
        ]
        return self._create_images(call, project, batch, sources)

    def _create_images(
        self, call: Call, project: ProjectRow, batch: Batch, sources: Sequence[_Source]
    ) -> Result:
        metadata = batch.metadata if _has_metadata(call) else None
        rules.check_metadata(metadata or {})
        common_tags = _common_tags(batch)
        if call.fault is Fault.SKIPPED:
            sources = every_second(sources)

        tag_types = self.store.tag_types(project.id)
        remaining = self.settings.limits.images - self.store.count_images(Selection(project.id))
        uploads = []
        for source in sources:
            tags = common_tags | _tags_of(source.entry)
            status, image = self._store_image(project, source, tags, tag_types, remaining)
            if status == "OK":
                remaining -= 1
            uploads.append(_Upload(source.name, status, image))

        new_images = [upload.image for upload in uploads if upload.image and upload.status == "OK"]
        self.store.add_metadata(new_images, metadata or {})
        successful = len(new_images) == len(uploads)
        confirmed = every_second(uploads) if call.fault is Fault.UNCONFIRMED else uploads
        results = self._upload_results(call, project, confirmed)
        summary = contract.ImageCreateSummary(
            is_batch_successful=successful, images=self._shuffled(results)
        )
        return Result(summary, self._status(call, complete=successful))

    def _upload_results(
        self, call: Call, project: ProjectRow, uploads: Sequence[_Upload]
    ) -> list[contract.ImageCreateResult]:
        ids = {upload.image for upload in uploads if upload.image}
        images = {image.id: image for image in self._images(call, project, self.store, ids)}
        return [
            contract.ImageCreateResult(
                source_url=self._source_url(call, upload.name),
                status=upload.status,
                image=images[upload.image] if upload.image else None,
            )
            for upload in uploads
        ]

    def _source_url(self, call: Call, name: str) -> str | None:
        spelling = SPELLING_OF_FAULT.get(call.fault, self.settings.source_url)
        url = source_url(name, spelling)
        return f'"{url}"' if self.settings.quoted_names and url is not None else url

    def get_images(self, call: Call) -> Result:
        """Return a page of all images; since v3.3."""
        return self._page(call, _tagging_of(call))

    def get_tagged_images(self, call: Call) -> Result:
        """Return a page of the images with tags, or with any of some tags."""
        return self._page(call, "Tagged")

    def get_untagged_images(self, call: Call) -> Result:
        """Return a page of the images without tags."""
        return self._page(call, "Untagged")

    def get_images_by_ids(self, call: Call) -> Result:
        """Return images by their IDs, without those that do not exist."""
        project = self._project_of(call)
        asked = call.ids("imageIds", rules.MAX_IMAGE_IDS)
        known = self.readable.known_images(project.id, asked)
        return Result(self._shuffled(self._images(call, project, self.readable, known)))

    def get_image_count(self, call: Call) -> Result:
        """Count all images; since v3.3."""
        return self._count(call, _tagging_of(call))

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

    def update_image_metadata(self, call: Call) -> Result:
        """Set members of the metadata of images; the others stay. Since v3.3."""
        project = self._writable_project_of(call).id
        ids = call.ids("imageIds", limits.IMAGES_PER_BATCH)
        if not ids:
            raise RefusedError(400, "BadRequestRequiredParamIsNull", "imageIds is missing")
        refusal = RefusedError(400, "BadRequest", "The body must be an object with text values")
        metadata = decode_body(call.body, call.content_type, dict[str, str], otherwise=refusal)
        rules.check_metadata(metadata)
        known = self.store.known_images(project, ids)
        former = {image.id: image.metadata or {} for image in self.store.images(sorted(known))}
        rows = [_update_metadata(image, former.get(image), metadata) for image in ids]
        updated = [row.image_id for row in rows if row.status == "OK"]
        self.store.add_metadata(updated, metadata)
        complete = len(updated) == len(ids)
        summary = contract.ImageMetadataUpdateSummary(
            is_batch_successful=complete, images=self._shuffled(rows)
        )
        return Result(summary, self._status(call, complete=complete))

    def _images(
        self, call: Call, project: ProjectRow, store: Store, ids: Iterable[str]
    ) -> list[contract.Image]:
        """Return images as responses contain them."""
        takes_regions = DOMAINS[project.domain].type == "ObjectDetection"
        images = []
        for image in store.images(list(ids)):
            regions: list[contract.ImageRegion] | msgspec.UnsetType | None = msgspec.UNSET
            if takes_regions:
                regions = self._nullable(self._region_order(image.regions or []))
            metadata: dict[str, str] | msgspec.UnsetType | None = image.metadata
            if not metadata or not _has_metadata(call):
                metadata = msgspec.UNSET
            tags = self._nullable(self._shuffled(image.tags or []))
            images.append(
                msgspec.structs.replace(image, tags=tags, regions=regions, metadata=metadata)
            )
        return images

    def _region_order(self, regions: Sequence[contract.ImageRegion]) -> list[contract.ImageRegion]:
        return self._shuffled(regions) if self.settings.shuffled_regions else list(regions)

    def _page(self, call: Call, tagging: str) -> Result:
        project = self._project_of(call)
        selection = self._selection(call, project, tagging, rules.MAX_TAGS)
        order = call.choice("orderBy", ("Newest", "Oldest"), "Newest")
        take = call.number("take", rules.DEFAULT_TAKE, limits.IMAGES_PER_PAGE)
        take = min(take, self.settings.page_size)
        skip = call.number("skip", 0)
        ids = self.listed.page(selection, order=order, take=take, skip=skip)
        if ids and call.fault is Fault.SHIFTED:
            self.store.shift_images(project.id, order, ids[-1])
        return Result(self._images(call, project, self.listed, ids))

    def _count(self, call: Call, tagging: str) -> Result:
        selection = self._selection(call, self._project_of(call), tagging, None)
        return Result(self.listed.count_images(selection))

    def _selection(
        self, call: Call, project: ProjectRow, tagging: str, most_tags: int | None
    ) -> Selection:
        """Return which images a call is about.

        Args:
            call: The call.
            project: Its project.
            tagging: All, Tagged or Untagged.
            most_tags: Maximum number of tags that the call takes. [default: no limit]
        """
        tags = call.ids("tagIds", most_tags) if tagging != "Untagged" else []
        return Selection(project.id, tagging, tags, _metadata_filter(call))

    def _store_image(
        self,
        project: ProjectRow,
        source: _Source,
        tags: set[str],
        tag_types: dict[str, str],
        remaining: int,
    ) -> tuple[str, str | None]:
        """Store an image of an upload with its tags and regions.

        Args:
            project: The project.
            source: The image.
            tags: The tags of the image and its regions.
            tag_types: The type of each tag of the project.
            remaining: How many images the project still accepts.

        Returns:
            The status, and the ID; None: the image was refused.
        """
        status, width, height, digest = source.file
        if status != "OK":
            return status, None
        existing = self.store.image_with(project.id, digest)
        if existing:
            return "OKDuplicate", existing
        regions = source.entry.regions or []
        boxes = rules.float32_boxes(regions)
        status = self._check_annotations(project, tags, tag_types, boxes)
        if status == "OK" and remaining <= 0:
            status = "ErrorLimitExceed"
        if status != "OK":
            return status, None
        image = self.store.add_image(project.id, digest, width, height)
        self.store.tag_images({(image, tag) for tag in tags})
        rows = zip(regions, rules.shortest_decimals(boxes), strict=True)
        keys: list[RegionKey] = [(image, str(row.tag_id), *box) for row, box in rows]  # type: ignore[misc]
        digits = self.settings.stored_digits
        self.store.add_regions([rules.rounded_key(key, digits) for key in keys])
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


def _has_metadata(call: Call) -> bool:
    return call.version != "v3.2"


def _tagging_of(call: Call) -> str:
    return call.choice("taggingStatus", TAGGING, "All")


def _metadata_filter(call: Call) -> tuple[str, str] | None:
    """Return the key and value in `$filter`; of its expressions, only one `eq` is supported."""
    text = call.query.get("$filter", "")
    if not text or not _has_metadata(call):
        return None
    match = METADATA_FILTER.fullmatch(text)
    if match is None:
        raise RefusedError(
            400, "BadRequestNotSupported", "This service takes only metadata=KEY eq 'VALUE'"
        )
    return match["key"], match["value"].replace("''", "'")


def _update_metadata(
    image: str, former: dict[str, str] | None, metadata: dict[str, str]
) -> contract.ImageMetadataUpdateEntry:
    """Return the result for an image; `former` is None if it does not exist."""
    if former is None:
        status = "ErrorImageNotFound"
    elif len(former | metadata) > rules.MAX_METADATA:
        status = "ErrorLimitExceed"
    else:
        status = "OK"
    return contract.ImageMetadataUpdateEntry(image_id=image, status=status, metadata=metadata)


def source_url(name: str, spelling: SourceUrl) -> str | None:
    """Return `sourceUrl` for an image with this name, as `Settings.source_url` says."""
    match spelling:
        case "null":
            return None
        case "encoded":
            return quote(name, safe="")
        case "prefixed":
            return f"https://images.example/{name}"
        case "renamed":
            folder, slash, file_name = name.rpartition("/")
            digest = hashlib.sha256(file_name.encode(errors="replace")).hexdigest()[:32]
            return f"{folder}{slash}{digest}{PurePosixPath(file_name).suffix}"
    return name


def fetched(call: Call, limits_: Limits) -> Call:
    """Return a call of CreateImagesFromUrls with the images at its URLs.

    Raises:
        RefusedError: Its body is refused.
    """
    batch = _decode_batch(call, contract.ImageUrlCreateBatch)
    urls = [entry.url for entry in batch.images or ()]
    return replace(call, sources=fetch_images(urls, limits_))


def _decode_batch(call: Call, kind: type[B]) -> B:
    """Return the body of an upload, if its size is allowed."""
    refusal = RefusedError(400, "BadRequestImageBatch", "No images provided")
    batch = decode_body(call.body, call.content_type, kind, otherwise=refusal)
    if not batch.images:
        raise refusal
    tags = _common_tags(batch).union(*map(_tags_of, batch.images))
    if len(batch.images) > limits.IMAGES_PER_BATCH or len(tags) > rules.MAX_TAGS:
        raise RefusedError(
            400, "BadRequestExceededBatchSize", "A batch takes at most 64 images and 20 tags"
        )
    return batch


def _common_tags(batch: Batch) -> set[str]:
    return {str(tag) for tag in batch.tag_ids or ()}


def _tags_of(entry: Entry) -> set[str]:
    tags = {str(tag) for tag in entry.tag_ids or ()}
    return tags.union(str(region.tag_id) for region in entry.regions or ())
