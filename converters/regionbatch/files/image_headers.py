"""The size of images, from the first bytes of their files: right, or unknown.

`imagesize` reads JPEG, PNG, TIFF, JPEG 2000 and Netpbm. What it gets wrong is read here: BMP with the header of OS/2,
WebP with scale bits, GIF whose first frame is larger than its screen, AVIF and HEIF. Each file has a budget.
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Size = tuple[int, int]

LARGEST_SIDE = 2**20
"""Pixels. No picture has a longer side; a header that says so is broken."""

MOST_BYTES = 2**20
"""Bytes of a file that are read for its size. What is longer than a header is skipped, and not read."""

MOST_READS = 4096
"""How often a file is read from for its size."""

_HEAD = 64
_BMP_HEADERS = (16, 40, 52, 56, 64, 108, 124)
"""Lengths of BMP headers with 32-bit sides; that of OS/2 has 12 bytes and 16-bit sides."""
_HEIF_BRANDS = frozenset((b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"msf1"))


class _Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class _Budgeted:
    """A file that can be read a few times only. Without it, a header of 2 KB may ask for gigabytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._bytes, self._reads = file, MOST_BYTES, MOST_READS

    def read(self, size: int = -1) -> bytes:
        if not (0 <= size <= self._bytes and self._reads > 0):
            raise ValueError("the budget is used up")
        data = self._file.read(size)
        self._bytes -= len(data)
        self._reads -= 1
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)


def image_size(path: str, *, exif_rotation: bool = False) -> Size:
    """Return width and height in pixels as stored, or as the file says it is to be rotated.

    (0, 0) where the file does not say, or readers of images do not agree.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - text: there may be 200,000 paths
            width, height = _size(_Budgeted(file), exif_rotation)
    except Exception:  # noqa: BLE001 - a hostile image may break the parsers in any way
        return 0, 0
    return (width, height) if 0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE else (0, 0)


def _size(file: _Source, exif_rotation: bool) -> Size:
    head = file.read(_HEAD)
    if head.startswith(_BY_IMAGESIZE) or (head[:1] == b"P" and head[1:2] in _NETPBM):
        import imagesize  # noqa: PLC0415 - it loads an HTTP client; label files need none

        size: Size = imagesize.get(file, exif_rotation=exif_rotation)
        return size
    if head[4:8] == b"ftyp":
        return _size_of_heif(file, exif_rotation)
    own = next((size_of for start, size_of in _OWN.items() if head.startswith(start)), None)
    return own(head, file) if own else (0, 0)


_BY_IMAGESIZE = (b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"\0\0\0\x0cjP  \r\n\x87\n")
_NETPBM = (b"1", b"2", b"3", b"4", b"5", b"6")


def _size_of_bmp(head: bytes, _file: _Source) -> Size:
    (length,) = struct.unpack_from("<I", head, 14)
    if length == 12:
        width, height = struct.unpack_from("<HH", head, 18)
    elif length in _BMP_HEADERS:
        width, height = struct.unpack_from("<ii", head, 18)
    else:
        return 0, 0
    return width, abs(height)  # negative: the first row is the top one


def _size_of_webp(head: bytes, _file: _Source) -> Size:
    if head[8:12] != b"WEBP":
        return 0, 0
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF  # the two bits above are a scale, which no decoder obeys
    return 0, 0


def _size_of_gif(head: bytes, file: _Source) -> Size:
    """Return the size of the screen, unless the first frame reaches over it: some readers then take that."""
    width, height, flags = struct.unpack_from("<HHB", head, 6)
    file.seek(13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    while (block := file.read(1)) == b"\x21":  # an extension
        file.read(1)
        while length := file.read(1)[0]:
            file.seek(length, 1)
    left, top, across, down = struct.unpack("<4H", file.read(8))
    fits = block == b"\x2c" and left + across <= width and top + down <= height
    return (width, height) if fits else (0, 0)


def _size_of_codestream(head: bytes, _file: _Source) -> Size:
    """Return the size of JPEG 2000 without the boxes of a JP2 around it."""
    right, bottom, left, top = struct.unpack_from(">4I", head, 8)
    return right - left, bottom - top


_OWN: dict[bytes, Callable[[bytes, _Source], Size]] = {
    b"BM": _size_of_bmp,
    b"RIFF": _size_of_webp,
    b"GIF87a": _size_of_gif,
    b"GIF89a": _size_of_gif,
    b"\xff\x4f\xff\x51": _size_of_codestream,
}


def _size_of_heif(file: _Source, rotated: bool) -> Size:
    """Return the size of the primary item of an AVIF or HEIF file.

    It is unknown where only a part of the item is to be shown: half of all readers show the whole.
    """
    primary, parts = -1, dict.fromkeys((b"ipco", b"ipma"), b"")
    for kind, content in _boxes(_meta(file)[4:]):
        if kind == b"pitm":
            primary = int.from_bytes(content[4 : 6 if content[0] == 0 else 8], "big")
        elif kind == b"iprp":
            parts.update((kind, content) for kind, content in _boxes(content) if kind in parts)
    listed = [*_boxes(parts[b"ipco"])]
    properties = [listed[number - 1] for number in _properties_of(primary, parts[b"ipma"]) if number]
    [shape] = [content for kind, content in properties if kind == b"ispe"]
    width, height = struct.unpack(">II", shape[4:12])
    for kind, content in properties:
        if kind == b"clap":
            across, in_parts, down, down_parts = struct.unpack_from(">4I", content)
            if (across, down) != (width * in_parts, height * down_parts):
                return 0, 0
        elif kind == b"iscl":  # scaled
            return 0, 0
        elif kind == b"irot" and rotated and content[0] & 1:
            width, height = height, width
    return width, height


def _meta(file: _Source) -> bytes:
    """Return the box of an AVIF or HEIF file that describes it; raise ValueError if it is another file."""
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
            brands = file.read(length - start)
            if _HEIF_BRANDS.isdisjoint(brands[place : place + 4] for place in range(0, len(brands), 4)):
                raise ValueError(brands)
    return file.read(length - start)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kinds and contents of the boxes in a box."""
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


def _properties_of(item: int, data: bytes) -> list[int]:
    """Return the numbers of the properties of an item, from 1; 0: none."""
    wide_item, wide_number = data[0] > 0, data[3] & 1
    (count,) = struct.unpack_from(">I", data, 4)
    at, step = 8, 2 if wide_number else 1
    for _ in range(count):
        start = at + (4 if wide_item else 2)
        end = start + 1 + data[start] * step
        if int.from_bytes(data[at:start], "big") == item:
            mask = 0x7FFF if wide_number else 0x7F
            return [int.from_bytes(data[one : one + step], "big") & mask for one in range(start + 1, end, step)]
        at = end
    raise ValueError(item)
