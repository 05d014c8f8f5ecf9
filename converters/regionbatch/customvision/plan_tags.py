"""The tags of an upload: which the project has, and which have to be created."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.errors import ResolveError
from regionbatch.findings import FindingLog, escape_unprintable
from regionbatch.names.resolve import resolve
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from regionbatch.customvision.plan import UploadOptions
    from regionbatch.customvision.service_types import ServiceTag
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.dataset import Dataset

REGULAR = "Regular"
"""The only type of tags that takes regions."""
_LONGEST_LIST = 500


class TagPlan(NamedTuple):
    """The tags of an upload."""

    ids: Mapping[str, str]
    """Tag IDs by name; placeholders for missing tags."""
    missing: Sequence[str]
    """Names of tags that classes with boxes need and the project does not have."""


def plan_tags(dataset: Dataset, session: ProjectSession, options: UploadOptions) -> TagPlan:
    """Find the tag of each class with boxes.

    Raises:
        ResolveError: A tag is missing and may not be created, or cannot have regions.
    """
    tags = session.tags()
    ids = regular_tag_ids(tags)
    rename = options.rename or {}
    missing = _missing_tags(dataset, ids, rename)
    _raise_if_not_regular(tags, missing)
    if missing and not options.create_tags:
        if options.skip_unresolved:
            return TagPlan(ids, [])
        raise _no_tags(missing)
    for name in missing:
        if not _is_text(name):
            shown = escape_unprintable(name)
            raise ResolveError(
                f"class '{shown}': no tag can have this name, because it is not valid text. "
                "Map it to another tag with `rename`.",
                option="rename",
                value=name,
            )
    placeholders = {name: str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in missing}
    return TagPlan({**ids, **placeholders}, list(missing))


def regular_tag_ids(tags: Iterable[ServiceTag]) -> dict[str, str]:
    """Return the IDs of tags that take regions, by name."""
    return {tag.name: tag.id.lower() for tag in tags if tag.type == REGULAR}


def _missing_tags(
    dataset: Dataset, ids: Mapping[str, str], rename: Mapping[str, str]
) -> Counter[str]:
    """Return the number of boxes by missing tag."""
    counts = np.bincount(dataset.regions.tag, minlength=len(dataset.tags))
    used = np.flatnonzero(counts).tolist()
    found = resolve("tag", dataset.tags, used, ids, FindingLog(), rename=rename, skip=True)
    missing: Counter[str] = Counter()
    for code in used:
        if not found[code]:
            name = dataset.tags[code]
            missing[rename.get(name, name)] += int(counts[code])
    return missing


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
        "Create the tags with `create_tags=True`, map the classes with `rename`, "
        "or leave them out with `skip_unresolved=True`.",
        option="create_tags",
        value=list(missing),
    )


def _is_text(name: str) -> bool:
    """Return whether a name can be sent. Lone surrogates, which JSON can contain, cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
