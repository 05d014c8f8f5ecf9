"""Which image file belongs to which annotations: one table of rules for all formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from association_data import OTHER_SIZE, ROW, SIZE, YAML, coco, cvat, placed, png, voc, write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


MATCHED = [
    # rank 1: the whole declared path, from the JSON's folder or from the root
    ({"a/data.json": coco("x/1.png")}, ["a/x/1.png"], {"a/x/1.png"}),
    ({"a/data.json": coco("x/1.png")}, ["x/1.png"], {"x/1.png"}),
    # rank 2: a label word in one path, an image word in the other
    ({"labels/x/1.txt": ROW, "classes.txt": "cat"}, ["images/x/1.png"], {"images/x/1.png"}),
    ({"x/annots/1.xml": voc("1.png")}, ["x/photos/1.png"], {"x/photos/1.png"}),
    # rank 3: the same folder, if no parallel folder has the image
    ({"x/1.txt": ROW, "classes.txt": "cat"}, ["x/1.png"], {"x/1.png"}),
    # rank 4: the same key and split
    (
        {"annotations/instances_train2017.json": coco("1.png")},
        ["data/train_images/1.png", "val/1.png"],
        {"data/train_images/1.png"},
    ),
    (
        {"Train_Annotations/1.xml": voc("1.png")},
        ["Train_Images/1.png", "Test_Images/1.png"],
        {"Train_Images/1.png"},
    ),
    (
        {"annotations/instances_default.json": coco("1.png")},
        ["images/default/1.png", "images/other/1.png"],
        {"images/default/1.png"},
    ),
    # rank 5: the image's path ends with the declared one
    (
        {"data.json": coco("set1/1.png", "set2/1.png")},
        ["wrapper/set1/1.png", "wrapper/set2/1.png"],
        {"wrapper/set1/1.png", "wrapper/set2/1.png"},
    ),
    (
        {"data.json": coco("C:\\sets\\me\\images\\1.png", "C:\\sets\\me\\images\\2.png")},
        ["images/1.png", "images/2.png"],
        {"images/1.png", "images/2.png"},
    ),
    # rank 6: only one of the two folders names a split
    ({"annotations/instances_train.json": coco("1.png")}, ["images/1.png"], {"images/1.png"}),
    # rank 8: no image has the label file's name
    ({"a.xml": voc("photo.png")}, ["photo.png"], {"photo.png"}),
    # the declared size decides
    ({"a.xml": voc("a.png")}, {"images/a.png": SIZE, "photos/a.png": OTHER_SIZE}, {"images/a.png"}),
    # masks are not images
    (
        {"Annotations/1.xml": voc("1.png")},
        ["SegmentationClass/1.png", "JPEGImages/1.png"],
        {"JPEGImages/1.png"},
    ),
    # a list names one of two images with the same stem
    (
        {"data.yaml": YAML + "train: t.txt", "t.txt": "images/1.png", "labels/1.txt": ROW},
        ["images/1.png", "images/1.jpg"],
        {"images/1.png"},
    ),
    # numbers after a split word
    (
        {
            "annotations/instances_train2014.json": coco("1.png"),
            "annotations/instances_train2017.json": coco("2.png"),
        },
        ["train2014/1.png", "train2017/1.png", "train2017/2.png"],
        {"train2014/1.png", "train2017/2.png"},
    ),
    # a declared split
    (
        {"annotations.xml": cvat("1.png", "train")},
        ["images/train/1.png", "images/val/1.png"],
        {"images/train/1.png"},
    ),
    # a.jpg.txt, %20, a query, other case
    ({"labels/1.png.txt": ROW, "classes.txt": "cat"}, ["images/1.png"], {"images/1.png"}),
    ({"labels/a%20b.txt": ROW, "classes.txt": "cat"}, ["images/a b.png"], {"images/a b.png"}),
    ({"data.json": coco("a%20b.png")}, ["a b.png"], {"a b.png"}),
    ({"data.json": coco("1.png?x=1")}, ["1.png"], {"1.png"}),
    ({"labels/A.txt": ROW, "classes.txt": "cat"}, ["images/a.png"], {"images/a.png"}),
]


@pytest.mark.parametrize(("files", "images", "expected"), MATCHED)
def test_an_image_is_found(
    files: dict[str, str], images: Iterable[str], expected: set[str], tmp_path: Path
) -> None:
    dataset = rb.read(write(tmp_path, files, images))
    assert set(placed(dataset, tmp_path).values()) == expected
    assert dataset.ledger.kept == len(expected)
    assert not dataset.images.exact.any()


STEMS_IN_A_FOLDER = [
    ["a.png", "b.png", "c.png"],  # label files and images are sorted alike
    ["a.png", "a-1.png", "a.b.png", "ab.png"],  # sorted otherwise than their stems
    ["a.png", "b.PNG", "c.jpg"],
    ["é.png", "z.png", "\N{CAT FACE}.png"],
]


@pytest.mark.parametrize("others", [(), ("0.png", "aa.png", "zz.png")])
@pytest.mark.parametrize("names", STEMS_IN_A_FOLDER)
def test_each_label_file_belongs_to_the_image_of_its_name(
    names: list[str], others: Iterable[str], tmp_path: Path
) -> None:
    stems = [name.rpartition(".")[0] for name in names]
    files = {f"labels/{stem}.txt": f"{row} 0.5 0.5 0.5 0.5" for row, stem in enumerate(stems)}
    files["classes.txt"] = "\n".join(f"of {stem}" for stem in stems)
    dataset = rb.read(write(tmp_path, files, [f"images/{name}" for name in (*names, *others)]))
    expected = {f"images/{name}": f"of {stem}" for name, stem in zip(names, stems, strict=True)}
    assert {region.image: region.tag for region in dataset} == expected
    assert len(dataset.images) == len(names) + len([*others])


KEPT_BY_NAME = [
    # images of another split, another camera, another extension
    (
        {"annotations/instances_train.json": coco("1.png")},
        ["val/1.png"],
        "1.png",
        "image_not_on_disk",
    ),
    (
        {"data.json": coco("cam2/1.png", "cam3/1.png")},
        ["cam1/1.png", "cam3/1.png"],
        "cam2/1.png",
        "image_not_on_disk",
    ),
    ({"data.json": coco("1.jpg")}, ["1.png"], "1.jpg", "image_not_on_disk"),
    (
        {"labels/val/1.txt": ROW, "classes.txt": "cat"},
        ["images/train/1.png"],
        "images/val/1",
        "image_not_on_disk",
    ),
    (
        {"labels/train_2/1.txt": ROW, "classes.txt": "cat"},
        ["images/train_1/1.png"],
        "images/train_2/1",
        "image_not_on_disk",
    ),
    (
        {"data.json": coco("train2014/1.png")},
        ["train2017/1.png"],
        "train2014/1.png",
        "image_not_on_disk",
    ),
    (
        {"cam1/a.xml": voc("1.png"), "cam2/3.xml": voc("3.png")},
        ["cam2/1.png", "cam2/3.png"],
        "cam1/1.png",
        "image_not_on_disk",
    ),
    (
        {"data.json": coco("/x/images/1.png", "/x/images/2.png")},
        ["images/1.png", "old/images/2.png"],
        "/x/images/2.png",
        "outside_dataset",
    ),
    # an image in the folder of the labels, if a parallel folder has the others
    (
        {"Annotations/1.xml": voc(), "Annotations/2.xml": voc()},
        ["JPEGImages/1.png", "Annotations/1.png", "Annotations/2.png"],
        "2",
        "image_not_on_disk",
    ),
    # a stray in the root, a preview next to the JSON
    (
        {"annotations/train.json": coco("1.png", "2.png")},
        ["1.png", "train/1.png", "train/2.png"],
        "1.png",
        "ambiguous_image",
    ),
    (
        {"annotations/a.json": coco("1.png", "2.png")},
        ["annotations/1.png", "images/1.png", "images/2.png"],
        "1.png",
        "ambiguous_image",
    ),
    (
        {"train/_annotations.coco.json": coco("1.png", "2.png", "3.png")},
        ["1.png", "train/2.png", "train/3.png"],
        "train/1.png",
        "ambiguous_image",
    ),
    # several equally good images
    ({"data.json": coco("1.png")}, ["images/1.png", "photos/1.png"], "1.png", "ambiguous_image"),
    (
        {"Annotations/1.xml": voc("1.png", None)},
        ["images/train/1.png", "test/1.png"],
        "1.png",
        "ambiguous_image",
    ),
    # two label files with one image
    (
        {"a.xml": voc("photo.png"), "b.xml": voc("photo.png")},
        ["photo.png"],
        "a.png",
        "ambiguous_image",
    ),
    # outside the dataset
    ({"data.json": coco("../1.png")}, ["x/2.png"], "../1.png", "outside_dataset"),
]


@pytest.mark.parametrize(("files", "images", "name", "code"), KEPT_BY_NAME)
def test_a_box_is_kept_by_name(
    files: dict[str, str], images: Iterable[str], name: str, code: str, tmp_path: Path
) -> None:
    folder = tmp_path / "dataset"
    (tmp_path / "1.png").write_bytes(png())
    kept = rb.read(write(folder, files, images))
    assert name in set(kept.findings.files) | set(kept.images.names)
    assert kept.images.paths[list(kept.images.names).index(name)] == ""
    assert code in kept.findings.counts()
