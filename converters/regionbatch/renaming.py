"""Which class of the data set is called what in the project: `--map old=new` and `--map-file`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike


def read_renames(pairs: Iterable[str] = (), file: str | PathLike[str] | None = None) -> dict[str, str]:
    """New names by old ones, from `old=new` texts and a file: JSON `{"old": "new"}`, or CSV `old,new`. The texts win.

    Raises:
        ResolveError: A text has no `=`, or the file is not there or in neither form.
    """
    renames = _read(Path(file)) if file is not None else {}
    for pair in pairs:
        old, mark, new = pair.partition("=")
        if not (mark and old.strip() and new.strip()):
            raise ResolveError(f"--map: OLD=NEW is needed, got {pair}; as --map cat=feline")
        renames[old.strip()] = new.strip()
    return renames


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ResolveError(f"{path}: cannot be read, got {error}; check the path, and save it as UTF-8") from error
    if path.suffix.lower() == ".csv":
        rows = [row for row in csv.reader(text.splitlines()) if any(map(str.strip, row))]
    else:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ResolveError(f'{path}: not JSON, got {error}; needed is {{"old": "new"}} or CSV old,new') from error
        rows = [list(pair) for pair in content.items()] if isinstance(content, dict) else [[]]
    if bad := [row for row in rows if len(row) != 2 or not all(isinstance(name, str) and name.strip() for name in row)]:
        raise ResolveError(f'{path}: pairs of names are needed, got {bad[0]!r:.60}; as {{"old": "new"}} or CSV old,new')
    return {old.strip(): new.strip() for old, new in rows}
