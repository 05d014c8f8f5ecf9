"""What happens to boxes and label files after images were matched, and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import regionbatch as rb
from association_data import OTHER_SIZE, ROW, SIZE, YAML, coco, placed, png, voc, write
from regionbatch.association import associate
from regionbatch.files import image_lookup
from regionbatch.files.image_index import ImageIndex
from regionbatch.files.paths import folder_key
from regionbatch.files.tree import Tree
from regionbatch.matches import MatchOutcome, ReferenceTable

if TYPE_CHECKING:
    from pathlib import Path


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


def test_image_dir_inside_the_dataset_adds_no_duplicate_images(tmp_path: Path) -> None:
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
