"""The messages of the training API, named as in Microsoft's description; ids are UUIDs, coordinates fractions.

What a caller sends is checked as it is read (UUID, float, base64). What the service answers comes out of its own
store: ids are text there. Members that this service has no use for (addresses of pictures, metadata) are left out of
answers, where they are optional, and passed over in requests.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID  # noqa: TC003 - msgspec reads the annotations

from msgspec import UNSET, Struct, UnsetType

DomainType = Literal["Classification", "ObjectDetection"]
TagType = Literal["Regular", "Negative", "GeneralProduct"]
Classifier = Literal["Multiclass", "Multilabel"]
Platform = Literal["CoreML", "TensorFlow", "DockerFile", "ONNX", "VAIDK"]


class Message(Struct, frozen=True, kw_only=True, rename="camel"):
    """What all messages share: names in camelCase on the wire."""


class Box(Message, frozen=True, kw_only=True):
    """Left, top, width, height as fractions of the image's sides."""

    left: float
    top: float
    width: float
    height: float


# What a caller sends.


class Region(Box, frozen=True, kw_only=True):
    """A box with its tag, inline in an upload."""

    tag_id: UUID


class ImageRegionCreateEntry(Region, frozen=True, kw_only=True):
    """A box with its tag and image; also how `duplicated` and `exceeded` name it."""

    image_id: UUID


class ImageRegionCreateBatch(Message, frozen=True, kw_only=True):
    """The body of CreateImageRegions."""

    regions: list[ImageRegionCreateEntry] | None = None


class ImageFileCreateEntry(Message, frozen=True, kw_only=True):
    """One picture of an upload; `contents` is base64 on the wire."""

    name: str | None = None
    contents: bytes | None = None
    tag_ids: list[UUID] | None = None
    regions: list[Region] | None = None


class ImageFileCreateBatch(Message, frozen=True, kw_only=True):
    """The body of CreateImagesFromFiles."""

    images: list[ImageFileCreateEntry] | None = None
    tag_ids: list[UUID] | None = None


# What the service answers.


class Domain(Message, frozen=True, kw_only=True):
    """A kind of model; its type says whether a project takes regions."""

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
    status: Literal["Succeeded"] = "Succeeded"


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
    """An image; it has no name: only the upload's answer ties a name to its id."""

    id: str
    created: str
    width: int
    height: int
    tags: list[ImageTag] | None
    regions: list[ImageRegion] | None


class ImageRegionCreateResult(ImageRegion, frozen=True, kw_only=True):
    """A region that was created."""

    image_id: str


class ImageRegionCreateSummary(Message, frozen=True, kw_only=True):
    """The answer of CreateImageRegions; in no order."""

    created: list[ImageRegionCreateResult] | None
    duplicated: list[ImageRegionCreateEntry] | None
    exceeded: list[ImageRegionCreateEntry] | None


class ImageCreateResult(Message, frozen=True, kw_only=True):
    """What became of one picture of an upload; `source_url` is the name that came with it."""

    source_url: str
    status: str
    image: Image | UnsetType | None = UNSET


class ImageCreateSummary(Message, frozen=True, kw_only=True):
    """The answer of CreateImagesFromFiles; in no order."""

    is_batch_successful: bool
    images: list[ImageCreateResult]


class CustomVisionError(Message, frozen=True, kw_only=True):
    """A refusal by the service; the gateway wraps the same two in `error`."""

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
"""Domains of the real service with their real ids (Microsoft's page "Select a domain"); the first of a type is used."""
