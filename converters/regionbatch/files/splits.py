"""The names of splits: `train`, `val2017`, `Validation`; which of them mean the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from regionbatch.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable

SPLIT_NAME = re.compile(
    r"(train|training|val|valid|validation|test|testing|trainval|minival|dev)[-_]?\d*", re.IGNORECASE
)
"""What splits are called; COCO's have a year after the name."""

_SAME = (("train", "training"), ("val", "valid", "validation", "dev"), ("test", "testing"))


def match_split(wanted: str, known: Iterable[str]) -> list[str]:
    """Return the splits that a name means: itself, or `val` for `valid`, or `train2017` for `train`, not `trainval`.

    An empty name means none.
    """
    known = list(known) if wanted else []
    same = next((group for group in _SAME if wanted.lower() in group), (wanted.lower(),))
    numbered = re.compile(f"(?:{'|'.join(map(re.escape, same))})[-_0-9]*")
    return (
        [name for name in known if name == wanted]
        or [name for name in known if name.lower() in same]
        or [name for name in known if numbered.fullmatch(name.lower())]
    )


def split_of_folder(path: str) -> str:
    """Return the first folder above a file that is called like a split (`train/labels/a.txt`: `train`), or nothing."""
    return next((part for part in path.split("/")[:-1] if SPLIT_NAME.fullmatch(part)), "")


def split_of_file(path: str) -> str:
    """Return the split that a file's own name or a folder above it names, or nothing.

    >>> split_of_file("export/train-export.json")
    'train'
    """
    stem = path.rpartition("/")[2].rpartition(".")[0]
    words = re.split(r"[-_. ]", stem)
    named = (word for word in (stem, words[0], words[-1]) if SPLIT_NAME.fullmatch(word))
    return next(named, "") or split_of_folder(path)


def require_splits(source: str, wanted: str, known: Iterable[str]) -> list[str]:
    """Return the splits that a name means, as `match_split` does.

    Args:
        source: What the user named, for the message.
        wanted: The split that was asked for.
        known: The splits of the dataset; empty names are none.

    Raises:
        DatasetError: There is no such split.
    """
    names = [*dict.fromkeys(filter(None, known))]
    if found := match_split(wanted, names):
        return found
    advice = f"Choose one of: {', '.join(names)}." if names else "The dataset has no splits; leave the option out."
    raise DatasetError(f"{source}: no such split: {wanted!r}. {advice}", option="split")
