"""Run the command: `python -m regionbatch` is the same as `regionbatch`.

The library does not import the command; it is a package of its own and is only started here.
"""

from __future__ import annotations

import runpy
import sys
from importlib.util import find_spec

_COMMAND = "regionbatch_cli"

if __name__ == "__main__":
    if find_spec(_COMMAND) is None:
        sys.exit(f"Error: the package {_COMMAND} is not installed. Install regionbatch again.")
    runpy.run_module(_COMMAND, run_name="__main__", alter_sys=True)
