"""A reader whose process is killed in the middle, once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from regionbatch.in_parts.work import WrittenPart, write_part
from regionbatch.plugins import get
from regionbatch.readers.yolo.reader import YoloReader

MARKER = "killed-once"
"""A file in the folder of the label files: the process that creates it is killed."""
WRITING_MARKER = "killed-while-writing"
"""The same, in the folder above that of the output."""
PARENT = "parent-process"
"""A file with the ID of the process that must not be killed."""


class KilledOnce(YoloReader):
    @staticmethod
    def read_part(storage: Any, paths: Any, *rest: Any) -> Any:
        folder = Path(paths[0]).parent
        is_other = os.getpid() != int((folder / PARENT).read_text(encoding="utf-8"))
        if is_other and len(paths) and paths[0].endswith("07.txt"):
            try:
                (folder / MARKER).touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return get("yolo").read_part(storage, paths, *rest)  # type: ignore[attr-defined]


def write_or_die(part: Any, ids: Any, folder: Any, number: int) -> WrittenPart:
    """Write a part; the first time that another process writes one, kill it before it ends."""
    marker = folder.target.parent / WRITING_MARKER
    is_other = os.getpid() != int((folder.target.parent / PARENT).read_text(encoding="utf-8"))
    written = write_part(part, ids, folder, number)
    if is_other and number == 3 and not marker.exists():
        marker.touch()
        (folder.path / "unfinished" / "half").write_bytes(b"{")
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return written
