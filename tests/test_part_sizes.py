"""How label files are divided into parts."""

from __future__ import annotations

import pytest

from helpers import ROOT
from regionbatch.files.tree import Tree
from regionbatch.part_ranges import MIN_PARTS
from regionbatch.readers.yolo.label_parts import divide


@pytest.mark.parametrize("count", [0, 1, 7, 16, 100, 100_000])
def test_the_last_parts_of_label_files_are_smaller(count: int) -> None:
    tree = Tree(ROOT / "fixtures")
    labels = [f"{number}.txt" for number in range(count)]
    parts = [paths for _, paths, *_ in divide(tree, labels, MIN_PARTS, "auto", 0)]
    assert [path for paths in parts for path in paths] == tree.all_on_disk(labels)
    if count >= 100:
        assert 3 * max(map(len, parts[-8:])) <= len(parts[0])
