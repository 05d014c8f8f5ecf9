"""The type of one finding code."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Code(NamedTuple):
    """One finding code: its effect, its texts, and how strictly it counts."""

    name: str
    """Identifier, such as `empty_box`."""
    effect: Literal["noted", "adjusted", "dropped"]
    """What happens to the box, image, tag or record."""
    unit: Literal["box", "image", "tag", "record", "dataset"]
    """What the finding is about."""
    summary: str
    """What is wrong, as a phrase: the middle of `Finding.message`, before the value."""
    advice: str
    """What was done or what to do, in full sentences: the end of `Finding.message`."""
    explanation: str = ""
    """What the finding means and why it happens, in one to three sentences."""
    example: str = ""
    """A short piece of input that has this finding, and the result."""
    remedy: str = ""
    """How to correct the input, or which option to use."""
    is_warning: bool = False
    """Whether a code that is only noted has the severity `warning`."""
    is_intentional: bool = False
    """Whether the box is dropped because an option or the dataset asks for it, which is not a
    loss."""
    fails_strict: bool = False
    """Whether strict mode fails although nothing is lost, because the result may be wrong."""
    fails_strict_if: str = ""
    """In which cases strict mode fails too, as the end of a sentence; empty: in none."""
    found_in: Literal["dataset", "upload", "project"] = "dataset"
    """Where it is found: in the dataset, by an upload after its first write, or in a project that
    differs from the dataset. Strict mode checks only what is found before the first write."""

    @property
    def severity(self) -> str:
        """`info`, `warning` or `error`."""
        if self.effect == "dropped" and not self.is_intentional:
            return "error"
        return "warning" if self.effect == "adjusted" or self.is_warning else "info"

    @property
    def outcome(self) -> str:
        """What became of the box: `adjusted`, `dropped` or `not confirmed`; empty: unchanged."""
        if self.effect == "noted":
            return ""
        return "not confirmed" if self.found_in == "project" else self.effect
