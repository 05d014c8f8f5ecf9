"""Images encoded again as JPEG, where the service would not take the file. Needs Pillow.

The files are anybody's. So only parsers of formats that images of a dataset have are tried (that of EPS would start
Ghostscript), an image is decoded only if its header says that it fits into memory, and one at a time.
"""

from __future__ import annotations

import io
import threading
import warnings
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.errors import OptionError
from regionbatch.limits import IMAGE_BYTES, IMAGE_SIDE

if TYPE_CHECKING:
    from PIL import Image

FILE_BYTES = 2**28
"""Largest file that is encoded again: it is held in memory."""

PIXELS = 2**26
"""Most pixels of an image that is encoded again: decoded, each takes up to 8 bytes."""

_QUALITY = 90
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM")
_ORIENTATION = 0x0112
_ONE_AT_A_TIME = threading.Lock()


def shrunk(content: bytes) -> bytes:
    """Return an image as a JPEG that the service takes. The same image gives the same bytes.

    Raises:
        OptionError: Pillow is not installed.
        OSError: It cannot be read or encoded.
    """
    try:
        import PIL  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise OptionError('--shrink: Pillow is missing; install it with: pip install "regionbatch[shrink]"') from error
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts that are broken, and of sizes that are checked here
            return _encoded(content)
    except Exception as error:  # a hostile image may break the library in any way
        raise OSError(str(error) or type(error).__name__) from error


def _encoded(content: bytes) -> bytes:
    from PIL import Image  # noqa: PLC0415 - an extra

    Image.init()
    with Image.open(io.BytesIO(content), formats=[name for name in _FORMATS if name in Image.OPEN]) as opened:
        width, height = opened.size
        if width * height > PIXELS:
            raise OSError(too_many_pixels(width, height))
        orientation = opened.getexif().get(_ORIENTATION)
        opened.load()
        picture = _eight_bits(opened)
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        if opened.getexif().get(_ORIENTATION) != orientation:
            picture = _as_stored(picture, int(orientation or 1))
        # Only its orientation, which goes on meaning what it meant: the rest may be too long for a JPEG, or broken.
        exif = Image.Exif()
        if isinstance(orientation, int) and 1 <= orientation <= 8:
            exif[_ORIENTATION] = orientation
        side = min(IMAGE_SIDE, max(picture.size))
        while True:
            picture.thumbnail((side, side))
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=_QUALITY, exif=exif)
            if buffer.tell() <= IMAGE_BYTES:
                return buffer.getvalue()
            side = side * 4 // 5


def too_many_pixels(width: int, height: int) -> str:
    """Say why an image is not encoded again."""
    return f"{width} x {height}, too large to be encoded again: more than {PIXELS} pixels"


def _as_stored(picture: Image.Image, orientation: int) -> Image.Image:
    """Return an image that Pillow has rotated while it read it, as it does with TIFF, as it is stored: so are boxes."""
    from PIL.Image import Transpose  # noqa: PLC0415 - an extra

    back = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_90,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_270,
    }
    return picture.transpose(back[orientation]) if orientation in back else picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Return an image of 16 bits a pixel with 8; Pillow would make nearly all of it white.

    Raises:
        OSError: How bright its values are cannot be known.
    """
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.asarray(picture)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 0xFFFF:
        raise OSError(f"pixels from {values.min()} to {values.max()}; save it with 8 or 16 bits a pixel")
    from PIL import Image  # noqa: PLC0415 - an extra

    return Image.fromarray((values // 256).astype(np.uint8))
