"""Find boxes in JSON that the reader does not read, so that they are counted and not lost.

They may be in files of other formats, outside the array of annotations, or in sibling files.
"""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING

from regionbatch.errors import DatasetError
from regionbatch.files.storage import LOCAL
from regionbatch.readers.coco.json_stream import ArrayStream
from regionbatch.readers.coco.json_text import CHUNK_SIZE, document
from regionbatch.readers.coco.records import ARRAY_SPECS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

    from regionbatch.files.storage import Storage
    from regionbatch.files.tree import Tree

_BOX_KEY = re.compile(rb'"(?:bbox|bndbox|points)"[ \t\r\n]{0,99}+:')
"""A key that each box has once, in detections, panoptic files, VOC as JSON, and labelme."""
_MAX_KEY_LENGTH = 108
"""Bytes that `_BOX_KEY` matches at most, less one."""


def count_boxes_in_file(path: str | PathLike[str], storage: Storage = LOCAL) -> int:
    """Return the number of boxes in a JSON file of another format; 0 if it cannot be read."""
    try:
        with storage.open(os.fspath(path)) as file:
            return count_boxes(iter(partial(file.read, CHUNK_SIZE), b""))
    except OSError:
        return 0


def count_boxes(chunks: Iterable[bytes]) -> int:
    """Return the number of boxes in a JSON text, wherever they are."""
    count = 0
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        end = 0
        for found in _BOX_KEY.finditer(text):
            count += 1
            end = found.end()
        # A key may start in this chunk and end in the next.
        rest = text[max(end, len(text) - _MAX_KEY_LENGTH) :]
    return count


def files_with_other_images(tree: Tree, read: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the COCO files with an image that the files to read do not have.

    Args:
        tree: The dataset.
        read: The files to read.
        others: The files to look at.
    """
    known = {name for file in read for name in _image_names(tree, file)}
    return [file for file in others if not known.issuperset(_image_names(tree, file))]


def _image_names(tree: Tree, file: str) -> Iterator[str]:
    """Yield the names of the images in a file, without parsing annotations that come after them."""
    try:
        with document(tree.on_disk(file), file, storage=tree.storage) as text:
            for chunk in ArrayStream(text, {"images": ARRAY_SPECS["images"]}):
                if chunk.typed is not None:
                    yield from chunk.typed.names
                for record in chunk.plain:
                    if isinstance(record, dict):
                        yield str(record.get("file_name"))
                if chunk.is_last:
                    return
    except DatasetError:
        yield file  # its images are unknown, so they count as others
