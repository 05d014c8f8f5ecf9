"""Write payloads to a folder, a JSONL file or a file object: completely or not at all.

Output appears under its name in one step, once it is complete. A run that is killed leaves nothing
there. Files that other programs create there during the run are not touched, and `overwrite`
replaces only payloads.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable, Mapping, Sized
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, get_args

from regionbatch.argument_checks import check_callables, check_flags, check_path
from regionbatch.batch import Batch
from regionbatch.batching import Batches
from regionbatch.dataset import Dataset
from regionbatch.errors import OptionError, OutputError
from regionbatch.files.atomic_write import atomic_folder, atomic_write
from regionbatch.files.storage import reopened_clouds
from regionbatch.option_values import checked_storage_options
from regionbatch.output_target import (
    RECOVERED,
    check_target,
    holds_lines,
    is_jsonl,
    is_output,
    output_errors,
    recover_output,
    resolve_output,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from regionbatch.findings import Progress

Payload = Literal["json", "xml"]


class BinaryFile(Protocol):
    """A file object for payloads, such as those of `open(…, "wb")`, `gzip.open` or `BytesIO`.

    If it has a method `flush`, that is called at the end.
    """

    def write(self, data: bytes, /) -> object:
        """Write some bytes."""


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
            one payload per line), or a binary file object: anything with a method `write` that
            takes bytes. A link is followed. Missing folders above it are created. A `.jsonl` file
            may be in a cloud: `az://container/out.jsonl`.
        payload: `json` or `xml`. A `.jsonl` file holds only JSON.
        overwrite: Replace the output of an earlier run.
        progress: Called with the step, the payloads written so far, and their total. An exception
            that it raises cancels the run, and nothing is written.
        storage_options: Arguments of the file system of fsspec that opens a URL, such as
            credentials. [default: those given to `regionbatch.read`, if it opened the same
            container with only one account]

    Returns:
        The number of payloads written.

    Raises:
        OutputError: The target exists, and `overwrite` is off or it contains files other
            than payloads; or it cannot be written. Nothing is left there.
        OptionError: An argument has a wrong type, or `target` is empty, has another extension, or
            is a URL that cannot be written to.

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
    check_payload(payload)
    if not isinstance(target, (str, os.PathLike)):
        _check_file_object(target)
        copies = ((count, bytes(text)) for count, text in _lines(batches, payload, progress))
        return _write_object(copies, target)
    check_path("target", target)
    given = checked_storage_options(storage_options)
    with reopened_clouds([] if given is None else [target], given):
        return _write_to(target, batches, payload, progress, overwrite=overwrite)


def _write_to(
    target: str | PathLike[str],
    batches: Iterable[Batch],
    payload: Payload,
    progress: Progress | None,
    *,
    overwrite: bool,
) -> int:
    path = resolve_output(target)
    if recover_output(target):
        import logging  # noqa: PLC0415 - only for this warning

        logging.getLogger(__name__).warning("%s: %s", path, RECOVERED)
    check_target(target, overwrite=overwrite, payload=payload)
    with output_errors(path):
        return _write_path(batches, path, payload, progress, overwrite=overwrite)


def _check_batches(batches: object) -> None:
    if not isinstance(batches, Iterable) or isinstance(batches, (str, bytes, Mapping, Dataset)):
        raise _not_batches("batches", batches)


def check_payload(payload: str) -> None:
    """Raise OptionError if there is no such format of payloads."""
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
    has_write = callable(getattr(target, "write", None)) and not isinstance(target, type)
    if not has_write or hasattr(target, "encoding"):
        raise OptionError(
            f"target: neither a path nor a binary file: '{type(target).__name__}'. "
            "Open the file in binary mode ('wb'), or pass its `.buffer`.",
            option="target",
            value=target,
        )
    writable = getattr(target, "writable", None)
    is_closed = getattr(target, "closed", False) is True
    if is_closed or (callable(writable) and writable() is False):
        raise OptionError(
            f"target: not open for writing: '{type(target).__name__}'. Open the file in binary "
            "mode ('wb').",
            option="target",
            value=target,
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
) -> Iterator[tuple[int, bytes | memoryview]]:
    """Yield texts of payloads, one per line, with their number. Each may overwrite the previous."""
    if payload == "xml" or not isinstance(batches, Batches):
        for body in _bodies(batches, payload, progress):
            yield 1, body + b"\n"
        return
    done = 0
    for lines in batches.overwritten_lines():
        yield len(lines), lines.reshape(-1).data
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
    if is_jsonl(path):
        with atomic_write(path, holds_lines if overwrite else None) as file:
            return _write_lines(_lines(batches, payload, progress), file)
    with atomic_folder(Path(path), is_output if overwrite else None) as folder:
        return _write_folder(_bodies(batches, payload, progress), folder, payload)


def _write_object(lines: Iterator[tuple[int, bytes]], file: BinaryFile) -> int:
    try:
        count = _write_lines(lines, file)
        flush = getattr(file, "flush", None)
        if callable(flush):
            flush()
    except BrokenPipeError:  # The reader, such as `head`, has stopped reading.
        raise
    except OSError as error:
        name = getattr(file, "name", "target")
        raise OutputError(
            f"{name}: cannot be written: '{error.strerror or error}'. The output is incomplete: "
            "write it again.",
            place=str(name),
        ) from error
    return count


def _write_lines(
    lines: Iterator[tuple[int, bytes | memoryview]], file: BinaryFile | IO[bytes]
) -> int:
    total = 0
    for count, text in lines:
        _write_all(text, file)
        total += count
    return total


def _write_all(text: bytes | memoryview, file: Any) -> None:  # noqa: ANN401 - see `BinaryFile`
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
