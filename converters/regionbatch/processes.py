"""Processes of this machine that read parts of a large dataset.

They are optional: whatever they do not read, `parts` reads in this process, with the same
functions. This process reads too instead of waiting, so there is one fewer of them than there are
cores. They share no memory, run nothing of the calling program, and end when reading ends. Those of
the command are copies of its process: a new process needs 0.25 s to import NumPy and the readers.

`multiprocessing` and `concurrent.futures.ProcessPoolExecutor` are not used: with the start method
"spawn" they import the caller's main module again, which may be a script without a `__main__`
guard. loky needs no such guard, but for a COCO dataset it took 1.29 times the CPU time of one
process (plain children 1.10), and after a busy run it may report leaked semaphores.
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
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import regionbatch
from regionbatch.forked_process import ForkedProcess, can_fork
from regionbatch.part_ranges import MIN_PARTS
from regionbatch.process_count import available_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

_INTERPRETER_NAME = re.compile(r"(python|pypy)w?[\d._td]*", re.IGNORECASE)
"""Names of Python's executable. Other programs that embed Python would start themselves."""

_CALLS_AT_ONCE = 2
"""Calls that a child has at a time: one runs, one waits."""
_PIPE_SIZE = 2**20
"""Size in bytes to which a user without privileges may enlarge a pipe."""

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
import numpy, regionbatch.parts  # before the first call comes
regionbatch.parts.answer_calls(jobs, results)
"""
"""What a plain child process runs until its input ends. It imports from the absolute entries of our
path only, because the current folder may be the dataset's. Any exception ends it."""


@contextmanager
def local_processes(*, may_fork: bool = False) -> Iterator[Executor | None]:
    """Provide processes of this machine, which end with the block; None if there are none.

    Args:
        may_fork: Whether this process runs only regionbatch, so that others can be copies of it.
    """
    if not _can_start():
        yield None
        return
    count = available_processes() - 1  # this process reads parts, too
    children = ChildProcesses(count, may_fork=may_fork)
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
    """Plain child processes.

    Once a call has failed, whatever the reason, all further calls fail.
    """

    def __init__(self, count: int, *, may_fork: bool = False) -> None:
        """Start the processes that every dataset needs; they load their modules at once.

        Args:
            count: The number of processes.
            may_fork: See `local_processes`.
        """
        self._children = [_Child() for _ in range(count)]
        if may_fork and can_fork():
            for child in self._children[:MIN_PARTS]:
                child.fork()
        self._free: SimpleQueue[_Child] = SimpleQueue()
        for child in self._children * _CALLS_AT_ONCE:
            self._free.put(child)
        self._threads = ThreadPoolExecutor(count * _CALLS_AT_ONCE)
        self._is_broken = False
        with suppress(RuntimeError):  # no more threads: `submit` then says so
            for child in self._children[:MIN_PARTS]:
                self._threads.submit(child.start)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401, ARG002 - as declared by Executor
        """Call a function of a module in one of the processes."""
        return self._threads.submit(self._call, fn, args)

    def _call(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - what the function returns
        if self._is_broken:
            raise BrokenExecutor
        child = self._free.get()
        try:
            return child.call(work, arguments)
        except Exception as error:  # such as a full disk, or a child that was killed
            self._is_broken = True
            child.kill()  # half of a result may be left in its pipe
            raise BrokenExecutor from error
        finally:
            self._free.put(child)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Kill the processes."""
        self._is_broken = True
        for child in self._children:
            child.kill()
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for child in self._children:
            child.close()


class _Child:
    """A plain child process. Several threads may call it, and it answers them in turn.

    So when it is done with a call, the next one is ready. Otherwise it would wait until the thread
    that reads the result gets the interpreter lock from the one that reads parts.
    """

    def __init__(self) -> None:
        """Start no process yet."""
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._is_killed = False
        self._sending = threading.Lock()
        self._receiving = threading.Lock()

    def fork(self) -> None:
        """Start the process as a copy of this one, which imports nothing."""
        with suppress(OSError):  # it is started later, or its calls fail
            self._process = ForkedProcess()
            _enlarge(self._process.stdout)

    def start(self) -> None:
        """Start the process, unless it has been started."""
        with self._sending:
            if self._process is None:
                self._start()

    def call(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - what the function returns
        """Call a function of a module."""
        with self._sending:
            process: Any = self._process or self._start()
            pickle.dump((work, arguments), process.stdin, 5)
            process.stdin.flush()
            self._receiving.acquire()  # before the next call is sent: results come in this order
        try:
            size = int.from_bytes(process.stdout.read(8), "little")
            result = process.stdout.read(size)
        finally:
            self._receiving.release()
        return pickle.loads(result)  # noqa: S301 - written by our own child

    def _start(self) -> subprocess.Popen[bytes]:
        detached: dict[str, Any] = {"process_group": 0}  # Ctrl-C must reach only this process
        if sys.platform == "win32":
            detached = {"creationflags": subprocess.CREATE_NO_WINDOW}
        self._process = process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-I", "-c", _CHILD_CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **detached,
        )
        if self._is_killed:  # killed while it started: nothing else would end it
            process.kill()
        _enlarge(process.stdout)
        setup = (
            regionbatch.__file__,
            [entry for entry in map(str, sys.path) if os.path.isabs(entry)],  # noqa: PTH117 - text
            sys.dont_write_bytecode,
            sys.pycache_prefix,
        )
        pickle.dump(setup, process.stdin, 5)  # type: ignore[arg-type] # it is a pipe
        process.stdin.flush()  # type: ignore[union-attr] # it loads its modules now
        return process

    def kill(self) -> None:
        """End the process, even one that is still starting."""
        self._is_killed = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Close the pipes, once no thread uses them."""
        if self._process is not None:
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):  # what is left in its buffer cannot be written
                    pipe.close()  # type: ignore[union-attr] # it is a pipe


def _enlarge(pipe: Any) -> None:  # noqa: ANN401 - a buffered pipe
    """Let a pipe hold a result of usual size, on Linux, so that the child need not wait."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl  # noqa: PLC0415 - not on Windows

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
