"""Read COCO: one JSON file of images, categories and annotations, or a folder of them.

Sources of the rules: COCO's data format page (a bbox is x, y, width, height in pixels, measured
from the top left corner of the image), and Microsoft's vision-datasets for `bbox_format` and for
boxes that are normalised.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from regionbatch.dataset import References
from regionbatch.dataset.columns import own_columns
from regionbatch.errors import DatasetError, OptionError
from regionbatch.files.text import NotUtf8Error, report_guess
from regionbatch.options import CocoOptions
from regionbatch.readers.coco.dataset_builder import CocoSource, DatasetBuilder
from regionbatch.readers.coco.json_files import choose_files
from regionbatch.readers.coco.json_kinds import detect
from regionbatch.readers.coco.json_parts import (
    DecodedParts,
    PartOfFile,
    decode_part,
    divide,
    is_part_of,
)
from regionbatch.readers.coco.json_stream import NESTED, ArrayStream, Chunk
from regionbatch.readers.coco.json_text import document
from regionbatch.readers.coco.order_proof import SHAPE_SPECS
from regionbatch.readers.coco.records import ARRAY_SPECS
from regionbatch.readers.coco.unread_boxes import count_boxes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.options import ReadOptions
    from regionbatch.readers.coco.json_text import JsonText

_LONGEST = "annotations"
"""The array that makes up most of a large file."""

_FILE_OPTIONS = ("split", "coco_json", "encoding")
"""Options that a loaded COCO cannot have."""


class CocoReader:
    """Reads COCO files. Implements `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = (
        "a COCO JSON with images, categories and annotations, or a folder with such files"
    )
    options: ClassVar[type[ReadOptions]] = CocoOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the COCO files; None if there are none."""
        return detect(tree)

    def references(self, tree: Tree, options: CocoOptions, log: FindingLog) -> References:
        """Choose one JSON file for each split."""
        chosen = choose_files(tree, options, log)
        return References(
            chosen.files,
            others=chosen.coco_files,
            superseded=chosen.superseded,
            extensions=(".json",),
        )

    def read(
        self, tree: Tree, files: Sequence[str], options: CocoOptions, log: FindingLog
    ) -> RawAnnotations:
        """Read JSON files.

        Args:
            tree: The dataset.
            files: The paths of the files in it.
            options: The options of the caller.
            log: Where findings and decisions are reported.

        Raises:
            DatasetError: A file cannot be read as COCO.
            AmbiguousDatasetError: Nothing decides the unit or the order of the coordinates.
        """
        return self.merge(tree, files, options, log, (), ())

    def parts(
        self,
        tree: Tree,
        files: Sequence[str],
        options: CocoOptions,  # noqa: ARG002 - see the contract
        n: int,
    ) -> list[PartOfFile]:
        """Divide JSON files into parts; see `regionbatch.plugins.PartsReader`."""
        spec = ARRAY_SPECS[_LONGEST]
        n = -(-n // max(1, len(files)))
        return [
            part
            for name in files
            for part in divide(tree.storage, tree.on_disk(name), n, _LONGEST, spec)
        ]

    read_part = staticmethod(decode_part)

    def merge(
        self,
        tree: Tree,
        files: Sequence[str],
        options: CocoOptions,
        log: FindingLog,
        jobs: Sequence[PartOfFile],
        results: Iterable[list[Chunk]],
    ) -> RawAnnotations:
        """Read JSON files, except the annotations that the parts contain.

        Raises:
            DatasetError: A file cannot be read as COCO.
            AmbiguousDatasetError: Nothing decides the unit or the order of the coordinates.
        """
        builder = DatasetBuilder(log, options)
        remaining = iter(results)
        for name in files:
            path = tree.on_disk(name)
            own_jobs = [job for job in jobs if job.path == path]
            of_file = islice(remaining, len(own_jobs))
            file = log.file(name)
            try:  # nearly every file is UTF-8, which is checked while it is read
                with document(path, name, tree.encoding, tree.storage, is_checked=False) as text:
                    starts = [job.start for job in own_jobs if is_part_of(text, job)]
                    _add_file(builder, file, text, DecodedParts(starts, of_file), log)
            except NotUtf8Error:
                with document(path, name, tree.encoding, tree.storage) as text:
                    _add_file(builder, file, text, DecodedParts(), log)
            deque(of_file, 0)  # skip the parts that were not used
        return builder.build()

    def read_loaded(
        self, content: Mapping[str, Any], options: CocoOptions, log: FindingLog
    ) -> RawAnnotations:
        """Read a COCO file that `json.load` has loaded, as `pycocotools.coco.COCO(…).dataset`.

        Args:
            content: The content of the file.
            options: The options of the caller.
            log: Where findings and decisions are reported.

        Raises:
            DatasetError: One of its arrays is not a list.
            OptionError: An option that needs a file is given.
            AmbiguousDatasetError: Nothing decides the unit or the order of the coordinates.
        """
        _refuse_file_options(options)
        for key in ARRAY_SPECS:
            if not isinstance(content.get(key), (list, tuple, type(None))):
                kind = type(content[key]).__name__
                what = f"{key!r} is not a list: '{kind}'. Load it from a COCO file."
                raise DatasetError(f"COCO: {what}", place="COCO", value=kind)
        arrays = {key: list(content.get(key) or ()) for key in ARRAY_SPECS}
        chunks = [
            Chunk(key, 0, len(records), None, records, is_last=True)
            for key, records in arrays.items()
        ]
        shapes = [chunk for chunk in chunks if chunk.key in SHAPE_SPECS]
        header = {key: _as_header(value) for key, value in content.items()}
        builder = DatasetBuilder(log, options)
        builder.add_file(CocoSource("COCO", chunks, header, lambda: shapes), log.file("COCO"))
        return builder.build()


def _add_file(
    builder: DatasetBuilder, file: int, text: JsonText, parts: DecodedParts, log: FindingLog
) -> None:
    stream = ArrayStream(text, ARRAY_SPECS, longest=_LONGEST, parts=parts)
    shapes = partial(ArrayStream, text, SHAPE_SPECS)
    source = CocoSource(text.name, stream, stream.header, shapes, text.size)
    before = log.boxes_read
    with own_columns():
        names = builder.add_file(source, file)
    if log.boxes_read == before:
        _report_boxes_elsewhere(file, count_boxes(text.chunks()), log)
    if text.is_guess:
        report_guess(log, text.name, names)


def _refuse_file_options(options: CocoOptions) -> None:
    for name in _FILE_OPTIONS:
        if value := getattr(options, name):
            raise OptionError(
                f"{name}: does not apply to a loaded COCO, which has no files: '{value}'. "
                f"Leave out `{name}`.",
                option=name,
                value=value,
            )


def _report_boxes_elsewhere(file: int, count: int, log: FindingLog) -> None:
    """Report boxes outside 'annotations', in a file that has none inside."""
    log.read(boxes=count)
    values = repeat("outside 'annotations'", count)
    log.add("not_a_box", file, np.zeros(count, np.int64), values)


def _as_header(value: object) -> str:
    """Return a value of a loaded COCO in the form in which `ArrayStream.header` has values."""
    if value is None:
        return "null"
    return NESTED if isinstance(value, (list, tuple, dict)) else str(value)
