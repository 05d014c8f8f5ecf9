"""One project: the client, the rate limiter and the journal that all calls of a run share."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from regionbatch.customvision.journal import Journal

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.rate_limiter import RateLimiter
    from regionbatch.customvision.service_types import (
        ServiceDomain,
        ServiceImage,
        ServiceProject,
        ServiceTag,
    )

T = TypeVar("T")


class ProjectSession:
    """A client, a rate limiter and a journal for the calls to one project.

    Calls that write have no methods of their own: `deliver` decides what to do after a failure.
    """

    def __init__(
        self,
        client: TrainingClient,
        project_id: str,
        rate_limiter: RateLimiter,
        journal: Journal | None = None,
    ) -> None:
        """Store the arguments; no call is made.

        Args:
            client: The training resource.
            project_id: The ID of the project.
            rate_limiter: Decides when calls are made.
            journal: Where calls that write are recorded. [default: nowhere]
        """
        self.client = client
        self.project_id = project_id
        self.rate_limiter = rate_limiter
        self.journal = journal or Journal(None, project_id)
        self.unclear_calls = 0
        """Number of writing calls that had no clear response."""
        self._lock = threading.Lock()

    @property
    def calls(self) -> Counter[str]:
        """Calls made so far, by operation."""
        return self.rate_limiter.calls

    def count_unclear_call(self) -> None:
        """Count a writing call that had no clear response."""
        with self._lock:
            self.unclear_calls += 1

    def write(self, call: JournaledCall, make: Callable[[], T]) -> T:
        """Make a call that writes, and record in the journal that it is about to be made.

        The call is repeated, after a wait, only after a 429.

        Args:
            call: The entry of the call in the journal.
            make: Makes the call.

        Raises:
            ServiceError: The call failed.
        """

        def make_recorded() -> T:
            call.start()
            return make()

        return self.rate_limiter.call(call.operation, make_recorded, repeat=False)

    def journaled_call(
        self, operation: str, regions: NDArray[np.uint64] | None = None
    ) -> JournaledCall:
        """Return the entry of a call in the journal, which is not written yet.

        Args:
            operation: The name of the call.
            regions: The hashes of the regions that are sent.
        """
        return JournaledCall(self.journal, operation, regions)

    def project(self) -> ServiceProject:
        """Return the project."""
        make = partial(self.client.project, self.project_id)
        return self.rate_limiter.call("GetProject", make, repeat=True)

    def domains(self) -> list[ServiceDomain]:
        """Return all domains of the service."""
        return self.rate_limiter.call("GetDomains", self.client.domains, repeat=True)

    def tags(self) -> list[ServiceTag]:
        """Return all tags of the project."""
        make = partial(self.client.tags, self.project_id)
        return self.rate_limiter.call("GetTags", make, repeat=True)

    def tagged_images(self, skip: int) -> list[ServiceImage]:
        """Return a page of the images that have regions."""
        make = partial(self.client.tagged_images, self.project_id, skip=skip)
        return self.rate_limiter.call("GetTaggedImages", make, repeat=True)

    def untagged_images(self, skip: int) -> list[ServiceImage]:
        """Return a page of the images without regions."""
        make = partial(self.client.untagged_images, self.project_id, skip=skip)
        return self.rate_limiter.call("GetUntaggedImages", make, repeat=True)

    def images_by_id(self, ids: Sequence[str]) -> list[ServiceImage]:
        """Return images by their IDs."""
        make = partial(self.client.images_by_id, self.project_id, ids)
        return self.rate_limiter.call("GetImagesByIds", make, repeat=True)


class JournaledCall:
    """The entry of a call in the journal. A call that is repeated after a 429 keeps its entry."""

    def __init__(
        self, journal: Journal, operation: str, regions: NDArray[np.uint64] | None
    ) -> None:
        """Store the arguments; nothing is written yet."""
        self.operation = operation
        """The name of the call."""
        self._journal = journal
        self._regions = regions
        self._number: int | None = None

    def start(self) -> None:
        """Record that the call is about to be made."""
        self._number = self._journal.start_call(self.operation, self._regions, self._number)

    def finish(self, outcomes: NDArray[np.int8] | None = None) -> None:
        """Record the result: what became of each region."""
        if self._number is not None:
            self._journal.finish_call(self._number, outcomes)
