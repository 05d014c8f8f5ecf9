"""Hostile folders: links, paths and names that lead out of the dataset, in circles, or nowhere."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from bounded import needs_posix, run_bounded

import regionbatch as rb
from helpers import ROOT, raises_mentioning, write_yolo

if TYPE_CHECKING:
    from pathlib import Path


@needs_posix
@pytest.mark.parametrize(
    "kind", ["pipe", "broken link", "link to the outside", "folder link to the outside"]
)
def test_an_image_with_an_unreadable_label_is_dropped(tmp_path: Path, kind: str) -> None:
    folder = write_yolo(tmp_path / "set", [("b.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    (folder / "x" / "images").mkdir(parents=True)
    (folder / "x" / "images" / "a.jpg").touch()
    (folder / "b.jpg").touch()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    if kind == "folder link to the outside":
        (folder / "x" / "labels").symlink_to(tmp_path / "secret")
    else:
        (folder / "x" / "labels").mkdir()
        odd = folder / "x" / "labels" / "a.txt"
        if kind == "pipe":
            os.mkfifo(odd)
        else:
            odd.symlink_to("nowhere" if kind == "broken link" else tmp_path / "secret" / "a.txt")
    dataset = rb.read(folder)
    assert [region.image for region in dataset] == ["b.jpg"]
    assert list(dataset.images.names) == ["b.jpg"]
    assert dataset.ledger.images.dropped == {"unreadable_file": 1}
    [finding] = dataset.findings.first("unreadable_file")
    assert finding.file == "x/labels/a.txt"


@needs_posix
def test_a_label_folder_that_is_an_unreadable_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links in /proc are of this kind: only their owners can read them."""
    folder = write_yolo(tmp_path / "set", [("b.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    (folder / "x" / "images").mkdir(parents=True)
    (folder / "x" / "images" / "a.jpg").touch()
    (folder / "b.jpg").touch()
    (folder / "x" / "labels").symlink_to(tmp_path / "elsewhere")

    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "readlink", refuse)
    dataset = rb.read(folder)
    assert [region.image for region in dataset] == ["b.jpg"]
    assert dataset.ledger.images.dropped == {"unreadable_file": 1}


def folder_with_link(tmp_path: Path, link: str) -> Path:
    """Write a YOLO dataset with an image b.jpg, and a link in it to a folder elsewhere."""
    folder = write_yolo(tmp_path / "set", [("b.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    (folder / "b.jpg").touch()
    (tmp_path / "outside").mkdir()
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).symlink_to(tmp_path / "outside")
    return folder


@needs_posix
@pytest.mark.parametrize("link", ["labels/val", "val/labels"])
@pytest.mark.parametrize("image", ["", "val/images/a.jpg", "images/val/a.jpg"])
def test_a_link_to_labels_outside_counts_as_one_image(
    tmp_path: Path, link: str, image: str
) -> None:
    folder = folder_with_link(tmp_path, link)
    if image:
        (folder / image).parent.mkdir(parents=True)
        (folder / image).touch()
    dataset = rb.read(folder)
    assert [region.image for region in dataset] == ["b.jpg"]
    assert dataset.ledger.images.dropped == {"unreadable_file": 1}


@needs_posix
@pytest.mark.parametrize(
    ("link", "is_doubtful"),
    [("val", True), ("data", True), ("images", False), ("images/val", False)],
)
def test_strict_mode_fails_on_a_link_to_a_folder_that_may_contain_labels(
    tmp_path: Path, link: str, *, is_doubtful: bool
) -> None:
    folder = folder_with_link(tmp_path, link)
    found = rb.read(folder).findings
    assert (found.counts()["outside_folder"], "outside_folder" in found.doubtful()) == (
        1,
        is_doubtful,
    )


def test_label_and_image_in_different_unicode_forms(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        (tmp_path / "labels" / folder).mkdir(parents=True)
        (tmp_path / "images" / folder / "e\u0301.jpg").touch()
        (tmp_path / "labels" / folder / "\u00e9.txt").write_text(
            "0 .5 .5 .2 .2\n", encoding="utf-8"
        )
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    dataset = rb.read(tmp_path)
    assert len(dataset) == len(dataset.images) == sum(map(bool, dataset.images.paths)) == 2


@needs_posix
@pytest.mark.parametrize("name", ["coco", "voc", "yolo"])
def test_a_folder_without_permission_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its contents are lost, so this is counted."""
    folder = tmp_path / "set"
    shutil.copytree(ROOT / "fixtures" / "scene" / name, folder)
    closed = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    (closed / "private").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).rstrip(os.sep).endswith("private"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    dataset = rb.read(folder)
    [finding] = dataset.findings.first("unreadable_file")
    assert (finding.file, bool(finding.value)) == (f"{closed.name}/private", True)
    assert dataset.ledger.images.lost == 1


def test_folders_with_circular_links(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "b.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    (tmp_path / "labels" / "again").symlink_to(tmp_path)
    (tmp_path / "other").symlink_to(tmp_path / "labels")
    assert not run_bounded(tmp_path, "yolo").error


@needs_posix
def test_folders_nested_too_deeply(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a"] * 90)
    deep.mkdir(parents=True)
    (deep / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    with raises_mentioning(rb.DatasetError, "a/a", 64):
        rb.read(tmp_path)


def test_a_path_that_is_too_long() -> None:
    with pytest.raises(rb.DatasetNotFoundError):
        rb.read("a" * 5_000)


def test_nothing_outside_the_dataset_is_opened(tmp_path: Path) -> None:
    """Names with `../`, absolute paths and links to the outside are reported, never opened."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "labels").mkdir()
    (data / "labels" / "secret.txt").symlink_to(outside / "secret.txt")
    (data / "labels" / "linked").symlink_to(outside)
    (data / "labels" / "b.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    (data / "classes.txt").write_text("cat\n", encoding="utf-8")
    (data / "data.yaml").write_text(
        f"train: [../outside, {outside.as_posix()}, images]\nnames: [cat]\n", encoding="utf-8"
    )
    dataset = rb.read(data, format="yolo")
    assert [region.image for region in dataset] == ["images/b"]
    counts = dataset.findings.counts()
    assert (counts["outside_dataset"], counts["outside_folder"]) == (1, 1)


def test_coco_names_outside_the_dataset_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    data = tmp_path / "data"
    data.mkdir()
    names = ["../secret.png", (tmp_path / "secret.png").as_posix(), "C:\\photos\\secret.png"]
    images = [
        {"id": n, "file_name": name, "width": 10, "height": 10} for n, name in enumerate(names)
    ]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 5, 5]} for n in range(3)]
    content = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": boxes}
    (data / "a.json").write_text(json.dumps(content), encoding="utf-8")
    dataset = rb.read(data)
    assert len(dataset) == 3
    assert set(dataset.images.paths) == {""}
    assert dataset.findings.counts()["outside_dataset"] == 3


@needs_posix
def test_links_that_branch(tmp_path: Path) -> None:
    """Each folder has two links to the next: 2^30 paths to the last."""
    for depth in range(30):
        (tmp_path / "set" / str(depth)).mkdir(parents=True)
        for name in "ab":
            (tmp_path / "set" / str(depth) / name).symlink_to(tmp_path / "set" / str(depth + 1))
    write_yolo(tmp_path / "set" / "30", [("a.jpg", "cat", (0.5, 0.5, 0.2, 0.2))])
    assert run_bounded(tmp_path / "set", "yolo")[:2] == (2, 2), (
        "the path without links, and one with them"
    )


@needs_posix
def test_names_in_deep_missing_folders(tmp_path: Path) -> None:
    deep = "/".join(["a"] * 60)
    images = [
        {"id": n, "file_name": f"{n}/{deep}/{n}.jpg", "width": 9, "height": 9}
        for n in range(20_000)
    ]
    content = {"images": images, "categories": [], "annotations": []}
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    outcome = run_bounded(tmp_path / "a.json", "coco")
    assert (outcome.read, outcome.error) == (0, "")


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", ".hidden"])
def test_a_folder_with_files_of_operating_systems_has_no_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with raises_mentioning(rb.UnknownFormatError, "no files"):
        rb.read(tmp_path)
