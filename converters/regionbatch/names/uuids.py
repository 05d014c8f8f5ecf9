"""UUIDs, as Custom Vision names projects, tags and images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from regionbatch.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

_UUID = re.compile(
    r"(?:urn:uuid:)?(\{)?"
    r"([0-9a-f]{8})(-?)([0-9a-f]{4})\3([0-9a-f]{4})\3([0-9a-f]{4})\3([0-9a-f]{12})(?(1)\})",
    re.ASCII | re.IGNORECASE,
)
"""The spellings in use: 8-4-4-4-12 digits with or without hyphens, in braces, or as a URN."""
_CANONICAL_LINE = b"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh\n"
_DIGITS_AS_H = bytes.maketrans(b"0123456789abcdefh", b"h" * 16 + b"?")


def as_uuid(text: str) -> str | None:
    """Return a UUID as 8-4-4-4-12 lower-case digits; None if the text is not one.

    `uuid.UUID` is not used: it accepts hyphens anywhere, digits of other scripts, `_` and signs, so
    that an ID that lost a digit would become another one.

    >>> as_uuid("{12345678-1234-5678-1234-56781234567A}")
    '12345678-1234-5678-1234-56781234567a'
    >>> as_uuid("12345678-1234-5678-1234-56781234567 ")
    """
    match = _UUID.fullmatch(text.strip())
    return "-".join(match.group(2, 4, 5, 6, 7)).lower() if match else None


def are_canonical_uuids(values: Sequence[str]) -> bool:
    """Return whether all values are UUIDs in canonical form."""
    # All at once, one on each line: a sixth of the time of matching them one by one.
    lines = "\n".join([*values, ""]).encode("ascii", "replace")
    return lines.translate(_DIGITS_AS_H) == _CANONICAL_LINE * len(values)


def checked_project(project_id: str) -> str:
    """Return the ID of a project in canonical form.

    Raises:
        OptionError: It is not a UUID.
    """
    found = as_uuid(str(project_id))
    if found is None:
        raise OptionError(
            f"project_id: not a project ID: {project_id!r:.60}. "
            "Copy it from the project's settings.",
            option="project_id",
            value=project_id,
        )
    return found
