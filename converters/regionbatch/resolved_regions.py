"""The regions of a dataset that can be sent: those with IDs, each once, ordered by image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.boxes import first_of_equal, stable_argsort
from regionbatch.cleaning import build_ledger
from regionbatch.shared_ids import is_shared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from regionbatch.dataset import Dataset, Regions
    from regionbatch.findings import FindingLog, Ledger
    from regionbatch.findings.finding import SameText


class RowsToSend(NamedTuple):
    """Rows of regions, by what becomes of them."""

    sent: NDArray[np.int64]
    """Distinct regions with IDs, ordered by image."""
    unresolved: NDArray[np.int64]
    duplicate: NDArray[np.int64]


def rows_to_send(
    regions: Regions, tag_codes: NDArray[np.int32], image_codes: NDArray[np.int32]
) -> RowsToSend:
    """Return which regions can be sent.

    Args:
        regions: The regions.
        tag_codes: See `ResolvedIds.tag_codes`.
        image_codes: See `ResolvedIds.image_codes`.
    """
    tag = tag_codes.take(regions.tag)
    image = image_codes.take(regions.image)
    resolved = (tag >= 0) & (image >= 0)
    rows = np.flatnonzero(resolved)
    duplicate = rows[:0]
    if is_shared(tag_codes).any() or is_shared(image_codes).any():
        first = first_of_equal(image[rows], tag[rows], regions.box[rows])
        duplicate = rows[~first]
        rows = rows[first]
    image = image[rows]
    if (image[1:] < image[:-1]).any():
        rows = rows[stable_argsort(image.view(np.uint32))]
    return RowsToSend(rows, np.flatnonzero(~resolved), duplicate)


def report_dropped(
    code: str,
    rows: NDArray[np.int64],
    dataset: Dataset,
    log: FindingLog,
    value: SameText | None = None,
) -> None:
    """Report regions that are dropped, with a value or their class and image."""
    if not len(rows):
        return
    regions = dataset.regions
    values = value or (
        f"{dataset.tags[regions.tag[row]]} in {dataset.images.names[regions.image[row]]}"
        for row in rows
    )
    files = dataset.findings.files
    log.add(code, regions.file[rows], regions.where[rows], values, table=files, place=regions.place)


def ledger_after(
    before: Ledger, by_adjustment: NDArray[np.int64], more_dropped: Mapping[str, int]
) -> Ledger:
    """Return a ledger after more regions were dropped.

    Args:
        before: The ledger before.
        by_adjustment: The regions that are left; see `cleaning.build_ledger`.
        more_dropped: The regions that were dropped since, by code.
    """
    dropped = dict(before.dropped)
    for code, count in more_dropped.items():
        dropped[code] = dropped.get(code, 0) + count
    return build_ledger(by_adjustment, before.read, dropped, before.images)
