"""Unicode normal forms of text from a file, in time that grows with its length.

The algorithm sorts the marks that follow a letter, in time that grows with the square of their number: 80,000 of them
take a minute. No language has more than a few. Unicode's own limit for text that is safe to process in a stream is 30
(UAX #15, Stream-Safe Text Format).
"""

from __future__ import annotations

import unicodedata
from typing import Literal

MOST_MARKS = 30
"""The most marks that may follow each other in a text that is normalised."""


def normal_form(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Return a text in a normal form; as it is, if more than `MOST_MARKS` marks follow each other in it.

    >>> normal_form("NFC", "e\u0301")
    'é'
    """
    return unicodedata.normalize(form, text) if _is_safe(text) else text


def _is_safe(text: str) -> bool:
    if len(text) <= MOST_MARKS or text.isascii():
        return True
    marks = 0
    for character in text:
        for part in unicodedata.normalize("NFKD", character):
            marks = marks + 1 if unicodedata.combining(part) else 0
            if marks > MOST_MARKS:
                return False
    return True
