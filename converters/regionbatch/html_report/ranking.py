"""Which images the report shows, and in which order: the worst first, then a sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.findings.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.html_report.finding_images import PlacedFindings
    from regionbatch.html_report.hints import Hints
    from regionbatch.html_report.source import Rows, Source

    Scores = NDArray[np.float64]

_SEED = 17
_WORST = 0.7
"""Largest fraction of images that are chosen because something is wrong with them."""
_EXAMPLES = 3
"""Images of each tag that are shown at least."""
_MOST_TAGS_WITH_EXAMPLES = 100
_DIFFERENT = 1000
"""Score of a region that the project does not have, or has elsewhere."""
_LOST, _STRICT, _WARNING, _CHANGED = 300, 200, 50, 5
"""Scores of findings: a dropped box, one that strict mode fails on, a warning, a changed box."""
_MOST_COUNTED = 3
"""Maximum findings and hints of one kind that count for an image."""

_MOST_REASONS = 20
"""Hints of one kind that are listed for an image."""


class Reason(NamedTuple):
    """Why an image is worth a look."""

    code: str
    title: str
    text: str
    severity: str
    """That of the finding; `hint` for a hint."""
    score: float
    row: int = -1
    """The row of the region that a hint is about; -1: none, or a finding."""


@dataclass
class Ranking:
    """How much each image is worth a look."""

    source: Source
    findings: Sequence[PlacedFindings]
    hints: list[Hints] = field(default_factory=list)

    def scores(self) -> Scores:
        """Return the score of each image, (m,); 0: nothing is unusual."""
        count = len(self.source.images)
        scores = np.zeros(count)
        for placed in self.findings:
            weight = _weight(placed)
            image = placed.image[placed.image >= 0]
            if weight and len(image):
                counted = np.bincount(image, minlength=count)
                scores += weight * np.minimum(counted, _MOST_COUNTED)
        for hints in self.hints:
            if not len(hints):
                continue
            total = np.bincount(hints.image, hints.score, minlength=count)
            most = np.zeros(count)
            np.maximum.at(most, hints.image, hints.score)
            scores += np.minimum(total, most * _MOST_COUNTED)
        return scores

    def choose(self, most: int) -> list[int]:
        """Return the images to show, at most `most`: the worst first, then a sample."""
        scores = self.scores()
        worst = np.flatnonzero(scores > 0)
        worst = worst[np.argsort(-scores[worst], kind="stable")]
        if len(self.source.images) > most:
            worst = worst[: max(1, round(most * _WORST))][:most]
        chosen = dict.fromkeys(worst.tolist())
        shuffled = _shuffled(len(self.source.images))
        for image in (*self._examples(shuffled, chosen, most - len(chosen)), *shuffled.tolist()):
            if len(chosen) >= most:
                break
            chosen.setdefault(image)
        return [*chosen]

    def ordered(self, chosen: Sequence[int]) -> list[int]:
        """Return chosen images by their scores, and those without a score as in the dataset."""
        scores = self.scores()
        return sorted(chosen, key=lambda image: (-scores[image], image))

    def _examples(self, shuffled: Rows, chosen: Iterable[int], room: int) -> list[int]:
        """Return more images of tags that have too few chosen ones."""
        regions = self.source.sent
        if room <= 0 or not len(regions):
            return []
        position = np.empty(len(shuffled), np.int64)
        position[shuffled] = np.arange(len(shuffled))
        counts = self.source.boxes_per_tag
        shown = np.zeros(len(shuffled), np.bool_)
        shown[[*chosen]] = True
        examples = []
        rarest = np.flatnonzero(counts)[np.argsort(counts[counts > 0], kind="stable")]
        for tag in rarest[:_MOST_TAGS_WITH_EXAMPLES].tolist():
            images = np.unique(regions.image[regions.tag == tag])
            missing = _EXAMPLES - int(np.count_nonzero(shown[images]))
            if missing > 0:
                new = images[~shown[images]]
                new = new[np.argsort(position[new])][:missing]
                shown[new] = True
                examples += new.tolist()
        return examples[:room]

    def reasons(self, shown: Sequence[int]) -> dict[int, list[Reason]]:
        """Return why each of some images is worth a look, the most serious reason first."""
        found: dict[int, list[Reason]] = {image: [] for image in shown}
        for placed in self.findings:
            code = CODES[placed.group.code]
            weight = _weight(placed)
            for image, count in _counts(placed.image, shown).items():
                text = f"{code.summary} ({count} times)" if count > 1 else code.summary
                found[image].append(Reason(code.name, code.name, text, placed.severity, weight))
        for hints in self.hints:
            listed: Counter[int] = Counter()
            positions = np.flatnonzero(np.isin(hints.image, shown))
            strongest = positions[np.argsort(-hints.score[positions], kind="stable")]
            for at in strongest.tolist():
                image = int(hints.image[at])
                listed[image] += 1
                if listed[image] <= _MOST_REASONS:
                    score, row = float(hints.score[at]), int(hints.row[at])
                    reason = Reason(hints.code, hints.title, hints.text(at), "hint", score, row)
                    found[image].append(reason)
        for reasons in found.values():
            reasons.sort(key=lambda reason: -reason.score)
        return found


def _weight(placed: PlacedFindings) -> float:
    code = CODES[placed.group.code]
    if code.name.startswith("region_"):
        return _DIFFERENT
    if placed.severity == "error":
        return _LOST
    if placed.group.fails_strict:
        return _STRICT if code.unit == "box" else _WARNING
    if code.effect == "adjusted":
        return _CHANGED
    return _WARNING if placed.severity == "warning" else 0


def _counts(images: NDArray[np.int32], shown: Sequence[int]) -> Counter[int]:
    return Counter(images[np.isin(images, shown)].tolist())


def _shuffled(count: int) -> Rows:
    """Return 0 to `count` - 1 in an order that is the same on every machine (NEP 19)."""
    return np.argsort(np.random.PCG64(_SEED).random_raw(count), kind="stable")
