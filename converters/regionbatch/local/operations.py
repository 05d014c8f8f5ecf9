"""The operations of the training API under the rules of the real service, named as by Microsoft."""

from __future__ import annotations

from regionbatch.local.image_operations import ImageOperations
from regionbatch.local.project_operations import ProjectOperations
from regionbatch.local.region_operations import RegionOperations


class Operations(ProjectOperations, ImageOperations, RegionOperations):
    """All operations. Each runs in one transaction, which a `RefusedError` rolls back."""
