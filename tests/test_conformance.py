"""Our own readers pass the conformance kit; every case in `fixtures/` is a test of its own."""

from __future__ import annotations

import runpy
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

import regionbatch as rb
from helpers import ROOT, write_yolo
from regionbatch import plugins
from regionbatch.codes import CODES
from regionbatch.errors import DatasetError
from regionbatch.options import ReadOptions, option
from regionbatch.readers.coco import CocoReader
from regionbatch.readers.voc import VocReader
from regionbatch.readers.yolo import YoloReader
from regionbatch.testing import Case, ReaderTests, cases_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from regionbatch.dataset import RawAnnotations
    from regionbatch.findings import Report

FIXTURES = ROOT / "fixtures"

CASES = [case for name in plugins.BUILT_IN for case in cases_in(FIXTURES / name)]

ELSEWHERE = {
    "unresolved": ("test_batching.py", "test_the_ledger_after_leaving_out_what_has_no_id"),
    "matched_loosely": ("test_resolve.py", "test_how_a_tag_is_found"),
    "matched_elsewhere": ("test_resolve.py", "test_an_image_found_in_another_folder_is_a_doubt"),
    "shared_tag": ("test_resolve.py", "test_one_id_for_two_classes_is_told"),
    "mapped": ("test_resolve.py", "test_a_renaming_goes_first_and_is_told"),
    "region_failed": ("customvision/test_upload.py", "test_an_entry_that_breaks_the_service_spoils_no_other"),
    "region_exceeded": ("customvision/test_upload.py", "test_more_than_300_regions_on_an_image"),
    "region_missing": ("customvision/test_verify.py", "test_each_difference_has_its_place"),
    "region_moved": ("customvision/test_verify.py", "test_each_difference_has_its_place"),
    "region_extra": ("customvision/test_verify.py", "test_each_difference_has_its_place"),
    "set_changed": ("customvision/test_journal.py", "test_a_changed_name_of_a_class_in_the_project_is_noticed"),
    "picture_changed": ("customvision/test_journal.py", "test_a_changed_picture_goes_up_again"),
    "project_full": ("customvision/test_upload.py", "test_more_images_than_the_tier_takes"),
    "same_picture": ("customvision/test_upload.py", "test_files_with_the_same_bytes_are_one_image"),
    "picture_shrunk": (
        "customvision/test_upload.py",
        "test_pictures_that_cannot_go_up_fail_with_their_regions_and_the_others_go",
    ),
    "picture_refused": ("customvision/test_upload.py", "test_more_images_than_the_tier_takes"),
}
"""The codes that no reading brings about, with the tests that show them."""


class TestCoco(ReaderTests):
    reader = CocoReader
    cases = FIXTURES / "coco"


class TestVoc(ReaderTests):
    reader = VocReader
    cases = FIXTURES / "voc"


class TestYolo(ReaderTests):
    reader = YoloReader
    cases = FIXTURES / "yolo"


# The cases as a whole.


@pytest.mark.parametrize("case", [case for case in CASES if not case.refused], ids=lambda case: case.name)
def test_the_format_is_found(case: Case) -> None:
    name, _, why = plugins.detect(case.input)
    assert name == case.name.partition("/")[0]
    assert why


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_shown_by_a_case(code: str) -> None:
    if code in ELSEWHERE:
        file, test = ELSEWHERE[code]
        text = (ROOT / "tests" / file).read_text(encoding="utf-8").partition(f"def {test}(")[2]
        assert f'"{code}"' in text.partition("\ndef ")[0]
    else:
        assert any(code in case.expected.get("findings", {}) for case in CASES)


def test_the_script_makes_what_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["make.py", str(tmp_path)])
    monkeypatch.syspath_prepend(FIXTURES)
    runpy.run_path(str(FIXTURES / "make.py"), run_name="__main__")
    here = {path: FIXTURES / path for path in _files(FIXTURES) if path.parts[0] in ("scene", *plugins.BUILT_IN)}
    made = {path: tmp_path / path for path in _files(tmp_path)}
    assert sorted(here) == sorted(made)
    # Pictures are made by libraries whose next version may write other bytes.
    texts = [path for path in here if path.suffix.lower() not in (".jpg", ".jpeg", ".png")]
    assert [path for path in texts if here[path].read_bytes() != made[path].read_bytes()] == []


def _files(folder: Path) -> list[Path]:
    return [
        path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]


# The kit itself: a reader with a defect does not pass.


class OneRow(YoloReader):
    """Reads what the tests below give it; each defect is one thing changed."""

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return raw

    def read(self, path: Path, options: Any, report: Report) -> RawAnnotations:
        return self.changed(super().read(path, options, report))


class WithoutTitle(OneRow):
    title = ""


class WithoutOptions(OneRow):
    options = int  # type: ignore[assignment]


@dataclass
class _Loose:
    split: str | None = None


class WithLooseOptions(OneRow):
    options = _Loose  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class _WrongDefault(ReadOptions):
    unit: str = option("what numbers are in", ("pixels", "shares"), default="metres")


class WithWrongDefault(OneRow):
    options = _WrongDefault


@dataclass(frozen=True, kw_only=True)
class _Helpless(ReadOptions):
    unit: str = "pixels"


class WithHelplessOption(OneRow):
    options = _Helpless


class ClaimsEverything(OneRow):
    def claims(self, path: Path) -> str | None:
        return f"it is called {path.name}"


class ClaimsTrue(OneRow):
    def claims(self, path: Path) -> str | None:
        return path.exists()  # type: ignore[return-value]


class ClaimsNothing(OneRow):
    def claims(self, path: Path) -> str | None:  # noqa: ARG002 - the contract
        return None


class RaisesInClaims(OneRow):
    def claims(self, path: Path) -> str | None:
        return path.read_text(encoding="utf-8")


class RaisesInRead(OneRow):
    def read(self, path: Path, options: Any, report: Report) -> RawAnnotations:  # noqa: ARG002 - the contract
        raise KeyError(path)


class WideCodes(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, image=raw.image.astype(np.int64))


class UnknownMark(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, marks={"blurred": np.zeros(1, np.int64)})


class MarkBeyond(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, marks={"crowd": np.full(1, 99)})


class FileBeyond(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, file=raw.file + np.int32(7))


class Backslashes(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, names=[f"x\\{name}" for name in raw.images.names]))


class AnySplit(OneRow):
    def read(self, path: Path, options: Any, report: Report) -> RawAnnotations:
        return super().read(path, replace(options, split=None), report)


class Remembers(OneRow):
    times = 0

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        self.times += 1
        return replace(raw, box=raw.box / self.times)


class Writes(OneRow):
    def read(self, path: Path, options: Any, report: Report) -> RawAnnotations:
        (path / "cache.txt").write_text("", encoding="utf-8")
        return super().read(path, options, report)


class Places(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, where=raw.where + 1)


class Moved(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, box=raw.box * 1.001)


class Renamed(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, tags=[name.upper() for name in raw.tags])


class Loses(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        first = slice(1)
        return replace(
            raw,
            box=raw.box[first],
            image=raw.image[first],
            tag=raw.tag[first],
            file=raw.file[first],
            where=raw.where[first],
            marks={},
        )


class StumblesOverLineEnds(OneRow):
    def read(self, path: Path, options: Any, report: Report) -> RawAnnotations:
        if any(b"\r" in file.read_bytes() for file in path.glob("*.txt")):
            raise DatasetError(f"{path}: a line end of Windows, got CR; convert it")
        return super().read(path, options, report)


DEFECTS: dict[type[OneRow], tuple[str, ...]] = {
    WithoutTitle: ("title_is_one_line",),
    WithoutOptions: ("options_are_a_frozen_dataclass",),
    WithLooseOptions: ("options_are_a_frozen_dataclass",),
    WithWrongDefault: ("options_are_a_frozen_dataclass",),
    WithHelplessOption: ("options_are_a_frozen_dataclass",),
    ClaimsEverything: ("claims_never_raises",),
    ClaimsTrue: ("claims_never_raises",),
    RaisesInClaims: ("claims_never_raises",),
    ClaimsNothing: ("claims_its_cases",),
    RaisesInRead: ("strangers_are_refused_in_words", "case"),
    WideCodes: ("returns_columns",),
    UnknownMark: ("returns_columns",),
    MarkBeyond: ("returns_columns",),
    FileBeyond: ("returns_columns",),
    Backslashes: ("returns_columns",),
    AnySplit: ("refuses_a_split_that_is_not_there",),
    Remembers: ("reads_the_same_twice",),
    Writes: ("writes_nothing",),
    Places: ("case", "moved"),
    Moved: ("case", "moved", "rewritten"),
    Renamed: ("case",),
    Loses: ("case",),
    StumblesOverLineEnds: ("rewritten",),
}
"""Readers with a defect, and the tests that find it."""


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A case of two boxes and a clipped one, which no reader's defect can harm."""
    shutil.copytree(FIXTURES / "yolo" / "over-the-edge", tmp_path / "over-the-edge")
    return Case(tmp_path / "over-the-edge", "over-the-edge")


def run_kit(reader: type[OneRow], test: str, case: Case, tmp_path: Path) -> None:
    class Kit(ReaderTests):
        rewritten: ClassVar[tuple[str, ...]] = ("crlf",)

    Kit.reader = reader
    method: Callable[..., None] = getattr(Kit(), f"test_{test}")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    values = {"case": case, "readable": case, "spelling": "crlf", "tmp_path": scratch}
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
def test_a_defect_does_not_pass(reader: type[OneRow], test: str, case: Case, tmp_path: Path) -> None:
    wanted = Exception if reader in (RaisesInClaims, RaisesInRead, StumblesOverLineEnds, Loses) else AssertionError
    with pytest.raises(wanted, match=r"\w"):
        run_kit(reader, test, case, tmp_path)


def test_a_case_that_must_be_refused_is_not_read(case: Case, tmp_path: Path) -> None:
    case.expected["error"] = {"type": "DatasetError", "says": ["no such thing"]}
    with pytest.raises(AssertionError, match="it must be refused"):
        run_kit(OneRow, "case", case, tmp_path)


def test_a_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no case here"):
        cases_in(tmp_path)


def test_read_takes_a_reader(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "set", [("a.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    dataset = rb.read(folder, format=OneRow())
    assert dataset.format == "OneRow"
    assert [region.tag for region in dataset] == ["cat"]
