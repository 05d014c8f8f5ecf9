"""The conformance kit finds the defects of a reader."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT, raises_mentioning, write_yolo
from kit_defects import DEFECTS, RAISED, READING, OneRow
from regionbatch.errors import DatasetError, PluginError
from regionbatch.testing import Case, ReaderTests, cases_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.readers.yolo.reader import YoloReader


FIXTURES = ROOT / "fixtures"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A copy of a case with two boxes and a clipped one; a defective reader may write into it."""
    shutil.copytree(FIXTURES / "yolo" / "over-the-edge", tmp_path / "over-the-edge")
    return Case(tmp_path / "over-the-edge", "over-the-edge")


def run_kit(reader: type[YoloReader], test: str, case: Case, tmp_path: Path) -> None:
    class Kit(ReaderTests):
        rewritten: ClassVar[tuple[str, ...]] = ("crlf",)

    Kit.reader = reader
    method: Callable[..., None] = getattr(Kit(), f"test_{test}")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    values = {"case": case, "readable": case, "tmp_path": scratch}
    names = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    method(**{name: values[name] for name in names})


@pytest.mark.parametrize("test", sorted({test for tests in DEFECTS.values() for test in tests}))
def test_a_sound_reader_passes(test: str, case: Case, tmp_path: Path) -> None:
    run_kit(OneRow, test, case, tmp_path)


@pytest.mark.parametrize(
    ("reader", "test"),
    [(reader, test) for reader, tests in DEFECTS.items() for test in tests],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_defective_reader_fails(
    reader: type[YoloReader], test: str, case: Case, tmp_path: Path
) -> None:
    wanted = RAISED.get(reader, AssertionError) if test in READING else AssertionError
    with pytest.raises(wanted, match=r"\w"):
        run_kit(reader, test, case, tmp_path)


def test_a_dataset_that_should_fail_but_does_not_is_a_failure(case: Case, tmp_path: Path) -> None:
    case.expected["error"] = {"type": "DatasetError"}
    with raises_mentioning(AssertionError, case.path):
        run_kit(OneRow, "case", case, tmp_path)


class RaisesADatasetError(OneRow):
    def read(
        self,
        tree: Tree,
        files: Sequence[str],
        options: Any,
        log: FindingLog,
    ) -> RawAnnotations:
        raise DatasetError(f"{tree.source}: no rows", place="a.txt:1", option="names")


def test_an_error_is_compared_by_its_attributes(case: Case, tmp_path: Path) -> None:
    right = {"type": "DatasetError", "place": "a.txt:1", "option": "names"}
    for number, attribute in enumerate(right):
        case.expected["error"] = right | {attribute: "another"}
        (tmp_path / str(number)).mkdir()
        with raises_mentioning(AssertionError, case.path, attribute, "another"):
            run_kit(RaisesADatasetError, "case", case, tmp_path / str(number))
    case.expected["error"] = right
    run_kit(RaisesADatasetError, "case", case, tmp_path)


@pytest.mark.parametrize(
    ("table", "wrong", "tokens"),
    [
        ("places", {"clipped": "a.txt:2"}, ["clipped", "a.txt:2"]),
        ("places", {"duplicate": "a.txt:2"}, ["duplicate", "a.txt:2"]),
        ("decisions", {"yolo_rows": "aut"}, ["yolo_rows", "aut"]),
        ("decisions", {"split": "train"}, ["split", "train"]),
        ("tags", ["cat"], ["tags"]),
        ("findings", {"clipped": 1}, ["findings"]),
        ("images", {"read": 2, "kept": 2, "adjusted": {}, "dropped": {}}, ["images"]),
        ("regions", [], ["regions"]),
    ],
)
def test_a_case_that_expects_something_else_fails(
    table: str, wrong: object, tokens: list[str], case: Case, tmp_path: Path
) -> None:
    case.expected[table] = wrong
    with raises_mentioning(AssertionError, case.path, *tokens):
        run_kit(OneRow, "case", case, tmp_path)


def test_a_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    with raises_mentioning(FileNotFoundError, tmp_path, "case.toml"):
        cases_in(tmp_path)


def test_read_takes_a_reader(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "set", [("a.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    dataset = rb.read(folder, format=OneRow())
    assert dataset.format == "OneRow"
    assert [region.tag for region in dataset] == ["cat"]


class ReversesImages(OneRow):
    """Returns the images in another order than the files."""

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, file=raw.images.file[::-1]))


class InventsImages(OneRow):
    """Returns one more image than there are files."""

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        images, first = raw.images, np.append(np.arange(len(raw.images)), 0)
        more = replace(
            images,
            names=[*images.names, ""],
            file=images.file[first],
            width=images.width[first],
            height=images.height[first],
            split=images.split[first],
        )
        return replace(raw, images=more)


@pytest.mark.parametrize("reader", [ReversesImages, InventsImages])
def test_images_in_another_order_than_the_files_are_an_error(
    reader: type[YoloReader], tmp_path: Path
) -> None:
    """Otherwise, boxes would get to the wrong image."""
    rows = [(name, "cat", (0.2, 0.25, 0.2, 0.3)) for name in ("a.jpg", "b.jpg")]
    folder = write_yolo(tmp_path / "set", rows)
    with pytest.raises(PluginError, match=r"^[ab]\.txt: "):
        rb.read(folder, format=reader())
