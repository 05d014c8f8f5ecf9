"""Send regions in full batches, several at a time, until each has an outcome."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.customvision.delivery import Delivery, deliver, work_on_batches
from regionbatch.customvision.matching import (
    NEAR,
    match_more,
    match_regions,
    max_difference,
    unmatched,
)
from regionbatch.customvision.snapshot import (
    NO_IMAGE,
    ProjectSnapshot,
    as_columns,
    read_images,
)
from regionbatch.errors import ServiceError
from regionbatch.limits import REGIONS_PER_BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.service_types import ServiceRegion
    from regionbatch.customvision.session import JournaledCall, ProjectSession
    from regionbatch.customvision.snapshot import RegionColumns
    from regionbatch.findings import Progress

    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]


_DECISIVE_BATCHES = 3
"""If all regions of this many batches in a row are refused with one code, no more batches are
sent."""
_NOT_SENT = ServiceError("regions: not sent. Run the upload again.", code="Unconfirmed")


class RegionOutcome(IntEnum):
    """What became of a region. The numbers are part of the journal's format."""

    WAITING = 0
    """Not sent yet, or sent without a result."""
    CREATED = 1
    DUPLICATED = 2
    """The image had the region already."""
    EXCEEDED = 3
    """The image already has the maximum number of regions."""
    FAILED = 4
    KEPT = 5
    """Not sent, because the image has a nearly equal region."""


STORED = (RegionOutcome.CREATED, RegionOutcome.DUPLICATED, RegionOutcome.KEPT)
"""The outcomes of regions that the project has."""


class OutcomeTable:
    """The outcome of each region, and the reason for each failure.

    Several threads may write to it, each to rows of its own.
    """

    def __init__(self, count: int) -> None:
        """Start with all regions waiting."""
        self.outcome = np.zeros(count, np.int8)
        """(n,), a `RegionOutcome` each."""
        self.reason = np.zeros(count, np.int32)
        """(n,), positions in `reasons`."""
        self.reasons = [("", "")]
        """Code and message of each different reason."""
        self._position_of = {("", ""): 0}
        self._lock = threading.Lock()

    def fail(self, rows: Rows, code: str, message: str) -> None:
        """Mark regions as failed."""
        reason = (code, message)
        with self._lock:
            position = self._position_of.setdefault(reason, len(self.reasons))
            if position == len(self.reasons):
                self.reasons.append(reason)
            self.reason[rows] = position
        self.outcome[rows] = RegionOutcome.FAILED

    def count(self, outcome: RegionOutcome) -> int:
        """Return how many regions have an outcome."""
        return int(np.count_nonzero(self.outcome == outcome))

    def is_stored(self) -> Mask:
        """Return which regions the service confirmed, (n,)."""
        return np.isin(self.outcome, STORED)


class RegionDelivery(Delivery["Rows"]):
    """Sends batches of regions, and notes the outcome of each region."""

    operation = "CreateImageRegions"

    def __init__(
        self,
        session: ProjectSession,
        batches: Batches,
        outcomes: OutcomeTable,
        hashes: NDArray[np.uint64],
        planned: ProjectSnapshot,
        is_new: Mask,
    ) -> None:
        """Store the arguments.

        Args:
            session: The project.
            batches: n regions.
            outcomes: A row for each region.
            hashes: (n,), the hash of each region for the journal.
            planned: What the project contained before anything was sent.
            is_new: (n,), whether this run created the image or the tag of a region.
        """
        self._session = session
        self._batches = batches
        self._outcomes = outcomes
        self._hashes = hashes
        self._planned = planned
        self._is_new = is_new
        self._created_at = session.rate_limiter.now()
        self._split_lock = threading.RLock()
        self.last_refusal = _NOT_SENT
        self.unclear_rows: list[Rows] = []
        """Regions of calls that had no clear response."""
        self.skips_rest = False
        """Whether no more regions are sent."""
        self.has_stored_any = False
        self._stored_last = False

    def journaled_call(self, session: ProjectSession, items: Rows) -> JournaledCall:
        """Return the entry of a call, with the hashes of its regions."""
        return session.journaled_call(self.operation, self._hashes[items])

    def send(self, items: Rows, call: JournaledCall) -> Rows:
        """Send a batch; return the regions that the response leaves out."""
        session = self._session
        batch = self._batches.take(items)[0]
        create = partial(session.client.create_regions, session.project_id, batch)
        result = session.write(call, create)
        named = (
            (RegionOutcome.CREATED, result.created),
            (RegionOutcome.DUPLICATED, result.duplicated),
            (RegionOutcome.EXCEEDED, result.exceeded),
        )
        left = items
        for outcome, regions in named:
            left = self._note_equal(left, regions or [], outcome)
        # A service that stores fewer digits returns other numbers than were sent.
        for outcome, regions in named:
            left = self._note_near(left, items, regions or [], outcome)
        return left

    def look_up(self, items: Rows, *, is_refused: bool) -> Rows:
        """Note the outcome of regions that are stored on their images; return the other regions."""
        if not is_refused:
            self.unclear_rows.append(items)
        codes = np.unique(self._batches.regions.image[items]).tolist()
        stored = read_images(self._session, [self._batches.image_ids[code] for code in codes])
        # A refused batch created nothing, so regions that its images have were there before.
        outcome = RegionOutcome.DUPLICATED if is_refused else RegionOutcome.CREATED
        return self._note(items, self._stored_rows(items, codes, stored), outcome)

    def finish(self, call: JournaledCall, items: Rows) -> None:
        """Record the outcomes of a call."""
        call.finish(self._outcomes.outcome[items])

    def fail(self, items: Rows, error: ServiceError, *, prefix: str = "") -> None:
        """Mark regions as failed."""
        self.last_refusal = error
        self._stored_last = False
        code = error.code or str(error.status or "NoAnswer")
        self._outcomes.fail(items, code, prefix + (error.service_message or str(error)))

    def skip(self, items: Rows) -> None:
        """Mark regions as failed: they are not sent, because too many others were refused."""
        self.fail(items, self.last_refusal, prefix="not sent after others failed: ")

    def parts_of(self, items: Rows) -> list[Rows]:
        """Return the halves of a batch; nothing if no more regions are sent."""
        if self.skips_rest:
            self.skip(items)
            return []
        return super().parts_of(items)

    def has_new_ids(self, items: Rows) -> bool:
        """Return whether images or tags of regions were created a short time ago."""
        limiter = self._session.rate_limiter
        is_recent = limiter.now() - self._created_at < limiter.settle_seconds
        return is_recent and bool(self._is_new[items].any())

    def splitting(self) -> AbstractContextManager[object]:
        """Return a lock until a region is stored.

        If all regions are refused, halving one batch at a time takes the fewest calls to find out.
        """
        return nullcontext() if self._stored_last else self._split_lock

    def _note(self, rows: Rows, is_stored: Mask, outcome: RegionOutcome) -> Rows:
        self._outcomes.outcome[rows[is_stored]] = outcome
        if is_stored.any():
            self.has_stored_any = self._stored_last = True
        return rows[~is_stored]

    def _note_equal(
        self, rows: Rows, regions: Sequence[ServiceRegion], outcome: RegionOutcome
    ) -> Rows:
        if not (regions and len(rows)):
            return rows
        stored = _as_snapshot(regions)
        wanted = stored.project_columns(self._batches.take(rows))
        return self._note(rows, match_regions(wanted, stored.regions) >= 0, outcome)

    def _note_near(
        self, rows: Rows, sent: Rows, regions: Sequence[ServiceRegion], outcome: RegionOutcome
    ) -> Rows:
        """Note regions that a response names with slightly different coordinates."""
        if not (regions and len(rows)):
            return rows
        stored = _as_snapshot(regions)
        wanted = stored.project_columns(self._batches.take(sent))
        found = match_regions(wanted, stored.regions)
        found = match_more(found, wanted, stored.regions, max_difference, NEAR, np.isin(sent, rows))
        return self._note(rows, found[np.isin(sent, rows)] >= 0, outcome)

    def _stored_rows(self, rows: Rows, codes: Sequence[int], stored: ProjectSnapshot) -> Mask:
        """Return which of the given regions are stored on their images.

        Args:
            rows: The regions.
            codes: Their images.
            stored: What the project has on these images.
        """
        on_images = np.flatnonzero(np.isin(self._batches.regions.image, codes))
        wanted = stored.project_columns(self._batches.take(on_images))
        found = match_regions(wanted, stored.regions)
        is_asked = np.isin(on_images, rows)
        if (found[is_asked] < 0).any() and len(unmatched(found, len(stored.regions.image))):
            found = self._match_near(found, on_images, wanted, stored, is_asked)
        return found[is_asked] >= 0

    def _match_near(
        self,
        found: Rows,
        on_images: Rows,
        wanted: RegionColumns,
        stored: ProjectSnapshot,
        is_asked: Mask,
    ) -> Rows:
        """Match regions with stored ones that have fewer digits and are new since the plan."""
        was_there = match_regions(stored.regions, self._planned.regions_on_images_of(stored)) >= 0
        image = np.where(was_there, NO_IMAGE, stored.regions.image)
        new = stored.regions._replace(image=image)
        may_match = is_asked | self._outcomes.is_stored()[on_images]
        return match_more(found, wanted, new, max_difference, NEAR, may_match)


class RegionSender:
    """Sends the regions of a run, several batches at a time."""

    def __init__(self, session: ProjectSession, delivery: RegionDelivery) -> None:
        """Store the arguments."""
        self._session = session
        self._delivery = delivery
        self._latest_batches: list[Rows] = []

    def send(
        self,
        rows: Rows,
        outcomes: OutcomeTable,
        *,
        max_in_flight: int,
        give_up: bool,
        progress: Progress | None = None,
    ) -> None:
        """Send regions; afterwards, each has an outcome.

        If several batches in a row are refused for the same reason, no more are sent.

        Args:
            rows: The regions, by their number in the batches.
            outcomes: The outcomes of all regions.
            max_in_flight: Number of batches that are sent at a time.
            give_up: Whether to raise an error if batches are refused like this before any region is
                stored, instead of marking the rest as failed.
            progress: Called after each batch.

        Raises:
            ServiceError: The run cannot continue. The regions that were sent have outcomes.
        """
        starts = range(0, len(rows), REGIONS_PER_BATCH)
        decisive = min(_DECISIVE_BATCHES, len(starts))

        def check(batch: Rows) -> None:
            self._latest_batches = [*self._latest_batches, batch][-decisive:]
            if len(self._latest_batches) == decisive > 1:
                self._check_latest_batches(outcomes, give_up=give_up)

        work_on_batches(
            self._session,
            self._send_or_skip,
            (rows[start : start + REGIONS_PER_BATCH] for start in starts),
            step="sending regions",
            total=len(rows),
            max_workers=max_in_flight,
            progress=progress,
            check=check,
        )

    def _check_latest_batches(self, outcomes: OutcomeTable, *, give_up: bool) -> None:
        """Stop if all regions of the latest batches failed with one code."""
        rows = np.concatenate(self._latest_batches)
        if (outcomes.outcome[rows] != RegionOutcome.FAILED).any():
            return
        reasons = np.unique(outcomes.reason[rows]).tolist()
        codes = {outcomes.reasons[reason][0] for reason in reasons}
        if len(codes) > 1:
            return
        if give_up and not self._delivery.has_stored_any:
            raise self._delivery.last_refusal
        self._delivery.skips_rest = True

    def _send_or_skip(self, rows: Rows) -> None:
        if self._delivery.skips_rest:
            self._delivery.skip(rows)
        else:
            deliver(self._session, self._delivery, rows)


def _as_snapshot(regions: Sequence[ServiceRegion]) -> ProjectSnapshot:
    images: dict[str, int] = {}
    tags: dict[str, int] = {}
    codes = [images.setdefault(region.image_id.lower(), len(images)) for region in regions]
    return ProjectSnapshot(images, tags, as_columns(regions, codes, tags))
