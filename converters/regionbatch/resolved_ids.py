"""The IDs of a dataset's classes and images; several of them may share an ID."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.names.resolve import resolve
from regionbatch.names.tables import table_of
from regionbatch.shared_ids import codes_by_id, report_shared_images, report_shared_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Images
    from regionbatch.findings import FindingLog
    from regionbatch.names.tables import Ids


class IdOptions(NamedTuple):
    """How names are resolved; see `batches`."""

    tag_ids: Ids
    image_ids: Ids
    rename: Mapping[str, str] | None
    skip_unresolved: bool


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedIds:
    """The IDs of t tags and m images."""

    tags: list[str]
    """The ID of each tag; empty: none."""
    images: list[str]
    """The ID of each image; empty: none."""
    tag_codes: NDArray[np.int32]
    """(t,), the code of the first tag with the same ID; -1: none."""
    image_codes: NDArray[np.int32]
    """(m,), the code of the first image with the same ID; -1: none."""


def resolve_ids(
    tags: Sequence[str],
    images: Images,
    counts: tuple[NDArray[np.int64], NDArray[np.int64]],
    tables: tuple[Ids, Ids],
    rename: Mapping[str, str],
    log: FindingLog,
    *,
    skip: bool,
) -> ResolvedIds:
    """Return the IDs of the tags and images that have regions, and report shared ones.

    Args:
        tags: The class names.
        images: The images.
        counts: The number of regions of each tag, and of each image.
        tables: The IDs of tags and those of images, or files of them.
        rename: Names in the table of tags, by class names.
        log: Receives the findings.
        skip: Whether names may have no ID.

    Raises:
        ResolveError: A name has several IDs or, unless `skip`, none; or a table cannot be used.
    """
    tag_counts, image_counts = counts
    tag_ids = resolve(
        "tag",
        tags,
        np.flatnonzero(tag_counts).tolist(),
        table_of(tables[0], "tag_ids"),
        log,
        rename=rename,
        counts=tag_counts.tolist(),
        skip=skip,
    )
    image_ids = resolve(
        "image",
        images.names,
        np.flatnonzero(image_counts).tolist(),
        table_of(tables[1], "image_ids"),
        log,
        counts=image_counts.tolist(),
        exact=np.flatnonzero(images.exact).tolist(),
        splits=images.split_names(),
        skip=skip,
    )
    tag_codes = codes_by_id(tag_ids)
    image_codes = codes_by_id(image_ids)
    report_shared_tags(tag_codes, tags, rename, log)
    report_shared_images(image_codes, image_counts, images, log)
    return ResolvedIds(_as_texts(tag_ids), _as_texts(image_ids), tag_codes, image_codes)


def _as_texts(ids: Sequence[str | None]) -> list[str]:
    return [id_ or "" for id_ in ids]
