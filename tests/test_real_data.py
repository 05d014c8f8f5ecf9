"""Five public datasets have the counts and sums that were computed independently.

The tests are skipped without the datasets.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT, batches_of

DATA = ROOT.parent / "shared" / "data"
SETS = ["coco-rbc", "voc-bccd", "yolo-webpage", "yolo-crop-seg", "yolo-darknet-airplanes"]
SIDES = ("left", "top", "width", "height")

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the real datasets are not part of the project; they are in shared/data next to it",
)


@pytest.mark.parametrize("name", SETS)
def test_counts_and_sums_equal_the_reference(name: str) -> None:
    wanted = json.loads((DATA / f"{name}.reference.json").read_text(encoding="utf-8"))
    dataset = rb.read(DATA / name)
    assert dataset.format == name.partition("-")[0]
    assert len(dataset.images) == wanted["images"]
    assert dataset.ledger.read == wanted["boxes"]
    assert len(dataset) == wanted["valid_boxes"]
    counts = np.bincount(dataset.regions.tag, minlength=len(dataset.tags))
    with_boxes = {tag: int(count) for tag, count in zip(dataset.tags, counts, strict=True) if count}
    assert with_boxes == wanted["classes"]
    sums = dict(zip(SIDES, dataset.regions.box.sum(axis=0).tolist(), strict=True))
    assert sums == pytest.approx(wanted["sum"], rel=1e-6)


@pytest.mark.parametrize("name", SETS)
def test_every_box_is_sent(name: str) -> None:
    dataset = rb.read(DATA / name)
    sent = [
        entry for batch in batches_of(dataset) for entry in json.loads(batch.to_json())["regions"]
    ]
    assert len(sent) == len(dataset)
    wanted = json.loads((DATA / f"{name}.reference.json").read_text(encoding="utf-8"))["sum"]
    assert {side: sum(entry[side] for entry in sent) for side in SIDES} == pytest.approx(
        wanted, rel=1e-6
    )


def test_each_split_equals_its_reference() -> None:
    wanted = json.loads((DATA / "coco-rbc.reference.json").read_text(encoding="utf-8"))["files"]
    for file, figures in wanted.items():
        dataset = rb.read(DATA / "coco-rbc", split=Path(file).parent.name)
        assert (len(dataset.images), len(dataset)) == (figures["images"], figures["valid_boxes"])
        sums = dict(zip(SIDES, dataset.regions.box.sum(axis=0).tolist(), strict=True))
        assert sums == pytest.approx(figures["sum"], rel=1e-6)


def test_boxes_without_a_size_are_findings() -> None:
    """Two boxes of BCCD have none; their places can be looked up."""
    findings = rb.read(DATA / "voc-bccd").findings.first("empty_box", 9)
    assert len(findings) == 2
    for finding in findings:
        line = (
            (DATA / "voc-bccd" / finding.file)
            .read_text(encoding="utf-8")
            .splitlines()[finding.where - 1]
        )
        assert "<object>" in line
