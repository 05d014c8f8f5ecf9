"""Read the annotation files of a dataset: in this process, or in parts by others."""

from __future__ import annotations

from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from regionbatch.environment import requested_processes
from regionbatch.errors import DatasetError, OptionError
from regionbatch.findings.text import as_text, quoted
from regionbatch.part_ranges import MIN_PARTS, MIN_PARTS_OF_LARGE
from regionbatch.reader_contract import PartsReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

    from regionbatch.dataset import RawAnnotations, References
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.plugins import Reader

may_fork: ContextVar[bool] = ContextVar("may_fork", default=False)
"""Whether this process runs only regionbatch, so that processes can be copies of it."""


def check_executor(executor: object) -> None:
    """Check that an executor is one; None is. Check the environment variable that replaces it too.

    Raises:
        OptionError: It has no `submit`, or is the client of a cluster; or the variable is wrong.
    """
    requested_processes()  # also for a dataset that is too small for other processes
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
    """Whether it is processes of this machine that were started for this dataset."""


@contextmanager
def part_executor(
    reader: Reader,
    tree: Tree,
    references: References,
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    given: Executor | None,
) -> Iterator[PartExecutor | None]:
    """Provide what reads the parts of a dataset; None if it is read as a whole, in this process.

    Processes of this machine start now, while this process finds the images.

    Args:
        reader: The reader.
        tree: The files of the dataset.
        references: Its annotation files, of which some may not be read.
        options: The options of the reader.
        given: The executor that the caller chose; None: processes of this machine, if the dataset
            is large.
    """
    files, splits = references.files, references.splits
    # A list of images may give a file a split later.
    wanted = [file for file, split in files.items() if not (splits and split) or split in splits]
    if given is not None:
        yield PartExecutor(given, is_own=False)
    elif _is_large(reader, tree, wanted, options):
        from regionbatch.processes import local_processes  # noqa: PLC0415 - slow to load

        with local_processes(may_fork=may_fork.get()) as own:
            yield None if own is None else PartExecutor(own, is_own=True)
    else:
        yield None


def _is_large(
    reader: Reader,
    tree: Tree,
    files: Sequence[str],
    options: Any,  # noqa: ANN401 - the reader's own dataclass
) -> bool:
    """Return whether reading files in parts is worth starting processes."""
    if not files or not reads_in_parts(reader):
        return False
    try:
        return len(reader.parts(tree, files, options, 1)) >= MIN_PARTS_OF_LARGE
    except DatasetError:  # it is raised again in its turn, if these files are read
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
    from regionbatch.parts import run_parts  # noqa: PLC0415 - slow to load

    jobs = reader.parts(tree, files, options, MIN_PARTS)
    file = tree.on_disk(files[0])
    parts = run_parts(reader.read_part, jobs, chosen.executor, file=file, is_own=chosen.is_own)
    with closing(parts) as results:
        return reader.merge(tree, files, options, log, jobs, results)
