"""Choose the XML files of a dataset, with their splits: from lists in ImageSets, or by folders."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import filterfalse
from typing import TYPE_CHECKING

from regionbatch.dataset import References
from regionbatch.errors import DatasetError
from regionbatch.files.paths import is_image, normalise_name, path_suffixes
from regionbatch.files.splits import match_split, require_splits, split_of_folder
from regionbatch.files.tree import read_lines
from regionbatch.readers.xml_start import xml_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

_ROOT = re.compile(rb"<(?:[\w.-]+:)?annotation[\s/>]")
_FLAGS = ("1", "0", "-1")
_ABSENT = "-1"
"""The flag of an image without the class of the list."""
_WHOLE_SPLITS = ("train", "val", "test", "trainval")


def detect(tree: Tree) -> str | None:
    """Return the first XML file with an <annotation>."""
    return tree.first_candidate(is_annotation, ".xml")


def is_annotation(tree: Tree, name: str) -> bool:
    """Return whether an XML file has an <annotation> near its start."""
    return _ROOT.search(xml_start(tree, name)) is not None


def choose_files(tree: Tree, split: str | None, log: FindingLog) -> References:
    """Return the XML files to read, with the split of each (empty: none), and the others.

    Raises:
        DatasetError: There is no XML file, or no such split.
    """
    if tree.named:
        return _single_file(tree, split)
    by_folder = _files_by_folder(tree)
    if not by_folder:
        raise DatasetError(
            f"{tree.root}: no XML files{tree.unreadable_folders_note()}. "
            "Choose the folder that contains Annotations, or another format with `format`.",
            place=str(tree.root),
            option="format",
        )
    by_folder = _without_other_xml(tree, by_folder)
    chosen = _files_of_split(tree, by_folder, split, log)
    are_mixed = len({*map(_is_in_annotations, by_folder)}) > 1
    return References(
        chosen,
        one_image_each=True,
        others=[name for files in by_folder.values() for name in files if name not in chosen],
        label_folders=_label_folders(by_folder) if are_mixed else None,
        extensions=(".xml",),
    )


def _files_by_folder(tree: Tree) -> dict[str, list[str]]:
    """Return the XML files of each folder that has some."""
    found: dict[str, list[str]] = {}
    for folder, listing in tree.folders():
        prefix = f"{folder}/" if folder else ""
        if names := listing.by_extension.get(".xml"):
            found[folder] = [prefix + name for name in names]
    return found


def _single_file(tree: Tree, split: str | None) -> References:
    if split is not None:
        raise DatasetError(
            f"{tree.source}: a single file has no splits: {split!r}. "
            "Read the folder of the dataset, or leave out `split`.",
            place=tree.named,
            option="split",
            value=split,
        )
    others = [name for name in tree.files(".xml") if name != tree.named]
    return References({tree.named: ""}, one_image_each=True, others=others, extensions=(".xml",))


def _files_of_split(
    tree: Tree, by_folder: Mapping[str, list[str]], split: str | None, log: FindingLog
) -> dict[str, str]:
    """Return the files of a split (None: of all splits), with the split of each."""
    lists = _split_lists(tree)
    split_of: dict[str, str] = {}
    for folder, files in by_folder.items():
        split_of |= dict.fromkeys(files, split_of_folder(f"{folder}/"))
    if split is None:
        whole = {name: lists[name] for name in _whole_splits(lists)}
        return split_of | _listed_files(tree, by_folder, whole, log, report_missing=False)
    folder_splits = {*split_of.values()} - {""}
    require_splits(str(tree.root), split, sorted(folder_splits.union(lists)))
    if wanted := match_split(split, lists):
        chosen_lists = {name: lists[name] for name in wanted}
        chosen = _listed_files(tree, by_folder, chosen_lists, log, report_missing=True)
        if not chosen:
            places = [place for name in wanted for place in lists[name]]
            raise _no_file_listed(places, split)
        return chosen
    wanted = match_split(split, folder_splits)
    return {name: found for name, found in split_of.items() if found in wanted}


def _no_file_listed(places: list[str], split: str) -> DatasetError:
    return DatasetError(
        f"{', '.join(places)}: no image of this split has an XML file: {split!r}. "
        "Correct the list, or choose another split with `split`.",
        place=places[0],
        option="split",
        value=split,
    )


def split_at_annotations(name: str) -> tuple[str, str, str]:
    """Split a path at its folder called Annotations, if it has one.

    >>> split_at_annotations("devkit/Annotations/sub/a.xml")
    ('devkit', 'Annotations', 'sub/a.xml')
    >>> split_at_annotations("devkit/a.xml")
    ('devkit', '', 'a.xml')
    """
    parts = name.split("/")
    for at, part in enumerate(parts[:-1]):
        if normalise_name(part) == "annotations":
            return "/".join(parts[:at]), part, "/".join(parts[at + 1 :])
    return "/".join(parts[:-1]), "", parts[-1]


def _is_in_annotations(folder: str) -> bool:
    """Return whether a folder is called Annotations, or is below one that is."""
    return bool(split_at_annotations(f"{folder}/")[1])


def _without_other_xml(tree: Tree, by_folder: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the files without those outside Annotations that have no <annotation>.

    If all files or none are outside Annotations, return all of them.
    """
    loose = [folder for folder in by_folder if not _is_in_annotations(folder)]
    if len(loose) in (0, len(by_folder)):
        return by_folder
    found = dict(by_folder)
    for folder in loose:
        found[folder] = [name for name in by_folder[folder] if is_annotation(tree, name)]
    return {folder: files for folder, files in found.items() if files}


def _label_folders(folders: Iterable[str]) -> list[str]:
    """Return the folders called Annotations, and the folders of loose files that belong to none.

    A loose file belongs to an Annotations folder if that is next to it or above.
    """
    place_of = {folder: split_at_annotations(f"{folder}/") for folder in folders}
    annotations = [folder for folder, place in place_of.items() if place[1]]
    homes = {place_of[folder][0] for folder in annotations}
    prefixes = tuple(f"{home}/" if home else "" for home in homes)
    loose = [folder for folder, place in place_of.items() if not place[1]]
    return annotations + [folder for folder in loose if not f"{folder}/".startswith(prefixes)]


def _split_lists(tree: Tree) -> dict[str, list[str]]:
    """Return the lists in ImageSets/Main by split. A folder may contain several devkits."""
    lists: dict[str, list[str]] = {}
    for name in tree.files(".txt"):
        *folders, file = name.split("/")
        if [part.lower() for part in folders[-2:]] == ["imagesets", "main"]:
            lists.setdefault(file[:-4], []).append(name)
    return lists


def _whole_splits(lists: Iterable[str]) -> list[str]:
    """Return the names of splits; the lists of single classes are called `cat_train`."""
    found = [name for split in _WHOLE_SPLITS for name in match_split(split, lists)]
    return [name for name in found if "_" not in name]


def _listed_files(
    tree: Tree,
    by_folder: Mapping[str, list[str]],
    lists: Mapping[str, list[str]],
    log: FindingLog,
    *,
    report_missing: bool,
) -> dict[str, str]:
    """Return the XML files that lists name, with the split of each.

    A line is a stem, or, in the lists of single classes, a stem and a flag: `stem -1` is an image
    without the class.
    """
    by_home: dict[str, dict[str, str]] = {}
    for folder, files in by_folder.items():
        home, _, below = split_at_annotations(f"{folder}/")
        start = len(folder) + 1 if folder else 0
        stems = [below + name[start:-4] for name in files]
        by_home.setdefault(home, {}).update(zip(stems, files, strict=True))
    chosen: dict[str, str] = {}
    for split, paths in lists.items():
        for path in paths:
            by_stem = _files_of_devkit(by_home, "/".join(path.split("/")[:-3]))
            lines = read_lines(tree, path, log)
            with suppress(KeyError):  # usually, each line is the stem of a file
                listed = map(by_stem.__getitem__, lines)
                chosen |= dict.fromkeys(filterfalse(chosen.__contains__, listed), split)
                continue
            for number, line in enumerate(lines, 1):
                stem, flag = (line, "") if line in by_stem else _without_flag(line)
                if flag == _ABSENT:
                    continue
                if name := by_stem.get(stem) or _file_of_entry(by_stem, stem):
                    chosen.setdefault(name, split)
                elif stem and report_missing:
                    log.note("missing_label", path, stem, number)
    return chosen


def _without_flag(line: str) -> tuple[str, str]:
    """Return a line without the flag at its end, and the flag; empty if there is none."""
    stem, *last = line.rsplit(maxsplit=1)[-2:] or [""]
    return (stem, last[0]) if last and last[0] in _FLAGS else (line, "")


def _files_of_devkit(by_home: Mapping[str, dict[str, str]], home: str) -> dict[str, str]:
    """Return the XML files by stem of the folder that contains ImageSets.

    If it has none, return those of the only folder below it that has some.
    """
    if found := by_home.get(home):
        return found
    below = [each for each in by_home if not home or each.startswith(f"{home}/")]
    return by_home[below[0]] if len(below) == 1 else {}


def _file_of_entry(by_stem: Mapping[str, str], entry: str) -> str:
    """Return the XML file of an entry such as `JPEGImages/a.jpg` or `./a`; empty: none."""
    for suffix in path_suffixes(entry):
        if found := by_stem.get(suffix):
            return found
        stem, _, extension = suffix.rpartition(".")
        has_extension = is_image(suffix) or extension.lower() == "xml"
        if has_extension and (found := by_stem.get(stem)):
            return found
    return ""
