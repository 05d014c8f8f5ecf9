"""Apply the rules to annotations whose images are known: from a reader to a dataset."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regionbatch.argument_checks import check_callables, check_flags
from regionbatch.cleaning import clean
from regionbatch.dataset import Dataset
from regionbatch.errors import StrictError
from regionbatch.findings import FindingLog
from regionbatch.findings.codes import CODES
from regionbatch.image_sizes import report_absent, with_image_sizes
from regionbatch.option_values import checked_classes, checked_fraction, checked_marks
from regionbatch.swapped_axes import report_swapped_axes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike
    from pathlib import PurePath

    from regionbatch.dataset import PlacedAnnotations
    from regionbatch.findings import Progress
    from regionbatch.findings.finding import AllFindings


@dataclass(frozen=True, slots=True)
class Filters:
    """Which boxes to leave out, and whether a finding is an error."""

    drop: Sequence[str]
    only: Sequence[str] | None
    max_clip: float | None
    strict: bool

    @classmethod
    def checked(
        cls,
        drop: str | Iterable[str] = (),
        only: str | Iterable[str] | None = None,
        max_clip: float | None = None,
        *,
        strict: bool = False,
    ) -> Filters:
        """Check the arguments of `read`.

        Raises:
            OptionError: One of them cannot be used.
        """
        check_flags(strict=strict)
        fraction = checked_fraction("max_clip", max_clip)
        return cls(checked_marks(drop), checked_classes(only), fraction, strict)


def new_log(progress: Progress | None) -> FindingLog:
    """Return an empty log.

    Raises:
        OptionError: `progress` cannot be called.
    """
    check_callables(progress=progress)
    return FindingLog(progress)


def judge(
    name: str,
    root: PurePath,
    placed: PlacedAnnotations,
    log: FindingLog,
    filters: Filters,
    *,
    has_image_folder: bool,
) -> Dataset:
    """Apply the rules to annotations whose images are known, and account for every box.

    Args:
        name: The format.
        root: The folder of the dataset.
        placed: The annotations.
        log: What was reported so far.
        filters: Which boxes to leave out.
        has_image_folder: Whether images that are not on disk are reported.

    Raises:
        StrictError: See `filters`.
    """
    placed = with_known_sizes(placed, log)
    images, tags, originals, regions, ledger = clean(
        placed, log, filters.drop, filters.only, filters.max_clip
    )
    if has_image_folder:
        report_absent(images, log)
    findings = log.findings()
    dataset = Dataset(name, root, images, tags, regions, findings, ledger, log.decisions, originals)
    if filters.strict:
        raise_if_strict(dataset.findings, dataset.root)
    return dataset


def with_known_sizes(placed: PlacedAnnotations, log: FindingLog) -> PlacedAnnotations:
    """Return annotations with the sizes of their images, and report swapped axes."""
    if placed.mode.absolute or placed.angle is not None:
        placed = with_image_sizes(placed, log)
    if placed.mode.absolute:
        report_swapped_axes(placed, log)
    return placed


def raise_if_strict(findings: AllFindings, place: str | PathLike[str]) -> None:
    """Raise an error if a box was lost or adjusted, or a decision is doubtful.

    Args:
        findings: What was reported.
        place: The dataset, for the message.

    Raises:
        StrictError: `findings` are the first of each code; `value` has the number of findings by
            code.
    """
    doubtful = findings.doubtful()
    counts = findings.counts()
    for code in [*counts]:
        if code not in doubtful and not _is_change(code):
            del counts[code]
    if not counts:
        return
    found = ", ".join(f"{count} {code}" for code, count in counts.items())
    first = [findings.first(code, 1)[0] for code in counts]
    raise StrictError(
        f"{place}: strict mode failed on: '{found}'. Correct the files, or do not use `strict`.\n"
        + "\n".join(f"  {finding.message}" for finding in first),
        findings=first,
        place=os.fspath(place),
        option="strict",
        value=counts,
    )


def _is_change(code: str) -> bool:
    """Return whether a code means that boxes are dropped or adjusted unintentionally."""
    return CODES[code].effect != "noted" and not CODES[code].is_intentional
