"""Make a dataset from rows that a program has in memory, by the same rules as for files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.arrow import columns_of_table
from regionbatch.boxes import BoxMode
from regionbatch.dataset import MARKS
from regionbatch.errors import OptionError
from regionbatch.findings.text import as_text, quoted
from regionbatch.judging import Filters, judge, new_log
from regionbatch.option_values import checked_image_dirs
from regionbatch.readers.rows import TABLE, Rows, as_column, numbers_of, read_rows
from regionbatch.reading import place_loaded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regionbatch.boxes import ModeName
    from regionbatch.dataset import Dataset
    from regionbatch.options import RowKeywords

_CORNERS = ("left", "top", "right", "bottom")
_CENTRE = ("centre_x", "centre_y", "width", "height")
_SIZE = ("left", "top", "width", "height")
_OPTIONAL = ("image_width", "image_height", "split", *MARKS)
_ROTATIONS = ("angle", "rotation")


def dataset_of_table(table: object, mode: BoxMode | ModeName, options: RowKeywords) -> Dataset:
    """Return the dataset of a table; see `Dataset.from_arrow`."""
    mode = _checked_mode(mode)
    four = coordinates_of(mode)
    columns = columns_of_table(table, ("image", "tag", "box", *four, *_OPTIONAL, *_ROTATIONS))
    _require(columns, "image", "tag", *([] if "box" in columns else four))
    _refuse_rotations(columns)
    rows = Rows(
        image=columns["image"],
        tag=columns["tag"],
        box=columns["box"] if "box" in columns else tuple(columns[name] for name in four),
        image_width=columns.get("image_width"),
        image_height=columns.get("image_height"),
        split=columns.get("split"),
        marks={mark: columns[mark] for mark in MARKS if mark in columns},
    )
    return _dataset_of_rows(rows, mode, options)


def dataset_of_arrays(
    arrays: Mapping[str, Any], mode: BoxMode | ModeName, options: RowKeywords
) -> Dataset:
    """Return the dataset of arrays by their names; see `Dataset.from_arrays`."""
    columns = {name: _column(name, given) for name, given in arrays.items() if given is not None}
    return _dataset_of_rows(Rows(**columns), _checked_mode(mode), options)


def coordinates_of(mode: BoxMode) -> tuple[str, ...]:
    """Return the names of the columns of a mode's four numbers."""
    if mode.corners:
        return _CORNERS
    return _CENTRE if mode is BoxMode.CXCYWH_REL else _SIZE


def _dataset_of_rows(rows: Rows, mode: BoxMode, options: RowKeywords) -> Dataset:
    folders = checked_image_dirs(options.get("image_dir", ()))
    log = new_log(options.get("progress"))
    filters = Filters.checked(
        options.get("drop", ()),
        options.get("only"),
        options.get("max_clip"),
        strict=options.get("strict", False),
    )
    placed = place_loaded(read_rows(rows, mode, log), folders, log)
    return judge(TABLE, Path(), placed, log, filters, has_image_folder=bool(folders))


def _checked_mode(mode: BoxMode | str) -> BoxMode:
    names = [*BoxMode.__members__]
    if isinstance(mode, BoxMode):
        return mode
    if mode in names:
        return BoxMode[mode]
    raise OptionError(
        f"mode: no such mode of boxes: {quoted(as_text(mode))}. Choose one of: {', '.join(names)}.",
        option="mode",
        value=mode,
        choices=names,
    )


def _require(columns: Mapping[str, Any], *names: str) -> None:
    missing = [name for name in names if name not in columns]
    if missing:
        raise OptionError(
            f"table: missing columns: '{', '.join(missing)}'. "
            f"Rename your columns to: {', '.join(names)}.",
            option="table",
            value=missing,
            choices=names,
        )


def _refuse_rotations(columns: Mapping[str, Any]) -> None:
    """Raise an error if boxes may be rotated: their unit and centre are unknown."""
    for name in _ROTATIONS:
        if name in columns and np.nan_to_num(numbers_of(columns[name])[0]).any():
            raise OptionError(
                f"table: boxes may be rotated: '{name}'. "
                "Pass the axis-aligned boxes around them, and leave this column out.",
                option="table",
                value=name,
            )


def _column(name: str, given: Any) -> Any:  # noqa: ANN401 - whatever a program has
    if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
        raise OptionError(
            f"{name}: not a sequence: '{type(given).__name__}'. Pass a value for each row.",
            option=name,
            value=type(given).__name__,
        )
    return as_column(given)
