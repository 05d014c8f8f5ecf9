"""What describes a YOLO dataset: a data.yaml of Ultralytics, or an obj.data of darknet."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from regionbatch.errors import DatasetError
from regionbatch.files.paths import joined, path_suffixes, with_parents
from regionbatch.files.text import UndecodableError, UnreadableError, as_number, as_utf8, report_guess
from regionbatch.files.tree import read_lines, undecodable
from regionbatch.findings import FindingLog, as_text
from regionbatch.readers.yolo.yaml_files import (
    MERGE,
    SETTING,
    merged,
    parse_yaml,
    paths_in,
    refuse_escaped,
    refuse_two_values,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regionbatch.files.tree import Tree

MOST_CLASSES = 100_000
"""The most class names of a list: a project of Custom Vision can have 500."""
_MOST_PATHS = 1000
"""The most paths of the splits of a description, each of which is looked for in all folders above it."""
_DEEP = 3
"""Folders above a description from which on it may be of a program, or of one of many datasets."""
_OUR_WORD = re.compile(rb"names|train|val")
"""A data.yaml has one of these: other YAML need not be parsed, which takes long."""
_OUR_KEY = re.compile(rb"^(?:names|train|val|path)[ \t]*:", re.MULTILINE)
"""What a data.yaml has, even if it cannot be parsed."""
SPLIT_KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Config(NamedTuple):
    """What a data.yaml or obj.data says."""

    file: str
    names: list[str] | None
    splits: dict[str, list[str]]
    """Entries as written, by split."""
    home: str
    """`path`, as written; empty: none."""
    keypoints: int = 0
    """How many numbers keypoints are, behind each box: the product of `kpt_shape`."""
    names_file: str = ""
    """The list of class names that it names; empty: none."""

    @property
    def folder(self) -> str:
        """The folder that it is in."""
        return self.file.rpartition("/")[0]

    @property
    def is_deep(self) -> bool:
        """Whether it is so far down that it does not say what is read, only what the classes near it are called."""
        return self.file.count("/") >= _DEEP


def find_configs(tree: Tree, log: FindingLog, *, names: bool = True) -> list[Config]:
    """The data.yaml and obj.data files of a folder, `data.yaml` first, those at the top before those further down.

    An obj.data counts where no data.yaml is in its folder or above: exports often have both.

    Raises:
        DatasetError: The user named a file that is neither, or one cannot be parsed.
    """
    if tree.named:
        return [_named_config(tree, log, names=names)]
    yamls = tree.files(".yaml", ".yml")
    found = [config for name in yamls if (config := _of_dataset(tree, name, log, names=names))]
    described = {config.folder for config in found}
    for name in tree.files(".data"):
        above = {*with_parents(name.rpartition("/")[0]), ""}
        if described.isdisjoint(above) and (config := read_darknet(tree, name, log)):
            found.append(config)
    found.sort(key=lambda config: (config.file.count("/"), not config.file.endswith("data.yaml"), config.file))
    return found


def _of_dataset(tree: Tree, name: str, log: FindingLog, *, names: bool) -> Config | None:
    """A data.yaml. One further down that is wrong is only an error near label files: it may be of a program."""
    try:
        return read_yaml(tree, name, log, names=names)
    except DatasetError:
        folder = name.rpartition("/")[0].rpartition("/")[0]  # a description may be in a folder next to its labels
        if name.count("/") < _DEEP or next(tree.files(".txt", top=folder), None) is not None:
            raise
        return None


def _named_config(tree: Tree, log: FindingLog, *, names: bool) -> Config:
    if tree.named.lower().endswith(".data"):
        config = read_darknet(tree, tree.named, log)
    elif tree.named.lower().endswith((".yaml", ".yml")):
        config = read_yaml(tree, tree.named, log, names=names, asked=True)
    else:
        config = None
    if config is None:
        raise DatasetError(
            f"{tree.source}: no YOLO dataset; name the folder, its data.yaml or its obj.data", place=tree.named
        )
    return config


def read_yaml(tree: Tree, name: str, log: FindingLog, *, names: bool = True, asked: bool = False) -> Config | None:
    """A data.yaml; None: another yaml file, without names or splits.

    All values are read as text, so that a class called `yes`, `null` or `1.0` keeps its name. Without `names`, the
    class names in it do not matter; with `asked`, the user named this file.

    Raises:
        DatasetError: It cannot be parsed, though it is a dataset's.
    """
    data, guessed = _text_of(tree, name)
    if not asked and not _OUR_WORD.search(data):
        return None
    content, node = parse_yaml(name, data, must=asked or bool(_OUR_KEY.search(data)), guessed=guessed)
    content = merged(content) if isinstance(content, dict) else {}
    if not (content.get("names") or _has_path(content.get("train")) or _has_path(content.get("val"))):
        return None
    if MERGE in content:
        raise DatasetError(
            f"{name}: << must merge a mapping, or a list of them: '{_shape_of(content[MERGE])}'. Correct it.",
            place=name,
        )
    refuse_two_values(name, node, {*SPLIT_KEYS, "path", "kpt_shape"}, names=names)
    splits: dict[str, list[str]] = {}
    for key, split in SPLIT_KEYS.items():
        if entries := paths_in(name, key, content.get(key) or []):
            splits.setdefault(split, []).extend(entries)
    if sum(map(len, splits.values())) > _MOST_PATHS:
        what = f"more than {_MOST_PATHS} paths of images. Write them into a text file, and name that."
        raise DatasetError(f"{name}: {what}", place=name)
    listed = _yaml_names(tree, name, content["names"], log) if names and content.get("names") else None
    if guessed:
        report_guess(log, name, [*(listed or ()), *chain.from_iterable(splits.values())])
    if listed is not None:
        _check_count(name, content.get("nc"), len(listed), log)
    home = path if isinstance(path := content.get("path"), str) else ""
    return Config(name, listed, splits, home, _keypoints(content.get("kpt_shape")), _names_file(tree, name, content))


def _text_of(tree: Tree, name: str) -> tuple[bytes, bool]:
    """The text of a description, and whether its encoding is a guess."""
    try:
        return as_utf8(tree.read(name), tree.encoding)
    except UndecodableError as error:
        raise undecodable(name, error) from error
    except UnreadableError as error:
        raise DatasetError(f"{name}: cannot be read, got {error}; repair it", place=name) from error


def _has_path(value: object) -> bool:
    """Whether there may be a path under `train`. Other programs have settings of training there, or a ratio."""
    return bool(value) and (isinstance(value, list) or (isinstance(value, str) and not SETTING.fullmatch(value)))


def _check_count(name: str, count: object, names: int, log: FindingLog) -> None:
    """Report an `nc` that is not the number of names."""
    if not count:
        return
    with suppress(TypeError, ValueError, OverflowError):
        if as_number(count) == names:
            return
    shown = as_text(count) if isinstance(count, str) else f"a {'list' if isinstance(count, list) else 'mapping'}"
    log.note("class_count_mismatch", name, f"nc {shown} and {names} names")


def _keypoints(shape: object) -> int:
    """How many numbers a `kpt_shape` of so many points, of 2 or 3 numbers each, makes; 0: there is none."""
    if not (isinstance(shape, list) and len(shape) == 2 and all(isinstance(part, str) for part in shape)):
        return 0
    points, numbers = (int(part) if re.fullmatch("[0-9]{1,3}", part) else 0 for part in shape)
    return points * numbers


def _yaml_names(tree: Tree, file: str, names: object, log: FindingLog) -> list[str]:
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    if isinstance(names, str):
        if found := _named_list(tree, file, names):
            return read_lines(tree, found, log)
        if any(sign in names for sign in "./\\") and not any(sign in names.strip() for sign in "[,"):
            refuse_escaped(file, "names", names.strip())
            raise DatasetError(
                f"{file}: names is a file that is not here, got {as_text(names)}; put it there, or use --names",
                place=file,
                option="names",
            )
    names = merged(names) if isinstance(names, dict) else names
    if isinstance(names, dict) and all(isinstance(name, str) for name in names.values()):
        listed = by_number(names)
        if listed is not None:
            return listed
    raise DatasetError(
        f"{file}: names must be a list, or numbers with names, got {_shape_of(names)}; correct it, or use --names",
        place=file,
        option="names",
    )


def _names_file(tree: Tree, file: str, content: Mapping[str, object]) -> str:
    names = content.get("names")
    return (_named_list(tree, file, names) if isinstance(names, str) else None) or ""


def _named_list(tree: Tree, file: str, path: str) -> str | None:
    """A file that another one names, by the longest end of its path that is here."""
    return next((found for end in path_suffixes(path) if (found := _beside(tree, file, end))), None)


def _shape_of(names: object) -> str:
    """What stands for names, in short. Not the whole value: with aliases, a few lines can be more than memory."""
    if isinstance(names, dict):
        return as_text("the keys " + ", ".join(map(str, islice(names, 5))))
    if isinstance(names, str):
        return as_text(names)
    other = next((name for name in names if not isinstance(name, str)), None) if isinstance(names, list) else names
    return f"{type(other).__name__} in place of a name"


def by_number(names: Mapping[Any, str]) -> list[str] | None:
    """Names by their numbers as a list, empty in the gaps; None if the keys are no such numbers."""
    try:
        numbered = {_whole(key): name for key, name in names.items()}
    except ValueError:
        return None
    if not numbered or len(numbered) < len(names) or min(numbered) < 0 or max(numbered) >= MOST_CLASSES:
        return None
    return [numbered.get(number, "") for number in range(max(numbered) + 1)]


def _whole(key: object) -> int:
    """The number of a class. Python would also take `1_0`, and make 1 of 1.5."""
    whole = isinstance(key, int) or (isinstance(key, float) and key.is_integer())
    if whole or (isinstance(key, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", key)):
        return int(key)  # type: ignore[call-overload, no-any-return]
    raise ValueError(key)


def read_darknet(tree: Tree, name: str, log: FindingLog) -> Config | None:
    """An obj.data of darknet: `key = value` lines. None: another .data file."""
    try:
        lines = read_lines(tree, name, FindingLog())
    except DatasetError as error:
        if error.option:
            raise
        return None
    values = {key.strip(): value.strip() for key, mark, value in (line.partition("=") for line in lines) if mark}
    if "names" not in values and "train" not in values:
        return None
    read_lines(tree, name, log)  # it is a description: what is odd about it is reported
    names_file = _named_list(tree, name, values.get("names", "")) or ""
    names = read_lines(tree, names_file, log) if names_file else None
    splits: dict[str, list[str]] = {}
    for key, split in SPLIT_KEYS.items():
        if values.get(key):
            splits.setdefault(split, []).append(values[key])
    return Config(name, names, splits, "", names_file=names_file)


def _beside(tree: Tree, file: str, path: str) -> str | None:
    """A file that another one names: beside it, or further up."""
    folders = (*with_parents(file.rpartition("/")[0]), "")
    return next((found for folder in folders if (found := tree.find(joined(folder, path)))), None)
