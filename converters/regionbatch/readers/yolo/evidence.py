"""What all rows of a dataset say about their kind, where one row alone does not.

Readings that differ are an error that names the option; a reading that is probably wrong is a doubtful decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch import boxes
from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.findings import as_text, place_text
from regionbatch.readers.yolo.class_names import count_of_names
from regionbatch.readers.yolo.rows import Pose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.class_names import ClassNames
    from regionbatch.readers.yolo.descriptions import Config
    from regionbatch.readers.yolo.rows import Rows

_SAMPLE = 10_000
"""Boxes that are enough to see how most of them are meant."""
_NEARLY_ALL, _RARE = 0.9, 0.1
"""Fractions of the rows: a few bad ones do not hide what the others are, and a few odd ones say nothing about all."""
_STEP = 15
"""Rotations in whole degrees are mostly multiples of it; track IDs are not."""
_OVER = 0.05
"""A box that reaches further over its image, in shares of the image's side, is more than a careless one."""
_SHOWN = 40
"""Characters of a class name in a message."""
_TRACKED, _SOME = 7, 3
"""Numbers of a box with its confidence and track ID; rows of points that end alike, and not by chance."""
_KITTI = 15
"""Columns of a KITTI row; a value is shown without its last few, if it is long."""


def refuse_pixels(rows: Rows, far: NDArray[np.bool_], file: NDArray[np.int32], log: FindingLog) -> None:
    """Raise an error if most rows reach far beyond 1: then they are pixels, or of another format.

    Raises:
        AmbiguousDatasetError: They are.
        DatasetError: They are KITTI's.
    """
    words = [finding for finding in log.findings().first("not_a_row", 1000) if _pixels_after_word(finding.value)]
    count = int(np.count_nonzero(boxes.finite(rows.box))) + len(words)
    found = int(np.count_nonzero(far)) + len(words)
    if found * 2 <= count:
        return
    kitti = next((finding for finding in words if _is_kitti(finding.value)), None)
    if kitti is not None:
        raise DatasetError(
            f"{kitti.place}: KITTI labels (type, truncated, occluded, alpha, then the box in pixels) are not "
            f"supported: '{kitti.value}'. Convert them, for example to COCO.",
            place=kitti.place,
        )
    if far.any():
        first = int(np.argmax(far))
        at, value = _place(rows, first, file, log), as_text(rows.box[first])
    else:
        at, value = words[0].place, words[0].value
    raise AmbiguousDatasetError(
        f"{at}: coordinates must be shares from 0 to 1, got {value}, one of {found} of {count} rows with numbers "
        "beyond 2; these look like pixels or another format: convert them, or check --format and --yolo-rows",
        place=at,
        option="yolo_rows",
    )


def _place(rows: Rows, at: int, file: NDArray[np.int32], log: FindingLog) -> str:
    """Return the place of a row as it is shown."""
    return place_text(log.files[file[at]], int(rows.line[at]), "line")


def _pixels_after_word(row: str) -> bool:
    try:
        first, *numbers = row.split()
        return not first.lstrip("-").isdigit() and len(numbers) >= 4 and max(map(float, numbers[:4])) > 2
    except ValueError:
        return False


def _is_kitti(row: str) -> bool:
    """Return whether a row, perhaps without its end, has a type, truncated, occluded and what follows."""
    words = row.split()
    return _KITTI - 3 <= len(words) <= _KITTI + 1 and words[2] in ("-1", "0", "1", "2", "3")


def refuse_other_lengths(keypoints: int, log: FindingLog) -> None:
    """Raise AmbiguousDatasetError if most rows are not as long as `kpt_shape` says."""
    wrong = log.findings().first("not_a_row", 1)
    count = log.dropped("box").get("not_a_row", 0)
    if keypoints and count * 2 > log.boxes_read:
        place = wrong[0].place
        raise AmbiguousDatasetError(
            f"{place}: kpt_shape says that rows have 5 or {5 + keypoints} numbers, and {count} of {log.boxes_read} "
            f"do not: '{wrong[0].value}'. Correct kpt_shape, or choose --yolo-rows box (the first four values, rest "
            "ignored) or --yolo-rows polygon.",
            place=place,
            option="yolo_rows",
        )


def refuse_two_shapes(rows: Rows, configs: Sequence[Config]) -> None:
    """Raise AmbiguousDatasetError if descriptions of several datasets differ in `kpt_shape`, and rows depend on it."""
    first = configs[0] if configs else None
    other = next((config for config in configs if config.keypoints != first.keypoints), None) if first else None
    if first and other and bool((rows.length > 6).any()):
        raise AmbiguousDatasetError(
            f"{other.file}: kpt_shape differs from that of {first.file}, or only one of them has it. Read one dataset "
            "at a time, or choose how to read all rows with --yolo-rows.",
            place=other.file,
            option="yolo_rows",
        )


def refuse_tracks(rows: Rows, file: NDArray[np.int32], log: FindingLog) -> None:
    """Raise an error if rows that are read as points all end as track IDs do, and doubt them if all end in 1.

    A predicted box, rotated box or polygon may have its confidence and its track ID at the end. Points that end at the
    lower edge of their image end in 1, too.

    Raises:
        AmbiguousDatasetError: What they are cannot be known.
    """
    shortest = rows.shape & (rows.length == _TRACKED)
    few = np.count_nonzero(shortest) < _RARE * len(rows.length)
    for those, least in ((shortest, 2 if few else 1), (rows.shape, 2)):
        last = rows.last[those]
        if len(last) and bool((last == np.floor(last)).all()) and last.max() >= least:
            at = int(np.argmax(np.where(those, rows.last, 0)))
            place = _place(rows, at, file, log)
            raise AmbiguousDatasetError(
                f"{place}: rows of {rows.length[at]} numbers may end with a confidence and a track ID: "
                f"'{rows.last[at]:.10g}'. Choose --yolo-rows box if a box comes before them, or --yolo-rows polygon if "
                "all numbers are points; or remove both columns.",
                place=place,
                option="yolo_rows",
            )
    if len(last) >= _SOME and (last == 1).all():
        shown = f"all {len(last)} rows of points end in 1, which may be a track ID after a confidence"
        log.decide("yolo_rows", "auto", shown, doubtful=True)


def refuse_keypoints(rows: Rows, file: NDArray[np.int32], log: FindingLog) -> None:
    """Raise AmbiguousDatasetError if rows that were read as points may be boxes with keypoints.

    Keypoints make all rows equally long. The outline of a small shape is by chance within "its box" in one row of
    three or four, so a length that is rare counts not at all, and one that most rows with points do not have only if
    the size of the box is no corner of a shape.
    """
    lengths, counts = np.unique(rows.length[rows.shape], return_counts=True)
    frequent = counts >= _RARE * len(rows.length)
    for length, most in zip(lengths[frequent].tolist(), (counts * 2 > counts.sum())[frequent].tolist(), strict=True):
        those = np.flatnonzero(rows.shape & (rows.length == length))
        for way in (Pose.FLAGS, Pose.PAIRS, Pose.TRIPLES):
            alike = those[rows.pose[those] & way > 0]
            if len(alike) < len(those) * _NEARLY_ALL or not (most or (rows.pose[alike] & Pose.SIZE > 0).all()):
                continue
            place = _place(rows, int(alike[0]), file, log)
            looks = "visibilities in every third place" if way is Pose.FLAGS else "all points within the leading box"
            raise AmbiguousDatasetError(
                f"{place}: rows of {length} numbers may be polygons, or boxes with keypoints: {len(alike)} of "
                f"{len(those)} have {looks}. Choose --yolo-rows polygon or --yolo-rows box, or put kpt_shape in the "
                "data.yaml.",
                place=place,
                option="yolo_rows",
            )


def rotation_unit(rows: Rows, file: NDArray[np.int32], log: FindingLog) -> str:
    """Return the unit of the sixth numbers, `degrees`, or an empty string if they are no rotations.

    A confidence is from 0 to 1, and a track ID is whole. All others together are degrees if one of them is beyond a
    full turn in radians.

    Raises:
        AmbiguousDatasetError: They may be rotations, and their unit is not known.
    """
    six = np.flatnonzero(~rows.shape & np.isfinite(rows.last))
    last = rows.last[six]
    whole = last == np.floor(last)
    usual = ((last >= 0) & (last <= 1)) | (whole & (last >= -1))
    if usual.all() and not _are_whole_degrees(last, whole):
        _doubt_track_ids(rows.last[six], file[six], log)
        return ""
    reach = float(np.abs(last).max())
    beyond = np.abs(last) > 2 * np.pi
    if usual.all() or not 2 * np.pi < reach <= 360 or np.count_nonzero((last > 0) & (last < 1)) * 2 > len(last):
        raise _unknown_rotation(rows, int(six[np.argmax(~usual if not usual.all() else last > 1)]), file, log)
    few = np.count_nonzero(beyond) * 2 < np.count_nonzero(last)
    percent = bool((last >= 0).all()) and reach <= 100
    shown = f"sixth number '{last[np.argmax(beyond)]:.10g}' is no confidence or track ID, and beyond 2π"
    if percent:
        shown = f"sixth number '{last[np.argmax(beyond)]:.10g}' may also be a percentage or a distance"
    log.decide("yolo_rows", "xywhr-degrees", shown, doubtful=bool(few or percent))
    return "degrees"


def _are_whole_degrees(last: NDArray[np.float64], whole: NDArray[np.bool_]) -> bool:
    """Return whether whole numbers are as likely rotations (0, 90, 45) as track IDs."""
    return len(last) > 0 and bool(whole.all() and (last % _STEP == 0).all() and 0 < last.max() <= 360)


def _doubt_track_ids(last: NDArray[np.float64], file: NDArray[np.int32], log: FindingLog) -> None:
    """Report a doubtful decision if numbers that can only be track IDs contradict others in their file.

    Each is there once, and the others are no confidences.
    """
    tracks = last > 2 * np.pi
    if not tracks.any():
        return
    pairs, counts = np.unique(np.stack([file[tracks], last[tracks]], axis=1), axis=0, return_counts=True)
    mixed = np.intersect1d(file[tracks], file[(last > 0) & (last < 1)])
    if counts.max() > 1:
        at, number = pairs[np.argmax(counts)]
        shown = f"sixth numbers look like track IDs, though '{number:.10g}' is twice in {log.files[int(at)]}"
    elif len(mixed):
        shown = f"sixth numbers look like confidences and track IDs, though both are in {log.files[int(mixed[0])]}"
    else:
        return
    log.decide("yolo_rows", "auto", shown, doubtful=True)


def _unknown_rotation(rows: Rows, at: int, file: NDArray[np.int32], log: FindingLog) -> AmbiguousDatasetError:
    place = _place(rows, at, file, log)
    return AmbiguousDatasetError(
        f"{place}: sixth number may be a rotation: '{rows.last[at]:.10g}'. Choose --yolo-rows xywhr-degrees or "
        "--yolo-rows xywhr-radians, or --yolo-rows box if it is something else.",
        place=place,
        option="yolo_rows",
    )


def doubt_order(rows: Rows, log: FindingLog) -> None:
    """Report a doubtful decision if boxes make sense as corners, or by their left top corners, and not by centres."""
    plain = np.flatnonzero(~rows.shape)
    plain = plain[:: len(plain) // _SAMPLE + 1]
    box, last = rows.box[plain], rows.last[plain]
    x, y, width, height = box.T
    with np.errstate(invalid="ignore", over="ignore"):  # infinity and NaN
        before = np.maximum(width / 2 - x, height / 2 - y)
        after = np.maximum(x + width / 2, y + height / 2) - 1
        over = int(np.count_nonzero(np.maximum(before, after) > _OVER))
        if over < 2 or over < _RARE * len(box):
            return
        most = len(box) * 0.99
        inside = np.minimum(x, y) >= -boxes.NOISE
        corners = inside & (width > x) & (height > y) & (np.maximum(width, height) <= 1 + boxes.NOISE)
        edges = inside & (after <= boxes.NOISE) & (np.maximum(x + width, y + height) <= 1 + boxes.NOISE)
        far = np.maximum(y + height / 2, width + last / 2)
        scored = (np.minimum(y - height / 2, width - last / 2) >= -boxes.NOISE) & (far <= 1 + boxes.NOISE)
    readings = {
        "two corners (x1 y1 x2 y2)": (corners, "convert them, or choose box"),
        "left, top, width and height": (edges, "convert them, or choose box"),
        "a confidence before the box": (scored & (last > 0), "choose confidence-first, or box"),
    }
    fitting = [name for name, (fits, _) in readings.items() if np.count_nonzero(fits) >= most]
    if fitting:
        shown = f"boxes look like {' or '.join(fitting)}: as centres, {over} of {len(box)} reach over their image"
        log.decide("yolo_rows", "auto", f"{shown}; {readings[fitting[-1]][1]}", doubtful=True)


def lacks_first(rows: Rows, names: ClassNames, file: NDArray[np.int32]) -> bool:
    """Return whether with some list of names there are rows, and none of them is of class 0."""
    lists = names.list_of_rows(file)
    return len(np.setdiff1d(lists, lists[rows.tag == 0])) > 0


def first_class(rows: Rows, names: ClassNames, file: NDArray[np.int32], log: FindingLog) -> int:
    """Return 0, the number of the first class of a dataset.

    Raises:
        AmbiguousDatasetError: With a list of N names, class N is used and class 0 is not: a tool may have counted
            from 1.
    """
    lists = names.list_of_rows(file)
    above = rows.tag == names.lengths[lists]
    suspects = np.setdiff1d(lists[above], lists[rows.tag == 0])
    for which in (which for which in suspects.tolist() if names.name(which, 0)):
        last = int(names.lengths[which])
        own = lists == which
        shown = own & (rows.tag > 0) & (rows.tag < last)
        at = int(np.argmax(shown if shown.any() else own & above))
        place, tag = _place(rows, at, file, log), int(rows.tag[at])
        name = as_text(names.name(which, tag))[:_SHOWN]
        from_0 = f"is '{name}'" if name else "has no name"
        raise AmbiguousDatasetError(
            f"{place}: class {tag} {from_0} if classes count from 0, and is "
            f"'{as_text(names.name(which, tag - 1))[:_SHOWN]}' if from 1: with {count_of_names(last)}, class {last} is "
            "used and class 0 is not. Choose --yolo-first-class 0 or --yolo-first-class 1.",
            place=place,
            option="yolo_first_class",
        )
    return 0
