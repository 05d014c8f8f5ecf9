"""Decide whether boxes are in pixels or normalised, in formats whose files do not say so.

One box proves nothing, so all boxes of a dataset decide together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.dataset.columns import block_of, take_rows
from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.findings import Decision, place_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import RawAnnotations
    from regionbatch.findings import FindingLog, Place

UNITS = ("pixels", "normalised")
"""The values of the options that decide, next to `auto`."""

_OVERHANG = 0.05
"""How far normalised boxes may extend beyond the image, as a fraction of its side."""

_TINY = 2
"""If all numbers are smaller than this many pixels, they are probably normalised."""

_MIN_PERCENT_BOXES = 10
"""Minimum number of boxes, all within 0 to 100, that may be percentages."""

PERCENT_REASON = (
    "all boxes lie within 0 to 100, although the images are larger: they may be percentages"
)

_TOLERATED = 0.01
"""Fraction of the boxes in a file that may look normalised although the file is in pixels."""


class UnitEvidence(NamedTuple):
    """Counts of the boxes of a file that suggest pixels or normalised coordinates.

    Boxes without a size, and boxes that start left of or above the image, are not counted.
    """

    normalised: int
    """Boxes whose numbers are all from 0 to 1 (with a tolerance), but not all whole."""
    zeros_and_ones: int
    """Boxes whose numbers are all 0 or 1: the whole image, or its first pixel."""
    pixels: int
    """Boxes with a number above 1."""
    first_normalised: int
    """The place in the file (`where`) of the first normalised box."""


def collect_evidence(
    box: NDArray[np.float64],
    where: NDArray[np.int64],
    *,
    corners: bool,
    only: NDArray[np.bool_] | None = None,
) -> UnitEvidence:
    """Count the boxes of a file that suggest pixels or normalised coordinates.

    Args:
        box: (n, 4), as in the file.
        where: (n,), the places of the boxes in the file.
        corners: Whether the last two numbers are a corner, not a size.
        only: (n,), which boxes count. [default: all]
    """
    evidence = _count_evidence(box, corners=corners, only=only)
    if not evidence.normalised:
        return evidence
    return evidence._replace(first_normalised=int(where[evidence.first_normalised]))


def _count_evidence(
    box: NDArray[np.float64], *, corners: bool, only: NDArray[np.bool_] | None = None
) -> UnitEvidence:
    """Count the evidence of boxes whose places are their row numbers."""
    total = UnitEvidence(0, 0, 0, 0)
    for block in boxes.blocks(len(box)):
        if only is None or only[block].all():
            more = _evidence_of_block(block_of(box, block), corners=corners)
            first = block.start + more.first_normalised
        else:
            rows = np.flatnonzero(only[block])
            more = _evidence_of_block(take_rows(box[block], rows), corners=corners)
            first = block.start + int(rows[more.first_normalised]) if more.normalised else 0
        total = UnitEvidence(
            total.normalised + more.normalised,
            total.zeros_and_ones + more.zeros_and_ones,
            total.pixels + more.pixels,
            total.first_normalised if total.normalised or not more.normalised else first,
        )
    return total


def _evidence_of_block(box: NDArray[np.float64], *, corners: bool) -> UnitEvidence:
    near = box[:, :2]
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, infinity and NaN
        far = box[:, 2:] if corners else near + box[:, 2:]
        sides = (near >= -_OVERHANG) & (far > near) & (far < np.inf)
        small = np.maximum(near, box[:, 2:]) <= 1 + _OVERHANG
    usable = sides[:, 0] & sides[:, 1]
    within = np.flatnonzero(usable & small[:, 0] & small[:, 1])
    normalised = within[(box[within] != np.rint(box[within])).any(axis=1)]
    return UnitEvidence(
        len(normalised),
        len(within) - len(normalised),
        int(np.count_nonzero(usable)) - len(within),
        int(normalised[0]) if len(normalised) else 0,
    )


def evidence_of_small_files(
    box: NDArray[np.float64],
    where: NDArray[np.int64],
    file: NDArray[np.int32],
    names: Sequence[str],
    *,
    corners: bool,
) -> dict[str, UnitEvidence]:
    """Collect the evidence of many small files, for `decide_normalised`.

    If some boxes lie within 0 to 1 and others do not, the files with boxes in pixels count as one
    file, and all others as another: a file with few boxes cannot tolerate a single small one.

    Args:
        box: (n, 4), as in the files.
        where: (n,), the places of the boxes in their files.
        file: (n,), codes into `names`.
        names: The names of the files.
        corners: Whether the last two numbers are a corner, not a size.

    Returns:
        The evidence, by the file that a message shows.
    """
    if not len(box):
        return {}
    groups = [np.ones(len(box), np.bool_)]
    evidence = _count_evidence(box, corners=corners)
    if evidence.normalised and evidence.pixels:
        is_in_pixels = np.zeros(len(names), np.bool_)
        for block in boxes.blocks(len(box)):
            is_in_pixels[file[block][(box[block] > 1 + _OVERHANG).any(axis=1)]] = True
        groups = [group for group in (is_in_pixels[file], ~is_in_pixels[file]) if group.any()]
    found: dict[str, UnitEvidence] = {}
    for group in groups:
        evidence = _count_evidence(box, corners=corners, only=group)
        row = evidence.first_normalised if evidence.normalised else int(np.argmax(group))
        found[names[file[row]]] = evidence._replace(first_normalised=int(where[row]))
    return found


def raise_if_tiny(box: NDArray[np.float64], name: str, option: str) -> None:
    """Raise an error if all boxes in pixels lie within the first two pixels.

    They may just as well be normalised boxes that extend beyond their images.

    Args:
        box: (n, 4), as in the files.
        name: The file that the message shows.
        option: The keyword that overrides the decision.

    Raises:
        AmbiguousDatasetError: All numbers are smaller than 2, and not all of them are whole.
    """
    if any((box[block] >= _TINY).any() for block in boxes.blocks(len(box))):
        return  # nearly always after the first block
    are_near = are_whole = True
    for block in boxes.blocks(len(box)):
        known = box[block][boxes.finite(box[block])]
        are_near &= bool((known > -_TINY).all())
        are_whole &= bool((known == np.rint(known)).all())
    if are_near and not are_whole:
        raise _ambiguous(
            name, f"cannot tell pixel from normalised boxes: every number is below {_TINY}", option
        )


def require_pixels(raw: RawAnnotations, log: FindingLog) -> RawAnnotations:
    """Return the annotations of a format whose boxes are always in pixels.

    A few small boxes may be in pixels. They are reported as an uncertain decision.

    Raises:
        DatasetError: More boxes are normalised.
    """
    evidence = _count_evidence(raw.box, corners=raw.mode.corners)
    if not evidence.normalised:
        return raw
    row = evidence.first_normalised
    place = place_text(log.files[raw.file[row]], int(raw.where[row]), raw.place)
    counts = _normalised_as_text(evidence)
    if _is_mixed(evidence) or not evidence.pixels:
        what = f"{counts} within 0 to 1, but boxes of this format are in pixels"
        raise DatasetError(f"{place}: {what}. Convert normalised boxes to pixels.", place=place)
    decision = Decision("pixels", f"{counts} within 0 to 1, such as {place}", doubtful=True)
    log.note("doubtful_decision", "format", decision)
    return raw


def may_be_percent(
    box: NDArray[np.float64],
    image: NDArray[np.int32],
    sizes: NDArray[np.float64] | NDArray[np.int32],
    *,
    corners: bool,
) -> bool:
    """Return whether boxes in pixels may be percentages of their images.

    This is possible if all boxes lie within the first 100 pixels of larger images, and some reach
    nearly 100 in each direction.

    Args:
        box: (n, 4), as in the files.
        image: (n,), codes into `sizes`.
        sizes: (m, 2), width and height of the images; 0: unknown.
        corners: Whether the last two numbers are a corner, not a size.
    """
    if len(box) < _MIN_PERCENT_BOXES:
        return False
    reach = np.full(2, -np.inf)
    for block in boxes.blocks(len(box)):
        if (sizes[image[block]] < 200).any():
            return False
        far = box[block, 2:] if corners else box[block, :2] + box[block, 2:]
        reach = np.maximum(reach, far.max(axis=0))
    within = 90 < reach.max() <= 100 * (1 + boxes.NOISE)
    return bool(within and (reach > 90).all())


def decide_normalised(
    evidence: Mapping[str, UnitEvidence],
    wanted: str,
    log: FindingLog,
    *,
    option: str,
    place: Place,
) -> bool:
    """Decide whether the boxes of a dataset are normalised, and report the decision.

    Args:
        evidence: The evidence of each file, by its name.
        wanted: The value of the option: `auto`, `pixels` or `normalised`.
        log: Where the decision is reported.
        option: The keyword that overrides the decision.
        place: What `where` counted in the evidence.

    Returns:
        Whether they are normalised, not in pixels.

    Raises:
        AmbiguousDatasetError: A file has both kinds, or files differ.
    """
    if wanted != "auto":
        log.decide(option, wanted, "as requested")
        return wanted == "normalised"
    for name, one in evidence.items():
        _raise_if_mixed(name, one, option, place)
    _raise_if_files_differ(evidence, option)
    large = sum(one.pixels for one in evidence.values())
    small = sum(one.normalised for one in evidence.values())
    within = small + sum(one.zeros_and_ones for one in evidence.values())
    if large:
        log.decide(option, "pixels", _reason_for_pixels(large, small), doubtful=small > 0)
        return False
    if within:
        reason = f"{_all_boxes(within, 'lie', 'lies')} within 0 to 1, or nearly"
        log.decide(option, "normalised", reason)
    return within > 0


def _reason_for_pixels(large: int, small: int) -> str:
    if small:
        return f"{large} of {large + small} boxes have values above 1"
    return f"{_all_boxes(large, 'have', 'has')} values above 1"


def _all_boxes(count: int, plural_verb: str, verb: str) -> str:
    if count == 1:
        return f"the only box {verb}"
    return f"{'both' if count == 2 else f'all {count}'} boxes {plural_verb}"


def _raise_if_mixed(name: str, evidence: UnitEvidence, option: str, place: Place) -> None:
    if _is_mixed(evidence):
        what = f"cannot tell pixel from normalised boxes: {_normalised_as_text(evidence)}"
        shown = place_text(name, evidence.first_normalised, place)
        raise _ambiguous(shown, f"{what} within 0 to 1", option)


def _is_mixed(evidence: UnitEvidence) -> bool:
    """Return whether some boxes are in pixels, and too many others look normalised."""
    total = evidence.normalised + evidence.pixels
    return evidence.pixels > 0 and evidence.normalised > _TOLERATED * total


def _normalised_as_text(evidence: UnitEvidence) -> str:
    if not evidence.pixels:
        return _all_boxes(evidence.normalised + evidence.zeros_and_ones, "lie", "lies")
    verb = "lies" if evidence.normalised == 1 else "lie"
    return f"{evidence.normalised} of {evidence.normalised + evidence.pixels} {verb}"


def _raise_if_files_differ(evidence: Mapping[str, UnitEvidence], option: str) -> None:
    in_pixels = next((name for name, one in evidence.items() if one.pixels), "")
    for name, one in evidence.items():
        if in_pixels and one.normalised and not one.pixels:
            what = f"boxes are normalised here, but in pixels in another file: '{in_pixels}'"
            raise _ambiguous(name, what, option, value=in_pixels)


def _ambiguous(
    place: str, what: str, option: str, value: str | None = None
) -> AmbiguousDatasetError:
    choices = " or ".join(f'`{option}="{unit}"`' for unit in UNITS)
    return AmbiguousDatasetError(
        f"{place}: {what}. Choose one with {choices}.",
        place=place,
        option=option,
        value=value,
        choices=UNITS,
    )
