"""Convert a dataset in one process, in several, and with a Dask cluster, and compare the entries.

In the mode `dask folder`, the cluster also writes the payloads, each part to a file of its own.

    python tests/benchmarks/generate.py coco DIR --scale 1
    python tests/benchmarks/clusters.py DIR [DIR …]

Prints the CPU seconds of all processes together, and the peak memory of each.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import regionbatch as rb
from regionbatch.process_count import PROCESSES_VARIABLE

MODES = ("one process", "local processes", "dask", "dask folder")


def peak_memory() -> int:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def convert(folder: Path, out: Path, executor: Any = None) -> None:
    tables: dict[str, Any] = {"tag_ids": folder / "tags.json", "image_ids": folder / "images.json"}
    rb.convert(folder / "dataset", out, executor=executor, **tables)


def run(mode: str, folder: Path, out: Path) -> str:
    """Convert in one of the modes, and return the memory of the workers."""
    if not mode.startswith("dask"):
        os.environ[PROCESSES_VARIABLE] = "1" if mode == "one process" else "2"
        convert(folder, out)
        return ""
    distributed: Any = importlib.import_module("distributed")  # an extra
    settings: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1"}
    with (
        distributed.LocalCluster(**settings, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        convert(folder, out, client.get_executor())
        return f", workers {[*client.run(peak_memory).values()]} MB"


def digest_of_entries(files: list[Path]) -> str:
    """Return a digest of the entries of payloads, whatever their number in a batch."""
    digest = hashlib.sha256()
    for path in files:
        for line in path.read_bytes().splitlines():
            digest.update(line.removeprefix(b'{"regions":[').removesuffix(b"]}") + b",")
    return digest.hexdigest()[:12]


def measure(mode: str, folder: Path) -> None:
    """Run a mode in a process of its own, so that its CPU and memory are known."""
    child = os.fork()
    if child == 0:
        with tempfile.TemporaryDirectory() as temporary:
            out = Path(temporary) / ("out" if mode == "dask folder" else "out.jsonl")
            workers = run(mode, folder, out)
            files = sorted(out.glob("part-*")) if out.is_dir() else [out]
            digest = digest_of_entries(files)
        print(f"{folder.name}, {mode}: sha256 {digest}{workers}", end="", flush=True)
        sys.stdout.flush()
        os._exit(0)
    _, status, used = os.wait4(child, 0)
    cpu = used.ru_utime + used.ru_stime
    print(f", peak {used.ru_maxrss // 1024} MB, CPU {cpu:.2f} s, status {status}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--mode", choices=MODES, action="append")
    given = parser.parse_args()
    for each in given.folders:
        for name in given.mode or MODES:
            measure(name, each)
