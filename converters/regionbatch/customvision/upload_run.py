"""The writes of an upload, in order: images, tags, regions; then the project is read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.customvision.comparison import compare
from regionbatch.customvision.differences import (
    DifferenceReport,
    report_lost,
    report_outdated,
)
from regionbatch.customvision.image_files import report_other_sizes, report_refused_images
from regionbatch.customvision.image_upload import uploader_of
from regionbatch.customvision.matching import match_regions, unmatched
from regionbatch.customvision.plan_regions import (
    match_stored,
    plan_regions,
    recorded_outcomes,
)
from regionbatch.customvision.plan_training import plan_training
from regionbatch.customvision.prune import (
    columns_of,
    delete_regions,
    plan_pruning,
    without_duplicates,
    without_regions,
)
from regionbatch.customvision.regions import (
    OutcomeTable,
    RegionDelivery,
    RegionOutcome,
    RegionSender,
)
from regionbatch.customvision.snapshot import (
    await_images,
    image_ids_of,
    read_images,
    read_project,
    refresh_images,
)
from regionbatch.customvision.tag_creation import create_tags
from regionbatch.judging import raise_if_strict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.comparison import Verification
    from regionbatch.customvision.image_files import Refusal
    from regionbatch.customvision.plan import Plan, UploadOptions
    from regionbatch.customvision.plan_training import TrainingPlan
    from regionbatch.customvision.prune import OutdatedRegion
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset
    from regionbatch.findings import FindingLog, Progress

    Mask = NDArray[np.bool_]
    Outcomes = NDArray[np.int8]
    Rows = NDArray[np.int64]

IN_FLIGHT = 10
"""Number of batches of regions that are sent at a time: at 10 calls/s, a call may take 1 s."""


class UploadRun:
    """Carries out a plan. Each step needs what the previous step found.

    At any moment, its attributes are an account of what was done.
    """

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
    training: TrainingPlan
    """The tags of the project after the run, and what it lacks for training."""
    new_tags: dict[str, str]
    """IDs of the tags that were created, by placeholder ID."""
    already: int
    """Number of regions that the project had before."""
    deleted: list[OutdatedRegion]
    """Regions that were deleted from the project."""

    def __init__(
        self,
        dataset: Dataset,
        session: ProjectSession,
        log: FindingLog,
        plan: Plan,
        options: UploadOptions,
    ) -> None:
        """Store the arguments; nothing is written yet."""
        self.session = session
        self.log = log
        self.batches = plan.batches
        self.outcomes = OutcomeTable(len(plan.batches.regions))
        self.snapshot = plan.snapshot
        self.uploaded = {}
        self.refused = plan.images.refused
        self.training = plan.training
        self.new_tags = {}
        self.already = plan.already
        self.deleted = []
        self._dataset = dataset
        self._plan = plan
        self._options = options
        # The service may not know yet what a run that just ended created.
        self._follows_a_run = (
            session.journal.seconds_since_last_call() < session.rate_limiter.settle_seconds
        )
        self._hashes = plan.hashes
        self._image_ids: Mapping[str, str] = plan.images.ids
        self._former: Mapping[str, str] = {}
        self._unclear_rows: list[Rows] = []
        self._regions = plan.region_plan
        self._outdated: Sequence[OutdatedRegion] = plan.outdated

    def write(self, in_flight: int, progress: Progress | None) -> None:
        """Upload images, create tags, send and delete regions, and read the project again."""
        unlisted = self._upload_images(progress)
        rows = self._find_regions_to_send(unlisted)
        self._create_tags(rows)
        if unlisted or self.new_tags:
            # Somebody may have uploaded these images meanwhile, or a tag turned out to exist.
            rows = rows[self._is_missing()[rows]]
        self.already = (
            len(self.batches.regions) - len(rows) - self.outcomes.count(RegionOutcome.FAILED)
        )
        self._record_kept()
        self._send(rows, in_flight, progress)
        self._prune(in_flight, progress)
        self.snapshot = read_project(self.session, untagged=False, progress=progress)
        self._former = self.session.journal.names_by_id()

    def _upload_images(self, progress: Progress | None) -> list[int]:
        """Upload images; return those that the project had, although no listing contained them."""
        images = self._dataset.images
        plan = self._plan
        to_upload = plan.images.to_upload
        uploader = uploader_of(self.session, self._dataset, to_upload, self._options)
        try:
            uploader.upload(progress)
        finally:
            delivery = uploader.delivery
            self.uploaded = {images.names[row]: id_ for row, id_ in delivery.ids.items()}
            self.refused = {**plan.images.refused, **delivery.refused}
            report_other_sizes(images, delivery.other_sizes, self.log)
        self._image_ids = {**plan.images.ids, **self.uploaded}
        self.batches = self._options.make_batches(self._dataset, plan.tag_ids, self._image_ids)
        self.outcomes = OutcomeTable(len(self.batches.regions))
        known = plan.snapshot.images
        return [row for row in delivery.already_stored if delivery.ids[row] not in known]

    def _find_regions_to_send(self, unlisted: list[int]) -> Rows:
        """Return the regions that the project lacks; fail those whose image was refused.

        Raises:
            OptionError: Images turned out to be in the project, with nearly equal regions.
            LimitError: Images turned out to be in the project, with too many regions to delete.
            StrictError: Because images turned out to be in the project, a tag has too few of them.
        """
        image = self.batches.regions.image
        of_unlisted = np.flatnonzero(np.isin(image, unlisted))
        self.snapshot = refresh_images(
            self.session, self._plan.snapshot, self.batches.take(of_unlisted)
        )
        if self._plan.new_images:
            self._plan_regions_again()
            self.already = int(np.count_nonzero(self._regions.is_stored))
            self._plan_training_again()
        is_missing = ~self._regions.is_stored
        is_refused = np.isin(image, [*self.refused])
        self._fail_refused(np.flatnonzero(is_missing & is_refused))
        return np.flatnonzero(is_missing & ~is_refused)

    def _plan_regions_again(self) -> None:
        """Plan the regions with the IDs of the uploaded images: the project may have had them."""
        hashes = self._hashes[self.batches.rows]
        self._regions = plan_regions(
            self.batches,
            self.snapshot,
            self.refused,
            recorded_outcomes(hashes, self.session.journal),
            self._options.existing_or_replaced,
        )
        plan = self._plan
        names = {id_: name for name, id_ in self._image_ids.items()}
        self._outdated = plan_pruning(
            self._dataset,
            self.batches,
            self.snapshot,
            self._regions,
            {**plan.images.names_by_id, **names},
            plan.tag_ids,
            self.session,
            self._options,
        )
        self._report_unplanned(names)

    def _plan_training_again(self) -> None:
        """Count the images of each tag again: the plan counted twice those that the project had."""
        self.training = plan_training(
            self._dataset,
            self.batches,
            self._regions.is_sent,
            without_regions(self.snapshot, self._outdated),
            self._plan.tag_plan,
            self._options.rename,
        )
        if self._options.strict:
            raise_if_strict(self.training.findings, self._dataset.root)

    def _report_unplanned(self, image_names: Mapping[str, str]) -> None:
        """Report regions to keep and to delete that the plan did not know of."""
        plan = self._plan
        planned_rows = plan.batches.rows[[*plan.region_plan.kept()]]
        kept = self._regions.kept()
        new = {row: at for row, at in kept.items() if self.batches.rows[row] not in planned_rows}
        report = DifferenceReport(self._dataset, self.batches, self.snapshot, self.log)
        report.add_nearly_equal("region_kept", new)
        planned_ids = {region.id for region in plan.outdated}
        outdated = [region for region in self._outdated if region.id not in planned_ids]
        tag_names = {id_: name for name, id_ in plan.tag_ids.items()}
        report_outdated(outdated, image_names, tag_names, self.log)

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

    def _is_missing(self) -> Mask:
        """Return which regions the project lacks, (n,)."""
        wanted = self.snapshot.project_columns(self.batches)
        is_missing: Mask = match_stored(wanted, self.snapshot.regions, self._known()) < 0
        return is_missing

    def _known(self) -> Outcomes:
        """Return the outcome of each region in this run, or in an earlier one, (n,)."""
        known = self._regions.recorded.copy()
        known[[*self._regions.kept()]] = RegionOutcome.KEPT
        outcome = self.outcomes.outcome
        return np.where(outcome == RegionOutcome.WAITING, known, outcome)

    def _create_tags(self, rows: Rows) -> None:
        """Create the missing tags of the regions to send."""
        codes = np.unique(self.batches.regions.tag[rows]).tolist()
        used = {self.batches.tag_ids[code] for code in codes}
        names: dict[str, str] = {}
        for name in self._plan.new_tags:
            placeholder = self._plan.tag_ids[name]
            if placeholder in used:
                names[placeholder] = name
        create_tags(self.session, names, self.new_tags)
        self.batches = self.batches.with_tags(self.new_tags)

    def _record_kept(self) -> None:
        """Record regions that are kept, so that a later run and `verify` know them."""
        kept = [*self._regions.kept()]
        if kept:
            call = self.session.journaled_call("kept", self._hashes[self.batches.rows[kept]])
            call.start()
            call.finish(np.full(len(kept), RegionOutcome.KEPT, np.int8))

    def _send(self, rows: Rows, in_flight: int, progress: Progress | None) -> None:
        """Send regions."""
        regions = self.batches.regions
        new_tags = {*self.new_tags.values()}
        new_tag_codes = [at for at, id_ in enumerate(self.batches.tag_ids) if id_ in new_tags]
        names = self._dataset.images.names
        new_images = [at for at, name in enumerate(names) if name in self.uploaded]
        is_new = np.isin(regions.tag, new_tag_codes) | np.isin(regions.image, new_images)
        is_new |= self._follows_a_run
        delivery = RegionDelivery(
            self.session,
            self.batches,
            self.outcomes,
            self._hashes[self.batches.rows],
            self.snapshot,
            is_new,
        )
        sender = RegionSender(self.session, delivery)
        sender.send(
            rows,
            self.outcomes,
            max_in_flight=in_flight,
            give_up=not self.already,
            progress=progress,
        )
        self._unclear_rows += delivery.unclear_rows

    def _prune(self, in_flight: int, progress: Progress | None) -> None:
        """Delete the regions of the plan, and send those that had no room before.

        No regions are deleted from an image on which a region could not be created.
        """
        if not self._outdated:
            return
        failed = np.flatnonzero(self.outcomes.outcome == RegionOutcome.FAILED)
        incomplete = {*image_ids_of(self.batches.take(failed))}
        duplicated = np.flatnonzero(self.outcomes.outcome == RegionOutcome.DUPLICATED)
        sent = self.snapshot.project_columns(self.batches.take(duplicated))
        outdated = without_duplicates(self._outdated, sent, self.snapshot)
        outdated = [region for region in outdated if region.image_id not in incomplete]
        delete_regions(self.session, outdated, self.deleted, progress)
        exceeded = np.flatnonzero(self.outcomes.outcome == RegionOutcome.EXCEEDED)
        has_room = np.isin(
            np.asarray(self.batches.image_ids)[self.batches.regions.image[exceeded]],
            [region.image_id for region in self.deleted],
        )
        if has_room.any():
            self._send(exceeded[has_room], in_flight, progress)

    def verify(self) -> Verification:
        """Compare the project with the dataset.

        Regions that the service confirmed are looked up again for up to a minute before they are
        called missing, and so are deleted regions before they are called extra.
        """
        outcome = self.outcomes.outcome
        is_reported = np.isin(outcome, (RegionOutcome.EXCEEDED, RegionOutcome.FAILED))
        known = self._known()
        is_confirmed = ~is_reported
        # A listing may be out of date.
        doubtful = is_confirmed & self._is_missing()
        doubtful[np.concatenate([np.zeros(0, np.int64), *self._unclear_rows])] = True
        doubtful_rows = self.batches.take(np.flatnonzero(doubtful))
        ids = {*image_ids_of(doubtful_rows), *self._images_with_extra()}
        self.snapshot = self.snapshot.updated_with(read_images(self.session, sorted(ids)))

        def outdated(snapshot: ProjectSnapshot) -> list[str]:
            wanted = snapshot.project_columns(self.batches)
            found = match_stored(wanted, snapshot.regions, known)
            missing = self.batches.take(np.flatnonzero(is_confirmed & (found < 0)))
            return [*{*image_ids_of(missing), *self._images_with_deleted(snapshot, found)}]

        self.snapshot = await_images(self.session, self.snapshot, outdated)
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
            known=known,
        )

    def _images_with_extra(self) -> list[str]:
        """Return the IDs of the dataset's images with extra regions, perhaps already deleted."""
        if not (self._options.prune or self._follows_a_run):
            return []
        wanted = self.snapshot.project_columns(self.batches)
        found = match_stored(wanted, self.snapshot.regions, self._known())
        free = unmatched(found, len(self.snapshot.regions.image))
        own = {*self._image_ids.values(), *self._former}
        return [id_ for id_ in self.snapshot.image_ids_at(free) if id_ in own]

    def _images_with_deleted(self, snapshot: ProjectSnapshot, found: Rows) -> list[str]:
        """Return the IDs of images that still show a region that this run deleted."""
        free = snapshot.regions.take(unmatched(found, len(snapshot.regions.image)))
        is_shown = match_regions(columns_of(self.deleted, snapshot), free) >= 0
        return [self.deleted[at].image_id for at in np.flatnonzero(is_shown).tolist()]

    def report_losses(self) -> None:
        """Report the images and regions that are not in the project."""
        planned = self._plan.images.refused
        refused = {row: reason for row, reason in self.refused.items() if row not in planned}
        report_refused_images(self._dataset.images, refused, self.log)
        report_lost(self._dataset, self.batches, self.outcomes, self.log)
