"""Processes of this machine that parts of a large dataset are read in.

They are optional: `parts` reads whatever they do not in this process, with the same functions. As
this process does not wait for them, they are one less than the cores. They share no memory, run
nothing of the calling program, and end when reading ends.

`multiprocessing` and `concurrent.futures.ProcessPoolExecutor` are not used: with the start method
"spawn" they import the caller's main module again, which may be a script without a `__main__`
guard. Neither is loky, which needs no guard either: a COCO dataset took it 1.29 times the CPU of
one process (plain children 1.10), and after a busy run it may report leaked semaphores.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import threading
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import regionbatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

PROCESSES_VARIABLE = "REGIONBATCH_PROCESSES"
"""Environment variable with the number of processes; 1 disables other processes."""

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows the processor time that a container may use."""

_INTERPRETER_NAME = re.compile(r"(python|pypy)w?[\d._td]*", re.IGNORECASE)
"""Frozen programs and servers that embed Python have other names, and would start themselves."""

_CHILD_CODE = """
import gc, os, pickle, sys
gc.disable()  # parts make many objects, and no cycles
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # starting its threads takes 0.07 s
jobs = sys.stdin.buffer
package_file, path, *byte_code = pickle.load(jobs)
results = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # anything else that is printed goes to stderr
sys.path[:] = path
sys.dont_write_bytecode, sys.pycache_prefix = byte_code
import regionbatch
if regionbatch.__file__ != package_file:
    sys.exit(1)
while True:
    try:
        work, arguments = pickle.load(jobs)
    except EOFError:
        break
    pickle.dump(work(*arguments), results, 5)
    results.flush()
"""
"""What a plain child process runs until its input ends. It imports from the absolute entries of our
path only, because the current folder may be the dataset's. Any exception ends it."""


def available_processes() -> int:
    """Return how many processes can run at the same time: by affinity and by a container's quota.

    The environment variable `REGIONBATCH_PROCESSES` overrides both.
    """
    wanted = os.environ.get(PROCESSES_VARIABLE, "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return max(1, min(_count_cores(), _quota()))


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


@contextmanager
def local_processes() -> Iterator[Executor | None]:
    """Provide processes of this machine, which end with the block; None if there are none."""
    if not _can_start():
        yield None
        return
    children = ChildProcesses(available_processes() - 1)  # this process reads parts, too
    try:
        yield children
    finally:
        children.shutdown(cancel_futures=True)


def _can_start() -> bool:
    """Return whether Python can be started, and more than one process is wanted."""
    if hasattr(sys, "frozen") or available_processes() < 2:
        return False
    return _INTERPRETER_NAME.fullmatch(Path(sys.executable or "").stem) is not None


class ChildProcesses(Executor):
    """Plain child processes, one for each thread of a pool.

    Once a call has failed, whatever the reason, all further calls fail.
    """

    def __init__(self, count: int) -> None:
        """Start no process yet.

        Args:
            count: The number of processes.
        """
        self._threads = ThreadPoolExecutor(count)
        self._of_thread = threading.local()
        self._children: list[subprocess.Popen[bytes]] = []
        self._is_broken = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401, ARG002 - as declared by Executor
        """Call a function of a module in one of the processes."""
        return self._threads.submit(self._call, fn, args)

    def _call(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - what the function returns
        if self._is_broken:
            raise BrokenExecutor
        try:
            child: Any = getattr(self._of_thread, "child", None) or self._start_child()
            pickle.dump((work, arguments), child.stdin, 5)
            child.stdin.flush()
            return pickle.load(child.stdout)  # noqa: S301 - written by our own child
        except Exception as error:  # such as a full disk, or a child that was killed
            self._is_broken = True
            raise BrokenExecutor from error

    def _start_child(self) -> subprocess.Popen[bytes]:
        detached: dict[str, Any] = {"process_group": 0}  # Ctrl-C must reach only this process
        if sys.platform == "win32":
            detached = {"creationflags": subprocess.CREATE_NO_WINDOW}
        child = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-I", "-c", _CHILD_CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **detached,
        )
        self._children.append(child)
        self._of_thread.child = child
        setup = (
            regionbatch.__file__,
            [entry for entry in map(str, sys.path) if os.path.isabs(entry)],  # noqa: PTH117 - text
            sys.dont_write_bytecode,
            sys.pycache_prefix,
        )
        pickle.dump(setup, child.stdin, 5)  # type: ignore[arg-type] # it is a pipe
        return child

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Kill the processes."""
        self._is_broken = True
        for child in self._children:
            child.kill()
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for child in self._children:
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    _close(pipe)


def _close(pipe: Any) -> None:  # noqa: ANN401 - a buffered pipe
    with suppress(OSError):  # what is left in its buffer cannot be written
        pipe.close()
