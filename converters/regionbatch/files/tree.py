"""The files of a dataset: each folder is listed once, and files are found by their names.

Nothing outside the dataset's folder is opened. Only listed files are opened, and a listing does not
follow links that lead outside.
"""

from __future__ import annotations

import os
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.errors import DatasetError, DatasetNotFoundError
from regionbatch.files.cloud_paths import is_cloud, path_within
from regionbatch.files.folders import Folder
from regionbatch.files.paths import (
    IMAGE_EXTENSIONS,
    MAX_DEPTH,
    is_image_folder,
    is_label_folder,
    is_label_word,
    joined,
    normalise_name,
)
from regionbatch.files.storage import storage_of
from regionbatch.files.text import UndecodableError, UnreadableError, as_utf8, report_guess

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import PurePath

    from regionbatch.files.storage import Storage
    from regionbatch.findings import FindingLog

_MOST_CANDIDATES = 1000
"""Files that are searched for the first annotation file of a format."""
MOST_LINES = 1_000_000
"""Maximum lines in a list of names or images: ten times the images that a project can have."""


class Tree:
    """The regular files below a folder, by their relative paths with `/`.

    Each folder is listed when it is first needed. Hidden files and files of operating systems are
    not part of the tree.
    """

    def __init__(self, root: PurePath, named: str = "", encoding: str | None = None) -> None:
        """Set the folder; it is listed later.

        Args:
            root: The folder of the dataset.
            named: The one file that the user named, relative to `root`; empty for the folder.
            encoding: See the attribute.
        """
        self.root = root
        self.encoding = encoding
        """Codec of text that is not UTF-8 and declares nothing; None: unknown (`files.text`)."""
        self.named = named
        """The file that the user named instead of a folder; empty if it was the folder."""
        self.storage: Storage = storage_of(str(root))
        """Reads the files, by the paths that `on_disk` returns."""
        self._lister = self.storage.lister(root)
        self.outside_links = self._lister.outside_links
        """Links that lead out of `root`, in the folders listed so far."""
        self.special_files = self._lister.special_files
        """Pipes, sockets, devices and broken links, in the folders listed so far."""
        self.unreadable_folders = self._lister.unreadable_folders
        """Folders that could not be opened."""
        self._listed: dict[str, Folder | None] = {}
        self._is_empty = False

    @classmethod
    def at(cls, path: PurePath) -> Tree:
        """Return the tree of a dataset by the path that the user named: a folder, or one file.

        A file in a folder that is only for labels (`Annotations`) belongs to the dataset in the
        folder above.
        """
        if storage_of(str(path)).kind(str(path)) == "folder":
            return cls(path)
        # `Path.resolve` would follow links, and `Path.absolute` keep `..`.
        file = path if is_cloud(path) else Path(os.path.abspath(path))  # noqa: PTH100
        root = file.parent
        if is_label_word(root.name) and root.parent != root:
            root = root.parent
        return cls(root, path_within(file, root))

    @classmethod
    def empty(cls, source: str) -> Tree:
        """Return a tree without files, for annotations that do not come from files."""
        tree = cls(Path(), source)
        tree._is_empty = True
        tree._listed[""] = Folder()
        return tree

    @property
    def is_empty(self) -> bool:
        """Whether the tree has no folder; see `empty`."""
        return self._is_empty

    @property
    def source(self) -> str:
        """The path on disk that the user named, for messages."""
        return self.on_disk(self.named) if self.named else str(self.root)

    def candidates(self, *extensions: str) -> Iterator[str]:
        """Yield the files that may be annotation files.

        These are the file that the user named, whatever its extension, or all files with one of the
        extensions.

        Args:
            *extensions: Extensions in lower case (`.json`).
        """
        if self.named:
            yield self.named
        else:
            yield from self.files(*extensions)

    def first_candidate(
        self, is_wanted: Callable[[Tree, str], object], *extensions: str
    ) -> str | None:
        """Return the first of the `candidates` for which a function is true.

        None means that there is none among the first 1,000.
        """
        some = islice(self.candidates(*extensions), _MOST_CANDIDATES)
        return next((name for name in some if is_wanted(self, name)), None)

    def folder(self, path: str) -> Folder | None:
        """Return the listing of a folder by its relative path, or None.

        None means that there is no such folder, or that it cannot be opened.
        """
        if path in self._listed:
            return self._listed[path]
        # From the top down: names in a file may lead to any number of folders that do not exist.
        listing = self._list_below("", None)
        end = -1
        while listing is not None and end < len(path):
            end = path.find("/", end + 1)
            end = len(path) if end < 0 else end
            listing = self._list_below(path[:end], listing)
        return listing

    def _list_below(self, path: str, parent: Folder | None) -> Folder | None:
        if path not in self._listed:
            exists = parent is None or path.rpartition("/")[2] in parent.folders
            self._listed[path] = self._lister.list_folder(path) if exists else None
        return self._listed[path]

    def __contains__(self, path: str) -> bool:
        """Return whether a relative path is a file of the tree, exactly as written."""
        above, _, name = path.rpartition("/")
        folder = self.folder(above)
        return folder is not None and name in folder.files

    def first_missing(self, paths: Iterable[str]) -> str | None:
        """Return the first of some relative paths that is not a file of the tree, or None."""
        split = (path.rpartition("/") for path in paths)
        for folder, parts in groupby(split, itemgetter(0)):
            listing = self.folder(folder)
            for _, _, name in parts:
                if listing is None or name not in listing.files:
                    return joined(folder, name)
        return None

    def find(self, path: str) -> str | None:
        """Return the file of a relative path without regard to case and Unicode form, or None."""
        found = path if path in self else self._as_spelled(path)
        return found if found is not None and found in self else None

    def find_folder(self, path: str) -> str | None:
        """Return the folder of a relative path without regard to case and Unicode form, or None."""
        found = path if self.folder(path) is not None else self._as_spelled(path)
        return found if found is not None and self.folder(found) is not None else None

    def _as_spelled(self, path: str) -> str | None:
        """Return a path as it is spelled on disk. For each part, an exact match comes first."""
        found = ""
        for part in path.split("/"):
            folder = self.folder(found)
            if folder is None:
                return None
            name: str | None = part
            if part not in folder.files and part not in folder.folders:
                name = folder.by_normalised_name.get(normalise_name(part))
            if name is None:
                return None
            found = joined(found, name)
        return found

    def has_images(self, folder: str) -> bool:
        """Return whether a folder itself contains images."""
        listing = self.folder(folder)
        return listing is not None and not IMAGE_EXTENSIONS.isdisjoint(listing.by_extension)

    def folders(self, top: str = "") -> Iterator[tuple[str, Folder]]:
        """Yield all folders from `top` down, sorted, with their listings.

        Raises:
            DatasetError: They are nested deeper than in any real dataset.
        """
        listing = self.folder(top)
        if top.count("/") > MAX_DEPTH:
            shown = "/".join(top.split("/")[:2])
            raise DatasetError(
                f"{shown}: folders are nested more than {MAX_DEPTH} levels deep. "
                "Choose one of the folders inside.",
                place=shown,
            )
        if listing is not None:
            yield top, listing
            for name in sorted(listing.folders):
                yield from self.folders(joined(top, name))

    def files(self, *extensions: str, top: str = "") -> Iterator[str]:
        """Yield the relative paths of all files with one of the extensions, folder by folder.

        Args:
            *extensions: Extensions in lower case (`.txt`); those of files may be in any case.
            top: The folder to start with.
        """
        for folder, listing in self.folders(top):
            prefix = f"{folder}/" if folder else ""
            for extension in extensions:
                for name in listing.by_extension.get(extension, ()):
                    yield prefix + name

    def on_disk(self, path: str) -> str:
        """Return the path to open for a relative path."""
        return self._lister.on_disk(path)

    def all_on_disk(self, paths: Iterable[str]) -> list[str]:
        """Return the paths to open for many relative paths."""
        return [*map(self._lister.on_disk, paths)]

    def read(self, path: str, most: int | None = None) -> bytes:
        """Return the bytes of a file of the tree.

        Args:
            path: The path of the file, relative to the tree.
            most: The largest size in bytes. [default: `text.MAX_LABEL_FILE_BYTES`]

        Raises:
            UnreadableError: The file is not in the tree or too large, or the system denies it.
        """
        self._check(path)
        return self.storage.read_bytes(self.on_disk(path), most=most)

    def read_text(self, path: str) -> tuple[bytes, bool]:
        """Return the text of a file of the tree as UTF-8, and whether its encoding is a guess.

        See `as_utf8`.

        Raises:
            UnreadableError: As for `read`.
            UndecodableError: It is not in the encoding of its byte-order mark, or in the one that
                the user chose.
        """
        return as_utf8(self.read(path), self.encoding)

    def beginning(self, path: str) -> bytes:
        """Return the first bytes of a file of the tree (at most 16 KiB).

        Raises:
            UnreadableError: The file is not in the tree, or the system denies it.
        """
        self._check(path)
        return self.storage.read_bytes(self.on_disk(path), head_only=True)

    def _check(self, path: str) -> None:
        if path not in self:
            raise UnreadableError("not a file of the dataset")

    def blocked(self) -> dict[str, str]:
        """Return why some listed paths cannot be opened, by `normalise_name` of the path."""
        special = "a pipe, device or broken link"
        if is_cloud(self.root):
            special = "a name that no URL can have"
        reasons = (
            (self.outside_links, "a link that leads out of the dataset"),
            (self.special_files, special),
            (self.unreadable_folders, "a folder that cannot be opened; nothing in it was read"),
        )
        blocked: dict[str, str] = {}
        for paths, reason in reasons:
            for path in paths:
                blocked[normalise_name(path)] = reason
        return blocked

    def blocked_files(self, *extensions: str) -> list[str]:
        """Return the listed files with one of the extensions, if they cannot be opened."""
        if not extensions:
            return []
        paths = (*self.special_files, *self.outside_links)
        return [path for path in paths if path.lower().endswith(extensions)]

    def _outside_folders(self) -> list[str]:
        """Return the links that lead to folders outside the dataset."""
        links = self.outside_links
        return [path for path in links if os.path.isdir(self.on_disk(path))]  # noqa: PTH112 - text

    def unreadable_folders_note(self) -> str:
        """Return the unreadable folders in parentheses for an error message; empty if none."""
        if not self.unreadable_folders:
            return ""
        return f" (could not be opened: {', '.join(self.unreadable_folders)})"

    def report_blocked(
        self, log: FindingLog, *extensions: str, reported: Collection[str] = ()
    ) -> None:
        """Report what could not be opened: links that lead outside, folders, and label files.

        The labels in a blocked folder are unknown: it counts as one image.

        Args:
            log: Receives the findings.
            *extensions: Extensions of label files in lower case.
            reported: Normalised paths whose images were already dropped because of them.
        """
        outside_folders = self._outside_folders()
        for path in outside_folders:
            log.note("outside_folder", path, doubtful=not is_image_folder(path))
        folders = {*outside_folders}
        for path in self.outside_links:
            if path not in folders:
                log.note("outside_dataset", path)
        reasons = self.blocked()
        blocked = (
            *self.blocked_files(*extensions),
            *filter(is_label_folder, outside_folders),
            *self.unreadable_folders,
        )
        for path in dict.fromkeys(blocked):
            name = normalise_name(path)
            if name not in reported:
                log.read(images=1)
                log.note("unreadable_file", path, reasons[name])


def read_lines(tree: Tree, path: str, log: FindingLog) -> list[str]:
    """Return the lines of a small text file, stripped, without empty lines at the end.

    Args:
        tree: The files of the dataset.
        path: A list of names or images.
        log: Receives a finding if the encoding is a guess.

    Raises:
        DatasetNotFoundError: The file cannot be read.
        DatasetError: It has more than `MOST_LINES` lines, or is not text in its encoding.
    """
    try:
        data, guessed = tree.read_text(path)
    except UndecodableError as error:
        raise undecodable(path, error) from error
    except UnreadableError as error:
        raise DatasetNotFoundError(
            f"{path}: cannot be read: '{error}'. Repair or replace it.", place=path
        ) from error
    count = data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")
    if count > MOST_LINES:  # counted before any line is made
        raise DatasetError(
            f"{path}: more than {MOST_LINES:,} lines. Split the list, or shorten it.", place=path
        )
    if not data.strip():
        return []
    text = data.decode().rstrip().replace("\r\n", "\n").replace("\r", "\n")
    lines = [*map(str.strip, text.split("\n"))]
    if guessed:
        report_guess(log, path, lines)
    return lines


def undecodable(path: str, error: UndecodableError) -> DatasetError:
    """Return the error for a file that the dataset needs and that cannot be decoded."""
    advice = "Save it again, as UTF-8."
    if error.option:
        advice = f"Correct the file, or specify its encoding with `{error.option}`."
    return DatasetError(f"{path}: {error}. {advice}", place=path, option=error.option)
