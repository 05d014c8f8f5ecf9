"""Small JPEGs of images, and how each box looks in them. Needs Pillow (the extra `shrink`)."""

from __future__ import annotations

import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.customvision.shrink import FILE_BYTES, decode
from regionbatch.files.storage import storage_of
from regionbatch.files.text import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    Floats = NDArray[np.float32]

SIDE = 320
"""Longest side of a thumbnail in pixels."""

FEATURES = 9
"""Numbers that describe how a box looks: three for its contrast to the image, two for its colour,
one for its texture, and three for its contrast to what is around it."""

CONTRAST = slice(6, 9)
"""The features of the contrast to what is around a box."""

_QUALITY = 70
_AROUND = 0.3
"""How far the surroundings of a box reach, as a fraction of its sides."""
_REDUCED = 4
"""Factor by which an image is reduced before its colours are measured."""
_THREADS = 4
_AT_ONCE = 32
"""Images that are decoded before the first of them is used, so that memory is bounded."""


@dataclass(frozen=True)
class Thumbnail:
    """A small copy of an image, or the reason why there is none."""

    jpeg: bytes = b""
    """Empty if there is none."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the image itself, as stored."""
    shown: tuple[int, int] = (0, 0)
    """Width and height of the thumbnail."""
    orientation: int = 0
    """EXIF's value for how to rotate or mirror the image, 2 to 8; 0 or 1: not at all."""
    problem: str = ""
    """Why there is no thumbnail."""
    looks: Floats | None = None
    """(n, FEATURES), how each box looks."""


def has_pillow() -> bool:
    """Return whether Pillow is installed."""
    return find_spec("PIL") is not None


def thumbnails(
    paths: Sequence[str], boxes: Sequence[NDArray[np.float64]], done: Callable[[int], object]
) -> Iterator[Thumbnail]:
    """Yield the thumbnails of image files, in order.

    Args:
        paths: Their paths; empty: the file is missing.
        boxes: The normalised boxes of each image, (n, 4).
        done: Called with how many are finished.
    """
    if not has_pillow():
        yield from (Thumbnail(problem="Pillow is not installed") for _ in paths)
        return
    workers = min(_THREADS, os.cpu_count() or 1)
    # The filters of warnings are global, so they are set here and not in the threads.
    with ThreadPoolExecutor(workers) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in range(0, len(paths), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            yield from pool.map(_thumbnail, paths[some], boxes[some])
            done(min(start + _AT_ONCE, len(paths)))


def _thumbnail(path: str, boxes: NDArray[np.float64]) -> Thumbnail:
    if not path:
        return Thumbnail(problem="The image file was not found")
    from PIL.Image import Resampling  # noqa: PLC0415 - an extra

    try:
        content = storage_of(path).read_bytes(path, most=FILE_BYTES)
        decoded = decode(content, SIDE)
        image = decoded.image
        image.thumbnail((SIDE, SIDE), Resampling.BILINEAR)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=_QUALITY)
        looks = _looks(image, boxes)
    except UnreadableError as error:
        return Thumbnail(problem=f"The image file cannot be read: {error}")
    except Exception as error:  # noqa: BLE001 - a hostile image may break the library in any way
        return Thumbnail(problem=f"The image cannot be decoded: {error or type(error).__name__}")
    return Thumbnail(buffer.getvalue(), decoded.size, image.size, decoded.orientation, looks=looks)


def _looks(image: Image.Image, boxes: NDArray[np.float64]) -> Floats:
    """Return colour, contrast and texture of each box, (n, FEATURES)."""
    pixels = np.asarray(image.reduce(_REDUCED) if min(image.size) > SIDE // 4 else image) / 255
    sums = _Sums(pixels)
    means, area = sums.means(boxes)
    around = (
        boxes + np.array([-_AROUND, -_AROUND, 2 * _AROUND, 2 * _AROUND]) * boxes[:, [2, 3, 2, 3]]
    )
    wide_means, wide_area = sums.means(around)
    ring = (wide_means * wide_area - means * area) / np.maximum(wide_area - area, 1)
    whole, _ = sums.means(np.array([[0.0, 0.0, 1.0, 1.0]]))
    looks = np.empty((len(boxes), FEATURES), np.float32)
    looks[:, :3] = means[:, :3] - whole[:, :3]
    looks[:, 3] = means[:, 0] - means[:, 1]
    looks[:, 4] = means[:, 2] - means[:, 1]
    looks[:, 5] = np.log(_deviation(means) / _deviation(whole))
    looks[:, CONTRAST] = np.where(wide_area > area, means[:, :3] - ring[:, :3], 0)
    return looks


class _Sums:
    """Sums over all rectangles from the top left corner, so that any mean takes four of them."""

    def __init__(self, pixels: NDArray[np.float64]) -> None:
        height, width, _ = pixels.shape
        grey = pixels.mean(axis=2, keepdims=True)
        layers = np.concatenate([pixels, grey, grey**2], axis=2)
        self._size = np.array([width, height])
        self._sums = np.zeros((height + 1, width + 1, 5))
        self._sums[1:, 1:] = layers.cumsum(axis=0).cumsum(axis=1)

    def means(self, boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the means of red, green, blue, grey and its square, (n, 5), and areas, (n, 1)."""
        size = self._size
        start = np.clip((boxes[:, :2] * size).astype(np.int64), 0, size - 1)
        end = np.rint((boxes[:, :2] + boxes[:, 2:]) * size).astype(np.int64)
        (x, y), (right, bottom) = start.T, np.clip(end, start + 1, size).T
        area = ((right - x) * (bottom - y))[:, None]
        sums = self._sums
        total = sums[bottom, right] - sums[y, right] - sums[bottom, x] + sums[y, x]
        return total / area, area


def _deviation(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of grey from the means of grey and of its square."""
    deviation: NDArray[np.float64] = np.sqrt(np.maximum(means[:, 4] - means[:, 3] ** 2, 0)) + 0.01
    return deviation
