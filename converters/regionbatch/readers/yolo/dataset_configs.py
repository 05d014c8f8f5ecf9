"""Read the files that describe a YOLO dataset: data.yaml of Ultralytics and obj.data of darknet."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from regionbatch.errors import DatasetError
from regionbatch.files.paths import joined, path_suffixes
from regionbatch.files.text import (
    UndecodableError,
    UnreadableError,
    as_number,
    as_utf8,
    report_guess,
)
from regionbatch.files.tree import read_lines, undecodable
from regionbatch.findings import FindingLog, as_text
from regionbatch.readers.yolo.lookup import first_found, folder_and_parents, parent_folder
from regionbatch.readers.yolo.yaml_files import (
    MERGE_KEY,
    SWITCH_OR_NUMBER,
    describe_value,
    merge_mappings,
    parse_yaml,
    raise_if_control_character,
    raise_if_duplicate_keys,
    read_paths,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from regionbatch.files.tree import Tree

MAX_CLASSES = 100_000
"""Maximum class names in a list. A Custom Vision project can have 500 tags."""
_MAX_PATHS = 1000
"""Maximum paths in a data.yaml: each is looked for in all folders above the file."""
_DEEP = 3
"""A file this many folders deep may belong to a program, or to one of many datasets."""
_MAY_BE_DATASET = re.compile(rb"names|train|val")
"""Matches any data.yaml. Other YAML files are not parsed, because that would take long."""
_IS_DATASET = re.compile(rb"^(?:names|train|val|path)[ \t]*:", re.MULTILINE)
"""Matches a data.yaml even if it cannot be parsed."""
SPLIT_KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""The split that each key of a data.yaml or obj.data means."""


class DatasetConfig(NamedTuple):
    """The content of a data.yaml or obj.data."""

    file: str
    names: list[str] | None
    splits: dict[str, list[str]]
    """The paths of each split, as written."""
    base_path: str
    """The value of `path`, as written; empty if there is none."""
    keypoint_values: int = 0
    """How many numbers the keypoints after each box take: the product of `kpt_shape`."""
    names_file: str = ""
    """The file with class names that it refers to; empty if there is none."""

    @property
    def folder(self) -> str:
        """The folder of the file."""
        return parent_folder(self.file)

    @property
    def only_names_count(self) -> bool:
        """Whether it is so deep in the dataset that only its class names are used."""
        return self.file.count("/") >= _DEEP

    def split_paths(self) -> Iterator[str]:
        """Yield the paths of all splits, as written."""
        return chain.from_iterable(self.splits.values())


def find_configs(tree: Tree, log: FindingLog, *, names: bool = True) -> list[DatasetConfig]:
    """Return the data.yaml and obj.data files of a dataset, those at the top first.

    An obj.data counts only if there is no data.yaml in its folder or above: exports often have
    both.

    Args:
        tree: The files of the dataset.
        log: Where findings are reported.
        names: Whether the class names are needed.

    Raises:
        DatasetError: The user named a file that is neither, or one of the files cannot be parsed.
    """
    if tree.named:
        return [_read_named(tree, log, names=names)]
    yaml_files = tree.files(".yaml", ".yml")
    configs = (_read_if_of_dataset(tree, name, log, names=names) for name in yaml_files)
    found = list(filter(None, configs))
    with_yaml = {config.folder for config in found}
    for name in tree.files(".data"):
        if not with_yaml.isdisjoint(folder_and_parents(parent_folder(name))):
            continue
        if config := read_obj_data(tree, name, log):
            found.append(config)
    return sorted(found, key=_order)


def _order(config: DatasetConfig) -> tuple[int, bool, str]:
    return config.file.count("/"), not config.file.endswith("data.yaml"), config.file


def _read_if_of_dataset(
    tree: Tree, name: str, log: FindingLog, *, names: bool
) -> DatasetConfig | None:
    """Read a data.yaml; None if it is another file.

    A deep one that is not near label files may belong to a program, so its errors do not count.
    """
    try:
        return read_data_yaml(tree, name, log, names=names)
    except DatasetError:
        # The file may be in a folder next to that of its labels.
        folder = parent_folder(parent_folder(name))
        if name.count("/") < _DEEP or next(tree.files(".txt", top=folder), None) is not None:
            raise
        return None


def _read_named(tree: Tree, log: FindingLog, *, names: bool) -> DatasetConfig:
    if tree.named.lower().endswith(".data"):
        config = read_obj_data(tree, tree.named, log)
    elif tree.named.lower().endswith((".yaml", ".yml")):
        config = read_data_yaml(tree, tree.named, log, names=names, is_named=True)
    else:
        config = None
    if config is None:
        raise DatasetError(
            f"{tree.source}: not a YOLO dataset. Choose its folder, its data.yaml or its obj.data.",
            place=tree.named,
        )
    return config


def read_data_yaml(
    tree: Tree, name: str, log: FindingLog, *, names: bool = True, is_named: bool = False
) -> DatasetConfig | None:
    """Return the content of a data.yaml; None if it is another YAML file, without names or splits.

    All values are read as text, so that a class called `yes`, `null` or `1.0` keeps its name.

    Args:
        tree: The files of the dataset.
        name: The path of the file.
        log: Where findings are reported.
        names: Whether the class names are needed.
        is_named: Whether the user named this file.

    Raises:
        DatasetError: It cannot be parsed, though it describes a dataset.
    """
    data, is_guess = _read_text(tree, name)
    if not is_named and not _MAY_BE_DATASET.search(data):
        return None
    is_required = is_named or bool(_IS_DATASET.search(data))
    parsed, node = parse_yaml(name, data, is_required=is_required, is_guess=is_guess)
    content = merge_mappings(parsed) if isinstance(parsed, dict) else {}
    if not _has_names_or_splits(content):
        return None
    _raise_if_not_merged(name, content)
    raise_if_duplicate_keys(name, node, {*SPLIT_KEYS, "path", "kpt_shape"}, names=names)
    config = _config_without_names(tree, name, content)
    if names and content.get("names"):
        config = config._replace(names=_read_names(tree, name, content["names"], log))
    if is_guess:
        report_guess(log, name, [*(config.names or ()), *config.split_paths()])
    if config.names is not None:
        _check_count(name, content.get("nc"), len(config.names), log)
    return config


def _raise_if_not_merged(name: str, content: Mapping[str, Any]) -> None:
    if MERGE_KEY in content:
        shape = describe_value(content[MERGE_KEY])
        raise DatasetError(
            f"{name}: '<<' must merge a mapping or a list of mappings, not {shape}. Correct it.",
            place=name,
        )


def _config_without_names(tree: Tree, name: str, content: Mapping[str, Any]) -> DatasetConfig:
    base_path = content.get("path")
    names_file = content.get("names")
    if isinstance(names_file, str):
        names_file = _find_names_file(tree, name, names_file)
    return DatasetConfig(
        file=name,
        names=None,
        splits=_read_splits(name, content),
        base_path=base_path if isinstance(base_path, str) else "",
        keypoint_values=_count_keypoint_values(content.get("kpt_shape")),
        names_file=names_file if isinstance(names_file, str) else "",
    )


def _read_text(tree: Tree, name: str) -> tuple[bytes, bool]:
    """Return the text of a file, and whether its encoding is a guess."""
    try:
        return as_utf8(tree.read(name), tree.encoding)
    except UndecodableError as error:
        raise undecodable(name, error) from error
    except UnreadableError as error:
        raise DatasetError(f"{name}: cannot be read: '{error}'. Repair it.", place=name) from error


def _has_names_or_splits(content: Mapping[str, Any]) -> bool:
    return bool(content.get("names")) or any(
        _may_be_path(content.get(key)) for key in ("train", "val")
    )


def _may_be_path(value: object) -> bool:
    """Return whether a value may be a path: other programs have a switch or ratio under `train`."""
    if isinstance(value, str):
        return bool(value) and not SWITCH_OR_NUMBER.fullmatch(value)
    return isinstance(value, list) and bool(value)


def _read_splits(name: str, content: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the paths of each split in a data.yaml."""
    splits: dict[str, list[str]] = {}
    for key, split in SPLIT_KEYS.items():
        if paths := read_paths(name, key, content.get(key) or []):
            splits.setdefault(split, []).extend(paths)
    count = sum(map(len, splits.values()))
    if count > _MAX_PATHS:
        raise DatasetError(
            f"{name}: more than {_MAX_PATHS:,} paths of images ({count:,}). Write them to a text "
            "file, and name that file here.",
            place=name,
        )
    return splits


def _check_count(name: str, count: object, names: int, log: FindingLog) -> None:
    """Report an `nc` that is not the number of names."""
    if not count:
        return
    with suppress(TypeError, ValueError, OverflowError):
        if as_number(count) == names:
            return
    shown = "a list" if isinstance(count, list) else "a mapping"
    if isinstance(count, str):
        shown = as_text(count)
    log.note("class_count_mismatch", name, f"nc is {shown}; number of names: {names}")


def _count_keypoint_values(shape: object) -> int:
    """Return how many numbers the keypoints of a `kpt_shape` take: points times numbers each."""
    if not isinstance(shape, list) or len(shape) != 2:
        return 0
    product = 1
    for part in shape:
        if not isinstance(part, str) or not re.fullmatch("[0-9]{1,3}", part):
            return 0
        product *= int(part)
    return product


def _read_names(tree: Tree, file: str, names: object, log: FindingLog) -> list[str]:
    """Return the class names that `names` of a data.yaml contains, or the file that it names."""
    if isinstance(names, str):
        if found := _find_names_file(tree, file, names):
            return read_lines(tree, found, log)
        _raise_if_missing_file(file, names)
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    if isinstance(names, dict):
        names = merge_mappings(names)
        if all(isinstance(name, str) for name in names.values()):
            listed = names_by_number(names)
            if listed is not None:
                return listed
    raise DatasetError(
        f"{file}: 'names' must be a list of names, or a mapping of numbers to names, not "
        f"{describe_value(names)}. Correct it, or choose a list with `names`.",
        place=file,
        option="names",
    )


def _raise_if_missing_file(file: str, names: str) -> None:
    """Raise an error if the value of `names` is the path of a file that does not exist."""
    is_path = not {*"./\\"}.isdisjoint(names)
    is_list = not {*"[,"}.isdisjoint(names)
    if not is_path or is_list:
        return
    raise_if_control_character(file, "names", names.strip())
    value = as_text(names)
    raise DatasetError(
        f"{file}: 'names' refers to a missing file: '{value}'. Add it, or choose another one "
        "with `names`.",
        place=file,
        option="names",
        value=value,
    )


def _find_names_file(tree: Tree, file: str, path: str) -> str | None:
    """Return the file that another file refers to, by the longest path suffix that exists.

    It is looked for next to the other file, and then in the folders above.
    """
    folders = list(folder_and_parents(parent_folder(file)))
    candidates = (joined(folder, end) for end in path_suffixes(path) for folder in folders)
    return first_found(tree.find, candidates)


def names_by_number(names: Mapping[Any, str]) -> list[str] | None:
    """Return names as a list by their numbers, with empty names in the gaps.

    Args:
        names: Names by the numbers of their classes, which may be text.

    Returns:
        The names; None if a key is not a number from 0 to `MAX_CLASSES`, or occurs twice.
    """
    try:
        numbered = {_whole_number(key): name for key, name in names.items()}
    except ValueError:
        return None
    if not numbered or len(numbered) < len(names):
        return None
    if min(numbered) < 0 or max(numbered) >= MAX_CLASSES:
        return None
    return [numbered.get(number, "") for number in range(max(numbered) + 1)]


def _whole_number(key: object) -> int:
    """Return the number of a class. Python's `int` would also accept `1_0`, and turn 1.5 into 1."""
    is_whole = isinstance(key, int) or (isinstance(key, float) and key.is_integer())
    if is_whole or (isinstance(key, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", key)):
        return int(key)  # type: ignore[call-overload, no-any-return]
    raise ValueError(key)


def read_obj_data(tree: Tree, name: str, log: FindingLog) -> DatasetConfig | None:
    """Return the content of an obj.data, which has `key = value` lines; None if it is another file.

    Args:
        tree: The files of the dataset.
        name: The path of the file.
        log: Where findings are reported.
    """
    try:
        lines = read_lines(tree, name, FindingLog())
    except DatasetError as error:
        if error.option:
            raise
        return None
    values: dict[str, str] = {}
    for line in lines:
        key, equals_sign, value = line.partition("=")
        if equals_sign:
            values[key.strip()] = value.strip()
    if "names" not in values and "train" not in values:
        return None
    read_lines(tree, name, log)  # now its findings count
    names_file = _find_names_file(tree, name, values.get("names", "")) or ""
    names = read_lines(tree, names_file, log) if names_file else None
    splits: dict[str, list[str]] = {}
    for key, split in SPLIT_KEYS.items():
        if values.get(key):
            splits.setdefault(split, []).append(values[key])
    return DatasetConfig(name, names, splits, "", names_file=names_file)
