"""Values of plain COCO records: the box, its order and its names, whatever their types are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.files.text import as_number
from regionbatch.readers.coco import segmentation
from regionbatch.readers.coco.jsonrecords import Repeated, Written

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = r"[^./\\\s]"
"""A file name has something of this in it; others, as `./`, name nothing."""

_PLAIN = frozenset({int, float})
"""Types of numbers that `float` converts as `as_number` does, in a third of the time."""

_BOX_MODES = {0: "ltrb", "0": "ltrb", "xyxy_abs": "ltrb", 1: "ltwh", "1": "ltwh", "xywh_abs": "ltwh"}
"""What Detectron2's `bbox_mode` means, by its numbers and names."""

_KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "categories": ("id", "name"),
    "annotations": ("bbox", "segmentation", "image_id", "category_id", "attributes", "rotation", "bbox_mode"),
}
"""Keys that decide. A record in which one of them has two values is not read."""


def read_box(record: object) -> tuple[tuple[float, ...] | None, str]:
    """The four numbers of a record, and the code that marks them, if any; or None and why there are none."""
    if not isinstance(record, dict) or differing(record, "annotations"):
        return None, "not_a_box"
    bbox, shape = record.get("bbox"), record.get("segmentation")
    if not _is_empty(bbox):
        return (numbers, "") if (numbers := _numbers(bbox)) else (None, "not_a_box")
    if not _is_empty(shape):
        return (around, "box_from_segmentation") if (around := segmentation.bbox(shape)) else (None, "not_a_box")
    return None, "not_a_box" if _box_key(record) else "no_box"


def _box_key(record: Mapping[str, Any]) -> str:
    """Return the key that a box may be under: `bbox`, or one that nobody reads, as `Bbox` or `bounding_box`."""
    keys = [str(key) for key in record]
    return "bbox" if "bbox" in keys else next((key for key in keys if "box" in key.lower()), "")


def _is_empty(value: object) -> bool:
    """Whether nothing is in a value: it is None, or has no length."""
    return value is None or (isinstance(value, (str, list, tuple, dict, np.ndarray)) and not len(value))


def shown(record: object) -> object:
    """What stands in place of a box in a record that has none."""
    if not isinstance(record, dict):
        return record
    if twice := differing(record, "annotations"):
        return twice
    shape = record.get("segmentation")
    if (key := _box_key(record)) not in ("", "bbox") and _is_empty(shape):
        return f"no 'bbox', but {key!r}"
    return record.get("bbox") if not _is_empty(record.get("bbox")) or _is_empty(shape) else f"segmentation {shape}"


def differing(record: object, array: str) -> str:
    """Return which deciding key has two values in a record, and both; empty: none has."""
    differing = record.differing if isinstance(record, Repeated) else {}
    key = next((key for key in _KEYS[array] if key in differing), "")
    return f"two values of {key}: {differing[key][0]!r} and {differing[key][1]!r}" if key else ""


def order_of(record: Mapping[str, Any]) -> str:
    """Return the order of its numbers that a record declares, or what else it has as `bbox_mode`."""
    mode = record.get("bbox_mode")
    if mode is None:
        return "ltwh"
    mode = mode.item() if isinstance(mode, np.generic) else mode
    key = mode.strip().lower().removeprefix("boxmode.") if isinstance(mode, str) else mode
    known = isinstance(key, (int, str)) and not isinstance(key, bool) and key in _BOX_MODES
    return _BOX_MODES[key] if known else f"bbox_mode {mode!r}"


def class_name(record: Mapping[str, Any]) -> str:
    """Return the name of a category; a number is one as it is written. Empty: it has none."""
    name = record.get("name")
    if differing(record, "categories") or isinstance(name, bool):
        return ""
    if isinstance(name, Written):
        return name.text
    return str(name) if isinstance(name, (str, int, np.integer)) else ""


def name_of(record: Mapping[str, Any]) -> str:
    """The file name of an image, or the last part of the address that it comes from; empty: it has none."""
    name = record.get("file_name")
    if _is_empty(name):
        urls = (record.get(key) for key in ("coco_url", "flickr_url"))
        url = next((url for url in urls if isinstance(url, str)), "")
        name = re.split(r"[?#]", url)[0].rpartition("/")[2]
    return name if isinstance(name, str) and re.search(NAME, name) else ""


def _numbers(bbox: object) -> tuple[float, ...] | None:
    """Four numbers, also where they are written as text."""
    if not isinstance(bbox, (list, tuple, np.ndarray)) or len(bbox) != 4:
        return None
    try:
        return tuple(map(float if _PLAIN.issuperset(map(type, bbox)) else as_number, bbox))
    except (TypeError, ValueError, OverflowError):
        return None
