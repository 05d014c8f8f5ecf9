"""A second process that does a part of a large job meanwhile, where there is a second core.

A helper is never needed. Where none can be started, where it fails, or where its part turns out to be another's, its
part is done in this process, by the same functions: so it can change nothing but the time. It is a plain child: it
shares no memory, runs nothing of the program that called us, and is gone when the job is. Where this process is killed,
it ends with the item it is at.
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

Given = TypeVarTuple("Given")
Item = TypeVar("Item")

VARIABLE = "REGIONBATCH_PROCESSES"
"""The variable of the environment that forbids helpers with the value 1."""

_PYTHON = re.compile(r"(python|pypy)w?[\d._td]*", re.IGNORECASE)
"""What an interpreter is called. Frozen programs and servers have names of their own, and would start themselves."""

_OURS = os.path.abspath(regionbatch.__file__)  # noqa: PTH100 - links are kept, as they are in `sys.path`
_END = struct.Struct("<16sQ")
_MARK = b"that was all of\n"
"""Behind the items stand a mark and their number. Where a child was killed, or a disk is full, they do not: the exit
status alone does not always tell."""

_CHILD = f"""
import gc, os, pickle, sys
job = sys.stdin.buffer
ours, encoding, parent, path, *byte_code = pickle.load(job)
out = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # whatever else is printed
out.seek(0)
out.truncate()
sys.path[:] = path
sys.dont_write_bytecode, sys.pycache_prefix = byte_code
import regionbatch
if (regionbatch.__file__, sys.getfilesystemencoding()) != (ours, encoding):
    sys.exit(1)
gc.disable()
count = 0
work, given = pickle.load(job)
for item in work(*given):
    if os.name == "posix" and os.getppid() != parent:
        sys.exit(1)
    pickle.dump(item, out, 5)
    count += 1
out.write({_MARK!r} + count.to_bytes(8, "little"))
out.close()
"""
"""What a helper runs. Its modules are found by the absolute entries of our path: the current folder may be that of the
dataset. If they are not the same, or names are read in another way, it is no helper."""


class Helper(Generic[Item]):
    """A call in a process of its own. Used in a `with`, behind which the process is gone."""

    def __init__(self, work: Callable[[*Given], Iterable[Item]], *given: *Given) -> None:
        """Start `work`, a function of a module whose items are wanted, if a helper may be started."""
        self._made: IO[bytes] | None = None
        self._process: Popen[bytes] | None = None
        if _may_help():
            try:
                self._start(work, given)
            except Exception:  # noqa: BLE001 - no room, no more processes, a module that was loaded again: no helper
                self.stop()
            except BaseException:
                self.stop()
                raise

    def _start(self, *call: object) -> None:
        import pickle  # noqa: PLC0415 - as all that follow: they load much, and few datasets are so large
        import subprocess  # noqa: PLC0415
        import tempfile  # noqa: PLC0415

        path = [entry for entry in map(str, sys.path) if os.path.isabs(entry)]  # noqa: PTH117 - text
        told = _OURS, sys.getfilesystemencoding(), os.getpid(), path, sys.dont_write_bytecode, sys.pycache_prefix
        alone: dict[str, Any] = {"process_group": 0}  # Ctrl-C is for us: we stop the helper
        if sys.platform == "win32":
            alone = {"creationflags": subprocess.CREATE_NO_WINDOW}
        # Files, not pipes: nobody waits for the other to read.
        self._made = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        with tempfile.TemporaryFile() as job:
            pickle.dump(told, job)
            pickle.dump(call, job)
            job.seek(0)
            command = [sys.executable, "-I", "-c", _CHILD]
            self._process = subprocess.Popen(  # noqa: S603 - our own text
                command, stdin=job, stdout=self._made, stderr=subprocess.DEVNULL, **alone
            )

    def items(self) -> Iterator[Item] | None:
        """All that the call gave, once it has; None: there is no helper, or it failed."""
        if self._process is None or self._made is None or self._process.wait() != 0:
            return None
        made = self._made
        made.seek(max(0, made.seek(0, os.SEEK_END) - _END.size))
        mark, count = _END.unpack(made.read().rjust(_END.size))
        made.seek(0)
        return _loaded(made, count) if mark == _MARK else None

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


def _loaded(made: IO[bytes], count: int) -> Iterator[Any]:
    """The items that a helper wrote, one at a time: all of them may be large."""
    import pickle  # noqa: PLC0415 - loaded by now

    for _ in range(count):
        yield pickle.load(made)  # noqa: S301 - written by our own child into a file without a name


def _may_help() -> bool:
    """Whether nobody forbids it, there is a second core, and this Python can be started by its name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    by_name = not hasattr(sys, "frozen") and _PYTHON.fullmatch(Path(sys.executable or "").stem)
    return os.environ.get(VARIABLE) != "1" and cores > 1 and bool(by_name)
