"""Turn regions with IDs into the `ImageRegionCreateBatch` payloads of CreateImageRegions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import msgspec
import numpy as np
from msgspec.structs import astuple

from regionbatch import payload
from regionbatch.errors import OptionError
from regionbatch.findings import FindingLog, Findings, Ledger
from regionbatch.findings.text import quoted
from regionbatch.limits import REGIONS_PER_BATCH
from regionbatch.names.renames import normalise_renames
from regionbatch.names.resolve import resolve
from regionbatch.names.tables import table_of
from regionbatch.names.uuids import as_uuid
from regionbatch.resolved_regions import ledger_after, rows_to_send, take_in_order
from regionbatch.shared_ids import (
    codes_by_id,
    report_shared_images,
    report_shared_tags,
)
from regionbatch.similar import findings_after_rename
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from regionbatch.dataset import Dataset, Regions
    from regionbatch.names.tables import Ids

_BATCHES_AT_ONCE = 256
"""Batches whose text is made together: 3 MB, which fits into the processor's cache."""


class Entry(msgspec.Struct, gc=False, rename="camel"):
    """One region of a payload, with its fields in the order of the reference page.

    Example:
        >>> from regionbatch.batching import Entry
        >>> entry = Entry(
        ...     "0a1b2c3d-0000-4000-8000-00000000000a",
        ...     "b607964f-7bd6-4a3b-a869-6791fb6aab87",
        ...     left=0.1,
        ...     top=0.2,
        ...     width=0.3,
        ...     height=0.4,
        ... )
        >>> entry.left + entry.width
        0.4
    """

    image_id: str
    """UUID of the image in the project."""
    tag_id: str
    """UUID of the tag in the project."""
    left: float
    """Left edge, normalised to 0 to 1."""
    top: float
    """Top edge, normalised to 0 to 1."""
    width: float
    """Width, normalised to 0 to 1."""
    height: float
    """Height, normalised to 0 to 1."""


class _Payload(msgspec.Struct, gc=False):
    regions: list[Entry]


_decode = msgspec.json.Decoder(_Payload).decode


class Batch(Sequence[Entry]):
    """The payload of one call of CreateImageRegions: 1 to 64 entries.

    A batch holds its JSON text; entries are created when they are accessed.

    Example:
        >>> dataset = rb.read("fixtures/scene/voc")
        >>> tables = {
        ...     "tag_ids": "fixtures/scene/tags.json",
        ...     "image_ids": "fixtures/scene/images.json",
        ... }
        >>> batch = rb.batches(dataset, **tables)[0]
        >>> len(batch), batch[0].tag_id
        (12, '611a988e-650b-50de-9838-a7aff1695725')
        >>> batch.to_json()[:24]
        b'{"regions":[{"imageId":"'
    """

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        """Use the JSON text of `payload.body`; `Batch.of` makes a batch of entries.

        Args:
            body: The text, which is not checked.
        """
        self._body = body

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Batch:
        """Make a batch of entries.

        Args:
            entries: 1 to 64 entries with UUIDs of 36 characters and numbers from 0 to 1.

        Raises:
            OptionError: An entry is not valid, or the number of entries is not 1 to 64.

        Example:
            >>> from regionbatch.batching import Entry
            >>> image = "0a1b2c3d-0000-4000-8000-00000000000a"
            >>> tag = "b607964f-7bd6-4a3b-a869-6791fb6aab87"
            >>> rb.Batch.of([Entry(image, tag, 0.1, 0.2, 0.3, 0.4)])
            Batch(1)
        """
        entries = list(entries)
        if not 0 < len(entries) <= REGIONS_PER_BATCH:
            raise OptionError(
                f"entries: wrong number of entries: '{len(entries)}'. "
                f"Pass 1 to {REGIONS_PER_BATCH}.",
                option="entries",
                value=len(entries),
            )
        if wrong := [entry for entry in entries if not _is_valid(entry)]:
            raise OptionError(
                f"entries: not a valid entry: {quoted(str(wrong[0]))}. "
                "Use UUIDs of 36 characters and numbers from 0 to 1.",
                option="entries",
                value=wrong[0],
            )
        return cls(payload.body(map(astuple, entries)))

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        """Return an entry, or some."""
        return _decode(self._body).regions[at]

    def __iter__(self) -> Iterator[Entry]:
        """Yield all entries."""
        return iter(_decode(self._body).regions)

    def __len__(self) -> int:
        """Return the number of entries."""
        return payload.count(self._body)

    def __repr__(self) -> str:
        """Return the type and the number of entries."""
        return f"Batch({len(self)})"

    def to_json(self) -> bytes:
        """Return the body of the call as JSON on one line, in UTF-8."""
        return self._body

    def to_xml(self) -> bytes:
        """Return the body of the call as XML."""
        # IDs are UUIDs and the other values numbers, so nothing needs escaping.
        regions = "".join(
            f"<regions><imageId>{entry.image_id}</imageId><tagId>{entry.tag_id}</tagId>"
            f"<left>{entry.left:.9f}</left><top>{entry.top:.9f}</top>"
            f"<width>{entry.width:.9f}</width><height>{entry.height:.9f}</height></regions>"
            for entry in self
        )
        return f"<ImageRegionCreateBatch>{regions}</ImageRegionCreateBatch>".encode()


def _is_valid(entry: Entry) -> bool:
    """Return whether an entry has the form that every batch has."""
    image_id, tag_id, *numbers = astuple(entry)
    are_ids = all(as_uuid(id_) == id_.lower() for id_ in (image_id, tag_id))
    return are_ids and all(0 <= number <= 1 for number in numbers)


class Batches(Sequence[Batch]):
    """The payloads of a dataset, created when they are accessed; `rb.batches` returns them.

    All batches but the last have 64 regions, and the regions of an image follow each other.

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
        """Keep the columns; use `batches` to create them."""
        self.regions = regions
        """The n regions to send, in this order."""
        self.rows = rows
        """(n,), the row of each region in the dataset's own `regions`."""
        self.image_ids = image_ids
        """The ID of each image of the dataset; empty strings for none."""
        self.tag_ids = tag_ids
        """The ID of each class of the dataset; empty strings for none."""
        self.findings = findings
        """The findings of the dataset, and those of resolving names to IDs."""
        self.ledger = ledger
        """The ledger of the dataset, with regions without IDs as dropped."""

    def take(self, rows: NDArray[np.int64]) -> Batches:
        """Return the payloads of some of the regions.

        Args:
            rows: (m,), rows of `regions`.
        """
        taken = Batches(
            self.regions.take(rows),
            self.rows[rows],
            self.image_ids,
            self.tag_ids,
            self.findings,
            self.ledger,
        )
        taken._bodies = self._bodies  # The tables of IDs are the same.
        return taken

    def with_tags(self, ids: Mapping[str, str]) -> Batches:
        """Return the same payloads with other tag IDs.

        Args:
            ids: New tag IDs by the ones that they replace.
        """
        tag_ids = [ids.get(id_, id_) for id_ in self.tag_ids]
        return Batches(self.regions, self.rows, self.image_ids, tag_ids, self.findings, self.ledger)

    @cached_property
    def _bodies(self) -> payload.Bodies:
        return payload.Bodies(self.image_ids, self.tag_ids)

    def __len__(self) -> int:
        """Return the number of batches."""
        return (len(self.regions) + REGIONS_PER_BATCH - 1) // REGIONS_PER_BATCH

    def __repr__(self) -> str:
        """Return the type and the numbers of batches and regions."""
        batches_shown = counted(len(self), "batch", "batches")
        return f"Batches({batches_shown}, {counted(len(self.regions), 'region')})"

    @overload
    def __getitem__(self, at: int) -> Batch: ...
    @overload
    def __getitem__(self, at: slice) -> list[Batch]: ...
    def __getitem__(self, at: int | slice) -> Batch | list[Batch]:
        """Return a batch, or some."""
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        start = at % len(self) * REGIONS_PER_BATCH
        count = min(REGIONS_PER_BATCH, len(self.regions) - start)
        [line] = self._bodies.lines(self.regions, start, 1, count)
        return Batch(line[:-1].tobytes())

    def __iter__(self) -> Iterator[Batch]:
        """Yield all batches."""
        for lines in self.lines():
            for line in lines:
                yield Batch(line[:-1].tobytes())

    def lines(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the JSON bodies of all calls, many at once.

        Yields:
            (m, k), the k characters of m bodies in ASCII, each with a newline.
        """
        full, rest = divmod(len(self.regions), REGIONS_PER_BATCH)
        for first in range(0, full, _BATCHES_AT_ONCE):
            start = first * REGIONS_PER_BATCH
            count = min(_BATCHES_AT_ONCE, full - first)
            yield self._bodies.lines(self.regions, start, count, REGIONS_PER_BATCH)
        if rest:
            yield self._bodies.lines(self.regions, full * REGIONS_PER_BATCH, 1, rest)


def batches(
    dataset: Dataset,
    *,
    tag_ids: Ids,
    image_ids: Ids,
    rename: Mapping[str, str] | None = None,
    skip_unresolved: bool = False,
) -> Batches:
    """Resolve names to IDs and return the payloads of a dataset.

    Names are matched exactly, or inexactly if just one ID is possible: classes up to case,
    whitespace and Unicode form, images up to missing folders and extensions. Inexact matches are
    reported as `matched_loosely`. Boxes that become equal, since names share an ID, are dropped as
    `duplicate`.

    Args:
        dataset: The dataset, as `rb.read` returned it.
        tag_ids: Tag IDs by class name, or a JSON or CSV file of them (see `rb.read_ids`).
        image_ids: Image IDs by image name, or a file of them.
        rename: Names in `tag_ids`, by the class names of the dataset. A class that is renamed to
            its own name must match exactly.
        skip_unresolved: Drop regions without a tag or image ID (`unresolved`) instead of raising
            an error.

    Returns:
        Batches of 64 regions, in which the regions of an image follow each other. Their `ledger`
        and `findings` include what resolving dropped and reported.

    Raises:
        ResolveError: A name has several IDs or, unless `skip_unresolved`, none; or a table cannot
            be used.
        OptionError: `tag_ids` or `image_ids` is neither a mapping nor a path.

    Example:
        >>> dataset = rb.read("fixtures/scene/voc")
        >>> rb.batches(
        ...     dataset,
        ...     tag_ids="fixtures/scene/tags.json",
        ...     image_ids="fixtures/scene/images.json",
        ... )
        Batches(1 batch, 12 regions)
    """
    log = FindingLog()
    rename = normalise_renames(rename)
    tags = _resolve_tags(dataset, tag_ids, rename, log, skip=skip_unresolved)
    images = _resolve_images(dataset, image_ids, log, skip=skip_unresolved)
    tag_codes = codes_by_id(tags)
    image_codes = codes_by_id(images)
    report_shared_tags(tag_codes, dataset.tags, rename, log)
    report_shared_images(image_codes, _image_counts(dataset), dataset.images, log)
    rows = rows_to_send(dataset, tag_codes, image_codes, log)
    regions = take_in_order(dataset.regions, rows)
    findings = findings_after_rename(dataset, rename) + log.findings()
    ledger = ledger_after(log, regions, dataset.ledger)
    return Batches(regions, rows, _as_texts(images), _as_texts(tags), findings, ledger)


def _resolve_tags(
    dataset: Dataset, tag_ids: Ids, rename: Mapping[str, str], log: FindingLog, *, skip: bool
) -> list[str | None]:
    counts = np.bincount(dataset.regions.tag, minlength=len(dataset.tags))
    return resolve(
        "tag",
        dataset.tags,
        np.flatnonzero(counts).tolist(),
        table_of(tag_ids, "tag_ids"),
        log,
        rename=rename,
        counts=counts.tolist(),
        skip=skip,
    )


def _resolve_images(
    dataset: Dataset, image_ids: Ids, log: FindingLog, *, skip: bool
) -> list[str | None]:
    counts = _image_counts(dataset)
    return resolve(
        "image",
        dataset.images.names,
        np.flatnonzero(counts).tolist(),
        table_of(image_ids, "image_ids"),
        log,
        counts=counts.tolist(),
        exact=np.flatnonzero(dataset.images.exact).tolist(),
        splits=dataset.images.split_names(),
        skip=skip,
    )


def _image_counts(dataset: Dataset) -> NDArray[np.int64]:
    """Return (m,), the number of regions of each of the m images."""
    return np.bincount(dataset.regions.image, minlength=len(dataset.images))


def _as_texts(ids: Sequence[str | None]) -> list[str]:
    return [id_ or "" for id_ in ids]
