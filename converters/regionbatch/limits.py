"""The documented limits of Custom Vision that a payload or a dataset can be checked against."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from regionbatch.errors import OptionError

REGIONS_PER_BATCH = 64
"""Maximum entries of one CreateImageRegions call (reference page of the call)."""

REGIONS_PER_IMAGE = 300
"""Maximum regions of one image (documentation, January 2025); others are rejected as `exceeded`."""

IMAGES_PER_BATCH = 64
"""Maximum images of one call that uploads images (description of the API)."""

IMAGES_PER_PAGE = 256
"""Maximum images on one page of a listing (description of the API)."""

BODY_BYTES = 30 * 10**6
"""Largest request body that an upload sends. Bodies of 60 MB have been answered with 408."""

IMAGE_BYTES = 6 * 2**20
"""Largest image file for training (documentation)."""

IMAGE_SIDE = 10_240
"""Longest side of an image in pixels (documentation)."""

IMAGE_ASPECT = 25
"""Largest ratio of an image's sides (documentation)."""


IMAGES_PER_TAG = 15
"""Minimum images of each tag for a project to be trained (documentation, January 2025)."""

RECOMMENDED_IMAGES_PER_TAG = 50
"""Minimum images of each tag that are recommended for training (documentation)."""

SMALL_IMAGE_SIDE = 256
"""The service enlarges images whose shorter side has fewer pixels (documentation)."""


class Tier(NamedTuple):
    """Limits of a pricing tier."""

    images: int
    """Images in a project."""
    tags: int
    """Tags in a project."""
    calls_per_second: float


def get_tier(name: str) -> Tier:
    """Return the limits of a pricing tier.

    Args:
        name: The name of the tier, such as `S0`.

    Raises:
        OptionError: There is no such tier.
    """
    if not isinstance(name, str) or name not in TIERS:
        known = ", ".join(TIERS)
        raise OptionError(
            f"tier: no such pricing tier: {name!r}. Choose one of: {known}.",
            option="tier",
            value=name,
            choices=tuple(TIERS),
        )
    return TIERS[name]


TIERS = MappingProxyType({"F0": Tier(5_000, 50, 2), "S0": Tier(100_000, 500, 10)})
"""The documentation says 10 calls per second for both. Users of F0 report about 2 for uploads."""
