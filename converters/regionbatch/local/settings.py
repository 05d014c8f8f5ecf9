"""Every switch of the local service: the tier's limits, and what is unknown about the real service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from regionbatch import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a project may hold; Microsoft's page on Custom Vision limits, January 2025. Tests lower them.

    `image_bytes` and `body_bytes` are bytes, `side` is pixels. The last one is no documented limit: bodies of about
    60 MB were seen to be answered with 408.
    """

    images: int
    tags: int
    regions_per_image: int = limits.REGIONS_PER_IMAGE
    image_bytes: int = limits.IMAGE_BYTES
    side: int = limits.IMAGE_SIDE
    aspect: int = limits.IMAGE_ASPECT
    body_bytes: int = 60_000_000


TIERS = {name: Limits(images=tier.images, tags=tier.tags) for name, tier in limits.TIERS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the service behaves where Microsoft does not say, or where a test wants it so."""

    limits: Limits = TIERS["S0"]

    on_existing: Literal["duplicated", "refuse", "twice"] = "duplicated"
    """A region that the image has already: named in `duplicated`, the batch refused, or a second copy stored."""

    unknown_ids: Literal["batch", "not-found", "entry"] = "batch"
    """An image or tag that is not there: the batch refused with 400 BadRequestInvalidIds, refused with 404
    NotFoundImage or NotFoundTag, or only the entry left out (no list of the answer has a place for it)."""

    partial_status: Literal[200, 207] | None = None
    """Status when a part of a batch was not created; None is what the version documents: v3.2 200, later ones 207."""

    retry_after: bool = True
    """Whether a 429 has a Retry-After header; its message names the seconds in any case."""

    nulls: bool = True
    """Whether empty nullable lists, and the image of a failed upload, are null; else `[]`, and no image at all."""

    quoted_names: bool = False
    """Whether the upload's answer puts `sourceUrl` in literal quotes."""

    dr_mode: bool = False
    """Whether projects are read-only (disaster recovery): every write is answered with 403."""

    latency: float = 0.0
    """Seconds that every call takes at least; calls wait side by side."""

    rate: int | None = None
    """Calls a second, over all callers; more are answered with 429. None is no limit."""

    key: str | None = None
    """The key to ask for, as Training-Key or as bearer token; None takes any, but not none."""

    seed: int = 0
    """Seed of the order of replies: the contract promises none, so they are shuffled."""
