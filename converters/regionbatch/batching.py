"""Regions and ids become `ImageRegionCreateBatch` payloads, as the reference page of CreateImageRegions shows them."""

from __future__ import annotations

import filecmp
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import msgspec
import numpy as np
from msgspec.structs import astuple

from regionbatch import payload
from regionbatch.boxes import first_of_equal, order_of
from regionbatch.clean import ledger_of
from regionbatch.errors import OptionError
from regionbatch.findings import FindingLog, Findings, Ledger
from regionbatch.ids import as_uuid, table_of
from regionbatch.limits import REGIONS_PER_BATCH, REGIONS_PER_IMAGE
from regionbatch.renaming import tidied
from regionbatch.resolve import resolve
from regionbatch.similar import loose, settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from regionbatch.dataset import Dataset, Images, Regions
    from regionbatch.ids import Ids

_AT_A_TIME = 256
"""Batches whose text is made together: 3 MB, which stays in the processor's cache."""


class Entry(msgspec.Struct, gc=False, rename="camel"):
    """One entry of a payload; the order of the fields is that of the reference page."""

    image_id: str
    tag_id: str
    left: float
    top: float
    width: float
    height: float


class _Payload(msgspec.Struct, gc=False):
    regions: list[Entry]


_decode = msgspec.json.Decoder(_Payload).decode


class Batch(Sequence[Entry]):
    """At most 64 entries for one call. It is held as its body; entries are made when somebody looks at them."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        """Take the body as `payload.body` writes it."""
        self._body = body

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Batch:
        """A batch of entries made by hand: at most 64. Ids are UUIDs of 36 characters, numbers go from 0 to 1.

        Raises:
            OptionError: They are not.
        """
        entries = list(entries)
        if not (0 < len(entries) <= REGIONS_PER_BATCH and all(map(_fits, entries))):
            what = f"1 to {REGIONS_PER_BATCH} with ids of 36 characters and numbers from 0 to 1 are needed"
            raise OptionError(f"entries: {what}, got {len(entries)}; correct them")
        return cls(payload.body(map(astuple, entries)))

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        """An entry, or some."""
        return _decode(self._body).regions[at]

    def __iter__(self) -> Iterator[Entry]:
        """All entries."""
        return iter(_decode(self._body).regions)

    def __len__(self) -> int:
        """How many entries, at most 64."""
        return payload.count(self._body)

    def __repr__(self) -> str:
        """How many entries; not which."""
        return f"Batch({len(self)})"

    def to_json(self) -> bytes:
        """The body of the call as JSON, on one line."""
        return self._body

    def to_xml(self) -> bytes:
        """The body of the call as XML. Ids are UUIDs and the rest numbers, so nothing needs escaping."""
        regions = "".join(
            f"<regions><imageId>{entry.image_id}</imageId><tagId>{entry.tag_id}</tagId><left>{entry.left:.9f}</left>"
            f"<top>{entry.top:.9f}</top><width>{entry.width:.9f}</width><height>{entry.height:.9f}</height></regions>"
            for entry in self
        )
        return f"<ImageRegionCreateBatch>{regions}</ImageRegionCreateBatch>".encode()


def _fits(entry: Entry) -> bool:
    """Whether an entry has the form that every batch has."""
    image_id, tag_id, *numbers = astuple(entry)
    are_ids = all(as_uuid(id_) == id_.lower() for id_ in (image_id, tag_id))
    return are_ids and all(0 <= number <= 1 for number in numbers)


class Batches(Sequence[Batch]):
    """The payloads of a dataset; made some at a time, as they are asked for."""

    def __init__(
        self,
        regions: Regions,
        rows: NDArray[np.int64],
        image_ids: Sequence[str],
        tag_ids: Sequence[str],
        findings: Findings,
        ledger: Ledger,
    ) -> None:
        """Take the columns as they are; use `batches` to make them."""
        self.regions = regions
        """What is sent, in the order it is sent."""
        self.rows = rows
        """(n,), the number that each has in the dataset's own `regions`."""
        self.image_ids = image_ids
        """The id of each image code; empty where there is none."""
        self.tag_ids = tag_ids
        """The id of each tag code; empty where there is none."""
        self.findings = findings
        """Those of the dataset, and what resolving the names added."""
        self.ledger = ledger
        """That of the dataset, less what has no id."""

    def take(self, rows: NDArray[np.int64]) -> Batches:
        """The payloads of some of the regions, by their numbers here."""
        some = Batches(
            self.regions.take(rows), self.rows[rows], self.image_ids, self.tag_ids, self.findings, self.ledger
        )
        some._bodies = self._bodies  # the same tables: made once
        return some

    def with_tags(self, ids: Mapping[str, str]) -> Batches:
        """The same payloads with other tag ids in place of some."""
        tag_ids = [ids.get(id_, id_) for id_ in self.tag_ids]
        return Batches(self.regions, self.rows, self.image_ids, tag_ids, self.findings, self.ledger)

    @cached_property
    def _bodies(self) -> payload.Bodies:
        return payload.Bodies(self.image_ids, self.tag_ids)

    def __len__(self) -> int:
        """How many calls."""
        return (len(self.regions) + REGIONS_PER_BATCH - 1) // REGIONS_PER_BATCH

    def __repr__(self) -> str:
        """`Batches(77 of 4886 regions)`."""
        return f"Batches({len(self)} of {len(self.regions)} regions)"

    @overload
    def __getitem__(self, at: int) -> Batch: ...
    @overload
    def __getitem__(self, at: slice) -> list[Batch]: ...
    def __getitem__(self, at: int | slice) -> Batch | list[Batch]:
        """A batch, or some."""
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        start = at % len(self) * REGIONS_PER_BATCH
        [line] = self._bodies.lines(self.regions, start, 1, min(REGIONS_PER_BATCH, len(self.regions) - start))
        return Batch(line[:-1].tobytes())

    def __iter__(self) -> Iterator[Batch]:
        """All batches."""
        for lines in self.lines():
            for line in lines:
                yield Batch(line[:-1].tobytes())

    def lines(self) -> Iterator[NDArray[np.uint8]]:
        """The bodies of all calls as JSON, some at a time: a row of characters each, with a line end."""
        full, rest = divmod(len(self.regions), REGIONS_PER_BATCH)
        for first in range(0, full, _AT_A_TIME):
            some = min(_AT_A_TIME, full - first)
            yield self._bodies.lines(self.regions, first * REGIONS_PER_BATCH, some, REGIONS_PER_BATCH)
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
    """The payloads of a dataset: full batches of 64, the regions of an image next to each other.

    Args:
        dataset: What `regionbatch.read` returned.
        tag_ids: Tag ids by class name, or a file that `--tags` would take (see `regionbatch.ids.read_ids`).
        image_ids: Image ids by image name, likewise.
        rename: Class names of the dataset, and what they are called in `tag_ids`.
        skip_unresolved: Drop regions whose tag or image has no id, instead of raising.

    Raises:
        ResolveError: A name has no id, or more than one; or a table cannot be used.
    """
    report, rename = FindingLog(), tidied(rename)
    regions = dataset.regions
    tag_counts = np.bincount(regions.tag, minlength=len(dataset.tags))
    tags = resolve(
        "tag",
        dataset.tags,
        np.flatnonzero(tag_counts).tolist(),
        table_of(tag_ids, "tag_ids"),
        report,
        rename=rename,
        counts=tag_counts.tolist(),
        skip=skip_unresolved,
    )
    image_counts = np.bincount(regions.image, minlength=len(dataset.images))
    images = resolve(
        "image",
        dataset.images.names,
        np.flatnonzero(image_counts).tolist(),
        table_of(image_ids, "image_ids"),
        report,
        counts=image_counts.tolist(),
        exact=np.flatnonzero(dataset.images.exact).tolist(),
        splits=dataset.images.split_names(),
        skip=skip_unresolved,
    )
    tag_code, image_code = _one_code_an_id(tags), _one_code_an_id(images)
    _report_shared_tags(tag_code, dataset.tags, rename, report)
    _report_shared_images(image_code, image_counts, dataset.images, report)
    tag, image = tag_code[regions.tag], image_code[regions.image]
    resolved = (tag >= 0) & (image >= 0)
    _drop("unresolved", np.flatnonzero(~resolved), dataset, report)
    rows = np.flatnonzero(resolved)
    if _share_ids(tag_code) or _share_ids(image_code):
        first = first_of_equal(image[rows], tag[rows], regions.box[rows])
        _drop("duplicate", rows[~first], dataset, report)
        rows = rows[first]
    if (np.diff(image[rows]) < 0).any():
        rows = rows[order_of(image[rows].view(np.uint32))]  # by image, then as read
    if len(rows) < len(regions) or (np.diff(rows) != 1).any():
        regions = regions.take(rows)
    before, now = dataset.ledger, report.dropped("box")
    dropped = {code: before.dropped.get(code, 0) + now.get(code, 0) for code in {**before.dropped, **now}}
    ledger = ledger_of(regions, before.read, dropped, before.images)
    findings = settled(dataset, rename) + report.findings()
    return Batches(regions, rows, [id_ or "" for id_ in images], [id_ or "" for id_ in tags], findings, ledger)


def _one_code_an_id(ids: Sequence[str | None]) -> NDArray[np.int32]:
    """The code of each name, where names with one id have the code of the first; -1: no id."""
    has_id = np.fromiter((id_ is not None for id_ in ids), np.bool_, len(ids))
    if len({*ids} - {None}) == np.count_nonzero(has_id):
        return np.where(has_id, np.arange(len(ids), dtype=np.int32), np.int32(-1))
    codes = dict(zip(reversed(ids), range(len(ids) - 1, -1, -1), strict=True))
    return np.asarray([-1 if id_ is None else codes[id_] for id_ in ids], np.int32)


def _share_ids(codes: NDArray[np.int32]) -> bool:
    """Whether two names have one id, so that boxes that were different may now be equal."""
    return bool(_is_shared(codes).any())


def _is_shared(codes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which names have the id of an earlier one, (n,)."""
    shared: NDArray[np.bool_] = (codes >= 0) & (codes != np.arange(len(codes)))
    return shared


def _report_shared_tags(
    codes: NDArray[np.int32], names: Sequence[str], rename: Mapping[str, str], report: FindingLog
) -> None:
    """Say which classes get the tag of another: a slip in the table, unless they are spelt alike or mapped to one."""
    twins = {row: codes[row] for row in np.flatnonzero(_is_shared(codes)).tolist()}
    called = {row: loose(rename.get(names[row], names[row])) for pair in twins.items() for row in pair}
    slips = {row: twin for row, twin in twins.items() if called[row] != called[twin]}
    values = [names[twin] for twin in slips.values()]
    report.add("shared_tag", np.asarray([*slips], np.int32), value=values, table=names)


def _report_shared_images(
    codes: NDArray[np.int32], counts: NDArray[np.int64], images: Images, report: FindingLog
) -> None:
    """Report images that have the ID of another, and those that have too many regions only together.

    One ID is doubtful unless the files have the same bytes, which the service takes for one image.
    """
    twins = np.flatnonzero(_is_shared(codes))
    names, paths = images.names, images.paths
    pairs = zip(twins.tolist(), codes[twins].tolist(), strict=True)
    same = np.fromiter((_same_bytes(paths[one], paths[other]) for one, other in pairs), np.bool_, len(twins))
    for rows, doubtful in ((twins[same], False), (twins[~same], True)):
        values = [names[row] for row in codes[rows]]
        report.add("same_picture", rows.astype(np.int32), value=values, table=names, doubtful=doubtful)
    if len(twins):
        together = np.bincount(codes[codes >= 0], counts[codes >= 0], minlength=len(codes)).astype(np.int64)
        full = np.flatnonzero((together > REGIONS_PER_IMAGE) & (counts <= REGIONS_PER_IMAGE))
        report.add("over_region_limit", full.astype(np.int32), value=together[full].tolist(), table=names)


def _same_bytes(one: str, other: str) -> bool:
    """Return whether two image files are there and have the same bytes."""
    try:
        return bool(one and other) and filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _drop(code: str, rows: NDArray[np.int64], dataset: Dataset, report: FindingLog) -> None:
    if len(rows):
        regions = dataset.regions
        values = (f"{dataset.tags[regions.tag[row]]} in {dataset.images.names[regions.image[row]]}" for row in rows)
        files = dataset.findings.files
        report.add(code, regions.file[rows], regions.where[rows], values, table=files, place=regions.place)
