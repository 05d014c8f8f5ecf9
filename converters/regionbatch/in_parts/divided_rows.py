"""The annotations of a dataset, divided into parts of which each can be sent to another process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from regionbatch.dataset import Images, PlacedAnnotations
from regionbatch.in_parts.division import Division, divide
from regionbatch.in_parts.row_file import RowFile, layout_of, records_of
from regionbatch.in_parts.work import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.boxes import BoxMode
    from regionbatch.findings import Place
    from regionbatch.in_parts.row_file import Records
    from regionbatch.judging import Filters
    from regionbatch.merging import MergedTables
    from regionbatch.resolved_ids import ResolvedIds


class Tables(NamedTuple):
    """The tables that the rows of a dataset refer to, and what is the same for all rows."""

    mode: BoxMode
    images: Images
    """The images, before images of the same name are merged."""
    tags: Sequence[str]
    place: Place
    marks: Sequence[str]
    merged: MergedTables
    files: list[str]
    filters: Filters


@dataclass(frozen=True, slots=True, eq=False)
class DividedRows:
    """Rows in a file, by part. Use it in a `with` block, after which the file is gone."""

    tables: Tables
    boxes: NDArray[np.int64]
    """(m,), the number of rows of each of m merged images."""
    division: Division
    """The parts of the merged images."""
    listed: Division
    """The same parts of the images before they were merged."""
    rows: RowFile

    @classmethod
    def of(
        cls, raw: PlacedAnnotations, merged: MergedTables, files: list[str], filters: Filters
    ) -> DividedRows:
        """Divide annotations.

        Args:
            raw: The annotations, with the sizes of their images.
            merged: Their tables.
            files: The annotation files.
            filters: Which boxes to leave out.
        """
        tables = Tables(
            raw.mode, raw.images, raw.tags, raw.place, [*raw.marks], merged, files, filters
        )
        listed = np.bincount(raw.image, minlength=len(raw.images))
        count = len(merged.images)
        boxes = np.bincount(merged.image_code, listed, minlength=count).astype(np.int64)
        group = np.arange(count, dtype=np.int32)
        return cls._divided(tables, boxes, group, layout_of(raw), records_of(raw))

    @classmethod
    def _divided(
        cls,
        tables: Tables,
        boxes: NDArray[np.int64],
        group: NDArray[np.int32],
        layout: np.dtype[np.void],
        blocks: Iterable[Records],
    ) -> DividedRows:
        division = divide(boxes, group)
        listed = Division.of(division.part[tables.merged.image_code], len(division))
        counts = np.bincount(division.part, boxes, minlength=len(division)).astype(np.int64)
        rows = RowFile(layout, counts)
        try:
            for records in blocks:
                rows.add(listed.part[records["image"]], records)
        except BaseException:
            rows.close()
            raise
        return cls(tables, boxes, division, listed, rows)

    def grouped(self, group: NDArray[np.int32]) -> DividedRows:
        """Return the same rows divided in another way.

        Args:
            group: (m,), the image that each merged image is kept together with.
        """
        blocks = map(self.rows.part, range(len(self.division)))
        return self._divided(self.tables, self.boxes, group, self.rows.layout, blocks)

    def __enter__(self) -> Self:
        """Return the rows."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the file."""
        self.rows.close()

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self.division)

    def part(self, number: int) -> Part:
        """Return a part, whose codes point into tables of its own images and files."""
        records = self.rows.part(number)
        if (np.diff(records["row"]) < 0).any():
            records = records[np.argsort(records["row"])]
        tables, merged = self.tables, self.tables.merged
        listed, images = self.listed.images_of(number), self.division.images_of(number)
        files, file = np.unique(records["file"], return_inverse=True)
        marks = {
            mark: np.flatnonzero(records["marks"][:, at]) for at, mark in enumerate(tables.marks)
        }
        raw = PlacedAnnotations(
            tables.mode,
            np.asfortranarray(records["box"]),
            self.listed.local[records["image"]],
            records["tag"].copy(),
            _sizes_of(tables.images, listed),
            tables.tags,
            file.astype(np.int32),
            records["where"].copy(),
            tables.place,
            marks,
            records["angle"].copy() if "angle" in (records.dtype.names or ()) else None,
        )
        names = [merged.images.names[image] for image in images.tolist()]
        own = replace(
            merged,
            images=replace(_sizes_of(merged.images, images), names=names),
            image_code=self.division.local[merged.image_code[listed]],
        )
        file_names = [tables.files[code] for code in files.tolist()]
        return Part(raw, own, records["row"].copy(), file_names, tables.filters)

    def ids_of(self, number: int, ids: ResolvedIds) -> ResolvedIds:
        """Return the IDs of the images of a part, in their order there."""
        images = self.division.images_of(number)
        codes = ids.image_codes[images]
        local = np.where(codes >= 0, self.division.local[codes], np.int32(-1))
        return replace(ids, images=[ids.images[each] for each in images], image_codes=local)


def _sizes_of(images: Images, rows: NDArray[np.int64]) -> Images:
    """Return the sizes of some images, without their names."""
    none = ("",) * len(rows)
    no_split = np.full(len(rows), -1, np.int32)
    return Images(none, images.width[rows], images.height[rows], none, no_split)
