"""Summaries and reports: the result of a run for programs."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import regionbatch as rb
from helpers import Box, ids_of, raises_mentioning, write_coco
from regionbatch.errors import OutputError


@pytest.fixture
def dataset(tmp_path: Path) -> rb.Dataset:
    """200 boxes, most with a finding, and with quotes and newlines in their values."""
    rows: list[Box] = [("a.jpg", "cat", (number / 10, 5, 300, 5)) for number in range(100)]
    rows += [("b.jpg", "dog", (1, 1, 0, number)) for number in range(90)]
    rows += [("b.jpg", "dog", ('"\n\u2028\\', 5, "</script>", number)) for number in range(9)]
    rows += [("b.jpg", "dog", (5, 5, 5, 5))]
    return rb.read(write_coco(tmp_path / "data", rows), coco_boxes="pixels")


def test_every_finding_is_in_the_file(tmp_path: Path, dataset: rb.Dataset) -> None:
    rb.write_report(tmp_path / "new" / "report.json", dataset)
    content = json.loads((tmp_path / "new" / "report.json").read_text(encoding="utf-8"))
    assert content["findings"] == [finding._asdict() for finding in dataset.findings]
    assert len(content["findings"]) >= 199
    assert content["counts"] == dataset.findings.counts()
    assert content["counts"]["empty_box"] == 90


def test_a_report_has_the_keys_of_the_summary(tmp_path: Path, dataset: rb.Dataset) -> None:
    rb.write_report(tmp_path / "report.json", dataset)
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    wanted = rb.summary(dataset)
    content.pop("findings")
    content["findings"] = content.pop("counts")
    assert content == wanted


def test_each_finding_has_its_line(tmp_path: Path, dataset: rb.Dataset) -> None:
    rb.write_report(tmp_path / "report.json", dataset)
    lines = (tmp_path / "report.json").read_text(encoding="utf-8").split("\n")
    found = [json.loads(line.rstrip(",")) for line in lines if line.startswith('  {"code"')]
    assert len(found) == len(dataset.findings)


def test_a_report_without_findings(tmp_path: Path, dataset: rb.Dataset) -> None:
    clean = rb.read(dataset.root, coco_boxes="pixels", image_dir=None)
    rb.write_report(tmp_path / "report.json", clean)
    assert (
        json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["boxes"]["read"] == 200
    )


def test_the_summary_has_all_numbers(dataset: rb.Dataset) -> None:
    figures = rb.summary(dataset)
    assert json.loads(json.dumps(figures)) == figures, "plain values only"
    assert figures["format"] == "coco"
    assert figures["dataset"] == str(dataset.root)
    assert figures["boxes"] == {
        "read": 200,
        "kept": 1,
        "adjusted": {"clipped": 100},
        "dropped": {"not_a_box": 9, "empty_box": 90},
    }
    assert figures["images"] == {"read": 2, "kept": 2, "adjusted": {}, "dropped": {}}
    assert figures["classes"] == {"cat": 100, "dog": 1}
    assert figures["schema_version"] == 1
    assert figures["decisions"]["coco_boxes"] == {
        "value": "pixels",
        "evidence": dataset.decisions["coco_boxes"].evidence,
        "doubtful": False,
    }
    assert "batches" not in figures


def test_the_summary_of_payloads(dataset: rb.Dataset) -> None:
    batches = rb.batches(
        dataset,
        tag_ids=ids_of(["dog"]),
        image_ids=ids_of(dataset.images.names),
        skip_unresolved=True,
    )
    figures = rb.summary(dataset, batches)
    assert figures["boxes"]["dropped"]["unresolved"] == 100
    assert figures["boxes"]["adjusted"] == {}
    assert figures["classes"] == {"cat": 0, "dog": 1}
    assert figures["batches"] == 1


def test_splits_are_counted(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("valid", 2)):
        rows: list[Box] = [(f"{split}.jpg", "cat", (number, 5, 50, 5)) for number in range(count)]
        write_coco(tmp_path / split, rows, name="_annotations.coco.json")
    figures = rb.summary(rb.read(tmp_path))
    assert figures["splits"] == {"train": 3, "valid": 2}
    assert figures["classes"] == {"cat": 5}


def test_a_report_replaces_only_a_report(tmp_path: Path, dataset: rb.Dataset) -> None:
    labels = next(path for path in Path(dataset.root).iterdir() if path.suffix == ".json")
    content = labels.read_bytes()
    with raises_mentioning(OutputError, labels):
        rb.write_report(labels, dataset)
    assert labels.read_bytes() == content
    (tmp_path / "r.json").touch()
    for _ in range(2):
        rb.write_report(tmp_path / "r.json", dataset)
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["format"] == "coco"


def test_a_report_without_a_schema_version_is_replaced(tmp_path: Path, dataset: rb.Dataset) -> None:
    path = tmp_path / "r.json"
    path.write_text('{\n "format": "coco",\n "dataset": "data"\n}\n', encoding="utf-8")
    rb.write_report(path, dataset)
    assert json.loads(path.read_text(encoding="utf-8"))["schema_version"] == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a named pipe")
def test_a_report_is_written_to_a_pipe(tmp_path: Path, dataset: rb.Dataset) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as pool:
        report = pool.submit((tmp_path / "pipe").read_bytes)
        rb.write_report(tmp_path / "pipe", dataset)
    assert json.loads(report.result())["format"] == "coco"
    assert (tmp_path / "pipe").is_fifo()


def test_a_report_that_cannot_be_written(tmp_path: Path, dataset: rb.Dataset) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with raises_mentioning(OutputError, tmp_path / "file" / "report.json"):
        rb.write_report(tmp_path / "file" / "report.json", dataset)
    (tmp_path / "folder").mkdir()
    for mine in ("file", "folder"):
        with raises_mentioning(OutputError, tmp_path / mine):
            rb.write_report(tmp_path / mine, dataset)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "file", "folder"], (
        "no temporary file is left"
    )
