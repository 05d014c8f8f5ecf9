"""Which list of class names each label file has, and the one table of tags that all lists make.

A list is about the label files in its folder and below it, as labelImg, Label Studio and darknet write it; that of a
description is about the label files of its splits. The nearest counts. Names, not numbers, make a tag: class 0 of two
lists is one tag only if it has one name.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.errors import AmbiguousDatasetError
from regionbatch.files.paths import folder_key
from regionbatch.findings import as_text
from regionbatch.readers.yolo.name_lists import NameList, NameLists, given_list, upwards
from regionbatch.readers.yolo.places import homes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.descriptions import Config

_SHOWN = 3
_SHOWN_NAME = 40


class Labels(NamedTuple):
    """The label files that are read, and their rows; n rows."""

    files: Sequence[str]
    first: int
    """The code of the first of them in the log; they follow each other there."""
    file: NDArray[np.int32]
    """(n,) The code of each row's file."""


class ClassNames(NamedTuple):
    """The class names of label files; f files, l lists, c names in all lists."""

    tags: list[str]
    """The names of all lists, each once."""
    lengths: NDArray[np.int64]
    """(l,) How many names each list has."""
    codes: NDArray[np.int32]
    """(c,) The tag of each class, list after list; -1: it has no name."""
    list_of: NDArray[np.int32]
    """(f,) The list of each label file."""
    first: int
    """See `Labels.first`."""

    def list_of_rows(self, file: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the list of each row.

        Args:
            file: (n,) The code of each row's file in the log.
        """
        if len(self.lengths) == 1:
            return np.broadcast_to(np.int32(0), file.shape)
        return self.list_of[file - self.first]

    def name(self, which: int, number: int) -> str:
        """Return the name that a list has for a class; empty: none."""
        if not 0 <= number < self.lengths[which]:
            return ""
        code = self.codes[self.lengths[:which].sum() + number]
        return self.tags[code] if code >= 0 else ""

    def tag(self, file: NDArray[np.int32], number: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the tag of each row, -1 for a class that has no name.

        Args:
            file: (n,) The code of each row's file in the log.
            number: (n,) The number of its class.
        """
        lists = self.list_of_rows(file)
        known = (number >= 0) & (number < self.lengths[lists])
        all_known = bool(known.all())
        at = number if all_known else np.where(known, number, 0)
        if len(self.lengths) > 1:
            starts = np.cumsum(self.lengths) - self.lengths
            at = at + starts[lists]
        tag = self.codes[at]
        return tag if all_known else np.where(known, tag, np.int32(-1))


def class_names(
    tree: Tree, configs: Sequence[Config], given: Path | None, labels: Labels, log: FindingLog
) -> ClassNames:
    """Return the class names of label files, from the file given or from the dataset.

    Args:
        tree: The files of the dataset.
        configs: Its descriptions.
        given: The file that the user named: it is for all label files.
        labels: The label files. What those without rows are called does not matter.
        log: Where findings and decisions are reported.

    Raises:
        AmbiguousDatasetError: Label files have no list, or two that disagree.
    """
    if given is not None:
        only, how = given_list(given, tree, log)
        _report([only], how, [], log)
        return _table([only], np.zeros(len(labels.files), np.int32), labels.first)
    folder_of = [file.rpartition("/")[0] for file in labels.files]
    filled = {folder_of[at] for at in np.unique(labels.file - labels.first).tolist()}
    folders = [folder for folder in dict.fromkeys(folder_of) if folder in filled] or [*dict.fromkeys(folder_of)] or [""]
    choice = _Choice(tree, configs, folders, log)
    chosen = choice.lists()
    lists = {each.file: each for each in chosen.values()}
    different = [*{each.number: each for each in reversed(lists.values())}.values()][::-1]
    how = f"{len(different)} lists; each label file has the nearest" if len(different) > 1 else ""
    _report(different, how, [*choice.doubts()], log)
    numbers = {file: number for number, file in enumerate(lists)}
    at = {folder: numbers[each.file] for folder, each in chosen.items()}
    return _table([*lists.values()], np.asarray([at.get(folder, 0) for folder in folder_of], np.int32), labels.first)


def _table(lists: Sequence[NameList], list_of: NDArray[np.int32], first: int) -> ClassNames:
    """Return the names of several lists as one table: a name that an earlier list has is the same tag."""
    tags: list[str] = []
    known: dict[str, int] = {}
    codes: list[int] = []
    for each in lists:
        own: dict[str, int] = {}
        for name in each.names:
            code = known.get(name, len(tags))
            if code == len(tags):  # also a name that the list has twice, which is reported as such later
                own.setdefault(name, code)
                tags.append(name)
            codes.append(code if name.strip() else -1)
        known = own | known
    lengths = np.asarray([len(each.names) for each in lists], np.int64)
    return ClassNames(tags, lengths, np.asarray(codes, np.int32), list_of, first)


class _Choice:
    """Chooses a list for each folder of label files."""

    def __init__(self, tree: Tree, configs: Sequence[Config], folders: Sequence[str], log: FindingLog) -> None:
        """Take the folders of the label files."""
        self._tree, self._folders = tree, folders
        self._lists = NameLists(tree, configs, log)
        self._configs = {config.file: config for config in configs}
        self._homes: dict[str, dict[str, str]] = {}
        """The folders of the label files that each description is about."""
        self._counted: set[str] = set()
        """The lists that some label files have."""
        self._chosen: dict[str, NameList] = {}
        self._guessed: list[str] = []
        """Folders whose list is neither in them nor above."""

    def lists(self) -> dict[str, NameList]:
        """Return the list of each folder.

        Raises:
            AmbiguousDatasetError: One has none, or two that disagree.
        """
        nearest = {folder: self._lists.nearest(folder) for folder in self._folders}
        found = [*self._lists.described, *(each for lists in nearest.values() for each in lists)]
        if all(nearest.values()) and all(each.is_same(found[0]) for each in found):
            best = min(self._lists.described, key=_rank, default=None)
            for folder, lists in nearest.items():
                self._chosen[folder] = min([*lists, *([best] if best else [])], key=_rank)
            return self._chosen
        self._homes = {each.file: self._homes_of(each.file) for each in self._lists.described}
        about: dict[str, list[int]] = {}
        for number, each in enumerate(self._lists.described):
            for home in self._homes.get(each.file, ()):
                about.setdefault(home, []).append(number)
        for folder, lists in nearest.items():
            numbers = {number for above in upwards(folder) for number in about.get(above, ())}
            described = [self._lists.described[number] for number in sorted(numbers)]
            near = [each for each in lists if not described or not self._homes.get(each.file)]
            if described or near:
                self._choose(folder, [*described, *near])
        without = [folder for folder in nearest if folder not in self._chosen]
        last = self._lists.described if len(without) == len(nearest) else ()
        for folder in without:
            self._choose(folder, self._elsewhere(folder, last))
        return self._chosen

    def _homes_of(self, file: str) -> dict[str, str]:
        return {"": ""} if file == self._tree.named else homes_of(self._tree, self._configs[file])

    def _choose(self, folder: str, lists: Sequence[NameList]) -> None:
        best = min(lists, key=_rank)
        for each in lists:
            if not each.is_same(best):
                raise AmbiguousDatasetError(
                    f"{each.file}: class names differ from those of {best.file}, and both are for the label files in "
                    f"{folder or '.'}: {_difference(each, best)}. Correct or remove one, or choose a list for all "
                    "label files with --names.",
                    place=each.file,
                    option="names",
                )
            self._counted.add(each.file)
        self._chosen[folder] = best

    def _elsewhere(self, folder: str, last: Sequence[NameList]) -> Sequence[NameList]:
        """Return the lists for a folder that has none in it or above.

        Those of another role or split of the same dataset are as good. One that no label file is below is a guess, and
        so are the `last`.
        """
        used = {above for each in self._folders for above in upwards(each)}
        lists = self._lists.everywhere(used)
        parts = folder_key(folder).parts
        if kin := [each for each in lists if folder_key(each.folder).parts == parts]:
            return kin
        stray = [each for each in lists if each.folder not in used and not self._homes.get(each.file)] or last
        if stray:
            self._guessed.append(folder)
            return stray
        where = folder or "."
        if lists:
            what = f"no list is in this folder or above it, as {lists[0].file} is elsewhere"
        else:
            where, what = str(self._tree.root), "no data.yaml, obj.data, obj.names or classes.txt has any"
        raise AmbiguousDatasetError(
            f"{where}: no class names: {what}. Add a classes.txt, or name one list for all label files with --names.",
            place=folder,
            option="names",
        )

    def doubts(self) -> Iterator[str]:
        """Yield what speaks against the lists that were chosen, by an example of each kind."""
        for folder in islice(self._guessed, 1):
            yield f"neither in {folder or '.'} nor above it"
        outer = (
            each
            for folder, best in self._chosen.items()
            for above in upwards(folder)
            for each in self._lists.here(above)
            if each.file not in self._counted and not self._homes.get(each.file) and not each.is_same(best)
        )
        for each in islice(outer, 1):
            yield f"{each.file} differs, but is farther away"
        chosen = {each.number: each for each in reversed(self._chosen.values())}
        for each in islice((each for each in reversed(chosen.values()) if each.is_numbered()), 1):
            yield f"every name in {each.file} begins with its number: '{as_text(each.names[0])[:_SHOWN_NAME]}'"


def _rank(each: NameList) -> int:
    return each.rank


def _difference(one: NameList, other: NameList) -> str:
    """Return the first difference of two lists."""
    for number, (here, there) in enumerate(zip(one.key(), other.key(), strict=False)):
        if here != there:
            return f"class {number} is '{as_text(here)}', not '{as_text(there)}'"
    return f"{count_of_names(len(one.names))}, not {len(other.names)}"


def count_of_names(count: int) -> str:
    """Return a number of names as it is shown."""
    return f"{count} name" if count == 1 else f"{count} names"


def _report(lists: Sequence[NameList], how: str, doubts: Sequence[str], log: FindingLog) -> None:
    """Say which lists are used, and why."""
    count = count_of_names(len(lists[0].names)) if len(lists) == 1 else ""
    evidence = ", ".join(filter(None, [*doubts, count, how]))
    log.decide("names", shortened([each.file for each in lists]), evidence, doubtful=bool(doubts))


def shortened(files: Sequence[str]) -> str:
    """Return the first of some files, and how many more there are."""
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(files[:_SHOWN]) + more
