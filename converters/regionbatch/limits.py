"""The limits of Custom Vision that a payload or a data set can be measured against, all from its documentation."""

REGIONS_PER_BATCH = 64
"""Entries that one CreateImageRegions call takes (reference page of the call)."""

REGIONS_PER_IMAGE = 300
"""Regions that one image can carry (documentation, January 2025); the service answers the surplus with `exceeded`."""
