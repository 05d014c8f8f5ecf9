"""Read the annotation files of a dataset: in this process, or in parts by others."""

from __future__ import annotations

from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from regionbatch.errors import DatasetError, OptionError
from regionbatch.findings.text import as_text, quoted
from regionbatch.part_ranges import MIN_PARTS, MIN_PARTS_OF_LARGE
from regionbatch.process_count import available_processes, requested_processes
from regionbatch.reader_contract import PartsReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from regionbatch.dataset import RawAnnotations, References
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.parts import PartResults
    from regionbatch.plugins import Reader

may_fork: ContextVar[bool] = ContextVar("may_fork", default=False)
"""Whether this process runs only regionbatch, so that processes can be copies of it."""

_other_work: ContextVar[Callable[[], object]] = ContextVar("_other_work", default=lambda: None)
"""What this process does while others read parts; see `meanwhile`."""


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """In the block, work while processes of this machine read parts, if they do.

    Args:
        work: What `part_executor` calls when it has started them.
    """
    token = _other_work.set(work)
    try:
        yield
    finally:
        _other_work.reset(token)


def check_executor(executor: object) -> None:
    """Check an executor (None is allowed), and the environment variable that replaces it.

    Raises:
        OptionError: It has no `submit`, or is the client of a cluster; or the variable is wrong.
    """
    requested_processes()  # even for a dataset that is too small for other processes
    if hasattr(executor, "get_executor"):
        advice = "Pass what its `get_executor()` returns."
    elif executor is None or callable(getattr(executor, "submit", None)):
        return
    else:
        advice = "Pass a `concurrent.futures.Executor`."
    raise OptionError(
        f"executor: not an executor: {quoted(as_text(executor))}. {advice}",
        option="executor",
        value=executor,
    )


def reads_in_parts(reader: Reader) -> TypeGuard[PartsReader]:
    """Return whether parts of a dataset may be read instead of the whole.

    A class may derive from such a reader and change only `read`: then `merge` lacks the change.
    """
    if not isinstance(reader, PartsReader):
        return False
    first = next(kind for kind in type(reader).__mro__ if {"read", "merge"} & vars(kind).keys())
    return "merge" in vars(first)


class PartExecutor(NamedTuple):
    """What reads the parts of a dataset."""

    executor: Executor
    is_own: bool
    """Whether it consists of processes of this machine that were started for this dataset."""
    started: StartedParts | None = None
    """The parts that it reads already."""


class StartedParts(NamedTuple):
    """The parts of a dataset, which are being read."""

    files: Sequence[str]
    """The annotation files, in order."""
    jobs: Sequence[tuple[Any, ...]]
    results: PartResults[Any]


@contextmanager
def part_executor(
    reader: Reader,
    tree: Tree,
    references: References,
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    given: Executor | None,
) -> Iterator[PartExecutor | None]:
    """Provide the executor for the parts of a dataset; None: this process reads it as a whole.

    Processes of this machine start to read now, while this process finds the images, because the
    images rarely change which files are read or in which order.

    Args:
        reader: The reader.
        tree: The files of the dataset.
        references: Its annotation files, of which some may not be read.
        options: The options of the reader.
        given: The executor that the caller chose; None: processes of this machine, if the dataset
            is large.
    """
    wanted = _files_to_read(references)
    if given is not None:
        yield PartExecutor(given, is_own=False)
    elif (
        reads_in_parts(reader)
        and available_processes() > 1
        and _is_large(reader, tree, wanted, options)
    ):
        from regionbatch.processes import local_processes  # noqa: PLC0415 - slow to load

        with local_processes(may_fork=may_fork.get()) as own:
            if own is None:
                yield None
                return
            chosen = PartExecutor(own, is_own=True)
            started = _start(reader, tree, wanted, options, chosen)
            work = _other_work.get()
            work()
            yield chosen._replace(started=started)
    else:
        yield None


def _files_to_read(references: References) -> list[str]:
    """Return the files to read, in order, as far as this is known before images are found."""
    files, splits = references.files, references.splits
    # A list of images may give a file a split later.
    wanted = [file for file, split in files.items() if not (splits and split) or split in splits]
    places = {split: n for n, split in enumerate((references.image_folders or {}).values())}
    if len(places) > 1:  # label files are read in the order of their images
        wanted.sort(key=lambda file: places.get(files[file], 0))
    return wanted


def _is_large(
    reader: PartsReader,
    tree: Tree,
    files: Sequence[str],
    options: Any,  # noqa: ANN401 - the reader's own dataclass
) -> bool:
    """Return whether reading files in parts is worth starting processes."""
    try:
        return bool(files) and len(reader.parts(tree, files, options, 1)) >= MIN_PARTS_OF_LARGE
    except DatasetError:  # raised again when these files are read
        return False


def read_files(
    reader: Reader,
    tree: Tree,
    files: Sequence[str],
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    log: FindingLog,
    chosen: PartExecutor | None,
) -> RawAnnotations:
    """Return the annotations of some files. The result is the same, whatever the executor.

    Args:
        reader: The reader.
        tree: The files of the dataset.
        files: The annotation files.
        options: The options of the reader.
        log: Where findings and decisions are reported.
        chosen: See `part_executor`.
    """
    if chosen is None or not files or not reads_in_parts(reader):
        return reader.read(tree, files, options, log)
    started = chosen.started
    if started is not None and started.files != files:
        started.results.close()
        started = None
    if started is None:
        started = _start(reader, tree, files, options, chosen)
    with closing(started.results) as results:
        return reader.merge(tree, files, options, log, started.jobs, results)


def _start(
    reader: PartsReader,
    tree: Tree,
    files: Sequence[str],
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    chosen: PartExecutor,
) -> StartedParts:
    """Start to read the parts of some files."""
    from regionbatch.parts import run_parts  # noqa: PLC0415 - slow to load

    jobs = reader.parts(tree, files, options, MIN_PARTS)
    file = tree.on_disk(files[0])
    results = run_parts(reader.read_part, jobs, chosen.executor, file=file, is_own=chosen.is_own)
    return StartedParts(files, jobs, results)
