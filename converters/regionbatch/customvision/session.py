"""The calls that read one project, at the rate of the tier and repeated after a failure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.rate_limiter import RateLimiter
    from regionbatch.customvision.service_types import (
        ServiceDomain,
        ServiceImage,
        ServiceProject,
        ServiceTag,
    )


class ProjectSession:
    """A client and a rate limiter for the calls to one project.

    Calls that write have no method here: what to do after a failure is up to the caller.
    """

    def __init__(self, client: TrainingClient, project_id: str, rate_limiter: RateLimiter) -> None:
        """Keep the parts; no call is made."""
        self.client = client
        self.project_id = project_id
        self.rate_limiter = rate_limiter

    @property
    def calls(self) -> Counter[str]:
        """Calls made so far, by operation."""
        return self.rate_limiter.calls

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
