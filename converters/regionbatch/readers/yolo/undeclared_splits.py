"""Find splits of a YOLO dataset that its data.yaml or obj.data does not declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.files.paths import (
    IMAGE_WORDS,
    LABEL_WORDS,
    joined,
    path_suffixes,
    with_word_replaced,
)
from regionbatch.files.splits import SPLIT_NAME, match_split, split_of_folder
from regionbatch.readers.yolo.dataset_configs import SPLIT_KEYS
from regionbatch.readers.yolo.image_lists import read_image_list
from regionbatch.readers.yolo.lookup import first_found, folder_and_parents, parent_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog


def find_undeclared_folders(
    tree: Tree,
    labels: Iterable[str],
    sources: Mapping[str, str],
    taken: Collection[str],
    log: FindingLog,
) -> dict[str, str]:
    """Return and report the folders named like an undeclared split, with that split.

    Such a split is often `test`.

    Args:
        tree: The files of the dataset.
        labels: Label files that belong to no folder or list of the dataset.
        sources: The folders and lists of the dataset, with their splits.
        taken: The folders of listed images.
        log: Where the decision to read them is reported.
    """
    declared = {split for split in sources.values() if split}
    taken_or_above: set[str] = set()
    for folder in {*taken, *sources}:
        taken_or_above.update(folder_and_parents(folder))
    tops_by_split: dict[str, set[str]] = {}
    for label in labels:
        if split := split_of_folder(label):
            tops_by_split.setdefault(split, set()).add(_top_folder(label, split))
    found: dict[str, str] = {}
    for split, tops in tops_by_split.items():
        if _is_declared(split, declared):
            continue
        folders: list[str] = []
        for top in sorted(tops):
            folders += dict.fromkeys((_image_folder(tree, top), top))
        if taken_or_above.isdisjoint(folders):
            found |= dict.fromkeys(folders, split)
            evidence = "its folder exists, but the dataset does not declare it"
            log.decide("split", f"all, also {split}", evidence)
    return found


def _is_declared(split: str, declared: Collection[str]) -> bool:
    if match_split(split, declared):
        return True
    return any(match_split(each, [split]) for each in declared)


def _image_folder(tree: Tree, folder: str) -> str:
    """Return the image folder of a label folder, or the label folder itself if there is none."""
    found = first_found(tree.find_folder, _possible_image_folders(folder))
    return folder if found is None else found


def _possible_image_folders(folder: str) -> Iterator[str]:
    for word in IMAGE_WORDS:
        yield from with_word_replaced(folder, LABEL_WORDS, word)


def _top_folder(path: str, split: str) -> str:
    """Return the part of a path down to the folder with the name of a split."""
    parts = path.split("/")
    return "/".join(parts[: parts.index(split) + 1])


def find_undeclared_lists(
    tree: Tree, sources: Mapping[str, str], config_file: str, log: FindingLog
) -> dict[str, str]:
    """Return and report the image lists named like an undeclared split, with that split.

    They are next to the lists of the dataset, and at least one of their images exists.

    Args:
        tree: The files of the dataset.
        sources: The folders and lists of the dataset, with their splits.
        config_file: The data.yaml or obj.data that names these.
        log: Where guessed encodings and the decision to read the lists are reported.
    """
    declared = {split for split in sources.values() if split}
    folders = {parent_folder(source) for source in sources if source in tree}
    found: dict[str, str] = {}
    for folder in sorted(folders):
        for name in _text_files(tree, folder):
            file = joined(folder, name)
            split = name[:-4]
            if file in sources or not SPLIT_NAME.fullmatch(split) or match_split(split, declared):
                continue
            listed = read_image_list(tree, file, split, log)
            if any(first_found(tree.find, path_suffixes(each.name)) for each in listed):
                found[file] = SPLIT_KEYS.get(split.lower(), split)
    for file, split in found.items():
        evidence = f"{file} lists images that exist, but {config_file} does not refer to it"
        log.decide("split", f"all, also {split}", evidence)
    return found


def _text_files(tree: Tree, folder: str) -> Sequence[str]:
    listing = tree.folder(folder)
    return listing.by_extension.get(".txt", ()) if listing else ()
