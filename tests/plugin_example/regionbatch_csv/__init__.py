"""Read boxes from a CSV table.

Its columns are image, width, height, tag, left, top, right, bottom; coordinates are in pixels.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from regionbatch.boxes import BoxMode
from regionbatch.dataset import References
from regionbatch.errors import DatasetError
from regionbatch.files.text import UnreadableError
from regionbatch.options import ReadOptions, option
from regionbatch.readers.builder import AnnotationBuilder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

COLUMNS = ["image", "width", "height", "tag", "left", "top", "right", "bottom"]


@dataclass(frozen=True, kw_only=True)
class CsvOptions(ReadOptions):
    """Options of the CSV reader."""

    delimiter: str = option("column separator", (",", ";", "tab"), default=",")


class CsvReader:
    """Reads CSV tables; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = f"a CSV table with the columns {', '.join(COLUMNS)}"
    options: ClassVar[type[ReadOptions]] = CsvOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the first table with the right columns."""
        return next(filter(partial(_has_columns, tree), tree.candidates(".csv")), None)

    def references(self, tree: Tree, options: CsvOptions, log: FindingLog) -> References:
        """Return all tables."""
        if options.split is not None:
            raise DatasetError(
                f"{tree.source}: a CSV table has no splits: '{options.split}'. Leave out `split`.",
                option="split",
                value=options.split,
            )
        files = [*tree.candidates(".csv")]
        if not files:
            columns = ", ".join(COLUMNS)
            raise DatasetError(
                f"{tree.source}: no CSV table with the columns {columns}. Check the path."
            )
        return References(dict.fromkeys(files, ""), extensions=[".csv"])

    def read(
        self, tree: Tree, files: Sequence[str], options: CsvOptions, log: FindingLog
    ) -> RawAnnotations:
        """Read some tables. Each file has its own images, even if names are equal."""
        builder = AnnotationBuilder()
        for path in files:
            file = log.file(path)
            images: dict[str, int] = {}
            for line, row in _rows(tree, path, options):
                log.read(boxes=1)
                numbers = _numbers(row)
                if not numbers:
                    log.add("not_a_box", file, line, [",".join(row)])
                    continue
                name, width, height, tag = row[:4]
                if name not in images:
                    log.read(images=1)
                    images[name] = builder.add_image(name, file, _side(width), _side(height))
                builder.add_box(images[name], tag, file, line, numbers)
        return builder.build(BoxMode.XYXY_ABS)


def _numbers(row: list[str]) -> list[float]:
    """Return the coordinates of a row; empty if they are not four numbers."""
    try:
        numbers = [float(cell) for cell in row[4:]]
    except ValueError:
        return []
    return numbers if len(numbers) == 4 else []


def _has_columns(tree: Tree, path: str) -> bool:
    """Return whether a file is a CSV file with the right columns."""
    if not path.lower().endswith(".csv"):
        return False
    try:
        header = (
            tree.beginning(path).partition(b"\n")[0].decode("utf-8-sig", errors="replace").lower()
        )
    except UnreadableError:
        return False
    return all(column in header for column in COLUMNS)


def _rows(tree: Tree, path: str, options: CsvOptions) -> list[tuple[int, list[str]]]:
    """Return the rows after the header with their line numbers, without empty rows."""
    try:
        text = tree.read(path).decode("utf-8-sig")
        table = csv.reader(text.splitlines(), delimiter=options.delimiter.replace("tab", "\t"))
        rows = [(table.line_num, [cell.strip() for cell in row]) for row in table]
    except (UnreadableError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path}: not a CSV table in UTF-8: '{error}'. Save it as one.", place=path
        ) from error
    header = ",".join(rows[0][1]).lower() if rows else ""
    if header != ",".join(COLUMNS):
        raise DatasetError(
            f"{path}:1: wrong columns: '{header:.80}'. They must be {','.join(COLUMNS)}.",
            place=f"{path}:1",
            value=header,
        )
    return [(line, row) for line, row in rows[1:] if any(row)]


def _side(text: str) -> int:
    """Return a width or height; 0 if it is missing, which means unknown."""
    return int(text) if text.isdecimal() and len(text) < 9 else 0
