"""COCO behaviour that fixtures cannot show: loaded objects, paths, links, values in findings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT, mentions, raises_mentioning
from regionbatch.errors import DatasetError, UnknownFormatError

if TYPE_CHECKING:
    from collections.abc import Callable

CATEGORIES = [{"id": 1, "name": "cat"}]
IMAGE = {"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}
RECORD = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 40, 30]}
BOX = (0.1, 0.1, 0.2, 0.3)


def coco(*annotations: Any, **more: Any) -> dict[str, Any]:
    return {"images": [IMAGE], "categories": CATEGORIES, "annotations": list(annotations), **more}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read_loaded(content: dict[str, Any]) -> rb.Dataset:
    return rb.read(SimpleNamespace(dataset=content))


def boxes_of(dataset: rb.Dataset) -> list[tuple[float, ...]]:
    return [tuple(round(number, 6) for number in row[2:]) for row in dataset]


@pytest.mark.parametrize(
    "shape",
    [
        {"bbox": np.array([20, 10, 40, 30.0])},
        {"bbox": (np.int64(20), 10, np.float32(40), 30)},
        {"bbox": np.array([]), "segmentation": [np.array([20, 10, 60, 20, 30, 40.0])]},
        {"segmentation": np.array([[20, 10, 60, 20, 30, 40]])},
    ],
)
def test_a_loaded_coco_may_contain_numpy_values(shape: dict[str, Any]) -> None:
    image = {**IMAGE, "id": np.int64(7), "width": np.int32(200)}
    record = {"id": np.int64(5), "image_id": np.int32(7), "category_id": np.float64(1), **shape}
    dataset = read_loaded(coco(record, images=[image]))
    assert boxes_of(dataset) == [BOX]
    assert dataset.regions.where.tolist() == [5]


def test_results_loaded_by_pycocotools(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    from pycocotools import mask  # noqa: PLC0415
    from pycocotools.coco import COCO  # noqa: PLC0415

    pixels = np.zeros((100, 200), np.uint8, order="F")
    pixels[10:40, 20:60] = 1
    ground = COCO(str(write(tmp_path / "a.json", coco(RECORD))))
    results = [{"image_id": 1, "category_id": 1, "segmentation": mask.encode(pixels), "score": 0.5}]
    assert boxes_of(rb.read(ground.loadRes(results))) == [BOX]


@pytest.mark.parametrize(
    ("record", "code", "value"),
    [
        ({"image_id": None}, "unknown_image", "None"),
        ({"image_id": [1]}, "unknown_image", "[1]"),
        ({"category_id": 1.5}, "unknown_category", "1.5"),
        ({"category_id": "two"}, "unknown_category", "two"),
        ({"image_id": 2**65}, "unknown_image", str(2**65)),
        ({"image_id": 2}, "ambiguous_id", "image 2"),
        ({"category_id": 2}, "ambiguous_id", "category 2"),
        ({"category_id": 3}, "unknown_class", "category 3"),
        ({"bbox": None, "segmentation": [[1, 2, 3]]}, "not_a_box", "segmentation [[1, 2, 3]]"),
    ],
)
def test_findings_show_the_value_in_the_file(
    tmp_path: Path, record: dict[str, Any], code: str, value: str
) -> None:
    images = [
        IMAGE,
        {**IMAGE, "id": 2},
        {**IMAGE, "id": 2, "file_name": "b.jpg"},
        {**IMAGE, "id": None},
    ]
    categories = [
        *CATEGORIES,
        {"id": 2, "name": "dog"},
        {"id": 2, "name": "cow"},
        {"id": 3, "name": None},
    ]
    path = write(
        tmp_path / "a.json", coco({**RECORD, **record}, images=images, categories=categories)
    )
    dataset = rb.read(path)
    assert dataset.findings.first(code, 1)[0].value == value
    assert not len(dataset)


UNCERTAIN = """
angle-next-to-a-box corners-at-the-edge corners-from-0-to-1 ids-in-odd-digits ids-that-are-not-exact
names-that-are-not-text names-with-control-characters repeated-keys rotation-in-attributes
rotation-of-unknown-unit rotation-that-contradicts-the-polygon rotation-that-is-not-a-number
rotation-without-a-size
widths-and-heights-declared-as-corners-without-areas
"""
CERTAIN = (
    "areas-of-masks bbox-mode-of-corners bbox-mode-of-widths-and-heights corners-read-as-asked"
)


@pytest.mark.parametrize("name", [*UNCERTAIN.split(), *CERTAIN.split()])
def test_strict_mode_fails_on_doubtful_datasets(name: str) -> None:
    path = ROOT / "fixtures" / "coco" / name / "input"
    if name in CERTAIN.split():
        options: rb.ReadKeywords = {}
        if name == "corners-read-as-asked":
            options["bbox_format"] = "ltrb"
        assert len(rb.read(path, strict=True, **options))
    else:
        with pytest.raises(rb.StrictError):
            rb.read(path, strict=True)


@pytest.mark.parametrize(
    ("more", "mode"),
    [
        ({"bbox_mode": 0}, "ltrb"),
        ({"bbox_mode": np.int64(0)}, "ltrb"),
        ({"bbox_mode": "XYXY_ABS"}, "ltrb"),
    ],
)
def test_a_loaded_coco_may_declare_its_order(more: dict[str, Any], mode: str) -> None:
    dataset = read_loaded(coco({**RECORD, "bbox": [20, 10, 60, 40], **more}))
    assert boxes_of(dataset) == [BOX]
    assert dataset.decisions["bbox_format"].startswith(mode)


def test_corners_in_a_loaded_coco_are_detected() -> None:
    with pytest.raises(rb.AmbiguousDatasetError) as error:
        read_loaded(coco({**RECORD, "bbox": [20, 10, 60, 40], "area": np.float32(1200)}))
    assert error.value.option == "bbox_format"


@pytest.mark.parametrize(
    ("shape", "proves"),
    [
        ([[20, 10, 60, 10, 60, 40]], True),
        ([[20, 10, 30, 10, 30, 20], [50, 30, 60, 30, 60, 40]], True),
        ([[20, 10, 60, 10, 60, 40], [0, 0, 1, 1]], False),
        ([[20, 10, 60, 10, 60, 40, 7]], False),
        ([[20, 10, 60, 10, 1e308, -1e308]], False),
        ([[]], False),
        ([], False),
        ("", False),
        ({"size": [100, 200], "counts": [2010, 30, *[70, 30] * 39, 14060]}, True),
        ({"size": [100, 200], "counts": [7]}, False),
    ],
    ids=str,
)
def test_polygons_prove_the_order_in_a_file_as_in_a_loaded_coco(
    tmp_path: Path, shape: object, *, proves: bool
) -> None:
    other = {**RECORD, "id": 8, "bbox": [150, 60, 20, 10], "segmentation": None}
    content = coco(other, {**RECORD, "bbox": [20, 10, 60, 40], "segmentation": shape})
    file = write(tmp_path / "a.json", content)
    reads: list[Callable[[], rb.Dataset]] = [lambda: read_loaded(content), lambda: rb.read(file)]
    for read in reads:
        if proves:
            with pytest.raises(rb.AmbiguousDatasetError) as caught:
                read()
            assert caught.value.value == "annotation 1 (20 10 60 40)"
        else:
            assert read().ledger.kept == 2


@pytest.mark.parametrize(
    ("corners", "error"), [(0, False), (1, False), (2, False), (3, True), (200, True)], ids=str
)
def test_a_few_corners_among_many_boxes_are_doubtful(*, corners: int, error: bool) -> None:
    records = [
        {**RECORD, "id": row, "bbox": [5, 5, 60, 40 + row / 100], "area": 60 * (40 + row / 100)}
        for row in range(200)
    ]
    for row in range(corners):
        records[row] = {
            **RECORD,
            "id": row,
            "bbox": [10, 10, 60, 50 + row / 100],
            "area": 2000 + row / 2,
        }
    if error:
        with pytest.raises(rb.AmbiguousDatasetError):
            read_loaded(coco(*records))
    else:
        assert read_loaded(coco(*records)).findings.doubtful() == (
            {"doubtful_decision": 1} if corners else {}
        )


@pytest.mark.parametrize("name", [1.1, float("nan"), True, ["a"], {"a": 1}])
def test_a_loaded_name_that_is_not_text_is_not_a_name(name: object) -> None:
    """A number with a fraction does not say how it was written."""
    dataset = read_loaded(coco(RECORD, categories=[{"id": 1, "name": name}]))
    assert dataset.ledger.dropped == {"unknown_class": 1}


@pytest.mark.parametrize("wanted", ["b.json", "deep/b.json", "ABSOLUTE", "RELATIVE"])
def test_a_json_file_is_chosen_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    write(tmp_path / "set" / "a.json", coco())
    path = write(tmp_path / "set" / "deep" / "b.json", coco(RECORD))
    monkeypatch.chdir(tmp_path)
    wanted = {"ABSOLUTE": str(path), "RELATIVE": "set/deep/../deep/b.json"}.get(wanted, wanted)
    assert boxes_of(rb.read(tmp_path / "set", coco_json=wanted)) == [BOX]


def test_a_relative_path_is_read_like_the_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "annotations" / "instances_val.json", coco(RECORD))
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "a.jpg").write_bytes(
        (ROOT / "fixtures/coco/plain/input/a.jpg").read_bytes()
    )
    monkeypatch.chdir(path.parent)
    for source in (path, Path(path.name), Path("..") / "annotations" / path.name):
        assert rb.read(source).images.names == ["val/a.jpg"]


def test_a_dataset_among_six_hundred_other_files(tmp_path: Path) -> None:
    write(tmp_path / "train.json", coco(RECORD))
    for number in range(600):
        write(tmp_path / "meta" / f"{number}.json", {"shapes": [], "imagePath": "x"})
    write(tmp_path / "val" / "_annotations.coco.json", coco(RECORD))
    assert len(rb.read(tmp_path)) == 2


def test_a_folder_of_another_format_is_described(tmp_path: Path) -> None:
    write(tmp_path / "set" / "a.json", {"shapes": [], "imagePath": "a.jpg"})
    with raises_mentioning(UnknownFormatError, tmp_path / "set", "LabelMe"):
        rb.read(tmp_path / "set")


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_out_of_the_dataset_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "elsewhere" / "a.json", coco(RECORD))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.json").symlink_to(path)
    with raises_mentioning(UnknownFormatError, tmp_path / "set", "train.json"):
        rb.read(tmp_path / "set")


def test_the_decisions_of_all_splits_are_reported(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / f"instances_{split}.json", coco(RECORD, bbox_format="ltrb"))
        write(
            tmp_path / f"captions_{split}.json", coco({"id": 1, "image_id": 1, "caption": "A cat."})
        )
    decisions = rb.read(tmp_path).decisions
    assert decisions["coco_json"].startswith("instances_train.json, instances_val.json (")
    assert decisions["bbox_format"].startswith("ltrb ")
    assert mentions(decisions["bbox_format"], "instances_train.json", "instances_val.json")


def test_the_unit_is_not_decided_without_boxes(tmp_path: Path) -> None:
    assert "coco_boxes" not in rb.read(write(tmp_path / "a.json", coco())).decisions


def test_a_missing_split_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", coco())
    for source in (tmp_path, path):
        with pytest.raises(DatasetError) as error:
            rb.read(source, split="val")
        assert error.value.option == "split"


def test_wrong_options_carry_the_value_and_the_choices(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", coco(RECORD))
    with pytest.raises(rb.OptionError) as error:
        rb.read(path, coco_json="b.json")
    assert (error.value.option, error.value.value) == ("coco_json", "b.json")
    with pytest.raises(DatasetError) as missing:
        rb.read(tmp_path, coco_json="b.json")
    assert (missing.value.option, missing.value.value) == ("coco_json", "b.json")
    with pytest.raises(rb.DatasetError) as empty:
        rb.read(tmp_path, coco_json="")
    assert (empty.value.option, empty.value.value) == ("coco_json", "")
    assert missing.value.choices == ("a.json",)
    write(path, coco(RECORD, bbox_format="cxcywh"))
    with pytest.raises(DatasetError) as unknown:
        rb.read(path)
    assert (unknown.value.place, unknown.value.value) == ("a.json", "cxcywh")
    assert unknown.value.choices == ("ltwh", "ltrb")


def test_only_compares_class_names_normalised(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", coco(RECORD, categories=[{"id": 1, "name": "Ka\u0308se "}]))
    assert len(rb.read(path, only=" K\u00e4se")) == 1


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ('"bbox": NaN, "category_id": 1', "not_a_box"),
        ('"bbox": [20, 10, 40, 30], "category_id": 1, "rotation": NaN', "unclear_rotation"),
    ],
)
def test_nan_is_not_two_values_of_a_key(tmp_path: Path, values: str, code: str) -> None:
    record = f'{{"id": 1, "image_id": 1, "area": 1, "area": 1, {values}}}'
    text = json.dumps(coco(RECORD)).replace(json.dumps(RECORD), record)
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    dataset = rb.read(tmp_path)
    assert [finding.code for finding in dataset.findings if finding.where == 1] == [code]
    assert all("two values" not in finding.value for finding in dataset.findings)


@pytest.mark.parametrize("bbox", [["20", "x", "40", "30"], [20, None, 40, 30], [[20, 10, 40]]])
def test_an_array_that_is_not_a_box_is_reported_as_it_is(bbox: list[Any]) -> None:
    dataset = read_loaded(coco(RECORD, {**RECORD, "id": 2, "bbox": np.array(bbox)}))
    [finding] = [finding for finding in dataset.findings if finding.where == 2]
    assert (finding.code, finding.value) == ("not_a_box", repr(bbox))
