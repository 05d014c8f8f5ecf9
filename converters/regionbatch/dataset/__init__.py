"""The types that all modules share: annotations as in the file, and the dataset that is read.

These types hold columns, not one object per box: a million boxes are a few arrays. The arrays are
read-only, and their shapes are checked when an object is created.
"""

from regionbatch.dataset.annotations import (
    MARKS,
    ListedImage,
    PlacedAnnotations,
    RawAnnotations,
    References,
    normalise_label,
)
from regionbatch.dataset.dataset import Dataset
from regionbatch.dataset.images import ImageReferences, Images
from regionbatch.dataset.originals import Originals
from regionbatch.dataset.regions import Region, Regions

__all__ = [
    "MARKS",
    "Dataset",
    "ImageReferences",
    "Images",
    "ListedImage",
    "Originals",
    "PlacedAnnotations",
    "RawAnnotations",
    "References",
    "Region",
    "Regions",
    "normalise_label",
]
