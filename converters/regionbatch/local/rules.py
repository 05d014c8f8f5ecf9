"""The rules of the service that depend on values alone: errors, boxes, images, batch sizes."""

from __future__ import annotations

import hashlib
import io
import struct
from typing import TYPE_CHECKING, NamedTuple

import imagesize  # type: ignore[import-untyped, unused-ignore]  # it has no types
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.local.contract import Box
    from regionbatch.local.settings import Limits
    from regionbatch.local.store import RegionKey

# From Microsoft's description of the API, v3.2 and v3.3. Limits that callers need are in `limits`.
MAX_TAGS = 20
"""Tags in a call."""
MAX_IMAGE_IDS = 256
"""Image IDs in a call."""
DEFAULT_TAKE = 50
"""Images on a page."""
MAX_METADATA = 50
"""Members of the metadata of an image."""
MAX_METADATA_KEY = 256
"""Characters of a key of metadata."""
MAX_METADATA_VALUE = 512
"""Characters of a value of metadata."""
MAX_INT32 = 2**31 - 1

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a")
"""The first bytes of JPEG, PNG, BMP and GIF files: the formats that the service accepts."""


class RefusedError(Exception):
    """A call that is refused. It becomes an error response and never leaves the service.

    The gateway in front of the real service (keys, rates, sizes of bodies) and the service itself
    have different formats of errors.
    """

    def __init__(self, status: int, code: str, message: str, *, gateway: bool = False) -> None:
        """Keep the HTTP status, the code, the message, and whether the gateway refuses."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.gateway = gateway


def float32_boxes(entries: Sequence[Box]) -> NDArray[np.float32]:
    """Return boxes as the service stores them: (n, 4), left, top, width, height.

    Numbers that are too large become infinite.
    """
    boxes = np.array(
        [(entry.left, entry.top, entry.width, entry.height) for entry in entries], dtype=np.float64
    )
    with np.errstate(over="ignore"):
        return boxes.reshape(-1, 4).astype(np.float32)


def shortest_decimals(boxes: NDArray[np.float32]) -> list[list[float]]:
    """Return boxes as the service writes them: 0.1, not 0.10000000149011612."""
    rows: list[list[float]] = boxes.astype(str).astype(np.float64).tolist()
    return rows


def rounded_key(key: RegionKey, digits: int | None) -> RegionKey:
    """Return a region as it is stored: its coordinates rounded to `digits` decimals, if any."""
    if digits is None:
        return key
    image, tag, *box = key
    left, top, width, height = (round(number, digits) for number in box)
    return image, tag, left, top, width, height


def invalid_boxes(boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which boxes exceed the image or have no size: (n,).

    The numbers are 32-bit floats and their sum is exact. That is the strictest possible rule: a
    box that passes it passes any other.
    """
    start = boxes[:, :2].astype(np.float64)
    size = boxes[:, 2:].astype(np.float64)
    is_inside = (start >= 0) & (size > 0) & (start + size <= 1)
    return ~(is_inside[:, 0] & is_inside[:, 1])


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse metadata with too many members, or with a key or a value that is too long."""
    if len(metadata) > MAX_METADATA or any(len(key) > MAX_METADATA_KEY for key in metadata):
        message = (
            f"Metadata can have at most {MAX_METADATA} keys "
            f"of at most {MAX_METADATA_KEY} characters each"
        )
        raise RefusedError(400, "BadRequestImageMetadataKey", message)
    if any(len(value) > MAX_METADATA_VALUE for value in metadata.values()):
        message = f"A metadata value can have at most {MAX_METADATA_VALUE} characters"
        raise RefusedError(400, "BadRequestImageMetadataValue", message)


class ImageFile(NamedTuple):
    """What the service finds out about an image that is uploaded."""

    status: str
    """`OK`, or why it is refused."""
    width: int = 0
    """In pixels, from its header."""
    height: int = 0
    digest: bytes = b""
    """SHA-256 of its bytes."""


NO_SOURCE = ImageFile("ErrorSource")
TOO_LARGE = ImageFile("ErrorImageSize")


def inspect_image(contents: bytes | None, limits: Limits) -> ImageFile:
    """Return what the service finds out about an image."""
    if not contents:
        return NO_SOURCE
    if len(contents) > limits.image_bytes:
        return TOO_LARGE
    width, height = _size(contents)
    if min(width, height) <= 0:
        return ImageFile("ErrorImageFormat")
    if max(width, height) > min(limits.side, limits.aspect * min(width, height)):
        return ImageFile("ErrorImageDimensions", width, height)
    return ImageFile("OK", width, height, hashlib.sha256(contents).digest())


def _size(contents: bytes) -> tuple[int, int]:
    if not contents.startswith(SIGNATURES):
        return -1, -1
    try:
        width, height = imagesize.get(io.BytesIO(contents))
    except (ValueError, struct.error):  # a truncated header
        return -1, -1
    return int(width), int(height)
