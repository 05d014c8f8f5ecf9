"""Read the parts of a dataset in other processes: of this machine, or of a cluster.

Any `concurrent.futures.Executor` will do. A part is a call of a module's function with arguments
that can be pickled. Results come back in the order of the parts. If a process dies or an executor
fails, the parts that are missing are read in this process by the same function, so an executor
changes only how long reading takes.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import regionbatch
from regionbatch.credentials import without_credentials
from regionbatch.errors import OptionError, RegionBatchError
from regionbatch.part_waiting import ResultWait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from regionbatch.files.cloud import CloudStorage

Result = TypeVar("Result")

_MAX_WAITING = 64
"""Parts that are submitted at once. Their results may all be in memory."""


_WARNED: ContextVar[list[str] | None] = ContextVar("_WARNED", default=None)
"""The warnings within the block of `warning_once`; None outside."""


@contextmanager
def warning_once() -> Iterator[None]:
    """Warn only once of an executor that fails, although the block calls `run_parts` repeatedly."""
    token = _WARNED.set([])
    try:
        yield
    finally:
        _WARNED.reset(token)


class _Caller(NamedTuple):
    """What must be the same in a process that reads parts."""

    run: str
    """Different in each run: some executors remember results by the arguments."""
    version: str
    file_name_encoding: str
    file: str
    """A file that all processes must see; empty if there is none."""
    storage: CloudStorage | None
    """The storage of the file; None if it is on this machine."""
    state: tuple[object, ...] | None
    """Its size, and its modification time or version; None if it cannot be read."""


def run_parts(
    work: Callable[..., Result],
    jobs: Sequence[tuple[Any, ...]],
    executor: Executor,
    *,
    file: str = "",
    is_own: bool = False,
) -> PartResults[Result]:
    """Start to call a function for each job, and return the results in the order of the jobs.

    Args:
        work: A function of a module.
        jobs: The arguments of each call. They may be made when they are accessed.
        executor: Calls it in other processes.
        file: The path of a file that the other processes must also see, as `Tree.on_disk` returns
            it; empty if there is none.
        is_own: Whether the executor is our own: it may fail without a warning, and this process
            computes results too, instead of waiting for one.
    """
    return PartResults(work, jobs, executor, file, is_own=is_own)


class PartResults(Generic[Result]):
    """The results of `run_parts`. Close it to cancel the calls that have not started.

    Raises:
        OptionError: A process has another version of regionbatch, or does not see the same files.
        RegionBatchError: The function raised it.
    """

    def __init__(
        self,
        work: Callable[..., Result],
        jobs: Sequence[tuple[Any, ...]],
        executor: Executor,
        file: str,
        *,
        is_own: bool,
    ) -> None:
        """Submit the first calls."""
        self._work = work
        self._jobs = jobs
        self._executor = executor
        self._is_own = is_own
        self._has_warned = is_own
        version = regionbatch.__version__
        encoding = sys.getfilesystemencoding()
        storage = getattr(file, "storage", None)
        run = os.urandom(8).hex()
        self._caller = _Caller(run, version, encoding, file, storage, _state_here(file, storage))
        self._done = 0
        self._waiting: deque[Future[Any] | None] = deque()
        self._wait = ResultWait(executor)
        self._submit()

    def _submit(self) -> None:
        first = self._done + len(self._waiting)
        for number in range(first, min(self._done + _MAX_WAITING, len(self._jobs))):
            try:
                call = pickle.dumps(_Call(self._caller, number, self._work, self._jobs[number]), 5)
                # Dask hashes the argument: a bytearray takes a quarter of the time of bytes.
                future = self._executor.submit(pickle.loads, bytearray(call))
            except Exception as error:  # noqa: BLE001 - it is broken or shut down, in its own words
                self._warn(error)
                self._waiting.append(None)
            else:
                self._waiting.append(_checked_future(future))

    def __iter__(self) -> PartResults[Result]:
        """Return the results themselves."""
        return self

    def __next__(self) -> Result:
        """Return the next result, computed in this process if the executor has none."""
        if self._done == len(self._jobs):
            raise StopIteration
        self._submit()
        number = self._done
        self._done += 1
        future = self._waiting.popleft()
        if future is None or (self._is_own and future.cancel()):
            return self._work(*self._jobs[number])
        if self._is_own:
            self._work_until(future)
        try:
            if not self._is_own:
                self._wait.until_done(future, self._waiting)
            return self._checked_result(future.result(), number)
        except Exception as error:  # noqa: BLE001 - any executor has its own
            self._raise_if_final(error)
            return self._work(*self._jobs[number])

    def _checked_result(self, found: Any, number: int) -> Result:  # noqa: ANN401 - of any executor
        """Return the result of a call or raise its error, unless the executor has changed it."""
        if isinstance(found, tuple) and found[:-1] == (self._caller.run, number):
            result: Result | _Failed = found[-1]
            if isinstance(result, _Failed):
                raise result.error
            return result
        what = f"it returned something other than the result: '{type(found).__name__}'"
        raise _unfit(what, "Correct its `submit`.", type(found).__name__)

    def _work_until(self, future: Future[Result]) -> None:
        """Compute later results that no process has started, until the future is done."""
        for number, later in enumerate(self._waiting):
            if future.done():
                return
            if later is not None and later.cancel():
                self._waiting[number] = self._computed(self._done + number)

    def _computed(self, number: int) -> Future[Any] | None:
        """Return what this process computes for a job; None if it fails: it is repeated later."""
        future: Future[Any] = Future()
        try:
            future.set_result((self._caller.run, number, self._work(*self._jobs[number])))
        except Exception:  # noqa: BLE001 - it is raised again
            return None
        return future

    def close(self) -> None:
        """Cancel the calls that have not started."""
        self._done = len(self._jobs)
        for future in filter(None, self._waiting):
            future.cancel()

    def _raise_if_final(self, error: Exception) -> None:
        """Raise an error that the function raised, or that says what the processes lack."""
        if self._is_own:
            return
        if isinstance(error, RegionBatchError):
            caller = self._caller
            if _state_here(caller.file, caller.storage) == caller.state:
                raise error  # otherwise the file has changed
        elif isinstance(error, (ImportError, AttributeError)) and "regionbatch" in str(error):
            raise _unfit(
                "its processes do not have this version of regionbatch",
                f"Install version {self._caller.version} there.",
                str(error),
            ) from error
        else:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        earlier = _WARNED.get()
        if earlier:
            return
        if earlier is not None:
            earlier.append(type(error).__name__)
        import logging  # noqa: PLC0415 - only when an executor fails

        logging.getLogger(__name__).warning(
            "executor: failed: '%s: %s'. This process does the work instead.",
            type(error).__name__,
            without_credentials(str(error)),
        )


class _Call:
    """A call that is made when it is unpickled.

    Every process can receive its bytes. One without regionbatch then fails in the call, whereas a
    worker of Dask that receives a function which it cannot import never responds.
    """

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - those of `_call`
        self._arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return _call, self._arguments


def answer_calls(jobs: IO[bytes], results: IO[bytes]) -> None:
    """Answer the calls of another process until it closes its end. Any exception ends it."""
    while True:
        try:
            work, arguments = pickle.load(jobs)  # noqa: S301 - written by our own parent
        except EOFError:
            return
        result = pickle.dumps(work(*arguments), 5)
        results.write(len(result).to_bytes(8, "little"))
        results.write(result)  # not joined, which would copy it
        results.flush()


class _Failed(NamedTuple):
    """The result of a call that raised an error.

    The error is returned, because Dask prints each error that a call raises, with a traceback, even
    if the run was cancelled and nothing uses the result.
    """

    error: RegionBatchError


def _state_here(file: str, storage: CloudStorage | None) -> tuple[object, ...] | None:
    """Return the state of a file in the process of the caller; None if it cannot be read."""
    try:
        return _state_of(file, storage)
    except RegionBatchError:
        return None


def _state_of(file: str, storage: CloudStorage | None) -> tuple[object, ...] | None:
    """Return the state of a file, or None if it is missing.

    Raises:
        DatasetError: A cloud cannot be read.
    """
    if storage is not None:
        return storage.readable_state(file)
    try:
        found = os.stat(file)  # noqa: PTH116 - text, as readers have it
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns


def _call(
    caller: _Caller, number: int, work: Callable[..., Result], job: tuple[Any, ...]
) -> tuple[str, int, Result | _Failed]:
    """Call a function in another process, if this is the same package and sees the same files.

    Returns:
        The run and the number of the job, by which the caller recognises the result, and the
        result.
    """
    try:
        _check_process(caller)
        return caller.run, number, work(*job)
    except RegionBatchError as error:
        return caller.run, number, _Failed(error)


def _check_process(caller: _Caller) -> None:
    """Raise OptionError if this process differs from that of the caller."""
    version = regionbatch.__version__
    encoding = sys.getfilesystemencoding()
    if version != caller.version:
        what = f"its processes have another version of regionbatch: '{version}'"
        raise _unfit(what, f"Install version {caller.version} there.", version)
    if encoding != caller.file_name_encoding:
        what = f"its processes decode file names differently: '{encoding}'"
        advice = f"Start them with the encoding of this process: {caller.file_name_encoding}."
        raise _unfit(what, advice, encoding)
    if caller.state is None:
        return
    try:
        state = _state_of(caller.file, caller.storage)
    except RegionBatchError as error:  # the message says what to check
        what = f"the environment of its processes differs: {error}"
        raise OptionError(f"executor: {what}", option="executor", value=caller.file) from None
    if state != caller.state:
        what = f"its processes do not see the same file: '{caller.file}'"
        advice = "Put the dataset into a folder that they share, and give its absolute path."
        if caller.storage is not None:
            advice = "Give them the same credentials, in their environment or in `storage_options`."
        raise _unfit(what, advice, caller.file)


def _checked_future(future: object) -> Future[Any]:
    if not isinstance(future, Future):
        what = f"its `submit` does not return a Future: '{type(future).__name__}'"
        raise _unfit(what, "Return a `concurrent.futures.Future`.", type(future).__name__)
    return future


def _unfit(what: str, advice: str, value: str) -> OptionError:
    return OptionError(f"executor: {what}. {advice}", option="executor", value=value)
