"""Where the class names of YOLO labels come from: cases that a fixture cannot contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import regionbatch as rb
from helpers import write_yolo
from regionbatch.files.tree import Tree
from regionbatch.findings import FindingLog
from regionbatch.options import YoloOptions
from regionbatch.readers.yolo.class_names import LabelFiles, find_class_names, folders_of
from regionbatch.readers.yolo.dataset_configs import find_configs
from regionbatch.readers.yolo.reader import YoloReader
from regionbatch.readers.yolo.yaml_files import merge_mappings

if TYPE_CHECKING:
    from pathlib import Path

ROW = "0 0.5 0.5 0.2 0.2\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which contains a dataset `set` with the class list `cat`."""
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path / "set",
        {"labels/a.txt": ROW, "classes.txt": "cat\n", "lists/animals.txt": "dog\n"},
    )
    return tmp_path


@pytest.mark.parametrize("names", ["lists/animals.txt", "set/lists/animals.txt"])
def test_a_class_list_is_found_in_the_current_folder_and_in_the_dataset(
    here: Path, names: str
) -> None:
    for given in (names, here / "set" / "lists" / "animals.txt"):
        dataset = rb.read("set", names=given)
        assert [region.tag for region in dataset] == ["dog"]


def test_the_class_list_in_the_current_folder_wins_and_is_reported(here: Path) -> None:
    write(here, {"lists/animals.txt": "cow\n"})
    dataset = rb.read("set", names="lists/animals.txt")
    assert [region.tag for region in dataset] == ["cow"]
    assert "not set" in dataset.decisions["names"]
    write(here, {"lists/animals.txt": "dog\n"})
    assert "not set" not in rb.read("set", names="lists/animals.txt").decisions["names"]


def test_an_image_folder_is_found_in_the_current_folder_and_in_the_dataset(
    here: Path,
) -> None:
    images = here / "set" / "photos"
    images.mkdir()
    for given in ("photos", "set/photos", images):
        assert len(rb.read("set", image_dir=given)) == 1
    with pytest.raises(rb.OptionError):
        rb.read("set", image_dir="nowhere")
    assert "image_dir" not in rb.read("set", image_dir="photos").decisions
    (here / "photos").mkdir()
    assert "image_dir" in rb.read("set", image_dir="photos").decisions, "two folders fit"


def test_each_row_has_the_class_list_of_its_folder(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a/classes.txt": "x\ny\nz\n", "a/1.txt": ROW, "b/classes.txt": "z\n\ny", "b/2.txt": ROW},
    )
    log, tree = FindingLog(), Tree(tmp_path)
    log.file("another.json")
    files = ["a/1.txt", "b/2.txt"]
    code = log.add_files(files)[[0, 1, 1, 0, 1, 1]]
    labels = LabelFiles(folders_of(files), 1, code)
    names = find_class_names(tree, find_configs(tree, log), None, labels, log)
    assert names.tags == ["x", "y", "z", ""]
    assert names.list_of_rows(code).tolist() == [0, 1, 1, 0, 1, 1]
    number = np.array([0, 0, 2, 3, 1, -1], np.int64)
    assert names.tag(code, number).tolist() == [0, 2, 1, -1, -1, -1]


@pytest.mark.parametrize("others", [{}, {"a": "cat\n"}, {"a": "cat\n", "c": "dog\n"}])
def test_a_class_list_may_be_empty(tmp_path: Path, others: dict[str, str]) -> None:
    for folder, names in {**others, "b": ""}.items():
        files = {"obj.data": "classes = 1\nnames = obj.names\n", "obj.names": names}
        write(tmp_path / folder, {**files, f"{folder}.txt": ROW})
    dataset = rb.read(tmp_path)
    assert [f"{region.tag}\n" for region in dataset] == [*others.values()]
    assert dataset.findings.counts()["unknown_class"] == 1


def test_a_class_list_that_cannot_be_used_is_an_option_error(here: Path) -> None:
    write(here, {"empty.txt": "\n"})
    for names in ("nowhere.txt", "empty.txt"):
        with pytest.raises(rb.OptionError) as caught:
            rb.read("set", names=names)
        assert (caught.value.option, caught.value.value) == ("names", names)


def test_a_split_that_does_not_exist_is_an_error_with_the_choices(tmp_path: Path) -> None:
    write(tmp_path, {"data.yaml": "train: a\nval: b\nnames: [cat]\n", "a/1.txt": ROW})
    write(tmp_path, {"a/1.jpg": "", "b/2.jpg": ""})
    with pytest.raises(rb.DatasetError) as caught:
        rb.read(tmp_path, split="test")
    error = caught.value
    assert (error.option, error.value, error.place) == ("split", "test", "data.yaml")
    assert error.choices == ("train", "val")


def test_the_class_list_of_one_split_is_enough(tmp_path: Path) -> None:
    data = write(
        tmp_path,
        {"train/labels/classes.txt": "cat\n", "train/labels/a.txt": ROW, "val/labels/b.txt": ROW},
    )
    assert [region.tag for region in rb.read(data)] == ["cat", "cat"]


@pytest.mark.parametrize("name", ["requirements.txt", "License.txt", "README first.txt"])
def test_notes_are_not_labels_among_many_without_images(tmp_path: Path, name: str) -> None:
    folder = write_yolo(tmp_path, [(f"{at}.jpg", "cat", (0.5, 0.5, 0.1, 0.1)) for at in range(30)])
    expected = rb.read(folder).ledger
    (folder / name).write_text("numpy 2\n", encoding="utf-8")
    assert rb.read(folder).ledger == expected


def test_files_that_are_not_read_are_counted_even_without_class_names(tmp_path: Path) -> None:
    stray = {f"runs/labels/{number}.txt": ROW for number in range(300)}
    data = write(
        tmp_path,
        {
            "x/data.yaml": "train: images\nnames: [cat]\n",
            "x/images/a.jpg": "",
            "x/labels/a.txt": ROW,
        },
    )
    dataset = rb.read(write(data, stray))
    assert (len(dataset), dict(dataset.ledger.dropped)) == (1, {"unlisted_label": 300})


def test_keys_are_merged_once_however_many_aliases_there_are() -> None:
    mapping: dict[str, object] = {"name": "0"}
    for depth in range(1, 200):
        mapping = {"<<": [mapping] * 100, f"{depth}": f"{depth}"}
    assert len(merge_mappings(mapping)) == 200


def test_nested_lists_are_read_once_however_many_aliases_there_are(tmp_path: Path) -> None:
    lines = [
        "a0: &a0 [labels]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 60)),
    ]
    write(
        tmp_path,
        {"labels/a.txt": ROW, "data.yaml": "\n".join([*lines, "train: *a59", "names: [cat]"])},
    )
    assert len(rb.read(tmp_path)) == 1


def test_only_the_class_names_of_a_deep_data_yaml_count(tmp_path: Path) -> None:
    deep = {"p/q/r/s/data.yaml": "train: images\nnames: [dog]\n"}
    files = {"classes.txt": "cat\n", "labels/a.txt": ROW, **deep, "p/q/r/s/labels/b.txt": ROW}
    write(tmp_path, files | {"p/q/r/s/images/b.jpg": "", "images/a.jpg": ""})
    references = YoloReader().references(Tree(tmp_path), YoloOptions(), FindingLog())
    assert sorted(references.files) == ["labels/a.txt", "p/q/r/s/labels/b.txt"]
    assert sorted(region.tag for region in rb.read(tmp_path)) == ["cat", "dog"]


def test_a_deep_invalid_yaml_is_an_error_only_near_label_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"classes.txt": "cat\n", "labels/a.txt": ROW, "p/q/r/s/values.yaml": "names: [cat\n"},
    )
    assert len(rb.read(tmp_path)) == 1
    write(tmp_path, {"p/q/r/labels/b.txt": ROW})
    with pytest.raises(rb.DatasetError):
        rb.read(tmp_path)


def test_a_folder_within_another_has_its_own_class_list(tmp_path: Path) -> None:
    files = {"labels/a.txt": ROW, "labels/x/b.txt": ROW}
    write(tmp_path, files | {"labels/classes.txt": "cat\n", "labels/x/classes.txt": "dog\n"})
    found = {region.image: region.tag for region in rb.read(tmp_path)}
    assert found == {"images/a": "cat", "images/x/b": "dog"}
