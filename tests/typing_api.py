"""The public API as users call it: not run, only checked by mypy --strict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Unpack, assert_type

import numpy as np
from numpy.typing import NDArray

import regionbatch as rb
from regionbatch.batching import Entry


def show_progress(step: str, done: int, total: int) -> None:
    sys.stderr.write(f"{step}: {done} of {total}")


def read_in_every_way() -> rb.Dataset:
    dataset = rb.read("bccd")
    rb.read(Path("bccd"), format="voc", split="train", voc_origin=0)
    rb.read("bccd", drop=["difficult"], only={"cat"}, strict=True, image_dir=Path("images"))
    rb.read("bccd", image_dir=[Path("images"), "more"])
    rb.read("bccd", progress=show_progress)
    rb.read({"images": [], "annotations": []}, format="coco")
    rb.convert("bccd", "out", tag_ids={}, image_ids="images.csv", split="train", strict=True)
    return dataset


def read_as(**options: Unpack[rb.ReadKeywords]) -> rb.Dataset:
    return rb.read("bccd", **options)


def derive(dataset: rb.Dataset) -> rb.Dataset:
    wide = dataset.where(dataset.regions.box[:, 2] > 0.1, reason="narrow")
    assert_type(wide.rename({"rbc": "RBC"}), rb.Dataset)
    assert_type(dataset.split_by(3), list[rb.Dataset])
    assert_type(dataset.split_by("split"), dict[str, rb.Dataset])
    assert_type(dataset.split_by([1, 2]), dict[int, rb.Dataset])
    rb.Dataset.from_arrow(dataset, mode="XYWH_REL", image_dir="images", only="cat")
    rb.Dataset.from_arrays(
        image=["a.jpg"], tag=["cat"], box=np.zeros((1, 4)), mode=rb.BoxMode.XYXY_ABS
    )
    return rb.concat([dataset, wide])


def inspect(dataset: rb.Dataset) -> None:
    assert_type(dataset.regions.box, NDArray[np.float64])
    assert_type(dataset.regions.image, NDArray[np.int32])
    assert_type(dataset.images.width, NDArray[np.int32])
    assert_type(dataset.images.exact, NDArray[np.bool_])
    assert_type(dataset.findings.doubtful(), dict[str, int])
    assert_type(dataset.findings.counts(), dict[str, int])
    assert_type(len(dataset), int)
    name: str = dataset.images.names[0]
    tag: str = dataset.tags[0]
    for region in dataset:
        assert_type(region, rb.Region)
        assert_type(region.left + region.width, float)
        assert_type(region.image, str)
    for finding in dataset.findings:
        assert_type(finding, rb.Finding)
        assert_type(
            (finding.code, finding.severity, finding.place, finding.message),
            tuple[str, str, str, str],
        )
    ledger = dataset.ledger
    total: int = ledger.kept + sum(ledger.adjusted.values()) + sum(ledger.dropped.values())
    decision: str = dataset.decisions["voc_origin"]
    sys.stdout.write(f"{name}{tag}{total}{decision}{ledger.images.read}")


def send(dataset: rb.Dataset) -> None:
    batches = rb.batches(
        dataset, tag_ids={"RBC": "…"}, image_ids=rb.read_ids("images.csv"), rename={"rbc": "RBC"}
    )
    rb.batches(dataset, tag_ids="tags.json", image_ids=Path("images.json"), skip_unresolved=True)
    assert_type(batches, rb.Batches)
    for batch in batches:
        assert_type(batch, rb.Batch)
        assert_type(batch.to_json(), bytes)
        assert_type(batch.to_xml(), bytes)
        assert_type(batch[0], Entry)
        assert_type(batch[0].image_id, str)
    assert_type(batches[:2], list[rb.Batch])
    assert_type(rb.write(batches, "out", payload="xml", overwrite=True), int)
    rb.write(batches, Path("out.jsonl"))
    with Path("out.jsonl").open("wb") as file:
        rb.write(batches, file)
    rb.write(batches, sys.stdout.buffer)
    rb.write_report("report.json", dataset, batches)
    rb.summary(dataset)


def upload(dataset: rb.Dataset) -> None:
    with rb.TrainingClient(
        "https://name.cognitiveservices.azure.com/", "key", version="3.3"
    ) as client:
        result = rb.upload(
            dataset,
            client,
            "project",
            create_tags=True,
            journal="bccd.sqlite",
            progress=show_progress,
        )
        rb.upload(
            dataset,
            client,
            "project",
            image_ids={"a.jpg": "…"},
            rename={"a": "b"},
            tier="F0",
            dry_run=True,
        )
        found = rb.verify(dataset, client, "project", journal=Path("bccd.sqlite"))
    assert_type(result, rb.UploadResult)
    assert_type(result.created + result.duplicated + result.exceeded + result.failed, int)
    assert_type(found, rb.Verification)
    assert_type((found.missing, found.extra, found.moved, found.good), tuple[int, int, int, bool])
    for finding in found.findings:
        assert_type(finding, rb.Finding)


def fail() -> None:
    try:
        inspect(read_in_every_way())
    except (rb.UnknownFormatError, rb.AmbiguousDatasetError) as error:
        sys.stderr.write(str(error))
    except (rb.AccessError, rb.LimitError, rb.TransportError) as error:
        assert_type((error.code, error.status), tuple[str, int])
    except rb.RegionBatchError:
        raise
    rb.write([], "out", payload="yaml")  # type: ignore[arg-type]
    rb.read(5)  # type: ignore[arg-type]
    rb.read("bccd", spilt="train")  # type: ignore[call-arg]
    rb.read("bccd", coco_boxes="inches")  # type: ignore[arg-type]
    rb.batches(read_in_every_way(), tag_ids={}, image_ids={}, skip=True)  # type: ignore[call-arg]
