"""What the tests of output share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import regionbatch as rb
    from regionbatch.batching import Batch


COUNT = 3
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


def everything_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


TARGETS = ["out", "out.jsonl"]


def failing(batches: rb.Batches, error: BaseException) -> Iterator[Batch]:
    yield batches[0]
    yield batches[1]
    raise error


def meanwhile(batches: rb.Batches | list[Batch], action: Callable[[], object]) -> Iterator[Batch]:
    """Yield batches, and call an action after the first."""
    yield batches[0]
    action()
    yield from batches[1:]


def put(path: Path, content: bytes = b"mine") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
