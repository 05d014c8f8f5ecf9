"""A second process that does part of a large job in parallel, on machines with a second core.

A worker is optional. If none can start, if it fails, or if its part turns out to be wrong, this
process does that part itself with the same functions, so a worker only changes how long reading
takes. It is a plain child process: it shares no memory, runs nothing of the calling program, and
ends with the job. If this process is killed, the worker stops after its current item.

`multiprocessing` and `concurrent.futures` are not used: with the start method "spawn" they import
the caller's main module again, which may be a script without a `__main__` guard.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar, TypeVarTuple

import regionbatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from subprocess import Popen
    from types import TracebackType

Arguments = TypeVarTuple("Arguments")
Item = TypeVar("Item")

PROCESSES_VARIABLE = "REGIONBATCH_PROCESSES"
"""Environment variable that disables workers with the value 1."""

_INTERPRETER_NAME = re.compile(r"(python|pypy)w?[\d._td]*", re.IGNORECASE)
"""Frozen programs and servers that embed Python have other names, and would start themselves."""

_PACKAGE_FILE = os.path.abspath(regionbatch.__file__)  # noqa: PTH100 - keeps links
_FOOTER = struct.Struct("<16sQ")
_END_MARK = b"that was all of\n"
"""Written after the items, with their number. It is missing if the child was killed or the disk is
full; the exit status alone does not always show that."""

_CHILD_CODE = f"""
import gc, os, pickle, sys
job = sys.stdin.buffer
package_file, encoding, parent, path, *byte_code = pickle.load(job)
out = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # anything else that is printed goes to stderr
out.seek(0)
out.truncate()
sys.path[:] = path
sys.dont_write_bytecode, sys.pycache_prefix = byte_code
import regionbatch
if (regionbatch.__file__, sys.getfilesystemencoding()) != (package_file, encoding):
    sys.exit(1)
gc.disable()
count = 0
work, arguments = pickle.load(job)
for item in work(*arguments):
    if os.name == "posix" and os.getppid() != parent:
        sys.exit(1)
    pickle.dump(item, out, 5)
    count += 1
out.write({_END_MARK!r} + count.to_bytes(8, "little"))
out.close()
"""
"""What the child runs. It imports from the absolute entries of our path only, because the current
folder may be the dataset's. It exits if it finds another copy of the package, or decodes file names
differently."""


class Worker(Generic[Item]):
    """A call that runs in its own process. Use it in a `with` block, which ends the process."""

    def __init__(
        self, work: Callable[[*Arguments], Iterable[Item]], *arguments: *Arguments
    ) -> None:
        """Start the process if this machine allows one.

        Args:
            work: A function of a module that yields the items.
            arguments: Its arguments; they are pickled.
        """
        self._output: IO[bytes] | None = None
        self._process: Popen[bytes] | None = None
        if _can_start():
            try:
                self._start(work, arguments)
            except Exception:  # noqa: BLE001 - such as a full disk or a process limit
                self.stop()
            except BaseException:
                self.stop()
                raise

    def _start(self, *call: object) -> None:
        # Imported late: these modules are slow to load, and few datasets are large enough.
        import pickle  # noqa: PLC0415
        import subprocess  # noqa: PLC0415
        import tempfile  # noqa: PLC0415

        setup = (
            _PACKAGE_FILE,
            sys.getfilesystemencoding(),
            os.getpid(),
            [entry for entry in map(str, sys.path) if os.path.isabs(entry)],  # noqa: PTH117 - text
            sys.dont_write_bytecode,
            sys.pycache_prefix,
        )
        detached: dict[str, Any] = {"process_group": 0}  # Ctrl-C must reach only this process
        if sys.platform == "win32":
            detached = {"creationflags": subprocess.CREATE_NO_WINDOW}
        # Files instead of pipes: neither process waits for the other to read.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        with tempfile.TemporaryFile() as job:
            pickle.dump(setup, job)
            pickle.dump(call, job)
            job.seek(0)
            command = [sys.executable, "-I", "-c", _CHILD_CODE]
            self._process = subprocess.Popen(  # noqa: S603 - our own code
                command, stdin=job, stdout=self._output, stderr=subprocess.DEVNULL, **detached
            )

    def items(self) -> Iterator[Item] | None:
        """Wait for the process and return its items; None if there is no worker or it failed."""
        if self._process is None or self._output is None or self._process.wait() != 0:
            return None
        output = self._output
        output.seek(max(0, output.seek(0, os.SEEK_END) - _FOOTER.size))
        mark, count = _FOOTER.unpack(output.read().rjust(_FOOTER.size))
        output.seek(0)
        return _load_items(output, count) if mark == _END_MARK else None

    def stop(self) -> None:
        """Kill the process and delete its output."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._output is not None:
            self._output.close()
        self._process = self._output = None

    def __enter__(self) -> Worker[Item]:
        """Return the worker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the process."""
        self.stop()


def _load_items(output: IO[bytes], count: int) -> Iterator[Any]:
    """Yield the items one at a time: together they may not fit into memory."""
    import pickle  # noqa: PLC0415 - already loaded

    for _ in range(count):
        yield pickle.load(output)  # noqa: S301 - written by our own child into an unnamed file


def _can_start() -> bool:
    """Return whether workers are allowed, there is a second core, and Python can be started."""
    if os.environ.get(PROCESSES_VARIABLE) == "1" or hasattr(sys, "frozen"):
        return False
    by_name = _INTERPRETER_NAME.fullmatch(Path(sys.executable or "").stem)
    return _count_cores() > 1 and by_name is not None


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
