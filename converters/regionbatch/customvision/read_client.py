"""The calls of the training API that only read, and the connection they are made on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from regionbatch.customvision.connection import ServiceConnection
from regionbatch.customvision.service_types import (
    ServiceDomain,
    ServiceImage,
    ServiceProject,
    ServiceTag,
)
from regionbatch.errors import OptionError
from regionbatch.limits import IMAGES_PER_PAGE
from regionbatch.names.uuids import checked_project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import requests
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline.transport import HttpTransport
    from azure.core.rest import HttpRequest, HttpResponse

_FIRST_WITH_METADATA = (3, 3)
"""The first version of the API that lists all images and stores metadata of images."""


class ReadClient:
    """The part of `TrainingClient` that changes nothing in a project."""

    def __init__(
        self,
        endpoint: str,
        key: str | None = None,
        *,
        credential: TokenCredential | None = None,
        version: str = "3.2",
        timeout: float = 120.0,
        transport: HttpTransport[HttpRequest, HttpResponse] | None = None,
        session: requests.Session | None = None,
    ) -> None:
        """Check the arguments. The first call connects."""
        self._connection = ServiceConnection(
            endpoint, key or "", credential, version, timeout, transport, session
        )
        self.endpoint = self._connection.endpoint
        """The endpoint without the path of the API and without a trailing slash."""
        self.version = version
        """The version of the training API."""

    def __repr__(self) -> str:
        """Return the endpoint, but never the key."""
        return f"TrainingClient({self.endpoint!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied, because the key would be in the copy."""
        raise TypeError(
            "TrainingClient: it contains a key and cannot be pickled or copied. Create another one."
        )

    def close(self) -> None:
        """Close the connections. A `with` block does this at its end.

        Example:
            >>> rb.TrainingClient("https://example.cognitiveservices.azure.com", "key").close()
        """
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connections."""
        self.close()

    def projects(self) -> list[ServiceProject]:
        """Return all projects of the resource (GetProjects).

        Returns:
            The projects, in no particular order. Several may have the same name.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     _ = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         [project.name for project in client.projects()]
            ['traffic']
        """
        return self._connection.call("GetProjects", "GET", "/projects", list[ServiceProject])

    def project(self, project_id: str) -> ServiceProject:
        """Return a project (GetProject).

        Args:
            project_id: The ID of the project, from its settings.

        Returns:
            The project, with its name and settings.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         client.project(project_id).name
            'traffic'
        """
        return self._connection.call("GetProject", "GET", project_path(project_id), ServiceProject)

    def domains(self) -> list[ServiceDomain]:
        """Return the domains, the kinds of models that projects are made for (GetDomains).

        Returns:
            All domains, each with its type: `ObjectDetection` or `Classification`.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         sorted({domain.type for domain in client.domains()})
            ['Classification', 'ObjectDetection']
        """
        return self._connection.call("GetDomains", "GET", "/domains", list[ServiceDomain])

    def tags(self, project_id: str) -> list[ServiceTag]:
        """Return all tags of a project (GetTags).

        Args:
            project_id: The ID of the project.

        Returns:
            The tags, each with its ID, name and type.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         _ = client.create_tag(project_id, "car")
            ...         [(tag.name, tag.type) for tag in client.tags(project_id)]
            [('car', 'Regular')]
        """
        return self._connection.call(
            "GetTags", "GET", project_path(project_id, "/tags"), list[ServiceTag]
        )

    def images(
        self, project_id: str, *, skip: int = 0, take: int = IMAGES_PER_PAGE
    ) -> list[ServiceImage]:
        """Return a page of all images, oldest first (GetImages). Needs version 3.3 of the API.

        Args:
            project_id: The ID of the project.
            skip: See `tagged_images`.
            take: See `tagged_images`.

        Returns:
            The images, each with its ID, its regions and its metadata.

        Raises:
            ServiceError: The call failed; see the class.
            OptionError: The version is 3.2.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key, version="3.3") as client:
            ...         client.images(project_id)
            []
        """
        self.raise_without_metadata("GetImages")
        return self._page("GetImages", project_id, "", skip, take)

    def tagged_images(
        self, project_id: str, *, skip: int = 0, take: int = IMAGES_PER_PAGE
    ) -> list[ServiceImage]:
        """Return a page of the images that have regions, oldest first (GetTaggedImages).

        Args:
            project_id: The ID of the project.
            skip: How many images to skip.
            take: How many images to return, at most 256; the service may return fewer.

        Returns:
            The images, each with its ID and its regions in normalised coordinates.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> dataset = rb.read("fixtures/scene/coco")
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         _ = rb.upload(dataset, client, project_id, create_tags=True)
            ...         sorted(len(image.regions) for image in client.tagged_images(project_id))
            [1, 2, 2, 3, 4]
        """
        return self._page("GetTaggedImages", project_id, "/tagged", skip, take)

    def untagged_images(
        self, project_id: str, *, skip: int = 0, take: int = IMAGES_PER_PAGE
    ) -> list[ServiceImage]:
        """Return a page of the images without regions, oldest first (GetUntaggedImages).

        Args:
            project_id: The ID of the project.
            skip: See `tagged_images`.
            take: See `tagged_images`.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         client.untagged_images(project_id)
            []
        """
        return self._page("GetUntaggedImages", project_id, "/untagged", skip, take)

    def tagged_image_count(self, project_id: str) -> int:
        """Return the number of images that have tags or regions (GetTaggedImageCount).

        Args:
            project_id: The ID of the project.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         client.tagged_image_count(project_id)
            0
        """
        path = project_path(project_id, "/images/tagged/count")
        return self._connection.call("GetTaggedImageCount", "GET", path, int)

    def untagged_image_count(self, project_id: str) -> int:
        """Return the number of images without tags and regions (GetUntaggedImageCount).

        Args:
            project_id: The ID of the project.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         client.untagged_image_count(project_id)
            0
        """
        path = project_path(project_id, "/images/untagged/count")
        return self._connection.call("GetUntaggedImageCount", "GET", path, int)

    def images_by_id(self, project_id: str, ids: Sequence[str]) -> list[ServiceImage]:
        """Return images by their IDs (GetImagesByIds).

        Args:
            project_id: The ID of the project.
            ids: The IDs of at most 64 images: more make the URL too long.

        Returns:
            The images with their regions. Unknown IDs are left out, or make the call fail.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> dataset = rb.read("fixtures/scene/coco")
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         result = rb.upload(dataset, client, project_id, create_tags=True)
            ...         ids = list(result.image_ids.values())
            ...         len(client.images_by_id(project_id, ids))
            6
        """
        return self._connection.call(
            "GetImagesByIds",
            "GET",
            project_path(project_id, "/images/id"),
            list[ServiceImage],
            query={"imageIds": ",".join(ids)},
        )

    def _page(
        self, operation: str, project_id: str, kind: str, skip: int, take: int
    ) -> list[ServiceImage]:
        return self._connection.call(
            operation,
            "GET",
            project_path(project_id, f"/images{kind}"),
            list[ServiceImage],
            query={"take": str(take), "skip": str(skip), "orderBy": "Oldest"},
        )

    @property
    def has_metadata(self) -> bool:
        """Whether this version of the API stores metadata of images, such as their names."""
        return tuple(map(int, self.version[:3].split("."))) >= _FIRST_WITH_METADATA

    def raise_without_metadata(self, what: str) -> None:
        """Raise if this version of the API stores no metadata of images.

        Args:
            what: What needs it, for the message.

        Raises:
            OptionError: The version is too old.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     with rb.TrainingClient(service.endpoint, service.key, version="3.3") as client:
            ...         client.raise_without_metadata("image names")
        """
        if not self.has_metadata:
            raise OptionError(
                f"version: this version of the API has no {what}: '{self.version}'. Use 3.3.",
                option="version",
                value=self.version,
                choices=("3.3",),
            )


def project_path(project_id: str, rest: str = "") -> str:
    """Return the path of a project, or of something in it.

    Raises:
        OptionError: The ID of the project is not a UUID.
    """
    return f"/projects/{checked_project(project_id)}{rest}"
