"""Count the boxes of annotation files that are not read as part of the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.boxes import blocks
from regionbatch.dataset.columns import computed
from regionbatch.errors import DatasetError
from regionbatch.findings import FindingLog
from regionbatch.findings.codes import CODES
from regionbatch.findings.finding import SameText

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.image_labels import Rejected
    from regionbatch.plugins import Reader

_NOT_READ = "a box that only this file has"


def count_rejected(
    tree: Tree,
    reader: Reader,
    rejected: Sequence[Rejected],
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    log: FindingLog,
) -> None:
    """Report as dropped the boxes of label files that are not part of the dataset."""
    boxes = _boxes_in(tree, reader, [each.file for each in rejected], options) if rejected else {}
    for each in rejected:
        where = boxes.get(each.file)
        if where is None:
            _drop_file(each.file, "not part of the dataset, and its content is unknown", log)
        elif where:
            log.read(boxes=len(where))
            values = [each.reason] * len(where) if each.reason else None
            log.add(each.code, log.file(each.file), where, values)
        else:
            log.add("ignored_file", log.file(each.file), value=[each.reason])


def count_superseded(
    tree: Tree,
    reader: Reader,
    files: Iterable[str],
    read: RawAnnotations,
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    log: FindingLog,
) -> None:
    """Report as dropped the boxes of superseded files that the files to read do not contain."""
    read_images = {*read.images.names}
    read_boxes = _keys_of_boxes(read)
    read_boxes.sort()
    for file in files:
        try:
            other = reader.read(tree, [file], options, FindingLog())
        except DatasetError as error:
            _drop_file(file, str(error), log)
            continue
        lost = _not_among(other, read_images, read_boxes if other.mode is read.mode else None)
        where = other.where[lost]
        log.read(boxes=len(where))
        log.add("unlisted_label", log.file(file), where, SameText(_NOT_READ), place=other.place)


def _not_among(
    raw: RawAnnotations, images: set[str], boxes: NDArray[np.int64] | None
) -> NDArray[np.bool_]:
    """Return (n,), which boxes are on other images than `images`, or are not in `boxes`.

    Args:
        raw: The boxes.
        images: Names of images.
        boxes: The sorted `_keys_of_boxes` of others.
    """
    elsewhere = np.asarray([name not in images for name in raw.images.names], np.bool_)
    lost: NDArray[np.bool_] = elsewhere[raw.image]
    if boxes is not None:
        keys = _keys_of_boxes(raw)
        for block in blocks(len(raw)):
            first = np.searchsorted(boxes, keys[block])
            lost[block] |= np.searchsorted(boxes, keys[block], "right") == first
    return lost


def _keys_of_boxes(raw: RawAnnotations) -> NDArray[np.int64]:
    """Return a hash of 64 bits of the image and the numbers of each box, (n,).

    The numbers are compared as text, so that rounding does not matter.
    """
    names = raw.images.names

    def of_block(block: slice) -> NDArray[np.int64]:
        rows = zip(raw.image[block].tolist(), raw.box[block].tolist(), strict=True)
        texts = ((names[image], *(f"{number:.5g}" for number in box)) for image, box in rows)
        return np.fromiter(map(hash, texts), np.int64)

    return computed(len(raw), of_block, np.int64)


def _drop_file(file: str, reason: str, log: FindingLog) -> None:
    """Report a file as a dropped image, because its boxes cannot be counted."""
    log.read(images=1)
    log.add("unreadable_file", log.file(file), value=[reason])


def _boxes_in(tree: Tree, reader: Reader, files: list[str], options: Any) -> dict[str, list[int]]:  # noqa: ANN401
    """Return the places of the boxes of some files, by file; 0 where only their number is known.

    Files that cannot be read are left out. All are read together; if that fails, in halves.
    """
    aside = FindingLog()
    try:
        raw = reader.read(tree, files, options, aside)
    except DatasetError:
        if len(files) == 1:
            return {files[0]: [0] * aside.boxes_read} if aside.boxes_read else {}
        half = len(files) // 2
        return _boxes_in(tree, reader, files[:half], options) | _boxes_in(
            tree, reader, files[half:], options
        )
    found: dict[str, list[int]] = {aside.files[code]: [] for code in raw.images.file.tolist()}
    for code, where in zip(raw.file.tolist(), raw.where.tolist(), strict=True):
        found.setdefault(aside.files[code], []).append(where)
    for finding in aside.findings():
        rule = CODES[finding.code]
        if (rule.effect, rule.unit) == ("dropped", "box"):
            found.setdefault(finding.file, []).append(finding.where)
    return {file: sorted(where) for file, where in found.items()}
