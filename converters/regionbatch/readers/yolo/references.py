"""What a YOLO dataset consists of: its label files, image folders and image lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.dataset import References
from regionbatch.errors import DatasetError, DatasetNotFoundError
from regionbatch.files.splits import require_splits, split_of_folder
from regionbatch.findings import FindingLog, as_text
from regionbatch.readers.yolo.class_names import shorten_files
from regionbatch.readers.yolo.dataset_configs import find_configs
from regionbatch.readers.yolo.image_lists import folders_of_listed, read_image_list
from regionbatch.readers.yolo.label_files import find_label_files
from regionbatch.readers.yolo.label_folders import enclosing_folder, find_label_folders
from regionbatch.readers.yolo.split_sources import (
    find_image_lists,
    has_sources,
    independent_configs,
    splits_by_source,
)
from regionbatch.readers.yolo.undeclared_splits import (
    find_undeclared_folders,
    find_undeclared_lists,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from regionbatch.dataset import ListedImage
    from regionbatch.files.tree import Tree
    from regionbatch.options import YoloOptions
    from regionbatch.readers.yolo.dataset_configs import DatasetConfig


def find_references(tree: Tree, options: YoloOptions, log: FindingLog) -> References:
    """Return the label files of a dataset, and the folders and lists of its images.

    They are those that a data.yaml or obj.data names, if it names anything that exists, and
    otherwise all that the dataset contains.

    Args:
        tree: The files of the dataset.
        options: The options of the reader.
        log: Where findings and decisions are reported.

    Raises:
        DatasetError: There is nothing to read.
    """
    configs = find_configs(tree, FindingLog(), names=False)  # `read` reports their findings
    with_splits = [config for config in configs if config.splits]
    if not with_splits or with_splits[0].only_names_count:
        return _references_by_folder(tree, configs, options, log)
    first = with_splits[0]
    sources = splits_by_source(tree, first, options.split, log)
    if sources is None:
        return _references_by_folder(tree, configs, options, log, without_sources=first)
    independent = independent_configs(with_splits, tree)
    for config in independent[1:]:
        sources |= splits_by_source(tree, config, options.split, log) or {}
    others = [config for config in with_splits if config not in independent]
    _report_other_configs(tree, independent, others, log)
    lists = known_lists(tree, configs)
    return _references_by_source(tree, sources, lists, first.file, options, log)


def known_lists(tree: Tree, configs: Sequence[DatasetConfig]) -> set[str]:
    """Return the image lists and the lists of class names that configs name."""
    return {*find_image_lists(tree, configs), *(config.names_file for config in configs)}


def _report_other_configs(
    tree: Tree,
    used: Sequence[DatasetConfig],
    others: Sequence[DatasetConfig],
    log: FindingLog,
) -> None:
    """Report which of several configs the splits are taken from."""
    if len(used) > 1:
        files = shorten_files([config.file for config in used])
        log.decide("split", f"by {files}", "each describes its own folder")
    with_sources = [config for config in others if has_sources(tree, config)]
    meanings = [_meaning(config) for config in used]
    different = [config for config in with_sources if _meaning(config) not in meanings]
    for config in (different or with_sources)[:1]:
        evidence = f"{config.file} {'differs from it' if different else 'agrees with it'}"
        log.decide("split", f"by {used[0].file}", evidence, doubtful=bool(different))


def _meaning(config: DatasetConfig) -> tuple[object, ...]:
    return config.folder, config.base_path, config.splits, config.keypoint_values


def _references_by_folder(
    tree: Tree,
    configs: Sequence[DatasetConfig],
    options: YoloOptions,
    log: FindingLog,
    without_sources: DatasetConfig | None = None,
) -> References:
    """Return all label files and images of a dataset, with splits by the names of their folders.

    Args:
        tree: The files of the dataset.
        configs: Its data.yaml and obj.data files.
        options: The options of the reader.
        log: Where findings and decisions are reported.
        without_sources: The config with the splits, of which no folder or list exists.
    """
    lists = known_lists(tree, configs)
    files: dict[str, str] = {}
    for folder, labels in find_label_files(tree, lists, log):
        files |= dict.fromkeys(labels, split_of_folder(f"{folder}/"))
    if without_sources:
        _report_missing_sources(without_sources, files, log)
    image_folders = [folder for folder, _ in tree.folders() if tree.has_images(folder)]
    known = {*files.values(), *(split_of_folder(f"{folder}/") for folder in image_folders)}
    splits = _wanted_splits(options, known, str(tree.root))
    if not files and not image_folders:
        raise DatasetError(
            f"{tree.root}: no images and no label files. Check the path, or choose another "
            "`format`.",
            place=str(tree.root),
            option="format",
        )
    return References(
        files,
        one_image_each=True,
        declares_names=False,
        image_folders={"": None},
        extensions=(".txt",),
        splits=splits,
    )


def _report_missing_sources(
    config: DatasetConfig, files: Mapping[str, str], log: FindingLog
) -> None:
    """Report that nothing that a config names exists, so that its folder is read as it is.

    Raises:
        DatasetNotFoundError: There is no label file to read instead.
    """
    paths = as_text(", ".join(config.split_paths()))
    if not files:
        raise DatasetNotFoundError(
            f"{config.file}: none of the paths of its splits exists: '{paths}'. Correct the paths, "
            "or read the folder of the dataset instead.",
            place=config.file,
            value=paths,
        )
    evidence = f"no path in {config.file} exists: {paths}"
    log.decide("split", "by folders", evidence, doubtful=True)


def _references_by_source(
    tree: Tree,
    declared: Mapping[str, str],
    lists: set[str],
    config_file: str,
    options: YoloOptions,
    log: FindingLog,
) -> References:
    """Return the label files and images of the sources of splits, and of undeclared splits.

    Args:
        tree: The files of the dataset.
        declared: The folders and lists that its config names, with their splits.
        lists: Text files that are lists, not label files.
        config_file: The data.yaml or obj.data.
        options: The options of the reader.
        log: Where findings and decisions are reported.
    """
    undeclared_lists = find_undeclared_lists(tree, declared, config_file, log)
    sources = {**declared, **undeclared_lists}
    image_folders, listed = _read_sources(tree, sources, log)
    labels = dict(find_label_files(tree, {*lists, *undeclared_lists}, log))
    label_folders = find_label_folders(tree, image_folders)
    if options.split is None:
        unlisted = _unlisted_labels(labels, label_folders, listed)
        taken = folders_of_listed(tree, listed)
        undeclared = find_undeclared_folders(tree, unlisted, sources, taken, log)
        image_folders |= undeclared
        label_folders |= find_label_folders(tree, undeclared)
    return References(
        _with_splits(labels, label_folders),
        one_image_each=True,
        declares_names=False,
        label_folders=list(label_folders),
        image_folders=image_folders,
        listed=listed,
        extensions=(".txt",),
        splits=_wanted_splits(options, sources.values(), config_file),
    )


def _wanted_splits(options: YoloOptions, known: Iterable[str], place: str) -> list[str] | None:
    """Return the splits that the user wants; None for all.

    Args:
        options: The options of the reader.
        known: The splits of the dataset.
        place: The file that names them, or the dataset.
    """
    return None if options.split is None else require_splits(place, options.split, sorted(known))


def _read_sources(
    tree: Tree, sources: Mapping[str, str], log: FindingLog
) -> tuple[dict[str, str], list[ListedImage]]:
    """Return the image folders with their splits, and the images of all lists."""
    folders: dict[str, str] = {}
    listed: list[ListedImage] = []
    for path, split in sources.items():
        if path in tree:
            listed += read_image_list(tree, path, split, log)
        else:
            folders[path] = split
    return folders, listed


def _unlisted_labels(
    labels: Mapping[str, Sequence[str]],
    label_folders: Container[str],
    listed: Sequence[ListedImage],
) -> list[str]:
    """Return the label files that are in no label folder and belong to no listed image.

    Args:
        labels: The label files of each folder.
        label_folders: The folders that may contain the label files of the dataset.
        listed: The images of its lists.
    """
    unlisted: list[str] = []
    for folder, files in labels.items():
        if enclosing_folder(folder, label_folders) is None:
            unlisted += files
    return list(_without_listed(unlisted, listed)) if listed else unlisted


def _without_listed(labels: Sequence[str], listed: Sequence[ListedImage]) -> Iterator[str]:
    """Yield the label files that do not have the name of a listed image."""
    names = {each.name.replace("\\", "/").rpartition("/")[2] for each in listed}
    stems = {name.rpartition(".")[0] for name in names} | names
    for label in labels:
        if label.rpartition("/")[2][:-4] not in stems:
            yield label


def _with_splits(
    labels: Mapping[str, Sequence[str]], label_folders: Mapping[str, str]
) -> dict[str, str]:
    """Return the split of each label file; empty if it is in no label folder.

    Args:
        labels: The label files of each folder.
        label_folders: The splits of the folders that contain them.
    """
    found: dict[str, str] = {}
    for folder, files in labels.items():
        enclosing = enclosing_folder(folder, label_folders)
        found |= dict.fromkeys(files, label_folders.get(enclosing or "", ""))
    return found
