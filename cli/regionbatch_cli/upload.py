"""`regionbatch upload`: send a dataset to a project of Custom Vision, or of the local service."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from regionbatch_cli.command_help import OUTPUT, UPLOAD, option
from regionbatch_cli.options import DatasetOptions, dataset_options, skip_unresolved_option
from regionbatch_cli.process_end import STOPPED
from regionbatch_cli.progress import notice_printer, progress_display, show_start
from regionbatch_cli.reader_options import DatasetCommand
from regionbatch_cli.reading import read_dataset
from regionbatch_cli.service import ServiceOptions, default_journal, service_options
from regionbatch_cli.upload_account import UploadAccount
from regionbatch_cli.wording import flags_by_keyword

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regionbatch.customvision.upload import UploadResult
    from regionbatch.dataset import Dataset
    from regionbatch_cli.progress import ProgressDisplay

_PARTIAL = ("only", "drop", "max_clip", "split", "coco_json", "skip_unresolved")
"""Options that leave a part of the dataset out, which --prune would take for deleted."""


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
@option(
    UPLOAD,
    "--by-url",
    is_flag=True,
    help="Let Custom Vision fetch the images from cloud storage through signed URLs.",
)
@option(UPLOAD, "--dry-run", is_flag=True, help="Print the plan without writing anything.")
@option(
    UPLOAD,
    "--existing",
    type=click.Choice(["skip", "add"]),
    default_text="an error",
    help="What to do with a region that is nearly equal to one in the project.",
)
@option(
    UPLOAD,
    "--prune",
    is_flag=True,
    help="Delete regions that the dataset does not have, but only on images of the dataset.",
)
@option(
    UPLOAD,
    "--prune-limit",
    metavar="N|N%|all",
    default_text="10%",
    help="Maximum number of regions to delete, or percentage of those on the dataset's images.",
)
@option(
    UPLOAD,
    "--store-names",
    is_flag=True,
    help="Store image names in the project. Needs --api-version 3.3, and sends one image per call.",
)
@option(
    OUTPUT,
    "--save-ids",
    type=click.Path(),
    metavar="DIR",
    help="Write the IDs as tags.json and images.json to this folder.",
)
@service_options
@dataset_options
def upload(
    options: DatasetOptions,
    service: ServiceOptions,
    journal: str | None,
    local: bool,
    save_ids: str | None,
    **upload_options: Any,  # noqa: ANN401 - checked by click
) -> int:
    """Upload a dataset to a Custom Vision project, then verify it.

    Uploads images, tags and regions. Progress is kept in a journal; run the same command again to
    resume. Nothing is stored twice. The key is read from VISION_TRAINING_KEY, --key-file or a
    prompt; with --entra no key is needed.
    """
    _check_options(options, service, upload_options)
    if local:
        _check_local_options()
    near_regions = "skipped"
    if upload_options["existing"] != "skip":
        near_regions = "replaced" if upload_options["prune"] else "sent too"
    account = UploadAccount(options, save_ids, near_regions=near_regions)
    try:
        with ExitStack() as stack:
            result = _run(stack, options, service, account, journal, upload_options, local=local)
    except KeyboardInterrupt as error:
        account.print_early_end(error)
        account.print_stop()
        return STOPPED
    except Exception as error:
        account.print_early_end(error)
        raise
    return account.print_end(result)


def _run(
    stack: ExitStack,
    options: DatasetOptions,
    service: ServiceOptions,
    account: UploadAccount,
    journal: str | None,
    upload_options: dict[str, Any],
    *,
    local: bool,
) -> UploadResult:
    """Read the dataset and upload it; `account` receives what is known so far."""
    from regionbatch.names.renames import read_renames  # noqa: PLC0415 - only when there is work

    account.check_id_files()
    rename = read_renames(upload_options.pop("rename"), upload_options.pop("rename_file"))
    arguments = {name: value for name, value in upload_options.items() if value is not None}
    arguments |= {"rename": rename, "tier": service.tier, "strict": options.strict}
    display = stack.enter_context(progress_display(quiet=options.quiet))
    account.display = display
    if local:
        client, project_id, rate_limiter = _local_project(stack, service)
        arguments |= {"create_tags": True, "rate_limiter": rate_limiter}
    else:
        client, project_id, rate_limiter = service.connect(display)
        account.journal = journal or default_journal(options.dataset, options.reader, project_id)
        if rate_limiter.calls:  # the name of the project was looked up, which counts too
            arguments["rate_limiter"] = rate_limiter
    stack.enter_context(client)
    account.dataset = read_dataset(options, display, rename)
    return _upload(account, account.dataset, client, project_id, display, arguments)


def _upload(
    account: UploadAccount,
    dataset: Dataset,
    client: Any,  # noqa: ANN401 - a TrainingClient, which is imported only when there is work
    project_id: str,
    display: ProgressDisplay | None,
    arguments: Mapping[str, Any],
) -> UploadResult:
    """Upload; print the plan before the first change, and why the upload waits."""
    from regionbatch.customvision.upload import upload as upload_dataset  # noqa: PLC0415 - slow

    show_start(display, "reading the project")
    return upload_dataset(
        dataset,
        client,
        project_id,
        journal=account.journal,
        progress=display,
        planned=account.print_plan,
        notice=notice_printer(display),
        unfinished=account.set_unfinished,
        **arguments,
    )


def _check_options(
    options: DatasetOptions, service: ServiceOptions, given: Mapping[str, Any]
) -> None:
    """Refuse options that exclude each other, before any call.

    Raises:
        click.UsageError: There are such options on the command line.
        OptionError: --prune-limit has a wrong value.
    """
    if given["prune_limit"] is not None:
        from regionbatch.customvision.prune import checked_prune_limit  # noqa: PLC0415 - NumPy

        checked_prune_limit(given["prune_limit"])
        if not given["prune"]:
            raise click.UsageError("--prune-limit: needs --prune. Add --prune.")
    if given["by_url"] and given["shrink"]:
        raise click.UsageError(
            "--by-url: the images are not read on this machine, so they cannot be re-encoded. "
            "Use only one of --by-url and --shrink."
        )
    if given["store_names"] and service.api_version == "3.2":
        raise click.UsageError(
            "--store-names: version 3.2 of the API stores no names. Add --api-version 3.3."
        )
    if not given["prune"]:
        return
    of_readers = {*options.reader, *(text.partition("=")[0] for text in options.option)}
    values = {**dict.fromkeys(of_readers, True), **given}
    partial = [name for name in _PARTIAL if values.get(name) or getattr(options, name, None)]
    if partial:
        flags = flags_by_keyword()
        names = " and ".join(flags.get(name, name) for name in partial)
        raise click.UsageError(
            f"--prune: boxes left out with {names} would look deleted. Remove --prune, or {names}."
        )


def _check_local_options() -> None:
    """Refuse options that have no meaning with --local; environment variables are ignored.

    Raises:
        click.UsageError: There is such an option on the command line.
    """
    source = click.get_current_context().get_parameter_source
    names = ("project_id", "journal", "endpoint", "key_file", "entra", "save_ids")
    given = [name for name in names if source(name) is ParameterSource.COMMANDLINE]
    if given:
        flags = [f"--{name.replace('_', '-')}" for name in given]
        raise click.UsageError(
            f"--local: uses a temporary project. Leave out {' and '.join(flags)}, or --local."
        )


def _local_project(stack: ExitStack, service: ServiceOptions) -> tuple[Any, str, Any]:
    """Start a local service; return a client, a project on it, and a rate limiter without limit."""
    from regionbatch.customvision.client import TrainingClient  # noqa: PLC0415 - slow
    from regionbatch.customvision.rate_limiter import RateLimiter  # noqa: PLC0415
    from regionbatch.local import TIERS, LocalService, Settings  # noqa: PLC0415

    local = stack.enter_context(LocalService(Settings(limits=TIERS[service.tier])))
    client = TrainingClient(local.endpoint, local.key, version=service.api_version)
    return client, local.create_project("rehearsal"), RateLimiter(float("inf"))
