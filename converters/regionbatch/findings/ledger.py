"""The ledger: what became of every box and image that was read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from regionbatch.findings.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Account:
    """How many records were read, kept, adjusted and dropped.

    Each record is counted once, by its first code: read = kept + all adjusted + all dropped.
    """

    read: int
    """Number of records in the files, good or bad."""
    kept: int
    """Number of records kept without a change."""
    adjusted: Mapping[str, int]
    """Number of records kept after a change, by finding code."""
    dropped: Mapping[str, int]
    """Number of records dropped, by finding code."""

    @property
    def balanced(self) -> bool:
        """Whether read = kept + all adjusted + all dropped."""
        return self.read == self.kept + sum(self.adjusted.values()) + sum(self.dropped.values())

    @property
    def lost(self) -> int:
        """Number of records dropped although no option and no mark in the dataset asks for it."""
        return sum(count for code, count in self.dropped.items() if not CODES[code].is_intentional)

    def __str__(self) -> str:
        """Return a text such as `4888 read = 4880 kept + 6 adjusted + 2 dropped`."""
        adjusted = sum(self.adjusted.values())
        dropped = sum(self.dropped.values())
        return f"{self.read} read = {self.kept} kept + {adjusted} adjusted + {dropped} dropped"


@dataclass(frozen=True, slots=True)
class Ledger(Account):
    """The account of the boxes, and in `images` that of the images."""

    images: Account = field(default_factory=lambda: Account(0, 0, {}, {}))
    """What became of the images."""
