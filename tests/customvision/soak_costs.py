"""Time and memory of uploads."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from customvision.rehearsal import write_dataset

import regionbatch
from helpers import environment
from regionbatch.customvision.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regionbatch import Dataset, TrainingClient, UploadResult

SOAK = Path(__file__).with_name("soak.py")


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
                        str(SOAK),
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
