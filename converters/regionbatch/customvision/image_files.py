"""The image files to upload: which are unchanged, which are refused, and how they are batched."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.customvision.fingerprints import FileFingerprint, remote_fingerprint
from regionbatch.customvision.shrink import FILE_BYTES, PIXELS, too_many_pixels
from regionbatch.files.image_headers import image_size
from regionbatch.files.paths import scheme_of
from regionbatch.files.storage import versions
from regionbatch.limits import BODY_BYTES, IMAGE_ASPECT, IMAGE_BYTES, IMAGE_SIDE, IMAGES_PER_BATCH

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from regionbatch.customvision.fingerprints import UploadedImage
    from regionbatch.dataset import Images
    from regionbatch.findings import FindingLog

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a")
_SHRINKABLE = ("ErrorImageSize", "ErrorImageFormat")
_MAX_INODE = 2**63
"""SQLite's largest number plus one."""


class Refusal(NamedTuple):
    """Why an image is not in the project: a status as the service returns it, and a message."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ImagesToUpload:
    """The image files to upload. An image is identified by its number in the dataset."""

    batches: Sequence[Sequence[int]]
    """The images of each call, each file once."""
    duplicate_of: Mapping[int, int]
    """Images whose file has the same bytes as that of an earlier image, which is uploaded."""
    placeholder_ids: Mapping[int, str]
    """An ID for each image until the service assigns one. Equal files have equal IDs."""
    shrink: frozenset[int]
    """Images that are re-encoded before they are uploaded."""
    refused: Mapping[int, Refusal]
    """Images that cannot be uploaded."""
    fingerprints: Mapping[int, FileFingerprint]
    """The file of each image as it was when it was inspected."""

    @property
    def count(self) -> int:
        """The number of images to upload."""
        return sum(map(len, self.batches))


def inspect_images(
    images: Images, rows: Sequence[int], log: FindingLog, *, shrink: bool
) -> ImagesToUpload:
    """Inspect image files: find duplicates and those that the service refuses, and make batches.

    Args:
        images: The images of the dataset.
        rows: The numbers of the images to upload.
        log: Where re-encoded images are reported.
        shrink: Whether images that are too large or in another format can be re-encoded.
    """
    inspection = _Inspection(images, shrink=shrink)
    for done, row in enumerate(rows, 1):
        inspection.add(row)
        log.progress("checking images", done, len(rows))
    refused = inspection.refused
    for row, original in inspection.duplicate_of.items():
        if original in refused:
            refused[row] = refused[original]
    _report(log, images.names, "image_shrunk", inspection.to_shrink)
    return ImagesToUpload(
        batches=list(pack_batches(inspection.upload_sizes)),
        duplicate_of=inspection.duplicate_of,
        placeholder_ids=inspection.placeholder_ids,
        shrink=frozenset(inspection.to_shrink),
        refused=refused,
        fingerprints=inspection.fingerprints,
    )


def images_by_url(images: ImageFiles, rows: Iterable[int]) -> ImagesToUpload:
    """Return images that the service fetches, in batches. No file is read.

    Args:
        images: The images of the dataset.
        rows: The numbers of the images to upload.
    """
    fingerprints: dict[int, FileFingerprint] = {}
    duplicate_of: dict[int, int] = {}
    first_with_path: dict[str, int] = {}
    for row in rows:
        fingerprints[row] = images.fingerprint(row)
        original = first_with_path.setdefault(images.paths[row], row)
        if original != row:
            duplicate_of[row] = original
    sent = [*first_with_path.values()]
    starts = range(0, len(sent), IMAGES_PER_BATCH)
    return ImagesToUpload(
        batches=[sent[start : start + IMAGES_PER_BATCH] for start in starts],
        duplicate_of=duplicate_of,
        placeholder_ids={row: _placeholder_id(file) for row, file in fingerprints.items()},
        shrink=frozenset(),
        refused={},
        fingerprints=fingerprints,
    )


def _placeholder_id(file: FileFingerprint) -> str:
    return str(uuid.UUID(bytes=file.digest[:16]))


class _Inspection:
    """Sorts image files into those to upload, to shrink and to refuse, and duplicates."""

    def __init__(self, images: Images, *, shrink: bool) -> None:
        self._images = images
        self._shrink = shrink
        self._max_bytes = FILE_BYTES if shrink else IMAGE_BYTES
        self._first_with_digest: dict[bytes, int] = {}
        self.fingerprints: dict[int, FileFingerprint] = {}
        self.placeholder_ids: dict[int, str] = {}
        self.duplicate_of: dict[int, int] = {}
        self.to_shrink: dict[int, str] = {}
        self.refused: dict[int, Refusal] = {}
        self.upload_sizes: dict[int, int] = {}

    def add(self, row: int) -> None:
        path = Path(self._images.paths[row])
        fingerprint, head = fingerprint_file(path, max_bytes=self._max_bytes)
        digest = fingerprint.digest
        self.fingerprints[row] = fingerprint
        self.placeholder_ids[row] = _placeholder_id(fingerprint)
        original = self._first_with_digest.setdefault(digest, row)
        if original != row:
            self.duplicate_of[row] = original
            return
        refusal = _refusal(path, fingerprint.size, head)
        if refusal is None:
            self.upload_sizes[row] = fingerprint.size
            return
        if self._shrink and refusal.code in _SHRINKABLE:
            reason = refusal.message
            refusal = _shrink_refusal(path, fingerprint.size)
            if refusal is None:
                self.to_shrink[row] = reason
                self.upload_sizes[row] = IMAGE_BYTES
                return
        self.refused[row] = refusal


def _refusal(path: Path, size: int, head: bytes) -> Refusal | None:
    """Return the status and reason of the refusal to expect for a file; None: it is accepted."""
    if not size:
        return Refusal("ErrorSource", "the file is empty or cannot be read")
    if not head.startswith(_SIGNATURES):
        return Refusal("ErrorImageFormat", "not a JPEG, PNG, BMP or GIF file")
    if size > IMAGE_BYTES:
        return _too_large(size, IMAGE_BYTES)
    width, height = image_size(str(path))
    longer = max(width, height)
    if longer > IMAGE_SIDE:
        message = f"{width} x {height} pixels, more than {IMAGE_SIDE} on a side"
        return Refusal("ErrorImageSize", message)
    if longer > IMAGE_ASPECT * min(width, height):
        message = f"{width} x {height} pixels, an aspect ratio above {IMAGE_ASPECT} to 1"
        return Refusal("ErrorImageDimensions", message)
    return None


def _shrink_refusal(path: Path, size: int) -> Refusal | None:
    """Return why a file is too large to be re-encoded; None: it is not too large."""
    if size > FILE_BYTES:
        return _too_large(size, FILE_BYTES)
    width, height = image_size(str(path))
    if width * height > PIXELS:
        return Refusal("ErrorImageSize", too_many_pixels(width, height))
    return None


def _too_large(size: int, limit: int) -> Refusal:
    return Refusal("ErrorImageSize", f"{size / 2**20:.1f} MB, more than {limit // 2**20} MB")


def fingerprint_file(path: Path, *, max_bytes: int = FILE_BYTES) -> tuple[FileFingerprint, bytes]:
    """Return the fingerprint of a file and its first 8 bytes.

    A file of more than `max_bytes` cannot be uploaded, so it is not read to its end. Such a file
    has a digest that no other file has. So has a file that cannot be read, whose size is 0.
    """
    no_digest = digest_of(str(path).encode(errors="surrogateescape"))
    try:
        status = _file_status(path)
        with path.open("rb") as file:
            head = file.read(8)
        digest = no_digest if status.size > max_bytes else _file_digest(path)
    except OSError:
        return FileFingerprint(0, 0, 0, 0, no_digest), b""
    return status._replace(digest=digest), head


def _file_status(path: Path) -> FileFingerprint:
    """Return the fingerprint of a file without opening it: its digest is empty."""
    found = path.stat()
    inode = found.st_ino % _MAX_INODE
    return FileFingerprint(found.st_size, found.st_mtime_ns, found.st_ctime_ns, inode, b"")


def _file_digest(path: Path) -> bytes:
    """Return the digest of a file, without reading the whole of it into memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def digest_of(content: bytes) -> bytes:
    """Return the digest of bytes, in the form that fingerprints contain."""
    return hashlib.sha256(content).digest()


def is_unchanged(path: Path, fingerprint: FileFingerprint) -> bool:
    """Return whether a file is as it was. A file that cannot be read counts as unchanged."""
    try:
        status = _file_status(path)
        if status[:-1] == fingerprint[:-1]:
            return True
        return status.size == fingerprint.size and _file_digest(path) == fingerprint.digest
    except OSError:
        return True


class ImageFiles:
    """The image files of a dataset, on this machine or elsewhere, to compare with earlier uploads.

    Files on this machine are compared by their bytes, others by their version without being read.
    """

    def __init__(self, images: Images, *, by_url: bool = False) -> None:
        """Keep the images; nothing is read yet.

        Args:
            images: The images of the dataset.
            by_url: Whether the service fetches all of them.
        """
        self.names = images.names
        self.paths = images.paths
        self._images = images
        self._by_url = by_url

    def fingerprint(self, row: int) -> FileFingerprint:
        """Return the fingerprint of an image that has a file."""
        path = self.paths[row]
        if not (self._by_url or scheme_of(path)):
            return fingerprint_file(Path(path))[0]
        width, height = self._images.width[row], self._images.height[row]
        return remote_fingerprint(path, self._versions.get(path) or f"{width} x {height}")

    @cached_property
    def _versions(self) -> Mapping[str, str]:
        return versions(filter(scheme_of, self.paths))

    def is_unchanged(self, row: int, recorded: FileFingerprint) -> bool | None:
        """Return whether the file of an image is as it was; None: they cannot be compared.

        They cannot be compared if the service fetched one of them, so that its bytes are unknown.
        Then the image is uploaded again, and the service recognises it if it is the same.
        """
        path = self.paths[row]
        is_url = bool(scheme_of(path))
        if not recorded.is_remote:
            return None if is_url else is_unchanged(Path(path), recorded)
        if not (is_url or self._by_url):
            return None
        return self.fingerprint(row) == recorded


def find_uploaded(
    images: ImageFiles,
    uploaded: Mapping[str, UploadedImage],
    given: Container[int],
    log: FindingLog,
    *,
    same_dataset: bool,
) -> tuple[dict[int, str], dict[int, str]]:
    """Return the IDs of unchanged and of changed images that an earlier run uploaded, by number.

    An image without a file counts as unchanged, but only if the journal was created for this
    dataset: another one may use the same name for another image.

    Args:
        images: The images of the dataset.
        uploaded: The images in the journal.
        given: Images whose IDs the caller gave; they are not reported.
        log: Where changed files are reported.
        same_dataset: Whether the journal was created for this dataset.
    """
    unchanged: dict[int, str] = {}
    changed: dict[int, str] = {}
    for row, name in enumerate(images.names):
        if name not in uploaded:
            continue
        image = uploaded[name]
        is_same = images.is_unchanged(row, image.file) if images.paths[row] else same_dataset
        if is_same:
            unchanged[row] = image.id
        elif is_same is False and images.paths[row]:
            changed[row] = image.id
    reported = {row: id_ for row, id_ in changed.items() if row not in given}
    _report(log, images.names, "image_changed", reported)
    return unchanged, changed


def report_refused_images(images: Images, refused: Mapping[int, Refusal], log: FindingLog) -> None:
    """Report the images that are not in the project, so that no region can be sent to them."""
    reasons = {row: f"{code}: {message}" for row, (code, message) in refused.items()}
    _report(log, images.names, "image_refused", reasons)


def report_other_sizes(images: Images, sizes: Mapping[int, str], log: FindingLog) -> None:
    """Report images that the service has in another size than the dataset."""
    _report(log, images.names, "size_mismatch", sizes)


def _report(log: FindingLog, names: Sequence[str], code: str, values: Mapping[int, str]) -> None:
    if values:
        rows = np.asarray([*values], np.int32)
        log.add(code, rows, value=[*values.values()], table=names)


def pack_batches(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield batches, each as large as the limits on the number of images and on the JSON allow.

    Args:
        sizes: The size of each file in bytes, by the number of its image.
    """
    batch: list[int] = []
    bytes_left = BODY_BYTES
    for row, size in sizes.items():
        json_bytes = size * 4 // 3 + 100  # base64, name and punctuation
        if batch and (len(batch) == IMAGES_PER_BATCH or json_bytes > bytes_left):
            yield batch
            batch = []
            bytes_left = BODY_BYTES
        batch.append(row)
        bytes_left -= json_bytes
    if batch:
        yield batch
