"""How many processes may run at the same time."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from regionbatch.errors import OptionError

PROCESSES_VARIABLE = "REGIONBATCH_PROCESSES"
"""Environment variable with the number of processes; 1 disables other processes."""

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows the processor time that a container may use."""

_NUMBER = re.compile(r"0*[1-9][0-9]{0,3}")


def requested_processes() -> int | None:
    """Return how many processes the environment asks for; None: it does not.

    Raises:
        OptionError: It is not a number of processes.
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


def available_processes() -> int:
    """Return how many processes can run at the same time: by affinity and by a container's quota.

    The environment variable `REGIONBATCH_PROCESSES` overrides both.

    Raises:
        OptionError: It has a value that cannot be used.
    """
    return requested_processes() or max(1, min(_count_cores(), _quota()))


def _count_cores() -> int:
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1  # also knows the options of the interpreter
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> int:
    """Return the cores whose time the container may use, rounded up."""
    try:
        quota, period = (_CONTROL_GROUPS / "cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        folder = _CONTROL_GROUPS / "cpu"  # the first version of control groups
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8").strip()
        except OSError:
            return sys.maxsize
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return sys.maxsize  # `max` or -1: no quota
    return -(-int(quota) // int(period))
