"""The Pascal VOC reader: one XML file per image.

It reads the folders of the devkit, of Roboflow and of CVAT, and loose files. Sources of the rules:
the devkit's documentation (pixels count from 1, the last one is included), and the tools that have
written VOC files since, which mean plain edges (see `decisions`).
"""

from __future__ import annotations

from array import array
from itertools import chain, islice
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch.dataset import ImageReferences, RawAnnotations, References
from regionbatch.files.text import report_guess
from regionbatch.options import VocOptions
from regionbatch.readers.voc.xml_files import choose_files, is_annotation
from regionbatch.readers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.storage import Storage
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.options import ReadOptions
    from regionbatch.readers.voc.objects import ParsedObject
    from regionbatch.readers.voc.xml import Annotation, FileError

_MAX_FILES_TO_DETECT = 1000
"""XML files that are searched for an <annotation>."""

_MIN_FILES_FOR_WORKER = 4000
"""With fewer files, starting a worker takes longer than it saves."""

_FILES_PER_PROGRESS = 500


class VocReader:
    """Read Pascal VOC files; implements `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a folder of Pascal VOC XML files, one per image"
    options: ClassVar[type[ReadOptions]] = VocOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the first XML file with an <annotation>."""
        candidates = islice(tree.candidates(".xml"), _MAX_FILES_TO_DETECT)
        return next((name for name in candidates if is_annotation(tree, name)), None)

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
        # lxml is imported only when XML is read, here and below.
        from regionbatch.readers.safe_xml import nothing_readable  # noqa: PLC0415
        from regionbatch.readers.voc.xml import FileError  # noqa: PLC0415

        columns = _Columns(log)
        results = _parse_files(tree.storage, [tree.on_disk(name) for name in files], tree.encoding)
        for done, (name, result) in enumerate(zip(files, results, strict=True)):
            if done % _FILES_PER_PROGRESS == 0:
                log.progress("reading XML files", done, len(files))
            log.read(images=1)
            if isinstance(result, FileError):
                log.note(result.code, name, result.reason, result.line)
            else:
                columns.add(name, result)
        if files and not len(columns):
            raise nothing_readable(tree.source, log)
        return columns.annotations(options)


def _parse_files(
    storage: Storage, paths: Sequence[str], encoding: str | None
) -> Iterator[Annotation | FileError]:
    """Yield the contents of each file. If there are many, a worker parses the second half."""
    from regionbatch.readers.voc.xml import parse_files, parse_packed, unpack  # noqa: PLC0415

    if len(paths) < _MIN_FILES_FOR_WORKER:
        yield from parse_files(storage, paths, encoding)
        return
    half = len(paths) // 2
    with Worker(parse_packed, storage, paths[half:], encoding) as worker:
        yield from parse_files(storage, paths[:half], encoding)
        packets = worker.items()
        if packets is None:
            yield from parse_files(storage, paths[half:], encoding)
        else:
            yield from chain.from_iterable(map(unpack, packets))


class _Columns:
    """The annotations read so far, as columns."""

    def __init__(self, log: FindingLog) -> None:
        self._log = log
        self._names: list[str] = []
        """The <filename> of each file."""
        self._files = array("i")
        self._sizes = array("i")
        """Two numbers per image."""
        self._tags: dict[str, int] = {}
        self._rows = array("q")
        """Four numbers per box: image, tag, file, where."""
        self._boxes = array("d")
        """Four numbers per box."""
        self._marks: dict[str, list[int]] = {}
        self._angles: dict[int, float] = {}
        """The angles of the few rotated boxes, by row."""
        self._robndboxes: list[int] = []
        """The rows of <robndbox> elements."""
        self._devkit: list[int] = []
        """How each file with boxes refers to the VOC devkit."""

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._names)

    def add(self, name: str, annotation: Annotation) -> None:
        """Add a parsed file, and report the objects without a usable box."""
        log = self._log
        image = len(self)
        file = log.file(name)
        objects = annotation.objects
        if annotation.is_encoding_guessed:
            texts = [*(each.name for each in objects), annotation.file_name]
            report_guess(log, name, texts)
        self._names.append(annotation.file_name)
        self._files.append(file)
        self._sizes.extend((annotation.width, annotation.height))
        if objects:
            self._devkit.append(annotation.devkit)
        log.read(boxes=len(objects))
        for each in objects:
            if each.code:
                log.add(each.code, file, each.where, [each.value])
            else:
                self._add_box(each, image, file)

    def _add_box(self, box: ParsedObject, image: int, file: int) -> None:
        row = len(self._rows) // 4
        for mark in box.marks:
            self._marks.setdefault(mark, []).append(row)
        if box.angle:
            self._angles[row] = box.angle
        if box.is_robndbox:
            self._robndboxes.append(row)
        tag = self._tags.setdefault(box.name, len(self._tags))
        self._rows.extend((image, tag, file, box.where))
        self._boxes.extend(box.box)

    def annotations(self, options: VocOptions) -> RawAnnotations:
        """Return everything that was added."""
        from regionbatch.readers.voc.decisions import Numbers, decide_mode  # noqa: PLC0415

        box = np.asarray(self._boxes, np.float64).reshape(-1, 4)
        codes = np.asarray(self._rows, np.int64).reshape(-1, 4)
        image = codes[:, 0].astype(np.int32)
        tag = codes[:, 1].astype(np.int32)
        file = codes[:, 2].astype(np.int32)
        where = codes[:, 3]
        sizes = np.asarray(self._sizes, np.int32).reshape(-1, 2)
        files = np.asarray(self._files, np.int32)
        is_shape = np.zeros(len(box), np.bool_)
        is_shape[[*self._robndboxes, *self._marks.get("box_from_shape", ())]] = True
        numbers = Numbers(box, is_shape, sizes[image], file, where)
        return RawAnnotations(
            mode=decide_mode(numbers, self._devkit, options, self._log),
            box=box,
            image=image,
            tag=tag,
            images=ImageReferences(self._names, files, sizes[:, 0], sizes[:, 1]),
            tags=list(self._tags),
            file=file,
            where=where,
            marks={code: np.asarray(rows, np.int64) for code, rows in self._marks.items()},
            angle=self._angle(len(box), options),
        )

    def _angle(self, count: int, options: VocOptions) -> NDArray[np.float64] | None:
        """Return the angle of each box in radians; None if no box is rotated."""
        from regionbatch.readers.voc.decisions import in_radians  # noqa: PLC0415

        if not self._angles:
            return None
        angle = np.zeros(count)
        angle[[*self._angles]] = [*self._angles.values()]
        if self._robndboxes:
            angle[self._robndboxes] = in_radians(angle[self._robndboxes], options, self._log)
        return angle
