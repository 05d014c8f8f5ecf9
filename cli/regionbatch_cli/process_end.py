"""How the process of the command ends. This module loads nothing that is slow to load."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

STOPPED = 130
"""Exit status after Ctrl-C."""


def end_process(status: int) -> NoReturn:
    """Write what is printed, and end the process without waiting for threads or deleting objects.

    Functions that were registered with `atexit` do not run.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # None, closed, or a closed pipe
            stream.flush()
    os._exit(status)
