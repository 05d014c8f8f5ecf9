"""Boxes in a CSV table with the columns image, width, height, tag, left, top, right, bottom, in pixels."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch.boxes import BoxMode
from regionbatch.dataset import Images, RawAnnotations
from regionbatch.errors import DatasetError
from regionbatch.options import ReadOptions, option
from regionbatch.readers.files import PictureFinder, tree_of

if TYPE_CHECKING:
    from pathlib import Path

    from regionbatch.findings import Report

COLUMNS = ["image", "width", "height", "tag", "left", "top", "right", "bottom"]


@dataclass(frozen=True, kw_only=True)
class CsvOptions(ReadOptions):
    """What the reader takes."""

    delimiter: str = option("what stands between columns", (",", ";", "tab"), default=",")


class CsvReader:
    """Reads CSV tables; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = f"a CSV table with the columns {', '.join(COLUMNS)}"
    options: ClassVar[type[ReadOptions]] = CsvOptions

    def claims(self, path: Path) -> str | None:
        """Why this is ours: a CSV file whose heading has our columns, or a folder with such."""
        for file in _files(path):
            with file.open(encoding="utf-8-sig", errors="replace") as lines:
                heading = lines.readline(200).lower()
            if all(column in heading for column in COLUMNS):
                return file.name
        return None

    def read(self, path: Path, options: CsvOptions, report: Report) -> RawAnnotations:
        """Read all tables of a folder, or one."""
        files = _files(path)
        if not files:
            raise DatasetError(f"{path}: no CSV table here; needed are the columns {', '.join(COLUMNS)}")
        if options.split is not None:
            raise DatasetError(f"{path}: a CSV table has no splits, got {options.split}; name its file instead")
        sizes: dict[str, tuple[int, int]] = {}
        tags: dict[str, int] = {}
        codes: list[tuple[int, int, int, int]] = []
        boxes: list[list[float]] = []
        for file in files:
            code = report.file(file.name)
            for line, row in _rows(file, options):
                report.read(boxes=1)
                try:
                    image, width, height, tag, *box = row
                    numbers, size = [float(number) for number in box], (_side(width), _side(height))
                except ValueError:
                    numbers = []
                if len(numbers) != 4:
                    report.add("not_a_box", code, line, [",".join(row)])
                    continue
                sizes.setdefault(image, size)
                codes.append((list(sizes).index(image), tags.setdefault(tag, len(tags)), code, line))
                boxes.append(numbers)
        report.read(images=len(sizes))
        column = np.asarray(codes, np.int64).reshape(-1, 4).T
        return RawAnnotations(
            mode=BoxMode.XYXY_ABS,
            box=np.asarray(boxes, np.float64).reshape(-1, 4),
            image=column[0].astype(np.int32),
            tag=column[1].astype(np.int32),
            images=_images(path if path.is_dir() else path.parent, sizes, options),
            tags=list(tags),
            file=column[2].astype(np.int32),
            where=column[3],
        )


def _files(path: Path) -> list[Path]:
    found = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    return [file for file in found if file.suffix.lower() == ".csv" and file.is_file()]


def _rows(file: Path, options: CsvOptions) -> list[tuple[int, list[str]]]:
    """The rows below the heading, with their lines; blank ones are left out."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = csv.reader(text.splitlines(), delimiter=options.delimiter.replace("tab", "\t"))
        heading = [name.strip().lower() for name in next(rows, [])]
        if heading != COLUMNS:
            raise DatasetError(
                f"{file}:1: the columns {','.join(COLUMNS)} are needed, got {','.join(heading):.80}; add them"
            )
        return [(rows.line_num, [cell.strip() for cell in row]) for row in rows if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file}: not a CSV table in UTF-8, got {error}; save it as one") from error


def _side(text: str) -> int:
    """A width or height; 0, that is unknown, where nothing stands."""
    return int(text) if text.isdecimal() and len(text) < 9 else 0


def _images(root: Path, sizes: dict[str, tuple[int, int]], options: CsvOptions) -> Images:
    """The table of images; a picture is looked for in the data set and in `image_dir`, and nowhere else."""
    finder = PictureFinder(tree_of(root), [""], options.image_dir)
    side = np.asarray(list(sizes.values()), np.int32).reshape(-1, 2)
    paths = [finder.find(name)[1] for name in sizes]
    names = [name.replace("\\", "/") for name in sizes]
    return Images(names, side[:, 0], side[:, 1], paths, np.full(len(names), -1, np.int32))
