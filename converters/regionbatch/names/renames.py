"""Read the tag names that replace class names: `rename`, OLD=NEW texts and rename files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from regionbatch.dataset import normalise_label
from regionbatch.errors import OptionError, ResolveError
from regionbatch.files.cloud_paths import as_path
from regionbatch.findings.text import as_text, escape_unprintable, quoted
from regionbatch.names.table_files import csv_rows, decoded, is_csv, parsed_json, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from pathlib import PurePath

_EXPECTED = '{"old": "new"} or CSV with old,new'


def read_renames(
    pairs: Iterable[str] = (), file: str | PathLike[str] | None = None
) -> dict[str, str]:
    """Return tag names by class names, from OLD=NEW texts and a file; the texts take precedence.

    Args:
        pairs: Texts such as `cat=feline`.
        file: JSON `{"old": "new"}`, or CSV with old,new.

    Raises:
        OptionError: A text is not OLD=NEW, or the file is a URL that cannot be opened.
        ResolveError: The file cannot be read or has another form, or a class has two new names.
    """
    given = [_split_pair(pair) for pair in pairs]
    of_file = _collect(_read(as_path(file)), str(file)) if file is not None else {}
    return of_file | _collect(given)


def normalise_renames(rename: Mapping[str, str] | None) -> dict[str, str]:
    """Return tag names by class names, with the class names normalised as in a dataset.

    Raises:
        OptionError: It is not a mapping.
    """
    if rename is not None and not isinstance(rename, Mapping):
        raise OptionError(
            f"rename: not a mapping: {quoted(as_text(rename))}. "
            'Pass a dict such as {"cat": "feline"}.',
            option="rename",
            value=rename,
        )
    return {normalise_label(old): new for old, new in (rename or {}).items()}


def _split_pair(pair: str) -> tuple[str, str]:
    old, _, new = pair.partition("=")
    if not (old.strip() and new.strip()):
        raise OptionError(
            f"rename: not OLD=NEW: '{pair}'. Write, for example, cat=feline.",
            option="rename",
            value=pair,
        )
    return old, new


def _collect(pairs: Iterable[tuple[str, str]], file: str = "") -> dict[str, str]:
    renames: dict[str, str] = {}
    for pair in pairs:
        old, new = (name.strip() for name in pair)
        if renames.setdefault(old, new) != new:
            raise ResolveError(
                f"{file or 'rename'}: '{old}' has two new names: "
                f"'{renames[old]}' and '{new}'. Keep one of them.",
                place=file,
                option="rename",
                value=old,
                choices=(renames[old], new),
            )
    return renames


def _read(path: PurePath) -> list[tuple[str, str]]:
    text = decoded(read_bytes(path), path)
    rows: Iterable[Any]
    if is_csv(path):
        rows = csv_rows(text, path)
    else:
        # Objects are tuples of pairs, not dicts, so that duplicate keys are seen.
        content = parsed_json(text, path, tuple, _EXPECTED)
        rows = content if isinstance(content, tuple) else [()]
    renames: list[tuple[str, str]] = []
    for row in rows:
        if len(row) != 2 or not all(isinstance(name, str) and name.strip() for name in row):
            shown = escape_unprintable(", ".join(map(str, row)))
            raise ResolveError(
                f"{path}: not a pair of names: '{shown:.60}'. Use {_EXPECTED}.",
                place=str(path),
                value=row,
            )
        old, new = row
        renames.append((old, new))
    return renames
