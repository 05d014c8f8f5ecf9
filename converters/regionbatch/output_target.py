"""Where payloads are written: what may be there already, and errors about the place."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeGuard

from regionbatch.errors import OptionError, OutputError, RegionBatchError
from regionbatch.files.atomic_write import recover_interrupted
from regionbatch.files.cloud_paths import CloudPath
from regionbatch.files.cloud_write import files_in_cloud, is_container, kind_in_cloud
from regionbatch.files.output_paths import (
    advice_on_writing,
    check_cloud,
    check_parent,
    cloud_target,
    has_signature,
    open_cloud,
    resolve_target,
)
from regionbatch.files.unfinished_output import delete_abandoned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from os import PathLike

RECOVERED = "An interrupted run was replacing this output. Its earlier content has been restored."

_FILE_EXTENSIONS = (".json", ".ndjson", ".xml", ".gz", ".zip", ".csv", ".txt")
"""Extensions that suggest a file: a folder with one of them is surely a mistake."""
_START = b'{"regions":['
"""First bytes of a payload in JSON, and of a .jsonl file."""
UNFINISHED = "unfinished"
"""Folder for files that are being written: what a lost process leaves there is deleted."""
UNFINISHED_START = b"regionbatch"
"""First bytes of the file that marks a folder in a cloud as incomplete."""
_OUTPUT_FILES = {
    r"batch-\d{5,}\.json|part-\d{5,}\.jsonl": _START,
    r"batch-\d{5,}\.xml": b"<ImageRegionCreateBatch>",
    r"findings-\d{5,}\.ndjson": b'{"code":',
    r"summary\.json": b'{\n "schema_version": ',
    r"unfinished-[0-9a-f]{16}": UNFINISHED_START,
}
"""Names of files in a folder that runs have written, and their first bytes."""
_ADVICE = {
    errno.EBUSY: "Choose a folder inside it.",  # A mount point, such as /out in a container.
    errno.EACCES: "Check its permissions, and that no program has it open.",
}


@contextmanager
def output_errors(path: PurePath) -> Iterator[None]:
    """Turn errors of the system into errors about the output."""
    try:
        yield
    except RegionBatchError:
        raise
    except OSError as error:
        on_disk = _ADVICE.get(error.errno or 0, "Free some space, or choose another place.")
        advice = advice_on_writing(path, error, on_disk)
        reason = error.strerror or error
        raise OutputError(
            f"{path}: cannot be written: '{reason}'. {advice}", place=str(path)
        ) from error


def recover_output(target: str | PathLike[str]) -> bool:
    """Restore output that a killed run was replacing; return whether there was any.

    What the run had written of its own output is deleted.
    """
    path = resolve_output(target)
    if not isinstance(path, Path):
        return False
    delete_abandoned(path, _may_be_unfinished)
    return recover_interrupted(path, is_output)


def _may_be_unfinished(file: Path) -> bool:
    """Return whether a killed run may have left a file, before its output got its final name."""
    if file.is_dir():
        return file.name == UNFINISHED
    if file.suffix == ".part":  # an unfinished .jsonl file
        return holds_lines(file)
    if file.parent.name == UNFINISHED:  # an unfinished part, named with a random number
        return has_signature(file, *_OUTPUT_FILES.values())
    return is_output(file)


def resolve_output(target: str | PathLike[str]) -> PurePath:
    """Return the absolute path of output, on this machine or in a cloud."""
    return cloud_target(target, "target") or resolve_target(target, "target")


def is_for_parts(target: object, payload: str) -> TypeGuard[str | PathLike[str]]:
    """Return whether an executor can write a target: it must be a folder, and the payloads JSON."""
    is_path = isinstance(target, (str, os.PathLike))
    return is_path and payload == "json" and not is_jsonl(PurePath(target))  # type: ignore[arg-type]


def folder_of_output(target: str | PathLike[str], *, overwrite: bool) -> PurePath:
    """Check that parts can be written to a folder, and return its absolute path.

    Args:
        target: The folder.
        overwrite: Whether output in it may be replaced.

    Raises:
        OptionError: Output cannot have this name.
        OutputError: See `check_target`.
    """
    if recover_output(target):
        import logging  # noqa: PLC0415 - only for this warning

        logging.getLogger(__name__).warning("%s: %s", target, RECOVERED)
    check_target(target, overwrite=overwrite, in_parts=True)
    return resolve_output(target)


def check_target(
    target: str | PathLike[str], *, overwrite: bool, in_parts: bool = False, payload: str = "json"
) -> None:
    """Check whether a target can be written, before the work starts.

    Args:
        target: A folder or a `.jsonl` file.
        overwrite: Whether payloads in it may be replaced.
        in_parts: Whether other processes write the target, which may then be a folder in a cloud.
        payload: `json` or `xml`, which only a folder on this machine can contain.

    Raises:
        OptionError: Output cannot have this name.
        OutputError: It exists and `overwrite` is off, it must not be replaced, or the folder above
            it cannot be written.
    """
    path = resolve_output(target)
    if path.suffix.lower() in _FILE_EXTENSIONS:
        raise OptionError(
            f"{path}: neither a folder nor a .jsonl file: '{path.suffix}'. Choose another name.",
            place=str(path),
            option="target",
            value=target,
        )
    if payload == "xml" and (problem := _problem_of_xml(path)):
        raise OptionError(
            f"{path}: {problem}",
            place=str(path),
            option="payload",
            value=payload,
            choices=("json",),
        )
    if not isinstance(path, Path):
        _check_in_cloud(CloudPath(path), os.fspath(target), overwrite=overwrite, in_parts=in_parts)
        return
    if problem := _problem_of_kind(path):
        raise OutputError(f"{path}: {problem}", place=str(path))
    entries = [*path.iterdir()] if path.is_dir() else []
    if entries or path.is_file():
        _check_existing(path, entries, overwrite=overwrite)
    else:
        check_parent(path)


def _problem_of_xml(path: PurePath) -> str:
    """Return why XML cannot be written to a path; empty if it can."""
    if not isinstance(path, Path):
        return 'XML cannot be written to a cloud. Use `payload="json"`, or choose a local folder.'
    if is_jsonl(path):
        return 'a .jsonl file cannot contain XML (`payload="xml"`). Choose a folder instead.'
    return ""


def _check_in_cloud(path: CloudPath, shown: str, *, overwrite: bool, in_parts: bool) -> None:
    """Check whether output can be written to a cloud."""
    if in_parts:
        open_cloud(path, "target", shown)
    elif is_jsonl(path) or is_container(path):
        check_cloud(path, "target", shown)
    else:
        raise OptionError(
            f"{shown}: a folder of payloads in a cloud would be visible before it is complete. "
            f"Choose a name that ends with .jsonl, such as {path.name}.jsonl, or let a cluster "
            "write the folder with `executor`.",
            place=shown,
            option="target",
            value=shown,
        )
    kind = kind_in_cloud(path)
    if kind and (kind == "file") != is_jsonl(path):
        what = "a .jsonl file" if is_jsonl(path) else "a folder"
        raise OutputError(
            f"{path}: is a {kind}, but the output is {what}. Choose another name.",
            place=str(path),
        )
    names = {each.partition("/")[0] for each in files_in_cloud(path)} if kind == "folder" else ()
    if kind == "file":
        _check_existing_file(path, overwrite=overwrite)
    elif names:
        _check_existing(path, [path / name for name in sorted(names)], overwrite=overwrite)


def _check_existing(path: PurePath, entries: Sequence[PurePath], *, overwrite: bool) -> None:
    """Check that existing output may be replaced: it contains only payloads."""
    for entry in entries:
        if not is_output(entry):
            raise OutputError(
                f"{path}: contains files other than payloads: '{entry.name}'. "
                "Choose another folder.",
                place=str(path),
                value=entry.name,
            )
    if entries:
        _check_overwrite(path, overwrite=overwrite, is_incomplete=_is_incomplete(entries))
    else:
        _check_existing_file(path, overwrite=overwrite)


def _is_incomplete(entries: Iterable[PurePath]) -> bool:
    """Return whether a folder in a cloud is from a run that was killed or is in progress."""
    names = {entry.name for entry in entries}
    return "summary.json" not in names and any(name.startswith(f"{UNFINISHED}-") for name in names)


def _check_existing_file(path: PurePath, *, overwrite: bool) -> None:
    if not holds_lines(path):
        raise OutputError(
            f"{path}: exists and does not contain payloads. Choose another name.", place=str(path)
        )
    _check_overwrite(path, overwrite=overwrite)


def _check_overwrite(path: PurePath, *, overwrite: bool, is_incomplete: bool = False) -> None:
    if not overwrite:
        what = "already exists"
        if is_incomplete:
            what += ", but is incomplete: a run that wrote it was killed, or is still in progress"
        raise OutputError(
            f"{path}: {what}. Choose another name, or replace it with `overwrite=True`.",
            place=str(path),
            option="overwrite",
        )


def _problem_of_kind(path: Path) -> str:
    """Return why output cannot replace what exists at its path; empty if it can."""
    if not path.exists():
        return ""
    current = Path.cwd()
    if path == current or path in current.parents:
        return "the current folder cannot be replaced. Choose a folder inside it."
    if not (path.is_file() or path.is_dir()):
        return "is a pipe or a device. Choose a file, or write to standard output."
    if is_jsonl(path) and path.is_dir():
        return "is a folder, but the output is a .jsonl file. Choose another name."
    if path.is_file() and not is_jsonl(path):
        return "is a file, but the output is a folder. Choose another name."
    return ""


def is_jsonl(path: PurePath) -> bool:
    """Return whether output is one file, with a payload per line."""
    return path.suffix.lower() == ".jsonl"


def holds_lines(file: PurePath) -> bool:
    """Return whether a file contains payloads, one per line."""
    return has_signature(file, _START)


def is_output(file: PurePath) -> bool:
    """Return whether a file in a folder was written by an earlier run."""
    return any(
        re.fullmatch(name, file.name) and has_signature(file, start)
        for name, start in _OUTPUT_FILES.items()
    )
