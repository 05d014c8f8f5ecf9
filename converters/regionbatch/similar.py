"""Class names that differ only in case, whitespace or Unicode form: one class written in two ways, or two classes.

Nobody can tell which from the files. So they stay two tags, and that is reported as doubtful.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.findings import FindingLog
from regionbatch.normal_form import normal_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings


def loose(name: str) -> str:
    """Return a class name without regard to case, whitespace and Unicode form.

    >>> loose("Traffic  Light") == loose("traffic light")
    True
    """
    if name.isascii():
        return "".join(name.lower().split())
    compatible = normal_form("NFKC", name).casefold()
    return "".join(filter(_is_seen, normal_form("NFKC", compatible)))


def _is_seen(character: str) -> bool:
    """Return whether a character is neither whitespace nor invisible, as a zero-width space is."""
    is_selector = "\ufe00" <= character <= "\ufe0f"
    return not (character.isspace() or is_selector or unicodedata.category(character) == "Cf")


def report_similar(
    names: Sequence[str], counts: Iterable[int], log: FindingLog, rename: Mapping[str, str] | None = None
) -> None:
    """Report the names of classes with boxes that would be tags which differ only so, each with its boxes.

    Args:
        names: The names of the classes.
        counts: The boxes of each.
        log: Where they are reported.
        rename: Names of tags by names of classes. A class that is mapped to its own name was meant to be called so.
    """
    rename = rename or {}
    alike: dict[str, dict[str, int]] = {}
    for name, count in zip(names, counts, strict=True):
        tag = rename.get(name, name)
        if count and not (tag == name and name in rename):
            boxes = alike.setdefault(loose(tag), {})
            boxes[tag] = boxes.get(tag, 0) + count
    for boxes in alike.values():
        if len(boxes) > 1:
            ordered = sorted(boxes, key=boxes.__getitem__, reverse=True)
            log.note("similar_tags", ordered[0], ", ".join(f"{_shown(tag)}: {boxes[tag]}" for tag in ordered))


def _shown(name: str) -> str:
    """Return a name with all whitespace but plain blanks escaped; the rest is escaped where it is printed."""
    return "".join(ascii(sign)[1:-1] if sign.isspace() and sign != " " else sign for sign in name)


def settled(dataset: Dataset, rename: Mapping[str, str]) -> Findings:
    """Return the findings of a dataset once its classes are renamed: names that were similar may be one then."""
    if not rename:
        return dataset.findings
    log = FindingLog()
    counts = np.bincount(dataset.regions.tag, minlength=len(dataset.tags)).tolist()
    report_similar(dataset.tags, counts, log, rename)
    return dataset.findings.without("similar_tags") + log.findings()
