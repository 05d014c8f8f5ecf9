"""`regionbatch upload`: send a dataset to a project of Custom Vision, or of the local service."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from regionbatch.wording import counted
from regionbatch_cli.command_help import UPLOAD, option
from regionbatch_cli.failures import STOPPED
from regionbatch_cli.options import DatasetOptions, dataset_options, skip_unresolved_option
from regionbatch_cli.printing import print_account, print_findings, print_json, say
from regionbatch_cli.progress import duration, progress_display
from regionbatch_cli.reader_options import DatasetCommand
from regionbatch_cli.reading import finish, read_dataset
from regionbatch_cli.service import ServiceOptions, service_options
from regionbatch_cli.wording import flags_by_keyword, in_command_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regionbatch.customvision.plan import Plan
    from regionbatch.customvision.upload import UploadResult
    from regionbatch.dataset import Dataset
    from regionbatch_cli.progress import ProgressDisplay

_NEW_TAGS_SHOWN = 10


@click.command(
    cls=DatasetCommand,
    examples=(
        "regionbatch upload mydata --local",
        "regionbatch upload mydata --project-id ID --create-tags --dry-run",
        "regionbatch upload mydata --project-id ID --create-tags --rename cat=feline",
    ),
)
@option(
    UPLOAD,
    "--local",
    is_flag=True,
    help="Upload to a temporary service on this machine instead; needs no account.",
)
@option(UPLOAD, "--create-tags", is_flag=True, help="Create tags that the project lacks.")
@skip_unresolved_option
@option(
    UPLOAD,
    "--shrink",
    is_flag=True,
    help="Re-encode images that are too large or in an unsupported format.",
)
@option(UPLOAD, "--dry-run", is_flag=True, help="Print the plan without writing anything.")
@service_options
@dataset_options
def upload(
    options: DatasetOptions,
    service: ServiceOptions,
    rename: tuple[str, ...],
    rename_file: str | None,
    image_ids: str | None,
    journal: str | None,
    tier: str,
    local: bool,
    **upload_options: bool,
) -> int:
    """Upload a dataset to a Custom Vision project, then verify it.

    Uploads images, tags and regions. Progress is kept in a journal; run the same command again to
    resume. Nothing is sent twice. The key is read from VISION_TRAINING_KEY, --key-file or a
    prompt; with --entra no key is needed.
    """
    from regionbatch.names.renames import read_renames  # noqa: PLC0415 - only when there is work

    renames = read_renames(rename, rename_file)
    with ExitStack() as stack:
        arguments: dict[str, Any] = {
            **upload_options,
            "image_ids": image_ids,
            "rename": renames,
            "tier": tier,
            "strict": options.strict,
        }
        if local:
            _check_local_options()
            client, project_id, arguments["rate_limiter"] = _local_project(
                stack, tier, service.api_version
            )
            arguments["create_tags"] = True
        else:
            client, project_id = service.connect()
        stack.enter_context(client)
        arguments["journal"] = journal or (None if local else service.default_journal(options))
        display = stack.enter_context(progress_display(quiet=options.quiet))
        dataset = read_dataset(options, display, renames)
        try:
            result = _upload(options, dataset, client, project_id, display, arguments)
        except KeyboardInterrupt:
            stack.close()  # or the bar would erase the next line
            click.echo(f"\nStopped. {_how_to_resume(arguments['journal'])}", err=True)
            return STOPPED
    return _finish(options, dataset, result, arguments["journal"])


def _upload(
    options: DatasetOptions,
    dataset: Dataset,
    client: Any,  # noqa: ANN401 - a TrainingClient, which is imported only when there is work
    project_id: str,
    display: ProgressDisplay | None,
    arguments: Mapping[str, Any],
) -> UploadResult:
    """Upload; print the plan before the first change, and why the upload waits."""
    from regionbatch.customvision.upload import upload as upload_dataset  # noqa: PLC0415 - slow

    flags = flags_by_keyword()  # here, because notices come from other threads

    def print_notice(line: str) -> None:
        if display:
            display.say(in_command_words(line, flags))

    def print_plan(plan: Plan) -> None:
        if options.as_json:
            return
        with display.hidden() if display else nullcontext():
            print_account(options, plan.batches.ledger, plan.all_findings)
            _print_plan(options, plan)

    return upload_dataset(
        dataset,
        client,
        project_id,
        progress=display,
        planned=print_plan,
        notice=print_notice,
        **arguments,
    )


def _finish(
    options: DatasetOptions, dataset: Dataset, result: UploadResult, journal: str | Path | None
) -> int:
    """Print the result and return the exit status."""
    figures = result.summary()
    if options.as_json:
        from regionbatch.report import summary  # noqa: PLC0415 - NumPy: only when there is work

        content = {**summary(dataset, result.batches), **figures}
        print_json({**content, "findings": result.findings.counts()})
    else:
        _print_result(options, result, journal)
    return finish(
        options,
        dataset,
        result.batches,
        findings=result.findings,
        more={"upload": figures},
        lost=result.lost + result.refused_images,
    )


def _check_local_options() -> None:
    """Refuse options that have no meaning with --local; environment variables are ignored.

    Raises:
        click.UsageError: There is such an option on the command line.
    """
    source = click.get_current_context().get_parameter_source
    names = ("project_id", "journal", "endpoint", "key_file", "entra")
    given = [name for name in names if source(name) is ParameterSource.COMMANDLINE]
    if given:
        flags = [f"--{name.replace('_', '-')}" for name in given]
        raise click.UsageError(
            f"--local uses a temporary project and cannot be combined with {' or '.join(flags)}."
        )


def _local_project(stack: ExitStack, tier: str, version: str) -> tuple[Any, str, Any]:
    """Start a local service; return a client, a project on it, and a rate limiter without limit."""
    from regionbatch.customvision.client import TrainingClient  # noqa: PLC0415 - slow
    from regionbatch.customvision.rate_limiter import RateLimiter  # noqa: PLC0415
    from regionbatch.local import TIERS, LocalService, Settings  # noqa: PLC0415

    local = stack.enter_context(LocalService(Settings(limits=TIERS[tier])))
    client = TrainingClient(local.endpoint, local.key, version=version)
    return client, local.create_project("rehearsal"), RateLimiter(float("inf"))


def _how_to_resume(journal: str | Path | None) -> str:
    if journal is None or not Path(journal).exists():
        return "Nothing was written."
    return f"Progress is kept in {journal}. Run the same command again to resume."


def _print_result(
    options: DatasetOptions, result: UploadResult, journal: str | Path | None
) -> None:
    """Print what was sent and verified."""
    print_findings(options, result.findings, printed=result.plan.all_findings.counts())
    if result.verification is None:
        say(options, "Nothing was written (--dry-run).")
        return
    sent = (
        f"{counted(result.sent, 'region')} = {result.created} created "
        f"+ {result.duplicated} duplicated + {result.exceeded} exceeded + {result.failed} failed"
    )
    hanging = " " * 10
    say(options, f"sent:     {sent}; {result.already} already in the project", hanging=hanging)
    say(options, f"verified: {result.verification}", hanging=hanging)
    if journal is not None:
        say(options, f"journal:  {journal}", hanging=hanging)


def _print_plan(options: DatasetOptions, plan: Plan) -> None:
    """Print what the upload is going to do."""
    from regionbatch.findings.text import as_text  # noqa: PLC0415 - only when there is work

    names = [as_text(name) for name in plan.new_tags[:_NEW_TAGS_SHOWN]]
    if len(plan.new_tags) > _NEW_TAGS_SHOWN:
        names.append("…")
    tags = counted(len(plan.new_tags), "tag")
    listed = f" ({', '.join(names)})" if names else ""
    images = counted(plan.new_images, "image")
    regions = counted(plan.regions, "region")
    hanging = " " * 8
    say(
        options,
        f"plan:   create {tags}{listed}, upload {images}, send {regions}; "
        f"{plan.already} already in the project",
        hanging=hanging,
    )
    calls = sum(plan.calls.values())
    say(
        options,
        f"{calls} calls, {duration(max(1.0, plan.minutes * 60))} at the call rate of {plan.tier}",
        indent=hanging,
        hanging=hanging,
    )
