"""The regions of an upload: which the project has, which are sent, and which are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.customvision.matching import (
    MAX_NEAR_OVERLAP_DISTANCE,
    match_more,
    match_regions,
    overlap_distance,
    rounding_distance,
)
from regionbatch.customvision.regions import STORED, RegionOutcome
from regionbatch.customvision.snapshot import await_images, image_ids_of
from regionbatch.errors import OptionError
from regionbatch.findings import place_text
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.image_files import Refusal
    from regionbatch.customvision.journal import Journal
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.customvision.snapshot import ProjectSnapshot, RegionColumns

    Mask = NDArray[np.bool_]
    Outcomes = NDArray[np.int8]
    Rows = NDArray[np.int64]

EXISTING = ("skip", "add")
"""The values of `existing`."""


class RegionPlan(NamedTuple):
    """What an upload does with each of n regions."""

    found: Rows
    """(n,), rows of the snapshot: the stored region of each; -1: none."""
    is_near: Mask
    """(n,), whether the project has a nearly equal region that is not from an earlier run."""
    is_sent: Mask
    """(n,), whether the region will be sent."""
    recorded: Outcomes
    """(n,), what the journal records of the region."""

    def kept(self) -> dict[int, int]:
        """Return the regions that are not sent, each with the row of a nearly equal stored one."""
        rows = np.flatnonzero(self.is_near & self.is_stored).tolist()
        return {row: int(self.found[row]) for row in rows}

    @property
    def is_stored(self) -> Mask:
        """(n,), whether the project has the region, and it is not sent."""
        return self.found >= 0


def checked_existing(existing: str | None) -> str | None:
    """Return a value of `existing`.

    Raises:
        OptionError: It is not one of the values.
    """
    if existing is None or existing in EXISTING:
        return existing
    raise OptionError(
        f"existing: not an allowed value: '{existing}'. Choose one of: {', '.join(EXISTING)}.",
        option="existing",
        value=existing,
        choices=EXISTING,
    )


def recorded_outcomes(hashes: NDArray[np.uint64], journal: Journal) -> Outcomes:
    """Return (n,), the last `RegionOutcome` of each region in a journal; WAITING: none."""
    recorded = np.zeros(len(hashes), np.int8)
    calls = [*journal.outcomes()]
    if not calls:
        return recorded
    sent, outcomes = (np.concatenate(parts)[::-1] for parts in zip(*calls, strict=True))
    known, last = np.unique(sent, return_index=True)
    is_known = np.isin(hashes, known)
    recorded[is_known] = outcomes[last[np.searchsorted(known, hashes[is_known])]]
    return recorded


def with_unlisted_regions(
    planned: Batches,
    snapshot: ProjectSnapshot,
    recorded: Outcomes,
    session: ProjectSession,
    elapsed: float,
) -> ProjectSnapshot:
    """Read images again if they lack a region that an earlier run created.

    Reading may show them late: right after that run, they are read for up to a minute.

    Args:
        planned: The regions.
        snapshot: What the project contained when it was listed.
        recorded: See `RegionPlan`.
        session: The project.
        elapsed: Seconds since the last call of the earlier run.
    """
    was_stored = np.isin(recorded, STORED)

    def outdated(snapshot: ProjectSnapshot) -> list[str]:
        wanted = snapshot.project_columns(planned)
        is_missing = match_stored(wanted, snapshot.regions, recorded) < 0
        missing = np.flatnonzero(was_stored & (wanted.image >= 0) & is_missing)
        return image_ids_of(planned.take(missing))

    return await_images(session, snapshot, outdated, elapsed=elapsed)


def match_stored(wanted: RegionColumns, stored: RegionColumns, known: Outcomes) -> Rows:
    """Match regions with stored ones, as `match_regions` does, and some with nearly equal ones.

    Args:
        wanted: n regions.
        stored: The regions of the project.
        known: (n,), the known `RegionOutcome` of each. A region that was sent may be stored with
            fewer digits, and one that was kept is not stored: a nearly equal one is.
    """
    is_stored = np.isin(known, STORED)
    is_kept = known == RegionOutcome.KEPT
    found = match_regions(wanted, stored)
    found = match_more(found, wanted, stored, rounding_distance, 1.0, is_stored)
    return match_more(found, wanted, stored, overlap_distance, MAX_NEAR_OVERLAP_DISTANCE, is_kept)


def plan_regions(
    planned: Batches,
    snapshot: ProjectSnapshot,
    refused: Mapping[int, Refusal],
    recorded: Outcomes,
    existing: str | None,
) -> RegionPlan:
    """Decide which regions are sent.

    Args:
        planned: The regions.
        snapshot: What the project contains.
        refused: Images that no region can be sent to.
        recorded: See `RegionPlan`.
        existing: What to do with regions for which the project has a nearly equal one: `skip` or
            `add` them; None: raise.

    Raises:
        OptionError: There are such regions, and `existing` is None.
    """
    wanted = snapshot.project_columns(planned)
    found = match_stored(wanted, snapshot.regions, recorded)
    with_near = match_more(
        found, wanted, snapshot.regions, overlap_distance, MAX_NEAR_OVERLAP_DISTANCE
    )
    is_near = with_near != found
    if existing is None:
        _raise_if_near(planned, np.flatnonzero(is_near))
    if existing == "skip":
        found = with_near
    is_refused = np.isin(planned.regions.image, [*refused])
    return RegionPlan(found, is_near, ~is_refused & (found < 0), recorded)


def _raise_if_near(planned: Batches, near: Rows) -> None:
    """Raise if the project has regions nearly equal to planned ones; `near` has their rows."""
    if not len(near):
        return
    regions = planned.regions
    row = int(near[0])
    files = planned.findings.files
    file = int(regions.file[row])
    place = regions.places(len(files))[file]
    first = place_text(files[file], int(regions.where[row]), place)
    raise OptionError(
        f"existing: the project already has nearly equal regions (IoU above 0.95) for "
        f"{counted(len(near), 'box')} of the dataset. The first is '{first}'. If the boxes "
        "were edited, replace the regions of the project with `prune=True`. If the regions were "
        'only rounded, keep them with `existing="skip"`. To keep both, use `existing="add"`.',
        option="existing",
        value=len(near),
        choices=EXISTING,
    )
