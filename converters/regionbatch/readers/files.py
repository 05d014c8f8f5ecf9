"""The files of a data set: listed once, found by their names.

Nothing outside the data set's folder is opened: what is opened comes from the listing, and the listing does not follow
a link that leads outside.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from operator import methodcaller
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.errors import DatasetError, DatasetNotFoundError
from regionbatch.pictures import EXTENSIONS
from regionbatch.readers.text import UnreadableError, as_utf8, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from regionbatch.findings import Report

_DEEPEST = 64
"""Folders in a path of a data set, at most."""

_NOT_DATA = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
_LINE_END = re.compile(r"\r\n|\r|\n")


class Folder(NamedTuple):
    """One folder listed: what may be opened."""

    files: frozenset[str]
    folders: frozenset[str]
    by_ending: dict[str, list[str]]
    """The names of files, as the system lists them, by what stands behind their last point, in lower case (`.txt`)."""
    folded: dict[str, str]
    """The names of files and folders by their folded form; filled when first needed."""


class Tree:
    """The regular files below a folder, by their relative paths with `/`. Each folder is listed when first asked for.

    Hidden files, and what operating systems leave behind, are no part of it.
    """

    def __init__(self, root: Path) -> None:
        """Take the folder; it is listed later."""
        self.root = root
        self.outside: list[str] = []
        """Links that lead out of `root`, as far as listed."""
        self.odd: list[str] = []
        """Pipes, sockets, devices and links to nothing, as far as listed."""
        self.closed: list[str] = []
        """Folders that may not be opened, as far as somebody tried."""
        self._prefix = os.path.join(root, "")  # noqa: PTH118 - text: there may be 200,000 paths
        self._real = {"": os.path.realpath(root)}
        self._linked: set[str] = set()
        """The folders that links lead to: a second link to one would only bring the same again, as often as there are
        ways to it."""
        self._listed: dict[str, Folder | None] = {}

    def folder(self, path: str) -> Folder | None:
        """The listing of a folder by its relative path; None: there is none, or it may not be opened."""
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
        folders = []
        for entry in entries if len(files) < len(entries) else ():
            if entry.is_file(follow_symlinks=False):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            kind = self._kind(entry, folder, path)
            if kind == "file":
                files.append(entry.name)
            elif kind == "folder":
                folders.append(entry.name)
            elif kind == "odd":
                self.odd.append(path)
        return Folder(frozenset(files), frozenset(folders), _by_ending(files), {})

    def _kind(self, entry: os.DirEntry[str], folder: str, path: str) -> str:
        """What an entry is that is no plain file: `folder`, `file` (by a link), `odd`, or `not ours`."""
        if not entry.is_symlink():
            self._real[path] = os.path.join(self._real[folder], entry.name)  # noqa: PTH118 - text, as below
            return "folder" if entry.is_dir() else "odd"
        real = os.path.realpath(entry.path)
        parts = folder.split("/")
        if real in {self._real["/".join(parts[:depth])] for depth in range(len(parts) + 1)}:  # a loop
            return "not ours"
        if not real.startswith(self._real[""] + os.sep):
            self.outside.append(path)
            return "not ours"
        if os.path.isfile(real):  # noqa: PTH113 - text
            return "file"
        if real in self._linked:
            return "not ours"
        self._linked.add(real)
        self._real[path] = real
        return "folder" if os.path.isdir(real) else "odd"  # noqa: PTH112 - text

    def __contains__(self, path: str) -> bool:
        """Whether a relative path is a file here, letter by letter."""
        above, _, name = path.rpartition("/")
        folder = self.folder(above)
        return folder is not None and name in folder.files

    def find(self, path: str) -> str | None:
        """The file of a relative path, whatever its case and Unicode form; None: there is none."""
        found = path if path in self else self._spelled(path)
        return found if found is not None and found in self else None

    def find_folder(self, path: str) -> str | None:
        """The folder of a relative path, whatever its case and Unicode form; None: there is none."""
        found = path if self.folder(path) is not None else self._spelled(path)
        return found if found is not None and self.folder(found) is not None else None

    def _spelled(self, path: str) -> str | None:
        """A path as it is spelled here, part by part: letter by letter if that is there."""
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
            found = f"{found}/{name}" if found else name
        return found

    def has_pictures(self, folder: str) -> bool:
        """Whether there are pictures in a folder itself."""
        listing = self.folder(folder)
        return listing is not None and not EXTENSIONS.isdisjoint(listing.by_ending)

    def folders(self, top: str = "") -> Iterator[tuple[str, Folder]]:
        """All folders from `top` down, sorted, with their listings.

        Raises:
            DatasetError: They are deeper than any data set's: most likely a trap.
        """
        listing = self.folder(top)
        if top.count("/") > _DEEPEST:
            shown = "/".join(top.split("/")[:2])
            raise DatasetError(f"{shown}: folders too deep, got more than {_DEEPEST}; name a folder further down")
        if listing is not None:
            yield top, listing
            for name in sorted(listing.folders):
                yield from self.folders(f"{top}/{name}" if top else name)

    def files(self, *endings: str, top: str = "") -> Iterator[str]:
        """The relative paths from `top` down that have one of the endings (`.txt`, in any case), folder by folder."""
        for folder, listing in self.folders(top):
            prefix = f"{folder}/" if folder else ""
            for ending in endings:
                for name in sorted(listing.by_ending.get(ending, ())):
                    yield prefix + name

    def pictures(self, top: str = "") -> Iterator[str]:
        """The relative paths of the pictures from `top` down, by their names, folder by folder."""
        for folder, listing in self.folders(top):
            prefix = f"{folder}/" if folder else ""
            for name in pictures_of(listing):
                yield prefix + name

    def on_disk(self, path: str) -> str:
        """The path to open."""
        return self._prefix + path

    def read(self, path: str) -> bytes:
        """The bytes of a file of this tree.

        Raises:
            UnreadableError: It is too large for a label file, or the system refuses.
        """
        return read_bytes(self.on_disk(path))

    def beginning(self, path: str) -> bytes:
        """The first bytes of a file of this tree.

        Raises:
            UnreadableError: The system refuses.
        """
        return read_bytes(self.on_disk(path), whole=False)

    def blocked(self) -> dict[str, str]:
        """What is here and cannot be opened, as far as listed, by its folded path; and why."""
        why = (
            (self.outside, "a link that leads out of the data set"),
            (self.odd, "a pipe, device or broken link"),
            (self.closed, "a folder that may not be opened; whatever is in it was not read"),
        )
        return {fold(path): reason for paths, reason in why for path in paths}

    def told_closed(self) -> str:
        """The folders that may not be opened, for the middle of an error's message; empty: none."""
        return f" (could not be opened: {', '.join(self.closed)})" if self.closed else ""

    def report_strays(self, report: Report, *suffixes: str, told: Collection[str] = ()) -> None:
        """Report links that lead outside, closed folders, and label files that are no files.

        `told` are folded paths whose images were dropped because of them.
        """
        for path in self.outside:
            report.note("outside_dataset", path)
        why = self.blocked()
        odd = [path for path in self.odd if path.lower().endswith(suffixes)]
        for path in dict.fromkeys((*odd, *self.closed)):
            if fold(path) not in told:
                report.read(images=1)
                report.note("unreadable_file", path, why[fold(path)])


def pictures_of(folder: Folder) -> list[str]:
    """The names of the pictures in a folder, sorted."""
    return sorted(chain.from_iterable(names for ending, names in folder.by_ending.items() if ending in EXTENSIONS))


def is_picture(name: str) -> bool:
    """Whether a name ends as those of pictures do."""
    return name[name.rfind(".") :].lower() in EXTENSIONS


def joined(folder: str, name: str) -> str:
    """A path below a folder of a data set, which is empty for the data set's own."""
    return f"{folder}/{name}" if folder else name


def ways_up(path: str) -> Iterator[str]:
    """A path and all folders above it, but not the data set's own."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def without_ending(name: str) -> str:
    """A name without the ending of a picture, if it has one."""
    return name[: name.rfind(".")] if is_picture(name) else name


def _by_ending(files: list[str]) -> dict[str, list[str]]:
    """Names by what stands behind their last point, in lower case."""
    ending = files[0][files[0].rfind(".") :] if files else ""
    if ending[:1] == "." and all(map(methodcaller("endswith", ending), files)):  # most folders, in a third of the time
        return {ending.lower(): files}
    by_ending: dict[str, list[str]] = {}
    for name in files:
        by_ending.setdefault(name[name.rfind(".") :].lower(), []).append(name)
    return by_ending


class PictureFinder:
    """Finds the picture of a file name: below some folders of the tree, then in a folder elsewhere."""

    def __init__(
        self, tree: Tree, folders: Sequence[str], image_dir: Path | None, below: Sequence[str] = ("",)
    ) -> None:
        """`folders` are tried in their order, then those `below` `image_dir`."""
        self._places = [(tree, folder) for folder in dict.fromkeys(folders) if tree.folder(folder)]
        if image_dir:
            elsewhere = tree_of(image_dir)
            self._places += [(elsewhere, folder) for folder in below if elsewhere.folder(folder)]
        # Most names have no folder in them, and most folders no pictures: then there is nothing to look for.
        self._with_pictures = [(tree, folder) for tree, folder in self._places if tree.has_pictures(folder)]
        self._stems: dict[tuple[Path, str], dict[str, str]] = {}

    def find_any(self, name: str) -> tuple[str, str]:
        """`find`, whatever the picture's ending, which the name may lack; the name's own goes first."""
        last = name.rpartition("/")[2]
        for tail in tails(without_ending(name)):
            above, _, stem = tail.rpartition("/")
            for tree, top in self._places:
                folder = tree.find_folder("/".join(part for part in (top, above) if part))
                if folder is not None:
                    stems = self._stems_in(tree, folder)
                    found = next((stems[key] for key in (last, stem, fold(stem)) if key in stems), "")
                    if found:
                        path = f"{folder}/{found}" if folder else found
                        return path, tree.on_disk(path)
        return "", ""

    def _stems_in(self, tree: Tree, folder: str) -> dict[str, str]:
        """The pictures of a folder by their names, by these without ending, and by these folded."""
        key = (tree.root, folder)
        if key not in self._stems:
            listing = tree.folder(folder)
            names = pictures_of(listing)[::-1] if listing else []  # of two, the first one
            stems = {without_ending(name): name for name in names}
            folded = {fold(stem): name for stem, name in stems.items()}
            self._stems[key] = folded | stems | {name: name for name in names}
        return self._stems[key]

    def may_find(self, names: Iterable[str]) -> bool:
        """Whether it is worth looking for any of some names: told without looking."""
        return bool(self._with_pictures) or "/" in "".join(names)

    def find(self, name: str) -> tuple[str, str]:
        """The picture's path relative to the data set, and the path to open; two empty texts: it is not there."""
        return next(iter(self.find_every(name)), ("", ""))

    def find_every(self, name: str) -> list[tuple[str, str]]:
        """All pictures that a name may mean equally well, as `find` returns them, the first first.

        A longer end of the name is a better match than a shorter one, and its very letters than another case. A name
        may be an address, with `%20` and with a query behind it.
        """
        places = self._places if "/" in name else self._with_pictures
        spellings = (name, _without_address(name)) if "%" in name or "?" in name else (name,)
        for candidate in chain.from_iterable(map(tails, spellings)) if places else ():
            for exact in (True, False):
                hits = []
                for tree, folder in places:
                    path = f"{folder}/{candidate}" if folder else candidate
                    found = path if path in tree else None if exact else tree.find(path)
                    if found:
                        hits.append((found, tree.on_disk(found)))
                if hits:
                    return hits if len(hits) == 1 else _distinct(hits)
        return []


def _without_address(name: str) -> str:
    """A file name that is written as in an address, as it stands on disk."""
    from urllib.parse import unquote  # noqa: PLC0415 - slow to load, and rarely needed

    return unquote(name.partition("?")[0])


def _distinct(hits: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each file on disk once, by the first way to it."""
    files: dict[str, tuple[str, str]] = {}
    for name, path in hits:
        files.setdefault(os.path.realpath(path), (name, path))
    return list(files.values())


def unshared(
    found: Mapping[int, tuple[str, str]], names: Sequence[str], spelled: Callable[[str], str] = str
) -> dict[int, tuple[str, str]]:
    """The pictures found (name and path), by the number of the name that led there, as far as each is one name's.

    One that several names lead to is that of those whose whole path it ends with, both `spelled` alike: letter by
    letter, if there are such names.
    """
    often = Counter(path for _, path in found.values())
    if len(often) == len(found):
        return dict(found)
    shared = {row: (spelled(name), spelled(names[row])) for row, (name, path) in found.items() if often[path] > 1}
    exact = {row for row, (name, listed) in shared.items() if _ends_with(name, listed)}
    settled = {found[row][1] for row in exact}
    return {
        row: hit
        for row, hit in found.items()
        if row not in shared
        or row in exact
        or (hit[1] not in settled and _ends_with(*(fold(path) for path in shared[row])))
    }


def _ends_with(found: str, name: str) -> bool:
    """Whether a path ends with the whole of another."""
    return f"/{found}".endswith(f"/{next(tails(name), '')}")


_listings: ContextVar[dict[Path, Tree] | None] = ContextVar("_listings", default=None)


@contextmanager
def one_listing() -> Iterator[None]:
    """Within this, each folder is listed once: detection and reading see the same files."""
    token = _listings.set({})
    try:
        yield
    finally:
        _listings.reset(token)


def tree_of(root: Path) -> Tree:
    """The listing of a folder."""
    known = _listings.get()
    if known is None:
        return Tree(root)
    if root not in known:
        known[root] = Tree(root)
    return known[root]


def read_lines(tree: Tree, path: str, report: Report) -> list[str]:
    """The lines of a small text file (a list of names or images), trimmed; blank ones count, but not at the end.

    Raises:
        DatasetNotFoundError: It cannot be read.
    """
    try:
        data, guessed = as_utf8(tree.read(path))
    except UnreadableError as error:
        raise DatasetNotFoundError(f"{path}: cannot be read, got {error}; repair it") from error
    if guessed:
        report.note("odd_encoding", path)
    return [line.strip() for line in _LINE_END.split(data.decode().rstrip())] if data.strip() else []


def fold(name: str) -> str:
    """A name for comparison whatever its case and Unicode form."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def tails(path: str) -> Iterator[str]:
    """A path in a file, then shorter and shorter ends of it: of `/home/me/a.jpg` also `me/a.jpg` and `a.jpg`.

    `.`, `..` and drives are left out, so that no end of it leads anywhere but down. What is deeper than folders are has
    no ends.
    """
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..") and part[-1] != ":"]
    if len(parts) > _DEEPEST:
        return
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def leaves(path: str) -> bool:
    """Whether a path in a file is absolute or climbs with `..`: such a one may name something outside."""
    if path[:1] not in "/\\" and path[1:2] != ":" and ".." not in path:
        return False
    tidy = path.replace("\\", "/")
    return tidy.startswith("/") or tidy[1:2] == ":" or ".." in tidy.split("/")


def match_split(wanted: str, known: Iterable[str]) -> list[str]:
    """The splits that a wanted name means: itself, or `val` for `valid`, or `train` for `train2017`, not `trainval`.

    Nothing is no name.
    """
    known = list(known) if wanted else []
    twins = next((group for group in _SPLIT_TWINS if wanted.lower() in group), (wanted.lower(),))
    numbered = re.compile(f"(?:{'|'.join(map(re.escape, twins))})[-_0-9]*")
    return (
        [name for name in known if name == wanted]
        or [name for name in known if name.lower() in twins]
        or [name for name in known if numbered.fullmatch(name.lower())]
    )


def split_of_folder(path: str) -> str:
    """The folder above a file that is called like a split (`train/labels/a.txt`: `train`); empty: none."""
    return next((part for part in path.split("/")[:-1] if SPLIT_NAME.fullmatch(part)), "")


SPLIT_NAME = re.compile(
    r"(train|training|val|valid|validation|test|testing|trainval|minival|dev)[-_]?\d*", re.IGNORECASE
)
"""What splits are called; COCO's have a year behind."""

_SPLIT_TWINS = (("train", "training"), ("val", "valid", "validation", "dev"), ("test", "testing"))
