"""Rotated boxes: what says that one is, and whether the polygon next to it agrees.

CVAT writes the box before it is rotated as `bbox` and the angle as `attributes.rotation`, clockwise in degrees; others
write `rotation` next to the `bbox`. A polygon next to them settles it: with the bounds of the `bbox`, the `bbox` is the
axis-aligned box already.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.files.text import as_number
from regionbatch.readers.coco import segmentation
from regionbatch.readers.coco.jsonrecords import Repeated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.boxes import Mask


_UNCERTAIN = 2 * math.pi
"""Up to here, an angle may be in radians."""

_UNCLEAR_KEYS = ("angle", "Angle", "Rotation")
"""What may be the rotation of the box, or of something else: of the camera, of a head."""

_KEYS = frozenset({"rotation", "attributes", *_UNCLEAR_KEYS})
"""Of a record; without them, nothing is rotated."""


class Rotation(NamedTuple):
    """The rotation of a box."""

    degrees: float
    """NaN: there is an angle whose meaning is not known."""
    sure: bool
    """Whether it is an attribute, as in CVAT, whose unit is known."""
    outline: tuple[float, float, float, float] | None
    """Left, top, width, height of its segmentation; None: it has none."""


class Rotations:
    """The rotations of boxes as columns; n of them."""

    def __init__(self, rotations: Sequence[Rotation]) -> None:
        """Take them in the order of the boxes."""
        none = (math.nan,) * 4
        self._degrees = np.array([one.degrees for one in rotations], np.float64)
        self._sure = np.array([one.sure for one in rotations], np.bool_)
        self._outline = np.array([one.outline or none for one in rotations], np.float64).reshape(-1, 4)

    def judge(self, box: boxes.Boxes, size: boxes.Boxes) -> tuple[NDArray[np.float64], Mask, Mask]:
        """Compare the boxes, also once rotated, with their polygons.

        Args:
            box: (n, 4), left, top, width, height before the rotation, in pixels or from 0 to 1.
            size: (n, 2), what `box` is multiplied by to be in pixels: 1 where it is.

        Returns:
            The angles in radians, 0 for a box that is axis-aligned already or must stay as it is; which rotations
            cannot be applied; and which angles have no known meaning.
        """
        angle = np.radians(self._degrees)
        sides = np.tile(size, 2)
        box = box * sides
        shares = (np.abs(self._outline) <= 1).all(axis=1, keepdims=True)
        outline = np.where(shares, self._outline * sides, self._outline)
        near = np.where((box <= 1).all(axis=1), 1e-3, 1 + boxes.NOISE)  # a pixel; without a size, a share
        from_box = _distance(box, outline)
        from_rotated = _distance(boxes.around_rotated(box, angle, np.ones_like(size)), outline)
        aligned = (from_box <= near) & ~(from_rotated < from_box)
        confirmed = from_rotated <= near
        meaningless = np.isnan(angle) & ~aligned
        degrees = self._sure | bool((np.abs(self._degrees[~self._sure]) > _UNCERTAIN).any())
        unclear = ~aligned & ~confirmed & ~meaningless & (np.isfinite(from_box) | ~degrees)
        angle[aligned | unclear | meaningless] = 0
        return angle, unclear, meaningless


def rotation_of(record: Mapping[str, Any]) -> Rotation | str | None:
    """Return the rotation of a record.

    Returns:
        None: it has none, or by half turns. Text: what to report, since it cannot be applied.
    """
    if _KEYS.isdisjoint(record):
        return None
    values = _values(record, ("rotation",))
    try:
        degrees = {as_number(value) for value in values}
    except (TypeError, ValueError, OverflowError):
        degrees = {math.nan}
    if len(degrees) > 1 or not all(map(math.isfinite, degrees)):
        return "rotation " + " and ".join(map(repr, values))
    number = next(iter(degrees), 0.0)
    if not values and any(map(_is_angle, _values(record, _UNCLEAR_KEYS))):
        number = math.nan
    if number % 180 == 0:
        return None
    sure = _is_missing(record.get("rotation"))
    return Rotation(number, sure, segmentation.bbox(record.get("segmentation")))


def _values(record: Mapping[str, Any], keys: Sequence[str]) -> list[Any]:
    """All that a record says under some keys: itself, and in its attributes, an object or a list of them."""
    attributes = record.get("attributes")
    values = [record.get(key) for key in keys]
    for one in attributes if isinstance(attributes, list) else [attributes]:
        if isinstance(one, dict):
            values += [one.get("value")] if one.get("name") in keys else [one.get(key) for key in keys]
        if isinstance(one, Repeated):
            values += chain.from_iterable(one.differing.get(key, ()) for key in keys)
    return [value for value in values if not _is_missing(value)]


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_angle(value: object) -> bool:
    try:
        return as_number(value) not in (0, 360)
    except (TypeError, ValueError, OverflowError):
        return False  # such as "side view"


def _distance(one: boxes.Boxes, other: boxes.Boxes) -> NDArray[np.float64]:
    """How far the edges of left, top, width, height boxes are apart at most."""
    far = np.abs(one[:, :2] + one[:, 2:] - other[:, :2] - other[:, 2:])
    distance: NDArray[np.float64] = np.maximum(np.abs(one[:, :2] - other[:, :2]), far).max(axis=1)
    return distance
