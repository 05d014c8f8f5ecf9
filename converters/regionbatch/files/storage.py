"""Where the files of a dataset are: on this machine, or in a cloud.

Everything that opens a file of a dataset asks its storage, with the paths that `Tree.on_disk`
returns. A storage can be pickled, so that another process reads the same files.
"""

from __future__ import annotations

import filecmp
import os
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from io import FileIO
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from regionbatch.errors import OptionError
from regionbatch.files.cloud_paths import FileUrl, UnusableUrlError, as_path, is_cloud
from regionbatch.files.folders import FolderLister
from regionbatch.files.folders import absence_of as absence_here
from regionbatch.files.image_headers import image_size
from regionbatch.files.paths import scheme_of
from regionbatch.files.text import UnreadableError, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from io import RawIOBase
    from os import PathLike
    from pathlib import PurePath

    from regionbatch.files.cloud import CloudStorage
    from regionbatch.files.cloud_paths import CloudPath
    from regionbatch.files.folders import Lister
    from regionbatch.files.image_headers import Size

    Kind = Literal["file", "folder", ""]
    """What a path is; empty if there is nothing."""


class Storage(Protocol):
    """Reads files and lists folders."""

    def kind(self, path: str) -> Kind:
        """Return whether a path is a file, a folder, or nothing.

        Raises:
            DatasetError: A cloud cannot be read.
            OptionError: The file system of a cloud is not installed, or cannot be opened.
        """

    def lister(self, root: PurePath) -> Lister:
        """Return the lister for the folders of a dataset."""

    def read_bytes(self, path: str, *, head_only: bool = False, most: int | None = None) -> bytes:
        """Return the bytes of a label file.

        Args:
            path: The path to open.
            head_only: Whether to return only the first bytes (at most 16 KiB).
            most: The largest size in bytes. [default: `text.MAX_LABEL_FILE_BYTES`]

        Raises:
            UnreadableError: The file is larger, or cannot be read.
        """

    def read_many(
        self, paths: Iterable[str], *, most: int | None = None
    ) -> Iterator[bytes | UnreadableError]:
        """Yield the bytes of label files in order; an error for each that cannot be read.

        Args:
            paths: The paths to open.
            most: As for `read_bytes`.
        """

    def read_ends(self, path: str, length: int) -> tuple[bytes, bytes]:
        """Return the first bytes of a file, and the last if there are more.

        Args:
            path: The path to open.
            length: Maximum bytes of each. The two parts do not overlap.

        Raises:
            OSError: The file cannot be read.
        """

    def open(self, path: str) -> RawIOBase:
        """Open a file for random access, without a buffer.

        Raises:
            OSError: The file cannot be opened.
        """

    def image_sizes(self, paths: Iterable[str], *, exif_rotation: bool = False) -> Iterator[Size]:
        """Yield the sizes of images in order; see `image_headers.image_size`."""

    def signed_url(self, path: str, seconds: int) -> str:
        """Return a URL with which anyone can read a file for some seconds, so it is a secret.

        Raises:
            OptionError: The storage cannot sign URLs.
        """

    def have_same_bytes(self, path: str, other: str) -> bool:
        """Return whether two files are known to have the same bytes.

        Raises:
            OSError: One of them cannot be read.
        """

    def versions(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the version of each file that has one, by path: it changes whenever the file does.

        Raises:
            DatasetError: The folders of the files cannot be listed.
        """


class LocalStorage:
    """The disks of this machine."""

    def kind(self, path: str) -> Kind:
        """Return whether a path is a file, a folder, or nothing."""
        # Not pathlib, which raises an error if a name is too long.
        if os.path.isdir(path):  # noqa: PTH112
            return "folder"
        return "file" if os.path.exists(path) else ""  # noqa: PTH110

    def lister(self, root: PurePath) -> FolderLister:
        """Return the lister for the folders of a dataset."""
        return FolderLister(root)

    read_bytes = staticmethod(read_bytes)

    def read_many(
        self, paths: Iterable[str], *, most: int | None = None
    ) -> Iterator[bytes | UnreadableError]:
        """Yield the bytes of label files in order; an error for each that cannot be read."""
        for path in paths:
            try:
                yield read_bytes(path, most=most)
            except UnreadableError as error:
                yield error

    def read_ends(self, path: str, length: int) -> tuple[bytes, bytes]:
        """Return the first bytes of a file, and the last if there are more."""
        with open(path, "rb") as file:  # noqa: PTH123 - paths are text
            start = file.read(length)
            if len(start) < length:
                return start, b""
            file.seek(max(length, os.fstat(file.fileno()).st_size - length))
            return start, file.read(length)

    def open(self, path: str) -> FileIO:
        """Open a file for random access, without a buffer."""
        return FileIO(path)

    def image_sizes(self, paths: Iterable[str], *, exif_rotation: bool = False) -> Iterator[Size]:
        """Yield the sizes of images in order."""
        return (image_size(path, exif_rotation=exif_rotation) for path in paths)

    def signed_url(self, path: str, seconds: int) -> str:  # noqa: ARG002 - as in the protocol
        """Raise OptionError: a file of this machine has no URL."""
        raise OptionError(
            f"{path}: a file on this machine has no URL. Copy the images to a cloud, or leave "
            "out `by_url`.",
            place=path,
        )

    def have_same_bytes(self, path: str, other: str) -> bool:
        """Return whether two files are known to have the same bytes."""
        return filecmp.cmp(path, other, shallow=False)

    def versions(self, paths: Sequence[str]) -> dict[str, str]:  # noqa: ARG002 - as in the protocol
        """Return nothing: a file on this machine is compared by its bytes."""
        return {}


LOCAL = LocalStorage()


_CLOUDS: dict[str, CloudStorage] = {}
"""The storages that were opened last, by the URLs of their containers. fsspec also keeps what it
opened, with its credentials, as long as the process runs."""
_WITH_CONTAINERS = frozenset(("abfs", "abfss", "az", "gcs", "gs", "s3", "s3a"))
"""Schemes of clouds with containers, which must exist."""
_ACCOUNTS: dict[str, set[str]] = {}
"""The accounts in which each container was opened before."""
_OPEN: ContextVar[Mapping[str, CloudStorage]] = ContextVar("_OPEN", default=MappingProxyType({}))
"""The storages of the call that this thread is in, by the URLs of their containers."""


def storage_of(path: str) -> Storage:
    """Return the storage of a path that `Tree.on_disk` returned, or of a folder.

    Raises:
        UnusableUrlError: The path is from another process, and this one has another account.
    """
    if isinstance(path, FileUrl) and path.storage:
        return path.storage
    if "://" not in path or not scheme_of(path):
        return LOCAL
    found = as_path(path)
    if not is_cloud(found):
        return LOCAL
    storage = cloud_of(found)
    if isinstance(path, FileUrl) and path.account != storage.account:
        problem = f"the dataset was read from another account: '{path.account}'."
        raise UnusableUrlError(found.container, f"{problem} Read the dataset again.")
    return storage


def cloud_of(path: CloudPath) -> CloudStorage:
    """Return the storage of a path in a cloud.

    Raises:
        UnusableUrlError: It was opened in several accounts, so it is unclear which one is meant.
    """
    container = path.container
    if container in _OPEN.get():
        return _OPEN.get()[container]
    storage = _CLOUDS.get(container)
    if storage is None:
        storage = _CLOUDS[container] = _new_storage(container, None)
    if others := _ACCOUNTS.get(container, set()) - {storage.account}:
        accounts = "' and '".join(each or "unknown" for each in sorted({*others, storage.account}))
        problem = f"this process has opened the container in several accounts: '{accounts}'."
        raise UnusableUrlError(container, f"{problem} Pass `storage_options`.")
    return storage


def _new_storage(container: str, options: Mapping[str, Any] | None) -> CloudStorage:
    from regionbatch.files.cloud import CloudStorage  # noqa: PLC0415 - only for clouds

    return CloudStorage(container, options)


@contextmanager
def reopened_clouds(
    paths: Iterable[str | PathLike[str]], options: Mapping[str, Any] | None
) -> Iterator[None]:
    """Open the clouds of some paths anew, so that what they contain is listed and read now.

    Other threads may at the same time open the same containers in other accounts.

    Args:
        paths: Paths, of which those in a cloud matter. A URL that cannot be used raises an error
            only when it is used.
        options: Arguments of the file system of fsspec.
    """
    opened: dict[str, CloudStorage] = {}
    for path in paths:
        with suppress(OptionError):
            found = as_path(path)
            if is_cloud(found) and found.container not in opened:
                opened[found.container] = _new_storage(found.container, options)
    token = _OPEN.set({**_OPEN.get(), **opened})
    try:
        yield
    finally:
        _OPEN.reset(token)
        for container, storage in opened.items():
            with suppress(OptionError):
                _ACCOUNTS.setdefault(container, set()).add(storage.account)
                _CLOUDS[container] = storage


def stored_path(path: PurePath) -> str:
    """Return a path as text with which the file is later opened in its current storage."""
    return FileUrl(str(path), cloud_of(path)) if is_cloud(path) else str(path)


def first_bytes(path: CloudPath, length: int) -> bytes:
    """Return the first bytes of a file as it is now.

    Raises:
        CloudError: It cannot be read.
        UnusableUrlError: The cloud cannot be opened.
    """
    storage = cloud_of(path)
    if storage.state(str(path))[:1] == (0,):  # an empty file has no range to request
        return b""
    found: bytes = storage.call("cat_file", str(path), start=0, end=length)
    return found


def kind_of(path: PurePath) -> Kind:
    """Return whether a path is a file, a folder, or nothing; see `Storage.kind`."""
    return storage_of(str(path)).kind(str(path))


def has_containers(path: CloudPath) -> bool:
    """Return whether the cloud of a path has containers; if not, its first part is a folder."""
    return scheme_of(path) in _WITH_CONTAINERS


def container_problem(path: PurePath, advice: str = "Check the URL and the account.") -> str:
    """Return a message if the container of a path does not exist; empty if it does.

    Args:
        path: A path on this machine or in a cloud.
        advice: What to do about it.

    Raises:
        DatasetError: The cloud cannot be read.
    """
    if is_cloud(path) and has_containers(path) and not cloud_of(path).kind(path.container):
        return f"no such container: '{path.container}'. {advice}"
    return ""


def absence_of(path: PurePath, kind: str) -> str:
    """Return why an option cannot use a path that was not found; see `folders.absence_of`."""
    return container_problem(path) or absence_here(path, kind)


def image_sizes(paths: Iterable[str], *, exif_rotation: bool = False) -> Iterator[Size]:
    """Yield the sizes of images in any storage, in order; see `image_headers.image_size`."""
    for storage, some in groupby(paths, storage_of):
        yield from storage.image_sizes(some, exif_rotation=exif_rotation)


def versions(paths: Iterable[str]) -> dict[str, str]:
    """Return the versions of files in any storage, by path; see `Storage.versions`."""
    found: dict[str, str] = {}
    for storage, some in groupby(paths, storage_of):
        found |= storage.versions([*some])
    return found
