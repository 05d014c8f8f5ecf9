"""Whether a project can be trained: images and boxes of each tag, and Custom Vision's limits.

The service refuses to train a project while one of its tags has fewer than 15 images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch.dataset.columns import freeze
from regionbatch.findings import FindingLog
from regionbatch.limits import (
    IMAGES_PER_TAG,
    RECOMMENDED_IMAGES_PER_TAG,
    SMALL_IMAGE_SIDE,
    get_tier,
)
from regionbatch.similar import similar_groups
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Dataset, Images
    from regionbatch.findings import Findings


class TagRow(NamedTuple):
    """One tag, as a row."""

    name: str
    """Name of the tag."""
    images: int
    """Number of images with at least one box of the tag."""
    boxes: int
    """Number of boxes of the tag."""
    split_images: Mapping[str, int]
    """Images of each split; empty if there are no splits. Images without a split are left out."""
    finding: str
    """Code of the finding about its number of images; empty if there are enough."""
    similar: Sequence[str]
    """Other tags whose names differ only in case, whitespace or Unicode form."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TagTable:
    """The images and boxes of k tags, as columns.

    Raises:
        ValueError: A column has the wrong shape.
    """

    names: Sequence[str]
    """k names, after renaming."""
    images: NDArray[np.int64]
    """(k,), images with at least one box of the tag."""
    boxes: NDArray[np.int64]
    """(k,), boxes of the tag."""
    split_images: NDArray[np.int64]
    """(k, s), images of the tag in each split."""
    splits: Sequence[str] = ()
    """Names of the s splits."""
    similar: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By the name of a tag: the tags whose names differ only in case, whitespace or Unicode form.
    Tags without such names are left out."""

    def __post_init__(self) -> None:
        """Check the shapes, and make the arrays read-only."""
        split_shape = (len(self.splits),)
        freeze(self, len(self.names), images=(), boxes=(), split_images=split_shape)

    def __len__(self) -> int:
        """Return the number of tags."""
        return len(self.names)

    def __repr__(self) -> str:
        """Return the type and the number of tags."""
        return f"TagTable({len(self)})"

    def rows(self) -> list[TagRow]:
        """Return the tags as rows, those with the fewest images first."""
        return [self._row(code) for code in np.argsort(self.images, kind="stable").tolist()]

    def _row(self, code: int) -> TagRow:
        name = self.names[code]
        images = int(self.images[code])
        return TagRow(
            name=name,
            images=images,
            boxes=int(self.boxes[code]),
            split_images=dict(zip(self.splits, self.split_images[code].tolist(), strict=True)),
            finding=finding_about(images),
            similar=self.similar.get(name, ()),
        )

    def summary(self) -> list[dict[str, Any]]:
        """Return the rows as plain values, ready for JSON."""
        return [row._asdict() for row in self.rows()]


def finding_about(images: int) -> str:
    """Return the code of the finding about a tag with some number of images; empty: none."""
    if images == 0:
        return "tag_without_images"
    if images < IMAGES_PER_TAG:
        return "too_few_images"
    return "few_images" if images < RECOMMENDED_IMAGES_PER_TAG else ""


def count_tags(
    image: NDArray[np.int32],
    tag: NDArray[np.int32],
    names: Sequence[str],
    *,
    split: NDArray[np.int32] | None = None,
    splits: Sequence[str] = (),
    similar: Sequence[Mapping[str, int]] = (),
) -> TagTable:
    """Count the images and boxes of each tag.

    Args:
        image: (n,), the code of the image of each box, from 0.
        tag: (n,), the code of the tag of each box: an index into `names`.
        names: Names of the k tags.
        split: (m,), the split of each image as a code into `splits`; -1: none.
        splits: Names of the splits.
        similar: Groups of tags with similar names, as `similar_groups` returns them.
    """
    pair_image, pair_tag = _distinct_pairs(image, tag, len(names))
    columns = len(splits) + 1
    column = np.zeros(len(pair_image), np.int64)
    if split is not None and splits:
        column = split[pair_image] + np.int64(1)  # column 0: no split
    cells = np.bincount(pair_tag * columns + column, minlength=len(names) * columns)
    split_images = cells.reshape(-1, columns)
    return TagTable(
        names=names,
        images=split_images.sum(axis=1),
        boxes=np.bincount(tag, minlength=len(names)),
        split_images=split_images[:, 1:],
        splits=splits,
        similar={
            name: tuple(other for other in group if other != name)
            for group in similar
            for name in group
        },
    )


def _distinct_pairs(
    image: NDArray[np.int32], tag: NDArray[np.int32], tag_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct pairs of an image and a tag, as two columns.

    `np.unique` takes 40 times as long for a million different pairs.
    """
    tag_count = max(1, tag_count)
    pairs = np.sort(image * np.int64(tag_count) + tag)
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]
    return pairs // tag_count, pairs % tag_count


def tags_of(dataset: Dataset, rename: Mapping[str, str] | None = None) -> TagTable:
    """Count the images and boxes of each tag of a dataset.

    Args:
        dataset: The dataset as read.
        rename: Tag names by class name, as `normalise_renames` returns them. Classes that get the
            same name become one tag.
    """
    rename = rename or {}
    codes: dict[str, int] = {}
    class_names = [rename.get(name, name) for name in dataset.tags]
    class_codes = [codes.setdefault(name, len(codes)) for name in class_names]
    regions, images = dataset.regions, dataset.images
    counts = np.bincount(regions.tag, minlength=len(dataset.tags)).tolist()
    return count_tags(
        regions.image,
        np.asarray(class_codes, np.int32)[regions.tag],
        [*codes],
        split=images.split,
        splits=images.splits,
        similar=similar_groups(dataset.tags, counts, rename),
    )


def training_findings(
    dataset: Dataset, rename: Mapping[str, str] | None = None, *, tier: str = "S0"
) -> Findings:
    """Return what a dataset alone, without a project, lacks for training.

    Similar names are not among the findings: see `similar.findings_after_rename`.

    Args:
        dataset: The dataset as read.
        rename: See `tags_of`.
        tier: Pricing tier whose limits apply.

    Raises:
        OptionError: There is no such tier.
    """
    log = FindingLog()
    tags = tags_of(dataset, rename)
    limits = get_tier(tier)
    for noun, count, limit in (
        ("tag", int(np.count_nonzero(tags.boxes)), limits.tags),
        ("image", len(dataset.images), limits.images),
    ):
        if count > limit:
            log.note("tier_limit", f"tier {tier}", f"{counted(count, noun)}, {limit} allowed")
    report_tags(tags, log, in_project=False)
    report_small_images(dataset.images, log)
    return log.findings()


def report_tags(tags: TagTable, log: FindingLog, *, in_project: bool) -> None:
    """Report tags with few images, those with the fewest first.

    Args:
        tags: The tags.
        log: Receives the findings.
        in_project: Whether they are the tags of a project. A tag without images prevents its
            training, whereas an upload does not create the tag of a class without boxes.
    """
    by_count = np.argsort(tags.images, kind="stable")
    found = [finding_about(count) for count in tags.images[by_count].tolist()]
    for code in ("tag_without_images", "too_few_images", "few_images"):
        rows = by_count[[each == code for each in found]]
        values = [counted(count, "image") for count in tags.images[rows].tolist()]
        doubtful = in_project and code == "tag_without_images"
        log.add(code, rows.astype(np.int32), value=values, table=tags.names, doubtful=doubtful)


def report_small_images(images: Images, log: FindingLog) -> None:
    """Report images that the service enlarges."""
    shorter = np.minimum(images.width, images.height)
    rows = np.flatnonzero((shorter > 0) & (shorter < SMALL_IMAGE_SIDE))
    sizes = zip(images.width[rows].tolist(), images.height[rows].tolist(), strict=True)
    values = [f"{width} x {height}" for width, height in sizes]
    log.add("small_image", rows.astype(np.int32), value=values, table=images.names)
