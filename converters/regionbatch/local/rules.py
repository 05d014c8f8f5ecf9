"""The rules of the service that need nothing but the values: refusals, boxes, pictures, batch sizes."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import imagesize  # type: ignore[import-untyped, unused-ignore]  # it has no types
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.local.contract import Box
    from regionbatch.local.settings import Limits

# Sizes that only the service needs to know: Microsoft's description of the API, v3.2 and v3.3.
MAX_TAGS = 20
MAX_IMAGE_IDS = 256
DEFAULT_TAKE = 50
MAX_INT32 = 2**31 - 1

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a")
"""How JPEG, PNG, BMP and GIF files begin: the formats that the service takes."""


class RefusedError(Exception):
    """A call that is refused; it becomes an answer and never leaves the service.

    Code and message come in the service's shape, or, where the gateway in front of the service speaks (keys, rates,
    bodies), in the gateway's.
    """

    def __init__(self, status: int, code: str, message: str, *, gateway: bool = False) -> None:
        """Keep the HTTP status, the code, the message and the shape."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.gateway = gateway


def float32_boxes(entries: Sequence[Box]) -> NDArray[np.float32]:
    """Coordinates as the service stores them, n x 4 (left, top, width, height); what is too large becomes infinite."""
    boxes = np.array([(entry.left, entry.top, entry.width, entry.height) for entry in entries], dtype=np.float64)
    with np.errstate(over="ignore"):
        return boxes.reshape(-1, 4).astype(np.float32)


def unusable(boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark boxes that leave the image or have no size; n booleans.

    The parts are 32-bit floats, their sum is exact: the strict reading, which a box that keeps it passes under every
    other.
    """
    start, size = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    inside = (start >= 0) & (size > 0) & (start + size <= 1)
    return ~(inside[:, 0] & inside[:, 1])


def picture(contents: bytes | None, limits: Limits) -> tuple[str, int, int]:
    """Status of the contract for a picture, and its width and height in pixels; from its header."""
    if not contents:
        return "ErrorSource", 0, 0
    if len(contents) > limits.image_bytes:
        return "ErrorImageSize", 0, 0
    width, height = _size(contents)
    if min(width, height) <= 0:
        return "ErrorImageFormat", 0, 0
    if max(width, height) > min(limits.side, limits.aspect * min(width, height)):
        return "ErrorImageDimensions", width, height
    return "OK", width, height


def _size(contents: bytes) -> tuple[int, int]:
    if not contents.startswith(SIGNATURES):
        return -1, -1
    try:
        width, height = imagesize.get(io.BytesIO(contents))
    except (ValueError, struct.error):  # a header that is cut off
        return -1, -1
    return int(width), int(height)
