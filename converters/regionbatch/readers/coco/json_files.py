"""Choose which JSON files of a folder are the dataset, and find the split of each."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.errors import AmbiguousDatasetError, DatasetError, OptionError
from regionbatch.files.cloud_paths import as_path, real_path
from regionbatch.files.splits import SPLIT_NAME, match_split, require_splits, split_of_folder
from regionbatch.readers.coco.json_kinds import (
    COCO,
    LABEL_FILES,
    WHAT_COCO_IS,
    describe_json,
    describe_others,
    is_broken,
    kinds_of,
)
from regionbatch.readers.coco.unread_boxes import count_boxes_in_file, files_with_other_images
from regionbatch.wording import quoted_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.options import CocoOptions

_TASKS = ("instances", "", "person_keypoints", "stuff", "panoptic", "captions", "image_info")
"""The tasks in COCO's own file names; those whose files have the boxes come first."""

Groups = dict[str, dict[str, list[str]]]
"""Files by split and task; the split is empty if a file has none."""


class ChosenFiles(NamedTuple):
    """The JSON files of a dataset."""

    files: dict[str, str]
    """The files to read, with the split of each; empty: none."""
    coco_files: list[str]
    """All files that look like COCO."""
    superseded: list[str]
    """Files that are not read, because `files` should (but may not) contain their boxes."""


def choose_files(tree: Tree, options: CocoOptions, log: FindingLog) -> ChosenFiles:
    """Choose the JSON files to read.

    Raises:
        DatasetError: No file is COCO, or there is no such split or file.
        AmbiguousDatasetError: Two files may be the same split.
        OptionError: `coco_json` is given, but the dataset is a single file.
    """
    if tree.named:
        return _choose_named_file(tree, options)
    return _choose_in_folder(tree, options, log)


def _choose_named_file(tree: Tree, options: CocoOptions) -> ChosenFiles:
    name = tree.named
    if options.coco_json is not None:
        raise OptionError(
            f"coco_json: the dataset is a single file: '{tree.source}'. "
            "Leave out `coco_json`, or read the folder.",
            option="coco_json",
            value=options.coco_json,
        )
    kind = describe_json(tree, name)
    if kind != COCO:
        what = f"not a COCO dataset: {kind}. {WHAT_COCO_IS}"
        raise DatasetError(f"{name}: {what}", place=name, value=kind)
    split = _split_and_task(name)[0] or ""
    if options.split is not None:
        require_splits(tree.source, options.split, [split])
    return ChosenFiles({name: split}, [name], [])


def _choose_in_folder(tree: Tree, options: CocoOptions, log: FindingLog) -> ChosenFiles:
    kinds = kinds_of(tree)
    coco_files = [name for name, kind in kinds.items() if kind == COCO]
    if not coco_files:
        others = describe_others(tree)
        found = f", only {others}" if others else ""
        raise DatasetError(
            f"{tree.root}: no COCO file in this folder{found}. {WHAT_COCO_IS}",
            place=str(tree.root),
        )
    candidates = coco_files
    if options.coco_json is not None:
        candidates = _files_named(tree, coco_files, options.coco_json)
    groups = _group(candidates)
    chosen = {split: _best_file(tasks) for split, tasks in groups.items()}
    if len(chosen) > 1 and "" in chosen:
        raise _ambiguous(next(iter(chosen.values())), candidates)
    if options.coco_json is None:
        _report_lost_splits(tree, kinds, chosen, options.split, log)
    if options.split is not None:
        wanted = require_splits(tree.source, options.split, chosen)
        chosen = {split: chosen[split] for split in wanted}
    siblings = _siblings(groups, chosen, log)
    files = {name: split for split, name in chosen.items()}
    return ChosenFiles(files, coco_files, _with_own_boxes(tree, files, siblings))


def _group(names: Sequence[str]) -> Groups:
    groups: Groups = {}
    for name in names:
        split, task = _split_and_task(name)
        groups.setdefault(split or "", {}).setdefault(task, []).append(name)
    return groups


def _siblings(groups: Groups, chosen: Mapping[str, str], log: FindingLog) -> list[str]:
    """Return the other files of the chosen splits, and report that they are not read."""
    siblings: list[str] = []
    preferred: list[str] = []
    for split, file in chosen.items():
        names = [name for task in groups[split].values() for name in task]
        if len(names) > 1:
            preferred.append(file)
            siblings += [name for name in names if name != file]
    if siblings:
        others = ", ".join(sorted(siblings))
        reason = f"not read, because they describe the same images: {others}"
        log.decide("coco_json", ", ".join(preferred), reason)
    return siblings


def _with_own_boxes(tree: Tree, files: Collection[str], siblings: Sequence[str]) -> list[str]:
    """Return the siblings that may have boxes of their own.

    These are files whose task is not one of COCO's, and files with other images.
    """
    of_coco = [name for name in siblings if _split_and_task(name)[1] in _TASKS]
    others = files_with_other_images(tree, files, of_coco) if of_coco else []
    return [name for name in siblings if name in others or name not in of_coco]


def _report_lost_splits(
    tree: Tree,
    kinds: Mapping[str, str],
    chosen: Collection[str],
    wanted: str | None,
    log: FindingLog,
) -> None:
    """Report splits that are lost because their only file is broken or in another format.

    Boxes in a file of another format are counted as dropped, because no reader reads the file.
    """
    splits = {name: _split_and_task(name)[0] for name, kind in kinds.items() if kind != COCO}
    splits_of_broken = {split for name, split in splits.items() if is_broken(kinds[name])}
    for name, split in splits.items():
        kind = kinds[name]
        if kind in LABEL_FILES:
            _report_boxes(tree, name, kind, log)
        elif split in chosen or not _is_wanted(split, wanted):
            continue
        elif split and is_broken(kind):
            log.read(images=1)
            log.note("unreadable_file", name, kind)
        elif is_broken(kind) or (split and split not in splits_of_broken):
            _report_boxes(tree, name, kind, log)


def _is_wanted(split: str | None, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return bool(split and match_split(wanted, [split]))


def _report_boxes(tree: Tree, name: str, kind: str, log: FindingLog) -> None:
    """Count the boxes of a file of another format as dropped."""
    count = count_boxes_in_file(tree.on_disk(name), tree.storage)
    log.read(boxes=count)
    if count:
        log.add("unlisted_label", log.file(name), np.zeros(count, np.int64), repeat(kind, count))
    else:
        log.note("ignored_file", name, kind)


def _files_named(tree: Tree, known: list[str], wanted: str) -> list[str]:
    """Return the files that `coco_json` names, by their path in the dataset or on disk."""
    path = as_path(wanted)
    real = real_path(path)
    end = "/" + path.as_posix()

    def is_named(name: str) -> bool:
        return f"/{name}".endswith(end) or real_path(as_path(tree.on_disk(name))) == real

    found = list(filter(is_named, known))
    if not found:
        quoted = quoted_names(known[:20], 20)
        raise DatasetError(
            f"{tree.root}: no such COCO file: '{wanted}'. Choose one with `coco_json`: {quoted}.",
            place=str(tree.root),
            option="coco_json",
            value=wanted,
            choices=known,
        )
    return found


def _best_file(tasks: Mapping[str, list[str]]) -> str:
    """Return the file with the boxes, from the files of one split by task.

    Raises:
        AmbiguousDatasetError: The task does not say which file it is, or files of the same split
            are in different folders.
    """
    best = min(tasks, key=lambda task: _TASKS.index(task) if task in _TASKS else len(_TASKS))
    name = tasks[best][0]
    names = [each for some in tasks.values() for each in some]
    folders = {each.rpartition("/")[0] for each in names}
    has_equals = len(tasks[best]) > 1
    has_unknown = best != _TASKS[0] and not tasks.keys() <= {best, *_TASKS}
    if has_equals or has_unknown or len(folders) > 1:
        raise _ambiguous(name, names)
    return name


def _ambiguous(first: str, names: Sequence[str]) -> AmbiguousDatasetError:
    names = sorted(names)
    known = quoted_names(names, len(names))
    return AmbiguousDatasetError(
        f"{first}: several JSON files could be the dataset: {known}. Choose one with `coco_json`.",
        place=first,
        option="coco_json",
        choices=names,
    )


def _split_and_task(path: str) -> tuple[str | None, str]:
    """Return the split and the task in the path of a file.

    `annotations/instances_val2017.json` has split `val2017` and task `instances`. The split may
    also be the first or the last word of another name: `labels_train.json` has split `train` and
    task `labels`.
    """
    stem = path.rpartition("/")[2].rpartition(".")[0]
    words = stem.split("_")
    if len(words) > 1 and SPLIT_NAME.fullmatch(words[0]):
        rest = "_".join(words[1:])
        task, _ = _task(rest)
        return words[0], task or rest
    task, rest = _task(stem)
    if SPLIT_NAME.fullmatch(rest) or (task and rest):
        return rest, task
    if not task and len(words) > 1 and SPLIT_NAME.fullmatch(words[-1]):
        return words[-1], "_".join(words[:-1])
    return split_of_folder(path) or None, task


def _task(stem: str) -> tuple[str, str]:
    """Return the task that a file name starts with, empty if it has none, and the rest of it."""
    for task in filter(None, _TASKS):
        if f"{stem}_".startswith(f"{task}_"):
            return task, stem[len(task) + 1 :]
    return "", stem
