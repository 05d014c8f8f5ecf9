"""Recognise YOLO datasets."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from regionbatch.files.text import UnreadableError, lenient_utf8
from regionbatch.readers.yolo.label_files import (
    first_line_words,
    may_be_label_file,
    starts_with_row,
)
from regionbatch.unknown_formats import is_row_of_other_format

if TYPE_CHECKING:
    from regionbatch.files.tree import Tree

_SAMPLED_LABELS = 20
"""Label files with content that `detect` looks at; empty ones show nothing."""
_SAMPLED_TEXTS = 1000
"""Text files that `detect` looks at to find label files with content."""
_CONFIG_NAMES = (".yaml", ".yml", ".data")
_CONFIG_DEPTH = 3
"""Number of folders above a data.yaml or obj.data from which `detect` ignores it."""


def detect(tree: Tree) -> str | None:
    """Return a data.yaml or obj.data, or a label file that starts with a row; None without one.

    Args:
        tree: The files of the dataset.
    """
    for name in tree.candidates(*_CONFIG_NAMES):
        is_config = name.count("/") < _CONFIG_DEPTH and name.lower().endswith(_CONFIG_NAMES)
        if is_config and _has_names_or_train(tree, name):
            return name
    if tree.named:
        return None
    filled = 0
    for name in islice(tree.files(".txt"), _SAMPLED_TEXTS):
        words = first_line_words(tree, name)
        if not words or not may_be_label_file(tree, name):
            continue
        if starts_with_row(tree, name) and not is_row_of_other_format(b" ".join(words)):
            return name
        filled += 1
        if filled == _SAMPLED_LABELS:
            return None
    return None


def _has_names_or_train(tree: Tree, name: str) -> bool:
    """Return whether a file has one of the keys `names` and `train`."""
    try:
        text = lenient_utf8(tree.read(name)[:65536])
    except UnreadableError:
        return False
    for line in text.splitlines():
        key = line.split(b":")[0].split(b"=")[0].strip()
        if key in (b"names", b"train"):
            return True
    return False
