"""The messages of the training API that an upload needs, as the client sends and receives them.

Names are camelCase in the JSON. Members that are not needed here are ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from regionbatch.customvision.signed_urls import address_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Message(msgspec.Struct, rename="camel", kw_only=True, gc=False):
    """Base class of all messages."""


class ServiceDomain(_Message):
    """A kind of model. Its type says whether a project of this domain has regions."""

    id: str
    name: str = ""
    type: str = ""


class ServiceProjectSettings(_Message):
    """The settings of a project."""

    domain_id: str = ""


class ServiceProject(_Message):
    """A project."""

    id: str
    name: str = ""
    settings: ServiceProjectSettings | None = None
    dr_mode_enabled: bool | None = None
    """Whether the project is read-only because its resource is in disaster recovery."""
    status: str | None = None
    """`Succeeded`; `Importing` or `Failed` after an import."""


class ServiceTag(_Message):
    """A tag of a project."""

    id: str
    name: str
    type: str = "Regular"
    """`Regular` is the only type that takes regions."""
    image_count: int = 0


class ServiceRegion(_Message):
    """A region in a response. Coordinates are normalised to 0-1 of the image's sides."""

    tag_id: str
    left: float
    top: float
    width: float
    height: float
    image_id: str = ""
    """Empty for a region that is listed as part of its image."""
    region_id: str = ""


class ServiceImage(_Message):
    """An image of a project. The service keeps no image names, except in the metadata."""

    id: str
    width: int | None = None
    """In pixels."""
    height: int | None = None
    regions: list[ServiceRegion] | None = None
    metadata: dict[str, str] | None = None
    """Texts by key that were given when the image was uploaded; since version 3.3."""


class ImageUpload(_Message):
    """An image to upload."""

    name: str
    contents: bytes
    """The bytes of the image file; base64 in the JSON."""


class ImageUrl(_Message):
    """An image that the service fetches."""

    url: str
    """A secret, if it is signed."""

    def __repr__(self) -> str:
        """Return the type and the address, without a signature."""
        return f"ImageUrl({address_of(self.url)!r})"


class ImageUploadResult(_Message):
    """The result of uploading one image."""

    source_url: str | None = None
    """The name that the image was uploaded with, perhaps changed by the service; if the service
    fetched the image, its URL without the signature."""
    status: str = ""
    image: ServiceImage | None = None


class CreateRegionsResult(_Message):
    """The result of CreateImageRegions. The regions are in no particular order."""

    created: list[ServiceRegion] | None = None
    duplicated: list[ServiceRegion] | None = None
    exceeded: list[ServiceRegion] | None = None


class ImageUploadBatch(_Message):
    """The body of CreateImagesFromFiles."""

    images: Sequence[ImageUpload]
    metadata: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET
    """Texts by key, for all images of the batch; since version 3.3."""


class ImageUrlBatch(_Message):
    """The body of CreateImagesFromUrls."""

    images: Sequence[ImageUrl]
    metadata: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET
    """As for `ImageUploadBatch`."""


class ImageUploadResults(_Message):
    """The response of CreateImagesFromFiles and of CreateImagesFromUrls."""

    images: list[ImageUploadResult] | None = None


class ErrorMessage(_Message):
    """An error of the service, or one of its gateway, which wraps the same members in `error`."""

    code: str | int | None = None
    message: str | None = None
    error: ErrorMessage | None = None
