"""Names of splits, such as `train`, `val2017` and `Validation`, and which of them are synonyms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from regionbatch.errors import DatasetError
from regionbatch.wording import quoted_names

if TYPE_CHECKING:
    from collections.abc import Iterable

SPLIT_NAME = re.compile(
    r"(train|training|val|valid|validation|test|testing|trainval|minival|dev)[-_]?\d*",
    re.IGNORECASE,
)
"""Names of splits; those of COCO end in a year."""

_SYNONYMS = (("train", "training"), ("val", "valid", "validation", "dev"), ("test", "testing"))


def match_split(wanted: str, known: Iterable[str]) -> list[str]:
    """Return the known splits that a name refers to.

    An exact match comes first, then synonyms (`val` for `valid`), then names with a number
    (`train2017` for `train`, but not `trainval`). An empty name matches none.
    """
    if not wanted:
        return []
    known = list(known)
    synonyms = next((group for group in _SYNONYMS if wanted.lower() in group), (wanted.lower(),))
    numbered = re.compile(f"(?:{'|'.join(map(re.escape, synonyms))})[-_0-9]*")
    return (
        [name for name in known if name == wanted]
        or [name for name in known if name.lower() in synonyms]
        or [name for name in known if numbered.fullmatch(name.lower())]
    )


def split_of_folder(path: str) -> str:
    """Return the first folder in a file's path that is named like a split, or an empty string.

    >>> split_of_folder("train/labels/a.txt")
    'train'
    """
    return next((part for part in path.split("/")[:-1] if SPLIT_NAME.fullmatch(part)), "")


def split_of_file(path: str) -> str:
    """Return the split that a file's name or one of its folders names, or an empty string.

    >>> split_of_file("export/train-export.json")
    'train'
    """
    stem = path.rpartition("/")[2].rpartition(".")[0]
    words = re.split(r"[-_. ]", stem)
    for word in (stem, words[0], words[-1]):
        if SPLIT_NAME.fullmatch(word):
            return word
    return split_of_folder(path)


def require_splits(source: str, wanted: str, known: Iterable[str]) -> list[str]:
    """Return the splits that a name refers to, as `match_split` does.

    Args:
        source: The dataset, or the file that names its splits, for the message.
        wanted: The requested split.
        known: The splits of the dataset; empty names are ignored.

    Raises:
        DatasetError: There is no such split.
    """
    names = [*dict.fromkeys(filter(None, known))]
    if found := match_split(wanted, names):
        return found
    advice = "The dataset has no splits. Leave out `split`."
    if names:
        advice = f"Choose one of: {quoted_names(names, len(names))}."
    raise DatasetError(
        f"{source}: no such split: {wanted!r}. {advice}",
        place=source,
        option="split",
        value=wanted,
        choices=names,
    )
