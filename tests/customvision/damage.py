"""Damage journals: whatever the file contains, it is used or refused with `JournalError`.

    python tests/customvision/damage.py --times 1000

regionbatch must be importable: installed, or with PYTHONPATH=converters:cli.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from regionbatch.customvision import journal as module
from regionbatch.customvision.fingerprints import FileFingerprint, UploadedImage
from regionbatch.customvision.journal import Journal
from regionbatch.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = "project"
LONGEST = 5.0
"""Longest time in seconds that using a journal of this size may take."""


def make(path: Path, *, strict: bool) -> None:
    """Write a journal of a killed run, with its log; if not `strict`, columns accept any value."""
    tables = module._TABLES
    if not strict:
        module._TABLES = tables.replace("STRICT", "").replace(" NOT NULL", "")
    try:
        with Journal(path, PROJECT) as journal:
            stamps = {
                f"{number}/ä.jpg": FileFingerprint(number, 2, 3, 4, bytes(32))
                for number in range(60)
            }
            journal.start_run("a set", {})
            journal.add_images(
                {name: UploadedImage(f"id {name}", stamp) for name, stamp in stamps.items()}
            )
            for number in range(40):
                hashes = np.arange(64 * number, 64 * number + 64, dtype=np.uint64)
                call = journal.start_call("CreateImageRegions", hashes)
                if number % 8:
                    journal.finish_call(call, np.full(64, number % 5, np.int8))
            killed = {
                name: path.with_name(name).read_bytes() for name in (path.name, f"{path.name}-wal")
            }
    finally:
        module._TABLES = tables
    for name, content in killed.items():
        path.with_name(name).write_bytes(content)


def flip(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 3, 30])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def overwrite(content: bytearray, rng: random.Random) -> None:
    at, length = rng.randrange(len(content)), rng.choice([1, 8, 100, 4096])
    content[at : at + length] = rng.choice([bytes(length), b"\xff" * length, rng.randbytes(length)])


def cut(content: bytearray, rng: random.Random) -> None:
    del content[rng.choice([rng.randrange(len(content)), rng.randrange(200)]) :]


def exchange(content: bytearray, rng: random.Random) -> None:
    one, other = (4096 * rng.randrange(max(1, len(content) // 4096)) for _ in range(2))
    page = content[one : one + 4096]
    content[one : one + 4096] = content[other : other + 4096]
    content[other : other + len(page)] = page


VALUES = (
    "NULL",
    "'text'",
    "x'ff'",
    "x''",
    "-1",
    "1e308",
    "9e999",
    "9223372036854775807",
    "zeroblob(100000)",
    "''",
)
COLUMNS = {
    "upload": ("key", "value"),
    "images": ("name", "id", "size", "written", "changed", "inode", "digest", "former"),
    "calls": ("number", "operation", "sent", "done", "regions", "outcomes"),
}


def put_values(path: Path, rng: random.Random) -> None:
    """Write values that no upload writes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for _ in range(rng.choice([1, 1, 3])):
            table = rng.choice([*COLUMNS])
            where = f"rowid = (SELECT rowid FROM {table} ORDER BY random() LIMIT 1)"
            change = f"{rng.choice(COLUMNS[table])} = {rng.choice(VALUES)}"
            try:
                db.execute(f"UPDATE OR IGNORE {table} SET {change} WHERE {where}")
            except sqlite3.Error:
                continue


BYTES: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, overwrite, cut, exchange)


def use(path: Path, *, read_only: bool) -> None:
    """Use a journal as an upload does."""
    with Journal(path, PROJECT, read_only=read_only) as journal:
        journal.images()
        journal.names_by_id()
        journal.seconds_since_unfinished_call()
        list(journal.outcomes())
        journal.belongs_to("a set")
        if not read_only:
            journal.start_run("another set", {"a.jpg": "1"})
            journal.add_images({"a.jpg": UploadedImage("1", FileFingerprint(1, 2, 3, 4, b""))})
            call = journal.start_call("CreateImageRegions", np.arange(3, dtype=np.uint64))
            journal.finish_call(call, np.ones(3, np.int8))
            journal.images()


def damaged(folder: Path, seed: int) -> str:
    """Damage a journal, use it as a dry run and as an upload do, and return what happened."""
    rng = random.Random(seed)
    path = folder / f"{seed}.sqlite"
    make(path, strict=rng.random() < 0.5)
    kind = rng.randrange(len(BYTES) + 2)
    if kind < len(BYTES):
        victim = path.with_name(path.name + rng.choice(["", "", "-wal"]))
        content = bytearray(victim.read_bytes())
        if rng.random() < 0.5 and victim == path:
            with closing(sqlite3.connect(path)) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            content = bytearray(path.read_bytes())
        BYTES[kind](content, rng)
        victim.write_bytes(content)
    else:
        put_values(path, rng)
    results = []
    for read_only in (True, False):
        start = time.monotonic()
        try:
            use(path, read_only=read_only)
            results.append("used")
        except JournalError:
            results.append("refused")
        assert time.monotonic() - start < LONGEST
    return " and ".join(results)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=1000)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        seen = Counter(damaged(Path(folder), seed) for seed in range(times))
    counts = dict(seen.most_common())
    print(f"{times} damaged journals, used as a dry run and as an upload do: {counts}")


if __name__ == "__main__":
    main()
