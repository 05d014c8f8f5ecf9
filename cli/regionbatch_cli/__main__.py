"""The command: `regionbatch`, or `python -m regionbatch_cli`."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress

_STOPPED = 130
"""The exit status after Ctrl-C, as in `failures`, which may not have been imported."""


def main() -> None:
    """Import the command and run it. Ctrl-C ends it at any time without a traceback."""
    try:
        from regionbatch_cli.main import main as run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.exit(_STOPPED)
    try:
        run()
    except SystemExit as end:
        if threading.active_count() == 1 and isinstance(end.code, int):
            _end(end.code)
        raise


def _end(status: int) -> None:
    """End the process without deleting its objects one by one, which takes up to 0.02 s."""
    atexit._run_exitfuncs()  # noqa: SLF001 - as Python does
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed, or a closed pipe
            stream.flush()
    os._exit(status)


if __name__ == "__main__":  # workers of Dask import this module
    main()
