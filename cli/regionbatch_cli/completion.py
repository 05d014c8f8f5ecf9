"""Values that the shell completes: formats, marks, and the classes and splits of a dataset.

Nothing here raises: where a value cannot be found quickly, nothing is completed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import click

    from regionbatch.dataset import Dataset

_MOST_FILES = 5_000
_MOST_BYTES = 10_000_000
"""Datasets with more files, or larger annotation files, take too long while a user waits."""
_ANNOTATIONS = (".json", ".xml", ".txt", ".yaml", ".yml", ".names", ".data", ".vott", ".csv")

_ENCODINGS = ("cp1252", "gbk", "big5", "shift_jis", "cp932", "euc-kr", "cp1251")


def complete_format(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the formats, including those of plugins; no plugin is imported."""
    from regionbatch.installed import entry_points  # noqa: PLC0415 - only while completing
    from regionbatch.plugins import BUILT_IN, GROUP  # noqa: PLC0415

    plugins = [point.name for point in entry_points(GROUP)]
    return _starting_with(incomplete, [*BUILT_IN, *plugins])


def complete_mark(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the marks of `--drop`; they may be separated by commas."""
    from regionbatch.dataset import MARKS  # noqa: PLC0415 - NumPy, only while completing

    *earlier, last = incomplete.split(",")
    found = _starting_with(last, [mark for mark in MARKS if mark not in earlier])
    return [",".join([*earlier, mark]) for mark in found]


def complete_encoding(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the encodings that old datasets often have."""
    return _starting_with(incomplete, _ENCODINGS)


def complete_class(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the classes of the dataset on the command line."""
    dataset = _dataset_of(ctx)
    return [] if dataset is None else _starting_with(incomplete, dataset.tags)


def complete_split(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the splits of the dataset on the command line."""
    dataset = _dataset_of(ctx)
    return [] if dataset is None else _starting_with(incomplete, dataset.images.splits)


def complete_code(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the finding codes."""
    from regionbatch.findings.codes import CODES  # noqa: PLC0415 - only while completing

    return _starting_with(incomplete, CODES)


def _starting_with(incomplete: str, values: Iterable[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value.startswith(incomplete)]


def _dataset_of(ctx: click.Context) -> Dataset | None:
    """Read the dataset on the command line, if it is small."""
    # While an option waits for its value, click has not assigned the arguments yet.
    path = ctx.params.get("dataset") or next(iter(ctx.args), None)
    if not path or not _is_small(path):
        return None
    from regionbatch.reading import read  # noqa: PLC0415 - NumPy, only while completing

    try:
        return read(path, format=ctx.params.get("format"))
    except Exception:  # noqa: BLE001 - a message would be printed into the command line
        return None


def _is_small(path: str) -> bool:
    """Return whether a dataset can be read while a user waits."""
    size = 0
    for count, entry in enumerate(_files_of(path), 1):
        if entry.name.lower().endswith(_ANNOTATIONS):
            size += entry.stat().st_size
        if count > _MOST_FILES or size > _MOST_BYTES:
            return False
    return True


def _files_of(path: str) -> Iterator[os.DirEntry[str]]:
    """Yield the files in a folder and its subfolders, or next to a file."""
    folders = [path if os.path.isdir(path) else os.path.dirname(path) or "."]  # noqa: PTH112,PTH120
    while folders:
        try:
            entries = [*os.scandir(folders.pop())]
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file():
                yield entry
