"""Convert a dataset in parts: read it, divide its images, judge each part, and write each part.

Decisions that need all boxes are made in this process, once. Only tables and counts stay in its
memory: the rows are in a temporary file, and other processes judge and write those of some images
at a time. They judge each part twice, because the number of regions of each tag and image must be
known before names are resolved to IDs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from regionbatch.cleaning import account_of_images, build_ledger, report_full_images
from regionbatch.dataset.columns import columns_on_disk
from regionbatch.errors import OptionError, StrictError
from regionbatch.files.cloud_paths import is_cloud
from regionbatch.findings import FindingLog
from regionbatch.findings.codes import ADJUSTING
from regionbatch.findings.finding import sum_of_counts
from regionbatch.image_sizes import report_absent
from regionbatch.in_parts.batch_files import BatchFiles, FileFindings
from regionbatch.in_parts.cloud_folder import collected_in_cloud
from regionbatch.in_parts.divided_rows import DividedRows
from regionbatch.in_parts.folder import OutputFile, OutputFolder, collected_in
from regionbatch.in_parts.work import Counts, count_part, first_of, write_part
from regionbatch.judging import raise_if_strict, with_known_sizes
from regionbatch.merging import merge_tables
from regionbatch.names.renames import normalise_renames
from regionbatch.parts import run_parts, warning_once
from regionbatch.report import figures_of
from regionbatch.resolved_ids import IdOptions, ResolvedIds, resolve_ids
from regionbatch.resolved_regions import ledger_after
from regionbatch.shared_ids import is_shared
from regionbatch.similar import report_similar, similar_after_rename

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager
    from pathlib import PurePath

    from regionbatch.dataset import Images
    from regionbatch.findings import Decision, Finding, Findings, Ledger
    from regionbatch.in_parts.work import Position, WrittenPart
    from regionbatch.judging import Filters
    from regionbatch.reading import ReadAnnotations

Result = TypeVar("Result")


class JudgedDataset(NamedTuple):
    """A dataset whose rows are in a file; see `Dataset`."""

    format: str
    root: PurePath
    images: Images
    tags: Sequence[str]
    regions: Counts
    findings: Findings
    """The findings that do not belong to a part."""
    ledger: Ledger
    decisions: Mapping[str, Decision]


class _Jobs(Sequence[tuple[Any, ...]]):
    """The arguments of calls, created when they are needed."""

    def __init__(self, count: int, job: Callable[[int], tuple[Any, ...]]) -> None:
        self._count = count
        self._job = job

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:  # noqa: ANN401 - no slices are used
        return self._job(at)


def write_in_parts(
    read: Callable[[], ReadAnnotations],
    target: PurePath,
    options: IdOptions,
    filters: Filters,
    log: FindingLog,
    executor: Executor,
    *,
    overwrite: bool,
    if_strict_fails: Callable[[BatchFiles], object],
) -> BatchFiles:
    """Read a dataset and write its payloads to a folder, each part to a file of its own.

    Args:
        read: Reads the annotations.
        target: The folder.
        options: How names are resolved.
        filters: Which boxes to leave out, and whether a finding is an error.
        log: Where findings and decisions are reported.
        executor: Calls functions in other processes.
        overwrite: Whether to replace earlier output.
        if_strict_fails: Called with the result before strict mode raises an error and deletes it.

    Raises:
        StrictError: See `Filters`.
        OptionError: The other processes do not see the folder, or have other versions of packages.
        OutputError: The folder cannot be written.
    """
    rename = normalise_renames(options.rename)
    with ExitStack() as stack:
        stack.enter_context(warning_once())
        name, root, rows, has_image_folder = _divided(read, filters, log)
        stack.enter_context(rows)
        regions = _count(rows, log, executor)
        dataset = _judged(name, root, rows, regions, log, has_image_folder=has_image_folder)
        log = FindingLog(log.progress)
        ids = _resolve(dataset, options, rename, log)
        if is_shared(ids.image_codes).any():
            own = np.arange(len(dataset.images), dtype=np.int32)
            group = np.where(ids.image_codes < 0, own, ids.image_codes)
            rows = stack.enter_context(rows.grouped(group))
        findings = dataset.findings
        if rename:
            by_tag = dataset.regions.by_tag.tolist()
            findings = similar_after_rename(findings, dataset.tags, by_tag, rename)
        dataset = dataset._replace(findings=findings + log.findings())
        with _collected(target, overwrite=overwrite) as folder:
            output = _write(rows, ids, folder, dataset, log, executor)
            try:
                if filters.strict:
                    raise_if_strict(output.result(folder.path).findings, root)
            except StrictError:
                if_strict_fails(output.result(folder.path))
                raise
            folder.write_summary(output.summary)
        return output.result(target)


def _collected(target: PurePath, *, overwrite: bool) -> AbstractContextManager[OutputFolder]:
    """Return a folder for the files of all parts, which are deleted if the run fails."""
    if is_cloud(target):
        return collected_in_cloud(target, overwrite=overwrite)
    return collected_in(Path(target), overwrite=overwrite)


def _divided(
    read: Callable[[], ReadAnnotations], filters: Filters, log: FindingLog
) -> tuple[str, PurePath, DividedRows, bool]:
    """Read annotations into files, so that they need not fit into memory."""
    with columns_on_disk():
        name, root, placed, has_image_folder = read()
        placed = with_known_sizes(placed, log)
    merged = merge_tables(placed, filters.only, log)
    rows = DividedRows.of(placed, merged, log.files, filters)
    return name, root, rows, has_image_folder


def _judged(
    name: str,
    root: PurePath,
    rows: DividedRows,
    regions: Counts,
    log: FindingLog,
    *,
    has_image_folder: bool,
) -> JudgedDataset:
    """Report what only all parts together show, and account for every box."""
    images, tags = rows.tables.merged.images, rows.tables.merged.tags
    report_full_images(regions.by_image, images, log)
    report_similar(tags, regions.by_tag.tolist(), log)
    dropped = sum_of_counts([log.dropped("box"), regions.dropped])
    account = account_of_images(images, log)
    ledger = build_ledger(regions.by_adjustment, log.boxes_read, dropped, account)
    if has_image_folder:
        report_absent(images, log)
    return JudgedDataset(name, root, images, tags, regions, log.findings(), ledger, log.decisions)


def _resolve(
    dataset: JudgedDataset, options: IdOptions, rename: Mapping[str, str], log: FindingLog
) -> ResolvedIds:
    return resolve_ids(
        dataset.tags,
        dataset.images,
        (dataset.regions.by_tag, dataset.regions.by_image),
        (options.tag_ids, options.image_ids),
        rename,
        log,
        skip=options.skip_unresolved,
    )


def _count(rows: DividedRows, log: FindingLog, executor: Executor) -> Counts:
    """Return how many regions all parts have."""
    total = _Total(rows)
    jobs = _Jobs(len(rows), lambda number: (rows.part(number),))
    with closing(run_parts(count_part, jobs, executor)) as results:
        for number, counts in _with_progress("checking boxes", results, rows, log):
            total.add(number, counts)
    return total.counts()


def _write(
    rows: DividedRows,
    ids: ResolvedIds,
    folder: OutputFolder,
    dataset: JudgedDataset,
    log: FindingLog,
    executor: Executor,
) -> _Output:
    """Have all parts written, and check the files and the sums."""
    output = _Output(rows, dataset)
    jobs = _Jobs(
        len(rows),
        lambda number: (rows.part(number), rows.ids_of(number, ids), folder, number + 1),
    )
    with closing(run_parts(write_part, jobs, executor, file=folder.marker)) as results:
        output.add_files(*folder.write_findings(0, dataset.findings))  # while others work
        for number, written in _with_progress("writing payloads", results, rows, log):
            for file in written.files:
                folder.check(file)
            output.add(number, written)
    output.finish()
    return output


def _with_progress(
    step: str, results: Iterator[Result], rows: DividedRows, log: FindingLog
) -> Iterator[tuple[int, Result]]:
    """Yield the number of each part with its result, and report how many boxes are done."""
    total = int(rows.boxes.sum())
    done = 0
    for number, result in enumerate(results):
        yield number, result
        done += int(rows.boxes[rows.division.images_of(number)].sum())
        log.progress(step, done, total)


class _Total:
    """Sums of the counts of parts."""

    def __init__(self, rows: DividedRows) -> None:
        self._division = rows.division
        self._by_tag = np.zeros(len(rows.tables.merged.tags), np.int64)
        self._by_image = np.zeros(len(rows.boxes), np.int64)
        self._by_adjustment = np.zeros(len(ADJUSTING), np.int64)
        self._dropped: dict[str, int] = {}

    def add(self, number: int, part: Counts) -> None:
        self._by_tag += part.by_tag
        self._by_image[self._division.images_of(number)] = part.by_image
        self._by_adjustment += part.by_adjustment
        self._dropped = sum_of_counts([self._dropped, part.dropped])

    def counts(self) -> Counts:
        return Counts(self._by_tag, self._by_image, self._by_adjustment, self._dropped)


class _Output:
    """What the parts wrote."""

    def __init__(self, rows: DividedRows, dataset: JudgedDataset) -> None:
        self._dataset = dataset
        self._judged = _Total(rows)
        self._sent = _Total(rows)
        self._findings: dict[str, int] = {}
        self._doubtful: dict[str, int] = {}
        self._first: dict[str, list[tuple[Position, Finding]]] = {}
        self._files: list[OutputFile] = []
        self.ledger = dataset.ledger
        self.summary: dict[str, Any] = {}

    def add(self, number: int, part: WrittenPart) -> None:
        """Add a part."""
        self._judged.add(number, part.judged)
        self._sent.add(number, part.sent)
        self._findings = sum_of_counts([self._findings, part.findings])
        self._doubtful = sum_of_counts([self._doubtful, part.doubtful])
        for code, found in part.first.items():
            self._first[code] = first_of([*self._first.get(code, ()), *found])
        self.add_files(*part.files)

    def add_files(self, *files: OutputFile) -> None:
        """Add files."""
        self._files += files

    def finish(self) -> None:
        """Check that every box was judged as expected, and compute the ledger and the figures."""
        dataset = self._dataset
        if not _are_equal(self._judged.counts(), dataset.regions):
            raise OptionError(
                "executor: its processes judged the same boxes differently. Install the same "
                "versions of all packages there.",
                option="executor",
            )
        sent = self._sent.counts()
        self.ledger = ledger_after(dataset.ledger, sent.by_adjustment, sent.dropped)
        figures = figures_of(
            dataset.format,
            dataset.root,
            dataset.images,
            dataset.tags,
            (sent.by_tag, sent.by_image),
            self.ledger,
            dataset.decisions,
            sum_of_counts([dataset.findings.counts(), self._findings]),
        )
        self.summary = {
            **figures,
            "batches": sum(file.batches for file in self._files),
            "files": [file.figures("batches", "regions") for file in self._files if file.batches],
            "finding_files": [file.figures("findings") for file in self._files if file.findings],
        }

    def result(self, folder: PurePath) -> BatchFiles:
        """Return the result, with the files in a folder."""
        payloads = [folder / file.name for file in self._files if file.batches]
        of_parts = [folder / file.name for file in self._files if file.findings]
        of_parts = of_parts[bool(len(self._dataset.findings)) :]
        first = {code: [each for _, each in found] for code, found in self._first.items()}
        counts = (self._findings, self._doubtful, first)
        findings = FileFindings(self._dataset.findings, of_parts, counts)
        decisions = self._dataset.decisions
        return BatchFiles(payloads, self.summary, findings, self.ledger, decisions)


def _are_equal(one: Counts, other: Counts) -> bool:
    return one.dropped == other.dropped and all(map(np.array_equal, one[:3], other[:3]))
