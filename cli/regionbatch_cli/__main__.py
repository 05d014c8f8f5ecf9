"""The command: `regionbatch`, or `python -m regionbatch_cli`."""

from __future__ import annotations

import atexit
import sys
import threading

_STOPPED = 130
"""The exit status after Ctrl-C, as in `failures`, which may not have been imported."""


def main() -> None:
    """Import the command and run it. Ctrl-C ends it at any time without a traceback."""
    try:
        from regionbatch_cli.main import end_process  # noqa: PLC0415 - see above
        from regionbatch_cli.main import main as run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.exit(_STOPPED)
    try:
        run()
    except SystemExit as end:
        if threading.active_count() == 1 and isinstance(end.code, int):
            # Otherwise Python deletes its objects one by one, which takes 0.02 to 0.05 s.
            atexit._run_exitfuncs()  # noqa: SLF001 - as Python does
            end_process(end.code)
        raise


if __name__ == "__main__":  # workers of Dask import this module
    main()
