"""`regionbatch projects`: list the projects of a training resource."""

from __future__ import annotations

from contextlib import ExitStack

import click

from regionbatch_cli.command_help import OUTPUT, SERVICE, GroupedCommand, option, verbose_option
from regionbatch_cli.progress import progress_display, show_start
from regionbatch_cli.service import ServiceOptions, connection_options


@click.command(
    cls=GroupedCommand,
    examples=(
        "regionbatch projects",
        "regionbatch projects --project-id traffic --json",
    ),
)
@connection_options
@option(
    SERVICE,
    "--no-regions",
    is_flag=True,
    help="Do not count regions: counting takes one call per 256 images.",
)
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print the list as JSON.")
@verbose_option
def projects(
    service: ServiceOptions,
    no_regions: bool,
    as_json: bool,
    verbose: bool,  # noqa: ARG001 - read where an error is printed
) -> int:
    """List the projects of a training resource, with their IDs.

    Shows the domain, the type and the status of each project, and how many tags, images and
    regions it has. With --project-id, shows only this project.
    """
    from regionbatch.customvision.projects import list_projects  # noqa: PLC0415 - slow

    project_id = None
    with progress_display(quiet=False) as progress, ExitStack() as stack:
        if service.project_id is None:
            client, rate_limiter = service.client(progress)
        else:
            client, project_id, rate_limiter = service.connect(progress)
        stack.enter_context(client)
        show_start(progress, "reading projects")
        found = list_projects(
            client,
            rate_limiter,
            project_id=project_id,
            count_regions=not no_regions,
            progress=progress,
        )
    if as_json:
        from regionbatch_cli.printing import print_json  # noqa: PLC0415 - only here

        print_json({"projects": [project.summary() for project in found]})
    elif found:
        from regionbatch_cli.tables import print_projects  # noqa: PLC0415 - NumPy

        print_projects(found)
    else:
        click.echo("The resource has no projects.")
    return 0
