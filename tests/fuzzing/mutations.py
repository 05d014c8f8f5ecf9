"""Random changes to the bytes of a file, of the kinds that break real files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzzing.inputs import MAX_BYTES

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

# fmt: off
WORDS = (
    b"NaN", b"Infinity", b"-1e308", b"1e400", b"9999999999999999999999999", b"-0.0", b"1e-320",
    b"0", b"1", b"0.5", b"null", b"true", b"\\ud800", b"\xff", b"\x00", b"\x85", b"\xe2\x80\xa8",
    b"\r", b"\n", b"\x1b[2J", b"\xef\xbb\xbf", b"\xff\xfe", b'"', b",", b"{", b"}", b"[", b"]",
    b"},{", b"}]", b"\\", b"<!--", b"&x;", b"<!DOCTYPE a SYSTEM 'x'>", b"../", b'"annotations":',
    b'"images":', b'"bbox":', b'"segmentation":', b'"file_name":', b'"iscrowd": 1', b'"id":',
    b'{"size":[9,9],"counts":[1,80]}', b"[[1,2,3,4,5,6]]", b'"bbox_format":"ltrb",',
    b"[0.1,0.1,0.2,0.2]", b"<object>", b"</object>", b"<bndbox>", b"<robndbox>", b"<polygon>",
    b"<xmin>", b"<name>", b"VOC2007", b"names:", b"train:", b"path:", b"nc: 2", b"&a [*a]", b"*a",
    b"- ", b": ", b"%YAML 1.2", b"names = ", b"..\\", b"0 0.5 0.5 0.2 0.2\n",
    b"1 .1 .1 .2 .2 .3 .3\n", b"\xff\xd8\xff", b"\xff\xc0\x00\x11\x08", b"\xff\xe1",
    b"Exif\x00\x00", b"II*\x00\x08\x00\x00\x00", b"MM\x00*", b"II+\x00", b"ftypavif", b"meta",
    b"iprp", b"ipco", b"ipma", b"ispe", b"clap", b"irot", b"iscl", b"pitm", b"iloc", b"VP8X",
    b"VP8L", b"VP8 ", b"IHDR", b"jP  ", b"ihdr", b"GIF89a", b"P6\n# x\n", b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"a/" * 40,
)
# fmt: on
"""Tokens that occur in broken files."""


def mutated(text: bytes, chance: random.Random) -> bytes:
    """Return text with bytes and lines flipped, cut, doubled or swapped, and words inserted."""
    for _ in range(chance.choice((1, 1, 2, 3, 5, 9))):
        text = chance.choice(_CHANGES)(text, chance)
    return text[:MAX_BYTES]


def _span(text: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randint(0, len(text))
    return start, min(len(text), start + chance.choice((0, 1, 1, 2, 4, 16, 64, 1000)))


def _flip(text: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(text)) if text else 0
    return text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]


def _cut(text: bytes, chance: random.Random) -> bytes:
    start, end = _span(text, chance)
    return text[:start] + text[end:]


def _cut_off(text: bytes, chance: random.Random) -> bytes:
    return text[: chance.randint(0, len(text))]


def _double(text: bytes, chance: random.Random) -> bytes:
    start, end = _span(text, chance)
    return text[:end] + text[start:]


def _insert(text: bytes, chance: random.Random) -> bytes:
    start, end = _span(text, chance)
    return text[:start] + chance.choice(WORDS) + text[chance.choice((start, end)) :]


def _other_digit(text: bytes, chance: random.Random) -> bytes:
    places = [at for at, sign in enumerate(text) if sign in b"0123456789.-"]
    if not places:
        return text
    at = chance.choice(places)
    return (
        text[:at]
        + chance.choice((b"0", b"1", b"9", b"-", b".", b"e", b"", b"00", *WORDS[:12]))
        + text[at + 1 :]
    )


def _swap_lines(text: bytes, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    first, second = (chance.randrange(len(lines)) for _ in range(2)) if lines else (0, 0)
    if lines:
        lines[first], lines[second] = lines[second], lines[first]
    return b"".join(lines)


def _other_encoding(text: bytes, chance: random.Random) -> bytes:
    return text.decode("utf-8", "replace").encode(
        chance.choice(("utf-16", "utf-16-be", "cp1252", "utf-8-sig")), "replace"
    )


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip, _flip, _cut, _cut_off, _double, _insert, _insert, _insert),
    *(_other_digit, _other_digit, _other_digit, _swap_lines, _other_encoding),
)
