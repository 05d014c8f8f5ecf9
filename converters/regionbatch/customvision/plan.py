"""What an upload will do, worked out before the first write: tags, images, regions and calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.batching import batches
from regionbatch.customvision.differences import DifferenceReport, report_outdated
from regionbatch.customvision.fingerprints import region_hashes
from regionbatch.customvision.image_files import report_refused_images
from regionbatch.customvision.plan_images import plan_images, raise_if_unresolved
from regionbatch.customvision.plan_regions import (
    plan_regions,
    recorded_outcomes,
    with_unlisted_regions,
)
from regionbatch.customvision.plan_tags import plan_tags
from regionbatch.customvision.plan_training import plan_training
from regionbatch.customvision.prune import plan_pruning, without_regions
from regionbatch.customvision.regions import STORED
from regionbatch.customvision.snapshot import pages_of, read_project
from regionbatch.errors import AccessError, LimitError, ServiceError
from regionbatch.limits import REGIONS_PER_BATCH, REGIONS_PER_IMAGE, TIERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.plan_images import ImagePlan
    from regionbatch.customvision.plan_regions import RegionPlan
    from regionbatch.customvision.plan_tags import TagPlan
    from regionbatch.customvision.plan_training import TrainingPlan
    from regionbatch.customvision.prune import OutdatedRegion
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.customvision.signed_urls import SignUrl
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset
    from regionbatch.findings import FindingLog, Findings
    from regionbatch.names.tables import Ids
    from regionbatch.training_limits import TagTable

    Mask = NDArray[np.bool_]

_OBJECT_DETECTION = "ObjectDetection"
_BUSY = {
    "Importing": "Wait until the import has ended, then try again.",
    "Failed": "The import of the project failed: repeat it, or create another project.",
}
"""What to do about a project that cannot be used, by its status."""


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """The options that determine what is uploaded; see `upload`."""

    create_tags: bool = False
    image_ids: Ids | None = None
    rename: Mapping[str, str] | None = None
    skip_unresolved: bool = False
    shrink: bool = False
    tier: str = "S0"
    existing: str | None = None
    prune: bool = False
    prune_limit: str = "10%"
    store_names: bool = False
    strict: bool = False
    sign: SignUrl | None = None
    """Returns a URL for the path of an image; None: image files are uploaded."""

    @property
    def existing_or_replaced(self) -> str | None:
        """What to do with nearly equal regions; pruning replaces them."""
        return self.existing or ("add" if self.prune else None)

    def make_batches(
        self, dataset: Dataset, tag_ids: Mapping[str, str], image_ids: Mapping[str, str]
    ) -> Batches:
        """Return the payloads of a dataset with the given tag and image IDs."""
        return batches(
            dataset,
            tag_ids=tag_ids,
            image_ids=image_ids,
            rename=self.rename,
            skip_unresolved=self.skip_unresolved,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an upload will do at most: the project may turn out to have some of the images."""

    project: str
    """Name of the project."""
    tier: str
    """Pricing tier whose limits and call rate apply."""
    new_tags: Sequence[str]
    """Names of the tags to create."""
    calls: Counter[str]
    """Number of calls of the whole run by operation, including planning and verifying."""
    own_findings: Findings = field(repr=False)
    """Findings about images, the tier and regions."""
    training: TrainingPlan = field(repr=False)
    """The tags of the project after the upload, and what it lacks for training."""
    batches: Batches
    """All regions. Tags and images that are not in the project yet have placeholder IDs."""
    tag_plan: TagPlan = field(repr=False)
    """Tags that the project has, and tags that it lacks."""
    images: ImagePlan = field(repr=False)
    """Images that the project has, and images to upload."""
    snapshot: ProjectSnapshot = field(repr=False)
    """What the project contains."""
    hashes: NDArray[np.uint64] = field(repr=False)
    """(m,), the hash of each of the m regions of the dataset, for the journal."""
    region_plan: RegionPlan = field(repr=False)
    """What happens to each region."""
    outdated: Sequence[OutdatedRegion] = field(repr=False)
    """Regions to delete from the project."""

    @property
    def tags(self) -> TagTable:
        """Images and boxes of each tag of the project after the upload."""
        return self.training.tags

    @property
    def tag_ids(self) -> Mapping[str, str]:
        """Tag IDs by name; placeholders for tags to create."""
        return self.tag_plan.ids

    @property
    def findings(self) -> Findings:
        """Findings about images, the tier, and what the project lacks for training."""
        return self.own_findings + self.training.findings

    @property
    def regions(self) -> int:
        """Number of regions to send."""
        return int(np.count_nonzero(self.region_plan.is_sent))

    @property
    def already(self) -> int:
        """Number of regions that the project has already."""
        return int(np.count_nonzero(self.region_plan.is_stored))

    @property
    def minutes(self) -> float:
        """Duration at the call rate of the tier, if the network is fast enough."""
        return self.calls.total() / TIERS[self.tier].calls_per_second / 60

    @property
    def near(self) -> int:
        """Number of regions for which the project has a nearly equal one."""
        return int(np.count_nonzero(self.region_plan.is_near))

    @property
    def prune(self) -> int:
        """Number of regions to delete from the project."""
        return len(self.outdated)

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
            "tags": self.tags.summary(),
            "known_images": len(self.images.known),
            "new_images": self.new_images,
            "regions": self.regions,
            "already": self.already,
            "near": self.near,
            "prune": self.prune,
            "calls": dict(self.calls),
            "minutes": round(self.minutes, 2),
        }


def make_plan(  # longer than 40 lines: one step after the other
    dataset: Dataset,
    session: ProjectSession,
    log: FindingLog,
    options: UploadOptions,
    *,
    same_dataset: bool,
) -> Plan:
    """Read the project and the image files, and work out what to do. Writes nothing."""
    project = _check_project(session)
    hashes = region_hashes(dataset)
    recorded = recorded_outcomes(hashes, session.journal)
    tags = plan_tags(dataset, session, options, np.isin(recorded, STORED))
    snapshot = read_project(session, progress=log.progress)
    images = plan_images(dataset, session, log, options, snapshot, same_dataset=same_dataset)
    if not options.skip_unresolved:
        raise_if_unresolved(dataset, images.ids)
    planned = options.make_batches(dataset, tags.ids, images.ids)
    report_refused_images(dataset.images, images.refused, log)
    recorded = recorded[planned.rows]
    snapshot = with_unlisted_regions(
        planned, images.snapshot, recorded, session, session.journal.seconds_since_last_call()
    )
    existing = options.existing_or_replaced
    regions = plan_regions(planned, snapshot, images.refused, recorded, existing)
    outdated = plan_pruning(
        dataset, planned, snapshot, regions, images.names_by_id, tags.ids, session, options
    )
    new_tags = tags.to_create(planned, regions.is_sent)
    _check_limits(options.tier, tags.count_after(new_tags), images, snapshot, log)
    _report_full_images(planned, snapshot, regions.is_sent, dataset.images.names, log)
    tag_names = tags.names_by_id()
    report = DifferenceReport(dataset, planned, snapshot, log)
    report.add_nearly_equal("region_kept", regions.kept())
    report_outdated(outdated, images.names_by_id, tag_names, log)
    snapshot_after = without_regions(snapshot, outdated)
    training = plan_training(
        dataset, planned, regions.is_sent, snapshot_after, tags, options.rename
    )
    calls = _calls_to_make(planned, snapshot, regions, images, new_tags, outdated)
    return Plan(
        project=project,
        tier=options.tier,
        new_tags=new_tags,
        tag_plan=tags,
        training=training,
        calls=session.calls + calls,
        own_findings=log.findings(),
        batches=planned,
        images=images,
        snapshot=snapshot,
        hashes=hashes,
        region_plan=regions,
        outdated=outdated,
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
    if project.status in _BUSY:
        raise ServiceError(
            f"{place}: not ready: '{project.status}'. {_BUSY[project.status]}",
            place=place,
            value=project.status,
        )
    return project.name


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
    regions: RegionPlan,
    images: ImagePlan,
    new_tags: Sequence[str],
    outdated: Sequence[OutdatedRegion],
) -> Counter[str]:
    """Return the calls that are left to make, by operation."""
    region_count = int(np.count_nonzero(regions.is_sent))
    return Counter(
        {
            "CreateTag": len(new_tags),
            images.operation: images.upload_calls,
            "CreateImageRegions": -(-region_count // REGIONS_PER_BATCH),
            "DeleteImageRegions": -(-len(outdated) // REGIONS_PER_BATCH),
            "GetTaggedImages": _verification_pages(planned, snapshot, regions),
        }
    )


def _verification_pages(planned: Batches, snapshot: ProjectSnapshot, regions: RegionPlan) -> int:
    """Return how many calls read the project at the end."""
    with_regions = {*np.unique(snapshot.regions.image).tolist()}
    codes = np.unique(planned.regions.image[regions.is_sent | regions.is_stored]).tolist()
    images = {planned.image_ids[code] for code in codes}
    already_listed = sum(snapshot.images.get(id_, -1) in with_regions for id_ in images)
    return pages_of(len(with_regions) + len(images) - already_listed)
