"""Long runs: uploads against faults, `kill -9`, time and memory. Everything stays on 127.0.0.1.

    python tests/customvision/soak.py faults --runs 100
    python tests/customvision/soak.py lags --runs 100
    python tests/customvision/soak.py lags --runs 3 --real
    python tests/customvision/soak.py kill --times 50
    python tests/customvision/soak.py prune --times 50
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
from regionbatch.customvision.rate_limiter import RateLimiter
from regionbatch.local import Fault, Settings

sys.path.insert(0, str(Path(__file__).parents[1]))

from customvision.rehearsal import (
    DEFECTS,
    SIZE,
    Clock,
    expected_regions,
    rehearsal,
    run_with_faults,
    settings_of,
    stored_regions,
    write_dataset,
    write_image,
)

from helpers import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regionbatch import Dataset, TrainingClient, UploadResult
    from regionbatch.local import LocalService

WRITES = ("CreateTag", "CreateImagesFromFiles", "CreateImageRegions")
LOOKUP_DELAY = 0.1
"""Seconds after which a call to this machine has ended."""


# Faults: each alone, and all mixed, in 20 % of the calls.


def soak_faults(runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dataset = regionbatch.read(write_dataset(Path(folder)))
        for kinds in [*[(kind,) for kind in Fault], tuple(Fault)]:
            start = time.monotonic()
            met = Counter[Fault]()
            for seed in range(runs):
                met += run_with_faults(dataset, seed, kinds)
            name = kinds[0] if len(kinds) == 1 else "all mixed"
            seconds = time.monotonic() - start
            figures = f"{met.total():>5} faults, 0 lost, 0 twice, {seconds:6.1f} s"
            print(f"{name:<16} {runs} runs, {figures}", flush=True)


# Services that lag, round, move rows or write late, each alone and all at once.


def soak_lags(runs: int, *, real_time: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dataset = regionbatch.read(write_dataset(Path(folder)))
        for name, (kinds, drawn) in DEFECTS.items():
            start = time.monotonic()
            met = Counter[Fault]()
            for seed in range(runs):
                met += run_with_faults(dataset, seed, kinds, drawn, real_time=real_time)
            seconds = time.monotonic() - start
            figures = f"{met.total():>5} faults, 0 lost, {seconds:6.1f} s"
            print(f"{name:<20} {runs} runs, {figures}", flush=True)


# kill -9 at a random moment, then the same upload again.


def child(folder: str, endpoint: str, key: str, project: str, journal: str) -> None:
    """Upload in a process that is killed; print a line at the start and one at the end."""
    dataset = regionbatch.read(folder)
    upload = regionbatch.upload  # imported before the moments that are tested
    with regionbatch.TrainingClient(endpoint, key) as client:
        print("start", flush=True)
        start = time.monotonic()
        limiter = RateLimiter(200, lookup_delay=LOOKUP_DELAY)
        result = upload(
            dataset,
            client,
            project,
            create_tags=True,
            journal=journal,
            rate_limiter=limiter,
            prune=True,
            prune_limit="all",
        )
    summary = {
        "sent": result.sent,
        "deleted": result.deleted,
        "seconds": time.monotonic() - start,
        "verification": str(result.verification),
    }
    print(json.dumps(summary), flush=True)


def run_child(arguments: list[str], kill_after: float | None = None) -> dict[str, Any] | None:
    """Run the upload; return what it printed at the end, or None if it was killed."""
    command = [sys.executable, __file__, "child", *arguments]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "start\n"
        if kill_after is not None:
            time.sleep(kill_after)  # a random moment of the run
            process.kill()
        output = process.stdout.read()
    return json.loads(output) if output else None


def killed_once(
    dataset: Dataset, folder: Path, seed: int, longest: float
) -> tuple[float, dict[str, int]]:
    """Kill an upload at random moments, then finish it; return the first one and the writes."""
    rng = random.Random(seed)
    settings, _ = settings_of(seed)
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
        assert last["verification"] == f"{len(dataset)} verified, 0 missing, 0 moved, 0 extra"
        check_exact(dataset, service, project, journal)
        before = {name: service.calls[name] for name in WRITES}
        again = run_child(arguments)
        assert again is not None
        assert again["sent"] == 0
        assert {name: service.calls[name] for name in WRITES} == before, (
            "a finished upload sent something again"
        )
        return moments[0], written


def check_exact(dataset: Dataset, service: LocalService, project: str, journal: Path) -> None:
    """Check that the service has exactly the regions of the dataset."""
    with regionbatch.TrainingClient(service.endpoint, service.key) as client:
        limiter = Clock().rate_limiter()
        result = regionbatch.upload(
            dataset, client, project, journal=journal, dry_run=True, rate_limiter=limiter
        )
    stored, wanted = stored_regions(service, project), expected_regions(dataset, result)
    assert (wanted - stored).total() == 0, "regions were lost"
    assert (stored - wanted).total() == 0, "regions were sent twice"


def edit(folder: Path, rng: random.Random) -> None:
    """Move, delete and add boxes of a COCO dataset, and replace one of its images."""
    path = folder / "annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    kept = []
    for annotation in content["annotations"]:
        draw = rng.random()
        if draw < 0.1:
            continue
        if draw < 0.3:
            annotation["bbox"][0] = round(rng.uniform(0, SIZE - 9), 3)
        kept.append(annotation)
        if draw > 0.9:
            box = [round(rng.uniform(0, SIZE - 9), 3) for _ in range(2)]
            more = {**annotation, "id": 10_000 + annotation["id"], "bbox": [*box, 3, 5]}
            kept.append(more)
    content["annotations"] = kept
    path.write_text(json.dumps(content), encoding="utf-8")
    write_image(folder / "00001.png", (SIZE, SIZE), colour=rng.randrange(10_000, 60_000))


def edited_and_killed(seed: int) -> tuple[str, int, int]:
    """Upload, edit the dataset, and kill the upload that follows; return where it was killed."""
    rng = random.Random(seed)
    settings, _ = settings_of(seed)
    settings = Settings(on_existing=settings.on_existing, latency=0.02, seed=seed)
    with rehearsal(settings) as (service, project, _), tempfile.TemporaryDirectory() as name:
        folder = write_dataset(Path(name) / "set", images=20, boxes=100)
        journal = Path(name) / "journal.sqlite"
        arguments = [str(folder), service.endpoint, service.key, project, str(journal)]
        first = run_child(arguments)
        assert first is not None
        edit(folder, rng)
        before = service.calls.copy()
        for _ in range(rng.choice([1, 1, 2, 3])):
            run_child(arguments, rng.uniform(0, float(first["seconds"])))
        written = service.calls - before
        stages = [name for name in (*WRITES, "DeleteImageRegions") if written[name]]
        dataset = regionbatch.read(folder)
        last = run_child(arguments)
        assert last is not None
        assert last["verification"] == f"{len(dataset)} verified, 0 missing, 0 moved, 0 extra"
        check_exact(dataset, service, project, journal)
        again = run_child(arguments)
        assert again is not None
        assert (again["sent"], again["deleted"]) == (0, 0)
        return (stages or ["before any write"])[-1], int(last["sent"]), int(last["deleted"])


def soak_pruning(times: int) -> None:
    stages: Counter[str] = Counter()
    for seed in range(times):
        stage, sent, deleted = edited_and_killed(seed)
        stages[stage] += 1
        print(f"killed after {stage}; then {sent} sent, {deleted} deleted: in step", flush=True)
    print(f"{times} runs; last write before the last kill: {dict(stages)}")


def soak_kills(times: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write_dataset(Path(name), images=48, boxes=120)
        dataset = regionbatch.read(folder)
        longest = undisturbed_seconds(folder)
        print(f"{len(dataset)} regions; a run takes {longest:.2f} s")
        stages: Counter[str] = Counter()
        for seed in range(times):
            moment, written = killed_once(dataset, folder, seed, longest)
            stage = next((name for name in reversed(WRITES) if written[name]), "before any write")
            stages[stage] += 1
            print(
                f"killed after {moment:.3f} s, {written}: nothing lost, nothing twice", flush=True
            )
        print(f"{times} runs; last write before the first kill: {dict(stages)}")


def undisturbed_seconds(folder: Path) -> float:
    """Return the duration in seconds of a run that is not killed."""
    with (
        rehearsal(Settings(latency=0.02)) as (service, project, _),
        tempfile.TemporaryDirectory() as journals,
    ):
        last = run_child(
            [
                str(folder),
                service.endpoint,
                service.key,
                project,
                str(Path(journals) / "journal.sqlite"),
            ]
        )
        assert last is not None
        return float(last["seconds"])


# Time and memory.


def many_regions(count: int) -> Iterator[tuple[Path, Dataset]]:
    """Yield a dataset with a number of regions, 250 per image."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_dataset(Path(name), images=count // 250 + 1, boxes=250)
        yield folder, regionbatch.read(folder)


def timed(
    dataset: Dataset, calls_per_second: float, in_flight: int, latency: float
) -> tuple[float, float, UploadResult]:
    """Return the seconds that sending the regions and the whole run take, and its result."""
    marks: dict[str, float] = {}

    def progress(what: str, _done: int, _total: int) -> None:
        marks.setdefault(what, time.monotonic())
        marks["last " + what] = time.monotonic()

    def upload(client: TrainingClient, project: str) -> UploadResult:
        limiter = RateLimiter(calls_per_second)
        result = regionbatch.upload(
            dataset,
            client,
            project,
            create_tags=True,
            progress=progress,
            rate_limiter=limiter,
            in_flight=in_flight,
        )
        assert result.verification is not None
        assert result.verification.good
        assert result.plan.calls == result.calls, "the calls differ from the plan"
        return result

    with (
        SeparateService(latency) as (endpoint, key, project),
        regionbatch.TrainingClient(endpoint, key) as client,
    ):
        start = time.monotonic()
        result = upload(client, project)
        whole = time.monotonic() - start
    return marks["last sending regions"] - marks["last uploading images"], whole, result


class SeparateService:
    """`regionbatch serve` in a separate process, so that it does not share the interpreter."""

    def __init__(self, latency: float) -> None:
        command = [
            sys.executable,
            "-m",
            "regionbatch_cli",
            "serve",
            "--json",
            "--latency",
            str(latency),
        ]
        self._process = subprocess.Popen(
            command, env=environment(), stdout=subprocess.PIPE, encoding="utf-8"
        )

    def __enter__(self) -> tuple[str, str, str]:
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "}\n")
        started = json.loads("".join(lines) + "}")
        return started["endpoint"], started["key"], started["project"]

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
            seconds, whole, result = timed(dataset, rate, flight, latency)
            assert result.calls["CreateImageRegions"] == batches
            print(
                f"{name:<32} {seconds:7.1f} s; bound {bound:6.1f} s ({seconds / bound:.2f})",
                flush=True,
            )
            if rate == 10.0:
                print_calls(result, whole)


def print_calls(result: UploadResult, seconds: float) -> None:
    """Print what was sent, next to the plan."""
    print("| call | made | planned |\n| --- | --- | --- |")
    for operation in sorted({*result.calls, *result.plan.calls}):
        made, planned = result.calls.get(operation, 0), result.plan.calls.get(operation, 0)
        print(f"| {operation} | {made} | {planned} |")
    print(f"| seconds | {seconds:.0f} | {result.plan.minutes * 60:.0f} |", flush=True)


def memory(counts: list[int]) -> None:
    """Print the peak memory of processes that read and that upload a number of regions (Linux)."""
    for count in counts:
        for folder, dataset in many_regions(count):
            peaks = []
            for work in ("read", "upload"):
                with SeparateService(0) as (endpoint, key, project):
                    command = [
                        sys.executable,
                        __file__,
                        "measure",
                        work,
                        str(folder),
                        endpoint,
                        key,
                        project,
                    ]
                    done = subprocess.run(
                        command,
                        env=environment(),
                        capture_output=True,
                        encoding="utf-8",
                        check=True,
                    )
                    peaks.append(int(done.stdout))
            reading, uploading = peaks
            more = (uploading - reading) * 2**20 / len(dataset)
            print(
                f"{len(dataset):>8} regions: {reading} MB to read them, {uploading} MB to upload "
                f"them, {more:.0f} bytes more per region",
                flush=True,
            )


def measure(work: str, folder: str, endpoint: str, key: str, project: str) -> None:
    dataset = regionbatch.read(folder)
    if work == "upload":
        with regionbatch.TrainingClient(endpoint, key) as client:
            result = regionbatch.upload(
                dataset, client, project, create_tags=True, rate_limiter=RateLimiter(float("inf"))
            )
        assert result.lost == 0
    # The peak of this process; that of `resource` starts with the parent's.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("faults").add_argument("--runs", type=int, default=100)
    lags = commands.add_parser("lags")
    lags.add_argument("--runs", type=int, default=100)
    lags.add_argument("--real", action="store_true", help="wait in real time")
    commands.add_parser("kill").add_argument("--times", type=int, default=50)
    commands.add_parser("prune").add_argument("--times", type=int, default=50)
    speeds = commands.add_parser("speed")
    speeds.add_argument("--regions", type=int, default=100_000)
    speeds.add_argument("--latency", type=float, default=0.1)
    commands.add_parser("memory").add_argument(
        "--regions", type=int, nargs="+", default=[64_000, 640_000]
    )
    commands.add_parser("child").add_argument("arguments", nargs=5)
    commands.add_parser("measure").add_argument("arguments", nargs=5)
    given = parser.parse_args()
    match given.command:
        case "faults":
            soak_faults(given.runs)
        case "lags":
            soak_lags(given.runs, real_time=given.real)
        case "kill":
            soak_kills(given.times)
        case "prune":
            soak_pruning(given.times)
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
