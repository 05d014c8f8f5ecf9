"""COCO: one JSON of images, categories and annotations, or a folder of them.

Sources of the rules: the data format page of COCO (bbox is x, y, width, height in pixels, measured from the image's
corner); Microsoft's vision-datasets for `bbox_format` and for boxes that are already normalised.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from regionbatch.dataset import References
from regionbatch.errors import DatasetError, OptionError
from regionbatch.options import CocoOptions
from regionbatch.readers.coco.collected import Collected
from regionbatch.readers.coco.json_files import choose_files, coco_files
from regionbatch.readers.coco.jsonpieces import NESTED, Piece, Pieces, document
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
        chosen, all_files = choose_files(tree, options, log)
        return References(chosen, others=all_files, extensions=(".json",))

    def read(self, tree: Tree, files: Sequence[str], options: CocoOptions, log: FindingLog) -> RawAnnotations:
        """Read JSON files."""
        collected = Collected(log, options)
        for name in files:
            with document(Path(tree.on_disk(name)), name) as opened:
                pieces = Pieces(opened, name, WANTED, longest="annotations")
                collected.add_file(name, pieces, pieces.scalars, len(opened[1]))
                if pieces.guessed_encoding:
                    log.note("odd_encoding", name)
        return collected.annotations()

    def read_loaded(self, content: Mapping[str, Any], options: CocoOptions, log: FindingLog) -> RawAnnotations:
        """Read what `json.load` made of a COCO file, as `pycocotools.coco.COCO(…).dataset` has it.

        Raises:
            DatasetError: Something else stands in place of its arrays.
            OptionError: An option for files is given.
        """
        for name, value in (("split", options.split), ("coco_json", options.coco_json)):
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
        collected.add_file("COCO", pieces, header)
        return collected.annotations()


def _as_scalar(value: object) -> str:
    """A value of a loaded COCO as `Pieces.scalars` has those of a file."""
    if value is None:
        return "null"
    return NESTED if isinstance(value, (list, tuple, dict)) else str(value)
