"""The settings of the local service: limits, and behaviour that Microsoft does not document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from regionbatch import limits
from regionbatch.limits import IMAGES_PER_PAGE

SourceUrl = Literal["name", "null", "renamed", "encoded", "prefixed"]
ProjectStatus = Literal["Succeeded", "Importing", "Failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a project, from Microsoft's page on Custom Vision limits, January 2025.

    Attributes:
        images: Images in a project.
        tags: Tags in a project.
        regions_per_image: Regions on an image.
        image_bytes: Bytes of an image file.
        side: Pixels of the longer side of an image.
        aspect: The longer side of an image divided by the shorter one.
        body_bytes: Bytes of a request body. This limit is not documented; the real service was
            seen to refuse bodies of about 60 MB with 408.

    Example:
        >>> from dataclasses import replace
        >>> from regionbatch.local import TIERS
        >>> TIERS["F0"].tags
        50
        >>> replace(TIERS["F0"], tags=3).tags
        3
    """

    images: int
    tags: int
    regions_per_image: int = limits.REGIONS_PER_IMAGE
    image_bytes: int = limits.IMAGE_BYTES
    side: int = limits.IMAGE_SIDE
    aspect: int = limits.IMAGE_ASPECT
    body_bytes: int = 60_000_000


TIERS = {name: Limits(images=tier.images, tags=tier.tags) for name, tier in limits.TIERS.items()}
"""The limits of each pricing tier, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the service behaves where Microsoft does not say, or where a test needs it.

    Example:
        >>> from regionbatch.local import LocalService, Settings
        >>> with LocalService(Settings(key="secret")) as service:
        ...     service.key
        'secret'
    """

    limits: Limits = TIERS["S0"]
    """The limits of the project."""

    on_existing: Literal["duplicated", "refuse", "twice"] = "duplicated"
    """What happens to a region that the image already has: it is returned in `duplicated`, the
    batch is refused, or a second copy is stored."""

    unknown_ids: Literal["batch", "not-found", "entry"] = "batch"
    """How unknown image or tag IDs are rejected: the batch is refused with 400
    BadRequestInvalidIds, or with 404 NotFoundImage or NotFoundTag, or only the entry is ignored (no
    list of the response contains it)."""

    partial_status: Literal[200, 207] | None = None
    """The status if only a part of a batch was created. [default: as documented, 200 in v3.2, and
    207 in later versions]"""

    retry_after: bool = True
    """Whether a 429 has a Retry-After header. Its message always contains the seconds."""

    nulls: bool = False
    """Whether empty nullable lists are null, as Microsoft's description allows. Otherwise they are
    `[]`, as recorded."""

    omit_nulls: bool = False
    """Whether responses leave out the members that would be null."""

    tag_names: bool = False
    """Whether the regions in `created` have the name of their tag, as Microsoft's description
    says. Otherwise it is null, as recorded."""

    shuffled_regions: bool = False
    """Whether the regions of an image are in random order. Otherwise the newest is first, as
    recorded."""

    quoted_names: bool = False
    """Whether the response to an upload has quotes as part of each `sourceUrl`."""

    source_url: SourceUrl = "name"
    """What `sourceUrl` is in the response to an upload: the name in the request, null, the name
    with another file name, percent-encoded, or with a URL before it."""

    page_size: int = IMAGES_PER_PAGE
    """Maximum number of images on a page, even if the caller asks for more."""

    project_status: ProjectStatus = "Succeeded"
    """The status of every project."""

    listing_lag: float = 0.0
    """The seconds until GetImages, GetTaggedImages, GetUntaggedImages and the counts show what
    was created or deleted."""

    read_lag: float = 0.0
    """The seconds until any reading call shows what was created or deleted. Listings wait for the
    longer of both lags."""

    id_lag: float = 0.0
    """The seconds until CreateImageRegions knows a new image or tag. Until then, its ID is
    rejected as `unknown_ids` says."""

    stored_digits: int | None = None
    """The decimals to which coordinates are rounded when they are stored. Responses contain the
    rounded ones. None: 32-bit floats are stored unchanged, as recorded."""

    dr_mode: bool = False
    """Whether projects are read-only (disaster recovery): every write gets 403."""

    latency: float = 0.0
    """The minimum response time in seconds. Calls wait in parallel."""

    rate: int | None = None
    """Maximum calls per second of the service's clock, from all callers; excess calls get 429.
    None: no limit."""

    key: str | None = None
    """The key that is required, as Training-Key or as bearer token. [default: any key]"""

    seed: int = 0
    """The seed of the order of lists. Those whose order is neither promised nor recorded are
    shuffled."""

    @property
    def lag_of_listings(self) -> float:
        """The seconds until listings show what was created or deleted."""
        return max(self.listing_lag, self.read_lag)

    @property
    def lags(self) -> set[float]:
        """The seconds of all lags."""
        return {self.read_lag, self.lag_of_listings, self.id_lag}
