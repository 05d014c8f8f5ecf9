"""Why a call of a file system failed: its exceptions and their tracebacks, without credentials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from regionbatch.credentials import without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable

QUERY = re.compile(r"\?[^\s'\"<>]*")
"""The query of a URL: whoever has that of a signed one can read the file."""
_SIGNATURE = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]|%2[BF]){20,}(?:=|%3D){1,2}"
    r"|(?<=Bearer )[^\s'\"]+"
    r"|sig(?:=|%(?:25)*3D)[^\s&'\"<>]+",
    re.IGNORECASE,
)
"""A key or a signature in base64, a token, or the signature of a URL, each perhaps encoded."""
_MOST_LINKS = 8
"""How many exceptions of a chain are kept."""


class CloudCause(Exception):  # noqa: N818 - it shows another exception
    """An exception of a file system. Its text contains no credentials; the original may."""


def cause_of(error: BaseException, secrets: Iterable[str]) -> CloudCause:
    """Return an exception, and those that caused it, with tracebacks but without credentials.

    Args:
        error: What the file system raised.
        secrets: Texts to remove, longest first.
    """
    first = last = _shown(error, secrets)
    for _ in range(_MOST_LINKS):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            break
        error = cause
        last.__cause__ = _shown(error, secrets)
        last = last.__cause__
    return first


def _shown(error: BaseException, secrets: Iterable[str]) -> CloudCause:
    text = f"{type(error).__name__}: {without_secrets(str(error), secrets)}"
    return CloudCause(text.rstrip(": ")).with_traceback(error.__traceback__)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text of a file system with `…` in place of credentials and queries of URLs.

    >>> without_secrets("https://h/a.jpg?sv=1&sig=abc: no key 'my key'", ["my key"])
    "https://h/a.jpg?… no key '…'"
    """
    text = QUERY.sub("?…", text)
    for secret in secrets:
        text = text.replace(secret, "…")
    return _SIGNATURE.sub("…", without_credentials(text))
