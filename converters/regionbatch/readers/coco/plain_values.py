"""Read boxes, their order, and names from plain COCO records, whatever their types are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.files.paths import NAME_CHARACTER
from regionbatch.files.text import as_number
from regionbatch.readers.coco import segmentation
from regionbatch.readers.coco.json_records import DuplicateKeyDict, LiteralFloat

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER_TYPES = frozenset({int, float})
"""Types that `float` converts as `as_number` does, in a third of the time."""

_BOX_MODES = {
    0: "ltrb",
    "0": "ltrb",
    "xyxy_abs": "ltrb",
    1: "ltwh",
    "1": "ltwh",
    "xywh_abs": "ltwh",
}
"""What Detectron2's `bbox_mode` means, by its numbers and names."""

_DECISIVE_KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "categories": ("id", "name"),
    "annotations": (
        "bbox",
        "segmentation",
        "image_id",
        "category_id",
        "attributes",
        "rotation",
        "bbox_mode",
    ),
}
"""Keys that decide what a record means. A record with two values of one of them is not read."""


def read_box(record: object) -> tuple[tuple[float, ...] | None, str]:
    """Read the box of an annotation.

    Returns:
        The four numbers, and the finding code that marks them, if any. Or None, and the finding
        code that says why there is no box.
    """
    if not isinstance(record, dict) or conflicting_values(record, "annotations"):
        return None, "not_a_box"
    bbox = record.get("bbox")
    shape = record.get("segmentation")
    if not _is_empty(bbox):
        numbers = _four_numbers(bbox)
        return numbers, "" if numbers else "not_a_box"
    if not _is_empty(shape):
        around = segmentation.bbox(shape)
        return around, "box_from_segmentation" if around else "not_a_box"
    return None, "not_a_box" if _box_key(record) else "no_box"


def _box_key(record: Mapping[str, Any]) -> str:
    """Return the key that may hold a box: `bbox`, or an unknown one such as `bounding_box`."""
    keys = [str(key) for key in record]
    if "bbox" in keys:
        return "bbox"
    return next((key for key in keys if "box" in key.lower()), "")


def _is_empty(value: object) -> bool:
    """Return whether a value is missing or has no length."""
    if value is None:
        return True
    return isinstance(value, (str, list, tuple, dict, np.ndarray)) and not len(value)


def value_in_place_of_box(record: object) -> object:
    """Return what a finding shows for an annotation whose box cannot be read."""
    if not isinstance(record, dict):
        return record
    if conflict := conflicting_values(record, "annotations"):
        return conflict
    bbox = record.get("bbox")
    shape = record.get("segmentation")
    if not _is_empty(bbox):
        return bbox
    if not _is_empty(shape):
        return f"segmentation {shape}"
    key = _box_key(record)
    return bbox if key in ("", "bbox") else f"no 'bbox', but {key!r}"


def conflicting_values(record: object, array: str) -> str:
    """Return which decisive key has two values in a record, and both of them; empty if none has."""
    if isinstance(record, DuplicateKeyDict):
        for key in _DECISIVE_KEYS[array]:
            if key in record.conflicts:
                first, second, *_ = record.conflicts[key]
                return f"two values of {key}: {first!r} and {second!r}"
    return ""


def declared_order(record: Mapping[str, Any]) -> str:
    """Return the order of its numbers that an annotation declares, or its unknown `bbox_mode`."""
    mode = record.get("bbox_mode")
    if mode is None:
        return "ltwh"
    if isinstance(mode, np.generic):
        mode = mode.item()
    key = mode.strip().lower().removeprefix("boxmode.") if isinstance(mode, str) else mode
    if isinstance(key, (int, str)) and not isinstance(key, bool) and key in _BOX_MODES:
        return _BOX_MODES[key]
    return f"bbox_mode {mode!r}"


def category_name(record: Mapping[str, Any]) -> str:
    """Return the name of a category; empty if it has none. A number is a name as it is written."""
    name = record.get("name")
    if conflicting_values(record, "categories") or isinstance(name, bool):
        return ""
    if isinstance(name, LiteralFloat):
        return name.literal
    return str(name) if isinstance(name, (str, int, np.integer)) else ""


def image_name(record: Mapping[str, Any]) -> str:
    """Return the file name of an image, or the last part of its URL; empty if it has neither."""
    name = record.get("file_name")
    if _is_empty(name):
        name = _name_in_url(record)
    return name if isinstance(name, str) and re.search(NAME_CHARACTER, name) else ""


def _name_in_url(record: Mapping[str, Any]) -> str:
    for key in ("coco_url", "flickr_url"):
        url = record.get(key)
        if isinstance(url, str):
            return re.split(r"[?#]", url)[0].rpartition("/")[2]
    return ""


def _four_numbers(bbox: object) -> tuple[float, ...] | None:
    """Convert four numbers, which may be written as text."""
    if not isinstance(bbox, (list, tuple, np.ndarray)) or len(bbox) != 4:
        return None
    try:
        if _NUMBER_TYPES.issuperset(map(type, bbox)):
            return tuple(map(float, bbox))
        return tuple(map(as_number, bbox))
    except (TypeError, ValueError, OverflowError):
        return None
