"""The environment variable that the library itself reads."""

from __future__ import annotations

import os
import re

from regionbatch.errors import OptionError

PROCESSES_VARIABLE = "REGIONBATCH_PROCESSES"
"""Environment variable with the number of processes; 1 disables other processes."""

_NUMBER = re.compile(r"0*[1-9][0-9]{0,3}")


def requested_processes() -> int | None:
    """Return how many processes the environment asks for; None: it does not.

    Raises:
        OptionError: It is no number of processes.
    """
    value = os.environ.get(PROCESSES_VARIABLE, "").strip()
    if not value:
        return None
    if _NUMBER.fullmatch(value):
        return int(value)
    raise OptionError(
        f"{PROCESSES_VARIABLE}: not a whole number from 1 to 9999: '{value}'. Correct this "
        "environment variable, or unset it.",
        place=PROCESSES_VARIABLE,
        value=value,
    )
