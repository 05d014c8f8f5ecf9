"""Which JSON files of a folder are the data set, and which split each is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.readers.files import SPLIT_NAME, match_split

if TYPE_CHECKING:
    from regionbatch.findings import Report
    from regionbatch.options import CocoOptions
    from regionbatch.readers.files import Tree

_SNIFF = 2**16
_MOST_SNIFFED = 500
_TASKS = ("instances", "", "person_keypoints", "stuff", "panoptic", "captions", "image_info")
"""The tasks of COCO's own file names, those with the boxes first."""


def coco_files(tree: Tree) -> list[str]:
    """The JSON files of a folder that look like COCO."""
    found: list[str] = []
    for sniffed, name in enumerate(tree.files(".json")):
        if sniffed >= _MOST_SNIFFED:
            break
        if what_is(Path(tree.on_disk(name))) == "COCO":
            found.append(name)
    return found


def what_is(path: Path) -> str:
    """`COCO`, or what else a JSON file is, in a few words. Looks at its two ends only."""
    try:
        with path.open("rb") as file:
            head = file.read(_SNIFF)
            file.seek(max(0, path.stat().st_size - _SNIFF))
            text = head + file.read(_SNIFF)
    except OSError as error:
        return f"a file that cannot be read ({error.strerror})"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = text.decode("utf-16", "ignore").encode()
    start = text.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]

    def holds(*keys: bytes) -> bool:
        return all(b'"' + key + b'"' in text for key in keys)

    if start == b"[":
        return "a list of results (detections)" if holds(b"image_id", b"score") else "a list"
    if start != b"{":
        return "empty" if not start else "not JSON"
    if holds(b"shapes", b"imagePath") or holds(b"shapes", b"imageData"):
        return "a labelme file (one image)"
    if holds(b"bndbox"):
        return "a Pascal VOC file turned into JSON"
    keys = sum(holds(key) for key in (b"images", b"annotations", b"categories"))
    inner = sum(holds(key) for key in (b"file_name", b"image_id", b"category_id"))
    return "COCO" if keys >= 2 or (keys and inner) else "JSON without images, annotations and categories"


def of_file(path: Path, home: Path, options: CocoOptions) -> dict[str, str]:
    """The one file of a data set by its split, which is empty if its name tells none.

    Raises:
        DatasetError: It is something else, or has another split than the one asked for.
    """
    what = what_is(path)
    if what != "COCO":
        raise DatasetError(
            f"{path}: not a COCO data set, got {what}; needed is a JSON object with images, annotations and categories"
        )
    name = path.relative_to(home).as_posix()
    return _only_split({_split_and_task(name)[0] or "": name}, options.split, str(path))


def of_folder(tree: Tree, options: CocoOptions, report: Report) -> dict[str, str]:
    """The files of a folder by their splits, one each.

    Raises:
        DatasetError: None is COCO, or the split asked for is not there.
        AmbiguousDatasetError: Two files could be the same split.
    """
    found = coco_files(tree)
    if options.coco_json:
        found = [name for name in found if f"/{name}".endswith("/" + Path(options.coco_json).as_posix())]
    if not found:
        asked = f", got --coco-json {options.coco_json}" if options.coco_json else ""
        others = sorted({what_is(Path(tree.on_disk(name))) for name in list(tree.files(".json"))[:20]})
        seen = f"; the JSON files here are {' or '.join(others)}" if others else ""
        raise DatasetError(f"{tree.root}: no COCO JSON here{asked}; needed is images, annotations and categories{seen}")
    groups: dict[str, dict[str, list[str]]] = {}
    for name in found:
        split, task = _split_and_task(name)
        groups.setdefault(split or "", {}).setdefault(task, []).append(name)
    chosen = {split: _best(tasks, report) for split, tasks in groups.items()}
    if len(chosen) > 1 and "" in chosen:
        raise _ambiguous(list(chosen.values()))
    return _only_split(chosen, options.split, str(tree.root))


def _best(tasks: dict[str, list[str]], report: Report) -> str:
    task = min(tasks, key=_TASKS.index)
    if len(tasks[task]) > 1:
        raise _ambiguous(tasks[task])
    name = tasks[task][0]
    others = sorted(other for names in tasks.values() for other in names if other != name)
    if others:
        report.decide("coco_json", name, f"it has the boxes; {', '.join(others)} tell of the same images")
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
        known = ", ".join(filter(None, chosen)) or "no splits"
        raise DatasetError(f"{place}: no such split, got --split {wanted}; here is {known}")
    return {name: chosen[name] for name in names}


def _split_and_task(name: str) -> tuple[str | None, str]:
    """The split and the task that a path tells: `annotations/instances_val2017.json` -> `val2017`, `instances`."""
    *folders, file = name.split("/")
    stem = file[: -len(".json")]
    task = next((task for task in _TASKS if task and stem.startswith(task + "_")), "")
    rest = stem[len(task) + 1 :] if task else stem
    if SPLIT_NAME.fullmatch(rest):
        return rest, task
    if task:
        return rest, task
    return (folders[-1], task) if folders and SPLIT_NAME.fullmatch(folders[-1]) else (None, task)
