"""The paths of outputs: whether they can be written, and what is there already."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.argument_checks import check_path
from regionbatch.errors import OptionError, OutputError
from regionbatch.files.cloud_paths import UnusableUrlError, as_path, is_cloud
from regionbatch.files.cloud_write import is_container, kind_in_cloud, starts_with
from regionbatch.files.paths import scheme_of
from regionbatch.files.storage import LOCAL, cloud_of
from regionbatch.findings import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from pathlib import PurePath

    from regionbatch.files.cloud_paths import CloudPath

    IsOurs = Callable[[PurePath], bool]


_ADVICE_IN_CLOUD: dict[int | None, str] = {
    errno.EACCES: "Check that the credentials in the environment or in `storage_options` allow "
    "writing there and, if the output is a folder, deleting.",
    errno.EHOSTUNREACH: "Check the network.",
    errno.ENOENT: "Check that the container exists.",
}
_TRY_AGAIN = "Try again, or choose another place."


def resolve_target(path: str | PathLike[str], option: str) -> Path:
    """Return the absolute path of an output, without links.

    Args:
        path: The path.
        option: The keyword argument that it is from.

    Raises:
        OptionError: The path is empty, a URL, or cannot be a path on this system.
        OutputError: The current folder no longer exists, or a folder in the path is closed.
    """
    check_path(option, path)
    shown = escape_unprintable(os.fspath(path)[:80])
    if scheme := scheme_of(path):
        raise OptionError(
            f"{shown}: only local paths can be written, not '{scheme}'. Write a local file, then "
            "copy it there.",
            place=shown,
            option=option,
            value=path,
        )
    try:
        real = Path(os.path.realpath(path))
        real.exists()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        is_impossible = isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG
        raise (OptionError if is_impossible else OutputError)(
            f"{shown}: cannot be used as a path: '{reason}'. Choose another one.",
            place=shown,
            option=option,
            value=path,
        ) from error
    return real


def cloud_target(path: str | PathLike[str], option: str) -> CloudPath | None:
    """Return the path of an output in a cloud, without opening it; None: it is on this machine.

    Raises:
        OptionError: A URL cannot be used.
    """
    scheme = scheme_of(path)
    if not scheme:
        return None
    shown = ""
    try:
        target = as_path(path)
        shown = os.fspath(path)
        if is_cloud(target):
            return target
        problem = f"a local file has a path, not a URL: '{scheme}'. Write the path only."
    except UnusableUrlError as error:
        shown = shown or error.place
        problem = error.problem
    raise OptionError(f"{shown}: {problem}", place=shown, option=option, value=shown)


def check_cloud(target: CloudPath, option: str, shown: str) -> None:
    """Check that a file can be written to a cloud: first its path, then whether the cloud opens.

    Args:
        target: The path.
        option: The keyword argument that it is from.
        shown: The path as it was given.

    Raises:
        OptionError: The path is that of a container, or the cloud cannot be opened.
    """
    if is_container(target):
        raise OptionError(
            f"{shown}: names a container, but no file in it. Add a path, such as {target}/NAME.",
            place=shown,
            option=option,
            value=shown,
        )
    open_cloud(target, option, shown)


def open_cloud(target: CloudPath, option: str, shown: str) -> None:
    """Open the cloud of an output; the arguments are those of `check_cloud`.

    Raises:
        OptionError: It cannot be opened.
    """
    try:
        cloud_of(target).check()
    except UnusableUrlError as error:
        raise OptionError(
            f"{shown}: {error.problem}", place=shown, option=option, value=shown
        ) from error.__cause__


def advice_on_writing(path: PurePath, error: OSError, on_disk: str) -> str:
    """Return what to do about an error of a file that cannot be written.

    Args:
        path: The file.
        error: The error.
        on_disk: What to do about it if the file is on this machine.
    """
    return _ADVICE_IN_CLOUD.get(error.errno, _TRY_AGAIN) if is_cloud(path) else on_disk


def check_parent(path: Path) -> None:
    """Check that a file or folder can be created at a path, with missing folders above it.

    Raises:
        OutputError: A file has the name of a folder in the path, or permission is missing.
    """
    above = next(parent for parent in path.parents if os.path.lexists(parent))
    if not above.is_dir():
        problem = f"'{above}' is a file, not a folder. Choose another path."
    elif os.access(above, os.W_OK | os.X_OK):
        return
    else:
        problem = f"no permission to write in the folder '{above}'. Choose another one."
    raise OutputError(f"{path}: {problem}", place=str(path))


def check_own_file(path: str | PathLike[str], option: str, is_ours: IsOurs, what: str) -> PurePath:
    """Check before the work starts that a file can be written, and return its path.

    Only earlier output of the same kind may be replaced.

    Args:
        path: The path.
        option: The keyword argument that it is from.
        is_ours: Returns whether a file is earlier output.
        what: What the output is: `a report`.

    Raises:
        OptionError: The path is empty, is not a path, or is a URL that cannot be used.
        OutputError: A folder or another file has this path, or the folder above cannot be written.
    """
    check_path(option, path)
    in_cloud = cloud_target(path, option)
    if in_cloud:
        check_cloud(in_cloud, option, os.fspath(path))
    target = in_cloud or resolve_target(path, option)
    kind = kind_in_cloud(in_cloud) if in_cloud else LOCAL.kind(str(target))
    if not kind and isinstance(target, Path):
        check_parent(target)
    problem = ""
    if kind == "folder":
        problem = f"is a folder, but {what} is a file"
    elif kind and not is_ours(target):
        problem = f"is another file, not {what}, and is not replaced"
    if problem:
        raise OutputError(
            f"{target}: {problem}. Choose another name.", place=str(target), option=option
        )
    return target


def has_signature(path: PurePath, *signatures: bytes) -> bool:
    """Return whether a file is empty or starts with a signature. Pipes are not opened."""
    if not isinstance(path, Path):
        return is_cloud(path) and starts_with(path, *signatures)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(max(map(len, signatures)))
        return head.startswith(signatures) or not path.stat().st_size
    except OSError:
        return False
