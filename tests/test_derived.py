"""Filter, rename, join and split datasets: nothing is lost without a finding."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from customvision.rehearsal import Clock
from hypothesis import given, settings
from hypothesis import strategies as st

import regionbatch as rb
from helpers import ROOT, batches_of, write_coco, write_yolo
from regionbatch.local import LocalService

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"


@pytest.fixture(scope="module")
def scene() -> rb.Dataset:
    return rb.read(SCENE / "coco")


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> rb.Dataset:
    """A dataset with findings of several kinds."""
    boxes = [(f"{n % 7}.jpg", ["cat", "dog", "Cat"][n % 3], [n * 9, n, 30, 20]) for n in range(40)]
    boxes += [("1.jpg", "cat", [5, 5, 0, 9]), boxes[3], boxes[4]]
    return rb.read(write_coco(tmp_path_factory.mktemp("dirty"), boxes))


def assert_adds_up(dataset: rb.Dataset) -> None:
    """Check the ledger against the regions and the findings."""
    ledger = dataset.ledger
    counts = dataset.findings.counts()
    assert ledger.balanced
    assert ledger.images.balanced
    assert ledger.kept + sum(ledger.adjusted.values()) == len(dataset)
    assert all(counts[code] >= count for code, count in ledger.dropped.items())
    assert ledger.images.kept == len(dataset.images)


def places(dataset: rb.Dataset, code: str) -> Counter[str]:
    return Counter(finding.place for finding in dataset.findings if finding.code == code)


@settings(deadline=None)
@given(data=st.data())
def test_any_mask_leaves_out_the_other_regions(dirty: rb.Dataset, data: st.DataObject) -> None:
    count = len(dirty)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_)
    kept, rest = dirty.where(mask, reason="a test"), dirty.where(~mask)
    for one in (kept, rest):
        assert_adds_up(one)
        assert one.ledger.read == dirty.ledger.read
        assert one.findings.counts()["duplicate"] == dirty.findings.counts()["duplicate"]
    assert [*kept] == [region for region, is_kept in zip(dirty, mask, strict=True) if is_kept]
    assert len(kept) + len(rest) == count
    left_out = places(kept, "left_out")
    assert len(left_out) == sum(left_out.values()) == count - len(kept)
    assert {finding.value for finding in kept.findings.first("left_out", count)} <= {"a test"}
    joined = rb.concat([kept, rest])
    assert_adds_up(joined)
    assert Counter(joined) == Counter(dirty)
    assert_adds_up(kept.rename({"Cat": "cat"}))
    for part in (*kept.split_by(3), *kept.split_by("tag").values()):
        assert_adds_up(part)
    batches = batches_of(kept)
    assert sum(map(len, batches)) == len(kept)
    assert batches.ledger.balanced


def test_masks_of_several_libraries(scene: rb.Dataset) -> None:
    wide = scene.regions.box[:, 2] > 0.1
    for mask in (wide, wide.tolist()):
        assert len(scene.where(mask)) == 10
    pl = pytest.importorskip("polars", reason="Polars is not installed: pip install polars")
    pytest.importorskip("pyarrow", reason="PyArrow is not installed: pip install pyarrow")
    assert len(scene.where(pl.DataFrame(scene)["width"] > 0.1, reason="narrow")) == 10
    assert len(scene.where(scene.to_arrow().to_pandas()["width"] > 0.1)) == 10


def test_filters_follow_each_other(scene: rb.Dataset) -> None:
    wide = scene.where(scene.regions.box[:, 2] > 0.1, reason="narrow")
    both = wide.where(wide.regions.box[:, 3] > 0.3, reason="low")
    assert_adds_up(both)
    assert Counter(one.value for one in both.findings) == {
        "narrow": 2,
        "low": len(wide) - len(both),
    }


def test_the_original_is_not_changed(scene: rb.Dataset) -> None:
    before = (str(scene.ledger), scene.findings.counts(), [*scene])
    scene.where(np.zeros(12, np.bool_))
    scene.rename({"café": "person"})
    scene.split_by(2)
    rb.concat([scene, scene])
    assert (str(scene.ledger), scene.findings.counts(), [*scene]) == before


def test_renamed_classes_become_one(tmp_path: Path) -> None:
    boxes = [("a.jpg", tag, [10, 10, 20, 20]) for tag in ("cat", "Cat", "dog")]
    dataset = rb.read(write_coco(tmp_path, boxes))
    assert dataset.findings.counts()["similar_tags"] == 1
    renamed = dataset.rename({"Cat": "cat"})
    assert_adds_up(renamed)
    assert renamed.tags == ["cat", "dog"]
    counts = renamed.findings.counts()
    assert (counts["mapped"], counts["duplicate"], counts.get("similar_tags")) == (1, 1, None)
    assert "similar_tags" not in dataset.rename({"Cat": "Cat"}).findings.counts()
    assert dataset.rename({"dog": "CAT"}).findings.counts()["similar_tags"] == 1
    swapped = dataset.rename({"cat": "dog", "dog": "cat"})
    assert [region.tag for region in swapped] == ["dog", "Cat", "cat"]
    assert dataset.rename({" cat ": " feline "}).tags[0] == "feline"
    assert [*dataset.rename({})] == [*dataset]


def test_limits_are_reported_as_they_are_afterwards(tmp_path: Path) -> None:
    boxes = [("a.jpg", "cat", [0.001 * n, 0.1, 0.2, 0.2]) for n in range(400)]
    dataset = rb.read(write_coco(tmp_path, boxes), coco_boxes="normalised")
    assert dataset.findings.counts()["over_region_limit"] == 1
    few = dataset.where(np.arange(400) < 300, reason="too many")
    assert "over_region_limit" not in few.findings.counts()
    assert rb.concat([few, dataset]).findings.counts()["over_region_limit"] == 1


def test_datasets_of_two_formats_are_joined(tmp_path: Path) -> None:
    coco = rb.read(write_coco(tmp_path / "c", [("a.jpg", "cat", [10, 10, 20, 20])] * 2))
    yolo = rb.read(
        write_yolo(tmp_path / "y", [("b.jpg", "cat", [0.5] * 4), ("b.jpg", "dog", [0.5] * 4)])
    )
    joined = rb.concat([coco, yolo])
    assert_adds_up(joined)
    assert joined.format == "coco+yolo"
    assert joined.root == tmp_path
    assert [*joined.tags] == ["cat", "dog"]
    assert [*joined] == [*coco, *yolo]
    assert joined.ledger.read == 4
    left_out = joined.where([False] * 3)
    assert [one.place for one in left_out.findings.first("left_out")] == [
        "annotations.json: annotation 1",
        f"{yolo.findings.files[0]}:1",
        f"{yolo.findings.files[0]}:2",
    ]
    assert {*joined.decisions} == {*coco.decisions, *yolo.decisions}


def test_equal_boxes_of_two_datasets_are_duplicates(scene: rb.Dataset) -> None:
    twice = rb.concat([scene, scene])
    assert_adds_up(twice)
    assert [*twice] == [*scene]
    assert twice.ledger.dropped == {"duplicate": 12}
    assert twice.ledger.images.adjusted == {"merged_image": 6}


def test_two_image_files_of_one_name_are_an_error(scene: rb.Dataset) -> None:
    other = rb.read(SCENE / "coco-ltrb")
    with pytest.raises(rb.AmbiguousDatasetError):
        rb.concat([scene, other])


def test_parts_are_the_whole(scene: rb.Dataset) -> None:
    for count in (1, 2, 4, 6, 9):
        parts = scene.split_by(count)
        assert len(parts) == count
        assert sum(len(part.images) for part in parts) == 6
        assert Counter(region for part in parts for region in part) == Counter(scene)
        sizes = [len(part.images) for part in parts]
        assert max(sizes) - min(sizes) <= 1
    half, _ = scene.split_by(2)
    assert half.ledger.images.dropped == {"image_left_out": 3}
    for column in ("split", "tag", "image", "file"):
        parts_by_value = scene.split_by(column)
        assert Counter(region for part in parts_by_value.values() for region in part) == Counter(
            scene
        )
        for value, part in parts_by_value.items():
            assert_adds_up(part)
            if column in ("tag", "image"):
                assert {getattr(region, column) for region in part} == {value}
    assert {*scene.split_by("split")} == {"train", "val"}
    by_value = scene.split_by(scene.regions.tag == 0)
    assert (len(by_value[True]), len(by_value[False])) == (5, 7)


def test_an_empty_dataset(tmp_path: Path) -> None:
    empty = rb.read(write_coco(tmp_path, [], images={"a.jpg": (10, 10)}))
    assert_adds_up(empty.where([]))
    assert [len(part.images) for part in empty.split_by(2)] == [1, 0]
    assert empty.split_by("tag") == {}
    assert_adds_up(rb.concat([empty, empty]))


WRONG: dict[str, Callable[[rb.Dataset], object]] = {
    "a mask of numbers": lambda data: data.where(data.regions.box[:, 0]),
    "row numbers": lambda data: data.where([0, 1]),  # type: ignore[list-item]
    "a short mask": lambda data: data.where([True]),
    "a mask of two columns": lambda data: data.where(data.regions.box > 0),
    "no mask": lambda data: data.where(None),  # type: ignore[arg-type]
    "nulls": lambda data: data.where([True, None] * 6),  # type: ignore[list-item]
    "a reason that is a number": lambda data: data.where([True] * 12, reason=5),  # type: ignore[arg-type]
    "names that are a list": lambda data: data.rename(["cat"]),  # type: ignore[arg-type]
    "a name that is empty": lambda data: data.rename({"café": " "}),
    "a name that is a number": lambda data: data.rename({"café": 1}),  # type: ignore[dict-item]
    "no part": lambda data: data.split_by(0),
    "a column that does not exist": lambda data: data.split_by("colour"),
    "a flag": lambda data: data.split_by(True),
    "a short column": lambda data: data.split_by([1, 2]),
    "None": lambda data: data.split_by(None),  # type: ignore[call-overload]
    "no dataset": lambda _: rb.concat([]),
    "one dataset": rb.concat,  # type: ignore[dict-item]
    "paths": lambda _: rb.concat(["a", "b"]),  # type: ignore[list-item]
    "a number": lambda _: rb.concat(5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_errors(name: str, scene: rb.Dataset) -> None:
    with pytest.raises(rb.OptionError) as caught:
        WRONG[name](scene)
    assert caught.value.option in ("mask", "reason", "rename", "by", "datasets")


def test_a_class_that_does_not_exist_is_an_error(scene: rb.Dataset) -> None:
    with pytest.raises(rb.ResolveError):
        scene.rename({"cat": "dog"})


MADE: dict[str, Callable[[rb.Dataset, rb.Dataset], list[rb.Dataset]]] = {
    "filtered": lambda one, _: [one.where(one.regions.box[:, 2] > 0.1, reason="narrow")],
    "renamed": lambda one, _: [one.rename({"café": "person"})],
    "joined": lambda one, other: [rb.concat([*one.split_by("split").values(), other])],
    "split": lambda one, _: one.split_by(3),
    "split by class": lambda one, _: [*one.split_by("tag").values()],
}


@pytest.mark.parametrize("how", MADE)
def test_derived_datasets_are_uploaded_and_verified(
    how: str, scene: rb.Dataset, tmp_path: Path
) -> None:
    write_yolo(tmp_path, [("market.png", "person", [0.5] * 4)])
    (tmp_path / "market.png").write_bytes(
        (SCENE / "coco" / "images" / "fog.png").read_bytes() + b"!"
    )
    datasets = MADE[how](scene, rb.read(tmp_path))
    sent = 0
    with LocalService() as service:
        project = service.create_project("derived")
        with rb.TrainingClient(service.endpoint, service.key) as client:
            for dataset in datasets:
                limiter = Clock().rate_limiter()
                result = rb.upload(dataset, client, project, create_tags=True, rate_limiter=limiter)
                sent += result.created
                assert result.failed == 0
                assert result.verification
                assert result.verification.missing == 0
                image_ids = dict(result.image_ids)
                found = rb.verify(
                    dataset, client, project, image_ids=image_ids, rate_limiter=limiter
                )
                assert (found.missing, found.moved) == (0, 0)
                rb.write_report(tmp_path / "report.json", dataset)
                assert rb.summary(dataset)["boxes"]["kept"] == len(dataset)
    assert sent == sum(map(len, datasets))


def test_a_missing_region_of_joined_datasets_has_its_place(
    scene: rb.Dataset, tmp_path: Path
) -> None:
    write_yolo(tmp_path, [("b.jpg", "person", [0.5] * 4)])
    joined = rb.concat([scene, rb.read(tmp_path)])
    with LocalService() as service:
        project = service.create_project("derived")
        with rb.TrainingClient(service.endpoint, service.key) as client:
            rb.upload(scene, client, project, create_tags=True)
            batches = rb.batches(
                joined,
                tag_ids={tag.name: tag.id for tag in client.tags(project)},
                image_ids={},
                skip_unresolved=True,
            )
    found = [one.place for one in batches.findings if one.code == "unresolved"]
    assert "annotations/instances_train.json: annotation 1" in found
    assert "b.txt:1" in found
