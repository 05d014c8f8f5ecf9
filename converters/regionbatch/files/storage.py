"""Where the files of a dataset are: on this machine, or in a cloud.

Everything that opens a file of a dataset asks its storage, with the paths that `Tree.on_disk`
returns. A storage can be pickled, so that another process reads the same files.
"""

from __future__ import annotations

import os
from io import FileIO
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from regionbatch.files.folders import FolderLister
from regionbatch.files.image_headers import image_size
from regionbatch.files.text import UnreadableError, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import RawIOBase
    from pathlib import Path

    from regionbatch.files.folders import Lister
    from regionbatch.files.image_headers import Size


class Storage(Protocol):
    """Reads files and lists folders."""

    def lister(self, root: Path) -> Lister:
        """Return what lists the folders of a dataset."""

    def read_bytes(self, path: str, *, head_only: bool = False, most: int | None = None) -> bytes:
        """Return the bytes of a label file.

        Args:
            path: The path to open.
            head_only: Whether to return only the first bytes (at most 16 KiB).
            most: The largest size in bytes. [default: `text.MAX_LABEL_FILE_BYTES`]

        Raises:
            UnreadableError: The file is larger, or cannot be read.
        """

    def read_many(
        self, paths: Iterable[str], *, most: int | None = None
    ) -> Iterator[bytes | UnreadableError]:
        """Yield the bytes of label files in order, or why one cannot be read.

        Args:
            paths: The paths to open.
            most: As for `read_bytes`.
        """

    def read_ends(self, path: str, length: int) -> tuple[bytes, bytes]:
        """Return the first bytes of a file, and the last if there are more.

        Args:
            path: The path to open.
            length: The most bytes of each. The two parts do not overlap.

        Raises:
            OSError: The file cannot be read.
        """

    def open(self, path: str) -> RawIOBase:
        """Open a file for random access, without a buffer.

        Raises:
            OSError: The file cannot be opened.
        """

    def image_sizes(self, paths: Iterable[str], *, exif_rotation: bool = False) -> Iterator[Size]:
        """Yield the sizes of images in order; see `image_headers.image_size`."""


class LocalStorage:
    """The disks of this machine."""

    def lister(self, root: Path) -> FolderLister:
        """Return what lists the folders of a dataset."""
        return FolderLister(root)

    read_bytes = staticmethod(read_bytes)

    def read_many(
        self, paths: Iterable[str], *, most: int | None = None
    ) -> Iterator[bytes | UnreadableError]:
        """Yield the bytes of label files in order, or why one cannot be read."""
        for path in paths:
            try:
                yield read_bytes(path, most=most)
            except UnreadableError as error:
                yield error

    def read_ends(self, path: str, length: int) -> tuple[bytes, bytes]:
        """Return the first bytes of a file, and the last if there are more."""
        with open(path, "rb") as file:  # noqa: PTH123 - paths are text
            start = file.read(length)
            if len(start) < length:
                return start, b""
            file.seek(max(length, os.fstat(file.fileno()).st_size - length))
            return start, file.read(length)

    def open(self, path: str) -> FileIO:
        """Open a file for random access, without a buffer."""
        return FileIO(path)

    def image_sizes(self, paths: Iterable[str], *, exif_rotation: bool = False) -> Iterator[Size]:
        """Yield the sizes of images in order."""
        return (image_size(path, exif_rotation=exif_rotation) for path in paths)


LOCAL = LocalStorage()


def storage_of(_path: str) -> Storage:
    """Return the storage of a path that `Tree.on_disk` returned."""
    return LOCAL


def image_sizes(paths: Iterable[str], *, exif_rotation: bool = False) -> Iterator[Size]:
    """Yield the sizes of images in any storage, in order; see `image_headers.image_size`."""
    for storage, some in groupby(paths, storage_of):
        yield from storage.image_sizes(some, exif_rotation=exif_rotation)
