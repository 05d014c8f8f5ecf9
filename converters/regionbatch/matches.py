"""References to images as columns, and what `association` says of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.files.image_index import EXACT
from regionbatch.image_candidates import Rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.files.image_index import Size
    from regionbatch.image_candidates import Choice


class Outcome(IntEnum):
    """What became of a reference."""

    SETTLED = 0
    NOT_ON_DISK = 1
    ORPHAN = 2
    """Not on disk: the images of its folder are elsewhere."""
    AMBIGUOUS = 3
    SECOND_LABEL = 4
    """Another label file has the better claim to the image."""
    UNLISTED_LABEL = 5
    """The folder of the image has label files of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceTable:
    """References of one kind as columns; n of them."""

    files: Sequence[str]
    """n paths: the label file, or the file that declares the name."""
    names: Sequence[str] = ()
    """n declared or second names; empty, or none at all, where there are none."""
    sizes: NDArray[np.int32] | None = None
    """(n, 2), declared width and height in pixels; 0: not declared."""
    by_label: bool = True
    """Whether each file is about the image of its own name; else a file declares the names of its images."""
    splits: Sequence[str] = ()
    """n names of splits that the files declare for their images; empty, or none at all, where there are none."""
    shared: bool = False
    """Whether images of one name in one folder (`a.jpg` and `a.png`) share a label file."""

    def __len__(self) -> int:
        """Return how many references there are."""
        return len(self.files)

    def size(self, row: int) -> Size:
        """Return the declared width and height of a row; (0, 0): none."""
        if self.sizes is None:
            return 0, 0
        width, height = self.sizes[row].tolist()
        return (width, height) if width > 0 and height > 0 else (0, 0)

    def split(self, row: int) -> str:
        """Return the declared split of a row; empty: none."""
        return self.splits[row] if len(self.splits) else ""

    def name(self, row: int) -> str:
        """Return the declared or second name of a row."""
        return self.names[row] if len(self.names) else ""


@dataclass(slots=True, eq=False)
class Matches:
    """What the table says of each reference; n of them."""

    image: NDArray[np.int32]
    """(n,), the number of the image in the index; -1: none."""
    rank: NDArray[np.int8]
    """(n,), a `Rank`."""
    distance: NDArray[np.int16]
    """(n,), see `Choice.distance`."""
    spelling: NDArray[np.int8]
    """(n,), how the image's name differs from the wanted one."""
    outcome: NDArray[np.int8]
    """(n,), an `Outcome`."""
    more: dict[int, Sequence[int]] = field(default_factory=dict)
    """By reference: all its images, where several share a label file."""
    rivals: dict[int, Sequence[int]] = field(default_factory=dict)
    """By ambiguous reference: some of the images that it may mean."""
    by_size: set[int] = field(default_factory=set)
    """References whose declared size decided against the better path."""
    by_second_name: set[int] = field(default_factory=set)
    """References whose image has the second name, not that of the label file."""
    doubtful: set[int] = field(default_factory=set)
    """References whose image has the second name, but not the declared size."""
    winner: dict[int, int] = field(default_factory=dict)
    """By reference that lost its image: a reference that has it, or as good a claim to it."""
    passed_over: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many images were found too weakly, by the folder or file of the references, and the folder of the images."""

    @classmethod
    def empty(cls, count: int) -> Matches:
        """Return the matches of references that were not looked for yet."""
        return cls(
            np.full(count, -1, np.int32),
            np.full(count, Rank.NONE, np.int8),
            np.zeros(count, np.int16),
            np.full(count, EXACT, np.int8),
            np.full(count, Outcome.NOT_ON_DISK, np.int8),
        )

    def images_of(self, row: int) -> Sequence[int]:
        """Return all images of a reference."""
        if row in self.more:
            return self.more[row]
        image = int(self.image[row])
        return (image,) if image >= 0 else ()

    def take(self, rows: NDArray[np.int64], images: NDArray[np.int32], rank: Rank) -> None:
        """Settle references with exactly the wanted name."""
        self.image[rows], self.rank[rows], self.outcome[rows] = images, rank, Outcome.SETTLED

    def take_choice(self, row: int, choice: Choice) -> None:
        """Settle one reference, or say what it may mean."""
        if choice.ambiguous:
            self.rivals[row], self.outcome[row] = choice.images, Outcome.AMBIGUOUS
        elif choice.images:
            self.image[row], self.rank[row], self.outcome[row] = choice.images[0], choice.rank, Outcome.SETTLED
            self.distance[row], self.spelling[row] = choice.distance, choice.spelling
            if len(choice.images) > 1:
                self.more[row] = choice.images
            if choice.by_size:
                self.by_size.add(row)

    def reject(self, row: int, outcome: Outcome, images: Sequence[int] = ()) -> None:
        """Take the image away from a reference; `images` are left to it."""
        self.more.pop(row, None)
        if images:
            self.image[row] = images[0]
            if len(images) > 1:
                self.more[row] = images
            return
        self.image[row], self.rank[row], self.outcome[row] = -1, Rank.NONE, outcome
        self.spelling[row] = EXACT
