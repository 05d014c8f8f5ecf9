"""Send regions in full batches, several at a time, until each has an outcome.

CreateImageRegions has no idempotency key, so it is not safe to repeat it. After a failure, the
images are therefore read before anything is sent again: regions that they have count as created,
and only the missing regions are sent.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from enum import IntEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.customvision.matching import match_regions
from regionbatch.customvision.rate_limiter import MAX_TRIES, TRIES_BEFORE_SPLIT, run_bounded
from regionbatch.customvision.snapshot import ProjectSnapshot, as_columns, read_images
from regionbatch.errors import AccessError, ServiceError, TransportError
from regionbatch.limits import REGIONS_PER_BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.journal import Journal
    from regionbatch.customvision.service_types import CreateRegionsResult, ServiceRegion
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.findings import Progress

    Rows = NDArray[np.int64]


_CREATE = "CreateImageRegions"
_DECISIVE_BATCHES = 3
"""Number of first batches that end the run if all of their regions are refused with one code."""
_UNCONFIRMED = ServiceError(
    "regions: sent, but neither confirmed nor found in the project. Run it again.",
    code="Unconfirmed",
    service_message="sent, but neither confirmed nor found in the project",
)


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


class _Attempt(NamedTuple):
    """The result of sending a batch once."""

    left: Rows
    """Regions that have no outcome yet."""
    problem: ServiceError
    """Why they have none."""
    is_refused: bool
    """Whether the service refused the batch, so that sending it again is useless."""


class RegionSender:
    """Sends regions to one project."""

    def __init__(
        self, session: ProjectSession, batches: Batches, outcomes: OutcomeTable, journal: Journal
    ) -> None:
        """Keep the parts. `outcomes` has a row for each region of `batches`."""
        self._session = session
        self._batches = batches
        self._outcomes = outcomes
        self._journal = journal
        self._last_refusal = _UNCONFIRMED
        self._has_stored_any = False
        self._skips_rest = False
        self._first_batches: list[Rows] = []
        self._split_lock = threading.RLock()

    def send(
        self, rows: Rows, *, max_in_flight: int, give_up: bool, progress: Progress | None = None
    ) -> None:
        """Send regions; afterwards, each has an outcome.

        If the first batches are all refused for the same reason, no more are sent.

        Args:
            rows: The regions, by their number in the batches.
            max_in_flight: Number of batches that are sent at a time.
            give_up: Whether to raise an error in this case, instead of marking the rest as failed.
            progress: Called after each batch.

        Raises:
            ServiceError: The run cannot continue. The regions that were sent have outcomes.
        """
        starts = range(0, len(rows), REGIONS_PER_BATCH)
        decisive = min(_DECISIVE_BATCHES, len(starts))
        sent = 0

        def batch_done(batch: Rows) -> None:
            nonlocal sent
            sent += len(batch)
            if progress:
                progress("sending regions", sent, len(rows))
            self._check_first_batches(batch, decisive, give_up=give_up)

        batches = (rows[start : start + REGIONS_PER_BATCH] for start in starts)
        run_bounded(
            self._send_or_skip,
            batches,
            max_workers=max_in_flight,
            rate_limiter=self._session.rate_limiter,
            done=batch_done,
        )

    def _check_first_batches(self, batch: Rows, decisive: int, *, give_up: bool) -> None:
        """After a decisive number of batches, stop if the service refuses all regions."""
        if len(self._first_batches) == decisive:
            return
        self._first_batches.append(batch)
        if len(self._first_batches) == decisive > 1 and self._is_refusing_all():
            if give_up:
                raise self._last_refusal
            self._skips_rest = True

    def _send_or_skip(self, rows: Rows) -> None:
        if self._skips_rest:
            self._fail(rows, self._last_refusal, prefix="not sent after others failed: ")
        else:
            self._send_batch(rows)

    def _is_refusing_all(self) -> bool:
        """Return whether nothing was stored so far, and the first batches failed with one code."""
        if self._has_stored_any:
            return False
        rows = np.concatenate(self._first_batches)
        reasons = np.unique(self._outcomes.reason[rows]).tolist()
        codes = {self._outcomes.reasons[reason][0] for reason in reasons}
        return len(codes) == 1

    def _send_batch(self, rows: Rows) -> None:
        """Send one batch until each of its regions has an outcome."""
        problem = _UNCONFIRMED
        tries = 0  # since a region got an outcome
        while len(rows):
            is_server_error = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            if tries == TRIES_BEFORE_SPLIT and len(rows) > 1 and is_server_error:
                self._split(rows, problem)
                return
            if tries == MAX_TRIES:
                self._fail(rows, problem)
                return
            left, problem, is_refused = self._attempt(rows, tries + 1)
            has_progress = len(left) < len(rows)
            if is_refused and not has_progress:
                self._split(rows, problem)
                return
            tries = 0 if has_progress else tries + 1
            rows = left

    def _attempt(self, rows: Rows, tries: int) -> _Attempt:
        """Send a batch once, and look up the regions that the response does not confirm."""
        limiter = self._session.rate_limiter
        call = _JournaledCall(self._journal, self._batches.rows[rows])
        left = rows
        problem = _UNCONFIRMED
        is_refused = False
        try:
            left = self._apply(rows, self._create(rows, call))
        except TransportError as error:
            if limiter.is_hopeless(_CREATE):
                raise
            problem = error
            wait = limiter.lookup_delay + limiter.retry_delay(error, tries)
            limiter.wait_out(error, wait)
        except ServiceError as error:
            if ends_run(error):
                call.finish()
                raise
            problem = error
            is_refused = True
        if len(left):
            # A refused batch created nothing, so what its images have was there before.
            found = RegionOutcome.DUPLICATED if is_refused else RegionOutcome.CREATED
            left = self._look_up(left, found)
        call.finish(self._outcomes.outcome[rows])
        return _Attempt(left, problem, is_refused)

    def _create(self, rows: Rows, call: _JournaledCall) -> CreateRegionsResult:
        batch = self._batches.take(rows)[0]

        def make() -> CreateRegionsResult:
            call.start()
            return self._session.client.create_regions(self._session.project_id, batch)

        return self._session.rate_limiter.call(_CREATE, make, repeat=False)

    def _split(self, rows: Rows, error: ServiceError) -> None:
        """Send the halves of a refused batch, until the regions that cause it are found."""
        if len(rows) == 1:
            self._fail(rows, error)
            return
        # Until a region is stored, only one batch is split at a time: if all regions are refused,
        # this takes the fewest calls to find out.
        with nullcontext() if self._has_stored_any else self._split_lock:
            for half in np.array_split(rows, 2):
                self._send_batch(half)

    def _fail(self, rows: Rows, error: ServiceError, *, prefix: str = "") -> None:
        self._last_refusal = error
        code = error.code or str(error.status or "NoAnswer")
        self._outcomes.fail(rows, code, prefix + (error.service_message or str(error)))

    def _apply(self, rows: Rows, result: CreateRegionsResult) -> Rows:
        """Note the outcomes of a response; return the regions that it does not name."""
        for outcome, regions in (
            (RegionOutcome.CREATED, result.created),
            (RegionOutcome.DUPLICATED, result.duplicated),
            (RegionOutcome.EXCEEDED, result.exceeded),
        ):
            if regions and len(rows):
                rows = self._note(rows, _as_snapshot(regions), outcome)
        return rows

    def _look_up(self, rows: Rows, outcome: RegionOutcome) -> Rows:
        """Give an outcome to the regions that their images have; return the other regions."""
        codes = np.unique(self._batches.regions.image[rows]).tolist()
        ids = [self._batches.image_ids[code] for code in codes]
        return self._note(rows, read_images(self._session, ids), outcome)

    def _note(self, rows: Rows, stored: ProjectSnapshot, outcome: RegionOutcome) -> Rows:
        wanted = stored.project_columns(self._batches.take(rows))
        is_stored = match_regions(wanted, stored.regions) >= 0
        self._outcomes.outcome[rows[is_stored]] = outcome
        self._has_stored_any = self._has_stored_any or bool(is_stored.any())
        return rows[~is_stored]


def _as_snapshot(regions: Sequence[ServiceRegion]) -> ProjectSnapshot:
    images: dict[str, int] = {}
    tags: dict[str, int] = {}
    codes = [images.setdefault(region.image_id.lower(), len(images)) for region in regions]
    return ProjectSnapshot(images, tags, as_columns(regions, codes, tags))


class _JournaledCall:
    """A call in the journal. If it is repeated after a 429, it keeps its number."""

    def __init__(self, journal: Journal, rows: Rows) -> None:
        self._journal = journal
        self._rows = rows
        self._number: int | None = None

    def start(self) -> None:
        self._number = self._journal.start_call(_CREATE, self._rows, self._number)

    def finish(self, outcomes: NDArray[np.int8] | None = None) -> None:
        if self._number is not None:
            self._journal.finish_call(self._number, outcomes)


def ends_run(error: ServiceError) -> bool:
    """Return whether an error concerns all calls, so that no other batch can succeed."""
    is_throttled = error.status == HTTPStatus.TOO_MANY_REQUESTS
    return isinstance(error, AccessError) or is_throttled or error.code == "NotFoundProject"
