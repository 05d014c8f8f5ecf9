"""Files in a cloud as file objects: files that are read in blocks, and the beginnings of images."""

from __future__ import annotations

import io
import os
import tempfile
from typing import TYPE_CHECKING, Protocol

from regionbatch.files.cloud_fetch import CloudError
from regionbatch.files.image_headers import size_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from regionbatch.files.image_headers import Size

    Fetch = Callable[[int, int], bytes]
    """Returns the bytes of a file from one offset to another."""

BLOCK_SIZE = 2**22
"""Bytes that are fetched at once from a large file."""
_MOST_BLOCKS = 8
"""Blocks that are fetched at a time when a file is read from start to end."""

IMAGE_HEAD = 2**15
"""Bytes of an image that are fetched at first. Nearly every image has its size in them."""
_MORE_HEAD = 2**9
"""Bytes that are fetched at a later position, for a header after a large block of metadata."""
_MOST_FETCHES = 256
"""Maximum fetches for the size of one image, because each is a call to the cloud."""


class _Map(Protocol):
    def __call__(
        self, function: Callable[[int], bytes], items: Iterable[int], /
    ) -> Iterator[bytes]: ...


class CloudFile(io.RawIOBase):
    """A file for random access. Each block is fetched once and kept in a temporary file."""

    def __init__(
        self, fetch: Fetch, map_: _Map, size: int, state: Callable[[], tuple[object, ...]]
    ) -> None:
        """Open a file; nothing is fetched yet.

        Args:
            fetch: Fetches bytes of it.
            map_: Calls a function for several blocks at a time; see `Fetcher.map`.
            size: Its size in bytes.
            state: Returns a value that changes whenever the file does.
        """
        super().__init__()
        self.state = state
        self.opened = state()
        """The state before any byte was fetched."""
        self.size = size
        self._fetch = fetch
        self._map = map_
        self._kept = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self._known: set[int] = set()
        self._next = -1
        """The block after the last one that was fetched, and how many to fetch if it is wanted."""
        self._ahead = 1
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Set and return the position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, target: bytearray | memoryview, /) -> int:  # type: ignore[override] # narrower
        """Fill a buffer from the position on, and return how many bytes there were."""
        view = memoryview(target)
        length = min(len(view), self.size - self._at)
        if length <= 0:
            return 0
        first, last = self._at // BLOCK_SIZE, (self._at + length - 1) // BLOCK_SIZE
        for block in range(first, last + 1):
            if block not in self._known:
                self._fetch_from(block)
        self._kept.seek(self._at)
        read = self._kept.readinto(view[:length])
        self._at += read
        return int(read)

    def _fetch_from(self, block: int) -> None:
        """Fetch a block, and more of them the longer the file is read in order."""
        self._ahead = min(2 * self._ahead, _MOST_BLOCKS) if block == self._next else 1
        end = min(block + self._ahead, -(-self.size // BLOCK_SIZE))
        blocks = [each for each in range(block, end) if each not in self._known]
        for each, content in zip(blocks, self._map(self._fetch_block, blocks), strict=True):
            self._kept.seek(each * BLOCK_SIZE)
            rest = memoryview(content)
            while rest:  # one call may not write all
                rest = rest[self._kept.write(rest) :]
            self._known.add(each)
        self._next = end

    def _fetch_block(self, block: int) -> bytes:
        start = block * BLOCK_SIZE
        end = min(start + BLOCK_SIZE, self.size)
        content = self._fetch(start, end)
        if len(content) != end - start:
            raise CloudError("the file changed while it was being read")
        return content

    def close(self) -> None:
        """Delete the temporary file."""
        if not self.closed:
            self._kept.close()
        super().close()


class _ImageFile:
    """An image of which only the parts that are read are fetched."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._start = 0
        self._fetches = 0
        self._part = self._fetched(0, IMAGE_HEAD)
        self._head = self._part
        self._at = 0

    def _fetched(self, start: int, length: int) -> bytes:
        end = min(start + length, self._size)
        self._fetches += 1
        if self._fetches > _MOST_FETCHES:
            raise ValueError("too much is read for the size of an image")
        return self._fetch(start, end) if end > start else b""

    def read(self, length: int = -1, /) -> bytes:
        """Return bytes from the position on."""
        length = max(0, min(length, self._size - self._at))  # no call for bytes after the end
        within = self._at - self._start
        if self._at + length <= len(self._head):
            self._part, self._start, within = self._head, 0, self._at
        elif not 0 <= within <= within + length <= len(self._part):
            self._part = self._fetched(self._at, max(length, _MORE_HEAD))
            self._start, within = self._at, 0
        found = self._part[within : within + length]
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Set and return the position."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at


def image_sizes_in(fetch: Fetch, size: int) -> tuple[Size, Size]:
    """Return width and height of an image, as stored and after the rotation that it asks for.

    Args:
        fetch: Fetches bytes of the file.
        size: Its size in bytes.

    Raises:
        OSError: The beginning of the file cannot be fetched.
    """
    file = _ImageFile(fetch, size)
    stored = size_in(file, exif_rotation=False)
    file.seek(0)
    return stored, size_in(file, exif_rotation=True)
