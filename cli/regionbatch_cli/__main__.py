"""The command: `regionbatch`, or `python -m regionbatch_cli`."""

from __future__ import annotations

import sys

_STOPPED = 130
"""The exit status after Ctrl-C, as in `failures`, which may not have been imported."""


def main() -> None:
    """Import the command and run it. Ctrl-C ends it at any time without a traceback."""
    try:
        from regionbatch_cli.main import main as run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.exit(_STOPPED)
    run()


if __name__ == "__main__":  # workers of Dask import this module
    main()
