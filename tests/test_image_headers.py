"""The size of an image is that of Pillow or unknown, and few bytes of a hostile file are read."""

from __future__ import annotations

import io
import struct
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import pytest
from PIL import Image, features

from regionbatch.files import image_headers
from regionbatch.files.image_headers import MAX_BYTES_READ, MAX_SIDE, image_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = (201, 103)
IMAGE = Image.effect_noise(SIZE, 20)
ROTATED = Image.Exif()
ROTATED[0x112] = 6


def saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    IMAGE.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def several(kind: str, **options: Any) -> bytes:
    image = IMAGE.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, kind, save_all=True, append_images=[image.rotate(180)], **options)
    return buffer.getvalue()


def bmp(length: int, size: bytes) -> bytes:
    return (
        b"BM"
        + bytes(12)
        + struct.pack("<I", length)
        + size
        + struct.pack("<HH", 1, 24)
        + bytes(200)
    )


def box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def heif(
    *properties: bytes, used: tuple[int, ...] = (), brand: bytes = b"avif", primary: int = 1
) -> bytes:
    """Return the boxes of an image whose item 1 has some of the properties; by default all."""
    numbers = bytes(used or range(1, len(properties) + 1))
    associations = struct.pack(">IIHB", 0, 1, 1, len(numbers)) + numbers
    parts = (
        box(b"pitm", struct.pack(">IH", 0, primary)),
        box(b"iprp", box(b"ipco", *properties), box(b"ipma", associations)),
    )
    return box(b"ftyp", brand, bytes(4), b"miaf") + box(b"meta", bytes(4), *parts)


def ispe(width: int, height: int) -> bytes:
    return box(b"ispe", struct.pack(">III", 0, width, height))


def clap(width: int, height: int) -> bytes:
    return box(b"clap", struct.pack(">8I", width, 1, height, 1, 0, 1, 0, 1))


def webp(size: tuple[int, int], start: bytes = b"\x9d\x01\x2a") -> bytes:
    return (
        b"RIFF" + bytes(4) + b"WEBPVP8 " + bytes(7) + start + struct.pack("<HH", *size) + bytes(40)
    )


def gif(screen: tuple[int, int], frame: tuple[int, int, int, int]) -> bytes:
    extension = b"\x21\xfe\x05hello\x00"
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *screen, 0x80, 0, 0)
        + bytes(6)
        + extension
        + b","
        + struct.pack("<4H", *frame)
    )


MADE: dict[str, Callable[[], bytes]] = {
    "jpeg": partial(saved, "JPEG"),
    "grey jpeg": partial(saved, "JPEG", "L"),
    "cmyk jpeg": partial(saved, "JPEG", "CMYK"),
    "progressive jpeg": partial(saved, "JPEG", progressive=True),
    "jpeg with a profile": partial(saved, "JPEG", icc_profile=bytes(300_000)),
    "jpeg with a comment like a header": partial(
        saved, "JPEG", comment=b"\xff\xc0\x00\x11\x08" * 200
    ),
    "jpeg rotated by exif": partial(saved, "JPEG", exif=ROTATED),
    "mpo": partial(several, "MPO"),
    "png": partial(saved, "PNG"),
    "grey png": partial(saved, "PNG", "LA"),
    "one bit png": partial(saved, "PNG", "1"),
    "16 bit png": partial(saved, "PNG", "I;16"),
    "apng": partial(several, "PNG"),
    "gif": partial(saved, "GIF"),
    "animated gif": partial(several, "GIF", comment=bytes(5000)),
    "tiff": partial(saved, "TIFF"),
    "lzw tiff": partial(saved, "TIFF", compression="tiff_lzw"),
    "tiff of many pages": partial(several, "TIFF"),
    "big tiff": partial(saved, "TIFF", big_tiff=True),
    "bmp": partial(saved, "BMP"),
    "palette bmp": partial(saved, "BMP", "P"),
    "bmp with transparency": partial(saved, "BMP", "RGBA"),
    "webp": partial(saved, "WEBP"),
    "lossless webp": partial(saved, "WEBP", lossless=True),
    "webp with a profile": partial(saved, "WEBP", icc_profile=bytes(500)),
    "transparent webp": partial(saved, "WEBP", "RGBA"),
    "animated webp": partial(several, "WEBP"),
    "jpeg 2000": partial(saved, "JPEG2000"),
    "jpeg 2000 without boxes": partial(saved, "JPEG2000", no_jp2=True),
    "pbm": partial(saved, "PPM", "1"),
    "pgm": partial(saved, "PPM", "L"),
    "ppm": partial(saved, "PPM"),
    "avif": partial(saved, "AVIF"),
    "transparent avif": partial(saved, "AVIF", "RGBA"),
    "avif rotated by exif": partial(saved, "AVIF", exif=ROTATED),
    "animated avif": partial(several, "AVIF"),
    "bmp of os/2": partial(bmp, 12, struct.pack("<HH", *SIZE)),
    "bmp stored from top to bottom": partial(bmp, 40, struct.pack("<ii", SIZE[0], -SIZE[1])),
    "bmp v5": partial(bmp, 124, struct.pack("<ii", *SIZE)),
    "ppm with comments": lambda: (
        b"P6\n# by hand 9 9\n201 # wide\n103\n255\n" + bytes(3 * 201 * 103)
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_the_size_is_that_of_pillow(name: str, tmp_path: Path) -> None:
    if "avif" in name and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    path = tmp_path / "a.img"
    path.write_bytes(MADE[name]())
    with Image.open(path) as image:
        assert image.size == SIZE
    assert image_size(str(path)) == SIZE
    if "rotated" in name:
        assert image_size(str(path), exif_rotation=True) == SIZE[::-1]


UNKNOWN = {
    "clean aperture": heif(ispe(200, 100), clap(100, 50)),
    "scaled": heif(ispe(200, 100), box(b"iscl", bytes(8))),
    "two sizes": heif(ispe(200, 100), ispe(20, 10)),
    "no size": heif(box(b"pixi", bytes(8))),
    "a missing property": heif(ispe(200, 100), used=(7,)),
    "size of another item": heif(ispe(200, 100), primary=2),
    "another brand": heif(ispe(200, 100), brand=b"mp42"),
    "gif with a frame larger than its screen": gif((100, 50), (0, 0, 200, 100)),
    "gif with a frame beyond its screen": gif((200, 100), (150, 0, 100, 100)),
    "gif without a frame": gif((200, 100), (0, 0, 9, 9))[:-9],
    "bmp with another header": bmp(13, struct.pack("<ii", 200, 100)),
    "a text": b"BMW 320i\nand more of the same, and more of the same",
    "webp without its code": webp((200, 100), b"abc"),
    "too wide": b"P6\n2000000 10\n255\n",
    "more than 32 bits": b"\x89PNG\r\n\x1a\n"
    + struct.pack(">I4sII5B", 13, b"IHDR", 2**31 + 5, 100, 8, 2, 0, 0, 0),
    "svg": b'<svg xmlns="x" width="' + b"9" * 400 + b'" height="9"/>',
    "empty": b"",
    "broken": bytes(range(256)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_the_size_is_unknown_if_programs_disagree(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.img").write_bytes(UNKNOWN[name])
    assert image_size(str(tmp_path / "a.img")) == (0, 0)


@pytest.mark.parametrize(
    ("content", "size", "rotated"),
    [
        (heif(ispe(200, 100)), (200, 100), (200, 100)),
        (heif(ispe(200, 100), clap(200, 100)), (200, 100), (200, 100)),
        (heif(ispe(200, 100), box(b"irot", b"\x01")), (200, 100), (100, 200)),
        (heif(ispe(200, 100), box(b"irot", b"\x02")), (200, 100), (200, 100)),
        (heif(ispe(20, 10), ispe(200, 100), used=(2,), brand=b"heic"), (200, 100), (200, 100)),
        (webp((200 | 0x4000, 100 | 0xC000)), (200, 100), (200, 100)),
        (gif((200, 100), (50, 50, 150, 50)), (200, 100), (200, 100)),
        (bmp(12, struct.pack("<HH", 200, 100)), (200, 100), (200, 100)),
    ],
)
def test_the_size_of_files_made_by_hand(
    content: bytes, size: tuple[int, int], rotated: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(content)
    assert image_size(str(path)) == size
    assert image_size(str(path), exif_rotation=True) == rotated


def iloc() -> bytes:
    """Return an AVIF of 2.5 KB with items of 65,535 empty parts each."""
    items = b"".join(struct.pack(">HHH", number, 0, 0xFFFF) for number in range(400))
    locations = box(b"iloc", bytes(4), b"\0\0", struct.pack(">H", 400), items)
    return box(b"ftyp", b"avif", bytes(4)) + box(b"meta", bytes(4), locations)


HOSTILE = {
    "iloc": iloc(),
    "a meta box of 2 GB": box(b"ftyp", b"avif", bytes(4)) + struct.pack(">I4s", 2**31, b"meta"),
    "an ftyp box of 2 GB": struct.pack(">I4s", 2**31, b"ftyp"),
    "boxes without end": box(b"ftyp", b"avif", bytes(4)) + box(b"free") * 300_000,
    "small properties": heif(*[box(b"free")] * 100_000, used=(1,)),
    "jpeg and zeros": b"\xff\xd8\xff\xe0" + bytes(5_000_000),
    "jpeg of segments": b"\xff\xd8" + b"\xff\xe0\x00\x02" * 1_000_000,
    "jpeg of fillers": b"\xff\xd8" + b"\xff" * 5_000_000,
    "ppm comment": b"P6\n#" + b"x" * 5_000_000,
    "ppm whitespace": b"P6" + b" " * 5_000_000,
    "ppm digits": b"P6\n" + b"9" * 5_000_000,
    "ppm zeros": b"P6\n12 " + b"0" * 5_000_000,
    "ppm comments": b"P6\n" + b"#\n" * 2_500_000,
    "gif of extensions": b"GIF89a" + bytes(7) + b"\x21\xfe\x00" * 1_000_000,
    "gif of blocks": b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\x01a" * 1_000_000,
    "tiff of entries": b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60) + b"\x07" * 5_000_000,
    "jp2 of boxes": b"\0\0\0\x0cjP  \r\n\x87\n" + box(b"free") * 300_000,
}


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (b"P5\n12 34\n255\n", (12, 34)),
        (b"P5\r\n12\t0034\n255\n", (12, 34)),
        (b"P4 12 34\n", (12, 34)),
        (b"P6\n# 1 2\n#\n12 # 5\n# 6\n 34 # 7\n255\n", (12, 34)),
        (b"P6\r# 1 2\r12 34\r255\r\x01\n7 9 ", (12, 34)),
        (b"P6\n#" + b"x" * 30_000 + b"\n12 34\n", (12, 34)),
        (b"P5\n12# programs disagree\n34 5\n255\n", (0, 0)),
        (b"P5\n12 34# programs disagree\n5\n255\n", (0, 0)),
        (b"P5\n12 3", (0, 0)),
        (b"P612 34\n255\n", (0, 0)),
        (b"P6 12x34\n255\n", (0, 0)),
        (b"P6 12 34x\n255\n", (0, 0)),
        (b"P6 12 " + b"0" * 30 + b"34\n255\n", (0, 0)),
        (b"P7 12 34\n255\n", (0, 0)),
        (b"P6 12 # 34", (0, 0)),
    ],
)
def test_the_size_of_netpbm_files(header: bytes, size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "a.ppm"
    path.write_bytes(header)
    assert image_size(str(path)) == size


def test_the_size_of_a_netpbm_file_is_not_half_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ppm"
    sizes = []
    for length in range(2**15 - 20, 2**15):
        path.write_bytes((b"P6\n#" + b"x" * length)[:length] + b"\n640 480\n255\n")
        sizes.append(image_size(str(path)))
    assert {*sizes} == {(640, 480), (0, 0)}


class CountingFile:
    """A file that counts the bytes of each read."""

    def __init__(self, file: IO[bytes], counts: list[int]) -> None:
        self._file, self._counts = file, counts

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._counts.append(len(data))
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("exif_rotation", [False, True])
def test_few_bytes_of_a_hostile_file_are_read(
    name: str, exif_rotation: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_headers, "MAX_READS", 1024)  # with more, some take a second
    path = tmp_path / "a.img"
    path.write_bytes(HOSTILE[name])
    counts: list[int] = []
    size_of = image_headers._size

    def counted(file: Any, rotated: bool) -> tuple[int, int]:
        file._file = CountingFile(file._file, counts)
        return size_of(file, rotated)

    monkeypatch.setattr(image_headers, "_size", counted)
    assert image_size(str(path), exif_rotation=exif_rotation) == (0, 0)
    assert sum(counts) <= MAX_BYTES_READ
    assert len(counts) <= (2 if name.startswith("ppm") else image_headers.MAX_READS)


def test_the_longest_plausible_side() -> None:
    assert 2**16 < MAX_SIDE < 2**31
