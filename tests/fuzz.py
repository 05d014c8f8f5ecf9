"""Fuzzes a reader for as long as one likes: python tests/fuzz.py coco|voc|yolo --seconds 60 [--seed N] [--atheris]

With --atheris, the inputs are led by coverage (pip install atheris). What breaks a promise is kept in --keep, one
folder an input, and ends the run with status 1.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from fuzzing import FILES, check, mutated, plant, seeds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=FILES)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--atheris", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.atheris:
            return by_coverage(asked.format, asked.seconds, asked.seed, Path(folder), asked.keep)
        return at_random(asked.format, asked.seconds, asked.seed, Path(folder), asked.keep)


def at_random(format_: str, seconds: float, seed: int, folder: Path, keep: Path) -> int:
    """Break one file of one data set of `fixtures/` after the other."""
    random, became, end = Random(seed), Counter[str](), time.monotonic() + seconds
    sets = seeds(format_)
    while time.monotonic() < end:
        files = plant(random.choice(sets), folder / "set", format_)
        for _ in range(20):
            path = random.choice(files)
            original = path.read_bytes()
            path.write_bytes(mutated(original, random))
            became[tried(folder / "set", format_, keep)] += 1
            path.write_bytes(original)
    return told(format_, became, seconds)


def by_coverage(format_: str, seconds: float, seed: int, folder: Path, keep: Path) -> int:
    """Let atheris make the one file of a small data set, from the files of `fixtures/`."""
    import atheris  # noqa: PLC0415 - only where it is asked for

    with atheris.instrument_imports(include=["regionbatch.readers", "regionbatch.clean"]):
        import regionbatch.clean  # noqa: PLC0415
        import regionbatch.readers.coco  # noqa: PLC0415
        import regionbatch.readers.voc  # noqa: PLC0415
        import regionbatch.readers.voc_xml  # noqa: PLC0415
        import regionbatch.readers.yolo  # noqa: F401, PLC0415
    name = {"coco": "a.json", "voc": "a.xml", "yolo": "labels/a.txt"}[format_]
    data_set, corpus = folder / "set", folder / "corpus"
    (data_set / name).parent.mkdir(parents=True)
    if format_ == "yolo":
        (data_set / "data.yaml").write_text("names: [cat, dog]\n", encoding="utf-8")
    corpus.mkdir()
    for number, seed_set in enumerate(seeds(format_)):
        for path in seed_set.rglob(f"*{Path(name).suffix}"):
            shutil.copy(path, corpus / f"{number}-{path.name}")
    became: Counter[str] = Counter()

    def one(data: bytes) -> None:
        (data_set / name).write_bytes(data)
        became[tried(data_set, format_, keep)] += 1
        if became.total() % 1000 == 0:
            told(format_, became, 0)

    options = [f"-max_total_time={seconds:.0f}", f"-seed={seed + 1}", "-max_len=20000", "-rss_limit_mb=4000"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()  # ends the process
    return 0


def tried(path: Path, format_: str, keep: Path) -> str:
    """What became of a data set; `broke a promise` if anything but our own errors came out."""
    try:
        return check(path, format_)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        keep.mkdir(parents=True, exist_ok=True)
        kept = Path(tempfile.mkdtemp(prefix=f"{format_}-", dir=keep))
        shutil.copytree(path, kept, dirs_exist_ok=True)
        print(f"{kept}: {type(error).__name__}: {error}", flush=True)
        return "broke a promise"


def told(format_: str, became: Counter[str], seconds: float) -> int:
    parts = ", ".join(f"{count} {what}" for what, count in became.most_common())
    print(f"{format_}: {became.total()} inputs{f' in {seconds:.0f} s' if seconds else ''}: {parts}", flush=True)
    return int(bool(became["broke a promise"]))


if __name__ == "__main__":
    sys.exit(main())
