"""A second process that does a part of a large job meanwhile, where there is a second core.

A helper is never needed. Where none can be started, where it fails, or where its part turns out to be another's, its
part is done in this process, by the same functions: so it can change nothing but the time. It is a plain child: it
shares no memory, imports nothing of the program that called us, and is gone when the job is.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import IO

Given = ParamSpec("Given")
Item = TypeVar("Item")

VARIABLE = "REGIONBATCH_PROCESSES"
"""The variable of the environment that forbids helpers with the value 1."""

_CHILD = """
import gc, pickle, sys
gc.disable()
sys.path[:] = pickle.load(sys.stdin.buffer)
work, given, named = pickle.load(sys.stdin.buffer)
for item in work(*given, **named):
    pickle.dump(item, sys.stdout.buffer, 5)
"""
"""What a helper runs. Our modules are found where they were found here, which need not be where Python looks first."""

_ALONE: dict[str, Any] = {"process_group": 0}
"""Keeps Ctrl-C, which is for us, from a helper: we stop it."""
if sys.platform == "win32":
    _ALONE = {"creationflags": subprocess.CREATE_NO_WINDOW}


class Helper(Generic[Item]):
    """A call in a process of its own. Used in a `with`, behind which the process is gone."""

    def __init__(self, work: Callable[Given, Iterable[Item]], /, *given: Given.args, **named: Given.kwargs) -> None:
        """Start `work`, a function of a module whose items are wanted, if a helper may be started."""
        self._made: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if _may_help():
            try:
                self._start(pickle.dumps([str(part) for part in sys.path]) + pickle.dumps((work, given, named)))
            except OSError:  # no room, no more processes, a program that cannot be run: no helper
                self.stop()

    def _start(self, job: bytes) -> None:
        import tempfile  # noqa: PLC0415 - it loads much, and few data sets are so large

        # Files, not pipes: nobody waits for the other to read.
        self._made = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        with tempfile.TemporaryFile() as stdin:
            stdin.write(job)
            stdin.seek(0)
            # -P: nothing is imported from the current folder, which may be that of the data set.
            command = [sys.executable, "-P", "-c", _CHILD]
            self._process = subprocess.Popen(  # noqa: S603 - our own text
                command, stdin=stdin, stdout=self._made, stderr=subprocess.DEVNULL, **_ALONE
            )

    def items(self) -> Iterator[Item] | None:
        """All that the call gave, once it has; None: there is no helper, or it failed."""
        if self._process is None or self._made is None or self._process.wait() != 0:
            return None
        self._made.seek(0)
        return self._loaded(self._made)

    def _loaded(self, made: IO[bytes]) -> Iterator[Item]:
        with suppress(EOFError):  # one at a time: all of them may be large
            while True:
                yield pickle.load(made)  # noqa: S301 - written by our own child into a file without a name

    def stop(self) -> None:
        """End the process, whatever it is at."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._made is not None:
            self._made.close()
        self._process = self._made = None

    def __enter__(self) -> Helper[Item]:
        """The helper itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


def _may_help() -> bool:
    """Whether nobody forbids it, there is a second core, and this Python can be started by its name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    program = Path(sys.executable or "").stem.lower()  # frozen programs and servers have their own there
    return os.environ.get(VARIABLE) != "1" and cores > 1 and program.startswith(("python", "pypy"))
