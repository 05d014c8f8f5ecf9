"""Decide when calls are made: at the tier's rate, after a wait, and again where that is safe.

This is written by hand because no retry library fits. One rate and one pause after a 429 must hold
for all threads of a run, a waiting thread must stop at Ctrl-C, and repeating a call that creates
something is only safe after the project was read again, which the callers do. The retry
policy of azure-core and stamina each decide for a single call.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Generic, TypeVar

from regionbatch.errors import LimitError, RegionBatchError, TransportError
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from regionbatch.errors import ServiceError

_log = logging.getLogger(__name__)
T = TypeVar("T")
Item = TypeVar("Item")

MAX_TRIES = 12
"""How often a call that may be repeated is made before its failure is raised."""
MAX_FIRST_TRIES = 4
"""The same until the service first responds: a wrong address is more likely than an outage."""
MAX_THROTTLED = 900.0
"""Seconds that a call waits because of 429 before the 429 is raised."""
TRIES_BEFORE_SPLIT = 4
"""Tries after which a batch is halved if all failed with a 5xx: one entry may be the cause."""
MAX_CONSECUTIVE_FAILURES = 50
"""Failures of one operation in a row, across all threads, after which the run gives up."""
MAX_WAIT = 300.0
"""Longest wait, in seconds, that the service may ask for; a longer one means an exhausted quota."""
SILENT_WAIT = 5.0
"""Longest wait, in seconds, that is not reported."""
FIRST_DELAY = 0.5
"""Retry delay after the first failure, in seconds; doubled each time, with a jitter of half."""
MAX_DELAY = 30.0
"""Longest retry delay in seconds, before jitter."""
_SETTLE_STEPS = (1, 2, 4, 5)
"""Waits before each look-up of what a call did, as multiples of the look-up delay."""
_SLICE = 0.5
"""Seconds after which a waiting thread checks whether the run was stopped."""


class StoppedError(RegionBatchError):
    """Another thread ended the run. It never leaves `run_bounded`."""


class RateLimiter:
    """A token bucket for all calls of a run, from any thread.

    Args:
        calls_per_second: The rate of the tier.
        lookup_delay: Seconds to wait after a call without a clear response, before its effect is
            looked up. Further look-ups follow after longer waits, up to 12 times as long in total.
        now: The clock, in seconds.
        sleep: Waits for a number of seconds.
        seed: The seed of the jitter.
    """

    def __init__(
        self,
        calls_per_second: float = 10.0,
        *,
        lookup_delay: float = 5.0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        seed: int | None = None,
    ) -> None:
        """Start with a free slot."""
        self.calls_per_second = calls_per_second
        self.lookup_delay = lookup_delay
        self.calls: Counter[str] = Counter()
        """Calls made so far, by operation, including failed ones."""
        self.now = now
        self.notice: Callable[[str], object] = lambda _line: None
        """Called, from any thread, with a line that explains a long wait."""
        self._sleep = sleep
        self._random = random.Random(seed)  # noqa: S311 - jitter, no secret
        self._lock = threading.Lock()
        self._consecutive_failures: Counter[str] = Counter()
        self._next_slot = now()
        self._paused_until = now()
        self._reported_until = now()
        self._has_responded = False
        self._is_stopped = False
        self._calls_in_flight = 0

    @property
    def calls_in_flight(self) -> int:
        """Number of calls that wait for a response."""
        return self._calls_in_flight

    @property
    def settle_seconds(self) -> float:
        """Seconds after which reading the project shows what a call did."""
        return self.lookup_delay * sum(_SETTLE_STEPS)

    def settle_waits(self, *, elapsed: float = 0.0, at_least: float = 0.0) -> Iterator[float]:
        """Yield the seconds to wait before each look-up of what a call did.

        Args:
            elapsed: Seconds since the call.
            at_least: The shortest first wait, which the service asks for.
        """
        at = 0.0
        for step in _SETTLE_STEPS:
            at += step * self.lookup_delay
            if at > elapsed:
                yield max(at - elapsed, min(at_least, MAX_WAIT))
                elapsed = at
                at_least = 0.0

    def call(self, operation: str, make: Callable[[], T], *, repeat: bool) -> T:
        """Make a call when the rate allows it, and wait and repeat it after a 429.

        Args:
            operation: The name that calls and failures are counted by.
            make: Makes the call.
            repeat: Whether to repeat the call after a 5xx or a missing response too.

        Raises:
            ServiceError: The last try failed.
            StoppedError: The run was stopped.
        """
        throttled = 0
        throttled_since = 0.0
        failed = 0
        while True:
            self._wait_for_slot(operation)
            called_at = self.now()
            try:
                result = self._make(make)
            except LimitError as error:
                throttled += 1
                throttled_since = throttled_since or self.now()
                if not _may_wait(error) or self.now() - throttled_since > MAX_THROTTLED:
                    raise
                self._note_response(error)
                seconds = max(error.retry_after, self.delay(throttled))
                self._report_wait(_retrying(error, seconds), seconds)
                self._pause(seconds)
            except TransportError as error:
                failed += 1
                self._consecutive_failures[operation] += 1
                self._note_response(error)
                if not repeat or failed >= self._max_tries():
                    raise
                seconds = self.retry_delay(error, failed)
                self._report_wait(_retrying(error, seconds), seconds, spent=self.now() - called_at)
                self.sleep(seconds)
            else:
                self._consecutive_failures[operation] = 0
                self._has_responded = True
                return result

    def _make(self, make: Callable[[], T]) -> T:
        """Make a call, and count it as in flight while it runs."""
        with self._lock:
            self._calls_in_flight += 1
        try:
            return make()
        finally:
            with self._lock:
                self._calls_in_flight -= 1

    def is_hopeless(self, operation: str) -> bool:
        """Return whether an operation failed so often in a row that the run should give up."""
        return self._consecutive_failures[operation] >= MAX_CONSECUTIVE_FAILURES

    def delay(self, tries: int) -> float:
        """Return the seconds to wait after a number of tries."""
        longest = min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(tries - 1, 10))
        with self._lock:
            return longest * self._random.uniform(0.5, 1.5)

    def retry_delay(self, error: ServiceError, tries: int) -> float:
        """Return the seconds to wait after a number of errors: more if the service asks for it."""
        return max(self.delay(tries), min(error.retry_after, MAX_WAIT))

    def wait_out(self, error: RegionBatchError, seconds: float) -> None:
        """Wait because of an error, and report it if the wait is long."""
        self.wait(_retrying(error, seconds), seconds)

    def wait(self, reason: str, seconds: float) -> None:
        """Wait, and report the reason if the wait is long."""
        self._report_wait(reason, seconds)
        self.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run is stopped.

        Raises:
            StoppedError: The run was stopped.
        """
        end = self.now() + seconds
        while (left := end - self.now()) > 0:
            self._raise_if_stopped()
            self._sleep(min(left, _SLICE))
        self._raise_if_stopped()

    def stop(self) -> None:
        """Prevent further calls."""
        self._is_stopped = True

    def _max_tries(self) -> int:
        return MAX_TRIES if self._has_responded else MAX_FIRST_TRIES

    def _note_response(self, error: LimitError | TransportError) -> None:
        # The error page of another server has no code.
        self._has_responded = self._has_responded or bool(error.code)

    def _wait_for_slot(self, operation: str) -> None:
        """Wait for a slot. Slots are assigned in advance, so that waking up late costs nothing."""
        while True:
            with self._lock:
                slot = max(self._next_slot, self.now())
                self._next_slot = slot + 1 / self.calls_per_second
            self.sleep(slot - self.now())
            with self._lock:
                if slot >= self._paused_until:  # else a 429 arrived meanwhile; the slot is void
                    self.calls[operation] += 1
                    return

    def _report_wait(self, reason: str, seconds: float, *, spent: float = 0.0) -> None:
        """Report why the run waits, once for threads that wait at the same time.

        Args:
            reason: Why the run waits.
            seconds: How long it is going to wait.
            spent: How long it has waited for a response already.
        """
        _log.info("%s", reason)
        with self._lock:
            if seconds + spent <= SILENT_WAIT or self.now() < self._reported_until:
                return
            self._reported_until = self.now() + seconds
        self.notice(reason)

    def _pause(self, seconds: float) -> None:
        """Start no call for some seconds: the limit applies to the resource, not to a thread."""
        with self._lock:
            self._paused_until = max(self._paused_until, self.now() + seconds)
            self._next_slot = max(self._next_slot, self._paused_until)

    def _raise_if_stopped(self) -> None:
        if self._is_stopped:
            raise StoppedError("upload: the run was stopped. Run the upload again to resume.")


def _may_wait(error: LimitError) -> bool:
    """Return whether an error is a 429 that asks for no longer wait than is allowed."""
    return error.status == 429 and error.retry_after <= MAX_WAIT


def _retrying(error: RegionBatchError, seconds: float) -> str:
    """Return why a call is made again: the message without its last sentence, the advice."""
    message = str(error)
    problem = message.rpartition(". ")[0] or message
    return f"{problem}; retrying in {max(seconds, 1.0):.0f} s"


def run_bounded(
    work: Callable[[Item], object],
    items: Iterable[Item],
    *,
    max_workers: int,
    rate_limiter: RateLimiter,
    done: Callable[[Item], None] = lambda _item: None,
) -> None:
    """Work on items in threads. The first exception, or Ctrl-C, ends the run and is raised.

    Args:
        work: Called with each item, in a thread.
        items: Taken when a thread is free, not all in advance.
        max_workers: The number of threads.
        rate_limiter: Stopped at an exception; calls that are running are still awaited.
        done: Called in this thread with each finished item, in the order of completion.
    """
    workers = _Workers(work, max_workers, done)
    try:
        for item in items:
            workers.submit(item)
        workers.collect(0)
    except BaseException as error:
        rate_limiter.stop()
        if isinstance(error, KeyboardInterrupt) and (count := rate_limiter.calls_in_flight):
            rate_limiter.notice(f"stopping: waiting for {counted(count, 'call')} to finish")
        workers.cancel()
        raise
    finally:
        workers.close()


class _Workers(Generic[Item]):
    """A pool of threads that is given an item only when one of its threads is free."""

    def __init__(
        self, work: Callable[[Item], object], max_workers: int, done: Callable[[Item], None]
    ) -> None:
        self._work = work
        self._done = done
        self._max_workers = max_workers
        self._pool = ThreadPoolExecutor(max_workers, "regionbatch")
        self._waiting: dict[Future[object], Item] = {}

    def submit(self, item: Item) -> None:
        self._waiting[self._pool.submit(self._work, item)] = item
        self.collect(self._max_workers)

    def collect(self, max_left: int) -> None:
        """Wait until at most `max_left` items are unfinished, and raise the first exception."""
        while len(self._waiting) > max_left:
            finished, _ = wait(self._waiting, timeout=_SLICE, return_when=FIRST_COMPLETED)
            for future in finished:
                item = self._waiting.pop(future)
                future.result()
                self._done(item)

    def cancel(self) -> None:
        """Drop the items that no thread has started, and wait for the others."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while running := [future for future in self._waiting if future.running()]:
            # In slices: on Windows, an endless wait cannot be interrupted.
            wait(running, timeout=_SLICE)

    def close(self) -> None:
        self._pool.shutdown(wait=False)
