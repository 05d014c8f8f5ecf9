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
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import regionbatch
from regionbatch.local import Fault

sys.path.insert(0, str(Path(__file__).parents[1]))

from customvision.rehearsal import DEFECTS, run_with_faults, write_dataset
from customvision.soak_costs import measure, memory, speed
from customvision.soak_kills import soak_kills, soak_pruning

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
        case "measure":
            measure(*given.arguments)


if __name__ == "__main__":
    main()
