"""Names that share an ID: two classes with one tag, or two images that are one in the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.errors import OptionError
from regionbatch.files.storage import storage_of
from regionbatch.limits import REGIONS_PER_IMAGE
from regionbatch.similar import loose_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Images
    from regionbatch.findings import FindingLog


def codes_by_id(ids: Sequence[str | None]) -> NDArray[np.int32]:
    """Return (n,), the code of each of n names; -1 for no ID.

    Names that share an ID have the code of the first.
    """
    distinct = {*ids}
    has_id = np.ones(len(ids), np.bool_)
    if None in distinct:
        distinct.remove(None)
        has_id = np.asarray([id_ is not None for id_ in ids], np.bool_)
    if len(distinct) == np.count_nonzero(has_id):
        return np.where(has_id, np.arange(len(ids), dtype=np.int32), np.int32(-1))
    codes: dict[str | None, int] = {None: -1}
    for code, id_ in enumerate(ids):
        codes.setdefault(id_, code)
    return np.asarray([codes[id_] for id_ in ids], np.int32)


def is_shared(codes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return (n,), whether each name has the ID of an earlier one."""
    shared: NDArray[np.bool_] = (codes >= 0) & (codes != np.arange(len(codes)))
    return shared


def report_shared_tags(
    codes: NDArray[np.int32], names: Sequence[str], rename: Mapping[str, str], log: FindingLog
) -> None:
    """Report classes with the tag ID of another class, which may be a mistake in the table.

    It is intentional if both are renamed to one name, or if their names are spelled alike.
    """
    rows: list[int] = []
    others: list[str] = []
    for row in np.flatnonzero(is_shared(codes)).tolist():
        name, other = names[row], names[codes[row]]
        if loose_key(rename.get(name, name)) != loose_key(rename.get(other, other)):
            rows.append(row)
            others.append(other)
    log.add("shared_tag", np.asarray(rows, np.int32), value=others, table=names)


def report_shared_images(
    codes: NDArray[np.int32], counts: NDArray[np.int64], images: Images, log: FindingLog
) -> None:
    """Report images with the ID of another one, and those with too many regions together.

    A shared ID is doubtful unless the files have the same bytes: the service merges such images.

    Args:
        codes: (n,), see `codes_by_id`.
        counts: (n,), the number of boxes of each image.
        images: The n images.
        log: Where they are reported.
    """
    shared = np.flatnonzero(is_shared(codes))
    if not len(shared):
        return
    names, paths = images.names, images.paths
    pairs = zip(shared.tolist(), codes[shared].tolist(), strict=True)
    is_same = np.asarray([_same_bytes(paths[row], paths[other]) for row, other in pairs], np.bool_)
    for rows, doubtful in ((shared[is_same], False), (shared[~is_same], True)):
        others = [names[code] for code in codes[rows]]
        log.add("same_image", rows.astype(np.int32), value=others, table=names, doubtful=doubtful)
    has_id = codes >= 0
    weights = np.bincount(codes[has_id], counts[has_id], minlength=len(codes))
    together = weights.astype(np.int64)
    full = np.flatnonzero((together > REGIONS_PER_IMAGE) & (counts <= REGIONS_PER_IMAGE))
    values = together[full].tolist()
    log.add("over_region_limit", full.astype(np.int32), value=values, table=names)


def _same_bytes(path: str, other: str) -> bool:
    """Return whether two image files are known to have the same bytes."""
    try:
        return bool(path and other) and storage_of(path).have_same_bytes(path, other)
    except (OSError, OptionError):
        return False
