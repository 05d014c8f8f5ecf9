"""What an upload will do, worked out before the first write: tags, pictures, regions, calls, minutes, limits."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.batching import batches
from regionbatch.customvision.images import Pictures, look, report_refused, uploaded_before
from regionbatch.customvision.present import match, read_again, read_images, read_project
from regionbatch.customvision.regions import Outcome
from regionbatch.errors import AccessError, LimitError, ResolveError, ServiceError
from regionbatch.findings import FindingLog, on_one_line
from regionbatch.ids import table_of
from regionbatch.limits import IMAGES_PER_PAGE, REGIONS_PER_BATCH, REGIONS_PER_IMAGE, TIERS
from regionbatch.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.journal import Journal, Uploaded
    from regionbatch.customvision.present import Present
    from regionbatch.customvision.rate import Pace
    from regionbatch.dataset import Dataset, Images
    from regionbatch.findings import Findings
    from regionbatch.ids import Ids

NOT_THERE = ("NotFoundImage", "the project has no image of this id")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an upload will do. Pictures may turn out to be there already, so it is the most that will be done."""

    project: str
    """The project's name."""
    tier: str
    new_tags: Sequence[str]
    """Tags to create."""
    known: Mapping[str, str]
    """Image ids by name: those given, and those that an earlier run uploaded."""
    new_images: int
    """Pictures to upload."""
    regions: int
    """Regions to send."""
    already: int
    """Regions that the project has."""
    calls: Mapping[str, int]
    """All calls of the run, by operation, those that made the plan and those of the verification included."""
    minutes: float
    """At the tier's rate, if the network is no slower."""
    findings: Findings
    """Of the pictures and the tier."""
    batches: Batches
    """All regions; tags and images that are not there yet have ids that only stand in for theirs."""
    tag_ids: Mapping[str, str]
    """Tag ids by name; stand-ins for those to be created."""
    image_ids: Mapping[str, str]
    """Image ids by name; stand-ins for those to be uploaded."""
    present: Present
    """What the project holds, as far as an image's listing was not behind."""
    pictures: Pictures
    refused: Mapping[int, tuple[str, str]]
    """Images that no region can be sent to, by number, with code and message."""
    uploaded: Mapping[str, str]
    """Image ids by name of all that an earlier run uploaded, if they still have the picture that went up."""

    @property
    def all_findings(self) -> Findings:
        """Those of the dataset, of resolving its names, and of the plan."""
        return self.batches.findings + self.findings

    def summary(self) -> dict[str, Any]:
        """The figures as plain values, ready for JSON."""
        return {
            "project": self.project,
            "tier": self.tier,
            "new_tags": list(self.new_tags),
            "known_images": len(self.known),
            "new_images": self.new_images,
            "regions": self.regions,
            "already": self.already,
            "calls": dict(self.calls),
            "minutes": round(self.minutes, 2),
        }


def make_plan(
    dataset: Dataset,
    client: TrainingClient,
    project_id: str,
    *,
    create_tags: bool,
    image_ids: Ids | None,
    rename: Mapping[str, str] | None,
    skip_unresolved: bool,
    shrink: bool,
    tier: str,
    pace: Pace,
    journal: Journal,
    same_set: bool,
    report: FindingLog,
) -> Plan:
    """Look at the project, the tags and the pictures, and work out what there is to do. Only reads.

    `same_set` says whether the journal was begun with this dataset.

    Raises:
        ServiceError: The project cannot be used.
        ResolveError: Classes have no tag, or images no picture and no id.
        LimitError: More than the tier takes.
    """
    project = _project(client, project_id, pace)
    tag_ids, lacking = _tags(dataset, client, project_id, pace, rename, create=create_tags, skip=skip_unresolved)
    present = read_project(client, project_id, pace, progress=report.progress)
    names = dataset.images.names
    given = _given(dataset.images, image_ids, report)
    went_up = journal.images()
    uploaded, _ = uploaded_before(dataset.images, went_up, given, report, same_set=same_set)
    known, gone, present = _known_images(dataset, client, project_id, pace, given, uploaded, present)
    rows = [row for row, path in enumerate(dataset.images.paths) if path and row not in known]
    pictures = look(dataset.images, rows, report, shrink=shrink)
    stand_ins = pictures.stand_ins | _of_known_pictures(names, known, pictures, went_up)
    ids = {names[row]: id_ for row, id_ in {**known, **stand_ins}.items()}
    if not skip_unresolved:
        _refuse_lost(dataset, ids)
    planned = batches(dataset, tag_ids=tag_ids, image_ids=ids, rename=rename, skip_unresolved=skip_unresolved)

    refused = {**dict.fromkeys(gone, NOT_THERE), **pictures.refused}
    report_refused(dataset.images, refused, report)
    present = read_again(client, project_id, pace, present, _doubtful(planned, present, journal))
    there = match(present.codes(planned), present.regions) >= 0
    sendable = ~np.isin(planned.regions.image, [*refused]) & ~there
    sent = int(np.count_nonzero(sendable))
    used = {planned.tag_ids[code] for code in np.unique(planned.regions.tag[sendable]).tolist()}
    new_tags = [name for name in lacking if tag_ids[name] in used]
    _check_limits(present, len(tag_ids) - len(lacking) + len(new_tags), pictures, tier, report)
    _check_room(planned, present, sendable, names, report)
    calls = pace.calls + Counter(
        CreateTag=len(new_tags),
        CreateImagesFromFiles=len(pictures.batches),
        CreateImageRegions=-(-sent // REGIONS_PER_BATCH),
        GetTaggedImages=_pages(planned, present, sendable | there),
    )
    return Plan(
        project=project,
        tier=tier,
        new_tags=new_tags,
        known={names[row]: id_ for row, id_ in known.items()},
        new_images=sum(map(len, pictures.batches)),
        regions=sent,
        already=int(np.count_nonzero(there)),
        calls=+calls,
        minutes=calls.total() / TIERS[tier].calls_per_second / 60,
        findings=report.findings(),
        batches=planned,
        tag_ids=tag_ids,
        image_ids=ids,
        present=present,
        pictures=pictures,
        refused=refused,
        uploaded={names[row]: id_ for row, id_ in uploaded.items()},
    )


def _project(client: TrainingClient, project_id: str, pace: Pace) -> str:
    """The name of the project, which must be one for object detection that can be written to."""
    project = pace.call("GetProject", partial(client.project, project_id), repeat=True)
    place = f"project {project.name or project_id}"
    if project.dr_mode_enabled:
        raise AccessError(f"{place}: read-only for now, since its resource is in disaster recovery; wait until it ends")
    domain = project.settings.domain_id if project.settings else ""
    kinds = {row.id.lower(): row.type for row in pace.call("GetDomains", client.domains, repeat=True)}
    if (kind := kinds.get(domain.lower(), "ObjectDetection")) != "ObjectDetection":
        raise ServiceError(f"{place}: takes no regions, got a project for {kind}; make one for object detection")
    return project.name


def _tags(
    dataset: Dataset,
    client: TrainingClient,
    project_id: str,
    pace: Pace,
    rename: Mapping[str, str] | None,
    *,
    create: bool,
    skip: bool,
) -> tuple[dict[str, str], list[str]]:
    """Tag ids by name, and the names of the tags that classes with boxes lack, which have stand-ins for ids."""
    tags = pace.call("GetTags", partial(client.tags, project_id), repeat=True)
    ids = {tag.name: tag.id for tag in tags if tag.type == "Regular"}
    counts = np.bincount(dataset.regions.tag, minlength=len(dataset.tags))
    used = np.flatnonzero(counts).tolist()
    found = resolve("tag", dataset.tags, used, ids, FindingLog(), rename=rename, skip=True)
    missing: Counter[str] = Counter()
    for code in used:
        if not found[code]:
            missing[(rename or {}).get(dataset.tags[code], dataset.tags[code])] += int(counts[code])
    if others := sorted((tag.name, tag.type) for tag in tags if tag.type != "Regular" and tag.name in missing):
        name, kind = others[0]
        raise ResolveError(f"{name}: boxes need a Regular tag, got one that is {kind}; use --map OLD=NEW")
    if missing and not create:
        if skip:
            return ids, []
        listed = ", ".join(f"{name} ({count} boxes)" for name, count in missing.items())
        raise ResolveError(
            f"{len(missing)} classes have no tag in the project, got {listed:.500}; create them with --create-tags, "
            "name others with --map OLD=NEW, or leave them out with --skip-unresolved"
        )
    if odd := [name for name in missing if not _is_text(name)]:
        raise ResolveError(f"{on_one_line(odd[0])}: no tag can have this name, it is no text; use --map OLD=NEW")
    stand_ins = {name: str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in missing}
    return {**ids, **stand_ins}, list(missing)


def _is_text(name: str) -> bool:
    """Whether a name can be sent: lone surrogates, as a JSON can have them, cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _given(images: Images, image_ids: Ids | None, report: FindingLog) -> dict[int, str]:
    """Ids of images that somebody gave, by number."""
    if image_ids is None:
        return {}
    names, exact = images.names, np.flatnonzero(images.exact).tolist()
    table = table_of(image_ids, "image_ids")
    found = resolve(
        "image", names, range(len(names)), table, report, exact=exact, splits=images.split_names(), skip=True
    )
    return {row: id_ for row, id_ in enumerate(found) if id_}


def _known_images(
    dataset: Dataset,
    client: TrainingClient,
    project_id: str,
    pace: Pace,
    given: Mapping[int, str],
    uploaded: Mapping[int, str],
    present: Present,
) -> tuple[dict[int, str], list[int], Present]:
    """Ids of images by number, those given before those that an earlier run uploaded; the given ones that are gone.

    An image that went up and is gone since is not known: its picture can go up again. An id that no listing has is
    asked for before that is believed; so this also returns what the project holds with what was found so.
    """
    ids = {**uploaded, **given}
    doubtful = dict.fromkeys(id_ for id_ in ids.values() if id_ not in present.images)
    present = present.with_newer(read_images(client, project_id, pace, list(doubtful)))
    gone = {row for row, id_ in ids.items() if id_ not in present.images}
    if given and gone.issuperset(given):
        raise ResolveError(
            f"none of the {len(given)} image ids is in the project, got {next(iter(given.values()))}; "
            "check that they are of this project"
        )
    again = {row for row in gone if row not in given and dataset.images.paths[row]}
    known = {row: id_ for row, id_ in ids.items() if row not in again}
    return known, sorted(gone - again), present


def _of_known_pictures(
    names: Sequence[str], known: Mapping[int, str], pictures: Pictures, went_up: Mapping[str, Uploaded]
) -> dict[int, str]:
    """The ids of images whose picture went up under another name, so that the plan sees what both have."""
    listed = [(went_up[names[row]], id_) for row, id_ in known.items() if names[row] in went_up]
    ids = {image.file.digest: id_ for image, id_ in listed if image.id == id_}
    return {row: ids[file.digest] for row, file in pictures.files.items() if file.digest in ids}


def _doubtful(planned: Batches, present: Present, journal: Journal) -> Batches:
    """Regions that an earlier run sent and that the listing does not have, though it has their images."""
    done = [rows[np.isin(of, (Outcome.CREATED, Outcome.DUPLICATED))] for rows, of in journal.outcomes()]
    mine = present.codes(planned)
    doubtful = np.isin(planned.rows, np.concatenate([np.zeros(0, np.int32), *done])) & (mine.image >= 0)
    return planned.take(np.flatnonzero(doubtful & (match(mine, present.regions) < 0)))


def _refuse_lost(dataset: Dataset, ids: Mapping[str, str]) -> None:
    names = dataset.images.names
    counts = np.bincount(dataset.regions.image, minlength=len(names))
    lost = [row for row in np.flatnonzero(counts).tolist() if names[row] not in ids]
    if lost:
        raise ResolveError(
            f"{names[lost[0]]}: it and {len(lost) - 1} more images with {counts[lost].sum()} boxes have neither a "
            "picture on disk nor an id; name the folder with --image-dir, give ids with --images, "
            "or leave them out with --skip-unresolved"
        )


def _check_room(
    planned: Batches, present: Present, sendable: NDArray[np.bool_], names: Sequence[str], report: FindingLog
) -> None:
    """Say which images will have too many regions with those in the project; who has too many alone was told."""
    ids = planned.image_ids
    alone: Counter[str] = Counter()
    for row, count in enumerate(np.bincount(planned.regions.image).tolist()):
        alone[ids[row]] += count
    there = np.append(np.bincount(present.regions.image, minlength=len(present.images)), 0)
    rows, counts = np.unique(planned.regions.image[sendable], return_counts=True)
    total = Counter({id_: int(there[present.images.get(id_, -1)]) for id_ in {ids[row] for row in rows.tolist()}})
    for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
        total[ids[row]] += count
    full = [row for row in rows.tolist() if total[ids[row]] > REGIONS_PER_IMAGE >= alone[ids[row]]]
    values = [str(total[ids[row]]) for row in full]
    report.add("over_region_limit", np.asarray(full, np.int32), value=values, table=names)


def _pages(planned: Batches, present: Present, sendable: NDArray[np.bool_]) -> int:
    """Calls that reading the project back takes: its pages, and the empty one that ends them."""
    ids = planned.image_ids
    theirs = np.unique(present.regions.image)
    new = {ids[code] for code in np.unique(planned.regions.image[sendable]).tolist()}
    already = sum(present.images.get(id_, -1) in theirs for id_ in new)
    return -(-(len(theirs) + len(new) - already) // IMAGES_PER_PAGE) + 1


def _check_limits(present: Present, tags: int, pictures: Pictures, tier: str, report: FindingLog) -> None:
    limits = TIERS[tier]
    if tags > limits.tags:
        raise LimitError(
            f"--tier {tier}: a project takes {limits.tags} tags, got {tags} with those to create; use --only or --map"
        )
    new = sum(map(len, pictures.batches))
    if new > limits.images:
        raise LimitError(
            f"--tier {tier}: a project takes {limits.images} images, got {new}; use --split, or another tier"
        )
    if new + len(present.images) > limits.images:
        value = f"{len(present.images)} there and {new} to upload; {limits.images} are taken"
        report.note("project_full", f"--tier {tier}", value)
