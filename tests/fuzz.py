"""Fuzz a reader: broken files in, and everything that must hold whatever is in them is checked.

    python tests/fuzz.py coco --seconds 480             # random changes to the files of fixtures/
    python tests/fuzz.py coco --seconds 480 --atheris   # the same, led by what code they reach
    python tests/fuzz.py coco --replay FOLDER/coco-….bin

What breaks a rule is saved in `--found`, once for each place that it breaks at. The first byte of an input says which
file of a small dataset (a "door" of the reader) the rest becomes. `test_fuzz.py` runs a little of this each time.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import random
import sys
import tempfile
import time
import traceback
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import category

import numpy as np

import regionbatch
from helpers import ROOT
from regionbatch import plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FIXTURES = ROOT / "fixtures"
LONGEST = 20_000
"""Bytes of an input; what matters happens in small files."""


class Door(NamedTuple):
    """One file of a dataset that an input becomes, and how the set is read then."""

    file: str
    options: Mapping[str, Any] = {}
    beside: Mapping[str, str] = {}
    """The other files, with their text."""
    endings: tuple[str, ...] = ()
    """Files of the fixtures that inputs are made from; none: those that end as `file` does."""


VOC = """<annotation><filename>b.jpg</filename><size><width>100</width><height>80</height></size>
<object><name>cat</name><bndbox><xmin>10</xmin><ymin>10</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
</annotation>"""
ROWS = "0 0.5 0.5 0.25 0.25\n1 0.25 0.5 0.25 0.25\n"
COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 30, 40]} for n in (1, 2)],
    }
)
DOORS: dict[str, list[Door]] = {
    "coco": [
        Door("data.json"),
        Door("data.json", {"coco_boxes": "pixels"}),
        Door("data.json", {"coco_boxes": "normalised", "bbox_format": "ltrb"}),
        Door("annotations/instances_train.json", {"drop": ("crowd",)}, {"annotations/instances_val.json": COCO}),
        Door("a.jpg", {}, {"data.json": COCO}, (".jpg", ".png")),
    ],
    "voc": [
        Door("Annotations/a.xml", {}, {"Annotations/b.xml": VOC}),
        Door("Annotations/a.xml", {"voc_origin": "1", "drop": ("difficult", "truncated")}),
        Door("Annotations/a.xml", {"voc_boxes": "normalised", "bbox_format": "ltwh", "voc_angles": "degrees"}),
        Door("ImageSets/Main/train.txt", {"split": "train"}, {"Annotations/a.xml": VOC, "Annotations/b.xml": VOC}),
    ],
    "yolo": [
        Door("labels/a.txt", {}, {"classes.txt": "cat\ndog\n", "labels/b.txt": ROWS}),
        Door("labels/a.txt", {"yolo_rows": "box"}, {"classes.txt": "cat\ndog\n"}),
        Door("labels/a.txt", {"yolo_rows": "confidence-first"}, {"classes.txt": "cat\ndog\n"}),
        Door("labels/a.txt", {"yolo_rows": "polygon"}, {"classes.txt": "cat\ndog\n"}),
        Door("data.yaml", {}, {"images/train/a.jpg": "", "labels/train/a.txt": ROWS, "train/labels/b.txt": ROWS}),
        Door("classes.txt", {}, {"labels/a.txt": ROWS}),
        Door("data/obj.data", {}, {"data/obj.names": "cat\ndog\n", "data/train.txt": "a.jpg", "data/a.txt": ROWS}),
        Door("train.txt", {}, {"data.yaml": "train: train.txt\nnames: [cat, dog]\n", "labels/a.txt": ROWS}, (".txt",)),
        Door("notes.json", {}, {"labels/a.txt": ROWS}),
    ],
}


def seeds(format: str) -> list[bytes]:  # noqa: A002 - as everywhere
    """Inputs made of the files of the fixtures, for every door that takes such files."""
    found: list[bytes] = []
    files = [path for path in sorted((FIXTURES / format).rglob("*")) if path.is_file() and "input" in path.parts]
    files += [path for path in sorted((FIXTURES / "scene").rglob("*")) if path.is_file()]
    contents = {path: path.read_bytes() for path in files if path.stat().st_size <= LONGEST}
    for number, door in enumerate(DOORS[format]):
        endings = door.endings or (Path(door.file).suffix,)
        found += sorted({bytes([number]) + text for path, text in contents.items() if path.suffix in endings})
    return found


WORDS = (
    *(b"NaN", b"Infinity", b"-1e308", b"1e400", b"9" * 25, b"-0.0", b"1e-320", b"0", b"1", b"0.5", b"null", b"true"),
    *(b"\\ud800", b"\xff", b"\0", b"\x85", b"\xe2\x80\xa8", b"\r", b"\n", b"\x1b[2J", b"\xef\xbb\xbf", b"\xff\xfe"),
    *(b'"', b",", b"{", b"}", b"[", b"]", b"},{", b"}]", b"\\", b"<!--", b"&x;", b"<!DOCTYPE a SYSTEM 'x'>", b"../"),
    *(b'"annotations":', b'"images":', b'"bbox":', b'"segmentation":', b'"file_name":', b'"iscrowd": 1', b'"id":'),
    *(b'{"size":[9,9],"counts":[1,80]}', b"[[1,2,3,4,5,6]]", b'"bbox_format":"ltrb",', b"[0.1,0.1,0.2,0.2]"),
    *(b"<object>", b"</object>", b"<bndbox>", b"<robndbox>", b"<polygon>", b"<xmin>", b"<name>", b"VOC2007"),
    *(b"names:", b"train:", b"path:", b"nc: 2", b"&a [*a]", b"*a", b"- ", b": ", b"%YAML 1.2", b"names = ", b"..\\"),
    *(b"0 0.5 0.5 0.2 0.2\n", b"1 .1 .1 .2 .2 .3 .3\n", b"a/" * 40),
)
"""What real files go wrong with."""


def mutated(text: bytes, chance: random.Random) -> bytes:
    """Text with a few changes: bytes and lines flipped, cut, doubled, swapped, and words put in."""
    for _ in range(chance.choice((1, 1, 2, 3, 5, 9))):
        text = chance.choice(_CHANGES)(text, chance)
    return text[:LONGEST]


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
    return text[:at] + chance.choice((b"0", b"1", b"9", b"-", b".", b"e", b"", b"00", *WORDS[:12])) + text[at + 1 :]


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


class Room:
    """A folder in memory, where there is one, that each input is put into and read from."""

    def __init__(self, format: str, folder: Path) -> None:  # noqa: A002
        self.format = format
        self._reader, self._doors = plugins.get(format), DOORS[format]  # found once: that takes a while
        self._folders = [folder / f"{number}" for number in range(len(self._doors))]
        for door, home in zip(self._doors, self._folders, strict=True):
            for name, text in {door.file: "", **door.beside}.items():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).write_text(text, encoding="utf-8")

    def check(self, data: bytes) -> str:
        """Read an input and check all that must hold; what came of it in a word or two. Raises whatever is wrong."""
        number = data[0] % len(self._doors) if data else 0
        door, home = self._doors[number], self._folders[number]
        (home / door.file).write_bytes(data[1:])
        return check(home, format=self._reader, **door.options)


def check(source: Path, **options: Any) -> str:
    """Read a dataset and check all that must hold whatever stands in it: `read`, or the name of the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            dataset = regionbatch.read(source, **options)
        except regionbatch.PluginError:  # a reader of ours counted wrong
            raise
        except regionbatch.RegionBatchError as error:
            check_message(str(error))
            return type(error).__name__
        check_dataset(dataset)
        check_findings(dataset, source / "report.out")
    return "read"


def check_message(message: str) -> None:
    """One line, with a place before the first colon, that can be printed."""
    assert all(sign.isprintable() or category(sign) == "Zs" for sign in message), f"not one line: {message!a}"
    assert ": " in message, message
    assert len(message) < 5000, f"{len(message)} characters: {message[:500]}"


def check_dataset(dataset: regionbatch.Dataset) -> None:
    """No NaN, no box outside, read as 32-bit or 64-bit floats; ledger and batches add up."""
    box = dataset.regions.box
    assert np.isfinite(box).all()
    assert (box[:, :2] >= 0).all()
    assert (box[:, 2:].astype(np.float32) > 0).all()
    for numbers in (box, box.astype(np.float32), box.astype(np.float32).astype(np.float64)):
        assert (numbers[:, :2] + numbers[:, 2:] <= 1).all()
    ledger = dataset.ledger
    for account in (ledger, ledger.images):
        assert account.read == account.kept + sum(account.adjusted.values()) + sum(account.dropped.values())
        assert min([account.read, account.kept, *account.adjusted.values(), *account.dropped.values()]) >= 0
    assert len(dataset) == ledger.kept + sum(ledger.adjusted.values())
    assert len(dataset.images) == ledger.images.kept
    assert len(set(dataset.images.names)) == len(dataset.images)
    assert len(set(dataset.tags)) == len(dataset.tags)
    assert all(tag == tag.strip() and tag for tag in dataset.tags)
    assert len(set(dataset)) == len(dataset)
    made = regionbatch.batches(dataset, tag_ids=numbered(dataset.tags), image_ids=numbered(dataset.images.names))
    assert sum(len(json.loads(batch.to_json())["regions"]) for batch in made) == len(dataset)


def numbered(names: Iterable[str]) -> dict[str, str]:
    """An id for each name."""
    return {name: str(uuid.UUID(int=number)) for number, name in enumerate(names)}


def check_findings(dataset: regionbatch.Dataset, report: Path) -> None:
    """Every finding can be told, and the report holds them all."""
    findings = list(dataset.findings)
    assert len(findings) == len(dataset.findings) == sum(dataset.findings.counts().values())
    for finding in findings:
        check_message(finding.message)
        assert finding.place
        assert finding.message.startswith(finding.place + ": ")
    for decision in dataset.decisions.values():
        check_message(f"decided: {decision}")
    regionbatch.write_report(report, dataset)
    content = json.loads(report.read_bytes())
    report.unlink()
    assert len(content["findings"]) == len(findings)


class Run:
    """A run of some seconds: how many executions, and what was found."""

    def __init__(self, format: str, room: Room, seconds: float, found: Path) -> None:  # noqa: A002
        self._format, self._room, self._found = format, room, found
        self._began = time.monotonic()
        self._end = self._began + seconds
        self.executions = 0
        self._outcomes: dict[str, int] = {}
        self._places: dict[str, Path] = {}

    @property
    def over(self) -> bool:
        return time.monotonic() > self._end

    def one(self, data: bytes) -> None:
        """One execution; what it breaks is saved."""
        self.executions += 1
        try:
            outcome = self._room.check(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            outcome = "FOUND"
            self._save(data, error)
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1

    def _save(self, data: bytes, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-3:]))
        if (key := f"{type(error).__name__} at {place}") in self._places:
            return
        self._found.mkdir(parents=True, exist_ok=True)
        path = self._found / f"{self._format}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
        path.write_bytes(data)
        self._places[key] = path
        print(f"FOUND {key}: {str(error)[:300]}\n      {path}", flush=True)

    def print(self) -> None:
        seconds = time.monotonic() - self._began
        outcomes = ", ".join(
            f"{count} {name}" for name, count in sorted(self._outcomes.items(), key=lambda one: -one[1])
        )
        rate = self.executions / max(seconds, 1e-9)
        print(f"{self._format}: {self.executions} executions in {seconds:.0f} s ({rate:.0f} a second): {outcomes}")
        print(f"{self._format}: {len(self._places)} places found", flush=True)


def run_random(run: Run, inputs: list[bytes], seed: int) -> None:
    """Change the inputs at random; the same seed gives the same run."""
    chance = random.Random(seed)
    for data in inputs:
        run.one(data)
    while not run.over:
        data = chance.choice(inputs)
        run.one(data[:1] + mutated(data[1:], chance))


def run_atheris(run: Run, inputs: list[bytes], seed: int, folder: Path, found: Path) -> None:
    """Change inputs that reach new code, as libFuzzer does. It never returns: libFuzzer ends the process."""
    atheris: Any = importlib.import_module("atheris")
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(inputs):
        (corpus / f"{number:05}").write_bytes(data)

    def one(data: bytes) -> None:
        run.one(data)
        if run.over:
            run.print()
            os._exit(0)  # libFuzzer has no other way out that is not a crash

    def change(data: bytes, most: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() < 0.5:
            return data[:1] + mutated(data[1:], chance)[: most - 1]
        changed: bytes = atheris.Mutate(data, most)
        return changed

    found.mkdir(parents=True, exist_ok=True)
    flags = [
        f"-seed={seed}",
        f"-artifact_prefix={found}{os.sep}",
        f"-max_len={LONGEST}",
        "-timeout=20",
        "-rss_limit_mb=3000",
    ]
    atheris.Setup([sys.argv[0], *flags, "-print_final_stats=1", str(corpus)], one, custom_mutator=change)
    atheris.Fuzz()


OTHERS = ("association", "clean", "files", "image_candidates", "image_reports", "image_scope", "image_table")
"""Modules and packages whose branches depend on what is in the files, besides the readers."""


def instrument() -> None:
    """Load the readers so that atheris sees which of their branches are taken."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(
        include=["regionbatch.readers", *(f"regionbatch.{name}" for name in OTHERS), "yaml"]
    ):
        for name in ("readers.coco.reader", "readers.voc.reader", "readers.voc.xml", "readers.yolo.reader", *OTHERS):
            importlib.import_module(f"regionbatch.{name}")
        importlib.import_module("yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz a reader; see the head of this file.")
    parser.add_argument("format", choices=list(DOORS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--atheris", action="store_true", help="let coverage lead (pip install atheris)")
    parser.add_argument("--found", type=Path, default=Path("found"), help="where inputs that break a rule are saved")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one saved input")
    given = parser.parse_args()
    memory = Path("/dev/shm")
    if given.atheris:
        instrument()
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        room = Room(given.format, Path(name) / "room")
        if given.replay:
            print(room.check(given.replay.read_bytes()))
            return
        run, inputs = Run(given.format, room, given.seconds, given.found), seeds(given.format)
        if given.atheris:
            run_atheris(run, inputs, given.seed, Path(name), given.found)
        else:
            run_random(run, inputs, given.seed)
            run.print()


if __name__ == "__main__":
    main()
