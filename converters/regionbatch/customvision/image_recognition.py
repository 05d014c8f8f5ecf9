"""Recognise the images of a dataset in a project by their regions.

The service keeps no image names. Without IDs, an image is the one in the project that has the same
regions, or else the one that shares most of them.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.customvision.image_files import fingerprint_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.snapshot import ProjectSnapshot, RegionColumns
    from regionbatch.dataset import Dataset

    Codes = NDArray[np.int32]
    Keys = NDArray[np.int32]

_GRID = 1e-4
"""Boxes are compared after rounding to this step, because the service returns rounded numbers."""
_SHIFTS = (0.0, 0.33, 0.67)
"""Offsets of the grid, in steps. Boxes that rounding separates on one grid are equal on another."""
_MAX_PAIRS = 2**21
"""Maximum number of pairs of images with a shared region that are counted.

Regions that many images have (e.g. a box around the whole image) distinguish them least; they are
left out first.
"""


def recognise_images(
    dataset: Dataset,
    wanted: Batches,
    snapshot: ProjectSnapshot,
    known: Mapping[str, str],
    changed: AbstractSet[str],
) -> dict[str, str]:
    """Find the IDs of images in a project by their regions.

    Files with the same bytes are one image in the project, so they are searched together.

    Args:
        dataset: The dataset.
        wanted: Its regions.
        snapshot: What the project contains.
        known: IDs by name of images that need not be recognised.
        changed: IDs of images whose file has changed; no image can have them.

    Returns:
        The IDs that were found, by name.
    """
    names = dataset.images.names
    original = _first_with_same_bytes(dataset.images.paths)
    found = {int(original[row]): known[name] for row, name in enumerate(names) if name in known}
    columns = snapshot.project_columns(wanted)
    columns = columns._replace(image=original[wanted.regions.image].astype(np.int32))
    _match_images(columns, snapshot, found, {*found.values(), *changed})
    recognised: dict[str, str] = {}
    for row, name in enumerate(names):
        id_ = found.get(int(original[row]))
        if name not in known and id_ is not None:
            recognised[name] = id_
    return recognised


def _match_images(
    wanted: RegionColumns, snapshot: ProjectSnapshot, found: dict[int, str], taken: set[str]
) -> None:
    """Add the IDs of images to `found` and `taken`: equal images first, then the most similar."""
    ids = [*snapshot.images]
    for shift, pair_images in product(_SHIFTS, (_pairs_with_equal_regions, _most_similar_pairs)):
        is_free = np.asarray([id_ not in taken for id_ in ids], np.bool_)
        left = wanted.take(np.flatnonzero(~np.isin(wanted.image, [*found])))
        stored = snapshot.regions.take(np.flatnonzero(is_free[snapshot.regions.image]))
        keys = _keys(left, stored, shift)
        for image, stored_image in pair_images(left.image, stored.image, *keys):
            id_ = ids[stored_image]
            if image not in found and id_ not in taken:
                found[image] = id_
                taken.add(id_)


def _pairs_with_equal_regions(
    wanted: Codes, stored: Codes, wanted_keys: Keys, stored_keys: Keys
) -> Iterator[tuple[int, int]]:
    """Yield pairs of images that have exactly the same regions, no image twice."""
    images_by_regions: dict[bytes, deque[int]] = {}
    for image, regions in _regions_of_images(stored, stored_keys):
        images_by_regions.setdefault(regions, deque()).append(image)
    for image, regions in _regions_of_images(wanted, wanted_keys):
        if others := images_by_regions.get(regions):
            yield image, others.popleft()


def _regions_of_images(image: Codes, keys: Keys) -> Iterator[tuple[int, bytes]]:
    """Yield each image with its regions as bytes, in a fixed order."""
    order = np.lexsort((keys, image))
    image = image[order]
    keys = keys[order]
    starts = np.flatnonzero(np.diff(image, prepend=-1)).tolist()
    for start, end in pairwise([*starts, len(image)]):
        yield int(image[start]), keys[start:end].tobytes()


def _most_similar_pairs(
    wanted: Codes, stored: Codes, wanted_keys: Keys, stored_keys: Keys
) -> Iterator[tuple[int, int]]:
    """Yield pairs of images that share regions, those that share most first."""
    order = np.argsort(stored_keys, kind="stable")
    stored_keys = stored_keys[order]
    stored = stored[order]
    first = np.searchsorted(stored_keys, wanted_keys)
    counts = np.searchsorted(stored_keys, wanted_keys, side="right") - first
    rarest = np.argsort(counts, kind="stable")
    rows = rarest[: np.searchsorted(counts[rarest].cumsum(), _MAX_PAIRS, side="right")]
    counts = counts[rows]
    # One entry for each pair of a region and a stored region with the same key.
    nth = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    others = stored[np.repeat(first[rows], counts) + nth]
    pair_codes = np.repeat(wanted[rows], counts).astype(np.int64) << 32 | others
    pairs, shared = np.unique(pair_codes, return_counts=True)
    for pair in pairs[np.argsort(-shared, kind="stable")].tolist():
        yield pair >> 32, pair & 0xFFFF_FFFF


def _keys(wanted: RegionColumns, stored: RegionColumns, shift: float) -> tuple[Keys, Keys]:
    """Return a number for each region that is equal for equal tags and rounded boxes."""
    count = len(wanted.tag)
    rows = np.empty((count + len(stored.tag), 5), np.int32)
    rows[:, 0] = np.concatenate([wanted.tag, stored.tag])
    rows[:, 1:] = np.rint(np.concatenate([wanted.box, stored.box]) / _GRID + shift)
    numbers = np.unique(rows.view("V20").ravel(), return_inverse=True)[1].astype(np.int32)
    return numbers[:count], numbers[count:]


def _first_with_same_bytes(paths: Sequence[str]) -> NDArray[np.int64]:
    """Return, for each image, the first image whose file has the same bytes, (n,).

    Only files of equal size are read.
    """
    files = {row: Path(path) for row, path in enumerate(paths) if path and Path(path).is_file()}
    sizes = {row: path.stat().st_size for row, path in files.items()}
    files_of_size = Counter(sizes.values())
    original = np.arange(len(paths))
    first_with_digest: dict[bytes, int] = {}
    for row, path in files.items():
        if files_of_size[sizes[row]] > 1:
            digest = fingerprint_file(path)[0].digest
            original[row] = first_with_digest.setdefault(digest, row)
    return original
