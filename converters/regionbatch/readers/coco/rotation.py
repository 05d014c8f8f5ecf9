"""Find rotated boxes, and compare them with the polygons next to them.

CVAT writes the box before rotation as `bbox`, and the angle as `attributes.rotation`, clockwise in
degrees. Other tools write `rotation` next to the `bbox`. A polygon shows what they mean: if the
`bbox` is the box around the polygon, it is already the axis-aligned box.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.files.text import as_number
from regionbatch.readers.coco import segmentation
from regionbatch.readers.coco.json_records import DuplicateKeyDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.boxes import Mask


_MAX_RADIANS = 2 * math.pi
"""Up to this value, an angle may be in radians."""

_UNCLEAR_KEYS = ("angle", "Angle", "Rotation")
"""Keys that may be the rotation of the box, or of something else: of the camera, of a head."""

_KEYS = frozenset({"rotation", "attributes", *_UNCLEAR_KEYS})
"""A record without any of these keys is not rotated."""


class Rotation(NamedTuple):
    """The rotation of one box."""

    degrees: float
    """NaN if there is an angle with an unknown meaning."""
    in_degrees: bool
    """Whether the unit is known: the rotation is an attribute, as CVAT writes it."""
    outline: tuple[float, float, float, float] | None
    """Left, top, width, height of the segmentation; None if there is none."""


class Rotations:
    """The rotations of n boxes as columns."""

    def __init__(self, rotations: Sequence[Rotation]) -> None:
        """Take the rotations in the order of the boxes."""
        missing = (math.nan,) * 4
        outlines = [one.outline or missing for one in rotations]
        self._degrees = np.array([one.degrees for one in rotations], np.float64)
        self._in_degrees = np.array([one.in_degrees for one in rotations], np.bool_)
        self._outline = np.array(outlines, np.float64).reshape(-1, 4)

    def judge(self, box: boxes.Boxes, size: boxes.Boxes) -> tuple[NDArray[np.float64], Mask, Mask]:
        """Compare the boxes with their polygons, before and after rotation.

        Args:
            box: (n, 4), left, top, width, height before rotation, in pixels or from 0 to 1.
            size: (n, 2), what `box` is multiplied by to be in pixels; 1 if it is in pixels.

        Returns:
            Three columns of shape (n,): the angles in radians, which are 0 for boxes that are
            already axis-aligned or stay unchanged; which rotations cannot be applied; and which
            angles have no known meaning.
        """
        angle = np.radians(self._degrees)
        sides = np.tile(size, 2)
        box = box * sides
        is_normalised = (np.abs(self._outline) <= 1).all(axis=1, keepdims=True)
        outline = np.where(is_normalised, self._outline * sides, self._outline)
        # A pixel; less for boxes from 0 to 1 whose image has no known size.
        tolerance = np.where((box <= 1).all(axis=1), 1e-3, 1 + boxes.NOISE)
        from_box = _distance(box, outline)
        from_rotated = _distance(boxes.enclose_rotated(box, angle, np.ones_like(size)), outline)
        is_aligned = (from_box <= tolerance) & ~(from_rotated < from_box)
        is_confirmed = from_rotated <= tolerance
        is_meaningless = np.isnan(angle) & ~is_aligned
        unknown_unit = np.abs(self._degrees[~self._in_degrees])
        in_degrees = self._in_degrees | bool((unknown_unit > _MAX_RADIANS).any())
        is_contradicted = np.isfinite(from_box) | ~in_degrees
        is_unclear = ~is_aligned & ~is_confirmed & ~is_meaningless & is_contradicted
        angle[is_aligned | is_unclear | is_meaningless] = 0
        return angle, is_unclear, is_meaningless


def rotation_of(record: Mapping[str, Any]) -> Rotation | str | None:
    """Read the rotation of an annotation.

    Returns:
        None if it has no rotation, or only half turns. The text of a finding if the rotation cannot
        be applied.
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
    in_degrees = _is_missing(record.get("rotation"))
    return Rotation(number, in_degrees, segmentation.bbox(record.get("segmentation")))


def _values(record: Mapping[str, Any], keys: Sequence[str]) -> list[Any]:
    """Return all values of some keys, in a record and in its attributes (an object or a list)."""
    attributes = record.get("attributes")
    values = [record.get(key) for key in keys]
    for one in attributes if isinstance(attributes, list) else [attributes]:
        if isinstance(one, dict):
            if one.get("name") in keys:
                values.append(one.get("value"))
            else:
                values += [one.get(key) for key in keys]
        if isinstance(one, DuplicateKeyDict):
            values += chain.from_iterable(one.conflicts.get(key, ()) for key in keys)
    return [value for value in values if not _is_missing(value)]


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_angle(value: object) -> bool:
    try:
        return as_number(value) not in (0, 360)
    except (TypeError, ValueError, OverflowError):
        return False  # such as "side view"


def _distance(one: boxes.Boxes, other: boxes.Boxes) -> NDArray[np.float64]:
    """Return the largest distance between the edges of left, top, width, height boxes, (n,)."""
    near = np.abs(one[:, :2] - other[:, :2])
    far = np.abs(one[:, :2] + one[:, 2:] - other[:, :2] - other[:, 2:])
    distance: NDArray[np.float64] = np.maximum(near, far).max(axis=1)
    return distance
