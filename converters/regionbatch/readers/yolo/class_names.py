"""The class names of YOLO label files, and the one table of tags that all class lists make.

Names, not numbers, make a tag: class 0 of two lists is one tag only if its name is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.boxes import blocks
from regionbatch.files.paths import by_folder
from regionbatch.readers.yolo.class_list_choice import ClassListChooser, distinct_lists
from regionbatch.readers.yolo.class_lists import read_given_list
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from numpy.typing import NDArray

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.class_lists import ClassList
    from regionbatch.readers.yolo.dataset_configs import DatasetConfig

_SHOWN_FILES = 3


class LabelFolders(NamedTuple):
    """The folders of f label files."""

    paths: list[str]
    """The distinct folders; the root if there are no files."""
    of_file: NDArray[np.int32]
    """(f,) The folder of each file."""


class LabelFiles(NamedTuple):
    """The label files that are read, and the file of each of their rows; n rows."""

    folders: LabelFolders
    first_code: int
    """The code of the first file in the log; the others follow."""
    file_of_row: NDArray[np.int32]
    """(n,) The code of each row's file in the log."""


class ClassNames(NamedTuple):
    """The class names of label files: f files, l lists, c names in all lists."""

    tags: list[str]
    """The names of all lists, each once."""
    lengths: NDArray[np.int64]
    """(l,) How many names each list has."""
    codes: NDArray[np.int32]
    """(c,) The tag of each class, list after list; -1 for a class without a name."""
    list_of_file: NDArray[np.int32]
    """(f,) The list of each label file."""
    first_code: int
    """See `LabelFiles.first_code`."""

    def list_of_rows(self, file: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the list of each row.

        Args:
            file: (n,) The code of each row's file in the log.
        """
        if len(self.lengths) == 1:
            return np.broadcast_to(np.int32(0), file.shape)
        return self.list_of_file[file - self.first_code]

    def name(self, which: int, number: int) -> str:
        """Return the name of a class in a list; empty if it has none."""
        if not 0 <= number < self.lengths[which]:
            return ""
        code = self.codes[self.lengths[:which].sum() + number]
        return self.tags[code] if code >= 0 else ""

    def tag(self, file: NDArray[np.int32], number: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the tag of each row, -1 for a class without a name.

        Args:
            file: (n,) The code of each row's file in the log.
            number: (n,) The number of each row's class.
        """
        lists = self.list_of_rows(file)
        known = (number >= 0) & (number < self.lengths[lists])
        at = number
        if len(self.lengths) > 1:
            starts = np.cumsum(self.lengths) - self.lengths
            at = number + starts[lists]
        if known.all():
            return self.codes[at]
        tag = np.full(len(at), -1, np.int32)
        tag[known] = self.codes[at[known]]
        return tag


def find_class_names(
    tree: Tree,
    configs: Sequence[DatasetConfig],
    given: PurePath | None,
    labels: LabelFiles,
    log: FindingLog,
) -> ClassNames:
    """Return the class names of label files, from the file given or from the dataset.

    Args:
        tree: The files of the dataset.
        configs: Its data.yaml and obj.data files.
        given: The file that the user named, which applies to all label files.
        labels: The label files. Those without rows need no names.
        log: Where findings and decisions are reported.

    Raises:
        AmbiguousDatasetError: Label files have no class list, or two that disagree.
        OptionError: The file given does not exist, or contains no names.
    """
    if given is not None:
        only, reason = read_given_list(given, tree, log)
        _report([only], reason, [], log)
        return _class_names([only], np.zeros_like(labels.folders.of_file), labels.first_code)
    folders, folder_of_file = labels.folders
    with_rows = _folders_with_rows(folder_of_file, labels)
    needed = [folders[code] for code in with_rows] or folders
    chooser = ClassListChooser(tree, configs, needed, log)
    list_of_folder = chooser.choose()
    lists = {each.file: each for each in list_of_folder.values()}
    different = distinct_lists(lists.values())
    reason = ""
    if len(different) > 1:
        reason = f"{len(different)} lists; each label file uses the nearest"
    _report(different, reason, chooser.doubts(), log)
    index_of_list = {file: index for index, file in enumerate(lists)}
    index_of_folder = {folder: index_of_list[each.file] for folder, each in list_of_folder.items()}
    indexes = np.asarray([index_of_folder.get(folder, 0) for folder in folders], np.int32)
    return _class_names(list(lists.values()), indexes[folder_of_file], labels.first_code)


def folders_of(files: Sequence[str]) -> LabelFolders:
    """Return the folders of label files."""
    codes: dict[str, int] = {}
    of_run: list[int] = []
    counts: list[int] = []
    for folder, names in by_folder(files):
        of_run.append(codes.setdefault(folder, len(codes)))
        counts.append(len(names))
    of_file = np.repeat(np.asarray(of_run, np.int32), np.asarray(counts, np.int64))
    return LabelFolders([*codes] or [""], of_file)


def _folders_with_rows(folder_of_file: NDArray[np.int32], labels: LabelFiles) -> list[int]:
    """Return the folders of label files with rows."""
    has_rows = np.zeros(len(folder_of_file), np.bool_)
    for block in blocks(len(labels.file_of_row)):
        has_rows[labels.file_of_row[block] - labels.first_code] = True
    return np.flatnonzero(np.bincount(folder_of_file[has_rows])).tolist()


def _class_names(
    lists: Sequence[ClassList], list_of_file: NDArray[np.int32], first_code: int
) -> ClassNames:
    """Return the names of several lists as one table.

    A name that an earlier list has is the same tag. A name that one list has twice is two tags,
    which are merged and reported later.
    """
    tags: list[str] = []
    known: dict[str, int] = {}
    codes: list[int] = []
    for each in lists:
        added: dict[str, int] = {}
        for name in each.names:
            code = known.get(name, len(tags))
            if code == len(tags):
                added.setdefault(name, code)
                tags.append(name)
            codes.append(code if name.strip() else -1)
        known = added | known
    lengths = np.asarray([len(each.names) for each in lists], np.int64)
    return ClassNames(tags, lengths, np.asarray(codes, np.int32), list_of_file, first_code)


def _report(
    lists: Sequence[ClassList], reason: str, doubts: Sequence[str], log: FindingLog
) -> None:
    """Report which lists are used, and why."""
    count = counted(len(lists[0].names), "name") if len(lists) == 1 else ""
    evidence = "; ".join(filter(None, [*doubts, count, reason]))
    files = shorten_files([each.file for each in lists])
    log.decide("names", files, evidence, doubtful=bool(doubts))


def shorten_files(files: Sequence[str]) -> str:
    """Return the first of some files, and how many more there are."""
    more = f" and {len(files) - _SHOWN_FILES} more" if len(files) > _SHOWN_FILES else ""
    return ", ".join(files[:_SHOWN_FILES]) + more
