"""Remove credentials from texts (of URLs, connection strings and signed URLs), and check keys."""

from __future__ import annotations

import re

_USER = re.compile(r"(:/{1,2})[^\s/@'\"]*:(?!\d+/)[^\s'\"]*@")
"""A user and a password, which may contain an unquoted `@` or `/`; after a port, `@` is part of a
path."""
_SECRET = re.compile(
    r"((?<=[?&])[\w-]*(?:sig|signature|token|key|secret|password)"
    r"|\b(?:accountkey|sharedaccess(?:key|signature)|password))"
    r"=[^\s&;'\":]+",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """Return a text with `…` in place of the credentials in it.

    >>> without_credentials("az://me:word@data/set, AccountName=data;AccountKey=c2VjcmV0==;")
    'az://…@data/set, AccountName=data;AccountKey=…;'
    >>> without_credentials("tcp://me:w@rd/1@host:8786, http://127.0.0.1:80/a@b")
    'tcp://…@host:8786, http://127.0.0.1:80/a@b'
    """
    return _SECRET.sub(r"\1=…", _USER.sub(r"\1…@", text))


def is_key(text: str) -> bool:
    """Return whether a text has only characters that a key has, so that a header can contain it."""
    return text.isascii() and text.isprintable() and " " not in text
