"""The ranked table: which image file belongs to which annotations of small datasets."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import regionbatch as rb
from regionbatch.association import associate
from regionbatch.files import image_lookup
from regionbatch.files.image_index import ImageIndex
from regionbatch.files.paths import folder_key
from regionbatch.files.tree import Tree
from regionbatch.matches import MatchOutcome, ReferenceTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SIZE, OTHER_SIZE = (80, 80), (30, 17)


def png(width: int = 80, height: int = 80) -> bytes:
    """Return a PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (width + 1) * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def write(
    folder: Path, files: Mapping[str, str], images: Iterable[str] | Mapping[str, tuple[int, int]]
) -> Path:
    """Write a dataset and return its folder."""
    sizes = images if isinstance(images, dict) else dict.fromkeys(images, SIZE)
    contents = {name: text.encode() for name, text in files.items()}
    contents |= {name: png(*size) for name, size in sizes.items()}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def coco(*names: str) -> str:
    """Return a COCO file that lists images of `SIZE`, each with one box."""
    images = [
        {"id": n, "file_name": name, "width": 80, "height": 80} for n, name in enumerate(names)
    ]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [8, 8, 32, 32]}
        for n in range(len(names))
    ]
    return json.dumps(
        {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": boxes}
    )


def voc(name: str = "", size: tuple[int, int] | None = SIZE) -> str:
    """Return a VOC file with one box."""
    width, height = size or (0, 0)
    box = "<bndbox><xmin>8</xmin><ymin>8</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
    declared = f"<size><width>{width}</width><height>{height}</height></size>" if size else ""
    header = f"<filename>{name}</filename>{declared}"
    return f"<annotation>{header}<object><name>cat</name>{box}</object></annotation>"


def cvat(name: str, subset: str) -> str:
    """Return a CVAT file with an image of `SIZE` and one box."""
    box = '<box label="cat" xtl="8" ytl="8" xbr="40" ybr="40"/>'
    attributes = f'name="{name}" subset="{subset}" width="80" height="80"'
    return f"<annotations><image {attributes}>{box}</image></annotations>"


ROW = "0 0.3 0.3 0.4 0.4\n"


def placed(dataset: rb.Dataset, root: Path) -> dict[str, str]:
    """Return the file of each image with a box, by its name; empty if it is not on disk."""
    used = {region.image for region in dataset}
    files = zip(dataset.images.names, dataset.images.paths, strict=True)
    return {
        name: path.removeprefix(f"{root}/").replace("\\", "/") if path else ""
        for name, path in files
        if name in used
    }


YAML = "names: [cat]\n"

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


@pytest.mark.parametrize(
    ("files", "images", "code", "dropped"),
    [
        (
            {"labels/1.txt": ROW, "images/1.txt": ROW * 2, "classes.txt": "cat"},
            ["images/1.png"],
            "second_label",
            2,
        ),
        (
            {"labels/1.txt": ROW, "old/1.txt": ROW, "classes.txt": "cat"},
            ["images/1.png"],
            "unlisted_label",
            1,
        ),
        (
            {"Annotations/1.xml": voc(), "backup/1.xml": voc()},
            ["JPEGImages/1.png"],
            "unlisted_label",
            1,
        ),
        (
            {"data.yaml": YAML + "train: images/a", "labels/a/1.txt": ROW, "labels/b/2.txt": ROW},
            ["images/a/1.png"],
            "unlisted_label",
            1,
        ),
    ],
)
def test_a_label_file_that_is_not_read_is_counted(
    files: dict[str, str], images: list[str], code: str, dropped: int, tmp_path: Path
) -> None:
    dataset = rb.read(write(tmp_path, files, images))
    assert dataset.ledger.dropped == {code: dropped}
    assert dataset.ledger.kept == 1
    assert dataset.findings.first(code)[0].where == 1


def test_a_label_file_that_loses_its_image_by_size_is_counted(tmp_path: Path) -> None:
    files = {"a.xml": voc("a.png"), "Annotations/a.xml": voc()}
    dataset = rb.read(write(tmp_path, files, {"images/a.png": SIZE, "a.png": OTHER_SIZE}))
    assert dataset.ledger.dropped == {"second_label": 1}
    assert placed(dataset, tmp_path) == {"images/a.png": "images/a.png"}


def test_a_label_file_that_is_not_read_influences_no_decision(tmp_path: Path) -> None:
    rows = {
        "labels/1.txt": ROW,
        "old/1.txt": "0 155 144 481 298\n" * 9,
        "classes.txt": "cat",
        "old/classes.txt": "dog",
    }
    dataset = rb.read(write(tmp_path, rows, ["images/1.png"]))
    assert list(dataset.tags) == ["cat"]
    assert dataset.ledger.dropped == {"unlisted_label": 9}


@pytest.mark.parametrize(
    ("files", "images"),
    [
        (
            {"Annotations/1.xml": voc("1.png", None)},
            ["images/train/1.png"],
        ),  # only the image's folder names a split
        ({"data.json": coco("x/1.png")}, ["elsewhere/1.png"]),  # only the name agrees
        ({"cam1/a.xml": voc("cam1/1.png")}, ["cam2/1.png"]),  # only the second name agrees
        (
            {"cam1/a.xml": voc("1.png", (55, 55))},
            ["cam1/1.png"],
        ),  # the size contradicts the second name
        (
            {"data.json": coco("/data/site1/cam1/1.png")},
            ["site2/cam1/1.png"],
        ),  # the folders above contradict
        (
            {"Annotations/a.xml": voc("b.png", OTHER_SIZE)},
            ["JPEGImages/a.png"],
        ),  # <filename> and size differ
        ({"a.xml": voc("b.jpg"), "b.xml": voc("a.jpg")}, []),  # each declares the other's name
        ({"data.yaml": YAML + "train: D:\\gone\\images_x", "labels/1.txt": ROW}, ["images/1.png"]),
    ],
)
def test_uncertain_matches_fail_in_strict_mode(
    files: dict[str, str], images: list[str], tmp_path: Path
) -> None:
    folder = write(tmp_path, files, images)
    assert rb.read(folder).findings.doubtful()
    with pytest.raises(rb.StrictError):
        rb.read(folder, strict=True)


def test_image_dir_makes_a_weak_match_certain(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "d",
        {"anno/1.xml": voc("1.png"), "logo.xml": voc("logo.png")},
        ["pics/1.png", "logo.png"],
    )
    assert rb.read(folder).findings.doubtful()
    certain = rb.read(folder, image_dir=folder / "pics", strict=True)
    assert certain.ledger.kept == 2


def test_external_image_folders_may_have_the_same_names(tmp_path: Path) -> None:
    splits = {f"annotations/instances_{split}.json": coco("1.png") for split in ("train", "val")}
    folder = write(tmp_path / "labels-only", splits, [])
    folders = [write(tmp_path / "images" / split, {}, ["1.png"]) for split in ("train", "val")]
    dataset = rb.read(folder, image_dir=folders, strict=True)
    assert placed(dataset, tmp_path / "images") == {
        "train/1.png": "train/1.png",
        "val/1.png": "val/1.png",
    }


def test_image_dir_inside_the_dataset_adds_no_second_images(tmp_path: Path) -> None:
    files = {"1.xml": voc("1.png"), "pics/1.xml": voc("1.png"), "logo.xml": voc()}
    folder = write(tmp_path, files, ["pics/1.png", "logo.png"])
    dataset = rb.read(folder, image_dir=[folder / "pics", folder / "pics", folder])
    assert placed(dataset, tmp_path) == {"logo.png": "logo.png", "pics/1.png": "pics/1.png"}
    assert dataset.ledger.dropped == {"second_label": 1}


@pytest.mark.parametrize(
    ("files", "image_id"),
    [
        ({"annotations/train.json": coco("1.png")}, "val/1.png"),
        ({"train/1.xml": voc("1.png")}, "test/1.png"),
        ({"Annotations/cam2/1.xml": voc("1.png")}, "cam1/1.png"),
        ({"labels/cam2/1.txt": ROW, "classes.txt": "cat"}, "cam1/1.png"),
    ],
)
def test_no_image_gets_the_id_of_another_split_or_folder(
    files: dict[str, str], image_id: str, tmp_path: Path
) -> None:
    dataset = rb.read(write(tmp_path, files, []))
    ids = {image_id: "00000000-0000-0000-0000-000000000001"}
    with pytest.raises(rb.ResolveError):
        rb.batches(dataset, tag_ids={"cat": "00000000-0000-0000-0000-000000000002"}, image_ids=ids)


def test_a_label_file_that_is_a_link_out_of_the_dataset_keeps_its_image(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", {"Annotations/1.xml": voc("2.png")}, ["JPEGImages/2.png"])
    (tmp_path / "2.xml").write_text(voc(), encoding="utf-8")
    try:
        (folder / "Annotations" / "2.xml").symlink_to(tmp_path / "2.xml")
    except OSError:
        pytest.skip("links are not supported")
    dataset = rb.read(folder)
    assert dataset.ledger.images.dropped == {"unreadable_file": 1}
    assert dataset.images.paths == [""]


def test_names_that_differ_in_case_are_ambiguous(tmp_path: Path) -> None:
    folder = write(tmp_path, {"data.json": coco("A.JPG")}, ["a.jpg", "a.JPG"])
    if len(list(folder.glob("*.[jJ]*[gG]"))) < 2:
        pytest.skip("the file system ignores case")
    dataset = rb.read(folder)
    assert dataset.findings.counts()["ambiguous_image"] == 1
    assert dataset.images.exact.tolist() == [True]


def test_a_folder_of_annotations_is_read_without_its_images(tmp_path: Path) -> None:
    write(tmp_path, {"Annotations/1.xml": voc("1.png")}, ["JPEGImages/1.png"])
    dataset = rb.read(tmp_path / "Annotations")
    assert dataset.findings.counts() == {"image_not_on_disk": 1}
    assert str(tmp_path) in dataset.decisions["image_dir"]
    assert rb.read(
        tmp_path / "Annotations", image_dir=tmp_path / "JPEGImages", strict=True
    ).images.paths[0]


@pytest.mark.parametrize(
    ("folder", "parts", "splits"),
    [
        ("data/train_images", (), {"train"}),
        ("images/train2017", (), {"train"}),
        ("Validation_Annotations/cats", ("cats",), {"val"}),
        ("images/dogs", ("dogs",), set()),
        ("images/not_dogs", ("not-dogs",), set()),
        ("labels_old", ("old",), set()),
        ("trainval", (), {"trainval"}),
        ("runs/detect/predict/labels", ("runs", "detect", "predict"), set()),
    ],
)
def test_the_key_of_a_folder(folder: str, parts: tuple[str, ...], splits: set[str]) -> None:
    assert (folder_key(folder).parts, folder_key(folder).splits.words) == (parts, frozenset(splits))


# Time: the cost of one lookup does not depend on how many images have the name.


def count_of_comparisons(
    monkeypatch: pytest.MonkeyPatch, folder: Path, files: list[str], names: list[str]
) -> int:
    """Return how many images were put into groups or compared."""
    compared = 0
    put, find = image_lookup.ImageLookup._put, image_lookup.ImageGroup._find_best

    def count_put(self: image_lookup.ImageLookup, *given: object) -> None:
        nonlocal compared
        compared += 1
        put(self, *given)  # type: ignore[arg-type]

    def count_find(self: image_lookup.ImageGroup, *given: Any) -> tuple[int, list[int]]:
        nonlocal compared
        compared += len(self.images)
        return find(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(image_lookup.ImageLookup, "_put", count_put)
        patch.setattr(image_lookup.ImageGroup, "_find_best", count_find)
        index = ImageIndex([Tree(folder)])
        index.add_tree(0)
        by_label = not files[0].endswith(".json")
        sizes = np.full((len(files), 2), 80, np.int32)
        matches = associate(index, ReferenceTable(files, names, sizes, by_label))
    assert set(matches.outcome.tolist()) <= {*map(int, MatchOutcome)}
    return compared


@pytest.mark.parametrize("label", ["l{}/a.xml", "d{}/labels/a.xml", "{}.json"])
@pytest.mark.parametrize("image", ["i{}/a.png", "d{}/images/a.png", "images/x{}/a.png"])
def test_files_with_one_name_are_matched_in_linear_time(
    label: str, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = 40, 80
    for number in range(many):
        path = tmp_path / image.format(number)
        path.parent.mkdir(parents=True)
        path.write_bytes(png())
        if number + 1 == few:
            once = count_of_comparisons(
                monkeypatch, tmp_path, [label.format(n) for n in range(few)], ["a.png"] * few
            )
    twice = count_of_comparisons(
        monkeypatch, tmp_path, [label.format(n) for n in range(many)], ["a.png"] * many
    )
    assert twice <= 2.2 * once + 10
