"""`regionbatch serve`: run the local training service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionbatch_cli.command_help import OUTPUT, SERVICE, GroupedCommand, option, verbose_option
from regionbatch_cli.options import tier_option
from regionbatch_cli.serve_options import behaviour_options
from regionbatch_cli.service import checked_key, key_in_environment, read_key_file

if TYPE_CHECKING:
    from regionbatch.local import Fault, LocalService

KEY = "REGIONBATCH_LOCAL_KEY"
"""Environment variable of the key. That of the real service's key is not read."""


@click.command(
    cls=GroupedCommand,
    examples=(
        "regionbatch serve",
        "regionbatch serve --port 8080 --database local.sqlite",
        "regionbatch serve --read-lag 6 --fault 504-late --fault throttled",
    ),
)
@option(
    SERVICE,
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    metavar="N",
    default_text="a free port",
    help="Port on 127.0.0.1.",
)
@option(
    SERVICE,
    "--database",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    default_text="in memory",
    help="SQLite file that stores projects, images and regions.",
)
@option(
    SERVICE,
    "--name",
    default="rehearsal",
    metavar="NAME",
    help="Name of the project; it is created if it does not exist.",
)
@option(
    SERVICE,
    "--require-key",
    "key_file",
    type=click.Path(),
    metavar="FILE",
    default_text=f"${KEY}, or any key",
    help="File containing the key to require.",
)
@option(
    SERVICE,
    "--key",
    metavar="KEY",
    hidden=True,
    help="Require this key. Deprecated: use --require-key.",
)
@tier_option
@behaviour_options
@option(
    OUTPUT,
    "--json",
    "as_json",
    is_flag=True,
    help="Print the endpoint, the key and the project as JSON.",
)
@verbose_option
def serve(
    port: int,
    database: str | None,
    name: str,
    key_file: str | None,
    key: str | None,
    tier: str,
    as_json: bool,
    fault: tuple[Fault, ...],
    fault_rate: float,
    late: float,
    seed: int,
    verbose: bool,  # noqa: ARG001 - read where an error is printed
    **behaviour: Any,  # noqa: ANN401 - checked by click
) -> int:
    """Run a local training service with the API of Custom Vision.

    It applies the rules of Custom Vision and runs until Ctrl-C. By default, it responds
    as the real service did in recordings. Behaviour that Microsoft does not document can be
    configured, and calls can be made to fail.
    """
    from regionbatch.local import TIERS, Faults, Settings, run_service  # noqa: PLC0415 - an extra

    required_key = _required_key(key, key_file)
    partial_status = behaviour.pop("partial_status")
    settings = Settings(
        limits=TIERS[tier],
        key=required_key,
        retry_after=not behaviour.pop("no_retry_after"),
        partial_status=int(partial_status) if partial_status else None,  # type: ignore[arg-type]
        seed=seed,
        **behaviour,
    )
    faults = Faults(rate=fault_rate if fault else 0, kinds=fault, late=late, seed=seed)

    def print_address(service: LocalService) -> None:
        _print_address(service, service.project(name), required_key, as_json=as_json)

    path = Path(database) if database else None
    run_service(settings, faults=faults, database=path, port=port, ready=print_address)
    return 0


def _print_address(
    service: LocalService, project_id: str, required_key: str | None, *, as_json: bool
) -> None:
    """Print how to reach the service; a required key is not printed, except as JSON."""
    if as_json:
        from regionbatch_cli.printing import print_json  # noqa: PLC0415 - only here

        print_json({"endpoint": service.endpoint, "key": service.key, "project": project_id})
        return
    shown_key = "…" if required_key else service.key
    click.echo(f"Serving on {service.endpoint}. Press Ctrl-C to stop. Upload with:")
    click.echo(f"  VISION_TRAINING_ENDPOINT={service.endpoint} VISION_TRAINING_KEY={shown_key} \\")
    click.echo(f"  regionbatch upload DATASET --create-tags --project-id {project_id}")


def _required_key(key: str | None, key_file: str | None) -> str | None:
    """Return the key that the service requires; None: it accepts any."""
    if key is not None:
        if not key:
            raise click.UsageError("--key: empty. Give a key, or leave out --key.")
        from regionbatch_cli.printing import print_warning  # noqa: PLC0415 - only here

        print_warning(
            "--key: other users can see the key in the list of processes. "
            f"Use --require-key or {KEY}."
        )
    if key_file:
        return read_key_file(key_file, "--require-key")
    if key:
        return checked_key(key, "--key")
    return key_in_environment(KEY) or None
