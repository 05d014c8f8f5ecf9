"""COCO: one JSON of images, categories and annotations, or a folder of them.

Sources of the rules: the data format page of COCO (bbox is x, y, width, height in pixels, measured from the image's
corner); Microsoft's vision-datasets for `bbox_format` and for boxes that are already normalised.
"""

from __future__ import annotations

from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from regionbatch.dataset import References
from regionbatch.errors import DatasetError, OptionError
from regionbatch.files.text import report_guess
from regionbatch.options import CocoOptions
from regionbatch.readers.coco.collected import Collected
from regionbatch.readers.coco.json_files import choose_files, coco_files
from regionbatch.readers.coco.jsonpieces import NESTED, Piece, Pieces
from regionbatch.readers.coco.jsontext import document
from regionbatch.readers.coco.orders import SHAPES
from regionbatch.readers.coco.passed_over import boxes_in
from regionbatch.readers.coco.records import WANTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.options import ReadOptions


class CocoReader:
    """Reads COCO files; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a COCO JSON with images, categories and annotations, or a folder with such files"
    options: ClassVar[type[ReadOptions]] = CocoOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the JSON files whose beginning and end have the keys of COCO."""
        found = coco_files(tree)
        return found[0] + (f" and {len(found) - 1} more" if len(found) > 1 else "") if found else None

    def references(self, tree: Tree, options: CocoOptions, log: FindingLog) -> References:
        """Return one JSON for each split."""
        chosen, all_files, superseded = choose_files(tree, options, log)
        return References(chosen, others=all_files, superseded=superseded, extensions=(".json",))

    def read(self, tree: Tree, files: Sequence[str], options: CocoOptions, log: FindingLog) -> RawAnnotations:
        """Read JSON files."""
        collected = Collected(log, options)
        for name in files:
            with document(Path(tree.on_disk(name)), name, tree.encoding) as text:
                pieces = Pieces(text, WANTED, longest="annotations")
                shapes = partial(Pieces, text, SHAPES)
                before = log.boxes_read
                names = collected.add_file(name, pieces, pieces.scalars, shapes, text.size)
                if log.boxes_read == before:
                    _report_elsewhere(name, boxes_in(text.pieces()), log)
                if text.guessed:
                    report_guess(log, name, names)
        return collected.annotations()

    def read_loaded(self, content: Mapping[str, Any], options: CocoOptions, log: FindingLog) -> RawAnnotations:
        """Read what `json.load` made of a COCO file, as `pycocotools.coco.COCO(…).dataset` has it.

        Raises:
            DatasetError: Something else stands in place of its arrays.
            OptionError: An option for files is given.
        """
        for name, value in (
            ("split", options.split),
            ("coco_json", options.coco_json),
            ("encoding", options.encoding),
        ):
            if value:
                raise OptionError(f"{name}: a loaded COCO has no files, got {value}; leave it out", option=name)
        for key in WANTED:
            if not isinstance(content.get(key), (list, tuple, type(None))):
                kind = type(content[key]).__name__
                raise DatasetError(f"COCO: {key} must be a list, got {kind}; load a COCO file into it", place="COCO")
        collected = Collected(log, options)
        arrays = {key: list(content.get(key) or ()) for key in WANTED}
        pieces = [Piece(key, 0, len(records), None, records) for key, records in arrays.items()]
        header = {key: _as_scalar(value) for key, value in content.items()}
        collected.add_file("COCO", pieces, header, lambda: [each for each in pieces if each.key in SHAPES])
        return collected.annotations()


def _report_elsewhere(name: str, count: int, log: FindingLog) -> None:
    """Report the boxes of a file that has none where COCO has them: in an array of another name, or in the images."""
    log.read(boxes=count)
    log.add("not_a_box", log.file(name), np.zeros(count, np.int64), repeat("outside 'annotations'", count))


def _as_scalar(value: object) -> str:
    """A value of a loaded COCO as `Pieces.scalars` has those of a file."""
    if value is None:
        return "null"
    return NESTED if isinstance(value, (list, tuple, dict)) else str(value)
