"""What is reported about a dataset: findings, decisions and the ledger.

The names below are loaded when first used, so that `regionbatch.findings.codes` and
`regionbatch.findings.text` can be imported without NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regionbatch.findings.codes import ADJUSTING, CODES, Code
    from regionbatch.findings.decision import Decision
    from regionbatch.findings.finding import ClippedBoxes, Finding, Findings
    from regionbatch.findings.ledger import Account, Ledger
    from regionbatch.findings.log import FindingLog, Progress
    from regionbatch.findings.text import Place, as_text, escape_unprintable, place_text, quoted

_MODULE_OF = {
    "ADJUSTING": "codes",
    "Account": "ledger",
    "CODES": "codes",
    "ClippedBoxes": "finding",
    "Code": "codes",
    "Decision": "decision",
    "Finding": "finding",
    "FindingLog": "log",
    "Findings": "finding",
    "Ledger": "ledger",
    "Place": "text",
    "Progress": "log",
    "as_text": "text",
    "escape_unprintable": "text",
    "place_text": "text",
    "quoted": "text",
}

__all__ = [
    "ADJUSTING",
    "CODES",
    "Account",
    "ClippedBoxes",
    "Code",
    "Decision",
    "Finding",
    "FindingLog",
    "Findings",
    "Ledger",
    "Place",
    "Progress",
    "as_text",
    "escape_unprintable",
    "place_text",
    "quoted",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'regionbatch.findings' has no attribute {name!r}")
    value = getattr(import_module(f"regionbatch.findings.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
