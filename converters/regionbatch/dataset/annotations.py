"""What a reader returns: annotations as in the file, and the files and images they are about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from regionbatch.dataset.columns import freeze
from regionbatch.dataset.images import ImageReferences, Images
from regionbatch.normal_form import normal_form

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from regionbatch.boxes import BoxMode
    from regionbatch.findings import Place

MARKS = ("crowd", "difficult", "truncated", "occluded")
"""Marks that formats give to annotations; the option `drop` leaves out annotations by mark."""


class _HasLength(Protocol):
    def __len__(self) -> int: ...


Table = TypeVar("Table", bound=_HasLength)


def normalise_label(name: str) -> str:
    """Return a class name for comparison: without outer whitespace, in NFC."""
    return normal_form("NFC", name).strip()


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An entry of a file that lists images, such as YOLO's `train.txt`."""

    name: str
    """The path of the image, as written."""
    file: str
    """The file that contains the list."""
    line: int
    """Line in that file, from 1."""
    split: str
    """Name of the split; empty if it has none."""


@dataclass(frozen=True, slots=True)
class References:
    """The files that a dataset consists of, which its reader finds before it parses annotations.

    Paths are relative to the tree, with `/`.

    Example:
        >>> from regionbatch.dataset import References
        >>> References({"labels/a.txt": "train", "labels/b.txt": ""}, one_image_each=True).scoped
        False
    """

    files: Mapping[str, str]
    """The annotation files to read, with the split of each; empty if it has none."""
    one_image_each: bool = False
    """Whether each file belongs to the image of its own name, as in VOC and YOLO.

    Otherwise, files declare their images, as in COCO.
    """
    declares_names: bool = True
    """Whether files with one image each also declare its name, as VOC's `<filename>` does.

    If not, all images of one name in one folder (`a.jpg`, `a.png`) share a label file.
    """
    others: Collection[str] = ()
    """Label files that exist but must not be read, such as those of another split.

    Their images are not given to the files that are read.
    """
    superseded: Collection[str] = ()
    """Files that are not read because `files` should contain their boxes.

    COCO's keypoints are superseded by its instances. Boxes that only the superseded file has are
    counted as dropped.
    """
    label_folders: Collection[str] | None = None
    """Folders whose label files belong to the dataset even without an image; None: all folders."""
    image_folders: Mapping[str, str | None] | None = None
    """Folders whose images all belong to the dataset, with the split of each.

    If a split is None, each folder in it has the split that its path names. If the mapping is None,
    only the images of the annotation files belong to the dataset.
    """
    listed: Sequence[ListedImage] = ()
    """Images from lists. They belong to the dataset, like the images in `image_folders`."""
    extensions: Sequence[str] = ()
    """Extensions of annotation files in lower case; unreadable files that have one of these are
    reported."""
    splits: Collection[str] | None = None
    """The splits of `image_folders` and `listed` that were asked for; None: all."""

    @property
    def scoped(self) -> bool:
        """Whether folders or lists define which images belong to the dataset."""
        return self.image_folders is not None or bool(self.listed)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _AnnotationColumns(Generic[Table]):
    mode: BoxMode
    """What the four numbers mean."""
    box: NDArray[np.float64]
    """(n, 4), the numbers as in the file; NaN and infinity are allowed."""
    image: NDArray[np.int32]
    """(n,), codes into `images`."""
    tag: NDArray[np.int32]
    """(n,), codes into `tags`."""
    images: Table
    """The images of the boxes."""
    tags: Sequence[str]
    """Class names as in the file. Duplicates are allowed."""
    file: NDArray[np.int32]
    """(n,), codes into `FindingLog.files`: the file of each box."""
    where: NDArray[np.int64]
    """(n,), the place in that file: a line number, or an annotation ID (see `place`)."""
    place: Place = "line"
    """What `where` counts."""
    marks: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Row numbers by finding code (`box_from_shape`) or by one of `MARKS` (`crowd`)."""
    angle: NDArray[np.float64] | None = None
    """(n,), rotation of each box in pixels about its centre, in radians; None: no rotation."""

    def __post_init__(self) -> None:
        """Check the shapes and the codes, and make the arrays read-only."""
        if self.angle is not None:
            freeze(self, len(self.box), angle=())
        freeze(self, len(self.box), box=(4,), image=(), tag=(), file=(), where=())
        for name, codes, table in (
            ("image", self.image, len(self.images)),
            ("tag", self.tag, len(self.tags)),
        ):
            if len(codes) and not (codes.min() >= 0 and codes.max() < table):
                raise ValueError(
                    f"{type(self).__name__}.{name}: codes from {codes.min()} to {codes.max()}. "
                    f"Return codes from 0 to {table - 1}."
                )

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.box)

    def __repr__(self) -> str:
        """Return the type and the number of rows."""
        return f"{type(self).__name__}({len(self)}, {self.mode})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RawAnnotations(_AnnotationColumns[ImageReferences]):
    """What a reader returns: n boxes exactly as in the file, with their images and class names.

    Example:
        >>> from regionbatch.boxes import BoxMode
        >>> from regionbatch.dataset import ImageReferences, RawAnnotations
        >>> import numpy as np
        >>> zero = np.zeros(1, np.int32)
        >>> RawAnnotations(
        ...     mode=BoxMode.XYWH_ABS,
        ...     box=np.array([[20.0, 10.0, 80.0, 60.0]]),
        ...     image=zero,
        ...     tag=zero,
        ...     images=ImageReferences(["a.jpg"], file=zero, width=zero + 200, height=zero + 100),
        ...     tags=["cat"],
        ...     file=zero,
        ...     where=np.array([3]),
        ... )
        RawAnnotations(1, BoxMode.XYWH_ABS)

    Raises:
        ValueError: A column has the wrong shape, or a code is outside its table.
    """


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlacedAnnotations(_AnnotationColumns[Images]):
    """Annotations as in the file, once the image file of each reference is known."""
