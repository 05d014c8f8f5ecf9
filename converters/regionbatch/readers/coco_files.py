"""Which JSON files of a folder are the data set, and which split each is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.errors import AmbiguousDatasetError, DatasetError, OptionError
from regionbatch.readers.files import SPLIT_NAME, match_split, split_of_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from regionbatch.findings import Report
    from regionbatch.options import CocoOptions
    from regionbatch.readers.files import Tree

_SNIFF = 2**16
_TASKS = ("instances", "", "person_keypoints", "stuff", "panoptic", "captions", "image_info")
"""The tasks of COCO's own file names, those with the boxes first."""
_STRANGERS: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("a labelme file (one image)", (b"shapes", b"imagePath")),
    ("a labelme file (one image)", (b"shapes", b"imageData")),
    ("a Pascal VOC file turned into JSON", (b"bndbox",)),
    ("a panoptic COCO file (use the instances_* file)", (rb'segments_info"\s*+:\s*+\[\s*+\{\s*+"\w++',)),
)
"""Files that are no data set of ours, with the keys in them, as patterns. A class may be called like one."""
_BROKEN = (
    _EMPTY := "empty",
    _NOT_JSON := "not JSON",
    _CUT_OFF := "JSON that is cut off",
    _CLOSED := "a file that cannot be read",
)
_PADDING = b" \t\r\n\0"
_ANNOTATION_FOLDERS = frozenset({"annotations", "annotation", "labels"})
"""Folders of JSON files only; the names of images are relative to the folder above."""


def coco_files(tree: Tree) -> list[str]:
    """The JSON files of a folder that look like COCO."""
    return [name for name, kind in _kinds(tree).items() if kind == "COCO"]


def _kinds(tree: Tree) -> dict[str, str]:
    return {name: what_is(Path(tree.on_disk(name))) for name in tree.files(".json")}


def others(tree: Tree) -> str:
    """What the first JSON files of a folder are, in a few words, none of them being COCO."""
    return " or ".join(sorted({what_is(Path(tree.on_disk(name))) for name in list(tree.files(".json"))[:20]}))


def what_is(path: Path) -> str:
    """`COCO`, or what else a JSON file is, in a few words. Looks at its two ends only."""
    try:
        with path.open("rb") as file:
            text = file.read(_SNIFF)
            if len(text) == _SNIFF:
                file.seek(max(_SNIFF, path.stat().st_size - _SNIFF))
                text += file.read(_SNIFF)
            head = text[:2]
    except OSError as error:
        return f"{_CLOSED} ({error.strerror})"
    if head in (b"\xff\xfe", b"\xfe\xff"):
        text = text.decode("utf-16", "ignore").encode()
    start = text.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]

    def holds(*keys: bytes) -> bool:
        return all(re.search(rb'"%s"\s*+:' % key, text) for key in keys)

    if start == b"[":
        return "a list of results (detections)" if holds(b"image_id", b"score") else "a list"
    if start != b"{":
        return _NOT_JSON if start else _EMPTY
    if strange := next((kind for kind, keys in _STRANGERS if holds(*keys)), ""):
        return strange
    keys = sum(holds(key) for key in (b"images", b"annotations", b"categories"))
    inner = sum(holds(key) for key in (b"file_name", b"image_id", b"category_id"))
    if keys >= 2 or (keys and inner):
        return "COCO"
    return "JSON without images, annotations and categories" if text.rstrip(_PADDING).endswith(b"}") else _CUT_OFF


def home_of(path: Path) -> Path:
    """The folder of the data set that one file is; of its absolute path, since one may stand in `annotations`."""
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - `absolute` leaves `..` as it is
    return folder.parent if folder.name.lower() in _ANNOTATION_FOLDERS else folder


def _prefixes(names: Sequence[str]) -> dict[str, str]:
    """By JSON file, what makes the names of its images relative to the data set: its folder.

    Of an annotation folder it is the folder above; but if that is the only one, no image needs telling apart.
    """
    folders = {name: name.rpartition("/")[0] for name in names}
    apart = {name: folder for name, folder in folders.items() if _base(folder).lower() in _ANNOTATION_FOLDERS}
    homes = {name: folder.rpartition("/")[0] for name, folder in apart.items()}
    if len(set(homes.values())) == 1:
        homes = dict.fromkeys(homes, "")
    return {name: f"{folder}/" if folder else "" for name, folder in (folders | homes).items()}


def of_file(path: Path, home: Path, options: CocoOptions) -> dict[str, tuple[str, str]]:
    """The one file of a data set by its split, which is empty if its name tells none; as `of_folder`.

    Raises:
        DatasetError: It is something else, or has another split than the one asked for.
        OptionError: A file of the folder is asked for.
    """
    if options.coco_json:
        raise OptionError(f"--coco-json: {path} is one file, got {options.coco_json}; leave it out, or name the folder")
    what = what_is(path)
    if what != "COCO":
        raise DatasetError(
            f"{path}: not a COCO data set, got {what}; needed is a JSON object with images, annotations and categories"
        )
    name = Path(os.path.abspath(path)).relative_to(home).as_posix()  # noqa: PTH100 - as in `home_of`
    return dict.fromkeys(_only_split({_split_and_task(name)[0] or "": name}, options.split, str(path)), (name, ""))


def of_folder(tree: Tree, options: CocoOptions, report: Report) -> dict[str, tuple[str, str]]:
    """The files of a folder by their splits, one each; with what makes the names of their images relative to it.

    Raises:
        DatasetError: None is COCO, or the split asked for is not there.
        AmbiguousDatasetError: Two files could be the same split.
    """
    kinds = _kinds(tree)
    found = [name for name, kind in kinds.items() if kind == "COCO"]
    prefixes = _prefixes(found)  # of all, so that images are called the same whatever is chosen
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
        raise _ambiguous(list(chosen.values()))
    if not options.coco_json:
        _report_lost(kinds, chosen, options.split, report)
    chosen = _only_split(chosen, options.split, str(tree.root))
    passed = {
        split: [name for names in groups[split].values() for name in names if name != chosen[split]] for split in chosen
    }
    if any(passed.values()):
        kept = ", ".join(chosen[split] for split, names in passed.items() if names)
        siblings = ", ".join(sorted(name for names in passed.values() for name in names))
        report.decide("coco_json", kept, f"the boxes are there; {siblings} tell of the same images")
    return {split: (name, prefixes[name]) for split, name in chosen.items()}


def _report_lost(kinds: Mapping[str, str], chosen: Collection[str], wanted: str | None, report: Report) -> None:
    """Say which splits are lost, since the one file that is called like them is broken or something else."""
    splits = {name: _split_and_task(name)[0] for name, kind in kinds.items() if kind != "COCO"}
    broken = {name: split for name, split in splits.items() if kinds[name].startswith(_BROKEN)}
    for name, split in splits.items():
        if split in chosen or not (wanted is None or (split and match_split(wanted, [split]))):
            continue
        if split and name in broken:
            report.read(images=1)
            report.note("unreadable_file", name, kinds[name])
        elif name in broken or (split and split not in broken.values()):
            report.note("unlisted_label", name, kinds[name])


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
        raise DatasetError(f"{tree.root}: no such COCO JSON here, got --coco-json {wanted}; choose from {known}")
    return asked


def _best(tasks: dict[str, list[str]]) -> str:
    """The file with the boxes, of the files of one split by their tasks; the others must lie beside it."""
    name, *twins = tasks[min(tasks, key=_TASKS.index)]
    strangers = [
        other for names in tasks.values() for other in names if other.rpartition("/")[0] != name.rpartition("/")[0]
    ]
    if twins or strangers:
        raise _ambiguous([name, *(twins or strangers)])
    return name


def _ambiguous(names: list[str]) -> AmbiguousDatasetError:
    return AmbiguousDatasetError(
        f"{names[0]}: several JSON files could be the data set, got {', '.join(sorted(names)[:5])}; "
        "choose one with --coco-json"
    )


def _only_split(chosen: dict[str, str], wanted: str | None, place: str) -> dict[str, str]:
    if wanted is None:
        return chosen
    names = match_split(wanted, chosen)
    if not names:
        known = ", ".join(filter(None, chosen))
        here = f"here is {known}" if known else "the data set has no splits, leave the option out"
        raise DatasetError(f"{place}: no such split, got --split {wanted}; {here}")
    return {name: chosen[name] for name in names}


def _split_and_task(name: str) -> tuple[str | None, str]:
    """The split and the task that a path tells: `annotations/instances_val2017.json` -> `val2017`, `instances`."""
    stem = _base(name)[: -len(".json")]
    task = next((task for task in _TASKS if task and f"{stem}_".startswith(f"{task}_")), "")
    rest = stem[len(task) + 1 :] if task else stem
    if SPLIT_NAME.fullmatch(rest) or (task and rest):
        return rest, task
    return split_of_folder(name) or None, task


def _base(path: str) -> str:
    return path.rpartition("/")[2]
