"""Measure association: the CPU time to find the images of 118,287 references, as a median.

python tests/benchmarks/association.py [--references 118287] [--repeat 5]

Nothing is read from disk: the listings of folders are in memory. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "converters"))

import numpy as np  # noqa: E402 - after the path

from regionbatch.association import associate  # noqa: E402
from regionbatch.files.image_index import ImageIndex  # noqa: E402
from regionbatch.files.tree import Tree  # noqa: E402
from regionbatch.matches import MatchOutcome, ReferenceTable  # noqa: E402


def contestants(count: int) -> dict[str, tuple[str, ReferenceTable]]:
    """Return the folder of the images and the references of each contestant."""
    names = [f"{number:012d}.jpg" for number in range(count)]
    stems = [name[:-4] for name in names]
    sizes = np.full((count, 2), 640, np.int32)
    json_file = ["annotations/instances_train2017.json"] * count
    return {
        "YOLO label files": (
            "images/train2017",
            ReferenceTable([f"labels/train2017/{stem}.txt" for stem in stems]),
        ),
        "VOC label files": (
            "JPEGImages",
            ReferenceTable([f"Annotations/{stem}.xml" for stem in stems], names, sizes),
        ),
        "COCO names": ("train2017", ReferenceTable(json_file, names, sizes, by_label=False)),
    }


def measure(folder: str, table: ReferenceTable) -> float:
    """Return the CPU seconds to index the images and to find that of each reference."""
    names = [f"{number:012d}.jpg" for number in range(len(table))]
    start = time.process_time()
    index = ImageIndex([Tree(ROOT)])
    index.add_folder(0, folder, names)
    matches = associate(index, table)
    seconds = time.process_time() - start
    if (matches.outcome != MatchOutcome.MATCHED).any():
        sys.exit(f"{folder}: not every image is found")
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--references", type=int, default=118_287)
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    print(
        f"| {given.references:,} references | CPU s, median of {given.repeat} | minimum | maximum |"
    )
    print("| --- | --- | --- | --- |")
    for name, (folder, table) in contestants(given.references).items():
        runs = [measure(folder, table) for _ in range(given.repeat)]
        print(f"| {name} | {median(runs):.2f} | {min(runs):.2f} | {max(runs):.2f} |")


if __name__ == "__main__":
    main()
