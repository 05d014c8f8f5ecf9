"""Output is flushed to disk while it is written, and an error of the disk is not lost."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING

import pytest

from regionbatch.files import atomic_write

if TYPE_CHECKING:
    from pathlib import Path


def test_a_disk_that_fails_while_output_is_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system reports it only once, so flushing the complete file would not show it."""
    is_flushed = threading.Event()

    def fail(_file: int) -> None:
        is_flushed.set()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(atomic_write, "_sync_data", fail)

    def write() -> None:
        with atomic_write.atomic_write(tmp_path / "out.jsonl", None) as file:
            file.write(b"{}")
            assert is_flushed.wait(30)

    with pytest.raises(OSError, match="Input/output"):
        write()
    assert not list(tmp_path.iterdir())


def test_output_needs_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may allow no more threads."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(atomic_write, "start_new_thread", refuse)
    with atomic_write.atomic_write(tmp_path / "out.jsonl", None) as file:
        file.write(b"{}")
    assert (tmp_path / "out.jsonl").read_bytes() == b"{}"
