"""Re-encoding images that the service would refuse."""

from __future__ import annotations

import io
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from customvision.rehearsal import rehearsal, upload, write_image
from PIL import Image, ImageFile

import regionbatch as rb
from helpers import mentions, raises_mentioning, write_coco
from regionbatch.customvision import shrink
from regionbatch.customvision.shrink import shrink_image
from regionbatch.limits import IMAGE_BYTES, IMAGE_SIDE

if TYPE_CHECKING:
    from pathlib import Path


def test_an_image_that_breaks_pillow_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow raises many errors for a broken file: SyntaxError, struct.error, ValueError."""
    for number, name in enumerate(("a.webp", "b.webp")):
        write_image(tmp_path / name, colour=number)
    dataset = rb.read(
        write_coco(tmp_path, [(name, "cat", (1, 1, 5, 5)) for name in ("a.webp", "b.webp")])
    )
    open_picture, broken = Image.open, (tmp_path / "a.webp").read_bytes()

    def opened(file: io.BytesIO, **more: Any) -> Image.Image:
        if file.getvalue() == broken:
            raise SyntaxError("not a TIFF file")
        return open_picture(file, **more)

    monkeypatch.setattr(Image, "open", opened)
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, shrink=True)
    assert (result.created, result.failed) == (1, 1)
    [refused] = result.findings.first("image_refused")
    assert refused.file == "a.webp"
    assert mentions(refused.value, "ErrorSource", "not a TIFF file"), "with the message of Pillow"


def test_shrinking_keeps_the_aspect_ratio_and_the_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    Image.frombytes("RGB", (3000, 2000), random.Random(0).randbytes(18_000_000)).save(
        tmp_path / "a.jpg", quality=100, exif=exif
    )
    assert (tmp_path / "a.jpg").stat().st_size > IMAGE_BYTES
    content = shrink_image((tmp_path / "a.jpg").read_bytes())
    assert len(content) <= IMAGE_BYTES
    (tmp_path / "b.jpg").write_bytes(content)
    with Image.open(tmp_path / "b.jpg") as smaller:
        assert smaller.width / smaller.height == pytest.approx(1.5, rel=1e-3)
        assert smaller.getexif()[0x112] == 6
    assert shrink_image((tmp_path / "a.jpg").read_bytes()) == content


def test_an_image_of_16_bits_keeps_its_grey_values(tmp_path: Path) -> None:
    ramp = np.linspace(1_000, 40_000, 64 * 64).astype(np.uint16).reshape(64, 64)
    for form in ("TIFF", "PNG"):
        Image.fromarray(ramp).save(tmp_path / "ramp", form)
        with Image.open(io.BytesIO(shrink_image((tmp_path / "ramp").read_bytes()))) as smaller:
            greys = np.asarray(smaller.convert("L"), int)
        assert np.abs(greys - ramp // 256).max() < 4
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "ramp", "TIFF")
    with raises_mentioning(OSError, 1000.0, 40000.0, 8, 16):
        shrink_image((tmp_path / "ramp").read_bytes())


def test_an_image_that_cannot_be_re_encoded_is_refused_alone(tmp_path: Path) -> None:
    write_image(tmp_path / "good.png")
    Image.new("1", (14_000, 14_000)).save(tmp_path / "huge.png")
    (tmp_path / "text.webp").write_bytes(b"not an image")
    names = ("good.png", "huge.png", "text.webp")
    dataset = rb.read(write_coco(tmp_path, [(name, "cat", (1, 1, 5, 5)) for name in names]))
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, shrink=True)
        reasons = {
            finding.file: finding.value
            for finding in result.findings
            if finding.code == "image_refused"
        }
        assert mentions(reasons["huge.png"], "ErrorImageSize", 14_000, shrink.PIXELS)
        assert mentions(reasons["text.webp"], "ErrorSource")
        assert (result.created, result.failed) == (1, 2)


def refusal(path: Path) -> str:
    """Upload a dataset with an image that cannot be re-encoded; return the reason."""
    write_image(path.with_name("good.png"))
    names = ("good.png", path.name)
    dataset = rb.read(write_coco(path.parent, [(name, "cat", (1, 1, 5, 5)) for name in names]))
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, shrink=True)
    assert (result.created, result.failed) == (1, 1)
    [refused] = result.findings.first("image_refused")
    assert refused.file == path.name
    return refused.value


@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF", "PPM"])
def test_an_image_of_too_many_pixels_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """The number is in its header. Two files of 335 KB once took 2 GB."""
    file = io.BytesIO()
    Image.new("1", (8_200, 8_200)).save(file, form)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("it was decoded"))
    with raises_mentioning(OSError, 8_200, shrink.PIXELS):
        shrink_image(file.getvalue())


@pytest.mark.parametrize("kind", ["EPS", "PSD", "FITS", "PDF"])
def test_only_common_image_formats_are_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The parser of EPS would start Ghostscript."""
    starts = {
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "PSD": b"8BPS",
        "FITS": b"SIMPLE  =",
    }
    (tmp_path / "a.tiff").write_bytes(starts.get(kind, b"%PDF-1.4") + bytes(100))
    Image.init()
    for name in {*Image.OPEN} - {*shrink._FORMATS}:
        monkeypatch.setitem(Image.OPEN, name, (lambda *_: pytest.fail("parsed"), lambda _: True))
    assert mentions(refusal(tmp_path / "a.tiff"), "ErrorSource")


def test_a_tiff_with_many_strips_is_re_encoded(tmp_path: Path) -> None:
    """The rest of its EXIF data is too long for a JPEG."""
    Image.new("RGB", (8, 20_000)).save(tmp_path / "a.tiff", tiffinfo={278: 1})
    with Image.open(io.BytesIO(shrink_image((tmp_path / "a.tiff").read_bytes()))) as smaller:
        assert smaller.height == IMAGE_SIDE


@pytest.mark.parametrize("form", ["WEBP", "JPEG", "TIFF"])
def test_an_image_with_broken_exif_does_not_end_the_run(form: str) -> None:
    """It is re-encoded without EXIF data, or refused alone."""
    chance = random.Random(form)
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "maker" * 9
    good, encoded = io.BytesIO(), 0
    Image.new("RGB", (40, 20)).save(good, form, exif=exif)
    for _ in range(200):
        content = bytearray(good.getvalue())
        at = content.rfind(b"maker") - chance.randrange(100)
        content[at : at + 3] = chance.randbytes(3)
        with suppress(OSError):
            encoded += bool(shrink_image(bytes(content)))
    assert encoded


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_re_encoded_image_is_not_rotated(form: str, orientation: int) -> None:
    """Boxes fit the stored image. Pillow rotates a TIFF when it loads it."""
    exif = Image.Exif()
    exif[0x112] = orientation
    pixels = np.zeros((40, 64), np.uint8)
    pixels[:8, :16] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(file, form, exif=exif)
    with Image.open(io.BytesIO(shrink_image(file.getvalue()))) as smaller:
        assert smaller.getexif()[0x112] == orientation
        assert np.abs(np.asarray(smaller.convert("L"), int) - pixels).max() < 64
