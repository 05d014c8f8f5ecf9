"""Find out whether the sixth numbers of YOLO rows are rotations, and in which unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.dataset.columns import kept_rows
from regionbatch.errors import AmbiguousDatasetError
from regionbatch.readers.yolo.row_checks import row_place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.rows import LabelRows

_STEP = 15
"""Rotations in whole degrees are mostly multiples of this; track IDs are not."""
_FULL_TURN = 2 * np.pi


def detect_rotation_unit(rows: LabelRows, file: NDArray[np.int32], log: FindingLog) -> str:
    """Return `degrees` if the sixth numbers are rotations, and an empty string if they are not.

    A confidence is from 0 to 1, and a track ID is a whole number. All other values together are
    degrees if one of them exceeds a full turn in radians.

    Args:
        rows: The rows.
        file: (n,) The code of each row's file in the log.
        log: Where the decision is reported.

    Raises:
        AmbiguousDatasetError: They may be rotations in an unknown unit.
    """
    has_sixth = ~rows.is_polygon & np.isfinite(rows.last)
    sixth = kept_rows(rows.last, has_sixth)
    is_whole = sixth == np.floor(sixth)
    is_confidence = (sixth >= 0) & (sixth <= 1)
    is_usual = is_confidence | (is_whole & (sixth >= -1))
    if is_usual.all() and not _are_whole_degrees(sixth, is_whole):
        _check_track_ids(sixth, kept_rows(file, has_sixth), log)
        return ""
    reach = float(np.abs(sixth).max())
    mostly_fractions = np.count_nonzero((sixth > 0) & (sixth < 1)) * 2 > len(sixth)
    if is_usual.all() or not _FULL_TURN < reach <= 360 or mostly_fractions:
        is_shown = sixth > 1 if is_usual.all() else ~is_usual
        with_sixth = np.flatnonzero(has_sixth)
        raise _may_be_rotation(rows, int(with_sixth[np.argmax(is_shown)]), file, log)
    _decide_degrees(sixth, reach, log)
    return "degrees"


def _are_whole_degrees(sixth: NDArray[np.float64], is_whole: NDArray[np.bool_]) -> bool:
    """Return whether whole numbers are as likely rotations (0, 90, 45) as track IDs."""
    if not len(sixth) or not is_whole.all():
        return False
    return bool((sixth % _STEP == 0).all() and 0 < sixth.max() <= 360)


def _decide_degrees(sixth: NDArray[np.float64], reach: float, log: FindingLog) -> None:
    exceeds_turn = np.abs(sixth) > _FULL_TURN
    are_few = np.count_nonzero(exceeds_turn) * 2 < np.count_nonzero(sixth)
    may_be_percentage = bool((sixth >= 0).all()) and reach <= 100
    evidence = f"sixth number '{sixth[np.argmax(exceeds_turn)]:.10g}' "
    if may_be_percentage:
        evidence += "may also be a percentage or a distance"
    else:
        evidence += "is neither a confidence nor a track ID, and exceeds 2π"
    log.decide("yolo_rows", "xywhr-degrees", evidence, doubtful=bool(are_few or may_be_percentage))


def _check_track_ids(sixth: NDArray[np.float64], file: NDArray[np.int32], log: FindingLog) -> None:
    """Report a doubt if numbers that can only be track IDs contradict others in their file.

    A track ID occurs once in a file, and the other numbers in the file are not confidences.
    """
    is_track = sixth > _FULL_TURN
    if not is_track.any():
        return
    pairs, counts = np.unique(
        np.stack([file[is_track], sixth[is_track]], axis=1), axis=0, return_counts=True
    )
    mixed = np.intersect1d(file[is_track], file[(sixth > 0) & (sixth < 1)])
    if counts.max() > 1:
        at, number = pairs[np.argmax(counts)]
        where = log.files[int(at)]
        evidence = f"sixth numbers look like track IDs, but '{number:.10g}' occurs twice in {where}"
    elif len(mixed):
        where = log.files[int(mixed[0])]
        evidence = (
            f"sixth numbers look like confidences and like track IDs within one file, {where}"
        )
    else:
        return
    log.decide("yolo_rows", "auto", evidence, doubtful=True)


def _may_be_rotation(
    rows: LabelRows, at: int, file: NDArray[np.int32], log: FindingLog
) -> AmbiguousDatasetError:
    place = row_place(rows, at, file, log)
    value = f"{rows.last[at]:.10g}"
    return AmbiguousDatasetError(
        f"{place}: the sixth number may be a rotation: '{value}'. Use "
        '`yolo_rows="xywhr-degrees"` or `yolo_rows="xywhr-radians"`, or `yolo_rows="box"` if it '
        "is something else.",
        place=place,
        option="yolo_rows",
        value=value,
        choices=("xywhr-degrees", "xywhr-radians", "box"),
    )
