"""Measure how fast the regions of a dataset become tables, and tables become a dataset.

    python tests/benchmarks/arrow.py [--boxes 1000000] [--repeat 5]

Prints the best of several runs in seconds; a library that is not installed is skipped.
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import regionbatch as rb
from regionbatch.dataset import Images, Regions
from regionbatch.findings import Account, FindingLog, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable


def dataset_of(boxes: int) -> rb.Dataset:
    """Return a dataset with eight boxes on each image and 80 classes."""
    rng = np.random.default_rng(17)
    images = max(boxes // 8, 1)
    log = FindingLog()
    file = log.file("instances.json")
    box = np.asarray(rng.uniform(0.1, 0.4, (boxes, 4)), order="F")
    regions = Regions(
        np.sort(rng.integers(0, images, boxes)).astype(np.int32),
        rng.integers(0, 80, boxes).astype(np.int32),
        box,
        np.full(boxes, file, np.int32),
        np.arange(boxes),
        np.zeros(boxes, np.int8),
        "annotation",
    )
    table = Images(
        [f"train2017/{number:012}.jpg" for number in range(images)],
        np.full(images, 640, np.int32),
        np.full(images, 480, np.int32),
        [""] * images,
        np.zeros(images, np.int32),
        ["train"],
    )
    ledger = Ledger(boxes, boxes, {}, {}, Account(images, images, {}, {}))
    tags = [f"class {number}" for number in range(80)]
    return rb.Dataset("coco", Path(), table, tags, regions, log.findings(), ledger, {})


def to_pyarrow(dataset: rb.Dataset) -> object:
    return dataset.to_arrow()


def to_polars(dataset: rb.Dataset) -> object:
    import polars  # noqa: ICN001, PLC0415 - may be absent

    return polars.DataFrame(dataset)


def to_pandas(dataset: rb.Dataset) -> object:
    import pandas  # noqa: ICN001, PLC0415 - may be absent

    return pandas.DataFrame.from_arrow(dataset)


def group_in_duckdb(dataset: rb.Dataset) -> object:
    import duckdb  # noqa: PLC0415 - may be absent

    relation = duckdb.from_arrow(dataset.to_arrow())
    return relation.aggregate("tag, count(*), avg(width)").fetchall()


def from_pyarrow(dataset: rb.Dataset) -> object:
    return rb.Dataset.from_arrow(dataset.to_arrow(), mode="XYWH_REL")


def from_polars(dataset: rb.Dataset) -> object:
    import polars  # noqa: ICN001, PLC0415 - may be absent

    return rb.Dataset.from_arrow(polars.DataFrame(dataset), mode="XYWH_REL")


MEASURED: dict[str, Callable[[rb.Dataset], object]] = {
    "pyarrow": to_pyarrow,
    "polars": to_polars,
    "pandas": to_pandas,
    "duckdb": group_in_duckdb,
    "pyarrow, there and back": from_pyarrow,
    "polars, there and back": from_polars,
}


def best(work: Callable[..., object], *arguments: Any, repeat: int) -> float:
    """Return the shortest time of several runs, in seconds."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work(*arguments)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    dataset = dataset_of(given.boxes)
    for name, work in MEASURED.items():
        if not find_spec(name.partition(",")[0]):
            print(f"{name}: not installed")
            continue
        work(dataset)  # the first call imports libraries
        print(f"{name}: {best(work, dataset, repeat=given.repeat):.3f} s")


if __name__ == "__main__":
    main()
