"""What files are that no reader claims, for the message that says so: only their beginnings are looked at."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.files.text import UnreadableError, sniffed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from regionbatch.files.tree import Tree

_MOST_SHOWN = 3
_MOST_LOOKED_AT = 50
_LATER = "(not supported yet)"

_ARCHIVES = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
)


class _Kind(NamedTuple):
    """A format, by what all of some patterns find in the beginning of a file."""

    title: str
    patterns: tuple[bytes, ...]
    readers: tuple[str, ...] = ()
    """What a reader of it may be called."""


def _keys(*names: str) -> tuple[bytes, ...]:
    return tuple(rb'"%s"\s*+:' % name.encode() for name in names)


_JSON = (
    _Kind("a labelme JSON", _keys("shapes", "imagePath"), ("labelme",)),
    _Kind("a labelme JSON", _keys("shapes", "imageData"), ("labelme",)),
    _Kind("a Datumaro JSON", _keys("items", "categories"), ("datumaro",)),
    _Kind("a Label Studio JSON", _keys("annotations", "data", "result"), ("labelstudio",)),
    _Kind("a Label Studio JSON", _keys("completions", "data"), ("labelstudio",)),
    _Kind("a CreateML JSON", _keys("annotations", "coordinates", "label"), ("createml",)),
    _Kind("a Supervisely JSON", _keys("objects", "classTitle"), ("supervisely",)),
    _Kind("a Supervisely meta.json", _keys("classes", "tags", "shape"), ("supervisely",)),
    _Kind("a VIA project (VGG Image Annotator)", _keys("_via_settings"), ("via",)),
    _Kind("a VIA JSON (VGG Image Annotator)", _keys("regions", "shape_attributes"), ("via",)),
    _Kind("a BDD100K or Scalabel JSON", _keys("labels", "box2d"), ("bdd100k", "scalabel")),
    _Kind("a GeoJSON", _keys("type", "features", "geometry"), ("geojson",)),
)
_CSV = (
    _Kind("a CSV of Open Images", (rb"(?i)^\W*ImageID,", rb"(?i),XMin,"), ("openimages",)),
    _Kind("a VIA CSV (VGG Image Annotator)", (rb"(?i)^\W*#?filename,", rb"(?i)region_shape_attributes"), ("via",)),
    _Kind("a CSV with a box in each row", (rb"(?i)^[^\n]*xmin", rb"(?i)^[^\n]*ymax"), ("csv",)),
    _Kind("a CSV", (rb"^[^\n]*,",), ("csv",)),
)
_XML = (
    _Kind("a CVAT for video XML", (rb"<annotations[\s>]", rb"<track[\s>]")),
    _Kind("XML of <annotations>, as of CVAT", (rb"<annotations[\s/>]",), ("cvat",)),
    _Kind("XML of <Annotation>, which is not Pascal VOC (<annotation>)", (rb"<Annotation[\s/>]",)),
    _Kind("a dlib imglab XML", (rb"<dataset[\s>]", rb"<image\s+file="), ("dlib", "imglab")),
)
_ROOT = re.compile(rb"<([A-Za-z_][\w.:-]{0,60})")
_NUMBER = rb"[+-]?(?:\d{1,20}\.?\d{0,20}|\.\d{1,20})(?:[eE][+-]?\d{1,3})?"
_TEXT = (
    _Kind("KITTI rows", (rb"^[A-Za-z_]\w{0,60}(?:[ \t]+%s){14,15}[ \t]*(?:\r?\n|$)" % _NUMBER,), ("kitti",)),
    _Kind("MOT rows", (rb"^\d{1,9},-?\d{1,9}(?:,[ \t]*%s){4,8}[ \t]*(?:\r?\n|$)" % _NUMBER,), ("mot",)),
    _Kind("DOTA rows", (rb"^(?:%s[ \t]+){8}[A-Za-z]\S{0,60}[ \t]+[012][ \t]*(?:\r?\n|$)" % _NUMBER,), ("dota",)),
)


def found_in(tree: Tree, readers: Collection[str]) -> list[str]:
    """Return what the first files of each kind in a tree are, as far as it is known.

    Args:
        tree: Where no reader found its format.
        readers: The names of all readers.
    """
    found: dict[str, str] = {}
    for name in _candidates(tree):
        try:
            what = _what(tree, name, readers)
        except (UnreadableError, OSError):
            continue
        if what:
            found.setdefault(what, name)
    return [f"{name} is {what}" for what, name in [*found.items()][:_MOST_SHOWN]]


def is_row_of_others(row: bytes) -> bool:
    """Return whether a row of text is that of a format which YOLO's rows are not: of KITTI, MOT or DOTA."""
    return any(_matches(kind, row) for kind in _TEXT)


def _candidates(tree: Tree) -> Iterator[str]:
    """Yield the file that the user named, or some files of each extension."""
    if tree.named:
        yield tree.named
        return
    seen: dict[str, int] = {}
    for number, (folder, listing) in enumerate(tree.folders()):
        if number == _MOST_LOOKED_AT:
            return
        for extension, names in listing.by_extension.items():
            for name in sorted(names)[:_MOST_SHOWN]:
                seen[extension] = seen.get(extension, 0) + 1
                if seen[extension] <= _MOST_SHOWN:
                    yield f"{folder}/{name}" if folder else name


def _what(tree: Tree, name: str, readers: Collection[str]) -> str:
    """Return what a file is, and what can be done with it; empty: unknown."""
    data = tree.beginning(name)
    archive = next((title for start, title in _ARCHIVES if data.startswith(start)), "")
    if archive or data[257:262] == b"ustar":
        return f"{archive or 'a tar archive'} (unpack it)"
    if _is_tfrecord(name, data):
        return _with_reader(_Kind("a TFRecord file", (), ("tfrecord",)), readers)
    text = sniffed(data).lstrip()
    if text.startswith((b"{", b"[")):
        return _what_json(tree, name, text, readers)
    if text.startswith(b"<"):
        return _what_xml(text, readers)
    extension = Path(name).suffix.lower()
    kinds = _CSV if extension in (".csv", ".tsv") else _TEXT if extension in (".txt", ".label", "") else ()
    return _with_reader(next((kind for kind in kinds if _matches(kind, text)), None), readers)


def _what_json(tree: Tree, name: str, text: bytes, readers: Collection[str]) -> str:
    if _is_json_lines(text):
        return f"one JSON record on each line {_LATER}"
    if known := _with_reader(next((kind for kind in _JSON if _matches(kind, text)), None), readers):
        return known
    if not name.lower().endswith(".json"):
        return ""
    from regionbatch.readers.coco.json_files import what_is  # noqa: PLC0415 - only for the message

    return what_is(Path(tree.on_disk(name)))


def _what_xml(text: bytes, readers: Collection[str]) -> str:
    kind = next((kind for kind in _XML if _matches(kind, text)), None)
    if kind is not None:
        return _with_reader(kind, readers)
    root = _ROOT.search(text)
    return f"XML of <{root[1].decode('ascii', 'replace')}> {_LATER}" if root else ""


def _matches(kind: _Kind, data: bytes) -> bool:
    return all(re.search(pattern, data) for pattern in kind.patterns)


def _with_reader(kind: _Kind | None, readers: Collection[str]) -> str:
    """Return the title of a format, with the name of a reader that may read it if one is installed."""
    if kind is None:
        return ""
    plain = {re.sub(r"\W|_", "", name).lower(): name for name in readers}
    name = next((plain[name] for name in kind.readers if name in plain), "")
    return f"{kind.title} (try --format {name})" if name else f"{kind.title} {_LATER}"


def _is_json_lines(text: bytes) -> bool:
    """Return whether the first two lines are JSON objects of their own."""
    lines = text.splitlines()[:2]
    if len(lines) < 2 or not all(line.lstrip().startswith(b"{") for line in lines):
        return False
    try:
        return isinstance(json.loads(lines[0]), dict)
    except (ValueError, RecursionError):
        return False


def _is_tfrecord(name: str, data: bytes) -> bool:
    """Return whether a file begins with the length of a record, its checksum, and a message."""
    if len(data) < 13 or re.search(r"\.(?:tf)?records?\b", name.lower()) is None:
        return False
    return int.from_bytes(data[:8], "little") < 2**40 and data[12] == 0x0A
