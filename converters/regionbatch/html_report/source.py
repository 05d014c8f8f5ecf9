"""What the report shows: a dataset, and what became of its regions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from regionbatch.batching import Batches
from regionbatch.boxes import stable_argsort
from regionbatch.customvision.comparison import Verification
from regionbatch.dataset.columns import recoded
from regionbatch.errors import OptionError
from regionbatch.files.storage import image_sizes
from regionbatch.findings.codes import CODES
from regionbatch.names.renames import normalise_renames
from regionbatch.similar import findings_after_rename, similar_groups
from regionbatch.training_limits import training_findings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.customvision.differences import RegionDifferences
    from regionbatch.customvision.upload import UploadResult
    from regionbatch.dataset import Dataset, Images, Originals, Regions
    from regionbatch.findings import Findings, Ledger

    Rows = NDArray[np.int64]
    Codes = NDArray[np.int32]
    Mask = NDArray[np.bool_]
    Result: TypeAlias = "Batches | UploadResult | Verification"


_MOST_MEASURED = 20_000
"""Maximum number of image files whose sizes are read only for the report: that takes 3 seconds."""


@dataclass(frozen=True)
class Source:
    """A dataset, with its batches, its upload or its verification."""

    dataset: Dataset
    tags: Sequence[str]
    """The t tags: class names after renaming, each once."""
    regions: Regions
    """The regions of the dataset, sent or not; their `tag` codes point into `tags`."""
    originals: Originals
    """The boxes that were dropped or changed, with `tag` codes as in `regions`."""
    tag_ids: Sequence[str]
    """The ID of each tag; empty: unknown."""
    batches: Batches | None
    """What is sent; None: IDs are not known yet."""
    verification: Verification | None
    findings: Findings
    ledger: Ledger
    has_placeholders: bool
    """Whether IDs may be placeholders: after a dry run, the project lacks images and tags."""
    tier: str
    """Pricing tier whose limits apply."""
    rename: Mapping[str, str]
    """Tag names by class name."""

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        result: Result | None,
        rename: Mapping[str, str] | None = None,
        tier: str = "S0",
    ) -> Source:
        """Return the source of a report; see `write_html`.

        Raises:
            OptionError: `result`, `rename` or `tier` cannot be used.
        """
        rename = normalise_renames(rename)
        dataset = _with_image_sizes(dataset)
        batches = _batches_of(result)
        verification = getattr(result, "verification", None)
        if isinstance(result, Verification):
            verification = result
        findings, ledger = findings_after_rename(dataset, rename), dataset.ledger
        if batches is not None:
            findings, ledger = getattr(result, "findings", findings), batches.ledger
        if not hasattr(result, "plan"):  # an upload reports this itself, for the whole project
            findings += training_findings(dataset, rename, tier=tier)
        codes: dict[str, int] = {}
        class_names = [rename.get(name, name) for name in dataset.tags]
        code_of = np.asarray([codes.setdefault(name, len(codes)) for name in class_names], np.int32)
        return cls(
            dataset=dataset,
            tags=[*codes],
            regions=replace(dataset.regions, tag=recoded(dataset.regions.tag, code_of)),
            originals=replace(dataset.originals, tag=recoded(dataset.originals.tag, code_of)),
            tag_ids=_tag_ids(batches, code_of, len(codes)),
            batches=batches,
            verification=verification,
            findings=findings,
            ledger=ledger,
            has_placeholders=getattr(result, "verification", result) is None and result is not None,
            tier=tier,
            rename=rename,
        )

    @property
    def images(self) -> Images:
        """The images of the dataset."""
        return self.dataset.images

    @property
    def differences(self) -> RegionDifferences | None:
        """The differences between the project and the dataset; None: it was not read."""
        return None if self.verification is None else self.verification.differences

    @cached_property
    def sent_rows(self) -> Rows:
        """The rows of the regions that are sent, in their order."""
        return np.arange(len(self.regions)) if self.batches is None else self.batches.rows

    @cached_property
    def sent(self) -> Regions:
        """The regions that are sent."""
        return self.regions if self.batches is None else self.regions.take(self.sent_rows)

    @cached_property
    def is_sent(self) -> Mask:
        """(n,), which regions of the dataset are sent."""
        sent = np.zeros(len(self.regions), np.bool_)
        sent[self.sent_rows] = True
        return sent

    @cached_property
    def boxes_per_image(self) -> Rows:
        """(m,), the number of regions of each image that are sent."""
        return np.bincount(self.sent.image, minlength=len(self.images))

    @cached_property
    def boxes_per_tag(self) -> Rows:
        """(t,), the number of regions of each tag that are sent."""
        return np.bincount(self.sent.tag, minlength=len(self.tags))

    @cached_property
    def regions_by_image(self) -> Groups:
        """The rows of `regions` of each image."""
        return Groups.of(self.regions.image, len(self.images))

    @cached_property
    def dropped_by_image(self) -> Groups:
        """The rows of `originals` that were dropped, of each image."""
        rows = np.flatnonzero(self.originals.region < 0)
        return Groups.of(self.originals.image[rows], len(self.images), rows)

    @cached_property
    def original_of(self) -> Codes:
        """(n,), the row of the original of each region that was changed; -1: it was not."""
        rows = np.flatnonzero(self.originals.region >= 0)
        originals = np.full(len(self.regions), -1, np.int32)
        originals[self.originals.region[rows]] = rows
        return originals

    @cached_property
    def image_of_name(self) -> dict[str, int]:
        """The rows of the images by name."""
        return {name: row for row, name in enumerate(self.images.names)}

    @cached_property
    def style_of(self) -> list[int]:
        """How each tag is drawn: the number of its look. The most frequent tag has the first."""
        styles = np.empty(len(self.tags), np.int64)
        styles[np.argsort(-self.boxes_per_tag, kind="stable")] = np.arange(len(self.tags))
        return [*styles.tolist(), -1]

    @cached_property
    def similar(self) -> list[dict[str, int]]:
        """Groups of tags with similar names, with the number of boxes of each."""
        classes = self.dataset.tags
        counts = np.bincount(self.dataset.regions.tag, minlength=len(classes)).tolist()
        return similar_groups(classes, counts, self.rename)

    def why_not_sent(self, row: int) -> str:
        """Return the finding code of a region that is not sent."""
        if self.batches is None:
            return ""
        has_image = self.batches.image_ids[self.regions.image[row]]
        has_ids = has_image and self.tag_ids[self.regions.tag[row]]
        return "duplicate" if has_ids else "unresolved"


def _batches_of(result: Result | None) -> Batches | None:
    if result is None or isinstance(result, Batches):
        return result
    batches: object = getattr(result, "batches", None)
    if isinstance(batches, Batches):
        return batches
    raise OptionError(
        f"result: not a result: '{type(result).__name__}'. Pass what `batches`, `upload` or "
        "`verify` returned.",
        option="result",
        value=type(result).__name__,
    )


def _with_image_sizes(dataset: Dataset) -> Dataset:
    """Return a dataset with the sizes of images, which formats such as YOLO do not need."""
    images = dataset.images
    unknown = [row for row in np.flatnonzero(images.width <= 0).tolist() if images.paths[row]]
    if not 0 < len(unknown) <= _MOST_MEASURED:
        return dataset
    width, height = images.width.copy(), images.height.copy()
    sizes = image_sizes(images.paths[row] for row in unknown)
    for row, size in zip(unknown, sizes, strict=True):
        width[row], height[row] = size
    return replace(dataset, images=replace(images, width=width, height=height))


def _tag_ids(batches: Batches | None, code_of: Codes, count: int) -> list[str]:
    ids = [""] * count
    for old, new in enumerate(code_of.tolist() if batches is not None else ()):
        ids[new] = ids[new] or (batches.tag_ids[old] if batches else "")
    return ids


@dataclass(frozen=True)
class Groups:
    """Rows by image."""

    order: Rows
    """All rows, ordered by image."""
    starts: Rows
    """(m + 1,), where the rows of each image start in `order`."""

    @classmethod
    def of(cls, image: Codes, count: int, rows: Rows | None = None) -> Groups:
        """Group rows by the codes of their images; `rows` are their numbers, if not 0 to n - 1."""
        starts = np.zeros(count + 1, np.int64)
        np.cumsum(np.bincount(image, minlength=count), out=starts[1:])
        order = stable_argsort(image.view(np.uint32))
        return cls(order if rows is None else rows[order], starts)

    def __getitem__(self, image: int) -> Rows:
        """Return the rows of an image."""
        return self.order[self.starts[image] : self.starts[image + 1]]


def code_name(number: int) -> str:
    """Return the finding code with a number, as in `Originals.code`."""
    return _CODE_NAMES[number]


_CODE_NAMES = tuple(CODES)
