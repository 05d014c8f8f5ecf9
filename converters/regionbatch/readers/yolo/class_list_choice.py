"""Choose the class list of each folder of label files.

A list applies to the label files in its folder and below, as labelImg, Label Studio and darknet
write it. The list of a data.yaml or obj.data applies to the label files of its splits. The nearest
list counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.errors import AmbiguousDatasetError
from regionbatch.files.paths import folder_key
from regionbatch.findings import as_text
from regionbatch.readers.yolo.class_lists import ClassListFinder
from regionbatch.readers.yolo.lookup import folder_and_parents
from regionbatch.readers.yolo.split_sources import label_folders_of_config
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.class_lists import ClassList
    from regionbatch.readers.yolo.dataset_configs import DatasetConfig

_SHOWN = 40
"""Characters of a class name in a message."""


class ClassListChooser:
    """Chooses a class list for each folder of label files."""

    def __init__(
        self, tree: Tree, configs: Sequence[DatasetConfig], folders: Sequence[str], log: FindingLog
    ) -> None:
        """Prepare to choose.

        Args:
            tree: The files of the dataset.
            configs: Its data.yaml and obj.data files.
            folders: The folders of the label files.
            log: Where guessed encodings are reported.
        """
        self._tree = tree
        self._folders = folders
        self._finder = ClassListFinder(tree, configs, log)
        self._configs = {config.file: config for config in configs}
        self._label_folders: dict[str, dict[str, str]] = {}
        """The label folders that each data.yaml or obj.data applies to, by its path."""
        self._considered: set[str] = set()
        """The files of all lists that apply to some label files."""
        self._chosen: dict[str, ClassList] = {}
        self._guessed: list[str] = []
        """Folders without a list in them or above them."""

    def choose(self) -> dict[str, ClassList]:
        """Return the list of each folder.

        Raises:
            AmbiguousDatasetError: A folder has no list, or two that disagree.
        """
        nearest = {folder: self._finder.nearest(folder) for folder in self._folders}
        if self._all_agree(nearest):
            self._choose_preferred(nearest)
            return self._chosen
        in_configs = self._finder.in_configs
        self._label_folders = {each.file: self._label_folders_of(each) for each in in_configs}
        by_label_folder = self._lists_by_label_folder()
        for folder, lists in nearest.items():
            if candidates := self._candidates(folder, lists, by_label_folder):
                self._choose(folder, candidates)
        without = [folder for folder in self._folders if folder not in self._chosen]
        last_resort = in_configs if len(without) == len(nearest) else ()
        for folder in without:
            self._choose(folder, self._from_elsewhere(folder, last_resort))
        return self._chosen

    def _all_agree(self, nearest: Mapping[str, Sequence[ClassList]]) -> bool:
        """Return whether every folder has a list, and all lists have the same names."""
        numbers = {each.number for each in self._finder.in_configs}
        for lists in nearest.values():
            if not lists:
                return False
            numbers.update(each.number for each in lists)
        return len(numbers) <= 1

    def _choose_preferred(self, nearest: Mapping[str, Sequence[ClassList]]) -> None:
        """Choose by preference among lists that all agree."""
        preferred = sorted(self._finder.in_configs, key=_rank)[:1]
        for folder, lists in nearest.items():
            self._chosen[folder] = min([*lists, *preferred], key=_rank)

    def _label_folders_of(self, each: ClassList) -> dict[str, str]:
        """Return the label folders that the list of a data.yaml or obj.data applies to."""
        if each.file == self._tree.named:
            return {"": ""}
        return label_folders_of_config(self._tree, self._configs[each.file])

    def _lists_by_label_folder(self) -> dict[str, list[int]]:
        """Return the indexes of the configs' lists that apply to each label folder."""
        found: dict[str, list[int]] = {}
        for index, each in enumerate(self._finder.in_configs):
            for folder in self._label_folders[each.file]:
                found.setdefault(folder, []).append(index)
        return found

    def _candidates(
        self,
        folder: str,
        nearest: Sequence[ClassList],
        by_label_folder: Mapping[str, Sequence[int]],
    ) -> list[ClassList]:
        """Return the lists that apply to a folder of label files."""
        indexes: set[int] = set()
        for parent in folder_and_parents(folder):
            indexes.update(by_label_folder.get(parent, ()))
        in_configs = [self._finder.in_configs[index] for index in sorted(indexes)]
        if not in_configs:
            return list(nearest)
        return [*in_configs, *(each for each in nearest if not self._label_folders.get(each.file))]

    def _choose(self, folder: str, candidates: Sequence[ClassList]) -> None:
        best = min(candidates, key=_rank)
        for each in candidates:
            if not each.is_same(best):
                raise AmbiguousDatasetError(
                    f"{each.file}: class names differ from those in '{best.file}', and both lists "
                    f"apply to the label files in '{folder or '.'}': {_difference(each, best)}. "
                    "Correct or remove one list, or choose one for all label files with `names`.",
                    place=each.file,
                    option="names",
                    choices=(best.file, each.file),
                )
            self._considered.add(each.file)
        self._chosen[folder] = best

    def _from_elsewhere(self, folder: str, last_resort: Sequence[ClassList]) -> Sequence[ClassList]:
        """Return lists for a folder that has none in it or above.

        A list of another role or split of the same dataset is as good as one in the folder itself.
        A list without a label file below it is a guess, and so is the `last_resort`.
        """
        used = {parent for each in self._folders for parent in folder_and_parents(each)}
        lists = self._finder.everywhere(used)
        parts = folder_key(folder).parts
        related = [each for each in lists if folder_key(each.folder).parts == parts]
        if related:
            return related
        unused = [
            each
            for each in lists
            if each.folder not in used and not self._label_folders.get(each.file)
        ]
        if unused or last_resort:
            self._guessed.append(folder)
            return unused or last_resort
        raise self._no_list(folder, lists)

    def _no_list(self, folder: str, lists: Sequence[ClassList]) -> AmbiguousDatasetError:
        if lists:
            place = folder or "."
            file = lists[0].file
            what = f"no list of class names in this folder or above it, only elsewhere: '{file}'"
        else:
            place = str(self._tree.root)
            what = "no class names in a data.yaml, obj.data, obj.names or classes.txt"
        return AmbiguousDatasetError(
            f"{place}: {what}. Add a classes.txt, or choose one list for all label files with "
            "`names`.",
            place=place,
            option="names",
        )

    def doubts(self) -> list[str]:
        """Return the doubts about the chosen lists, with one example of each kind."""
        doubts = []
        if self._guessed:
            doubts.append(f"there is no list in {self._guessed[0] or '.'} or above it")
        if differing := self._differing_list_above():
            doubts.append(f"{differing.file} differs, but is farther away")
        for each in distinct_lists(self._chosen.values()):
            if each.has_numbered_names():
                name = as_text(each.names[0])[:_SHOWN]
                doubts.append(f"every name in {each.file} starts with its number: '{name}'")
                break
        return doubts

    def _differing_list_above(self) -> ClassList | None:
        """Return a list above some label files that has other names than the chosen one."""
        for folder, best in self._chosen.items():
            for parent in folder_and_parents(folder):
                for each in self._finder.in_folder(parent):
                    applies = each.file in self._considered or self._label_folders.get(each.file)
                    if not applies and not each.is_same(best):
                        return each
        return None


def distinct_lists(lists: Iterable[ClassList]) -> list[ClassList]:
    """Return the lists without those that have the same names as an earlier one."""
    by_number: dict[int, ClassList] = {}
    for each in reversed(list(lists)):
        by_number[each.number] = each
    return list(by_number.values())[::-1]


def _rank(each: ClassList) -> int:
    return each.rank


def _difference(one: ClassList, other: ClassList) -> str:
    """Return the first difference of two lists."""
    names = zip(one.stripped_names(), other.stripped_names(), strict=False)
    for number, (name, other_name) in enumerate(names):
        if name != other_name:
            return f"class {number} is '{as_text(name)}', not '{as_text(other_name)}'"
    return f"{counted(len(one.names), 'name')}, not {len(other.names)}"
