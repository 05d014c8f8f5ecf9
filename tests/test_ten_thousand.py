"""One broken file, or one broken record, among ten thousand: the rest is converted, and the finding says where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import regionbatch as rb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANY = 10_000
BROKEN = 6_543

XML = (
    "<annotation><filename>{name}.jpg</filename>\n<size><width>100</width><height>100</height></size>\n"
    "<object><name>cat</name><bndbox>\n<xmin>{left}</xmin><ymin>10</ymin><xmax>90</xmax><ymax>90</ymax>\n"
    "</bndbox></object></annotation>\n"
)


def broken_voc(folder: Path, row: bool) -> tuple[str, str]:
    (folder / "Annotations").mkdir()
    for number in range(MANY):
        text = XML.format(name=f"{number:05}", left="ten" if row and number == BROKEN else 10)
        if not row and number == BROKEN:
            text = text[: text.index("<ymin>")] + "\n</object>"
        (folder / "Annotations" / f"{number:05}.xml").write_text(text, encoding="utf-8")
    return ("not_a_box", "Annotations/06543.xml:3") if row else ("unreadable_file", "Annotations/06543.xml:5")


def broken_yolo(folder: Path, row: bool) -> tuple[str, str]:
    (folder / "labels").mkdir()
    (folder / "classes.txt").write_text("cat\n", encoding="utf-8")
    for number in range(MANY):
        text = b"0 0.5 0.5 0.8 0.8\n"
        if number == BROKEN:
            text = b"\n0 0.5 0.5 cat\n" if row else bytes(2**26 + 1)
        (folder / "labels" / f"{number:05}.txt").write_bytes(text)
    return ("not_a_row", "labels/06543.txt:2") if row else ("unreadable_file", "labels/06543.txt")


def broken_coco(folder: Path, row: bool) -> tuple[str, str]:
    boxes = [{"id": n + 1, "image_id": n, "category_id": 1, "bbox": [10, 10, 80, 80]} for n in range(MANY)]
    images = [{"id": n, "file_name": f"{n:05}.jpg", "width": 100, "height": 100} for n in range(MANY)]
    boxes[BROKEN] |= {"bbox": [10, 10, 80]} if row else {"image_id": MANY}
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "a.json").write_text(json.dumps(content), encoding="utf-8")
    return "not_a_box" if row else "unknown_image", "a.json: annotation 6544"


@pytest.mark.parametrize("row", [True, False], ids=["a record", "a file"])
@pytest.mark.parametrize("write", [broken_coco, broken_voc, broken_yolo])
def test_the_others_go_on(tmp_path: Path, write: Callable[[Path, bool], tuple[str, str]], row: bool) -> None:
    code, place = write(tmp_path, row)
    dataset = rb.read(tmp_path)
    assert len(dataset) == MANY - 1
    assert dataset.findings.counts()[code] == 1
    assert dataset.findings.first(code)[0].place == place
    lost = dataset.ledger.images if code == "unreadable_file" else dataset.ledger
    assert lost.dropped == {code: 1}
