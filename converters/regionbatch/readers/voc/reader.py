"""Pascal VOC: an XML file per image, in the devkit's folders, in those of Roboflow and CVAT, or loose.

Sources of the rules: the devkit's documentation (pixels count from 1 and the last one is included) and the tools that
write VOC files since, which mean plain edges (see `decisions`).
"""

from __future__ import annotations

from array import array
from itertools import chain, islice
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch.dataset import ImageReferences, RawAnnotations, References
from regionbatch.errors import DatasetError
from regionbatch.files.text import report_guess
from regionbatch.options import VocOptions
from regionbatch.readers.helper import Helper
from regionbatch.readers.voc.xml_files import choose_files, is_annotation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.options import ReadOptions
    from regionbatch.readers.voc.xml import Annotation, Trouble

_LOOKED_AT = 1000
"""XML files, until one is an annotation."""

_HELPED = 4000
"""XML files from which on a helper is worth its start."""


class VocReader:
    """Reads Pascal VOC files; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a folder of Pascal VOC XML files, one an image"
    options: ClassVar[type[ReadOptions]] = VocOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the first XML file with an <annotation>."""
        first = islice(tree.candidates(".xml"), _LOOKED_AT)
        return next((name for name in first if is_annotation(tree, name)), None)

    def references(self, tree: Tree, options: VocOptions, log: FindingLog) -> References:
        """Return the XML files of all splits, or of the one that was asked for."""
        return choose_files(tree, options.split, log)

    def read(self, tree: Tree, files: Sequence[str], options: VocOptions, log: FindingLog) -> RawAnnotations:
        """Read XML files."""
        from regionbatch.readers.voc.xml import Trouble  # noqa: PLC0415 - lxml, only when XML is read

        columns = _Columns(log)
        parsed_files = _parsed([tree.on_disk(name) for name in files], tree.encoding)
        for done, (name, parsed) in enumerate(zip(files, parsed_files, strict=True)):
            if done % 500 == 0:
                log.progress("reading XML files", done, len(files))
            log.read(images=1)
            if isinstance(parsed, Trouble):
                log.note(parsed.code, name, parsed.what, parsed.line)
            else:
                columns.add(name, parsed)
        if files and not len(columns):
            first = next(one for one in log.findings() if one.code in ("unreadable_file", "unsafe_xml"))
            what = f"none of {len(files)} XML files can be read; the first: {first.message}"
            raise DatasetError(f"{tree.source}: {what}", place=first.place)
        return columns.annotations(options)


def _parsed(paths: Sequence[str], encoding: str | None) -> Iterator[Annotation | Trouble]:
    """What each file says. Of many, a helper parses the second half meanwhile."""
    from regionbatch.readers.voc.xml import parse_file, parse_packed, unpack  # noqa: PLC0415 - as above

    if len(paths) < _HELPED:
        yield from (parse_file(path, encoding) for path in paths)
        return
    half = len(paths) // 2
    with Helper(parse_packed, paths[half:], encoding) as helper:
        yield from (parse_file(path, encoding) for path in paths[:half])
        packed = helper.items()
        if packed is None:
            yield from (parse_file(path, encoding) for path in paths[half:])
        else:
            yield from chain.from_iterable(map(unpack, packed))


class _Columns:
    """The annotations of the files read so far."""

    def __init__(self, log: FindingLog) -> None:
        self._log = log
        self._names: list[str] = []
        """The <filename> of each file."""
        self._files = array("i")
        self._sizes = array("i")
        """Two numbers an image."""
        self._tags: dict[str, int] = {}
        self._rows = array("q")
        """Four numbers a box: image, tag, file, where."""
        self._boxes = array("d")
        """Four numbers a box."""
        self._marks: dict[str, list[int]] = {}
        self._angles: dict[int, float] = {}
        """By row; of the few boxes that are rotated."""
        self._robndboxes: list[int] = []
        """Rows."""
        self._devkit: list[int] = []

    def __len__(self) -> int:
        """How many files."""
        return len(self._names)

    def add(self, xml: str, annotation: Annotation) -> None:
        """Take one parsed file."""
        log, image, file = self._log, len(self), self._log.file(xml)
        if annotation.guessed_encoding:
            report_guess(log, xml, (*(found.name for found in annotation.objects), annotation.file_name))
        self._names.append(annotation.file_name)
        self._files.append(file)
        self._sizes.extend((annotation.width, annotation.height))
        if annotation.objects:
            self._devkit.append(annotation.devkit)
        log.read(boxes=len(annotation.objects))
        for found in annotation.objects:
            if found.trouble:
                log.add(found.trouble, file, found.where, [found.value])
                continue
            for mark in found.marks:
                self._marks.setdefault(mark, []).append(len(self._rows) // 4)
            if found.angle:
                self._angles[len(self._rows) // 4] = found.angle
            if found.robndbox:
                self._robndboxes.append(len(self._rows) // 4)
            tag = self._tags.setdefault(found.name, len(self._tags))
            self._rows.extend((image, tag, file, found.where))
            self._boxes.extend(found.box)

    def annotations(self, options: VocOptions) -> RawAnnotations:
        """Everything that was added."""
        from regionbatch.readers.voc.decisions import Numbers, decide_mode  # noqa: PLC0415 - lxml, as above

        box = np.asarray(self._boxes, np.float64).reshape(-1, 4)
        codes = np.asarray(self._rows, np.int64).reshape(-1, 4)
        sizes = np.asarray(self._sizes, np.int32).reshape(-1, 2)
        files = np.asarray(self._files, np.int32)
        image, file, where = codes[:, 0].astype(np.int32), codes[:, 2].astype(np.int32), codes[:, 3]
        shape = np.zeros(len(box), np.bool_)
        shape[[*self._robndboxes, *self._marks.get("box_from_shape", ())]] = True
        numbers = Numbers(box, shape, sizes[image], file, where)
        return RawAnnotations(
            mode=decide_mode(numbers, self._devkit, options, self._log),
            box=box,
            image=image,
            tag=codes[:, 1].astype(np.int32),
            images=ImageReferences(self._names, files, sizes[:, 0], sizes[:, 1]),
            tags=list(self._tags),
            file=file,
            where=where,
            marks={code: np.asarray(rows, np.int64) for code, rows in self._marks.items()},
            angle=self._angle(len(box), options),
        )

    def _angle(self, count: int, options: VocOptions) -> NDArray[np.float64] | None:
        """The angle of each box in radians; None: no box is rotated."""
        from regionbatch.readers.voc.decisions import in_radians  # noqa: PLC0415 - as above

        if not self._angles:
            return None
        angle = np.zeros(count)
        angle[[*self._angles]] = [*self._angles.values()]
        if self._robndboxes:
            angle[self._robndboxes] = in_radians(angle[self._robndboxes], options, self._log)
        return angle
