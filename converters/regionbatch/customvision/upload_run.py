"""The writes of an upload, in order: images, tags, regions; then the project is read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.customvision.image_files import report_refused_images
from regionbatch.customvision.image_upload import ImageUploader
from regionbatch.customvision.matching import match_regions
from regionbatch.customvision.regions import OutcomeTable, RegionOutcome, RegionSender
from regionbatch.customvision.snapshot import read_project, refresh_images
from regionbatch.customvision.tag_creation import create_tags
from regionbatch.customvision.verify import compare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.image_files import Refusal
    from regionbatch.customvision.journal import Journal
    from regionbatch.customvision.plan import Plan, UploadOptions
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.customvision.verify import Verification
    from regionbatch.dataset import Dataset
    from regionbatch.findings import FindingLog, Progress

    Rows = NDArray[np.int64]

IN_FLIGHT = 10
"""Number of batches of regions that are sent at a time: at 10 calls/s, a call may take 1 s."""


class UploadRun:
    """Carries out a plan. Each step needs what the previous step found."""

    batches: Batches
    """The regions of the dataset, with their IDs."""
    outcomes: OutcomeTable
    """The outcome of each region."""
    snapshot: ProjectSnapshot
    """What the project contains."""
    uploaded: Mapping[str, str]
    """IDs by name of the images that were uploaded."""
    refused: Mapping[int, Refusal]
    """Images that no region can be sent to, by number."""
    new_tags: Mapping[str, str]
    """IDs of the tags that were created, by placeholder ID."""
    already: int
    """Number of regions that the project had before."""

    def __init__(
        self,
        dataset: Dataset,
        session: ProjectSession,
        journal: Journal,
        log: FindingLog,
        plan: Plan,
        options: UploadOptions,
    ) -> None:
        """Keep the parts; nothing is written yet."""
        self.session = session
        self.log = log
        self._dataset = dataset
        self._journal = journal
        self._plan = plan
        self._options = options
        self._image_ids: dict[str, str] = {}
        self._former: Mapping[str, str] = {}

    def write(self, in_flight: int, progress: Progress | None) -> None:
        """Upload images, create tags, send regions, and read the project again."""
        unlisted = self._upload_images(progress)
        rows = self._find_regions_to_send(unlisted)
        self._create_tags(rows)
        if len(unlisted):
            # Whoever uploaded these images meanwhile may have created the tags too.
            rows = rows[self._is_missing(self.batches.take(rows))]
        self.already = (
            len(self.batches.regions) - len(rows) - self.outcomes.count(RegionOutcome.FAILED)
        )
        sender = RegionSender(self.session, self.batches, self.outcomes, self._journal)
        sender.send(rows, max_in_flight=in_flight, give_up=not self.already, progress=progress)
        self.snapshot = read_project(self.session, untagged=False, progress=progress)
        self._former = self._journal.names_by_id()

    def _upload_images(self, progress: Progress | None) -> list[int]:
        """Upload images; return those that the project had, although no listing did."""
        images = self._dataset.images
        plan = self._plan
        uploader = ImageUploader(self.session, images, plan.images.to_upload, self._journal)
        uploader.upload(progress)
        self.uploaded = {images.names[row]: id_ for row, id_ in uploader.ids.items()}
        self.refused = {**plan.images.refused, **uploader.refused}
        self._image_ids = {**plan.images.ids, **self.uploaded}
        self.batches = self._options.make_batches(self._dataset, plan.tag_ids, self._image_ids)
        self.outcomes = OutcomeTable(len(self.batches.regions))
        known = plan.snapshot.images
        return [row for row in uploader.already_stored if uploader.ids[row] not in known]

    def _find_regions_to_send(self, unlisted: list[int]) -> Rows:
        """Return the regions that the project lacks; fail those whose image was refused."""
        image = self.batches.regions.image
        of_unlisted = np.flatnonzero(np.isin(image, unlisted))
        self.snapshot = refresh_images(
            self.session, self._plan.snapshot, self.batches.take(of_unlisted)
        )
        is_missing = self._is_missing(self.batches)
        is_refused = np.isin(image, [*self.refused])
        self._fail_refused(np.flatnonzero(is_missing & is_refused))
        return np.flatnonzero(is_missing & ~is_refused)

    def _fail_refused(self, rows: Rows) -> None:
        """Fail regions whose image was refused."""
        if not len(rows):
            return
        image = self.batches.regions.image
        rows = rows[np.argsort(image[rows], kind="stable")]
        images, starts = np.unique(image[rows], return_index=True)
        groups = np.split(rows, starts[1:])
        for refused_image, group in zip(images.tolist(), groups, strict=True):
            self.outcomes.fail(group, *self.refused[refused_image])

    def _is_missing(self, batches: Batches) -> NDArray[np.bool_]:
        """Return which regions the project lacks, (n,)."""
        wanted = self.snapshot.project_columns(batches)
        is_missing: NDArray[np.bool_] = match_regions(wanted, self.snapshot.regions) < 0
        return is_missing

    def _create_tags(self, rows: Rows) -> None:
        """Create the missing tags that regions to be sent have."""
        codes = np.unique(self.batches.regions.tag[rows]).tolist()
        used = {self.batches.tag_ids[code] for code in codes}
        names: dict[str, str] = {}
        for name in self._plan.new_tags:
            placeholder = self._plan.tag_ids[name]
            if placeholder in used:
                names[placeholder] = name
        self.new_tags = create_tags(self.session, self._journal, names)
        self.batches = self.batches.with_tags(self.new_tags)

    def verify(self) -> Verification:
        """Compare the project with the dataset."""
        outcome = self.outcomes.outcome
        is_reported = np.isin(outcome, (RegionOutcome.EXCEEDED, RegionOutcome.FAILED))
        is_missing = self._is_missing(self.batches)
        # A listing may be out of date.
        unconfirmed = self.batches.take(np.flatnonzero(~is_reported & is_missing))
        self.snapshot = refresh_images(self.session, self.snapshot, unconfirmed)
        tag_names: dict[str, str] = {}
        for name, id_ in self._plan.tag_ids.items():
            tag_names[self.new_tags.get(id_, id_).lower()] = name
        return compare(
            self.batches,
            self.snapshot,
            self._dataset,
            self._image_ids,
            former=self._former,
            tag_names=tag_names,
            is_reported=is_reported,
        )

    def report_losses(self) -> None:
        """Report the images and regions that are not in the project."""
        planned = self._plan.images.refused
        refused = {row: reason for row, reason in self.refused.items() if row not in planned}
        report_refused_images(self._dataset.images, refused, self.log)
        self._report_regions("region_failed", RegionOutcome.FAILED)
        self._report_regions("region_exceeded", RegionOutcome.EXCEEDED)

    def _report_regions(self, code: str, outcome: RegionOutcome) -> None:
        regions = self.batches.regions
        dataset = self._dataset
        rows = np.flatnonzero(self.outcomes.outcome == outcome)
        values: list[str] = []
        for row in rows.tolist():
            value = (
                f"{dataset.tags[regions.tag[row]]} in {dataset.images.names[regions.image[row]]}"
            )
            reason = ": ".join(filter(None, self.outcomes.reasons[self.outcomes.reason[row]]))
            values.append(f"{value} ({reason})" if reason else value)
        self.log.add(
            code,
            regions.file[rows],
            regions.where[rows],
            values,
            table=dataset.findings.files,
            place=regions.place,
        )
