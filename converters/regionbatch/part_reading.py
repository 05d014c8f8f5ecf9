"""Read the annotation files of a dataset: in this process, or in parts by others."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeGuard

from regionbatch.errors import OptionError
from regionbatch.findings.text import as_text, quoted
from regionbatch.part_ranges import MIN_OWN_PARTS, MIN_PARTS, MIN_PARTS_OF_LARGE
from regionbatch.reader_contract import PartsReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.plugins import Reader


def check_executor(executor: object) -> None:
    """Check that an executor is one; None is.

    Raises:
        OptionError: It has no `submit`, or is the client of a cluster.
    """
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


def read_files(
    reader: Reader,
    tree: Tree,
    files: Sequence[str],
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    log: FindingLog,
    executor: Executor | None,
) -> RawAnnotations:
    """Return the annotations of some files. The result is the same, whatever the executor.

    Args:
        reader: The reader.
        tree: The files of the dataset.
        files: The annotation files.
        options: The options of the reader.
        log: Where findings and decisions are reported.
        executor: Reads parts; None: processes of this machine, if the dataset is large.
    """
    if files and reads_in_parts(reader):
        if executor is not None:
            return _read_parts(reader, tree, files, options, log, executor, is_own=False)
        if len(reader.parts(tree, files, options, 1)) >= MIN_PARTS_OF_LARGE:
            from regionbatch.processes import local_processes  # noqa: PLC0415 - slow to load

            with local_processes() as own:
                if own is not None:
                    return _read_parts(reader, tree, files, options, log, own, is_own=True)
    return reader.read(tree, files, options, log)


def _read_parts(
    reader: PartsReader,
    tree: Tree,
    files: Sequence[str],
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    log: FindingLog,
    executor: Executor,
    *,
    is_own: bool,
) -> RawAnnotations:
    from regionbatch.parts import run_parts  # noqa: PLC0415 - slow to load

    jobs = reader.parts(tree, files, options, MIN_OWN_PARTS if is_own else MIN_PARTS)
    file = tree.on_disk(files[0])
    parts = run_parts(reader.read_part, jobs, executor, file=file, is_own=is_own)
    with closing(parts) as results:
        return reader.merge(tree, files, options, log, jobs, results)
