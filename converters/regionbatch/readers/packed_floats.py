"""Turn Python's floats into arrays by way of MessagePack, in which all floats are equally long.

That takes half the time of `np.fromiter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PACKED_FLOAT: np.dtype[Any] = np.dtype([("type", "u1"), ("number", ">f8")])
"""A float: a byte with its type, and the number."""

_encode = msgspec.msgpack.Encoder().encode


def packed(values: Sequence[object], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return values as structured records, (n,), with big-endian numbers.

    Args:
        values: n floats, or n tuples of as many floats each.
        kind: The record of one value in MessagePack: of `PACKED_FLOAT`.

    >>> packed([0.5, 2.0], PACKED_FLOAT)["number"].tolist()
    [0.5, 2.0]
    """
    encoded = _encode(values)
    return np.frombuffer(encoded, kind, offset=len(encoded) - kind.itemsize * len(values))
