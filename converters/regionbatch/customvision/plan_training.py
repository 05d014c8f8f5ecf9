"""Check whether a project can be trained after an upload, from stored and planned regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.findings import FindingLog
from regionbatch.similar import report_groups, similar_groups
from regionbatch.training_limits import count_tags, report_small_images, report_tags

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.plan_tags import TagPlan
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings
    from regionbatch.training_limits import TagTable


class TrainingPlan(NamedTuple):
    """What the project has for training after an upload."""

    tags: TagTable
    """All tags of the project, with the regions of all its images."""
    findings: Findings
    """What prevents training, or makes its result worse."""


def plan_training(
    dataset: Dataset,
    planned: Batches,
    is_sent: NDArray[np.bool_],
    snapshot: ProjectSnapshot,
    tags: TagPlan,
    rename: Mapping[str, str] | None,
) -> TrainingPlan:
    """Count the images and boxes of each tag after the upload, and report what prevents training.

    An image to upload counts as new, although the project may turn out to have it: only the journal
    could show that. So the tags are counted again once the images are uploaded.

    Args:
        dataset: The dataset.
        planned: Its regions.
        is_sent: (n,), whether each of them will be sent.
        snapshot: What the project contains, without regions that will be deleted.
        tags: The tags that the project has, and those that it lacks.
        rename: Tag names by class name.
    """
    log = FindingLog()
    not_created = {*tags.missing} - {*tags.to_create(planned, is_sent)}
    names = [name for name in tags.ids if name not in not_created]
    tag_codes = {tags.ids[name]: code for code, name in enumerate(names)}
    image, tag = _regions_after(planned, is_sent, snapshot, tag_codes)
    boxes = np.bincount(tag, minlength=len(names)).tolist()
    intended = {name: name for name in (rename or {}).values()}
    similar = similar_groups(names, boxes, intended)
    table = count_tags(image, tag, names, similar=similar)
    report_groups(_new_groups(similar, _used_names(planned, names, tag_codes)), log)
    report_tags(table, log, in_project=True)
    report_small_images(dataset.images, log)
    return TrainingPlan(table, log.findings())


def _regions_after(
    planned: Batches,
    is_sent: NDArray[np.bool_],
    snapshot: ProjectSnapshot,
    tag_codes: Mapping[str, int],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the image and the tag of each region after the upload, as columns of codes."""
    image_codes = dict(snapshot.images)
    new_codes = [image_codes.setdefault(id_, len(image_codes)) for id_ in planned.image_ids]
    sent, stored = planned.regions, snapshot.regions
    sent_tag = _codes_of(planned.tag_ids, tag_codes)[sent.tag[is_sent]]
    stored_tag = _codes_of(snapshot.tags, tag_codes)[stored.tag]
    tag = np.concatenate([stored_tag, sent_tag])
    sent_image = np.asarray(new_codes, np.int32)[sent.image[is_sent]]
    image = np.concatenate([stored.image, sent_image])
    is_known = tag >= 0
    return image[is_known], tag[is_known]


def _codes_of(ids: Iterable[str], codes: Mapping[str, int]) -> NDArray[np.int32]:
    """Return the code of each ID; -1: none."""
    return np.asarray([codes.get(id_, -1) for id_ in ids], np.int32)


def _new_groups(
    similar: Iterable[Mapping[str, int]], used: Collection[str]
) -> Iterator[Mapping[str, int]]:
    """Yield the groups in which some names are in the dataset, and others only in the project.

    Groups with all names in the dataset were reported when it was read.
    """
    for group in similar:
        if any(name in used for name in group) and any(name not in used for name in group):
            yield group


def _used_names(planned: Batches, names: Sequence[str], tag_codes: Mapping[str, int]) -> set[str]:
    """Return the names of the tags of the planned regions."""
    used = np.flatnonzero(np.bincount(planned.regions.tag)).tolist()
    codes = (tag_codes.get(planned.tag_ids[code], -1) for code in used)
    return {names[code] for code in codes if code >= 0}
