"""Mistakes with URLs, one for each error; the memory of fsspec is the cloud."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from unittest import mock

import regionbatch
from messages.executor_mistakes import Elsewhere
from regionbatch.customvision.journal_file import check_journal_path
from regionbatch.files import cloud, storage
from regionbatch.files.atomic_write import atomic_write
from regionbatch.files.cloud_paths import CloudPath, FileUrl, UnusableUrlError
from regionbatch.files.output_paths import resolve_target
from regionbatch.files.storage import storage_of
from regionbatch.output_target import folder_of_output
from regionbatch.report import check_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTAINER = "memory://mistakes"


def put(name: str, content: bytes = b"") -> None:
    import fsspec  # noqa: PLC0415 - an extra

    fsspec.filesystem("memory").pipe_file(f"/mistakes/{name}", content)


def written(name: str, payload: Any = "json", **existing: bytes) -> Callable[[Path], object]:
    """Write payloads to a file in the cloud."""

    def run(_folder: Path) -> object:
        for each, content in existing.items():
            put(each.replace("__", "."), content)
        return regionbatch.write([], f"{CONTAINER}/{name}", payload=payload)

    return run


def in_parts(_folder: Path) -> object:
    """Write parts to the path of a file."""
    put("parts", b"mine")
    return folder_of_output(f"{CONTAINER}/parts", overwrite=True)


def report(_folder: Path) -> object:
    """Write a report to the path of another file."""
    put("mine", b"mine")
    return check_report(f"{CONTAINER}/mine")


def appearing(_folder: Path) -> object:
    """Write payloads to a file that appears meanwhile."""
    with atomic_write(CloudPath(f"{CONTAINER}/appears.jsonl"), None):
        put("appears.jsonl", b"mine")
    return None


def denied(_folder: Path) -> object:
    """Read a cloud that denies everything."""
    import fsspec  # noqa: PLC0415

    memory: Any = type(fsspec.filesystem("memory"))
    with mock.patch.object(memory, "info", side_effect=PermissionError("no")):
        return regionbatch.read(f"{CONTAINER}/set")


def denied_table(_folder: Path) -> object:
    """Read IDs from a cloud that denies everything."""
    import fsspec  # noqa: PLC0415

    memory: Any = type(fsspec.filesystem("memory"))
    with mock.patch.object(memory, "cat_file", side_effect=PermissionError("no")):
        return regionbatch.read_ids(f"{CONTAINER}/tags.json")


def without_container(_folder: Path) -> object:
    """Write to a container that does not exist, in a cloud that has containers."""
    with mock.patch.object(storage, "_WITH_CONTAINERS", {"memory"}):
        return regionbatch.write([], "memory://none/o.jsonl")


def incomplete_output(_folder: Path) -> object:
    """Write parts to a folder in which a killed run has left its files."""
    put("killed/unfinished-0123456789abcdef", b"regionbatch\n")
    return folder_of_output(f"{CONTAINER}/killed", overwrite=False)


def dataset_without_container(_folder: Path) -> object:
    """Read from a container that does not exist, in a cloud that has containers."""
    with mock.patch.object(storage, "_WITH_CONTAINERS", {"memory"}):
        return regionbatch.read("memory://none/set")


def without_package(name: str) -> Callable[[Path], object]:
    """Read from a cloud whose file system is not installed."""

    def run(_folder: Path) -> object:
        import fsspec  # noqa: PLC0415

        error = ImportError("Install ourfs to open it")
        error.__cause__ = ModuleNotFoundError(name=name)
        with mock.patch.object(fsspec, "get_filesystem_class", side_effect=error):
            return regionbatch.read("memory://another/set")

    return run


def denied_output(_folder: Path) -> object:
    import fsspec  # noqa: PLC0415

    memory: Any = type(fsspec.filesystem("memory"))
    with mock.patch.object(memory, "info", side_effect=PermissionError("no")):
        return regionbatch.write([], f"{CONTAINER}/o.jsonl")


def read_only(_folder: Path) -> object:
    """Write to a cloud that is read-only."""
    import fsspec  # noqa: PLC0415

    memory: Any = type(fsspec.filesystem("memory"))
    with mock.patch.object(memory, "put_file", side_effect=PermissionError("no")):
        return regionbatch.write([], f"{CONTAINER}/denied.jsonl")


def without_fsspec(_folder: Path) -> object:
    """Read a URL without the extra."""
    with mock.patch.dict(sys.modules, {"fsspec": None, "fsspec.core": None}):
        return regionbatch.read("memory://another/set")


def of_another_account(_folder: Path) -> object:
    """Open a file of a dataset that was pickled by a process with other credentials."""
    return storage_of(FileUrl(f"{CONTAINER}/a.png", None, "data.blob.core.windows.net"))


def of_two_accounts(_folder: Path) -> object:
    """Write to a container that was opened in two accounts."""
    with mock.patch.dict(storage._ACCOUNTS, {CONTAINER: {"data.blob.core.windows.net"}}):
        return regionbatch.write([], f"{CONTAINER}/o.jsonl")


def of_another_account_than_the_url(_folder: Path) -> object:
    """Read a URL that names another account than the credentials."""
    import fsspec  # noqa: PLC0415

    memory: Any = type(fsspec.filesystem("memory"))
    client = mock.Mock(primary_hostname="a.blob.core.windows.net", account_name="a")
    with mock.patch.object(memory, "service_client", client, create=True):
        return regionbatch.read("memory://data@b.dfs.core.windows.net/set")


def without_extra_elsewhere(_folder: Path) -> object:
    """Read a cloud with processes that lack the extra."""
    put("elsewhere/labels/a.txt", b"0 0.5 0.5 0.1 0.1\n")
    put("elsewhere/classes.txt", b"cat\n")
    missing = UnusableUrlError(CONTAINER, "fsspec is not installed. Install it.")
    executor = Elsewhere(cloud, "open_container", mock.Mock(side_effect=missing))
    return regionbatch.read(f"{CONTAINER}/elsewhere", executor=executor)


CLOUD_MISTAKES: dict[str, Callable[[Path], object]] = {
    "storage options that are not a dict": lambda folder: regionbatch.read(
        folder,
        storage_options=5,  # type: ignore[arg-type]
    ),
    "a URL of a web server": lambda _: regionbatch.read("https://example.com/set"),
    "a URL of an output on this machine": lambda _: regionbatch.write([], "file:///o.jsonl"),
    "IDs in a cloud": lambda _: resolve_target("az://container/ids", "out"),
    "a journal in a cloud": lambda _: check_journal_path("az://container/j.sqlite"),
    "a URL without a container": lambda _: regionbatch.write([], "az:///a/o.jsonl"),
    "a URL of a container": lambda _: regionbatch.write([], "az://o.jsonl"),
    "a URL that is not opened": lambda _: regionbatch.write([], "nocloud://a/o.jsonl"),
    "a URL without the extra": without_fsspec,
    "a signed URL of a local file": lambda folder: storage_of("a").signed_url(str(folder), 1),
}

if find_spec("fsspec"):
    CLOUD_MISTAKES |= {
        "a dataset of another account": of_another_account,
        "a container of two accounts": of_two_accounts,
        "a URL of another account": of_another_account_than_the_url,
        "a folder of output in a cloud": written("out"),
        "XML in a cloud": written("out", payload="xml"),
        "an output in a cloud that is a folder": written("f.jsonl", **{"f__jsonl/a": b""}),
        "a folder of parts in a cloud that is a file": in_parts,
        "a report in a cloud that is another file": report,
        "an output in a cloud that appears": appearing,
        "a cloud that denies everything": denied,
        "a cloud that denies a table": denied_table,
        "a cloud that denies the output": denied_output,
        "a read-only cloud": read_only,
        "a folder of a killed run": incomplete_output,
        "a dataset without a container": dataset_without_container,
        "a cloud without its package": without_package("ourfs"),
        "a cloud without a module of another name": without_package("other"),
        "an output without a container": without_container,
        "an executor without the extra": without_extra_elsewhere,
        "a signed URL of a cloud without": lambda _: storage_of(CONTAINER).signed_url(
            f"{CONTAINER}/a", 1
        ),
    }
