"""Faults on demand: which call fails, and how. Deterministic by seed, bounded by a cap, counted."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What can go wrong with a call. Where it says "applied", the work is done before the fault strikes."""

    THROTTLED = "throttled"
    """429 from the gateway, for a burst of calls."""
    ERROR_500 = "500"
    ERROR_500_APPLIED = "500-applied"
    ERROR_503 = "503"
    ERROR_503_APPLIED = "503-applied"
    TIMEOUT = "timeout"
    """No answer; the connection stays open until the caller gives up."""
    TIMEOUT_APPLIED = "timeout-applied"
    LOST = "lost"
    """Applied, then the connection is closed without an answer."""
    RESET = "reset"
    """Applied, then the connection is reset in the middle of the answer's body."""
    SLOW = "slow"
    """A good answer, late."""
    TRUNCATED = "truncated"
    """Applied, and a complete HTTP answer whose JSON is cut off."""
    NOT_JSON = "not-json"
    """Applied, and 200 with a body that is no JSON."""
    GATEWAY_PAGE = "gateway-page"
    """Applied, and 502 with an HTML page."""
    UNCONFIRMED = "unconfirmed"
    """Applied, but the answer names only every second entry of the batch."""
    SKIPPED = "skipped"
    """Only every second entry of the batch is applied and named; nothing says so."""


BATCHES = frozenset({"CreateImageRegions", "CreateImagesFromFiles"})
ONLY_BATCHES = frozenset({Fault.UNCONFIRMED, Fault.SKIPPED})


@dataclass(kw_only=True)
class Faults:
    """Which calls fail.

    Attributes:
        rate: Share of calls that fail, 0 to 1.
        kinds: Faults to choose from.
        operations: Calls that may fail, as the contract names them; None is all.
        cap: Most faults in all; None is no cap.
        seed: The same seed gives the same faults for the same order of calls.
        burst: Calls in a row that a `THROTTLED` takes.
        retry_seconds: What a 429 asks the caller to wait, in whole seconds.
        hold: Longest time in seconds that a call without answer is held open.
        slow: Seconds that a slow answer takes.
        injected: Faults so far, by kind.

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
    injected: Counter[Fault] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        """Seed the choice."""
        self._random = random.Random(self.seed)  # noqa: S311 - a choice, no secret
        self._throttled = 0

    def draw(self, operation: str) -> Fault | None:
        """Decide what goes wrong with this call, if anything, and count it."""
        spent = self.cap is not None and self.injected.total() >= self.cap
        if spent or not (self.operations is None or operation in self.operations):
            return None
        fault = self._choose(operation)
        if fault is not None:
            self.injected[fault] += 1
        return fault

    def _choose(self, operation: str) -> Fault | None:
        if self._throttled:
            self._throttled -= 1
            return Fault.THROTTLED
        kinds = [kind for kind in self.kinds if operation in BATCHES or kind not in ONLY_BATCHES]
        if not kinds or self._random.random() >= self.rate:
            return None
        fault = self._random.choice(kinds)
        self._throttled = self.burst - 1 if fault is Fault.THROTTLED else 0
        return fault
