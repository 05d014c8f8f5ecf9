"""A dataset of broken boxes needs little more memory than a good one, even for its report."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

from helpers import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOXES, PER_IMAGE = 40_000, 200
IMAGES = BOXES // PER_IMAGE
"""None of them is on disk, so each has a finding."""
BYTES_PER_FINDING = 250
"""Limit of peak memory per finding: columns, the text of its value, and temporary data.

A Python object with the same content has more than 1,000."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs the POSIX call for peak memory")

MEASURE = """
import resource, sys, regionbatch as rb
from regionbatch.readers.yolo import row_parser

row_parser._BLOCK = 2**18  # so that temporary data of a block is small next to the findings

def peak():
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/status") as status:  # the other number starts with the parent's peak
        sizes = dict(line.split(":") for line in status)
    # Pages of libraries are not counted: how many are mapped depends on the disk cache.
    return int(sizes["VmHWM"].split()[0]) - int(sizes["RssFile"].split()[0])

dataset = rb.read(sys.argv[1])
read = peak()
rb.write_report(sys.argv[2], dataset)
print(len(dataset), len(dataset.findings), read, peak())
"""


def measure(source: Path, report: Path) -> tuple[int, int, int, int]:
    """Return the regions, the findings, and peak memory in bytes after reading and reporting."""
    done = process("-c", MEASURE, source, report, OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    regions, findings, read, reported = map(int, done.stdout.split())
    unit = 1 if sys.platform == "darwin" else 1024
    return regions, findings, read * unit, reported * unit


def write_yolo(folder: Path, row: str) -> None:
    (folder / "labels").mkdir(parents=True)
    (folder / "classes.txt").write_text("cat\n", encoding="utf-8")
    rows = "".join(f"{row} {0.1 + number / 1000:.3f} 0.5 0.1 0.1\n" for number in range(PER_IMAGE))
    for image in range(IMAGES):
        (folder / "labels" / f"{image}.txt").write_text(rows, encoding="utf-8")


def write_coco(folder: Path, row: str) -> None:
    folder.mkdir(parents=True)
    images = [
        {"id": n, "file_name": f"{n}.jpg", "width": 500, "height": 500} for n in range(IMAGES)
    ]
    head = json.dumps({"images": images, "categories": [{"id": 1, "name": "cat"}]})
    records: list[str] = []
    for n in range(BOXES):
        bbox = f"[{row}, {n % PER_IMAGE}, 10, 10]"
        ids = f'"id": {n}, "image_id": {n // PER_IMAGE}, "category_id": 1'
        records.append(f'{{{ids}, "bbox": {bbox}}}')
    (folder / "a.json").write_text(
        f'{head[:-1]}, "annotations": [{", ".join(records)}]}}', encoding="utf-8"
    )


@pytest.fixture(scope="module")
def measured_without_defects(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Callable[[Path, str], None], str], tuple[int, int]]:
    """Return the findings and peak memory of a good dataset, which is read once per format."""

    @cache
    def measured(write: Callable[[Path, str], None], row: str) -> tuple[int, int]:
        folder = tmp_path_factory.mktemp("good")
        write(folder / "data", row)
        _, findings, memory, _ = measure(folder / "data", folder / "good.json")
        return findings, memory

    return measured


@pytest.mark.parametrize(
    ("write", "good", "bad", "value"),
    [
        (write_yolo, "0", "2", "2"),
        (write_yolo, "0", "person", "person 0.100 0.5 0.1 0.1"),
        (write_coco, "1", '"x"', "['x', 0, 10, 10]"),
    ],
    ids=["unknown classes", "words", "no numbers"],
)
def test_many_findings_need_little_memory(
    write: Callable[[Path, str], None],
    good: str,
    bad: str,
    value: str,
    tmp_path: Path,
    measured_without_defects: Callable[[Callable[[Path, str], None], str], tuple[int, int]],
) -> None:
    few, usual = measured_without_defects(write, good)
    write(tmp_path / "bad", bad)
    regions, findings, read, reported = measure(tmp_path / "bad", tmp_path / "bad.json")
    assert (few, regions, findings) == (IMAGES, 0, BOXES + IMAGES)
    assert read - usual < BYTES_PER_FINDING * BOXES
    assert reported - read < 8 << 20, "the report is written one finding at a time"
    with (tmp_path / "bad.json").open(encoding="utf-8") as file:
        lines = [line for line in file if line.startswith('  {"code"')]
    assert len(lines) == BOXES + IMAGES
    assert json.loads(lines[0].rstrip(",\n"))["value"] == value
