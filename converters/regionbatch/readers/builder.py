"""Collect the annotations of a reader one by one, as columns."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.dataset import ImageReferences, RawAnnotations

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from regionbatch.boxes import BoxMode
    from regionbatch.findings import Place


class AnnotationBuilder:
    """Collects images and boxes, and builds `RawAnnotations` from them."""

    def __init__(self) -> None:
        """Start with no images and no boxes."""
        self._names: list[str] = []
        self._images = array("i")
        """Four numbers for each image: file, width, height, split."""
        self._splits: dict[str, int] = {}
        self._tags: dict[str, int] = {}
        self._rows = array("q")
        """Four numbers for each box: image, tag, file, where."""
        self._boxes = array("d")
        """Four numbers for each box."""
        self._angles = array("d")
        """One number for each box."""
        self._marks: dict[str, list[int]] = {}

    def add_image(
        self, name: str, file: int, width: int = 0, height: int = 0, split: str = ""
    ) -> int:
        """Add an image and return its code.

        Args:
            name: The name that the file declares; empty if it declares none.
            file: The code of the label file, from `FindingLog.file`.
            width: The declared width in pixels; 0: unknown.
            height: The declared height in pixels; 0: unknown.
            split: The name of its split; empty: none.

        Returns:
            The code to pass to `add_box`.
        """
        code = self._splits.setdefault(split, len(self._splits)) if split else -1
        self._names.append(name)
        self._images.extend((file, width, height, code))
        return len(self._names) - 1

    def add_tag(self, name: str) -> int:
        """Add a class if it is new, and return its code."""
        return self._tags.setdefault(name, len(self._tags))

    def add_box(
        self,
        image: int,
        tag: str,
        file: int,
        where: int,
        box: Sequence[float],
        marks: Iterable[str] = (),
        angle: float = 0,
    ) -> None:
        """Add a box.

        Args:
            image: The code that `add_image` returned.
            tag: The name of the class.
            file: The code of the label file, from `FindingLog.file`.
            where: The place of the box in that file, such as its line.
            box: The four numbers as they are in the file.
            marks: Finding codes and marks of the box, such as `difficult`.
            angle: The rotation in radians, clockwise as drawn; 0: axis-aligned.
        """
        for mark in marks:
            self._marks.setdefault(mark, []).append(len(self._rows) // 4)
        self._rows.extend((image, self.add_tag(tag), file, where))
        self._boxes.extend(box)
        self._angles.append(angle)

    def build(self, mode: BoxMode, place: Place = "line") -> RawAnnotations:
        """Return everything that was added.

        Args:
            mode: What the four numbers of all boxes mean.
            place: What `where` counts.
        """
        codes = np.asarray(self._rows, np.int64).reshape(-1, 4)
        images = np.asarray(self._images, np.int32).reshape(-1, 4)
        return RawAnnotations(
            mode=mode,
            box=np.asarray(self._boxes, np.float64).reshape(-1, 4),
            image=codes[:, 0].astype(np.int32),
            tag=codes[:, 1].astype(np.int32),
            images=ImageReferences(
                self._names, images[:, 0], images[:, 1], images[:, 2], images[:, 3], [*self._splits]
            ),
            tags=[*self._tags],
            file=codes[:, 2].astype(np.int32),
            where=codes[:, 3],
            place=place,
            marks={mark: np.asarray(rows, np.int64) for mark, rows in self._marks.items()},
            angle=np.asarray(self._angles, np.float64) if any(self._angles) else None,
        )
