"""Recognise COCO among the JSON files of a folder, and describe the others."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from regionbatch.files.text import lenient_utf8

if TYPE_CHECKING:
    from regionbatch.files.tree import Tree

COCO = "COCO"

WHAT_COCO_IS = "Choose a COCO file: a JSON object with images, annotations and categories."
"""The advice of messages about files that are not COCO."""

_SNIFF_SIZE = 2**16
"""Bytes that are read at both ends of a file."""

_OTHER_FORMATS: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("a LabelMe file (one image)", (b"shapes", b"imagePath")),
    ("a LabelMe file (one image)", (b"shapes", b"imageData")),
    ("a Pascal VOC file converted to JSON", (b"bndbox",)),
    (
        "a panoptic COCO file (use the instances_* file)",
        (rb'segments_info"\s*+:\s*+\[\s*+\{\s*+"\w++',),
    ),
)
"""Descriptions of other formats, with patterns of keys that they have. A class in a COCO file may
have the name of one such key."""

LABEL_FILES = frozenset(kind for kind, _ in _OTHER_FORMATS if "panoptic" not in kind)
"""Formats with one file per image. Such files next to COCO are another part of the dataset."""

_EMPTY = "empty"
_NOT_JSON = "not JSON"
_TRUNCATED = "truncated JSON (export it again)"
_UNREADABLE = "a file that cannot be read"
_PADDED = "a file whose end contains only whitespace or NUL"
_PADDING = b" \t\r\n\0"


def detect(tree: Tree) -> str | None:
    """Return the JSON files with COCO's keys at their start and end; None if there are none."""
    found = coco_files(tree)
    if not found:
        return None
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return found[0] + more


def kinds_of(tree: Tree) -> dict[str, str]:
    """Return what each JSON file of a dataset is, by its path: `COCO`, or a description."""
    return {name: describe_json(tree, name) for name in tree.candidates(".json")}


def is_broken(kind: str) -> bool:
    """Return whether a description says that a file is not readable as JSON."""
    return kind.startswith((_EMPTY, _NOT_JSON, _TRUNCATED, _UNREADABLE, _PADDED))


def coco_files(tree: Tree) -> list[str]:
    """Return the JSON files of a dataset that look like COCO."""
    return [name for name, kind in kinds_of(tree).items() if kind == COCO]


def describe_others(tree: Tree) -> str:
    """Describe the first JSON files of a folder without COCO; empty if it has none."""
    names = [name for name in tree.candidates(".json") if name.lower().endswith(".json")]
    return " or ".join(sorted({describe_json(tree, name) for name in names[:20]}))


def describe_json(tree: Tree, name: str) -> str:
    """Return `COCO`, or a few words about what a JSON file is, by its start and its end."""
    try:
        start, end = tree.storage.read_ends(tree.on_disk(name), _SNIFF_SIZE)
    except OSError as error:
        return f"{_UNREADABLE} ({error.strerror})"
    if len(end) == _SNIFF_SIZE and not end.strip(_PADDING):  # the disk was full or power was lost
        return _PADDED
    text = lenient_utf8(start + end)
    first = text.lstrip()[:1]
    if first == b"{":
        return _describe_object(text)
    if first == b"[":
        is_result = _has_keys(text, b"image_id", b"score")
        return "a list of results (detections)" if is_result else "a list"
    return _NOT_JSON if first else _EMPTY


def _describe_object(text: bytes) -> str:
    if _is_json_lines(text):
        return "JSON Lines (one record per line), which is not supported"
    for kind, patterns in _OTHER_FORMATS:
        if _has_keys(text, *patterns):
            return kind
    keys = sum(_has_keys(text, key) for key in (b"images", b"annotations", b"categories"))
    inner = sum(_has_keys(text, key) for key in (b"file_name", b"image_id", b"category_id"))
    if keys >= 2 or (keys and inner):
        return COCO
    if text.rstrip(_PADDING).endswith(b"}"):
        return "JSON without images, annotations and categories"
    return _TRUNCATED


def _has_keys(text: bytes, *keys: bytes) -> bool:
    return all(re.search(rb'"%s"\s*+:' % key, text) for key in keys)


def _is_json_lines(text: bytes) -> bool:
    """Return whether a file has one JSON object on each line, and the first is not a dataset."""
    first, _, rest = text.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    if not (first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")):
        return False
    try:
        return "images" not in json.loads(first)
    except (ValueError, RecursionError):
        return False
