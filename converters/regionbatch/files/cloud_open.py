"""Open the file systems of fsspec, and find out which account a container is in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from regionbatch.errors import DatasetError
from regionbatch.files.cloud_fetch import CloudError, Fetcher
from regionbatch.files.cloud_paths import UnusableUrlError
from regionbatch.files.paths import scheme_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_CREDENTIALS = "Check the credentials in the environment or in `storage_options`."
_ACCOUNT_IN_URL = re.compile(r"[^@]*@([^@/.]+)\.(?:dfs|blob)\.", re.IGNORECASE)


class Opened(NamedTuple):
    """A file system, and a container in it."""

    fetcher: Fetcher
    key: str
    """The path of the container."""
    account: str
    """The account that the container is in, without credentials; empty if it is unknown."""


def open_container(container: str, options: Mapping[str, Any]) -> Opened:
    """Open a container.

    Raises:
        UnusableUrlError: The file system is not installed, it does not take the options, or they
            are those of another account than the URL names.
    """
    try:
        from fsspec import get_filesystem_class  # noqa: PLC0415 - an extra
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra
    except ImportError:
        problem = 'fsspec is not installed. Install it: pip install "regionbatch[cloud]".'
        raise UnusableUrlError(container, problem) from None
    scheme = scheme_of(container)
    cause: Exception | None = None
    try:
        get_filesystem_class(scheme)
    except ImportError as error:
        problem = _missing_package(error)
    except ValueError:
        problem = f"no such kind of storage: '{scheme}'. Use, for example, az:// or s3://."
    else:
        fetcher = Fetcher(None, options)
        try:
            fetcher.file_system, key = url_to_fs(container, **options)
        except Exception as error:  # noqa: BLE001 - each file system has its own
            cause = fetcher.error_of(error)
            problem = f"cannot be opened: {cause.strerror!r}. {_CREDENTIALS}"
        else:
            account, name = _account_of(fetcher.file_system)
            named = _ACCOUNT_IN_URL.search(container)
            if not (named and name) or named[1].lower() == name.lower():
                return Opened(fetcher, key.rstrip("/"), account)
            problem = f"the credentials belong to another account: '{name}'. {_CREDENTIALS}"
    raise UnusableUrlError(container, problem) from cause


def _missing_package(error: ImportError) -> str:
    """Return which package a file system needs, and how to install it."""
    name = getattr(error.__cause__, "name", None)
    if name and name in str(error):  # else the package has another name than its module
        return f"a package is not installed: '{name}'. Install it: pip install {name}."
    reason = " ".join(str(error).split())
    return f"a package is not installed: '{reason}'. Install it."


def _account_of(file_system: Any) -> tuple[str, str]:  # noqa: ANN401 - fsspec has no types
    """Return the address of an account, without credentials, and its name, where known.

    Names of containers are unique within an account of Azure, and within a server of S3.
    """
    client = getattr(file_system, "service_client", None)
    address = getattr(client, "primary_hostname", "") or getattr(file_system, "endpoint_url", "")
    return str(address or ""), str(getattr(client, "account_name", "") or "")


def unusable(path: str, error: CloudError | UnusableUrlError) -> DatasetError:
    """Return the error for a dataset that a cloud does not show."""
    if isinstance(error, UnusableUrlError):
        return DatasetError(f"{path}: {error.problem}", place=path)
    problem = (
        f"cannot be read: {error.strerror!r}. Check the URL, and the credentials in the "
        "environment or in `storage_options`."
    )
    if error.is_unreachable:
        problem = f"{error.strerror}. Check the name of the account, and the network."
    return DatasetError(f"{path}: {problem}", place=path, value=error.strerror)


def raise_if_unreachable(path: str, error: CloudError) -> None:
    """Raise an error if a file cannot be read because the server cannot be reached.

    Raises:
        DatasetError: There is no connection to the server.
    """
    if error.is_unreachable:
        raise unusable(path, error) from error
