"""Identify files that no reader recognises, for the error message, from their first bytes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.files.paths import joined
from regionbatch.files.text import UnreadableError, lenient_utf8

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from regionbatch.files.tree import Tree

_MAX_SHOWN = 3
_MAX_FOLDERS = 50

UNPACK = "unpack it"
UNSUPPORTED = "not supported yet"

_ARCHIVES = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
)


class IdentifiedFile(NamedTuple):
    """A file that no reader recognised, and what it is."""

    path: str
    """Path relative to the dataset, with `/`."""
    description: str
    """What the file is: `a ZIP archive`, or `empty`."""
    hint: str = ""
    """What to do with it; empty if the description says it."""
    reader: str = ""
    """Name of an installed reader that may read it; empty if there is none."""

    def __str__(self) -> str:
        """Return a phrase for an error message."""
        hint = f'use `format="{self.reader}"`' if self.reader else self.hint
        return f"{self.path} is {self.description}" + (f" ({hint})" if hint else "")


class _Format(NamedTuple):
    """A format, recognised by patterns that must all match the start of a file."""

    title: str
    patterns: tuple[bytes, ...]
    readers: tuple[str, ...] = ()
    """Likely names of a reader for it, in lower case."""


def _keys(*names: str) -> tuple[bytes, ...]:
    """Return patterns of the keys of a JSON object."""
    return tuple(rb'"%s"\s*+:' % name.encode() for name in names)


_JSON = (
    _Format("a LabelMe JSON", _keys("shapes", "imagePath"), ("labelme",)),
    _Format("a LabelMe JSON", _keys("shapes", "imageData"), ("labelme",)),
    _Format("a Datumaro JSON", _keys("items", "categories"), ("datumaro",)),
    _Format("a Label Studio JSON", _keys("annotations", "data", "result"), ("labelstudio",)),
    _Format("a Label Studio JSON", _keys("completions", "data"), ("labelstudio",)),
    _Format("a CreateML JSON", _keys("annotations", "coordinates", "label"), ("createml",)),
    _Format("a Supervisely JSON", _keys("objects", "classTitle"), ("supervisely",)),
    _Format("a Supervisely meta.json", _keys("classes", "tags", "shape"), ("supervisely",)),
    _Format("a VIA project (VGG Image Annotator)", _keys("_via_settings"), ("via",)),
    _Format("a VIA JSON (VGG Image Annotator)", _keys("regions", "shape_attributes"), ("via",)),
    _Format("a BDD100K or Scalabel JSON", _keys("labels", "box2d"), ("bdd100k", "scalabel")),
    _Format("a GeoJSON", _keys("type", "features", "geometry"), ("geojson",)),
)
_CSV = (
    _Format("a CSV of Open Images", (rb"(?i)^\W*ImageID,", rb"(?i),XMin,"), ("openimages",)),
    _Format(
        "a VIA CSV (VGG Image Annotator)",
        (rb"(?i)^\W*#?filename,", rb"(?i)region_shape_attributes"),
        ("via",),
    ),
    _Format("a CSV with a box in each row", (rb"(?i)^[^\n]*xmin", rb"(?i)^[^\n]*ymax"), ("csv",)),
    _Format("a CSV", (rb"^[^\n]*,",), ("csv",)),
)
_XML = (
    _Format("a CVAT for video XML", (rb"<annotations[\s>]", rb"<track[\s>]")),
    _Format(
        "XML with the root element <annotations>, like CVAT's", (rb"<annotations[\s/>]",), ("cvat",)
    ),
    _Format(
        "XML with the root element <Annotation>, not <annotation> as in Pascal VOC",
        (rb"<Annotation[\s/>]",),
    ),
    _Format("a dlib imglab XML", (rb"<dataset[\s>]", rb"<image\s+file="), ("dlib", "imglab")),
)
_TFRECORD = _Format("a TFRecord file", (), ("tfrecord",))
_ROOT = re.compile(rb"<([A-Za-z_][\w.:-]{0,60})")
_NUMBER = rb"[+-]?(?:\d{1,20}\.?\d{0,20}|\.\d{1,20})(?:[eE][+-]?\d{1,3})?"
_TEXT = (
    _Format(
        "KITTI rows",
        (rb"^[A-Za-z_]\w{0,60}(?:[ \t]+%s){14,15}[ \t]*(?:\r?\n|$)" % _NUMBER,),
        ("kitti",),
    ),
    _Format(
        "MOT rows", (rb"^\d{1,9},-?\d{1,9}(?:,[ \t]*%s){4,8}[ \t]*(?:\r?\n|$)" % _NUMBER,), ("mot",)
    ),
    _Format(
        "DOTA rows",
        (
            rb"^(?:(?:imagesource|gsd):.{0,200}\n){0,2}"  # the header of version 1
            rb"(?:%s[ \t]+){8}[A-Za-z]\S{0,60}[ \t]+[012][ \t]*(?:\r?\n|$)" % _NUMBER,
        ),
        ("dota",),
    ),
)
_BY_EXTENSION = {".csv": _CSV, ".tsv": _CSV, ".txt": _TEXT, ".label": _TEXT, "": _TEXT}


def identify_files(tree: Tree, readers: Collection[str]) -> list[IdentifiedFile]:
    """Identify the first files of each extension, as far as possible.

    Args:
        tree: The dataset, whose format no reader recognised.
        readers: The names of all installed readers.

    Returns:
        At most three files, each of another kind.
    """
    found: dict[tuple[str, str, str], IdentifiedFile] = {}
    for path in _candidates(tree):
        try:
            identified = _identify(tree, path, readers)
        except (UnreadableError, OSError):
            continue
        if identified is not None:
            found.setdefault(identified[1:], identified)
    return [*found.values()][:_MAX_SHOWN]


def is_row_of_other_format(row: bytes) -> bool:
    """Return whether a row of text is KITTI, MOT or DOTA, and therefore not YOLO."""
    return any(_matches(form, row) for form in _TEXT)


def _candidates(tree: Tree) -> Iterator[str]:
    """Yield the file that the user named, or a few files of each extension."""
    if tree.named:
        yield tree.named
        return
    counts: dict[str, int] = {}
    for number, (folder, listing) in enumerate(tree.folders()):
        if number == _MAX_FOLDERS:
            return
        for extension, names in listing.by_extension.items():
            for name in names[:_MAX_SHOWN]:
                counts[extension] = counts.get(extension, 0) + 1
                if counts[extension] <= _MAX_SHOWN:
                    yield joined(folder, name)


def _identify(tree: Tree, path: str, readers: Collection[str]) -> IdentifiedFile | None:
    """Return what a file is, or None if it is unknown."""
    data = tree.beginning(path)
    if not data and path == tree.named:
        return IdentifiedFile(path, "empty")
    if archive := _archive(data):
        return IdentifiedFile(path, archive, UNPACK)
    if _is_tfrecord(path, data):
        return _identified(path, _TFRECORD, readers)
    text = lenient_utf8(data).lstrip()
    if text.startswith((b"{", b"[")):
        return _identify_json(tree, path, text, readers)
    if text.startswith(b"<"):
        return _identify_xml(path, text, readers)
    formats = _BY_EXTENSION.get(Path(path).suffix.lower(), ())
    return _identified(path, _first_match(formats, text), readers)


def _identify_json(
    tree: Tree, path: str, text: bytes, readers: Collection[str]
) -> IdentifiedFile | None:
    if _is_json_lines(text):
        return IdentifiedFile(path, "one JSON record on each line", UNSUPPORTED)
    if known := _identified(path, _first_match(_JSON, text), readers):
        return known
    if not path.lower().endswith(".json"):
        return None
    from regionbatch.readers.coco.json_kinds import describe_json  # noqa: PLC0415 - only for the message

    description = describe_json(tree, path)
    return IdentifiedFile(path, description) if description else None


def _identify_xml(path: str, text: bytes, readers: Collection[str]) -> IdentifiedFile | None:
    known = _first_match(_XML, text)
    if known is not None:
        return _identified(path, known, readers)
    root = _ROOT.search(text)
    if root is None:
        return None
    name = root[1].decode("ascii", "replace")
    return IdentifiedFile(path, f"XML with the root element <{name}>", UNSUPPORTED)


def _archive(data: bytes) -> str:
    """Return the kind of an archive; empty if it is none."""
    for signature, title in _ARCHIVES:
        if data.startswith(signature):
            return title
    return "a tar archive" if data[257:262] == b"ustar" else ""


def _first_match(formats: Collection[_Format], text: bytes) -> _Format | None:
    return next((form for form in formats if _matches(form, text)), None)


def _matches(form: _Format, data: bytes) -> bool:
    return all(re.search(pattern, data) for pattern in form.patterns)


def _identified(path: str, form: _Format | None, readers: Collection[str]) -> IdentifiedFile | None:
    """Return a file of a format, with the installed reader that may read it."""
    if form is None:
        return None
    by_plain_name = {re.sub(r"\W|_", "", name).lower(): name for name in readers}
    for name in form.readers:
        if name in by_plain_name:
            return IdentifiedFile(path, form.title, reader=by_plain_name[name])
    return IdentifiedFile(path, form.title, UNSUPPORTED)


def _is_json_lines(text: bytes) -> bool:
    """Return whether the first two lines are a JSON object each."""
    lines = text.splitlines()[:2]
    if len(lines) < 2 or not all(line.lstrip().startswith(b"{") for line in lines):
        return False
    try:
        return isinstance(json.loads(lines[0]), dict)
    except (ValueError, RecursionError):
        return False


def _is_tfrecord(name: str, data: bytes) -> bool:
    """Return whether a file starts with the length of a record, its checksum and a message."""
    if len(data) < 13 or re.search(r"\.(?:tf)?records?\b", name.lower()) is None:
        return False
    return int.from_bytes(data[:8], "little") < 2**40 and data[12] == 0x0A
