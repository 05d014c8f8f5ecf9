"""A call and its answer, free of HTTP; and how the members of a call's path and query are read and refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.ids import as_uuid
from regionbatch.local.rules import MAX_INT32, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regionbatch.local.faults import Fault


class Answer(NamedTuple):
    """What becomes the body (None: there is none), and the HTTP status."""

    content: object
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a caller asks, and the fault that shapes the work on it. A query member given twice is joined by commas."""

    version: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    content_type: str
    fault: Fault | None = None

    def path_id(self, name: str, code: str) -> str:
        """Id in the path; `code` (404) when it is no UUID, for then nothing can have it."""
        found = as_uuid(self.path[name])
        if found is None:
            raise RefusedError(404, code, f"{self.path[name]!r} is no id")
        return found

    def ids(self, name: str, most: int | None = None) -> list[str]:
        """Ids of a member that lists them with commas, each once; at most so many."""
        asked = [text for text in self.query.get(name, "").split(",") if text]
        if most is not None and len(asked) > most:
            raise RefusedError(400, "BadRequestExceededBatchSize", f"{name} takes at most {most} ids")
        found = [as_uuid(text) for text in asked]
        if None in found:
            raise RefusedError(400, "BadRequestInvalidIds", f"{name} holds what is no id")
        return list(dict.fromkeys(text for text in found if text))

    def text(self, name: str, code: str) -> str:
        """Text of a member that must not be empty; else `code`."""
        value = self.query.get(name, "").strip()
        if not value:
            raise RefusedError(400, code, f"{name} is missing")
        return value

    def choice(self, name: str, values: Sequence[str], default: str, code: str = "BadRequest") -> str:
        """One of some values; anything else is refused with `code`."""
        value = self.query.get(name, default)
        if value not in values:
            raise RefusedError(400, code, f"{name} is one of {', '.join(filter(None, values))}")
        return value

    def number(self, name: str, default: int, most: int = MAX_INT32) -> int:
        """Whole number from 0 to `most`."""
        value = self.query.get(name, str(default))
        if not (value.isascii() and value.isdecimal() and len(value) <= 10 and int(value) <= most):
            raise RefusedError(400, "BadRequest", f"{name} is a whole number from 0 to {most}")
        return int(value)

    def flag(self, name: str) -> bool:
        """Read true or false, in any case; false when it is missing."""
        value = self.query.get(name, "false").lower()
        if value not in ("true", "false"):
            raise RefusedError(400, "BadRequest", f"{name} is true or false")
        return value == "true"
