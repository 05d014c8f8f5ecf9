"""Columns of equal length: the check of their shapes."""

from __future__ import annotations

import numpy as np


def freeze(columns: object, length: int, **shapes: tuple[int, ...]) -> None:
    """Check that columns have a number of rows and the given shapes of a row, and freeze them."""
    for name, row_shape in shapes.items():
        column = getattr(columns, name)
        if not isinstance(column, np.ndarray):
            shape: tuple[int, ...] = (len(column),)
        else:
            shape = column.shape
            column = column.view()
            column.flags.writeable = False
            object.__setattr__(columns, name, column)
        expected = (length, *row_shape)
        if shape != expected:
            raise ValueError(
                f"{type(columns).__name__}.{name}: wrong shape: '{shape}'. Expected {expected}."
            )
