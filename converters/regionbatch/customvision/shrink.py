"""Re-encode as JPEG the images that the service would refuse. Needs Pillow (the extra `shrink`).

The files may come from anywhere. So only the parsers of formats that datasets use are tried (the
EPS parser would start Ghostscript), an image is decoded only if its header says that it fits into
memory, and only one image is decoded at a time.
"""

from __future__ import annotations

import io
import threading
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.errors import OptionError
from regionbatch.limits import IMAGE_BYTES, IMAGE_SIDE

if TYPE_CHECKING:
    from PIL import Image

FILE_BYTES = 2**28
"""Size of the largest file that is re-encoded: it is read into memory."""

PIXELS = 2**26
"""Maximum pixels of an image that is re-encoded: a decoded pixel takes up to 8 bytes."""

_QUALITY = 90
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM")
_ORIENTATION = 0x0112
_ONE_AT_A_TIME = threading.Lock()


def shrink_image(content: bytes) -> bytes:
    """Re-encode an image file as a JPEG that the service accepts.

    The same image always gives the same bytes, so that a repeated upload is recognised.

    Raises:
        OptionError: Pillow is not installed.
        OSError: The image cannot be read or encoded.
    """
    try:
        import PIL  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise OptionError(
            'shrink: Pillow is not installed. Install it: pip install "regionbatch[shrink]".',
            option="shrink",
        ) from error
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            # Pillow warns of broken parts, and of sizes, which are checked here.
            warnings.simplefilter("ignore")
            return _encode(content)
    except Exception as error:  # a hostile image may break the library in any way
        raise OSError(str(error) or type(error).__name__) from error


class DecodedImage(NamedTuple):
    """An image as it is stored, with 8 bits per channel."""

    image: Image.Image
    size: tuple[int, int]
    """Width and height of the file's image; `image` may be smaller."""
    orientation: int
    """EXIF's value for how to rotate or mirror the image, 1 to 8; 0: there is none."""


def decode(content: bytes, smallest_side: int | None = None) -> DecodedImage:
    """Decode an image file, as stored: a rotation that EXIF asks for is not applied.

    The metadata of the file is left out.

    Args:
        content: The file.
        smallest_side: If given, a JPEG may be decoded at a fraction of its size, with sides of at
            least this many pixels. That is several times as fast.

    Raises:
        OSError: It has too many pixels, or its range of values is unknown.
        Exception: A hostile image may break the library in any way.
    """
    from PIL import Image  # noqa: PLC0415 - an extra

    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    with Image.open(io.BytesIO(content), formats=formats) as opened:
        width, height = opened.size
        if width * height > PIXELS:
            raise OSError(too_many_pixels(width, height))
        orientation = opened.getexif().get(_ORIENTATION)
        if smallest_side is not None:
            opened.draft("RGB", (smallest_side, smallest_side))
        opened.load()
        image = _as_eight_bits(opened)
        if image.mode != "RGB":
            image = image.convert("RGB")
        if opened.getexif().get(_ORIENTATION) != orientation:
            image = _as_stored(image, int(orientation or 1))
        if not (isinstance(orientation, int) and 1 <= orientation <= 8):
            orientation = 0
        # Pillow would write the comment of a file into every JPEG that is made from it.
        image.info = {}
        return DecodedImage(image, (width, height), orientation)


def _encode(content: bytes) -> bytes:
    from PIL import Image  # noqa: PLC0415 - an extra

    decoded = decode(content)
    # Of the metadata only the orientation is kept; the rest may be broken or too long.
    exif = Image.Exif()
    if decoded.orientation:
        exif[_ORIENTATION] = decoded.orientation
    return _smaller_jpeg(decoded.image, exif)


def _smaller_jpeg(image: Image.Image, exif: Image.Exif) -> bytes:
    """Encode an image, made smaller until the service accepts it."""
    side = min(IMAGE_SIDE, max(image.size))
    while True:
        image.thumbnail((side, side))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=_QUALITY, exif=exif)
        if buffer.tell() <= IMAGE_BYTES:
            return buffer.getvalue()
        side = side * 4 // 5


def too_many_pixels(width: int, height: int) -> str:
    """Return why an image is too large to be re-encoded."""
    return f"{width} x {height}, too large to re-encode: more than {PIXELS} pixels"


def _as_stored(image: Image.Image, orientation: int) -> Image.Image:
    """Undo the rotation that Pillow applies when it loads a TIFF: boxes fit the stored image."""
    from PIL.Image import Transpose  # noqa: PLC0415 - an extra

    inverse = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_90,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_270,
    }
    return image.transpose(inverse[orientation]) if orientation in inverse else image


def _as_eight_bits(image: Image.Image) -> Image.Image:
    """Scale an image of 16 bits per pixel to 8 bits. Pillow would make nearly all of it white.

    Raises:
        OSError: The range of its values is unknown.
    """
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 0xFFFF:
        raise OSError(
            f"pixel values from {values.min()} to {values.max()}; "
            "save the image with 8 or 16 bits per pixel"
        )
    from PIL import Image  # noqa: PLC0415 - an extra

    return Image.fromarray((values // 256).astype(np.uint8))
