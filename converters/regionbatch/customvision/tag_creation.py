"""Create tags. After a failure, the project's tags are read before one is created again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from regionbatch.customvision.rate_limiter import MAX_TRIES
from regionbatch.customvision.regions import ends_run
from regionbatch.errors import ServiceError, TransportError
from regionbatch.names.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regionbatch.customvision.journal import Journal
    from regionbatch.customvision.session import ProjectSession

_CREATE = "CreateTag"


def create_tags(
    session: ProjectSession, journal: Journal, names: Mapping[str, str]
) -> dict[str, str]:
    """Create tags and return their IDs.

    Args:
        session: The project.
        journal: Where the calls are recorded.
        names: The names of the tags, by placeholder ID.

    Returns:
        The ID of each tag, by placeholder ID.
    """
    created = {
        placeholder: _create_tag(session, journal, name) for placeholder, name in names.items()
    }
    return dict(table_of(created, _CREATE))


def _create_tag(session: ProjectSession, journal: Journal, name: str) -> str:
    limiter = session.rate_limiter
    make = partial(session.client.create_tag, session.project_id, name)
    tries = 0
    while True:
        tries += 1
        call = journal.start_call(_CREATE)
        try:
            id_ = limiter.call(_CREATE, make, repeat=False).id
        except ServiceError as error:
            if ends_run(error):
                raise
            may_repeat = isinstance(error, TransportError) and tries < MAX_TRIES
            if isinstance(error, TransportError):
                limiter.wait_out(error, limiter.lookup_delay + limiter.delay(tries))
            id_ = _find_tag(session, name)
            if not (id_ or may_repeat):
                raise
        journal.finish_call(call)
        if id_:
            return id_


def _find_tag(session: ProjectSession, name: str) -> str:
    """Return the ID of a tag; empty: the project does not have it."""
    return next((tag.id for tag in session.tags() if tag.name == name), "")
