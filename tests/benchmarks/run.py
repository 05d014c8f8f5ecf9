"""Measure regionbatch and its rivals on this machine: whole processes, in turn, medians.

    python tests/benchmarks/run.py [coco voc yolo] [--scale 1] [--repeat 3] [--only regionbatch plain]
    python tests/benchmarks/run.py [coco voc yolo] --growth [--scale 0.01 0.1 1]
    python tests/benchmarks/run.py startup

Prints Markdown tables. regionbatch is the one of this checkout; rivals.py says what the others do and how to install
them, and one that is missing is said so. Every contestant must end with status 0 and see all boxes. Sets are generated
once and kept under --out: 1.5 GB at scale 1, most of it small files. Peak memory is that of a contestant as the system
counts it (ru_maxrss, which includes pages of mapped files), so this needs Linux or macOS. On Linux the peaks of its
helpers are added, though they need not be at one time; elsewhere run one-process to compare memory.
"""

# This process stays small: Linux hands a parent's peak memory on to its child (exec keeps the high-water mark), so
# neither NumPy nor the generator may run in here.

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
    "PYTHONDONTWRITEBYTECODE": "",  # installed programs have their bytecode: so have ours and the rivals'
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "regionbatch-bytecode"),
    "PYTHONPATH": os.pathsep.join([str(ROOT / "converters"), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")]),
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
    "supervision": ("load", ("yolo",)),
    "touch": ("move the bytes", SETS),
}
"""What each does, and on which sets."""
LIBRARIES = ("numpy", "msgspec", "orjson", "lxml", "click", "pycocotools", "globox", "hotcoco", "supervision")


@dataclass(frozen=True)
class Run:
    """One process: seconds, megabytes (10^6 bytes), exit status, and what it printed."""

    wall: float
    cpu: float
    peak: float
    status: int
    printed: str
    complained: str


@dataclass
class Entry:
    """A row of a table: a command, what it must bring about, and its runs so far."""

    name: str
    does: str
    command: list[str]
    boxes: int | None = None
    """How many the command must write to `target` or, if there is none, print; None if it sees none."""
    target: Path | None = None
    trouble: str = ""
    runs: list[Run] = field(default_factory=list)

    def median(self, what: str) -> float:
        """The median wall, cpu or peak."""
        return float(median(getattr(run, what) for run in self.runs))


@dataclass
class Heat:
    """Commands that run in turn, and the name of the one to which the others are set in proportion."""

    title: str
    base: str
    entries: list[Entry]


def measure(command: list[str]) -> Run:
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
    peak = (used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) + sum(helpers.values())) / 1e6
    return Run(wall, used.ru_utime + used.ru_stime, peak, os.waitstatus_to_exitcode(status), texts[0], texts[1])


def watch(process: int, peaks: dict[str, int], ended: threading.Event) -> None:
    """Note the peak memory of a process's children, in bytes, until it has ended: Linux alone tells it."""
    children = Path(f"/proc/{process}/task/{process}/children")
    while not ended.wait(0.02):
        with suppress(OSError):
            for child in children.read_text(encoding="ascii").split():
                status = Path(f"/proc/{child}/status").read_text(encoding="utf-8")
                if found := re.search(r"VmHWM:\s*(\d+) kB", status):
                    peaks[child] = int(found[1]) * 1024


def python(*arguments: object) -> list[str]:
    """A command for this Python."""
    return [sys.executable, *map(str, arguments)]


def data_set(kind: str, scale: float, given: argparse.Namespace) -> tuple[Path, dict[str, int]]:
    """The folder of a generated set, made if it is not there, and what is in it. It is read once, to be in memory."""
    folder = given.out / f"{kind}-{scale:g}-{given.seed}"
    if not folder.exists():
        say(f"generating {folder}")
        given.out.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=given.out)) / "half"
        made = measure(python(HERE / "generate.py", kind, half, "--scale", scale, "--seed", given.seed))
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
    """The conversion of a set."""
    ids = ("--tags", data / "tags.json", "--images", data / "images.json")
    return python("-m", "regionbatch_cli", "convert", data / "dataset", "-o", target, *ids)


def competition(kind: str, scale: float, given: argparse.Namespace) -> Heat:
    """All contestants on one set; ratios are to regionbatch or, if it is not among them, to the first."""
    data, facts = data_set(kind, scale, given)
    names = [name for name, (_, sets) in CONTESTANTS.items() if kind in sets and name in (given.only or CONTESTANTS)]
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
    """Regionbatch on sets of several sizes; ratios are to the largest."""
    target = given.out / "growth.jsonl"
    entries = []
    for scale in sorted(scales):
        data, facts = data_set(kind, scale, given)
        boxes = facts["regions"]
        entries.append(Entry(f"scale {scale:g}", f"{boxes:,} boxes", regionbatch(data, target), boxes, target))
    return Heat(f"{kind}: growth of regionbatch", entries[-1].name, entries)


def start_up(given: argparse.Namespace) -> Heat:
    """Commands that do little; ratios are to importing the library that the command line stands on."""
    data, facts = data_set("coco", 0.001, given)
    target = given.out / "tiny.jsonl"
    entries = [
        Entry("`python -c pass`", "", python("-c", "pass")),
        Entry("`import click`", "", python("-c", "import click")),
        Entry("`import regionbatch`", "", python("-c", "import regionbatch")),
        Entry("`regionbatch --help`", "", python("-m", "regionbatch_cli", "--help")),
        Entry("`regionbatch inspect --help`", "", python("-m", "regionbatch_cli", "inspect", "--help")),
        Entry("tiny conversion", f"{facts['regions']} boxes", regionbatch(data, target), facts["regions"], target),
    ]
    return Heat("start-up", "`import click`", entries)


def compete(heat: Heat, repeat: int) -> None:
    """Run all commands in turn, `repeat` times; one that fails runs no more."""
    for _ in range(repeat):
        for entry in heat.entries:
            if entry.trouble:
                continue
            if entry.target:
                entry.target.unlink(missing_ok=True)  # of a run that somebody stopped
            run = measure(entry.command)
            entry.runs.append(run)
            entry.trouble = trouble(entry, run)
            if entry.target:
                entry.target.unlink(missing_ok=True)
            say(f"{heat.title}: {entry.name}: {entry.trouble or f'{run.wall:.2f} s, {run.peak:.0f} MB'}")


def trouble(entry: Entry, run: Run) -> str:
    """What is wrong with a run, if anything."""
    if run.status:
        return f"failed with {run.status}: {(run.complained.splitlines() or ['no message'])[-1]}"
    if entry.boxes is None:
        return ""
    if entry.target:
        with entry.target.open("rb") as file:
            seen = sum(line.count(b'"imageId"') for line in file)
    else:
        seen = int(run.printed)
    return "" if seen == entry.boxes else f"saw {seen:,} of {entry.boxes:,} boxes"


def table(heat: Heat) -> str:
    """The medians, and wall, CPU and memory in proportion to the base's."""
    base = next((entry for entry in heat.entries if entry.name == heat.base and not entry.trouble), None)
    lines = [
        f"{heat.title}; medians of {max(len(entry.runs) for entry in heat.entries)}; ratios to {heat.base}",
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
                f"{entry.median(what) / base.median(what):.3g}" if base else "" for what in ("wall", "cpu", "peak")
            ]
        lines.append(f"| {' | '.join([entry.name, entry.does, *cells])} |")
    return "\n".join(lines)


def version(package: str) -> str:
    """The version of an installed package, or nothing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def machine() -> str:
    """What everything ran on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = "".join(f", {name} {found}" for name in LIBRARIES if (found := version(name)))
    system = f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, {platform.system()}"
    return f"{system}, Python {platform.python_version()}{libraries}"


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what",
        nargs="*",
        choices=[*SETS, "startup", []],
        metavar="WHAT",
        help="coco, voc, yolo (all three, if none is named) or startup",
    )
    parser.add_argument("--scale", type=float, nargs="+", help="1 (default) is as large as the published set")
    parser.add_argument("--growth", action="store_true", help="regionbatch alone, at scales 0.01, 0.1 and 1")
    parser.add_argument("--repeat", type=int, help="default 3; 10 for startup")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, metavar="NAME", help="some of the contestants")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "regionbatch-benchmarks")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser.parse_args()


def main() -> int:
    """Measure and print; 1 if anything failed."""
    if sys.platform == "win32":
        sys.exit("the benchmark needs a POSIX system: Windows has no wait4 to tell a process's peak memory")
    given = options()
    heats = []
    for kind in given.what or SETS:
        if kind == "startup":
            some = [start_up(given)]
        elif given.growth:
            some = [growth(kind, given.scale or [0.01, 0.1, 1.0], given)]
        else:
            some = [competition(kind, scale, given) for scale in given.scale or [1.0]]
        for heat in some:
            compete(heat, given.repeat or (10 if kind == "startup" else 3))
        heats += some
    if given.json:
        print(json.dumps({"machine": machine(), "heats": [asdict(heat) for heat in heats]}, indent=2, default=str))
    else:
        print("\n\n".join([machine(), *map(table, heats)]))
    return int(any(entry.trouble not in {"", "not installed"} for heat in heats for entry in heat.entries))


if __name__ == "__main__":
    sys.exit(main())
