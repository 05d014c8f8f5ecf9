"""Which JSON files of a folder are the dataset, and which split each is."""

from __future__ import annotations

import json
import os
import re
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.errors import AmbiguousDatasetError, DatasetError, OptionError
from regionbatch.files.splits import SPLIT_NAME, match_split, split_of_folder
from regionbatch.files.text import sniffed
from regionbatch.readers.coco.passed_over import count_boxes, with_other_images

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.options import CocoOptions

_SNIFF = 2**16
_TASKS = ("instances", "", "person_keypoints", "stuff", "panoptic", "captions", "image_info")
"""The tasks of COCO's own file names, those with the boxes first."""
_STRANGERS: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("a labelme file (one image)", (b"shapes", b"imagePath")),
    ("a labelme file (one image)", (b"shapes", b"imageData")),
    ("a Pascal VOC file turned into JSON", (b"bndbox",)),
    ("a panoptic COCO file (use the instances_* file)", (rb'segments_info"\s*+:\s*+\[\s*+\{\s*+"\w++',)),
)
"""Files that are no dataset of ours, with the keys in them, as patterns. A class may be called like one."""
_LABEL_FILES = frozenset(kind for kind, _ in _STRANGERS if "panoptic" not in kind)
"""Files of one image each: next to a COCO file, they are another part of the dataset."""
_BROKEN = (
    _EMPTY := "empty",
    _NOT_JSON := "not JSON",
    _CUT_OFF := "JSON that is cut off",
    _CLOSED := "a file that cannot be read",
    _PADDED := "a file that ends with nothing but whitespace or NUL",
)
_PADDING = b" \t\r\n\0"


def coco_files(tree: Tree) -> list[str]:
    """The JSON files of a tree that look like COCO."""
    return [name for name, kind in _kinds(tree).items() if kind == "COCO"]


def _kinds(tree: Tree) -> dict[str, str]:
    return {name: what_is(Path(tree.on_disk(name))) for name in tree.candidates(".json")}


def others(tree: Tree) -> str:
    """What the first JSON files of a folder are, in a few words, none of them being COCO."""
    names = [name for name in tree.candidates(".json") if name.lower().endswith(".json")]  # not a data.yaml by name
    return " or ".join(sorted({what_is(Path(tree.on_disk(name))) for name in names[:20]}))


def what_is(path: Path) -> str:
    """`COCO`, or what else a JSON file is, in a few words. Looks at its two ends only."""
    try:
        with path.open("rb") as file:
            text = file.read(_SNIFF)
            if len(text) == _SNIFF:
                file.seek(max(_SNIFF, path.stat().st_size - _SNIFF))
                end = file.read(_SNIFF)
                if len(end) == _SNIFF and not end.strip(_PADDING):  # a disk was full, or the power was off
                    return _PADDED
                text += end
    except OSError as error:
        return f"{_CLOSED} ({error.strerror})"
    text = sniffed(text)
    start = text.lstrip()[:1]
    if start == b"{":
        return _what_object(text)
    if start == b"[":
        return "a list of results (detections)" if _holds(text, b"image_id", b"score") else "a list"
    return _NOT_JSON if start else _EMPTY


def _what_object(text: bytes) -> str:
    if _is_lines(text):
        return "JSON Lines, one record a line, which is not supported"
    if strange := next((kind for kind, keys in _STRANGERS if _holds(text, *keys)), ""):
        return strange
    keys = sum(_holds(text, key) for key in (b"images", b"annotations", b"categories"))
    inner = sum(_holds(text, key) for key in (b"file_name", b"image_id", b"category_id"))
    if keys >= 2 or (keys and inner):
        return "COCO"
    return "JSON without images, annotations and categories" if text.rstrip(_PADDING).endswith(b"}") else _CUT_OFF


def _holds(text: bytes, *keys: bytes) -> bool:
    return all(re.search(rb'"%s"\s*+:' % key, text) for key in keys)


def _is_lines(text: bytes) -> bool:
    """Whether a file has one JSON object a line, the first of which is not a dataset."""
    first, _, rest = text.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    if not (first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")):
        return False
    try:
        return "images" not in json.loads(first)
    except (ValueError, RecursionError):
        return False


def choose_files(tree: Tree, options: CocoOptions, log: FindingLog) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the JSON files to read with the split of each (empty: none), all that look like COCO, and the siblings.

    The siblings are not read, since the files to read should have their boxes; but that is not certain.

    Raises:
        DatasetError: None is COCO, or the split asked for is not there.
        AmbiguousDatasetError: Two files could be the same split.
        OptionError: A file of the folder is asked for, but the user named a single file.
    """
    chosen, found, siblings = _of_file(tree, options) if tree.named else _of_folder(tree, options, log)
    return {name: split for split, name in chosen.items()}, found, siblings


def _of_file(tree: Tree, options: CocoOptions) -> tuple[dict[str, str], list[str], list[str]]:
    if options.coco_json:
        raise OptionError(
            f"--coco-json: {tree.source} is one file, got {options.coco_json}; leave it out, or name the folder",
            option="coco_json",
        )
    what = what_is(Path(tree.source))
    if what != "COCO":
        needed = "needed is a JSON object with images, annotations and categories"
        raise DatasetError(f"{tree.source}: not a COCO dataset, got {what}; {needed}", place=tree.named)
    split = _split_and_task(tree.named)[0] or ""
    return _only_split({split: tree.named}, options.split, tree.source, file=tree.named), [tree.named], []


def _of_folder(tree: Tree, options: CocoOptions, log: FindingLog) -> tuple[dict[str, str], list[str], list[str]]:
    """The files of a folder by their splits, one each; all; and the siblings that may have boxes of their own."""
    kinds = _kinds(tree)
    all_files = found = [name for name, kind in kinds.items() if kind == "COCO"]
    if not found:
        seen = f"; the JSON files here are {several}" if (several := others(tree)) else ""
        raise DatasetError(f"{tree.root}: no COCO JSON here; needed is images, annotations and categories{seen}")
    if options.coco_json:
        found = _asked(tree, found, options.coco_json)
    groups: dict[str, dict[str, list[str]]] = {}
    for name in found:
        split, task = _split_and_task(name)
        groups.setdefault(split or "", {}).setdefault(task, []).append(name)
    chosen = {split: _best(tasks) for split, tasks in groups.items()}
    if len(chosen) > 1 and "" in chosen:
        raise _ambiguous(next(iter(chosen.values())), found)
    if not options.coco_json:
        _report_lost(tree, kinds, chosen, options.split, log)
    chosen = _only_split(chosen, options.split, str(tree.root))
    passed = {
        split: [name for names in groups[split].values() for name in names if name != chosen[split]] for split in chosen
    }
    if any(passed.values()):
        kept = ", ".join(chosen[split] for split, names in passed.items() if names)
        siblings = ", ".join(sorted(name for names in passed.values() for name in names))
        log.decide("coco_json", kept, f"the boxes are there; {siblings} are about the same images")
    return chosen, all_files, _uncertain(tree, chosen, [name for names in passed.values() for name in names])


def _uncertain(tree: Tree, chosen: Mapping[str, str], siblings: Sequence[str]) -> list[str]:
    """The siblings that may have boxes of their own: of a task that is not COCO's, or with other images."""
    known = [name for name in siblings if _split_and_task(name)[1] in _TASKS]
    others = with_other_images(tree, chosen.values(), known) if known else []
    return [name for name in siblings if name in others or name not in known]


def _report_lost(
    tree: Tree, kinds: Mapping[str, str], chosen: Collection[str], wanted: str | None, log: FindingLog
) -> None:
    """Say which splits are lost, since the one file that is called like them is broken or something else.

    The boxes of files of another format are counted: no reader takes them.
    """
    splits = {name: _split_and_task(name)[0] for name, kind in kinds.items() if kind != "COCO"}
    broken = {name: split for name, split in splits.items() if kinds[name].startswith(_BROKEN)}
    for name, split in splits.items():
        if kinds[name] in _LABEL_FILES:
            _report_boxes(tree, name, kinds[name], log)
            continue
        if split in chosen or not (wanted is None or (split and match_split(wanted, [split]))):
            continue
        if split and name in broken:
            log.read(images=1)
            log.note("unreadable_file", name, kinds[name])
        elif name in broken or (split and split not in broken.values()):
            _report_boxes(tree, name, kinds[name], log)


def _report_boxes(tree: Tree, name: str, kind: str, log: FindingLog) -> None:
    """Count the boxes of a file of another format as dropped."""
    count = count_boxes(Path(tree.on_disk(name)))
    log.read(boxes=count)
    if count:
        log.add("unlisted_label", log.file(name), np.zeros(count, np.int64), repeat(kind, count))
    else:
        log.note("ignored_file", name, kind)


def _asked(tree: Tree, found: list[str], wanted: str) -> list[str]:
    """The files that `--coco-json` means: by their path in the folder, or on disk."""
    real = os.path.realpath(wanted)
    asked = [
        name
        for name in found
        if f"/{name}".endswith("/" + Path(wanted).as_posix()) or os.path.realpath(tree.on_disk(name)) == real
    ]
    if not asked:
        known = ", ".join(found[:20])
        raise DatasetError(
            f"{tree.root}: no such COCO JSON here, got --coco-json {wanted}; choose from {known}", option="coco_json"
        )
    return asked


def _best(tasks: dict[str, list[str]]) -> str:
    """The file with the boxes, of the files of one split by their tasks; the others must lie in the same folder."""
    best = min(tasks, key=lambda task: _TASKS.index(task) if task in _TASKS else len(_TASKS))
    name, *twins = tasks[best]
    unknown = [] if best == _TASKS[0] else [each for task in tasks.keys() - {best, *_TASKS} for each in tasks[task]]
    folder = name.rpartition("/")[0]
    strangers = [other for names in tasks.values() for other in names if other.rpartition("/")[0] != folder]
    if twins or unknown or strangers:
        raise _ambiguous(name, [each for names in tasks.values() for each in names])
    return name


def _ambiguous(first: str, names: list[str]) -> AmbiguousDatasetError:
    return AmbiguousDatasetError(
        f"{first}: several JSON files could be the dataset, got {', '.join(sorted(names))}; "
        "choose one with --coco-json",
        place=first,
        option="coco_json",
    )


def _only_split(chosen: dict[str, str], wanted: str | None, place: str, *, file: str = "") -> dict[str, str]:
    if wanted is None:
        return chosen
    names = match_split(wanted, chosen)
    if not names:
        known = ", ".join(filter(None, chosen))
        here = f"here is {known}" if known else "the dataset has no splits, leave the option out"
        raise DatasetError(f"{place}: no such split, got --split {wanted}; {here}", place=file, option="split")
    return {name: chosen[name] for name in names}


def _split_and_task(name: str) -> tuple[str | None, str]:
    """The split and the task that a path tells: `annotations/instances_val2017.json` -> `val2017`, `instances`.

    The split may also be the first or the last word of another name: `labels_train.json` -> `train`, `labels`.
    """
    stem = _base(name).rpartition(".")[0]
    words = stem.split("_")
    if len(words) > 1 and SPLIT_NAME.fullmatch(words[0]):
        task, _ = _task("_".join(words[1:]))
        return words[0], task or "_".join(words[1:])
    task, rest = _task(stem)
    if SPLIT_NAME.fullmatch(rest) or (task and rest):
        return rest, task
    if not task and len(words) > 1 and SPLIT_NAME.fullmatch(words[-1]):
        return words[-1], "_".join(words[:-1])
    return split_of_folder(name) or None, task


def _task(stem: str) -> tuple[str, str]:
    """A task of COCO's own file names that a name begins with, and the rest of it."""
    task = next((task for task in _TASKS if task and f"{stem}_".startswith(f"{task}_")), "")
    return task, stem[len(task) + 1 :] if task else stem


def _base(path: str) -> str:
    return path.rpartition("/")[2]
