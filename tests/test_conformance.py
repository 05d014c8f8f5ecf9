"""Our own readers pass the conformance kit; every case in `fixtures/` is a test of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import regionbatch as rb
from helpers import ROOT, process, write_yolo
from regionbatch import plugins
from regionbatch.codes import CODES
from regionbatch.errors import DatasetError, PluginError
from regionbatch.files.tree import Tree
from regionbatch.options import ReadOptions, option
from regionbatch.readers.coco.reader import CocoReader
from regionbatch.readers.voc.reader import VocReader
from regionbatch.readers.yolo.reader import YoloReader
from regionbatch.testing import Case, ReaderTests, cases_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from regionbatch.dataset import RawAnnotations, References
    from regionbatch.findings import FindingLog

FIXTURES = ROOT / "fixtures"

CASES = [case for name in plugins.BUILT_IN for case in cases_in(FIXTURES / name)]

ELSEWHERE = {
    "unresolved": ("test_batching.py", "test_the_ledger_after_leaving_out_what_has_no_id"),
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
    name, _, why = plugins.detect(Tree.at(case.input))
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


def run_script(name: str, *arguments: str | Path) -> None:
    done = process(FIXTURES / name, *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_makes_the_scene_that_is_here(tmp_path: Path) -> None:
    run_script("make_scene.py", tmp_path / "scene")
    here, made = files_in(FIXTURES / "scene"), files_in(tmp_path / "scene")
    assert list(here) == list(made)
    # Images are made by libraries whose next version may write other bytes.
    texts = [name for name in here if not name.lower().endswith((".jpg", ".jpeg", ".png"))]
    assert [name for name in texts if here[name] != made[name]] == []


NOT_DRAWN = {"v.avif", "w.webp"}
"""Images that no script draws: encoders of these formats give other bytes in each version."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_image_of_a_case_is_listed_and_has_its_size(case: Case) -> None:
    listed = case.expected.get("draw", {})
    images = {name: data for name, data in files_in(case.path / "input").items() if is_image(data)}
    assert set(images) - NOT_DRAWN == set(listed)
    for name, description in listed.items():
        with Image.open(BytesIO(images[name])) as image:
            assert "x".join(map(str, image.size)) == description.split()[0]


def test_the_script_draws_what_is_missing(tmp_path: Path) -> None:
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
    """Format and size of an image; an AVIF is compared by its bytes, as not every Pillow reads it."""
    if b"avif" in data[:16]:
        return data
    with Image.open(BytesIO(data)) as image:
        return image.format, image.size


# The kit itself: a reader with a defect does not pass.


class OneRow(YoloReader):
    """Reads what the tests below give it; each defect is one thing changed."""

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return raw

    def chosen(self, references: References) -> References:
        return references

    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:
        return self.chosen(super().references(tree, options, log))

    def read(self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog) -> RawAnnotations:
        return self.changed(super().read(tree, files, options, log))


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


class DetectsEverything(OneRow):
    def detect(self, tree: Tree) -> str | None:
        return f"it is called {tree.root.name}"


class DetectsTrue(OneRow):
    def detect(self, tree: Tree) -> str | None:
        return tree.root.exists()  # type: ignore[return-value]


class DetectsNothing(OneRow):
    def detect(self, tree: Tree) -> str | None:  # noqa: ARG002 - the contract
        return None


class RaisesInDetect(OneRow):
    def detect(self, tree: Tree) -> str | None:
        return (tree.root / "data.yaml").read_text(encoding="utf-8")


class RaisesInReferences(OneRow):
    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:  # noqa: ARG002 - the contract
        raise KeyError(tree.source)


class RaisesInRead(OneRow):
    def read(self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog) -> RawAnnotations:  # noqa: ARG002 - the contract
        raise KeyError(tree.source)


class RefersToNoFile(OneRow):
    """As a list of files that is out of date."""

    def chosen(self, references: References) -> References:
        return replace(references, files={**references.files, "gone.txt": ""})


class RefersToAnotherDataset(OneRow):
    def chosen(self, references: References) -> References:
        return replace(references, others=["../another.txt"])


class RefersByAbsolutePaths(OneRow):
    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:
        references = super().references(tree, options, log)
        return replace(references, files={tree.on_disk(file): split for file, split in references.files.items()})


class ReturnsFilesOnly(OneRow):
    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:
        return super().references(tree, options, log).files  # type: ignore[return-value]


class ReturnsRows(OneRow):
    def read(self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog) -> RawAnnotations:
        return super().read(tree, files, options, log).box.tolist()  # type: ignore[no-any-return]


class ModeAsText(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, mode=raw.mode.name)  # type: ignore[arg-type]


class ImagesOfAnotherFile(OneRow):
    """The image of each file is said to be that of the list of names."""

    def read(self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog) -> RawAnnotations:
        raw = super().read(tree, files, options, log)
        other = log.file("classes.txt")
        return replace(raw, images=replace(raw.images, file=np.full(len(raw.images), other, np.int32)))


class ImagesBeyond(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, file=raw.images.file + np.int32(7)))


class WideSizes(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, width=raw.images.width.astype(np.int64)))


class SplitBeyond(OneRow):
    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, split=raw.images.split + np.int32(1)))


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


class AnySplit(OneRow):
    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:
        return super().references(tree, replace(options, split=None), log)


class Remembers(OneRow):
    times = 0

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        self.times += 1
        return replace(raw, box=raw.box / self.times)


class Writes(OneRow):
    def read(self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog) -> RawAnnotations:
        (tree.root / "cache.txt").write_text("", encoding="utf-8")
        return super().read(tree, files, options, log)


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
    def read(self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog) -> RawAnnotations:
        for file in files:
            if b"\r" in tree.read(file):
                raise DatasetError(f"{file}: a line end of Windows, got CR; convert it")
        return super().read(tree, files, options, log)


DEFECTS: dict[type[OneRow], tuple[str, ...]] = {
    WithoutTitle: ("title_is_one_line",),
    WithoutOptions: ("options_are_a_frozen_dataclass",),
    WithLooseOptions: ("options_are_a_frozen_dataclass",),
    WithWrongDefault: ("options_are_a_frozen_dataclass",),
    WithHelplessOption: ("options_are_a_frozen_dataclass",),
    DetectsEverything: ("detect_never_raises",),
    DetectsTrue: ("detect_never_raises",),
    RaisesInDetect: ("detect_never_raises",),
    DetectsNothing: ("detects_its_cases",),
    RaisesInReferences: ("strangers_are_refused_in_words", "case"),
    RaisesInRead: ("strangers_are_refused_in_words", "case"),
    RefersToNoFile: ("refers_to_files_of_the_dataset", "case"),
    RefersToAnotherDataset: ("refers_to_files_of_the_dataset", "case"),
    RefersByAbsolutePaths: ("refers_to_files_of_the_dataset", "case"),
    ReturnsFilesOnly: ("refers_to_files_of_the_dataset",),
    ReturnsRows: ("returns_columns",),
    ModeAsText: ("returns_columns",),
    ImagesOfAnotherFile: ("returns_columns", "case"),
    ImagesBeyond: ("returns_columns",),
    WideSizes: ("returns_columns",),
    SplitBeyond: ("returns_columns",),
    WideCodes: ("returns_columns",),
    UnknownMark: ("returns_columns",),
    MarkBeyond: ("returns_columns",),
    FileBeyond: ("returns_columns",),
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

READING = ("case", "rewritten", "strangers_are_refused_in_words", "detect_never_raises")
"""Tests that let through what reading raises."""

RAISED: dict[type[OneRow], type[Exception]] = {
    RaisesInDetect: OSError,
    RaisesInReferences: KeyError,
    RaisesInRead: KeyError,
    RefersToNoFile: PluginError,
    RefersToAnotherDataset: PluginError,
    RefersByAbsolutePaths: PluginError,
    ImagesOfAnotherFile: PluginError,
    Loses: PluginError,
    StumblesOverLineEnds: DatasetError,
}
"""What reading with some of them raises."""


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
    wanted = RAISED.get(reader, AssertionError) if test in READING else AssertionError
    with pytest.raises(wanted, match=r"\w"):
        run_kit(reader, test, case, tmp_path)


def test_a_case_that_must_be_refused_is_not_read(case: Case, tmp_path: Path) -> None:
    case.expected["error"] = {"type": "DatasetError"}
    with pytest.raises(AssertionError, match="it must be refused"):
        run_kit(OneRow, "case", case, tmp_path)


class Refuses(OneRow):
    def read(self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog) -> RawAnnotations:  # noqa: ARG002 - the contract
        raise DatasetError(f"{tree.source}: no rows", place="a.txt:1", option="names")


def test_an_error_is_compared_by_its_attributes(case: Case, tmp_path: Path) -> None:
    right = {"type": "DatasetError", "place": "a.txt:1", "option": "names"}
    for number, (changed, message) in enumerate(
        {"type": "type of the error", "place": "place of the error", "option": "option of the error"}.items()
    ):
        case.expected["error"] = right | {changed: "another"}
        (tmp_path / str(number)).mkdir()
        with pytest.raises(AssertionError, match=message):
            run_kit(Refuses, "case", case, tmp_path / str(number))
    case.expected["error"] = right
    run_kit(Refuses, "case", case, tmp_path)


@pytest.mark.parametrize(
    ("table", "wrong", "message"),
    [
        ("places", {"clipped": "a.txt:2"}, "place of the first clipped"),
        ("places", {"duplicate": "a.txt:2"}, "place of the first duplicate"),
        ("decisions", {"yolo_rows": "aut"}, "yolo_rows must be decided as 'aut'"),
        ("decisions", {"split": "train"}, "split must be decided as 'train'"),
        ("tags", ["cat"], "tags differ"),
        ("findings", {"clipped": 1}, "findings differ"),
        ("images", {"read": 2, "kept": 2, "adjusted": {}, "dropped": {}}, "images differ"),
        ("regions", [], "number of regions differ"),
    ],
)
def test_a_case_that_expects_something_else_fails(
    table: str, wrong: object, message: str, case: Case, tmp_path: Path
) -> None:
    case.expected[table] = wrong
    with pytest.raises(AssertionError, match=message):
        run_kit(OneRow, "case", case, tmp_path)


def test_a_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no case here"):
        cases_in(tmp_path)


def test_read_takes_a_reader(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "set", [("a.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    dataset = rb.read(folder, format=OneRow())
    assert dataset.format == "OneRow"
    assert [region.tag for region in dataset] == ["cat"]


class ReversesImages(OneRow):
    """Returns the images in another order than that of the files."""

    def changed(self, raw: RawAnnotations) -> RawAnnotations:
        return replace(raw, images=replace(raw.images, file=raw.images.file[::-1]))


class InventsImages(OneRow):
    """Returns an image more than there are files."""

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
def test_images_that_are_not_those_of_the_files_are_refused(reader: type[OneRow], tmp_path: Path) -> None:
    """Boxes of one image would become those of another."""
    rows = [(name, "cat", (0.2, 0.25, 0.2, 0.3)) for name in ("a.jpg", "b.jpg")]
    folder = write_yolo(tmp_path / "set", rows)
    with pytest.raises(PluginError, match=r"^[ab]\.txt: "):
        rb.read(folder, format=reader())
