"""A reader whose process is killed in the middle, once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from regionbatch.plugins import get
from regionbatch.readers.yolo.reader import YoloReader

MARKER = "killed-once"
"""A file in the folder of the label files: the process that creates it is killed."""
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
