"""Long runs: uploads against faults, `kill -9`, time and memory. Everything stays on 127.0.0.1.

    python tests/customvision/soak.py faults --runs 100
    python tests/customvision/soak.py kill --times 50
    python tests/customvision/soak.py speed --regions 100000
    python tests/customvision/soak.py memory --regions 64000 640000

regionbatch must be importable: installed, or with PYTHONPATH=converters:cli.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import regionbatch
from regionbatch.customvision.rate import Pace
from regionbatch.local import Fault, Settings

sys.path.insert(0, str(Path(__file__).parents[1]))

from customvision.rehearsal import Clock, expected, rehearsal, run_with_faults, stored, switches, write_set

from helpers import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regionbatch import Dataset, TrainingClient
    from regionbatch.local import LocalService

WRITES = ("CreateTag", "CreateImagesFromFiles", "CreateImageRegions")
SETTLE = 0.3
"""Seconds after which a call to this machine is over."""


# Faults: each alone, and all mixed, at 20 % of the calls.


def soak_faults(runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dataset = regionbatch.read(write_set(Path(folder)))
        for kinds in [*[(kind,) for kind in Fault], tuple(Fault)]:
            begun, met = time.monotonic(), Counter[Fault]()
            for seed in range(runs):
                met += run_with_faults(dataset, seed, kinds)
            name = kinds[0] if len(kinds) == 1 else "all mixed"
            seconds = time.monotonic() - begun
            print(f"{name:<16} {runs} runs, {met.total():>5} faults, 0 lost, 0 twice, {seconds:6.1f} s", flush=True)


# kill -9 at a random moment, then again from the start.


def child(folder: str, endpoint: str, key: str, project: str, journal: str) -> None:
    """The process that is killed: one upload, with a line when it begins and one when it ends."""
    dataset = regionbatch.read(folder)
    upload = regionbatch.upload  # imports what it needs, before the moments that are tested
    with regionbatch.TrainingClient(endpoint, key) as client:
        print("begin", flush=True)
        begun, pace = time.monotonic(), Pace(200, settle=SETTLE)
        result = upload(dataset, client, project, create_tags=True, journal=journal, pace=pace)
    said = {"sent": result.sent, "seconds": time.monotonic() - begun, "proof": str(result.verification)}
    print(json.dumps(said), flush=True)


def run_child(arguments: list[str], kill_after: float | None = None) -> dict[str, Any] | None:
    """Run it; what it said, or None when it was killed."""
    command = [sys.executable, __file__, "child", *arguments]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        if kill_after is not None:
            time.sleep(kill_after)  # a moment of its run is what is tested
            process.kill()
        said = process.stdout.read()
    return json.loads(said) if said else None


def killed_once(dataset: Dataset, folder: Path, seed: int, longest: float) -> tuple[float, dict[str, int]]:
    """Kill an upload once, or more often, then finish it; the first moment, and what had been written by then."""
    rng = random.Random(seed)
    settings, _ = switches(seed)
    settings = Settings(on_existing=settings.on_existing, latency=0.02, seed=seed)
    with rehearsal(settings) as (service, project, _), tempfile.TemporaryDirectory() as journals:
        journal = Path(journals) / "journal.sqlite"
        arguments = [str(folder), service.endpoint, service.key, project, str(journal)]
        moments = [rng.uniform(0, longest) for _ in range(rng.choice([1, 1, 2, 3]))]
        run_child(arguments, moments[0])
        written = {name: service.calls[name] for name in WRITES}
        for moment in moments[1:]:
            run_child(arguments, moment)
        last = run_child(arguments)
        assert last is not None
        assert last["proof"] == f"{len(dataset)} verified, 0 missing, 0 moved, 0 extra"
        check_exact(dataset, service, project, journal)
        before = {name: service.calls[name] for name in WRITES}
        again = run_child(arguments)
        assert again is not None
        assert again["sent"] == 0
        assert {name: service.calls[name] for name in WRITES} == before, "a finished upload sent something again"
        return moments[0], written


def check_exact(dataset: Dataset, service: LocalService, project: str, journal: Path) -> None:
    """See that the service has exactly the dataset's regions."""
    with regionbatch.TrainingClient(service.endpoint, service.key) as client:
        pace = Clock().pace()
        result = regionbatch.upload(dataset, client, project, journal=journal, dry_run=True, pace=pace)
    there, wanted = stored(service, project), expected(dataset, result)
    assert (wanted - there).total() == 0, "regions were lost"
    assert (there - wanted).total() == 0, "regions are there twice"


def soak_kills(times: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write_set(Path(name), images=48, boxes=120)
        dataset = regionbatch.read(folder)
        longest = unharmed(folder)
        print(f"{len(dataset)} regions; a run takes {longest:.2f} s")
        stages: Counter[str] = Counter()
        for seed in range(times):
            moment, written = killed_once(dataset, folder, seed, longest)
            stage = next((name for name in reversed(WRITES) if written[name]), "before any write")
            stages[stage] += 1
            print(f"killed after {moment:.3f} s, {written}: nothing lost, nothing twice", flush=True)
        print(f"{times} runs; last write before the first kill: {dict(stages)}")


def unharmed(folder: Path) -> float:
    """Seconds that a run takes that is left alone."""
    with rehearsal(Settings(latency=0.02)) as (service, project, _), tempfile.TemporaryDirectory() as journals:
        said = run_child([str(folder), service.endpoint, service.key, project, str(Path(journals) / "journal.sqlite")])
        assert said is not None
        return float(said["seconds"])


# Time and memory.


def many_regions(count: int) -> Iterator[tuple[Path, Dataset]]:
    """A set of so many regions, 250 an image."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_set(Path(name), images=count // 250 + 1, boxes=250)
        yield folder, regionbatch.read(folder)


def timed(dataset: Dataset, calls_per_second: float, in_flight: int, latency: float) -> tuple[float, Counter[str]]:
    """Seconds that the regions take, and the calls of the run."""
    marks: dict[str, float] = {}

    def progress(what: str, _done: int, _total: int) -> None:
        marks.setdefault(what, time.monotonic())
        marks["last " + what] = time.monotonic()

    def upload(client: TrainingClient, project: str) -> Counter[str]:
        pace = Pace(calls_per_second)
        result = regionbatch.upload(
            dataset, client, project, create_tags=True, progress=progress, pace=pace, in_flight=in_flight
        )
        assert result.verification is not None
        assert result.verification.good
        assert result.plan.calls == result.calls, "other calls were made than the plan said"
        return Counter(result.calls)

    with LocalServiceOfItsOwn(latency) as (endpoint, key, project), regionbatch.TrainingClient(endpoint, key) as client:
        calls = upload(client, project)
    return marks["last sending regions"] - marks["last uploading pictures"], calls


class LocalServiceOfItsOwn:
    """`regionbatch serve` in a process of its own, so that it does not share our Python."""

    def __init__(self, latency: float) -> None:
        command = [sys.executable, "-m", "regionbatch_cli", "serve", "--json", "--latency", str(latency)]
        self._process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, encoding="utf-8")

    def __enter__(self) -> tuple[str, str, str]:
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "}\n")
        told = json.loads("".join(lines) + "}")
        return told["endpoint"], told["key"], told["project"]

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def speed(count: int, latency: float) -> None:
    for _, dataset in many_regions(count):
        batches = -(-len(dataset) // 64)
        print(f"{len(dataset)} regions, {batches} batches, {latency * 1000:.0f} ms latency")
        for name, rate, flight, bound in (
            ("10 calls a second, 10 in flight", 10.0, 10, batches / 10),
            ("no limit, 10 in flight", float("inf"), 10, batches * latency / 10),
            ("no limit, one at a time", float("inf"), 1, batches * latency),
        ):
            seconds, calls = timed(dataset, rate, flight, latency)
            assert calls["CreateImageRegions"] == batches
            print(f"{name:<32} {seconds:7.1f} s; bound {bound:6.1f} s ({seconds / bound:.2f})", flush=True)


def memory(counts: list[int]) -> None:
    """Peak memory of a process that uploads so many regions, and of one that only reads them; on Linux."""
    for count in counts:
        for folder, dataset in many_regions(count):
            peaks = []
            for work in ("read", "upload"):
                with LocalServiceOfItsOwn(0) as (endpoint, key, project):
                    command = [sys.executable, __file__, "measure", work, str(folder), endpoint, key, project]
                    done = subprocess.run(command, env=environment(), capture_output=True, encoding="utf-8", check=True)
                    peaks.append(int(done.stdout))
            print(
                f"{len(dataset):>8} regions: {peaks[0]:.0f} MB to read them, {peaks[1]} MB to upload them, "
                f"{(peaks[1] - peaks[0]) * 2**20 / len(dataset):.0f} bytes more a region",
                flush=True,
            )


def measure(work: str, folder: str, endpoint: str, key: str, project: str) -> None:
    dataset = regionbatch.read(folder)
    if work == "upload":
        with regionbatch.TrainingClient(endpoint, key) as client:
            result = regionbatch.upload(dataset, client, project, create_tags=True, pace=Pace(float("inf")))
        assert result.lost == 0
    # Linux: the process's own peak. That of `resource` begins with the parent's.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("faults").add_argument("--runs", type=int, default=100)
    commands.add_parser("kill").add_argument("--times", type=int, default=50)
    speeds = commands.add_parser("speed")
    speeds.add_argument("--regions", type=int, default=100_000)
    speeds.add_argument("--latency", type=float, default=0.1)
    commands.add_parser("memory").add_argument("--regions", type=int, nargs="+", default=[64_000, 640_000])
    commands.add_parser("child").add_argument("arguments", nargs=5)
    commands.add_parser("measure").add_argument("arguments", nargs=5)
    given = parser.parse_args()
    match given.command:
        case "faults":
            soak_faults(given.runs)
        case "kill":
            soak_kills(given.times)
        case "speed":
            speed(given.regions, given.latency)
        case "memory":
            memory(given.regions)
        case "child":
            child(*given.arguments)
        case "measure":
            measure(*given.arguments)


if __name__ == "__main__":
    main()
