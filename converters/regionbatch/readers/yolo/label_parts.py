"""Read label files in parts, in any process, and join the parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch.dataset.columns import GrowingColumn, computed, kept_rows
from regionbatch.part_ranges import MIN_PARTS, even_ranges, with_small_ends
from regionbatch.readers.yolo import row_parser
from regionbatch.readers.yolo.rows import InvalidRows, LabelRows, interpret_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from regionbatch.files.storage import Storage
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

MAX_FILES = 5000
"""Maximum number of label files in a part."""

_LAYOUT: tuple[tuple[Any, ...], ...] = (
    (np.int64,),
    (np.float64, 4),
    (np.int32,),
    (np.int64,),
    (np.bool_,),
    (np.int32,),
    (np.float64,),
    (np.uint8,),
)
"""The types of the columns of `LabelRows`, and the shapes of their rows."""


class LabelPart(NamedTuple):
    """The content of several consecutive label files."""

    file_count: int
    rows: LabelRows
    invalid: list[InvalidRows]
    unreadable: dict[int, str]
    """Why a file is not read, by its index in the part."""
    guessed: list[int]
    """The indexes of files that are not UTF-8, so that their encoding is a guess."""


class RowTable(NamedTuple):
    """The rows of all label files that are read; n rows of m images."""

    rows: LabelRows
    image: NDArray[np.int32]
    """(n,) The image of each row."""
    file: NDArray[np.int32]
    """(n,) The code of each row's file in the log."""
    files: NDArray[np.int32]
    """(m,) The code of each image's file; files that cannot be read have no image."""

    def take(self, mask: NDArray[np.bool_]) -> RowTable:
        """Return some of the rows."""
        columns: Iterable[Any] = self.rows
        rows = LabelRows(*(kept_rows(column, mask) for column in columns))
        return RowTable(rows, kept_rows(self.image, mask), kept_rows(self.file, mask), self.files)


class LabelJobs(Sequence[tuple[Any, ...]]):
    """The arguments of `read_label_files` for each part, made when they are needed."""

    def __init__(
        self, tree: Tree, labels: Sequence[str], ranges: Sequence[range], rows: tuple[str, int]
    ) -> None:
        """Store which label files each part has, and how rows are read."""
        self._tree = tree
        self._labels = labels
        self._ranges = ranges
        self._rows = rows

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self._ranges)

    def __getitem__(self, part: Any) -> Any:  # noqa: ANN401 - as for any sequence
        """Return the arguments for a part."""
        labels = self._labels[self._ranges[part].start : self._ranges[part].stop]
        return self._tree.storage, self._tree.all_on_disk(labels), *self._rows


def divide(
    tree: Tree, labels: Sequence[str], n: int, row_format: str, keypoint_values: int
) -> LabelJobs:
    """Divide label files into about `n` parts; if there are no files, one empty part."""
    ranges = even_ranges(len(labels), n, MAX_FILES)
    if n >= MIN_PARTS:
        ranges = with_small_ends(ranges)
    return LabelJobs(tree, labels, ranges or [range(0)], (row_format, keypoint_values))


def read_label_files(
    storage: Storage, paths: Sequence[str], row_format: str, keypoint_values: int
) -> LabelPart:
    """Read and interpret label files.

    Args:
        storage: Where the files are.
        paths: The paths to open.
        row_format: The option `yolo_rows`.
        keypoint_values: How many numbers the keypoints of a box take; 0: no keypoints.
    """
    tables: list[LabelRows] = []
    invalid: list[InvalidRows] = []
    unreadable: dict[int, str] = {}
    guessed: list[int] = []
    start = 0
    for block in row_parser.load_blocks(storage, paths):
        found = interpret_rows(row_parser.parse_block(block), row_format, keypoint_values)
        tables.append(found.rows._replace(file=found.rows.file + np.int32(start)))
        if len(found.invalid.file):
            invalid.append(found.invalid._replace(file=found.invalid.file + start))
        reasons = block.unreadable | dict.fromkeys(found.dropped, row_parser.TOO_MANY_INVALID_ROWS)
        unreadable |= {start + index: reasons[index] for index in sorted(reasons)}
        guessed += [start + index for index in block.guessed]
        start += block.file_count
    return LabelPart(start, joined(tables), invalid, unreadable, guessed)


def join_parts(parts: Iterable[LabelPart], labels: Sequence[str], log: FindingLog) -> RowTable:
    """Return the rows of all label files, and report what is wrong in the files.

    Findings are reported in the order of the files, whatever parts there were.

    Args:
        parts: The parts, in order.
        labels: The label files.
        log: Where findings are reported.
    """
    codes = log.add_files(labels)
    is_readable = np.ones(len(labels), np.bool_)
    unreadable: dict[int, str] = {}
    guessed: list[int] = []
    growing = [GrowingColumn(*layout) for layout in _LAYOUT]
    start = 0
    for part in parts:
        if not start and part.file_count:
            expected = len(part.rows.file) * len(labels) // part.file_count
            for column in growing:
                column.reserve(expected)
        added: Iterable[Any] = part.rows._replace(file=part.rows.file + np.int32(start))
        for column, more in zip(growing, added, strict=True):
            column.append(more)
        invalid = sum(len(each.file) for each in part.invalid)
        log.read(boxes=len(part.rows.file) + invalid)
        for each in part.invalid:
            log.add("not_a_row", codes[each.file + start], each.line, each.text)
        unreadable |= {start + index: reason for index, reason in part.unreadable.items()}
        guessed += [start + index for index in part.guessed]
        start += part.file_count
        log.progress("reading label files", start, len(labels))
    for index, reason in unreadable.items():
        log.note("unreadable_file", labels[index], reason)
        is_readable[index] = False
    for index in guessed:
        log.note("odd_encoding", labels[index])
    rows = LabelRows(*(column.finished() for column in growing))
    of_row = rows.file
    image_of_file = (np.cumsum(is_readable) - 1).astype(np.int32)
    image = computed(len(of_row), lambda block: image_of_file[of_row[block]], np.int32)
    file = computed(len(of_row), lambda block: codes[of_row[block]], np.int32)
    return RowTable(rows, image, file, codes[is_readable])


def joined(tables: Sequence[LabelRows]) -> LabelRows:
    """Return the rows of several tables as one."""
    if len(tables) == 1:
        return tables[0]
    return LabelRows(*(np.concatenate(columns) for columns in zip(*tables, strict=True)))
