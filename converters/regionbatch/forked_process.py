"""A copy of this process that answers calls. It has all modules loaded, unlike a new process.

Use it only in a process that runs nothing else and has no other thread: in a copy, a lock that
another thread held would stay locked.
"""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import IO, NoReturn

from regionbatch.parts import answer_calls

_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def can_fork() -> bool:
    """Return whether this is Linux, and this process has one thread and can wait for a copy.

    It cannot wait if it was started with SIGCHLD ignored: Linux then forgets a copy as soon as it
    ends, and its number may soon be that of another process.
    """
    if not hasattr(signal, "SIGCHLD") or signal.getsignal(signal.SIGCHLD) != signal.SIG_DFL:
        return False
    try:
        return len([*Path("/proc/self/task").iterdir()]) == 1  # also NumPy's own threads
    except OSError:
        return False


class ForkedProcess:
    """A copy of this process. It has what `processes` needs of a `subprocess.Popen`."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: There can be no more processes or files.
        """
        jobs, self.stdin = _pipe()
        self.stdout, results = _pipe()
        # A signal must not make the copy run the exception handlers of this process.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING_SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                self._answer_calls(jobs, results)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        jobs.close()
        results.close()

    def _answer_calls(self, jobs: IO[bytes], results: IO[bytes]) -> NoReturn:
        """Answer calls, as the copy, until the input ends."""
        try:
            os.setpgid(0, 0)  # Ctrl-C must reach only the original process
            for number in _STOPPING_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING_SIGNALS)
            self.stdin.close()
            self.stdout.close()
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            gc.disable()
            answer_calls(jobs, results)
        finally:
            os._exit(0)

    def kill(self) -> None:
        """End it, unless it has been waited for."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Wait until it has ended."""
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = 0


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")
