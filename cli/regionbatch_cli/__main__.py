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
    run()


def program() -> None:
    """Run the command as a program, and end the process without deleting its objects one by one.

    This saves 0.01 s or more. The process ends in the usual way if something else still has to run:
    another thread, a profiler or debugger, or the prompt of `python -i`.
    """
    try:
        main()
    except SystemExit as end:
        others = threading.active_count() > 1 or sys.getprofile() or sys.gettrace()
        if isinstance(end.code, int) and not (others or sys.flags.interactive):
            _end_at_once(end.code)
        raise


def _end_at_once(status: int) -> None:
    atexit._run_exitfuncs()  # noqa: SLF001 - as Python does at exit
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # None, closed, or a closed pipe
            stream.flush()
    os._exit(status)


if __name__ == "__main__":  # workers of Dask import this module
    program()
