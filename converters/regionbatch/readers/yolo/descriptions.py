"""What describes a YOLO dataset: a data.yaml of Ultralytics, or an obj.data of darknet."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from regionbatch.errors import DatasetError
from regionbatch.files.paths import joined, path_suffixes, with_parents
from regionbatch.files.text import UnreadableError, as_utf8
from regionbatch.files.tree import read_lines
from regionbatch.findings import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import yaml

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

_LARGEST_CONFIG = 2**22
_MOST_CLASSES = 100_000
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


def find_configs(tree: Tree, log: FindingLog, *, names: bool = True) -> list[Config]:
    """The data.yaml or obj.data files of a folder, `data.yaml` first, those at the top before those further down.

    Raises:
        DatasetError: The user named a file that is neither, or one cannot be parsed.
    """
    if tree.named:
        return [_named_config(tree, log, names=names)]
    yamls = [name for name in tree.files(".yaml", ".yml") if name.count("/") < 3]
    yamls.sort(key=lambda name: (name.count("/"), not name.endswith("data.yaml"), name))
    found = [config for name in yamls if (config := read_yaml(tree, name, log, names=names))]
    if not found:
        found = [config for name in tree.files(".data") if (config := read_darknet(tree, name, log))]
    return found


def _named_config(tree: Tree, log: FindingLog, *, names: bool) -> Config:
    if tree.named.lower().endswith(".data"):
        config = read_darknet(tree, tree.named, log)
    elif tree.named.lower().endswith((".yaml", ".yml")):
        config = read_yaml(tree, tree.named, log, names=names, asked=True)
    else:
        config = None
    if config is None:
        raise DatasetError(
            f"{tree.source}: no YOLO data set; name the folder, its data.yaml or its obj.data", place=tree.named
        )
    return config


def read_yaml(tree: Tree, name: str, log: FindingLog, *, names: bool = True, asked: bool = False) -> Config | None:
    """A data.yaml; None: another yaml file, without names or splits.

    All values are read as text, so that a class called `yes`, `null` or `1.0` keeps its name. Without `names`, the
    class names in it do not matter; with `asked`, the user named this file.

    Raises:
        DatasetError: It cannot be parsed, though it is a dataset's.
    """
    try:
        data = tree.read(name)
    except UnreadableError as error:
        raise DatasetError(f"{name}: cannot be read, got {error}; repair it", place=name) from error
    if len(data) > _LARGEST_CONFIG:
        return None
    data, guessed = as_utf8(data)
    content, node = _parsed(name, data, must=asked or bool(_OUR_KEY.search(data)))
    if not isinstance(content, dict) or not ("names" in content or {"train", "val"} & set(content)):
        return None
    _refuse_two_values(name, node, names=names)
    if guessed:
        log.note("odd_encoding", name)
    splits: dict[str, list[str]] = {}
    for key, split in SPLIT_KEYS.items():
        value = content.get(key)
        entries = [one for one in (value if isinstance(value, list) else [value]) if one and isinstance(one, str)]
        if key in content and value:
            splits.setdefault(split, []).extend(entries)
    listed = _yaml_names(tree, name, content["names"], log) if names and content.get("names") else None
    count = content.get("nc")
    if listed is not None and isinstance(count, str) and count.strip() and count.strip() != str(len(listed)):
        log.note("class_count_mismatch", name, f"nc {count} and {len(listed)} names")
    home = path if isinstance(path := content.get("path"), str) else ""
    return Config(name, listed, splits, home, _keypoints(content.get("kpt_shape")), _names_file(tree, name, content))


def _parsed(name: str, data: bytes, *, must: bool) -> tuple[object, Any]:
    """The content of a YAML file, and its node; None if it cannot be parsed, unless it `must`."""
    import yaml  # noqa: PLC0415 - only where there is a yaml

    try:
        loader = yaml.BaseLoader(data.decode())  # the one that makes only text
        node = loader.get_single_node()
        return None if node is None else loader.construct_document(node), node
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # the last two: "\U7FFFFFFF"
        if not must:
            return None, None
        line, what, near = _yaml_problem(error, data)
        advice = "correct it, or name the labels' folder"
        raise DatasetError(f"{name}{line}: no YAML ({what}), got {near}; {advice}", place=f"{name}{line}") from error


def _refuse_two_values(name: str, content: yaml.MappingNode, *, names: bool) -> None:
    """Of a key that has two values, YAML takes the last: a split or a class name would be lost unseen.

    Raises:
        DatasetError: A key that is read has two, or a number among the names.
    """
    read = {*SPLIT_KEYS, "path", "kpt_shape"} | ({"names"} if names else set())
    values = [(key, value) for key, value in content.value if key.value in read]
    numbered = [value.value for key, value in values if key.value == "names" and value.id == "mapping"]
    for pairs in (values, *numbered):
        first: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in pairs:
            earlier, other = first.setdefault(key.value, (key, value))
            if other.value != value.value:
                line, before = key.start_mark.line + 1, earlier.start_mark.line + 1
                what = f"{as_text(key.value)} has a second value, got another in line {before}"
                raise DatasetError(f"{name}:{line}: {what}; keep one", place=f"{name}:{line}")


def _yaml_problem(error: Exception, data: bytes) -> tuple[str, str, str]:
    """Where a YAML file is broken, as `:7` or empty; what is wrong there; and what stands there."""
    mark, position = getattr(error, "problem_mark", None), getattr(error, "position", None)
    what = str(getattr(error, "problem", None) or type(error).__name__)
    if isinstance(position, int):  # a sign that YAML does not allow
        line, what = data.decode()[:position].count("\n"), str(getattr(error, "reason", ""))
    elif mark:
        line = mark.line
    else:
        return "", what, "what no parser takes"
    near = b"".join(data.splitlines()[line : line + 1]).decode().strip()
    return f":{line + 1}", what, as_text(near) or "the end of the file"


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
        if any(sign in names for sign in "./\\") and not any(sign in names for sign in "[,\n"):
            raise DatasetError(
                f"{file}: names is a file that is not here, got {as_text(names)}; put it there, or use --names",
                place=file,
                option="names",
            )
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
    if not numbered or len(numbered) < len(names) or min(numbered) < 0 or max(numbered) >= _MOST_CLASSES:
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
        lines = read_lines(tree, name, log)
    except DatasetError:
        return None
    values = {key.strip(): value.strip() for key, mark, value in (line.partition("=") for line in lines) if mark}
    if "names" not in values and "train" not in values:
        return None
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
