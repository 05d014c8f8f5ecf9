"""Parse YAML as a data.yaml needs it: values as text, merge keys, lists of paths, clear errors."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any
from unicodedata import category

from regionbatch.errors import DatasetError
from regionbatch.findings import as_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import yaml

MERGE_KEY = "<<"
"""The key of YAML 1.1 for other mappings, which give the keys that the mapping itself lacks."""
_SWITCH = re.compile("true|false|yes|no|on|off|null|~", re.IGNORECASE)
SWITCH_OR_NUMBER = re.compile(rf"(?:{_SWITCH.pattern})|[-+.\de]+", re.IGNORECASE)
"""The value of `val` in a file of training settings."""
_LINE_BREAK = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]")
"""Characters that end a line in YAML 1.1 only, so that a name with one would be another name."""
_ESCAPE_ADVICE = (
    r"In double quotes a backslash starts an escape (\t is a tab): use single quotes, or / in paths"
)
_ESCAPE_PROBLEM = re.compile("escape|hexa?dec")
"""Part of the errors of PyYAML and libyaml about a backslash in double quotes, such as that of
`\\U`."""
_READ_LABELS = "read the folder of the label files instead"


_MAX_SIZE = 2**22
"""Bytes of a data.yaml."""
_MAX_MARKS = 120_000
"""Maximum number of characters that start a value: each takes 500 bytes and 10 microseconds."""
_MARKS = (b"\n", b"\r", b",", b":", b"[", b"{", b"- ", b"-\t", b"? ", b"?\t")


def parse_yaml(name: str, data: bytes, *, is_required: bool, is_guess: bool) -> tuple[object, Any]:
    """Return the content of a YAML file and its node.

    Args:
        name: The file, for an error.
        data: Its text as UTF-8.
        is_required: Whether it is an error if the file cannot be parsed.
        is_guess: Whether its encoding is a guess.

    Returns:
        The content and the node; None for both if it cannot be parsed or is too large.

    Raises:
        DatasetError: It cannot be parsed, though it is required.
    """
    import yaml  # noqa: PLC0415 - only where there is a YAML file

    if len(data) > _MAX_SIZE or sum(map(data.count, _MARKS)) > _MAX_MARKS:
        if is_required:
            limits = f"{_MAX_SIZE >> 20} MiB, or more than {_MAX_MARKS:,} values"
            what = f"larger than {limits}. Shorten it, or {_READ_LABELS}."
            raise DatasetError(f"{name}: {what}", place=name)
        return None, None
    if is_required:
        _raise_if_line_break(name, data)
    # The loader that makes only text. The one of libyaml, part of nearly every PyYAML, is ten times
    # as fast.
    loader_class = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        loader = loader_class(data)
        node = loader.get_single_node()
        return None if node is None else loader.construct_document(node), node
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        # The last two are raised for "\U7FFFFFFF".
        if is_required:
            raise _not_valid(name, data, error, is_guess=is_guess) from error
        return None, None


def _raise_if_line_break(name: str, data: bytes) -> None:
    found = _LINE_BREAK.search(data)
    if found is None:
        return
    line = data.count(b"\n", 0, found.start()) + 1
    place = f"{name}:{line}"
    value = ascii(found[0].decode())
    raise DatasetError(
        f"{place}: character that only YAML 1.1 treats as a line break: {value}. Remove it.",
        place=place,
        value=value,
    )


def _not_valid(name: str, data: bytes, error: Exception, *, is_guess: bool) -> DatasetError:
    line, what, near = _locate_error(error, data)
    place = f"{name}:{line}" if line else name
    advice = f"Correct it, or {_READ_LABELS}"
    option = ""
    if _ESCAPE_PROBLEM.search(what):
        advice = _ESCAPE_ADVICE
    elif is_guess:  # some bytes of other encodings are control characters in cp1252
        advice = "Specify its encoding with `encoding`, or save it as UTF-8"
        option = "encoding"
    return DatasetError(
        f"{place}: not valid YAML ({what}): '{near}'. {advice}.",
        place=place,
        option=option,
        value=near,
    )


def _locate_error(error: Exception, data: bytes) -> tuple[int, str, str]:
    """Return the line of an error, or 0; what is wrong; and the content of that line."""
    mark = getattr(error, "problem_mark", None)
    position = getattr(error, "position", None)
    what = str(getattr(error, "problem", None) or type(error).__name__)
    if isinstance(position, int):  # a character that YAML does not allow
        line = data[:position].count(b"\n")
        what = str(getattr(error, "reason", ""))
    elif mark:
        line = min(mark.line, data.rstrip(b"\n").count(b"\n"))  # not after the end of the file
    else:
        return 0, what, as_text(data[:80].decode("utf-8", "replace"))
    near = b"".join(data.splitlines()[line : line + 1]).decode().strip()
    return line + 1, what, as_text(near) or "the end of the file"


def merge_mappings(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the keys of the mappings it merges; the nearest value of a key wins.

    The key `<<` is kept if its value cannot be merged.

    >>> merge_mappings({"a": "1", "<<": [{"a": "2", "b": "3"}]})
    {'a': '1', 'b': '3'}
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()  # with aliases, a few lines can merge one mapping a million times
    waiting: list[Any] = [mapping]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if not isinstance(each, dict):
            found.setdefault(MERGE_KEY, each)
            continue
        bases = each.get(MERGE_KEY, [])
        if not isinstance(bases, list):
            waiting.append(bases)
        elif id(bases) not in seen:
            seen.add(id(bases))
            waiting += reversed(bases)
        for key, value in each.items():
            if key != MERGE_KEY:
                found.setdefault(key, value)
    return found


def _with_merged(mapping: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
    """Yield the node of a mapping and the nodes that it merges, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [mapping]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or node.id != "mapping":
            continue
        seen.add(id(node))
        yield node
        for key, value in node.value:
            if key.value == MERGE_KEY and value.id != "sequence":
                waiting.append(value)
            elif key.value == MERGE_KEY and id(value) not in seen:
                seen.add(id(value))
                waiting += value.value


def raise_if_duplicate_keys(
    name: str, content: yaml.MappingNode, keys: Collection[str], *, names: bool
) -> None:
    """Raise an error if a key has two values: YAML would silently take the last.

    Args:
        name: The file, for the error.
        content: Its node.
        keys: The keys that are read, besides `names`.
        names: Whether the class names are read.

    Raises:
        DatasetError: A key that is read, or a number among the names, has two values.
    """
    read = {*keys, "names"} if names else {*keys}
    for mapping in _with_merged(content):
        pairs = [(key, value) for key, value in mapping.value if key.value in read]
        _check_pairs(name, pairs)
        for key, value in pairs:
            if key.value == "names":
                for numbered in _with_merged(value):
                    _check_pairs(name, numbered.value)


def _check_pairs(name: str, pairs: Iterable[tuple[yaml.Node, yaml.Node]]) -> None:
    """Raise an error if a key of a mapping has two values that differ."""
    first: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in pairs:
        first_key, first_value = first.setdefault(str(key.value), (key, value))
        if first_value.value != value.value:
            place = f"{name}:{key.start_mark.line + 1}"
            shown = as_text(key.value)
            raise DatasetError(
                f"{place}: duplicate key: '{shown}'. Its first value is on line "
                f"{first_key.start_mark.line + 1}. Keep one of them.",
                place=place,
                value=shown,
            )


def read_paths(name: str, key: str, value: object) -> list[str]:
    """Return the paths in the value of a split: one path, or a list of paths, which may be nested.

    Args:
        name: The file, for an error.
        key: The key of the split.
        value: Its value.

    Raises:
        DatasetError: It contains something else, or a path with a control character.
    """
    paths: list[str] = []
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if each and not _SWITCH.fullmatch(each):
                paths.append(each)
        elif not isinstance(each, list):
            raise DatasetError(
                f"{name}: '{key}' must be a path or a list of paths, not {describe_value(each)}. "
                "Replace it with the paths.",
                place=name,
            )
        elif id(each) not in seen:
            seen.add(id(each))
            waiting += reversed(each)
    for path in paths:
        raise_if_control_character(name, key, path)
    return paths


def describe_value(value: object) -> str:
    """Describe a wrong value in a few words.

    The whole value is not shown: with aliases, a few lines can be more than fits into memory.
    """
    if isinstance(value, str):
        return f"'{as_text(value)}'"
    if isinstance(value, dict):
        keys = ", ".join(map(str, islice(value, 5)))
        return f"a mapping of '{as_text(keys)}'"
    if isinstance(value, list):
        for part in value:
            if not isinstance(part, str):
                return f"a list that contains {'a list' if isinstance(part, list) else 'a mapping'}"
        return "a list"
    return f"a {type(value).__name__}"


def raise_if_control_character(name: str, key: str, path: str) -> None:
    r"""Raise an error if a path has a control character: YAML reads a tab in `"data\train"`.

    Args:
        name: The file, for the error.
        key: The key whose value the path is in.
        path: The path.

    Raises:
        DatasetError: The path has one.
    """
    for character in path:
        if category(character) == "Cc":
            what = "a tab" if character == "\t" else "a control character"
            value = as_text(path)
            raise DatasetError(
                f"{name}: path in '{key}' contains {what} ({ascii(character)[1:-1]}): '{value}'. "
                f"{_ESCAPE_ADVICE}.",
                place=name,
                value=value,
            )
