"""Show why a call of a file system failed: its exceptions with tracebacks, without credentials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from regionbatch.credentials import without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable

QUERY = re.compile(r"\?[^\s'\"<>]*")
"""The query of a URL. If the URL is signed, anyone who has the query can read the file."""
_SIGNATURE = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]|%2[BF]){20,}(?:=|%3D){1,2}"
    r"|(?<=Bearer )[^\s'\"]+"
    r"|sig(?:=|%(?:25)*3D)[^\s&'\"<>]+",
    re.IGNORECASE,
)
"""A key or a signature in base64, a token, or the signature of a URL; it may be percent-encoded."""


class CloudCause(Exception):  # noqa: N818 - it shows another exception
    """The exceptions that a file system raised, with their tracebacks, as text.

    The text contains no credentials. The variables of the original tracebacks may contain some.
    """


def cause_of(error: BaseException, secrets: Iterable[str]) -> CloudCause:
    """Return an exception, its causes and their tracebacks as one exception that contains text.

    Args:
        error: What the file system raised.
        secrets: Texts to remove, longest first.
    """
    from traceback import format_exception  # noqa: PLC0415 - slow to load

    return CloudCause(without_secrets("".join(format_exception(error)), secrets))


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a message of a file system with `…` in place of credentials and URL queries.

    >>> without_secrets("https://h/a.jpg?sv=1&sig=abc: no key 'my key'", ["my key"])
    "https://h/a.jpg?… no key '…'"
    """
    text = QUERY.sub("?…", text)
    for secret in secrets:
        text = text.replace(secret, "…")
    return _SIGNATURE.sub("…", without_credentials(text))
