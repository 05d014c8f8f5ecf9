"""What is worth a look: boxes that are unusual for their tag. These are hints, not findings.

Each measure is a few lines on whole columns. It returns the boxes it is about with a score; the
text is made only for the boxes that are shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.boxes import hash_keys
from regionbatch.html_report.robust import Usual
from regionbatch.similar import loose_key
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from regionbatch.dataset import Regions
    from regionbatch.html_report.source import Source

    Rows = NDArray[np.int64]
    Floats = NDArray[np.float32]

COVERS = 0.9
"""Fraction of the image's area above which a box is a box over the whole image."""
_USUALLY_SMALLER = 0.5
"""A tag whose usual box is larger than this often covers the image, which is then not unusual."""
_UNUSUAL = 4.5
"""Spreads from the usual value above which a box is unusual."""
_FITS = 1.5
"""Distance, in spreads, within which a box is usual for another tag."""
_SAME_PLACE = 0.85
"""IoU above which two boxes are in the same place."""
_NEIGHBOURS = 4
"""How many of the next boxes by left edge are compared: in one place, these edges are close."""
_CANDIDATES = 20_000
"""Maximum number of boxes that are compared with every other tag."""
_EDGE = 0.005
"""Distance from the image's edge, as a fraction of its side, at which objects are often cut."""
_LEAST_SPREAD = np.array([0.25, 0.15, 0.08, 0.08], np.float32)
"""Smallest spreads of log area, log aspect ratio and centre: less counts as no variation."""
_MOST_NAMES = 2000
"""Maximum number of tags whose names are compared."""
_MOST_WITHOUT_BOXES = 50
_FEW = 0.1
"""Fraction of the images: if more have no boxes, they are probably meant to be background."""
_SHORTEST_NAME = 5
"""Shorter names that differ in a letter are mostly different words."""


@dataclass(frozen=True)
class Hints:
    """Boxes or images with one hint, as columns."""

    code: str
    """Short name, which the filter of the grid uses."""
    title: str
    """The title of the hint on the page."""
    image: NDArray[np.int32]
    row: Rows
    """Rows of `Source.regions`; -1: it is about the whole image."""
    score: Floats
    """How much it is worth a look, up to 200; see `ranking`."""
    text: Callable[[int], str]
    """The explanation of the hint at a position."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.image)


def all_hints(source: Source) -> list[Hints]:
    """Return the boxes and images that are worth a look, with one `Hints` for each reason."""
    regions = source.sent
    if not len(regions):
        return []
    usual = _Shapes(source)
    found = [
        _covering(source, usual),
        *_unusual(source, usual),
        *_in_same_place(source),
        _copied(source),
        _without_boxes(source),
        _similar_names(source),
    ]
    rows = np.append(source.sent_rows, -1)
    return [replace(hints, row=rows[hints.row]) for hints in found if len(hints)]


class _Shapes:
    """Size, shape and place of each box, and how unusual they are for its tag."""

    def __init__(self, source: Source) -> None:
        regions = source.sent
        box = regions.box.astype(np.float32)
        width = np.maximum(source.images.width, 1).astype(np.float32)[regions.image]
        height = np.maximum(source.images.height, 1).astype(np.float32)[regions.image]
        area = box[:, 2] * box[:, 3]
        self.values = np.empty((len(box), 4), np.float32)
        self.values[:, 0] = np.log(np.maximum(area, 1e-12))
        self.values[:, 1] = np.log(
            np.maximum(box[:, 2] * width, 1e-9) / (box[:, 3] * height + 1e-9)
        )
        self.values[:, 2:] = box[:, :2] + box[:, 2:] / 2
        self.usual = Usual.of(self.values, regions.tag, len(source.dataset.tags), _LEAST_SPREAD)
        self.deviations = self.usual.deviations(self.values, regions.tag)
        far = box[:, :2] + box[:, 2:]
        cut = (box[:, :2] < _EDGE).any(axis=1) | (far > 1 - _EDGE).any(axis=1)
        # A part of an object is smaller than usual and has another shape.
        self.deviations[cut, 0] = np.maximum(self.deviations[cut, 0], 0)
        self.deviations[cut, 1] = 0
        self.area = area


def _covering(source: Source, shapes: _Shapes) -> Hints:
    regions = source.sent
    tag = regions.tag
    usual_area = np.nan_to_num(np.exp(shapes.usual.centre[:, 0]))
    rows = np.flatnonzero((shapes.area >= COVERS) & (usual_area[tag] < _USUALLY_SMALLER))

    def text(at: int) -> str:
        row = rows[at]
        name = source.dataset.tags[tag[row]]
        usual = usual_area[tag[row]]
        compared = f"; the usual one covers {usual:.1%}" if usual else ""
        return f"a '{name}' box covers {shapes.area[row]:.0%} of the image{compared}"

    score = np.full(len(rows), 180, np.float32)
    return Hints("whole_image", "Box over the whole image", regions.image[rows], rows, score, text)


def _unusual(source: Source, shapes: _Shapes) -> Iterator[Hints]:
    """Yield boxes with an unusual size or shape, and those that look like another tag's."""
    size, shape = np.abs(shapes.deviations[:, :2]).T
    worst = np.maximum(size, shape)
    rows = np.flatnonzero(worst > _FITS * 2)
    if len(rows) > _CANDIDATES:
        rows = np.sort(rows[np.argsort(-worst[rows], kind="stable")[:_CANDIDATES]])
    other = _fitting_tag(source, shapes, rows)
    fits = other >= 0
    score = np.minimum(15 * worst[rows[fits]], 120)
    yield _like_another_tag(source, rows[fits], other[fits], score)
    rest = rows[~fits]
    is_large = size[rest] > _UNUSUAL
    large = rest[is_large & (shapes.area[rest] < COVERS)]
    yield _of_unusual_size(source, shapes, large, np.minimum(8 * size[large], 100))
    odd = rest[(shape[rest] > _UNUSUAL) & ~is_large]
    yield _of_unusual_shape(source, shapes, odd, np.minimum(6 * shape[odd], 80))


def _fitting_tag(source: Source, shapes: _Shapes, rows: Rows) -> NDArray[np.int32]:
    """Return the other tag for which the size and shape of each box are usual; -1: none."""
    own = source.sent.tag
    form = Usual(shapes.usual.centre[:, :2], shapes.usual.spread[:, :2])
    is_distinct = form.tell_apart(shapes.values[:, :2], own)
    other = form.likeliest_other(shapes.values[rows, :2], own[rows])
    distance = form.distances(shapes.values[rows, :2], other)
    fits = (distance < _FITS) & (other >= 0) & is_distinct[own[rows]] & is_distinct[other]
    return np.where(fits, other, -1)


def _like_another_tag(source: Source, rows: Rows, other: NDArray[np.int32], score: Floats) -> Hints:
    tags, own = source.dataset.tags, source.sent.tag

    def text(at: int) -> str:
        return f"a '{tags[own[rows[at]]]}' box has the size and shape of '{tags[other[at]]}'"

    images = source.sent.image[rows]
    return Hints("other_tag", "Looks like another tag", images, rows, score, text)


def _of_unusual_size(source: Source, shapes: _Shapes, rows: Rows, score: Floats) -> Hints:
    tag = source.sent.tag

    def text(at: int) -> str:
        row = rows[at]
        name = source.dataset.tags[tag[row]]
        ratio = float(np.exp(shapes.values[row, 0] - shapes.usual.centre[tag[row], 0]))
        times = f"{ratio:.3g} times" if ratio > 1 else f"1/{1 / ratio:.3g} of"
        return f"a '{name}' box has {times} the usual area"

    images = source.sent.image[rows]
    return Hints("unusual_size", "Unusual size", images, rows, score, text)


def _of_unusual_shape(source: Source, shapes: _Shapes, rows: Rows, score: Floats) -> Hints:
    tag = source.sent.tag

    def text(at: int) -> str:
        row = rows[at]
        name = source.dataset.tags[tag[row]]
        own, usual = shapes.values[row, 1], shapes.usual.centre[tag[row], 1]
        return f"a '{name}' box has {_aspect(own)}; the usual one {_aspect(usual)}"

    images = source.sent.image[rows]
    return Hints("unusual_shape", "Unusual shape", images, rows, score, text)


def _aspect(log_ratio: float) -> str:
    ratio = float(np.exp(log_ratio))
    return f"width:height {ratio:.2g}:1" if ratio >= 1 else f"width:height 1:{1 / ratio:.2g}"


def _in_same_place(source: Source) -> Iterator[Hints]:
    """Yield pairs of boxes in the same place, with different tags and with the same tag."""
    regions = source.sent
    tags = source.dataset.tags
    first, second = _pairs(regions)
    is_same = regions.tag[first] == regions.tag[second]
    for code, title, wanted, weight in (
        ("two_tags", "Two tags in one place", ~is_same, 90),
        ("nearly_twice", "Nearly the same box twice", is_same, 60),
    ):
        one, two = first[wanted], second[wanted]

        def text(at: int, one: Rows = one, two: Rows = two) -> str:
            names = sorted((tags[regions.tag[one[at]]], tags[regions.tag[two[at]]]))
            if names[0] == names[1]:
                return f"two '{names[0]}' boxes in nearly the same place"
            return f"a '{names[0]}' and a '{names[1]}' box in the same place"

        score = np.full(len(one), weight, np.float32)
        yield Hints(code, title, regions.image[one], one, score, text)


def _pairs(regions: Regions) -> tuple[Rows, Rows]:
    """Return pairs of rows whose boxes are in the same place of one image."""
    left = (regions.box[:, 0] * 0xFFFF).astype(np.uint32)
    order = np.lexsort((left, regions.image))
    image = regions.image[order]
    box = regions.box[order].astype(np.float32)
    far = box[:, :2] + box[:, 2:]
    area = box[:, 2] * box[:, 3]
    firsts, seconds = [], []
    for step in range(1, _NEIGHBOURS + 1):
        near = np.minimum(far[step:], far[:-step]) - np.maximum(box[step:, :2], box[:-step, :2])
        shared = np.maximum(near[:, 0], 0) * np.maximum(near[:, 1], 0)
        whole = area[step:] + area[:-step] - shared
        found = np.flatnonzero((shared > _SAME_PLACE * whole) & (image[step:] == image[:-step]))
        firsts.append(order[found])
        seconds.append(order[found + step])
    return np.concatenate(firsts), np.concatenate(seconds)


def _copied(source: Source) -> Hints:
    """Return images that have exactly the boxes of another image: one of them is the wrong one."""
    regions = source.sent
    keys = np.empty((len(regions), 3), np.uint64)
    keys[:, 0] = regions.tag
    keys[:, 1:] = regions.box.astype(np.float32, order="C").view(np.uint64)
    sums = np.zeros(len(source.images), np.uint64)
    np.add.at(sums, regions.image, hash_keys(keys))
    is_whole = regions.box[:, 2] * regions.box[:, 3] > COVERS
    counts = np.bincount(regions.image[~is_whole], minlength=len(sums))
    images = np.flatnonzero(counts >= 1)
    order = images[np.argsort(sums[images], kind="stable")]
    same = np.flatnonzero(sums[order[1:]] == sums[order[:-1]])
    image = np.concatenate([order[same], order[same + 1]])
    other = np.concatenate([order[same + 1], order[same]])
    names = source.images.names

    def text(at: int) -> str:
        return f"its boxes are exactly those of '{names[other[at]]}'"

    nowhere = np.full(len(image), -1, np.int64)
    score = np.where(counts[image] > 1, 150, 70).astype(np.float32)
    title = "Same boxes as another image"
    return Hints("same_boxes", title, image.astype(np.int32), nowhere, score, text)


def _without_boxes(source: Source) -> Hints:
    """Return the images without boxes if they are few: then labels may have been forgotten."""
    count = len(source.images)
    boxes = np.bincount(source.regions.image, minlength=count)
    images = np.flatnonzero(boxes == 0).astype(np.int32)
    if len(images) > min(_MOST_WITHOUT_BOXES, count * _FEW):
        images = images[:0]

    def text(_: int) -> str:
        others = count - len(images)
        return f"no boxes are sent for it, but {others:,} of {count:,} images have boxes"

    nowhere = np.full(len(images), -1, np.int64)
    score = np.full(len(images), 40, np.float32)
    return Hints("without_boxes", "Image without boxes", images, nowhere, score, text)


def similar_pairs(source: Source) -> dict[int, int]:
    """Return tags whose names nearly equal that of a more frequent tag, with that tag."""
    counts = source.boxes_per_tag
    tags = source.dataset.tags
    frequent = np.argsort(-counts, kind="stable")[:_MOST_NAMES].tolist()
    used = [code for code in frequent if counts[code]]
    seen: dict[str, int] = {}
    pairs: dict[int, int] = {}
    for code in used:
        key = loose_key(tags[code])
        spellings = {key, key.removesuffix("s")}
        if len(key) >= _SHORTEST_NAME:
            spellings |= {f"{key[:at]}*{key[at + 1 :]}" for at in range(len(key))}
            spellings |= {f"{key[:at]}{key[at + 1 :]}" for at in range(len(key))}
        found = next((seen[one] for one in sorted(spellings) if one in seen), None)
        if found is not None and not _differ_in_a_number(tags[code], tags[found]):
            pairs[code] = found
        for one in spellings:
            seen.setdefault(one, code)
    return pairs


def _differ_in_a_number(first: str, second: str) -> bool:
    """Return whether two names differ in their digits, such as `lane 1` and `lane 2`."""
    digits = [[sign for sign in text if sign.isdigit()] for text in (first, second)]
    return digits[0] != digits[1]


def _similar_names(source: Source) -> Hints:
    """Return the boxes of tags whose names nearly equal that of a more frequent tag."""
    regions = source.sent
    tags = source.dataset.tags
    pairs = similar_pairs(source)
    rows = np.flatnonzero(np.isin(regions.tag, [*pairs]))
    counts = source.boxes_per_tag

    def text(at: int) -> str:
        code = int(regions.tag[rows[at]])
        other = pairs[code]
        own, others = counted(int(counts[code]), "box"), counted(int(counts[other]), "box")
        return f"tag '{tags[code]}' ({own}) is similar to '{tags[other]}' ({others})"

    rare = np.array([counts[code] < counts[other] / 4 for code, other in pairs.items()])
    is_rare = dict(zip(pairs, rare.tolist(), strict=True))
    score = np.array(
        [130 if is_rare[tag] else 20 for tag in regions.tag[rows].tolist()], np.float32
    )
    return Hints("similar_name", "Nearly the same name", regions.image[rows], rows, score, text)
