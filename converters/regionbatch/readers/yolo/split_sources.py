"""Find the sources of a YOLO dataset's splits: the image folders and image lists that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from regionbatch.errors import AmbiguousDatasetError
from regionbatch.files.paths import (
    folder_key,
    joined,
    leaves_dataset,
    path_suffixes,
    with_parents,
)
from regionbatch.files.splits import match_split
from regionbatch.readers.yolo.image_lists import folders_in_list
from regionbatch.readers.yolo.label_folders import find_label_folders, possible_label_folders
from regionbatch.readers.yolo.lookup import first_found, folder_and_parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from regionbatch.files.paths import FolderKey
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.dataset_configs import DatasetConfig

_MAX_SUFFIX_PARTS = 10
"""Maximum parts of a path suffix that is looked up: paths of other machines share few parts."""

_FOLDERS_BY_KEY: WeakKeyDictionary[Tree, dict[FolderKey, list[str]]] = WeakKeyDictionary()
"""The image folders of datasets that are being read: many configs may look for many folders."""
_FOUND_SOURCES: WeakKeyDictionary[Tree, dict[tuple[str, str, str], str | None]] = (
    WeakKeyDictionary()
)
"""The sources found so far, by the config, its `path` and the path of the split."""


class SplitSource(NamedTuple):
    """An image folder or image list of a split."""

    split: str
    written: str
    """Its path as written in the data.yaml or obj.data."""
    path: str
    """Its path in the dataset."""


def find_sources(tree: Tree, config: DatasetConfig, log: FindingLog) -> list[SplitSource]:
    """Return the sources of each split; report those that do not exist, unless none does."""
    found: list[SplitSource] = []
    missing: list[str] = []
    for split, paths in config.splits.items():
        for written in paths:
            path = find_source(tree, config, written)
            if path is None:
                missing.append(f"{split}: {written}")
            else:
                found.append(SplitSource(split, written, path))
    if found:
        for description in missing:
            log.note("missing_split", config.file, description)
    return found


def find_image_lists(tree: Tree, configs: Iterable[DatasetConfig]) -> Iterator[str]:
    """Yield the image lists that configs name."""
    for config in configs:
        for written in config.split_paths():
            if not written.lower().endswith(".txt"):
                continue
            path = find_source(tree, config, written)
            if path is not None:
                yield path


def has_sources(tree: Tree, config: DatasetConfig) -> bool:
    """Return whether any source that a config names exists."""
    return any(find_source(tree, config, written) is not None for written in config.split_paths())


def find_source(tree: Tree, config: DatasetConfig, written: str) -> str | None:
    """Return the image folder or image list that a path in a config means; None if it is missing.

    The longest suffix of the path that exists in the config's folder or above is used, so that a
    path from the author's machine leads to the same folder here. If no suffix exists, the only
    image folder with the same key and split is used, or else a folder that exists only for labels.
    """
    known = _FOUND_SOURCES.setdefault(tree, {})
    key = config.file, config.base_path, written
    if key not in known:
        known[key] = _find_source(tree, config, written)
    return known[key]


def _find_source(tree: Tree, config: DatasetConfig, written: str) -> str | None:
    suffixes = list(_short_suffixes(written))
    if not suffixes and not leaves_dataset(written):
        suffixes = [""]  # `.`, the folder itself
    candidates: list[str] = []
    for suffix in suffixes:
        candidates += _candidate_paths(config, suffix)
    if written.lower().endswith(".txt"):
        return first_found(tree.find, candidates)
    found = first_found(tree.find_folder, candidates)
    if found is not None:
        return found
    for suffix in suffixes:
        if similar := _find_similar_folder(tree, suffix):
            return similar
    for candidate in candidates:
        if first_found(tree.find_folder, possible_label_folders(candidate)) is not None:
            return candidate
    return None


def _candidate_paths(config: DatasetConfig, suffix: str) -> Iterator[str]:
    """Yield the paths that a suffix may mean, from the config's folder and from those above it."""
    folders = list(folder_and_parents(config.folder))
    for base in (*_short_suffixes(config.base_path), ""):
        for folder in folders:
            yield joined(joined(folder, base), suffix)


def _short_suffixes(path: str) -> Iterator[str]:
    return (suffix for suffix in path_suffixes(path) if suffix.count("/") < _MAX_SUFFIX_PARTS)


def _find_similar_folder(tree: Tree, path: str) -> str | None:
    """Return the one image folder with the key and split of a path; None if there are several."""
    if tree not in _FOLDERS_BY_KEY:
        by_key: dict[FolderKey, list[str]] = {}
        for folder, _ in tree.folders():
            if folder and tree.has_images(folder):
                by_key.setdefault(folder_key(folder), []).append(folder)
        _FOLDERS_BY_KEY[tree] = by_key
    key = folder_key(path)
    if not key.parts and not key.splits:
        return None
    found = _FOLDERS_BY_KEY[tree].get(key, ())
    return found[0] if len(found) == 1 else None


def label_folders_of_config(tree: Tree, config: DatasetConfig) -> dict[str, str]:
    """Return the label folders that a config applies to; empty if none of its sources exists."""
    folders: set[str] = set()
    for written in config.split_paths():
        path = find_source(tree, config, written)
        if path is None:
            continue
        if path in tree:
            folders.update(folders_in_list(tree, path))
        else:
            folders.add(path)
    return find_label_folders(tree, dict.fromkeys(sorted(folders), ""))


def independent_configs(configs: Sequence[DatasetConfig], tree: Tree) -> list[DatasetConfig]:
    """Return the first config and those of other datasets, each in a folder of its own.

    Whether rows have keypoints is decided for all rows, so it must be the same in all datasets.
    """
    first = configs[0]
    found = [first]
    if not _stays_in_its_folder(tree, first):
        return found
    folders = {first.folder}
    parents = set(with_parents(first.folder))
    for config in configs[1:]:
        is_apart = config.folder not in parents
        is_apart = is_apart and folders.isdisjoint(with_parents(config.folder))
        if not is_apart or config.keypoint_values != first.keypoint_values:
            continue
        if _stays_in_its_folder(tree, config):
            found.append(config)
            folders.add(config.folder)
            parents.update(with_parents(config.folder))
    return found


def _stays_in_its_folder(tree: Tree, config: DatasetConfig) -> bool:
    """Return whether all sources of a config that exist are in the folder of the config."""
    if not config.folder:
        return False
    has_any = False
    for written in config.split_paths():
        path = find_source(tree, config, written)
        if path is None:
            continue
        if not f"{path}/".startswith(f"{config.folder}/"):
            return False
        has_any = True
    return has_any


def splits_by_source(
    tree: Tree, config: DatasetConfig, split: str | None, log: FindingLog
) -> dict[str, str] | None:
    """Return the split of each source, empty where it cannot be known; None if no source exists.

    Darknet files often declare one list as both train and valid: it then counts as train. If two
    paths are written differently and still lead to one source, its split cannot be known.

    Args:
        tree: The files of the dataset.
        config: Its data.yaml or obj.data.
        split: The split that the user wants; None for all.
        log: Where missing sources and decisions are reported.

    Raises:
        AmbiguousDatasetError: The user wants a split, and two lead to its source.
    """
    sources = find_sources(tree, config, log)
    if not sources:
        return None
    by_path: dict[str, list[SplitSource]] = {}
    for source in sources:
        by_path.setdefault(source.path, []).append(source)
    return {
        path: _split_of_source(path, same, config.file, split, log)
        for path, same in by_path.items()
    }


def _split_of_source(
    path: str, same: Sequence[SplitSource], file: str, split: str | None, log: FindingLog
) -> str:
    """Return the split of the sources with one path; empty if it cannot be known."""
    splits = list(dict.fromkeys(source.split for source in same))
    wanted = match_split(split, splits) if split else splits
    written = {next(path_suffixes(source.written), "") for source in same}
    if len(splits) == 1 or len(written) == 1:
        return (wanted or splits)[0]
    if wanted and split is not None:
        quoted = " and ".join(f"'{each}'" for each in splits)
        raise AmbiguousDatasetError(
            f"{file}: splits {quoted} lead to the same folder: '{path or '.'}'. "
            "Correct the paths, or leave out `split`.",
            place=file,
            option="split",
            value=split,
        )
    evidence = f"{' and '.join(splits)} lead to this folder"
    log.decide("split", f"none for {path or '.'}", evidence, doubtful=True)
    return ""
