"""Digests by which a later run recognises image files, regions and the whole dataset."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.boxes import hash_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Dataset

HASH_BYTES = np.dtype(np.uint64).itemsize
"""Bytes of the hash of a region."""
_REMOTE = -1
"""The inode of an image that is not on this machine."""


class FileFingerprint(NamedTuple):
    """Size, times, inode and digest of a file, to find out whether it has changed."""

    size: int
    """In bytes."""
    modified_ns: int
    """Time of the last change of the content, in nanoseconds. Any program can set it."""
    changed_ns: int
    """Time of the last change of content or metadata, in nanoseconds. No program can set it."""
    inode: int
    """Number of the file on its disk. A file that is moved to this path has another number."""
    digest: bytes
    """SHA-256 of the content or, if the service fetches the image, of its path and version."""

    @property
    def is_remote(self) -> bool:
        """Whether the service fetched the image, so that the content is unknown."""
        return self.inode == _REMOTE


def remote_fingerprint(path: str, version: str) -> FileFingerprint:
    """Return the fingerprint of an image that the service fetches.

    Args:
        path: The path of the image.
        version: A text that changes whenever the image does.
    """
    digest = hashlib.sha256(f"{path}\0{version}".encode(errors="surrogatepass")).digest()
    return FileFingerprint(0, 0, 0, _REMOTE, digest)


class UploadedImage(NamedTuple):
    """An image that was uploaded: its ID, and the file as it was then."""

    id: str
    file: FileFingerprint


def fingerprint_dataset(dataset: Dataset, rename: Mapping[str, str] | None) -> str:
    """Return a digest of a dataset's image names, classes and boxes, and of the class mapping.

    Image files are not part of it: the journal has a fingerprint of each uploaded file.
    """
    digest = hashlib.sha256()
    renames = map(str, sorted((rename or {}).items()))
    for text in (*dataset.images.names, "", *dataset.tags, "", *renames):
        digest.update(name_as_bytes(text) + b"\0")
    regions = dataset.regions
    for column in (regions.image, regions.tag, regions.box):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def region_hashes(dataset: Dataset) -> NDArray[np.uint64]:
    """Return a hash of each region, (n,), by its image name, class and box.

    A region that is unchanged in another version of the dataset has the same hash.
    """
    regions = dataset.regions
    image = _name_hashes(dataset.images.names)[regions.image]
    tag = _name_hashes(dataset.tags)[regions.tag]
    box = regions.box.astype(np.float32)
    keys = np.column_stack([image, tag, np.ascontiguousarray(box).view(np.uint64)])
    return hash_keys(keys)


def _name_hashes(names: Sequence[str]) -> NDArray[np.uint64]:
    digests = (
        hashlib.blake2b(name_as_bytes(name), digest_size=HASH_BYTES).digest() for name in names
    )
    return np.frombuffer(b"".join(digests), np.uint64)


def name_as_bytes(name: str) -> bytes:
    """Return a name as bytes, because a file name may be text that SQLite refuses."""
    return name.encode(errors="surrogatepass")
