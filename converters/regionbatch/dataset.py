"""The types that every room shares: annotations as in the file, and the dataset with boxes from 0 to 1.

Columns, not objects: a million boxes are a few arrays. Arrays are read-only and their shapes are checked when made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from regionbatch.normal_form import normal_form

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from regionbatch.boxes import BoxMode
    from regionbatch.findings import Findings, Ledger, Place


MARKS = ("crowd", "difficult", "truncated", "occluded")
"""What formats say about a box; `drop` can leave them out."""

_NOT_GIVEN = np.zeros(0, np.bool_)
_NO_SPLIT = np.zeros(0, np.int32)


class _HasLength(Protocol):
    def __len__(self) -> int: ...


Table = TypeVar("Table", bound=_HasLength)


def tidy(name: str) -> str:
    """A class name as it is compared: trimmed, in NFC."""
    return normal_form("NFC", name).strip()


class Region(NamedTuple):
    """One box as a row: for people and tests. Left, top, width and height from 0 to 1 of the image's sides."""

    image: str
    tag: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageReferences:
    """The images that annotations are about, as the files name them; m of them.

    `association` finds the image file of each.
    """

    names: Sequence[str]
    """m names as they stand in the files: COCO's `file_name`, VOC's `<filename>`; empty where a file declares none."""
    file: NDArray[np.int32]
    """(m,), codes into `FindingLog.files`: the label file, or the file that declares the name."""
    width: NDArray[np.int32]
    """(m,), declared pixels; 0: unknown."""
    height: NDArray[np.int32]
    """(m,), declared pixels; 0: unknown."""
    split: NDArray[np.int32] = field(default_factory=lambda: _NO_SPLIT)
    """(m,), codes into `splits`; -1: in none. Not given: the split of each image is that of its file."""
    splits: Sequence[str] = ()
    """The names of the splits, as `train`."""

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.split is _NO_SPLIT:
            object.__setattr__(self, "split", np.full(len(self.names), -1, np.int32))
        _freeze(self, len(self.names), file=(), width=(), height=(), split=())

    def __len__(self) -> int:
        """Return how many images."""
        return len(self.names)

    def __repr__(self) -> str:
        """Return how many; not what."""
        return f"ImageReferences({len(self)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Images:
    """The images of a dataset, in the order met; m of them."""

    names: Sequence[str]
    """m names: the path relative to the dataset, with `/`; what IDs are looked up by."""
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
    exact: NDArray[np.bool_] = field(default_factory=lambda: _NOT_GIVEN)
    """(m,), whether the image's ID is that of exactly this name: which image file it is could not be decided."""

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.exact is _NOT_GIVEN:
            object.__setattr__(self, "exact", np.zeros(len(self.names), np.bool_))
        _freeze(self, len(self.names), width=(), height=(), paths=(), split=(), exact=())

    def __len__(self) -> int:
        """Return how many images."""
        return len(self.names)

    def __repr__(self) -> str:
        """Return how many; not what."""
        return f"Images({len(self)})"

    def split_names(self) -> list[str]:
        """Return the name of the split of each image; empty: none."""
        return split_names(self.split, self.splits)


def split_names(split: NDArray[np.int32], splits: Sequence[str]) -> list[str]:
    """Return the name that each split code stands for; empty: none."""
    return ["" if code < 0 else splits[code] for code in split.tolist()]


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An entry of an image list."""

    name: str
    """As written, a path."""
    file: str
    """The list."""
    line: int
    split: str
    """Empty: none."""


@dataclass(frozen=True, slots=True)
class References:
    """What a reader says that a dataset consists of, before it parses an annotation.

    Paths are relative to the tree, with `/`.
    """

    files: Mapping[str, str]
    """The annotation files to read, with the split of each; empty: none."""
    one_image_each: bool = False
    """Whether each file is about the image of its own name, as in VOC and YOLO. Else files declare their images."""
    declares_names: bool = True
    """Of files about one image each: whether they declare its name too, as VOC's `<filename>` does.

    Where they do not, all images of one name in one folder (`a.jpg`, `a.png`) share a label file.
    """
    others: Collection[str] = ()
    """Label files on disk that are not to be read, as of a split that was not asked for: their images are theirs."""
    superseded: Collection[str] = ()
    """Files that are not read, since `files` should have their boxes, as COCO's instances those of its keypoints.

    What they have more is counted as dropped: boxes of other images, and other boxes in the same numbers.
    """
    label_folders: Collection[str] | None = None
    """Where label files belong to the dataset also without an image; None: everywhere."""
    image_folders: Mapping[str, str | None] | None = None
    """The folders all whose images belong to the dataset, with the split of each; None as split: by folder names.

    None: the images are those that the files are about.
    """
    listed: Sequence[ListedImage] = ()
    """Images that lists name, which belong to the dataset as those of `image_folders` do."""
    extensions: Sequence[str] = ()
    """Those of annotation files, in lower case: pipes and broken links with one are reported."""
    splits: Collection[str] | None = None
    """The splits of `image_folders` and `listed` that were asked for; None: all."""

    @property
    def scoped(self) -> bool:
        """Whether it is known which images belong to the dataset."""
        return self.image_folders is not None or bool(self.listed)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _AnnotationColumns(Generic[Table]):
    mode: BoxMode
    """What the four numbers mean."""
    box: NDArray[np.float64]
    """(n, 4), as in the file; NaN and infinity are allowed."""
    image: NDArray[np.int32]
    """(n,), codes into `images`."""
    tag: NDArray[np.int32]
    """(n,), codes into `tags`."""
    images: Table
    tags: Sequence[str]
    """The class names as in the file; a name may be here twice."""
    file: NDArray[np.int32]
    """(n,), codes into `FindingLog.files`: the file of each box."""
    where: NDArray[np.int64]
    """(n,), the place in that file: a line number, or an annotation ID (see `place`)."""
    place: Place = "line"
    """What `where` counts."""
    marks: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Row numbers by what applies to them: a finding code (`box_from_shape`), or one of `MARKS` (`crowd`)."""
    angle: NDArray[np.float64] | None = None
    """(n,), radians by which each box is rotated about its centre, in pixels; None: no box is rotated."""

    def __post_init__(self) -> None:
        """Check the shapes, and that the codes point into the tables."""
        if self.angle is not None:
            _freeze(self, len(self.box), angle=())
        _freeze(self, len(self.box), box=(4,), image=(), tag=(), file=(), where=())
        for name, codes, table in (("image", self.image, len(self.images)), ("tag", self.tag, len(self.tags))):
            if len(codes) and not (codes.min() >= 0 and codes.max() < table):
                found = f"{codes.min()} to {codes.max()}"
                raise ValueError(f"{type(self).__name__}.{name}: codes must be from 0 to {table - 1}, not {found}")

    def __len__(self) -> int:
        """Return how many boxes."""
        return len(self.box)

    def __repr__(self) -> str:
        """Return how many; not what."""
        return f"{type(self).__name__}({len(self)}, {self.mode})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RawAnnotations(_AnnotationColumns[ImageReferences]):
    """What a reader returns: n boxes exactly as in the file, and the tables that they point into."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlacedAnnotations(_AnnotationColumns[Images]):
    """The same once the image file of each reference is known."""


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
    """A dataset read, judged and accounted for."""

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
    """What was decided about the whole dataset, by the option that overrides it, with the evidence."""

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
