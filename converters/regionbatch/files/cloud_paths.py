"""Paths in a cloud: URLs that are used like paths of `pathlib`."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, TypeGuard

from regionbatch.errors import OptionError
from regionbatch.files.paths import scheme_of

if TYPE_CHECKING:
    from os import PathLike
    from typing import Self, SupportsIndex

    from regionbatch.files.cloud import CloudStorage

LOCAL_SCHEME = "file"
_MEMORY = "memory"
"""The scheme of memory, whose file system writes its paths as `memory:///set`."""
_WEB_SCHEMES = ("http", "https")
_PASSWORD = re.compile(r"(:/{1,2})[^/@]*:(?!\d+/).*@", re.DOTALL)
_SIGNATURE = re.compile(
    r"\?.*(?:sig|signature|token|key|secret|password)=.*", re.IGNORECASE | re.DOTALL
)


class UnusableUrlError(OptionError):
    """A URL cannot be opened."""

    def __init__(self, url: str, problem: str) -> None:
        """Keep the URL, without credentials, and what is wrong."""
        super().__init__(f"{url}: {problem}", place=url)
        self.problem = problem

    def __reduce__(self) -> tuple[type[UnusableUrlError], tuple[str, str]]:
        """Return how to recreate the error."""
        return UnusableUrlError, (self.place, self.problem)


class CloudPath(PurePosixPath):
    """The path of a file or folder in a cloud: `az://container/folder`.

    Nothing in it is percent-encoded. It contains no credentials, and neither does its pickle.

    >>> CloudPath("az://container/set/") / "a b.txt"
    CloudPath('az://container/set/a b.txt')
    """

    def __str__(self) -> str:
        """Return the URL, with the two slashes that `pathlib` reduces to one."""
        return super().__str__().replace(":/", "://", 1)

    def __fspath__(self) -> str:
        """Return the URL."""
        return str(self)

    @property
    def parent(self) -> CloudPath:
        """The folder above; there is none above a container."""
        return self if len(self.parts) <= 2 else super().parent

    @property
    def container(self) -> str:
        """The URL of the container (of the bucket, or of the host)."""
        return "/".join(str(self).split("/", 3)[:3])


class FileUrl(str):
    """The URL of a file in a cloud, with the storage in which it was listed.

    So the file is read from that storage even if the same name is later opened in another account.
    A pickle contains only the account, from which another process knows whether its own storage is
    the same.
    """

    __slots__ = ("_account", "storage")
    storage: CloudStorage | None
    _account: str

    def __new__(cls, url: str, storage: CloudStorage | None, account: str = "") -> Self:
        """Keep a URL with its storage or, if there is none in this process, its account."""
        self = super().__new__(cls, url)
        self.storage = storage
        self._account = account
        return self

    @property
    def account(self) -> str:
        """See `CloudStorage.account`."""
        return self.storage.account if self.storage else self._account

    def __eq__(self, other: object, /) -> bool:
        """Return whether this is the same file: with the same URL, and of the same account."""
        is_equal = str.__eq__(self, other) is True
        return is_equal and (not isinstance(other, FileUrl) or self.account == other.account)

    def __ne__(self, other: object, /) -> bool:
        """Return whether this is another file."""
        return not self == other

    __hash__ = str.__hash__

    def __add__(self, more: str, /) -> FileUrl:
        """Return the URL of another file in the same storage."""
        return FileUrl(super().__add__(more), self.storage, self._account)

    def __deepcopy__(self, _memo: object) -> Self:
        """Return this URL."""
        return self

    def __reduce_ex__(
        self, _protocol: SupportsIndex
    ) -> tuple[type[FileUrl], tuple[str, None, str]]:
        """Return how another process makes the same URL."""
        return FileUrl, (str(self), None, self.account)


def as_path(path: str | PathLike[str]) -> Path | CloudPath:
    """Return a path on this machine or, for a URL, one in a cloud.

    Raises:
        UnusableUrlError: A URL contains a credential or `..`, names no container, or is that of a
            web server.

    >>> as_path("file:///data/set").as_posix(), as_path("AZ://container/set")
    ('/data/set', CloudPath('az://container/set'))
    """
    text = os.fspath(path)
    scheme = scheme_of(text)
    if not scheme:
        return Path(path)
    rest = text[len(scheme) + 1 :]
    if scheme.lower() == LOCAL_SCHEME:
        return _path_of_file_url(text, rest)
    found = CloudPath(f"{scheme.lower()}:{rest}")
    without_credential = _SIGNATURE.sub("?…", _PASSWORD.sub(r"\1…@", text))
    if text != without_credential:
        text = without_credential
        problem = (
            "contains a credential. Leave it out, and set it in the environment or in "
            "`storage_options`."
        )
    elif scheme.lower() in _WEB_SCHEMES:
        problem = (
            f"a web server is not storage: '{scheme}'. Use the URL of the storage, such as "
            "az://CONTAINER/FOLDER, or a local path."
        )
    elif not rest.strip("/") or (rest.startswith("///") and scheme.lower() != _MEMORY):
        problem = f"no container in the URL. Write it as {scheme}://CONTAINER/PATH."
    elif ".." in found.parts:
        problem = "'..' in a URL. Write the URL without it."
    else:
        return found
    raise UnusableUrlError(text, problem)


def _path_of_file_url(url: str, rest: str) -> Path:
    """Return the path in the URL of a local file, which follows the scheme."""
    host, slash, path = rest.removeprefix("//").partition("/")
    if rest.startswith("//") and host.lower() not in ("", "localhost"):
        raise UnusableUrlError(url, f"the URL names another host: {host!r}. Write the path only.")
    if not path.strip("/"):
        raise UnusableUrlError(url, "no path in the URL. Write the path only.")
    has_drive = os.name == "nt" and re.match(r"[A-Za-z]:", path)  # file:///C:/data
    return Path(path if has_drive else slash + path)


def is_cloud(path: PurePath) -> TypeGuard[CloudPath]:
    """Return whether a path is in a cloud."""
    return isinstance(path, CloudPath)


def real_path(path: PurePath) -> PurePath:
    """Return a path without links; in a cloud there are none."""
    return path if isinstance(path, CloudPath) else Path(os.path.realpath(path))


def path_from(folder: PurePath, path: PurePath) -> PurePath:
    """Return a path joined to a folder; an absolute path or a URL is returned unchanged."""
    return path if is_cloud(path) or path.is_absolute() else folder / path


def path_within(path: PurePath, folder: PurePath) -> str:
    """Return the path of a file relative to a folder that contains it, with `/`."""
    return "/".join(path.parts[len(folder.parts) :])
