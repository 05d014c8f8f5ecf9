"""What fuzzing does, short in the test suite and long as a command: a broken file in, and what must hold comes out."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np

import regionbatch as rb
from helpers import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

FILES = {"coco": (".json",), "voc": (".xml", ".txt"), "yolo": (".txt", ".yaml", ".data", ".names", ".json")}
"""What annotation files end in, by format."""

_WORDS = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"},{",
        b"<",
        b">",
        b"/>",
        b"&amp;",
        b"\0",
        b"\xff",
        b"\r\n",
        b"\t",
    ),
    *(
        b"NaN",
        b"-1",
        b"1e999",
        b"0",
        b"null",
        b"true",
        b"9" * 40,
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"<!ENTITY",
        b"<bndbox>",
    ),
    *(b'"bbox"', b'"annotations"', b'"images"', b'"segmentation"', b"names:", b"train: ../x", b"0 0.5 0.5 0.1 0.1\n"),
)


def seeds(format_: str) -> list[Path]:
    """The data sets to begin with: every case and variant in `fixtures/`, as a folder."""
    found = [*(ROOT / "fixtures" / format_).glob("*/input"), *(ROOT / "fixtures" / "scene").glob(f"{format_}*")]
    return [path for path in sorted(found) if path.is_dir() and annotation_files(path, format_)]


def annotation_files(folder: Path, format_: str) -> list[Path]:
    """The files to break."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in FILES[format_]]


def mutated(data: bytes, random: Random) -> bytes:
    """Some bytes other, cut, doubled, moved or put in."""
    text = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        at, to = sorted(random.randrange(len(text) + 1) for _ in range(2))
        kind = random.randrange(6)
        if kind == 0 and text:
            text[min(at, len(text) - 1)] = random.randrange(256)
        elif kind == 1:
            del text[at : min(to, at + 40)]
        elif kind == 2:
            text[at:at] = random.choice(_WORDS)
        elif kind == 3:
            text[at:at] = text[at : min(to, at + 200)]
        elif kind == 4:
            lines = bytes(text).split(b"\n")
            random.shuffle(lines)
            text = bytearray(b"\n".join(lines))
        else:
            del text[to:]
    return bytes(text)


def plant(seed: Path, folder: Path, format_: str) -> list[Path]:
    """A copy of a data set, to be broken; its annotation files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(seed, folder)
    return annotation_files(folder, format_)


def check(path: Path, format_: str) -> str:
    """Read a data set that may be broken in any way, and see that all that is promised holds; what became of it.

    Anything but a RegionBatchError comes out as it is: that is what is looked for.
    """
    try:
        dataset = rb.read(path, format=format_)
    except rb.RegionBatchError as error:
        return type(error).__name__
    box = dataset.regions.box
    assert np.isfinite(box).all(), "no NaN"
    for dtype in (np.float32, np.float64):
        first, second = (box[:, columns].astype(dtype).astype(np.float64) for columns in (slice(2), slice(2, 4)))
        inside = (first >= 0) & (second > 0) & (first + second <= 1)
        assert inside.all(), "inside the image"
    accounts = (dataset.ledger, dataset.ledger.images)
    assert all(account.balanced for account in accounts), "the ledger adds up"
    kept = dataset.ledger.kept + sum(dataset.ledger.adjusted.values())
    assert len(list(dataset)) == kept, "the ledger is about what is there"
    assert sum(dataset.findings.counts().values()) == len(dataset.findings), "findings are counted"
    for finding in dataset.findings:
        assert finding.message.startswith(f"{finding.place}: "), "a message begins with its place"
        assert len(finding.message.splitlines()) == 1, "a message is one line"
    return "read"
