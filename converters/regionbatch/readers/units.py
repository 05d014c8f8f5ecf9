"""Whether boxes are in pixels or normalised: in formats where nothing in a file says so, all boxes together do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.findings import place_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import RawAnnotations
    from regionbatch.findings import FindingLog, Place

_OVER = 0.05
"""Share of the image by which normalised boxes may reach over it; in pixels, it is next to nothing."""

_TINY = 2
"""Pixels; boxes that are all within are hardly those of real images."""

_PERCENT = 10
"""Boxes that must all be within 0 to 100 to be taken for percentages."""

PERCENT_DOUBT = "all are within 0 to 100 of larger images, as percentages are"

_TOLERATED = 0.01
"""Of the boxes of a file in pixels, so many may be as small as shares."""


class Evidence(NamedTuple):
    """What the boxes of one file tell; those without a size, and those that begin before the image, tell nothing."""

    shares: int
    """Boxes whose numbers are all from 0 to 1, or nearly, and not all whole."""
    units: int
    """Boxes of numbers from 0 to 1 that are all whole: all of the image, or its first pixel."""
    beyond: int
    """Boxes with a number beyond 1."""
    first: int
    """The place in the file (`where`) of the first of `shares`."""


def evidence(box: NDArray[np.float64], where: NDArray[np.int64], *, corners: bool) -> Evidence:
    """Return what boxes tell; `where` has their places in the file."""
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
        sides = (near >= -_OVER) & (far > near) & (far < np.inf)
        small = np.maximum(near, box[:, 2:]) <= 1 + _OVER
    usable = sides[:, 0] & sides[:, 1]
    within = np.flatnonzero(usable & small[:, 0] & small[:, 1])
    fractions = within[(box[within] != np.rint(box[within])).any(axis=1)]
    first = int(where[fractions[0]]) if len(fractions) else 0
    return Evidence(len(fractions), len(within) - len(fractions), int(np.count_nonzero(usable)) - len(within), first)


def evidence_of_small_files(
    box: NDArray[np.float64],
    where: NDArray[np.int64],
    file: NDArray[np.int32],
    names: Sequence[str],
    *,
    corners: bool,
) -> dict[str, Evidence]:
    """Return what the boxes of many small files tell, for `in_shares`.

    Where boxes within 0 to 1 and boxes beyond are both there, the files with boxes beyond count as one file, and all
    others as another: among the few boxes of one file, none would be tolerated.

    Args:
        box: (n, 4), as in the files.
        where: (n,), the places of the boxes in their files.
        file: (n,), codes into `names`.
        names: The names of the files.
        corners: Whether the last two numbers are a corner, not a size.

    Returns:
        The evidence by the file that is named in a message.
    """
    if not len(box):
        return {}
    rows = np.arange(len(box))
    groups = [rows]
    told = evidence(box, rows, corners=corners)
    if told.shares and told.beyond:
        beyond = np.isin(file, file[(box > 1 + _OVER).any(axis=1)])
        groups = [group for group in (rows[beyond], rows[~beyond]) if len(group)]
    found: dict[str, Evidence] = {}
    for group in groups:
        told = evidence(box[group], group, corners=corners)
        row = told.first if told.shares else int(group[0])
        found[names[file[row]]] = told._replace(first=int(where[row]))
    return found


def refuse_tiny(box: NDArray[np.float64], name: str, option: str) -> None:
    """Refuse pixels when there is no box beyond the first two: normalised boxes may reach as far over their images.

    Args:
        box: (n, 4), as in the files.
        name: The file that is named in the message.
        option: The keyword that overrides the decision.

    Raises:
        AmbiguousDatasetError: It is so, and the numbers are not whole.
    """
    if not len(box) or not np.fmax.reduce(box, axis=None) < _TINY:
        return
    known = box[boxes.finite(box)]
    if (known > -_TINY).all() and (known != np.rint(known)).any():
        what = f"{name}: cannot tell pixel from normalised boxes: every number is below {_TINY}"
        raise AmbiguousDatasetError(f"{what}; {_choose(option)}", place=name, option=option)


def require_pixels(raw: RawAnnotations, log: FindingLog) -> RawAnnotations:
    """Return annotations of a format that has its boxes in pixels always.

    Raises:
        DatasetError: All are normalised.
    """
    told = evidence(raw.box, np.arange(len(raw.box)), corners=raw.mode.corners)
    if told.shares and not told.beyond:
        place = place_text(log.files[raw.file[told.first]], int(raw.where[told.first]), raw.place)
        what = "all boxes lie within 0 to 1, and must be in pixels. Convert them."
        raise DatasetError(f"{place}: {what}", place=place)
    return raw


def may_be_percent(far: NDArray[np.float64], size: NDArray[np.float64] | NDArray[np.int32]) -> bool:
    """Return whether boxes in pixels may be percentages of their images.

    All are at the beginning of their images, and they reach over all of the first 100 pixels.

    Args:
        far: (n, 2), the right and bottom edges.
        size: (n, 2), width and height of the image of each box; 0: unknown.
    """
    if len(far) < _PERCENT or not 90 < far.max() <= 100 * (1 + boxes.NOISE) or (size < 200).any():
        return False
    return bool((far.max(axis=0) > 90).all())


def in_shares(found: Mapping[str, Evidence], wanted: str, log: FindingLog, *, option: str, place: Place) -> bool:
    """Return whether the boxes of a dataset are normalised, by what its files tell.

    Args:
        found: What each file tells, by its name.
        wanted: The value of the option: `auto`, `pixels` or `normalised`.
        log: Where the decision is reported.
        option: The keyword that overrides the decision.
        place: What `where` counted in the evidence.

    Raises:
        AmbiguousDatasetError: A file has both, or one has these and another those.
    """
    if wanted != "auto":
        log.decide(option, wanted, "as asked")
        return wanted == "normalised"
    for name, told in found.items():
        _refuse_mixture(name, told, option, place)
    pixels = [name for name, told in found.items() if told.beyond]
    shares = [name for name, told in found.items() if told.shares and not told.beyond]
    if pixels and shares:
        raise AmbiguousDatasetError(
            f"{shares[0]}: boxes are shares here and pixels elsewhere, got {pixels[0]}; "
            f"make the files alike, or {_choose(option)}",
            place=shares[0],
            option=option,
        )
    small = sum(told.shares for told in found.values())
    units = sum(told.units for told in found.values())
    beyond = sum(told.beyond for told in found.values())
    if pixels:
        why = f"{beyond} of {small + beyond} boxes have a number beyond 1"
        log.decide(option, "pixels", why, doubtful=small > 0)
    elif small + units:
        log.decide(option, "normalised", f"all {small + units} boxes are within 0 to 1, or nearly")
    return not pixels and small + units > 0


def _refuse_mixture(name: str, told: Evidence, option: str, place: Place) -> None:
    total = told.shares + told.beyond
    if told.beyond and told.shares > _TOLERATED * total:
        first = place_text(name, told.first, place)
        raise AmbiguousDatasetError(
            f"{first}: boxes may be pixels or shares, got {told.shares} of {total} within 0 to 1; {_choose(option)}",
            place=first,
            option=option,
        )


def _choose(option: str) -> str:
    flag = f"--{option.replace('_', '-')}"
    return f"choose with {flag} pixels or {flag} normalised"
