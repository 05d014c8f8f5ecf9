"""Fuzz a reader, its YAML files or image headers: inputs must pass `fuzzing/checks.py`.

    python tests/fuzz.py coco --seconds 480             # random changes to the files of fixtures/
    python tests/fuzz.py images --seconds 300 --atheris   # guided by the code that inputs reach
    python tests/fuzz.py coco --replay FOLDER/coco-….bin

`voc-layout` compares the two ways to read a VOC file, the grammar of ordinary files and lxml; its
changes know the structure of a file. `--count 100000` stops after that many inputs.

An input that fails a check is saved in `--found`, once for each place in the code. The first byte
of an input is the number of a file (a slot) in a small dataset; the rest is the content of that
file. `test_fuzz.py` runs a small sample every time.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzzing.checks import sandbox
from fuzzing.inputs import MAX_BYTES, TARGETS, seeds
from fuzzing.mutations import mutated
from fuzzing.voc_layout import LAYOUT, LayoutSandbox, changed_layout, layout_seeds

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzzing.checks import DatasetSandbox, ImageSandbox

    Sandbox = DatasetSandbox | ImageSandbox | LayoutSandbox
    Change = Callable[[bytes, random.Random], bytes]


class FuzzRun:
    """A run of some seconds: the number of executions, and the places where a check failed."""

    def __init__(self, sandbox: Sandbox, given: argparse.Namespace) -> None:
        self._target = sandbox.target
        self._sandbox = sandbox
        self._found: Path = given.found
        self._most: int = given.count
        self._start = time.monotonic()
        self._end = self._start + given.seconds
        self.executions = 0
        self._outcomes: dict[str, int] = {}
        self._places: dict[str, Path] = {}

    @property
    def over(self) -> bool:
        return self.executions >= self._most or time.monotonic() > self._end

    def one(self, data: bytes) -> None:
        """Check one input, and save it if a check fails."""
        self.executions += 1
        try:
            outcome = self._sandbox.check(data)
        except Exception as error:  # noqa: BLE001 - any exception is a finding
            outcome = "FOUND"
            self._save(data, error)
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1

    def _save(self, data: bytes, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = " < ".join(
            f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-3:])
        )
        if (key := f"{type(error).__name__} at {place}") in self._places:
            return
        self._found.mkdir(parents=True, exist_ok=True)
        path = self._found / f"{self._target}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
        path.write_bytes(data)
        self._places[key] = path
        print(f"FOUND {key}: {str(error)[:300]}\n      {path}", flush=True)

    def print(self) -> None:
        seconds = time.monotonic() - self._start
        outcomes = ", ".join(
            f"{count} {name}"
            for name, count in sorted(self._outcomes.items(), key=lambda one: -one[1])
        )
        rate = self.executions / max(seconds, 1e-9)
        speed = f"{seconds:.0f} s ({rate:.0f} per second)"
        print(f"{self._target}: {self.executions} executions in {speed}: {outcomes}")
        print(f"{self._target}: {len(self._places)} places found", flush=True)


def changed_bytes(data: bytes, chance: random.Random) -> bytes:
    """Change the content of an input at random."""
    return data[:1] + mutated(data[1:], chance)


def run_random(run: FuzzRun, inputs: list[bytes], seed: int, change: Change) -> None:
    """Change the inputs at random; the same seed gives the same run."""
    chance = random.Random(seed)
    for data in inputs:
        run.one(data)
    while not run.over:
        run.one(change(chance.choice(inputs), chance))


def run_atheris(run: FuzzRun, inputs: list[bytes], seed: int, folder: Path, found: Path) -> None:
    """Change inputs that reach new code with libFuzzer, which exits the process itself."""
    atheris: Any = importlib.import_module("atheris")
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(inputs):
        (corpus / f"{number:05}").write_bytes(data)

    def one(data: bytes) -> None:
        run.one(data)
        if run.over:
            run.print()
            os._exit(0)  # the only exit of libFuzzer that is not a crash

    def change(data: bytes, most: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() < 0.5:
            return changed_bytes(data, chance)[:most]
        changed: bytes = atheris.Mutate(data, most)
        return changed

    found.mkdir(parents=True, exist_ok=True)
    flags = [
        f"-seed={seed}",
        f"-artifact_prefix={found}{os.sep}",
        f"-max_len={MAX_BYTES}",
        "-timeout=20",
        "-rss_limit_mb=3000",
    ]
    atheris.Setup(
        [sys.argv[0], *flags, "-print_final_stats=1", str(corpus)], one, custom_mutator=change
    )
    atheris.Fuzz()


OTHERS = (
    "association",
    "cleaning",
    "files",
    "image_candidates",
    "image_reports",
    "image_scope",
    "image_table",
    "rules",
)
"""Modules and packages whose branches depend on what is in the files, besides the readers."""


def instrument() -> None:
    """Load the readers so that atheris sees which of their branches are taken."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(
        include=[
            "regionbatch.readers",
            *(f"regionbatch.{name}" for name in OTHERS),
            "yaml",
            "imagesize",
        ]
    ):
        for name in (
            "readers.coco.reader",
            "readers.voc.reader",
            "readers.voc.xml",
            "readers.yolo.reader",
            *OTHERS,
        ):
            importlib.import_module(f"regionbatch.{name}")
        importlib.import_module("yaml")
        importlib.import_module("imagesize")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz a reader; see the docstring of this file.")
    parser.add_argument("target", choices=[*TARGETS, LAYOUT])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, default=sys.maxsize, help="inputs at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--atheris", action="store_true", help="guide by coverage (pip install atheris)"
    )
    parser.add_argument(
        "--found", type=Path, default=Path("found"), help="folder for inputs that fail a check"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="check one saved input")
    given = parser.parse_args()
    memory = Path("/dev/shm")
    if given.atheris:
        instrument()
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        is_layout = given.target == LAYOUT
        checked = LayoutSandbox() if is_layout else sandbox(given.target, Path(name) / "sandbox")
        if given.replay:
            print(checked.check(given.replay.read_bytes()))
            return
        run = FuzzRun(checked, given)
        inputs = layout_seeds() if is_layout else seeds(given.target)
        if given.atheris:
            run_atheris(run, inputs, given.seed, Path(name), given.found)
        else:
            change = changed_layout if is_layout else changed_bytes
            run_random(run, inputs, given.seed, change)
            run.print()


if __name__ == "__main__":
    main()
