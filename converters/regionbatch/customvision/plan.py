"""What an upload will do, worked out before the first write: tags, images, regions and calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch.batching import batches
from regionbatch.customvision.image_files import report_refused_images
from regionbatch.customvision.matching import match_regions
from regionbatch.customvision.plan_images import plan_images, raise_if_unresolved
from regionbatch.customvision.plan_tags import plan_tags
from regionbatch.customvision.regions import RegionOutcome
from regionbatch.customvision.snapshot import read_project, refresh_images
from regionbatch.errors import AccessError, LimitError, ServiceError
from regionbatch.limits import IMAGES_PER_PAGE, REGIONS_PER_BATCH, REGIONS_PER_IMAGE, TIERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.image_files import Refusal
    from regionbatch.customvision.journal import Journal
    from regionbatch.customvision.plan_images import ImagePlan
    from regionbatch.customvision.plan_tags import TagPlan
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset
    from regionbatch.findings import FindingLog, Findings
    from regionbatch.names.tables import Ids

    Mask = NDArray[np.bool_]

_OBJECT_DETECTION = "ObjectDetection"


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """The options that determine what is uploaded; see `upload`."""

    create_tags: bool = False
    image_ids: Ids | None = None
    rename: Mapping[str, str] | None = None
    skip_unresolved: bool = False
    shrink: bool = False
    tier: str = "S0"

    def make_batches(
        self, dataset: Dataset, tag_ids: Mapping[str, str], image_ids: Mapping[str, str]
    ) -> Batches:
        """Return the payloads of a dataset with some tag and image IDs."""
        return batches(
            dataset,
            tag_ids=tag_ids,
            image_ids=image_ids,
            rename=self.rename,
            skip_unresolved=self.skip_unresolved,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The most that an upload will do: the project may turn out to have some of the images."""

    project: str
    """Name of the project."""
    tier: str
    """Pricing tier whose limits and call rate apply."""
    new_tags: Sequence[str]
    """Names of the tags to create."""
    regions: int
    """Number of regions to send."""
    already: int
    """Number of regions that the project has already."""
    calls: Mapping[str, int]
    """Number of calls of the whole run by operation, including planning and verifying."""
    minutes: float
    """Duration at the call rate of the tier, if the network is fast enough."""
    findings: Findings
    """Findings about images and the tier."""
    batches: Batches
    """All regions. Tags and images that are not in the project yet have placeholder IDs."""
    tag_ids: Mapping[str, str]
    """Tag IDs by name; placeholders for tags to create."""
    images: ImagePlan
    """Images that the project has, and images to upload."""
    snapshot: ProjectSnapshot
    """What the project contains."""

    @property
    def new_images(self) -> int:
        """Number of images to upload."""
        return self.images.to_upload.count

    @property
    def all_findings(self) -> Findings:
        """Findings about the dataset, the IDs of its names, and the plan."""
        return self.batches.findings + self.findings

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain values, ready for JSON."""
        return {
            "project": self.project,
            "tier": self.tier,
            "new_tags": list(self.new_tags),
            "known_images": len(self.images.known),
            "new_images": self.new_images,
            "regions": self.regions,
            "already": self.already,
            "calls": dict(self.calls),
            "minutes": round(self.minutes, 2),
        }


class _RegionMasks(NamedTuple):
    """Which of the planned regions are in the project, and which will be sent; (n,) each."""

    is_stored: Mask
    is_sent: Mask


def make_plan(
    dataset: Dataset,
    session: ProjectSession,
    journal: Journal,
    log: FindingLog,
    options: UploadOptions,
    same_dataset: bool,
) -> Plan:
    """Read the project and the image files, and work out what to do. Writes nothing."""
    project = _check_project(session)
    tags = plan_tags(dataset, session, options)
    snapshot = read_project(session, progress=log.progress)
    images = plan_images(
        dataset.images, session, journal, log, options, snapshot, same_dataset=same_dataset
    )
    if not options.skip_unresolved:
        raise_if_unresolved(dataset, images.ids)
    planned = options.make_batches(dataset, tags.ids, images.ids)
    report_refused_images(dataset.images, images.refused, log)
    snapshot = _with_unlisted_regions(planned, images.snapshot, journal, session)
    masks = _region_masks(planned, snapshot, images.refused)
    new_tags = _used_tags(tags, planned, masks.is_sent)
    tag_count = len(tags.ids) - len(tags.missing) + len(new_tags)
    _check_limits(options.tier, tag_count, images, snapshot, log)
    _report_full_images(planned, snapshot, masks.is_sent, dataset.images.names, log)
    calls = session.calls + _calls_to_make(planned, snapshot, masks, images, new_tags)
    return Plan(
        project=project,
        tier=options.tier,
        new_tags=new_tags,
        regions=int(np.count_nonzero(masks.is_sent)),
        already=int(np.count_nonzero(masks.is_stored)),
        calls=calls,
        minutes=calls.total() / TIERS[options.tier].calls_per_second / 60,
        findings=log.findings(),
        batches=planned,
        tag_ids=tags.ids,
        images=images,
        snapshot=snapshot,
    )


def _check_project(session: ProjectSession) -> str:
    """Return the name of the project, which must be writable and for object detection."""
    project = session.project()
    place = f"project {project.name or session.project_id}"
    if project.dr_mode_enabled:
        raise AccessError(
            f"{place}: read-only while its resource is in disaster recovery. "
            "Wait until the recovery has ended.",
            place=place,
        )
    domain_id = project.settings.domain_id if project.settings else ""
    types = {domain.id.lower(): domain.type for domain in session.domains()}
    project_type = types.get(domain_id.lower(), _OBJECT_DETECTION)
    if project_type != _OBJECT_DETECTION:
        raise ServiceError(
            f"{place}: not a project for object detection: '{project_type}'. "
            "Create a project for object detection.",
            place=place,
        )
    return project.name


def _with_unlisted_regions(
    planned: Batches, snapshot: ProjectSnapshot, journal: Journal, session: ProjectSession
) -> ProjectSnapshot:
    """Read images again if they lack a region that an earlier run created.

    The listing may be out of date.
    """
    created = [np.zeros(0, np.int32)]
    for rows, outcomes in journal.outcomes():
        is_created = np.isin(outcomes, (RegionOutcome.CREATED, RegionOutcome.DUPLICATED))
        created.append(rows[is_created])
    wanted = snapshot.project_columns(planned)
    was_created = np.isin(planned.rows, np.concatenate(created))
    is_missing = match_regions(wanted, snapshot.regions) < 0
    unlisted = np.flatnonzero(was_created & (wanted.image >= 0) & is_missing)
    return refresh_images(session, snapshot, planned.take(unlisted))


def _region_masks(
    planned: Batches, snapshot: ProjectSnapshot, refused: Mapping[int, Refusal]
) -> _RegionMasks:
    is_stored = match_regions(snapshot.project_columns(planned), snapshot.regions) >= 0
    is_refused = np.isin(planned.regions.image, [*refused])
    return _RegionMasks(is_stored, ~is_refused & ~is_stored)


def _used_tags(tags: TagPlan, planned: Batches, is_sent: Mask) -> list[str]:
    """Return the missing tags of regions to be sent; a tag without regions prevents training."""
    used = {planned.tag_ids[code] for code in np.unique(planned.regions.tag[is_sent]).tolist()}
    return [name for name in tags.missing if tags.ids[name] in used]


def _check_limits(
    tier: str, tag_count: int, images: ImagePlan, snapshot: ProjectSnapshot, log: FindingLog
) -> None:
    limits = TIERS[tier]
    new_images = images.to_upload.count
    stored_images = len(snapshot.images)
    if tag_count > limits.tags:
        raise LimitError(
            f"tier: {tier} allows {limits.tags} tags in a project, and this upload needs "
            f"{tag_count}. Choose classes with `only`, merge them with `rename`, or use another "
            "tier.",
            option="tier",
        )
    if new_images > limits.images:
        raise LimitError(
            f"tier: {tier} allows {limits.images} images in a project, and this upload has "
            f"{new_images}. Choose a part of the dataset with `split`, or use another tier.",
            option="tier",
        )
    if new_images + stored_images > limits.images:
        value = f"{stored_images} stored, {new_images} to upload, {limits.images} allowed"
        log.note("project_full", f"tier {tier}", value)


def _report_full_images(
    planned: Batches,
    snapshot: ProjectSnapshot,
    is_sent: Mask,
    names: Sequence[str],
    log: FindingLog,
) -> None:
    """Report images that have too many regions together with those in the project.

    Images that have too many in the dataset alone were reported when the dataset was read.
    """
    ids = planned.image_ids
    in_dataset = _count_by_id(planned.regions.image, ids)
    in_total = _count_by_id(planned.regions.image[is_sent], ids)
    stored = np.bincount(snapshot.regions.image, minlength=len(snapshot.images))
    for id_ in in_total:
        if id_ in snapshot.images:
            in_total[id_] += int(stored[snapshot.images[id_]])
    rows = np.unique(planned.regions.image[is_sent]).tolist()
    full = [row for row in rows if in_total[ids[row]] > REGIONS_PER_IMAGE >= in_dataset[ids[row]]]
    values = [str(in_total[ids[row]]) for row in full]
    log.add("over_region_limit", np.asarray(full, np.int32), value=values, table=names)


def _count_by_id(codes: NDArray[np.int32], ids: Sequence[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    used, numbers = np.unique(codes, return_counts=True)
    for code, number in zip(used.tolist(), numbers.tolist(), strict=True):
        counts[ids[code]] += number
    return counts


def _calls_to_make(
    planned: Batches,
    snapshot: ProjectSnapshot,
    masks: _RegionMasks,
    images: ImagePlan,
    new_tags: Sequence[str],
) -> Counter[str]:
    """Return the calls that are left to make, by operation."""
    region_count = int(np.count_nonzero(masks.is_sent))
    return Counter(
        CreateTag=len(new_tags),
        CreateImagesFromFiles=len(images.to_upload.batches),
        CreateImageRegions=-(-region_count // REGIONS_PER_BATCH),
        GetTaggedImages=_verification_pages(planned, snapshot, masks),
    )


def _verification_pages(planned: Batches, snapshot: ProjectSnapshot, masks: _RegionMasks) -> int:
    """Return how many calls read the project at the end: one per page, and an empty one."""
    with_regions = {*np.unique(snapshot.regions.image).tolist()}
    codes = np.unique(planned.regions.image[masks.is_sent | masks.is_stored]).tolist()
    images = {planned.image_ids[code] for code in codes}
    already_listed = sum(snapshot.images.get(id_, -1) in with_regions for id_ in images)
    count = len(with_regions) + len(images) - already_listed
    return -(-count // IMAGES_PER_PAGE) + 1
