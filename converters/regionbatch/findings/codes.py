"""All finding codes. Messages, the ledger's columns and the documentation are made from them.

This module does not import NumPy, so that the command can show the texts quickly.
"""

from __future__ import annotations

from types import MappingProxyType

from regionbatch.findings.code import Code
from regionbatch.findings.tables import (
    dropped_boxes,
    images,
    kept_boxes,
    tags_and_records,
    training,
    uploads,
)

__all__ = ["ADJUSTING", "CODES", "Code"]

_ALL = (
    *dropped_boxes.CODES,
    *kept_boxes.CODES,
    *images.CODES,
    *training.CODES,
    *uploads.CODES,
    *tags_and_records.CODES,
)

CODES = MappingProxyType({code.name: code for code in _ALL})
"""Every code by its name, in the order of the documentation."""

ADJUSTING = ("", *(code.name for code in _ALL if (code.effect, code.unit) == ("adjusted", "box")))
"""Names of the codes that adjust boxes. `Regions.adjusted` holds indexes into it; 0: unchanged."""
