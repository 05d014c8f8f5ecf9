"""`regionbatch upload`: a dataset to a project of Custom Vision, or of the local service."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from regionbatch_cli.help_groups import UPLOAD, option
from regionbatch_cli.reader_options import DatasetCommand
from regionbatch_cli.service import Service, service_options
from regionbatch_cli.shared import (
    Common,
    dataset_options,
    finish,
    print_account,
    print_findings,
    print_json,
    progress_bar,
    read,
    say,
    skip_option,
)

if TYPE_CHECKING:
    from regionbatch.customvision.plan import Plan
    from regionbatch.customvision.upload import UploadResult

STOPPED = 130
_SHOWN = 10


@click.command(cls=DatasetCommand)
@option(
    UPLOAD,
    "--local",
    is_flag=True,
    help="Upload to a temporary training service on this machine; no account.",
)
@option(UPLOAD, "--create-tags", is_flag=True, help="Create the tags that the project lacks.")
@skip_option
@option(
    UPLOAD,
    "--shrink",
    is_flag=True,
    help="Re-encode images that are too large or in another format.",
)
@option(UPLOAD, "--dry-run", is_flag=True, help="Print what would be done, without doing it.")
@service_options
@dataset_options
def upload(
    common: Common,
    service: Service,
    mapped: tuple[str, ...],
    map_file: str | None,
    images: str | None,
    journal: str | None,
    tier: str,
    local: bool,
    create_tags: bool,
    skip_unresolved: bool,
    shrink: bool,
    dry_run: bool,
) -> int:
    """Upload a dataset to a Custom Vision project, then verify it.

    Uploads images, tags and regions. Nothing is sent twice: a journal records what was done, so
    that the same command resumes a run that was stopped. The key is read from VISION_TRAINING_KEY,
    --key-file or a prompt; --entra needs none.

    \b
    Examples:
      regionbatch upload mydata --local
      regionbatch upload mydata --project ID --create-tags --dry-run
      regionbatch upload mydata --project ID --create-tags --map cat=feline
    """
    from regionbatch.customvision.upload import upload as upload_dataset  # noqa: PLC0415 - only when there is work
    from regionbatch.renaming import read_renames  # noqa: PLC0415

    rename = read_renames(mapped, map_file)
    with ExitStack() as stack:
        more: dict[str, Any] = {}
        if local:
            _refuse_with_local()
            client, project, more["pace"] = _rehearsal(stack, tier, service.api_version)
        else:
            client, project = service.connect()
        stack.enter_context(client)
        where = journal or (None if local else service.journal_of(common))
        bar = stack.enter_context(progress_bar(common))
        dataset = read(common, bar, rename)

        def tell(plan: Plan) -> None:
            if common.as_json:
                return
            with bar.hidden() if bar else nullcontext():
                print_account(common, plan.batches.ledger, plan.all_findings)
                _print_plan(common, plan)

        def warn(line: str) -> None:
            if bar:
                bar.say(line)
            else:
                say(common, line, err=True)

        try:
            result = upload_dataset(
                dataset,
                client,
                project,
                create_tags=create_tags or local,
                image_ids=images,
                rename=rename,
                skip_unresolved=skip_unresolved,
                journal=where,
                tier=tier,
                shrink=shrink,
                dry_run=dry_run,
                strict=common.strict,
                progress=bar,
                planned=tell,
                notice=warn,
                **more,
            )
        except KeyboardInterrupt:
            stack.close()  # or the bar would wipe the next line out
            click.echo(f"\nStopped. {_resume(where)}", err=True)
            return STOPPED
    told = result.summary()
    if common.as_json:
        from regionbatch.report import summary  # noqa: PLC0415 - as above

        print_json({**summary(dataset, result.batches), **told, "findings": result.findings.counts()})
    else:
        _print(common, result, where)
    lost = result.lost + result.refused_images
    return finish(common, dataset, result.batches, findings=result.findings, more={"upload": told}, lost=lost)


def _refuse_with_local() -> None:
    """Refuse options that a rehearsal would ignore; what the environment says does not count."""
    source = click.get_current_context().get_parameter_source
    names = ("project", "journal", "endpoint", "key_file", "entra")
    given = [f"--{name.replace('_', '-')}" for name in names if source(name) is ParameterSource.COMMANDLINE]
    if given:
        raise click.UsageError(f"--local makes a project that ends with the run: do without {' and '.join(given)}.")


def _rehearsal(stack: ExitStack, tier: str, version: str) -> tuple[Any, str, Any]:
    """A client of a service that lives as long as the run, a project on it, and a rate without limit."""
    from regionbatch.customvision.client import TrainingClient  # noqa: PLC0415 - as above
    from regionbatch.customvision.rate import Pace  # noqa: PLC0415
    from regionbatch.local import TIERS, LocalService, Settings  # noqa: PLC0415

    local = stack.enter_context(LocalService(Settings(limits=TIERS[tier])))
    return (
        TrainingClient(local.endpoint, local.key, version=version),
        local.create_project("rehearsal"),
        Pace(float("inf")),
    )


def _resume(journal: str | Path | None) -> str:
    if journal is None or not Path(journal).exists():
        return "Nothing was written."
    return f"Nothing was lost: {journal} remembers what was sent. Run the same command again to go on."


def _print(common: Common, result: UploadResult, journal: str | Path | None) -> None:
    print_findings(common, result.findings, told=result.plan.all_findings.counts())
    if result.verification is None:
        say(common, "nothing was written (--dry-run)")
        return
    say(
        common,
        f"sent:   {result.sent} regions = {result.created} created + {result.duplicated} duplicated "
        f"+ {result.exceeded} exceeded + {result.failed} failed; {result.already} were there already",
    )
    say(common, f"proof:  {result.verification}")
    if journal is not None:
        say(common, f"journal: {journal}")


def _print_plan(common: Common, plan: Plan) -> None:
    from regionbatch.findings import as_text  # noqa: PLC0415 - as above

    named = [*map(as_text, plan.new_tags[:_SHOWN]), *(["…"] if len(plan.new_tags) > _SHOWN else [])]
    tags = f"{len(plan.new_tags)} tags" + (f" ({', '.join(named)})" if named else "")
    say(common, f"plan:   {tags} to create, {plan.new_images} pictures to upload, {plan.regions} regions to send")
    say(
        common,
        f"        {sum(plan.calls.values())} calls, {plan.minutes:.1f} minutes at the rate of {plan.tier}; "
        f"{plan.already} regions are there already",
    )
