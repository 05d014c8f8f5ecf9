"""Measure regionbatch and its rivals on this machine: whole processes, in turn, medians.

    python tests/benchmarks/run.py [coco voc yolo] [--scale 1] [--repeat 3] [--only regionbatch plain]
    python tests/benchmarks/run.py --growth [coco voc yolo]      time and memory from 1 % to 100 %
    python tests/benchmarks/run.py startup                       CPU time of starting

Prints Markdown tables. regionbatch is the one of this checkout; rivals.py says what the others do and how to install
them, and those that are missing are said so. Sets are generated once and kept under --out: 1.5 GB at scale 1, most of
it small files. Peak memory is that of the largest process of a contestant, as POSIX systems count it (ru_maxrss: pages
of mapped files included), so this runs on Linux and macOS only.
"""

# This process stays small: Linux hands the parent's peak memory on to a child (exec keeps the high-water mark), so
# neither NumPy nor a generator may run in here.
# ruff: noqa: T201 - a command prints
from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SETS = ("coco", "voc", "yolo")
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT / "converters"), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")])
}
LIBRARIES = ("numpy", "msgspec", "orjson", "lxml", "click", "pycocotools", "globox", "hotcoco", "supervision")


@dataclass(frozen=True)
class Contestant:
    """Who runs, and on which sets."""

    name: str
    does: str
    sets: tuple[str, ...] = SETS
    package: str | None = None
    """What must be installed."""


CONTESTANTS = (
    Contestant("regionbatch", "whole job"),
    Contestant("plain", "whole job"),
    Contestant("plain-gc-off", "whole job, collector off"),
    Contestant("pycocotools", "load", ("coco",), "pycocotools"),
    Contestant("globox", "read", package="globox"),
    Contestant("hotcoco", "load", package="hotcoco"),
    Contestant("supervision", "read", ("yolo",), "supervision"),
    Contestant("touch", "move the bytes"),
)


@dataclass(frozen=True)
class Run:
    """One process: seconds, megabytes (10^6 bytes), and what it printed."""

    wall: float
    cpu: float
    peak: float
    status: int
    printed: str
    complained: str


@dataclass
class Result:
    """All runs of a contestant on a set; medians are None where nothing ran."""

    set: str
    scale: float
    contestant: str
    does: str
    facts: dict[str, int]
    trouble: str = ""
    runs: list[Run] = field(default_factory=list)

    def median(self, what: str) -> float | None:
        """The median of wall, cpu or peak."""
        return median(getattr(run, what) for run in self.runs) if self.runs and not self.trouble else None


def measure(command: list[str]) -> Run:
    """Run a command to its end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
        start = time.perf_counter()
        process = os.posix_spawn(command[0], command, ENVIRONMENT, file_actions=actions)
        _, status, used = os.wait4(process, 0)
        wall = time.perf_counter() - start
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace").strip())
    unit = 1 if sys.platform == "darwin" else 1024
    code = os.waitstatus_to_exitcode(status)
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e6, code, texts[0], texts[1])


def python(*arguments: object) -> list[str]:
    """A command for this Python."""
    return [sys.executable, *map(str, arguments)]


def data_set(kind: str, scale: float, seed: int, out: Path) -> Path:
    """The folder of a generated set, made if it is not there."""
    folder = out / f"{kind}-{scale:g}-{seed}"
    if not folder.exists():
        say(f"generating {folder}")
        out.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=out)) / "half"
        made = measure(python(HERE / "generate.py", kind, half, "--scale", scale, "--seed", seed))
        if made.status:
            sys.exit(f"generate.py failed: {made.complained}")
        half.rename(folder)
        half.parent.rmdir()
    return folder


def command_of(name: str, kind: str, data: Path, target: Path) -> list[str]:
    """What a contestant runs on a set."""
    if name != "regionbatch":
        return python(HERE / "rivals.py", name, kind, data, target)
    ids = ("--tags", data / "tags.json", "--images", data / "images.json")
    return python("-m", "regionbatch_cli", "convert", data / "dataset", "-o", target, *ids)


def compete(result: Result, data: Path, target: Path) -> None:
    """Run a contestant once more, unless it is in trouble, and check how many boxes it saw."""
    if result.trouble:
        return
    target.unlink(missing_ok=True)
    run = measure(command_of(result.contestant, result.set, data, target))
    say(f"{result.set} {result.scale:g} {result.contestant}: {run.wall:.2f} s, {run.peak:.0f} MB")
    result.runs.append(run)
    boxes = result.facts["regions"]
    if run.status:
        result.trouble = f"failed with {run.status}: {(run.complained.splitlines() or ['no message'])[-1]}"
    elif "whole job" in result.does and (wrote := count_regions(target)) != boxes:
        result.trouble = f"wrote {wrote:,} of {boxes:,} boxes"
    elif result.contestant != "regionbatch" and run.printed and int(run.printed) != boxes:
        result.trouble = f"saw {run.printed} of {boxes:,} boxes"


def count_regions(target: Path) -> int:
    """The regions in a JSONL file."""
    with target.open("rb") as file:
        return sum(line.count(b'"imageId"') for line in file)


def run_all(kinds: list[str], scales: list[float], given: argparse.Namespace) -> list[Result]:
    """Let the contestants run in turn, as often as asked, on one format after the other."""
    results = []
    for kind in kinds:
        folders = {scale: data_set(kind, scale, given.seed, given.out) for scale in scales}
        entries = [
            (Result(kind, scale, who.name, who.does, json.loads((folder / "facts.json").read_bytes())), folder)
            for scale, folder in folders.items()
            for who in CONTESTANTS
            if kind in who.sets and (not given.only or who.name in given.only)
        ]
        for result, _ in entries:
            package = next(who.package for who in CONTESTANTS if who.name == result.contestant)
            if package and not version(package):
                result.trouble = "not installed"
        for folder in folders.values():  # the first to come would pay for reading from the disk
            measure(command_of("touch", kind, folder, given.out / "touch.jsonl"))
        for _ in range(given.repeat):
            for result, folder in entries:
                compete(result, folder, given.out / f"{result.contestant}.jsonl")
        results += [result for result, _ in entries]
    return results


def table(results: list[Result]) -> str:
    """The contestants on one set, with ratios to regionbatch (to the first one, where it did not run)."""
    first = next((result for result in results if result.median("wall")), results[0])
    facts = first.facts
    lines = [
        f"{first.set}, scale {first.scale:g}: {facts['images']:,} images, {facts['regions']:,} boxes, "
        f"{facts['bytes'] / 1e6:,.0f} MB; ratios to {first.contestant}; medians of {len(first.runs)}",
        "",
        "| | does | wall s (least-most) | CPU s | peak MB | wall ratio | memory ratio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        walls = [run.wall for run in result.runs]
        cells = (
            [
                f"{result.median('wall'):.2f} ({min(walls):.2f}-{max(walls):.2f})",
                f"{result.median('cpu'):.2f}",
                f"{result.median('peak'):.0f}",
                *(f"{(result.median(what) or 0) / (first.median(what) or 1):.2f}" for what in ("wall", "peak")),
            ]
            if result.median("wall")
            else [result.trouble, "", "", "", ""]
        )
        lines.append(f"| {' | '.join([result.contestant, result.does, *cells])} |")
    return "\n".join(lines)


def growth_table(results: list[Result]) -> str:
    """One contestant on one set at several scales."""
    lines = [
        f"{results[0].set}: growth of {results[0].contestant}; medians of {len(results[0].runs)}",
        "",
        "| scale | boxes | wall s | CPU s | peak MB | wall, microseconds a box |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        wall, cpu, peak = (result.median(what) or float("nan") for what in ("wall", "cpu", "peak"))
        boxes = result.facts["regions"]
        cells = [
            f"{result.scale:g}",
            f"{boxes:,}",
            f"{wall:.2f}",
            f"{cpu:.2f}",
            f"{peak:.0f}",
            f"{wall / boxes * 1e6:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |{result.trouble}")
    return "\n".join(lines)


def start_up(given: argparse.Namespace) -> tuple[str, list[dict[str, Any]]]:
    """CPU time of commands that do little, as a table and as rows."""
    data = data_set("coco", 0.001, given.seed, given.out)
    target = given.out / "tiny.jsonl"
    commands = {
        "`python -c pass`": python("-c", "pass"),
        '`python -c "import click"`': python("-c", "import click"),
        '`python -c "import regionbatch"`': python("-c", "import regionbatch"),
        "`regionbatch --help`": python("-m", "regionbatch_cli", "--help"),
        "a conversion of 860 boxes": [*command_of("regionbatch", "coco", data, target), "--overwrite"],
    }
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(given.repeat):
        for name, command in commands.items():
            run = measure(command)
            if run.status:
                sys.exit(f"{name} failed with {run.status}: {run.complained}")
            runs[name].append(run)
    medians = {name: 1000 * median(run.cpu for run in of) for name, of in runs.items()}
    click = medians['`python -c "import click"`']
    lines = [f"Medians of {given.repeat}", "", "| | CPU ms | to `import click` |", "| --- | --- | --- |"]
    lines += [f"| {name} | {cpu:.0f} | {cpu / click:.2f} |" for name, cpu in medians.items()]
    return "\n".join(lines), [{"command": name, "cpu_ms": cpu} for name, cpu in medians.items()]


def version(package: str) -> str:
    """The version of an installed package, or nothing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def machine() -> dict[str, str]:
    """What everything ran on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, {platform.system()}",
        "Python": platform.python_version(),
        **{name: found for name in LIBRARIES if (found := version(name))},
    }


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[*SETS, "startup", []], help="sets to run on; all if none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="1: as large as the published set")
    parser.add_argument("--growth", action="store_true", help="regionbatch alone at scales 0.01, 0.1 and 1")
    parser.add_argument("--repeat", type=int, help="3; for startup 10")
    parser.add_argument("--only", nargs="+", choices=[who.name for who in CONTESTANTS], metavar="NAME")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "regionbatch-benchmarks")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    given = parser.parse_args()
    given.repeat = given.repeat or (10 if "startup" in given.what else 3)
    if given.growth:
        given.only = ["regionbatch"]
    return given


def main() -> int:
    """Measure and print."""
    if sys.platform == "win32":
        sys.exit("the benchmark needs a POSIX system: Windows has no wait4 to tell a process's peak memory")
    given = options()
    if "startup" in given.what:
        text, rows = start_up(given)
        trouble = False
    else:
        scales = [0.01, 0.1, 1.0] if given.growth else [given.scale]
        results = run_all(given.what or list(SETS), scales, given)
        by_set = [[result for result in results if result.set == kind] for kind in given.what or SETS]
        text = "\n\n".join((growth_table if given.growth else table)(part) for part in by_set)
        rows = [asdict(result) | {what: result.median(what) for what in ("wall", "cpu", "peak")} for result in results]
        trouble = any(result.trouble not in ("", "not installed") for result in results)
    if given.json:
        print(json.dumps({"machine": machine(), "results": rows}, indent=2))
    else:
        print(f"{', '.join(f'{name} {value}' if name != 'machine' else value for name, value in machine().items())}\n")
        print(text)
    return int(trouble)


if __name__ == "__main__":
    sys.exit(main())
