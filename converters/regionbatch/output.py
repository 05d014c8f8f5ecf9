"""Payloads to a folder, a JSONL file, a file object: whole or not at all.

What is written appears under its name in one step, when it is complete; a run that is killed leaves nothing there.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Sized
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Protocol

from regionbatch.batching import Batches
from regionbatch.errors import OptionError, OutputError
from regionbatch.findings import on_one_line

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
"""How a .jsonl file of ours begins."""
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
    check_target(path, overwrite=overwrite)
    try:
        if lines:
            return _write_file(_lines(batches, payload, progress), path)
        return _write_folder(_bodies(batches, payload, progress), path, payload)
    except OSError as error:
        advice = "nothing was left there"
        if error.errno == errno.EBUSY:  # a mount point, as /out in a container
            advice = "name a folder in it"
        raise OutputError(f"{path}: cannot be written, got {error.strerror or error}; {advice}") from error


def check_target(path: Path, *, overwrite: bool) -> None:
    """See, before the work begins, whether a target can be written.

    Raises:
        OutputError: It exists and `overwrite` is off, or something else lies there that must not be deleted.
    """
    path = real_path(path)
    lines = path.suffix.lower() == ".jsonl"
    if path in (here := Path.cwd()).parents or path == here:
        raise OutputError(f"{path}: the current folder cannot be replaced; name a folder in it")
    if not lines and path.suffix.lower() in _FILES:
        raise OutputError(f"{path}: payloads go to a folder or a .jsonl file, got {path.suffix}; choose another name")
    if not path.exists():
        return
    if lines == path.is_dir():
        wanted, there = ("file", "folder") if lines else ("folder", "file")
        raise OutputError(
            f"{path}: a {wanted} is to be written, but a {there} of that name is there; choose another name"
        )
    if not lines and not any(path.iterdir()):
        return
    if not overwrite:
        raise OutputError(f"{path}: exists already; choose another name, or replace it with --overwrite")
    if lines and not begins_with(path, _BEGIN):
        raise OutputError(f"{path}: holds something else than payloads; choose another name")
    if not lines and (others := [entry.name for entry in path.iterdir() if not _is_ours(entry)]):
        raise OutputError(f"{path}: holds other files than payloads, got {others[0]}; choose another folder")


def real_path(path: str | PathLike[str]) -> Path:
    """The path that a name leads to, absolute and without links.

    Raises:
        OutputError: None can have this name, or there is no current folder any more.
    """
    try:
        real = Path(os.path.realpath(path))
        real.exists()
    except (OSError, ValueError) as error:
        shown = on_one_line(str(path)[:80])
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"{shown}: cannot be a name, got {why}; choose another one") from error
    return real


def begins_with(path: Path, start: bytes) -> bool:
    """Whether a file begins with some bytes, as our own do, or is empty."""
    try:
        with path.open("rb") as file:
            return file.read(len(start)) in (b"", start)
    except OSError:
        return False


def _is_ours(entry: Path) -> bool:
    return bool(_OURS.fullmatch(entry.name)) and entry.is_file()


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


def _write_file(lines: Iterator[tuple[int, bytes]], path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        return _write_lines(lines, file)


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


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name only once it is written to its end."""
    part = _beside(path, "part")
    try:
        with part.open("xb", 2**20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_folder(bodies: Iterator[bytes], path: Path, payload: Payload) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path, "part")
    old = _beside(path, "old")
    part.mkdir()
    count = 0
    try:
        for count, body in enumerate(bodies, 1):
            (part / f"batch-{count:05}.{payload}").write_bytes(body)
        if path.exists():
            path.replace(old)
        part.replace(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.replace(path)
        _remove(part)
        raise
    _remove(old)
    return count


def _beside(path: Path, what: str) -> Path:
    """A hidden name beside a path that no other run has."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}.{what}")


def _remove(folder: Path) -> None:
    import shutil  # noqa: PLC0415 - it loads three libraries of compression

    shutil.rmtree(folder, ignore_errors=True)
