"""Parse JSON files that are read as a whole, within a budget of memory.

COCO files, which may be large, are read in chunks by their own reader.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_VALUE_BYTES = 45
"""Memory for a value of a document, besides its text: `[]` takes 24 times its size in the file."""
_SPARE_BYTES = 64 * 2**20
_BYTES_PER_CHARACTER = 8
"""A document may need `_SPARE_BYTES`, plus this many bytes for each of its characters."""


def load_json(
    text: str | bytes, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:  # noqa: ANN401 - any JSON value
    """Return the content of a JSON document.

    Args:
        text: The document, as text or UTF-8.
        object_pairs_hook: See `json.loads`.

    Raises:
        ValueError: The text is not JSON, or has too many values for its length.
        RecursionError: Brackets are nested too deeply.
    """
    marks = b",:[{" if isinstance(text, bytes) else ",:[{"
    values = sum(text.count(mark) for mark in marks)  # type: ignore[arg-type, misc]
    if values * _VALUE_BYTES > _SPARE_BYTES + _BYTES_PER_CHARACTER * len(text):
        raise ValueError("too many values for the size of the file")
    return json.loads(text, object_pairs_hook=object_pairs_hook)


def json_problem(error: Exception) -> str:
    """Return what is wrong with JSON; Python's message may end with `at`, for the position.

    >>> json_problem(json.JSONDecodeError("Unterminated string starting at", "[", 1))
    'Unterminated string'
    """
    return str(getattr(error, "msg", error)).removesuffix(" at").removesuffix(" starting")
