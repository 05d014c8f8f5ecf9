"""What the numbers of VOC files mean, decided from all boxes of a dataset, since no file says it.

Pixels or normalised, corners or left, top, width and height, counted from 0 or from 1, and for rotated boxes degrees or
radians. Each decision has an option that overrides it. It is doubtful where boxes contradict it, or where they fit a
known defect of exporters as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.errors import DatasetError
from regionbatch.readers.units import PERCENT_DOUBT, evidence_of_small_files, in_shares, may_be_percent, refuse_tiny
from regionbatch.readers.voc.xml import DEVKIT, NAMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog
    from regionbatch.options import VocOptions

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_COPIES = ((3, 0, False), (2, 1, False), (1, 0, True), (3, 2, True))
"""Pairs of edges that differ in a real dataset, and whether they may be equal in a square image."""
_COPIED = 2
"""Different values that a pair of edges must share: one may be a coincidence."""
_FITTING = 0.99
"""Of the boxes, so many must lie inside their images for an order of numbers to be possible."""
_FULL_TURN = 2 * np.pi + 0.01
"""Radians; angles are rounded."""


class Numbers(NamedTuple):
    """The boxes of a dataset as in its files; n of them."""

    box: NDArray[np.float64]
    """(n, 4)."""
    shape: NDArray[np.bool_]
    """(n,), whether the box was made of a <robndbox> or <polygon>, and has corners for sure."""
    size: NDArray[np.int32]
    """(n, 2), the declared width and height of the image of each; 0: unknown."""
    file: NDArray[np.int32]
    """(n,), codes into `FindingLog.files`."""
    where: NDArray[np.int64]
    """(n,), the place in that file."""


def decide_mode(numbers: Numbers, devkit: Sequence[int], options: VocOptions, log: FindingLog) -> BoxMode:
    """Return what the four numbers of all boxes mean.

    Args:
        numbers: The boxes. If the numbers are left, top, width and height, those of shapes are made such.
        devkit: What each file with boxes says about the VOC devkit.
        options: What was asked for.
        log: Where the decisions are reported.

    Raises:
        AmbiguousDatasetError: Some boxes are in pixels, and others normalised.
        DatasetError: An origin of 1 is asked for, and boxes are normalised, or not corners.
    """
    box = numbers.box
    corners = options.bbox_format != "ltwh"
    if options.bbox_format != "auto":
        log.decide("bbox_format", options.bbox_format, "as asked")
    if not corners:
        with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and what is no number
            box[numbers.shape, 2:] -= box[numbers.shape, :2]
    normalised = _decide_unit(numbers, corners, options, log)
    if options.bbox_format == "auto":
        _doubt_order(numbers, normalised, log)
    if corners and options.voc_boxes == "auto":
        _doubt_copies(numbers, normalised, log)
    if corners and not normalised:
        return _decide_origin(numbers, devkit, options.voc_origin, log)
    if options.voc_origin == "1":
        what = "normalised" if normalised else "left, top, width and height"
        raise DatasetError(
            f"--voc-origin 1: only corners in pixels can count from 1, got boxes that are {what}; leave it out, "
            "or choose with --voc-boxes pixels and --bbox-format ltrb",
            option="voc_origin",
        )
    if normalised:
        return BoxMode.XYXY_REL if corners else BoxMode.XYWH_REL
    return BoxMode.XYWH_ABS


def _decide_unit(numbers: Numbers, corners: bool, options: VocOptions, log: FindingLog) -> bool:
    """Return whether boxes are normalised."""
    # Whether corners in the wrong order are normalised is as plain.
    box = boxes.ordered(numbers.box, np.ones(len(numbers.box), np.bool_)) if corners else numbers.box
    told = evidence_of_small_files(box, numbers.where, numbers.file, log.files, corners=corners)
    normalised = in_shares(told, options.voc_boxes, log, option="voc_boxes", place="line")
    if options.voc_boxes != "auto":
        return normalised
    if normalised:
        if not any(one.shares for one in told.values()):
            why = "all boxes are 0 0 1 1, the whole image or its first pixel"
            log.decide("voc_boxes", "normalised", why, doubtful=True)
        return True
    if len(box):
        refuse_tiny(box, log.files[numbers.file[0]], "voc_boxes")
    if corners and may_be_percent(box[:, 2:], numbers.size):
        log.decide("voc_boxes", "pixels", PERCENT_DOUBT, doubtful=True)
    return False


def _doubt_order(numbers: Numbers, normalised: bool, log: FindingLog) -> None:
    """Report corners in the wrong order that may be widths and heights.

    They may be if, read so, the boxes lie inside their images: those in the wrong order if they are most, else all.
    """
    box = numbers.box[~numbers.shape]
    size = np.ones((len(box), 2)) if normalised else numbers.size[~numbers.shape]
    inverted = (box[:, 2:] < box[:, :2]).any(axis=1)
    count = int(np.count_nonzero(inverted))
    if not count:
        return
    most = 2 * count > len(box)
    judged = (size > 0).all(axis=1) & (inverted | (not most))
    with np.errstate(over="ignore", invalid="ignore"):  # as above
        inside = np.all(box[judged, :2] + box[judged, 2:] <= 1.01 * size[judged], axis=1)
    if inside.mean() >= _FITTING if len(inside) else most:
        why = f"in {count} of {len(box)} boxes xmax < xmin or ymax < ymin, as sizes may be"
        log.decide("bbox_format", "ltrb", why, doubtful=True)


def _doubt_copies(numbers: Numbers, normalised: bool, log: FindingLog) -> None:
    """Report an edge that is equal to another in every box, as a known defect of exporters makes it."""
    rows = ~numbers.shape & boxes.finite(numbers.box)
    box, size = numbers.box[rows], numbers.size[rows]
    oblong = size[:, 0] != size[:, 1]
    squares = bool((box[:, 0] == box[:, 1]).all() and (box[:, 2] == box[:, 3]).all())  # along the diagonal
    for copy, edge, square in _COPIES:
        if square and squares:
            continue
        pair = box[oblong][:, [copy, edge]] if square else box[:, [copy, edge]]
        if (pair[:, 0] == pair[:, 1]).all() and len(np.unique(pair[:, 0])) >= _COPIED + square:
            why = f"{_EDGES[copy]} is {_EDGES[edge]} in all {len(pair)} boxes, a known defect of exporters"
            log.decide("voc_boxes", "normalised" if normalised else "pixels", why, doubtful=True)


def _decide_origin(numbers: Numbers, devkit: Sequence[int], wanted: str, log: FindingLog) -> BoxMode:
    """Return whether pixels count from 1, as in the devkit, or are edges, as nearly every tool since has them.

    Where a template only names the devkit, edges settle it: a coordinate of 0, which is none that counts from 1, or an
    edge at the width or height of the image.
    """
    modes = {"0": BoxMode.XYXY_ABS, "1": BoxMode.XYXY_ABS_FROM_1}
    if wanted != "auto":
        log.decide("voc_origin", wanted, "as asked")
        return modes[wanted]
    sources, named = devkit.count(DEVKIT), devkit.count(NAMED)
    zeros = int(np.count_nonzero((numbers.box[:, :2] < 1).any(axis=1)))
    ends = int(np.count_nonzero(((numbers.box[:, 2:] == numbers.size) & (numbers.size > 0)).any(axis=1)))
    if not sources and not named:
        log.decide("voc_origin", "0", "no VOC devkit source found")
    elif not sources and (zeros or ends):
        edges = f"{zeros} boxes begin before 1" if zeros else f"{ends} boxes end at the edge of their image"
        log.decide("voc_origin", "0", f"the VOC devkit is named, but is not the source; {edges}")
    elif not sources:
        why = f"{named} of {len(devkit)} files name the VOC devkit, but not as their source"
        log.decide("voc_origin", "0", why, doubtful=True)
    elif sources < len(devkit):
        log.decide("voc_origin", "0", f"{sources} of {len(devkit)} files name the VOC devkit as source", doubtful=True)
    elif zeros:
        why = f"the source is the VOC devkit, but {zeros} of {len(numbers.box)} boxes begin before 1"
        log.decide("voc_origin", "0", why, doubtful=True)
    else:
        log.decide("voc_origin", "1", "the source is the VOC devkit")
        return modes["1"]
    return modes["0"]


def in_radians(angle: NDArray[np.float64], options: VocOptions, log: FindingLog) -> NDArray[np.float64]:
    """Return the angles of all <robndbox> in radians.

    roLabelImg, which the element comes from, writes radians from 0 to pi; others write degrees. Whole numbers, which no
    angle in radians is but by chance, and angles on both sides of a full turn that are mostly small are doubtful.

    Args:
        angle: As in the files.
        options: What was asked for.
        log: Where the decision is reported.
    """
    unit = options.voc_angles
    rotated = angle[np.isfinite(angle) & (angle != 0)]
    beyond = int(np.count_nonzero(np.abs(rotated) > _FULL_TURN))
    if unit != "auto":
        log.decide("voc_angles", unit, "as asked")
    elif beyond:
        unit, small = "degrees", len(rotated) - beyond
        why = f"{beyond} of {len(rotated)} angles are beyond a full turn in radians"
        log.decide("voc_angles", unit, why, doubtful=small > beyond)
    elif len(rotated):
        unit, whole = "radians", bool((rotated == np.rint(rotated)).all())
        why = f"all {len(rotated)} angles are within a full turn" + (", but all are whole numbers" if whole else "")
        log.decide("voc_angles", unit, why, doubtful=whole)
    if unit == "radians":
        return angle
    with np.errstate(invalid="ignore"):  # infinity
        half_turn = angle % 180  # gives the same box
    return np.radians(half_turn)
