"""The dataset that is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import numpy as np

from regionbatch import arrow
from regionbatch.argument_checks import check_type
from regionbatch.arrow import Coded
from regionbatch.dataset.originals import Originals
from regionbatch.dataset.regions import Region
from regionbatch.findings import ADJUSTING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import PurePath
    from typing import Unpack

    import pyarrow as pa
    from numpy.typing import NDArray

    from regionbatch.boxes import BoxMode, ModeName
    from regionbatch.dataset.images import Images
    from regionbatch.dataset.regions import Regions
    from regionbatch.findings import Decision, Findings, Ledger
    from regionbatch.options import RowKeywords


T = TypeVar("T")


class ArrowTable(Protocol):
    """A table with the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the table as a stream."""


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
    root: PurePath
    """The path that was read."""
    images: Images
    """The images, including those without a box."""
    tags: Sequence[str]
    """Distinct class names, without outer whitespace, in NFC, including those without a box."""
    regions: Regions
    """The boxes that will be sent."""
    findings: Findings
    """What was adjusted, dropped or noted, each with its place."""
    ledger: Ledger
    """The account of all boxes and images: read = kept + adjusted + dropped."""
    decisions: Mapping[str, Decision]
    """What was decided about the whole dataset, with the evidence, by the option that overrides
    it."""
    originals: Originals = field(default_factory=Originals.empty)
    """The boxes that were dropped or changed, as they are in the files."""

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

    @classmethod
    def from_arrow(
        cls, table: ArrowTable, *, mode: BoxMode | ModeName, **options: Unpack[RowKeywords]
    ) -> Dataset:
        """Make a dataset from a table, such as a data frame of pandas, Polars, PyArrow or DuckDB.

        The same rules apply as to boxes in a file. A bad row is a finding, whose `where` is the
        number of the row, from 0. Needs the extra `arrow`.

        The table has the columns `image` (the image's name), `tag`, and four numbers: `left`,
        `top`, `width`, `height`; for corners `left`, `top`, `right`, `bottom`; for centres
        `centre_x`, `centre_y`, `width`, `height`; or lists of four numbers in a column `box`. It
        may also have `image_width` and `image_height` in pixels, `split`, and the marks `crowd`,
        `difficult`, `truncated` and `occluded`. Other columns are ignored.

        Args:
            table: The table: an object with `__arrow_c_stream__`.
            mode: What the four numbers mean: a `BoxMode`, or its name.
            **options: `image_dir` (a folder of image files, or several), and `drop`, `only`,
                `max_clip`, `strict` and `progress` of `regionbatch.read`.

        Returns:
            The dataset, with the format `table`.

        Raises:
            OptionError: A column is missing or has another type, or an option cannot be used.
            StrictError: See `strict` of `regionbatch.read`.

        Example:
            >>> dataset = rb.read("fixtures/scene/coco")
            >>> copy = rb.Dataset.from_arrow(dataset, mode="XYWH_REL")
            >>> len(copy), copy.tags  # in the order of the rows
            (12, ['person', 'café', 'bicycle', 'traffic light'])
        """
        from regionbatch.own_rows import dataset_of_table  # noqa: PLC0415 - a later layer

        return dataset_of_table(table, mode, options)

    @classmethod
    def from_arrays(
        cls,
        *,
        image: Iterable[str | None],
        tag: Iterable[str | None],
        box: NDArray[np.float64] | NDArray[np.float32] | Iterable[Sequence[float]],
        mode: BoxMode | ModeName,
        image_width: Iterable[int] | None = None,
        image_height: Iterable[int] | None = None,
        split: Iterable[str | None] | None = None,
        **options: Unpack[RowKeywords],
    ) -> Dataset:
        """Make a dataset from arrays or lists with a value for each box; see `from_arrow`.

        Args:
            image: n names of images.
            tag: n names of classes.
            box: Four numbers for each box, (n, 4).
            mode: What the four numbers mean: a `BoxMode`, or its name.
            image_width: n widths of the images in pixels; 0: unknown.
            image_height: n heights of the images in pixels; 0: unknown.
            split: n names of splits.
            **options: See `from_arrow`.

        Returns:
            The dataset, with the format `table`.

        Raises:
            OptionError: The columns have different lengths or wrong types, or an option cannot be
                used.
            StrictError: See `strict` of `regionbatch.read`.

        Example:
            >>> dataset = rb.Dataset.from_arrays(
            ...     image=["a.jpg", "a.jpg"],
            ...     tag=["cat", "dog"],
            ...     box=[[0.1, 0.1, 0.5, 0.5], [0.2, 0.2, 0.4, float("nan")]],
            ...     mode=rb.BoxMode.XYWH_REL,
            ... )
            >>> [finding.message for finding in dataset.findings]
            ["table: row 1: not a box of four numbers: '0.2 0.2 0.4 nan'. Correct or remove it.
              [not_a_box]"]
        """
        from regionbatch.own_rows import dataset_of_arrays  # noqa: PLC0415 - a later layer

        arrays = {
            "image": image,
            "tag": tag,
            "box": box,
            "image_width": image_width,
            "image_height": image_height,
            "split": split,
        }
        return dataset_of_arrays(arrays, mode, options)

    def where(self, mask: NDArray[np.bool_] | Iterable[bool], reason: str = "") -> Dataset:
        """Return a dataset with only some of the regions; the others are findings (`left_out`).

        All images stay, even those without a region.

        Args:
            mask: (n,), True for each region to keep.
            reason: Why the others are left out, in a few words: the value of their findings.

        Returns:
            A new dataset, whose ledger counts what was left out.

        Raises:
            OptionError: `mask` is not an array of n booleans.

        Example:
            >>> dataset = rb.read("fixtures/scene/coco")
            >>> wide = dataset.where(dataset.regions.box[:, 2] > 0.1, reason="narrow")
            >>> print(wide.ledger, wide.ledger.dropped)
            12 read = 10 kept + 0 adjusted + 2 dropped {'left_out': 2}
        """
        from regionbatch.derived import keep_regions  # noqa: PLC0415 - a later layer

        return keep_regions(self, mask, reason)

    def rename(self, names: Mapping[str, str]) -> Dataset:
        """Return a dataset with other class names. Classes that get the same name are merged.

        Boxes that become equal are dropped as `duplicate`.

        Args:
            names: New names by old ones. A class that is mapped to its own name is intended, and
                not reported as similar to another.

        Returns:
            A new dataset.

        Raises:
            ResolveError: An old name is not in the dataset.
            OptionError: A new name is empty or not text.

        Example:
            >>> dataset = rb.read("fixtures/scene/coco").rename({"café": "shop"})
            >>> dataset.tags
            ['person', 'traffic light', 'bicycle', 'shop']
        """
        from regionbatch.derived import rename_tags  # noqa: PLC0415 - a later layer

        return rename_tags(self, names)

    @overload
    def split_by(self, by: int) -> list[Dataset]: ...
    @overload
    def split_by(self, by: str) -> dict[str, Dataset]: ...
    @overload
    def split_by(self, by: Iterable[T]) -> dict[T, Dataset]: ...
    def split_by(self, by: int | str | Iterable[T]) -> list[Dataset] | dict[Any, Dataset]:
        """Split the dataset into parts. Each part counts the regions of the others as left out.

        Args:
            by: A number of parts, which then have about equally many images; a column: `split`,
                `tag`, `image` or `file`; or a value for each region. With a number or `split`,
                every image is in a part. Otherwise, a part has only the images of its regions.

        Returns:
            A list of parts or, for a column or values, a dict with the part of each value.

        Raises:
            OptionError: `by` is neither a number, a column nor values.

        Example:
            >>> parts = rb.read("fixtures/scene/coco").split_by("split")
            >>> {name: len(part) for name, part in parts.items()}
            {'train': 8, 'val': 4}
            >>> print(parts["val"].ledger)
            12 read = 4 kept + 0 adjusted + 8 dropped
        """
        from regionbatch.derived import split_by_column, split_evenly  # noqa: PLC0415 - as above

        if isinstance(by, (int, np.integer)) and not isinstance(by, bool):
            return split_evenly(self, int(by))
        return split_by_column(self, by)  # type: ignore[arg-type] # checked there

    def to_arrow(self) -> pa.Table:
        """Return the regions as a PyArrow table, one row per region. Needs the extra `arrow`.

        The columns are `image`, `tag` and `split` (dictionaries), `left`, `top`, `width` and
        `height` (from 0 to 1), `image_width` and `image_height` (pixels), `file` and `where` (the
        place of the box), and `adjusted` (the first code that adjusted it). Unknown values are
        null. The columns of the boxes, `where`, and the codes of `image` and `tag` share the memory
        of the dataset.

        Polars, pandas, DuckDB and PyArrow also take the dataset itself: `polars.DataFrame(dataset)`
        calls `__arrow_c_stream__`.

        Returns:
            The table, with the rows of `regions`.

        Raises:
            OptionError: PyArrow is not installed.

        Example:
            >>> table = rb.read("fixtures/scene/coco").to_arrow()
            >>> table.num_rows, table.column_names[:3]
            (12, ['image', 'tag', 'split'])
        """
        regions, images = self.regions, self.images
        left, top, width, height = regions.box.T
        return arrow.table_of_columns(
            {
                "image": Coded(regions.image, images.names),
                "tag": Coded(regions.tag, self.tags),
                "split": Coded(images.split[regions.image], images.splits),
                "left": left,
                "top": top,
                "width": width,
                "height": height,
                "image_width": arrow.nullable(images.width, 0)[regions.image],
                "image_height": arrow.nullable(images.height, 0)[regions.image],
                "file": arrow.distinct(regions.file, self.findings.files),
                "where": regions.where,
                "adjusted": Coded(regions.adjusted.astype(np.int32) - 1, ADJUSTING[1:]),
            }
        )

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return `to_arrow()` as a stream: the Arrow PyCapsule interface."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


def check_dataset(dataset: object) -> None:
    """Check the argument `dataset` of a public function.

    Raises:
        OptionError: It is not a `Dataset`, but a path, for example.
    """
    check_type("dataset", dataset, Dataset, "Pass what `regionbatch.read` returned.")
