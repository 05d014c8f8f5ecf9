"""The tags of an upload: which the project has, and which have to be created."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.errors import ResolveError
from regionbatch.findings import FindingLog, escape_unprintable
from regionbatch.findings.text import is_text
from regionbatch.names.resolve import resolve
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.plan import UploadOptions
    from regionbatch.customvision.service_types import ServiceTag
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.dataset import Dataset

    Mask = NDArray[np.bool_]

REGULAR = "Regular"
"""The only type of tags that takes regions."""
_LONGEST_LIST = 500


class TagPlan(NamedTuple):
    """The tags of an upload."""

    ids: Mapping[str, str]
    """Tag IDs by name; placeholders for missing tags."""
    missing: Sequence[str]
    """Names of tags that classes with boxes need and the project does not have."""

    def names_by_id(self) -> dict[str, str]:
        """Return the names of all tags by ID."""
        return {id_: name for name, id_ in self.ids.items()}

    def count_after(self, new_tags: Sequence[str]) -> int:
        """Return how many tags the project has after some of the missing ones are created."""
        return len(self.ids) - len(self.missing) + len(new_tags)

    def to_create(self, planned: Batches, is_sent: Mask) -> list[str]:
        """Return the missing tags of regions to send; a tag without regions prevents training."""
        codes = np.unique(planned.regions.tag[is_sent]).tolist()
        used = {planned.tag_ids[code] for code in codes}
        return [name for name in self.missing if self.ids[name] in used]


def plan_tags(
    dataset: Dataset, session: ProjectSession, options: UploadOptions, was_stored: Mask
) -> TagPlan:
    """Find the tag of each class with boxes.

    Tags that an earlier run used a moment ago are looked up for up to a minute.

    Args:
        dataset: The dataset.
        session: The project.
        options: The options of the upload.
        was_stored: (n,), which regions of the dataset an earlier run stored.

    Raises:
        ResolveError: A tag is missing and may not be created, or cannot have regions.
    """
    rename = options.rename or {}
    used = np.unique(dataset.regions.tag[was_stored]).tolist()
    tags = session.tags()
    for wait in session.rate_limiter.settle_waits(
        elapsed=session.journal.seconds_since_last_call()
    ):
        found = _resolve(dataset, used, regular_tag_ids(tags), rename)
        lacking = sum(not found[code] for code in used)
        if not lacking:
            break
        count = counted(lacking, "tag")
        reason = f"the project may not be up to date yet ({count}); reading again in {wait:.0f} s"
        session.rate_limiter.wait(reason, wait)
        tags = session.tags()
    ids = regular_tag_ids(tags)
    missing = _missing_tags(dataset, ids, rename)
    _raise_if_not_regular(tags, missing)
    if missing and not options.create_tags:
        if options.skip_unresolved:
            return TagPlan(ids, [])
        raise _no_tags(missing)
    for name in missing:
        if not is_text(name):
            shown = escape_unprintable(name)
            raise ResolveError(
                f"class '{shown}': no tag can have this name, because it is not valid text. "
                "Map it to another tag with `rename`.",
                option="rename",
                value=name,
            )
    placeholders = {name: placeholder_id(name) for name in missing}
    return TagPlan({**ids, **placeholders}, list(missing))


def placeholder_id(name: str) -> str:
    """Return the placeholder for the ID of a tag that is not created yet."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def regular_tag_ids(tags: Iterable[ServiceTag]) -> dict[str, str]:
    """Return the IDs of tags that take regions, by name."""
    return {tag.name: tag.id.lower() for tag in tags if tag.type == REGULAR}


def _missing_tags(
    dataset: Dataset, ids: Mapping[str, str], rename: Mapping[str, str]
) -> Counter[str]:
    """Return the number of boxes by missing tag."""
    counts = np.bincount(dataset.regions.tag, minlength=len(dataset.tags))
    used = np.flatnonzero(counts).tolist()
    found = _resolve(dataset, used, ids, rename)
    missing: Counter[str] = Counter()
    for code in used:
        if not found[code]:
            name = dataset.tags[code]
            missing[rename.get(name, name)] += int(counts[code])
    return missing


def _resolve(
    dataset: Dataset, codes: Sequence[int], ids: Mapping[str, str], rename: Mapping[str, str]
) -> list[str | None]:
    """Return the tag ID of some classes, by code."""
    return resolve("tag", dataset.tags, codes, ids, FindingLog(), rename=rename, skip=True)


def _raise_if_not_regular(tags: Iterable[ServiceTag], missing: Mapping[str, int]) -> None:
    others = {tag.name: tag.type for tag in tags if tag.type != REGULAR and tag.name in missing}
    if not others:
        return
    name = min(others)
    raise ResolveError(
        f"tag '{name}': boxes need a tag of type Regular, but its type is: '{others[name]}'. "
        "Map the class to another tag with `rename`.",
        option="rename",
        value=name,
    )


def _no_tags(missing: Mapping[str, int]) -> ResolveError:
    names = ", ".join(f"'{name}' ({counted(count, 'box')})" for name, count in missing.items())
    classes = "1 class has" if len(missing) == 1 else f"{len(missing)} classes have"
    return ResolveError(
        f"create_tags: {classes} no tag in the project: {names:.{_LONGEST_LIST}}. "
        "Create missing tags with `create_tags=True`, map classes with `rename`, "
        "or leave such classes out with `skip_unresolved=True`.",
        option="create_tags",
        value=list(missing),
    )
