"""Decide from all boxes of a dataset what the numbers mean, because VOC files do not say it.

There are four decisions: pixels or normalised; corners, or left, top, width and height; counted
from 0 or from 1; and, for rotated boxes, degrees or radians. An option overrides each of them. A
decision is doubtful if some boxes contradict it, or if a known bug of exporters explains the boxes
just as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.dataset.columns import computed
from regionbatch.errors import DatasetError
from regionbatch.readers.units import (
    PERCENT_REASON,
    decide_normalised,
    evidence_of_small_files,
    may_be_percent,
    raise_if_tiny,
)
from regionbatch.readers.voc.header import DEVKIT, NAMED
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog
    from regionbatch.options import VocOptions

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_EXPORTER_BUGS = ((3, 0, False), (2, 1, False), (1, 0, True), (3, 2, True))
"""Edges that exporters copy: the copy, the original, and whether both are equal in some squares.

In a square box on the diagonal of its image, the last two pairs are equal without a bug."""
_MIN_COPIED_VALUES = 2
"""Minimum number of different values of an edge that is a copy; a single one may be chance."""
_MIN_INSIDE = 0.99
"""Minimum fraction of boxes inside their images for an order to be possible."""
_FULL_TURN = 2 * np.pi + 0.01
"""Radians, with tolerance for rounded angles."""


class Numbers(NamedTuple):
    """The n boxes of a dataset, as in its files."""

    box: NDArray[np.float64]
    """(n, 4), the four numbers."""
    is_shape: NDArray[np.bool_]
    """(n,), whether the box is from a <robndbox> or <polygon>, so that its numbers are corners."""
    image: NDArray[np.int32]
    """(n,), codes into `size`."""
    size: NDArray[np.int32]
    """(m, 2), the declared width and height of the images; 0: unknown."""
    file: NDArray[np.int32]
    """(n,), codes into `FindingLog.files`."""
    where: NDArray[np.int64]
    """(n,), the place in that file."""

    def of_bndboxes(self) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int32]]]:
        """Yield the boxes that are not from shapes, and the sizes of their images, in blocks."""
        for block in boxes.blocks(len(self.box)):
            box, image = self.box[block], self.image[block]
            if self.is_shape[block].any():
                rows = ~self.is_shape[block]
                box, image = box[rows], image[rows]
            yield box, self.size[image]


def decide_mode(
    numbers: Numbers, devkit: Sequence[int], options: VocOptions, log: FindingLog
) -> BoxMode:
    """Return what the four numbers of all boxes mean.

    Args:
        numbers: The boxes. If their numbers are left, top, width and height, the boxes from shapes
            are converted to that, in place.
        devkit: How each file with boxes refers to the VOC devkit.
        options: The options that override decisions.
        log: Where decisions are reported.

    Raises:
        AmbiguousDatasetError: Some boxes are in pixels, others are normalised.
        DatasetError: The option `voc_origin` is 1, but the boxes are not corners in pixels.
    """
    are_corners = options.bbox_format != "ltwh"
    if options.bbox_format != "auto":
        log.decide("bbox_format", options.bbox_format, "as requested")
    if not are_corners:
        _convert_shapes_to_sizes(numbers)
    are_normalised = _decide_unit(numbers, are_corners, options, log)
    if options.bbox_format == "auto":
        _doubt_order(numbers, are_normalised, log)
    if are_corners and options.voc_boxes == "auto":
        _doubt_copied_edges(numbers, are_normalised, log)
    if are_corners and not are_normalised:
        return _decide_origin(numbers, devkit, options.voc_origin, log)
    if options.voc_origin == "1":
        found = "normalised" if are_normalised else "left, top, width and height"
        raise _origin_not_applicable(found)
    if not are_normalised:
        return BoxMode.XYWH_ABS
    return BoxMode.XYXY_REL if are_corners else BoxMode.XYWH_REL


def _origin_not_applicable(found: str) -> DatasetError:
    return DatasetError(
        f"voc_origin: '1' applies only to corners in pixels, but the boxes are {found}. "
        'Leave out `voc_origin`, or use `voc_boxes="pixels"` and `bbox_format="ltrb"`.',
        option="voc_origin",
        value="1",
        choices=("auto", "0"),
    )


def _convert_shapes_to_sizes(numbers: Numbers) -> None:
    for block in boxes.blocks(len(numbers.box)):
        box = numbers.box[block]
        rows = numbers.is_shape[block]
        with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and NaN
            box[rows, 2:] -= box[rows, :2]


def _decide_unit(numbers: Numbers, are_corners: bool, options: VocOptions, log: FindingLog) -> bool:
    """Return whether boxes are normalised."""
    box = numbers.box
    if are_corners:  # corners in the wrong order are evidence as well
        box = _with_ordered_corners(box)
    evidence = evidence_of_small_files(
        box, numbers.where, numbers.file, log.files, corners=are_corners
    )
    are_normalised = decide_normalised(
        evidence, options.voc_boxes, log, option="voc_boxes", place="line"
    )
    if options.voc_boxes != "auto":
        return are_normalised
    if are_normalised:
        if not any(each.normalised for each in evidence.values()):
            why = "all boxes are 0 0 1 1, the whole image or its first pixel"
            log.decide("voc_boxes", "normalised", why, doubtful=True)
        return True
    if len(box):
        raise_if_tiny(box, log.files[numbers.file[0]], "voc_boxes")
    if are_corners and may_be_percent(box, numbers.image, numbers.size, corners=True):
        log.decide("voc_boxes", "pixels", PERCENT_REASON, doubtful=True)
    return False


def _with_ordered_corners(box: NDArray[np.float64]) -> NDArray[np.float64]:
    def ordered(block: slice) -> NDArray[np.float64]:
        rows = box[block]
        return boxes.order_corners(rows, np.ones(len(rows), np.bool_))

    return computed(len(box), ordered, np.float64, 4)


def _doubt_order(numbers: Numbers, are_normalised: bool, log: FindingLog) -> None:
    """Report corners in the wrong order that may be widths and heights.

    That is possible if the boxes, read in that way, lie inside their images: the boxes with corners
    in the wrong order if these are the majority, otherwise all boxes.
    """
    total = inverted = 0
    for box, _ in numbers.of_bndboxes():
        total += len(box)
        inverted += int(np.count_nonzero(_is_inverted(box)))
    if not inverted:
        return
    is_majority = 2 * inverted > total
    evidence = inside = 0
    for box, declared in numbers.of_bndboxes():
        size = np.ones((len(box), 2)) if are_normalised else declared
        is_evidence = (size > 0).all(axis=1)
        if is_majority:
            is_evidence &= _is_inverted(box)
        evidence += int(np.count_nonzero(is_evidence))
        with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and NaN
            far = box[is_evidence, :2] + box[is_evidence, 2:]
            is_inside = np.all(far <= 1.01 * size[is_evidence], axis=1)
        inside += int(np.count_nonzero(is_inside))
    may_be_sizes = inside / evidence >= _MIN_INSIDE if evidence else is_majority
    if may_be_sizes:
        counts = f"{inverted} of {counted(total, 'box')}"
        why = f"xmax < xmin or ymax < ymin in {counts}: perhaps widths and heights"
        log.decide("bbox_format", "ltrb", why, doubtful=True)


def _is_inverted(box: NDArray[np.float64]) -> NDArray[np.bool_]:
    left, top, right, bottom = box.T
    # Three times as fast as `any` of each row.
    return np.asarray((right < left) | (bottom < top), np.bool_)


def _doubt_copied_edges(numbers: Numbers, are_normalised: bool, log: FindingLog) -> None:
    """Report an edge that equals another one in every box, which is a known bug of exporters."""
    are_diagonal_squares = all(
        _copied_values(numbers, *edges, but_squares=False) is not None for edges in ((1, 0), (3, 2))
    )
    for copy, original, equal_in_squares in _EXPORTER_BUGS:
        if equal_in_squares and are_diagonal_squares:
            continue
        copied = _copied_values(numbers, copy, original, but_squares=equal_in_squares)
        if copied is not None and len(copied.values) >= _MIN_COPIED_VALUES + equal_in_squares:
            edges = f"{_EDGES[copy]} equals {_EDGES[original]}"
            why = f"{edges} in all {counted(copied.boxes, 'box')}, a known bug of exporters"
            log.decide(
                "voc_boxes", "normalised" if are_normalised else "pixels", why, doubtful=True
            )


class _Copied(NamedTuple):
    boxes: int
    values: set[float]
    """The first different values."""


def _copied_values(
    numbers: Numbers, copy: int, original: int, *, but_squares: bool
) -> _Copied | None:
    """Return the values of an edge that equals another one in every box; None if it does not.

    Args:
        numbers: The boxes.
        copy: The edge.
        original: The other edge.
        but_squares: Whether boxes of square images do not count.
    """
    count = 0
    values: set[float] = set()
    for box, size in numbers.of_bndboxes():
        rows = boxes.finite(box)
        if but_squares:
            rows &= size[:, 0] != size[:, 1]
        column = box[rows, copy]
        if not (column == box[rows, original]).all():
            return None
        count += len(column)
        if len(values) <= _MIN_COPIED_VALUES:
            values.update(np.unique(column)[: _MIN_COPIED_VALUES + 1].tolist())
    return _Copied(count, values)


def _decide_origin(
    numbers: Numbers, devkit: Sequence[int], choice: str, log: FindingLog
) -> BoxMode:
    """Return whether pixels count from 1, as in the devkit, or are edges, as in most tools."""
    modes = {"0": BoxMode.XYXY_ABS, "1": BoxMode.XYXY_ABS_FROM_1}
    if choice != "auto":
        log.decide("voc_origin", choice, "as requested")
        return modes[choice]
    origin, why, is_doubtful = _origin_from_evidence(numbers, devkit)
    log.decide("voc_origin", origin, why, doubtful=is_doubtful)
    return modes[origin]


def _origin_from_evidence(numbers: Numbers, devkit: Sequence[int]) -> tuple[str, str, bool]:
    """Return the origin, the evidence, and whether it is doubtful.

    If files only mention the devkit, as templates do, the edges decide. Coordinates of 0 cannot
    count from 1, and far edges that equal the width or height of the image probably do not.
    """
    sources = devkit.count(DEVKIT)
    named = devkit.count(NAMED)
    zeros = sum(
        int(np.count_nonzero((numbers.box[block, :2] < 1).any(axis=1)))
        for block in boxes.blocks(len(numbers.box))
    )
    if not sources and not named:
        return "0", "no file declares the VOC devkit as its source", False
    if not sources:
        edges = _edges_of_origin_0(numbers, zeros)
        if edges:
            return "0", f"the VOC devkit is named, but not as the source; {edges}", False
        files = f"{named} of {counted(len(devkit), 'file')}"
        why = f"the VOC devkit is named in {files}, but not as the source"
        return "0", why, True
    if sources < len(devkit):
        return "0", f"the VOC devkit is the source of only {sources} of {len(devkit)} files", True
    if zeros:
        low = f"xmin or ymin < 1 in {zeros} of {counted(len(numbers.box), 'box')}"
        return "0", f"the source is the VOC devkit, but {low}", True
    return "1", "the source is the VOC devkit", False


def _edges_of_origin_0(numbers: Numbers, zeros: int) -> str:
    """Return the evidence in the edges that pixels do not count from 1; empty if there is none."""
    if zeros:
        return f"xmin or ymin < 1 in {counted(zeros, 'box')}"
    ends = 0
    for block in boxes.blocks(len(numbers.box)):
        size = numbers.size[numbers.image[block]]
        is_at_edge = (numbers.box[block, 2:] == size) & (size > 0)
        ends += int(np.count_nonzero(is_at_edge.any(axis=1)))
    return f"xmax or ymax equals the image size in {counted(ends, 'box')}" if ends else ""


def in_radians(
    angle: NDArray[np.float64], options: VocOptions, log: FindingLog
) -> NDArray[np.float64]:
    """Return the angles of all <robndbox> elements in radians.

    roLabelImg, which invented the element, writes radians from 0 to pi; others write degrees. Two
    cases are doubtful: whole numbers, which radians are only by chance; and angles on both sides of
    a full turn that are mostly small.

    Args:
        angle: (n,), as in the files.
        options: The option `voc_angles` overrides the decision.
        log: Where the decision is reported.
    """
    unit = _unit_of_angles(angle, options.voc_angles, log)
    if unit == "radians":
        return angle
    with np.errstate(invalid="ignore"):  # infinity
        half_turn = angle % 180  # gives the same box
    return np.radians(half_turn)


def _unit_of_angles(angle: NDArray[np.float64], choice: str, log: FindingLog) -> str:
    if choice != "auto":
        log.decide("voc_angles", choice, "as requested")
        return choice
    rotated = angle[np.isfinite(angle) & (angle != 0)]
    beyond = int(np.count_nonzero(np.abs(rotated) > _FULL_TURN))
    if beyond:
        boxes_beyond = f"{beyond} of {counted(len(rotated), 'box')}"
        why = f"in {boxes_beyond}, the angle exceeds a full turn in radians"
        log.decide("voc_angles", "degrees", why, doubtful=len(rotated) - beyond > beyond)
        return "degrees"
    if not len(rotated):
        return "degrees"  # no angle but 0 and infinity: the unit makes no difference
    are_whole = bool((rotated == np.rint(rotated)).all())
    why = "no angle exceeds a full turn in radians"
    if are_whole:
        why += ", but all are whole numbers"
    log.decide("voc_angles", "radians", why, doubtful=are_whole)
    return "radians"
