"""Remove credentials from texts: of URLs, connection strings and signed URLs."""

from __future__ import annotations

import re

_USER = re.compile(r"(:/{1,2})[^\s/@'\"]*:[^\s/@'\"]*@")
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
    """
    return _SECRET.sub(r"\1=…", _USER.sub(r"\1…@", text))
