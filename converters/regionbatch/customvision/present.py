"""What a project holds, as columns, and how regions are matched with it: there is no number that both sides know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.boxes import keys_of, mixed_keys, order_of
from regionbatch.errors import ServiceError, TransportError
from regionbatch.limits import IMAGES_PER_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.client import Image, Region, TrainingClient
    from regionbatch.customvision.rate import Pace
    from regionbatch.findings import Progress

    Codes = NDArray[np.int32]
    Boxes = NDArray[np.float64]

TOLERANCE = 1e-6
"""Regions of one image and tag are the same if no coordinate differs by more: it is rounding (seen on the service)."""
_NOT_THERE = (400, 404)
"""How the service may answer where it does not know an image."""
_BLOCK = 2**16
"""Regions that are compared at a time, about."""


class Columns(NamedTuple):
    """Regions of a project: image and tag as codes of their ids, (n,), and left, top, width, height, (n, 4)."""

    image: Codes
    tag: Codes
    box: Boxes

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """Some of them, by number."""
        return Columns(self.image[rows], self.tag[rows], self.box[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Present:
    """The images and regions that a project holds."""

    images: dict[str, int]
    """Image ids and their codes."""
    tags: dict[str, int]
    """Tag ids and their codes."""
    regions: Columns

    def codes(self, batches: Batches) -> Columns:
        """Regions that are to be sent, with the project's codes; -1 where it does not have the image or tag."""
        regions = batches.regions
        image = _codes(regions.image, batches.image_ids, self.images)
        return Columns(image, _codes(regions.tag, batches.tag_ids, self.tags), regions.box)

    def with_newer(self, newer: Present) -> Present:
        """This, with the images of a later reading as they are there."""
        if not newer.images:
            return self
        images, tags = dict(self.images), dict(self.tags)
        image, tag = (
            np.asarray([codes.setdefault(id_, len(codes)) for id_ in others], np.int32)
            for codes, others in ((images, newer.images), (tags, newer.tags))
        )
        old, new = self.regions.take(np.flatnonzero(~np.isin(self.regions.image, image))), newer.regions
        image = np.concatenate([old.image, image[new.image]])
        tag = np.concatenate([old.tag, tag[new.tag]])
        return Present(images, tags, Columns(image, tag, np.concatenate([old.box, new.box])))


def _codes(codes: Codes, ids: Sequence[str], known: Mapping[str, int]) -> Codes:
    """The codes of the same ids in another table."""
    used, at = np.unique(codes, return_inverse=True)
    return np.asarray([known.get(ids[code], -1) for code in used.tolist()], np.int32)[at]


class Collector:
    """Collects images as they come, page by page, into columns."""

    def __init__(self) -> None:
        """Start empty."""
        self._images: dict[str, int] = {}
        self._tags: dict[str, int] = {}
        self._parts = [Columns(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 4)))]

    def add(self, images: Iterable[Image]) -> bool:
        """Take a page; an image that was met before is passed over. Whether there was another."""
        before = len(self._images)
        image: list[int] = []
        regions: list[Region] = []
        for row in images:
            code = len(self._images)
            if self._images.setdefault(row.id.lower(), code) == code and row.regions:
                image += [code] * len(row.regions)
                regions += row.regions
        self._parts.append(columns(regions, image, self._tags))
        return len(self._images) > before

    def present(self) -> Present:
        """What was collected."""
        image, tag, box = map(np.concatenate, zip(*self._parts, strict=True))
        return Present(self._images, self._tags, Columns(image, tag, box))


def columns(regions: Sequence[Region], image: Sequence[int], tags: dict[str, int]) -> Columns:
    """Regions of an answer as columns; `tags` gives the codes of tag ids and takes new ones up."""
    tag = [tags.setdefault(region.tag_id.lower(), len(tags)) for region in regions]
    box = [(region.left, region.top, region.width, region.height) for region in regions]
    return Columns(np.asarray(image, np.int32), np.asarray(tag, np.int32), np.asarray(box, float).reshape(-1, 4))


def read_project(
    client: TrainingClient, project_id: str, pace: Pace, *, untagged: bool = True, progress: Progress | None = None
) -> Present:
    """Read a project page by page; without `untagged`, only images that have regions.

    A page shorter than asked may mean no more than that the service gives fewer, so reading ends with an empty one.

    Raises:
        ServiceError: The project cannot be read.
    """
    collector, read = Collector(), 0
    listings = [("GetTaggedImages", client.tagged_images), ("GetUntaggedImages", client.untagged_images)]
    for operation, listing in listings[: 1 + untagged]:
        skip = 0
        while page := pace.call(operation, partial(listing, project_id, skip=skip), repeat=True):
            if not collector.add(page):
                raise TransportError(f"{operation}: no new images after {skip}, got the same again; run it again")
            skip += len(page)
            read += len(page)
            if progress:
                progress("reading the project", read, 0)
    return collector.present()


def read_images(client: TrainingClient, project_id: str, pace: Pace, ids: Sequence[str]) -> Present:
    """Read some images with their regions; those that are not there are left out."""
    collector = Collector()
    for start in range(0, len(ids), IMAGES_PER_BATCH):
        some = ids[start : start + IMAGES_PER_BATCH]
        collector.add(_images_by_id(client, project_id, pace, some))
    return collector.present()


def read_again(client: TrainingClient, project_id: str, pace: Pace, present: Present, regions: Batches) -> Present:
    """What a project holds, after the images of some regions were asked for by id: a listing may be behind."""
    ids = [regions.image_ids[code] for code in np.unique(regions.regions.image).tolist()]
    return present.with_newer(read_images(client, project_id, pace, ids))


def _images_by_id(client: TrainingClient, project_id: str, pace: Pace, ids: Sequence[str]) -> list[Image]:
    """Images by their ids. A service that refuses to look for those that it does not know is asked for fewer."""
    try:
        return pace.call("GetImagesByIds", partial(client.images_by_id, project_id, ids), repeat=True)
    except ServiceError as error:
        if error.status not in _NOT_THERE or error.code == "NotFoundProject":
            raise
    if len(ids) == 1:
        return []
    middle = len(ids) // 2
    return [image for half in (ids[:middle], ids[middle:]) for image in _images_by_id(client, project_id, pace, half)]


def match(wanted: Columns, there: Columns) -> NDArray[np.int64]:
    """Which region of `there` each of `wanted` is, (n,), -1: none. None is taken twice.

    Regions whose 32-bit floats are equal go first; then the nearest within `TOLERANCE`.
    """
    found = _equal(wanted, there)
    left = np.flatnonzero((found < 0) & (wanted.image >= 0) & (wanted.tag >= 0))
    free = not_in(found, len(there.image)) if len(left) else left
    for row, other in pairs(wanted, left, there, free, _distance, TOLERANCE):
        found[row] = other
    return found


def pairs(
    wanted: Columns,
    left: NDArray[np.int64],
    there: Columns,
    free: NDArray[np.int64],
    cost: Callable[[Boxes, Boxes], Boxes],
    most: float,
) -> Iterator[tuple[int, int]]:
    """Pairs of a row of `left` and one of `free` with the same image and tag, the cheapest first, none twice.

    `cost` is a matrix of each box against each; a pair costs `most` at most.
    """
    there_of = _groups(there, free)
    for key, rows in _groups(wanted, left).items():
        others = there_of.get(key)
        if others is None:
            continue
        costs = cost(wanted.box[rows], there.box[others])
        for _ in range(min(costs.shape)):
            a, b = divmod(int(costs.argmin()), costs.shape[1])
            if costs[a, b] > most:
                break
            yield int(rows[a]), int(others[b])
            costs[a], costs[:, b] = np.inf, np.inf


def _groups(regions: Columns, rows: NDArray[np.int64]) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Rows by image and tag."""
    if not len(rows):
        return {}
    order = rows[np.lexsort((regions.tag[rows], regions.image[rows]))]
    image, tag = regions.image[order], regions.tag[order]
    starts = np.flatnonzero((image[1:] != image[:-1]) | (tag[1:] != tag[:-1])) + 1
    return {(int(regions.image[some[0]]), int(regions.tag[some[0]])): some for some in np.split(order, starts)}


def not_in(found: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The rows of `count` that were not found."""
    free = np.ones(count, np.bool_)
    free[found[found >= 0]] = False
    return np.flatnonzero(free)


def _equal(wanted: Columns, there: Columns) -> NDArray[np.int64]:
    """Match by equal 32-bit floats; of equal ones, the first with the first, and so on."""
    found = np.full(len(wanted.image), -1, np.int64)
    for mine, theirs in _image_blocks(wanted.image, there.image):
        rows, others = _equal_pairs(wanted.take(mine), there.take(theirs))
        found[mine[rows]] = theirs[others]
    return found


def _image_blocks(mine: Codes, theirs: Codes) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The rows of both sides for some images at a time: what is worked out for a block is too much for a large set."""
    images = int(max(mine.max(initial=-1), theirs.max(initial=-1))) + 1
    my_order, their_order = (order_of((codes + 1).astype(np.uint32)) for codes in (mine, theirs))
    # Where the rows of each image begin; rows without an image, -1, stand before the first.
    my_starts, their_starts = (np.bincount(codes + 1, minlength=images + 1).cumsum() for codes in (mine, theirs))
    ends = np.flatnonzero(np.diff((my_starts + their_starts) // _BLOCK, append=-1))
    for low, high in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        yield my_order[my_starts[low] : my_starts[high]], their_order[their_starts[low] : their_starts[high]]


def _equal_pairs(wanted: Columns, there: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of both that are equal, as pairs."""
    my_keys, their_keys = keys_of(*wanted), keys_of(*there)
    my_mix, their_mix = mixed_keys(my_keys), mixed_keys(their_keys)
    mine, theirs = np.argsort(my_mix, kind="stable"), np.argsort(their_mix, kind="stable")
    my_mix, their_mix = my_mix[mine], their_mix[theirs]
    # The k-th of equal rows here goes with the k-th there.
    other = np.searchsorted(their_mix, my_mix) + np.arange(len(mine)) - np.searchsorted(my_mix, my_mix)
    there_too = other < np.searchsorted(their_mix, my_mix, side="right")
    rows, others = mine[there_too], theirs[other[there_too]]
    same = (my_keys[rows] == their_keys[others]).all(axis=1)  # a mix can be that of another region
    return rows[same], others[same]


def _distance(first: Boxes, second: Boxes) -> Boxes:
    """The largest difference of a coordinate, each against each."""
    distance: Boxes = np.abs(first[:, None] - second[None]).max(axis=2)
    return distance


def not_overlapping(first: Boxes, second: Boxes) -> Boxes:
    """1 less the intersection over the union, each against each: 0 the same, 1 apart."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum((first[:, :2] + first[:, 2:])[:, None], (second[:, :2] + second[:, 2:])[None])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1)[None] - shared
    apart: Boxes = 1 - shared / union
    return apart
