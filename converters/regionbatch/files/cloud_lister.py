"""List a dataset in a cloud with one call, because many calls would be slow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from regionbatch.files.cloud_paths import FileUrl
from regionbatch.files.folders import SYSTEM_FILES, Folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import PurePath

    from regionbatch.files.cloud import CloudStorage

_NOT_A_NAME = re.compile(r"|\.\.?|.*[\x00-\x1f\x7f]+.*|.*\?versionid=.*", re.DOTALL)
"""Parts of a path that a URL cannot have: clients leave them out, and open another file."""

_MARKERS = ("/", "_$folder$")
"""Suffixes of the names of empty files that represent folders."""

VERSION_KEYS = ("etag", "ETag", "mtime", "last_modified", "LastModified", "updated", "created")
"""What file systems call the version of a file."""


class Listing(NamedTuple):
    """The files and folders below a folder in a cloud."""

    folders: dict[str, Folder]
    """By path; empty for the folder itself."""
    sizes: dict[str, dict[str, int]]
    """Sizes in bytes by folder and name, where they are known."""
    unusable: list[str]
    """Paths that cannot be opened, because no URL can name them."""


class CloudLister:
    """Lists the folders below a root in a cloud; implements `folders.Lister`."""

    def __init__(self, root: PurePath, listing: Listing, storage: CloudStorage) -> None:
        """Set the root.

        Args:
            root: The folder.
            listing: What is below it.
            storage: Where it was listed.
        """
        self.outside_links: list[str] = []
        self.special_files = listing.unusable
        self.unreadable_folders: list[str] = []
        self._prefix = f"{str(root).rstrip('/')}/"
        self._listing = listing
        self._storage = storage

    def on_disk(self, path: str) -> FileUrl:
        """Return the URL of a path relative to the root."""
        return FileUrl(self._prefix + path, self._storage)

    def list_folder(self, folder: str) -> Folder | None:
        """Return the listing of a folder, or None if there is none."""
        return self._listing.folders.get(folder)


def listing_of(entries: Iterable[tuple[str, Mapping[str, Any]]]) -> Listing:
    """Return the listing of a folder.

    Hidden files and files of operating systems are left out. So are markers of folders, which
    are empty files with the name of a folder, with or without `_$folder$` (of Hadoop).

    Args:
        entries: The paths of files and folders, relative to the folder, with what fsspec knows
            about each.
    """
    sizes: dict[str, dict[str, int]] = {"": {}}
    subfolders: dict[str, set[str]] = {"": set()}
    files: dict[str, list[str]] = {"": []}
    unusable: list[str] = []
    for path, about in _usable(entries, unusable):
        folder, _, name = path.rpartition("/")
        _add_folder(folder, subfolders)
        if about.get("type") == "directory":
            _add_folder(path, subfolders)
        else:
            files.setdefault(folder, []).append(name)
            if isinstance(size := about.get("size"), int):
                sizes.setdefault(folder, {})[name] = size
    folders: dict[str, Folder] = {}
    for folder, inner in subfolders.items():
        known = sizes.get(folder, {})
        names = [
            name for name in files.get(folder, ()) if name not in inner or known.get(name) != 0
        ]
        folders[folder] = Folder(names, inner)
    return Listing(folders, sizes, unusable)


def _usable(
    entries: Iterable[tuple[str, Mapping[str, Any]]], unusable: list[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, about in entries:
        is_marker = name.endswith(_MARKERS) and not about.get("size")
        path = name.removesuffix(_MARKERS[1]).rstrip("/") if is_marker else name
        parts = path.split("/")
        if any(map(_NOT_A_NAME.fullmatch, parts)):
            unusable.append(path)
        elif not any(part[0] == "." or part in SYSTEM_FILES for part in parts):
            yield path, {"type": "directory"} if is_marker else about


def _add_folder(path: str, subfolders: dict[str, set[str]]) -> None:
    """Add a folder and those above it."""
    missing: list[str] = []
    while path not in subfolders:
        missing.append(path)
        path = path.rpartition("/")[0]
    for each in reversed(missing):
        above, _, name = each.rpartition("/")
        subfolders[each] = set()
        subfolders[above].add(name)


def digest_of(about: Mapping[str, Any]) -> str:
    """Return the MD5 of a file and its size, as fsspec knows them; empty if there is no MD5."""
    settings = about.get("content_settings") or {}  # Azure's
    digest = about.get("md5Hash") or settings.get("content_md5")
    etag = str(about.get("ETag") or "").strip('"')
    if not digest and re.fullmatch(r"[0-9a-f]{32}", etag):  # S3's, unless uploaded in parts
        digest = etag
    return f"{digest!r} {about.get('size')}" if digest else ""


def versions_of(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the version of each file in a folder, by name: it changes whenever the file does."""
    versions: dict[str, str] = {}
    for about in entries:
        version = next((about[key] for key in VERSION_KEYS if about.get(key)), None)
        if version is not None:
            versions[about["name"].rpartition("/")[2]] = f"{version} {about.get('size')}"
    return versions
