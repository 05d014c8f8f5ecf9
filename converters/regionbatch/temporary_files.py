"""Temporary files for rows that need not fit into memory."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from regionbatch.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_ADVICE = {
    errno.ENOENT: "Create the folder",
    errno.ENOTDIR: "Check the path",
    errno.EACCES: "Check its permissions",
    errno.ENOSPC: "Free space there",
    errno.EDQUOT: "Free space there",
}
"""What to do about an error of the system, in the folder for temporary files."""


def temporary_file() -> IO[bytes]:
    """Return a file without a name, which disappears when it is closed.

    It has no buffer: closing it writes nothing, so that it cannot fail.
    """
    import tempfile  # noqa: PLC0415 - only for large datasets

    return tempfile.TemporaryFile(prefix="regionbatch-", buffering=0)


def write_rows(file: IO[bytes], rows: NDArray[Any]) -> None:
    """Write the bytes of rows that lie together in memory."""
    rest = rows.reshape(-1).view(np.uint8).data
    while rest:  # one call may not write all
        rest = rest[file.write(rest) :]


def read_rows(file: IO[bytes], rows: NDArray[Any]) -> None:
    """Read the bytes of rows into an array."""
    rest = rows.reshape(-1).view(np.uint8).data
    while rest:  # one call may not read all
        count = file.readinto(rest)  # type: ignore[attr-defined] # it is not text
        if not count:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rest = rest[count:]


@contextmanager
def temporary_file_errors() -> Iterator[None]:
    """Turn errors of the system into errors about the folder for temporary files."""
    try:
        yield
    except OSError as error:
        import tempfile  # noqa: PLC0415 - as above

        folder = tempfile.tempdir or "temporary files"
        reason = error.strerror or str(error)
        raise OutputError(
            f"{folder}: a temporary file cannot be written: '{reason}'. "
            f"{_ADVICE.get(error.errno or 0, 'Check this folder')}, or set the environment "
            "variable TMPDIR to another folder.",
            place=folder,
            value=reason,
        ) from error
