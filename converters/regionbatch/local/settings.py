"""The settings of the local service: limits, and behaviour that Microsoft does not document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from regionbatch import limits


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

    nulls: bool = True
    """Whether empty nullable lists, and the image of a failed upload, are null. Otherwise, the
    lists are `[]`, and the image is left out."""

    quoted_names: bool = False
    """Whether the response to an upload has quotes as part of each `sourceUrl`."""

    dr_mode: bool = False
    """Whether projects are read-only (disaster recovery): every write gets 403."""

    latency: float = 0.0
    """The minimum response time in seconds. Calls wait in parallel."""

    rate: int | None = None
    """The most calls per second, from all callers; excess calls get 429. None: no limit."""

    key: str | None = None
    """The key that is required, as Training-Key or as bearer token. [default: any key]"""

    seed: int = 0
    """The seed of the order of lists, which are shuffled because Microsoft promises no order."""
