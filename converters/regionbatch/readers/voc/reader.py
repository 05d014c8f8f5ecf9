"""The Pascal VOC reader: one XML file per image.

It reads the folders of the devkit, of Roboflow and of CVAT, and loose files. Sources of the rules:
the devkit's documentation (pixels count from 1, and the last one is included), and the tools that
have written VOC files since, which mean plain edges (see `decisions`).
"""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from regionbatch.dataset import ImageReferences, RawAnnotations, References
from regionbatch.dataset.columns import computed, zeros
from regionbatch.files.text import report_guess
from regionbatch.options import VocOptions
from regionbatch.part_ranges import even_ranges
from regionbatch.readers.voc.xml_files import choose_files, detect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.storage import Storage
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.options import ReadOptions
    from regionbatch.readers.voc.columns import VocColumns, VocPart

_MAX_FILES = 5000
"""Maximum number of XML files in a part."""

_FILES_PER_PROGRESS = 500


class VocReader:
    """Reads Pascal VOC files. Implements `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a folder of Pascal VOC XML files, one per image"
    options: ClassVar[type[ReadOptions]] = VocOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the first XML file with an <annotation>."""
        return detect(tree)

    def references(self, tree: Tree, options: VocOptions, log: FindingLog) -> References:
        """Return the XML files of the chosen split, or of all splits."""
        return choose_files(tree, options.split, log)

    def read(
        self, tree: Tree, files: Sequence[str], options: VocOptions, log: FindingLog
    ) -> RawAnnotations:
        """Read XML files.

        Raises:
            DatasetError: None of the files can be read.
        """
        jobs = self.parts(tree, files, options, -(-len(files) // _FILES_PER_PROGRESS))
        return self.merge(tree, files, options, log, jobs, starmap(self.read_part, jobs))

    def parts(
        self,
        tree: Tree,
        files: Sequence[str],
        options: VocOptions,  # noqa: ARG002 - see the contract
        n: int,
    ) -> list[tuple[Any, ...]]:
        """Divide XML files into parts; see `regionbatch.plugins.PartsReader`."""
        paths = tree.all_on_disk(files)
        ranges = even_ranges(len(paths), n, _MAX_FILES) or [range(0)]
        return [(tree.storage, paths[each.start : each.stop], tree.encoding) for each in ranges]

    @staticmethod
    def read_part(storage: Storage, paths: Sequence[str], encoding: str | None) -> VocPart:
        """Parse XML files into columns."""
        # The parsers are imported only when XML is read, here and below.
        from regionbatch.readers.voc.columns import parse_part  # noqa: PLC0415

        return parse_part(storage, paths, encoding)

    def merge(
        self,
        tree: Tree,
        files: Sequence[str],
        options: VocOptions,
        log: FindingLog,
        jobs: Sequence[Any],  # noqa: ARG002 - see the contract
        results: Iterable[VocPart],
    ) -> RawAnnotations:
        """Join the parts, and decide what the numbers of all boxes mean.

        Raises:
            DatasetError: None of the files can be read.
        """
        from regionbatch.readers.voc.columns import JoinedColumns  # noqa: PLC0415

        first_file = len(log.files)
        columns = JoinedColumns()
        done = 0
        for part in results:
            _report(part, files[done : done + part.file_count], log)
            columns.append(part.columns)
            done += part.file_count
            log.progress("reading XML files", done, len(files))
        whole = columns.finished()
        if files and not whole.names:
            from regionbatch.readers.safe_xml import nothing_readable  # noqa: PLC0415

            raise nothing_readable(tree.source, log)
        return _annotations(whole, first_file, options, log)


def _report(part: VocPart, files: Sequence[str], log: FindingLog) -> None:
    """Count a part of the files, and report what is wrong in them."""
    log.read(images=part.file_count, boxes=int(part.columns.objects.sum()))
    names = [files[number] for number in part.read]
    code_of = dict(zip(part.read, log.add_files(names).tolist(), strict=True))
    for number, code, value, where in part.remarks:
        if number not in code_of:
            log.note(code, files[number], value, where)
        elif code == "odd_encoding":
            report_guess(log, files[number], [value])
        else:
            log.add(code, code_of[number], where, [value])


def _annotations(
    columns: VocColumns, first_file: int, options: VocOptions, log: FindingLog
) -> RawAnnotations:
    """Return the columns of all files, after deciding what their numbers mean.

    Args:
        columns: The content of the files that can be read.
        first_file: The code of the first of these files.
        options: The options that override decisions.
        log: Where decisions are reported.
    """
    from regionbatch.readers.voc.decisions import Numbers, decide_mode  # noqa: PLC0415

    width, height = columns.size.T
    image = columns.image
    file = computed(len(image), lambda block: image[block] + first_file, np.int32)
    is_shape = np.zeros(len(columns.box), np.bool_)
    is_shape[columns.robndboxes] = True
    is_shape[columns.marks.get("box_from_shape", [])] = True
    numbers = Numbers(columns.box, is_shape, image, columns.size, file, columns.where)
    devkit = columns.devkit[columns.objects > 0].tolist()
    return RawAnnotations(
        mode=decide_mode(numbers, devkit, options, log),
        box=columns.box,
        image=image,
        tag=columns.tag,
        images=ImageReferences(
            columns.names, np.arange(len(width), dtype=np.int32) + first_file, width, height
        ),
        tags=columns.tags,
        file=file,
        where=columns.where,
        marks=columns.marks,
        angle=_angle(columns, options, log),
    )


def _angle(columns: VocColumns, options: VocOptions, log: FindingLog) -> NDArray[np.float64] | None:
    """Return the angle of each box in radians; None if no box is rotated."""
    from regionbatch.readers.voc.decisions import in_radians  # noqa: PLC0415

    if not len(columns.rotated):
        return None
    angle = zeros(len(columns.box), np.float64)
    angle[columns.rotated] = columns.angle
    if len(columns.robndboxes):
        angle[columns.robndboxes] = in_radians(angle[columns.robndboxes], options, log)
    return angle
