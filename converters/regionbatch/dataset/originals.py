"""The boxes that were dropped or changed, as they are in the files."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.dataset.columns import Reconstructed, freeze
from regionbatch.findings.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset.regions import Regions


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Originals(Reconstructed):
    """The k boxes that were dropped or changed, as they are in the files; none is sent like this.

    There is a row for each box that a rule for boxes dropped or changed. A record that the reader
    itself rejects has no box, only a finding.

    Example:
        >>> dataset = rb.read("fixtures/coco/over-the-edge/input")
        >>> originals = dataset.originals
        >>> bool((originals.box[originals.region >= 0] < 0).any())
        True

    Raises:
        ValueError: A column has the wrong shape.
    """

    box: NDArray[np.float64]
    """(k, 4), normalised left, top, width, height before any change.

    The boxes may extend beyond the image and have negative sides. NaN: not four numbers, or the
    size of the image is unknown.
    """
    angle: NDArray[np.float64]
    """(k,), rotation about the centre of the box in pixels, in radians; 0: none."""
    image: NDArray[np.int32]
    """(k,), codes into `Dataset.images`."""
    tag: NDArray[np.int32]
    """(k,), codes into `Dataset.tags`; -1: the box has no class."""
    file: NDArray[np.int32]
    """(k,), codes into `Findings.files`."""
    where: NDArray[np.int64]
    """(k,), the place in that file, as in `Regions.where`."""
    code: NDArray[np.int16]
    """(k,), the finding code that dropped or first changed it, as its number in `codes.CODES`."""
    region: NDArray[np.int64]
    """(k,), the row of the changed box in `Dataset.regions`; -1: it was dropped."""

    def __post_init__(self) -> None:
        """Check the shapes, and make the arrays read-only."""
        freeze(self, len(self.box), box=(4,), angle=(), image=(), tag=(), file=(), where=())
        freeze(self, len(self.box), code=(), region=())

    @classmethod
    def empty(cls) -> Originals:
        """Return no rows."""
        code = np.zeros(0, np.int32)
        number = np.zeros(0, np.int64)
        box = np.zeros((0, 4))
        return cls(box, np.zeros(0), code, code, code, number, np.zeros(0, np.int16), number)

    def take(self, rows: NDArray[np.bool_]) -> Originals:
        """Return the rows of a mask."""
        return Originals(*(getattr(self, column.name)[rows] for column in fields(self)))

    def after_drop(self, regions: Regions, kept: NDArray[np.bool_], code: str) -> Originals:
        """Return the dropped and changed boxes as they are once more regions are dropped.

        Args:
            regions: All regions before.
            kept: (n,), False for each region that is dropped.
            code: The finding code that drops them.
        """
        # One more row, so that the -1 of a dropped box stays -1.
        region = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)[self.region]
        is_lost = (self.region >= 0) & (region < 0)
        number = np.int16([*CODES].index(code))
        earlier = replace(self, region=region, code=np.where(is_lost, number, self.code))
        rows = np.setdiff1d(np.flatnonzero(~kept), self.region, assume_unique=False)
        dropped = Originals(
            regions.box[rows],
            np.zeros(len(rows)),
            regions.image[rows],
            regions.tag[rows],
            regions.file[rows],
            regions.where[rows],
            np.full(len(rows), number),
            np.full(len(rows), -1, np.int64),
        )
        return joined_originals([earlier, dropped])

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.box)

    def __repr__(self) -> str:
        """Return the type and the number of rows."""
        return f"Originals({len(self)})"


def joined_originals(several: Sequence[Originals]) -> Originals:
    """Return the rows of several `Originals`, one after the other."""
    names = [column.name for column in fields(Originals)]
    return Originals(*(np.concatenate([getattr(one, name) for one in several]) for name in names))
