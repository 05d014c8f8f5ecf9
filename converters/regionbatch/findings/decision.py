"""Decisions about a dataset as a whole, such as the unit of its boxes."""

from __future__ import annotations

from typing import Self

from regionbatch.findings.text import escape_unprintable


class Decision(str):
    """What was decided for an option, as text: `VALUE (EVIDENCE)`.

    Attributes:
        value: The value that was used, such as `pixels`.
        evidence: Why: what in the dataset, or which option, led to it.
        doubtful: Whether the evidence is weak; strict mode then fails.
    """

    __slots__ = ("doubtful", "evidence", "value")

    value: str
    evidence: str
    doubtful: bool

    def __new__(cls, value: str, evidence: str, doubtful: bool = False, text: str = "") -> Self:
        """Make a decision; `text` replaces `VALUE (EVIDENCE)`."""
        value = escape_unprintable(value)
        evidence = escape_unprintable(evidence)
        decision = super().__new__(cls, text or f"{value} ({evidence})")
        decision.value = value
        decision.evidence = evidence
        decision.doubtful = doubtful
        return decision

    def __reduce__(self) -> tuple[type[Decision], tuple[str, str, bool, str]]:
        """Return how to copy or unpickle it."""
        return Decision, (self.value, self.evidence, self.doubtful, str(self))

    def joined(self, other: Decision) -> Decision:
        """Return one decision for an option that was decided twice; `; ` separates both texts."""
        if self == other:
            return self if self.doubtful else other
        has_same_value = self.value == other.value
        return Decision(
            self.value if has_same_value else f"{self.value}; {other.value}",
            f"{self.evidence}; {other.evidence}",
            self.doubtful or other.doubtful,
            f"{self}; {other}",
        )
