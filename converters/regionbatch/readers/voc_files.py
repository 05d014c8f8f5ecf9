"""Which XML files of a folder are the data set, and the split of each: by lists in ImageSets, or by folders."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.errors import DatasetError
from regionbatch.readers.files import is_picture, match_split, read_lines, split_of_folder, tails, tree_of
from regionbatch.readers.text import UnreadableError
from regionbatch.readers.voc_pictures import split_at_annotations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from regionbatch.findings import Report
    from regionbatch.readers.files import Tree

_ROOT = re.compile(rb"<(?:[\w.-]+:)?annotation[\s/>]")
_FLAG = re.compile(r"\s+(-?[01])$")


def is_annotation(tree: Tree, name: str) -> bool:
    """Whether an XML file has an <annotation> in its first bytes, or behind a comment that is longer than those."""
    try:
        start = tree.beginning(name).replace(b"\0", b"")
        if start.rfind(b"<!--") > start.rfind(b"-->"):
            start = tree.read(name).replace(b"\0", b"")
    except UnreadableError:
        return False
    return _ROOT.search(start) is not None


def choose_files(path: Path, split: str | None, report: Report) -> tuple[Tree, dict[str, str]]:
    """The tree, and the XML files to read with the split of each (empty: none).

    Raises:
        DatasetError: There is no XML file, or no such split.
    """
    if path.is_file():
        return _single(path, split)
    tree = tree_of(path)
    files = list(tree.files(".xml"))
    if not files:
        raise DatasetError(
            f"{path}: no XML file here{tree.told_closed()}; name the folder that holds Annotations, or check --format"
        )
    files = _without_strays(tree, files, report)
    lists = _split_lists(tree)
    folders = {name: split_of_folder(name) for name in files}
    if split is None:
        listed = _listed(tree, files, {name: lists[name] for name in _plain_splits(lists)}, report, quiet=True)
        return tree, {**folders, **listed}
    if wanted := match_split(split, lists):
        chosen = _listed(tree, files, {name: lists[name] for name in wanted}, report, quiet=False)
        if not chosen:
            place = ", ".join(place for name in wanted for place in lists[name])
            raise DatasetError(f"{place}: no XML file of this split is here, got --split {split}; correct the list")
        return tree, chosen
    if wanted := match_split(split, set(folders.values()) - {""}):
        return tree, {name: folder for name, folder in folders.items() if folder in wanted}
    known = ", ".join(sorted({*lists, *folders.values()} - {""})) or "no splits"
    raise DatasetError(f"{path}: no such split, got --split {split or repr(split)}; here is {known}")


def _single(path: Path, split: str | None) -> tuple[Tree, dict[str, str]]:
    if split is not None:
        raise DatasetError(f"{path}: one file has no splits, got --split {split}; name the folder instead")
    path = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow links, `absolute` keep `..`
    home = path.parent.parent if path.parent.name.lower() == "annotations" else path.parent
    return tree_of(home), {path.relative_to(home).as_posix(): ""}


def _without_strays(tree: Tree, files: list[str], report: Report) -> list[str]:
    """The files in folders called Annotations, and those of homes that have none.

    Others beside an Annotations folder (copies, rests of another export) are reported.
    """
    folders = {name: name.rpartition("/")[0] for name in files}
    places = {folder: split_at_annotations(f"{folder}/") for folder in set(folders.values())}
    loose = {name: folder for name, folder in folders.items() if not places[folder][1]}
    if not loose or len(loose) == len(files):
        return files
    homes = {home for home, annotations, _ in places.values() if annotations}
    strays = {name for name, folder in loose.items() if _is_below(folder, homes)}
    others = {name for name in loose if not is_annotation(tree, name)}
    for name in sorted(strays - others):
        report.note("unlisted_label", name)
    return [name for name in files if name not in strays and name not in others]


def _is_below(folder: str, tops: Collection[str]) -> bool:
    return any(not top or folder == top or folder.startswith(f"{top}/") for top in tops)


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
    tree: Tree, files: list[str], lists: Mapping[str, list[str]], report: Report, *, quiet: bool
) -> dict[str, str]:
    """The XML files that lists name, with the list each is in; entries without a file are reported unless `quiet`.

    A line is a stem, or `stem 1`, `stem 0`, `stem -1` in the lists by class: -1 is a picture without the class.
    """
    by_home: dict[str, dict[str, str]] = {}
    for name in files:
        home, _, rest = split_at_annotations(name)
        by_home.setdefault(home, {})[rest.rpartition(".")[0]] = name
    chosen: dict[str, str] = {}
    for split, paths in lists.items():
        for path in paths:
            known = _at_home(by_home, "/".join(path.split("/")[:-3]))
            for number, line in enumerate(read_lines(tree, path, report), 1):
                stem = line if line in known else _FLAG.sub("", line)
                if stem != line and line.split()[-1] == "-1":
                    continue
                if name := known.get(stem) or _by_its_end(known, stem):
                    chosen.setdefault(name, split)
                elif stem and not quiet:
                    report.note("missing_label", path, stem, number)
    return chosen


def _at_home(by_home: Mapping[str, dict[str, str]], home: str) -> dict[str, str]:
    """The XML files of the folder that holds ImageSets; if it has none, those of the only folder below that does."""
    below = [one for one in by_home if not home or one.startswith(f"{home}/")]
    return by_home.get(home) or (by_home[below[0]] if len(below) == 1 else {})


def _by_its_end(known: Mapping[str, str], entry: str) -> str:
    """The XML file of an entry such as `JPEGImages/a.jpg` or `./a`; empty: there is none."""
    for tail in tails(entry):
        stem, _, ending = tail.rpartition(".")
        if found := known.get(tail) or (known.get(stem) if is_picture(tail) or ending.lower() == "xml" else ""):
            return found
    return ""
