"""A call and its result, independent of HTTP. Reads and checks the parameters of a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.local.rules import MAX_INT32, RefusedError
from regionbatch.names.uuids import as_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regionbatch.local.faults import Fault
    from regionbatch.local.rules import ImageFile


class Result(NamedTuple):
    """The result of a call."""

    content: object
    """The content of the body; None: no body."""
    status: int = 200
    """The HTTP status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call to the service.

    Each reading method raises a `RefusedError` if the parameter is invalid.
    """

    version: str
    """The version of the API."""
    path: Mapping[str, str]
    """Parameters in the path."""
    query: Mapping[str, str]
    """Parameters in the query. The values of a repeated one are joined by commas."""
    body: bytes
    content_type: str
    """The Content-Type header."""
    fault: Fault | None = None
    """The fault that affects the call."""
    sources: Mapping[str, ImageFile] = field(default_factory=dict)
    """The images at the URLs in the body, which were fetched before the transaction."""

    def path_id(self, name: str, code: str) -> str:
        """Return an ID in the path. One that is not a UUID does not exist: 404 with `code`."""
        found = as_uuid(self.path[name])
        if found is None:
            raise RefusedError(404, code, f"{self.path[name]!r} is not an ID")
        return found

    def ids(self, name: str, most: int | None = None) -> list[str]:
        """Return the IDs in a list with commas, without duplicates.

        Args:
            name: The parameter.
            most: Maximum number of IDs that are accepted. [default: no limit]
        """
        texts = [text for text in self.query.get(name, "").split(",") if text]
        if most is not None and len(texts) > most:
            message = f"{name} takes at most {most} IDs"
            raise RefusedError(400, "BadRequestExceededBatchSize", message)
        found = [as_uuid(text) for text in texts]
        if None in found:
            raise RefusedError(400, "BadRequestInvalidIds", f"{name} contains an invalid ID")
        return list(dict.fromkeys(filter(None, found)))

    def text(self, name: str, code: str) -> str:
        """Return a text that must not be empty; otherwise, refuse with `code`."""
        value = self.query.get(name, "").strip()
        if not value:
            raise RefusedError(400, code, f"{name} is missing")
        return value

    def choice(
        self, name: str, values: Sequence[str], default: str, code: str = "BadRequest"
    ) -> str:
        """Return one of some values; refuse any other with `code`."""
        value = self.query.get(name, default)
        if value not in values:
            allowed = ", ".join(filter(None, values))
            raise RefusedError(400, code, f"{name} must be one of {allowed}")
        return value

    def number(self, name: str, default: int, most: int = MAX_INT32) -> int:
        """Return a whole number from 0 to `most`."""
        value = self.query.get(name, str(default))
        if not (value.isascii() and value.isdecimal() and len(value) <= 10 and int(value) <= most):
            raise RefusedError(400, "BadRequest", f"{name} must be a whole number from 0 to {most}")
        return int(value)

    def flag(self, name: str) -> bool:
        """Return whether a parameter is true; the default is false."""
        value = self.query.get(name, "false").lower()
        if value not in ("true", "false"):
            raise RefusedError(400, "BadRequest", f"{name} must be true or false")
        return value == "true"
