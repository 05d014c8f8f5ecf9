"""A folder with a dataset and its ID files, for tests of the command."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from helpers import Box, Result, command, write_coco, write_id_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, pipes and terminals of POSIX")
GOOD: Box = ("größe 1.jpg", "猫", (20, 10, 80, 60))
CLIPPED: Box = ("größe 1.jpg", "big cat", (-20, 10, 80, 60))
EMPTY: Box = ("größe 1.jpg", "big cat", (20, 10, 0, 60))


class ConvertFolder:
    """A dataset whose names have spaces and letters of many scripts, and IDs for it."""

    def __init__(self, folder: Path, *boxes: Box) -> None:
        self.folder = folder
        self.data = write_coco(folder / "my größe 猫", boxes, name="instances 1.json")
        self.ids = write_id_files(folder, rb.read(self.data))
        self.out = folder / "out put"

    def convert(self, *options: str | Path, to: str | Path | None = None) -> Result:
        return command("convert", self.data, "-o", to or self.out, *self.ids, *options)

    def written(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.iterdir()}


def read_terminal(handle: int) -> Iterator[bytes]:
    """Yield what a terminal shows until its other side is closed, which is an error on Linux."""
    try:
        while part := os.read(handle, 4096):
            yield part
    except OSError:
        pass
    finally:
        os.close(handle)
