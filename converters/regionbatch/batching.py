"""Turn regions with IDs into the `ImageRegionCreateBatch` payloads of CreateImageRegions."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from regionbatch import arrow, payload
from regionbatch.argument_checks import check_flags
from regionbatch.batch import Batch, Entry
from regionbatch.cleaning import count_adjusted, count_by
from regionbatch.dataset.dataset import check_dataset
from regionbatch.findings import FindingLog, Findings, Ledger
from regionbatch.limits import REGIONS_PER_BATCH
from regionbatch.names.renames import normalise_renames
from regionbatch.resolved_ids import resolve_ids
from regionbatch.resolved_regions import ledger_after, report_dropped, rows_to_send
from regionbatch.similar import findings_after_rename
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from regionbatch.dataset import Dataset, Regions
    from regionbatch.names.tables import Ids

__all__ = ["Batch", "Batches", "Entry", "batches"]

_BATCHES_AT_ONCE = 128
"""Batches whose text is made together: 1.4 MB, which fits into the processor's cache."""


class _Source(NamedTuple):
    """Where the regions of batches are. It is replaced as a whole: other threads may read it."""

    regions: Regions
    rows: NDArray[np.int64] | None
    """The row of each region; None: all regions, in their order."""


class Batches:
    """The payloads of a dataset, created when they are accessed; `rb.batches` returns them.

    They have a length, and are accessed by number and iterated like a list.

    All batches but the last have 64 regions, and the regions of an image are consecutive.

    Example:
        >>> dataset = rb.read("fixtures/scene/voc")
        >>> tables = {
        ...     "tag_ids": "fixtures/scene/tags.json",
        ...     "image_ids": "fixtures/scene/images.json",
        ... }
        >>> batches = rb.batches(dataset, **tables)
        >>> batches
        Batches(1 batch, 12 regions)
        >>> print(batches.ledger)
        12 read = 12 kept + 0 adjusted + 0 dropped
        >>> [len(batch) for batch in batches]
        [12]
    """

    def __init__(
        self,
        regions: Regions,
        rows: NDArray[np.int64],
        image_ids: Sequence[str],
        tag_ids: Sequence[str],
        findings: Findings,
        ledger: Ledger,
    ) -> None:
        """Keep the columns; use `batches` to create them.

        Args:
            regions: The regions of the dataset. The attribute has only those to send.
            rows: See the attribute.
            image_ids: See the attribute.
            tag_ids: See the attribute.
            findings: See the attribute.
            ledger: See the attribute.
        """
        is_whole = len(rows) == len(regions) and not (np.diff(rows) != 1).any()
        self._source = _Source(regions, None if is_whole else rows)
        self.rows = rows
        """(n,), the row of each region in the dataset's own `regions`."""
        self.image_ids = image_ids
        """The ID of each image of the dataset; an empty string if it has none."""
        self.tag_ids = tag_ids
        """The ID of each class of the dataset; an empty string if it has none."""
        self.findings = findings
        """The findings of the dataset, and of resolving names to IDs."""
        self.ledger = ledger
        """The ledger of the dataset, with regions without IDs as dropped."""

    @property
    def regions(self) -> Regions:
        """The n regions to send, in this order."""
        regions, rows = self._source
        if rows is not None:
            regions = regions.take(rows)
            self._source = _Source(regions, None)  # the others may be freed
        return regions

    def __getstate__(self) -> dict[str, object]:
        """Return what is pickled: only the regions that are sent."""
        return {**vars(self), "_source": _Source(self.regions, None)}

    def take(self, rows: NDArray[np.int64]) -> Batches:
        """Return the payloads of some of the regions.

        Args:
            rows: (m,), rows of `regions`.
        """
        regions, own = self._source
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        chosen = numbers if own is None else own[numbers]
        source = _Source(regions, chosen)
        if _are_few(chosen, regions):  # they do not keep the others in memory
            source = _Source(regions.take(chosen), None)
        return self._with(rows=self.rows[numbers], _source=source, _bodies=self._bodies)

    def with_tags(self, ids: Mapping[str, str]) -> Batches:
        """Return the same payloads with other tag IDs.

        Args:
            ids: New tag IDs by the ones that they replace.
        """
        tag_ids = [ids.get(id_, id_) for id_ in self.tag_ids]
        return self._with(tag_ids=tag_ids, _bodies=payload.Bodies(self.image_ids, tag_ids))

    def _with(self, **attributes: Any) -> Batches:  # noqa: ANN401 - of each attribute's type
        changed = object.__new__(Batches)
        vars(changed).update(vars(self), **attributes)
        return changed

    @cached_property
    def _bodies(self) -> payload.Bodies:
        return payload.Bodies(self.image_ids, self.tag_ids)

    def __len__(self) -> int:
        """Return the number of batches."""
        return (len(self.rows) + REGIONS_PER_BATCH - 1) // REGIONS_PER_BATCH

    def __repr__(self) -> str:
        """Return the type and the numbers of batches and regions."""
        batches_shown = counted(len(self), "batch", "batches")
        return f"Batches({batches_shown}, {counted(len(self.rows), 'region')})"

    @overload
    def __getitem__(self, at: int) -> Batch: ...
    @overload
    def __getitem__(self, at: slice) -> list[Batch]: ...
    def __getitem__(self, at: int | slice) -> Batch | list[Batch]:
        """Return one batch, or a list of them for a slice."""
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        start = at % len(self) * REGIONS_PER_BATCH
        count = min(REGIONS_PER_BATCH, len(self.rows) - start)
        some = slice(start, start + count)
        regions, rows = self._source
        if rows is not None:
            regions, some = regions.take(rows[some]), slice(count)
        line = self._bodies.line(payload.entries_of(regions, some))
        return Batch(line[0, :-1].tobytes())

    def __iter__(self) -> Iterator[Batch]:
        """Yield all batches."""
        for lines in self.overwritten_lines():
            for line in lines:
                yield Batch(line[:-1].tobytes())

    def to_arrow(self) -> pa.Table:
        """Return the entries of all batches as a PyArrow table. Needs the extra `arrow`.

        The columns are `imageId` and `tagId` (dictionaries), `left`, `top`, `width`, `height`, and
        `batch`, the number of the batch from 0. Polars, pandas, DuckDB and PyArrow also take the
        batches themselves.

        Returns:
            The table, in the order of the payloads.

        Raises:
            OptionError: PyArrow is not installed.

        Example:
            >>> tables = {
            ...     "tag_ids": "fixtures/scene/tags.json",
            ...     "image_ids": "fixtures/scene/images.json",
            ... }
            >>> batches = rb.batches(rb.read("fixtures/scene/voc"), **tables)
            >>> batches.to_arrow().num_rows
            12
        """
        regions = self.regions
        left, top, width, height = regions.box.T
        return arrow.table_of_columns(
            {
                "imageId": arrow.distinct(regions.image, self.image_ids),
                "tagId": arrow.distinct(regions.tag, self.tag_ids),
                "left": left,
                "top": top,
                "width": width,
                "height": height,
                "batch": np.arange(len(regions), dtype=np.int32) // np.int32(REGIONS_PER_BATCH),
            }
        )

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return `to_arrow()` as a stream: the Arrow PyCapsule interface."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def lines(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the JSON bodies of all calls as arrays, with many bodies in each.

        Yields:
            (m, k), m bodies of k ASCII characters, each with a newline.
        """
        for text in self.overwritten_lines():
            yield text.copy()

    def overwritten_lines(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the same as `lines`, but in one array: each text overwrites the one before."""
        entries_of = self._entries()
        full, rest = divmod(len(self.rows), REGIONS_PER_BATCH)
        text = payload.blank_lines(min(full, _BATCHES_AT_ONCE), REGIONS_PER_BATCH)
        for first in range(0, full, _BATCHES_AT_ONCE):
            some = text[: full - first]
            end = (first + len(some)) * REGIONS_PER_BATCH
            self._bodies.write(some, entries_of(slice(first * REGIONS_PER_BATCH, end)))
            yield some
        if rest:
            yield self._bodies.line(entries_of(slice(full * REGIONS_PER_BATCH, None)))

    def _entries(self) -> Callable[[slice], payload.EntryColumns]:
        """Return a function that returns the entries of some consecutive `regions`.

        Most regions of a dataset in another order are not copied as a whole, only their boxes.
        """
        regions, rows = self._source
        if rows is None or _are_few(rows, regions):  # no copy, or a small one
            return partial(payload.entries_of, self.regions)
        return payload.ReorderedEntries(regions, rows).entries_of


def _are_few(rows: NDArray[np.int64], regions: Regions) -> bool:
    """Return whether a copy of some regions is better than access to all."""
    return 2 * len(rows) < len(regions)


def batches(
    dataset: Dataset,
    *,
    tag_ids: Ids,
    image_ids: Ids,
    rename: Mapping[str, str] | None = None,
    skip_unresolved: bool = False,
) -> Batches:
    """Resolve names to IDs and return the payloads of a dataset.

    Names are matched exactly. A name without an exact match is matched inexactly if only one ID is
    possible: a class may differ in case, whitespace and Unicode form, and an image may lack folders
    or the extension. Inexact matches are reported as `matched_loosely`. Boxes that become equal
    because their names share an ID are dropped as `duplicate`.

    Args:
        dataset: The dataset, as `rb.read` returned it.
        tag_ids: Tag IDs by class name, or a JSON or CSV file of them (see `rb.read_ids`).
        image_ids: Image IDs by image name, or a file of them.
        rename: Names to look up in `tag_ids`, by class name. A class that is renamed to its own
            name must match exactly.
        skip_unresolved: Drop regions without a tag or image ID (`unresolved`) instead of raising
            an error.

    Returns:
        Batches of 64 regions, in which the regions of an image are consecutive. Their `ledger`
        and `findings` include what resolving dropped and reported.

    Raises:
        ResolveError: A name has several IDs or, unless `skip_unresolved`, none; or a table cannot
            be used.
        OptionError: An argument has a wrong type.

    Example:
        >>> dataset = rb.read("fixtures/scene/voc")
        >>> rb.batches(
        ...     dataset,
        ...     tag_ids="fixtures/scene/tags.json",
        ...     image_ids="fixtures/scene/images.json",
        ... )
        Batches(1 batch, 12 regions)
    """
    check_dataset(dataset)
    check_flags(skip_unresolved=skip_unresolved)
    log = FindingLog()
    rename = normalise_renames(rename)
    regions = dataset.regions
    ids = resolve_ids(
        dataset.tags,
        dataset.images,
        (count_by(regions.tag, dataset.tags), count_by(regions.image, dataset.images)),
        (tag_ids, image_ids),
        rename,
        log,
        skip=skip_unresolved,
    )
    rows, unresolved, duplicate = rows_to_send(regions, ids.tag_codes, ids.image_codes)
    report_dropped("unresolved", unresolved, dataset, log)
    report_dropped("duplicate", duplicate, dataset, log)
    findings = findings_after_rename(dataset, rename) + log.findings()
    by_adjustment = count_adjusted(regions.adjusted[rows])
    ledger = ledger_after(dataset.ledger, by_adjustment, log.dropped("box"))
    return Batches(regions, rows, ids.images, ids.tags, findings, ledger)
