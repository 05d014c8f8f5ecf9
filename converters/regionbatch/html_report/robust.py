"""How unusual numbers are for their group, by the median and the median absolute deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float32]
    Codes = NDArray[np.int32]
    Mask = NDArray[np.bool_]

FEWEST = 8
"""Minimum number of members of a group whose usual values can be judged."""
_MOST_GROUPS = 500
"""Maximum number of groups that are judged, the largest first: each takes a fixed time."""
_MOST_COMPARED = 10_000
"""Maximum number of members that show whether features distinguish groups."""
_TOLD_APART = 0.75
"""Minimum fraction of the members of a group that must be nearest to their own group."""
PER_DEVIATION = np.float32(1.4826)
"""Standard deviations in a median absolute deviation of a normal distribution."""


@dataclass(frozen=True)
class Usual:
    """The usual values of each group."""

    centre: Values
    """(t, f), the medians; NaN: the group is not judged."""
    spread: Values
    """(t, f), like standard deviations."""

    @classmethod
    def of(cls, values: Values, group: Codes, count: int, least: Values) -> Usual:
        """Measure the groups.

        Args:
            values: (n, f), f features of n members.
            group: (n,), the group of each.
            count: Number of groups.
            least: (f,), the least spread of each feature.
        """
        centre = np.full((count, values.shape[1]), np.nan, np.float32)
        spread = np.ones_like(centre)
        sizes = np.bincount(group, minlength=count)
        order = np.argsort(group.astype(np.uint32), kind="stable")
        starts = np.concatenate([[0], np.cumsum(sizes)])
        largest = np.argsort(-sizes, kind="stable")[:_MOST_GROUPS]
        for code in largest[sizes[largest] >= FEWEST].tolist():
            members = values[order[starts[code] : starts[code + 1]]]
            centre[code] = np.median(members, axis=0)
            deviation = np.median(np.abs(members - centre[code]), axis=0)
            spread[code] = np.maximum(deviation * PER_DEVIATION, least)
        return cls(centre, spread)

    def deviations(self, values: Values, group: Codes) -> Values:
        """Return how many spreads each value is from the usual one, (n, f); 0: not judged."""
        deviations: Values = (values - self.centre[group]) / self.spread[group]
        return np.nan_to_num(deviations)

    def distances(self, values: Values, group: Codes) -> Values:
        """Return the root mean square of the deviations of each member, (n,)."""
        squares = self.deviations(values, group) ** 2
        distances: Values = np.sqrt(squares.mean(axis=1))
        return distances

    def tell_apart(self, values: Values, group: Codes) -> Mask:
        """Return the groups that the features distinguish from all others, (t,).

        Nearly all of their members are likelier to belong to their own group than to another.
        """
        step = max(1, len(values) // _MOST_COMPARED)
        some, own = values[::step], group[::step]
        other = self.likeliest_other(some, own)
        is_own = self._unlikeliness(some, own) <= self._unlikeliness(some, other)
        is_own |= other < 0
        count = np.bincount(own, minlength=len(self.centre))
        right = np.bincount(own, is_own, minlength=len(self.centre))
        distinct: Mask = right >= _TOLD_APART * np.maximum(count, 1)
        return distinct & ~np.isnan(self.centre[:, 0])

    def likeliest_other(self, values: Values, group: Codes) -> Codes:
        """Return the other group that each member is likeliest to belong to, (n,); -1: none."""
        judged = np.flatnonzero(~np.isnan(self.centre[:, 0])).tolist()
        best = np.full(len(values), -1, np.int32)
        least = np.full(len(values), np.inf, np.float32)
        for code in judged:
            unlikely = self._unlikeliness(values, np.full(len(values), code, np.int32))
            nearer = (unlikely < least) & (group != code)
            best[nearer] = code
            least[nearer] = unlikely[nearer]
        return best

    def _unlikeliness(self, values: Values, group: Codes) -> Values:
        """Return how unlikely each member is in a group, as for a normal distribution, (n,)."""
        deviations = self.deviations(values, group)
        unlikely: Values = (deviations**2).sum(axis=1) + 2 * np.log(self.spread[group]).sum(axis=1)
        return unlikely
