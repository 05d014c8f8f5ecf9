"""Find a project by its ID or its name, and list the projects of a resource."""

from __future__ import annotations

import difflib
import string
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from regionbatch.customvision.session import ProjectSession
from regionbatch.errors import OptionError
from regionbatch.findings.text import escape_unprintable, quoted
from regionbatch.names.uuids import as_uuid, checked_project
from regionbatch.wording import listed, quoted_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.rate_limiter import RateLimiter
    from regionbatch.customvision.service_types import ServiceDomain, ServiceProject
    from regionbatch.findings import Progress

OBJECT_DETECTION = "ObjectDetection"
"""The type of the domains whose projects have regions."""
_FEWEST_DIGITS = 16
_MOST_OTHERS = 4
"""A text is a damaged ID if it has at least `_FEWEST_DIGITS` hexadecimal digits and at most
`_MOST_OTHERS` characters other than these, hyphens and braces."""
_SIMILAR = 0.6
_LONGEST_SHOWN = 60


def find_project(client: TrainingClient, project: str, rate_limiter: RateLimiter) -> str:
    """Return the ID of a project; a name is looked up with one call, an ID with none.

    Args:
        client: The training resource.
        project: The ID of the project, or its exact name.
        rate_limiter: Decides when the call is made.

    Raises:
        OptionError: It is a damaged ID, or no project has this name, or several have it.
        ServiceError: The projects cannot be listed.
    """
    if not isinstance(project, str) or not is_name(project):
        return checked_project(project)
    found = rate_limiter.call("GetProjects", client.projects, repeat=True)
    ids = sorted(row.id.lower() for row in found if row.name == project)
    if len(ids) == 1:
        return ids[0]
    shown = quoted(escape_unprintable(project[:_LONGEST_SHOWN]))
    if ids:
        raise OptionError(
            f"project_id: {len(ids)} projects have the name {shown}: {listed(ids)}. "
            "Use the ID of one of them.",
            option="project_id",
            value=project,
            choices=ids,
        )
    names = sorted({row.name for row in found})
    raise OptionError(
        f"project_id: the resource has no project with this name: {shown}. "
        f"{_advice(project, names)}",
        option="project_id",
        value=project,
        choices=names,
    )


def is_name(project: str) -> bool:
    """Return whether a text is the name of a project, not an ID or a damaged one.

    >>> is_name("traffic"), is_name("20241129"), is_name("12345678-1234-5678-1234-56781234567")
    (True, True, False)
    """
    if as_uuid(project) or not project.strip() or "://" in project:
        return False
    digits = sum(character in string.hexdigits for character in project)
    others = sum(character not in f"{string.hexdigits}-{{}} " for character in project)
    return digits < _FEWEST_DIGITS or others > _MOST_OTHERS


@dataclass(frozen=True, kw_only=True)
class ProjectFigures:
    """A project and what it contains."""

    name: str
    id: str
    domain: str
    """The name of its domain."""
    type: str
    """`ObjectDetection` or `Classification`."""
    status: str
    """As the service reports it, such as `Succeeded`; `read-only` during disaster recovery."""
    tags: int
    images: int
    regions: int | None
    """None: not counted."""

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain values, ready for JSON."""
        return asdict(self)


def list_projects(
    client: TrainingClient,
    rate_limiter: RateLimiter,
    *,
    project_id: str | None = None,
    count_regions: bool = True,
    progress: Progress | None = None,
) -> list[ProjectFigures]:
    """Return the projects of a resource, sorted by name, with what each contains.

    Args:
        client: The training resource.
        rate_limiter: Decides when calls are made.
        project_id: The only project to return; None: all.
        count_regions: Whether to count regions, which takes a call per 256 images with regions.
        progress: Called after each project.

    Raises:
        ServiceError: A project cannot be read.
    """
    if project_id is None:
        projects = rate_limiter.call("GetProjects", client.projects, repeat=True)
    else:
        projects = [ProjectSession(client, project_id, rate_limiter).project()]
    domains = {row.id.lower(): row for row in _domains(client, rate_limiter)}
    figures = []
    for done, project in enumerate(projects, 1):
        domain = domains.get(project.settings.domain_id.lower() if project.settings else "")
        session = ProjectSession(client, project.id, rate_limiter)
        has_regions = domain is None or domain.type == OBJECT_DETECTION
        figures.append(
            ProjectFigures(
                name=project.name,
                id=project.id.lower(),
                domain=domain.name if domain else "",
                type=domain.type if domain else "",
                status=_status(project),
                tags=len(session.tags()),
                images=_count_images(session),
                regions=_count_regions(session) if count_regions and has_regions else None,
            )
        )
        if progress:
            progress("reading projects", done, len(projects))
    return sorted(figures, key=lambda row: (row.name.casefold(), row.name, row.id))


def _domains(client: TrainingClient, rate_limiter: RateLimiter) -> Iterable[ServiceDomain]:
    return rate_limiter.call("GetDomains", client.domains, repeat=True)


def _status(project: ServiceProject) -> str:
    status = project.status or ""
    read_only = "read-only" if project.dr_mode_enabled else ""
    return ", ".join(filter(None, [status, read_only]))


def _count_images(session: ProjectSession) -> int:
    count = 0
    for operation, make in (
        ("GetTaggedImageCount", session.client.tagged_image_count),
        ("GetUntaggedImageCount", session.client.untagged_image_count),
    ):
        count += session.rate_limiter.call(
            operation, partial(make, session.project_id), repeat=True
        )
    return count


def _count_regions(session: ProjectSession) -> int:
    from regionbatch.customvision.snapshot import read_project  # noqa: PLC0415 - NumPy

    return len(read_project(session, untagged=False).regions.image)


def _advice(project: str, names: Sequence[str]) -> str:
    """Return what to do about an unknown name: similar names, or else the known ones."""
    if not names:
        return "It has no projects. Check that the endpoint is that of the training resource."
    by_folded = {name.casefold().strip(): name for name in names}
    similar = difflib.get_close_matches(project.casefold().strip(), by_folded, cutoff=_SIMILAR)
    if similar:
        return f"Similar names: {quoted_names(by_folded[name] for name in similar)}."
    return f"Choose one of: {quoted_names(names)}."
