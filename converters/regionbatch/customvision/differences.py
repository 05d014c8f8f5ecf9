"""Report the differences between a dataset and a project, each with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.findings import FindingLog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset

    Rows = NDArray[np.int64]


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


class DifferenceReport:
    """Reports the differences between a dataset and a project."""

    def __init__(self, dataset: Dataset, wanted: Batches, stored: ProjectSnapshot) -> None:
        """Start with nothing reported."""
        self.log = FindingLog()
        self._dataset = dataset
        self._wanted = wanted.regions
        self._stored = stored

    def add_missing(self, rows: Rows) -> None:
        """Report regions that the project does not have."""
        values = [f"{self._describe(row)} in {self._image(row)}" for row in rows.tolist()]
        self._add("region_missing", rows, values)

    def add_moved(self, moved: Mapping[int, int]) -> None:
        """Report regions that have other coordinates in the project: rows with the stored row."""
        values: list[str] = []
        for row, stored_row in moved.items():
            stored_box = _numbers(self._stored.regions.box[stored_row])
            values.append(f"{self._describe(row)}, stored as {stored_box} in {self._image(row)}")
        self._add("region_moved", np.asarray([*moved], np.int64), values)

    def add_extra(self, rows: Rows, images: ImageNames, tag_names: Mapping[str, str]) -> None:
        """Report regions that the dataset does not have."""
        regions = self._stored.regions
        tags = [tag_names.get(id_, id_) for id_ in self._stored.tags]
        names: list[str] = []
        values: list[str] = []
        for row in rows.tolist():
            image = int(regions.image[row])
            value = f"{tags[regions.tag[row]]} {_numbers(regions.box[row])}"
            if image in images.replaced:
                value = f"{images.replaced[image]}: {value}"
            names.append(images.names[image])
            values.append(value)
        numbers = np.arange(len(rows), dtype=np.int32)
        self.log.add("region_extra", numbers, value=values, table=names)

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
        return f"{self._dataset.tags[self._wanted.tag[row]]} {_numbers(self._wanted.box[row])}"

    def _image(self, row: int) -> str:
        return self._dataset.images.names[int(self._wanted.image[row])]


def _numbers(box: NDArray[np.float64]) -> str:
    return " ".join(f"{number:.4g}" for number in box.tolist())
