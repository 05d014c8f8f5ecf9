"""When calls are made: at the tier's rate, later if the service asks so, and again after a fault where that is safe."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from regionbatch.errors import LimitError, RegionBatchError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
Item = TypeVar("Item")

TRIES = 12
"""How often a call that may be repeated is made before the service counts as gone."""
FIRST_TRIES = 4
"""The same as long as the service itself never answered: a wrong address is more likely than a pause of it."""
THROTTLED_TRIES = 100
"""How often a 429 is obeyed before it is an error."""
STUBBORN = 4
"""Tries after which a batch that only brings 5xx is halved: one of its entries may be what breaks the service."""
GONE = 50
"""Failures of one operation in a row, over all threads, after which going on is of no use."""
PATIENCE = 300.0
"""Longest wait in seconds that is obeyed; a longer one is a quota that is used up, and an error."""
QUIET = 5.0
"""Longest wait in seconds of which nothing is said."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds between tries: doubled each time, give or take half."""
_SLICE = 0.5


class StoppedError(RegionBatchError):
    """Another call ended the run; never leaves the upload."""


class Pace:
    """A token bucket that all calls of a run go through, from any thread.

    Args:
        calls_per_second: The tier's rate.
        settle: Seconds after which a call without a clear answer is over, so that what it did can be looked up.
        now, sleep: The clock, in seconds.
        seed: Of the jitter.
    """

    def __init__(
        self,
        calls_per_second: float = 10.0,
        *,
        settle: float = 5.0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        seed: int | None = None,
    ) -> None:
        """Begin with a free slot."""
        self.calls_per_second = calls_per_second
        self.settle = settle
        self.calls: Counter[str] = Counter()
        """Calls made so far, by operation, refused and failed ones included."""
        self._failures: Counter[str] = Counter()
        self.now, self._sleep = now, sleep
        self._random = random.Random(seed)  # noqa: S311 - jitter, no secret
        self._lock = threading.Lock()
        self._free = self._held = now()
        self._told = now()
        self._reached = self._stopped = False
        self.notice: Callable[[str], object] = lambda _line: None
        """Called, from any thread, with a line that says why nothing happens for a while."""

    def call(self, operation: str, make: Callable[[], T], *, repeat: bool) -> T:
        """Make a call in its turn. A 429 is waited out; with `repeat`, no answer or a 5xx is tried again.

        Raises:
            ServiceError: What the last try raised.
        """
        throttled = failed = 0
        while True:
            self._take(operation)
            try:
                answer = make()
            except LimitError as error:
                throttled += 1
                if error.status != 429 or error.retry_after > PATIENCE or throttled > THROTTLED_TRIES:
                    raise
                self._reached = self._reached or bool(error.code)
                seconds = max(error.retry_after, self.delay(throttled))
                self._tell(error, seconds)
                self._hold(seconds)
            except TransportError as error:
                failed += 1
                self._failures[operation] += 1
                self._reached = self._reached or bool(error.code)  # a page of somebody else has none
                if not repeat or failed >= (TRIES if self._reached else FIRST_TRIES):
                    raise
                self.wait_out(error, self.pause(error, failed))
            else:
                self._failures[operation] = 0
                self._reached = True
                return answer

    def gone(self, operation: str) -> bool:
        """Whether a call has failed so often, wherever it was made, that going on is of no use."""
        return self._failures[operation] >= GONE

    def delay(self, tries: int) -> float:
        """Seconds to wait after so many tries."""
        longest = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(tries - 1, 10))
        with self._lock:
            return longest * self._random.uniform(0.5, 1.5)

    def pause(self, error: TransportError, tries: int) -> float:
        """Seconds to wait after an error that came so often: longer, if the service asks for it."""
        return max(self.delay(tries), min(error.retry_after, PATIENCE))

    def wait_out(self, error: RegionBatchError, seconds: float) -> None:
        """Wait because of an error, and say so if it takes long."""
        self._tell(error, seconds)
        self.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run is stopped.

        Raises:
            StoppedError: It was.
        """
        end = self.now() + seconds
        while (left := end - self.now()) > 0:
            self._refuse_stopped()
            self._sleep(min(left, _SLICE))
        self._refuse_stopped()

    def stop(self) -> None:
        """Let no more calls begin."""
        self._stopped = True

    def _take(self, operation: str) -> None:
        """Wait for a slot. Slots are handed out ahead, so that waking up late costs nothing."""
        while True:
            with self._lock:
                slot = max(self._free, self.now())
                self._free = slot + 1 / self.calls_per_second
            self.sleep(slot - self.now())
            with self._lock:
                if slot >= self._held:  # else a 429 came meanwhile, and the slot is void
                    self.calls[operation] += 1
                    return

    def _tell(self, error: RegionBatchError, seconds: float) -> None:
        """Say why it waits; of threads that wait at the same time, one does."""
        with self._lock:
            if seconds <= QUIET or self.now() < self._told:
                return
            self._told = self.now() + seconds
        self.notice(f"{str(error).rpartition('; ')[0]}; it goes on in {seconds:.0f} seconds")

    def _hold(self, seconds: float) -> None:
        """Let no call begin for so long: the limit is that of the resource, not of one thread."""
        with self._lock:
            self._held = max(self._held, self.now() + seconds)
            self._free = max(self._free, self._held)

    def _refuse_stopped(self) -> None:
        if self._stopped:
            raise StoppedError("the run was stopped; run it again to go on")


def in_flight(
    work: Callable[[Item], object],
    items: Iterable[Item],
    *,
    most: int,
    pace: Pace,
    done: Callable[[Item], None] = lambda _item: None,
) -> None:
    """Work on items in threads, `most` at a time; `done` is called here, in the order of completion.

    Items are taken as there is room. The first exception, or Ctrl-C, stops the pace, waits for the calls under way and
    is raised again.
    """
    waiting: dict[Future[object], Item] = {}

    def collect(room: int) -> None:
        while len(waiting) > room:
            finished, _ = wait(waiting, timeout=_SLICE, return_when=FIRST_COMPLETED)
            for future in finished:
                item = waiting.pop(future)
                future.result()
                done(item)

    pool = ThreadPoolExecutor(most, "regionbatch")
    try:
        for item in items:
            waiting[pool.submit(work, item)] = item
            collect(most)
        collect(0)
    except BaseException as error:
        pace.stop()
        if isinstance(error, KeyboardInterrupt) and (count := sum(future.running() for future in waiting)):
            pace.notice(f"stopping: {count} calls are under way, and what they do is waited for")
        pool.shutdown(wait=False, cancel_futures=True)
        while running := [future for future in waiting if future.running()]:
            wait(running, timeout=_SLICE)  # in slices: a wait without end cannot be interrupted on Windows
        raise
    finally:
        pool.shutdown(wait=False)
