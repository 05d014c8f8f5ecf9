"""Make single calls to the Custom Vision training API; each returns a result or raises an error.

Failed calls are not repeated here: that is only safe for a caller that looks up what they did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from regionbatch.customvision.read_client import ReadClient, project_path
from regionbatch.customvision.service_types import (
    CreateRegionsResult,
    ImageUpload,
    ImageUploadBatch,
    ImageUploadResult,
    ImageUploadResults,
    ImageUrl,
    ImageUrlBatch,
    ServiceTag,
)
from regionbatch.customvision.signed_urls import address_of, secrets_of, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regionbatch.batching import Batch


class TrainingClient(ReadClient):
    """A Custom Vision training resource; a context manager. Several threads may use it at once.

    Each method makes one call to the training API and does not repeat it after a failure. It raises
    `AccessError` for the statuses 401 and 403, and `LimitError` for 429 and for limits of the tier.
    It raises `TransportError` for a status that may be temporary (408, 409, 5xx), an unreadable
    response or none at all, and `ServiceError` for everything else that the service refuses. After
    a `TransportError` it is unknown whether the call was carried out. A project ID that is not a
    UUID is an `OptionError`.

    Args:
        endpoint: `https://NAME.cognitiveservices.azure.com/` or similar, with or without a path.
        key: The training key of the resource.
        credential: A credential of azure-identity instead of a key; needs a custom subdomain.
        version: The version of the training API: 3.2 or 3.3.
        timeout: Seconds to wait for each part of a response; the whole may take five times that.
        transport: A transport of azure-core. Like `session`, it sets no limits on responses.
        session: A session of requests, for example with a proxy. It is not closed.

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

    def create_tag(self, project_id: str, name: str) -> ServiceTag:
        """Create a tag of type Regular, the only type that takes regions (CreateTag).

        Args:
            project_id: The ID of the project.
            name: The name of the tag.

        Returns:
            The new tag.

        Raises:
            ServiceError: The call failed, e.g. because the tag exists already; see the class.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         client.create_tag(project_id, "car")
            ServiceTag(id='...', name='car', type='Regular', image_count=0)
        """
        return self._connection.call(
            f"CreateTag {self._connection.clean(name)}",
            "POST",
            project_path(project_id, "/tags"),
            ServiceTag,
            query={"name": name, "type": "Regular"},
        )

    def create_images(
        self,
        project_id: str,
        images: Sequence[ImageUpload],
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> list[ImageUploadResult]:
        """Upload images (CreateImagesFromFiles).

        Args:
            project_id: The ID of the project.
            images: At most 64 images with different names, together at most 30 MB in the JSON.
            metadata: Texts by key that are stored with each of the images: at most 50, with keys of
                256 and values of 512 characters. Needs version 3.3 of the API.

        Returns:
            A result for each image, identified by its name, in no particular order. The status of
            an image that the service refuses is neither `OK` nor `OKDuplicate`.

        Raises:
            ServiceError: The call failed; see the class.
            OptionError: Metadata was given, and the version is 3.2.

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
        batch = ImageUploadBatch(images=images)
        return self._create_images("CreateImagesFromFiles", project_id, "files", batch, metadata)

    def create_images_from_urls(
        self,
        project_id: str,
        urls: Sequence[str],
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> list[ImageUploadResult]:
        """Let the service fetch images (CreateImagesFromUrls).

        Args:
            project_id: The ID of the project.
            urls: At most 64 URLs. A signed one is a secret: no result, error or log contains its
                query.
            metadata: As for `create_images`.

        Returns:
            A result for each image, identified by its URL without the query, in no particular
            order.

        Raises:
            ServiceError: The call failed; see the class.
            OptionError: Metadata was given, and the version is 3.2.

        Example:
            >>> from regionbatch.local import LocalService
            >>> with LocalService() as service:  # nothing listens at this address
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         url = "http://127.0.0.1:9/a.jpg?sig=secret"
            ...         [result] = client.create_images_from_urls(project_id, [url])
            >>> result.source_url, result.status
            ('http://127.0.0.1:9/a.jpg', 'ErrorSource')
        """
        batch = ImageUrlBatch(images=[ImageUrl(url=url) for url in urls])
        secrets = secrets_of(urls)
        results = self._create_images(
            "CreateImagesFromUrls", project_id, "urls", batch, metadata, secrets
        )
        for result in results:
            result.source_url = without_secrets(address_of(result.source_url or ""), secrets)
        return results

    def _create_images(
        self,
        operation: str,
        project_id: str,
        kind: str,
        batch: ImageUploadBatch | ImageUrlBatch,
        metadata: Mapping[str, str] | None,
        secrets: Sequence[str] = (),
    ) -> list[ImageUploadResult]:
        if metadata is not None:
            self.raise_without_metadata("image metadata")
            batch.metadata = metadata
        response = self._connection.call(
            operation,
            "POST",
            project_path(project_id, f"/images/{kind}"),
            ImageUploadResults,
            body=msgspec.json.encode(batch),
            secrets=secrets,
        )
        results = response.images or []
        for result in results:
            result.status = self._connection.clean(result.status, secrets=secrets)
            result.source_url = _without_quotes(result.source_url or "")
        return results

    def create_regions(self, project_id: str, batch: Batch) -> CreateRegionsResult:
        """Create regions on images of a project (CreateImageRegions).

        Args:
            project_id: The ID of the project.
            batch: At most 64 regions, as `regionbatch.batches` makes them.

        Returns:
            The regions that were created, those that existed already (`duplicated`), and those for
            which their image has no room (`exceeded`).

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
            project_path(project_id, "/images/regions"),
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
            project_path(project_id, "/images/regions"),
            type(None),
            query={"regionIds": ",".join(ids)},
        )


def _without_quotes(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name
