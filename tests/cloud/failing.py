"""A part that cannot be written, in a module that other processes import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regionbatch.errors import OutputError
from regionbatch.in_parts.work import WrittenPart, write_part

if TYPE_CHECKING:
    from regionbatch.in_parts.folder import OutputFolder


def write_or_fail(part: Any, ids: Any, folder: OutputFolder, number: int) -> WrittenPart:
    """Write all parts but the third."""
    if number == 3:
        raise OutputError(f"{folder.target}: a failure. Try again.", place=str(folder.target))
    return write_part(part, ids, folder, number)
