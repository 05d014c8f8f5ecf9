"""Write files to a cloud that appear whole or not at all, and that replace only our own output.

A file is written to this machine first, and uploaded in one call once it is complete. Object stores
show it when the call succeeds; if the call fails or this process is killed, they show nothing new.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from regionbatch.errors import DatasetError, OutputError
from regionbatch.files.cloud_fetch import CloudError
from regionbatch.files.cloud_open import unusable
from regionbatch.files.storage import cloud_of, container_problem, first_bytes, has_containers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from regionbatch.files.cloud_paths import CloudPath
    from regionbatch.files.output_paths import IsOurs


def kind_in_cloud(path: CloudPath) -> str:
    """Return whether a path for output is a file, a folder, or nothing.

    Raises:
        OutputError: There is no such container, or the cloud cannot be read.
    """
    storage = cloud_of(path)
    with errors_of_output(path):
        kind = storage.kind(str(path))
        problem = "" if kind else container_problem(path, "Create it, or choose another one.")
    if problem:
        raise OutputError(
            f"{path}: {problem}",
            place=str(path),
            value=path.container,
        )
    return kind


def is_container(path: CloudPath) -> bool:
    """Return whether a path is that of a container, which is never a file."""
    return has_containers(path) and str(path) == path.container


def files_in_cloud(folder: CloudPath) -> dict[str, int]:
    """Return the sizes of all files below a folder, by relative path; none if there is no folder.

    Raises:
        OutputError: The cloud cannot be read.
    """
    below: dict[str, Mapping[str, Any]] = {}
    with errors_of_output(folder):
        try:
            below = cloud_of(folder).below(str(folder))
        except CloudError as error:
            if not error.is_absence:
                raise unusable(str(folder), error) from error
    return {
        path: int(about.get("size") or 0)
        for path, about in below.items()
        if path and about.get("type") != "directory"
    }


@contextmanager
def errors_of_output(path: CloudPath) -> Iterator[None]:
    """Turn errors about what is in a cloud into errors about the output."""
    try:
        yield
    except DatasetError as error:
        raise OutputError(str(error), place=str(path)) from error.__cause__


def starts_with(path: CloudPath, *signatures: bytes) -> bool:
    """Return whether a file is empty or starts with a signature."""
    try:
        head = first_bytes(path, max(map(len, signatures)))
    except CloudError:
        return False
    return not head or head.startswith(signatures)


@contextmanager
def cloud_write(path: CloudPath, is_ours: IsOurs | None) -> Iterator[IO[bytes]]:
    """Open a file that appears in a cloud once it is completely written.

    Args:
        path: The file.
        is_ours: Whether an existing file of this name may be replaced; None: there must be none.

    Raises:
        OutputError: Something else has the name when the file is written, or the cloud denies it.
    """
    storage = cloud_of(path)
    before = storage.state(str(path))
    with file_to_upload() as local:
        with local.open("xb", 2**20) as file:
            yield file
        is_changed = storage.state(str(path)) != before
        if is_changed or (before and (is_ours is None or not is_ours(path))):
            raise taken(path)
        try:
            storage.upload(local, str(path), replace=bool(before))
        except CloudError as error:
            if error.is_taken:
                raise taken(path) from None
            raise


@contextmanager
def file_to_upload() -> Iterator[Path]:
    """Create a temporary folder for a file, and yield the path of the file."""
    import tempfile  # noqa: PLC0415 - slow to load, and only for a cloud

    with tempfile.TemporaryDirectory(prefix="regionbatch-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "output"


def taken(path: CloudPath) -> OutputError:
    """Return the error for output that another program writes at the same time."""
    return OutputError(
        f"{path}: created or changed by another program during the run. Check it, or choose "
        "another name.",
        place=str(path),
    )
