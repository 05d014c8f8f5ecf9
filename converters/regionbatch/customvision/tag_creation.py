"""Create tags. After a failure, the project's tags are read before one is created again."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from regionbatch.customvision.delivery import CallOutcome, Delivery, deliver
from regionbatch.errors import ResolveError
from regionbatch.names.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

    from regionbatch.customvision.session import JournaledCall, ProjectSession
    from regionbatch.errors import ServiceError


def create_tags(
    session: ProjectSession, names: Mapping[str, str], created: MutableMapping[str, str]
) -> None:
    """Create tags.

    Args:
        session: The project.
        names: The names of the tags, by placeholder ID.
        created: Gets the ID of each tag, by placeholder ID, as soon as the tag exists.

    Raises:
        ServiceError: A tag cannot be created.
    """
    delivery = _TagDelivery(session)
    for placeholder, name in names.items():
        deliver(session, delivery, [name])
        created[placeholder] = delivery.ids[name]
    created.update(table_of(created, delivery.operation))


class _TagDelivery(Delivery[list[str]]):
    """Creates tags, one per call."""

    operation = "CreateTag"

    def __init__(self, session: ProjectSession) -> None:
        self.ids: dict[str, str] = {}
        """IDs by name of the tags that exist."""
        self._session = session
        self._taken = ""
        """The last name that the service refused, perhaps because a tag has it."""

    def send(self, items: list[str], call: JournaledCall) -> list[str]:
        [name] = items
        create = partial(self._session.client.create_tag, self._session.project_id, name)
        self.ids[name] = self._session.write(call, create).id
        return []

    def look_up(self, items: list[str], *, is_refused: bool) -> list[str]:  # noqa: ARG002
        [name] = items
        ids = {tag.name: tag.id for tag in self._session.tags()}
        if ids.get(name):
            self.ids[name] = ids[name]
            return []
        if name == self._taken:
            _raise_if_similar(name, ids)
        return items

    def outcome_of(self, error: ServiceError, items: list[str]) -> CallOutcome:
        is_unique = "NotUnique" not in error.code
        [name] = items
        if not is_unique and name == self._taken:
            return CallOutcome.REFUSED
        if not is_unique or error.status == HTTPStatus.CONFLICT:
            self._taken = name  # a tag that was just created may be listed late
            return CallOutcome.UNCLEAR
        return super().outcome_of(error, items)

    def fail(self, items: list[str], error: ServiceError) -> None:  # noqa: ARG002
        raise error


def _raise_if_similar(name: str, others: Iterable[str]) -> None:
    """Raise if a tag that was refused differs from another one in case only.

    Raises:
        ResolveError: The service treats both names as the same.
    """
    folded = name.casefold()
    for other in others:
        if other.casefold() == folded:
            raise ResolveError(
                f"tag '{name}': the project has a tag whose name differs in case only: "
                f"'{other}'. Map the class to this tag with `rename`.",
                option="rename",
                value=name,
            )
