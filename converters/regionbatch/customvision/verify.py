"""Verify an upload: read a project and compare its regions with those of a dataset."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.batching import batches
from regionbatch.customvision.differences import DifferenceReport, ImageNames
from regionbatch.customvision.image_files import find_uploaded
from regionbatch.customvision.image_recognition import recognise_images
from regionbatch.customvision.journal import Journal, fingerprint_dataset, missing_journal
from regionbatch.customvision.matching import (
    match_regions,
    nearest_pairs,
    overlap_distance,
    unmatched,
)
from regionbatch.customvision.plan_images import given_image_ids
from regionbatch.customvision.plan_tags import regular_tag_ids
from regionbatch.customvision.rate_limiter import RateLimiter
from regionbatch.customvision.session import ProjectSession
from regionbatch.customvision.snapshot import read_project, refresh_images
from regionbatch.findings import FindingLog
from regionbatch.limits import get_tier
from regionbatch.names.renames import normalise_renames
from regionbatch.names.resolve import resolve
from regionbatch.names.uuids import checked_project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from os import PathLike

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.service_types import ServiceTag
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings, Progress
    from regionbatch.names.tables import Ids

    Rows = NDArray[np.int64]

MAX_MOVE = 0.5
"""Largest 1 - IoU of a stored region that counts as moved, instead of missing and extra."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How a project differs from a dataset.

    Example:
        >>> from regionbatch.local import LocalService
        >>> dataset = rb.read("fixtures/scene/coco")
        >>> with LocalService() as service:
        ...     project_id = service.create_project("traffic")
        ...     with rb.TrainingClient(service.endpoint, service.key) as client:
        ...         verification = rb.verify(dataset, client, project_id)
        >>> verification.matched, verification.missing, verification.good
        (0, 12, False)
    """

    matched: int
    """Regions of the dataset that the project has, with coordinates within 1e-6."""
    missing: int
    """Regions of the dataset that the project does not have."""
    moved: int
    """Regions that the project has elsewhere on the image: with an IoU of at least 0.5."""
    extra: int
    """Other regions on images of the dataset, or on images that earlier uploads of it created.

    Duplicates of a region are among them, and all regions of an image that was replaced.
    """
    elsewhere: int
    """Regions on images that are not part of the dataset."""
    findings: Findings
    """Findings about the dataset, each missing, moved and extra region, and changed image files."""
    batches: Batches
    """What was compared, with the ledger of the dataset.

    If two images or two classes share an ID, identical boxes are compared once.
    """

    @property
    def good(self) -> bool:
        """Whether the images of the dataset have exactly its regions."""
        return not (self.missing or self.moved or self.extra)

    def summary(self) -> dict[str, int]:
        """Return the counts as plain values, ready for JSON.

        Example:
            >>> from regionbatch.local import LocalService
            >>> dataset = rb.read("fixtures/scene/coco")
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         result = rb.upload(dataset, client, project_id, create_tags=True)
            >>> result.verification.summary()
            {'matched': 12, 'missing': 0, 'moved': 0, 'extra': 0, 'elsewhere': 0}
        """
        return {
            "matched": self.matched,
            "missing": self.missing,
            "moved": self.moved,
            "extra": self.extra,
            "elsewhere": self.elsewhere,
        }

    def __str__(self) -> str:
        """Return `4886 verified, 0 missing, 0 moved, 0 extra`, and what is elsewhere, if any."""
        counts = (
            f"{self.matched} verified, {self.missing} missing, {self.moved} moved, "
            f"{self.extra} extra"
        )
        return f"{counts} ({self.elsewhere} on other images)" if self.elsewhere else counts


def verify(  # longer than 40 lines because of its docstring
    dataset: Dataset,
    client: TrainingClient,
    project_id: str,
    *,
    image_ids: Ids | None = None,
    journal: str | PathLike[str] | None = None,
    rename: Mapping[str, str] | None = None,
    tier: str = "S0",
    progress: Progress | None = None,
    rate_limiter: RateLimiter | None = None,
) -> Verification:
    """Read a project and compare its regions with those of a dataset. Writes nothing.

    The service keeps no image names. Images whose ID is neither in `image_ids` nor in `journal`
    are recognised by their regions: each is the image in the project that shares most of them.

    Args:
        dataset: The dataset, as `regionbatch.read` returns it.
        client: The training resource.
        project_id: The ID of the project, from its settings.
        image_ids: Image IDs by name, or a file of them, as `regionbatch.batches` takes them.
        journal: The journal of the upload, which contains the IDs.
        rename: Tag names by class name, as given to `upload`.
        tier: Pricing tier whose call rate applies: F0 or S0.
        progress: Called with the current step, how much is done, and how much there is (0 if
            that is unknown).
        rate_limiter: Decides when calls are made, instead of the tier's call rate.

    Returns:
        The number of matched, missing, moved and extra regions, and a finding for each difference.

    Raises:
        ServiceError: The project cannot be read.
        ResolveError: A name has two IDs.
        JournalError: The journal does not exist, is in use, or belongs to another project.
        OptionError: The tier is unknown, or the project ID is not a UUID.

    Example:
        >>> from regionbatch.local import LocalService
        >>> dataset = rb.read("fixtures/scene/coco")
        >>> with LocalService() as service:
        ...     project_id = service.create_project("traffic")
        ...     with rb.TrainingClient(service.endpoint, service.key) as client:
        ...         _ = rb.upload(dataset, client, project_id, create_tags=True)
        ...         verification = rb.verify(dataset, client, project_id)
        >>> print(verification)
        12 verified, 0 missing, 0 moved, 0 extra
    """
    limits = get_tier(tier)
    rename = normalise_renames(rename)
    project_id = checked_project(project_id)
    session = ProjectSession(
        client, project_id, rate_limiter or RateLimiter(limits.calls_per_second)
    )
    log = FindingLog()
    recorded = _recorded_images(dataset, project_id, journal, image_ids, rename, log)
    tags = session.tags()
    tag_ids = _tag_ids(dataset, tags, rename)
    snapshot = read_project(session, untagged=False, progress=progress)
    known = dict(recorded.ids)
    ids = {name: known.get(name) or str(uuid.uuid4()) for name in dataset.images.names}
    wanted = batches(dataset, tag_ids=tag_ids, image_ids=ids, rename=rename)
    if len(known) < len(ids):
        known |= recognise_images(dataset, wanted, snapshot, known, recorded.changed)
        ids.update(known)
        wanted = batches(dataset, tag_ids=tag_ids, image_ids=ids, rename=rename)
    snapshot = _refresh_incomplete_images(session, snapshot, wanted, known, dataset)
    found = compare(
        wanted,
        snapshot,
        dataset,
        ids,
        former=recorded.former,
        tag_names={tag.id.lower(): tag.name for tag in tags},
    )
    return replace(found, findings=wanted.findings + log.findings() + found.findings)


class _RecordedImages(NamedTuple):
    """What is known about the images of a dataset before they are compared."""

    ids: Mapping[str, str]
    """IDs by name: given, or from the journal."""
    changed: AbstractSet[str]
    """IDs of images whose file has changed since they were uploaded."""
    former: Mapping[str, str]
    """Names by ID of all images in the journal, including those that were replaced."""


def _recorded_images(
    dataset: Dataset,
    project_id: str,
    journal: str | PathLike[str] | None,
    image_ids: Ids | None,
    rename: Mapping[str, str],
    log: FindingLog,
) -> _RecordedImages:
    images = dataset.images
    given = given_image_ids(images, image_ids, log)
    uploaded: dict[int, str] = {}
    changed: dict[int, str] = {}
    former: dict[str, str] = {}
    if journal is not None:
        if not Path(journal).exists():
            raise missing_journal(journal)
        with Journal(journal, project_id, read_only=True) as opened:
            same_dataset = opened.belongs_to(fingerprint_dataset(dataset, rename))
            recorded = opened.images()
            former = opened.names_by_id()
        uploaded, changed = find_uploaded(images, recorded, given, log, same_dataset=same_dataset)
    ids = {images.names[row]: id_ for row, id_ in {**uploaded, **given}.items()}
    return _RecordedImages(ids, {*changed.values()}, former)


def _tag_ids(
    dataset: Dataset, tags: Sequence[ServiceTag], rename: Mapping[str, str]
) -> dict[str, str]:
    """Return tag IDs by name, found as an upload finds them.

    A class without a tag gets an ID that the project cannot have.
    """
    used = np.unique(dataset.regions.tag).tolist()
    found = resolve(
        "tag",
        dataset.tags,
        used,
        regular_tag_ids(tags),
        FindingLog(),
        rename=rename,
        skip=True,
    )
    ids: dict[str, str] = {}
    for code in used:
        name = dataset.tags[code]
        ids[rename.get(name, name)] = found[code] or str(uuid.uuid4())
    return ids


def _refresh_incomplete_images(
    session: ProjectSession,
    snapshot: ProjectSnapshot,
    wanted: Batches,
    known: Mapping[str, str],
    dataset: Dataset,
) -> ProjectSnapshot:
    """Read known images again if they lack a region, because a listing may be out of date."""
    rows = [row for row, name in enumerate(dataset.images.names) if name in known]
    is_known = np.isin(wanted.regions.image, rows)
    is_missing = match_regions(snapshot.project_columns(wanted), snapshot.regions) < 0
    return refresh_images(session, snapshot, wanted.take(np.flatnonzero(is_missing & is_known)))


def compare(
    wanted: Batches,
    stored: ProjectSnapshot,
    dataset: Dataset,
    image_ids: Mapping[str, str],
    *,
    former: Mapping[str, str],
    tag_names: Mapping[str, str],
    is_reported: NDArray[np.bool_] | None = None,
) -> Verification:
    """Compare the regions of a dataset with those that a project has.

    `former` and `tag_names` are names by ID: of images that earlier uploads of the dataset created,
    and of the project's tags. Regions marked in `is_reported`, (n,), get no finding if missing.
    """
    images = ImageNames.of(stored, image_ids, former)
    columns = stored.project_columns(wanted)
    found = match_regions(columns, stored.regions)
    missing = np.flatnonzero(found < 0)
    free = unmatched(found, len(stored.regions.image))
    is_ours = np.isin(stored.regions.image[free], [*images.names])
    extra = free[is_ours]
    moved = dict(nearest_pairs(columns, missing, stored.regions, extra, overlap_distance, MAX_MOVE))
    missing = np.setdiff1d(missing, [*moved])
    extra = np.setdiff1d(extra, [*moved.values()])
    report = DifferenceReport(dataset, wanted, stored)
    report.add_missing(missing if is_reported is None else missing[~is_reported[missing]])
    report.add_moved(moved)
    report.add_extra(extra, images, tag_names)
    return Verification(
        matched=int(np.count_nonzero(found >= 0)),
        missing=len(missing),
        moved=len(moved),
        extra=len(extra),
        elsewhere=int(np.count_nonzero(~is_ours)),
        batches=wanted,
        findings=report.log.findings(),
    )
