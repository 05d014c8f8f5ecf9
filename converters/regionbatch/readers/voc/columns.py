"""Read a part of the files of a Pascal VOC dataset into columns, which are cheap to send and join.

A part is read without regard to the others; what all boxes decide together is in `decisions`.
"""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.dataset.columns import GrowingColumn
from regionbatch.files.text import UnreadableError
from regionbatch.readers.voc.ordinary import OrdinaryFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.storage import Storage
    from regionbatch.readers.voc.xml import Annotation

MAX_FILE_SIZE = 16 * 2**20
"""Bytes of a file about one image."""


class Remark(NamedTuple):
    """Something to report about a file or one of its objects."""

    file: int
    """The number of the file in the part."""
    code: str
    """The code of the finding."""
    value: str
    where: int = 0


class VocColumns(NamedTuple):
    """The content of n files, with k usable boxes."""

    names: list[str]
    """The n declared names of the images; empty: missing or ambiguous."""
    size: NDArray[np.int32]
    """(n, 2), the declared width and height; 0: missing or ambiguous."""
    devkit: NDArray[np.int32]
    """(n,), how each file refers to the VOC devkit; see `header`."""
    objects: NDArray[np.int32]
    """(n,), the number of objects in each file, including those that are dropped."""
    tags: list[str]
    """The classes of the boxes, in the order of their first box."""
    image: NDArray[np.int32]
    """(k,), which of the n files has the box."""
    tag: NDArray[np.int32]
    """(k,), codes into `tags`."""
    where: NDArray[np.int64]
    """(k,), the lines of the boxes; see `safe_xml.places_of`."""
    box: NDArray[np.float64]
    """(k, 4), the numbers as in the files."""
    marks: dict[str, NDArray[np.int64]]
    """The boxes with each mark, in the order of the first one."""
    rotated: NDArray[np.int64]
    """The boxes with a rotation."""
    angle: NDArray[np.float64]
    """The angle of each of `rotated`: in radians, unless it is a <robndbox>."""
    robndboxes: NDArray[np.int64]
    """The boxes from <robndbox> elements."""


class VocPart(NamedTuple):
    """A part of the files of a dataset."""

    file_count: int
    """Number of files, including those that cannot be read."""
    read: list[int]
    """The numbers, within the part, of the files that can be read. The columns are about these."""
    columns: VocColumns
    remarks: list[Remark]
    """What to report, file by file."""


def parse_part(storage: Storage, paths: Sequence[str], encoding: str | None = None) -> VocPart:
    """Read and parse some files.

    Args:
        storage: Where the files are.
        paths: The paths to open.
        encoding: The codec that the user chose.
    """
    return parse_contents(storage.read_many(paths, most=MAX_FILE_SIZE), encoding)


def parse_contents(
    contents: Iterable[bytes | UnreadableError], encoding: str | None = None
) -> VocPart:
    """Parse the bytes of files, some of which may be unreadable."""
    part = _Part()
    ordinary = OrdinaryFiles()
    for content in contents:
        if not isinstance(content, UnreadableError) and ordinary.add(content, encoding):
            continue
        part.add_ordinary(ordinary)
        ordinary = OrdinaryFiles()
        _parse_other(content, encoding, part)
    part.add_ordinary(ordinary)
    return part.result()


def _parse_other(content: bytes | UnreadableError, encoding: str | None, part: _Part) -> None:
    """Add a file without the ordinary layout to a part."""
    # lxml is slow to load, and many datasets do not need it.
    from regionbatch.readers.safe_xml import InvalidXmlError, UnsafeXmlError  # noqa: PLC0415
    from regionbatch.readers.voc.xml import parse  # noqa: PLC0415

    try:
        if isinstance(content, UnreadableError):
            raise content
        part.add_parsed(parse(content, encoding))
    except UnreadableError as error:
        part.add_unread("unreadable_file", str(error))
    except UnsafeXmlError as error:
        part.add_unread("unsafe_xml", str(error))
    except InvalidXmlError as error:
        part.add_unread("unreadable_file", str(error), error.line)


class _Part:
    """The files read so far."""

    def __init__(self) -> None:
        self._file_count = 0
        self._read: list[int] = []
        self._names: list[str] = []
        self._files = array("i")
        """For each file that can be read: width, height, devkit, and how many objects."""
        self._boxes_in = array("i")
        """The number of usable boxes in each of these files."""
        self._tags: list[str] = []
        self._where = array("q")
        self._numbers = array("d")
        """Four numbers for each box."""
        self._marks: list[tuple[str, ...]] = []
        self._angles: dict[int, float] = {}
        """The angles of the few rotated boxes, by row."""
        self._robndboxes: list[int] = []
        self._remarks: list[Remark] = []

    def add_unread(self, code: str, reason: str, line: int = 0) -> None:
        """Add a file that cannot be read."""
        self._remarks.append(Remark(self._file_count, code, reason, line))
        self._file_count += 1

    def add_ordinary(self, files: OrdinaryFiles) -> None:
        """Add files of the ordinary layout, if there are any."""
        if not len(files):
            return
        content = files.content()
        count = len(content.counts)
        self._read += range(self._file_count, self._file_count + count)
        self._file_count += count
        self._names += content.file_names
        widths, heights = zip(*content.sizes, strict=True)
        rows = zip(widths, heights, content.devkits, content.counts, strict=True)
        self._files.extend(chain.from_iterable(rows))
        self._boxes_in.extend(content.counts)
        self._where.frombytes(content.where.tobytes())
        self._tags += content.names
        self._numbers.frombytes(content.numbers.tobytes())
        self._marks += content.marks

    def add_parsed(self, content: Annotation) -> None:
        """Add a file that lxml has parsed."""
        file, first = self._file_count, len(self._where)
        if content.is_encoding_guessed:
            texts = [*(each.name for each in content.objects), content.file_name]
            odd = next((text for text in texts if not text.isascii()), "")
            self._remarks.append(Remark(file, "odd_encoding", odd))
        for each in content.objects:
            if each.code:
                self._remarks.append(Remark(file, each.code, each.value, each.where))
                continue
            row = len(self._where)
            if each.angle:
                self._angles[row] = each.angle
            if each.is_robndbox:
                self._robndboxes.append(row)
            self._where.append(each.where)
            self._tags.append(each.name)
            self._numbers.extend(each.box)
            self._marks.append(each.marks)
        self._read.append(file)
        self._file_count += 1
        self._names.append(content.file_name)
        self._files.extend((*content.size, content.devkit, len(content.objects)))
        self._boxes_in.append(len(self._where) - first)

    def result(self) -> VocPart:
        """Return everything that was added."""
        files = np.array(self._files, np.int32).reshape(-1, 4)
        codes = {tag: code for code, tag in enumerate(dict.fromkeys(self._tags))}
        columns = VocColumns(
            names=self._names,
            size=files[:, :2],
            devkit=files[:, 2],
            objects=files[:, 3],
            tags=[*codes],
            image=np.repeat(np.arange(len(files), dtype=np.int32), self._boxes_in),
            tag=np.array([*map(codes.__getitem__, self._tags)], np.int32),
            where=np.array(self._where, np.int64),
            box=np.array(self._numbers, np.float64).reshape(-1, 4),
            marks=_rows_by_mark(self._marks),
            rotated=np.array([*self._angles], np.int64),
            angle=np.array([*self._angles.values()], np.float64),
            robndboxes=np.array(self._robndboxes, np.int64),
        )
        return VocPart(self._file_count, self._read, columns, self._remarks)


def _rows_by_mark(marks: Sequence[tuple[str, ...]]) -> dict[str, NDArray[np.int64]]:
    codes = {each: code for code, each in enumerate(dict.fromkeys(marks))}
    code_of_row = np.fromiter(map(codes.__getitem__, marks), np.int64, len(marks))
    has_mark: dict[str, NDArray[np.bool_]] = {}
    for marks_of_box, code in codes.items():
        for mark in marks_of_box:
            rows = has_mark.setdefault(mark, np.zeros(len(marks), np.bool_))
            rows |= code_of_row == code
    return {mark: np.flatnonzero(rows) for mark, rows in has_mark.items()}


class JoinedColumns:
    """The columns of consecutive parts as those of one."""

    def __init__(self) -> None:
        """Start without files."""
        self._names: list[str] = []
        self._size = GrowingColumn(np.int32, 2)
        self._devkit = GrowingColumn(np.int32)
        self._objects = GrowingColumn(np.int32)
        self._codes: dict[str, int] = {}
        self._image = GrowingColumn(np.int32)
        self._tag = GrowingColumn(np.int32)
        self._where = GrowingColumn(np.int64)
        self._box = GrowingColumn(np.float64, 4)
        self._marks: dict[str, GrowingColumn[np.int64]] = {}
        self._rotated = GrowingColumn(np.int64)
        self._angle = GrowingColumn(np.float64)
        self._robndboxes = GrowingColumn(np.int64)
        self._rows = 0

    def append(self, part: VocColumns) -> None:
        """Add a part."""
        codes = self._codes
        tags = [codes.setdefault(tag, len(codes)) for tag in part.tags]
        self._size.append(part.size)
        self._devkit.append(part.devkit)
        self._objects.append(part.objects)
        self._image.append(part.image + len(self._names))
        self._tag.append(np.array(tags, np.int32)[part.tag])
        self._where.append(part.where)
        self._box.append(part.box)
        for mark, boxes in part.marks.items():
            if mark not in self._marks:
                self._marks[mark] = GrowingColumn(np.int64)
            self._marks[mark].append(boxes + self._rows)
        self._rotated.append(part.rotated + self._rows)
        self._angle.append(part.angle)
        self._robndboxes.append(part.robndboxes + self._rows)
        self._names += part.names
        self._rows += len(part.tag)

    def finished(self) -> VocColumns:
        """Return the columns of the whole, and forget them."""
        return VocColumns(
            names=self._names,
            size=self._size.finished(),
            devkit=self._devkit.finished(),
            objects=self._objects.finished(),
            tags=[*self._codes],
            image=self._image.finished(),
            tag=self._tag.finished(),
            where=self._where.finished(),
            box=self._box.finished(),
            marks={mark: boxes.finished() for mark, boxes in self._marks.items()},
            rotated=self._rotated.finished(),
            angle=self._angle.finished(),
            robndboxes=self._robndboxes.finished(),
        )
