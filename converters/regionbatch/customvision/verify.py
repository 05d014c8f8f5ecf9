"""The proof: what a project holds, read back and compared with a data set."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.batching import batches, table_of
from regionbatch.customvision.journal import Journal
from regionbatch.customvision.present import match, not_in, not_overlapping, pairs, read_project
from regionbatch.customvision.rate import Pace
from regionbatch.errors import JournalError
from regionbatch.findings import Report
from regionbatch.limits import TIERS
from regionbatch.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.present import Columns, Present
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings, Progress

MOVED = 0.5
"""A region that is not where it should be counts as moved if another of its image and tag overlaps it by half."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How a project and a data set differ."""

    matched: int
    """Regions of the data set that the project has, within 1e-6."""
    missing: int
    """Regions of the data set that it does not have."""
    moved: int
    """Regions that it has elsewhere on the image: overlapping by half or more."""
    extra: int
    """Regions that it has besides on images of the data set; a region that is there twice is one of them."""
    elsewhere: int
    """Regions on other images, which are nobody's business here."""
    findings: Findings
    """Each missing, moved and extra region with its place."""

    @property
    def good(self) -> bool:
        """Whether the project has exactly the data set's regions on the data set's images."""
        return not (self.missing or self.moved or self.extra)

    def summary(self) -> dict[str, int]:
        """The figures as plain values, ready for JSON."""
        return {name: getattr(self, name) for name in ("matched", "missing", "moved", "extra", "elsewhere")}

    def __str__(self) -> str:
        """`4886 verified, 0 missing, 0 moved, 0 extra`."""
        return f"{self.matched} verified, {self.missing} missing, {self.moved} moved, {self.extra} extra"


def verify(
    dataset: Dataset,
    client: TrainingClient,
    project_id: str,
    *,
    image_ids: Mapping[str, str] | str | PathLike[str] | None = None,
    journal: str | PathLike[str] | None = None,
    rename: Mapping[str, str] | None = None,
    tier: str = "S0",
    progress: Progress | None = None,
    pace: Pace | None = None,
) -> Verification:
    """Read a project back and compare it with a data set.

    The service keeps no names of images. With neither `image_ids` nor `journal`, an image is recognised by its regions:
    the one in the project that shares most of them.

    Args:
        dataset: What `regionbatch.read` returned.
        client: The training resource.
        project_id: The project.
        image_ids: Image ids by name, or a file of them, as `regionbatch.batches` takes them.
        journal: The journal of the upload, which knows the ids.
        rename: Class names of the data set, and what they are called in the project.
        tier: Whose rate is kept: F0 or S0.
        progress: Called with what is done, how much of it, and how much there is.
        pace: The rate and the clock, instead of the tier's.

    Raises:
        ServiceError: The project cannot be read.
        ResolveError: A name has two ids.
        JournalError: The journal is not there, is in use, or is that of another project.
    """
    pace = pace or Pace(TIERS[tier].calls_per_second)
    known = _known(dataset, project_id, image_ids, journal)
    tags = pace.call("GetTags", partial(client.tags, project_id), repeat=True)
    present = read_project(client, project_id, pace, untagged=False, progress=progress)
    tag_ids = _with_stand_ins({tag.name: tag.id for tag in tags}, [*dataset.tags, *(rename or {}).values()])
    ids = _with_stand_ins(known or {}, dataset.images.names)
    wanted = batches(dataset, tag_ids=tag_ids, image_ids=ids, rename=rename)
    if known is None:
        recognised = _recognise(wanted, present)
        ids = {name: recognised.get(id_, id_) for name, id_ in ids.items()}
        wanted = batches(dataset, tag_ids=tag_ids, image_ids=ids, rename=rename)
    return compare(wanted, present, dataset, ids)


def compare(wanted: Batches, present: Present, dataset: Dataset, image_ids: Mapping[str, str]) -> Verification:
    """Compare regions with what a project holds; `image_ids` are those of all images of the data set, by name."""
    mine, theirs = present.codes(wanted), present.regions
    found = match(mine, theirs)
    missing = np.flatnonzero(found < 0)
    name_of = {present.images[id_]: name for name, id_ in image_ids.items() if id_ in present.images}
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
        findings=_findings(wanted, present, dataset, name_of, missing, moved, extra),
    )


def _findings(
    wanted: Batches,
    present: Present,
    dataset: Dataset,
    name_of: Mapping[int, str],
    missing: NDArray[np.int64],
    moved: Mapping[int, int],
    extra: NDArray[np.int64],
) -> Findings:
    report = Report()
    regions, theirs = wanted.regions, present.regions
    tag_of = {id_: dataset.tags[code] for code, id_ in enumerate(wanted.tag_ids) if id_}
    names = [tag_of.get(id_, id_) for id_ in present.tags]
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
    values = [f"{names[theirs.tag[row]]} {_numbers(theirs.box[row])}" for row in extra.tolist()]
    report.add("region_extra", np.arange(len(extra), dtype=np.int32), value=values, table=table)
    return report.findings()


def _numbers(box: NDArray[np.float64]) -> str:
    return " ".join(f"{number:.4g}" for number in box.tolist())


def _known(
    dataset: Dataset,
    project_id: str,
    image_ids: Mapping[str, str] | str | PathLike[str] | None,
    journal: str | PathLike[str] | None,
) -> dict[str, str] | None:
    """Image ids by name, as far as they are known; None: nobody says."""
    if image_ids is None and journal is None:
        return None
    known: dict[str, str] = {}
    if journal is not None:
        if not Path(journal).exists():
            raise JournalError(f"{journal}: there is no such journal; check the path, or do without")
        with Journal(journal, {"project": project_id}) as log:
            known = log.images()
    if image_ids is not None:
        names = dataset.images.names
        found = resolve("image", names, range(len(names)), table_of(image_ids, "image_ids"), Report(), skip=True)
        known |= {name: id_ for name, id_ in zip(names, found, strict=True) if id_}
    return known


def _with_stand_ins(ids: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Ids for all names; those that have none get one that the project cannot have."""
    return {name: str(uuid.uuid4()) for name in names} | {name: id_.lower() for name, id_ in ids.items()}


def _recognise(wanted: Batches, present: Present) -> dict[str, str]:
    """The id in the project of each image, by the id it has in `wanted`: the image that shares most of its regions."""
    regions = wanted.regions
    mine = _keys(present.codes(wanted))
    images_with: dict[bytes, list[int]] = {}
    for key, image in zip(_keys(present.regions), present.regions.image.tolist(), strict=True):
        images_with.setdefault(key, []).append(image)
    shared = Counter(
        (image, other)
        for key, image in zip(mine, regions.image.tolist(), strict=True)
        for other in images_with.get(key, ())[:_MOST_ALIKE]
    )
    ids = [*present.images]
    found: dict[str, str] = {}
    taken: set[int] = set()
    for (image, other), _ in shared.most_common():
        if wanted.image_ids[image] not in found and other not in taken:
            found[wanted.image_ids[image]] = ids[other]
            taken.add(other)
    return found


_MOST_ALIKE = 1000
"""Images with one and the same region that are looked at: some sets have a box over the whole of every image."""


def _keys(regions: Columns) -> list[bytes]:
    """Tag and box of each region, as bytes that are equal if they are."""
    keys = np.empty((len(regions.tag), 5), np.uint32)
    keys[:, 0], keys[:, 1:] = regions.tag, regions.box.astype(np.float32).view(np.uint32)
    return [key.tobytes() for key in keys]
