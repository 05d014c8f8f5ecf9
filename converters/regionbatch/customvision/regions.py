"""Regions go up: full batches, several in flight, and every region ends with an outcome.

CreateImageRegions has no key that makes repeating it safe. So nothing is sent again before the images were read again:
what is there counts as created, only what is missing is sent.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.customvision.present import Present, columns, match, read_images
from regionbatch.customvision.rate import STUBBORN, TRIES, in_flight
from regionbatch.errors import AccessError, ServiceError, TransportError
from regionbatch.limits import REGIONS_PER_BATCH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.client import RegionsAnswer, TrainingClient
    from regionbatch.customvision.journal import Journal
    from regionbatch.customvision.rate import Pace
    from regionbatch.findings import Progress

    Rows = NDArray[np.int64]


_CREATE = "CreateImageRegions"
_SERVER_ERROR = 500
_ENOUGH = 3
"""Batches after which going on is of no use, if the service took none of their entries and always said the same."""
_UNCONFIRMED = ServiceError(
    "regions: sent, but neither confirmed nor found in the project; run it again",
    code="Unconfirmed",
    said="sent, but neither confirmed nor found in the project",
)


class Outcome(IntEnum):
    """What became of a region."""

    WAITING = 0
    """Not sent yet, or sent without an answer."""
    CREATED = 1
    DUPLICATED = 2
    """The image had it already."""
    EXCEEDED = 3
    """The image is full."""
    FAILED = 4


class Outcomes:
    """The outcome of each region, and why some failed. A region is written by the one thread that has it."""

    def __init__(self, count: int) -> None:
        """Begin with all of them waiting."""
        self.of = np.zeros(count, np.int8)
        """(n,), as `Outcome`."""
        self.reason = np.zeros(count, np.int32)
        """(n,), numbers into `reasons`."""
        self.reasons = [("", "")]
        """Code and message, each once."""
        self._numbers = {("", ""): 0}
        self._lock = threading.Lock()

    def fail(self, rows: Rows, code: str, said: str) -> None:
        """Mark regions as failed."""
        with self._lock:
            number = self._numbers.setdefault((code, said), len(self.reasons))
            if number == len(self.reasons):
                self.reasons.append((code, said))
            self.reason[rows] = number
        self.of[rows] = Outcome.FAILED

    def count(self, outcome: Outcome) -> int:
        """How many have an outcome."""
        return int(np.count_nonzero(self.of == outcome))


class Sender:
    """Sends regions of one project."""

    def __init__(
        self,
        client: TrainingClient,
        project_id: str,
        batches: Batches,
        outcomes: Outcomes,
        *,
        pace: Pace,
        journal: Journal,
    ) -> None:
        """`outcomes` has a row for each region of `batches`, and takes what becomes of it."""
        self._client, self._project_id, self._pace, self._journal = client, project_id, pace, journal
        self._batches, self._outcomes = batches, outcomes
        self._refusal, self._went_in, self._hopeless = _UNCONFIRMED, False, False
        self._halving = threading.RLock()

    def send(self, rows: Rows, *, most: int, give_up: bool, progress: Progress | None = None) -> None:
        """Send regions, by their numbers, `most` batches at a time; returns when each has its outcome.

        If everything is refused for one reason, no more is sent: with `give_up`, that is an error, and otherwise the
        rest fails.

        Raises:
            ServiceError: Going on is of no use: no access, no answer, or as told above. What was sent has its outcome.
        """
        done: list[Rows] = []
        sent = 0
        starts = range(0, len(rows), REGIONS_PER_BATCH)

        def tell(batch: Rows) -> None:
            nonlocal sent
            sent += len(batch)
            if progress:
                progress("sending regions", sent, len(rows))
            if len(done) < _ENOUGH:
                done.append(batch)
                if len(done) == min(_ENOUGH, len(starts)) > 1 and self._is_hopeless(np.concatenate(done)):
                    if give_up:
                        raise self._refusal
                    self._hopeless = True

        chunks = (rows[start : start + REGIONS_PER_BATCH] for start in starts)
        in_flight(self._take, chunks, most=most, pace=self._pace, done=tell)

    def _take(self, rows: Rows) -> None:
        if self._hopeless:
            self._fail(rows, self._refusal, "not sent after others failed: ")
        else:
            self._deliver(rows)

    def _is_hopeless(self, rows: Rows) -> bool:
        """Whether the service took nothing so far, and refused all of these regions with one code."""
        reasons = np.unique(self._outcomes.reason[rows]).tolist()
        return not self._went_in and len({self._outcomes.reasons[number][0] for number in reasons}) == 1

    def _deliver(self, rows: Rows) -> None:
        """Send one batch until each of its regions has an outcome."""
        idle, trouble = 0, _UNCONFIRMED
        while len(rows):
            if idle == STUBBORN and len(rows) > 1 and trouble.status >= _SERVER_ERROR:
                self._split(rows, trouble)
                return
            if idle == TRIES:
                self._fail(rows, trouble)
                return
            call = _Call(self._journal, self._batches.rows[rows])
            left, refusal = rows, None
            try:
                left, trouble = self._account(rows, self._create(rows, call)), _UNCONFIRMED
            except TransportError as error:
                if self._pace.gone(_CREATE):
                    raise
                trouble = error
                self._pace.wait_out(error, self._pace.settle + self._pace.pause(error, idle + 1))
            except ServiceError as error:
                if is_final(error):
                    call.done()
                    raise
                refusal = error
            if len(left):
                left = self._look_up(left, Outcome.DUPLICATED if refusal else Outcome.CREATED)
            call.done(self._outcomes.of[rows])
            if refusal and len(left) == len(rows):
                self._split(rows, refusal)
                return
            idle = idle + 1 if len(left) == len(rows) else 0
            rows = left

    def _create(self, rows: Rows, call: _Call) -> RegionsAnswer:
        batch = self._batches.take(rows)[0]

        def make() -> RegionsAnswer:
            call.sent()
            return self._client.create_regions(self._project_id, batch)

        return self._pace.call(_CREATE, make, repeat=False)

    def _split(self, rows: Rows, error: ServiceError) -> None:
        """A batch does not go in: halve it until those that are to blame stand alone."""
        if len(rows) == 1:
            self._fail(rows, error)
            return
        # While nothing went in, one batch is halved at a time: it takes few calls to see that all are refused.
        with nullcontext() if self._went_in else self._halving:
            for half in np.array_split(rows, 2):
                self._deliver(half)

    def _fail(self, rows: Rows, error: ServiceError, why: str = "") -> None:
        self._refusal = error
        self._outcomes.fail(rows, error.code or str(error.status or "NoAnswer"), why + (error.said or str(error)))

    def _account(self, rows: Rows, answer: RegionsAnswer) -> Rows:
        """Note what an answer says; the regions that it does not name."""
        for outcome, named in (
            (Outcome.CREATED, answer.created),
            (Outcome.DUPLICATED, answer.duplicated),
            (Outcome.EXCEEDED, answer.exceeded),
        ):
            if named and len(rows):
                images: dict[str, int] = {}
                codes = [images.setdefault(region.image_id.lower(), len(images)) for region in named]
                tags: dict[str, int] = {}
                rows = self._note(rows, Present(images, tags, columns(named, codes, tags)), outcome)
        return rows

    def _look_up(self, rows: Rows, outcome: Outcome) -> Rows:
        """Give regions that their images have the outcome; those that they do not have."""
        codes = np.unique(self._batches.regions.image[rows]).tolist()
        ids = [self._batches.image_ids[code] for code in codes]
        return self._note(rows, read_images(self._client, self._project_id, self._pace, ids), outcome)

    def _note(self, rows: Rows, there: Present, outcome: Outcome) -> Rows:
        found = match(there.codes(self._batches.take(rows)), there.regions) >= 0
        self._outcomes.of[rows[found]] = outcome
        self._went_in = self._went_in or bool(found.any())
        return rows[~found]


class _Call:
    """A call in the journal; made again after a 429, it keeps its number."""

    def __init__(self, journal: Journal, rows: Rows) -> None:
        self._journal, self._rows = journal, rows
        self._number: int | None = None

    def sent(self) -> None:
        self._number = self._journal.before(_CREATE, self._rows, self._number)

    def done(self, outcomes: NDArray[np.int8] | None = None) -> None:
        if self._number is not None:
            self._journal.after(self._number, outcomes)


def is_final(error: ServiceError) -> bool:
    """Whether no other batch can fare better."""
    return isinstance(error, AccessError) or error.status == 429 or error.code == "NotFoundProject"
