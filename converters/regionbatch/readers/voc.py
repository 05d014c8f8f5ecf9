"""Pascal VOC: an XML file per image, in the devkit's folders, in those of Roboflow and CVAT, or loose.

Sources of the rules: the devkit's documentation (pixels count from 1 and the last one is included) and the tools that
write VOC files since, which mean plain edges (see `voc_origin`).
"""

from __future__ import annotations

from array import array
from itertools import chain, islice
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch.boxes import BoxMode
from regionbatch.dataset import Images, RawAnnotations
from regionbatch.errors import DatasetError
from regionbatch.options import VocOptions
from regionbatch.readers.files import tree_of
from regionbatch.readers.helper import Helper
from regionbatch.readers.voc_files import choose_files, is_annotation
from regionbatch.readers.voc_pictures import Claims, Pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from regionbatch.findings import Report
    from regionbatch.options import ReadOptions
    from regionbatch.readers.voc_xml import Annotation, Trouble

_LOOKED_AT = 1000
"""XML files, until one is an annotation."""

_HELPED = 4000
"""XML files from which on a helper is worth its start."""


class VocReader:
    """Reads Pascal VOC files; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a folder of Pascal VOC XML files, one an image"
    options: ClassVar[type[ReadOptions]] = VocOptions

    def claims(self, path: Path) -> str | None:
        """Why this is VOC: an XML with an <annotation>, among the first."""
        if path.is_file():
            return "an XML file" if path.suffix.lower() == ".xml" else None
        tree = tree_of(path)
        first = islice(tree.files(".xml"), _LOOKED_AT)
        return next((name for name in first if is_annotation(tree, name)), None)

    def read(self, path: Path, options: VocOptions, report: Report) -> RawAnnotations:
        """Read one file, or all of a folder or split."""
        from regionbatch.readers.voc_xml import Trouble  # noqa: PLC0415 - lxml, only when XML is read

        tree, files = choose_files(path, options.split, report)
        columns = _Columns(report)
        pictures = Pictures(tree, options.image_dir, everywhere=not path.is_file())
        paths = [tree.on_disk(name) for name in files]
        for done, ((name, split), parsed) in enumerate(zip(files.items(), _parsed(paths), strict=True)):
            if done % 500 == 0:
                report.progress("reading XML files", done, len(files))
            report.read(images=1)
            if isinstance(parsed, Trouble):
                report.note(parsed.code, name, parsed.what, parsed.line)
            else:
                columns.add(name, split, parsed, pictures)
        if files and not columns:
            first = next(one for one in report.findings() if one.code in ("unreadable_file", "unsafe_xml"))
            raise DatasetError(f"{path}: none of {len(files)} XML files can be read; the first: {first.message}")
        if path.is_dir():
            tree.report_strays(report, ".xml")
        return columns.annotations(options)


def _parsed(paths: Sequence[str]) -> Iterator[Annotation | Trouble]:
    """What each file says. Of many, a helper parses the second half meanwhile."""
    from regionbatch.readers.voc_xml import parse_file, parse_packed, unpack  # noqa: PLC0415 - as above

    if len(paths) < _HELPED:
        yield from map(parse_file, paths)
        return
    half = len(paths) // 2
    with Helper(parse_packed, paths[half:]) as helper:
        yield from map(parse_file, paths[:half])
        packed = helper.items()
        yield from map(parse_file, paths[half:]) if packed is None else chain.from_iterable(map(unpack, packed))


class _Columns:
    """The annotations of the files read so far."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._claims = Claims(report)
        self._sizes = array("q")
        """Two numbers an image."""
        self._splits: list[str] = []
        self._tags: dict[str, int] = {}
        self._rows = array("q")
        """Four numbers a box: image, tag, file, where."""
        self._boxes = array("d")
        """Four numbers a box."""
        self._marks: dict[str, list[int]] = {}
        self._devkit: list[bool] = []

    def __len__(self) -> int:
        """How many files."""
        return len(self._splits)

    def add(self, xml: str, split: str, annotation: Annotation, pictures: Pictures) -> None:
        """Take one parsed file."""
        report, image, file = self._report, len(self), self._report.file(xml)
        if annotation.guessed_encoding:
            report.note("odd_encoding", xml)
        file_name = annotation.file_name.replace("\\", "/")
        self._claims.add(file, file_name, pictures.find(xml, file_name))
        self._sizes.extend((annotation.width, annotation.height))
        self._splits.append(split)
        if annotation.objects:
            self._devkit.append(annotation.devkit)
        report.read(boxes=len(annotation.objects))
        for found in annotation.objects:
            if found.trouble:
                report.add(found.trouble, file, found.where, [found.value])
                continue
            for mark in found.marks:
                self._marks.setdefault(mark, []).append(len(self._rows) // 4)
            tag = self._tags.setdefault(found.name, len(self._tags))
            self._rows.extend((image, tag, file, found.where))
            self._boxes.extend(found.box)

    def annotations(self, options: VocOptions) -> RawAnnotations:
        """Everything that was added."""
        box = np.asarray(self._boxes, np.float64).reshape(-1, 4)
        codes = np.asarray(self._rows, np.int64).reshape(-1, 4)
        self._claims.settle()
        splits = sorted(set(self._splits) - {""})
        sizes = np.asarray(self._sizes, np.int32).reshape(-1, 2)
        codes_of = {split: code for code, split in enumerate(splits)}
        split = np.asarray([codes_of.get(split, -1) for split in self._splits], np.int32)
        return RawAnnotations(
            mode=_origin(options, self._devkit, box, self._report),
            box=box,
            image=codes[:, 0].astype(np.int32),
            tag=codes[:, 1].astype(np.int32),
            images=Images(self._claims.names, sizes[:, 0], sizes[:, 1], self._claims.paths, split, splits),
            tags=list(self._tags),
            file=codes[:, 2].astype(np.int32),
            where=codes[:, 3],
            marks={code: np.asarray(rows, np.int64) for code, rows in self._marks.items()},
        )


def _origin(
    options: VocOptions, devkit: list[bool], box: np.ndarray[tuple[int, int], np.dtype[np.float64]], report: Report
) -> BoxMode:
    """Whether pixels count from 1, as in the devkit, or are edges, as nearly every tool since has them."""
    modes = {"0": BoxMode.XYXY_ABS, "1": BoxMode.XYXY_ABS_FROM_1}
    if options.voc_origin != "auto":
        report.decide("voc_origin", options.voc_origin, "as asked")
        return modes[options.voc_origin]
    named, zeros = sum(devkit), int(np.count_nonzero((box[:, :2] < 1).any(axis=1)))
    if not named:
        report.decide("voc_origin", "0", "no VOC devkit source found")
    elif named < len(devkit):
        report.decide("voc_origin", "0", f"{named} of {len(devkit)} files name the VOC devkit as source", doubtful=True)
    elif zeros:
        report.decide(
            "voc_origin", "0", f"the source is the VOC devkit, but {zeros} boxes begin before 1", doubtful=True
        )
    else:
        report.decide("voc_origin", "1", "the source is the VOC devkit")
        return modes["1"]
    return modes["0"]
