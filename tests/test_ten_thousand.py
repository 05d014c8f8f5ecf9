"""One broken file or record among 10,000: the others are converted, the finding names its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import regionbatch
from helpers import SIZE, batches_of, write_json, write_voc

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 10_000
BROKEN = 6_789
"""Number of the broken file or record; its neighbours must not be affected."""

WIDTH, HEIGHT = SIZE
NAMES = [f"{number:05}.jpg" for number in range(COUNT)]
LEFT = [1 + number % 97 for number in range(COUNT)]
"""Left edges in pixels; neighbours always differ."""


def check(dataset: regionbatch.Dataset, code: str, place: str, value: str) -> None:
    """Check that all other boxes are read in order and sent, and that a finding has the place."""
    images = [region.image.rpartition("/")[2] for region in dataset]
    assert [name.partition(".")[0] for name in images] == [
        f"{number:05}" for number in range(COUNT) if number != BROKEN
    ]
    lefts = np.delete(LEFT, BROKEN)
    assert np.abs(dataset.regions.box[:, 0] - lefts / WIDTH).max() < 1e-8
    assert sum(map(len, batches_of(dataset))) == COUNT - 1
    [finding] = [finding for finding in dataset.findings if finding.severity == "error"]
    assert (finding.code, finding.place) == (code, place)
    assert value in finding.value
    assert (dataset.ledger.lost, dataset.ledger.images.lost) == (
        (1, 0) if code != "unreadable_file" else (0, 1)
    )


def write_many(folder: Path, extension: str, texts: list[str]) -> Path:
    """Write a label file for each image."""
    folder.mkdir(parents=True)
    for name, text in zip(NAMES, texts, strict=True):
        (folder / name).with_suffix(extension).write_text(text, encoding="utf-8")
    return folder.parent


def test_one_broken_yolo_file(tmp_path: Path) -> None:
    rows = [f"0 {(left + 5) / WIDTH:.8f} 0.5 {10 / WIDTH:.8f} 0.25\n" for left in LEFT]
    rows[BROKEN] = "\n\n0 0.5 O.5 0.25 0.25\n"
    folder = write_many(tmp_path / "set" / "labels", ".txt", rows)
    (folder / "classes.txt").write_text("cat\n", encoding="utf-8")
    check(regionbatch.read(folder), "not_a_row", "labels/06789.txt:3", "0 0.5 O.5 0.25 0.25")


def test_one_broken_voc_file(tmp_path: Path) -> None:
    [template] = write_voc(
        tmp_path / "one", [("00000.jpg", "cat", ("XMIN", 10, "XMAX", 35))]
    ).iterdir()
    text = template.read_text(encoding="utf-8")
    texts = [
        text.replace("00000.jpg", name).replace("XMIN", str(left)).replace("XMAX", str(left + 10))
        for name, left in zip(NAMES, LEFT, strict=True)
    ]
    texts[BROKEN] = texts[BROKEN].replace("</name>", "</nam>")
    folder = write_many(tmp_path / "set" / "Annotations", ".xml", texts)
    check(regionbatch.read(folder), "unreadable_file", "Annotations/06789.xml:2", "tag mismatch")


def test_one_broken_coco_record(tmp_path: Path) -> None:
    records = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [left, 10, 10, 25]}
        for number, left in enumerate(LEFT)
    ]
    records[BROKEN]["bbox"] = [1, 2, "three", 4]
    images = [
        {"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT}
        for n, name in enumerate(NAMES)
    ]
    content = {"images": images, "annotations": records, "categories": [{"id": 1, "name": "cat"}]}
    write_json(tmp_path / "annotations.json", content)
    check(
        regionbatch.read(tmp_path),
        "not_a_box",
        "annotations.json: annotation 6789",
        "[1, 2, 'three', 4]",
    )
