"""The calls of the training API under the rules of the real service; a method for each, named as in the contract."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from typing import TYPE_CHECKING, TypeVar, get_args

import msgspec
import numpy as np

from regionbatch import limits
from regionbatch.local import contract, rules
from regionbatch.local.bodies import read_body
from regionbatch.local.calls import Answer
from regionbatch.local.faults import Fault
from regionbatch.local.rules import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from regionbatch.local.calls import Call
    from regionbatch.local.contract import ImageFileCreateEntry, ImageRegionCreateEntry
    from regionbatch.local.settings import Settings
    from regionbatch.local.store import ProjectRow, RegionKey, Store

T = TypeVar("T")
DOMAINS = {domain.id: domain for domain in contract.DOMAINS}
DEFAULT_DOMAIN = next(domain.id for domain in contract.DOMAINS if domain.type == "Classification")
TAGGING = ("All", "Tagged", "Untagged")


class Operations:
    """The calls, on a store. Each runs inside one transaction, which a `RefusedError` undoes."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Seed the order of replies, which the contract does not promise."""
        self.store = store
        self.settings = settings
        self.order = random.Random(settings.seed)  # noqa: S311 - an order, no secret

    # Domains and projects.

    def get_domains(self, _call: Call) -> Answer:
        """All domains."""
        return Answer(self._shuffled(contract.DOMAINS))

    def get_domain(self, call: Call) -> Answer:
        """One domain."""
        domain = call.path_id("domainId", "NotFoundDomain")
        if domain not in DOMAINS:
            raise RefusedError(404, "NotFoundDomain", f"There is no domain {domain}")
        return Answer(DOMAINS[domain])

    def create_project(self, call: Call) -> Answer:
        """Make a project; without a domain it is one for classification, as on the real service."""
        name = call.text("name", "BadRequestProjectName")
        domain = (call.ids("domainId", 1) or [DEFAULT_DOMAIN])[0]
        if domain not in DOMAINS:
            raise RefusedError(400, "BadRequestProjectUnknownDomain", f"There is no domain {domain}")
        kinds = ("", *get_args(contract.Classifier))
        kind = call.choice("classificationType", kinds, "", "BadRequestProjectUnknownClassification")
        platforms = call.query.get("targetExportPlatforms", "")
        if not set(platforms.split(",")) <= {"", *get_args(contract.Platform)}:
            raise RefusedError(400, "BadRequestProjectUnsupportedExportPlatform", f"Unknown platform in {platforms!r}")
        project = self.store.add_project(name, call.query.get("description"), domain, kind or None, platforms)
        return Answer(self._project(*self.store.projects(project)))

    def get_projects(self, _call: Call) -> Answer:
        """All projects."""
        return Answer(self._shuffled([self._project(row) for row in self.store.projects()]))

    def get_project(self, call: Call) -> Answer:
        """One project."""
        return Answer(self._project(self._row(call)))

    # Tags.

    def get_tags(self, call: Call) -> Answer:
        """All tags of a project; not paged."""
        return Answer(self._shuffled(self.store.tags(self._row(call).id)))

    def get_tag(self, call: Call) -> Answer:
        """One tag."""
        return Answer(self._tag(self._row(call).id, call.path_id("tagId", "NotFoundTag")))

    def create_tag(self, call: Call) -> Answer:
        """Make a tag from the query; there is no body."""
        project = self._writable(call).id
        name = call.text("name", "BadRequestTagName")
        kinds = get_args(contract.TagType)[: 2 if call.version == "v3.2" else 3]  # GeneralProduct came with v3.3
        kind = call.choice("type", kinds, "Regular", "BadRequestTagType")
        tags = self.store.tags(project)
        if name in {tag.name for tag in tags}:
            raise RefusedError(400, "BadRequestTagNameNotUnique", f"The name {name!r} is in use already")
        if kind == "Negative" and "Negative" in {tag.type for tag in tags}:
            raise RefusedError(400, "BadRequestMultipleNegativeTag", "The project has a negative tag already")
        if len(tags) >= self.settings.limits.tags:
            limit = self.settings.limits.tags
            raise RefusedError(400, "BadRequestExceedTagPerProjectLimit", f"A project takes at most {limit} tags")
        return Answer(self._tag(project, self.store.add_tag(project, name, call.query.get("description"), kind)))

    def delete_tag(self, call: Call) -> Answer:
        """Delete a tag with its regions."""
        tag = self._tag(self._writable(call).id, call.path_id("tagId", "NotFoundTag"))
        self.store.delete_tag(tag.id)
        return Answer(None, 204)

    # Images.

    def create_images_from_files(self, call: Call) -> Answer:
        """Store pictures, each with a status of its own; the same bytes again bring the id that is there."""
        project = self._writable(call)
        refusal = RefusedError(400, "BadRequestImageBatch", "No images provided")
        batch = read_body(call.body, call.content_type, contract.ImageFileCreateBatch, otherwise=refusal)
        if not batch.images:
            raise refusal
        shared = {str(tag) for tag in batch.tag_ids or ()}
        if (
            len(batch.images) > limits.IMAGES_PER_BATCH
            or len(shared.union(*map(_tags_of, batch.images))) > rules.MAX_TAGS
        ):
            raise RefusedError(400, "BadRequestExceededBatchSize", "A batch takes at most 64 images and 20 tags")

        types = self.store.tag_types(project.id)
        room = self.settings.limits.images - self.store.count_images(project.id, "All")
        results = []
        for entry in _half(batch.images) if call.fault is Fault.SKIPPED else batch.images:
            status, image = self._store_picture(project, entry, shared | _tags_of(entry), types, room)
            room -= status == "OK"
            results.append((entry.name or "", status, image))

        successful = all(status == "OK" for _, status, _ in results)
        confirmed = _half(results) if call.fault is Fault.UNCONFIRMED else results
        images = {image.id: image for image in self._images({image for _, _, image in confirmed if image})}
        summary = contract.ImageCreateSummary(
            is_batch_successful=successful,
            images=self._shuffled(
                [
                    contract.ImageCreateResult(
                        source_url=f'"{name}"' if self.settings.quoted_names else name,
                        status=status,
                        image=images[image] if image else (None if self.settings.nulls else msgspec.UNSET),
                    )
                    for name, status, image in confirmed
                ]
            ),
        )
        return Answer(summary, self._status(call, complete=successful))

    def get_images(self, call: Call) -> Answer:
        """Return a page of all images; v3.3."""
        return self._page(call, self._filtered(call))

    def get_tagged_images(self, call: Call) -> Answer:
        """Return a page of the images with tags, or with any of some tags."""
        return self._page(call, "Tagged")

    def get_untagged_images(self, call: Call) -> Answer:
        """Return a page of the images without tags."""
        return self._page(call, "Untagged")

    def get_images_by_ids(self, call: Call) -> Answer:
        """Return images by their ids; ids that are not there are left out."""
        known = self.store.known_images(self._row(call).id, call.ids("imageIds", rules.MAX_IMAGE_IDS))
        return Answer(self._shuffled(self._images(known)))

    def get_image_count(self, call: Call) -> Answer:
        """Count all images; v3.3."""
        return self._count(call, self._filtered(call))

    def get_tagged_image_count(self, call: Call) -> Answer:
        """Count the images with tags, or with any of some tags."""
        return self._count(call, "Tagged")

    def get_untagged_image_count(self, call: Call) -> Answer:
        """Count the images without tags."""
        return self._count(call, "Untagged")

    def delete_images(self, call: Call) -> Answer:
        """Delete images with their regions; all of them, or in all iterations, is answered 202."""
        project = self._writable(call).id
        images, everything = call.ids("imageIds", rules.MAX_IMAGE_IDS), call.flag("allImages")
        if everything == bool(images):
            raise RefusedError(400, "BadRequestRequiredParamIsNull", "Give either imageIds or allImages=true")
        self.store.delete_images(project, None if everything else images)
        return Answer(None, 202 if everything or call.flag("allIterations") else 204)

    # Regions.

    def create_image_regions(self, call: Call) -> Answer:
        """Store regions: each is created, duplicated or exceeded; what makes no sense refuses the whole batch."""
        project = self._writable(call)
        entries = self._readable_regions(call, project)
        images = self.store.known_images(project.id, {str(entry.image_id) for entry in entries})
        tags = set(self.store.tag_types(project.id))
        self._refuse_unknown(entries, images, tags)

        entries = _half(entries) if call.fault is Fault.SKIPPED else entries
        there = self.store.regions_on(images)
        known = set() if self.settings.on_existing == "twice" else set(there)
        number = Counter(image for image, *_ in there)
        create: list[RegionKey] = []
        duplicated, exceeded = [], []
        for entry in entries:
            key = image, tag, *_ = _key(entry)
            if image not in images or tag not in tags:
                continue
            if key in known:
                duplicated.append(entry)
            elif number[image] >= self.settings.limits.regions_per_image:
                exceeded.append(entry)
            else:
                number[image] += 1
                create.append(key)
        if duplicated and self.settings.on_existing == "refuse":
            raise RefusedError(400, "BadRequestImageRegions", "Image regions exist already")

        self.store.tag_images({(image, tag) for image, tag, *_ in create})
        created = self.store.add_regions(create)
        summary = contract.ImageRegionCreateSummary(
            created=self._list(_half(created) if call.fault is Fault.UNCONFIRMED else created),
            duplicated=self._list(duplicated),
            exceeded=self._list(exceeded),
        )
        return Answer(summary, self._status(call, complete=len(created) == len(entries)))

    def delete_image_regions(self, call: Call) -> Answer:
        """Delete regions; a tag leaves its image with the last of them."""
        project = self._writable(call).id
        regions = call.ids("regionIds", limits.REGIONS_PER_BATCH)
        if not regions:
            raise RefusedError(400, "BadRequestRequiredParamIsNull", "regionIds is missing")
        if len(self.store.known_regions(project, regions)) < len(regions):
            raise RefusedError(400, "BadRequestInvalidIds", "regionIds names regions that are not there")
        self.store.delete_regions(regions)
        return Answer(None, 204)

    # What several calls share.

    def _row(self, call: Call) -> ProjectRow:
        """Project of the path; there are no trained iterations, so asking for one finds none."""
        project = call.path_id("projectId", "NotFoundProject")
        rows = self.store.projects(project)
        if not rows:
            raise RefusedError(404, "NotFoundProject", f"There is no project {project}")
        if call.ids("iterationId", 1):
            raise RefusedError(404, "NotFoundIteration", "The project has no iterations")
        return rows[0]

    def _writable(self, call: Call) -> ProjectRow:
        row = self._row(call)
        if self.settings.dr_mode:
            raise RefusedError(403, "ForbiddenDRModeEnabled", "The project is read-only while disaster recovery is on")
        return row

    def _project(self, row: ProjectRow) -> contract.Project:
        return contract.Project(
            id=row.id,
            name=row.name,
            description=row.description,
            settings=contract.ProjectSettings(
                domain_id=row.domain,
                classification_type=row.classification,
                target_export_platforms=[platform for platform in row.platforms.split(",") if platform],
            ),
            created=row.created,
            last_modified=row.created,
            dr_mode_enabled=self.settings.dr_mode,
        )

    def _tag(self, project: str, tag: str) -> contract.Tag:
        found = next((row for row in self.store.tags(project) if row.id == tag), None)
        if found is None:
            raise RefusedError(404, "NotFoundTag", f"There is no tag {tag}")
        return found

    def _images(self, ids: Iterable[str]) -> list[contract.Image]:
        """Images with their tags and regions; lists in no order, and null when empty."""
        return [
            contract.Image(
                id=image.id,
                created=image.created,
                width=image.width,
                height=image.height,
                tags=self._list(image.tags or []),
                regions=self._list(image.regions or []),
            )
            for image in self.store.images(list(ids))
        ]

    def _filtered(self, call: Call) -> str:
        if call.query.get("$filter"):
            raise RefusedError(400, "BadRequestNotSupported", "This service keeps no metadata to filter by")
        return call.choice("taggingStatus", TAGGING, "All")

    def _page(self, call: Call, tagging: str) -> Answer:
        project = self._row(call).id
        tags = call.ids("tagIds", rules.MAX_TAGS) if tagging != "Untagged" else []
        order = call.choice("orderBy", ("Newest", "Oldest"), "Newest")
        take, skip = call.number("take", rules.DEFAULT_TAKE, limits.IMAGES_PER_PAGE), call.number("skip", 0)
        return Answer(self._images(self.store.page(project, tagging, tags, order=order, take=take, skip=skip)))

    def _count(self, call: Call, tagging: str) -> Answer:
        tags = call.ids("tagIds") if tagging != "Untagged" else []
        return Answer(self.store.count_images(self._row(call).id, tagging, tags))

    def _store_picture(  # noqa: PLR0911 - a list of rules
        self, project: ProjectRow, entry: ImageFileCreateEntry, tags: set[str], types: dict[str, str], room: int
    ) -> tuple[str, str | None]:
        """Store one picture of an upload with its tags and regions; its status and id."""
        status, width, height = rules.picture(entry.contents, self.settings.limits)
        if status != "OK":
            return status, None
        digest = hashlib.sha256(entry.contents or b"").digest()
        there = self.store.image_with(project.id, digest)
        if there:
            return "OKDuplicate", there
        regions = entry.regions or []
        boxes = rules.float32_boxes(regions)
        if not tags <= types.keys():
            return "ErrorInvalidTag", None
        if {"Regular", "Negative"} <= {types[tag] for tag in tags}:
            return "ErrorNegativeAndRegularTagOnSameImage", None
        if regions and (DOMAINS[project.domain].type != "ObjectDetection" or rules.unusable(boxes).any()):
            return "ErrorInvalidRegion", None
        if len(regions) > self.settings.limits.regions_per_image:
            return "ErrorRegionLimitExceed", None
        if room <= 0:
            return "ErrorLimitExceed", None
        image = self.store.add_image(project.id, digest, width, height)
        self.store.tag_images({(image, tag) for tag in tags})
        rows = zip(regions, boxes.tolist(), strict=True)
        self.store.add_regions([(image, str(region.tag_id), *box) for region, box in rows])
        return "OK", image

    def _readable_regions(self, call: Call, project: ProjectRow) -> list[ImageRegionCreateEntry]:
        """Regions of a batch that makes sense, their numbers rounded to 32 bits as the service stores them."""
        refusal = RefusedError(400, "BadRequestImageRegions", "No image regions provided")
        batch = read_body(call.body, call.content_type, contract.ImageRegionCreateBatch, otherwise=refusal)
        entries = batch.regions or []
        boxes = rules.float32_boxes(entries)
        if not entries or np.isnan(boxes).any():
            raise refusal
        if len(entries) > limits.REGIONS_PER_BATCH:
            raise RefusedError(400, "BadRequestExceededBatchSize", "A batch takes at most 64 regions")
        if DOMAINS[project.domain].type != "ObjectDetection":
            raise RefusedError(400, "BadRequestNotSupported", "Only object detection projects take regions")
        if rules.unusable(boxes).any():
            raise RefusedError(
                400, "BadRequestImageRegions", "Invalid image region: outside the image, or without size"
            )
        entries = [_rounded(entry, box) for entry, box in zip(entries, boxes.tolist(), strict=True)]
        if len(set(map(_key, entries))) < len(entries):
            raise RefusedError(400, "BadRequestImageRegions", "Duplicate image regions")
        return entries

    def _refuse_unknown(self, entries: Sequence[ImageRegionCreateEntry], images: set[str], tags: set[str]) -> None:
        unknown_images = {str(entry.image_id) for entry in entries} - images
        unknown_tags = {str(entry.tag_id) for entry in entries} - tags
        unknown = ", ".join(sorted(unknown_images | unknown_tags))
        if not unknown or self.settings.unknown_ids == "entry":
            return
        if self.settings.unknown_ids == "batch":
            raise RefusedError(400, "BadRequestInvalidIds", f"Unknown ids: {unknown}")
        raise RefusedError(404, "NotFoundImage" if unknown_images else "NotFoundTag", f"Unknown ids: {unknown}")

    def _status(self, call: Call, *, complete: bool) -> int:
        documented = 200 if call.version == "v3.2" else 207
        return 200 if complete else self.settings.partial_status or documented

    def _shuffled(self, rows: Sequence[T]) -> list[T]:
        return self.order.sample(rows, len(rows))

    def _list(self, rows: Sequence[T]) -> list[T] | None:
        return self._shuffled(rows) or (None if self.settings.nulls else [])


def _half(rows: Sequence[T]) -> list[T]:
    """Every second row, none of a single one: what a service that loses entries keeps."""
    return list(rows[1::2])


def _tags_of(entry: ImageFileCreateEntry) -> set[str]:
    return {str(tag) for tag in entry.tag_ids or ()} | {str(region.tag_id) for region in entry.regions or ()}


def _rounded(entry: ImageRegionCreateEntry, box: Sequence[float]) -> ImageRegionCreateEntry:
    left, top, width, height = box
    return contract.ImageRegionCreateEntry(
        image_id=entry.image_id, tag_id=entry.tag_id, left=left, top=top, width=width, height=height
    )


def _key(entry: ImageRegionCreateEntry) -> RegionKey:
    return str(entry.image_id), str(entry.tag_id), entry.left, entry.top, entry.width, entry.height
