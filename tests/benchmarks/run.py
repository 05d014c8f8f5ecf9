"""Measure regionbatch and its rivals on this machine: whole processes, in turn, medians.

    python tests/benchmarks/run.py [coco voc yolo] [--scale 1] [--repeat 3]
    python tests/benchmarks/run.py [coco voc yolo] --only regionbatch plain
    python tests/benchmarks/run.py [coco voc yolo] --growth [--scale 0.01 0.1 1]
    python tests/benchmarks/run.py startup

Prints Markdown tables. regionbatch is the one of this checkout. rivals.py describes the others and
how to install them; a missing one is listed as not installed. Every contestant must exit
with status 0 and see all boxes. Datasets are generated once and kept in --out: 1.5 GB at scale 1,
mostly small files. Peak memory is ru_maxrss of the contestant, which includes pages of mapped
files; this needs Linux or macOS. On Linux the peaks of its helper processes are added, although
they need not coincide; elsewhere compare memory with one-process.
"""

# This process must stay small, so it imports neither NumPy nor the generator: on Linux a child
# inherits the peak memory of its parent (exec keeps the high-water mark).

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ENVIRONMENT = os.environ | {
    "PYTHONDONTWRITEBYTECODE": "",  # installed programs have bytecode, so all contestants get it
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "regionbatch-bytecode"),
    "PYTHONPATH": os.pathsep.join(
        [str(ROOT / "converters"), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")]
    ),
}
SETS = ("coco", "voc", "yolo")
CONTESTANTS = {
    "regionbatch": ("whole job", SETS),
    "one-process": ("whole job, no helper", SETS),
    "plain": ("whole job", SETS),
    "plain-gc-off": ("whole job, collector off", SETS),
    "pycocotools": ("load", ("coco",)),
    "globox": ("load", SETS),
    "hotcoco": ("load", SETS),
    "panlabel": ("convert to COCO", SETS),
    "supervision": ("load", ("yolo",)),
    "touch": ("move the bytes", SETS),
}
"""What each contestant does, and with which datasets."""
LIBRARIES = (
    "numpy",
    "msgspec",
    "orjson",
    "lxml",
    "click",
    "pycocotools",
    "globox",
    "hotcoco",
    "panlabel",
    "supervision",
)


@dataclass(frozen=True)
class ProcessRun:
    """One process: seconds, megabytes (10^6 bytes), exit status, and what it printed."""

    wall: float
    cpu: float
    peak: float
    status: int
    printed: str
    complained: str


@dataclass
class Entry:
    """A row of a table: a command, its expected result, and its runs so far."""

    name: str
    does: str
    command: list[str]
    boxes: int | None = None
    """Boxes that must be in `target` or, without a target, be printed; None if not counted."""
    target: Path | None = None
    trouble: str = ""
    runs: list[ProcessRun] = field(default_factory=list)

    def median(self, what: str) -> float:
        """Return the median of `wall`, `cpu` or `peak`."""
        return float(median(getattr(run, what) for run in self.runs))


@dataclass
class Heat:
    """Commands that run in turn; `base` is the name of the one that ratios refer to."""

    title: str
    base: str
    entries: list[Entry]


def measure(command: list[str]) -> ProcessRun:
    """Run a command to its end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
        start = time.perf_counter()
        process = os.posix_spawn(command[0], command, ENVIRONMENT, file_actions=actions)
        helpers: dict[str, int] = {}
        ended = threading.Event()
        watcher = threading.Thread(target=watch, args=(process, helpers, ended))
        watcher.start()
        _, status, used = os.wait4(process, 0)
        wall = time.perf_counter() - start
        ended.set()
        watcher.join()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace").strip())
    peak = (
        used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) + sum(helpers.values())
    ) / 1e6
    return ProcessRun(
        wall,
        used.ru_utime + used.ru_stime,
        peak,
        os.waitstatus_to_exitcode(status),
        texts[0],
        texts[1],
    )


def watch(process: int, peaks: dict[str, int], ended: threading.Event) -> None:
    """Record the peak memory of a process's children in bytes until it has ended; Linux only."""
    children = Path(f"/proc/{process}/task/{process}/children")
    while not ended.wait(0.02):
        with suppress(OSError):
            for child in children.read_text(encoding="ascii").split():
                status = Path(f"/proc/{child}/status").read_text(encoding="utf-8")
                if found := re.search(r"VmHWM:\s*(\d+) kB", status):
                    peaks[child] = int(found[1]) * 1024


def python(*arguments: object) -> list[str]:
    """Return a command that runs this Python."""
    return [sys.executable, *map(str, arguments)]


def prepare_dataset(
    kind: str, scale: float, given: argparse.Namespace
) -> tuple[Path, dict[str, int]]:
    """Return the folder and the counts of a dataset, which is generated if it does not exist.

    All its files are read once, so that they are in the page cache.
    """
    folder = given.out / f"{kind}-{scale:g}-{given.seed}"
    if not folder.exists():
        say(f"generating {folder}")
        given.out.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=given.out)) / "half"
        made = measure(
            python(HERE / "generate.py", kind, half, "--scale", scale, "--seed", given.seed)
        )
        if made.status:
            sys.exit(f"generate.py failed: {made.complained}")
        half.rename(folder)
        half.parent.rmdir()
    target = given.out / "touch.jsonl"
    measure(python(HERE / "rivals.py", "touch", kind, folder, target))
    target.unlink()
    facts: dict[str, int] = json.loads((folder / "facts.json").read_bytes())
    return folder, facts


def regionbatch(data: Path, target: Path) -> list[str]:
    """Return the command that converts a dataset."""
    ids = ("--tag-ids", data / "tags.json", "--image-ids", data / "images.json")
    return python("-m", "regionbatch_cli", "convert", data / "dataset", "-o", target, *ids)


def competition(kind: str, scale: float, given: argparse.Namespace) -> Heat:
    """Prepare all contestants for one dataset; ratios are to regionbatch, or else to the first."""
    data, facts = prepare_dataset(kind, scale, given)
    names = [
        name
        for name, (_, sets) in CONTESTANTS.items()
        if kind in sets and name in (given.only or CONTESTANTS)
    ]
    entries = []
    for name in names:
        does = CONTESTANTS[name][0]
        target = given.out / f"{name}.jsonl"
        rival = python(HERE / "rivals.py", name, kind, data, target)
        ours = {"regionbatch": [], "one-process": ["/usr/bin/env", "REGIONBATCH_PROCESSES=1"]}
        command = [*ours[name], *regionbatch(data, target)] if name in ours else rival
        entry = Entry(name, does, command)
        entry.boxes = None if name == "touch" else facts["regions"]
        entry.target = None if does == "load" else target
        if name in LIBRARIES and not version(name):
            entry.trouble = "not installed"
        entries.append(entry)
    size = f"{facts['images']:,} images, {facts['regions']:,} boxes, {facts['bytes'] / 1e6:,.0f} MB"
    return Heat(f"{kind}, scale {scale:g}: {size}", names[0], entries)


def growth(kind: str, scales: list[float], given: argparse.Namespace) -> Heat:
    """Prepare regionbatch for datasets of several sizes; ratios are to the largest."""
    target = given.out / "growth.jsonl"
    entries = []
    for scale in sorted(scales):
        data, facts = prepare_dataset(kind, scale, given)
        boxes = facts["regions"]
        entries.append(
            Entry(f"scale {scale:g}", f"{boxes:,} boxes", regionbatch(data, target), boxes, target)
        )
    return Heat(f"{kind}: growth of regionbatch", entries[-1].name, entries)


def start_up(given: argparse.Namespace) -> Heat:
    """Prepare commands that do little; ratios are to importing click, which the command uses."""
    data, facts = prepare_dataset("coco", 0.001, given)
    target = given.out / "tiny.jsonl"
    entries = [
        Entry("`python -c pass`", "", python("-c", "pass")),
        Entry("`import click`", "", python("-c", "import click")),
        Entry("`import regionbatch`", "", python("-c", "import regionbatch")),
        Entry("`regionbatch --help`", "", python("-m", "regionbatch_cli", "--help")),
        Entry(
            "`regionbatch inspect --help`", "", python("-m", "regionbatch_cli", "inspect", "--help")
        ),
        Entry(
            "tiny conversion",
            f"{facts['regions']} boxes",
            regionbatch(data, target),
            facts["regions"],
            target,
        ),
    ]
    return Heat("start-up", "`import click`", entries)


def heats_of(what: str, given: argparse.Namespace) -> list[Heat]:
    """Prepare what the command line asks for: a format, or `startup`."""
    if what == "startup":
        return [start_up(given)]
    if given.growth:
        return [growth(what, given.scale or [0.01, 0.1, 1.0], given)]
    return [competition(what, scale, given) for scale in given.scale or [1.0]]


def compete(heat: Heat, repeat: int) -> None:
    """Run all commands in turn, `repeat` times; one that fails is not run again."""
    for _ in range(repeat):
        for entry in heat.entries:
            if entry.trouble:
                continue
            if entry.target:
                entry.target.unlink(missing_ok=True)  # left by an interrupted run
            run = measure(entry.command)
            entry.runs.append(run)
            entry.trouble = trouble(entry, run)
            if entry.target:
                entry.target.unlink(missing_ok=True)
            outcome = entry.trouble or f"{run.wall:.2f} s, {run.peak:.0f} MB"
            say(f"{heat.title}: {entry.name}: {outcome}")


def trouble(entry: Entry, run: ProcessRun) -> str:
    """Return what is wrong with a run; empty if nothing is."""
    if run.status:
        return f"failed with {run.status}: {(run.complained.splitlines() or ['no message'])[-1]}"
    if entry.boxes is None:
        return ""
    if entry.target:
        with entry.target.open("rb") as file:
            seen = sum(line.count(b'"imageId"') + line.count(b'"bbox"') for line in file)
    else:
        seen = int(run.printed)
    return "" if seen == entry.boxes else f"saw {seen:,} of {entry.boxes:,} boxes"


def table(heat: Heat) -> str:
    """Return a Markdown table of the medians, and their ratios to those of the base."""
    base = next(
        (entry for entry in heat.entries if entry.name == heat.base and not entry.trouble), None
    )
    repeats = max(len(entry.runs) for entry in heat.entries)
    lines = [
        f"{heat.title}; medians of {repeats}; ratios to {heat.base}",
        "",
        "| | does | wall s (least-most) | CPU s | peak MB | wall | CPU | memory |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entry in heat.entries:
        cells = [entry.trouble, *[""] * 5]
        if not entry.trouble:
            walls = [run.wall for run in entry.runs]
            wall, cpu, peak = (entry.median(what) for what in ("wall", "cpu", "peak"))
            cells = [f"{wall:.2f} ({min(walls):.2f}-{max(walls):.2f})", f"{cpu:.3f}", f"{peak:.0f}"]
            cells += [
                f"{entry.median(what) / base.median(what):.3g}" if base else ""
                for what in ("wall", "cpu", "peak")
            ]
        lines.append(f"| {' | '.join([entry.name, entry.does, *cells])} |")
    return "\n".join(lines)


def version(package: str) -> str:
    """Return the version of an installed package; empty if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def machine() -> str:
    """Describe the machine and the versions of the libraries."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = "".join(f", {name} {found}" for name in LIBRARIES if (found := version(name)))
    system = f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, {platform.system()}"
    return f"{system}, Python {platform.python_version()}{libraries}"


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        nargs="*",
        choices=[*SETS, "startup", []],
        metavar="WHAT",
        help="coco, voc, yolo (all three, if none is named) or startup",
    )
    parser.add_argument(
        "--scale", type=float, nargs="+", help="1 (default) is as large as the published set"
    )
    parser.add_argument(
        "--growth", action="store_true", help="regionbatch alone, at scales 0.01, 0.1 and 1"
    )
    parser.add_argument("--repeat", type=int, help="default 3; 10 for startup")
    parser.add_argument(
        "--only", nargs="+", choices=CONTESTANTS, metavar="NAME", help="some of the contestants"
    )
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument(
        "--out", type=Path, default=Path(tempfile.gettempdir()) / "regionbatch-benchmarks"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser.parse_args()


def main() -> int:
    """Measure and print; 1 if anything failed."""
    if sys.platform == "win32":
        sys.exit("the benchmark needs os.wait4 to measure peak memory, which Windows does not have")
    given = options()
    heats = []
    for what in given.what or SETS:
        for heat in heats_of(what, given):
            compete(heat, given.repeat or (10 if what == "startup" else 3))
            heats.append(heat)
    if given.json:
        print(
            json.dumps(
                {"machine": machine(), "heats": [asdict(heat) for heat in heats]},
                indent=2,
                default=str,
            )
        )
    else:
        print("\n\n".join([machine(), *map(table, heats)]))
    troubles = {entry.trouble for heat in heats for entry in heat.entries}
    return int(not troubles <= {"", "not installed"})


if __name__ == "__main__":
    sys.exit(main())
