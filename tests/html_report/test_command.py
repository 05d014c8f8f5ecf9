"""The options --html and --html-images of the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers import ROOT, command
from html_report.pages import Report, write_set

if TYPE_CHECKING:
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"
IDS = ("--tag-ids", SCENE / "tags.json", "--image-ids", SCENE / "images.json")


def test_inspect_writes_a_page_twice(tmp_path: Path) -> None:
    page = tmp_path / "my report ü.html"
    first = command("inspect", SCENE / "voc", "--html", page)
    content = page.read_bytes()
    assert first.status == 0
    assert page.name in first.stderr
    assert command("inspect", SCENE / "voc", "--html", page, "--quiet").stderr == ""
    assert page.read_bytes() == content
    assert len(Report(page).data["images"]) == 6
    assert not Report(page).data["hasIds"]


def test_the_page_uses_the_words_of_the_command(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    command("inspect", ROOT / "fixtures/voc/plain", "--html", page)
    assert "--voc-origin" in Report(page).words("//details[@id='decisions']")


def test_convert_shows_the_ids(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run = command("convert", SCENE / "coco", "-o", tmp_path / "out", *IDS, "--html", page)
    assert run.status == 0
    assert all(image["id"] for image in Report(page).data["images"] if image["boxes"])


def test_convert_to_standard_output_prints_only_payloads(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run = command("convert", SCENE / "coco", "-o", "-", *IDS, "--html", page)
    assert run.stdout.startswith('{"regions":[')
    assert run.stdout.count("\n") == 1
    assert page.exists()


def test_the_page_is_not_written_into_the_output(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = command("convert", SCENE / "coco", "-o", out, *IDS, "--html", out / "page.html")
    assert run.status == 2
    assert not out.exists()


def test_upload_shows_the_verification(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    options = ("--local", "--html", page, "--html-images", "2", "--json")
    run = command("upload", SCENE / "coco", *options)
    assert run.status == 0
    made = Report(page)
    assert len(made.data["images"]) == 2
    assert "12 verified" in made.words("//*[@id='proof']")
    assert "4 classes: fewer than 15 images" in made.words("//*[@id='finding-too_few_images']")


def test_a_rename_is_applied(tmp_path: Path) -> None:
    box = (10, 10, 30, 30)
    folder = write_set(tmp_path / "set", {"a.jpg": [("RBC", box)], "b.jpg": [("rbc", box)]})
    page = tmp_path / "page.html"
    run = command("upload", folder, "--local", "--rename", "rbc=RBC", "--html", page)
    assert run.status == 0, run.stderr
    assert Report(page).bars("Boxes per tag") == [2]


def test_the_page_is_written_although_strict_mode_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run = command("inspect", ROOT / "fixtures/coco/over-the-edge", "--strict", "--html", page)
    assert run.status == 1
    assert page.exists()


@pytest.mark.parametrize("name", ["notes.html", "folder"])
def test_another_file_is_not_replaced_and_nothing_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.html").write_text("<p>mine", encoding="utf-8")
    run = command("inspect", SCENE / "voc", "--html", tmp_path / name)
    assert run.status != 0
    assert run.stdout == ""
    assert (tmp_path / "notes.html").read_text(encoding="utf-8") == "<p>mine"
