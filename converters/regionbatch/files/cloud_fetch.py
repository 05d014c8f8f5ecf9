"""Fetch bytes from a cloud: concurrently, and without a credential in any error or log.

A file system that can sign URLs is asked for signatures only, and the bytes come by plain HTTP: for
Azure, a label file then takes 1.5 ms of CPU time instead of 4. If that fails for any reason, the
file system itself fetches the bytes, so plain HTTP only changes how long it takes.
"""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from regionbatch.files.cloud_cause import QUERY, cause_of, without_secrets
from regionbatch.files.cloud_reach import proxy_for, why_unreachable

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from urllib3 import BaseHTTPResponse, PoolManager

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREADS = 16
_AHEAD = 4 * _THREADS
"""Maximum number of results that are fetched before they are needed."""
_SECONDS = 3600
"""Seconds that the signature of a fetch is valid: not much longer than a clock may be wrong."""
_CONNECT_SECONDS = 10
_READ_SECONDS = 60

_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CONNECTION_STRING|SIGNATURE")
"""Names of environment variables whose values are removed from messages."""
_SHORTEST_SECRET = 6
"""Characters of the shortest storage option that is removed from messages."""
_SHORTEST_PART = 20
"""The same for a part of an option: in a connection string, only keys and signatures are longer."""
_LONGEST_REASON = 200
_WHOLE, _PART = 200, 206
_BEYOND_END = 416
_DENIED = (401, 403)
_GONE = 404


class CloudError(OSError):
    """A cloud cannot be read or written; `strerror` says why, without credentials."""

    def __init__(self, reason: str, number: int = errno.EIO) -> None:
        """Keep the reason.

        Args:
            reason: Why, as in messages.
            number: The error code of a local file for the same problem.
        """
        super().__init__(number, reason)

    @property
    def is_absence(self) -> bool:
        """Whether there is no such file, folder or container."""
        return self.errno == errno.ENOENT

    @property
    def is_denied(self) -> bool:
        """Whether the credentials do not allow the call."""
        return self.errno == errno.EACCES

    @property
    def is_unreachable(self) -> bool:
        """Whether there is no connection to the server: that says nothing about the file."""
        return self.errno == errno.EHOSTUNREACH

    @property
    def is_taken(self) -> bool:
        """Whether a file exists that must not be replaced."""
        return self.errno == errno.EEXIST

    def __reduce__(self) -> tuple[type[CloudError], tuple[str, int]]:
        """Return how to recreate the error."""
        return CloudError, (self.strerror or "", self.errno or errno.EIO)


class Fetcher:
    """Fetches byte ranges of the files of one file system."""

    def __init__(self, file_system: Any, options: Mapping[str, Any]) -> None:  # noqa: ANN401 - fsspec has no types
        """Set the file system.

        Args:
            file_system: A file system of fsspec.
            options: The options that it was made with. No error contains one of their values.
        """
        self.file_system = file_system
        self._secrets = _secrets_in(options)
        self._has_worked = False

    @cached_property
    def _http(self) -> _SignedHttp:
        return _SignedHttp(self.file_system)

    def fetch(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return a range of bytes of a file; fewer at its end.

        Raises:
            CloudError: The file cannot be read.
        """
        found = self._http.get(key, start, end) if self._http.is_usable else None
        if found is None:
            found = self.call(self.file_system.cat_file, key, start=start, end=end)
        return found

    def call(self, function: Callable[..., Result], *arguments: Any, **options: Any) -> Result:  # noqa: ANN401 - of any function
        """Call a function of the file system.

        File systems try for minutes to reach a server, so the connection is checked before the
        first call.

        Raises:
            CloudError: The function raised an exception. The cause of the error shows it without
                credentials.
        """
        if not self._has_worked:
            self._raise_if_unreachable()
        try:
            result = function(*arguments, **options)
        except Exception as error:  # noqa: BLE001 - each file system has its own
            found = self.error_of(error)
        else:
            self._has_worked = True
            return result
        if found.errno == errno.EIO:
            self._raise_if_unreachable()
        raise found

    def _raise_if_unreachable(self) -> None:
        server = _server_of(self.file_system)
        if reason := server and why_unreachable(server):
            raise CloudError(f"no connection to '{server}': '{reason}'", errno.EHOSTUNREACH)

    def error_of(self, error: Exception) -> CloudError:
        """Return the error for an exception of the file system, which becomes its cause as text."""
        found = _error_of(error, self._secrets)
        if not found.is_absence:  # needs no cause, and may happen for many files
            found.__cause__ = cause_of(error, self._secrets)
        return found

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the result of a function for each item in order, working on several at a time.

        Only file systems that say so can be used by several threads.
        """
        if not _can_use_threads(self.file_system):
            yield from map(function, items)
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - it loads logging

        items = iter(items)
        pool = ThreadPoolExecutor(_THREADS)
        try:
            waiting = deque(pool.submit(function, item) for item in islice(items, _AHEAD))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(items, 1))
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _SignedHttp:
    """Fetches by plain HTTP what the file system signs."""

    def __init__(self, file_system: Any) -> None:  # noqa: ANN401 - fsspec has no types
        self._file_system = file_system
        self._pools: PoolManager | None = None
        self._has_worked = False
        self.is_usable = hasattr(file_system, "sign") and _can_use_threads(file_system)

    def get(self, key: str, start: int | None, end: int | None) -> bytes | None:
        """Return a range of bytes, or None if the file system itself should fetch it."""
        try:
            response = self._response(self._file_system.sign(key, expiration=_SECONDS), start, end)
            status, content = response.status, response.data
        except Exception:  # noqa: BLE001 - it cannot sign, or there is no way to this address
            status, content = 0, b""
        if status in (_WHOLE, _PART, _BEYOND_END):
            self._has_worked = True
            if status == _BEYOND_END:
                return b""
            return content if status == _PART else content[start:end]
        self.is_usable = self._has_worked
        return None

    def _response(self, url: str, start: int | None, end: int | None) -> BaseHTTPResponse:
        headers = {"Accept-Encoding": "identity"}
        if start is not None or end is not None:
            headers["Range"] = f"bytes={start or 0}-{'' if end is None else end - 1}"
        return self._manager(url).request(
            "GET", url, headers=headers, decode_content=False, redirect=False
        )

    def _manager(self, url: str) -> PoolManager:
        if self._pools is None:
            self._pools = _pool_manager(url)
        return self._pools


def _pool_manager(url: str) -> PoolManager:
    """Return connections to the host of a URL, through a proxy if the environment names one."""
    from urllib3 import PoolManager, ProxyManager, Retry, Timeout  # noqa: PLC0415 - only for clouds

    _keep_queries_out_of_log()
    options: dict[str, Any] = {
        "maxsize": _THREADS,
        "block": True,
        "retries": Retry(total=1, redirect=0),
        "timeout": Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
    }
    if proxy := proxy_for(url):
        return ProxyManager(proxy, **options)
    return PoolManager(**options)


def _keep_queries_out_of_log() -> None:
    """Remove queries from what urllib3 logs: whoever has a signed URL can read the file."""
    import logging  # noqa: PLC0415 - slow to load, and only for a cloud

    for name in ("connectionpool", "util.retry"):
        logging.getLogger(f"urllib3.{name}").addFilter(_without_queries)


def _without_queries(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            QUERY.sub("?…", value) if isinstance(value, str) else value for value in record.args
        )
    return True


def _can_use_threads(file_system: Any) -> bool:  # noqa: ANN401 - fsspec has no types
    return bool(getattr(file_system, "async_impl", False))


def _server_of(file_system: Any) -> str:  # noqa: ANN401 - fsspec has no types
    """Return the URL of the server of a file system, without a query; empty if it is not known."""
    if not _can_use_threads(file_system):
        return ""
    client = getattr(file_system, "service_client", None)
    url = getattr(client, "url", "") or getattr(file_system, "endpoint_url", "")
    return str(url or "").partition("?")[0]


def _error_of(error: Exception, secrets: Iterable[str]) -> CloudError:
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status == _GONE:
        return CloudError(os.strerror(errno.ENOENT), errno.ENOENT)
    if isinstance(error, FileExistsError):
        return CloudError(os.strerror(errno.EEXIST), errno.EEXIST)
    if isinstance(error, PermissionError) or status in _DENIED:
        return CloudError(os.strerror(errno.EACCES), errno.EACCES)
    lines = str(error).strip().splitlines()
    # Secrets are removed before shortening, which could leave the start of a key.
    reason = without_secrets(lines[0].strip() if lines else "", secrets)
    return CloudError(reason[:_LONGEST_REASON] or type(error).__name__)


def _secrets_in(options: Any) -> list[str]:  # noqa: ANN401 - options may contain anything
    """Return the texts in storage options, which may be nested, and in variables; longest first."""
    found: set[str] = set()
    waiting = [options, *(each for name, each in os.environ.items() if _SECRET_NAME.search(name))]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            parts = re.split(r"[;&=]", value)
            found.update(part for part in parts if len(part) >= _SHORTEST_PART)
            if len(value) >= _SHORTEST_SECRET:
                found.add(value)
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value
    return sorted(found, key=len, reverse=True)
