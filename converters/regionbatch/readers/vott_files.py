"""The files of a VoTT project: recognise each kind, and return its records unchecked."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from regionbatch.files.small_json import json_problem, load_json
from regionbatch.files.text import UnreadableError, lenient_utf8, non_ascii_words, report_guess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

KINDS = ("a VoTT JSON export", "VoTT asset files", "a VoTT CSV export")
"""The kinds of files with boxes. All contain the same boxes, so only the first kind is read."""
EXPORT, ASSET, CSV = KINDS
PROJECT = "a VoTT project file, which contains no regions"
_HEADER = ["image", "xmin", "ymin", "xmax", "ymax", "label"]
_ARRAYS_OF_OTHER_FORMATS = (rb"annotations", rb"images", rb"shapes")
"""The arrays of COCO and labelme."""


def kind_of(tree: Tree, name: str) -> str:
    """Return the kind of a file, by its first bytes: one of `KINDS`, `PROJECT`, or empty."""
    try:
        text = lenient_utf8(tree.beginning(name)).lstrip()
        if _has(text, rb"tags", rb'\[\s*\{\s*"name"') and not _has(text, rb"assets", rb"\{"):
            text = lenient_utf8(tree.read(name)).lstrip()  # a long list of tags
    except UnreadableError:
        return ""
    if text.startswith(b"{"):
        return _kind_of_json(text)
    return CSV if separator_of(text.decode(errors="replace")) else ""


def _kind_of_json(text: bytes) -> str:
    if any(_has(text, key, rb"\[") for key in _ARRAYS_OF_OTHER_FORMATS):
        return ""
    has_asset = _has(text, rb"asset", rb"\{")
    if not _has(text, rb"assets", rb"\{"):
        return ASSET if has_asset and _has(text, rb"regions", rb"\[") else ""
    if has_asset:
        return EXPORT
    if not _has(text, rb"tags", rb"\["):
        return ""
    return EXPORT if _has(text, rb"assets", rb"\{\s*\}") else PROJECT


def _has(text: bytes, key: bytes, value: bytes) -> bool:
    return re.search(rb'"%s"\s*+:\s*+%s' % (key, value), text) is not None


def separator_of(text: str) -> str:
    """Return the character that separates columns; empty if the header is not VoTT's."""
    header = text.lstrip().partition("\n")[0]
    for separator in ",;\t":
        if [cell.lower() for cell in cells_of(header, separator)] == _HEADER:
            return separator
    return ""


def cells_of(line: str, separator: str) -> list[str]:
    """Return the cells of one line. Lines are parsed alone: an open quote affects no other line."""
    rows = csv.reader([line], delimiter=separator, skipinitialspace=True)
    try:
        return [cell.strip() for cell in next(rows, [])]
    except csv.Error:  # a cell that is longer than any name
        return [line]


def contents_of(
    tree: Tree, files: Sequence[str], log: FindingLog, *, is_csv: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the contents of each file that can be read, and report the others.

    The contents of a CSV are its text, as the only entry `text`.
    """
    for name in files:
        try:
            text, is_guess = tree.read_text(name)
            yield name, {"text": text.decode()} if is_csv else decode_json(text)
        except UnreadableError as error:
            log.read(images=1)
            log.note("unreadable_file", name, str(error))
            continue
        if is_guess:
            report_guess(log, name, non_ascii_words(text))


def decode_json(text: bytes) -> dict[str, Any]:
    """Return the JSON of an export or an asset file.

    An object with a duplicate key becomes None, because either value may be the right one.

    Raises:
        UnreadableError: It is not JSON, or has another structure.
    """
    try:
        content = load_json(text, _unambiguous)
    except (ValueError, RecursionError) as error:
        line = f" on line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UnreadableError(f"not JSON: {json_problem(error)}{line}") from error
    if not isinstance(content, dict):
        raise UnreadableError("not a JSON object, or one with a duplicate key")
    assets = content.get("assets", {"": content})
    if not isinstance(assets, dict):
        raise UnreadableError("'assets' is not an object, or has a duplicate ID")
    if assets and not any(map(_is_record, assets.values())):
        raise UnreadableError(PROJECT)
    return content


def _is_record(value: object) -> bool:
    return isinstance(value, dict) and "asset" in value


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    content = dict(pairs)
    return content if len(content) == len(pairs) else None


def records_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the record of each asset in a JSON; empty for one that is not an object."""
    if "text" in content:
        return []
    records = [*content["assets"].values()] if "assets" in content else [content]
    return [_as_object(record) for record in records]


def assets_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the asset of each of the `records_of` a JSON; empty for one that is not an object."""
    return [_as_object(record.get("asset")) for record in records_of(content)]


def _as_object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def names_of(assets: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the name of each asset; its path if assets with another path share the name."""
    named: list[tuple[str, str]] = []
    for asset in assets:
        path = re.sub(r"^file:/*|\?.*", "", str(asset.get("path") or ""))
        name = asset.get("name")
        has_name = isinstance(name, str) and name.strip()
        named.append((str(name) if has_name else path.rpartition("/")[2], path))
    paths_of = Counter(name for name, _ in {*named})
    for name, path in named:
        yield path if paths_of[name] > 1 and path else name


def tags_of(value: object) -> list[str]:
    """Return the names in a list of tags; empty for an entry without a valid name."""
    names = []
    for tag in value if isinstance(value, list) else []:
        name = tag.get("name") if isinstance(tag, dict) else tag
        names.append(name if isinstance(name, str) else "")
    return names
