"""Run the command on hostile datasets, in processes with limits, and print a table.

    python tests/hostile.py [NAME ...]

The table is for tests/README.md. Each dataset is made in two sizes, n and 2n, so that the table
shows how time and memory grow. Every run must end within `SECONDS` and `MEMORY` with a finding or
an error of the project; otherwise the table says FAILED and the exit status is 1. Linux or macOS
only.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hostile_data.inputs import INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hostile_data.inputs import Input

SECONDS = 10
"""CPU seconds of one process."""
MEMORY = 500
"""MB of one process."""


class HostileRun(NamedTuple):
    """The outcome of one run of the command."""

    seconds: float
    """CPU time of the command and its worker."""
    megabytes: float
    status: int | None
    """None: it exceeded `SECONDS`."""
    traceback: bool

    @property
    def good(self) -> bool:
        """Whether the run kept the limits and ended with an exit status of the command."""
        return self.status in (0, 1, 3) and self.megabytes <= MEMORY and not self.traceback


def run(folder: Path, command_name: str) -> HostileRun:
    """Run a command on a dataset."""
    with (folder.parent / "output.txt").open("w+b") as output:
        command = [sys.executable, "-m", "regionbatch_cli", command_name, str(folder)]
        if command_name == "convert":
            for option in ("tag-ids", "image-ids"):
                table = f"{option.removesuffix('-ids')}s.csv"
                command += [f"--{option}", str(folder.parent / table)]
            command += ["-o", str(folder.parent / "out.jsonl")]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=limit_time)  # noqa: PLW1509
        timer = threading.Timer(10 * SECONDS, process.kill)  # waiting uses no CPU time
        timer.start()
        _, state, usage = os.wait4(process.pid, 0)
        timer.cancel()
        status = os.waitstatus_to_exitcode(state)
        process.returncode = status
        output.seek(0)
        broken = b"Traceback" in output.read()
    spent = min(usage.ru_utime + usage.ru_stime, time.perf_counter() - start)
    late = status < 0 or spent > SECONDS
    return HostileRun(spent, usage.ru_maxrss / 1024, None if late else status, broken)


def limit_time() -> None:
    """Let the system kill this process after too much CPU time."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))


def in_child(make: Callable[[], object]) -> None:
    """Call a function in a child process, so that its memory is not measured."""
    child = os.fork()
    if not child:
        make()
        os._exit(0)
    os.waitpid(child, 0)


def row(name: str, dataset: Input) -> tuple[str, bool]:
    """Run a dataset in both sizes; return its row of the table, and whether it kept the limits."""
    runs: list[HostileRun] = []
    for size in (dataset.size, 2 * dataset.size):
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / "dataset"
            folder.mkdir()
            in_child(partial(dataset.make, folder, size))
            runs.append(run(folder, dataset.command))
    good = all(each.good for each in runs)
    statuses = ", ".join("killed" if each.status is None else str(each.status) for each in runs)
    statuses += "" if good else " FAILED"
    statuses += " traceback" if any(each.traceback for each in runs) else ""
    seconds = ", ".join(f"{each.seconds:.2f}" for each in runs)
    megabytes = ", ".join(f"{each.megabytes:.0f}" for each in runs)
    return f"| {name} | {dataset.size:,} | {seconds} | {megabytes} | {statuses} |", good


def main(wanted: list[str]) -> int:
    """Print the table; return 1 if a dataset exceeds the limits."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("| input | n | CPU seconds: n, 2n | MB: n, 2n | exit status |")
    print("| --- | --- | --- | --- | --- |")
    all_good = True
    for name, dataset in INPUTS.items():
        if not wanted or any(word in name for word in wanted):
            text, good = row(name, dataset)
            print(text, flush=True)
            all_good = all_good and good
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
