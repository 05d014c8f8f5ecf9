"""Datasets in a cloud, through the file systems of fsspec (the extra `cloud`).

A folder is listed by one call. Label files are fetched several at a time, each only once. Of an
image, only the beginning is fetched. Nothing outside the folder of the dataset is read. Credentials
come from the caller's `storage_options`, or from where the file system itself looks for them. They
are in no message, and in no pickle but that of a storage, which another process needs to read the
files.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from regionbatch.errors import DatasetError, OptionError
from regionbatch.files import text
from regionbatch.files.cloud_fetch import CloudError
from regionbatch.files.cloud_files import CloudFile, image_sizes_in
from regionbatch.files.cloud_lister import (
    VERSION_KEYS,
    CloudLister,
    digest_of,
    listing_of,
    versions_of,
)
from regionbatch.files.cloud_open import Opened, open_container, raise_if_unreachable, unusable
from regionbatch.files.cloud_paths import UnusableUrlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path, PurePath

    from regionbatch.files.image_headers import Size
    from regionbatch.files.storage import Kind

_HEAD = 2**14
"""Bytes that are read from the beginning of a file, as for a local file."""
_SMALL = 2**20
"""Files up to this size are fetched several at a time and kept; larger ones one by one."""
_MOST_KEPT = 2**26
"""Bytes of files that are kept, because they are often read twice: first to detect the format."""
_AHEAD = 32
"""Number of files that are fetched in advance when the files of a folder are read in order."""


class CloudStorage:
    """The files of one container; implements `storage.Storage`."""

    def __init__(self, container: str, options: Mapping[str, Any] | None = None) -> None:
        """Set the container; nothing is opened yet.

        Args:
            container: Its URL: `az://container`.
            options: Arguments of the file system, such as credentials.
        """
        self.container = container
        self._options = dict(options or {})
        self._sizes: dict[str, dict[str, int]] = {}
        """Sizes in bytes by folder and name, from listings."""
        self._kept = _KeptFiles()
        self._image_sizes: dict[str, tuple[Size, Size]] = {}
        self._last_read: dict[tuple[str, str], int] = {}
        """The position of the last file that was read, by folder and extension."""
        self._names: dict[tuple[str, str], dict[str, int]] = {}
        """The positions of names among those of one extension, by folder and extension."""

    def __reduce__(self) -> tuple[type[CloudStorage], tuple[str, dict[str, Any]]]:
        """Return how another process opens the same container."""
        return CloudStorage, (self.container, self._options)

    def __repr__(self) -> str:
        """Return the container, without the options."""
        return f"CloudStorage({self.container!r})"

    def check(self) -> None:
        """Raise UnusableUrlError if the container cannot be opened."""
        _ = self._opened

    @cached_property
    def _opened(self) -> Opened:
        return open_container(self.container, self._options)

    @property
    def account(self) -> str:
        """The account that the container is in, without credentials; empty if it is unknown.

        Raises:
            UnusableUrlError: The container cannot be opened.
        """
        return self._opened.account

    def key(self, path: str) -> str:
        """Return the path of a file in the file system of fsspec."""
        return self._opened.key + path[len(self.container) :]

    def call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - fsspec has no types
        """Call a method of the file system of fsspec on a path.

        Raises:
            CloudError: The call failed.
        """
        fetcher = self._opened.fetcher
        return fetcher.call(getattr(fetcher.file_system, method), self.key(path), **options)

    def _fetch(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        if path in self._kept:
            return self._kept[path][start:end]
        return self._opened.fetcher.fetch(self.key(path), start, end)

    def _info(self, path: str) -> Mapping[str, Any]:
        """Return what the file system knows about a path now."""
        self._opened.fetcher.file_system.invalidate_cache()
        found: Mapping[str, Any] = {"type": "directory"}
        try:
            found = self.call("info", path)
        except CloudError as error:  # a SAS for a container may not query the container itself
            if not (error.is_denied and path.rstrip("/") == self.container):
                raise
        return found

    def kind(self, path: str) -> Kind:
        """Return whether a path is a file, a folder, or nothing.

        Raises:
            DatasetError: The cloud cannot be read.
            UnusableUrlError: The file system is not installed, or cannot be opened.
        """
        try:
            found = self._info(path)
            is_folder = found.get("type") == "directory"
            if not (is_folder or found.get("size")):  # perhaps a marker for a folder
                is_folder = bool(self.below(path.rstrip("/")))
        except CloudError as error:
            if error.is_absence:
                return ""
            raise unusable(path, error) from error
        return "folder" if is_folder else "file"

    def lister(self, root: PurePath) -> CloudLister:
        """List a folder and all folders below it.

        Raises:
            DatasetError: It cannot be listed.
        """
        top = str(root).rstrip("/")
        try:
            listing = listing_of(self.below(top).items())
        except CloudError as error:
            raise unusable(top, error) from error
        for folder, sizes in listing.sizes.items():
            self._sizes[f"{top}/{folder}" if folder else top] = sizes
        return CloudLister(root, listing, self)

    def below(self, folder: str) -> dict[str, Mapping[str, Any]]:
        """Return what the file system knows about everything below a folder, by relative path.

        Raises:
            CloudError: The folder cannot be listed.
        """
        self._opened.fetcher.file_system.invalidate_cache()
        above = f"{self.key(folder).rstrip('/')}/"
        parent, _, name = folder.rpartition("/")
        found: Any = None
        # If a marker has the name of the folder, the content is found only by a prefix.
        for where, options in ((folder, {}), (parent, {"prefix": f"{name}/"})):
            try:
                found = self.call("find", where, withdirs=True, detail=True, **options)
            except CloudError as error:  # adlfs queries the parent if nothing is found: see `_info`
                if not (error.is_denied and found == {}):
                    raise
            entries = found.items() if isinstance(found, dict) else ()
            below = {
                key.removeprefix(above): about for key, about in entries if key.startswith(above)
            }
            if below or folder == self.container:
                break
        return below

    def _known_size(self, path: str) -> int | None:
        folder, _, name = path.rpartition("/")
        return self._sizes.get(folder, {}).get(name)

    def _size(self, path: str) -> int:
        """Return the size of a file in bytes: as it was listed, or as it is now."""
        size = self._known_size(path)
        return int(self._info(path).get("size") or 0) if size is None else size

    def read_bytes(self, path: str, *, head_only: bool = False, most: int | None = None) -> bytes:
        """Return the bytes of a label file.

        If the files of a folder are read in order, the next ones are fetched at the same time.
        """
        if head_only and (self._known_size(path) or 0) > _SMALL:
            return self._found(path, self._fetch_or_reason(path, 0, _HEAD), None)
        content: bytes | text.UnreadableError | None = None
        for each, found in self._small_files([path, *self._following(path)]):
            if isinstance(found, bytes):
                self._kept.add(each, found)
            if each == path:
                content = found
        content = self._found(path, content, most)
        return content[:_HEAD] if head_only else content

    def read_many(
        self, paths: Iterable[str], *, most: int | None = None
    ) -> Iterator[bytes | text.UnreadableError]:
        """Yield the bytes of label files in order; an error for each that cannot be read."""
        for path, found in self._small_files(paths):
            try:
                yield self._found(path, found, most)
            except text.UnreadableError as error:
                yield error

    def _small_files(
        self, paths: Iterable[str]
    ) -> Iterator[tuple[str, bytes | text.UnreadableError | None]]:
        """Yield files in order, several being fetched at a time; None for a large one."""
        paths = [*paths]
        return zip(paths, self._opened.fetcher.map(self._small_file, paths), strict=True)

    def _small_file(self, path: str) -> bytes | text.UnreadableError | None:
        size = self._known_size(path)
        if size is None:  # in another process than the one that listed the folder
            found = self._fetch_or_reason(path, 0, _SMALL + 1)
            return None if isinstance(found, text.UnreadableError) or len(found) > _SMALL else found
        if size > _SMALL:
            return None
        return self._fetch_or_reason(path) if size else b""

    def _fetch_or_reason(
        self, path: str, start: int | None = None, end: int | None = None
    ) -> bytes | text.UnreadableError:
        try:
            return self._fetch(path, start, end)
        except CloudError as error:
            raise_if_unreachable(path, error)
            return text.UnreadableError(error.strerror)

    def _found(
        self, path: str, found: bytes | text.UnreadableError | None, most: int | None
    ) -> bytes:
        """Return a file as `_small_files` yielded it, and fetch it if it is large.

        Raises:
            UnreadableError: It cannot be read, or is larger than `most` bytes.
        """
        most = text.MAX_LABEL_FILE_BYTES if most is None else most
        if found is None:
            try:
                size = self._size(path)
                found = self._fetch(path) if 0 < size <= most else b""
            except CloudError as error:
                raise_if_unreachable(path, error)
                raise text.UnreadableError(error.strerror) from None
        else:
            size = 0
        if isinstance(found, text.UnreadableError):
            raise found
        if max(size, len(found)) > most:
            raise text.UnreadableError(f"larger than {most >> 20} MiB")
        return found

    def _following(self, path: str) -> list[str]:
        """Return the next files of a folder, if those before have been read in order."""
        if path in self._kept:
            return []
        folder, _, name = path.rpartition("/")
        group = folder, name[name.rfind(".") :]
        if group not in self._names:
            alike = (each for each in self._sizes.get(folder, ()) if each.endswith(group[1]))
            self._names[group] = {each: at for at, each in enumerate(sorted(alike))}
        names = self._names[group]
        at, last = names.get(name, -1), self._last_read.get(group, -1)
        self._last_read[group] = at
        if not 0 <= last < at <= last + _AHEAD:
            return []
        following = [*names][at + 1 : at + _AHEAD]
        self._last_read[group] = at + len(following)
        return [f"{folder}/{each}" for each in following]

    def read_ends(self, path: str, length: int) -> tuple[bytes, bytes]:
        """Return the first bytes of a file, and the last if there are more."""
        size = self._size(path)
        if size <= _SMALL:
            self._kept.add(path, self._fetch(path) if size else b"")
        start = self._fetch(path, 0, min(length, size)) if size else b""
        end = self._fetch(path, max(length, size - length), size) if size > length else b""
        return start, end

    def open(self, path: str) -> CloudFile:
        """Open a file for random access, without a buffer."""
        size = int(self._info(path).get("size") or 0)
        if path in self._kept and len(self._kept[path]) != size:
            self._kept.drop(path)
        fetch = partial(self._fetch, path)
        return CloudFile(fetch, self._opened.fetcher.map, size, partial(self.state, path))

    def state(self, path: str) -> tuple[object, ...]:
        """Return the size and the version of a file; empty if it cannot be read."""
        try:
            return self.readable_state(path)
        except DatasetError:
            return ()

    def readable_state(self, path: str) -> tuple[object, ...]:
        """Return the size and the version of a file.

        Raises:
            DatasetError: It cannot be read.
        """
        try:
            info = self._info(path)
        except (UnusableUrlError, CloudError) as error:
            raise unusable(path, error) from error
        version = " ".join(str(info[key]) for key in VERSION_KEYS if info.get(key))
        return info.get("size"), version

    def image_sizes(self, paths: Iterable[str], *, exif_rotation: bool = False) -> Iterator[Size]:
        """Yield the sizes of images in order; several are read at a time, and each only once."""
        wanted = [*paths]
        paths = wanted
        if len(wanted) == 1 and wanted[0] not in self._image_sizes:
            paths = wanted + self._following(wanted[0])
        sizes = self._opened.fetcher.map(self._image_size, paths)
        for stored, shown in [*sizes][:1] if len(wanted) == 1 else sizes:
            yield shown if exif_rotation else stored

    def _image_size(self, path: str) -> tuple[Size, Size]:
        if path not in self._image_sizes:
            try:
                found = image_sizes_in(partial(self._fetch, path), self._size(path))
            except CloudError as error:
                raise_if_unreachable(path, error)
                found = (0, 0), (0, 0)
            self._image_sizes[path] = found
        return self._image_sizes[path]

    def upload(self, local: Path, path: str, *, replace: bool) -> None:
        """Upload a file, which appears once it is complete.

        Args:
            local: The file on this machine.
            path: Its path in the cloud.
            replace: Whether to replace a file that has this path.

        Raises:
            CloudError: The cloud denies it, or shows a file of another size.
        """
        self._kept.drop(path)
        mode = "overwrite" if replace else "create"
        fetcher = self._opened.fetcher
        fetcher.call(fetcher.file_system.put_file, str(local), self.key(path), mode=mode)
        if self._info(path).get("size") != local.stat().st_size:
            raise CloudError("the file is missing, or its size differs from what was written")

    def signed_url(self, path: str, seconds: int) -> str:
        """Return a URL with which anyone can read a file for some seconds, so it is a secret.

        Raises:
            OptionError: The file system cannot sign URLs.
        """
        try:
            return str(self.call("sign", path, expiration=seconds))
        except CloudError as error:
            raise_if_unreachable(path, error)
            raise OptionError(
                f"{self.container}: this storage cannot sign URLs with these credentials. "
                "Use an account key, or download the dataset and leave out `by_url`, or pass a "
                "function as `by_url`.",
                place=self.container,
            ) from error

    def have_same_bytes(self, path: str, other: str) -> bool:
        """Return whether the storage has the same digest for two files, which are not read."""
        digests = [digest_of(self._info(each)) for each in (path, other)]
        return digests[0] == digests[1] != ""

    def versions(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the version of each file that has one, from new listings of their folders."""
        folders = {*(path.rpartition("/")[0] for path in paths)}
        found: dict[str, str] = {}
        for folder, about in self._opened.fetcher.map(self._listed, sorted(folders)):
            found |= {f"{folder}/{name}": version for name, version in about.items()}
        return {path: found[path] for path in paths if path in found}

    def _listed(self, folder: str) -> tuple[str, dict[str, str]]:
        """Return the versions of the files in a folder, by name."""
        try:
            return folder, versions_of(self.call("ls", folder, detail=True, refresh=True))
        except CloudError as error:
            raise unusable(folder, error) from error


class _KeptFiles(OrderedDict[str, bytes]):
    """The contents of small files that were read last."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def add(self, path: str, content: bytes) -> None:
        """Keep a file, and forget the oldest ones if there are too many bytes."""
        self.drop(path)
        self[path] = content
        self._size += len(content)
        while self._size > _MOST_KEPT:
            self._size -= len(self.popitem(last=False)[1])

    def drop(self, path: str) -> None:
        """Forget a file."""
        self._size -= len(self.pop(path, b""))
