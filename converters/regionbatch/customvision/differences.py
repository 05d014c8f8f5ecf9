"""Report the differences between a dataset and a project, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.customvision.regions import RegionOutcome
from regionbatch.findings import FindingLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.prune import OutdatedRegion
    from regionbatch.customvision.regions import OutcomeTable
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset

    Rows = NDArray[np.int64]

_MOST_DIGITS = 9
"""Digits that tell any two 32-bit floats apart."""


class ImageNames(NamedTuple):
    """The images of a project that belong to a dataset."""

    names: Mapping[int, str]
    """Names by code in the project."""
    replaced: Mapping[int, str]
    """IDs by code of images that earlier uploads created and the dataset no longer has."""

    @classmethod
    def of(
        cls, stored: ProjectSnapshot, image_ids: Mapping[str, str], former: Mapping[str, str]
    ) -> ImageNames:
        """Return the images of a project that are in `image_ids` (by name) or `former` (by ID)."""
        own = {id_: name for name, id_ in image_ids.items()}
        names: dict[int, str] = {}
        replaced: dict[int, str] = {}
        for id_, name in {**former, **own}.items():
            code = stored.images.get(id_)
            if code is None:
                continue
            names[code] = name
            if id_ not in own:
                replaced[code] = id_
        return cls(names, replaced)


@dataclass(frozen=True, slots=True, eq=False)
class RegionDifferences:
    """Which regions differ between a dataset and a project, as columns."""

    missing: Rows
    """(k,), rows of `Verification.batches.regions` that the project does not have."""
    moved: Rows
    """(k,), rows of `Verification.batches.regions` that the project has elsewhere."""
    moved_box: NDArray[np.float64]
    """(k, 4), the normalised left, top, width and height of each of them in the project."""
    extra_image: Sequence[str]
    """Image names of the regions that only the project has; empty: the image was replaced."""
    extra_tag: Sequence[str]
    """Tag names of these regions; the tag's ID if its name is unknown."""
    extra_box: NDArray[np.float64]
    """(k, 4), boxes of these regions in the project."""

    @classmethod
    def of(
        cls,
        stored: ProjectSnapshot,
        missing: Rows,
        moved: Mapping[int, int],
        extra: Rows,
        images: ImageNames,
        tag_names: Mapping[str, str],
    ) -> RegionDifferences:
        """Return the differences as columns, with the boxes that the project has.

        `moved` maps rows to stored rows; `tag_names` are names of the project's tags by ID.
        """
        regions = stored.regions
        tags = [tag_names.get(id_, id_) for id_ in stored.tags]
        extra_images = regions.image[extra].tolist()
        return cls(
            missing=missing,
            moved=np.asarray([*moved], np.int64),
            moved_box=regions.box[np.asarray([*moved.values()], np.int64)],
            extra_image=[
                "" if code in images.replaced else images.names[code] for code in extra_images
            ],
            extra_tag=[tags[code] for code in regions.tag[extra].tolist()],
            extra_box=regions.box[extra],
        )


class DifferenceReport:
    """Reports the differences between a dataset and a project."""

    def __init__(
        self,
        dataset: Dataset,
        wanted: Batches,
        stored: ProjectSnapshot,
        log: FindingLog | None = None,
    ) -> None:
        """Start with nothing reported.

        Args:
            dataset: The dataset.
            wanted: Its regions.
            stored: What the project contains.
            log: Where differences are reported. [default: a new log]
        """
        self.log = log or FindingLog()
        self._dataset = dataset
        self._wanted = wanted.regions
        self._stored = stored

    def add_missing(self, rows: Rows) -> None:
        """Report regions that the project does not have."""
        values = [f"{self._describe(row)} in {self._image(row)}" for row in rows.tolist()]
        self._add("region_missing", rows, values)

    def add_moved(self, moved: Mapping[int, int]) -> None:
        """Report regions that the project has elsewhere; `moved` maps rows to stored rows."""
        values: list[str] = []
        for row, stored_row in moved.items():
            tag = self._dataset.tags[self._wanted.tag[row]]
            ours, theirs = _distinct_numbers(
                self._wanted.box[row], self._stored.regions.box[stored_row]
            )
            values.append(f"{tag} {ours}, stored as {theirs} in {self._image(row)}")
        self._add("region_moved", np.asarray([*moved], np.int64), values)

    def add_nearly_equal(self, code: str, pairs: Mapping[int, int]) -> None:
        """Report regions with slightly different coordinates; `pairs` maps rows to stored rows."""
        values: list[str] = []
        for row, stored_row in pairs.items():
            stored_box = self._stored.regions.box[stored_row]
            difference = np.abs(self._wanted.box[row] - stored_box).max()
            values.append(f"{self._describe(row)} in {self._image(row)}, {difference:.1g} apart")
        self._add(code, np.asarray([*pairs], np.int64), values)

    def add_extra(self, rows: Rows, images: ImageNames, tag_names: Mapping[str, str]) -> None:
        """Report regions that the dataset does not have."""
        regions = self._stored.regions
        tags = [tag_names.get(id_, id_) for id_ in self._stored.tags]
        names: list[str] = []
        values: list[str] = []
        for row in rows.tolist():
            image = int(regions.image[row])
            value = f"{tags[regions.tag[row]]} {numbers(regions.box[row])}"
            if image in images.replaced:
                value = f"{images.replaced[image]}: {value}"
            names.append(images.names[image])
            values.append(value)
        self.log.add(
            "region_extra", np.arange(len(rows), dtype=np.int32), value=values, table=names
        )

    def _add(self, code: str, rows: Rows, values: Sequence[str]) -> None:
        self.log.add(
            code,
            self._wanted.file[rows],
            self._wanted.where[rows],
            values,
            table=self._dataset.findings.files,
            place=self._wanted.place,
        )

    def _describe(self, row: int) -> str:
        return f"{self._dataset.tags[self._wanted.tag[row]]} {numbers(self._wanted.box[row])}"

    def _image(self, row: int) -> str:
        return self._dataset.images.names[int(self._wanted.image[row])]


def report_outdated(
    regions: Sequence[OutdatedRegion],
    image_names: Mapping[str, str],
    tag_names: Mapping[str, str],
    log: FindingLog,
) -> None:
    """Report regions of the project that are deleted, because the dataset does not have them.

    Args:
        regions: The regions.
        image_names: Names by image ID.
        tag_names: Names by tag ID.
        log: Where they are reported.
    """
    names = [image_names.get(region.image_id, region.image_id) for region in regions]
    values = [f"{tag_names[region.tag_id]} {numbers(region.box)}" for region in regions]
    log.add("region_pruned", np.arange(len(names), dtype=np.int32), value=values, table=names)


def numbers(box: Iterable[float], digits: int = 4) -> str:
    """Return the numbers of a box for a message."""
    return " ".join(f"{number:.{digits}g}" for number in box)


def _distinct_numbers(one: Iterable[float], other: Iterable[float]) -> tuple[str, str]:
    """Return the numbers of two boxes with as many digits as it takes to tell them apart."""
    boxes = [[*one], [*other]]
    for digits in range(4, _MOST_DIGITS):
        first, second = (numbers(box, digits) for box in boxes)
        if first != second:
            return first, second
    first, second = (numbers(box, _MOST_DIGITS) for box in boxes)
    return first, second


def report_lost(
    dataset: Dataset, batches: Batches, outcomes: OutcomeTable, log: FindingLog
) -> None:
    """Report the regions that were or should have been sent, but are not in the project."""
    regions = batches.regions
    for code, outcome in (
        ("region_failed", RegionOutcome.FAILED),
        ("region_exceeded", RegionOutcome.EXCEEDED),
    ):
        rows = np.flatnonzero(outcomes.outcome == outcome)
        values: list[str] = []
        for row in rows.tolist():
            image = dataset.images.names[regions.image[row]]
            value = f"{dataset.tags[regions.tag[row]]} in {image}"
            reason = ": ".join(filter(None, outcomes.reasons[outcomes.reason[row]]))
            values.append(f"{value} ({reason})" if reason else value)
        log.add(
            code,
            regions.file[rows],
            regions.where[rows],
            values,
            table=dataset.findings.files,
            place=regions.place,
        )
