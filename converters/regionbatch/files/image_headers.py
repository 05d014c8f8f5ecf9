"""The size of images, from the first bytes of their files."""

from __future__ import annotations


def image_size(path: str, *, exif_rotation: bool = False) -> tuple[int, int]:
    """Return width and height in pixels as stored, or as rotated by EXIF; (0, 0) if the file does not say."""
    import imagesize  # noqa: PLC0415 - it loads an HTTP client; label files need none

    try:
        width, height = imagesize.get(path, exif_rotation=exif_rotation)
    except Exception:  # noqa: BLE001 - a hostile image may break the library in any way
        return 0, 0
    return (int(width), int(height)) if width > 0 and height > 0 else (0, 0)
