"""Tables of ids: the files that `--tags` and `--images` take, in every form that people have them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from regionbatch.csvrows import csv_rows, is_csv, table_bytes
from regionbatch.errors import OptionError, ResolveError
from regionbatch.findings import on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from os import PathLike
    from uuid import UUID

    Ids = Mapping[str, str] | Mapping[str, UUID] | str | PathLike[str]

_UUID = re.compile(
    r"(?:urn:uuid:)?(\{)?([0-9a-f]{8})(-?)([0-9a-f]{4})\3([0-9a-f]{4})\3([0-9a-f]{4})\3([0-9a-f]{12})(?(1)\})",
    re.ASCII | re.IGNORECASE,
)
"""The spellings that are in use: 8-4-4-4-12 digits with dashes or without, in braces or not, or as a URN."""
_UUID_LINE = b"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh\n"
_DIGITS_AS_H = bytes.maketrans(b"0123456789abcdefh", b"h" * 16 + b"?")
_decode = msgspec.json.Decoder(dict[str, str]).decode
_NAME_KEYS = ("name", "sourceUrl", "file_name", "fileName", "originalImageUri")
_FORMS = 'an object {"name": "id"}, a GetTags answer, an image-upload answer, a list of images, or CSV with name,id'


def table_of(ids: Ids, name: str) -> Mapping[str, str]:
    """Ids by name, checked, of a mapping or of a file; `name` is the argument's, for messages."""
    if isinstance(ids, str) or hasattr(ids, "__fspath__"):
        return read_ids(ids)
    if hasattr(ids, "items"):
        return collect_ids(ids.items(), name)
    what = f"a table of ids or the path of one is needed, got {type(ids).__name__}"
    raise OptionError(f"{name}: {what}; give a dict of ids by name, or a file as tags.json")


def read_ids(path: str | PathLike[str]) -> dict[str, str]:
    """Ids by name, from JSON or CSV.

    JSON is `{"name": "id"}`, or as saved from the service: the answer of GetTags, of an image upload, or a list of
    images with names. CSV has a name and an id a line; a heading is recognised by "id" in its second column.

    Raises:
        ResolveError: The file is not there or in none of these forms, a name has two ids, or an id is no UUID.
    """
    path = Path(path)
    try:
        data = table_bytes(path)
        if (ids := _plain_table(data)) is not None:
            return ids
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ResolveError(f"{path}: cannot be read, got {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise ResolveError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    pairs = (_from_csv if is_csv(path) else _from_json)(text, path)
    return collect_ids(pairs, str(path))


def _plain_table(data: bytes) -> dict[str, str] | None:
    """The ids of a JSON `{"name": "id"}`, if each name stands in it once and every id has its usual spelling."""
    try:
        ids = _decode(data)
    except msgspec.DecodeError:
        return None
    # A pair has four quotation marks. With as many as pairs in the table need, none is hidden by a second of its name.
    once = data.count(b'"') == 4 * len(ids)
    return ids if once and _are_uuids([*ids.values()]) else None


def _are_uuids(values: Sequence[str]) -> bool:
    """Whether all are UUIDs in their usual spelling."""
    # All at once, each on a line: a sixth of the time of matching them one by one.
    lines = "\n".join([*values, ""]).encode("ascii", "replace")
    return lines.translate(_DIGITS_AS_H) == _UUID_LINE * len(values)


def collect_ids(pairs: Iterable[tuple[str, object]], place: str) -> dict[str, str]:
    """Pairs of name and id as a table, every id checked and in its usual spelling.

    Raises:
        ResolveError: A name has two ids, or an id is no UUID.
    """
    pairs = list(pairs)
    texts = {name: value for name, value in pairs if isinstance(value, str)}
    if len(texts) == len(pairs) and _are_uuids([*texts.values()]):
        return texts
    ids: dict[str, str] = {}
    for name, value in pairs:
        id_ = _as_uuid(name, value, place)
        if ids.setdefault(name, id_) != id_:
            raise ResolveError(f"{place}: {on_one_line(name)} has two ids, got {ids[name]} and {id_}; keep one")
    return ids


def as_uuid(text: str) -> str | None:
    """Return a UUID in its usual spelling, as 8-4-4-4-12 lower-case digits; None: the text is none.

    `uuid.UUID` is not used: it takes dashes anywhere, digits of other scripts, `_` and signs, so that an ID that lost a
    digit becomes another one.

    >>> as_uuid("{12345678-1234-5678-1234-56781234567A}")
    '12345678-1234-5678-1234-56781234567a'
    >>> as_uuid("12345678-1234-5678-1234-56781234567 ")
    """
    match = _UUID.fullmatch(text.strip())
    return "-".join(match.group(2, 4, 5, 6, 7)).lower() if match else None


def checked_project(project_id: str) -> str:
    """Return the ID of a project in its usual spelling.

    Raises:
        OptionError: It is not a UUID.
    """
    found = as_uuid(project_id)
    if found is None:
        what = f"--project: not a project ID: {project_id!r:.60}. Copy it from the settings of the project."
        raise OptionError(what, option="project")
    return found


def _as_uuid(name: str, value: object, place: str) -> str:
    import uuid  # noqa: PLC0415 - only where some id is not in its usual spelling

    text = str(value) if isinstance(value, (str, uuid.UUID)) else ""
    if (found := as_uuid(text)) is None:
        raise ResolveError(
            f"{place}: the id of {on_one_line(name)} is no UUID, got {value!r:.60}; "
            "copy it from the service, as 8-4-4-4-12 digits"
        )
    return found


def _from_csv(text: str, path: Path) -> Iterator[tuple[str, object]]:
    rows = csv_rows(text, path)
    second = rows[0][1].lower() if rows and len(rows[0]) > 1 else ""
    heading = "id" in second and not second.strip().startswith("urn:")  # no other id has an i, not even a broken one
    for row in rows[heading:]:
        yield row[0].strip(), row[1].strip() if len(row) > 1 else None


def _from_json(text: str, path: Path) -> Iterator[tuple[str, object]]:
    try:
        # Pairs, not a dict: a name that stands twice must be seen.
        content = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ResolveError(f"{path}{line}: not JSON, got {error}; needed is {_FORMS}") from error
    if isinstance(content, _Pairs):
        fields = dict(content)
        rows = next((fields[key] for key in ("images", "value", "tags") if isinstance(fields.get(key), list)), None)
        if rows is None:
            yield from content
            return
    elif isinstance(content, list):
        rows = content
    else:
        raise ResolveError(f"{path}: no table of ids, got {text.strip():.40}; needed is {_FORMS}")
    for number, row in enumerate(rows, 1):
        if not _has_failed(row):
            yield _row(row, number, path)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs."""


def _has_failed(row: object) -> bool:
    """Whether an entry of an upload's answer is of a picture that was refused: it has a status and no image."""
    fields = dict(row) if isinstance(row, _Pairs) else {}
    return isinstance(fields.get("status"), str) and "image" in fields and fields["image"] is None


def _row(row: object, number: int, path: Path) -> tuple[str, object]:
    """Name and id of a tag, an image, or an entry of an upload's answer, whose image carries the id."""
    fields = _fields(row, number, path)
    name = next((fields[key] for key in _NAME_KEYS if isinstance(fields.get(key), str)), None)
    image = fields.get("image")
    id_ = _fields(image, number, path).get("id") if isinstance(image, _Pairs) else fields.get("id")
    if name is None or id_ is None:
        raise ResolveError(f"{path}: entry {number} has no name or no id, got {fields!r:.60}; needed is {_FORMS}")
    return _path_of(name.removeprefix('"').removesuffix('"')), id_


def _fields(row: object, number: int, path: Path) -> dict[str, Any]:
    """Return the fields of an object in an entry; none, if it is no object.

    Raises:
        ResolveError: A field has two values.
    """
    pairs = row if isinstance(row, _Pairs) else _Pairs()
    fields = dict(pairs)
    for key, value in pairs:
        if fields[key] != value:
            raise ResolveError(f"{path}: entry {number} has two values of {key!r}: {value!r:.60}. Keep one.")
    return fields


def _path_of(name: str) -> str:
    """What a picture that was uploaded by its address is called: the address's path."""
    if not name.startswith(("http://", "https://")):
        return name
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - only where there is one

    return unquote(urlsplit(name).path).lstrip("/")
