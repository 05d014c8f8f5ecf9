"""Wait for the results of an executor that is not our own, and give up if none will come."""

from __future__ import annotations

import time
from concurrent.futures import BrokenExecutor, wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor, Future

GIVE_UP_SECONDS = 300.0
"""Seconds without any result after which a call that has not started is cancelled."""

_POLL = 1.0
"""Seconds between checks of the other calls and of the cluster."""


class ResultWait:
    """Waits for futures, unless their cluster has been closed or does nothing.

    If the client of a Dask cluster closes, or its scheduler is gone, futures stay pending forever.
    """

    def __init__(self, executor: Executor) -> None:
        """Start with no result."""
        self._executor = executor
        self._finished: set[int] = set()
        self._last_result = time.monotonic()

    def until_done(self, future: Future[Any], later: Iterable[Future[Any] | None]) -> None:
        """Return when a future is done.

        Args:
            future: A call.
            later: Calls that were submitted after it. Their results show that the executor works.

        Raises:
            BrokenExecutor: The cluster has been closed.
            TimeoutError: No result came for five minutes. The call has been cancelled.
        """
        others = [other for other in later if other is not None]
        while not future.done():
            if _is_closed(self._executor):
                raise BrokenExecutor("the client of the cluster has been closed")
            self._note_results(others)
            if time.monotonic() - self._last_result > GIVE_UP_SECONDS and future.cancel():
                raise TimeoutError(f"no result for {GIVE_UP_SECONDS:.0f} seconds")
            wait([future], _POLL)
        self._last_result = time.monotonic()

    def _note_results(self, futures: Iterable[Future[Any]]) -> None:
        finished = {id(future) for future in futures if future.done()}
        if finished - self._finished:
            self._last_result = time.monotonic()
        self._finished = finished


def _is_closed(executor: Executor) -> bool:
    """Return whether an executor is that of a Dask client that is closed."""
    client = getattr(executor, "_client", None)
    return getattr(client, "status", "") in ("closing", "closed")
