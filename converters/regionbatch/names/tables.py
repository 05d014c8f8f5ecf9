"""Read tables of IDs by name: mappings, and the files that `tag_ids` and `image_ids` accept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import msgspec

from regionbatch.argument_checks import check_path
from regionbatch.errors import OptionError, ResolveError
from regionbatch.files.cloud_paths import as_path
from regionbatch.findings.text import escape_unprintable, quoted
from regionbatch.names.table_files import (
    check_exists,
    csv_rows,
    decoded,
    is_csv,
    parsed_json,
    read_bytes,
)
from regionbatch.names.uuids import are_canonical_uuids, as_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from os import PathLike
    from pathlib import PurePath
    from uuid import UUID

    Ids: TypeAlias = "Mapping[str, str] | Mapping[str, UUID] | str | PathLike[str] | EarlyIds"
    """What `tag_ids` and `image_ids` may be. Only `convert` passes `EarlyIds`."""

_NAME_KEYS = ("name", "sourceUrl", "file_name", "fileName", "originalImageUri")
_LIST_KEYS = ("images", "value", "tags")
_EXPECTED = (
    'an object {"name": "id"}, a GetTags response, an image upload response, a list of images, '
    "or CSV with name,id"
)
_decode = msgspec.json.Decoder(dict[str, str]).decode


def read_ids(path: str | PathLike[str]) -> dict[str, str]:
    r"""Read a table of IDs by name from a JSON or CSV file.

    A JSON file holds an object `{"name": "id"}` or a saved response of the service: of GetTags, of
    an image upload, or a list of images with names. Failed entries of an upload are skipped. A CSV
    file (`.csv`, `.tsv`) has a name and an ID in each row, separated by commas, semicolons or tabs;
    its first row is a header if its second column contains "id".

    Args:
        path: The file, in UTF-8. It may be in a cloud: `az://container/tags.json`.

    Returns:
        IDs by name. Each ID is a UUID in canonical form: lower case, with hyphens.

    Raises:
        ResolveError: The file cannot be read or has another form, a name has two IDs, or an ID is
            not a UUID. `place` is the file.
        OptionError: `path` is not a path, or is a URL that cannot be opened.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("tags.csv").write_text("name,id\ncat,{12345678-1234-5678-1234-56781234567A}")
        >>> rb.read_ids("tags.csv")
        {'cat': '12345678-1234-5678-1234-56781234567a'}
    """
    check_path("path", path)
    found = as_path(path)
    data = read_bytes(found)
    if (ids := _canonical_table(data)) is not None:
        return ids
    read_pairs = _pairs_of_csv if is_csv(found) else _pairs_of_json
    return collect_ids(read_pairs(decoded(data, found), found), str(found))


class EarlyIds:
    """IDs by name that may be read before they are needed; `table_of` returns them then."""

    def __init__(self, ids: Ids, option: str) -> None:
        """Read nothing yet; the arguments are those of `table_of`.

        Raises:
            ResolveError: The file does not exist.
            OptionError: It is a URL that cannot be opened.
        """
        if _is_path(ids):
            check_path(option, ids)
            check_exists(as_path(ids))
        self._given = ids, option
        self._found: Mapping[str, str] | Exception | None = None

    def read(self) -> None:
        """Read the IDs. An error is raised only when they are needed."""
        try:
            self._found = table_of(*self._given)
        except Exception as error:  # noqa: BLE001 - a mapping may raise any
            self._found = error  # not read again later: a pipe has its content only once

    def take(self) -> Mapping[str, str]:
        """Return the IDs, and forget them; see `table_of` for the errors."""
        found, self._found = self._found, None
        if found is None:
            return table_of(*self._given)
        if isinstance(found, Exception):
            raise found
        return found


def early_ids(tag_ids: Ids, image_ids: Ids) -> tuple[EarlyIds, EarlyIds]:
    """Return the IDs of tags and of images before they are read; see `EarlyIds` for the errors."""
    return EarlyIds(tag_ids, "tag_ids"), EarlyIds(image_ids, "image_ids")


def _is_path(ids: Ids) -> TypeGuard[str | PathLike[str]]:
    return isinstance(ids, str) or hasattr(ids, "__fspath__")


def table_of(ids: Ids, option: str) -> Mapping[str, str]:
    """Return IDs by name, each checked, from a mapping or a file.

    Args:
        ids: The argument of a public function.
        option: Its keyword, for messages.

    Raises:
        OptionError: The argument is neither a mapping nor a path.
        ResolveError: See `read_ids`.
    """
    if isinstance(ids, EarlyIds):
        return ids.take()
    if _is_path(ids):
        check_path(option, ids)
        return read_ids(ids)
    if hasattr(ids, "items"):
        return collect_ids(ids.items(), option=option)
    raise OptionError(
        f"{option}: neither a mapping nor a path: '{type(ids).__name__}'. "
        "Pass a dict of IDs by name, or a file such as tags.json.",
        option=option,
        value=ids,
    )


def _canonical_table(data: bytes) -> dict[str, str] | None:
    """Return the table of a JSON object if its keys are unique and its IDs canonical."""
    try:
        ids = _decode(data)
    except msgspec.DecodeError:
        return None
    # Each pair has four quotation marks. A duplicate key would leave more of them than pairs need.
    has_no_duplicates = data.count(b'"') == 4 * len(ids)
    return ids if has_no_duplicates and are_canonical_uuids([*ids.values()]) else None


def collect_ids(
    pairs: Iterable[tuple[str, object]], place: str = "", option: str = ""
) -> dict[str, str]:
    """Return pairs of name and ID as a table, with every ID checked and in canonical form.

    Args:
        pairs: Names and IDs.
        place: Their file, for messages.
        option: Their keyword argument, if they are not from a file.

    Raises:
        ResolveError: A name has two IDs, or an ID is not a UUID.
    """
    pairs = list(pairs)
    texts = {name: value for name, value in pairs if isinstance(value, str)}
    if len(texts) == len(pairs) and are_canonical_uuids([*texts.values()]):
        return texts
    ids: dict[str, str] = {}
    for name, value in pairs:
        id_ = _checked_id(name, value, place, option)
        if ids.setdefault(name, id_) != id_:
            raise ResolveError(
                f"{place or option}: {_shown_name(name)} has two IDs: "
                f"'{ids[name]}' and '{id_}'. Keep one of them.",
                place=place,
                option=option,
                value=_shown_name(name)[1:-1],
                choices=(ids[name], id_),
            )
    return ids


def _checked_id(name: str, value: object, place: str, option: str) -> str:
    import uuid  # noqa: PLC0415 - only needed where an ID is not in canonical form

    if value is None:
        raise ResolveError(
            f"{place or option}: ID of {_shown_name(name)} is missing. Copy it from Custom Vision.",
            place=place,
            option=option,
        )
    text = str(value) if isinstance(value, (str, uuid.UUID)) else ""
    if (found := as_uuid(text)) is None:
        raise ResolveError(
            f"{place or option}: ID of {_shown_name(name)} is not a UUID: "
            f"{_shown(value)}. Copy it from Custom Vision.",
            place=place,
            option=option,
            value=value,
        )
    return found


def _shown_name(name: str) -> str:
    """Return a name for messages. The query of a URL may be a signature, which is a secret."""
    name = re.sub(r"(https?://[^?#]*)[?#].*", r"\1", name, flags=re.DOTALL | re.IGNORECASE)
    return f"'{escape_unprintable(name)}'"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return quoted(escape_unprintable(text[:60]))


def _pairs_of_csv(text: str, path: PurePath) -> Iterator[tuple[str, object]]:
    rows = csv_rows(text, path)
    second = rows[0][1].lower() if rows and len(rows[0]) > 1 else ""
    # Of all spellings of an ID, even a damaged one, only a URN contains an "i".
    has_header = "id" in second and not second.strip().startswith("urn:")
    for row in rows[has_header:]:
        yield row[0].strip(), row[1].strip() if len(row) > 1 else None


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as pairs, so that duplicate keys are seen."""


def _pairs_of_json(text: str, path: PurePath) -> Iterator[tuple[str, object]]:
    content = parsed_json(text, path, _Pairs, _EXPECTED)
    entries = content if isinstance(content, list) else None
    if isinstance(content, _Pairs):
        entries = _list_in(content)
        if entries is None:
            yield from content
            return
    if entries is None:
        raise ResolveError(
            f"{path}: not a table of IDs: {_shown(text.strip())}. Use {_EXPECTED}.",
            place=str(path),
        )
    for number, entry in enumerate(entries, 1):
        if not _has_failed(entry):
            yield _pair_of(entry, number, path)


def _list_in(response: _Pairs) -> list[Any] | None:
    """Return the list of images or tags in a response of the service; None if there is none."""
    fields = dict(response)
    for key in _LIST_KEYS:
        if isinstance(fields.get(key), list):
            found: list[Any] = fields[key]
            return found
    return None


def _has_failed(entry: object) -> bool:
    """Return whether an entry of an upload response is an image that was rejected."""
    fields = dict(entry) if isinstance(entry, _Pairs) else {}
    return isinstance(fields.get("status"), str) and "image" in fields and fields["image"] is None


def _pair_of(entry: object, number: int, path: PurePath) -> tuple[str, object]:
    """Return name and ID of a tag, of an image, or of an upload entry, whose image has the ID."""
    fields = _fields_of(entry, number, path)
    name = next((fields[key] for key in _NAME_KEYS if isinstance(fields.get(key), str)), None)
    image = fields.get("image")
    with_id = _fields_of(image, number, path) if isinstance(image, _Pairs) else fields
    id_ = with_id.get("id")
    if name is None or id_ is None:
        raise ResolveError(
            f"{path}: entry {number} has no name or no ID: {_shown(fields)}. Use {_EXPECTED}.",
            place=str(path),
            value=fields,
        )
    return _without_address(name.removeprefix('"').removesuffix('"')), id_


def _fields_of(entry: object, number: int, path: PurePath) -> dict[str, Any]:
    """Return the fields of an object in an entry; none if it is not an object.

    Raises:
        ResolveError: A field has two values.
    """
    pairs = entry if isinstance(entry, _Pairs) else _Pairs()
    fields = dict(pairs)
    for key, value in pairs:
        if fields[key] != value:
            raise ResolveError(
                f"{path}: entry {number} has two values of '{key}': {_shown(value)} and "
                f"{_shown(fields[key])}. Keep one of them.",
                place=str(path),
                value=key,
            )
    return fields


def _without_address(name: str) -> str:
    """Return the name of an image; for one that was uploaded by URL, the path of the URL."""
    if not name.startswith(("http://", "https://")):
        return name
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - only needed for URLs

    return unquote(urlsplit(name).path).lstrip("/")
