"""What several operations share: the project of a call, the status, and the order of lists."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from regionbatch.local import contract
from regionbatch.local.rules import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.local.calls import Call
    from regionbatch.local.settings import Settings
    from regionbatch.local.store import ProjectRow, Store

T = TypeVar("T")
DOMAINS = {domain.id: domain for domain in contract.DOMAINS}


class SharedOperations:
    """Base class of the operations."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Seed the order of lists in responses."""
        self.store = store
        self.readable = store.delayed(settings.read_lag)
        """What calls that read can see."""
        self.listed = store.delayed(settings.lag_of_listings)
        """What listings and counts can see."""
        self.usable = store.delayed(settings.id_lag)
        """The images and tags that CreateImageRegions knows."""
        self.settings = settings
        self.order = random.Random(settings.seed)  # noqa: S311 - not a secret

    def _project_of(self, call: Call) -> ProjectRow:
        """Return the project in the path."""
        project = call.path_id("projectId", "NotFoundProject")
        rows = self.store.projects(project)
        if not rows:
            raise RefusedError(404, "NotFoundProject", f"There is no project {project}")
        if call.ids("iterationId", 1):  # nothing is ever trained
            raise RefusedError(404, "NotFoundIteration", "The project has no iterations")
        return rows[0]

    def _writable_project_of(self, call: Call) -> ProjectRow:
        """Return the project in the path, unless it is read-only."""
        row = self._project_of(call)
        if self.settings.dr_mode:
            raise RefusedError(
                403,
                "ForbiddenDRModeEnabled",
                "The project is read-only while disaster recovery is on",
            )
        return row

    def _status(self, call: Call, *, complete: bool) -> int:
        """Return the status of a batch."""
        if complete:
            return 200
        documented = 200 if call.version == "v3.2" else 207
        return self.settings.partial_status or documented

    def _shuffled(self, rows: Sequence[T]) -> list[T]:
        """Return a list in random order, as Microsoft's description allows."""
        return self.order.sample(rows, len(rows))

    def _nullable(self, rows: Sequence[T]) -> list[T] | None:
        """Return a list, or null if it is empty and `Settings.nulls` says so."""
        return None if not rows and self.settings.nulls else list(rows)


def every_second(rows: Sequence[T]) -> list[T]:
    """Return every second row (of a single row, none), as a service that loses entries would."""
    return list(rows[1::2])
