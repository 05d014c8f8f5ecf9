"""Send items until each has a result: retry, look up what was applied, and halve refused batches.

Regions, images, tags and deletions are all sent by `deliver`. The calls have no idempotency key, so
after a call without a clear response the project is read before anything is sent again, several
times within a minute, because what the call did may appear late.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from regionbatch.customvision.rate_limiter import MAX_TRIES, TRIES_BEFORE_SPLIT, run_bounded
from regionbatch.errors import AccessError, ServiceError, TransportError, UnreachableError
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from regionbatch.customvision.session import JournaledCall, ProjectSession
    from regionbatch.findings import Progress

_log = logging.getLogger(__name__)
Items = TypeVar("Items", bound="Sequence[Any] | NDArray[np.int64]")

MAX_RESENDS = 2
"""How often items are sent again if a successful response keeps leaving them out."""
TRIES_OF_PART = 4
"""Server errors after which the items of a halved batch fail."""
_UNKNOWN_ID_STATUSES = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)


class CallOutcome(Enum):
    """How a call ended."""

    ANSWERED = auto()
    """It succeeded, but its response may leave out items."""
    UNCLEAR = auto()
    """There was no usable response: it may have been applied, or still be applied."""
    UNSENT = auto()
    """There was no connection, so it was not applied."""
    TOO_EARLY = auto()
    """It was refused, because the service does not know new IDs yet."""
    REFUSED = auto()
    """It was refused, so it was not applied."""


class Delivery(Generic[Items]):
    """How items of one kind are sent, and where their results are noted."""

    operation: ClassVar[str]
    """The call that sends items."""
    can_look_up: ClassVar[bool] = True
    """Whether reading the project shows what was applied. If not, sending again must be safe."""

    def journaled_call(self, session: ProjectSession, _items: Items) -> JournaledCall:
        """Return the entry of a call in the journal; `send` starts it."""
        return session.journaled_call(self.operation)

    def send(self, items: Items, call: JournaledCall) -> Items:
        """Make the call, note its results, and return the items that the response leaves out."""
        raise NotImplementedError

    def look_up(self, items: Items, *, is_refused: bool) -> Items:  # noqa: ARG002
        """Note the items that the project has, and return the others.

        Args:
            items: Items without a result.
            is_refused: Whether the call was refused, so that it applied nothing.
        """
        return items

    def finish(self, call: JournaledCall, _items: Items) -> None:
        """Record the results of a call in the journal."""
        call.finish()

    def fail(self, items: Items, error: ServiceError) -> None:
        """Note that items cannot be sent."""
        raise NotImplementedError

    def max_resends(self) -> int:
        """Return how often items that successful responses leave out are sent again."""
        return MAX_RESENDS

    def outcome_of(self, error: ServiceError, items: Items) -> CallOutcome:
        """Return how a call that raised an error ended."""
        if isinstance(error, UnreachableError):
            return CallOutcome.UNSENT
        if isinstance(error, TransportError):
            return CallOutcome.UNCLEAR
        if is_unknown_id(error) and self.has_new_ids(items):
            return CallOutcome.TOO_EARLY
        return CallOutcome.REFUSED

    def has_new_ids(self, _items: Items) -> bool:
        """Return whether items contain IDs that this run created."""
        return False

    def parts_of(self, items: Items) -> list[Items]:
        """Return the parts in which a refused batch is sent instead: its halves."""
        middle = len(items) // 2
        return [items[:middle], items[middle:]]  # type: ignore[list-item] # a slice of its own type

    def splitting(self) -> AbstractContextManager[object]:
        """Return a context in which the halves of a batch are sent."""
        return nullcontext()


def work_on_batches(
    session: ProjectSession,
    work: Callable[[Items], object],
    batches: Iterable[Items],
    *,
    step: str,
    total: int,
    max_workers: int,
    progress: Progress | None,
    check: Callable[[Items], None] = lambda _batch: None,
) -> None:
    """Work on batches in threads, and report the progress after each.

    Args:
        session: The project.
        work: Called with each batch, in a thread.
        batches: The batches, taken when a thread is free.
        step: The name of the step.
        total: The number of items in all batches.
        max_workers: The number of threads.
        progress: Called with the step, the items that are done, and their total.
        check: Called with each batch that is done. If it raises, the run ends.

    Raises:
        ServiceError: The run cannot continue.
    """
    done = 0

    def batch_done(batch: Items) -> None:
        nonlocal done
        done += len(batch)
        _log.debug("%s: %d of %d", step, done, total)
        if progress:
            progress(step, done, total)
        check(batch)

    run_bounded(
        work,
        batches,
        max_workers=max_workers,
        rate_limiter=session.rate_limiter,
        done=batch_done,
    )


class _Attempt(NamedTuple, Generic[Items]):
    """The result of making a call once."""

    left: Items
    """Items without a result."""
    outcome: CallOutcome
    error: ServiceError
    """Why they have no result."""


def deliver(session: ProjectSession, delivery: Delivery[Items], items: Items) -> None:
    """Send items until each has a result.

    Args:
        session: The project.
        delivery: How the items are sent.
        items: The items of one call.

    Raises:
        ServiceError: No further call can succeed, or the service does not respond.
    """
    _deliver(session, delivery, items, max_tries=MAX_TRIES, tries_before_split=TRIES_BEFORE_SPLIT)


def _deliver(
    session: ProjectSession,
    delivery: Delivery[Items],
    items: Items,
    *,
    max_tries: int,
    tries_before_split: int,
) -> None:
    waits_for_new_ids = session.rate_limiter.settle_waits()
    tries = 0  # failures since an item last got a result
    while len(items):
        attempt = _attempt(session, delivery, items, tries + 1)
        has_progress = len(attempt.left) < len(items)
        items = attempt.left
        if has_progress:
            tries = 0
            continue
        if attempt.outcome is CallOutcome.TOO_EARLY:
            wait = next(waits_for_new_ids, None)
            if wait is not None:
                session.rate_limiter.wait_out(attempt.error, wait)
                continue
        tries += 1
        if len(items) > 1 and _should_split(attempt, tries, tries_before_split):
            _split(session, delivery, items)
            return
        if tries >= _allowed_tries(delivery, attempt, max_tries):
            _give_up(delivery, items, attempt)
            return


def _should_split(attempt: _Attempt[Items], tries: int, tries_before_split: int) -> bool:
    """Return whether one of the items may be the cause of an error."""
    if attempt.outcome in (CallOutcome.REFUSED, CallOutcome.TOO_EARLY):
        return True
    status = attempt.error.status
    if status == HTTPStatus.REQUEST_TIMEOUT:  # sending the batch takes too long
        return True
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR and tries >= tries_before_split


def _allowed_tries(delivery: Delivery[Items], attempt: _Attempt[Items], max_tries: int) -> int:
    if attempt.outcome in (CallOutcome.REFUSED, CallOutcome.TOO_EARLY):
        return 1
    if attempt.outcome is CallOutcome.ANSWERED:
        return 1 + delivery.max_resends()
    is_server_error = attempt.error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return max_tries if is_server_error else MAX_TRIES


def _split(session: ProjectSession, delivery: Delivery[Items], items: Items) -> None:
    """Send the parts of a batch, until the items that cause its failure are found."""
    with delivery.splitting():
        for part in delivery.parts_of(items):
            _deliver(session, delivery, part, max_tries=TRIES_OF_PART, tries_before_split=1)


def _give_up(delivery: Delivery[Items], items: Items, attempt: _Attempt[Items]) -> None:
    """Note the failure of items; raise if there is no response at all, which they did not cause."""
    if attempt.outcome in (CallOutcome.UNCLEAR, CallOutcome.UNSENT) and not attempt.error.status:
        raise attempt.error
    delivery.fail(items, attempt.error)


def _attempt(
    session: ProjectSession, delivery: Delivery[Items], items: Items, tries: int
) -> _Attempt[Items]:
    """Make the call once, and look up the items that its response does not confirm."""
    call = delivery.journaled_call(session, items)
    try:
        left = delivery.send(items, call)
        outcome = CallOutcome.ANSWERED
        problem = _unconfirmed(delivery.operation, len(left))
    except ServiceError as error:
        if ends_run(error):
            call.finish()
            raise
        if session.rate_limiter.is_hopeless(delivery.operation):
            raise
        left = items
        outcome = delivery.outcome_of(error, items)
        problem = error
    if len(left):
        left = _settle(session, delivery, _Attempt(left, outcome, problem), tries)
    delivery.finish(call, items)
    return _Attempt(left, outcome, problem)


def _settle(
    session: ProjectSession, delivery: Delivery[Items], attempt: _Attempt[Items], tries: int
) -> Items:
    """Find out what a call did, and wait before it is made again."""
    left, outcome, error = attempt
    limiter = session.rate_limiter
    if outcome in (CallOutcome.REFUSED, CallOutcome.TOO_EARLY):
        return delivery.look_up(left, is_refused=True)
    if outcome is CallOutcome.UNSENT or not delivery.can_look_up:
        limiter.wait_out(error, limiter.retry_delay(error, tries))
        return left
    session.count_unclear_call()
    waits = limiter.settle_waits(at_least=error.retry_after)
    for wait in waits:
        limiter.wait_out(error, wait)
        left = delivery.look_up(left, is_refused=False)
        if not len(left):
            break
    return left


def _unconfirmed(operation: str, count: int) -> ServiceError:
    what = f"not confirmed by the response, and not found in the project: {counted(count, 'item')}"
    return ServiceError(
        f"{operation}: {what}. Run the upload again.",
        code="Unconfirmed",
        service_message="sent, but neither confirmed nor found in the project",
    )


def is_unknown_id(error: ServiceError) -> bool:
    """Return whether a call was refused because the service does not know an ID."""
    return error.status in _UNKNOWN_ID_STATUSES and (
        "InvalidId" in error.code or "NotFound" in error.code
    )


def ends_run(error: ServiceError) -> bool:
    """Return whether an error concerns all calls, so that no other batch can succeed."""
    is_used_up = error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)  # a quota
    return isinstance(error, AccessError) or is_used_up or error.code == "NotFoundProject"
