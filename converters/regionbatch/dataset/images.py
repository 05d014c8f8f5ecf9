"""The images of a dataset: as its files name them, and once their image files are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.dataset.columns import Reconstructed, freeze, texts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NOT_GIVEN = np.zeros(0, np.bool_)
_NO_SPLIT = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageReferences(Reconstructed):
    """The images of annotations, as the files name them; a part of `RawAnnotations`.

    A reader only returns names. The core finds the image file of each (`association`).

    Example:
        >>> from regionbatch.dataset import ImageReferences
        >>> import numpy as np
        >>> ImageReferences(
        ...     names=["a.jpg", "b.jpg"],
        ...     file=np.array([0, 0], np.int32),
        ...     width=np.array([640, 0], np.int32),
        ...     height=np.array([480, 0], np.int32),
        ... )
        ImageReferences(2)

    Raises:
        ValueError: A column has the wrong shape.
    """

    names: Sequence[str]
    """m names as in the files: COCO's `file_name`, VOC's `<filename>`; empty if undeclared."""
    file: NDArray[np.int32]
    """(m,), codes into `FindingLog.files`: the label file, or the file that declares the name."""
    width: NDArray[np.int32]
    """(m,), declared width in pixels; 0: unknown."""
    height: NDArray[np.int32]
    """(m,), declared height in pixels; 0: unknown."""
    split: NDArray[np.int32] = field(default_factory=lambda: _NO_SPLIT)
    """(m,), codes into `splits`; -1: none. If omitted, an image has the split of its file."""
    splits: Sequence[str] = ()
    """Names of the splits, such as `train`."""

    def __post_init__(self) -> None:
        """Check the shapes, and make the arrays read-only."""
        if self.split is _NO_SPLIT:
            object.__setattr__(self, "split", np.full(len(self.names), -1, np.int32))
        freeze(self, len(self.names), file=(), width=(), height=(), split=())

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __repr__(self) -> str:
        """Return the type and the number of rows."""
        return f"ImageReferences({len(self)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Images(Reconstructed):
    """The m images of a dataset, in the order in which they were read.

    Example:
        >>> images = rb.read("fixtures/scene/coco").images
        >>> images.names[0], images.width[0], images.height[0]
        ('images/market.jpg', np.int32(640), np.int32(480))

    Raises:
        ValueError: A column has the wrong shape.
    """

    names: Sequence[str]
    """m names by which IDs are looked up: paths relative to the dataset, with `/`."""
    width: NDArray[np.int32]
    """(m,), width in pixels; 0: unknown."""
    height: NDArray[np.int32]
    """(m,), height in pixels; 0: unknown."""
    paths: Sequence[str]
    """m paths on disk; empty if the image file is missing."""
    split: NDArray[np.int32]
    """(m,), codes into `splits`; -1: none."""
    splits: Sequence[str] = ()
    """Names of the splits, such as `train`."""
    exact: NDArray[np.bool_] = field(default_factory=lambda: _NOT_GIVEN)
    """(m,), whether only an ID of exactly this name is used, because the image file is
    ambiguous."""

    def __post_init__(self) -> None:
        """Check the shapes, and make the arrays read-only."""
        if self.exact is _NOT_GIVEN:
            object.__setattr__(self, "exact", np.zeros(len(self.names), np.bool_))
        freeze(self, len(self.names), width=(), height=(), paths=(), split=(), exact=())

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __repr__(self) -> str:
        """Return the type and the number of rows."""
        return f"Images({len(self)})"

    def take(self, rows: NDArray[np.int64]) -> Images:
        """Return the images with the given row numbers.

        Example:
            >>> import numpy as np
            >>> rb.read("fixtures/scene/coco").images.take(np.array([2, 0])).names
            ['images/old square.jpg', 'images/market.jpg']
        """
        numbers = rows.tolist()
        return Images(
            [self.names[row] for row in numbers],
            self.width[rows],
            self.height[rows],
            [self.paths[row] for row in numbers],
            self.split[rows],
            self.splits,
            self.exact[rows],
        )

    def split_names(self) -> list[str]:
        """Return the split of each image; empty if it has none.

        Returns:
            m names.

        Example:
            >>> rb.read("fixtures/scene/coco").images.split_names()[:2]
            ['train', 'train']
        """
        return texts_of(self.split, self.splits)
