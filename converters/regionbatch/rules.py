"""The rules for boxes: each drops, adjusts or notes rows of annotations.

Each rule exists once for all formats, as one line that finds its rows. Some rules come from the
service: it accepts only boxes inside the image, rejects empty boxes, and rejects a whole batch that
contains an entry twice. The other rules come from what published datasets contain (see the table of
findings in the documentation).

A rule looks only at a row, at the size of its image, and at rows of the same image. So the images
of a dataset can be divided, and their rows judged in parts with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.dataset import MARKS, Originals, Regions
from regionbatch.dataset.columns import block_of
from regionbatch.findings import ClippedBoxes
from regionbatch.findings.codes import ADJUSTING, CODES
from regionbatch.findings.finding import SameText

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from regionbatch.boxes import Boxes, BoxMode, Mask
    from regionbatch.dataset import PlacedAnnotations
    from regionbatch.findings import FindingLog
    from regionbatch.merging import MergedTables


MOSTLY_OUTSIDE = 0.5
"""Fraction of a box outside the image above which it may be an error, such as an extra digit."""


class Applied(NamedTuple):
    """A rule that was applied to some rows: one group of findings."""

    code: str
    rows: NDArray[np.int64]
    """Ascending."""
    by_block: bool
    """Whether it was applied block by block."""
    step: int
    """How many rules were applied before: to all rows or, `by_block`, to the block."""


class RuleTracker:
    """The state of each row: kept until a rule drops it, and the first rule that adjusted it."""

    def __init__(self, raw: PlacedAnnotations, log: FindingLog) -> None:
        """Start with every row kept."""
        self._raw = raw
        self._log = log
        self._block = slice(None)
        self._step = 0
        self.kept = np.ones(len(raw), np.bool_)
        self.adjusted = np.zeros(len(raw), np.int8)
        """The first code that adjusted each row, as its number in `codes.ADJUSTING`; 0: none."""
        self.applied: list[Applied] = []
        """What was reported, in this order."""

    def apply(
        self,
        code: str,
        rows: Mask,
        block: slice = slice(None),
        *,
        value: str = "",
        outside: NDArray[np.float64] | None = None,
    ) -> None:
        """Apply a rule to rows that are still kept: report them, and drop or adjust them.

        Args:
            code: The code of the finding. Its effect is applied.
            rows: Which rows of the block the rule applies to, as a mask.
            block: The rows that the mask covers. [default: all]
            value: The value to report; empty: the box.
            outside: The fraction of each row of the block that is outside the image. It is reported
                with the box.
        """
        self._step = self._step + 1 if block == self._block else 0
        self._block = block
        hit = np.flatnonzero(rows & self.kept[block])
        if not len(hit):
            return
        hit_outside = None if outside is None else outside[hit]
        hit += block.start or 0
        raw = self._raw
        values: Any = SameText(value) if value else raw.box[hit]
        if hit_outside is not None:
            values = ClippedBoxes(values, hit_outside)
        self._log.add(code, raw.file[hit], raw.where[hit], values, place=raw.place)
        self.applied.append(Applied(code, hit, block.start is not None, self._step))
        if CODES[code].effect == "dropped":
            self.kept[hit] = False
        elif CODES[code].effect == "adjusted":
            self.adjusted[hit[self.adjusted[hit] == 0]] = ADJUSTING.index(code)


@dataclass(frozen=True, slots=True, eq=False)
class JudgedRows:
    """Annotations to which the rules were applied."""

    raw: PlacedAnnotations
    image: NDArray[np.int32]
    """(n,), the image of each row after images were merged."""
    tag: NDArray[np.int32]
    """(n,), the class of each row after classes were merged; -1: none."""
    box: Boxes
    """(n, 4), the boxes as they will be sent; 0 if dropped."""
    tracker: RuleTracker

    def regions(self) -> Regions:
        """Return the rows that are kept."""
        raw, tracker = self.raw, self.tracker
        regions = Regions(
            self.image, self.tag, self.box, raw.file, raw.where, tracker.adjusted, raw.place
        )
        return regions if tracker.kept.all() else regions.take(tracker.kept)

    def originals(self) -> Originals:
        """Return the boxes that were dropped or changed, as they are in the files."""
        raw, tracker = self.raw, self.tracker
        numbers = {code: number for number, code in enumerate(CODES)}
        changed = np.flatnonzero(tracker.adjusted)
        dropped = [each for each in tracker.applied if CODES[each.code].effect == "dropped"]
        rows = [changed, *(each.rows for each in dropped)]
        codes = [np.array([numbers.get(code, 0) for code in ADJUSTING])[tracker.adjusted[changed]]]
        codes += [np.full(len(each.rows), numbers[each.code]) for each in dropped]
        row = np.concatenate(rows)
        if not len(row):
            return Originals.empty()
        images = raw.images
        size = np.stack([images.width[raw.image[row]], images.height[raw.image[row]]], axis=1)
        known_size = np.where(size > 0, size, np.nan)
        with np.errstate(over="ignore", invalid="ignore"):
            original = boxes.to_ltwh(raw.box[row], raw.mode, known_size)
        angle = np.zeros(len(row)) if raw.angle is None else raw.angle[row]
        region = np.where(tracker.kept, np.cumsum(tracker.kept) - 1, -1)[row]
        is_same = (np.abs(original - self.box[row]) <= boxes.NOISE).all(axis=1) & (angle == 0)
        shown = np.flatnonzero(~is_same | (region < 0))
        at = row[shown]
        return Originals(
            original[shown],
            angle[shown],
            self.image[at],
            self.tag[at],
            raw.file[at],
            raw.where[at],
            np.concatenate(codes)[shown].astype(np.int16),
            region[shown],
        )


def apply_rules(
    raw: PlacedAnnotations,
    tables: MergedTables,
    log: FindingLog,
    drop: Collection[str],
    max_clip: float | None,
) -> JudgedRows:
    """Normalise the boxes of annotations, and apply all rules to them.

    Args:
        raw: The annotations as in the files: of all images, or of some.
        tables: The merged classes and images that they refer to.
        log: Receives the findings.
        drop: Marks of annotations to leave out: crowd, difficult, truncated or occluded.
        max_clip: The largest fraction of a box that may be outside its image; None: any.
    """
    tracker = RuleTracker(raw, log)
    tag = tables.tag_code.take(raw.tag)
    image = tables.image_code.take(raw.image)
    _apply_marks(raw, drop, tracker)
    if tables.wanted is not None:
        tracker.apply("left_out", ~np.append(tables.wanted, np.False_)[tag])
    tracker.apply("unknown_class", tag < 0)
    box = _normalised(raw, max_clip, tracker)
    _drop_duplicates(image, tag, box, tracker)
    return JudgedRows(raw, image, tag, box, tracker)


def _apply_marks(raw: PlacedAnnotations, drop: Collection[str], tracker: RuleTracker) -> None:
    for mark, rows in raw.marks.items():
        mask = np.zeros(len(raw), np.bool_)
        mask[rows] = True
        if mark in MARKS:
            tracker.apply("left_out" if mark in drop else "marked", mask, value=mark)
        else:
            tracker.apply(mark, mask)


def _normalised(raw: PlacedAnnotations, max_clip: float | None, tracker: RuleTracker) -> Boxes:
    """Apply the rules on coordinates, and return the boxes as they will be sent; 0 if dropped."""
    box = np.zeros((4, len(raw))).T  # column by column, as `Regions` stores them
    for block in boxes.blocks(len(raw)):
        _judge(raw, block, tracker, box[block], max_clip)
    return box


def _judge(
    raw: PlacedAnnotations,
    block: slice,
    tracker: RuleTracker,
    judged: Boxes,
    max_clip: float | None,
) -> None:
    """Apply the rules on coordinates to a block of rows, and write the kept boxes to `judged`."""
    box = block_of(raw.box, block)
    tracker.apply("not_a_box", ~boxes.finite(box), block)
    angle = None if raw.angle is None else raw.angle[block]
    if angle is not None:
        tracker.apply("not_a_box", ~np.isfinite(angle), block)
    size = None
    if raw.mode.absolute or angle is not None:
        size = _image_sizes(raw, block, angle, tracker)
    box = _with_positive_size(box, raw.mode, block, tracker)
    # Numbers near 1e308 overflow, and rows that were dropped may be NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        box = boxes.to_ltwh(box, raw.mode, size)
        if angle is not None and size is not None:
            box = _enclose_rotated(box, angle, size, block, tracker)
        tracker.apply("not_a_box", ~boxes.finite(box), block)
        box = _clip(box, max_clip, block, tracker)
    kept = _index_of(tracker.kept[block])
    judged[kept] = boxes.quantise(box[kept])


def _image_sizes(
    raw: PlacedAnnotations, block: slice, angle: NDArray[np.float64] | None, tracker: RuleTracker
) -> Boxes:
    """Return the size of each row's image in pixels, (n, 2); drop rows whose size is unknown."""
    image = raw.image[block]
    sides = raw.images.width.take(image), raw.images.height.take(image)
    size = np.stack(sides, dtype=np.float64, casting="safe").T  # column by column, like the boxes
    unknown = _either(size <= 0)
    if angle is not None and not raw.mode.absolute:
        unknown = unknown & (angle != 0)
    tracker.apply("unknown_image_size", unknown, block)
    return np.maximum(size, 1)


def _with_positive_size(box: Boxes, mode: BoxMode, block: slice, tracker: RuleTracker) -> Boxes:
    """Put swapped corners in order; drop boxes with a negative width or height."""
    if not mode.corners:
        tracker.apply("negative_size", _either(box[:, 2:] < 0), block)
        return box
    swapped = _either(box[:, 2:] < box[:, :2])
    tracker.apply("reordered", swapped, block)
    return boxes.order_corners(box, swapped & tracker.kept[block])


def _enclose_rotated(
    box: Boxes, angle: NDArray[np.float64], size: Boxes, block: slice, tracker: RuleTracker
) -> Boxes:
    """Replace rotated boxes by the axis-aligned boxes around them."""
    rotated = angle != 0
    tracker.apply("empty_box", rotated & _either(box[:, 2:] < boxes.QUANTUM), block)
    tracker.apply("box_from_shape", rotated, block)
    rows = np.flatnonzero(rotated)
    box = box.copy()
    box[rows] = boxes.enclose_rotated(box[rows], angle[rows], size[rows])
    return box


def _clip(box: Boxes, max_clip: float | None, block: slice, tracker: RuleTracker) -> Boxes:
    """Clip boxes to the image, and judge them by the fraction that was outside."""
    over = boxes.overhang(box)
    clipped = boxes.clip(box, over)
    tracker.apply("empty_box", _either(clipped[:, 2:] < boxes.QUANTUM), block)
    reaching = over > boxes.NOISE
    rows = np.flatnonzero(reaching & tracker.kept[block])
    if not len(rows):
        return clipped
    outside = np.zeros(len(box))
    outside[rows] = boxes.fraction_outside(box[rows], clipped[rows])
    if max_clip is not None:
        too_much = reaching & (outside > max_clip + boxes.NOISE)
        tracker.apply("left_out", too_much, block, outside=outside)
    limit = MOSTLY_OUTSIDE + boxes.NOISE
    tracker.apply("mostly_outside", outside > limit, block, outside=outside)
    tracker.apply("clipped", reaching & (outside <= limit), block, outside=outside)
    return clipped


def _drop_duplicates(
    image: NDArray[np.int32], tag: NDArray[np.int32], box: Boxes, tracker: RuleTracker
) -> None:
    kept = _index_of(tracker.kept)
    repeated = np.zeros(len(box), np.bool_)
    repeated[kept] = ~boxes.first_of_equal(image[kept], tag[kept], box[kept])
    tracker.apply("duplicate", repeated)


def _index_of(mask: Mask) -> slice | NDArray[np.int64]:
    """Return an index of the rows in a mask. Usually these are all rows, and nothing is copied."""
    return slice(None) if mask.all() else np.flatnonzero(mask)


def _either(mask: Any) -> Mask:  # noqa: ANN401 - NumPy types a comparison loosely
    """Return which rows of a mask of two columns are true; `any(axis=1)` is ten times slower."""
    either: Mask = mask[:, 0] | mask[:, 1]
    return either
