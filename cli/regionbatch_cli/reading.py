"""How the commands read a dataset, stop in strict mode, and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from regionbatch.errors import OptionError
from regionbatch_cli.failures import LOST
from regionbatch_cli.html import check_html_options, write_html_page
from regionbatch_cli.reader_options import keywords_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from concurrent.futures import Executor

    from regionbatch.batching import Batches
    from regionbatch.customvision.comparison import Verification
    from regionbatch.customvision.upload import UploadResult
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings, Ledger, Progress
    from regionbatch_cli.options import DatasetOptions


def read_dataset(
    options: DatasetOptions,
    progress: Progress | None,
    rename: Mapping[str, str] | None = None,
    executor: Executor | None = None,
) -> Dataset:
    """Read the dataset of the command line.

    Args:
        options: The options of the command.
        progress: Called by the library with the progress.
        rename: Project tags by class: classes that become one tag are not reported as similar.
        executor: Reads parts of the dataset; see `regionbatch.read`.

    Raises:
        OptionError: An option has a wrong value.
        StrictError: A box was dropped or adjusted, and --strict was given.
        click.UsageError: The report or the page is to be standard output.
    """
    from regionbatch.part_reading import may_fork  # noqa: PLC0415 - NumPy: only if there is work
    from regionbatch.reading import read  # noqa: PLC0415

    check_files(options)
    given = read_arguments(options)
    token = may_fork.set(True)
    try:
        dataset = read(options.dataset, progress=progress, executor=executor, **given)
    finally:
        may_fork.reset(token)
    fail_if_strict(options, dataset, rename=rename)
    return dataset


def check_files(options: DatasetOptions) -> None:
    """Check before the work starts that the report and the page can be written.

    Raises:
        click.UsageError: The report or the page is to be standard output.
        OutputError: Another file or a folder has the name.
    """
    for flag, file in (("--report", options.report), ("--html", options.html)):
        if file == "-":
            raise click.UsageError(f"{flag}: cannot be standard output: '-'. Give a file name.")
    if options.report is not None:
        from regionbatch.report import check_report  # noqa: PLC0415 - NumPy

        check_report(options.report, "report")
    check_html_options(options)


def read_arguments(options: DatasetOptions) -> dict[str, Any]:
    """Return the arguments of `regionbatch.read` that are on the command line.

    Raises:
        OptionError: --option has a wrong value.
    """
    given: dict[str, Any] = {
        "format": options.format,
        "drop": options.marks,
        "only": options.only or None,
        "max_clip": options.max_clip,
        **keywords_of(options.reader),
    }
    return given | _plugin_options(options.option, {"progress", "executor", *given})


def _plugin_options(texts: tuple[str, ...], given: Collection[str]) -> dict[str, str]:
    """Return the options of --option NAME=VALUE by name."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise OptionError(
                f"--option: not of the form NAME=VALUE: '{text}'. "
                "List the options of readers with regionbatch formats.",
                option="option",
                value=text,
            )
        if name in {"source", "strict", *given}:
            raise OptionError(
                f"--option: not an option of a plugin: '{name}'. See the help of this command.",
                option="option",
                value=name,
            )
        found[name] = value
    return found


def fail_if_strict(
    options: DatasetOptions,
    dataset: Dataset,
    batches: Batches | None = None,
    *,
    rename: Mapping[str, str] | None = None,
) -> None:
    """With --strict, fail if a box was dropped or adjusted, or a decision is uncertain.

    The report is written before.

    Raises:
        StrictError: A box was dropped or adjusted, or a decision is uncertain.
    """
    if not options.strict:
        return
    from regionbatch.errors import StrictError  # noqa: PLC0415 - only when there is work
    from regionbatch.judging import raise_if_strict  # noqa: PLC0415
    from regionbatch.names.renames import normalise_renames  # noqa: PLC0415
    from regionbatch.similar import findings_after_rename  # noqa: PLC0415

    findings = None if batches is None else batches.findings
    if findings is None:
        findings = findings_after_rename(dataset, normalise_renames(rename))
    try:
        raise_if_strict(findings, dataset.root)
    except StrictError:
        finish(options, dataset, batches)
        raise


def finish(
    options: DatasetOptions,
    dataset: Dataset,
    batches: Batches | None = None,
    *,
    findings: Findings | None = None,
    more: dict[str, Any] | None = None,
    lost: int = 0,
    result: UploadResult | Verification | None = None,
) -> int:
    """Write the report and the HTML page if they are wanted, and return the exit status.

    Args:
        options: The options of the command.
        dataset: What was read.
        batches: What was written or uploaded.
        findings: Those of an upload or a verification; None: those of the dataset or the batches.
        more: Added to the report.
        lost: Regions that an upload lost or a verification found to differ.
        result: The upload or the verification, for the HTML page.
    """
    if options.report:
        from regionbatch.report import write_report  # noqa: PLC0415 - as above
        from regionbatch_cli.wording import WordedFindings  # noqa: PLC0415

        if findings is None:
            findings = dataset.findings if batches is None else batches.findings
        worded = cast("Findings", WordedFindings(findings))
        write_report(options.report, dataset, batches, findings=worded, more=more)
    write_html_page(options, dataset, result or batches)
    ledger = dataset.ledger if batches is None else batches.ledger
    return exit_status(options, ledger, lost)


def exit_status(options: DatasetOptions, ledger: Ledger, lost: int = 0) -> int:
    """Return the exit status of a run that finished.

    Args:
        options: The options of the command.
        ledger: The account of boxes and images.
        lost: Regions that are not in the ledger.
    """
    lost += ledger.lost + ledger.images.lost
    return LOST if lost and not options.accept_drops else 0
