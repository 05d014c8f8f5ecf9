"""Listings of the folders of a dataset, without following links that lead outside."""

from __future__ import annotations

import os
import stat
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal, Protocol

from regionbatch.files.paths import IMAGE_EXTENSIONS, common_extension, joined, normalise_name
from regionbatch.findings.text import escape_unprintable, quoted, shortened_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike

    EntryKind = Literal["file", "folder", "special file", "ignored"]

SYSTEM_FILES = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
"""Files and folders that operating systems create, besides hidden ones."""

_MANY = 10_000
"""Minimum number of names to sort with NumPy, if they are numbered."""
_KEY_BYTES = 8
"""Maximum number of characters that are sorted as one number."""


class Folder:
    """The listing of one folder: what may be opened."""

    def __init__(self, files: Sequence[str] = (), folders: Iterable[str] = ()) -> None:
        """Store what is in it.

        Args:
            files: The names of its files, in any order.
            folders: The names of the folders in it.
        """
        self._names = _sorted(files)
        self.folders = frozenset(folders)

    @cached_property
    def files(self) -> frozenset[str]:
        """The names of the files."""
        return frozenset(self._names)

    @cached_property
    def by_extension(self) -> dict[str, list[str]]:
        """The names of the files, sorted, by their extension in lower case (`.txt`)."""
        return _by_extension(self._names)

    @cached_property
    def by_normalised_name(self) -> dict[str, str]:
        """Names of files and folders by `normalise_name`; of equal ones, the first in order."""
        names = sorted(self.files | self.folders, reverse=True)
        return {normalise_name(name): name for name in names}


def _sorted(names: Sequence[str]) -> list[str]:
    """Return names sorted, and in memory in this order.

    Later steps visit them in this order, and then take less than half the time.
    """
    if len(names) >= _MANY and (found := _sorted_numbered(names)):
        return found
    return "/".join(sorted(names)).split("/") if names else []


def _sorted_numbered(names: Sequence[str]) -> list[str]:
    """Sort names of equal length that differ only in a short part, such as `000123.jpg`.

    This part is compared as one number, which takes two thirds of the time. Return an empty list
    for other names.
    """
    import numpy as np  # noqa: PLC0415 - only for large folders

    text = "/".join([*names, ""])
    length, rest = divmod(len(text), len(names))
    if rest or not text.isascii():
        return []
    rows = np.frombuffer(text.encode(), np.uint8).reshape(-1, length)
    differ = np.flatnonzero((rows != rows[0]).any(axis=0))
    if not len(differ) or np.ptp(differ) >= _KEY_BYTES or (rows[:, -1] != ord("/")).any():
        return []
    part = rows[:, differ[0] : differ[-1] + 1]
    key = np.zeros((len(names), _KEY_BYTES), np.uint8)
    key[:, : part.shape[1]] = part
    order = np.argsort(key.view(">u8").ravel().astype(np.uint64))
    return rows[order].tobytes().decode().split("/")[:-1]


def closed_folder(path: str | PathLike[str]) -> str:
    """Return the folder in a path that must not be opened; empty if there is none."""
    absolute = Path(path).absolute()
    for below in (*reversed(absolute.parents), absolute):
        try:
            os.stat(below)  # noqa: PTH116 - pathlib's raises where a name is too long
        except PermissionError:
            return str(below.parent)
        except (OSError, ValueError):
            return ""
    return ""


def absence_of(path: str | PathLike[str], kind: str) -> str:
    """Return why an option cannot use a path that was not found, and what to do.

    Args:
        path: The path.
        kind: What it should be: `file` or `folder`.
    """
    if folder := closed_folder(path):
        return f"no permission to open the folder '{folder}'. Check its permissions."
    shown = shortened_place(escape_unprintable(os.fspath(path)))
    return f"no such {kind}: {quoted(shown)}. Check the path."


class Lister(Protocol):
    """Lists the folders below a root."""

    outside_links: list[str]
    """Links that lead out of the root, in the folders listed so far."""
    special_files: list[str]
    """Pipes, sockets, devices and broken links, in the folders listed so far."""
    unreadable_folders: list[str]
    """Folders that could not be opened."""

    def on_disk(self, path: str) -> str:
        """Return the path to open for a path relative to the root."""

    def list_folder(self, folder: str) -> Folder | None:
        """Return the listing of a folder, or None if it cannot be opened.

        Args:
            folder: The path of the folder. The folder above it must have been listed.
        """


class FolderLister:
    """Lists the folders below a root. Hidden files and files of operating systems are ignored."""

    def __init__(self, root: PurePath) -> None:
        """Set the root; nothing is listed yet."""
        self.outside_links: list[str] = []
        self.special_files: list[str] = []
        self.unreadable_folders: list[str] = []
        self._prefix = os.path.join(root, "")  # noqa: PTH118 - text: there may be 200,000 paths
        self._real = {"": os.path.realpath(root)}
        # A drive or `/` ends with a separator already.
        self._real_prefix = os.path.join(self._real[""], "")  # noqa: PTH118 - text
        self._link_targets: set[str] = set()
        """Folders that links lead to. A second link to one would only list the same files again."""

    def on_disk(self, path: str) -> str:
        """Return the path to open for a path relative to the root."""
        return self._prefix + path

    def list_folder(self, folder: str) -> Folder | None:
        """Return the listing of a folder, or None if it cannot be opened.

        Args:
            folder: The path of the folder. The folder above it must have been listed.
        """
        files: list[str] = []
        others: list[os.DirEntry[str]] = []
        try:
            for entry in os.scandir(self.on_disk(folder)):
                if entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                else:
                    others.append(entry)
        except OSError:
            self.unreadable_folders.append(folder or ".")
            return None
        files = _visible(files)
        folders: list[str] = []
        for entry in others:
            if _is_visible(entry.name):
                self._add_other(entry, folder, files, folders)
        return Folder(files, folders)

    def _add_other(
        self, entry: os.DirEntry[str], folder: str, files: list[str], folders: list[str]
    ) -> None:
        """Add an entry that is not a regular file to `files`, `folders` or the blocked paths."""
        path = joined(folder, entry.name)
        kind = self._kind(entry, folder, path)
        if kind == "file":
            files.append(entry.name)
        elif kind == "folder":
            folders.append(entry.name)
        elif kind == "special file":
            self.special_files.append(path)

    def _kind(self, entry: os.DirEntry[str], folder: str, path: str) -> EntryKind:
        """Return the kind of an entry that is not a regular file."""
        if not _is_link(entry):
            self._real[path] = os.path.join(self._real[folder], entry.name)  # noqa: PTH118 - text
            return "folder" if entry.is_dir() else "special file"
        target = _target_of(entry)
        if target and self._is_loop(target, folder):
            return "ignored"
        if not (target and self._is_inside(target)):
            self.outside_links.append(path)
            return "ignored"
        if os.path.isfile(target):  # noqa: PTH113 - text
            return "file"
        if target in self._link_targets:
            return "ignored"
        self._link_targets.add(target)
        self._real[path] = target
        return "folder" if os.path.isdir(target) else "special file"  # noqa: PTH112 - text

    def _is_loop(self, target: str, folder: str) -> bool:
        """Return whether a link in a folder leads to this folder or to one above it."""
        parts = folder.split("/")
        return any(target == self._real["/".join(parts[:depth])] for depth in range(len(parts) + 1))

    def _is_inside(self, real: str) -> bool:
        """Return whether a real path is below the root.

        On a disk that ignores case, the path may spell the root differently.
        """
        start = real[: len(self._real_prefix)]
        if start == self._real_prefix:
            return True
        if start.lower() != self._real_prefix.lower():
            return False
        return os.path.samefile(start, self._real_prefix)  # noqa: PTH121 - text


def _visible(names: list[str]) -> list[str]:
    """Return the names that `_is_visible` accepts."""
    text = "/".join(["", *names, ""])  # a quick test: in most folders, all names are visible
    if "/." in text or any(f"/{name}/" in text for name in SYSTEM_FILES):
        return [*filter(_is_visible, names)]
    return names


def _is_visible(name: str) -> bool:
    """Return whether an entry is neither hidden nor created by an operating system."""
    return name[0] != "." and name not in SYSTEM_FILES


def _target_of(entry: os.DirEntry[str]) -> str:
    """Return the real path of a link; empty if only its owner can read it, as in /proc."""
    try:
        return os.path.realpath(entry.path)
    except OSError:
        return ""


def _is_link(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a symbolic link or, on Windows, a junction (any mount point)."""
    if entry.is_symlink():
        return True
    # The tag exists only on Windows; `DirEntry.is_junction` is newer than Python 3.11.
    tag = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0)
    return bool(tag) and getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) == tag


def images_of(folder: Folder) -> list[str]:
    """Return the names of the images in a folder, sorted."""
    found = [
        names for extension, names in folder.by_extension.items() if extension in IMAGE_EXTENSIONS
    ]
    return found[0] if len(found) == 1 else sorted(chain.from_iterable(found))


def _by_extension(files: list[str]) -> dict[str, list[str]]:
    """Return file names by their extension in lower case."""
    if extension := common_extension(files):
        return {extension.lower(): files}
    found: dict[str, list[str]] = {}
    for name in files:
        found.setdefault(name[name.rfind(".") :].lower(), []).append(name)
    return found
