"""Which class of the dataset is called what in the project: `--map old=new` and `--map-file`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.csvrows import csv_rows, is_csv, table_bytes
from regionbatch.dataset import tidy
from regionbatch.errors import OptionError, ResolveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike


def read_renames(pairs: Iterable[str] = (), file: str | PathLike[str] | None = None) -> dict[str, str]:
    """New names by old ones, from `old=new` texts and a file: JSON `{"old": "new"}`, or CSV `old,new`. The texts win.

    Raises:
        OptionError: A text is no `old=new`.
        ResolveError: The file is not there or in neither form, or a name has two new ones.
    """
    texts: list[tuple[str, str]] = []
    for pair in pairs:
        old, _, new = pair.partition("=")
        if not (old.strip() and new.strip()):
            raise OptionError(f"--map: OLD=NEW is needed, got {pair}; as --map cat=feline")
        texts.append((old, new))
    of_file = _collect(_read(Path(file)), str(file)) if file is not None else {}
    return of_file | _collect(texts, "--map")


def tidied(rename: Mapping[str, str] | None) -> dict[str, str]:
    """New names by old ones, with the old ones as datasets have them."""
    return {tidy(old): new for old, new in (rename or {}).items()}


def _collect(pairs: Iterable[tuple[str, str]], place: str) -> dict[str, str]:
    renames: dict[str, str] = {}
    for old, new in ((old.strip(), new.strip()) for old, new in pairs):
        if renames.setdefault(old, new) != new:
            raise ResolveError(f"{place}: {old} has two new names, got {renames[old]} and {new}; keep one")
    return renames


def _read(path: Path) -> list[tuple[str, str]]:
    try:
        text = table_bytes(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ResolveError(f"{path}: cannot be read, got {error}; check the path, and save it as UTF-8") from error
    if is_csv(path):
        rows = [tuple(row) for row in csv_rows(text, path)]
    else:
        try:
            content = json.loads(text, object_pairs_hook=tuple)  # not a dict: a name that stands twice must be seen
        except (ValueError, RecursionError) as error:
            raise ResolveError(f'{path}: not JSON, got {error}; needed is {{"old": "new"}} or CSV old,new') from error
        rows = list(content) if isinstance(content, tuple) else [()]
    if bad := [row for row in rows if len(row) != 2 or not all(isinstance(name, str) and name.strip() for name in row)]:
        raise ResolveError(f'{path}: pairs of names are needed, got {bad[0]!r:.60}; as {{"old": "new"}} or CSV old,new')
    return [(old, new) for old, new in rows]
