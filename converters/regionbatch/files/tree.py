"""The files of a dataset: listed once, found by their names.

Nothing outside the dataset's folder is opened: what is opened comes from the listing, and the listing does not follow
a link that leads outside.
"""

from __future__ import annotations

import os
import re
import stat
from itertools import chain, groupby
from operator import itemgetter, methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.errors import DatasetError, DatasetNotFoundError
from regionbatch.files.paths import IMAGE_EXTENSIONS, MAX_DEPTH, fold, is_label_word, joined
from regionbatch.files.text import UndecodableError, UnreadableError, as_utf8, read_bytes, report_guess

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from regionbatch.findings import FindingLog

_NOT_DATA = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
_LINE_END = re.compile(r"\r\n|\r|\n")
MOST_LINES = 1_000_000
"""The most lines of a list of names or images: ten times the images that a project of Custom Vision can have."""


class Folder(NamedTuple):
    """The listing of one folder: what may be opened."""

    files: frozenset[str]
    folders: frozenset[str]
    by_extension: dict[str, list[str]]
    """The names of files, as the system lists them, by what follows their last point, in lower case (`.txt`)."""
    folded: dict[str, str]
    """The names of files and folders by their folded form; filled when first needed."""


class Tree:
    """The regular files below a folder, by their relative paths with `/`. Each folder is listed when first asked for.

    Hidden files, and what operating systems leave in folders, are not part of it.
    """

    def __init__(self, root: Path, named: str = "", encoding: str | None = None) -> None:
        """Take the folder; it is listed later. `named` is the one file that the user named, relative to `root`."""
        self.root = root
        self.encoding = encoding
        """The codec of texts that are not UTF-8 and declare nothing; None: unknown (see `files.text`)."""
        self.named = named
        """The file that the user named in place of a folder; empty: the user named the folder."""
        self.outside: list[str] = []
        """Links that lead out of `root`, as far as listed."""
        self.odd: list[str] = []
        """Pipes, sockets, devices and links to nothing, as far as listed."""
        self.closed: list[str] = []
        """Folders that may not be opened, as far as somebody tried."""
        self._is_empty = False
        self._prefix = os.path.join(root, "")  # noqa: PTH118 - text: there may be 200,000 paths
        self._real = {"": os.path.realpath(root)}
        self._above = os.path.join(self._real[""], "")  # noqa: PTH118 - a drive or `/` ends with a separator already
        """What a real path begins with that is in the dataset."""
        self._linked: set[str] = set()
        """The folders that links lead to: a second link to one would only list the same again, once for each way."""
        self._listed: dict[str, Folder | None] = {}

    @classmethod
    def at(cls, path: Path) -> Tree:
        """Return the tree of a dataset by the path that the user named: a folder, or one file.

        A file in a folder for labels only (`Annotations`) belongs to the dataset of the folder above.
        """
        if path.is_dir():
            return cls(path)
        file = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow links, `absolute` keep `..`
        root = file.parent
        if is_label_word(root.name) and root.parent != root:
            root = root.parent
        return cls(root, file.relative_to(root).as_posix())

    @classmethod
    def empty(cls) -> Tree:
        """Return a tree without files, for annotations that are not in one."""
        tree = cls(Path(), "COCO")
        tree._is_empty = True
        tree._listed[""] = Folder(frozenset(), frozenset(), {}, {})
        return tree

    @property
    def is_empty(self) -> bool:
        """Whether it stands for no folder; see `empty`."""
        return self._is_empty

    @property
    def source(self) -> str:
        """What the user named, as a path on disk, for messages."""
        return self.on_disk(self.named) if self.named else str(self.root)

    def candidates(self, *extensions: str) -> Iterator[str]:
        """Yield the paths that may be annotation files: the file that the user named, or all with an extension.

        Args:
            *extensions: Extensions in lower case (`.json`); a named file may have any.
        """
        if self.named:
            yield self.named
        else:
            yield from self.files(*extensions)

    def folder(self, path: str) -> Folder | None:
        """Return the listing of a folder by its relative path; None: there is none, or it may not be opened."""
        if path in self._listed:
            return self._listed[path]
        # From the top down: names in a file may lead to any number of folders that are not there, and any way down.
        listing, end = self._listed_below("", None), -1
        while listing is not None and end < len(path):
            end = path.find("/", end + 1)
            end = len(path) if end < 0 else end
            listing = self._listed_below(path[:end], listing)
        return listing

    def _listed_below(self, path: str, parent: Folder | None) -> Folder | None:
        if path not in self._listed:
            known = parent is None or path.rpartition("/")[2] in parent.folders
            self._listed[path] = self._list(path) if known else None
        return self._listed[path]

    def _list(self, folder: str) -> Folder | None:
        try:
            found = os.scandir(self.on_disk(folder))
            entries = [entry for entry in found if (name := entry.name)[0] != "." and name not in _NOT_DATA]
        except OSError:
            self.closed.append(folder or ".")
            return None
        files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        folders: list[str] = []
        for entry in entries if len(files) < len(entries) else ():
            if entry.is_file(follow_symlinks=False):
                continue
            path = joined(folder, entry.name)
            kind = self._kind(entry, folder, path)
            if kind == "file":
                files.append(entry.name)
            elif kind == "folder":
                folders.append(entry.name)
            elif kind == "odd":
                self.odd.append(path)
        return Folder(frozenset(files), frozenset(folders), _by_extension(files), {})

    def _kind(self, entry: os.DirEntry[str], folder: str, path: str) -> str:
        """Return what an entry is that is no plain file: `folder`, `file` (by a link), `odd`, or `not ours`."""
        if not leads_elsewhere(entry):
            self._real[path] = os.path.join(self._real[folder], entry.name)  # noqa: PTH118 - text, as below
            return "folder" if entry.is_dir() else "odd"
        real = os.path.realpath(entry.path)
        parts = folder.split("/")
        if real in {self._real["/".join(parts[:depth])] for depth in range(len(parts) + 1)}:  # a loop
            return "not ours"
        if not self._is_inside(real):
            self.outside.append(path)
            return "not ours"
        if os.path.isfile(real):  # noqa: PTH113 - text
            return "file"
        if real in self._linked:
            return "not ours"
        self._linked.add(real)
        self._real[path] = real
        return "folder" if os.path.isdir(real) else "odd"  # noqa: PTH112 - text

    def _is_inside(self, real: str) -> bool:
        """Return whether a real path is in the dataset, whose path a disk that ignores case may spell otherwise."""
        begins = real[: len(self._above)]
        if begins == self._above:
            return True
        return begins.lower() == self._above.lower() and os.path.samefile(begins, self._above)  # noqa: PTH121 - text

    def __contains__(self, path: str) -> bool:
        """Return whether a relative path is a file here, exactly as written."""
        above, _, name = path.rpartition("/")
        folder = self.folder(above)
        return folder is not None and name in folder.files

    def missing(self, paths: Iterable[str]) -> str | None:
        """Return the first of some relative paths that is no file here; None: all are."""
        cut = (path.rpartition("/") for path in paths)
        for folder, parts in groupby(cut, itemgetter(0)):
            listing = self.folder(folder)
            for _, _, name in parts:
                if listing is None or name not in listing.files:
                    return joined(folder, name)
        return None

    def find(self, path: str) -> str | None:
        """Return the file of a relative path, whatever its case and Unicode form; None: there is none."""
        found = path if path in self else self._spelled(path)
        return found if found is not None and found in self else None

    def find_folder(self, path: str) -> str | None:
        """Return the folder of a relative path, whatever its case and Unicode form; None: there is none."""
        found = path if self.folder(path) is not None else self._spelled(path)
        return found if found is not None and self.folder(found) is not None else None

    def _spelled(self, path: str) -> str | None:
        """Return a path as it is spelled here, part by part: exactly as given, if that is there."""
        found = ""
        for part in path.split("/"):
            folder = self.folder(found)
            if folder is None:
                return None
            if not folder.folded:
                folder.folded.update((fold(name), name) for name in sorted(folder.files | folder.folders, reverse=True))
            name = part if part in folder.files or part in folder.folders else folder.folded.get(fold(part))
            if name is None:
                return None
            found = joined(found, name)
        return found

    def has_images(self, folder: str) -> bool:
        """Return whether a folder itself holds images."""
        listing = self.folder(folder)
        return listing is not None and not IMAGE_EXTENSIONS.isdisjoint(listing.by_extension)

    def folders(self, top: str = "") -> Iterator[tuple[str, Folder]]:
        """Yield all folders from `top` down, sorted, with their listings.

        Raises:
            DatasetError: They are deeper than any dataset's: most likely a trap.
        """
        listing = self.folder(top)
        if top.count("/") > MAX_DEPTH:
            shown = "/".join(top.split("/")[:2])
            raise DatasetError(f"{shown}: folders are more than {MAX_DEPTH} deep. Name a folder further down.")
        if listing is not None:
            yield top, listing
            for name in sorted(listing.folders):
                yield from self.folders(joined(top, name))

    def files(self, *extensions: str, top: str = "") -> Iterator[str]:
        """Yield the relative paths from `top` down that have one of the extensions, in any case, folder by folder.

        Args:
            *extensions: Extensions in lower case (`.txt`).
            top: The folder to begin with.
        """
        for folder, listing in self.folders(top):
            prefix = f"{folder}/" if folder else ""
            for extension in extensions:
                for name in sorted(listing.by_extension.get(extension, ())):
                    yield prefix + name

    def on_disk(self, path: str) -> str:
        """Return the path to open."""
        return self._prefix + path

    def read(self, path: str, most: int | None = None) -> bytes:
        """Return the bytes of a file of this tree.

        Args:
            path: The path of the file, relative to the tree.
            most: The most bytes that the file may have. [default: `text.LARGEST_LABEL_FILE`]

        Raises:
            UnreadableError: It is not in the tree, is too large, or the system refuses.
        """
        self._check(path)
        return read_bytes(self.on_disk(path), most=most)

    def read_text(self, path: str) -> tuple[bytes, bool]:
        """Return the text of a file of this tree as UTF-8, and whether its encoding is a guess; see `as_utf8`.

        Raises:
            UnreadableError: As `read`.
            UndecodableError: It is not in the encoding that its mark or the user says.
        """
        return as_utf8(self.read(path), self.encoding)

    def beginning(self, path: str) -> bytes:
        """Return the first bytes of a file of this tree (16 KiB at most).

        Raises:
            UnreadableError: It is not in the tree, or the system refuses.
        """
        self._check(path)
        return read_bytes(self.on_disk(path), whole=False)

    def _check(self, path: str) -> None:
        if path not in self:
            raise UnreadableError("not a file of the dataset")

    def blocked(self) -> dict[str, str]:
        """Return what is here and cannot be opened, as far as listed, by its folded path; and why."""
        why = (
            (self.outside, "a link that leads out of the dataset"),
            (self.odd, "a pipe, device or broken link"),
            (self.closed, "a folder that may not be opened; nothing in it was read"),
        )
        return {fold(path): reason for paths, reason in why for path in paths}

    def blocked_files(self, *extensions: str) -> list[str]:
        """Return the pipes, broken links and links that lead outside, as far as listed, that have an extension."""
        return [path for path in (*self.odd, *self.outside) if path.lower().endswith(extensions)] if extensions else []

    def _linked_label_folders(self) -> list[str]:
        """Return the links to folders outside that are called like folders of labels, as far as listed."""
        folders = (path for path in self.outside if is_label_word(path.rpartition("/")[2]))
        return [path for path in folders if os.path.isdir(self.on_disk(path))]  # noqa: PTH112 - text

    def closed_folders(self) -> str:
        """Return the folders that may not be opened, for the middle of an error's message; empty: none."""
        return f" (could not be opened: {', '.join(self.closed)})" if self.closed else ""

    def report_strays(self, log: FindingLog, *extensions: str, reported: Collection[str] = ()) -> None:
        """Report links that lead outside, closed folders, and label files that are not regular files.

        What may have been in a folder of labels is lost: it counts as an image.

        Args:
            log: Where to report them.
            *extensions: Those of label files, in lower case.
            reported: Folded paths whose images were dropped because of them.
        """
        for path in self.outside:
            log.note("outside_dataset", path)
        why = self.blocked()
        for path in dict.fromkeys((*self.blocked_files(*extensions), *self._linked_label_folders(), *self.closed)):
            if fold(path) not in reported:
                log.read(images=1)
                log.note("unreadable_file", path, why[fold(path)])


def leads_elsewhere(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a symbolic link, or what Windows has besides: a junction (any mount point)."""
    if entry.is_symlink():
        return True
    tag = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0)  # only there; `DirEntry.is_junction` is newer than 3.11
    return bool(tag) and getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) == tag


def images_of(folder: Folder) -> list[str]:
    """Return the names of the images in a folder, sorted."""
    found = (names for extension, names in folder.by_extension.items() if extension in IMAGE_EXTENSIONS)
    return sorted(chain.from_iterable(found))


def _by_extension(files: list[str]) -> dict[str, list[str]]:
    """Return names by what follows their last point, in lower case."""
    extension = files[0][files[0].rfind(".") :] if files else ""
    # Most folders have one kind of file, and take a third of the time this way.
    if extension[:1] == "." and all(map(methodcaller("endswith", extension), files)):
        return {extension.lower(): files}
    by_extension: dict[str, list[str]] = {}
    for name in files:
        by_extension.setdefault(name[name.rfind(".") :].lower(), []).append(name)
    return by_extension


def read_lines(tree: Tree, path: str, log: FindingLog) -> list[str]:
    """Return the lines of a small text file (a list of names or images), trimmed; without blank ones at the end.

    Raises:
        DatasetNotFoundError: It cannot be read.
        DatasetError: It has more than `MOST_LINES` lines.
    """
    try:
        data, guessed = tree.read_text(path)
    except UndecodableError as error:
        raise undecodable(path, error) from error
    except UnreadableError as error:
        raise DatasetNotFoundError(f"{path}: cannot be read: {error}. Repair it.", place=path) from error
    if data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n") > MOST_LINES:  # before any line is made
        raise DatasetError(f"{path}: more than {MOST_LINES} lines. Split the list, or shorten it.", place=path)
    lines = [line.strip() for line in _LINE_END.split(data.decode().rstrip())] if data.strip() else []
    if guessed:
        report_guess(log, path, lines)
    return lines


def undecodable(path: str, error: UndecodableError) -> DatasetError:
    """Return the error for a file that the dataset needs, and that is not text in the encoding that it must be in."""
    advice = "Correct it, or name its encoding with --encoding." if error.option else "Save it again, as UTF-8."
    return DatasetError(f"{path}: {error}. {advice}", place=path, option=error.option)
