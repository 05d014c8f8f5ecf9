"""Verify an upload: read a project and compare its regions with those of a dataset."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.argument_checks import check_callables, check_flags, check_type
from regionbatch.batching import batches
from regionbatch.customvision.client import TrainingClient
from regionbatch.customvision.comparison import compare
from regionbatch.customvision.fingerprints import fingerprint_dataset, region_hashes
from regionbatch.customvision.image_files import ImageFiles, find_uploaded
from regionbatch.customvision.image_recognition import recognise_images
from regionbatch.customvision.journal import Journal
from regionbatch.customvision.journal_file import check_journal_path, missing_journal
from regionbatch.customvision.matching import (
    match_regions,
    unmatched,
)
from regionbatch.customvision.plan_images import given_image_ids
from regionbatch.customvision.plan_regions import match_stored, recorded_outcomes
from regionbatch.customvision.plan_tags import regular_tag_ids
from regionbatch.customvision.projects import find_project
from regionbatch.customvision.rate_limiter import RateLimiter
from regionbatch.customvision.regions import STORED
from regionbatch.customvision.session import ProjectSession
from regionbatch.customvision.snapshot import await_images, image_ids_of, read_images, read_project
from regionbatch.customvision.stored_names import find_by_stored_name
from regionbatch.dataset.dataset import check_dataset
from regionbatch.findings import FindingLog
from regionbatch.limits import get_tier
from regionbatch.names.renames import normalise_renames
from regionbatch.names.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from os import PathLike

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.comparison import Verification
    from regionbatch.customvision.service_types import ServiceTag
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Progress
    from regionbatch.names.tables import Ids

    Mask = NDArray[np.bool_]
    Outcomes = NDArray[np.int8]
    Rows = NDArray[np.int64]


def verify(  # longer than 40 lines because of its arguments and docstring
    dataset: Dataset,
    client: TrainingClient,
    project_id: str,
    *,
    image_ids: Ids | None = None,
    journal: str | PathLike[str] | None = None,
    rename: Mapping[str, str] | None = None,
    tier: str = "S0",
    skip_unresolved: bool = False,
    progress: Progress | None = None,
    rate_limiter: RateLimiter | None = None,
) -> Verification:
    """Read a project and compare its regions with those of a dataset. Writes nothing.

    The service keeps no image names, except those that `upload` stored with `store_names`. Images
    whose ID is not in `image_ids` or `journal`, and whose name is not stored, are recognised by
    their regions: each is the image in the project that shares most of them.

    Args:
        dataset: The dataset, as `regionbatch.read` returns it.
        client: The training resource.
        project_id: The ID of the project, from its settings, or its exact name.
        image_ids: Image IDs by name, or a file of them, as `regionbatch.batches` takes them.
        journal: The journal of the upload, which contains the IDs.
        rename: Tag names by class name, as given to `upload`.
        tier: Pricing tier whose call rate applies: F0 or S0.
        skip_unresolved: Leave out regions whose class has no tag, or whose image is not found.
        progress: Called with the current step, how much is done, and how much there is (0 if
            that is unknown).
        rate_limiter: Decides when calls are made, instead of the tier's call rate.

    Returns:
        The number of matched, missing, moved and extra regions, and a finding for each difference.

    Raises:
        ServiceError: The project cannot be read.
        ResolveError: A name has two IDs.
        JournalError: The journal does not exist, is in use, or belongs to another project.
        OptionError: The tier or the project is unknown.

    Example:
        >>> from regionbatch.local import LocalService
        >>> dataset = rb.read("fixtures/scene/coco")
        >>> with LocalService() as service:
        ...     project_id = service.create_project("traffic")
        ...     with rb.TrainingClient(service.endpoint, service.key) as client:
        ...         _ = rb.upload(dataset, client, project_id, create_tags=True)
        ...         verification = rb.verify(dataset, client, project_id)
        >>> print(verification)
        12 verified, 0 missing, 0 moved, 0 extra
    """
    check_dataset(dataset)
    check_type("client", client, TrainingClient, "Pass a `TrainingClient`.")
    check_flags(skip_unresolved=skip_unresolved)
    check_callables(progress=progress)
    check_journal_path(journal)
    limits = get_tier(tier)
    rename = normalise_renames(rename)
    limiter = rate_limiter or RateLimiter(limits.calls_per_second)
    project_id = find_project(client, project_id, limiter)
    session = ProjectSession(client, project_id, limiter)
    log = FindingLog()
    recorded = _recorded_images(dataset, project_id, journal, image_ids, rename, log)
    tags = session.tags()
    tag_ids = _tag_ids(dataset, tags, rename)
    snapshot = read_project(session, untagged=False, progress=progress)
    known = dict(recorded.ids)
    names = dataset.images.names
    rows = [row for row, name in enumerate(names) if name in known]
    by_stored_name = find_by_stored_name(ImageFiles(dataset.images), snapshot.names, rows)
    known |= {names[row]: id_ for row, id_ in by_stored_name.items()}
    ids = {name: known.get(name) or str(uuid.uuid4()) for name in names}
    wanted = batches(dataset, tag_ids=tag_ids.all, image_ids=ids, rename=rename)
    if len(known) < len(ids):
        known |= recognise_images(dataset, wanted, snapshot, known, recorded.changed)
        ids.update(known)
        wanted = batches(dataset, tag_ids=tag_ids.all, image_ids=ids, rename=rename)
    if skip_unresolved:
        wanted = batches(
            dataset, tag_ids=tag_ids.found, image_ids=known, rename=rename, skip_unresolved=True
        )
    known_outcomes = recorded.outcomes[wanted.rows]
    snapshot = _refresh_incomplete_images(
        session, snapshot, wanted, known, dataset, known_outcomes, recorded.age
    )
    found = compare(
        wanted,
        snapshot,
        dataset,
        ids,
        former=recorded.former,
        tag_names={tag.id.lower(): tag.name for tag in tags},
        known=known_outcomes,
    )
    return replace(found, findings=wanted.findings + log.findings() + found.findings)


class _RecordedImages(NamedTuple):
    """What is known about the images of a dataset before they are compared."""

    ids: Mapping[str, str]
    """IDs by name: given, or from the journal."""
    changed: AbstractSet[str]
    """IDs of images whose file has changed since they were uploaded."""
    former: Mapping[str, str]
    """Names by ID of all images in the journal, including those that were replaced."""
    outcomes: Outcomes
    """(n,), what became of each region of the dataset; see `RegionOutcome`."""
    age: float
    """Seconds since the last call of that upload."""


def _recorded_images(
    dataset: Dataset,
    project_id: str,
    journal: str | PathLike[str] | None,
    image_ids: Ids | None,
    rename: Mapping[str, str],
    log: FindingLog,
) -> _RecordedImages:
    images = dataset.images
    given = given_image_ids(images, image_ids, log)
    uploaded: dict[int, str] = {}
    changed: dict[int, str] = {}
    former: dict[str, str] = {}
    outcomes = np.zeros(len(dataset.regions), np.int8)
    age = float("inf")
    if journal is not None:
        if not Path(journal).exists():
            raise missing_journal(journal)
        with Journal(journal, project_id, read_only=True) as opened:
            same_dataset = opened.belongs_to(fingerprint_dataset(dataset, rename))
            recorded = opened.images()
            former = opened.names_by_id()
            outcomes = recorded_outcomes(region_hashes(dataset), opened)
            age = opened.seconds_since_last_call()
        uploaded, changed = find_uploaded(
            ImageFiles(images), recorded, given, log, same_dataset=same_dataset
        )
    ids = {images.names[row]: id_ for row, id_ in {**uploaded, **given}.items()}
    return _RecordedImages(ids, {*changed.values()}, former, outcomes, age)


class _TagIds(NamedTuple):
    """The tags of a dataset's classes, by tag name."""

    found: Mapping[str, str]
    """IDs of the tags that the project has."""
    all: Mapping[str, str]
    """The same, and for each class without a tag an ID that the project cannot have."""


def _tag_ids(dataset: Dataset, tags: Sequence[ServiceTag], rename: Mapping[str, str]) -> _TagIds:
    """Return tag IDs by name, found as an upload finds them."""
    used = np.unique(dataset.regions.tag).tolist()
    found = resolve(
        "tag",
        dataset.tags,
        used,
        regular_tag_ids(tags),
        FindingLog(),
        rename=rename,
        skip=True,
    )
    known: dict[str, str] = {}
    missing: dict[str, str] = {}
    for code in used:
        name = rename.get(dataset.tags[code], dataset.tags[code])
        id_ = found[code]
        if id_:
            known[name] = id_
        else:
            missing[name] = str(uuid.uuid4())
    return _TagIds(known, {**known, **missing})


def _refresh_incomplete_images(
    session: ProjectSession,
    snapshot: ProjectSnapshot,
    wanted: Batches,
    known: Mapping[str, str],
    dataset: Dataset,
    outcomes: Outcomes,
    age: float,
) -> ProjectSnapshot:
    """Read known images again if they lack a region or have another: a listing may be outdated.

    Regions that were uploaded a moment ago are looked up for up to a minute.
    """
    rows = [row for row, name in enumerate(dataset.images.names) if name in known]
    is_known = np.isin(wanted.regions.image, rows)
    found = match_regions(snapshot.project_columns(wanted), snapshot.regions)
    missing = wanted.take(np.flatnonzero((found < 0) & is_known))
    others = snapshot.image_ids_at(unmatched(found, len(snapshot.regions.image)))
    ids = {*image_ids_of(missing), *({*others} & {*known.values()})}
    snapshot = snapshot.updated_with(read_images(session, sorted(ids)))
    was_stored = is_known & np.isin(outcomes, STORED)  # except on replaced images

    def outdated(snapshot: ProjectSnapshot) -> list[str]:
        columns = snapshot.project_columns(wanted)
        is_missing = match_stored(columns, snapshot.regions, outcomes) < 0
        return image_ids_of(wanted.take(np.flatnonzero(is_missing & was_stored)))

    if age >= session.rate_limiter.settle_seconds:
        return snapshot
    return await_images(session, snapshot, outdated, elapsed=age)
