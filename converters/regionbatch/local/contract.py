"""The messages of the training API, named as in Microsoft's description.

IDs are UUIDs, and coordinates are normalised (0 to 1). Requests are checked when they are decoded
(UUID, float, base64). Responses come from the service's own store, where IDs are text. Members that
this service does not use (URLs of images) are optional: responses leave them out, and
requests may contain them.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID  # noqa: TC003 - msgspec reads the annotations

from msgspec import Struct, UnsetType

DomainType = Literal["Classification", "ObjectDetection"]
TagType = Literal["Regular", "Negative", "GeneralProduct"]
Classifier = Literal["Multiclass", "Multilabel"]
Platform = Literal["CoreML", "TensorFlow", "DockerFile", "ONNX", "VAIDK"]


class Message(Struct, frozen=True, kw_only=True, rename="camel"):
    """Base class of all messages. In JSON, the names of members are in camelCase."""


class Box(Message, frozen=True, kw_only=True):
    """The left, top, width and height, normalised (0 to 1)."""

    left: float
    top: float
    width: float
    height: float


# Requests.


class TaggedBox(Box, frozen=True, kw_only=True):
    """A box with its tag, as part of an image that is uploaded."""

    tag_id: UUID


class ImageRegionCreateEntry(TaggedBox, frozen=True, kw_only=True):
    """A box with its tag and image; also an entry of `duplicated` and `exceeded`."""

    image_id: UUID


class ImageRegionCreateBatch(Message, frozen=True, kw_only=True):
    """The body of CreateImageRegions."""

    regions: list[ImageRegionCreateEntry] | None = None


class ImageFileCreateEntry(Message, frozen=True, kw_only=True):
    """An image that is uploaded. In JSON, `contents` is base64."""

    name: str | None = None
    contents: bytes | None = None
    tag_ids: list[UUID] | None = None
    regions: list[TaggedBox] | None = None


class ImageFileCreateBatch(Message, frozen=True, kw_only=True):
    """The body of CreateImagesFromFiles."""

    images: list[ImageFileCreateEntry] | None = None
    tag_ids: list[UUID] | None = None
    metadata: dict[str, str] | None = None


class ImageUrlCreateEntry(Message, frozen=True, kw_only=True):
    """An image that the service fetches."""

    url: str
    tag_ids: list[UUID] | None = None
    regions: list[TaggedBox] | None = None


class ImageUrlCreateBatch(Message, frozen=True, kw_only=True):
    """The body of CreateImagesFromUrls."""

    images: list[ImageUrlCreateEntry] | None = None
    tag_ids: list[UUID] | None = None
    metadata: dict[str, str] | None = None


# Responses.


class Domain(Message, frozen=True, kw_only=True):
    """A kind of model. Its type determines whether a project accepts regions."""

    id: str
    name: str
    type: DomainType
    exportable: bool
    enabled: bool = True


class ProjectSettings(Message, frozen=True, kw_only=True):
    """The settings of a project."""

    domain_id: str
    classification_type: str | None
    target_export_platforms: list[str]


class Project(Message, frozen=True, kw_only=True):
    """A project."""

    id: str
    name: str
    description: str | None
    settings: ProjectSettings
    created: str
    last_modified: str
    dr_mode_enabled: bool
    status: str


class Tag(Message, frozen=True, kw_only=True):
    """A tag of a project."""

    id: str
    name: str
    description: str | None
    type: str
    image_count: int


class ImageTag(Message, frozen=True, kw_only=True):
    """A tag of an image."""

    tag_id: str
    tag_name: str
    created: str


class ImageRegion(Box, frozen=True, kw_only=True):
    """A region of an image."""

    region_id: str
    tag_id: str
    tag_name: str
    created: str


class Image(Message, frozen=True, kw_only=True):
    """An image. It has no name: only the response to its upload connects a name with the ID."""

    id: str
    created: str
    width: int
    height: int
    tags: list[ImageTag] | None
    regions: list[ImageRegion] | UnsetType | None
    metadata: dict[str, str] | UnsetType | None


class StoredRegion(ImageRegion, frozen=True, kw_only=True):
    """A region with its image."""

    image_id: str


class ImageRegionCreateResult(Box, frozen=True, kw_only=True):
    """A region that was created. The real service does not name its tag."""

    image_id: str
    region_id: str
    tag_id: str
    tag_name: str | None
    created: str


class ImageRegionCreateSummary(Message, frozen=True, kw_only=True):
    """The response of CreateImageRegions, in no particular order."""

    created: list[ImageRegionCreateResult] | None
    duplicated: list[ImageRegionCreateEntry] | None
    exceeded: list[ImageRegionCreateEntry] | None


class ImageCreateResult(Message, frozen=True, kw_only=True):
    """The result for one image of an upload; `source_url` is its name or URL in the request."""

    source_url: str | None
    status: str
    image: Image | None


class ImageCreateSummary(Message, frozen=True, kw_only=True):
    """The response of CreateImagesFromFiles and ...Urls, in no particular order."""

    is_batch_successful: bool
    images: list[ImageCreateResult]


class ImageMetadataUpdateEntry(Message, frozen=True, kw_only=True):
    """The result for one image of UpdateImageMetadata."""

    image_id: str
    status: str
    metadata: dict[str, str] | None


class ImageMetadataUpdateSummary(Message, frozen=True, kw_only=True):
    """The response of UpdateImageMetadata, in no particular order."""

    is_batch_successful: bool
    images: list[ImageMetadataUpdateEntry]


class CustomVisionError(Message, frozen=True, kw_only=True):
    """An error of the service. The gateway wraps the same members in `error`."""

    code: str
    message: str


DOMAINS = (
    Domain(
        id="da2e3a8a-40a5-4171-82f4-58522f70fb01",
        name="General",
        type="ObjectDetection",
        exportable=False,
    ),
    Domain(
        id="9c616dff-2e7d-ea11-af59-1866da359ce6",
        name="General [A1]",
        type="ObjectDetection",
        exportable=False,
    ),
    Domain(
        id="a27d5ca5-bb19-49d8-a70a-fec086c47f5b",
        name="General (compact)",
        type="ObjectDetection",
        exportable=True,
    ),
    Domain(
        id="ee85a74c-405e-4adc-bb47-ffa8ca0c9f31",
        name="General",
        type="Classification",
        exportable=False,
    ),
    Domain(
        id="0732100f-1a38-4e49-a514-c9b44c697ab5",
        name="General (compact)",
        type="Classification",
        exportable=True,
    ),
)
"""Domains of the real service with their real IDs, from Microsoft's page "Select a domain".

The first domain of a type is the default.
"""
