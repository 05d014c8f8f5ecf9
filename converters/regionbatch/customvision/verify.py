"""The proof: what a project holds, read back and compared with a dataset."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.batching import batches
from regionbatch.customvision.images import look_into, uploaded_before
from regionbatch.customvision.journal import Journal, fingerprint
from regionbatch.customvision.present import match, not_in, not_overlapping, pairs, read_again, read_project
from regionbatch.customvision.rate import Pace
from regionbatch.errors import JournalError
from regionbatch.findings import FindingLog
from regionbatch.ids import checked_project, table_of
from regionbatch.limits import tier_of
from regionbatch.renaming import tidied
from regionbatch.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.client import Tag, TrainingClient
    from regionbatch.customvision.present import Columns, Present
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings, Progress
    from regionbatch.ids import Ids

    Codes = NDArray[np.int32]
    Keys = NDArray[np.int32]

MOVED = 0.5
"""A region that is not where it should be counts as moved if another of its image and tag overlaps it by half."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How a project and a dataset differ."""

    matched: int
    """Regions of the dataset that the project has, within 1e-6."""
    missing: int
    """Regions of the dataset that it does not have."""
    moved: int
    """Regions that it has elsewhere on the image: overlapping by half or more."""
    extra: int
    """Regions that it has besides on images of the dataset, or on images that earlier uploads of it put there: a
    region that is there twice is one of them, and so are all of a picture that was replaced."""
    elsewhere: int
    """Regions on other images, which are nobody's business here."""
    findings: Findings
    """Those of the dataset, each missing, moved and extra region with its place, and pictures that are no longer those
    that went up."""
    batches: Batches
    """What was compared, with the ledger of the dataset: what two images or classes with one id have both is there
    once."""

    @property
    def good(self) -> bool:
        """Whether the project has exactly the dataset's regions on the dataset's images."""
        return not (self.missing or self.moved or self.extra)

    def summary(self) -> dict[str, int]:
        """The figures as plain values, ready for JSON."""
        return {name: getattr(self, name) for name in ("matched", "missing", "moved", "extra", "elsewhere")}

    def __str__(self) -> str:
        """`4886 verified, 0 missing, 0 moved, 0 extra`; and what is on other images, if there is any."""
        elsewhere = f" ({self.elsewhere} on other images)" if self.elsewhere else ""
        return f"{self.matched} verified, {self.missing} missing, {self.moved} moved, {self.extra} extra{elsewhere}"


def verify(
    dataset: Dataset,
    client: TrainingClient,
    project_id: str,
    *,
    image_ids: Ids | None = None,
    journal: str | PathLike[str] | None = None,
    rename: Mapping[str, str] | None = None,
    tier: str = "S0",
    progress: Progress | None = None,
    pace: Pace | None = None,
) -> Verification:
    """Read a project back and compare it with a dataset.

    The service keeps no names of images. With neither `image_ids` nor `journal`, an image is recognised by its regions:
    the one in the project that shares most of them.

    Args:
        dataset: What `regionbatch.read` returned.
        client: The training resource.
        project_id: The project.
        image_ids: Image ids by name, or a file of them, as `regionbatch.batches` takes them.
        journal: The journal of the upload, which knows the ids.
        rename: Class names of the dataset, and what they are called in the project.
        tier: Whose rate is kept: F0 or S0.
        progress: Called with what is done, how much of it, and how much there is.
        pace: The rate and the clock, instead of the tier's.

    Raises:
        ServiceError: The project cannot be read.
        ResolveError: A name has two ids.
        JournalError: The journal is not there, is in use, or is that of another project.
        OptionError: There is no such tier, or the project's ID is not a UUID.
    """
    limits, rename, project_id = tier_of(tier), tidied(rename), checked_project(project_id)
    pace = pace or Pace(limits.calls_per_second)
    report = FindingLog()
    known, changed, former = _known(dataset, project_id, image_ids, journal, rename, report)
    tags = pace.call("GetTags", partial(client.tags, project_id), repeat=True)
    tag_ids = _tag_ids(dataset, tags, rename)
    present = read_project(client, project_id, pace, untagged=False, progress=progress)
    ids = {name: known.get(name) or str(uuid.uuid4()) for name in dataset.images.names}
    wanted = batches(dataset, tag_ids=tag_ids, image_ids=ids, rename=rename)
    if len(known) < len(ids):
        known |= _recognise(dataset, wanted, present, known, changed)
        ids.update(known)
        wanted = batches(dataset, tag_ids=tag_ids, image_ids=ids, rename=rename)
    lacking = match(present.codes(wanted), present.regions) < 0
    lacking &= np.isin(wanted.regions.image, [row for row, name in enumerate(ids) if name in known])
    present = read_again(client, project_id, pace, present, wanted.take(np.flatnonzero(lacking)))
    tag_names = {tag.id.lower(): tag.name for tag in tags}
    found = compare(wanted, present, dataset, ids, former=former, tag_names=tag_names)
    return replace(found, findings=wanted.findings + report.findings() + found.findings)


def compare(
    wanted: Batches,
    present: Present,
    dataset: Dataset,
    image_ids: Mapping[str, str],
    *,
    former: Mapping[str, str],
    tag_names: Mapping[str, str],
    told: NDArray[np.bool_] | None = None,
) -> Verification:
    """Compare regions with what a project holds.

    `image_ids` are those of all images of the dataset, by name; `former` names the images that earlier uploads of it
    put there, and `tag_names` the project's tags, by id. Regions of `wanted` that are `told` already, (n,), get no
    finding when they are missing.
    """
    mine, theirs = present.codes(wanted), present.regions
    found = match(mine, theirs)
    missing = np.flatnonzero(found < 0)
    own = {id_: name for name, id_ in image_ids.items()}
    name_of = {present.images[id_]: name for id_, name in {**former, **own}.items() if id_ in present.images}
    others = not_in(found, len(theirs.image))
    named = np.zeros(len(present.images), np.bool_)
    named[[*name_of]] = True
    ours = named[theirs.image[others]]
    extra, elsewhere = others[ours], int(np.count_nonzero(~ours))
    moved = dict(pairs(mine, missing, theirs, extra, not_overlapping, MOVED))
    missing = np.setdiff1d(missing, [*moved])
    extra = np.setdiff1d(extra, [*moved.values()])
    return Verification(
        matched=int(np.count_nonzero(found >= 0)),
        missing=len(missing),
        moved=len(moved),
        extra=len(extra),
        elsewhere=elsewhere,
        batches=wanted,
        findings=_findings(
            wanted,
            present,
            dataset,
            name_of,
            {present.images[id_]: id_ for id_ in former if id_ in present.images and id_ not in own},
            tag_names,
            missing if told is None else missing[~told[missing]],
            moved,
            extra,
        ),
    )


def _findings(
    wanted: Batches,
    present: Present,
    dataset: Dataset,
    name_of: Mapping[int, str],
    gone: Mapping[int, str],
    tag_names: Mapping[str, str],
    missing: NDArray[np.int64],
    moved: Mapping[int, int],
    extra: NDArray[np.int64],
) -> Findings:
    report = FindingLog()
    regions, theirs = wanted.regions, present.regions
    names = [tag_names.get(id_, id_) for id_ in present.tags]
    for code, rows in (("region_missing", missing), ("region_moved", np.asarray([*moved], np.int64))):
        values = [
            f"{dataset.tags[regions.tag[row]]} {_numbers(regions.box[row])}"
            + (f", there {_numbers(theirs.box[moved[row]])}" if row in moved else "")
            + f" in {dataset.images.names[regions.image[row]]}"
            for row in rows.tolist()
        ]
        report.add(
            code, regions.file[rows], regions.where[rows], values, table=dataset.findings.files, place=regions.place
        )
    table = [name_of[code] for code in theirs.image[extra].tolist()]
    values = [
        (f"{gone[image]}: " if image in gone else "") + f"{names[theirs.tag[row]]} {_numbers(theirs.box[row])}"
        for row, image in zip(extra.tolist(), theirs.image[extra].tolist(), strict=True)
    ]
    report.add("region_extra", np.arange(len(extra), dtype=np.int32), value=values, table=table)
    return report.findings()


def _numbers(box: NDArray[np.float64]) -> str:
    return " ".join(f"{number:.4g}" for number in box.tolist())


def _known(
    dataset: Dataset,
    project_id: str,
    image_ids: Ids | None,
    journal: str | PathLike[str] | None,
    rename: Mapping[str, str] | None,
    report: FindingLog,
) -> tuple[dict[str, str], set[str], dict[str, str]]:
    """Image ids by name, as far as they are known; ids of pictures that were replaced; names of all that went up."""
    names = dataset.images.names
    given: dict[int, str] = {}
    if image_ids is not None:
        exact = np.flatnonzero(dataset.images.exact).tolist()
        table, splits, used = table_of(image_ids, "image_ids"), dataset.images.split_names(), range(len(names))
        found = resolve("image", names, used, table, report, exact=exact, splits=splits, skip=True)
        given = {row: id_.lower() for row, id_ in enumerate(found) if id_}
    uploaded: dict[int, str] = {}
    changed: dict[int, str] = {}
    former: dict[str, str] = {}
    if journal is not None:
        if not Path(journal).exists():
            raise JournalError(f"{journal}: there is no such journal; check the path, or do without")
        with Journal(journal, project_id, read_only=True) as log:
            same_set = log.is_of(fingerprint(dataset, rename))
            uploaded, changed = uploaded_before(dataset.images, log.images(), given, report, same_set=same_set)
            former = log.names()
    known = {names[row]: id_ for row, id_ in {**uploaded, **given}.items()}
    return known, {*changed.values()}, former


def _tag_ids(dataset: Dataset, tags: Sequence[Tag], rename: Mapping[str, str] | None) -> dict[str, str]:
    """Tag ids by name, found as an upload finds them; a class without a tag gets one that the project cannot have."""
    ids = {tag.name: tag.id.lower() for tag in tags if tag.type == "Regular"}
    used = np.unique(dataset.regions.tag).tolist()
    found = resolve("tag", dataset.tags, used, ids, FindingLog(), rename=rename, skip=True)
    names = [(rename or {}).get(name, name) for name in dataset.tags]
    return {names[code]: found[code] or str(uuid.uuid4()) for code in used}


def _recognise(
    dataset: Dataset, wanted: Batches, present: Present, known: Mapping[str, str], changed: set[str]
) -> dict[str, str]:
    """The id in the project of images that nobody knows, by name: that of the image which shares most of the regions.

    Files of one picture are one image there, and are looked for together. The id of a picture that was `changed` since
    is nobody's.
    """
    names, ids = dataset.images.names, [*present.images]
    group = _same_pictures(dataset.images.paths)
    found = {int(group[row]): known[name] for row, name in enumerate(names) if name in known}
    taken = {*found.values(), *changed}
    mine, theirs = present.codes(wanted), present.regions
    mine = mine._replace(image=group[wanted.regions.image].astype(np.int32))
    for shift, alike in product(_SHIFTS, (_with_the_same_regions, _sharing_most)):
        free = mine.take(np.flatnonzero(~np.isin(mine.image, [*found])))
        left = np.asarray([id_ not in taken for id_ in ids], np.bool_)
        there = theirs.take(np.flatnonzero(left[theirs.image]))
        for one, other in alike(free.image, there.image, *_keys(free, there, shift)):
            if one not in found and ids[other] not in taken:
                found[one] = ids[other]
                taken.add(ids[other])
    unknown = {name: int(group[row]) for row, name in enumerate(names) if name not in known}
    return {name: found[one] for name, one in unknown.items() if one in found}


_GRID = 1e-4
"""Boxes count as shared if they round to the same of these steps: what the service gives back is not exact."""
_SHIFTS = (0.0, 0.33, 0.67)
"""In steps; what one grid parts, since it lies where rounding turns, another does not."""
_MOST_PAIRS = 2**21
"""Pairs of images with a shared region that are counted. Those that many images have, as a box over the whole of every
image, tell least and are left out first."""


def _with_the_same_regions(mine: Codes, theirs: Codes, my_keys: Keys, their_keys: Keys) -> Iterator[tuple[int, int]]:
    """Images here and images in the project that have the same regions, and no others; none twice."""
    there: dict[bytes, deque[int]] = {}
    for image, regions in _sets(theirs, their_keys):
        there.setdefault(regions, deque()).append(image)
    for image, regions in _sets(mine, my_keys):
        if others := there.get(regions):
            yield image, others.popleft()


def _sets(image: Codes, keys: Keys) -> Iterator[tuple[int, bytes]]:
    """The regions of each image, in one order, as bytes."""
    order = np.lexsort((keys, image))
    image, keys = image[order], keys[order]
    starts = np.flatnonzero(np.diff(image, prepend=-1)).tolist()
    for start, end in pairwise([*starts, len(image)]):
        yield int(image[start]), keys[start:end].tobytes()


def _sharing_most(mine: Codes, theirs: Codes, my_keys: Keys, their_keys: Keys) -> Iterator[tuple[int, int]]:
    """Images here and images in the project that share regions; those that share most first."""
    order = np.argsort(their_keys, kind="stable")
    their_keys, theirs = their_keys[order], theirs[order]
    low = np.searchsorted(their_keys, my_keys)
    counts = np.searchsorted(their_keys, my_keys, side="right") - low
    rarest = np.argsort(counts, kind="stable")
    rows = rarest[: np.searchsorted(counts[rarest].cumsum(), _MOST_PAIRS, side="right")]
    counts = counts[rows]
    nth = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    others = theirs[np.repeat(low[rows], counts) + nth]
    pairs, shared = np.unique(np.repeat(mine[rows], counts).astype(np.int64) << 32 | others, return_counts=True)
    for pair in pairs[np.argsort(-shared, kind="stable")].tolist():
        yield pair >> 32, pair & 0xFFFF_FFFF


def _keys(mine: Columns, theirs: Columns, shift: float) -> tuple[Keys, Keys]:
    """Tag and rounded box of each region as one number, which is the same on both sides if they are."""
    rows = np.empty((len(mine.tag) + len(theirs.tag), 5), np.int32)
    rows[:, 0] = np.concatenate([mine.tag, theirs.tag])
    rows[:, 1:] = np.rint(np.concatenate([mine.box, theirs.box]) / _GRID + shift)
    numbers = np.unique(rows.view("V20").ravel(), return_inverse=True)[1].astype(np.int32)
    return numbers[: len(mine.tag)], numbers[len(mine.tag) :]


def _same_pictures(paths: Sequence[str]) -> NDArray[np.int64]:
    """The first image with the same picture as each, (n,). Only files whose length is that of another are opened."""
    files = {row: Path(path) for row, path in enumerate(paths) if path and Path(path).is_file()}
    lengths = {row: path.stat().st_size for row, path in files.items()}
    often = Counter(lengths.values())
    group = np.arange(len(paths))
    first: dict[bytes, int] = {}
    for row, path in files.items():
        if often[lengths[row]] > 1:
            group[row] = first.setdefault(look_into(path)[0].digest, row)
    return group
