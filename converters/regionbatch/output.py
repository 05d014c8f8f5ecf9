"""Payloads to a folder, a JSONL file, a file object: whole or not at all.

What is written appears under its name in one step, when it is complete; a run that is killed leaves nothing there.
What appeared there during the run is left alone, and with `overwrite` nothing but payloads is replaced.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import re
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from regionbatch.batching import Batches
from regionbatch.errors import OptionError, OutputError
from regionbatch.files.whole import begins_with, real_path, recover, whole_file, whole_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

    from regionbatch.batching import Batch
    from regionbatch.findings import Progress

Payload = Literal["json", "xml"]


class BinaryFile(Protocol):
    """What payloads can be written to that is no path: a file opened with `wb`, a `gzip.GzipFile`, a `BytesIO`."""

    def write(self, data: bytes, /) -> object:
        """Take some bytes."""

    def flush(self) -> object:
        """Pass on what was taken."""


_FILES = (".json", ".ndjson", ".xml", ".gz", ".zip", ".csv", ".txt")
"""Endings of files, with which nobody calls a folder on purpose."""
_BEGIN = b'{"regions":['
"""How a .jsonl file of ours begins, and a payload in JSON."""
_BEGIN_XML = b"<ImageRegionCreateBatch>"
_OURS = re.compile(r"batch-\d{5,}\.(json|xml)")


def write(
    batches: Iterable[Batch],
    target: str | PathLike[str] | BinaryFile,
    *,
    payload: Payload = "json",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write payloads; how many were written.

    Args:
        batches: What `regionbatch.batches` returned.
        target: A folder (`batch-00001.json` …), a path that ends in `.jsonl` (a payload a line), or a binary file; of a
            link, what it leads to.
        payload: `json` or `xml`; a `.jsonl` file takes only JSON.
        overwrite: Replace what an earlier run wrote there.
        progress: Called with what is done, how much of it, and how much there is.

    Raises:
        OutputError: The target exists and `overwrite` is off or it holds other things, or it cannot be written.
        OptionError: An argument is none of these.
    """
    if payload not in ("json", "xml"):
        raise OptionError(f"--payload: no such form, got {payload}; known: json, xml")
    if not isinstance(target, (str, os.PathLike)):
        if not hasattr(target, "write") or hasattr(target, "encoding"):
            what = f"a path or a binary file is needed, got {type(target).__name__}"
            raise OptionError(f"target: {what}; open it with 'wb', or give its .buffer")
        return _write_object(_lines(batches, payload, progress), target)
    path = real_path(target)
    lines = path.suffix.lower() == ".jsonl"
    if lines and payload == "xml":
        raise OptionError(f"{path}: a .jsonl file takes JSON, got --payload xml; name a folder instead")
    if give_back(path):
        logging.getLogger(__name__).warning("%s: %s", path, GIVEN_BACK)
    check_target(path, overwrite=overwrite)
    try:
        if lines:
            with whole_file(path, _holds_lines if overwrite else None) as file:
                return _write_lines(_lines(batches, payload, progress), file)
        with whole_folder(path, _is_payload if overwrite else None) as folder:
            return _write_folder(_bodies(batches, payload, progress), folder, payload)
    except OutputError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "nothing was left there")
        raise OutputError(f"{path}: cannot be written, got {error.strerror or error}; {advice}") from error


_ADVICE = {
    errno.EBUSY: "name a folder in it",  # a mount point, as /out in a container
    errno.EACCES: "check its permissions, and that no program has it open",
}
GIVEN_BACK = "a run was killed while it replaced this output. What it had put aside is back under its name."


def give_back(target: str | PathLike[str]) -> bool:
    """Undo what a run that was killed had half replaced, and return whether there was something to undo."""
    return recover(real_path(target), _is_payload)


def check_target(target: str | PathLike[str], *, overwrite: bool) -> None:
    """See, before the work begins, whether a target can be written.

    Raises:
        OutputError: It exists and `overwrite` is off, or something else lies there that must not be deleted.
    """
    path = real_path(target)
    lines = path.suffix.lower() == ".jsonl"
    if path in (here := Path.cwd()).parents or path == here:
        raise OutputError(f"{path}: the current folder cannot be replaced; name a folder in it")
    if not lines and path.suffix.lower() in _FILES:
        raise OutputError(f"{path}: payloads go to a folder or a .jsonl file, got {path.suffix}; choose another name")
    if not path.exists():
        return
    if not (path.is_file() or path.is_dir()):
        raise OutputError(f"{path}: is a pipe or a device. Name a file, or write to standard output with -o -.")
    if lines == path.is_dir():
        wanted, there = ("file", "folder") if lines else ("folder", "file")
        raise OutputError(
            f"{path}: a {wanted} is to be written, but a {there} of that name is there; choose another name"
        )
    if not lines and not any(path.iterdir()):
        return
    if not overwrite:
        raise OutputError(f"{path}: exists already; choose another name, or replace it with --overwrite")
    if lines and not _holds_lines(path):
        raise OutputError(f"{path}: holds something else than payloads; choose another name")
    if not lines and (others := [entry.name for entry in path.iterdir() if not _is_payload(entry)]):
        raise OutputError(f"{path}: holds other files than payloads, got {others[0]}; choose another folder")


def _holds_lines(file: Path) -> bool:
    return begins_with(file, _BEGIN)


def _is_payload(file: Path) -> bool:
    """Return whether a file in a folder is one that an earlier run wrote."""
    return bool(_OURS.fullmatch(file.name)) and begins_with(file, _BEGIN, _BEGIN_XML)


def _bodies(batches: Iterable[Batch], payload: Payload, progress: Progress | None) -> Iterator[bytes]:
    total = len(batches) if isinstance(batches, Sized) else 0
    for done, batch in enumerate(batches, 1):
        yield batch.to_xml() if payload == "xml" else batch.to_json()
        if progress and (done % 500 == 0 or done == total):
            progress("writing payloads", done, total)


def _lines(batches: Iterable[Batch], payload: Payload, progress: Progress | None) -> Iterator[tuple[int, bytes]]:
    """Payloads a line each, some at a time, and how many they are."""
    if payload == "xml" or not isinstance(batches, Batches):
        yield from ((1, body + b"\n") for body in _bodies(batches, payload, progress))
        return
    done = 0
    for lines in batches.lines():
        yield len(lines), lines.tobytes()
        done += len(lines)
        if progress:
            progress("writing payloads", done, len(batches))


def _write_object(lines: Iterator[tuple[int, bytes]], file: BinaryFile) -> int:
    try:
        count = _write_lines(lines, file)
        file.flush()
    except BrokenPipeError:  # the reader has what it wanted: no matter of ours
        raise
    except OSError as error:
        name = getattr(file, "name", "the file object")
        raise OutputError(f"{name}: cannot be written, got {error.strerror or error}; it is not whole") from error
    return count


def _write_lines(lines: Iterator[tuple[int, bytes]], file: BinaryFile) -> int:
    total = 0
    for count, text in lines:
        _write_all(text, file)
        total += count
    return total


def _write_all(text: bytes, file: BinaryFile) -> None:
    """Write all of a text, also to a file without buffer, which may take less than it is given."""
    if not isinstance(file, io.RawIOBase) and type(file).__module__ != "tempfile":  # which wraps what it opens
        file.write(text)
        return
    while text:
        taken = file.write(text)
        if not isinstance(taken, int):  # None: it must not wait, and can take nothing now
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        text = text[taken:]


def _write_folder(bodies: Iterator[bytes], folder: Path, payload: Payload) -> int:
    count = 0
    for count, body in enumerate(bodies, 1):
        (folder / f"batch-{count:05}.{payload}").write_bytes(body)
    return count
