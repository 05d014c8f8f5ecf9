"""The rules on boxes: annotations as in the file become regions from 0 to 1, and every box is accounted for.

Each rule stands here once, whatever the format: one line that finds its rows. Where they come from: the service takes
boxes inside the image only, refuses empty ones, and refuses a batch with an entry twice; the rest is what published
datasets hold (see the table of findings in the documentation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import category

import numpy as np

from regionbatch import boxes
from regionbatch.codes import ADJUSTING, CODES
from regionbatch.dataset import MARKS, Images, PlacedAnnotations, Regions, tidy
from regionbatch.errors import AmbiguousDatasetError, OptionError, PluginError
from regionbatch.findings import Account, ClippedBoxes, FindingLog, Ledger, on_one_line
from regionbatch.limits import REGIONS_PER_IMAGE
from regionbatch.similar import report_similar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.boxes import Mask


MOSTLY = 0.5
"""A box that loses more than this share of its area may be a typing error, as a digit too many."""


class Fates:
    """What becomes of each row: it is kept until a rule adjusts or drops it. The first rule that drops a row has it."""

    def __init__(self, raw: PlacedAnnotations, report: FindingLog) -> None:
        """Begin with every row kept."""
        self._raw, self._report = raw, report
        self.alive = np.ones(len(raw), np.bool_)
        self.adjusted = np.zeros(len(raw), np.int8)
        """The first code that adjusted each row, as its number in `codes.ADJUSTING`."""

    def rule(
        self,
        code: str,
        rows: Mask,
        block: slice = slice(None),
        *,
        value: str = "",
        outside: NDArray[np.float64] | None = None,
    ) -> None:
        """Apply a code to the rows that are still alive: report them, and drop or adjust them as the code says.

        Args:
            code: The finding.
            rows: A mask of all rows, or of those of the block.
            block: The rows that the mask is about.
            value: What is reported as the value; empty: the box.
            outside: The share of each row of the block that is outside the image, which is reported with the box.
        """
        hit = np.flatnonzero(rows & self.alive[block])
        if not len(hit):
            return
        share = None if outside is None else outside[hit]
        raw, hit = self._raw, hit + (block.start or 0)
        values: Any = [value] * len(hit) if value else raw.box[hit]
        if share is not None:
            values = ClippedBoxes(values, share)
        self._report.add(code, raw.file[hit], raw.where[hit], values, place=raw.place)
        if CODES[code].effect == "dropped":
            self.alive[hit] = False
        elif CODES[code].effect == "adjusted":
            self.adjusted[hit[self.adjusted[hit] == 0]] = ADJUSTING.index(code)


def clean(
    raw: PlacedAnnotations,
    report: FindingLog,
    drop: Collection[str] = (),
    only: Collection[str] | None = None,
    max_clip: float | None = None,
) -> tuple[Images, list[str], Regions, Ledger]:
    """Scale, judge and account for annotations: the images, the tag names, the regions and the ledger.

    `drop` names marks to leave out (crowd, difficult, truncated, occluded); `only` the classes to keep; `max_clip` is
    the share of a box that may be outside its image, above which it is left out.

    Raises:
        OptionError: `only` names a class that is not there.
        AmbiguousDatasetError: Two pictures have one name.
        PluginError: The reader counted wrong.
    """
    fates = Fates(raw, report)
    tags, tag_code = _merge_tags(raw.tags, report)
    images, image_code = _merge_images(raw.images, report)
    tag, image = tag_code[raw.tag], image_code[raw.image]

    for mark, rows in raw.marks.items():
        mask = np.zeros(len(raw), np.bool_)
        mask[rows] = True
        if mark in MARKS:
            fates.rule("left_out" if mark in drop else "marked", mask, value=mark)
        else:
            fates.rule(mark, mask)
    if only is not None:
        only = {*map(tidy, only)}
        if unknown := sorted(only.difference(tags)):
            known = on_one_line(", ".join(tags[:20]))
            raise OptionError(f"--only: no such class, got {', '.join(unknown)}; the dataset has {known}")
        fates.rule("left_out", ~np.isin(tag, [code for code, name in enumerate(tags) if name in only]))
    fates.rule("unknown_class", tag < 0)

    box = np.zeros((len(raw), 4))
    for block in boxes.blocks(len(raw)):
        _judge(raw, block, fates, box[block], max_clip)
    alive = _those(fates.alive)
    repeated = np.zeros(len(raw), np.bool_)
    repeated[alive] = ~boxes.first_of_equal(image[alive], tag[alive], box[alive])
    fates.rule("duplicate", repeated)
    alive = _those(fates.alive)

    regions = Regions(
        image[alive], tag[alive], box[alive], raw.file[alive], raw.where[alive], fates.adjusted[alive], raw.place
    )
    _report_full_images(regions, images, report)
    report_similar(tags, np.bincount(regions.tag, minlength=len(tags)).tolist(), report)
    of_images = report.adjusted("image"), report.dropped("image")
    ledger = ledger_of(
        regions,
        report.boxes_read,
        report.dropped("box"),
        Account(report.images_read, len(images), *map(dict, of_images)),
    )
    return images, tags, regions, ledger


def _judge(raw: PlacedAnnotations, block: slice, fates: Fates, judged: boxes.Boxes, max_clip: float | None) -> None:
    """Apply the rules on coordinates to a block of rows; the boxes of those alive afterwards, writable, in `judged`."""
    box, size = raw.box[block], None
    fates.rule("not_a_box", ~boxes.finite(box), block)
    angle = None if raw.angle is None else raw.angle[block]
    if angle is not None:
        fates.rule("not_a_box", ~np.isfinite(angle), block)
    if raw.mode.absolute or angle is not None:
        image = raw.image[block]
        sides = np.stack([raw.images.width[image], raw.images.height[image]], axis=1).astype(np.float64)
        needed = True if angle is None or raw.mode.absolute else angle != 0
        fates.rule("unknown_image_size", _either(sides <= 0) & needed, block)
        size = np.maximum(sides, 1)
    inverted = _either(box[:, 2:] < (box[:, :2] if raw.mode.corners else 0))
    if raw.mode.corners:
        fates.rule("reordered", inverted, block)
        box = boxes.ordered(box, inverted & fates.alive[block])
    else:
        fates.rule("negative_size", inverted, block)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, and the NaN of rows that are dropped
        box = boxes.to_ltwh(box, raw.mode, size)
        if angle is not None and size is not None:
            box = _upright(box, angle, size, fates, block)
        fates.rule("not_a_box", ~boxes.finite(box), block)
        box = _inside(box, max_clip, fates, block)
    alive = _those(fates.alive[block])
    judged[alive] = boxes.writable(box[alive])


def _inside(box: boxes.Boxes, max_clip: float | None, fates: Fates, block: slice) -> boxes.Boxes:
    """Return boxes cut back to the image; what was cut off is judged by its share of the box."""
    over = boxes.overhang(box)
    clipped = boxes.clip(box, over)
    fates.rule("empty_box", _either(clipped[:, 2:] < boxes.QUANTUM), block)
    reaching = over > boxes.NOISE
    rows = np.flatnonzero(reaching & fates.alive[block])
    if not len(rows):
        return clipped
    outside = np.zeros(len(box))
    outside[rows] = boxes.outside(box[rows], clipped[rows])
    if max_clip is not None:
        fates.rule("left_out", reaching & (outside > max_clip + boxes.NOISE), block, outside=outside)
    fates.rule("mostly_outside", outside > MOSTLY + boxes.NOISE, block, outside=outside)
    fates.rule("clipped", reaching & (outside <= MOSTLY + boxes.NOISE), block, outside=outside)
    return clipped


def _upright(
    box: boxes.Boxes, angle: NDArray[np.float64], size: boxes.Boxes, fates: Fates, block: slice
) -> boxes.Boxes:
    """Return boxes with those that are rotated replaced by the boxes around them."""
    rotated = angle != 0
    fates.rule("empty_box", rotated & _either(box[:, 2:] < boxes.QUANTUM), block)
    fates.rule("box_from_shape", rotated, block)
    rows = np.flatnonzero(rotated)
    box = box.copy()
    box[rows] = boxes.around_rotated(box[rows], angle[rows], size[rows])
    return box


def _those(mask: Mask) -> slice | NDArray[np.int64]:
    """An index of the rows in a mask: mostly all, and then nothing is copied."""
    return slice(None) if mask.all() else np.flatnonzero(mask)


def _either(mask: Any) -> Mask:  # noqa: ANN401 - NumPy types a comparison as an array or a single truth
    """Which rows of a mask of two columns have one; `any(axis=1)` takes ten times as long."""
    either: Mask = mask[:, 0] | mask[:, 1]
    return either


def _merge_tags(names: Sequence[str], report: FindingLog) -> tuple[list[str], NDArray[np.int32]]:
    """Class names trimmed, in NFC, each once; and the new code of each old one, -1 for a class without a name.

    That two spellings of one name are one class is doubtful, and so is a name with half a character of UTF-16 (Cs).
    """
    codes: dict[str, int] = {}
    spellings: dict[str, str] = {}
    new = np.full(len(names), -1, np.int32)
    for old, name in enumerate(names):
        if not (neat := tidy(name)):
            continue
        if neat != name:
            report.note("tag_renamed", neat, name)
        if neat in codes:
            report.note("tag_merged", neat, doubtful=spellings[neat] != name)
        elif any(category(character) in ("Cc", "Cs") for character in neat):
            report.note("control_character", neat)
        spellings.setdefault(neat, name)
        new[old] = codes.setdefault(neat, len(codes))
    return list(codes), new


def _merge_images(images: Images, report: FindingLog) -> tuple[Images, NDArray[np.int32]]:
    """Images of one name made one; and the new code of each old one."""
    codes = dict(zip(reversed(images.names), range(len(images) - 1, -1, -1), strict=True))
    if len(codes) == len(images):
        return images, np.arange(len(images), dtype=np.int32)
    first = np.fromiter((codes[name] for name in images.names), np.int32, len(images))
    twins = np.flatnonzero(first != np.arange(len(images)))
    kept = np.flatnonzero(first == np.arange(len(images)))
    _refuse_two_pictures(images, twins, first[twins])
    report.add("merged_image", twins.astype(np.int32), table=images.names)
    _report_two_sizes(images, twins, first[twins], report)
    new = np.zeros(len(images), np.int32)
    new[kept] = np.arange(len(kept))
    merged = Images(
        [images.names[row] for row in kept.tolist()],
        images.width[kept],
        images.height[kept],
        [images.paths[row] for row in kept.tolist()],
        images.split[kept],
        images.splits,
        images.exact[kept],
    )
    return merged, new[first]


def _refuse_two_pictures(images: Images, twins: NDArray[np.int64], first: NDArray[np.int32]) -> None:
    """Two pictures of one name, as in two folders that are looked into: which one the boxes are on is a guess."""
    for twin, other in zip(twins.tolist(), first.tolist(), strict=True):
        here, there = images.paths[other], images.paths[twin]
        if here and there and here != there:
            raise AmbiguousDatasetError(
                f"{images.names[twin]}: two pictures have this name, got {here} and {there}; "
                "rename one, or read them one by one with --split"
            )


def _report_two_sizes(images: Images, twins: NDArray[np.int64], first: NDArray[np.int32], report: FindingLog) -> None:
    """One image that is listed with two sizes: its boxes are shares of the one that they came with."""
    size = np.stack([images.width, images.height], axis=1)
    differ = (
        np.any(size[twins] != size[first], axis=1) & np.all(size[twins] > 0, axis=1) & np.all(size[first] > 0, axis=1)
    )
    sizes = zip(size[first[differ]].tolist(), size[twins[differ]].tolist(), strict=True)
    values = ["{} x {} and {} x {} declared".format(*one, *other) for one, other in sizes]
    report.add("size_mismatch", twins[differ].astype(np.int32), value=values, table=images.names)


def _report_full_images(regions: Regions, images: Images, report: FindingLog) -> None:
    counts = np.bincount(regions.image, minlength=len(images))
    full = np.flatnonzero(counts > REGIONS_PER_IMAGE)
    report.add("over_region_limit", full.astype(np.int32), value=counts[full].tolist(), table=images.names)


def ledger_of(regions: Regions, read: int, dropped: Mapping[str, int], images: Account) -> Ledger:
    """The ledger of the regions that are left.

    Raises:
        PluginError: It does not add up: a reader counted other records than it returned and reported.
    """
    counts = np.bincount(regions.adjusted, minlength=len(ADJUSTING)).tolist()
    adjusted = {code: count for code, count in zip(ADJUSTING, counts, strict=True) if code and count}
    ledger = Ledger(read, counts[0], dict(adjusted), dict(dropped), images)
    for what, account in (("boxes", ledger), ("images", images)):
        if not account.balanced:
            raise PluginError(f"the ledger of {what} does not add up: {account}; this is a defect of the reader")
    return ledger
