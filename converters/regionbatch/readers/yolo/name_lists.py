"""Lists of class names: where they are in a dataset, and what is in them."""

from __future__ import annotations

import filecmp
import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.errors import AmbiguousDatasetError, DatasetError, DatasetNotFoundError
from regionbatch.files.paths import folder_key, joined, with_parents
from regionbatch.files.text import UndecodableError, UnreadableError, report_guess
from regionbatch.files.tree import Tree, read_lines, undecodable
from regionbatch.findings import as_text
from regionbatch.readers.yolo.descriptions import MOST_CLASSES, by_number, read_darknet, read_yaml
from regionbatch.readers.yolo.label_files import begins_with_row

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from pathlib import Path

    from regionbatch.files.tree import Folder
    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.descriptions import Config

_NAME_FILES = ("obj.names", "classes.txt", "_darknet.labels", "notes.json")
"""Where class names are besides data.yaml and obj.data, in the order in which they are named."""
_NUMBERED = re.compile(r"\s*([0-9]{1,6})[\s:,;=.-]+[^\W\d]")
"""A name behind a number, as `0: cat`."""


def upwards(folder: str) -> Iterator[str]:
    """Yield a folder and all above it, up to the dataset's own."""
    yield from with_parents(folder)
    yield ""


class NameList(NamedTuple):
    """A list of class names, and the file that it is in."""

    file: str
    names: list[str]
    number: int = 0
    """Lists with the same names in the same order have the same number."""

    @property
    def folder(self) -> str:
        """The folder that it is in."""
        return self.file.rpartition("/")[0]

    @property
    def rank(self) -> int:
        """Where it stands among lists that agree: a description first."""
        name = self.file.rpartition("/")[2].lower()
        name = "obj.names" if name.endswith(".names") else name
        return _NAME_FILES.index(name) if name in _NAME_FILES else -1

    def is_same(self, other: NameList) -> bool:
        """Return whether two lists have the same names in the same order."""
        return self.number == other.number

    def is_numbered(self) -> bool:
        """Return whether every name begins with its number: `0 cat`, `1: dog`."""
        begins = (_NUMBERED.match(name) for name in self.names)
        return all(begin and int(begin[1]) == number for number, begin in enumerate(begins))

    def key(self) -> tuple[str, ...]:
        """Return what lists with the same names in the same order have in common."""
        return tuple(map(str.strip, self.names))


class NameLists:
    """The lists of class names in a dataset, folder by folder. A file is read when its folder is first asked for."""

    def __init__(self, tree: Tree, configs: Sequence[Config], log: FindingLog) -> None:
        """Take the descriptions of the dataset; all other lists are found by their names."""
        self._tree, self._log = tree, log
        self._numbers: dict[tuple[str, ...], int] = {}
        """The numbers of all lists met: to compare long lists again for each folder would take long."""
        self.described = [self._list(config.file, config.names) for config in configs if config.names is not None]
        self._named = {config.names_file for config in configs if config.names_file}
        self._described: dict[str, list[NameList]] = {}
        for each in self.described:
            self._described.setdefault(each.folder, []).append(each)
        homes = {config.folder for config in configs if config.names_file}
        self._without_others = homes | {file.rpartition("/")[0] for file in self._named}
        """Folders where a description says which `.names` file it means: the others are of something else."""
        self._here: dict[str, list[NameList]] = {}

    def _list(self, file: str, names: list[str]) -> NameList:
        each = NameList(file, checked_names(file, names))
        return each._replace(number=self._numbers.setdefault(each.key(), len(self._numbers)))

    def here(self, folder: str) -> list[NameList]:
        """Return the lists in one folder, those of descriptions first."""
        if folder not in self._here:
            listing = self._tree.folder(folder)
            in_files = self._in_files(folder, listing) if listing else ()
            self._here[folder] = [*self._described.get(folder, ()), *in_files]
        return self._here[folder]

    def nearest(self, folder: str) -> list[NameList]:
        """Return the lists in the nearest folder that has any, from one upwards.

        Those of folders above count too as long as only roles and splits lie between: `labels/train` in `.`.
        """
        found: list[NameList] = []
        for above in upwards(folder):
            here = self.here(above)
            if found and here and folder_key(above).parts != folder_key(found[-1].folder).parts:
                break
            found += here
        return found

    def everywhere(self, used: Container[str]) -> list[NameList]:
        """Return all lists, without those that are next to label files of which none is read.

        Args:
            used: The folders that label files that are read are in, or are below.
        """
        found = [each for folder, _ in self._tree.folders() for each in self.here(folder)]
        described = {each.file for each in self.described}
        return [
            each for each in found if each.folder in used or each.file in described or not self._has_labels(each.folder)
        ]

    def _in_files(self, folder: str, listing: Folder) -> Iterator[NameList]:
        for extension in (".txt", ".names", ".labels", ".json"):
            for name in sorted(listing.by_extension.get(extension, ())):
                file = joined(folder, name)
                if extension == ".names":
                    passed_over = folder in self._without_others and file not in self._named
                else:
                    passed_over = name.lower() not in _NAME_FILES
                if not passed_over and (names := self._read(file, extension)):
                    yield self._list(file, names)

    def _read(self, file: str, extension: str) -> list[str] | None:
        if extension == ".json":
            return _notes(self._tree, file, self._log)
        if extension == ".txt" and begins_with_row(self._tree, file):  # the label file of classes.jpg
            return None
        return read_lines(self._tree, file, self._log)

    def _has_labels(self, folder: str) -> bool:
        listing = self._tree.folder(folder)
        texts = listing.by_extension.get(".txt", ()) if listing else ()
        return any(begins_with_row(self._tree, joined(folder, name)) for name in texts)


def given_list(given: Path, tree: Tree, log: FindingLog) -> tuple[NameList, str]:
    """Return the list that the user names, and how it was found.

    A relative path is one from the current folder, or from the dataset: messages show paths of the dataset.

    Raises:
        DatasetError: It is not there, or has no names.
    """
    inside, how = tree.root / given, "as asked"
    if not os.path.isfile(given):  # noqa: PTH113 - pathlib's raises where a name is too long
        path = inside
    else:
        path = given
        is_other = os.path.isfile(inside) and not os.path.samefile(given, inside)  # noqa: PTH113, PTH121 - as above
        if is_other and not filecmp.cmp(given, inside, shallow=False):
            how += f"; the file in the current folder, not {inside}, which differs"
    if not os.path.isfile(path):  # noqa: PTH113 - as above
        raise DatasetNotFoundError(f"--names: there is no such file, got {given}; check the path", option="names")
    return NameList(str(path), checked_names(str(path), _names_from(path, log, tree.encoding))), how


def checked_names(file: str, names: list[str]) -> list[str]:
    """Return class names.

    Raises:
        DatasetError: There are more than `MOST_CLASSES`.
    """
    if len(names) > MOST_CLASSES:
        what = f"{len(names)} class names; more than {MOST_CLASSES} are not read. Shorten the list, or use --names."
        raise DatasetError(f"{file}: {what}", place=file, option="names")
    return names


def _names_from(path: Path, log: FindingLog, encoding: str | None) -> list[str]:
    """The class names of a file that the user names, data.yaml or one name a line."""
    tree = Tree(path.parent, encoding=encoding)
    extension = path.suffix.lower()
    if extension in (".yaml", ".yml"):
        config = read_yaml(tree, path.name, log, asked=True)
        names = (config.names if config else None) or []
    elif extension == ".data":
        config = read_darknet(tree, path.name, log)
        names = (config.names if config else None) or []
    elif extension == ".json":
        names = _notes(tree, path.name, log) or []
    else:
        names = read_lines(tree, path.name, log)
    if not names:
        raise DatasetError(
            f"--names: no class names in it, got {path}; needed is a data.yaml, or one name a line", option="names"
        )
    return names


def _notes(tree: Tree, name: str, log: FindingLog) -> list[str] | None:
    """The names in a notes.json of Label Studio; None: another file of this name."""
    try:
        text, guessed = tree.read_text(name)
        categories = json.loads(text)["categories"]
    except UndecodableError as error:
        raise undecodable(name, error) from error
    except (UnreadableError, ValueError, KeyError, TypeError, RecursionError):
        return None
    try:
        names = by_number({entry["id"]: str(entry["name"]) for entry in categories})
    except (KeyError, TypeError):
        names = None
    if names is None:
        raise AmbiguousDatasetError(
            f"{name}: categories must have an id from 0 and a name each: '{as_text(categories)}'. "
            "Correct it, or use --names.",
            place=name,
            option="names",
        )
    if guessed:
        report_guess(log, name, names)
    return names
