"""Write payloads to a folder, a JSONL file or a file object: completely or not at all.

Output appears under its name in one step, once it is complete. A run that is killed leaves nothing
there. Files that other programs create there during the run are not touched, and `overwrite`
replaces only payloads.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sized
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeGuard, get_args

from regionbatch.argument_checks import check_callables, check_flags
from regionbatch.batch import Batch
from regionbatch.batching import Batches
from regionbatch.dataset import Dataset
from regionbatch.errors import OptionError, OutputError, RegionBatchError
from regionbatch.files.atomic_write import atomic_folder, atomic_write, recover_interrupted
from regionbatch.files.cloud_paths import CloudPath
from regionbatch.files.cloud_write import kind_in_cloud
from regionbatch.files.output_paths import (
    check_parent,
    cloud_target,
    has_signature,
    resolve_target,
)
from regionbatch.files.storage import connected
from regionbatch.option_values import checked_storage_options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from regionbatch.findings import Progress

Payload = Literal["json", "xml"]


class BinaryFile(Protocol):
    """A file object that payloads can be written to: of `open(…, "wb")`, `gzip.open`, `BytesIO`."""

    def write(self, data: bytes, /) -> object:
        """Write some bytes."""

    def flush(self) -> object:
        """Write the buffered bytes."""


RECOVERED = "An interrupted run was replacing this output. Its earlier content has been restored."

_FILE_EXTENSIONS = (".json", ".ndjson", ".xml", ".gz", ".zip", ".csv", ".txt")
"""Extensions that suggest a file: a folder with one of them is surely a mistake."""
_START = b'{"regions":['
"""First bytes of a payload in JSON, and of a .jsonl file."""
_OUTPUT_FILES = {
    r"batch-\d{5,}\.json|part-\d{5,}\.jsonl": _START,
    r"batch-\d{5,}\.xml": b"<ImageRegionCreateBatch>",
    r"findings-\d{5,}\.jsonl": b'{"code":',
    r"summary\.json": b'{\n "schema_version": ',
}
"""Names of files in a folder that runs have written, and their first bytes."""
_ADVICE = {
    errno.EBUSY: "Choose a folder inside it.",  # A mount point, such as /out in a container.
    errno.EACCES: "Check its permissions, and that no program has it open.",
}


def write(
    batches: Iterable[Batch],
    target: str | PathLike[str] | BinaryFile,
    *,
    payload: Payload = "json",
    overwrite: bool = False,
    progress: Progress | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> int:
    """Write payloads and return how many.

    Args:
        batches: The payloads, as `rb.batches` returned them.
        target: A folder (for `batch-00001.json` and so on), a path with the extension `.jsonl` (for
            one payload per line), or a binary file object. A link is followed. Missing folders
            above it are created. A `.jsonl` file may be in a cloud: `az://container/out.jsonl`.
        payload: `json` or `xml`. A `.jsonl` file holds only JSON.
        overwrite: Replace the output of an earlier run.
        progress: Called with the step, the payloads written so far, and their total. An exception
            that it raises cancels the run, and nothing is written.
        storage_options: Arguments of the file system of fsspec that opens a URL, such as
            credentials. [default: those with which `regionbatch.read` opened the same container, if
            they were always of one account]

    Returns:
        The number of payloads written.

    Raises:
        OutputError: The target exists, and `overwrite` is off or it contains other files than
            payloads; or it cannot be written. Nothing is left there.
        OptionError: An argument is something else, or `target` is a path that output cannot have:
            with another extension, a URL, empty.

    Example:
        >>> dataset = rb.read("fixtures/scene/voc")
        >>> tables = {
        ...     "tag_ids": "fixtures/scene/tags.json",
        ...     "image_ids": "fixtures/scene/images.json",
        ... }
        >>> batches = rb.batches(dataset, **tables)
        >>> rb.write(batches, "scene.jsonl", overwrite=True)
        1
        >>> rb.write(batches, "scene", payload="xml", overwrite=True)
        1
    """
    _check_batches(batches)
    check_flags(overwrite=overwrite)
    check_callables(progress=progress)
    _check_payload(payload)
    if not isinstance(target, (str, os.PathLike)):
        _check_file_object(target)
        return _write_object(_lines(batches, payload, progress), target)
    given = checked_storage_options(storage_options)
    with connected([] if given is None else [target], given):
        return _write_to(target, batches, payload, progress, overwrite=overwrite)


def _write_to(
    target: str | PathLike[str],
    batches: Iterable[Batch],
    payload: Payload,
    progress: Progress | None,
    *,
    overwrite: bool,
) -> int:
    path = _resolve(target)
    if _is_jsonl(path) and payload == "xml":
        raise OptionError(
            f'{path}: a .jsonl file cannot contain XML (`payload="xml"`). Choose a folder instead.',
            place=str(path),
            option="payload",
            value=payload,
            choices=("json",),
        )
    if recover_output(target):
        logging.getLogger(__name__).warning("%s: %s", path, RECOVERED)
    check_target(target, overwrite=overwrite)
    with output_errors(path):
        return _write_path(batches, path, payload, progress, overwrite=overwrite)


@contextmanager
def output_errors(path: PurePath) -> Iterator[None]:
    """Turn errors of the system into errors about the output."""
    try:
        yield
    except RegionBatchError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "Nothing was left there.")
        reason = error.strerror or error
        raise OutputError(
            f"{path}: cannot be written: {reason}. {advice}", place=str(path)
        ) from error


def _check_batches(batches: object) -> None:
    if not isinstance(batches, Iterable) or isinstance(batches, (str, bytes, Mapping, Dataset)):
        raise _not_batches("batches", batches)


def _check_payload(payload: str) -> None:
    if payload not in get_args(Payload):
        raise OptionError(
            f"payload: no such format: '{payload}'. Choose one of: json, xml.",
            option="payload",
            value=payload,
            choices=get_args(Payload),
        )


def _not_batches(what: str, value: object) -> OptionError:
    return OptionError(
        f"{what}: not payloads: '{type(value).__name__}'. "
        "Pass what `regionbatch.batches` returned.",
        option="batches",
        value=type(value).__name__,
    )


def _check_file_object(target: object) -> None:
    if not hasattr(target, "write") or hasattr(target, "encoding"):
        raise OptionError(
            f"target: neither a path nor a binary file: '{type(target).__name__}'. "
            "Open the file in binary mode ('wb'), or pass its `.buffer`.",
            option="target",
            value=target,
        )


def recover_output(target: str | PathLike[str]) -> bool:
    """Restore output that an interrupted run was replacing; return whether there was any."""
    path = _resolve(target)
    return isinstance(path, Path) and recover_interrupted(path, is_output)


def _resolve(target: str | PathLike[str]) -> PurePath:
    """Return the absolute path of output, on this machine or in a cloud."""
    return cloud_target(target, "target") or resolve_target(target, "target")


def is_for_parts(target: object, payload: str) -> TypeGuard[str | PathLike[str]]:
    """Return whether an executor can write a target: a folder, to which each part adds files."""
    is_path = isinstance(target, (str, os.PathLike))
    return is_path and payload == "json" and not _is_jsonl(PurePath(target))  # type: ignore[arg-type]


def folder_of_output(target: str | PathLike[str], *, overwrite: bool) -> Path:
    """Check that a folder can be written, and return its absolute path.

    Args:
        target: The folder.
        overwrite: Whether output in it may be replaced.

    Raises:
        OptionError: Output cannot have this name.
        OutputError: See `check_target`.
    """
    if recover_output(target):
        logging.getLogger(__name__).warning("%s: %s", target, RECOVERED)
    check_target(target, overwrite=overwrite)
    return Path(_resolve(target))


def check_target(target: str | PathLike[str], *, overwrite: bool) -> None:
    """Check whether a target can be written, before the work starts.

    Args:
        target: A folder or a `.jsonl` file.
        overwrite: Whether payloads in it may be replaced.

    Raises:
        OptionError: Output cannot have this name.
        OutputError: It exists and `overwrite` is off, it must not be replaced, or the folder above
            it cannot be written.
    """
    path = _resolve(target)
    if path.suffix.lower() in _FILE_EXTENSIONS:
        raise OptionError(
            f"{path}: neither a folder nor a .jsonl file: '{path.suffix}'. Choose another name.",
            place=str(path),
            option="target",
            value=target,
        )
    if not isinstance(path, Path):
        _check_in_cloud(path, target, overwrite=overwrite)
        return
    if problem := _problem_of_kind(path):
        raise OutputError(f"{path}: {problem}", place=str(path))
    entries = [*path.iterdir()] if path.is_dir() else []
    if entries or path.is_file():
        _check_existing(path, entries, overwrite=overwrite)
    else:
        check_parent(path)


def _check_in_cloud(path: PurePath, target: str | PathLike[str], *, overwrite: bool) -> None:
    """Check whether output can be written to a cloud."""
    if not _is_jsonl(path):
        raise OptionError(
            f"{target}: a folder does not appear at once in a cloud. Choose a name that ends with "
            f".jsonl, such as {path.name}.jsonl.",
            place=str(target),
            option="target",
            value=str(target),
        )
    kind = kind_in_cloud(CloudPath(path))
    if kind == "folder":
        raise OutputError(
            f"{path}: is a folder, but the output is a .jsonl file. Choose another name.",
            place=str(path),
        )
    if kind:
        _check_existing_file(path, overwrite=overwrite)


def _check_existing(path: Path, entries: Iterable[Path], *, overwrite: bool) -> None:
    """Check that existing output may be replaced: it contains only payloads."""
    _check_existing_file(path, overwrite=overwrite, is_folder=path.is_dir())
    for entry in entries:
        if not is_output(entry):
            raise OutputError(
                f"{path}: contains other files than payloads: '{entry.name}'. "
                "Choose another folder.",
                place=str(path),
                value=entry.name,
            )


def _check_existing_file(path: PurePath, *, overwrite: bool, is_folder: bool = False) -> None:
    if not overwrite:
        raise OutputError(
            f"{path}: already exists. Choose another name, or replace it with `overwrite=True`.",
            place=str(path),
            option="overwrite",
        )
    if not (is_folder or _holds_lines(path)):
        raise OutputError(
            f"{path}: does not contain payloads. Choose another name.", place=str(path)
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
    if _is_jsonl(path) and path.is_dir():
        return "is a folder, but the output is a .jsonl file. Choose another name."
    if path.is_file() and not _is_jsonl(path):
        return "is a file, but the output is a folder. Choose another name."
    return ""


def _is_jsonl(path: PurePath) -> bool:
    return path.suffix.lower() == ".jsonl"


def _holds_lines(file: PurePath) -> bool:
    return has_signature(file, _START)


def is_output(file: Path) -> bool:
    """Return whether a file in a folder was written by an earlier run."""
    return any(
        re.fullmatch(name, file.name) and has_signature(file, start)
        for name, start in _OUTPUT_FILES.items()
    )


def _bodies(
    batches: Iterable[Batch], payload: Payload, progress: Progress | None
) -> Iterator[bytes]:
    total = len(batches) if isinstance(batches, Sized) else 0
    for done, batch in enumerate(batches, 1):
        if not isinstance(batch, Batch):
            raise _not_batches(f"batches[{done - 1}]", batch)
        yield batch.to_xml() if payload == "xml" else batch.to_json()
        if progress and (done % 500 == 0 or done == total):
            progress("writing payloads", done, total)


def _lines(
    batches: Iterable[Batch], payload: Payload, progress: Progress | None
) -> Iterator[tuple[int, bytes]]:
    """Yield the text of payloads, one per line, with their number."""
    if payload == "xml" or not isinstance(batches, Batches):
        for body in _bodies(batches, payload, progress):
            yield 1, body + b"\n"
        return
    done = 0
    for lines in batches.lines():
        yield len(lines), lines.tobytes()
        done += len(lines)
        if progress:
            progress("writing payloads", done, len(batches))


def _write_path(
    batches: Iterable[Batch],
    path: PurePath,
    payload: Payload,
    progress: Progress | None,
    *,
    overwrite: bool,
) -> int:
    if _is_jsonl(path):
        with atomic_write(path, _holds_lines if overwrite else None) as file:
            return _write_lines(_lines(batches, payload, progress), file)
    with atomic_folder(Path(path), is_output if overwrite else None) as folder:
        return _write_folder(_bodies(batches, payload, progress), folder, payload)


def _write_object(lines: Iterator[tuple[int, bytes]], file: BinaryFile) -> int:
    try:
        count = _write_lines(lines, file)
        file.flush()
    except BrokenPipeError:  # The reader has stopped reading, such as `head`.
        raise
    except OSError as error:
        name = getattr(file, "name", "target")
        raise OutputError(
            f"{name}: cannot be written: {error.strerror or error}. The output is incomplete.",
            place=str(name),
        ) from error
    return count


def _write_lines(lines: Iterator[tuple[int, bytes]], file: BinaryFile) -> int:
    total = 0
    for count, text in lines:
        _write_all(text, file)
        total += count
    return total


def _write_all(text: bytes, file: BinaryFile) -> None:
    """Write a whole text, even if the file is unbuffered and accepts only a part at a time."""
    # A temporary file wraps the file that it opened, which may be unbuffered.
    is_unbuffered = isinstance(file, io.RawIOBase) or type(file).__module__ == "tempfile"
    if not is_unbuffered:
        file.write(text)
        return
    while text:
        written = file.write(text)
        if not isinstance(written, int):  # None: a non-blocking file accepts nothing now.
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        text = text[written:]


def _write_folder(bodies: Iterator[bytes], folder: Path, payload: Payload) -> int:
    count = 0
    for count, body in enumerate(bodies, 1):
        (folder / f"batch-{count:05}.{payload}").write_bytes(body)
    return count
