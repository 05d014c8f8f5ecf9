"""Which XML files of a folder are the dataset, and the split of each: by lists in ImageSets, or by folders."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from regionbatch.dataset import References
from regionbatch.errors import DatasetError
from regionbatch.files.paths import fold, is_image, path_suffixes
from regionbatch.files.splits import match_split, split_of_folder
from regionbatch.files.tree import read_lines
from regionbatch.readers.xml_start import xml_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

_ROOT = re.compile(rb"<(?:[\w.-]+:)?annotation[\s/>]")
_FLAGS = ("1", "0", "-1")


def is_annotation(tree: Tree, name: str) -> bool:
    """Return whether an XML file has an <annotation> near its beginning."""
    return _ROOT.search(xml_start(tree, name)) is not None


def choose_files(tree: Tree, split: str | None, log: FindingLog) -> References:
    """Return the XML files to read with the split of each (empty: none), and the others.

    Raises:
        DatasetError: There is no XML file, or no such split.
    """
    if tree.named:
        if split is not None:
            what = f"one file has no splits, got --split {split}; name the folder instead"
            raise DatasetError(f"{tree.source}: {what}", place=tree.named, option="split")
        others = [name for name in tree.files(".xml") if name != tree.named]
        return References({tree.named: ""}, one_image_each=True, others=others, extensions=(".xml",))
    files = list(tree.files(".xml"))
    if not files:
        here = f"no XML file here{tree.closed_folders()}"
        advice = "name the folder that holds Annotations, or check --format"
        raise DatasetError(f"{tree.root}: {here}; {advice}", option="format")
    files = _without_strangers(tree, files)
    chosen = _of_split(tree, files, split, log)
    loose = {folder for folder in {name.rpartition("/")[0] for name in files} if not _is_home(folder)}
    mixed = bool(loose) and any(name.rpartition("/")[0] not in loose for name in files)
    return References(
        chosen,
        one_image_each=True,
        others=[name for name in files if name not in chosen],
        label_folders=_label_folders(files) if mixed else None,
        extensions=(".xml",),
    )


def _of_split(tree: Tree, files: list[str], split: str | None, log: FindingLog) -> dict[str, str]:
    """The files of a split, or of all, with the split of each."""
    lists = _split_lists(tree)
    splits = {folder: split_of_folder(f"{folder}/") for folder in {name.rpartition("/")[0] for name in files}}
    folders = {name: splits[name.rpartition("/")[0]] for name in files}
    if split is None:
        plain = {name: lists[name] for name in _plain_splits(lists)}
        return {**folders, **_listed(tree, files, plain, log, quiet=True)}
    if wanted := match_split(split, lists):
        chosen = _listed(tree, files, {name: lists[name] for name in wanted}, log, quiet=False)
        if not chosen:
            places = [place for name in wanted for place in lists[name]]
            what = f"no XML file of this split is here, got --split {split}; correct the list"
            raise DatasetError(f"{', '.join(places)}: {what}", place=places[0], option="split")
        return chosen
    if wanted := match_split(split, set(folders.values()) - {""}):
        return {name: folder for name, folder in folders.items() if folder in wanted}
    known = ", ".join(sorted({*lists, *folders.values()} - {""})) or "no splits"
    what = f"no such split, got --split {split or repr(split)}; here is {known}"
    raise DatasetError(f"{tree.root}: {what}", option="split")


def split_at_annotations(name: str) -> tuple[str, str, str]:
    """`devkit/Annotations/sub/a.xml` -> `devkit`, `Annotations`, `sub/a.xml`; loose files have no middle."""
    parts = name.split("/")
    for at, part in enumerate(parts[:-1]):
        if fold(part) == "annotations":
            return "/".join(parts[:at]), part, "/".join(parts[at + 1 :])
    return "/".join(parts[:-1]), "", parts[-1]


def _is_home(folder: str) -> bool:
    """Whether a folder is called Annotations, or lies in one that is."""
    return bool(split_at_annotations(f"{folder}/")[1])


def _without_strangers(tree: Tree, files: list[str]) -> list[str]:
    """The files without those that are no annotations, if they lie elsewhere than the folders called Annotations."""
    folders = {name.rpartition("/")[0] for name in files}
    loose_folders = {folder for folder in folders if not _is_home(folder)}
    loose = [name for name in files if name.rpartition("/")[0] in loose_folders]
    if not loose or len(loose) == len(files):
        return files
    strangers = {name for name in loose if not is_annotation(tree, name)}
    return [name for name in files if name not in strangers]


def _label_folders(files: list[str]) -> list[str]:
    """The folders called Annotations, and those of loose files that no such folder lies next to or above."""
    places = {name.rpartition("/")[0]: split_at_annotations(name) for name in files}
    homes = {home for home, annotations, _ in places.values() if annotations}
    below = tuple(f"{home}/" if home else "" for home in homes)
    loose = [folder for folder, place in places.items() if not place[1] and not f"{folder}/".startswith(below)]
    return [folder for folder, place in places.items() if place[1]] + loose


def _split_lists(tree: Tree) -> dict[str, list[str]]:
    """The lists in ImageSets/Main, by the name of the split; several devkits may lie in one folder."""
    lists: dict[str, list[str]] = {}
    for name in tree.files(".txt"):
        *above, file = name.split("/")
        if [part.lower() for part in above[-2:]] == ["imagesets", "main"]:
            lists.setdefault(file[:-4], []).append(name)
    return lists


def _plain_splits(lists: Iterable[str]) -> list[str]:
    plain = ("train", "val", "test", "trainval")
    return [name for wanted in plain for name in match_split(wanted, lists) if "_" not in name]


def _listed(
    tree: Tree, files: list[str], lists: Mapping[str, list[str]], log: FindingLog, *, quiet: bool
) -> dict[str, str]:
    """The XML files that lists name, with the list each is in; entries without a file are reported unless `quiet`.

    A line is a stem, or `stem 1`, `stem 0`, `stem -1` in the lists by class: -1 is an image without the class.
    """
    by_home: dict[str, dict[str, str]] = {}
    for name in files:
        home, _, rest = split_at_annotations(name)
        by_home.setdefault(home, {})[rest.rpartition(".")[0]] = name
    chosen: dict[str, str] = {}
    for split, paths in lists.items():
        for path in paths:
            known = _at_home(by_home, "/".join(path.split("/")[:-3]))
            for number, line in enumerate(read_lines(tree, path, log), 1):
                stem, flag = (line, "") if line in known else _without_flag(line)
                if flag == "-1":
                    continue
                if name := known.get(stem) or _by_its_end(known, stem):
                    chosen.setdefault(name, split)
                elif stem and not quiet:
                    log.note("missing_label", path, stem, number)
    return chosen


def _without_flag(line: str) -> tuple[str, str]:
    """Return a line without the number at its end, and this number; empty: it has none."""
    stem, *last = line.rsplit(maxsplit=1)[-2:] or [""]
    return (stem, last[0]) if last and last[0] in _FLAGS else (line, "")


def _at_home(by_home: Mapping[str, dict[str, str]], home: str) -> dict[str, str]:
    """The XML files of the folder that holds ImageSets; if it has none, those of the only folder below that does."""
    below = [one for one in by_home if not home or one.startswith(f"{home}/")]
    return by_home.get(home) or (by_home[below[0]] if len(below) == 1 else {})


def _by_its_end(known: Mapping[str, str], entry: str) -> str:
    """The XML file of an entry such as `JPEGImages/a.jpg` or `./a`; empty: there is none."""
    for tail in path_suffixes(entry):
        stem, _, ending = tail.rpartition(".")
        if found := known.get(tail) or (known.get(stem) if is_image(tail) or ending.lower() == "xml" else ""):
            return found
    return ""
