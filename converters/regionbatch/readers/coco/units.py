"""Whether the boxes of COCO files are pixels or shares of the image's sides: nothing in a file says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.errors import AmbiguousDatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog

_TOLERATED = 0.01
"""Of the boxes of a file in pixels, so many may be as small as shares."""


class Evidence(NamedTuple):
    """What the boxes of one file tell; those without a size, and those that begin before the image, tell nothing."""

    shares: int
    """Boxes within 0 to 1 whose numbers are not all whole."""
    units: int
    """Boxes within 0 to 1 of whole numbers: all of the image, or its first pixel."""
    beyond: int
    """Boxes that reach beyond 1."""
    first: int
    """The annotation of the first of `shares`."""


def evidence(box: NDArray[np.float64], where: NDArray[np.int64], *, corners: bool) -> Evidence:
    """What boxes tell; `where` has their annotation ids."""
    told = Evidence(0, 0, 0, 0)
    for block in boxes.blocks(len(box)):
        more = _evidence(box[block], where[block], corners=corners)
        counts = (told.shares + more.shares, told.units + more.units, told.beyond + more.beyond)
        told = Evidence(*counts, told.first if told.shares else more.first)
    return told


def _evidence(box: NDArray[np.float64], where: NDArray[np.int64], *, corners: bool) -> Evidence:
    near = box[:, :2]
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and what is no number
        far = box[:, 2:] if corners else near + box[:, 2:]
        sides = (near >= -boxes.NOISE) & (far > near) & (far < np.inf)
        small = far <= 1 + boxes.NOISE
    usable = sides[:, 0] & sides[:, 1]
    within = np.flatnonzero(usable & small[:, 0] & small[:, 1])
    fractions = within[(box[within] != np.rint(box[within])).any(axis=1)]
    first = int(where[fractions[0]]) if len(fractions) else 0
    return Evidence(len(fractions), len(within) - len(fractions), int(np.count_nonzero(usable)) - len(within), first)


def in_shares(found: Mapping[str, Evidence], wanted: str, report: FindingLog) -> bool:
    """Whether the boxes of a data set are shares, by what its files tell.

    Raises:
        AmbiguousDatasetError: A file has both, or one has these and another those.
    """
    if wanted != "auto":
        report.decide("coco_boxes", wanted, "as asked")
        return wanted == "normalised"
    for name, told in found.items():
        _refuse_mixture(name, told)
    pixels = [name for name, told in found.items() if told.beyond]
    shares = [name for name, told in found.items() if told.shares and not told.beyond]
    if pixels and shares:
        raise AmbiguousDatasetError(
            f"{shares[0]}: boxes are shares here and pixels elsewhere, got {pixels[0]}; "
            "make the files alike, or choose with --coco-boxes pixels or --coco-boxes normalised",
            place=shares[0],
            option="coco_boxes",
        )
    small, units, beyond, _ = (sum(column) for column in zip(*found.values(), strict=True))
    if pixels:
        why = f"{beyond} of {small + beyond} boxes reach beyond 1"
        report.decide("coco_boxes", "pixels", why, doubtful=small > 0)
    elif small + units:
        report.decide("coco_boxes", "normalised", f"all edges of all {small + units} boxes are 1 or less")
    return not pixels and small + units > 0


def _refuse_mixture(name: str, told: Evidence) -> None:
    total = told.shares + told.beyond
    if told.beyond and told.shares > _TOLERATED * total:
        place = f"annotation {told.first}" if told.first >= 0 else f"annotation no. {-told.first}"
        raise AmbiguousDatasetError(
            f"{name}: {place}: boxes may be pixels or shares, got {told.shares} of {total} within 0 to 1; "
            "choose with --coco-boxes pixels or --coco-boxes normalised",
            place=f"{name}: {place}",
            option="coco_boxes",
        )
