"""The built-in readers pass the conformance kit with all cases in `fixtures/`."""

from __future__ import annotations

import shutil
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import regionbatch as rb
from all_cases import AllCases, one_of_each_kind
from helpers import ROOT, fixture_cases, process
from regionbatch import plugins
from regionbatch.detection import detect
from regionbatch.files.tree import Tree
from regionbatch.findings.codes import CODES
from regionbatch.readers.coco.reader import CocoReader
from regionbatch.readers.voc.reader import VocReader
from regionbatch.readers.yolo.reader import YoloReader

if TYPE_CHECKING:
    from pathlib import Path


FIXTURES = ROOT / "fixtures"

CASES = [case for name in plugins.BUILT_IN for case in fixture_cases(name)]

ELSEWHERE = {
    "outside_folder": (
        "test_hostile_folders.py",
        "test_strict_mode_fails_on_a_link_to_a_folder_that_may_contain_labels",
    ),
    "image_left_out": ("test_derived.py", "test_parts_are_the_whole"),
    "unresolved": ("test_batching.py", "test_the_ledger_without_names_that_have_no_id"),
    "shared_tag": ("test_resolve.py", "test_one_id_for_two_classes_is_reported"),
    "mapped": ("test_resolve.py", "test_a_rename_takes_precedence_and_is_reported"),
    "region_failed": (
        "customvision/test_regions.py",
        "test_a_region_that_causes_a_server_error_fails_alone",
    ),
    "region_exceeded": ("customvision/test_regions.py", "test_more_than_300_regions_on_an_image"),
    "region_missing": (
        "customvision/test_verify.py",
        "test_each_difference_is_reported_with_its_place",
    ),
    "region_moved": (
        "customvision/test_verify.py",
        "test_each_difference_is_reported_with_its_place",
    ),
    "region_extra": (
        "customvision/test_verify.py",
        "test_each_difference_is_reported_with_its_place",
    ),
    "dataset_changed": (
        "customvision/test_changed_dataset.py",
        "test_a_changed_tag_name_is_noticed",
    ),
    "image_changed": (
        "customvision/test_changed_dataset.py",
        "test_a_changed_image_is_uploaded_again",
    ),
    "region_rounded": (
        "customvision/test_in_step.py",
        "test_regions_of_a_service_that_stores_fewer_digits_are_known_to_the_journal",
    ),
    "region_kept": ("customvision/test_in_step.py", "test_nearly_equal_regions_are_kept_with_skip"),
    "region_pruned": (
        "customvision/test_in_step.py",
        "test_an_edited_dataset_is_in_step_after_an_upload_with_prune",
    ),
    "project_full": ("customvision/test_upload_limits.py", "test_more_images_than_the_tier_allows"),
    "too_few_images": ("test_training_limits.py", "test_the_tags_of_a_dataset"),
    "few_images": ("test_training_limits.py", "test_the_tags_of_a_dataset"),
    "tag_without_images": ("test_training_limits.py", "test_the_tags_of_a_dataset"),
    "small_image": ("test_training_limits.py", "test_images_that_the_service_enlarges"),
    "tier_limit": ("test_training_limits.py", "test_more_tags_than_the_tier_allows"),
    "same_image": (
        "customvision/test_upload_images.py",
        "test_files_with_the_same_bytes_are_one_image",
    ),
    "image_shrunk": (
        "customvision/test_upload_images.py",
        "test_images_that_are_too_large_or_in_another_format_are_re_encoded",
    ),
    "image_refused": (
        "customvision/test_upload_limits.py",
        "test_more_images_than_the_tier_allows",
    ),
}
"""Codes that reading never reports, with the tests that show them."""


class TestCoco(AllCases):
    reader = CocoReader
    cases = FIXTURES / "coco"


class TestVoc(AllCases):
    reader = VocReader
    cases = FIXTURES / "voc"


class TestYolo(AllCases):
    reader = YoloReader
    cases = FIXTURES / "yolo"


# The cases as a whole.


@pytest.mark.parametrize("format", plugins.BUILT_IN)
def test_the_format_of_a_case_is_detected(format: str) -> None:  # noqa: A002 - as in `read`
    for case in fixture_cases(format):
        if not case.expects_error:
            name, _, why = detect(Tree.at(case.input))
            assert (name, bool(why)) == (format, True), case.name


def test_codes_on_which_strict_mode_fails_say_so() -> None:
    """A code that fails strict mode only in some cases says in which."""
    found = set()
    for case in one_of_each_kind(CASES):
        if not case.expects_error and case.expected.get("findings"):
            options = case.options(plugins.get(case.name.partition("/")[0]).options)
            dataset = rb.read(case.input, **options)
            found |= {group.code for group in dataset.findings.groups if group.doubtful}
    conditional = {name for name, code in CODES.items() if code.fails_strict_if}
    always = {name for name, code in CODES.items() if code.fails_strict}
    assert "tag_merged" in found
    assert found - always <= conditional


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_case(code: str) -> None:
    if code in ELSEWHERE:
        file, test = ELSEWHERE[code]
        text = (ROOT / "tests" / file).read_text(encoding="utf-8").partition(f"def {test}(")[2]
        assert f'"{code}"' in text.partition("\ndef ")[0]
    else:
        assert any(code in case.expected.get("findings", {}) for case in CASES)


def run_script(name: str, *arguments: str | Path) -> None:
    done = process(FIXTURES / name, *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_makes_the_same_scene(tmp_path: Path) -> None:
    run_script("make_scene.py", tmp_path / "scene")
    here, made = files_in(FIXTURES / "scene"), files_in(tmp_path / "scene")
    assert list(here) == list(made)
    # The next version of an image library may write other bytes.
    texts = [name for name in here if not name.lower().endswith((".jpg", ".jpeg", ".png"))]
    assert [name for name in texts if here[name] != made[name]] == []


NOT_DRAWN = {"v.avif", "w.webp"}
"""Images that no script draws, because encoders of these formats change with each version."""


@pytest.mark.parametrize("format", plugins.BUILT_IN)
def test_each_image_of_a_case_is_listed_with_its_size(format: str) -> None:  # noqa: A002
    for case in fixture_cases(format):
        listed = case.expected.get("draw", {})
        files = files_in(case.path / "input").items()
        images = {name: data for name, data in files if is_image(data)}
        assert set(images) - NOT_DRAWN == set(listed), case.name
        for name, description in listed.items():
            with Image.open(BytesIO(images[name])) as image:
                size = "x".join(map(str, image.size))
            assert size == description.split()[0], f"{case.name}: {name}"


def test_the_script_draws_missing_images(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    shutil.copytree(FIXTURES / "coco" / "extensions-that-lie", folder)
    before = {name: data for name, data in files_in(folder).items() if is_image(data)}
    for name in ("png.jpg", "j.png"):
        (folder / "input" / name).unlink()
    (folder / "input" / "UPPER.JPG").write_bytes(b"kept")
    run_script("draw.py", folder)
    assert (folder / "input" / "UPPER.JPG").read_bytes() == b"kept"
    run_script("draw.py", "--all", folder)
    after = {name: data for name, data in files_in(folder).items() if is_image(data)}
    assert {name: shape_of(data) for name, data in after.items()} == {
        name: shape_of(data) for name, data in before.items()
    }


def files_in(folder: Path) -> dict[str, bytes]:
    """The contents of all files below a folder, by their paths in it."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def is_image(data: bytes) -> bool:
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"\0\0\0\x20ftypavif"))


def shape_of(data: bytes) -> tuple[str | None, tuple[int, int]] | bytes:
    """Return format and size of an image; bytes of an AVIF, which not every Pillow reads."""
    if b"avif" in data[:16]:
        return data
    with Image.open(BytesIO(data)) as image:
        return image.format, image.size
