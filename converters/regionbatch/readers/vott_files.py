"""The files of a VoTT project: which is what, and what is in them before it is judged."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from regionbatch.files.text import UnreadableError, report_guess, sniffed, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

KINDS = ("a VoTT JSON export", "VoTT asset files", "a VoTT CSV export")
"""What is read; only the first kind that is there, since all hold the same boxes."""
EXPORT, ASSET, CSV = KINDS
PROJECT = "a VoTT project file, which holds no regions"
_HEADER = ["image", "xmin", "ymin", "xmax", "ymax", "label"]
_STRANGERS = (rb"annotations", rb"images", rb"shapes")
"""Arrays of other formats: COCO, labelme."""


def kind_of(tree: Tree, name: str) -> str:
    """Return what a file is, by its beginning; empty: not of VoTT."""
    try:
        text = sniffed(tree.beginning(name)).lstrip()
        if _has(text, rb"tags", rb'\[\s*\{\s*"name"') and not _has(text, rb"assets", rb"\{"):
            text = sniffed(tree.read(name)).lstrip()  # so many tags
    except UnreadableError:
        return ""
    if not text.startswith(b"{"):
        return CSV if separator_of(text.decode(errors="replace")) else ""
    if any(_has(text, key, rb"\[") for key in _STRANGERS):
        return ""
    if _has(text, rb"assets", rb"\{"):
        if _has(text, rb"asset", rb"\{") or (_has(text, rb"assets", rb"\{\s*\}") and _has(text, rb"tags", rb"\[")):
            return EXPORT
        return PROJECT if _has(text, rb"tags", rb"\[") else ""
    return ASSET if _has(text, rb"asset", rb"\{") and _has(text, rb"regions", rb"\[") else ""


def _has(text: bytes, key: bytes, value: bytes) -> bool:
    return re.search(rb'"%s"\s*+:\s*+%s' % (key, value), text) is not None


def separator_of(text: str) -> str:
    """Return what separates the columns, by the header; empty: it is not that of VoTT."""
    header = text.lstrip().partition("\n")[0]
    return next((sign for sign in ",;\t" if [cell.lower() for cell in cells_of(header, sign)] == _HEADER), "")


def cells_of(line: str, separator: str) -> list[str]:
    """Return the cells of one line: a quote that is not closed spoils no other line."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]
    except csv.Error:  # a cell that is longer than any name
        return [line]


def contents_of(
    tree: Tree, files: Sequence[str], log: FindingLog, *, is_csv: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is in the files that can be read, the text of a CSV as `text`; the others are reported."""
    for name in files:
        try:
            text, guessed = tree.read_text(name)
            yield name, {"text": text.decode()} if is_csv else decoded(text)
        except UnreadableError as error:
            log.read(images=1)
            log.note("unreadable_file", name, str(error))
            continue
        if guessed:
            report_guess(log, name, words_of(text))


def decoded(text: bytes) -> dict[str, Any]:
    """Return the JSON of an export or asset file. An object with a key twice becomes None: which counts is unknown.

    Raises:
        UnreadableError: It is not JSON, or of something else.
    """
    try:
        content = json.loads(text, object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise UnreadableError("no JSON object, or one with a key twice")
    assets = content.get("assets", {"": content})
    if not isinstance(assets, dict):
        raise UnreadableError("assets are not an object, or have an ID twice")
    if assets and not any(isinstance(record, dict) and "asset" in record for record in assets.values()):
        raise UnreadableError(PROJECT)
    return content


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    return found if len(found := dict(pairs)) == len(pairs) else None


def records_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records of the assets in a JSON; an empty one for what is none."""
    if "text" in content:
        return []
    records = [*content["assets"].values()] if "assets" in content else [content]
    return [record if isinstance(record, dict) else {} for record in records]


def assets_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the assets in a JSON, as `records_of` has them."""
    return [found if isinstance(found := record.get("asset"), dict) else {} for record in records_of(content)]


def names_of(assets: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the names of assets; where assets of several paths have one name, their paths."""
    named: list[tuple[str, str]] = []
    for asset in assets:
        path = re.sub(r"^file:/*|\?.*", "", str(asset.get("path") or ""))
        name = asset.get("name")
        named.append((name if isinstance(name, str) and name.strip() else path.rpartition("/")[2], path))
    paths_of = Counter(name for name, _ in {*named})
    for name, path in named:
        yield path if paths_of[name] > 1 and path else name


def tags_of(value: object) -> list[str]:
    """Return the names in a list of tags; an empty one for what is no name."""
    tags = [tag.get("name") if isinstance(tag, dict) else tag for tag in (value if isinstance(value, list) else [])]
    return [tag if isinstance(tag, str) else "" for tag in tags]
