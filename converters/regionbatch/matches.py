"""References to images, and their matches, as columns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.files.spelling import Spelling
from regionbatch.image_candidates import Rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.image_index import Size
    from regionbatch.image_candidates import Choice


class MatchOutcome(IntEnum):
    """What became of a reference."""

    MATCHED = 0
    NOT_ON_DISK = 1
    REJECTED = 2
    """Not on disk: the match was too weak, because the images of its folder are elsewhere."""
    AMBIGUOUS = 3
    SECOND_LABEL = 4
    """Another label file matches the image better."""
    UNLISTED_LABEL = 5
    """The folder of the image has label files of its own."""


def is_one_of(codes: NDArray[np.int8], values: Iterable[int]) -> NDArray[np.bool_]:
    """Return which codes are one of a few values, (n,)."""
    # `np.isin` imports `numpy.ma`, which takes a twentieth of the time of a small conversion.
    found = np.zeros(len(codes), np.bool_)
    for value in values:
        found |= codes == value
    return found


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceTable:
    """References of one kind as n rows."""

    files: Sequence[str]
    """n paths: the label file, or the file that declares the name."""
    names: Sequence[str] = ()
    """n declared or second names; empty strings for none, or an empty sequence."""
    sizes: NDArray[np.int32] | None = None
    """(n, 2), declared width and height in pixels; 0: not declared."""
    by_label: bool = True
    """Whether each file is a label file of the image with its name; else it declares names."""
    splits: Sequence[str] = ()
    """n splits that the files declare for their images; empty strings for none, or no splits."""
    shared: bool = False
    """Whether images of one name in one folder (`a.jpg` and `a.png`) share a label file."""

    def __len__(self) -> int:
        """Return the number of references."""
        return len(self.files)

    def size(self, row: int) -> Size:
        """Return declared width and height of a row; (0, 0) if not declared."""
        if self.sizes is None:
            return 0, 0
        width, height = self.sizes[row].tolist()
        return (width, height) if width > 0 and height > 0 else (0, 0)

    def split(self, row: int) -> str:
        """Return the declared split of a row; empty if there is none."""
        return self.splits[row] if len(self.splits) else ""

    def name(self, row: int) -> str:
        """Return the declared or second name of a row; empty if there is none."""
        return self.names[row] if len(self.names) else ""

    def source(self, row: int) -> str:
        """Return the text that refers to the image: the label file, or the declared name."""
        return self.files[row] if self.by_label else self.name(row)

    def places(self) -> Sequence[str]:
        """Return the folder of each label file, or each declaring file."""
        if self.by_label:
            return [file.rpartition("/")[0] for file in self.files]
        return self.files


@dataclass(slots=True, eq=False)
class Matches:
    """The matches of n references."""

    image: NDArray[np.int32]
    """(n,), the number of the image in the index; -1: none."""
    rank: NDArray[np.int8]
    """(n,), a `Rank`."""
    distance: NDArray[np.int16]
    """(n,), see `Choice.distance`."""
    spelling: NDArray[np.int8]
    """(n,), how the image's name differs from the wanted one; a `Spelling` plus a penalty."""
    outcome: NDArray[np.int8]
    """(n,), a `MatchOutcome`."""
    more: dict[int, Sequence[int]] = field(default_factory=dict)
    """All images of a reference, by reference, if several share a label file."""
    rivals: dict[int, Sequence[int]] = field(default_factory=dict)
    """By ambiguous reference: some of the images that it may mean."""
    by_size: set[int] = field(default_factory=set)
    """References whose declared size outweighed a better path."""
    by_second_name: set[int] = field(default_factory=set)
    """References that match an image by their second name, not by the label file's name."""
    doubtful: set[int] = field(default_factory=set)
    """References whose second name matches an image that does not have the declared size."""
    winner: dict[int, int] = field(default_factory=dict)
    """By reference that lost its image: a reference that matches the image at least as well."""
    passed_over: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many matches were too weak, by place of the references and folder of the images."""

    @classmethod
    def empty(cls, count: int) -> Matches:
        """Return references without matches."""
        return cls(
            np.full(count, -1, np.int32),
            np.full(count, Rank.NONE, np.int8),
            np.zeros(count, np.int16),
            np.full(count, Spelling.EXACT, np.int8),
            np.full(count, MatchOutcome.NOT_ON_DISK, np.int8),
        )

    def images_of(self, row: int) -> Sequence[int]:
        """Return all images of a reference."""
        if row in self.more:
            return self.more[row]
        image = int(self.image[row])
        return (image,) if image >= 0 else ()

    def set_exact(self, rows: NDArray[np.int64], images: NDArray[np.int32], rank: Rank) -> None:
        """Set the images of references with exactly the wanted name."""
        self.image[rows] = images
        self.rank[rows] = rank
        self.outcome[rows] = MatchOutcome.MATCHED

    def set_choice(self, row: int, choice: Choice) -> None:
        """Set the image of one reference, or the images that it may mean."""
        if choice.ambiguous:
            self.rivals[row] = choice.images
            self.outcome[row] = MatchOutcome.AMBIGUOUS
        elif choice.images:
            self._set_images(row, choice.images)
            self.rank[row] = choice.rank
            self.distance[row] = choice.distance
            self.spelling[row] = choice.spelling
            self.outcome[row] = MatchOutcome.MATCHED
            if choice.by_size:
                self.by_size.add(row)

    def pass_over(self, row: int, place: str, folder: str, outcome: MatchOutcome) -> None:
        """Reject a match that is too weak.

        It is counted for the place of the reference and the image folder that was not used.
        """
        self.passed_over[place, folder] += 1
        self.reject(row, outcome)

    def reject(self, row: int, outcome: MatchOutcome, remaining: Sequence[int] = ()) -> None:
        """Remove the match of a reference, except for `remaining` images."""
        self.more.pop(row, None)
        if remaining:
            self._set_images(row, remaining)
            return
        self.image[row] = -1
        self.rank[row] = Rank.NONE
        self.spelling[row] = Spelling.EXACT
        self.outcome[row] = outcome

    def _set_images(self, row: int, images: Sequence[int]) -> None:
        self.image[row] = images[0]
        if len(images) > 1:
            self.more[row] = images
