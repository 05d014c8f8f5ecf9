"""The boxes that will be sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.dataset.columns import Reconstructed, by_column, freeze, take_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from regionbatch.findings import Place


class Region(NamedTuple):
    """One box that will be sent, as a row: what iterating a `Dataset` yields.

    The four numbers are normalised coordinates, from 0 to 1, as Custom Vision expects them.

    Example:
        >>> region = next(iter(rb.read("fixtures/scene/coco")))
        >>> region.image, region.tag
        ('images/market.jpg', 'person')
        >>> region[2:]
        (0.0, 0.0, 0.1875, 0.625)
    """

    image: str
    """Name of the image: its path relative to the dataset, with `/`."""
    tag: str
    """Class name, without outer whitespace, in NFC."""
    left: float
    """Left edge, as a fraction of the image's width."""
    top: float
    """Top edge, as a fraction of the image's height."""
    width: float
    """Width, as a fraction of the image's width."""
    height: float
    """Height, as a fraction of the image's height."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Regions(Reconstructed):
    """The n boxes that will be sent, in the order in which they were read.

    Example:
        >>> regions = rb.read("fixtures/scene/coco").regions
        >>> len(regions), regions.box.shape
        (12, (12, 4))
        >>> regions.box[0]
        array([0.    , 0.    , 0.1875, 0.625 ])

    Raises:
        ValueError: A column has the wrong shape.
    """

    image: NDArray[np.int32]
    """(n,), codes into `Dataset.images`."""
    tag: NDArray[np.int32]
    """(n,), codes into `Dataset.tags`."""
    box: NDArray[np.float64]
    """(n, 4), normalised left, top, width, height, as `boxes.quantise` returns them.

    It is stored column by column, so that each of the four columns is contiguous.
    """
    file: NDArray[np.int32]
    """(n,), codes into `Findings.files`."""
    where: NDArray[np.int64]
    """(n,), the place in that file: a line, an annotation ID, or a row (see `place`)."""
    adjusted: NDArray[np.int8]
    """(n,), the first code that adjusted each box, as its number in `codes.ADJUSTING`; 0: none."""
    place: Place | tuple[Place, ...] = "line"
    """What `where` counts in all files or, if datasets were joined, in each file."""

    def __post_init__(self) -> None:
        """Check the shapes, and make the arrays read-only."""
        object.__setattr__(self, "box", by_column(self.box))
        freeze(self, len(self.box), image=(), tag=(), box=(4,), file=(), where=(), adjusted=())

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.box)

    def __repr__(self) -> str:
        """Return the type and the number of rows."""
        return f"Regions({len(self)})"

    def places(self, files: int) -> tuple[Place, ...]:
        """Return what `where` counts in each of a number of files."""
        return self.place if isinstance(self.place, tuple) else (self.place,) * files

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Regions:
        """Return the regions in some rows.

        Args:
            rows: A mask of all rows, (n,), or row numbers.

        Example:
            >>> regions = rb.read("fixtures/scene/coco").regions
            >>> regions.take(regions.box[:, 2] > 0.5)
            Regions(4)
        """
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Regions(
            self.image[numbers],
            self.tag[numbers],
            take_rows(self.box, numbers),
            self.file[numbers],
            self.where[numbers],
            self.adjusted[numbers],
            self.place,
        )
