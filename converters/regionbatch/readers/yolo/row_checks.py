"""Checks of all rows of a dataset together, where one row alone does not show how it is meant.

Where two readings are equally good, the error names the option that decides. Where one is merely
more likely, it is used and reported as a doubtful decision.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from regionbatch import boxes
from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.findings import as_text, place_text
from regionbatch.readers.yolo.keypoints import KeypointPattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import Finding, FindingLog
    from regionbatch.readers.yolo.dataset_configs import DatasetConfig
    from regionbatch.readers.yolo.rows import LabelRows

_SAMPLE_SIZE = 10_000
"""Number of boxes that is enough to see what most of them mean."""
_NEARLY_ALL = 0.9
"""Fraction of rows that must look alike: a few bad rows do not hide what the others are."""
_RARE = 0.1
"""Fraction of rows below which unusual rows are ignored: they say nothing about the others."""
_OVERHANG = 0.05
"""How far a carelessly drawn box extends beyond its image, as a fraction of the image's side."""
_WITH_TRACK_ID = 7
"""Length of a row with a box, its confidence and its track ID."""
_MIN_POLYGONS = 3
"""If fewer polygons all end in 1, it may be a coincidence."""
_KITTI_COLUMNS = 15
"""Columns of a KITTI row. The last few may be missing, because long values are shortened."""
_BOX_OR_POLYGON = ("box", "polygon")
"""The two readings of a row that may be either."""


def raise_if_pixels(
    rows: LabelRows, far: NDArray[np.bool_], file: NDArray[np.int32], log: FindingLog
) -> None:
    """Raise an error if most rows have coordinates far beyond 1.

    Args:
        rows: The rows.
        far: (n,) Which rows have such coordinates; see `rows.far_outside`.
        file: (n,) The code of each row's file in the log.
        log: Where rows that start with a word were reported.

    Raises:
        AmbiguousDatasetError: They are in pixels or in another format.
        DatasetError: They are KITTI labels.
    """
    not_rows = log.findings().first("not_a_row", 1000)
    with_word = [finding for finding in not_rows if _is_word_and_pixels(finding.value)]
    count = len(with_word)
    for block in boxes.blocks(len(rows.box)):
        count += int(np.count_nonzero(boxes.finite(rows.box[block])))
    found = int(np.count_nonzero(far)) + len(with_word)
    if found * 2 <= count:
        return
    _raise_if_kitti(with_word)
    if far.any():
        first = int(np.argmax(far))
        place = row_place(rows, first, file, log)
        value = as_text(rows.box[first])
    else:
        place = with_word[0].place
        value = with_word[0].value
    raise AmbiguousDatasetError(
        f"{place}: coordinates are not normalised (0 to 1): '{value}'. They may be pixels or "
        f"another format: values exceed 2 in {found} of {count} rows. Convert them, or check "
        "`format` and `yolo_rows`.",
        place=place,
        option="yolo_rows",
        value=value,
    )


def row_place(rows: LabelRows, at: int, file: NDArray[np.int32], log: FindingLog) -> str:
    """Return the place of a row as it is shown: `labels/a.txt:3`."""
    return place_text(log.files[file[at]], int(rows.line[at]), "line")


def _is_word_and_pixels(row: str) -> bool:
    first, *rest = row.split() or [""]
    if first.lstrip("-").isdigit() or len(rest) < 4:
        return False
    try:
        return max(map(float, rest[:4])) > 2
    except ValueError:
        return False


def _raise_if_kitti(rows: Sequence[Finding]) -> None:
    for row in rows:
        if _is_kitti(row.value):
            raise DatasetError(
                f"{row.place}: KITTI labels (type, truncated, occluded, alpha, box in pixels) are "
                f"not supported: '{row.value}'. Convert them, for example to COCO.",
                place=row.place,
                value=row.value,
            )


def _is_kitti(row: str) -> bool:
    """Return whether a row, which may be shortened, starts with the columns of KITTI."""
    words = row.split()
    is_long_enough = _KITTI_COLUMNS - 3 <= len(words) <= _KITTI_COLUMNS + 1
    return is_long_enough and words[2] in ("-1", "0", "1", "2", "3")


def raise_if_kpt_shape_does_not_fit(keypoint_values: int, log: FindingLog) -> None:
    """Raise an error if most rows do not have the length that `kpt_shape` means.

    Args:
        keypoint_values: How many numbers the keypoints of a box take; 0: no `kpt_shape`.
        log: Where these rows were reported.

    Raises:
        AmbiguousDatasetError: Most rows have another length.
    """
    wrong = log.findings().first("not_a_row", 1)
    count = log.dropped("box").get("not_a_row", 0)
    if not keypoint_values or count * 2 <= log.boxes_read:
        return
    place, value = wrong[0].place, wrong[0].value
    raise AmbiguousDatasetError(
        f"{place}: row does not fit kpt_shape: '{value}'. Rows need 5 or {5 + keypoint_values} "
        f"numbers. The length is wrong in {count} of {log.boxes_read} rows. Correct kpt_shape, or "
        'use `yolo_rows="box"` (first four values; rest ignored) or `yolo_rows="polygon"`.',
        place=place,
        option="yolo_rows",
        value=value,
        choices=_BOX_OR_POLYGON,
    )


def raise_if_kpt_shapes_differ(rows: LabelRows, configs: Sequence[DatasetConfig]) -> None:
    """Raise an error if the `kpt_shape` of several datasets differs and rows depend on it.

    Args:
        rows: The rows of all datasets.
        configs: The data.yaml or obj.data of each.

    Raises:
        AmbiguousDatasetError: Rows are so long that they may have keypoints.
    """
    if not (rows.length > 6).any():
        return
    for other in configs[1:]:
        if other.keypoint_values != configs[0].keypoint_values:
            raise AmbiguousDatasetError(
                f"{other.file}: kpt_shape differs from that in '{configs[0].file}', or only one of "
                "the two files has it. Read one dataset at a time, or choose how to read all rows "
                "with `yolo_rows`.",
                place=other.file,
                option="yolo_rows",
            )


def check_for_track_ids(rows: LabelRows, file: NDArray[np.int32], log: FindingLog) -> None:
    """Raise an error if all polygons end as track IDs do; report a doubt if all end in 1.

    A predicted box, rotated box or polygon may be followed by its confidence and its track ID.
    Points at the lower edge of their image end in 1 as well.

    Args:
        rows: The rows.
        file: (n,) The code of each row's file in the log.
        log: Where the doubt is reported.

    Raises:
        AmbiguousDatasetError: They may be polygons or end with track IDs.
    """
    shortest = rows.is_polygon & (rows.length == _WITH_TRACK_ID)
    few = np.count_nonzero(shortest) < _RARE * len(rows.length)
    for polygons, least in ((shortest, 2 if few else 1), (rows.is_polygon, 2)):
        ends = _whole_ends(rows.last, polygons)
        if not ends or max(ends) < least:
            continue
        at = int(np.argmax(np.where(polygons, rows.last, 0)))
        place = row_place(rows, at, file, log)
        value = f"{rows.last[at]:.10g}"
        raise AmbiguousDatasetError(
            f"{place}: rows of {rows.length[at]} numbers may end with a confidence and a track "
            f"ID: '{value}'. Use `yolo_rows=\"box\"` if a box comes before them, "
            '`yolo_rows="polygon"` if all numbers are points, or remove both columns.',
            place=place,
            option="yolo_rows",
            value=value,
            choices=_BOX_OR_POLYGON,
        )
    count = int(np.count_nonzero(rows.is_polygon))
    if count >= _MIN_POLYGONS and ends == {1}:
        evidence = f"all {count} polygons end in 1, which may be a track ID after a confidence"
        log.decide("yolo_rows", "auto", evidence, doubtful=True)


def _whole_ends(last: NDArray[np.float64], polygons: NDArray[np.bool_]) -> set[float]:
    """Return the least and the largest last number of polygons; empty if one is not whole."""
    ends: set[float] = set()
    for block in boxes.blocks(len(last)):
        numbers = last[block][polygons[block]]
        if (numbers != np.floor(numbers)).any():
            return set()
        if len(numbers):
            ends = {*ends, float(numbers.min()), float(numbers.max())}
            ends = {min(ends), max(ends)}
    return ends


def raise_if_keypoints(rows: LabelRows, file: NDArray[np.int32], log: FindingLog) -> None:
    """Raise an error if rows that were read as polygons may be boxes with keypoints.

    Keypoints make all rows equally long. The outline of a small shape is inside "its box" by chance
    in one row of three or four. So a rare length does not count, and a length that most polygons do
    not have counts only if the size of the box cannot be a corner of a shape.

    Args:
        rows: The rows.
        file: (n,) The code of each row's file in the log.
        log: Contains the paths of the files.

    Raises:
        AmbiguousDatasetError: They may be either.
    """
    counts = _lengths_of_polygons(rows)
    polygons = sum(counts.values())
    for length, count in sorted(counts.items()):
        if count < _RARE * len(rows.length):
            continue
        same_length = rows.is_polygon & (rows.length == length)
        for pattern in (KeypointPattern.FLAGS, KeypointPattern.PAIRS, KeypointPattern.TRIPLES):
            alike = same_length & (rows.keypoints & pattern > 0)
            number = int(np.count_nonzero(alike))
            if number < count * _NEARLY_ALL:
                continue
            is_most = count * 2 > polygons
            if is_most or not (alike & (rows.keypoints & KeypointPattern.SIZE == 0)).any():
                place = row_place(rows, int(np.argmax(alike)), file, log)
                raise _may_be_keypoints(place, length, pattern, number, count)


def _lengths_of_polygons(rows: LabelRows) -> Counter[int]:
    """Return how many polygons have each length."""
    found: Counter[int] = Counter()
    for block in boxes.blocks(len(rows.length)):
        lengths, counts = np.unique(rows.length[block][rows.is_polygon[block]], return_counts=True)
        found.update(dict(zip(lengths.tolist(), counts.tolist(), strict=True)))
    return found


def _may_be_keypoints(
    place: str, length: int, pattern: KeypointPattern, alike: int, count: int
) -> AmbiguousDatasetError:
    if pattern is KeypointPattern.FLAGS:
        looks = "every third value is a visibility (0, 1 or 2)"
    else:
        looks = "all points are inside the leading box"
    return AmbiguousDatasetError(
        f"{place}: rows of {length} numbers may be polygons, or boxes with keypoints: {looks} in "
        f'{alike} of {count}. Use `yolo_rows="polygon"` or `yolo_rows="box"`, or add kpt_shape '
        "to the data.yaml.",
        place=place,
        option="yolo_rows",
        choices=_BOX_OR_POLYGON,
    )


def check_order(rows: LabelRows, log: FindingLog) -> None:
    """Report a doubt if boxes fit their images in another order of their numbers only.

    Args:
        rows: The rows.
        log: Where the doubt is reported.
    """
    plain = _sample(~rows.is_polygon)
    box = rows.box[plain]
    x, y, width, height = box.T
    with np.errstate(invalid="ignore", over="ignore"):  # infinity and NaN
        before = np.maximum(width / 2 - x, height / 2 - y)
        after = np.maximum(x + width / 2, y + height / 2) - 1
        outside = int(np.count_nonzero(np.maximum(before, after) > _OVERHANG))
        if outside < 2 or outside < _RARE * len(box):
            return
        readings = {
            "two corners (x1 y1 x2 y2)": _fit_as_corners(box),
            "left, top, width and height": _fit_from_top_left(box, after),
            "a confidence and a box": _fit_after_confidence(box, rows.last[plain]),
        }
    most = len(box) * 0.99
    fitting = [reading for reading, fits in readings.items() if np.count_nonzero(fits) >= most]
    if not fitting:
        return
    advice = 'convert them, or use `yolo_rows="box"`'
    if fitting[-1] == "a confidence and a box":
        advice = 'use `yolo_rows="confidence-first"` or `yolo_rows="box"`'
    extend = f"read as centres, {outside} of {len(box)} boxes extend beyond their images"
    evidence = f"rows look like {' or '.join(fitting)}: {extend}; {advice}"
    log.decide("yolo_rows", "auto", evidence, doubtful=True)


def _sample(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the row numbers of a mask: each of them, or only every k-th if they are many."""
    step = int(np.count_nonzero(mask)) // _SAMPLE_SIZE + 1
    sample: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    seen = 0
    for block in boxes.blocks(len(mask)):
        rows = np.flatnonzero(mask[block])
        sample.append(block.start + rows[-seen % step :: step])
        seen += len(rows)
    return np.concatenate(sample)


def _fit_as_corners(box: NDArray[np.float64]) -> NDArray[np.bool_]:
    left, top, right, bottom = box.T
    ordered = (right > left) & (bottom > top)
    inside = (np.minimum(left, top) >= -boxes.NOISE) & (
        np.maximum(right, bottom) <= 1 + boxes.NOISE
    )
    return np.asarray(ordered & inside, np.bool_)


def _fit_from_top_left(
    box: NDArray[np.float64], overhang_as_centre: NDArray[np.float64]
) -> NDArray[np.bool_]:
    left, top, width, height = box.T
    inside = (np.minimum(left, top) >= -boxes.NOISE) & (
        np.maximum(left + width, top + height) <= 1 + boxes.NOISE
    )
    return np.asarray(inside & (overhang_as_centre <= boxes.NOISE), np.bool_)


def _fit_after_confidence(
    box: NDArray[np.float64], sixth: NDArray[np.float64]
) -> NDArray[np.bool_]:
    _, x, y, width = box.T
    height = sixth
    inside = (np.minimum(x - width / 2, y - height / 2) >= -boxes.NOISE) & (
        np.maximum(x + width / 2, y + height / 2) <= 1 + boxes.NOISE
    )
    return np.asarray(inside & (height > 0), np.bool_)
