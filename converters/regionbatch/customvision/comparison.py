"""Compare the regions of a dataset with those that a project has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.customvision.differences import DifferenceReport, ImageNames, RegionDifferences
from regionbatch.customvision.matching import (
    TOLERANCE,
    nearest_pairs,
    overlap_distance,
    unmatched,
)
from regionbatch.customvision.plan_regions import match_stored
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings

    Mask = NDArray[np.bool_]
    Outcomes = NDArray[np.int8]
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
    """Regions of the dataset that the project has, with coordinates within 1e-6.

    Regions that an upload confirmed or kept may differ more; then each has a finding.
    """
    missing: int
    """Regions of the dataset that the project does not have."""
    moved: int
    """Regions that the project has elsewhere on the image: with an IoU of at least 0.5."""
    extra: int
    """Other regions on images of the dataset, or on images that earlier uploads of it created.

    They include duplicates of a region, and all regions of an image that was replaced.
    """
    elsewhere: int
    """Regions on images that are not part of the dataset."""
    findings: Findings
    """Findings about the dataset, each missing, moved and extra region, and changed image files."""
    batches: Batches
    """The regions that were compared, with the ledger of the dataset.

    If two images or two classes share an ID, identical boxes are compared once.
    """
    differences: RegionDifferences
    """Which regions are missing, moved and extra, with the boxes that the project has."""

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
        if not self.elsewhere:
            return counts
        return f"{counts}; {counted(self.elsewhere, 'region')} on other images of the project"


def compare(
    wanted: Batches,
    stored: ProjectSnapshot,
    dataset: Dataset,
    image_ids: Mapping[str, str],
    *,
    former: Mapping[str, str],
    tag_names: Mapping[str, str],
    is_reported: Mask | None = None,
    known: Outcomes,
) -> Verification:
    """Compare the regions of a dataset with those that a project has.

    Args:
        wanted: n regions of the dataset.
        stored: What the project contains.
        dataset: The dataset.
        image_ids: Image IDs by name.
        former: Names by ID of images that earlier uploads of the dataset created.
        tag_names: Names by ID of the project's tags.
        is_reported: (n,), whether a region is reported already, so that it gets no finding if it is
            missing.
        known: (n,), what is known of each region; see `match_stored`.
    """
    images = ImageNames.of(stored, image_ids, former)
    columns = stored.project_columns(wanted)
    found = match_stored(columns, stored.regions, known)
    missing = np.flatnonzero(found < 0)
    free = unmatched(found, len(stored.regions.image))
    is_ours = np.isin(stored.regions.image[free], [*images.names])
    extra = free[is_ours]
    moved = dict(nearest_pairs(columns, missing, stored.regions, extra, overlap_distance, MAX_MOVE))
    missing = np.setdiff1d(missing, [*moved])
    extra = np.setdiff1d(extra, [*moved.values()])
    report = DifferenceReport(dataset, wanted, stored)
    matched = np.flatnonzero(found >= 0)
    difference = np.abs(columns.box[matched] - stored.regions.box[found[matched]]).max(axis=1)
    rounded = matched[difference > TOLERANCE].tolist()
    report.add_nearly_equal("region_rounded", {row: int(found[row]) for row in rounded})
    report.add_missing(missing if is_reported is None else missing[~is_reported[missing]])
    report.add_moved(moved)
    report.add_extra(extra, images, tag_names)
    return Verification(
        matched=len(matched),
        missing=len(missing),
        moved=len(moved),
        extra=len(extra),
        elsewhere=int(np.count_nonzero(~is_ours)),
        batches=wanted,
        findings=report.log.findings(),
        differences=RegionDifferences.of(stored, missing, moved, extra, images, tag_names),
    )
