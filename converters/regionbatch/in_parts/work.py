"""What other processes do: judge the annotations of a range of images, and write the payloads."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.batching import Batches
from regionbatch.boxes import BLOCK_ROWS
from regionbatch.cleaning import build_ledger, count_adjusted, count_by
from regionbatch.dataset import Dataset
from regionbatch.findings import Account, FindingLog
from regionbatch.resolved_regions import report_dropped, rows_to_send
from regionbatch.rules import apply_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from regionbatch.dataset import PlacedAnnotations, Regions
    from regionbatch.findings import Finding, Findings
    from regionbatch.in_parts.folder import OutputFile, OutputFolder
    from regionbatch.judging import Filters
    from regionbatch.merging import MergedTables
    from regionbatch.resolved_ids import ResolvedIds
    from regionbatch.rules import JudgedRows

FIRST_FINDINGS = 20
"""Maximum findings of each code that a process returns; the command prints no more."""

_AFTER_RULES = 2**62
_NO_IMAGES = Account(0, 0, {}, {})

Position = tuple[int, int, int]
"""Sort key of a finding: the order in which one process would report findings of the same code."""


class Part(NamedTuple):
    """The annotations of a range of images, with codes into tables of these images only."""

    raw: PlacedAnnotations
    tables: MergedTables
    row: NDArray[np.int64]
    """(n,), the row of each annotation in the whole dataset, ascending."""
    files: list[str]
    filters: Filters


class Counts(NamedTuple):
    """How many regions there are."""

    by_tag: NDArray[np.int64]
    by_image: NDArray[np.int64]
    """Number of regions by image of the part."""
    by_adjustment: NDArray[np.int64]
    """Number of regions by number in `ADJUSTING`."""
    dropped: dict[str, int]
    """Number of dropped boxes by code."""


class WrittenPart(NamedTuple):
    """What became of a part."""

    judged: Counts
    """The regions before names were resolved."""
    sent: Counts
    """The regions that were written, and those that had no ID."""
    findings: dict[str, int]
    """Number of findings by code."""
    doubtful: dict[str, int]
    first: dict[str, list[tuple[Position, Finding]]]
    """The first findings of each code."""
    files: list[OutputFile]


def count_part(part: Part) -> Counts:
    """Judge a part and return how many regions there are."""
    log = FindingLog()
    return _counts(part, _judged(part, log).regions(), log)


def write_part(part: Part, ids: ResolvedIds, folder: OutputFolder, number: int) -> WrittenPart:
    """Judge a part and write its payloads and its findings.

    Args:
        part: The part.
        ids: The IDs of its tags and images.
        folder: Where the files are written. They may exist already: a part may be written twice.
        number: The number of the part, for the names of files.
    """
    log, later = FindingLog(), FindingLog()
    judged = _judged(part, log)
    regions = judged.regions()
    counts = _counts(part, regions, log)
    dataset = _dataset(part, regions, counts, log)
    rows = rows_to_send(regions, ids.tag_codes, ids.image_codes)
    report_dropped("unresolved", rows.unresolved, dataset, later)
    report_dropped("duplicate", rows.duplicate, dataset, later)
    findings = log.findings() + later.findings()
    batches = Batches(regions, rows.sent, ids.images, ids.tags, findings, dataset.ledger)
    row = part.row[np.flatnonzero(judged.tracker.kept)]
    positions = [
        *_positions_of_rules(judged, part.row),
        *(_positions(_AFTER_RULES, 0, row[some]) for some in rows[1:] if len(some)),
    ]
    return WrittenPart(
        counts,
        _counts(part, batches.regions, later),
        findings.counts(),
        findings.doubtful(),
        _first(findings, positions),
        [
            *folder.write_payloads(number, batches),
            *folder.write_findings(number, findings),
        ],
    )


def _judged(part: Part, log: FindingLog) -> JudgedRows:
    log.add_files(part.files)
    return apply_rules(part.raw, part.tables, log, part.filters.drop, part.filters.max_clip)


def _counts(part: Part, regions: Regions, log: FindingLog) -> Counts:
    return Counts(
        count_by(regions.tag, part.tables.tags),
        count_by(regions.image, part.tables.images),
        count_adjusted(regions.adjusted),
        log.dropped("box"),
    )


def _dataset(part: Part, regions: Regions, counts: Counts, log: FindingLog) -> Dataset:
    """Return the part as a dataset, whose ledger adds up."""
    ledger = build_ledger(counts.by_adjustment, len(part.raw), counts.dropped, _NO_IMAGES)
    tables = part.tables
    return Dataset("", PurePath(), tables.images, tables.tags, regions, log.findings(), ledger, {})


def _positions_of_rules(judged: JudgedRows, row: NDArray[np.int64]) -> Iterator[list[Position]]:
    """Yield the positions of the first findings of each group that the rules reported."""
    for rule in judged.tracker.applied:
        rows = row[rule.rows[:FIRST_FINDINGS]]
        if rule.by_block:
            yield [(1 + each // BLOCK_ROWS, rule.step, each) for each in rows.tolist()]
        else:
            yield _positions(0, rule.step, rows)


def _positions(block: int, step: int, rows: NDArray[np.int64]) -> list[Position]:
    return [(block, step, row) for row in rows[:FIRST_FINDINGS].tolist()]


def _first(
    findings: Findings, positions: Iterable[list[Position]]
) -> dict[str, list[tuple[Position, Finding]]]:
    """Return the first findings of each code, from the positions in each group."""
    found: dict[str, list[tuple[Position, Finding]]] = {}
    for group, some in zip(findings.groups, positions, strict=True):
        found.setdefault(group.code, []).extend(zip(some, group.rows(len(some)), strict=True))
    return {code: first_of(some) for code, some in found.items()}


def first_of(found: Iterable[tuple[Position, Finding]]) -> list[tuple[Position, Finding]]:
    """Return the first of some findings, in the order of one process."""
    return sorted(found)[:FIRST_FINDINGS]
