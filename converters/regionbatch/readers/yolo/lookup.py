"""Find the first of several possible paths that exists in a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.files.paths import with_parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def parent_folder(path: str) -> str:
    """Return the folder that a path is in; empty for the dataset's own folder."""
    return path.rpartition("/")[0]


def folder_and_parents(folder: str) -> Iterator[str]:
    """Yield a folder and all folders above it, up to the dataset's own."""
    yield from with_parents(folder)
    yield ""


def first_found(find: Callable[[str], str | None], paths: Iterable[str]) -> str | None:
    """Return what `find` returns for the first path that exists; None if none does.

    Args:
        find: `Tree.find` or `Tree.find_folder`.
        paths: Relative paths.
    """
    for path in paths:
        found = find(path)
        if found is not None:
            return found
    return None
