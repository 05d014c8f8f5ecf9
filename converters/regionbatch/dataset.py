"""The types that every room shares: annotations as in the file, and the data set with boxes from 0 to 1.

Columns, not objects: a million boxes are a few arrays. Arrays are read-only and their shapes are checked when made.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from regionbatch.boxes import BoxMode
    from regionbatch.findings import Findings, Ledger, Place


def tidy(name: str) -> str:
    """A class name as it is compared: trimmed, in NFC."""
    return unicodedata.normalize("NFC", name).strip()


class Region(NamedTuple):
    """One box as a row: for people and tests. Left, top, width and height from 0 to 1 of the image's sides."""

    image: str
    tag: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Images:
    """The images of a data set, in the order met; m of them."""

    names: Sequence[str]
    """m names: the path relative to the data set, with `/`; what ids are looked up by."""
    width: NDArray[np.int32]
    """(m,), pixels; 0: unknown."""
    height: NDArray[np.int32]
    """(m,), pixels; 0: unknown."""
    paths: Sequence[str]
    """m paths on disk, empty where the image is not there."""
    split: NDArray[np.int32]
    """(m,), codes into `splits`; -1: in none."""
    splits: Sequence[str] = ()
    """The names of the splits, as `train`."""

    def __post_init__(self) -> None:
        """Check the shapes."""
        _freeze(self, len(self.names), width=(), height=(), paths=(), split=())

    def __len__(self) -> int:
        """How many images."""
        return len(self.names)

    def __repr__(self) -> str:
        """How many; not what."""
        return f"Images({len(self)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RawAnnotations:
    """What a reader returns: n boxes exactly as they stand in the file, and the tables that they point into."""

    mode: BoxMode
    """What the four numbers mean."""
    box: NDArray[np.float64]
    """(n, 4), as in the file; NaN and infinity are allowed."""
    image: NDArray[np.int32]
    """(n,), codes into `images`."""
    tag: NDArray[np.int32]
    """(n,), codes into `tags`."""
    images: Images
    tags: Sequence[str]
    """The class names as in the file; a name may stand here twice."""
    file: NDArray[np.int32]
    """(n,), codes into `Report.files`: the file that each box stands in."""
    where: NDArray[np.int64]
    """(n,), the place in that file: a line number, or an annotation id (see `place`)."""
    place: Place = "line"
    """What `where` counts."""
    marks: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Row numbers by the finding code that applies to them, as `crowd` or `box_from_shape`."""

    def __post_init__(self) -> None:
        """Check the shapes, and that the codes point into the tables."""
        _freeze(self, len(self.box), box=(4,), image=(), tag=(), file=(), where=())
        for name, codes, table in (("image", self.image, self.images), ("tag", self.tag, self.tags)):
            if len(codes) and not (codes.min() >= 0 and codes.max() < len(table)):
                message = f"RawAnnotations.{name}: codes from 0 to {len(table) - 1} are needed"
                raise ValueError(f"{message}, got {codes.min()} to {codes.max()}")

    def __len__(self) -> int:
        """How many boxes."""
        return len(self.box)

    def __repr__(self) -> str:
        """How many; not what."""
        return f"RawAnnotations({len(self)}, {self.mode})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Regions:
    """The boxes that will be sent; n of them, in the order read."""

    image: NDArray[np.int32]
    """(n,), codes into `Dataset.images`."""
    tag: NDArray[np.int32]
    """(n,), codes into `Dataset.tags`."""
    box: NDArray[np.float64]
    """(n, 4): left, top, width, height, from 0 to 1, as `boxes.writable` makes them."""
    file: NDArray[np.int32]
    """(n,), codes into `Findings.files`."""
    where: NDArray[np.int64]
    """(n,), line number or annotation id in that file."""
    adjusted: NDArray[np.int8]
    """(n,), the first code that adjusted each, as its number in `codes.ADJUSTING`; 0: none."""
    place: Place = "line"
    """What `where` counts."""

    def __post_init__(self) -> None:
        """Check the shapes."""
        _freeze(self, len(self.box), image=(), tag=(), box=(4,), file=(), where=(), adjusted=())

    def __len__(self) -> int:
        """How many boxes."""
        return len(self.box)

    def __repr__(self) -> str:
        """How many; not what."""
        return f"Regions({len(self)})"

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Regions:
        """The regions of some rows, by mask or by number."""
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Regions(
            self.image[numbers],
            self.tag[numbers],
            self.box.take(numbers, axis=0),  # an index in square brackets needs seven times as long
            self.file[numbers],
            self.where[numbers],
            self.adjusted[numbers],
            self.place,
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dataset:
    """A data set read, judged and accounted for."""

    format: str
    root: Path
    images: Images
    tags: Sequence[str]
    """Class names, trimmed and NFC, each once; also those without a box."""
    regions: Regions
    findings: Findings
    """What was adjusted, dropped or is worth knowing, each with its place."""
    ledger: Ledger
    """read = kept + adjusted + dropped, over boxes and over images."""
    decisions: Mapping[str, str]
    """What was decided about the whole data set, by the option that overrides it, with the evidence."""

    def __len__(self) -> int:
        """How many regions."""
        return len(self.regions)

    def __repr__(self) -> str:
        """`Dataset(voc, bccd, 364 images, 3 tags, 4888 read = 4886 kept + 0 adjusted + 2 dropped)`."""
        counts = f"{len(self.images)} images, {len(self.tags)} tags, {self.ledger}"
        return f"Dataset({self.format}, {self.root}, {counts})"

    def __iter__(self) -> Iterator[Region]:
        """The regions as rows."""
        names, tags = self.images.names, self.tags
        columns = self.regions
        for image, tag, box in zip(columns.image.tolist(), columns.tag.tolist(), columns.box.tolist(), strict=True):
            yield Region(names[image], tags[tag], *box)


def _freeze(columns: object, length: int, **shapes: tuple[int, ...]) -> None:
    for name, tail in shapes.items():
        column = getattr(columns, name)
        if not isinstance(column, np.ndarray):
            shape: tuple[int, ...] = (len(column),)
        else:
            shape = column.shape
            column = column.view()
            column.flags.writeable = False
            object.__setattr__(columns, name, column)
        if shape != (length, *tail):
            raise ValueError(f"{type(columns).__name__}.{name}: shape {(length, *tail)} is needed, got {shape}")
