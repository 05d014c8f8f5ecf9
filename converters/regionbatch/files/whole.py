"""Files and folders that appear under their name in one step, when they are complete, and replace nothing of others.

What has the name is looked at when it is taken, not only when the work begins: it may have appeared, or been changed,
in between. A name is only ever taken with a system call that fails if something has it. What is replaced is put aside
first, looked into, and then deleted; a run that is killed in between leaves it aside, and `recover` gives it back.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from regionbatch.errors import OutputError
from regionbatch.files.paths import scheme_of
from regionbatch.findings import on_one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from os import PathLike

    IsOurs = Callable[[Path], bool]

_TAKEN = frozenset((errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR))
"""How systems say that a name is taken."""
_NO_LINKS = frozenset((errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK))
"""How they say that a disk has no hard links."""
_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.8) if os.name == "nt" else ()
"""Seconds between tries to rename: on Windows, a virus scanner or an indexer may have a file open for a moment."""
_SYNCING = 8
"""Files that are flushed to disk at a time: several share one commit of the file system."""


class _Seen(NamedTuple):
    """What a file or folder is recognised by, and its permissions."""

    inode: int
    written: int
    mode: int


def real_path(path: str | PathLike[str]) -> Path:
    """Return the path that a name leads to, absolute and without links.

    Raises:
        OutputError: It is the address of something else than a file, nothing can have this name, or there is no
            current folder any more.
    """
    shown = on_one_line(os.fspath(path)[:80])
    if scheme := scheme_of(path):
        raise OutputError(f"{shown}: only local paths can be written: '{scheme}'. Write it here, then copy it there.")
    try:
        real = Path(os.path.realpath(path))
        real.exists()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"{shown}: cannot be a name, got {why}; choose another one") from error
    return real


def begins_with(path: Path, *starts: bytes) -> bool:
    """Return whether a file begins in one of some ways, as our own do, or is empty. A pipe is not opened."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(max(map(len, starts))).startswith((*starts,)) or not path.stat().st_size
    except OSError:
        return False


@contextmanager
def whole_file(path: Path, is_ours: IsOurs | None) -> Iterator[IO[bytes]]:
    """Open a file that takes its name once it is written to its end.

    Args:
        path: The name.
        is_ours: Whether a file that has the name now may be replaced; None: no file has it.

    Raises:
        OutputError: Something else has the name when the file is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before = _seen(path)
    part = _next_to(path, "part")
    try:
        with part.open("xb", 2**20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _take_name(part, path, before, is_ours)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path, is_ours: IsOurs | None) -> Iterator[Path]:
    """Make a folder for files, which takes its name once they are written.

    Args:
        path: The name; an empty folder may have it.
        is_ours: Whether a file in the folder that has the name now may be deleted with it; None: it has no files.

    Raises:
        OutputError: Something else has the name when the files are written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before = _seen(path)
    part = _next_to(path, "part")
    part.mkdir()
    try:
        yield part
        _sync_files(part)
        _take_name(part, path, before, is_ours)
    except BaseException:
        _remove(part)
        raise


def recover(path: Path, is_ours: IsOurs) -> bool:
    """Give back what a killed run had put aside to replace it, and return whether there was something.

    What such a run had begun to delete is deleted.
    """
    with suppress(OSError):
        for rest in _set_aside(path, "gone"):
            _delete(filter(is_ours, rest.iterdir()), rest)
    with suppress(OSError):
        old = _set_aside(path, "old")
        if old and not os.path.lexists(path):
            _put(max(old, key=lambda each: each.lstat().st_ctime_ns), path)  # renamed last
            return True
    return False


def _seen(path: Path) -> _Seen | None:
    """Return what a name leads to is recognised by; None: nothing has it."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return _Seen(found.st_ino, found.st_mtime_ns, stat.S_IMODE(found.st_mode))


def _take_name(part: Path, path: Path, before: _Seen | None, is_ours: IsOurs | None) -> None:
    """Give what is written its name, if that is as it was `before`, and delete what had it."""
    if before is not None:
        part.chmod(before.mode)
    old = None if before is None or is_ours is None else _put_aside(path)
    if old is None or before is None or is_ours is None:
        _put(part, path)
    else:
        _exchange(part, path, old, before, is_ours)
    _sync_folder(path.parent)


def _put_aside(path: Path) -> Path | None:
    """Rename what is to be replaced, and return where it is now; None: it is not there any more."""
    old = _next_to(path, "old")
    try:
        _rename(path, old)
    except FileNotFoundError:
        return None
    return old


def _exchange(part: Path, path: Path, old: Path, before: _Seen, is_ours: IsOurs) -> None:
    """Give what is written the name of what was put aside, look into that, and delete it."""
    try:
        found = _look_into(old, path, before, is_ours)
        _put(part, path)
    except BaseException:
        _give_back(old, path)
        raise
    try:
        _delete_old(old, path, found)
    except OSError as error:
        place, why = error.filename or old, error.strerror or error
        raise OutputError(f"{place}: was replaced, but cannot be deleted: '{why}'. Look at what is there.") from error


def _look_into(old: Path, path: Path, before: _Seen, is_ours: IsOurs) -> list[Path]:
    """Return the files of what is to be replaced.

    Raises:
        OutputError: One is not ours, or it is not as it was before.
    """
    files = sorted(old.iterdir()) if old.is_dir() else [old]
    other = next((each for each in files if not is_ours(each)), None)
    if other or _seen(old) != before:
        shown = f": '{other.name}'" if other and other != old else ""
        raise OutputError(f"{path}: was changed during the run{shown}. Look at it, and run it again.")
    return files


def _delete_old(old: Path, path: Path, found: list[Path]) -> None:
    """Delete what was replaced: the files that were looked at, and no other."""
    if not old.is_dir():
        old.unlink()
        return
    old.chmod(stat.S_IRWXU)
    gone = _next_to(path, "gone")  # a part of it must never be given back
    _rename(old, gone)
    _delete((gone / each.name for each in found), gone)


def _give_back(old: Path, path: Path) -> None:
    """Give what was put aside its name again; if something has it now, both stay, and that is reported."""
    try:
        _put(old, path)
    except OSError as error:
        raise OutputError(
            f"{path}: appeared during the run. What was there before is '{old}'. Look at both."
        ) from error


def _put(part: Path, path: Path) -> None:
    """Give a file or folder a name that nothing has, or an empty folder.

    Raises:
        OutputError: Something has it.
    """
    try:
        if part.is_dir() and not part.is_symlink():
            _put_folder(part, path)
        else:
            _put_file(part, path)
    except OSError as error:
        if error.errno in _TAKEN and os.path.lexists(path):
            raise OutputError(f"{path}: appeared during the run. Choose another name, or look at it.") from error
        raise


def _put_folder(part: Path, path: Path) -> None:
    try:
        _rename(part, path)  # a folder replaces nothing but an empty folder, and on Windows not even that
    except OSError:
        if not path.is_dir():
            raise
        path.rmdir()
        _rename(part, path)


def _put_file(part: Path, path: Path) -> None:
    if os.name == "nt":
        _rename(part, path)  # replaces nothing there
        return
    try:
        os.link(part, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        path.touch(exist_ok=False)  # the best there is: for a moment, an empty file has the name
        part.replace(path)
    else:
        part.unlink()


def _rename(part: Path, path: Path) -> None:
    for delay in _DELAYS:
        try:
            part.rename(path)
        except PermissionError:
            time.sleep(delay)
        else:
            return
    part.rename(path)


def _delete(files: Iterable[Path], folder: Path) -> None:
    """Delete some files, and the folder that they are in: it stays if there is another file."""
    for file in files:
        file.unlink(missing_ok=True)
    folder.rmdir()


def _remove(folder: Path) -> None:
    import shutil  # noqa: PLC0415 - it loads three libraries of compression

    shutil.rmtree(folder, ignore_errors=True)


def _sync_files(folder: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - it loads logging

    with ThreadPoolExecutor(_SYNCING) as pool:
        for _ in pool.map(_sync, folder.iterdir()):
            pass
    _sync_folder(folder)


def _sync(file: Path) -> None:
    with file.open("r+b") as opened:
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, where a folder can be opened."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _next_to(path: Path, what: str) -> Path:
    """Return a hidden name next to a path that no other run has."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}.{what}")


def _set_aside(path: Path, what: str) -> list[Path]:
    """Return what runs that were killed left next to a path."""
    form = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.{what}")
    return [each for each in path.parent.iterdir() if form.fullmatch(each.name)]
