"""Decide whether the boxes of a COCO file are left, top, width, height, or two corners.

COCO means left, top, width, height, but few files declare it, and some tools write corners (left,
top, right, bottom). The polygons and areas of the annotations prove the order. The order is
doubtful if boxes extend beyond their images and would fit as corners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from regionbatch import boxes
from regionbatch.dataset.columns import block_of, take_rows
from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.findings import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from regionbatch.readers.coco.order_proof import OrderProof

ORDERS = ("ltwh", "ltrb")
"""The values of the option `bbox_format`, next to `auto`."""

_SMALL_FILE = 2**23
"""In files of up to this many bytes, polygons are compared if a single box may be corners."""

_MANY_CORNERS = 0.25
"""In larger files, polygons are compared if this fraction of the boxes may be corners. In published
datasets, a tenth may."""

_MANY_OVER_EDGE = 0.01
"""They are also compared if this fraction extends beyond the image and would fit as corners."""

_TOLERATED = 0.01
"""Fraction of the boxes with a proven order that may contradict the others without an error."""

_DECLARED = {
    "": "ltwh",
    "null": "ltwh",
    "ltwh": "ltwh",
    "xywh": "ltwh",
    "coco": "ltwh",
    "ltrb": "ltrb",
    "xyxy": "ltrb",
}
"""What `bbox_format` may be in a file."""


class BoxOrder(NamedTuple):
    """The order of the coordinates of a file, with the evidence for and against it."""

    corners: bool
    contradicted: int = 0
    """Boxes with a polygon or area that proves the other order. More than a few are an error."""
    proved: int = 0
    """Boxes with a polygon or area that proves one of the two orders."""
    better_in_pixels: int = 0
    """Boxes that would fit their image better in the other order, if they are in pixels."""
    better_normalised: int = 0
    """The same if they are normalised."""
    certain: int = 0
    """Boxes that are impossible in the other order."""
    either: int = 0
    """Boxes that are possible in both orders, and different."""
    boxes: int = 0

    @property
    def name(self) -> str:
        """`ltrb` or `ltwh`."""
        return "ltrb" if self.corners else "ltwh"

    def doubt(self, *, normalised: bool) -> str:
        """Return why the order is doubtful; empty if it is not."""
        if self.contradicted:
            return f"polygon or area contradicts it in {self.contradicted} of {self.proved} boxes"
        better = self.better_normalised if normalised else self.better_in_pixels
        if self.proved or better < 2 or 2 * better < self.boxes:
            return ""
        if self.certain > _TOLERATED * self.boxes:
            return ""
        what = "have swapped corners" if self.corners else "cross the image edge"
        other = "ltwh" if self.corners else "ltrb"
        return f"{better} of {self.boxes} boxes {what}, but not as {other}"

    def must_compare(self, file_size: int) -> bool:
        """Return whether the polygons and areas of the file need to be compared with the boxes."""
        if self.corners:  # few files have them, so this costs little
            return self.boxes > 0
        if file_size <= _SMALL_FILE:
            return True
        if self.either >= _MANY_CORNERS * self.boxes:
            return self.either > 0
        return self.better_in_pixels >= _MANY_OVER_EDGE * self.boxes

    def confirmed_by(self, proof: OrderProof, name: str) -> BoxOrder:
        """Return the order with the evidence of polygons and areas.

        Args:
            proof: What the polygons and areas prove.
            name: The file, for messages.

        Raises:
            AmbiguousDatasetError: They prove another order, for all boxes or for some.
        """
        proved = proof.ltwh + proof.ltrb
        if proof.centred > proved:
            raise _centred(name, proof)
        contradicted = proof.ltwh if self.corners else proof.ltrb
        if contradicted > _TOLERATED * proved:
            raise _contradicted(name, proof, corners=self.corners)
        return self._replace(contradicted=contradicted, proved=proved)


def declares_corners(name: str, stated: str, modes: Mapping[str, int], rows: int) -> bool:
    """Return whether a file declares that its boxes are corners.

    Args:
        name: The file.
        stated: Its `bbox_format`.
        modes: The number of boxes with each `bbox_mode` other than left, top, width, height.
        rows: The number of boxes.

    Raises:
        DatasetError: It declares an unknown order.
        AmbiguousDatasetError: Its declarations contradict each other.
    """
    order = _DECLARED.get(stated.strip().lower(), "")
    unknown = next((mode for mode in modes if mode != "ltrb"), "" if order else stated)
    if unknown:
        what = f"unknown order of box coordinates: '{escape_unprintable(unknown)}'"
        raise DatasetError(
            f"{name}: {what}. {_choose()}",
            place=name,
            option="bbox_format",
            value=unknown,
            choices=ORDERS,
        )
    with_mode = modes.get("ltrb", 0)
    if 0 < with_mode < rows:
        counts = f"{with_mode} of {rows} boxes"
        raise _ambiguous(name, f"'bbox_mode' declares corners in only {counts}")
    if with_mode and order == "ltwh" and stated not in ("", "null"):
        what = f"'bbox_format' contradicts the 'bbox_mode' of the boxes: {stated!r}"
        raise _ambiguous(name, what, stated)
    return with_mode > 0 or order == "ltrb"


def count_order_evidence(
    box: boxes.Boxes, image: NDArray[np.int32], sizes: boxes.Boxes, *, corners: bool
) -> BoxOrder:
    """Count the boxes that fit in their order, and those that would fit better in the other.

    Args:
        box: (n, 4), as in the file.
        image: (n,), codes into `sizes`; less than 0: unknown.
        sizes: (m, 2), declared width and height of the images; 0: unknown. The last one is 0.
        corners: Whether the boxes are read as corners.
    """
    order = BoxOrder(corners, boxes=len(box))
    for block in boxes.blocks(len(box)):
        order = _with_block(order, block_of(box, block), image[block], sizes)
    return order


def _with_block(
    order: BoxOrder, box: boxes.Boxes, image: NDArray[np.int32], sizes: boxes.Boxes
) -> BoxOrder:
    inverted = _any_axis(box[:, 2:] < box[:, :2])
    either = may_be_corners(box)
    rows = np.flatnonzero(inverted if order.corners else either)  # others cannot fit better
    box = take_rows(box, rows)
    size = take_rows(sizes, np.maximum(image[rows], -1))
    in_pixels = fits_better(box, size, corners=order.corners)
    normalised = fits_better(box, np.ones((2, len(rows))).T, corners=order.corners)
    certain = 0 if order.corners else int(np.count_nonzero(inverted))
    return order._replace(
        better_in_pixels=order.better_in_pixels + int(np.count_nonzero(in_pixels)),
        better_normalised=order.better_normalised + int(np.count_nonzero(normalised)),
        certain=order.certain + certain,
        either=order.either + int(np.count_nonzero(either)),
    )


def may_be_corners(box: boxes.Boxes) -> NDArray[np.bool_]:
    """Return which boxes are possible in both orders, and different, (n,)."""
    first = box[:, :2]
    second = box[:, 2:]
    return _both_axes(second > first) & _both_axes(first >= 0) & _any_axis(first > 0)


def fits_better(box: boxes.Boxes, size: boxes.Boxes, *, corners: bool) -> NDArray[np.bool_]:
    """Return which boxes contradict their order, and fit their image in the other one, (n,).

    Corners contradict their order if they are swapped; other boxes if they extend beyond the image.

    Args:
        box: (n, 4), as in the file.
        size: (n, 2), width and height of the image in the unit of the boxes; 0: unknown.
        corners: Whether the boxes are read as corners.
    """
    limit = np.where(size > 1, size + 1, size + 1e-3)  # a pixel of tolerance for rounding
    first = box[:, :2]
    second = box[:, 2:]
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308, infinity and NaN
        inside = _both_axes(first + second <= limit)
        if corners:
            better = inside & _any_axis(second < first) & _both_axes(first >= 0)
        else:
            better = ~inside & _both_axes(second <= limit) & may_be_corners(box)
    return better & _both_axes(size > 0) & _both_axes(second > 0)


def _any_axis(mask: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - NumPy types a comparison so
    """Combine the two columns of a mask; `any(axis=1)` takes ten times as long."""
    combined: NDArray[np.bool_] = mask[:, 0] | mask[:, 1]
    return combined


def _both_axes(mask: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - the same
    combined: NDArray[np.bool_] = mask[:, 0] & mask[:, 1]
    return combined


def _contradicted(name: str, proof: OrderProof, *, corners: bool) -> AmbiguousDatasetError:
    proved = proof.ltwh + proof.ltrb
    if corners:
        order = "left, top, width, height, not corners"
        count = proof.ltwh
        first = proof.first_ltwh
    else:
        order = "corners, not left, top, width, height"
        count = proof.ltrb
        first = proof.first_ltrb
    what = f"polygons or areas prove that boxes are {order} ({count} of {proved}): '{first}'"
    return _ambiguous(name, what, first)


def _centred(name: str, proof: OrderProof) -> AmbiguousDatasetError:
    first = proof.first_centred
    what = f"polygons prove that boxes are centre, width, height: '{first}'"
    advice = 'Convert them, or use `bbox_format="ltwh"` to read them as left, top, width, height.'
    return AmbiguousDatasetError(
        f"{name}: {what}. {advice}",
        place=name,
        option="bbox_format",
        value=proof.first_centred,
        choices=ORDERS,
    )


def _ambiguous(name: str, what: str, value: str | None = None) -> AmbiguousDatasetError:
    return AmbiguousDatasetError(
        f"{name}: {what}. {_choose()}",
        place=name,
        option="bbox_format",
        value=value,
        choices=ORDERS,
    )


def _choose() -> str:
    return "Choose one with " + " or ".join(f'`bbox_format="{order}"`' for order in ORDERS) + "."
