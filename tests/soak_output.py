"""Kill `convert` while other files appear in its output, and check that nothing is lost.

    python tests/soak_output.py --kills 100
    python tests/soak_output.py --steps

Each run is killed at a random moment or (`--steps`) at each step on the disk in turn. Meanwhile
other programs' files appear in its output. Then the command is run again to its end. regionbatch
must be importable: installed, or with PYTHONPATH=converters:cli.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import regionbatch as rb
from helpers import Box, batches_of, command, environment, write_coco, write_id_files
from regionbatch.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
TARGETS = ("out", "out.jsonl")
EVENTS = frozenset(
    ("open", "os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.listdir")
)
"""Python's audit events of steps on the disk."""


class Steps:
    """Counts the steps on the disk below a folder, and calls an action once, before one of them."""

    def __init__(self) -> None:
        """Add an audit hook, which stays until the process ends."""
        self._folder, self._at, self._count = "", 0, 0
        self._action: Callable[[], object] = lambda: None
        sys.addaudithook(self._step)

    def _step(self, event: str, given: tuple[object, ...]) -> None:
        if self._folder and event in EVENTS and str(given[0]).startswith(self._folder):
            self._count += 1
            if self._count == self._at:
                folder, self._folder = self._folder, ""
                self._action()
                self._folder = folder

    def run(
        self, work: Callable[[], object], folder: Path, at: int, action: Callable[[], object]
    ) -> int:
        """Do some work, with an action before a step; return the number of steps."""
        self._folder, self._at, self._count, self._action = str(folder), at, 0, action
        try:
            with suppress(OutputError):
                work()
        finally:
            self._folder = ""
        return self._count


def everything_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def put(path: Path, content: bytes) -> bool:
    """Create a file like another program; return whether that succeeded."""
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
        return True
    return False


def in_output(found: dict[str, bytes], target: str) -> list[bytes]:
    """Return the payloads under the name of the output, in order."""
    if target == "out":
        return [body for name, body in sorted(found.items()) if name.startswith("out/batch-")]
    return found.get(target, b"").splitlines()


class ExpectedFiles:
    """The files after a run: those of other programs, and the complete earlier or new output."""

    def __init__(self, home: Path, target: str, earlier: list[bytes], new: list[bytes]) -> None:
        """Start without files of other programs."""
        self.home, self.target, self.earlier, self.new = home, target, earlier, new
        self.others: set[bytes] = set()

    def appear(self, name: str = "") -> None:
        """Create a file of another program at the target, or in it."""
        content = f"another program's file {len(self.others)}".encode()
        if put(self.home / self.target / name if name else self.home / self.target, content):
            self.others.add(content)

    def check(self) -> str:
        """Check that nothing is lost; return what has the name of the output."""
        found = everything_below(self.home)
        contents = set(found.values())
        assert self.others <= contents, "a file of another program is lost"
        there = [body for body in in_output(found, self.target) if body not in self.others]
        assert there in ([], self.earlier, self.new), "the output is incomplete"
        if there == self.new:
            return "new"
        aside = [body for body in contents if self.earlier and body.startswith(self.earlier[0])]
        assert there == self.earlier or aside, "the earlier output is lost"
        return "earlier" if there else "nothing"


LISTENER = Steps()
INTERFERENCES = [
    (target, overwrite, name)
    for target in TARGETS
    for overwrite in (False, True)
    for name in ("", "notes.txt", "batch-00001.json")
]


def prepared(
    folder: str, target: str, overwrite: bool, batches: rb.Batches
) -> tuple[Path, ExpectedFiles, Callable[[], int]]:
    """Return a folder, the files expected in it, and a function that writes the output."""
    home = Path(folder).resolve()
    if overwrite:
        rb.write(batches[:2], home / target)
    expected = ExpectedFiles(
        home,
        target,
        in_output(everything_below(home), target),
        [batch.to_json() for batch in batches],
    )
    return home, expected, partial(rb.write, batches, home / target, overwrite=overwrite)


def at_each_step(target: str, overwrite: bool, name: str) -> int:
    """Write output once for each of its steps, before which a file appears; return their number."""
    batches = small_batches()
    total = at = 0
    while at <= total:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            home, expected, work = prepared(folder, target, overwrite, batches)
            count = LISTENER.run(work, home, at, partial(expected.appear, name))
            expected.check()
        total = total or count
        at += 1
    return total


def killed_at_each_step(target: str, overwrite: bool) -> int:
    """Write output once for each of its steps, killed there and run again (POSIX only)."""
    batches = small_batches()
    for at in range(1, 1000):
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            home, expected, work = prepared(folder, target, overwrite, batches)
            if not (child := os.fork()):
                LISTENER.run(work, home, at, lambda: os._exit(9))
                os._exit(0)
            killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            expected.check()
            with suppress(OutputError):
                work()
            assert expected.check() == "new" or not overwrite, "the next run failed"
            if not killed:
                return at - 1
    raise AssertionError("too many steps")


def small_batches() -> rb.Batches:
    with tempfile.TemporaryDirectory() as name:
        rows: list[Box] = [("a.jpg", "cat", (number / 2, 5, 5, 5)) for number in range(129)]
        return batches_of(rb.read(write_coco(Path(name), rows), coco_boxes="pixels"))


# Kills of the command.


def kill_once(
    folder: Path, options: list[str], expected: ExpectedFiles, rng: random.Random, longest: float
) -> str:
    """Kill a run at a random moment while files appear, then run it again to its end.

    Returns:
        What had the name of the output after the kill.
    """
    output = expected.home / expected.target
    arguments = ["convert", str(folder), "-o", str(output), *options, "-q"]
    stop = threading.Event()

    def watch() -> None:
        names = ("", "notes.txt", "batch-00001.json", "batch-99999.json")
        while not stop.wait(rng.expovariate(1 / longest)):
            expected.appear(rng.choice(names if expected.target == "out" else names[:1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    program = [sys.executable, "-m", "regionbatch_cli", *arguments]
    with subprocess.Popen(program, env=environment(), stderr=subprocess.DEVNULL) as run:
        with suppress(subprocess.TimeoutExpired):
            run.wait(rng.uniform(0.2, 1.1) * longest)
        killed = run.poll() is None
        run.kill()
    stop.set()
    watcher.join()
    after = expected.check() if killed else "ended before the kill"
    assert command(*arguments).status in (0, 1)
    expected.check()
    return after


def soak_kills(times: int) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        top = Path(name)
        rows: list[Box] = [
            (f"{number % 500}.jpg", "cat", (number / 1000, 5, 5, 5)) for number in range(64 * 2000)
        ]
        folder = write_coco(top / "set", rows)
        dataset = rb.read(folder)
        options = write_id_files(top, dataset)
        batches = batches_of(dataset)
        new = [batch.to_json() for batch in batches]
        for target in TARGETS:
            longest = timed(folder, options, top / "first" / target)
            for overwrite in (False, True):
                seen: Counter[str] = Counter()
                others = 0
                for seed in range(times):
                    home = top / "home"
                    home.mkdir()
                    if overwrite:
                        rb.write(batches[:50], home / target)
                    expected = ExpectedFiles(
                        home, target, in_output(everything_below(home), target), new
                    )
                    again = [*options, "--overwrite"] if overwrite else options
                    seen[kill_once(folder, again, expected, random.Random(seed), longest)] += 1
                    others += len(expected.others)
                    shutil.rmtree(home)
                options_shown = " --overwrite" if overwrite else ""
                what = f"{target}{options_shown}: {times} runs of {longest:.1f} s"
                shown = ", ".join(f"{count} {state}" for state, count in seen.most_common())
                print(
                    f"{what}, {others} files appeared, 0 lost; then the output was: {shown}",
                    flush=True,
                )


def timed(folder: Path, options: list[str], target: Path) -> float:
    """Return the seconds that a run takes in a new process."""
    start = time.monotonic()
    arguments = ["-m", "regionbatch_cli", "convert", str(folder), "-o", str(target), *options]
    subprocess.run(
        [sys.executable, *arguments], env=environment(), check=True, stdout=subprocess.DEVNULL
    )
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kills", type=int, default=0, help="Runs to kill for each kind of output."
    )
    parser.add_argument("--steps", action="store_true")
    given = parser.parse_args()
    logging.disable()  # Hide warnings about restored output.
    for target, overwrite, name in INTERFERENCES if given.steps else ():
        what = f"{target}{' --overwrite' if overwrite else ''}: {target}{name and '/'}{name}"
        print(
            f"{what} appears at each of {at_each_step(target, overwrite, name)} steps, 0 lost",
            flush=True,
        )
        if not name:
            steps = killed_at_each_step(target, overwrite)
            print(f"the same killed at each of {steps} steps, 0 lost", flush=True)
    soak_kills(given.kills)


if __name__ == "__main__":
    main()
