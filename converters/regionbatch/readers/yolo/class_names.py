"""The class names of YOLO labels: of the description, of a list near the labels, or of the file that the user names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from regionbatch.errors import AmbiguousDatasetError, DatasetError, DatasetNotFoundError
from regionbatch.files.paths import joined
from regionbatch.files.text import UnreadableError, as_utf8
from regionbatch.files.tree import Tree, read_lines
from regionbatch.readers.yolo.descriptions import by_number, read_darknet, read_yaml
from regionbatch.readers.yolo.label_files import begins_with_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.descriptions import Config

_NAME_FILES = ("obj.names", "classes.txt", "_darknet.labels", "notes.json")
"""Where class names are besides data.yaml and obj.data, in the order they are looked for."""


def class_names(
    tree: Tree, configs: list[Config], given: Path | None, labels: Sequence[str], log: FindingLog
) -> list[str]:
    """Return the class names, from the file given or from the dataset.

    Args:
        tree: The files of the dataset.
        configs: Its descriptions.
        given: The file that the user named.
        labels: The label files that are read: a list among other label files says nothing about these.
        log: Where findings and decisions are reported.

    Raises:
        AmbiguousDatasetError: There are none, or two lists disagree.
    """
    if given is not None:
        names = names_from(given, log)
        log.decide("names", str(given), f"{len(names)} names, as asked")
        return names
    lists = _lists(tree, configs, labels, log)
    if not lists:
        raise AmbiguousDatasetError(
            f"{tree.root}: no class names, got none in a data.yaml, obj.data, obj.names or classes.txt; "
            "name a list with --names",
            option="names",
        )
    order = {name: at for at, name in enumerate(_NAME_FILES)}
    first = min(lists, key=lambda name: order.get(name.rpartition("/")[2].lower(), -1))
    for name, names in lists.items():
        if [one.strip() for one in names] != [one.strip() for one in lists[first]]:
            raise AmbiguousDatasetError(
                f"{name}: its {len(names)} class names are not the {len(lists[first])} of {first}; "
                "choose one with --names",
                place=name,
                option="names",
            )
    log.decide("names", first, f"{len(lists[first])} names")
    return lists[first]


def _lists(tree: Tree, configs: list[Config], labels: Sequence[str], log: FindingLog) -> dict[str, list[str]]:
    """Return the lists of class names by the files that they are in, those of descriptions first."""
    lists = {config.file: config.names for config in configs if config.names is not None}
    named = any(config.names_file for config in configs)
    for name in _name_files(tree, labels):
        if named and name.lower().endswith(".names"):
            continue  # a description names one of these lists: the others are of something else
        found = _notes(tree, name, log) if name.lower().endswith(".json") else read_lines(tree, name, log)
        if found:
            lists.setdefault(name, found)
    return lists


def _name_files(tree: Tree, labels: Sequence[str]) -> Iterator[str]:
    """Yield the lists of names, without those in folders whose label files are not read."""
    for folder, listing in tree.folders():
        found = [
            joined(folder, name)
            for extension in (".txt", ".names", ".labels", ".json")
            for name in sorted(listing.by_extension.get(extension, ()))
            if extension == ".names" or name.lower() in _NAME_FILES
        ]
        if found and not _is_of_others(tree, folder, labels):
            yield from found


def _is_of_others(tree: Tree, folder: str, labels: Sequence[str]) -> bool:
    """Return whether a folder has label files of its own, and none in it or below it is read."""
    below = joined(folder, "x")[:-1]
    if any(label.startswith(below) for label in labels):
        return False
    listing = tree.folder(folder)
    texts = listing.by_extension.get(".txt", ()) if listing else ()
    return any(begins_with_row(tree, joined(folder, name)) for name in texts if name.lower() not in _NAME_FILES)


def names_from(path: Path, log: FindingLog) -> list[str]:
    """The class names of a file that the user names, data.yaml or one name a line.

    Raises:
        DatasetError: It is not there, or has no names.
    """
    if not path.is_file():
        raise DatasetNotFoundError(f"--names: there is no such file, got {path}; check the path", option="names")
    tree = Tree(path.parent)
    if path.suffix.lower() in (".yaml", ".yml"):
        config = read_yaml(tree, path.name, log, asked=True)
        names = (config.names if config else None) or []
    elif path.suffix.lower() == ".data":
        config = read_darknet(tree, path.name, log)
        names = (config.names if config else None) or []
    elif path.suffix.lower() == ".json":
        names = _notes(tree, path.name, log) or []
    else:
        names = read_lines(tree, path.name, log)
    if not names:
        raise DatasetError(
            f"--names: no class names in it, got {path}; needed is a data.yaml, or one name a line", option="names"
        )
    return names


def _notes(tree: Tree, name: str, log: FindingLog) -> list[str] | None:
    """The names in a notes.json of Label Studio."""
    try:
        text, guessed = as_utf8(tree.read(name))
        names = by_number({entry["id"]: str(entry["name"]) for entry in json.loads(text)["categories"]})
    except (UnreadableError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if guessed and names:
        log.note("odd_encoding", name)
    return names
