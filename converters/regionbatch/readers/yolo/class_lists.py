"""Lists of class names in a YOLO dataset: where they are, and what they contain."""

from __future__ import annotations

import filecmp
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.errors import AmbiguousDatasetError, DatasetError, OptionError
from regionbatch.files.cloud_paths import is_cloud, path_from
from regionbatch.files.paths import folder_key, in_lower_case, joined
from regionbatch.files.small_json import load_json
from regionbatch.files.storage import LOCAL, absence_of, kind_of, storage_of
from regionbatch.files.text import UndecodableError, UnreadableError, report_guess
from regionbatch.files.tree import Tree, read_lines, undecodable
from regionbatch.findings import as_text
from regionbatch.findings.text import quoted
from regionbatch.readers.yolo.dataset_configs import (
    MAX_CLASSES,
    names_by_number,
    read_data_yaml,
    read_obj_data,
)
from regionbatch.readers.yolo.label_files import starts_with_row
from regionbatch.readers.yolo.lookup import folder_and_parents, parent_folder

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from pathlib import PurePath

    from regionbatch.files.folders import Folder
    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.dataset_configs import DatasetConfig

_LIST_FILES = ("obj.names", "classes.txt", "_darknet.labels", "notes.json")
"""Files with class names other than data.yaml and obj.data; the preferred one first."""
_NUMBERED_NAME = re.compile(r"\s*([0-9]{1,6})[\s:,;=.-]+[^\W\d]")
"""A name after its number, such as `0: cat`."""


class ClassList(NamedTuple):
    """A list of class names and the file that contains it."""

    file: str
    names: list[str]
    number: int = 0
    """The same for lists with the same names in the same order."""

    @property
    def folder(self) -> str:
        """The folder of the file."""
        return parent_folder(self.file)

    @property
    def rank(self) -> int:
        """The order of preference among lists that agree: a data.yaml or obj.data first."""
        name = self.file.rpartition("/")[2].lower()
        if name.endswith(".names"):
            name = "obj.names"
        return _LIST_FILES.index(name) if name in _LIST_FILES else -1

    def is_same(self, other: ClassList) -> bool:
        """Return whether two lists have the same names in the same order."""
        return self.number == other.number

    def has_numbered_names(self) -> bool:
        """Return whether every name starts with its number: `0 cat`, `1: dog`."""
        for number, name in enumerate(self.names):
            found = _NUMBERED_NAME.match(name)
            if found is None or int(found[1]) != number:
                return False
        return bool(self.names)

    def stripped_names(self) -> tuple[str, ...]:
        """Return the names as they are compared."""
        return tuple(map(str.strip, self.names))


class ClassListFinder:
    """Finds the class lists of a dataset. A file is read when its folder is first asked for."""

    def __init__(self, tree: Tree, configs: Sequence[DatasetConfig], log: FindingLog) -> None:
        """Start with the lists of data.yaml and obj.data files.

        Args:
            tree: The files of the dataset.
            configs: Its data.yaml and obj.data files.
            log: Where guessed encodings are reported.
        """
        self._tree = tree
        self._log = log
        self._numbers: dict[tuple[str, ...], int] = {}
        """The numbers of all lists so far, so that long lists are compared only once."""
        self.in_configs = [
            self._list(config.file, config.names) for config in configs if config.names is not None
        ]
        """The lists of data.yaml and obj.data files."""
        self._in_configs_by_folder: dict[str, list[ClassList]] = {}
        for each in self.in_configs:
            self._in_configs_by_folder.setdefault(each.folder, []).append(each)
        self._named_by_configs = {config.names_file for config in configs if config.names_file}
        self._only_named = {config.folder for config in configs if config.names_file}
        self._only_named.update(map(parent_folder, self._named_by_configs))
        """Folders where a config names its `.names` file, so that no other one counts."""
        self._by_folder: dict[str, list[ClassList]] = {}

    def _list(self, file: str, names: list[str]) -> ClassList:
        each = ClassList(file, _within_limit(file, names))
        number = self._numbers.setdefault(each.stripped_names(), len(self._numbers))
        return each._replace(number=number)

    def in_folder(self, folder: str) -> list[ClassList]:
        """Return the lists in one folder, those of data.yaml and obj.data files first."""
        if folder not in self._by_folder:
            listing = self._tree.folder(folder)
            in_files = self._in_files(folder, listing) if listing else ()
            self._by_folder[folder] = [*self._in_configs_by_folder.get(folder, ()), *in_files]
        return self._by_folder[folder]

    def nearest(self, folder: str) -> list[ClassList]:
        """Return the lists in the nearest folder that has any, from one folder upwards.

        Lists further up count too if only folders named after images, labels or splits lie between,
        such as `labels/train` below `.`.
        """
        found: list[ClassList] = []
        for parent in folder_and_parents(folder):
            here = self.in_folder(parent)
            if found and here and folder_key(parent).parts != folder_key(found[-1].folder).parts:
                break
            found += here
        return found

    def everywhere(self, used: Container[str]) -> list[ClassList]:
        """Return all lists except those next to label files that are not read.

        Args:
            used: The folders of the label files that are read, and all folders above these.
        """
        all_lists = [each for folder, _ in self._tree.folders() for each in self.in_folder(folder)]
        configs = {each.file for each in self.in_configs}
        return [
            each
            for each in all_lists
            if each.folder in used or each.file in configs or not self._has_labels(each.folder)
        ]

    def _in_files(self, folder: str, listing: Folder) -> Iterator[ClassList]:
        for extension in (".txt", ".names", ".labels", ".json"):
            files = listing.by_extension.get(extension, [])
            if extension == ".names":
                lists = [name for name in files if self._counts(folder, joined(folder, name))]
            else:
                lists = _named_like_lists(files)
            for name in lists:
                if names := self._read(joined(folder, name), extension):
                    yield self._list(joined(folder, name), names)

    def _counts(self, folder: str, file: str) -> bool:
        """Return whether a `.names` file counts: it does not if a config names another one."""
        return folder not in self._only_named or file in self._named_by_configs

    def _read(self, file: str, extension: str) -> list[str] | None:
        if extension == ".json":
            return _names_in_notes(self._tree, file, self._log)
        if extension == ".txt" and starts_with_row(self._tree, file):
            return None  # the label file of classes.jpg
        return read_lines(self._tree, file, self._log)

    def _has_labels(self, folder: str) -> bool:
        listing = self._tree.folder(folder)
        texts = listing.by_extension.get(".txt", ()) if listing else ()
        return any(starts_with_row(self._tree, joined(folder, name)) for name in texts)


def _named_like_lists(files: Sequence[str]) -> list[str]:
    """Return the files with the name of a list."""
    text = in_lower_case(files)  # most folders have none
    if not any(f"\n{name}\n" in text for name in _LIST_FILES):
        return []
    return [name for name in files if name.lower() in _LIST_FILES]


def read_given_list(given: PurePath, tree: Tree, log: FindingLog) -> tuple[ClassList, str]:
    """Return the class list that the user names, and how it was found.

    A relative path is looked for in the current folder, then in the dataset.

    Args:
        given: The option `names`.
        tree: The files of the dataset.
        log: Where guessed encodings are reported.

    Raises:
        OptionError: The file does not exist, or contains no names.
        DatasetError: The file cannot be read, or contains more than `MAX_CLASSES` names.
    """
    in_dataset = path_from(tree.root, given)
    path, reason = in_dataset, "as requested"
    if _is_file(given):
        path = given
        if _is_other_file(given, in_dataset):
            reason += f"; the file in the current folder, not {in_dataset}, which differs"
    elif not _is_file(in_dataset):
        raise OptionError(f"names: {absence_of(given, 'file')}", option="names", value=str(given))
    names = _read_names(path, log, tree.encoding)
    return ClassList(str(path), _within_limit(str(path), names)), reason


def _is_file(path: PurePath) -> bool:
    # Not pathlib, which raises an error if a name is too long.
    return kind_of(path) == "file" and (is_cloud(path) or os.path.isfile(path))  # noqa: PTH113


def _is_other_file(one: PurePath, other: PurePath) -> bool:
    """Return whether a second file exists and its content differs."""
    if one == other or not _is_file(other):
        return False
    if is_cloud(other):
        return LOCAL.read_bytes(str(one)) != storage_of(str(other)).read_bytes(str(other))
    return not os.path.samefile(one, other) and not filecmp.cmp(one, other, shallow=False)  # noqa: PTH121


def _within_limit(file: str, names: list[str]) -> list[str]:
    """Return class names, or raise an error if there are more than `MAX_CLASSES`."""
    if len(names) > MAX_CLASSES:
        raise DatasetError(
            f"{file}: more than {MAX_CLASSES:,} class names ({len(names):,}). Shorten the list, or "
            "choose another one with `names`.",
            place=file,
            option="names",
            value=len(names),
        )
    return names


def _read_names(path: PurePath, log: FindingLog, encoding: str | None) -> list[str]:
    """Return the class names in a file that the user names."""
    tree = Tree(path.parent, encoding=encoding)
    extension = path.suffix.lower()
    names: list[str] | None
    if extension in (".yaml", ".yml"):
        config = read_data_yaml(tree, path.name, log, is_named=True)
        names = config.names if config else None
    elif extension == ".data":
        config = read_obj_data(tree, path.name, log)
        names = config.names if config else None
    elif extension == ".json":
        names = _names_in_notes(tree, path.name, log)
    else:
        names = read_lines(tree, path.name, log)
    if not names:
        raise OptionError(
            f"names: no class names in file: '{path}'. Use a data.yaml, or a text file with one "
            "name per line.",
            option="names",
            value=str(path),
        )
    return names


def _names_in_notes(tree: Tree, name: str, log: FindingLog) -> list[str] | None:
    """Return the names in a notes.json of Label Studio; None if the file is something else."""
    try:
        text, is_guess = tree.read_text(name)
        categories = load_json(text)["categories"]
    except UndecodableError as error:
        raise undecodable(name, error) from error
    except (UnreadableError, ValueError, KeyError, TypeError, RecursionError):
        return None
    try:
        names = names_by_number({entry["id"]: str(entry["name"]) for entry in categories})
    except (KeyError, TypeError):
        names = None
    if names is None:
        value = as_text(categories)
        raise AmbiguousDatasetError(
            f"{name}: each category needs a name and a number from 0 as its ID: {quoted(value)}. "
            "Correct the file, or choose another list with `names`.",
            place=name,
            option="names",
            value=value,
        )
    if is_guess:
        report_guess(log, name, names)
    return names
