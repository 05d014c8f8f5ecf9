"""Files near the ordinary layout of Pascal VOC: the grammar and lxml must read them alike.

The changes know the structure of a file, so that about half of the changed files still match the
grammar; random changes to bytes leave few that do.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from fuzzing.inputs import seeds
from fuzzing.mutations import mutated
from regionbatch.readers.voc import columns
from regionbatch.readers.voc.ordinary import OrdinaryFiles

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

LAYOUT = "voc-layout"
"""The target of `fuzz.py`."""
ENCODINGS = (None, None, None, "gbk", "cp1251")
"""Encodings that a user may choose; the first byte of an input is the number of one."""

LABELIMG = b"""<annotation verified="yes">
\t<folder>images</folder>
\t<filename>a b.jpg</filename>
\t<path>C:\\data\\VOC2007\\a b.jpg</path>
\t<source>
\t\t<database>Unknown</database>
\t</source>
\t<size>
\t\t<width>640</width>
\t\t<height>480</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
\t<object>
\t\t<name>cat</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>10</xmin>
\t\t\t<ymin>20</ymin>
\t\t\t<xmax>110</xmax>
\t\t\t<ymax>220</ymax>
\t\t</bndbox>
\t</object>
\t<object>
\t\t<name>traffic light</name>
\t\t<pose></pose>
\t\t<truncated>1</truncated>
\t\t<difficult>1</difficult>
\t\t<bndbox>
\t\t\t<xmin>1.5</xmin>
\t\t\t<ymin>2.25</ymin>
\t\t\t<xmax>30</xmax>
\t\t\t<ymax>44.0</ymax>
\t\t</bndbox>
\t</object>
</annotation>
"""
DEVKIT = b"""<annotation><folder>VOC2007</folder><filename>000001.jpg</filename>
<source><database>The VOC2007 Database</database><annotation>PASCAL VOC2007</annotation>
<image>flickr</image><flickrid>341012865</flickrid></source>
<owner><flickrid>Fried Camels</flickrid><name>Jinky the Fruit Bat</name></owner>
<size><width>353</width><height>500</height><depth>3</depth></size><segmented>0</segmented>
<object><name>person</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
<bndbox><xmin>8</xmin><ymin>12</ymin><xmax>352</xmax><ymax>498</ymax></bndbox>
<part><name>head</name><bndbox><xmin>48</xmin><ymin>24</ymin><xmax>195</xmax><ymax>371</ymax></bndbox></part>
<part><name>foot</name><bndbox><xmin>4</xmin><ymin>2</ymin><xmax>19</xmax><ymax>31</ymax></bndbox></part>
</object><object><name>dog</name><bndbox><xmax>50</xmax><xmin>4</xmin><ymax>60</ymax><ymin>5</ymin>
</bndbox><difficult>1</difficult><occluded>1</occluded></object></annotation>"""
ALPHABETICAL = """<?xml version="1.0" encoding="UTF-8"?>
<annotation>
  <filename>2011_003216.jpg</filename>
  <folder>VOC2012</folder>
  <object>
    <name>Straßenbahn 電車</name>
    <bndbox><xmax>471</xmax><xmin>1</xmin><ymax>333</ymax><ymin>1</ymin></bndbox>
    <difficult>0</difficult>
    <occluded>1</occluded>
    <pose>Unspecified</pose>
    <truncated>1</truncated>
  </object>
  <segmented>0</segmented>
  <size><depth>3</depth><height>333</height><width>500</width></size>
  <source><annotation>PASCAL VOC2012</annotation><database>The VOC2012 Database</database></source>
</annotation>
""".encode()
NO_OBJECTS = b"<annotation><filename>empty.jpg</filename></annotation>"
ORDINARY = (LABELIMG, DEVKIT, ALPHABETICAL, LABELIMG.replace(b"\n", b"\r\n"), NO_OBJECTS)
"""Files of several tools."""


@cache
def layout_seeds() -> list[bytes]:
    """Return the files to start from; most of them match the grammar."""
    fixtures = sorted({seed[1:] for seed in seeds("voc")})
    return [b"\0" + text for text in (*fixtures, *ORDINARY * (len(fixtures) // 4))]


def is_ordinary(data: bytes, encoding: str | None = None) -> bool:
    """Return whether the grammar recognises a file."""
    return OrdinaryFiles().add(data, encoding)


def part_of(*files: bytes, encoding: str | None = None) -> columns.VocPart:
    """Return the columns of some files."""
    return columns.parse_contents(files, encoding)


def part_by_lxml(*files: bytes, encoding: str | None = None) -> columns.VocPart:
    """Return the columns of some files, never using the grammar."""
    with mock.patch.object(OrdinaryFiles, "add", return_value=False):
        return part_of(*files, encoding=encoding)


def assert_same(part: columns.VocPart, other: columns.VocPart) -> None:
    """Fail if two parts differ in anything: a value, its type, or an order."""
    assert _plain(part) == _plain(other)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, value.tobytes()]  # NaN and -0.0 by their bits
    if isinstance(value, dict):
        return [[key, _plain(one)] for key, one in value.items()]  # in the same order
    if isinstance(value, (tuple, list)):
        return [*map(_plain, value)]
    return [type(value), value]


class LayoutSandbox:
    """Compares both ways to read a file; see `checks.DatasetSandbox`."""

    target = LAYOUT

    def check(self, data: bytes) -> str:
        """Read a file in both ways, and return whether the grammar recognised it."""
        encoding = ENCODINGS[data[0] % len(ENCODINGS)] if data else None
        if not is_ordinary(data[1:], encoding):
            return "left to lxml"
        files = (data[1:], DEVKIT, data[1:])  # ordinary files are read together
        assert_same(part_of(*files, encoding=encoding), part_by_lxml(*files, encoding=encoding))
        return "recognised"


def changed_layout(data: bytes, chance: random.Random) -> bytes:
    """Return an input with a few changes that know the structure of a file."""
    text = data[1:]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        text = chance.choice(_CHANGES)(text, chance)
    return bytes([chance.randrange(len(ENCODINGS))]) + text


_LEAF = re.compile(rb"<(\w+)>([^<]*)</\1>")
_ELEMENT = re.compile(rb"<(\w+)>(?:(?!<\1>).)*?</\1>\s*", re.DOTALL)
_TAG = re.compile(rb"</?\w+>")
_GAP = re.compile(rb"(?<=>)\s*(?=<)")
# fmt: off
VALUES = (
    b"1", b"0", b"12", b"12.0", b"12.", b".5", b"0.5", b"-3", b"-0", b"+4", b"007", b"1e3",
    b"1_0", b"1e400", b"9" * 400, b"nan", b"inf", b"-Infinity", b"0x10", b"1,5", b"", b" ", b"\n",
    b" 7 ", b"\t8\n", b"\r\n9", b"640", b"480", b"2147483648", b"true", b"Yes", b"no", b"-1",
    b"2", b"cat", b" cat ", b"ca t", b"ca\nt", b"ca\r\nt", b"ca\rt", b"a&amp;b", b"a&lt;b",
    b"&#65;", b"&x;", b"]]>", b"a>b", b'a"b', b"a=b", b"\xc3\xa9", b"e\xcc\x81", b"\xe9",
    b"\xb0\xa1", b"\xc3\xa9\xc3\xa8", b"\xef\xbf\xbd", b"\xef\xbf\xbe", b"\xef\xbf\xbf",
    b"\xed\xa0\x80", b"\xf0\x9f\x90\x88", b"\xc2\x85", b"\xc2\xa0", b"\xe2\x80\xa8", b"\x7f",
    b"\x0b", b"\x0c", b"\x1f", b"\0", b"\x85", b"\xd9\xa1", b"VOC2007", b"The VOC2007 Database",
    b"the voc 2012 database", b"PASCAL VOC2012", b"VOC\xd9\xa2\xd9\xa0", b"Unknown", b"a.jpg",
    b"../b.jpg", b"C:\\VOC2012\\a.jpg", b"Left",
)
TAGS = (
    b"object", b"name", b"bndbox", b"xmin", b"ymin", b"xmax", b"ymax", b"truncated", b"difficult",
    b"occluded", b"pose", b"part", b"deleted", b"Difficult", b"polygon", b"robndbox", b"angle",
    b"rotation", b"attributes", b"filename", b"folder", b"path", b"source", b"database", b"size",
    b"width", b"height", b"depth", b"segmented", b"owner", b"flickrid", b"annotation", b"image",
    b"Object", b"BndBox", b"actions", b"point", b"id",
)
SNIPPETS = (
    b"<!-- c -->", b"<!-- <object><name>x</name></object> -->", b"<![CDATA[x]]>", b"<?pi x?>",
    b"text", b"<pose/>", b"<truncated/>", b"<difficult />", b"<name/>", b"<part/>", b"<object/>",
    b"\0", b"\r", b"<object></object>", b"<owner></owner>", b"<owner><name>o</name></owner>",
    b"<size></size>", b"<source></source>", b"<part><name>p</name><bndbox></bndbox></part>",
    b"<path></path>", b"<part><object></object></part>", b"<id>1</id>",
    b"<attributes></attributes>", b"\xef\xbb\xbf", b"<difficult>1</difficult>",
    b"<truncated>1</truncated>", b"<occluded>yes</occluded>", b"&amp;", b"<pose>Left</pose>",
    b"<segmented>1</segmented>", b"<rotation>30</rotation>", b"\x0b", b"\x85",
)
STARTS = (
    b"<?xml version='1.0'?>", b'<?xml version="1.0" encoding="utf-8"?>\n',
    b'<?xml version="1.0"?>\r\n', b"<?xml version='1.0' encoding='UTF-8' ?>",
    b'<?xml version="1.0" encoding="gbk"?>', b"<?xml version=\"1.0'?>", b'<?xml version="1.1"?>',
    b'<?xml version="1.0" standalone="yes"?>', b'<?xml version="1.0" encoding="iso-2022-jp"?>',
    b"\n", b" ", b"\xef\xbb\xbf", b"<!-- c -->", b"<!DOCTYPE annotation>",
    b'<!DOCTYPE annotation [<!ENTITY x "y">]>', b"x", b"\0",
)
ENDS = (
    b"\n\n", b" ", b"\r\n", b"\0", b"<!-- c -->", b"x", b"<object></object>", b"\x1a", b"\r",
)
GAPS = (
    b"", b"\n", b" ", b"\t", b"\r\n", b"\n\n  ", b"\r", b"\x0b", b"\0", b"\xc2\xa0",
)
# fmt: on


def _picked(found: list[re.Match[bytes]], chance: random.Random) -> tuple[int, int]:
    if not found:
        return 0, 0
    start, end = chance.choice(found).span()
    return start, end


def _other_value(text: bytes, chance: random.Random) -> bytes:
    leaves = [*_LEAF.finditer(text)]
    if not leaves:
        return text
    start, end = chance.choice(leaves).span(2)
    return text[:start] + chance.choice(VALUES) + text[end:]


def _other_number(text: bytes, chance: random.Random) -> bytes:
    leaves = [leaf for leaf in _LEAF.finditer(text) if leaf[1][:1] in b"xywh"]
    if not leaves:
        return text
    start, end = chance.choice(leaves).span(2)
    number = chance.choice(("{:.0f}", "{:.1f}", "{:.6f}", "-{:.0f}", "{}", "{:e}", "0{:.0f}"))
    return text[:start] + number.format(chance.uniform(0, 700)).encode() + text[end:]


def _other_tag(text: bytes, chance: random.Random) -> bytes:
    leaves = [*_LEAF.finditer(text)]
    if not leaves:
        return text
    leaf = chance.choice(leaves)
    tag = chance.choice(TAGS)
    return text[: leaf.start()] + b"<%b>%b</%b>" % (tag, leaf[2], tag) + text[leaf.end() :]


def _element_out(text: bytes, chance: random.Random) -> bytes:
    start, end = _picked(_elements(text), chance)
    return text[:start] + text[end:]


def _element_moved(text: bytes, chance: random.Random) -> bytes:
    start, end = _picked(_elements(text), chance)
    one, rest = text[start:end], text[:start] + text[end:]
    at, _ = _picked([*_TAG.finditer(rest)], chance)
    return rest[:at] + one + rest[at:]


def _element_twice(text: bytes, chance: random.Random) -> bytes:
    start, end = _picked(_elements(text), chance)
    return text[:end] + text[start:]


def _elements(text: bytes) -> list[re.Match[bytes]]:
    """Return elements at any depth that do not overlap in this list's order."""
    found = []
    at = 0
    while element := _ELEMENT.search(text, at):
        found.append(element)
        at = element.start() + 1
    return found


def _siblings_swapped(text: bytes, chance: random.Random) -> bytes:
    first = _picked(_elements(text), chance)
    following = _ELEMENT.match(text, first[1])
    if not following:
        return text
    start, end = first
    return text[:start] + following[0] + text[start:end] + text[following.end() :]


def _other_gap(text: bytes, chance: random.Random) -> bytes:
    start, end = _picked([*_GAP.finditer(text)], chance)
    return text[:start] + chance.choice(GAPS) + text[end:]


def _other_gaps(text: bytes, chance: random.Random) -> bytes:
    gap = chance.choice(GAPS[:6])
    return _GAP.sub(lambda _: gap, text)


def _other_lines(text: bytes, chance: random.Random) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\n", chance.choice((b"\n", b"\r\n", b"", b"\r")))


def _snippet(text: bytes, chance: random.Random) -> bytes:
    at, _ = _picked([*_TAG.finditer(text)], chance)
    return text[:at] + chance.choice(SNIPPETS) + text[at:]


def _other_start(text: bytes, chance: random.Random) -> bytes:
    return chance.choice(STARTS) + text


def _other_end(text: bytes, chance: random.Random) -> bytes:
    return text + chance.choice(ENDS)


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_other_value, _other_value, _other_number, _other_number, _other_tag, _element_out),
    *(_element_moved, _element_twice, _siblings_swapped, _siblings_swapped, _other_gap),
    *(_other_gaps, _other_gaps, _other_lines, _snippet, _other_start, _other_end, mutated),
)
