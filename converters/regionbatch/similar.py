"""Class names that differ only in case, whitespace or Unicode form.

They may be one class spelled in two ways, or two classes. The files do not say which, so they stay
two tags, and strict mode fails on them.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.findings import FindingLog
from regionbatch.normal_form import normal_form
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings


def loose_key(name: str) -> str:
    """Return a key that class names share if they differ only in case, whitespace or Unicode form.

    >>> loose_key("Traffic  Light") == loose_key("traffic light")
    True
    """
    if name.isascii():
        return "".join(name.lower().split())
    compatible = normal_form("NFKC", name).casefold()
    return "".join(filter(_is_visible, normal_form("NFKC", compatible)))


def _is_visible(character: str) -> bool:
    """Return whether a character is neither whitespace nor invisible, such as ZWSP."""
    is_selector = "\ufe00" <= character <= "\ufe0f"
    return not (character.isspace() or is_selector or unicodedata.category(character) == "Cf")


def report_similar(
    names: Sequence[str],
    counts: Iterable[int],
    log: FindingLog,
    rename: Mapping[str, str] | None = None,
) -> None:
    """Report groups of similar tag names, with the number of boxes of each name.

    Args:
        names: The class names.
        counts: The number of boxes of each class. Classes without boxes are ignored.
        log: Receives the findings.
        rename: Tag names by class name. A class that is mapped to its own name is intended.
    """
    report_groups(similar_groups(names, counts, rename or {}), log)


def report_groups(groups: Iterable[Mapping[str, int]], log: FindingLog) -> None:
    """Report groups of similar tag names, as `similar_groups` returns them."""
    for boxes in groups:
        by_count = sorted(boxes, key=boxes.__getitem__, reverse=True)
        value = ", ".join(_with_count(tag, boxes[tag]) for tag in by_count)
        log.note("similar_tags", by_count[0], value)


def similar_groups(
    names: Sequence[str], counts: Iterable[int], rename: Mapping[str, str]
) -> list[dict[str, int]]:
    """Return the number of boxes by name for each group of similar tag names.

    Args:
        names: The class names.
        counts: The number of boxes of each class. Classes without boxes are ignored.
        rename: Tag names by class name. A class that is mapped to its own name is intended.
    """
    groups: dict[str, dict[str, int]] = {}
    for name, count in zip(names, counts, strict=True):
        tag = rename.get(name, name)
        is_intended = tag == name and name in rename
        if count and not is_intended:
            boxes = groups.setdefault(loose_key(tag), {})
            boxes[tag] = boxes.get(tag, 0) + count
    return [boxes for boxes in groups.values() if len(boxes) > 1]


def _with_count(tag: str, boxes: int) -> str:
    return f"{_escape_whitespace(tag)} ({counted(boxes, 'box')})"


def _escape_whitespace(name: str) -> str:
    """Escape all whitespace except plain spaces; other characters are escaped on printing."""
    escaped = ""
    for character in name:
        is_odd = character.isspace() and character != " "
        escaped += ascii(character)[1:-1] if is_odd else character
    return escaped


def findings_after_rename(dataset: Dataset, rename: Mapping[str, str]) -> Findings:
    """Return the findings of a dataset with `similar_tags` as it is after classes are renamed.

    Args:
        dataset: The dataset as read.
        rename: Tag names by class name.
    """
    if not rename:
        return dataset.findings
    counts = np.bincount(dataset.regions.tag, minlength=len(dataset.tags)).tolist()
    return similar_after_rename(dataset.findings, dataset.tags, counts, rename)


def similar_after_rename(
    findings: Findings, names: Sequence[str], counts: Iterable[int], rename: Mapping[str, str]
) -> Findings:
    """Return findings with `similar_tags` as it is after classes are renamed.

    Args:
        findings: The findings before.
        names: The class names.
        counts: The number of boxes of each class.
        rename: Tag names by class name.
    """
    log = FindingLog()
    report_similar(names, counts, log, rename)
    return findings.without("similar_tags") + log.findings()
