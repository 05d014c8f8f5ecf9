"""What lies around YOLO label files: the class names, and which pictures are in which split."""

from __future__ import annotations

import json
import re
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from regionbatch.errors import AmbiguousDatasetError, DatasetError, DatasetNotFoundError
from regionbatch.findings import as_text
from regionbatch.readers.files import Tree, is_picture, joined, leaves, read_lines, tails, ways_up
from regionbatch.readers.text import UnreadableError, as_utf8
from regionbatch.readers.yolo_pairs import label_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import yaml

    from regionbatch.findings import Report

_LARGEST_CONFIG = 2**22
_MOST_CLASSES = 100_000
_OUR_KEY = re.compile(rb"^(?:names|train|val|path)[ \t]*:", re.MULTILINE)
"""What a data.yaml has, even if it cannot be parsed."""
_SPLIT_KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_NAME_FILES = ("obj.names", "classes.txt", "_darknet.labels", "notes.json")
"""Where class names stand besides data.yaml and obj.data, in the order they are looked for."""


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


def find_configs(tree: Tree, report: Report, *, names: bool = True) -> list[Config]:
    """The data.yaml or obj.data files of a folder, `data.yaml` first, those at the top before those further down."""
    yamls = [name for name in tree.files(".yaml", ".yml") if name.count("/") < 3]
    yamls.sort(key=lambda name: (name.count("/"), not name.endswith("data.yaml"), name))
    found = [config for name in yamls if (config := read_yaml(tree, name, report, names=names))]
    if not found:
        found = [config for name in tree.files(".data") if (config := read_darknet(tree, name, report))]
    return found


def read_yaml(tree: Tree, name: str, report: Report, *, names: bool = True, asked: bool = False) -> Config | None:
    """A data.yaml; None: another yaml file, without names or splits.

    All values are read as text, so that a class called `yes`, `null` or `1.0` keeps its name. Without `names`, the
    class names in it do not matter; with `asked`, the user named this file.

    Raises:
        DatasetError: It cannot be parsed, though it is a data set's.
    """
    try:
        data = tree.read(name)
    except UnreadableError as error:
        raise DatasetError(f"{name}: cannot be read, got {error}; repair it") from error
    if len(data) > _LARGEST_CONFIG:
        return None
    data, guessed = as_utf8(data)
    content, node = _parsed(name, data, must=asked or bool(_OUR_KEY.search(data)))
    if not isinstance(content, dict) or not ("names" in content or {"train", "val"} & set(content)):
        return None
    _refuse_two_values(name, node, names=names)
    if guessed:
        report.note("odd_encoding", name)
    splits: dict[str, list[str]] = {}
    for key, split in _SPLIT_KEYS.items():
        value = content.get(key)
        entries = [one for one in (value if isinstance(value, list) else [value]) if one and isinstance(one, str)]
        if key in content and value:
            splits.setdefault(split, []).extend(entries)
    listed = _yaml_names(tree, name, content["names"], report) if names and content.get("names") else None
    count = content.get("nc")
    if listed is not None and isinstance(count, str) and count.strip() and count.strip() != str(len(listed)):
        report.note("class_count_mismatch", name, f"nc {count} and {len(listed)} names")
    home = path if isinstance(path := content.get("path"), str) else ""
    return Config(name, listed, splits, home, _keypoints(content.get("kpt_shape")))


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
        raise DatasetError(f"{name}{line}: no YAML ({what}), got {near}; {advice}") from error


def _refuse_two_values(name: str, content: yaml.MappingNode, *, names: bool) -> None:
    """Of a key that has two values, YAML takes the last: a split or a class name would be lost unseen.

    Raises:
        DatasetError: A key that is read has two, or a number among the names.
    """
    read = {*_SPLIT_KEYS, "path", "kpt_shape"} | ({"names"} if names else set())
    values = [(key, value) for key, value in content.value if key.value in read]
    numbered = [value.value for key, value in values if key.value == "names" and value.id == "mapping"]
    for pairs in (values, *numbered):
        first: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in pairs:
            earlier, other = first.setdefault(key.value, (key, value))
            if other.value != value.value:
                line, before = key.start_mark.line + 1, earlier.start_mark.line + 1
                what = f"{as_text(key.value)} has a second value, got another in line {before}"
                raise DatasetError(f"{name}:{line}: {what}; keep one")


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


def _yaml_names(tree: Tree, file: str, names: object, report: Report) -> list[str]:
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    if isinstance(names, str):
        found = next((path for tail in tails(names) if (path := _beside(tree, file, tail))), None)
        if found:
            return read_lines(tree, found, report)
        if any(sign in names for sign in "./\\") and not any(sign in names for sign in "[,\n"):
            raise DatasetError(
                f"{file}: names is a file that is not here, got {as_text(names)}; put it there, or use --names"
            )
    if isinstance(names, dict) and all(isinstance(name, str) for name in names.values()):
        listed = _by_number(names)
        if listed is not None:
            return listed
    raise DatasetError(
        f"{file}: names must be a list, or numbers with names, got {_shape_of(names)}; correct it, or use --names"
    )


def _shape_of(names: object) -> str:
    """What stands for names, in short. Not the whole value: with aliases, a few lines can be more than memory."""
    if isinstance(names, dict):
        return as_text("the keys " + ", ".join(map(str, islice(names, 5))))
    if isinstance(names, str):
        return as_text(names)
    other = next((name for name in names if not isinstance(name, str)), None) if isinstance(names, list) else names
    return f"{type(other).__name__} in place of a name"


def _by_number(names: Mapping[Any, str]) -> list[str] | None:
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


def read_darknet(tree: Tree, name: str, report: Report) -> Config | None:
    """An obj.data of darknet: `key = value` lines. None: another .data file."""
    try:
        lines = read_lines(tree, name, report)
    except DatasetError:
        return None
    values = {key.strip(): value.strip() for key, mark, value in (line.partition("=") for line in lines) if mark}
    if "names" not in values and "train" not in values:
        return None
    names_file = next((found for tail in tails(values.get("names", "")) if (found := _beside(tree, name, tail))), None)
    names = read_lines(tree, names_file, report) if names_file else None
    splits: dict[str, list[str]] = {}
    for key, split in _SPLIT_KEYS.items():
        if values.get(key):
            splits.setdefault(split, []).append(values[key])
    return Config(name, names, splits, "")


def _beside(tree: Tree, file: str, path: str) -> str | None:
    """A file that another one names: beside it, or further up."""
    folders = (*ways_up(file.rpartition("/")[0]), "")
    return next((found for folder in folders if (found := tree.find(joined(folder, path)))), None)


def class_names(tree: Tree, configs: list[Config], given: Path | None, report: Report) -> list[str]:
    """The class names, from the file given or from the data set.

    Raises:
        AmbiguousDatasetError: There are none, or two lists disagree.
    """
    if given is not None:
        names = names_from(given, report)
        report.decide("names", str(given), f"{len(names)} names, as asked")
        return names
    lists = {config.file: config.names for config in configs if config.names is not None}
    for name in _name_files(tree):
        found = _notes(tree, name, report) if name.lower().endswith(".json") else read_lines(tree, name, report)
        if found:
            lists.setdefault(name, found)
    if not lists:
        raise AmbiguousDatasetError(
            f"{tree.root}: no class names, got none in a data.yaml, obj.data, obj.names or classes.txt; "
            "name a list with --names"
        )
    order = {name: at for at, name in enumerate(_NAME_FILES)}
    first = min(lists, key=lambda name: order.get(name.rpartition("/")[2].lower(), -1))
    for name, names in lists.items():
        if [one.strip() for one in names] != [one.strip() for one in lists[first]]:
            raise AmbiguousDatasetError(
                f"{name}: its {len(names)} class names are not the {len(lists[first])} of {first}; "
                "choose one with --names"
            )
    report.decide("names", first, f"{len(lists[first])} names")
    return lists[first]


def _name_files(tree: Tree) -> Iterator[str]:
    for folder, listing in tree.folders():
        for ending in (".txt", ".names", ".labels", ".json"):
            names = listing.by_ending.get(ending, ())
            for name in sorted(name for name in names if ending == ".names" or name.lower() in _NAME_FILES):
                yield f"{folder}/{name}" if folder else name


def names_from(path: Path, report: Report) -> list[str]:
    """The class names of a file that the user names, data.yaml or one name a line.

    Raises:
        DatasetError: It is not there, or has no names.
    """
    if not path.is_file():
        raise DatasetNotFoundError(f"--names: there is no such file, got {path}; check the path")
    tree = Tree(path.parent)
    if path.suffix.lower() in (".yaml", ".yml"):
        config = read_yaml(tree, path.name, report, asked=True)
        names = (config.names if config else None) or []
    elif path.suffix.lower() == ".data":
        config = read_darknet(tree, path.name, report)
        names = (config.names if config else None) or []
    elif path.suffix.lower() == ".json":
        names = _notes(tree, path.name, report) or []
    else:
        names = read_lines(tree, path.name, report)
    if not names:
        raise DatasetError(f"--names: no class names in it, got {path}; needed is a data.yaml, or one name a line")
    return names


def _notes(tree: Tree, name: str, report: Report) -> list[str] | None:
    """The names in a notes.json of Label Studio."""
    try:
        text, guessed = as_utf8(tree.read(name))
        names = _by_number({entry["id"]: str(entry["name"]) for entry in json.loads(text)["categories"]})
    except (UnreadableError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if guessed and names:
        report.note("odd_encoding", name)
    return names


class Entry(NamedTuple):
    """An entry of a split that was found."""

    split: str
    text: str
    """As written."""
    place: str
    """The folder or list file, by its relative path."""


def split_entries(tree: Tree, config: Config, report: Report) -> list[Entry]:
    """The folders and list files of each split; those that are nowhere are reported.

    Raises:
        DatasetNotFoundError: None of them is there.
    """
    found: list[Entry] = []
    missing: list[str] = []
    for split, entries in config.splits.items():
        for text in entries:
            place = _place(tree, config, text)
            if place is None:
                missing.append(f"{split}: {text}")
            else:
                found.append(Entry(split, text, place))
    if not found:
        wanted = ", ".join(entry for entries in config.splits.values() for entry in entries)
        raise DatasetNotFoundError(
            f"{config.file}: none of its folders is here, got {as_text(wanted) or 'no paths'}; "
            "correct the paths in it, or name the folder of the data set instead"
        )
    for entry in missing:
        report.note("missing_split", config.file, entry)
    return found


def list_files(tree: Tree, configs: list[Config]) -> Iterator[str]:
    """The list files that the descriptions of a data set name."""
    for config in configs:
        for text in chain.from_iterable(config.splits.values()):
            if text.lower().endswith(".txt") and (place := _place(tree, config, text)) is not None:
                yield place


def leads_somewhere(tree: Tree, config: Config) -> bool:
    """Whether an entry of any split is here."""
    return any(_place(tree, config, text) is not None for text in chain.from_iterable(config.splits.values()))


def _place(tree: Tree, config: Config, entry: str) -> str | None:
    """A folder or list file of the tree for an entry: as written, without leading `..`, or by its tail.

    The longest tail that exists is taken, so that a path of the author's machine finds the same folder here.
    """
    folder = config.file.rpartition("/")[0]
    bases = list(dict.fromkeys([folder, ""]))
    ends = list(tails(entry))
    if not ends and not leaves(entry):
        ends = [""]  # `.`, the folder itself
    for tail in ends:
        for home in (*tails(config.home), ""):
            for base in bases:
                path = "/".join(part for part in (base, home, tail) if part)
                found = tree.find(path) if path.lower().endswith(".txt") else _folder(tree, path)
                if found is not None:
                    return found
    return None


def _folder(tree: Tree, path: str) -> str | None:
    """A folder of pictures, whatever its case; it may also be missing, if that of its labels is here."""
    found = tree.find_folder(path)
    return path if found is None and tree.find_folder(label_folder(tree, path)) is not None else found


def listed_pictures(tree: Tree, name: str, report: Report, label_of: Callable[[str], str | None]) -> Iterator[str]:
    """The pictures that a .txt list names, found by the tails of their paths; entries found nowhere are reported.

    A picture that is not on disk still counts where its label file is.
    """
    from urllib.parse import unquote  # noqa: PLC0415 - only for lists

    bases = tuple(dict.fromkeys((name.rpartition("/")[0], "")))
    homes: dict[str, list[str]] = {}  # by the folders that entries name: where they may be, the longest tail first
    for number, line in enumerate(read_lines(tree, name, report), 1):
        entry = line.partition("\t")[0].strip()
        for text in filter(is_picture, dict.fromkeys((entry, unquote(entry)))):
            above, _, last = next(tails(text), "").rpartition("/")
            if above not in homes:
                ways = (joined(base, tail) for tail in (*tails(above), "") for base in bases)
                homes[above] = [home for way in ways if (home := _folder(tree, way)) is not None]
            if found := _listed(tree, homes[above], last, label_of):
                yield found
                break
        else:
            if entry:
                report.note("missing_label", name, entry, number)


def _listed(tree: Tree, homes: list[str], name: str, label_of: Callable[[str], str | None]) -> str | None:
    """A picture of this name, or one whose label file is here, in the first folder that has it."""
    paths = [joined(home, name) for home in homes]
    found = next((path for path in paths if path in tree or label_of(path)), None)
    return found or next(filter(None, map(tree.find, paths)), None)
