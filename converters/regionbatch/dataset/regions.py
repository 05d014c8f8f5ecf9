"""The dataset that is read, and the boxes that will be sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.dataset.columns import freeze

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from regionbatch.dataset.images import Images
    from regionbatch.findings import Decision, Findings, Ledger, Place


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
class Regions:
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
    """(n, 4), normalised left, top, width, height, as `boxes.quantise` returns them."""
    file: NDArray[np.int32]
    """(n,), codes into `Findings.files`."""
    where: NDArray[np.int64]
    """(n,), the place in that file: a line number, or an annotation ID (see `place`)."""
    adjusted: NDArray[np.int8]
    """(n,), the first code that adjusted each box, as its number in `codes.ADJUSTING`; 0: none."""
    place: Place = "line"
    """What `where` counts."""

    def __post_init__(self) -> None:
        """Check the shapes, and make the arrays read-only."""
        freeze(self, len(self.box), image=(), tag=(), box=(4,), file=(), where=(), adjusted=())

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.box)

    def __repr__(self) -> str:
        """Return the type and the number of rows."""
        return f"Regions({len(self)})"

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Regions:
        """Return the regions of some rows.

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
            self.box.take(numbers, axis=0),  # seven times as fast as an index in square brackets
            self.file[numbers],
            self.where[numbers],
            self.adjusted[numbers],
            self.place,
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dataset:
    """A dataset that was read: every box is kept, adjusted, or dropped with a reason and a place.

    `regionbatch.read` returns it. Its length is the number of regions; iterating it yields them as
    `Region` rows.

    Example:
        >>> dataset = rb.read("fixtures/scene/coco")
        >>> dataset
        Dataset(coco, ...scene..., 6 images, 4 tags, 12 read = 12 kept + 0 adjusted + 0 dropped)
        >>> dataset.tags
        ['person', 'traffic light', 'bicycle', 'café']
        >>> len(dataset), dataset.ledger.read
        (12, 12)
        >>> dataset.findings.counts()
        {}
    """

    format: str
    """Name of the reader (`coco`)."""
    root: Path
    """The path that was read."""
    images: Images
    """The images, including those without a box."""
    tags: Sequence[str]
    """Distinct class names, without outer whitespace, in NFC, including those without a box."""
    regions: Regions
    """The boxes that will be sent."""
    findings: Findings
    """What was adjusted, dropped or is worth knowing, each with its place."""
    ledger: Ledger
    """The account of all boxes and images: read = kept + adjusted + dropped."""
    decisions: Mapping[str, Decision]
    """What was detected about the whole dataset, with the evidence, by the overriding option."""

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self.regions)

    def __repr__(self) -> str:
        """Return a summary.

        `Dataset(voc, bccd, 364 images, 3 tags, 4888 read = 4886 kept + 0 adjusted + 2 dropped)`.
        """
        counts = f"{len(self.images)} images, {len(self.tags)} tags, {self.ledger}"
        return f"Dataset({self.format}, {self.root}, {counts})"

    def __iter__(self) -> Iterator[Region]:
        """Yield the regions as rows, in the order in which they were read.

        Example:
            >>> sorted({region.tag for region in rb.read("fixtures/scene/coco")})
            ['bicycle', 'café', 'person', 'traffic light']
        """
        columns = self.regions
        rows = zip(columns.image.tolist(), columns.tag.tolist(), columns.box.tolist(), strict=True)
        for image, tag, box in rows:
            yield Region(self.images.names[image], self.tags[tag], *box)
