"""Make single calls to the Custom Vision training API; each returns a result or raises an error.

Failed calls are not repeated here: that is only safe for a caller that looks up what they did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import msgspec

from regionbatch.customvision.connection import ServiceConnection
from regionbatch.customvision.service_types import (
    CreateRegionsResult,
    ImageUpload,
    ImageUploadBatch,
    ImageUploadResult,
    ImageUploadResults,
    ServiceDomain,
    ServiceImage,
    ServiceProject,
    ServiceTag,
)
from regionbatch.limits import IMAGES_PER_PAGE
from regionbatch.names.uuids import checked_project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from azure.core.credentials import TokenCredential

    from regionbatch.batching import Batch


class TrainingClient:
    """A Custom Vision training resource; a context manager. Several threads may use it at once.

    Each method makes one call to the training API and does not repeat it after a failure. It raises
    `AccessError` for the statuses 401 and 403, and `LimitError` for 429 and for limits of the tier.
    It raises `TransportError` for a 5xx status, an unreadable response or none at all, and
    `ServiceError` for everything else that the service refuses. After a `TransportError` it is
    unknown whether the call was carried out. A project ID that is not a UUID is an `OptionError`.

    Args:
        endpoint: `https://NAME.cognitiveservices.azure.com/` or similar, with or without a path.
        key: The training key of the resource.
        credential: A credential of azure-identity instead of a key; needs a custom subdomain.
        version: The version of the training API: 3.2 or 3.3.
        timeout: Seconds to wait for each part of a response; the whole may take five times that.

    Raises:
        OptionError: An argument cannot be used.

    Example:
        >>> from regionbatch.local import LocalService  # needs the extra `local`
        >>> with LocalService() as service:
        ...     project_id = service.create_project("traffic")
        ...     with rb.TrainingClient(service.endpoint, service.key) as client:
        ...         client.project(project_id).name
        'traffic'
    """

    def __init__(
        self,
        endpoint: str,
        key: str | None = None,
        *,
        credential: TokenCredential | None = None,
        version: str = "3.2",
        timeout: float = 120.0,
    ) -> None:
        """Check the arguments. The first call connects."""
        self._connection = ServiceConnection(endpoint, key or "", credential, version, timeout)
        self.endpoint = self._connection.endpoint
        """The endpoint without the path of the API and without a trailing slash."""

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
        return self._connection.call("GetProject", "GET", _path(project_id), ServiceProject)

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
        return self._connection.call("GetTags", "GET", _path(project_id, "/tags"), list[ServiceTag])

    def create_tag(self, project_id: str, name: str) -> ServiceTag:
        """Create a tag of type Regular, the only type that takes regions (CreateTag).

        Args:
            project_id: The ID of the project.
            name: The name of the tag.

        Returns:
            The new tag.

        Raises:
            ServiceError: The call failed, e.g. because the tag exists; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         client.create_tag(project_id, "car")
            ServiceTag(id='...', name='car', type='Regular')
        """
        return self._connection.call(
            f"CreateTag {self._connection.clean(name)}",
            "POST",
            _path(project_id, "/tags"),
            ServiceTag,
            query={"name": name, "type": "Regular"},
        )

    def create_images(
        self, project_id: str, images: Sequence[ImageUpload]
    ) -> list[ImageUploadResult]:
        """Upload images (CreateImagesFromFiles).

        Args:
            project_id: The ID of the project.
            images: At most 64 images with different names, together at most 30 MB in the JSON.

        Returns:
            A result for each image, found by its name, in no particular order. The status of an
            image that the service refuses is neither `OK` nor `OKDuplicate`.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from pathlib import Path
            >>> from regionbatch.customvision.service_types import ImageUpload
            >>> from regionbatch.local import LocalService
            >>> file = Path("fixtures/scene/coco-normalised/fog.png")
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         image = ImageUpload(name=file.name, contents=file.read_bytes())
            ...         client.create_images(project_id, [image])[0].status
            'OK'
        """
        response = self._connection.call(
            "CreateImagesFromFiles",
            "POST",
            _path(project_id, "/images/files"),
            ImageUploadResults,
            body=msgspec.json.encode(ImageUploadBatch(images=images)),
        )
        results = response.images or []
        for result in results:
            result.status = self._connection.clean(result.status)
            result.source_url = _without_quotes(result.source_url)
        return results

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
        return self._page("GetTaggedImages", project_id, "tagged", skip, take)

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
        return self._page("GetUntaggedImages", project_id, "untagged", skip, take)

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
            _path(project_id, "/images/id"),
            list[ServiceImage],
            query={"imageIds": ",".join(ids)},
        )

    def create_regions(self, project_id: str, batch: Batch) -> CreateRegionsResult:
        """Create regions on images of a project (CreateImageRegions).

        Args:
            project_id: The ID of the project.
            batch: At most 64 regions, as `regionbatch.batches` makes them.

        Returns:
            The regions that were created, that existed already (`duplicated`), and that their image
            has no room for (`exceeded`).

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> dataset = rb.read("fixtures/scene/coco")
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         [batch] = rb.upload(dataset, client, project_id, create_tags=True).batches
            ...         len(client.create_regions(project_id, batch).duplicated)
            12
        """
        return self._connection.call(
            "CreateImageRegions",
            "POST",
            _path(project_id, "/images/regions"),
            CreateRegionsResult,
            body=batch.to_json(),
        )

    def delete_regions(self, project_id: str, ids: Sequence[str]) -> None:
        """Delete regions of a project (DeleteImageRegions).

        Args:
            project_id: The ID of the project.
            ids: The IDs of at most 64 regions.

        Raises:
            ServiceError: The call failed; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> dataset = rb.read("fixtures/scene/coco")
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         _ = rb.upload(dataset, client, project_id, create_tags=True)
            ...         ids = [region.region_id for region in service.regions(project_id)]
            ...         client.delete_regions(project_id, ids)
            ...         client.tagged_images(project_id)
            []
        """
        self._connection.call(
            "DeleteImageRegions",
            "DELETE",
            _path(project_id, "/images/regions"),
            type(None),
            query={"regionIds": ",".join(ids)},
        )

    def _page(
        self, operation: str, project_id: str, kind: str, skip: int, take: int
    ) -> list[ServiceImage]:
        return self._connection.call(
            operation,
            "GET",
            _path(project_id, f"/images/{kind}"),
            list[ServiceImage],
            query={"take": str(take), "skip": str(skip), "orderBy": "Oldest"},
        )


def _path(project_id: str, rest: str = "") -> str:
    return f"/projects/{checked_project(project_id)}{rest}"


def _without_quotes(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name
