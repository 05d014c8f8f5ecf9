"""The reader of CVAT for images: an XML file that lists images, each with its shapes.

Sources of the rules: CVAT's page on its XML format, version 1.1; and CVAT's exporter, which writes
a folder per subset of a project.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from regionbatch.boxes import BoxMode
from regionbatch.dataset import References
from regionbatch.errors import DatasetError
from regionbatch.files.splits import require_splits, split_of_file
from regionbatch.files.text import report_guess
from regionbatch.findings import FindingLog
from regionbatch.options import ReadOptions
from regionbatch.readers.builder import AnnotationBuilder
from regionbatch.readers.units import require_pixels
from regionbatch.readers.xml_start import xml_start

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.readers.cvat_content import CvatContent

_ROOT = re.compile(rb"<(?:[\w.-]+:)?annotations[\s/>]")
_CHILD = re.compile(rb"<(?:[\w.-]+:)?(?:version|meta|image)[\s/>]")
_EMPTY = b"\xef\xbb\xbf \r\n"
"""Bytes of a byte-order mark and of whitespace: a file with only these is empty."""


def detect(tree: Tree) -> str | None:
    """Return the first XML file with an <annotations> as CVAT writes it."""
    return tree.first_candidate(lambda tree, name: _is_cvat(xml_start(tree, name)), ".xml")


class CvatReader:
    """Reads the XML of CVAT for images. Implements `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a CVAT for images XML (version 1.1), or a folder with such files"
    options: ClassVar[type[ReadOptions]] = ReadOptions

    def detect(self, tree: Tree) -> str | None:
        """Return the first XML file with an <annotations> as CVAT writes it."""
        return detect(tree)

    def references(
        self,
        tree: Tree,
        options: ReadOptions,  # noqa: ARG002 - required by `regionbatch.plugins.Reader`
        log: FindingLog,
    ) -> References:
        """Return the XML files. Their splits are not known until they are read.

        Raises:
            DatasetError: There is no XML of CVAT.
        """
        files: dict[str, str] = {}
        for name in tree.candidates(".xml"):
            start = xml_start(tree, name)
            is_empty = not start.strip(_EMPTY)  # also if it cannot be read
            if tree.named or is_empty or _is_cvat(start):
                files[name] = split_of_file(name)
            else:
                log.note("ignored_file", name, "XML in another format than CVAT's")
        if not files:
            raise DatasetError(
                f"{tree.root}: no CVAT XML file{tree.unreadable_folders_note()}. "
                "Choose the folder with annotations.xml, or another format with `format`.",
                place=str(tree.root),
                option="format",
            )
        return References(files, extensions=(".xml",))

    def read(
        self, tree: Tree, files: Sequence[str], options: ReadOptions, log: FindingLog
    ) -> RawAnnotations:
        """Read XML files, or only their images of the chosen split.

        Raises:
            DatasetError: No file can be read, one is of CVAT for video, the split does not exist,
                or all boxes are normalised.
        """
        builder = AnnotationBuilder()
        splits = None
        if options.split is not None:
            splits = require_splits(tree.source, options.split, _splits_in(tree, files))
        for name, content in _parse_files(tree, files, log):
            _FileAdder(name, builder, log).add(content, splits)
        return require_pixels(builder.build(BoxMode.XYXY_ABS), log)


def _is_cvat(start: bytes) -> bool:
    root = _ROOT.search(start) if b"annotations" in start else None
    return root is not None and _CHILD.search(start, root.end()) is not None


def _splits_in(tree: Tree, files: Sequence[str]) -> Iterator[str]:
    """Yield the split of each image. Contents are not kept but parsed again: they may be large."""
    for name, content in _parse_files(tree, files, FindingLog()):
        for subset in content.image_subsets:
            yield _split_of(subset, name)


def _split_of(subset: str, file: str) -> str:
    return subset.strip() or split_of_file(file)


def _parse_files(
    tree: Tree, files: Sequence[str], log: FindingLog
) -> Iterator[tuple[str, CvatContent]]:
    """Yield the files that can be read, with their content, and report the others.

    Raises:
        DatasetError: No file can be read, or one is of CVAT for video.
    """
    from regionbatch.readers.safe_xml import nothing_readable  # noqa: PLC0415 - lxml, only here

    count = 0
    for done, name in enumerate(files):
        log.progress("reading XML files", done, len(files))
        content = _parse_file(tree, name, log)
        if content is None:
            continue
        if content.track_line >= 0:
            place = f"{name}:{content.track_line}" if content.track_line else name
            raise DatasetError(
                f"{place}: tracks of CVAT for video are not supported: '<track>'. "
                "Export the task as CVAT for images.",
                place=place,
            )
        count += 1
        yield name, content
    if not count:
        raise nothing_readable(tree.source, log)


def _parse_file(tree: Tree, name: str, log: FindingLog) -> CvatContent | None:
    """Return the content of a file, or report why it cannot be read."""
    from regionbatch.readers.cvat_content import CvatContent  # noqa: PLC0415 - as above
    from regionbatch.readers.safe_xml import reported, stream_safely  # noqa: PLC0415

    content = CvatContent()
    is_guess = reported(
        log,
        name,
        lambda: stream_safely(tree.read(name), "annotations", tree.encoding, content.end),
    )
    if is_guess:
        texts = (content.labels, content.image_names, content.image_subsets, content.shape_labels)
        report_guess(log, name, chain(*texts))
    return None if is_guess is None else content


class _FileAdder:
    """Adds the images and boxes of one file to the columns of all files."""

    def __init__(self, name: str, builder: AnnotationBuilder, log: FindingLog) -> None:
        self._name = name
        self._builder = builder
        self._log = log
        self._file = log.file(name)

    def add(self, content: CvatContent, splits: Collection[str] | None) -> None:
        """Add the images of some splits (None: all), with their boxes."""
        from regionbatch.readers.safe_xml import places_of  # noqa: PLC0415 - lxml, as above

        for label in content.labels:
            self._builder.add_tag(label)
        if not content.image_names:
            self._log.note("no_annotations", self._name)
        places = places_of([*content.shape_lines, *content.stray_lines])
        names = _unique_names(content)
        codes = [self._add_image(content, image, name, splits) for image, name in enumerate(names)]
        for shape, image in enumerate(content.shape_images):
            if codes[image] != _SKIPPED:
                self._add_shape(content, shape, codes[image], places[shape])
        self._report_strays(content, places[len(content.shape_tags) :])

    def _add_image(
        self, content: CvatContent, image: int, name: str, splits: Collection[str] | None
    ) -> int:
        """Add an image and return its code, `_SKIPPED` or `_UNNAMED`."""
        split = _split_of(content.image_subsets[image], self._name)
        if splits is not None and split not in splits:
            return _SKIPPED
        self._log.read(images=1)
        if not name.strip(" ./\\"):
            self._log.add("not_an_image", self._file, content.image_lines[image], ["no name"])
            return _UNNAMED
        width, height = content.image_sizes[2 * image : 2 * image + 2]
        return self._builder.add_image(name, self._file, width, height, split)

    def _add_shape(self, content: CvatContent, shape: int, image: int, place: int) -> None:
        """Add the box of a shape, or report why there is none."""
        from regionbatch.readers.cvat_content import SHAPES_WITHOUT_BOX  # noqa: PLC0415 - as above

        log, tag = self._log, content.shape_tags[shape]
        if tag in SHAPES_WITHOUT_BOX:
            log.add("no_box", self._file, place, [f"<{tag}>"])
            return
        log.read(boxes=1)
        if image == _UNNAMED:
            log.add("unknown_image", self._file, place, ["an image without a name"])
            return
        if content.problems[shape]:
            log.add("not_a_box", self._file, place, [content.problems[shape]])
            return
        marks = ["occluded"] if content.occluded[shape] else []
        if tag != "box":
            marks.append("box_from_shape")
        box = content.boxes[4 * shape : 4 * shape + 4]
        label, angle = content.shape_labels[shape], content.angles[shape]
        self._builder.add_box(image, label, self._file, place, box, marks, angle)

    def _report_strays(self, content: CvatContent, places: Sequence[int]) -> None:
        self._log.read(boxes=len(places))
        for tag, place in zip(content.stray_tags, places, strict=True):
            value = f"<{tag}> that is not a direct child of <image>"
            self._log.add("not_a_box", self._file, place, [value])


_SKIPPED, _UNNAMED = -2, -1
"""Values instead of the code of an image: it is of another split, or has no name."""


def _unique_names(content: CvatContent) -> list[str]:
    """Return the names of images, with their subsets (as on disk) if two subsets share a name."""
    names = content.image_names
    declared = list(zip(names, content.image_subsets, strict=True))
    if len({*declared}) == len({*names}):
        return names
    return [f"{subset}/{name}" if name and subset else name for name, subset in declared]
