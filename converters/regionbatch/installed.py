"""Entry points of installed packages, read without importing `importlib.metadata`.

Importing that module costs 0.05 s of CPU time, a third of `regionbatch --help`: it loads parsers
for emails and ZIP files. The help of a command needs the plugins, so this module lists the folders
on `sys.path` itself. If packages may be installed in other ways than in folders, it uses the
standard library after all.
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_METADATA_FILES = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


class EntryPoint(NamedTuple):
    """An object that an installed package offers."""

    group: str
    name: str
    value: str
    """`module:attribute`."""
    distribution: str
    """Name of the package, as a user installs it."""


def entry_points(*groups: str) -> list[EntryPoint]:
    """Return the entry points of some groups, sorted by name, then by value.

    If a package is on `sys.path` twice, the first one counts, as for an import.
    """
    found = _from_folders(groups) if _only_folders() else _from_standard_library(groups)
    return sorted(found, key=lambda point: (point.name, point.value))


def _only_folders() -> bool:
    """Return whether packages can be installed in folders only."""
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    files = any(path.endswith(".egg") or os.path.isfile(path) for path in sys.path)  # noqa: PTH113
    return not files and all(map(_searches_folders, finders))


def _searches_folders(finder: object) -> bool:
    """Return whether a finder is that of Python or of importlib_metadata, which Dask imports.

    With importlib_metadata, the standard library takes 20 ms for a list, in each `read`.
    """
    return finder is PathFinder or type(finder).__name__ == "MetadataPathFinder"


def _from_standard_library(groups: tuple[str, ...]) -> Iterator[EntryPoint]:
    from importlib.metadata import entry_points as standard  # noqa: PLC0415 - see above

    for group in groups:
        for point in standard(group=group):
            name = point.dist.name if point.dist else point.value
            yield EntryPoint(group, point.name, _without_extras(point.value), name)


def _from_folders(groups: tuple[str, ...]) -> Iterator[EntryPoint]:
    seen: set[str] = set()
    for root in sys.path:
        for package, points in _packages_in(root, groups).items():
            if package not in seen:
                seen.add(package)
                yield from points


def _packages_in(root: str, groups: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """Return the entry points of the packages that are installed in a folder, by package."""
    try:
        folder = os.path.abspath(root)  # noqa: PTH100 - speed
        return _read_packages(folder, os.stat(folder).st_mtime_ns, groups)  # noqa: PTH116 - speed
    except OSError:
        return {}


@lru_cache(maxsize=256)
def _read_packages(
    root: str,
    modified: int,  # noqa: ARG001 - an installation changes it, so that the folder is read again
    groups: tuple[str, ...],
) -> dict[str, list[EntryPoint]]:
    """Read the entry points of a folder. Without a cache, this takes half of the time of a run."""
    packages: dict[str, list[EntryPoint]] = {}
    for name in os.listdir(root):  # noqa: PTH208 - speed
        stem, extension = os.path.splitext(name)  # noqa: PTH122 - speed
        if extension.lower() not in _METADATA_FILES:
            continue
        package = re.sub(r"[-_.]+", "_", stem.partition("-")[0]).lower()
        if package not in packages:
            metadata = os.path.join(root, name)  # noqa: PTH118 - speed
            packages[package] = list(_points_in(metadata, extension.lower(), groups))
    return packages


def _points_in(folder: str, extension: str, groups: tuple[str, ...]) -> Iterator[EntryPoint]:
    """Yield the entry points in the metadata folder of a package."""
    text = _read_text(os.path.join(folder, "entry_points.txt"))  # noqa: PTH118 - speed
    if not any(f"[{group}]" in text for group in groups):
        return
    about = _read_text(os.path.join(folder, _METADATA_FILES[extension]))  # noqa: PTH118 - speed
    named = re.search(r"^Name:[ \t]*(\S+)", about, re.MULTILINE)
    distribution = named[1] if named else os.path.basename(folder)  # noqa: PTH119 - speed
    for group, name, value in _entries(text):
        if group in groups:
            yield EntryPoint(group, name, value, distribution)


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the group, name and value of each entry of an `entry_points.txt`."""
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1]
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield group, name.strip(), _without_extras(value.strip())


def _without_extras(value: str) -> str:
    return value.partition("[")[0].strip()


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - speed
            return file.read()
    except OSError:
        return ""
