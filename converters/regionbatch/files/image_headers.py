"""Read the size of an image from the first bytes of its file: correct, or unknown.

`imagesize` reads JPEG, PNG, TIFF and JPEG 2000. This module reads what it gets wrong: BMP with an
OS/2 header, WebP with scale bits, GIF with a first frame larger than the screen, AVIF and HEIF; and
Netpbm, for which it takes a time that is quadratic in the digits of a number. It limits how much of
a file is read.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Size = tuple[int, int]

MAX_SIDE = 2**20
"""Longest plausible side of an image in pixels; a header with a longer one is broken."""

MAX_BYTES_READ = 2**20
"""Maximum bytes of a file that are read for its size. Data after the headers is skipped."""

MAX_READS = 4096
"""Maximum read calls on a file for its size."""

_HEAD = 64
_UNKNOWN = (0, 0)
_BMP_HEADERS = (16, 40, 52, 56, 64, 108, 124)
"""Lengths of BMP headers with 32-bit sides. The OS/2 header has 12 bytes and 16-bit sides."""
_HEIF_BRANDS = frozenset(
    (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"msf1")
)


class _Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class _LimitedFile:
    """A file with limited reads: otherwise, a header of 2 KB could make us read gigabytes."""

    def __init__(self, file: _Source) -> None:
        self._file = file
        self._bytes_left = MAX_BYTES_READ
        self._reads_left = MAX_READS

    def read(self, size: int = -1) -> bytes:
        if not (0 <= size <= self._bytes_left and self._reads_left > 0):
            raise ValueError("too much is read for the size of an image")
        data = self._file.read(size)
        self._bytes_left -= len(data)
        self._reads_left -= 1
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)


def image_size(path: str, *, exif_rotation: bool = False) -> Size:
    """Return the width and height of an image in pixels.

    Args:
        path: The file.
        exif_rotation: Whether to return the size after the rotation that the file asks for (EXIF,
            `irot`), rather than the size as stored.

    Returns:
        Width and height; (0, 0) if the file does not say, or programs disagree about it.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - text: there may be 200,000 paths
            return size_in(file, exif_rotation=exif_rotation)
    except (OSError, ValueError):  # such as a path that no file can have
        return _UNKNOWN


def size_in(file: _Source, *, exif_rotation: bool) -> Size:
    """Return the width and height of an image by its open file; see `image_size`."""
    try:
        width, height = _size(_LimitedFile(file), exif_rotation)
    except Exception:  # noqa: BLE001 - a hostile image may break the parsers in any way
        return _UNKNOWN
    is_plausible = 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE
    return (width, height) if is_plausible else _UNKNOWN


def _size(file: _Source, exif_rotation: bool) -> Size:
    head = file.read(_HEAD)
    if head.startswith(_BY_IMAGESIZE):
        import imagesize  # noqa: PLC0415 - it loads an HTTP client; label files need none

        size: Size = imagesize.get(file, exif_rotation=exif_rotation)
        return size
    if head[4:8] == b"ftyp":
        return _size_of_heif(file, exif_rotation)
    for signature, size_of in _OWN.items():
        if head.startswith(signature):
            return size_of(head, file)
    return _UNKNOWN


_BY_IMAGESIZE = (
    b"\xff\xd8",
    b"\x89PNG\r\n\x1a\n",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"\0\0\0\x0cjP  \r\n\x87\n",
)
"""Signatures of the formats that `imagesize` reads correctly."""
_NETPBM_BYTES = 2**15 - _HEAD
"""Bytes after the first ones that a Netpbm file may use for comments and its size."""
_NETPBM = re.compile(
    rb"P[1-6](?:\s|#[^\r\n]*+[\r\n])++(\d{1,19}+)\s(?:\s|#[^\r\n]*+[\r\n])*+(\d{1,19}+)\s"
)
"""The width and height in the header of a Netpbm file.

Whitespace must follow each number: if a comment is inside a number, some programs read one number
and others two.
"""


def _size_of_netpbm(head: bytes, file: _Source) -> Size:
    found = _NETPBM.match(head + file.read(_NETPBM_BYTES))
    return (int(found[1]), int(found[2])) if found else _UNKNOWN


def _size_of_bmp(head: bytes, _file: _Source) -> Size:
    (length,) = struct.unpack_from("<I", head, 14)
    if length == 12:
        width, height = struct.unpack_from("<HH", head, 18)
    elif length in _BMP_HEADERS:
        width, height = struct.unpack_from("<ii", head, 18)
    else:
        return _UNKNOWN
    return width, abs(height)  # negative: rows are stored from top to bottom


def _size_of_webp(head: bytes, _file: _Source) -> Size:
    if head[8:12] != b"WEBP":
        return _UNKNOWN
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        # The upper two bits are a scale, which no decoder applies.
        return width & 0x3FFF, height & 0x3FFF
    return _UNKNOWN


def _size_of_gif(head: bytes, file: _Source) -> Size:
    """Return the size of the screen; unknown if the first frame extends beyond it.

    In that case some programs use the size of the frame.
    """
    width, height, flags = struct.unpack_from("<HHB", head, 6)
    file.seek(13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    while (block := file.read(1)) == b"\x21":  # an extension
        file.read(1)
        while length := file.read(1)[0]:
            file.seek(length, 1)
    left, top, frame_width, frame_height = struct.unpack("<4H", file.read(8))
    fits = left + frame_width <= width and top + frame_height <= height
    return (width, height) if block == b"\x2c" and fits else _UNKNOWN


def _size_of_codestream(head: bytes, _file: _Source) -> Size:
    """Return the size of a JPEG 2000 codestream, without the JP2 boxes around it."""
    right, bottom, left, top = struct.unpack_from(">4I", head, 8)
    return right - left, bottom - top


_OWN: dict[bytes, Callable[[bytes, _Source], Size]] = {
    b"BM": _size_of_bmp,
    b"RIFF": _size_of_webp,
    b"GIF87a": _size_of_gif,
    b"GIF89a": _size_of_gif,
    b"\xff\x4f\xff\x51": _size_of_codestream,
    **{b"P%d" % kind: _size_of_netpbm for kind in range(1, 7)},
}


def _size_of_heif(file: _Source, rotated: bool) -> Size:
    """Return the size of the primary item of an AVIF or HEIF file.

    It is unknown if the item is cropped or scaled: only half of all programs do that.
    """
    properties = _primary_properties(file)
    [shape] = [content for kind, content in properties if kind == b"ispe"]
    width, height = struct.unpack(">II", shape[4:12])
    for kind, content in properties:
        is_cropped = kind == b"clap" and _crops(content, width, height)
        is_scaled = kind == b"iscl"
        if is_cropped or is_scaled:
            return _UNKNOWN
        if kind == b"irot" and rotated and content[0] & 1:
            width, height = height, width
    return width, height


def _crops(clap: bytes, width: int, height: int) -> bool:
    """Return whether a clean aperture, given in fractions, is less than the whole image."""
    clean_width, width_divisor, clean_height, height_divisor = struct.unpack_from(">4I", clap)
    return bool(clean_width != width * width_divisor or clean_height != height * height_divisor)


def _primary_properties(file: _Source) -> list[tuple[bytes, bytes]]:
    """Return the kinds and contents of the properties of the primary item."""
    primary = -1
    containers = {b"ipco": b"", b"ipma": b""}
    for kind, content in _boxes(_meta(file)[4:]):
        if kind == b"pitm":
            primary = int.from_bytes(content[4 : 6 if content[0] == 0 else 8], "big")
        elif kind == b"iprp":
            for inner_kind, inner in _boxes(content):
                if inner_kind in containers:
                    containers[inner_kind] = inner
    listed = [*_boxes(containers[b"ipco"])]
    numbers = _property_numbers(primary, containers[b"ipma"])
    return [listed[number - 1] for number in numbers if number]


def _meta(file: _Source) -> bytes:
    """Return the content of the `meta` box of an AVIF or HEIF file.

    Raises:
        ValueError: It is a file of another kind.
    """
    at, kind, length = 0, b"", 0
    while kind != b"meta":
        at += length
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        start = 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            start = 16
        if length < start:
            raise ValueError(kind)
        if at == 0:
            _check_brands(file.read(length - start))
    return file.read(length - start)


def _check_brands(brands: bytes) -> None:
    found = {brands[at : at + 4] for at in range(0, len(brands), 4)}
    if _HEIF_BRANDS.isdisjoint(found):
        raise ValueError(brands)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kinds and contents of the boxes within the content of a box."""
    at = 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = at + length if length else len(data)
        if not start <= end <= len(data):
            raise ValueError(kind)
        yield kind, data[start:end]
        at = end


def _property_numbers(item: int, data: bytes) -> list[int]:
    """Return the numbers of the properties of an item from an `ipma` box: from 1; 0 is none."""
    item_bytes = 4 if data[0] > 0 else 2
    is_wide = data[3] & 1
    number_bytes, mask = (2, 0x7FFF) if is_wide else (1, 0x7F)
    (count,) = struct.unpack_from(">I", data, 4)
    at = 8
    for _ in range(count):
        start = at + item_bytes
        end = start + 1 + data[start] * number_bytes
        if int.from_bytes(data[at:start], "big") == item:
            return [
                int.from_bytes(data[one : one + number_bytes], "big") & mask
                for one in range(start + 1, end, number_bytes)
            ]
        at = end
    raise ValueError(item)
