"""`regionbatch serve`: the local training service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regionbatch_cli.service import read_key_file

if TYPE_CHECKING:
    from regionbatch.local import LocalService

KEY = "REGIONBATCH_LOCAL_KEY"
"""Not the variable of the real service's key, which has no business here."""


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    metavar="N",
    help="The port on 127.0.0.1; a free one if not given.",
)
@click.option(
    "--database", type=click.Path(dir_okay=False), metavar="FILE", help="Keep everything in this SQLite file."
)
@click.option(
    "--name",
    default="rehearsal",
    show_default=True,
    metavar="NAME",
    help="The project's name; it is made if it is not there.",
)
@click.option(
    "--require-key",
    "key_file",
    type=click.Path(),
    metavar="FILE",
    help=f"File containing the key to require. [default: ${KEY}, or any key]",
)
@click.option("--key", metavar="KEY", hidden=True, help="Require this key. Deprecated: see --require-key.")
@click.option(
    "--tier",
    type=click.Choice(["F0", "S0"]),
    default="S0",
    help="Pricing tier whose limits and call rate apply. [default: S0]",
)
@click.option(
    "--on-existing",
    type=click.Choice(["duplicated", "refuse", "twice"]),
    default="duplicated",
    show_default=True,
    help="What becomes of a region that is there already.",
)
@click.option(
    "--unknown-ids",
    type=click.Choice(["batch", "not-found", "entry"]),
    default="batch",
    show_default=True,
    help="What an unknown image or tag spoils.",
)
@click.option("--partial-status", type=click.Choice(["200", "207"]), help="Answer to batches that went in partly.")
@click.option("--no-retry-after", is_flag=True, help="Name the seconds to wait in the message of a 429 only.")
@click.option("--nulls/--no-nulls", default=True, help="Empty lists of an answer are null, or [].")
@click.option("--quoted-names", is_flag=True, help="Put the names of uploaded pictures in quotes.")
@click.option("--dr-mode", is_flag=True, help="Refuse to write, as during disaster recovery.")
@click.option("--rate", type=click.IntRange(min=1), metavar="N", help="Answer more calls a second with 429.")
@click.option(
    "--latency", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="Let every call take so long."
)
@click.option("--json", "as_json", is_flag=True, help="Print endpoint, key and project as JSON, for programs.")
def serve(
    port: int,
    database: str | None,
    name: str,
    key_file: str | None,
    key: str | None,
    tier: str,
    on_existing: str,
    unknown_ids: str,
    partial_status: str | None,
    no_retry_after: bool,
    nulls: bool,
    quoted_names: bool,
    dr_mode: bool,
    rate: int | None,
    latency: float,
    as_json: bool,
) -> int:
    """Run a local training service with the API of Custom Vision.

    It keeps the rules of Custom Vision and runs until Ctrl-C. What is unknown about the real
    service is an option.

    \b
    Examples:
      regionbatch serve
      regionbatch serve --port 8080 --database local.sqlite
    """
    from regionbatch.local import TIERS, Settings, run_service  # noqa: PLC0415 - an extra

    if key:
        click.echo(f"--key: other users can see it in the list of processes. Use --require-key or {KEY}.", err=True)
    required = read_key_file(key_file, "--require-key") if key_file else key or os.environ.get(KEY) or None
    settings = Settings(
        limits=TIERS[tier],
        on_existing=on_existing,  # type: ignore[arg-type]  # click.Choice has checked it
        unknown_ids=unknown_ids,  # type: ignore[arg-type]
        partial_status=int(partial_status) if partial_status else None,  # type: ignore[arg-type]
        retry_after=not no_retry_after,
        nulls=nulls,
        quoted_names=quoted_names,
        dr_mode=dr_mode,
        rate=rate,
        latency=latency,
        key=required,
    )

    def ready(service: LocalService) -> None:
        id_ = service.project(name)
        if as_json:
            from regionbatch_cli.shared import print_json  # noqa: PLC0415 - only here

            print_json({"endpoint": service.endpoint, "key": service.key, "project": id_})
            return
        click.echo(f"serving on {service.endpoint}; Ctrl-C ends it")
        shown = "…" if required else service.key
        click.echo(f"  VISION_TRAINING_ENDPOINT={service.endpoint} VISION_TRAINING_KEY={shown} \\")
        click.echo(f"  regionbatch upload DATASET --create-tags --project {id_}")

    run_service(settings, database=Path(database) if database else None, port=port, ready=ready)
    return 0
