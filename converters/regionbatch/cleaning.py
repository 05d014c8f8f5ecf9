"""Turn annotations into regions: merge their tables, apply the rules, and account for every box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.errors import PluginError
from regionbatch.findings import Account, Ledger
from regionbatch.findings.codes import ADJUSTING
from regionbatch.limits import REGIONS_PER_IMAGE
from regionbatch.merging import merge_tables
from regionbatch.rules import apply_rules
from regionbatch.similar import report_similar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sized

    from numpy.typing import NDArray

    from regionbatch.dataset import Images, Originals, PlacedAnnotations, Regions
    from regionbatch.findings import FindingLog


def clean(
    raw: PlacedAnnotations,
    log: FindingLog,
    drop: Collection[str] = (),
    only: Collection[str] | None = None,
    max_clip: float | None = None,
) -> tuple[Images, list[str], Originals, Regions, Ledger]:
    """Normalise the boxes of annotations, apply all rules, and account for every box.

    Args:
        raw: The annotations as in the files, with their images.
        log: Receives the findings.
        drop: Marks of annotations to leave out: crowd, difficult, truncated or occluded.
        only: The classes to keep; None: all.
        max_clip: The largest fraction of a box that may be outside its image; None: any.

    Returns:
        The images, the tag names, the boxes that were dropped or changed, the regions and the
        ledger.

    Raises:
        OptionError: `only` names a class that does not exist.
        AmbiguousDatasetError: Two image files have one name.
        PluginError: The reader's counts are wrong.
    """
    tables = merge_tables(raw, only, log)
    judged = apply_rules(raw, tables, log, drop, max_clip)
    regions = judged.regions()
    images, tags = tables.images, tables.tags
    report_full_images(count_by(regions.image, images), images, log)
    report_similar(tags, count_by(regions.tag, tags).tolist(), log)
    ledger = build_ledger(
        count_adjusted(regions.adjusted),
        log.boxes_read,
        log.dropped("box"),
        account_of_images(images, log),
    )
    return images, tags, judged.originals(), regions, ledger


def count_by(codes: NDArray[np.integer[Any]], table: Sized) -> NDArray[np.int64]:
    """Return how many rows have each code of a table: the regions of each image or tag."""
    return np.bincount(codes, minlength=len(table))


def count_adjusted(adjusted: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return how many regions each code of `ADJUSTING` adjusted first.

    Args:
        adjusted: (n,), see `Regions.adjusted`.
    """
    return count_by(adjusted, ADJUSTING)


def report_full_images(counts: NDArray[np.int64], images: Images, log: FindingLog) -> None:
    """Report images with more regions than the service accepts.

    Args:
        counts: (m,), the number of regions of each image.
        images: The m images.
        log: Receives the findings.
    """
    full = np.flatnonzero(counts > REGIONS_PER_IMAGE)
    log.add(
        "over_region_limit", full.astype(np.int32), value=counts[full].tolist(), table=images.names
    )


def account_of_images(images: Images, log: FindingLog) -> Account:
    """Return what became of the images that were read."""
    return Account(log.images_read, len(images), log.adjusted("image"), log.dropped("image"))


def build_ledger(
    by_adjustment: NDArray[np.int64], read: int, dropped: Mapping[str, int], images: Account
) -> Ledger:
    """Return the ledger of the regions that are left.

    Args:
        by_adjustment: How many regions are left, by number in `ADJUSTING`; see `count_adjusted`.
        read: The number of boxes read.
        dropped: The number of boxes dropped, by code.
        images: The account of the images.

    Raises:
        PluginError: It does not add up: a reader counted other records than it returned or
            reported.
    """
    kept, *counts = by_adjustment.tolist()
    adjusted = {code: count for code, count in zip(ADJUSTING[1:], counts, strict=True) if count}
    ledger = Ledger(read, kept, adjusted, dict(dropped), images)
    for what, account in (("boxes", ledger), ("images", images)):
        if not account.balanced:
            raise PluginError(
                f"ledger: {what} do not add up: '{account}'. This is a bug in the reader: report "
                "it to the authors of its package.",
                value=account,
            )
    return ledger
