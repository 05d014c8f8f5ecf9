"""Names of images that an upload stored in their metadata, to find them without a journal.

Version 3.3 of the API stores metadata. Besides the name of an image, an upload stores the digest of
its file: another dataset may use the same name for another image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from regionbatch.findings.text import is_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from regionbatch.customvision.fingerprints import FileFingerprint
    from regionbatch.customvision.image_files import ImageFiles

NAME_KEY = "name"
"""The key of an image's metadata for the name that the image has in its dataset."""
DIGEST_KEY = "sha256"
"""The key for the digest of its file, in hexadecimal digits."""
VERSION_KEY = "version"
"""The key for the digest of path and version of an image that the service fetched."""
MAX_LENGTH = 512
"""Longest text that the service stores, in characters."""


class StoredName(NamedTuple):
    """What an image's metadata says about its file."""

    name: str
    digest: str
    """The digest of its fingerprint, in hexadecimal digits; empty if it is unknown."""

    @classmethod
    def of(cls, metadata: Mapping[str, str] | None) -> StoredName | None:
        """Return the name in metadata; None: there is none."""
        texts = metadata or {}
        name = texts.get(NAME_KEY)
        return cls(name, texts.get(DIGEST_KEY) or texts.get(VERSION_KEY, "")) if name else None


def metadata_of(name: str, fingerprint: FileFingerprint) -> dict[str, str]:
    """Return the metadata of an image. A name that the service cannot store is left out."""
    key = VERSION_KEY if fingerprint.is_remote else DIGEST_KEY
    metadata = {key: fingerprint.digest.hex()}
    if len(name) <= MAX_LENGTH and is_text(name):
        metadata[NAME_KEY] = name
    return metadata


def find_by_stored_name(
    images: ImageFiles, stored: Mapping[str, StoredName], known: Collection[int]
) -> dict[int, str]:
    """Return the IDs of images whose name and file match the metadata of exactly one project image.

    An image without a file is found by its name alone.

    Args:
        images: The images of the dataset.
        stored: What the metadata of the project's images says, by ID.
        known: Images, by number, whose ID is known already.
    """
    ids_of: dict[str, list[str]] = {}
    for id_, (name, _) in stored.items():
        ids_of.setdefault(name, []).append(id_)
    found: dict[int, str] = {}
    for row, name in enumerate(images.names):
        if row in known or name not in ids_of:
            continue
        ids = ids_of[name]
        if images.paths[row]:
            digest = images.fingerprint(row).digest.hex()
            ids = [id_ for id_ in ids if stored[id_].digest == digest]
        if len(ids) == 1:
            found[row] = ids[0]
    return found
