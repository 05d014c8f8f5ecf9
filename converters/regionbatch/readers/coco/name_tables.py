"""The images and classes of COCO files, with the codes that annotations use.

The codes of a file start from 0, so that its annotations can be read before it is certain that the
file is read as a whole. Once it is, its images and classes are added to those of all files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.boxes import blocks
from regionbatch.dataset import ImageReferences, normalise_label
from regionbatch.dataset.columns import JoinedColumn
from regionbatch.files.paths import path_parts
from regionbatch.readers.coco.id_codes import AMBIGUOUS, NAMELESS, IdIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class FileImages(NamedTuple):
    """The images of one file; m of them. Their codes are their row numbers."""

    names: list[str]
    size: NDArray[np.int32]
    """(m, 2), declared width and height; 0: unknown."""
    code_by_id: IdIndex
    """The codes of the IDs."""


def images_of(names: list[str], ids: NDArray[np.int64], size: NDArray[np.int32]) -> FileImages:
    """Return the images of a file. An ID of images with different names is ambiguous.

    Args:
        names: The names of the m images.
        ids: (m,), their IDs.
        size: (m, 2), declared width and height; 0: unknown.
    """
    codes = np.arange(len(names), dtype=np.int32)
    index = IdIndex(ids, codes)
    first = index.look_up(ids)
    repeated = np.flatnonzero(first != codes)
    ambiguous = [
        row
        for row, other in zip(repeated.tolist(), first[repeated].tolist(), strict=True)
        if path_parts(names[row]) != path_parts(names[other])
    ]
    if ambiguous:
        index.set_ambiguous(ids[ambiguous])
    return FileImages(names, size, index)


class ImageNameTable:
    """The images of all files."""

    def __init__(self) -> None:
        """Start without images."""
        self._names: list[str] = []
        self._sizes = [np.empty((0, 2), np.int32)]
        self._file = JoinedColumn(np.int32)

    def recoded(self, image: NDArray[np.int32], images: FileImages, file: int) -> NDArray[np.int32]:
        """Add the images of a file, and change its codes, in place, to those of all files.

        Args:
            image: (n,), codes of images in the file, none of them negative.
            images: The images of the file.
            file: The code of the file, from `FindingLog.file`.
        """
        if self._names:
            image += np.int32(len(self._names))
        self._names += images.names
        self._sizes.append(images.size)
        self._file.append(np.full(len(images.names), file, np.int32))
        return image

    def sizes(self) -> NDArray[np.float64]:
        """Return the declared sizes of all images, as `with_unknown` does."""
        return with_unknown(np.concatenate(self._sizes))

    def references(self) -> ImageReferences:
        """Return the images as annotations need them."""
        width, height = np.concatenate(self._sizes).T
        return ImageReferences(self._names, self._file.finished(), width, height)


def with_unknown(size: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the sizes of m images and an unknown one, (m + 1, 2), so that -1 is a code for it."""
    sizes = np.zeros((2, len(size) + 1))
    sizes[:, :-1] = size.T
    return sizes.T


class FileClasses(NamedTuple):
    """The classes of one file, with their codes. Categories with the same name are one class."""

    names: list[str]
    """The names in the order of their codes."""
    code_by_id: IdIndex
    """The codes of the IDs of categories."""


def classes_of(categories: Sequence[tuple[int, str]]) -> FileClasses:
    """Return the classes of a file.

    Args:
        categories: The ID and the name of each category.
    """
    names: dict[str, int] = {}
    codes: dict[int, int] = {}
    labels: dict[int, str] = {}
    for id_, name in categories:
        label = normalise_label(name)
        code = names.setdefault(name, len(names)) if label else NAMELESS
        codes.setdefault(id_, code)
        if labels.setdefault(id_, label) != label:
            codes[id_] = AMBIGUOUS
    index = IdIndex(
        np.fromiter(codes, np.int64, len(codes)),
        np.fromiter(codes.values(), np.int32, len(codes)),
    )
    return FileClasses([*names], index)


class ClassNameTable:
    """The classes of all files. Classes with the same name are one."""

    def __init__(self) -> None:
        """Start without classes."""
        self._codes: dict[str, int] = {}

    def recoded(self, tag: NDArray[np.int32], names: Sequence[str]) -> NDArray[np.int32]:
        """Add the classes of a file, and change its codes, in place, to those of all files.

        Args:
            tag: (n,), codes of classes in the file, none of them negative.
            names: The names of the classes of the file.
        """
        codes = [self._codes.setdefault(name, len(self._codes)) for name in names]
        if codes != [*range(len(codes))]:
            table = np.asarray(codes, np.int32)
            for block in blocks(len(tag)):
                tag[block] = table[tag[block]]
        return tag

    def names(self) -> list[str]:
        """Return the names in the order of their codes."""
        return list(self._codes)
