"""Delete from a project, on images of the dataset, regions that the dataset no longer has."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.customvision.delivery import (
    Delivery,
    deliver,
    is_unknown_id,
    work_on_batches,
)
from regionbatch.customvision.matching import (
    NEAR,
    match_more,
    match_regions,
    max_difference,
    unmatched,
)
from regionbatch.customvision.plan_regions import match_stored
from regionbatch.customvision.snapshot import RegionColumns, read_images_with_ids
from regionbatch.errors import LimitError, OptionError
from regionbatch.findings import FindingLog
from regionbatch.limits import REGIONS_PER_BATCH
from regionbatch.names.resolve import resolve
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.plan import UploadOptions
    from regionbatch.customvision.plan_regions import RegionPlan
    from regionbatch.customvision.session import JournaledCall, ProjectSession
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset
    from regionbatch.errors import ServiceError
    from regionbatch.findings import Progress

    Outcomes = NDArray[np.int8]

_HARMLESS = ("duplicate", "deleted")
"""Codes of dropped boxes that do not make the dataset incomplete."""
_INCOMPLETE = ("ambiguous_image", "missing_label", "missing_split", "ignored_file")
"""Findings after which the dataset may have more boxes than were read."""
IN_FLIGHT = 2
"""Number of calls at a time that delete regions."""
_LIMIT = re.compile(r"(\d{1,9})(%?)")


class OutdatedRegion(NamedTuple):
    """A region of the project that the dataset does not have."""

    id: str
    image_id: str
    tag_id: str
    box: tuple[float, ...]
    """Left, top, width, height; normalised to 0-1."""


def columns_of(regions: Sequence[OutdatedRegion], snapshot: ProjectSnapshot) -> RegionColumns:
    """Return regions as columns, with the codes of a snapshot; -1: it lacks the image or tag."""
    boxes = np.asarray([region.box for region in regions], float).reshape(-1, 4)
    images = [snapshot.images.get(region.image_id, -1) for region in regions]
    tags = [snapshot.tags.get(region.tag_id, -1) for region in regions]
    return RegionColumns(np.asarray(images, np.int32), np.asarray(tags, np.int32), boxes)


def without_regions(
    snapshot: ProjectSnapshot, regions: Sequence[OutdatedRegion]
) -> ProjectSnapshot:
    """Return a snapshot of the project without some of its regions."""
    stored = snapshot.regions
    found = match_regions(columns_of(regions, snapshot), stored)
    return replace(snapshot, regions=stored.take(unmatched(found, len(stored.image))))


def without_duplicates(
    regions: Sequence[OutdatedRegion], sent: RegionColumns, snapshot: ProjectSnapshot
) -> list[OutdatedRegion]:
    """Return the regions to delete, without those that the service treats as equal to sent ones.

    A service that stores fewer digits may call a region a duplicate of a nearly equal one.

    Args:
        regions: The regions to delete.
        sent: The regions that the service called duplicates, with the codes of the snapshot.
        snapshot: What the project contains.
    """
    outdated = columns_of(regions, snapshot)
    found = match_more(np.full(len(sent.image), -1), sent, outdated, max_difference, NEAR)
    return [regions[at] for at in unmatched(found, len(regions)).tolist()]


def checked_prune_limit(limit: str | int) -> str:
    """Return a limit as text.

    Raises:
        OptionError: It is neither a number, a percentage nor "all".
    """
    text = str(limit).strip().lower()
    found = _LIMIT.fullmatch(text)
    if text != "all" and (found is None or (found[2] and int(found[1]) > 100)):
        raise OptionError(
            f"prune_limit: not a number, a percentage or all: '{limit}'. "
            'Use, for example, `prune_limit="10%"`.',
            option="prune_limit",
            value=limit,
        )
    return text


def raise_if_incomplete(dataset: Dataset, *, skip_unresolved: bool) -> None:
    """Raise if something was left out of a dataset, because it would look like a deleted box.

    Raises:
        OptionError: The dataset is not complete, so nothing can be pruned.
    """
    reasons: dict[str, int] = {}
    for account in (dataset.ledger, dataset.ledger.images):
        for code, count in account.dropped.items():
            if code not in _HARMLESS:
                reasons[code] = reasons.get(code, 0) + count
    counts = dataset.findings.counts()
    reasons |= {code: counts[code] for code in _INCOMPLETE if code in counts}
    if skip_unresolved:
        raise OptionError(
            "prune: cannot be combined with `skip_unresolved`, because regions that are left out "
            "would look deleted. Use only one of them.",
            option="prune",
        )
    if reasons:
        listed = ", ".join(f"{code} ({count})" for code, count in reasons.items())
        code = next(iter(reasons))
        place = next((finding.place for finding in dataset.findings.first(code, 1)), dataset.root)
        more = sum(reasons.values()) - 1
        others = f" and {more} more" if more else ""
        raise OptionError(
            f"prune: not all of the dataset could be read: '{place}' ({code}){others}. What is "
            "left out would look deleted. Correct the dataset, or upload it without `prune`.",
            option="prune",
            value=listed,
        )


def plan_pruning(
    dataset: Dataset,
    planned: Batches,
    snapshot: ProjectSnapshot,
    regions: RegionPlan,
    names_by_id: Mapping[str, str],
    tag_ids: Mapping[str, str],
    session: ProjectSession,
    options: UploadOptions,
) -> list[OutdatedRegion]:
    """Return the regions to delete from the project; none without the option `prune`.

    Args:
        dataset: The dataset.
        planned: Its regions.
        snapshot: What the project contains.
        regions: What happens to the regions.
        names_by_id: Names by ID of the dataset's images, including those that were replaced.
        tag_ids: IDs by name of the project's tags.
        session: The project.
        options: The options of the upload.

    Raises:
        LimitError: There are more than `prune_limit`.
    """
    if not options.prune:
        return []
    own_tags = _tag_ids_of(dataset, tag_ids, options.rename or {})
    outdated = _find_outdated_regions(
        planned, snapshot, regions.recorded, [*names_by_id], own_tags, session
    )
    codes = _codes_of([*names_by_id], snapshot.images)
    stored = int(np.count_nonzero(np.isin(snapshot.regions.image, codes)))
    _raise_if_over_limit(len(outdated), stored, options.prune_limit)
    return outdated


def _find_outdated_regions(
    planned: Batches,
    snapshot: ProjectSnapshot,
    known: Outcomes,
    image_ids: Sequence[str],
    tag_ids: Sequence[str],
    session: ProjectSession,
) -> list[OutdatedRegion]:
    """Return the regions that the dataset does not have, on the given images.

    The images are read again, by ID: a listing may be out of date, and contains other images.

    Args:
        planned: The regions of the dataset.
        snapshot: What the project contains.
        known: See `match_stored`.
        image_ids: The images of the dataset, including those that newer files replaced.
        tag_ids: The tags of the dataset.
        session: The project.
    """
    suspects = _extra_rows(planned, snapshot, known, image_ids, tag_ids)
    current, region_ids = read_images_with_ids(session, snapshot.image_ids_at(suspects))
    rows = _extra_rows(planned, current, known, image_ids, tag_ids)
    images = [*current.images]
    tags = [*current.tags]
    regions = current.regions
    return [
        OutdatedRegion(
            region_ids[row],
            images[regions.image[row]],
            tags[regions.tag[row]],
            tuple(regions.box[row].tolist()),
        )
        for row in rows.tolist()
        if region_ids[row]
    ]


def _extra_rows(
    planned: Batches,
    snapshot: ProjectSnapshot,
    known: Outcomes,
    image_ids: Sequence[str],
    tag_ids: Sequence[str],
) -> NDArray[np.int64]:
    """Return the stored regions, on the given images and with the given tags, that match none."""
    stored = snapshot.regions
    found = match_stored(snapshot.project_columns(planned), stored, known)
    free = unmatched(found, len(stored.image))
    is_own = np.isin(stored.image[free], _codes_of(image_ids, snapshot.images))
    has_own_tag = np.isin(stored.tag[free], _codes_of(tag_ids, snapshot.tags))
    rows: NDArray[np.int64] = free[is_own & has_own_tag]
    return rows


def _codes_of(ids: Sequence[str], codes: Mapping[str, int]) -> list[int]:
    return [codes[id_] for id_ in ids if id_ in codes]


def _tag_ids_of(dataset: Dataset, ids: Mapping[str, str], rename: Mapping[str, str]) -> list[str]:
    """Return the IDs of the tags of all classes of a dataset, including those without boxes."""
    codes = range(len(dataset.tags))
    found = resolve("tag", dataset.tags, codes, ids, FindingLog(), rename=rename, skip=True)
    return [id_ for id_ in found if id_]


def _raise_if_over_limit(count: int, stored: int, limit: str) -> None:
    """Raise if more regions would be deleted than a limit allows.

    Args:
        count: Number of regions to delete.
        stored: Number of regions on the images of the dataset.
        limit: A number, a percentage of `stored`, or `all`.

    Raises:
        LimitError: The limit is exceeded.
    """
    found = _LIMIT.fullmatch(limit)
    if found is None:
        return
    most = int(found[1])
    if found[2]:
        most = stored * most // 100
    if count > most:
        raise LimitError(
            f"prune_limit: {counted(count, 'region')} of {stored} would be deleted, more than "
            f"{limit}. Check the plan with `dry_run=True`, then raise `prune_limit`.",
            option="prune_limit",
            value=count,
        )


def delete_regions(
    session: ProjectSession,
    regions: Sequence[OutdatedRegion],
    deleted: list[OutdatedRegion],
    progress: Progress | None,
) -> None:
    """Delete regions.

    Args:
        session: The project.
        regions: The regions.
        deleted: Receives the regions that the project no longer has, even if the run ends early.
        progress: Called after each batch.

    Raises:
        ServiceError: The run cannot continue.
    """
    delivery = _RegionDeletion(session, deleted)
    starts = range(0, len(regions), REGIONS_PER_BATCH)
    work_on_batches(
        session,
        lambda batch: deliver(session, delivery, batch),
        (regions[start : start + REGIONS_PER_BATCH] for start in starts),
        step="deleting regions",
        total=len(regions),
        max_workers=IN_FLIGHT,
        progress=progress,
    )


class _RegionDeletion(Delivery["Sequence[OutdatedRegion]"]):
    """Deletes batches of regions."""

    operation = "DeleteImageRegions"

    def __init__(self, session: ProjectSession, deleted: list[OutdatedRegion]) -> None:
        self._session = session
        self._deleted = deleted

    def send(
        self, items: Sequence[OutdatedRegion], call: JournaledCall
    ) -> Sequence[OutdatedRegion]:
        session = self._session
        ids = [region.id for region in items]
        session.write(call, partial(session.client.delete_regions, session.project_id, ids))
        self._deleted.extend(items)
        return items[:0]

    def look_up(
        self,
        items: Sequence[OutdatedRegion],
        *,
        is_refused: bool,  # noqa: ARG002 - somebody else may have deleted some
    ) -> Sequence[OutdatedRegion]:
        images = list(dict.fromkeys(region.image_id for region in items))
        _, ids = read_images_with_ids(self._session, images)
        left = {*ids}
        self._deleted.extend(region for region in items if region.id not in left)
        return [region for region in items if region.id in left]

    def fail(self, items: Sequence[OutdatedRegion], error: ServiceError) -> None:
        if is_unknown_id(error):  # somebody else deleted it, and reading does not show that yet
            self._deleted.extend(items)
        # Otherwise, verification reports the regions.
