"""Unicode normal forms of text from a file, in linear time.

The algorithm sorts the combining marks after a letter in quadratic time: 80,000 of them take a
minute. No language has more than a few. Unicode's own limit for text that is safe to process as a
stream is 30 (UAX #15, Stream-Safe Text Format).
"""

from __future__ import annotations

import unicodedata
from typing import Literal

MAX_MARKS = 30
"""Maximum number of consecutive combining marks in text that is normalised."""


def normal_form(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Return text in a normal form; unchanged if it has more than `MAX_MARKS` consecutive marks.

    >>> normal_form("NFC", "e\u0301")
    'é'
    """
    return unicodedata.normalize(form, text) if _is_safe(text) else text


def _is_safe(text: str) -> bool:
    if len(text) <= MAX_MARKS or text.isascii():
        return True
    marks = 0
    for character in text:
        for part in unicodedata.normalize("NFKD", character):
            marks = marks + 1 if unicodedata.combining(part) else 0
            if marks > MAX_MARKS:
                return False
    return True
