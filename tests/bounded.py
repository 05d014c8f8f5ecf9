"""Read a dataset in a separate process, with a limit on time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CPU_SECONDS = 20
"""Limit of CPU time, which on a busy machine may take minutes."""
SECONDS = 300
MEBIBYTES = 700

needs_posix = pytest.mark.skipif(
    os.name != "posix", reason="limits on memory, pipes and links need POSIX"
)


class Outcome(NamedTuple):
    """The result of reading: the counts of the boxes and the findings by code, or an error."""

    read: int = 0
    kept: int = 0
    dropped: int = 0
    findings: Mapping[str, int] = {}
    error: str = ""


def run_bounded(
    path: Path,
    format: str,  # noqa: A002 - the keyword of `read`
    mebibytes: int = MEBIBYTES,
) -> Outcome:
    """Read in a separate process, with a limit on time and memory."""
    code = (
        "import json, resource, sys, regionbatch as rb\n"
        f"resource.setrlimit(resource.RLIMIT_CPU, ({CPU_SECONDS},) * 2)\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({mebibytes} << 20,) * 2)\n"
        "try:\n"
        "    dataset = rb.read(sys.argv[1], format=sys.argv[2])\n"
        "    ledger, counts = dataset.ledger, dataset.findings.counts()\n"
        "    print(json.dumps([ledger.read, ledger.kept, sum(ledger.dropped.values()), counts]))\n"
        "except rb.RegionBatchError as error:\n"
        "    print(json.dumps([0, 0, 0, {}, str(error)[:2000]]))\n"
    )
    # One thread, so that the stacks of others do not count against the limit.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(path), format]
    done = subprocess.run(
        command, capture_output=True, timeout=SECONDS, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return Outcome(*json.loads(done.stdout))
