"""What `regionbatch upload` prints: the plan, and an account of the run wherever it ends."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionbatch.errors import AccessError, OptionError, RegionBatchError, TransportError
from regionbatch.wording import counted
from regionbatch_cli.failures import error_fields, print_error
from regionbatch_cli.printing import (
    print_account,
    print_findings,
    print_json,
    say,
    screen_width,
    wrapped,
)
from regionbatch_cli.progress import duration, show_start
from regionbatch_cli.reading import finish
from regionbatch_cli.wording import error_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from regionbatch.customvision.plan import Plan
    from regionbatch.customvision.upload import UploadResult
    from regionbatch.dataset import Dataset
    from regionbatch_cli.options import DatasetOptions
    from regionbatch_cli.progress import ProgressDisplay

_NEW_TAGS_SHOWN = 10
_HANGING = " " * 10


class UploadAccount:
    """What is known about a run so far. The run fills it in."""

    dataset: Dataset | None = None
    """The dataset, once it was read."""
    journal: str | Path | None = None
    """The journal; None: there is none."""
    display: ProgressDisplay | None = None

    def __init__(
        self, options: DatasetOptions, id_folder: str | None, *, near_regions: str
    ) -> None:
        """Keep the options of the command; nothing is known yet.

        Args:
            options: The options of the command.
            id_folder: Where to write the tables of IDs; None: nowhere.
            near_regions: What happens to regions that are nearly equal to one in the project.
        """
        self._options = options
        self._id_folder = id_folder
        self._near_regions = near_regions
        self._unfinished: UploadResult | None = None

    def check_id_files(self) -> None:
        """Check that the tables of IDs can be written. A run that resumes replaces them.

        Raises:
            OutputError: They cannot be written.
        """
        if self._id_folder is not None:
            from regionbatch.customvision.id_tables import check_id_files  # noqa: PLC0415 - NumPy

            check_id_files(self._id_folder, overwrite=True, option="save_ids")

    def set_unfinished(self, result: UploadResult) -> None:
        """Keep what was done by a run that ends early."""
        self._unfinished = result

    def print_plan(self, plan: Plan) -> None:
        """Print what the upload is going to do, and show its first step."""
        if not self._options.as_json:
            self._print_tables(plan)
        if plan.new_images:
            show_start(self.display, "uploading images", plan.new_images)
        elif plan.regions:
            show_start(self.display, "sending regions", plan.regions)

    def _print_tables(self, plan: Plan) -> None:
        options = self._options
        from regionbatch_cli.tag_table import print_tag_table  # noqa: PLC0415 - NumPy

        with self.display.hidden() if self.display else nullcontext():
            print_account(options, plan.batches.ledger, plan.all_findings)
            _print_plan(options, plan, self._near_regions)
            print_tag_table(options, plan.tags)

    def print_end(self, result: UploadResult) -> int:
        """Print the result of a run that reached its end, and return the exit status."""
        figures = result.summary()
        self._print_result(result, figures)
        status = self._write_report(result, figures)
        self._write_id_files(result)
        return status

    def print_early_end(self, error: BaseException) -> None:
        """Print what was done before an error, what is left, and how to resume; not the error."""
        result = self._unfinished
        figures = {**(result.summary() if result else {}), "complete": False}
        figures["error"] = error_fields(error)
        if self._options.as_json or result is not None:
            self._print_result(result, figures, error)
        elif isinstance(error, (AccessError, TransportError)) and self._has_journal():
            self._say(f"journal:  {self.journal}. {_RESUME}")
        _despite_errors(lambda: self._write_report(result, figures))
        if result is not None:
            _despite_errors(lambda: self._write_id_files(result))

    def print_stop(self) -> None:
        """Print that Ctrl-C ended the run, and how to resume if there is a journal."""
        text = "Nothing was written."
        if self._has_journal():
            text = f"Progress is kept in {self.journal}. {_RESUME}"
        if self._unfinished is None:
            click.echo(err=True)  # ends the line on which the terminal shows ^C
        for line in wrapped(f"Stopped. {text}", screen_width(err=True)):
            click.echo(line, err=True)

    def _has_journal(self) -> bool:
        return self.journal is not None and Path(self.journal).exists()

    def _print_result(
        self,
        result: UploadResult | None,
        figures: dict[str, Any],
        error: BaseException | None = None,
    ) -> None:
        if self._options.as_json:
            self._print_json(result, figures)
        elif result is not None:
            self._print_lines(result)
            if not result.is_dry_run:
                self._print_journal(error)

    def _print_json(self, result: UploadResult | None, figures: dict[str, Any]) -> None:
        content = figures
        if self.dataset is not None:
            from regionbatch.report import summary  # noqa: PLC0415 - NumPy: only when there is work

            batches = result.batches if result else None
            content = {**summary(self.dataset, batches), **figures}
        if result is not None:
            content["findings"] = result.findings.counts()
        print_json(content)

    def _print_lines(self, result: UploadResult) -> None:
        """Print what was sent, deleted and verified, and what is left."""
        options = self._options
        printed = result.plan.all_findings.counts()
        print_findings(options, result.findings, printed=printed)
        ended_early = result is self._unfinished
        if result.is_dry_run:
            self._say("Nothing was written (--dry-run).")
            return
        sent = (
            f"{counted(result.sent, 'region')} = {result.created} created "
            f"+ {result.duplicated} duplicated + {result.exceeded} exceeded "
            f"+ {result.failed} failed"
        )
        self._say(f"sent:     {sent}; {result.already} already in the project")
        if ended_early and (result.new_tags or result.new_images):
            tags = counted(result.new_tags, "tag")
            self._say(f"created:  {tags}, {counted(result.new_images, 'image')}")
        if result.deleted:
            self._say(f"deleted:  {counted(result.deleted, 'region')}")
        if result.unclear_calls:
            self._say(f"unclear:  {counted(result.unclear_calls, 'call')} had no clear response")
        if not ended_early:
            self._say(f"verified: {result.verification}")
            self._print_other_tags(result)
        else:
            left = counted(result.remaining, "region")
            self._say(f"left:     {left} not sent or not confirmed; the project was not verified")

    def _print_other_tags(self, result: UploadResult) -> None:
        """Print the table of tags again if the plan could not know which images count."""
        from regionbatch_cli.tag_table import print_tag_table  # noqa: PLC0415 - NumPy

        if result.tags.rows() != result.plan.tags.rows():
            reason = "some images were already in the project, or were refused"
            self._say(f"tags:     differ from the plan: {reason}")
            print_tag_table(self._options, result.tags)

    def _print_journal(self, error: BaseException | None) -> None:
        """Print the journal, and how to resume if the message that follows does not say so."""
        if self.journal is None or (error is not None and not self._has_journal()):
            return
        is_said = error is None or isinstance(error, (KeyboardInterrupt, OptionError))
        self._say(f"journal:  {self.journal}{'' if is_said else f'. {_RESUME}'}")

    def _say(self, line: str) -> None:
        say(self._options, line, hanging=_HANGING)

    def _write_report(self, result: UploadResult | None, figures: dict[str, Any]) -> int:
        """Write the report if one is wanted, and return the exit status."""
        if self.dataset is None:
            return 0
        more = {"upload": figures}
        if result is None:
            return finish(self._options, self.dataset, more=more)
        return finish(
            self._options,
            self.dataset,
            result.batches,
            findings=result.findings,
            more=more,
            lost=result.lost + result.refused_images,
            result=result,
        )

    def _write_id_files(self, result: UploadResult) -> None:
        """Write the tables of IDs if they are wanted."""
        if self._id_folder is None or result.is_dry_run:
            return
        from regionbatch.customvision.id_tables import tag_ids_of, write_id_files  # noqa: PLC0415

        tags = tag_ids_of(result)
        images = result.image_ids or None
        written = write_id_files(self._id_folder, tags, images, overwrite=True)
        if not self._options.as_json:
            self._say(f"IDs:      {', '.join(map(str, written))}")


_RESUME = "Run the same command again to resume."


def _despite_errors(write: Callable[[], object]) -> None:
    """Write a file after an error; if that fails too, print why: the first error is raised."""
    try:
        write()
    except RegionBatchError as error:
        print_error(error_text(error, click.get_current_context(silent=True)))


def _print_plan(options: DatasetOptions, plan: Plan, near_regions: str) -> None:
    """Print what the upload is going to do."""
    from regionbatch.findings.text import as_text  # noqa: PLC0415 - only when there is work

    names = [as_text(name) for name in plan.new_tags[:_NEW_TAGS_SHOWN]]
    if len(plan.new_tags) > _NEW_TAGS_SHOWN:
        names.append("…")
    tags = counted(len(plan.new_tags), "tag")
    listed = f" ({', '.join(names)})" if names else ""
    images = counted(plan.new_images, "image")
    regions = counted(plan.regions, "region")
    steps = f"create {tags}{listed}, upload {images}, send {regions}"
    if plan.prune:
        steps += f", delete {counted(plan.prune, 'region')}"
    known = f"{plan.already} already in the project"
    if plan.near:
        known += f", {plan.near} nearly equal ({near_regions})"
    hanging = " " * 8
    say(options, f"plan:   {steps}; {known}", hanging=hanging)
    calls = counted(sum(plan.calls.values()), "call")
    seconds = duration(max(1.0, plan.minutes * 60))
    text = f"{calls}, {seconds} at the call rate of {plan.tier}"
    say(options, text, indent=hanging, hanging=hanging)
