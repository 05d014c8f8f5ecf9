"""The limits of Custom Vision that a payload or a dataset can be measured against, all from its documentation."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from regionbatch.errors import OptionError

REGIONS_PER_BATCH = 64
"""Entries that one CreateImageRegions call takes (reference page of the call)."""

REGIONS_PER_IMAGE = 300
"""Regions that one image can carry (documentation, January 2025); the service answers the surplus with `exceeded`."""

IMAGES_PER_BATCH = 64
"""Pictures that one CreateImagesFromFiles call takes (description of the API)."""

IMAGES_PER_PAGE = 256
"""Most images that one page of a listing has (description of the API)."""

BODY_BYTES = 30 * 10**6
"""Size that an upload's body is kept under: bodies of 60 MB were seen to be answered with 408."""

IMAGE_BYTES = 6 * 2**20
"""Largest picture that is taken for training (documentation)."""

IMAGE_SIDE = 10_240
"""Longest side in pixels (documentation)."""

IMAGE_ASPECT = 25
"""How many times longer one side can be than the other (documentation)."""


class Tier(NamedTuple):
    """What a pricing tier allows: images and tags in a project, calls a second."""

    images: int
    tags: int
    calls_per_second: float


def tier_of(name: str) -> Tier:
    """The tier of a name.

    Raises:
        OptionError: There is none.
    """
    if name not in TIERS:
        raise OptionError(f"--tier: no such tier, got {name}; known: {', '.join(TIERS)}")
    return TIERS[name]


TIERS = MappingProxyType({"F0": Tier(5_000, 50, 2), "S0": Tier(100_000, 500, 10)})
"""The documentation says 10 calls a second for both; people on F0 report about 2 for uploads."""
