"""Three batches, and a folder to write them to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from helpers import Box, batches_of, write_coco
from output_helpers import COUNT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def batches(tmp_path: Path) -> rb.Batches:
    """Three batches."""
    rows: list[Box] = [
        ("a.jpg", "cat", (number / 2, 5, 5, 5)) for number in range(64 * (COUNT - 1) + 1)
    ]
    return batches_of(rb.read(write_coco(tmp_path / "data", rows), coco_boxes="pixels"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder to write in."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"
