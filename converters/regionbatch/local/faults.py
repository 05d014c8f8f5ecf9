"""Faults on demand: which call fails, and how."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What can go wrong with a call. "Applied" means that the operation runs before the fault."""

    THROTTLED = "throttled"
    """429 from the gateway, for a burst of calls."""
    ERROR_500 = "500"
    ERROR_500_APPLIED = "500-applied"
    ERROR_503 = "503"
    ERROR_503_APPLIED = "503-applied"
    TIMEOUT = "timeout"
    """No response; the connection stays open until the caller gives up."""
    TIMEOUT_APPLIED = "timeout-applied"
    LOST = "lost"
    """Applied, then the connection is closed without a response."""
    RESET = "reset"
    """Applied, then the connection is reset in the middle of the body."""
    SLOW = "slow"
    """A late response."""
    TRUNCATED = "truncated"
    """Applied, then a complete HTTP response with truncated JSON."""
    NOT_JSON = "not-json"
    """Applied, then 200 with a body that is not JSON."""
    GATEWAY_PAGE = "gateway-page"
    """Applied, then 502 with an HTML page."""
    UNCONFIRMED = "unconfirmed"
    """Applied, but the response contains only every second entry of the batch."""
    SKIPPED = "skipped"
    """Only every second entry of the batch is applied and in the response, without an error."""
    ERROR_504_LATE = "504-late"
    """504 from the gateway; the write is applied some seconds later."""
    TIMEOUT_LATE = "timeout-late"
    """No response; the write is applied some seconds later."""
    CONFLICT = "409"
    """409 for a reading call."""
    CONFLICT_APPLIED = "409-applied"
    """The tag is created, but the response is 409."""
    NOT_UNIQUE_APPLIED = "not-unique-applied"
    """The tag is created, but the response says that its name is already in use."""
    SHIFTED = "shifted"
    """After a page of a listing, somebody tags an earlier image, or takes such a tag off again, so
    that later pages repeat or skip an image."""
    NAMELESS = "nameless"
    """The response to an image upload has null as every `sourceUrl`."""
    RENAMED = "renamed"
    """The response to an image upload has another file name in every `sourceUrl`."""


UPLOADS = frozenset({"CreateImagesFromFiles", "CreateImagesFromUrls"})
"""The operations that create images."""
BATCHES = frozenset({"CreateImageRegions", *UPLOADS})
"""The operations that take a batch of entries."""
LISTINGS = frozenset({"GetImages", "GetTaggedImages", "GetUntaggedImages"})
"""The operations that return pages of images."""
LATE = frozenset({Fault.ERROR_504_LATE, Fault.TIMEOUT_LATE})
"""The faults after which the write is applied later."""
NEW_TAGS = frozenset({"CreateTag"})
AFFECTED = {
    Fault.UNCONFIRMED: BATCHES,
    Fault.SKIPPED: BATCHES,
    Fault.CONFLICT_APPLIED: NEW_TAGS,
    Fault.NOT_UNIQUE_APPLIED: NEW_TAGS,
    Fault.SHIFTED: LISTINGS,
    Fault.NAMELESS: UPLOADS,
    Fault.RENAMED: UPLOADS,
}
"""The only operations that a fault affects. Most faults are not here and affect all."""


def can_affect(fault: Fault, operation: str) -> bool:
    """Return whether a fault makes a difference to an operation, named as by Microsoft."""
    is_read = operation.startswith("Get")
    if fault in LATE:
        return not is_read
    if fault is Fault.CONFLICT:
        return is_read
    return operation in AFFECTED.get(fault, {operation})


@dataclass(kw_only=True)
class Faults:
    """Which calls fail, and how. The same seed gives the same faults for the same calls.

    Attributes:
        rate: The fraction of calls that fail, 0 to 1.
        kinds: The faults to choose from. [default: all]
        operations: The operations that may fail, as named by Microsoft. [default: all]
        cap: Maximum number of faults in total. [default: no limit]
        seed: The seed of the random choice.
        burst: The number of calls in a row that a `THROTTLED` fault affects.
        retry_seconds: The whole seconds that a 429 asks the caller to wait.
        hold: The longest time in seconds that a call without a response is held open.
        slow: The seconds that a slow response takes.
        late: The seconds, on the clock of the service, until a late write is applied.
        injected: The number of faults so far, by kind.

    Example:
        >>> from regionbatch.local import Fault, Faults
        >>> faults = Faults(rate=1, kinds=(Fault.ERROR_503,), cap=1)
        >>> faults.draw("GetTags"), faults.draw("GetTags")
        (<Fault.ERROR_503: '503'>, None)
    """

    rate: float
    kinds: tuple[Fault, ...] = tuple(Fault)
    operations: frozenset[str] | None = None
    cap: int | None = None
    seed: int = 0
    burst: int = 3
    retry_seconds: int = 1
    hold: float = 30.0
    slow: float = 0.5
    late: float = 5.0
    injected: Counter[Fault] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        """Seed the random choice."""
        self._random = random.Random(self.seed)  # noqa: S311 - not a secret
        self._throttled_calls = 0

    def draw(self, operation: str) -> Fault | None:
        """Decide whether a call fails, and count the fault.

        Args:
            operation: The operation that is called, as named by Microsoft.

        Returns:
            The fault; None: the call succeeds.
        """
        is_spent = self.cap is not None and self.injected.total() >= self.cap
        may_fail = self.operations is None or operation in self.operations
        if is_spent or not may_fail:
            return None
        fault = self._choose(operation)
        if fault is not None:
            self.injected[fault] += 1
        return fault

    def _choose(self, operation: str) -> Fault | None:
        if self._throttled_calls:
            self._throttled_calls -= 1
            return Fault.THROTTLED
        kinds = [kind for kind in self.kinds if can_affect(kind, operation)]
        if not kinds or self._random.random() >= self.rate:
            return None
        fault = self._random.choice(kinds)
        if fault is Fault.THROTTLED:
            self._throttled_calls = self.burst - 1
        return fault
