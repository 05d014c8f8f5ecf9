"""YAML as a data.yaml needs it: all values as text, merge keys, lists of paths, and errors that say what to correct."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from unicodedata import category

from regionbatch.errors import DatasetError
from regionbatch.findings import as_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import yaml

MERGE = "<<"
"""The key of YAML 1.1 whose value, a mapping or several, gives the keys that its own mapping does not have."""
_SWITCH = re.compile("true|false|yes|no|on|off|null|~", re.IGNORECASE)
SETTING = re.compile(rf"(?:{_SWITCH.pattern})|[-+.\de]+", re.IGNORECASE)
"""What `val` is in a file of training settings: a switch, or a number."""
_LINE_BREAK = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]")
"""Characters that end a line in YAML 1.1 only, so that a name with one would become another."""
_ESCAPE = r"In double quotes a backslash begins an escape (\t is a TAB): use single quotes, or / in a path"


_LARGEST = 2**22
"""Bytes of a description."""
_MOST_MARKS = 120_000
"""The most signs in a description that begin a value, of which each takes 500 bytes of memory and 10 microseconds."""
_MARKS = (b"\n", b"\r", b",", b":", b"[", b"{", b"- ", b"-\t", b"? ", b"?\t")


def parse_yaml(name: str, data: bytes, *, must: bool, guessed: bool) -> tuple[object, Any]:
    """Return the content of a YAML file and its node; None if it cannot be parsed, or is too large.

    Args:
        name: The file, for an error.
        data: What it holds, as UTF-8.
        must: Whether it is an error if it cannot be parsed.
        guessed: Whether its encoding is a guess.

    Raises:
        DatasetError: It cannot be parsed, though it must be.
    """
    import yaml  # noqa: PLC0415 - only where there is a yaml

    if len(data) > _LARGEST or sum(map(data.count, _MARKS)) > _MOST_MARKS:
        if must:
            what = "larger than the description of a dataset can be. Shorten it, or name the labels' folder."
            raise DatasetError(f"{name}: {what}", place=name)
        return None, None
    if must and (odd := _LINE_BREAK.search(data)):
        number = data.count(b"\n", 0, odd.start()) + 1
        raise DatasetError(
            f"{name}:{number}: character that only old YAML takes for a line break: {odd[0].decode()!a}. Correct it.",
            place=f"{name}:{number}",
        )
    try:
        # The one that makes only text; libyaml's is ten times as fast, and part of nearly every PyYAML.
        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)(data)
        node = loader.get_single_node()
        return None if node is None else loader.construct_document(node), node
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # the last two: "\U7FFFFFFF"
        if not must:
            return None, None
        at, what, near = _problem(error, data)
        advice, option = "Correct it, or name the labels' folder", ""
        if "escape" in what:
            advice = _ESCAPE
        elif guessed:  # bytes of characters that are not those of cp1252
            advice, option = "Name its encoding with --encoding, or save it as UTF-8", "encoding"
        text = f"{name}{at}: not valid YAML ({what}): '{near}'. {advice}."
        raise DatasetError(text, place=f"{name}{at}", option=option) from error


def _problem(error: Exception, data: bytes) -> tuple[str, str, str]:
    """Return where a YAML file is broken, as `:7` or empty; what is wrong there; and what is in that line."""
    mark, position = getattr(error, "problem_mark", None), getattr(error, "position", None)
    what = str(getattr(error, "problem", None) or type(error).__name__)
    if isinstance(position, int):  # a character that YAML does not allow
        line, what = data[:position].count(b"\n"), str(getattr(error, "reason", ""))
    elif mark:
        line = min(mark.line, data.rstrip(b"\n").count(b"\n"))  # not after the end of the file
    else:
        return "", what, as_text(data[:80].decode("utf-8", "replace"))
    near = b"".join(data.splitlines()[line : line + 1]).decode().strip()
    return f":{line + 1}", what, as_text(near) or "the end of the file"


def merged(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the keys of those that it merges; what is nearer wins. A key `<<` is left if it is wrong.

    >>> merged({"a": "1", "<<": [{"a": "2", "b": "3"}]})
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
            found.setdefault(MERGE, each)
            continue
        bases = each.get(MERGE, [])
        if not isinstance(bases, list):
            waiting.append(bases)
        elif id(bases) not in seen:
            seen.add(id(bases))
            waiting += reversed(bases)
        for key, value in each.items():
            if key != MERGE:
                found.setdefault(key, value)
    return found


def _with_merged(mapping: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
    """Yield the node of a mapping and those that it merges, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [mapping]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or node.id != "mapping":
            continue
        seen.add(id(node))
        yield node
        for key, value in node.value:
            if key.value == MERGE and value.id != "sequence":
                waiting.append(value)
            elif key.value == MERGE and id(value) not in seen:
                seen.add(id(value))
                waiting += value.value


def refuse_two_values(name: str, content: yaml.MappingNode, keys: Collection[str], *, names: bool) -> None:
    """Of a key that has two values, YAML takes the last: a split or a class name would be lost unseen.

    Args:
        name: The file, for an error.
        content: Its node.
        keys: The keys that are read, besides `names`.
        names: Whether the class names are read.

    Raises:
        DatasetError: A key that is read has two, or a number among the names.
    """
    read = {*keys, "names"} if names else {*keys}
    for mapping in _with_merged(content):
        values = [(key, value) for key, value in mapping.value if key.value in read]
        _refuse_twins(name, values)
        for key, value in values:
            for numbered in _with_merged(value) if key.value == "names" else ():
                _refuse_twins(name, numbered.value)


def _refuse_twins(name: str, pairs: list[tuple[yaml.Node, yaml.Node]]) -> None:
    first: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in pairs:
        earlier, other = first.setdefault(str(key.value), (key, value))
        if other.value != value.value:
            line, before = key.start_mark.line + 1, earlier.start_mark.line + 1
            what = f"{as_text(key.value)} has a second value, got another in line {before}"
            raise DatasetError(f"{name}:{line}: {what}; keep one", place=f"{name}:{line}")


def paths_in(name: str, key: str, value: object) -> list[str]:
    """Return the paths in the value of a split: one, or a list of them, which may be nested.

    Raises:
        DatasetError: There is something else in it, or a path that an escape has spoilt.
    """
    paths: list[str] = []
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            if id(each) not in seen:
                waiting += reversed(each)
            seen.add(id(each))
        elif isinstance(each, str):
            paths += [each] if each and not _SWITCH.fullmatch(each) else []
        else:
            raise DatasetError(
                f"{name}: {key} must be a path or a list of paths: a mapping with {_keys(each)}. "
                "Write the paths in its place.",
                place=name,
            )
    for path in paths:
        refuse_escaped(name, key, path)
    return paths


def _keys(mapping: object) -> str:
    return as_text(", ".join(map(str, list(mapping)[:5]))) if isinstance(mapping, dict) else type(mapping).__name__


def refuse_escaped(name: str, key: str, path: str) -> None:
    r"""Refuse a path with a control character: `"data\train"` has a TAB where its author wrote a backslash.

    Raises:
        DatasetError: The path has one.
    """
    odd = next((sign for sign in path if category(sign) == "Cc"), None)
    if odd is not None:
        shown = {"\t": "a TAB"}.get(odd, "a control character")
        raise DatasetError(
            f"{name}: {key} has {shown} in its path, written {ascii(odd)[1:-1]}: '{as_text(path)}'. {_ESCAPE}.",
            place=name,
        )
