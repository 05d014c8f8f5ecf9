"""Boxes that are not where COCO has them: in files of other formats, outside the array of annotations, in siblings."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.errors import DatasetError
from regionbatch.readers.coco.jsonpieces import Pieces
from regionbatch.readers.coco.jsontext import PIECE, document
from regionbatch.readers.coco.records import WANTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from regionbatch.files.tree import Tree

_BOX = re.compile(rb'"(?:bbox|bndbox|points)"[ \t\r\n]{0,99}+:')
"""A key that each box has once: of detections and panoptic files, of VOC files turned into JSON, of labelme."""
_LONGEST_BOX = 108
"""Bytes that `_BOX` matches at most, less one."""


def count_boxes(path: Path) -> int:
    """Return how many boxes a JSON file of another format has."""
    try:
        with path.open("rb") as file:
            return boxes_in(iter(partial(file.read, PIECE), b""))
    except OSError:
        return 0


def boxes_in(pieces: Iterable[bytes]) -> int:
    """Return how many boxes are in a JSON text, wherever they are."""
    count, rest = 0, b""
    for piece in pieces:
        text, end = rest + piece, 0
        for found in _BOX.finditer(text):
            count, end = count + 1, found.end()
        rest = text[max(end, len(text) - _LONGEST_BOX) :]  # where a key may begin that the next piece ends
    return count


def with_other_images(tree: Tree, read: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the COCO files that have an image which those that are read do not have."""
    known = {name for file in read for name in _image_names(tree, file)}
    return [file for file in others if not known.issuperset(_image_names(tree, file))]


def _image_names(tree: Tree, file: str) -> Iterator[str]:
    """Yield the names of the images in a COCO file; its annotations are not parsed if they come later."""
    try:
        with document(Path(tree.on_disk(file)), file) as text:
            for piece in Pieces(text, {"images": WANTED["images"]}):
                if piece.typed is not None:
                    yield from piece.typed.file_name
                else:
                    yield from (str(record.get("file_name")) for record in piece.plain if isinstance(record, dict))
                if piece.last:
                    return
    except DatasetError:
        yield file  # nobody knows which images these are, so it is read as a whole
