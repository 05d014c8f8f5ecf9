"""Mistakes in rows and tables of a program, one for each error."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import regionbatch
from messages.causes import dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def without_pyarrow(folder: Path) -> object:
    """Make a table where PyArrow is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        return dataset(folder).to_arrow()


def rows(**changed: Any) -> Callable[[Path], object]:
    """Make a dataset of one row with other arguments."""
    good: dict[str, Any] = {"image": ["a.jpg"], "tag": ["cat"], "box": [[0, 0, 1, 1]]}
    return lambda _: regionbatch.Dataset.from_arrays(**good | {"mode": "XYWH_REL"} | changed)


def table(**changed: Any) -> Callable[[Path], object]:
    """Make a dataset of a table of one row with other columns."""

    def run(_: Path) -> object:
        import pyarrow as pa  # noqa: PLC0415 - an extra

        good: dict[str, Any] = {"image": ["a.jpg"], "tag": ["cat"], "box": [[0, 0, 1, 1]]}
        columns = {name: column for name, column in (good | changed).items() if column is not None}
        return regionbatch.Dataset.from_arrow(pa.table(columns), mode="XYWH_REL")

    return run


def series(_: Path) -> object:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    return regionbatch.Dataset.from_arrow(pa.chunked_array([[1]]), mode="XYWH_REL")


def table_with_a_name_twice(_: Path) -> object:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    columns = [pa.array(["a.jpg"])] * 2
    return regionbatch.Dataset.from_arrow(pa.table(columns, ["tag", "tag"]), mode="XYWH_REL")


TABLE_MISTAKES: dict[str, Callable[[Path], object]] = {
    "a table without PyArrow": without_pyarrow,
    "an unknown mode of boxes": rows(mode="XYWH"),
    "one tag for all rows": rows(tag="cat"),
    "classes that are numbers": rows(tag=np.array([1])),
    "boxes of five numbers": rows(box=np.zeros((1, 5))),
    "columns of several lengths": rows(image=["a.jpg", "b.jpg"]),
    "strict as text": rows(strict="no"),
    "a progress that is a number": rows(progress=1),
}

if find_spec("pyarrow"):
    TABLE_MISTAKES |= {
        "a table that is a number": lambda _: regionbatch.Dataset.from_arrow(5, mode="XYWH_REL"),  # type: ignore[arg-type]
        "a series instead of a table": series,
        "a table without a column": table(image=None),
        "a table of rotated boxes": table(angle=[0.5]),
        "a table with two columns of one name": table_with_a_name_twice,
    }
