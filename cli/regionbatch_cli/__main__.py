"""The command: `regionbatch`, or `python -m regionbatch_cli`."""

from __future__ import annotations

import atexit
import sys
import threading

from regionbatch_cli.process_end import STOPPED, end_process


def main() -> None:
    """Import the command and run it. Ctrl-C ends it at any time without a traceback."""
    try:
        from regionbatch_cli.main import main as run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.exit(STOPPED)
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
            atexit._run_exitfuncs()  # noqa: SLF001 - as Python does at exit
            end_process(end.code)
        raise


if __name__ == "__main__":  # workers of Dask import this module
    program()
