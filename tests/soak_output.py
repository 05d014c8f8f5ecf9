"""Kills of `convert`, while a watcher creates files under its output: nothing of anybody is lost.

    python tests/soak_output.py --kills 100
    python tests/soak_output.py --steps

Each run is killed at a random moment, or (`--steps`) at each step on the disk in turn. Meanwhile files of somebody else
appear where the output goes. Then the command is run again to its end. regionbatch must be importable: installed, or
with PYTHONPATH=converters:cli.
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
EVENTS = frozenset(("open", "os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.listdir"))
"""Steps on the disk, as Python's audit events call them."""


class Steps:
    """Does something once, just before the step of a number; counts the steps below a folder."""

    def __init__(self) -> None:
        """Begin to listen; an audit hook stays until the process ends."""
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

    def run(self, work: Callable[[], object], folder: Path, at: int, action: Callable[[], object]) -> int:
        """Do some work, with an action at the step of a number; return how many steps it was."""
        self._folder, self._at, self._count, self._action = str(folder), at, 0, action
        try:
            with suppress(OutputError):
                work()
        finally:
            self._folder = ""
        return self._count


def everything_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put(path: Path, content: bytes) -> bool:
    """Create a file as somebody else would; whether it could be."""
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
        return True
    return False


def in_output(found: dict[str, bytes], target: str) -> list[bytes]:
    """The payloads of an output that is in place, in their order."""
    if target == "out":
        return [body for name, body in sorted(found.items()) if name.startswith("out/batch-")]
    return found.get(target, b"").splitlines()


class Account:
    """What must be there after a run: files of others, and the former output or the new one, whole."""

    def __init__(self, home: Path, target: str, former: list[bytes], new: list[bytes]) -> None:
        """Know both outputs; there are no files of others yet."""
        self.home, self.target, self.former, self.new = home, target, former, new
        self.others: set[bytes] = set()

    def appear(self, name: str = "") -> None:
        """Have a file of somebody else appear at the target, or in it."""
        content = f"somebody's file {len(self.others)}".encode()
        if put(self.home / self.target / name if name else self.home / self.target, content):
            self.others.add(content)

    def check(self) -> str:
        """See that nothing is lost; say what is in place."""
        found = everything_below(self.home)
        contents = set(found.values())
        assert self.others <= contents, "a file of somebody else is lost"
        there = [body for body in in_output(found, self.target) if body not in self.others]
        assert there in ([], self.former, self.new), "an output that is not whole"
        if there == self.new:
            return "new"
        aside = [body for body in contents if self.former and body.startswith(self.former[0])]
        assert there == self.former or aside, "the former output is lost"
        return "former" if there else "nothing"


LISTENER = Steps()
INTERFERENCES = [
    (target, overwrite, name)
    for target in TARGETS
    for overwrite in (False, True)
    for name in ("", "notes.txt", "batch-00001.json")
]


def prepared(folder: str, target: str, overwrite: bool, batches: rb.Batches) -> tuple[Path, Account, Callable[[], int]]:
    """Return a home, with an older output to overwrite or not, its account, and the work of writing a new one."""
    home = Path(folder).resolve()
    if overwrite:
        rb.write(batches[:2], home / target)
    account = Account(home, target, in_output(everything_below(home), target), [batch.to_json() for batch in batches])
    return home, account, partial(rb.write, batches, home / target, overwrite=overwrite)


def at_each_step(target: str, overwrite: bool, name: str) -> int:
    """Write an output as often as it takes steps; at each in turn, a file appears. Return how many steps it takes."""
    batches = small()
    total = at = 0
    while at <= total:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            home, account, work = prepared(folder, target, overwrite, batches)
            count = LISTENER.run(work, home, at, partial(account.appear, name))
            account.check()
        total = total or count
        at += 1
    return total


def killed_at_each_step(target: str, overwrite: bool) -> int:
    """Write an output as often as it takes steps, killed at each in turn, then again to its end. On POSIX."""
    batches = small()
    for at in range(1, 1000):
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            home, account, work = prepared(folder, target, overwrite, batches)
            if not (child := os.fork()):
                LISTENER.run(work, home, at, lambda: os._exit(9))
                os._exit(0)
            killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            account.check()
            with suppress(OutputError):
                work()
            assert account.check() == "new" or not overwrite, "the next run did not get through"
            if not killed:
                return at - 1
    raise AssertionError("too many steps")


def small() -> rb.Batches:
    with tempfile.TemporaryDirectory() as name:
        rows: list[Box] = [("a.jpg", "cat", (number / 2, 5, 5, 5)) for number in range(129)]
        return batches_of(rb.read(write_coco(Path(name), rows), coco_boxes="pixels"))


# Kills of the command.


def kill_once(folder: Path, options: list[str], account: Account, rng: random.Random, longest: float) -> str:
    """Kill a run at a random moment while files appear, then run it to its end; what was in place after the kill."""
    output = account.home / account.target
    arguments = ["convert", str(folder), "-o", str(output), *options, "-q"]
    stop = threading.Event()

    def watch() -> None:
        names = ("", "notes.txt", "batch-00001.json", "batch-99999.json")
        while not stop.wait(rng.expovariate(1 / longest)):
            account.appear(rng.choice(names if account.target == "out" else names[:1]))

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
    after = account.check() if killed else "ended before the kill"
    assert command(*arguments).status in (0, 1)
    account.check()
    return after


def soak_kills(times: int) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        top = Path(name)
        rows: list[Box] = [(f"{number % 500}.jpg", "cat", (number / 1000, 5, 5, 5)) for number in range(64 * 2000)]
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
                    account = Account(home, target, in_output(everything_below(home), target), new)
                    again = [*options, "--overwrite"] if overwrite else options
                    seen[kill_once(folder, again, account, random.Random(seed), longest)] += 1
                    others += len(account.others)
                    shutil.rmtree(home)
                what = f"{target}{' --overwrite' if overwrite else ''}: {times} runs of {longest:.1f} s"
                shown = ", ".join(f"{count} {what}" for what, count in seen.most_common())
                print(f"{what}, {others} files appeared, 0 lost; then in place: {shown}", flush=True)


def timed(folder: Path, options: list[str], target: Path) -> float:
    """Seconds that a run takes in a process of its own."""
    begun = time.monotonic()
    arguments = ["-m", "regionbatch_cli", "convert", str(folder), "-o", str(target), *options]
    subprocess.run([sys.executable, *arguments], env=environment(), check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0, help="of each kind of output")
    parser.add_argument("--steps", action="store_true")
    given = parser.parse_args()
    logging.disable()  # of what was given back
    for target, overwrite, name in INTERFERENCES if given.steps else ():
        what = f"{target}{' --overwrite' if overwrite else ''}: {target}{name and '/'}{name}"
        print(f"{what} appears at each of {at_each_step(target, overwrite, name)} steps, 0 lost", flush=True)
        if not name:
            print(f"the same killed at each of {killed_at_each_step(target, overwrite)} steps, 0 lost", flush=True)
    soak_kills(given.kills)


if __name__ == "__main__":
    main()
