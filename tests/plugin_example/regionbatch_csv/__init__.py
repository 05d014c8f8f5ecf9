"""Boxes in a CSV table with the columns image, width, height, tag, left, top, right, bottom, in pixels."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations, References
from regionbatch.errors import DatasetError
from regionbatch.files.text import UnreadableError
from regionbatch.options import ReadOptions, option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

COLUMNS = ["image", "width", "height", "tag", "left", "top", "right", "bottom"]


@dataclass(frozen=True, kw_only=True)
class CsvOptions(ReadOptions):
    """Options of the reader."""

    delimiter: str = option("what separates columns", (",", ";", "tab"), default=",")


class CsvReader:
    """Reads CSV tables; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = f"a CSV table with the columns {', '.join(COLUMNS)}"
    options: ClassVar[type[ReadOptions]] = CsvOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the first table whose header has our columns."""
        return next(filter(partial(_has_columns, tree), tree.candidates(".csv")), None)

    def references(self, tree: Tree, options: CsvOptions, log: FindingLog) -> References:  # noqa: ARG002 - the contract
        """Return the tables."""
        if options.split is not None:
            raise DatasetError(f"{tree.source}: a CSV table has no splits: {options.split!r}. Name its file instead.")
        files = [*tree.candidates(".csv")]
        if not files:
            raise DatasetError(f"{tree.source}: no CSV table with the columns {', '.join(COLUMNS)}. Check the path.")
        return References(dict.fromkeys(files, ""), extensions=[".csv"])

    def read(self, tree: Tree, files: Sequence[str], options: CsvOptions, log: FindingLog) -> RawAnnotations:
        """Read some tables. An image is a name in a file, so that two files may mean two images by one name."""
        images: dict[tuple[int, str], int] = {}
        sizes: list[tuple[int, int]] = []
        tags: dict[str, int] = {}
        codes: list[tuple[int, int, int, int]] = []
        boxes: list[list[float]] = []
        for path in files:
            file = log.file(path)
            for line, row in _rows(tree, path, options):
                log.read(boxes=1)
                try:
                    image, width, height, tag, *box = row
                    numbers, size = [float(number) for number in box], (_side(width), _side(height))
                except ValueError:
                    numbers = []
                if len(numbers) != 4:
                    log.add("not_a_box", file, line, [",".join(row)])
                    continue
                if (file, image) not in images:
                    images[file, image] = len(images)
                    sizes.append(size)
                    log.read(images=1)
                codes.append((images[file, image], tags.setdefault(tag, len(tags)), file, line))
                boxes.append(numbers)
        column = np.asarray(codes, np.int64).reshape(-1, 4).T
        side = np.asarray(sizes, np.int32).reshape(-1, 2)
        return RawAnnotations(
            mode=BoxMode.XYXY_ABS,
            box=np.asarray(boxes, np.float64).reshape(-1, 4),
            image=column[0].astype(np.int32),
            tag=column[1].astype(np.int32),
            images=ImageReferences(
                names=[name for _, name in images],
                file=np.asarray([file for file, _ in images], np.int32),
                width=side[:, 0],
                height=side[:, 1],
            ),
            tags=[*tags],
            file=column[2].astype(np.int32),
            where=column[3],
        )


def _has_columns(tree: Tree, path: str) -> bool:
    """Return whether a file is a CSV file whose header has our columns."""
    if not path.lower().endswith(".csv"):
        return False
    try:
        header = tree.beginning(path).partition(b"\n")[0].decode("utf-8-sig", errors="replace").lower()
    except UnreadableError:
        return False
    return all(column in header for column in COLUMNS)


def _rows(tree: Tree, path: str, options: CsvOptions) -> list[tuple[int, list[str]]]:
    """Return the rows below the header, with their lines; blank ones are left out."""
    try:
        text = tree.read(path).decode("utf-8-sig")
        rows = csv.reader(text.splitlines(), delimiter=options.delimiter.replace("tab", "\t"))
        header = [name.strip().lower() for name in next(rows, [])]
        if header != COLUMNS:
            raise DatasetError(
                f"{path}:1: the columns must be {','.join(COLUMNS)}, not {','.join(header):.80}. Add them.",
                place=f"{path}:1",
            )
        return [(rows.line_num, [cell.strip() for cell in row]) for row in rows if any(map(str.strip, row))]
    except (UnreadableError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV table in UTF-8: {error}. Save it as one.", place=path) from error


def _side(text: str) -> int:
    """Return a width or height; 0, that is unknown, where there is none."""
    return int(text) if text.isdecimal() and len(text) < 9 else 0
