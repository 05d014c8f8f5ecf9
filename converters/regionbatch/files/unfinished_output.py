"""Hidden files and folders that output is written to, and what killed runs left of them.

While a run writes such a file or folder, it holds a system lock on it, which ends with the process.
So one without a lock is from a run that was killed, or from a system without such locks: Windows
and some network disks. On these systems, nothing is deleted, because nothing shows whether a run is
writing.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_WITHOUT_LOCK = -1


def hidden_name(path: Path, state: str) -> Path:
    """Return a hidden name next to a path that no other run uses."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}.{state}")


def leftovers(path: Path, state: str) -> list[Path]:
    """Return the hidden names in one state next to a path, of killed runs and of current ones."""
    form = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.{state}")
    return [each for each in path.parent.iterdir() if form.fullmatch(each.name)]


@contextmanager
def unfinished(path: Path, create: Callable[[Path], object]) -> Iterator[Path]:
    """Create a hidden file or folder next to a path, which no other run deletes during the block.

    Args:
        path: The name that the output will have.
        create: Creates it.
    """
    lock = None
    while lock is None:
        part = hidden_name(path, "part")
        create(part)
        lock = _lock(part)
    try:
        yield part
    finally:
        if lock != _WITHOUT_LOCK:
            os.close(lock)


def _lock(part: Path) -> int | None:
    """Return a descriptor with a lock; None if another run has deleted the file, or is about to."""
    if sys.platform == "win32":
        return _WITHOUT_LOCK
    try:
        descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError:
        return _WITHOUT_LOCK
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return None if isinstance(error, BlockingIOError) else _WITHOUT_LOCK
    if os.path.lexists(part):
        return descriptor
    os.close(descriptor)
    return None


def delete_abandoned(path: Path, is_ours: Callable[[Path], bool]) -> None:
    """Delete what killed runs left of the output at a path, but nothing that cannot be theirs.

    Args:
        path: The path of the output.
        is_ours: Whether a file, or a folder within one, may be output. A folder is deleted only if
            all that it contains may be.
    """
    with suppress(OSError):
        for part in leftovers(path, "part"):
            _delete_if_abandoned(part, is_ours)


def _delete_if_abandoned(part: Path, is_ours: Callable[[Path], bool]) -> None:
    lock = _lock(part)
    if lock is None or lock == _WITHOUT_LOCK:
        return
    try:
        content = [*part.rglob("*")] if part.is_dir() else [part]
        if all(is_ours(each) and not each.is_symlink() for each in content):
            for each in sorted(content, reverse=True):  # the content of a folder comes before it
                each.rmdir() if each.is_dir() else each.unlink()
            if part.is_dir():
                part.rmdir()
    finally:
        os.close(lock)
