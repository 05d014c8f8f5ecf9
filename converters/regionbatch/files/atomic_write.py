"""Write files and folders that take their name in one step, and that replace only our own output.

A path is checked again when the output takes it, not only at the start, because another program may
have created or changed something there. The name is taken with a system call that fails if the name
is in use. Earlier output is first moved aside, then checked, then deleted. If the run is killed in
between, `recover_interrupted` restores the earlier output, and what was written is deleted.

Hidden names next to the path show the state of a replacement: `.NAME.HEX.part` is being written,
`.NAME.HEX.old` was moved aside, `.NAME.HEX.gone` is being deleted.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from _thread import allocate_lock, start_new_thread
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, NamedTuple

from regionbatch.errors import OutputError
from regionbatch.files.cloud_paths import is_cloud
from regionbatch.files.cloud_write import cloud_write
from regionbatch.files.unfinished_output import (
    delete_abandoned,
    hidden_name,
    leftovers,
    unfinished,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from regionbatch.files.output_paths import IsOurs

    IsOurFolder = Callable[[Path], bool]

_NAME_IN_USE = frozenset((errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR))
"""Error codes of systems for a name that is in use."""
_NO_HARD_LINKS = frozenset(
    (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
)
"""Error codes of systems for a disk without hard links."""
_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.8) if os.name == "nt" else ()
"""Seconds between attempts to rename: on Windows, a virus scanner may have a file open briefly."""
_FLUSH_INTERVAL = 0.05
"""Seconds between flushes of a file that is being written."""
_sync_data = getattr(os, "fdatasync", os.fsync)  # Windows and macOS have only fsync
_DELAYS_OF_REMOVAL = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts to delete a folder."""
_SYNC_THREADS = 8
"""Files that are flushed to disk at a time, so that they share commits of the file system."""


class _Fingerprint(NamedTuple):
    """What identifies a file or folder, and its permissions."""

    inode: int
    modified: int
    mode: int


@contextmanager
def atomic_write(path: PurePath, is_ours: IsOurs | None) -> Iterator[IO[bytes]]:
    """Open a file, here or in a cloud, that takes its name once it is completely written.

    Args:
        path: The name.
        is_ours: Whether an existing file of this name may be replaced; None: there must be none.

    Raises:
        OutputError: Something else has the name when the file is written.
    """
    if is_cloud(path):
        with cloud_write(path, is_ours) as in_cloud:
            yield in_cloud
        return
    path = Path(path)
    before = _fingerprint(path)
    if is_ours:
        delete_abandoned(path, is_ours)
    with _parent_folders(path), unfinished(path, partial(Path.touch, exist_ok=False)) as part:
        try:
            with part.open("r+b", 2**20) as file:
                with _flushing(file.fileno()):
                    yield file
                    file.flush()
                os.fsync(file.fileno())
            _take_name(part, path, before, is_ours)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def atomic_folder(path: Path, is_ours: IsOurFolder | None) -> Iterator[Path]:
    """Create a folder for files that takes its name once all are completely written.

    Args:
        path: The name. An empty folder may have it.
        is_ours: Whether a file in the existing folder may be deleted with it; None: it must be
            empty.

    Raises:
        OutputError: Something else has the name when the files are written.
    """
    before = _fingerprint(path)
    with _parent_folders(path), unfinished(path, Path.mkdir) as part:
        try:
            yield part
            _sync_files(part)
            _take_name(part, path, before, is_ours)
        except BaseException:
            remove_folder(part)
            raise


@contextmanager
def _parent_folders(path: Path) -> Iterator[None]:
    """Create the folders above a path; delete them again if nothing was written."""
    missing = [parent for parent in path.parents if not os.path.lexists(parent)]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def recover_interrupted(path: Path, is_ours: IsOurFolder) -> bool:
    """Undo a replacement that a killed run left unfinished.

    An output that was moved aside gets its name back; one that was being deleted is deleted.

    Returns:
        Whether an output got its name back.
    """
    with suppress(OSError):
        for rest in leftovers(path, "gone"):
            _delete(filter(is_ours, rest.iterdir()), rest)
    with suppress(OSError):
        old = leftovers(path, "old")
        if old and not os.path.lexists(path):
            last_renamed = max(old, key=lambda each: each.lstat().st_ctime_ns)
            _claim(last_renamed, path)
            return True
    return False


def _fingerprint(path: Path) -> _Fingerprint | None:
    """Return the fingerprint of the file or folder at a path; None if there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return _Fingerprint(found.st_ino, found.st_mtime_ns, stat.S_IMODE(found.st_mode))


def _take_name(
    part: Path, path: Path, before: _Fingerprint | None, is_ours: IsOurFolder | None
) -> None:
    """Rename a complete output to its name, and replace what was there `before` if unchanged."""
    if before is not None:
        part.chmod(before.mode)
    old = None if before is None or is_ours is None else _move_aside(path)
    if old is None or before is None or is_ours is None:
        _claim(part, path)
    else:
        _replace(part, path, old, before, is_ours)
    _sync_folder(path.parent)


def _move_aside(path: Path) -> Path | None:
    """Rename what is to be replaced, and return its new path; None if it no longer exists."""
    old = hidden_name(path, "old")
    try:
        _rename(path, old)
    except FileNotFoundError:
        return None
    return old


def _replace(part: Path, path: Path, old: Path, before: _Fingerprint, is_ours: IsOurFolder) -> None:
    """Give the output its name, and check and delete what was moved aside."""
    try:
        found = _checked_files(old, path, before, is_ours)
        _claim(part, path)
    except BaseException:
        _restore(old, path)
        raise
    try:
        _delete_old(old, path, found)
    except OSError as error:
        place = error.filename or old
        reason = error.strerror or error
        raise OutputError(
            f"{place}: the previous output was moved here and cannot be deleted: '{reason}'. "
            "Check its contents, then delete it.",
            place=str(place),
        ) from error


def _checked_files(old: Path, path: Path, before: _Fingerprint, is_ours: IsOurFolder) -> list[Path]:
    """Return the files of what is to be replaced.

    Raises:
        OutputError: One of them is not ours, or the file or folder has changed.
    """
    files = sorted(old.iterdir()) if old.is_dir() else [old]
    foreign = next((each for each in files if not is_ours(each)), None)
    if foreign or _fingerprint(old) != before:
        shown = f": '{foreign.name}'" if foreign and foreign != old else ""
        raise OutputError(
            f"{path}: changed by another program during the run{shown}. Check the output, then "
            "try again.",
            place=str(path),
        )
    return files


def _delete_old(old: Path, path: Path, found: list[Path]) -> None:
    """Delete what was replaced: only the files that were checked."""
    if not old.is_dir():
        old.unlink()
        return
    old.chmod(stat.S_IRWXU)
    gone = hidden_name(path, "gone")  # a partly deleted folder must never be restored
    _rename(old, gone)
    _delete((gone / each.name for each in found), gone)


def _restore(old: Path, path: Path) -> None:
    """Rename what was moved aside back to its name.

    Raises:
        OutputError: Something else has the name now. Both are kept.
    """
    try:
        _claim(old, path)
    except OSError as error:
        raise OutputError(
            f"{path}: created by another program during the run. The previous output is now "
            f"'{old}'. Check both.",
            place=str(path),
        ) from error


def _claim(part: Path, path: Path) -> None:
    """Rename a file or folder to a name that is free or that of an empty folder.

    Raises:
        OutputError: Something has the name.
    """
    try:
        if part.is_dir() and not part.is_symlink():
            _claim_for_folder(part, path)
        else:
            _claim_for_file(part, path)
    except OSError as error:
        if error.errno in _NAME_IN_USE and os.path.lexists(path):
            raise OutputError(
                f"{path}: created by another program during the run. Check it, or choose another "
                "name.",
                place=str(path),
            ) from error
        raise


def _claim_for_folder(part: Path, path: Path) -> None:
    # Renaming a folder replaces only an empty folder, and on Windows not even that.
    try:
        _rename(part, path)
    except OSError:
        if not path.is_dir():
            raise
        path.rmdir()
        _rename(part, path)


def _claim_for_file(part: Path, path: Path) -> None:
    if os.name == "nt":
        _rename(part, path)  # never replaces anything on Windows
        return
    try:
        os.link(part, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        path.touch(exist_ok=False)  # the best way without links: an empty file has the name briefly
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
    """Delete some files, then their folder, which fails if it contains another file."""
    for file in files:
        file.unlink(missing_ok=True)
    folder.rmdir()


def remove_folder(folder: Path) -> None:
    """Delete a folder with its contents, even if another process is still adding files."""
    import shutil  # noqa: PLC0415 - it loads three compression libraries

    for delay in _DELAYS_OF_REMOVAL:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(delay)


@contextmanager
def _flushing(file: int) -> Iterator[None]:
    """Flush a large file to disk while the block writes it, so that less is left at the end.

    Raises:
        OSError: The disk failed. It reports this only once, so a later flush would not show it.
    """
    errors: list[OSError] = []
    # Plain locks and not `threading.Thread`, which Ctrl-C can leave waiting forever.
    writing, flushing = allocate_lock(), allocate_lock()

    def flush() -> None:
        with flushing:
            while not (errors or writing.acquire(timeout=_FLUSH_INTERVAL)):
                try:
                    _sync_data(file)
                except OSError as error:
                    errors.append(error)

    writing.acquire()
    try:
        with suppress(RuntimeError):  # no thread can be started: everything is flushed at the end
            start_new_thread(flush, ())
        yield
    finally:
        writing.release()
        with flushing:  # the last flush has ended, and none is waiting
            pass
    for error in errors:
        raise error


def _sync_files(folder: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - it loads logging

    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        for _ in pool.map(_sync, folder.iterdir()):
            pass
    _sync_folder(folder)


def _sync(file: Path) -> None:
    with file.open("r+b") as opened:
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, on systems where a folder can be opened."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
