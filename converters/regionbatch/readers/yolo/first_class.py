"""Find out whether the classes of YOLO rows are numbered from 0 or from 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.boxes import blocks
from regionbatch.errors import AmbiguousDatasetError
from regionbatch.findings import as_text
from regionbatch.readers.yolo.row_checks import row_place
from regionbatch.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.class_names import ClassNames
    from regionbatch.readers.yolo.rows import LabelRows

_SHOWN = 40
"""Characters of a class name in a message."""


def some_class_0_is_unused(rows: LabelRows, names: ClassNames, file: NDArray[np.int32]) -> bool:
    """Return whether a class list is used by some rows, and its class 0 by none of them.

    Args:
        rows: The rows.
        names: The class names of their files.
        file: (n,) The code of each row's file in the log.
    """
    is_used = np.zeros(len(names.lengths), np.bool_)
    uses_0 = is_used.copy()
    for block in blocks(len(file)):
        lists = names.list_of_rows(file[block])
        is_used[lists] = True
        uses_0[lists[rows.class_number[block] == 0]] = True
    return bool((is_used & ~uses_0).any())


def detect_first_class(
    rows: LabelRows, names: ClassNames, file: NDArray[np.int32], log: FindingLog
) -> int:
    """Return 0, the number of the first class, unless classes may be numbered from 1.

    Args:
        rows: The rows.
        names: The class names of their files.
        file: (n,) The code of each row's file in the log.
        log: Contains the paths of the files.

    Raises:
        AmbiguousDatasetError: With a list of N names, class N is used and class 0 is not.
    """
    is_suspect = np.zeros(len(names.lengths), np.bool_)
    uses_0 = is_suspect.copy()
    for block in blocks(len(file)):
        lists = names.list_of_rows(file[block])
        number = rows.class_number[block]
        is_suspect[lists[number == names.lengths[lists]]] = True
        uses_0[lists[number == 0]] = True
    for which in np.flatnonzero(is_suspect & ~uses_0).tolist():
        if not names.name(which, 0):
            continue
        in_list = names.list_of_rows(file) == which
        is_beyond = in_list & (rows.class_number == names.lengths[which])
        has_two_names = in_list & (rows.class_number > 0)
        has_two_names &= rows.class_number < names.lengths[which]
        at = int(np.argmax(has_two_names if has_two_names.any() else is_beyond))
        place = row_place(rows, at, file, log)
        raise _may_start_at_1(place, names, which, int(rows.class_number[at]))
    return 0


def _may_start_at_1(
    place: str, names: ClassNames, which: int, number: int
) -> AmbiguousDatasetError:
    last = int(names.lengths[which])
    from_0 = as_text(names.name(which, number))[:_SHOWN]
    from_1 = as_text(names.name(which, number - 1))[:_SHOWN]
    meaning = f"is '{from_0}'" if from_0 else "has no name"
    return AmbiguousDatasetError(
        f"{place}: class {number} {meaning} if classes are numbered from 0, and is '{from_1}' if "
        f"they are numbered from 1. The list has {counted(last, 'name')}, and rows use class "
        f"{last} but not class 0. Use "
        '`yolo_first_class="0"` or `yolo_first_class="1"`.',
        place=place,
        option="yolo_first_class",
        value=number,
        choices=("0", "1"),
    )
