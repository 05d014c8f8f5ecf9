"""Which image ID an image gets: paths, ambiguous images, shared IDs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

import regionbatch as rb
from helpers import Box, id_of, ids_of, process, write_coco
from regionbatch.findings import FindingLog
from regionbatch.findings.codes import CODES
from regionbatch.judging import raise_if_strict
from regionbatch.names.resolve import resolve
from resolving import ambiguous, dataset_of, no_id_for

if TYPE_CHECKING:
    from pathlib import Path


IMAGES = {
    "exactly": ("in/a.jpg", ["in/a.jpg", "a.jpg"], "in/a.jpg", 0),
    "backslashes": ("in/a.jpg", ["in\\a.jpg"], "in\\a.jpg", 0),
    "another case": ("in/a.jpg", ["In/A.JPG", "x.jpg"], "In/A.JPG", 1),
    "the base name": ("in/a.jpg", ["a.jpg", "b.jpg"], "a.jpg", 0),
    "the base name in another case": ("in/a.jpg", ["A.jpg"], "A.jpg", 1),
    "the stem": ("in/a.jpg", ["a"], "a", 0),
    "the whole path without the extension": ("in/a.jpg", ["in/a"], "in/a", 0),
    "an extension that only the table has": ("in/a", ["in/a.jpg"], "in/a.jpg", 0),
    "an extension that only the table has, of a shorter path": ("in/a", ["a.jpg"], "a.jpg", 0),
    "an extension in another case": ("in/a.jpg", ["a.JPG"], "a.JPG", 1),
    "a stem in another case": ("in/a.jpg", ["A"], "A", 1),
    "a folder in another case": ("x/In/a.jpg", ["in/a.jpg"], "in/a.jpg", 1),
    "another Unicode form": ("in/caf\u00e9.jpg", ["cafe\u0301.jpg"], "cafe\u0301.jpg", 1),
    "a folder in another Unicode form": (
        "x/caf\u00e9/a.jpg",
        ["cafe\u0301/a.jpg"],
        "cafe\u0301/a.jpg",
        1,
    ),
    "case of other scripts": ("in/Straße.jpg", ["STRASSE.jpg"], "STRASSE.jpg", 1),
    "a leading ./": ("in/a.jpg", ["./in/a.jpg"], "./in/a.jpg", 0),
    "a path of another machine": ("in/a.jpg", ["C:\\sets\\in\\a.jpg"], "C:\\sets\\in\\a.jpg", 0),
    "the path of the dataset before another path": (
        "in/a.jpg",
        ["out/a.jpg", "x/in/a.jpg"],
        "x/in/a.jpg",
        0,
    ),
    "a percent-encoded name, exactly": ("in/a%20b.jpg", ["a%20b.jpg", "c.jpg"], "a%20b.jpg", 0),
    "the base name before the stem": ("in/a.jpg", ["a.png", "a.jpg"], "a.jpg", 0),
    "the name before the stem in another folder": ("in/a.jpg", ["a.jpg", "x/a"], "a.jpg", 0),
    "a longer path": ("a.jpg", ["out/a.jpg"], "out/a.jpg", 0),
    "a dot that starts no extension": ("in/a.rf.12", ["a.rf.12.jpg", "a.jpg"], "a.rf.12.jpg", 0),
    "the end of a longer name": ("in/a.jpg", ["in/aa.jpg", "A.jpg"], "A.jpg", 1),
    "a full path before its base name": ("in/a.jpg", ["a.jpg", "in/a.jpg"], "in/a.jpg", 0),
    "a URL": ("in/a.jpg", ["https://127.0.0.1/in/a.jpg"], "https://127.0.0.1/in/a.jpg", 0),
}


@pytest.mark.parametrize(("name", "table", "found", "findings"), IMAGES.values(), ids=IMAGES)
def test_how_an_image_is_found(
    tmp_path: Path, name: str, table: list[str], found: str, findings: int
) -> None:
    dataset = dataset_of(tmp_path, "cat", images=(name,))
    batches = rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of(table))
    assert [entry.image_id for entry in batches[0]] == [id_of(found)]
    assert [
        (finding.file, finding.value) for finding in batches.findings.first("matched_loosely")
    ] == [(name, found)] * findings


NOT_FOUND = {
    "a folder that contradicts": ("train/a.jpg", ["val/a.jpg"]),
    "two folders that contradict": ("in/a.jpg", ["out/a.jpg", "off/a.jpg"]),
    "a folder above that contradicts": ("x/in/a.jpg", ["y/in/a.jpg"]),
    "a folder that contradicts, without extension": ("train/a.jpg", ["val/a"]),
    "another extension": ("in/a.jpg", ["a.png"]),
    "two other extensions": ("a.jpg", ["a.png", "a.bmp"]),
    "another extension of the whole path": ("in/a.jpg", ["in/a.png"]),
    "the end of a name": ("in/aa.jpg", ["a.jpg"]),
    "the end of a folder's name": ("train/a.jpg", ["rain/a.jpg"]),
    "the folder alone": ("in/a.jpg", ["in"]),
    "the extension alone": ("in/a.jpg", [".jpg", "jpg"]),
    "the beginning of a path": ("in/a.jpg", ["in/a.jpg/b"]),
    "a percent-encoded name in the table": ("in/a b.jpg", ["in/a%20b.jpg"]),
    "a percent-encoded name in the dataset": ("in/a%20b.jpg", ["in/a b.jpg"]),
}
"""An image of the dataset, and names in the table that do not mean it."""


@pytest.mark.parametrize(("name", "table"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_names_that_do_not_mean_an_image(tmp_path: Path, name: str, table: list[str]) -> None:
    dataset = dataset_of(tmp_path, "cat", images=(name,))
    with no_id_for("image_ids", name):
        rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of(table))
    skipped = rb.batches(
        dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of(table), skip_unresolved=True
    )
    assert dict(skipped.ledger.dropped) == {"unresolved": 1}
    assert len(skipped) == 0


def test_names_that_are_not_used_get_no_id() -> None:
    ids = resolve("image", ["a.jpg", "b.jpg"], [1], ids_of(["a.jpg", "b.jpg"]), FindingLog())
    assert ids == [None, id_of("b.jpg")]


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (["x/a.jpg"], "x/a.jpg"),
        (["a.jpg"], ""),
        (["x/a"], ""),
        (["x/A.jpg"], ""),
        (["y/x/a.jpg"], ""),
    ],
)
def test_the_name_of_an_ambiguous_image_is_found_exactly_or_not_at_all(
    table: list[str], found: str
) -> None:
    """It is unknown which image file is meant, so an inexact match would be a guess."""
    log = FindingLog()
    ids = resolve("image", ["x/a.jpg"], [0], ids_of(table), log, exact=[0], skip=True)
    assert ids == [id_of(found) if found else None]
    assert resolve("image", ["x/a.jpg"], [0], ids_of(table), log, skip=True) == [id_of(table[0])]
    if not found:
        with no_id_for("image_ids", "x/a.jpg"):
            resolve("image", ["x/a.jpg"], [0], ids_of(table), log, exact=[0])


def test_an_ambiguous_image_of_a_dataset(tmp_path: Path) -> None:
    """The name may mean two image files; the ID of either path is not used."""
    for name in ("one/a.jpg", "two/a.jpg"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (200, 100)).save(tmp_path / name)
    dataset = dataset_of(tmp_path, "cat", images=("a.jpg",))
    assert dataset.findings.counts() == {"ambiguous_image": 1}
    assert dataset.images.exact.tolist() == [True]
    for table in (["one/a.jpg"], ["one/a.jpg", "two/a.jpg"], ["A.jpg"]):
        with no_id_for("image_ids", "a.jpg"):
            rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of(table))
    batches = rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of(["a.jpg", "one/a.jpg"]))
    assert [entry.image_id for entry in batches[0]] == [id_of("a.jpg")]
    with pytest.raises(rb.StrictError):
        raise_if_strict(batches.findings, tmp_path)


def test_one_id_for_two_images_is_certain_only_if_their_bytes_are_equal(tmp_path: Path) -> None:
    """A mistake in the table would move boxes to another image; the service merges equal images."""
    write_coco(tmp_path, [("a.jpg", "cat", (0, 2, 30, 4)), ("b.jpg", "cat", (9, 2, 30, 4))])
    ids = dict.fromkeys(("a.jpg", "b.jpg"), id_of("a.jpg"))
    for content, certain in ((None, False), (b"another", False), (b"one", True)):
        if content is not None:
            (tmp_path / "a.jpg").write_bytes(b"one")
            (tmp_path / "b.jpg").write_bytes(content)
        batches = rb.batches(rb.read(tmp_path), tag_ids=ids_of(["cat"]), image_ids=ids)
        assert batches.findings.counts()["same_image"] == 1
        assert ("same_image" in batches.findings.doubtful()) is not certain
    assert CODES["same_image"].fails_strict_if


def test_one_id_for_two_images_is_reported(tmp_path: Path) -> None:
    """Their boxes are merged, and may be too many together."""
    boxes: list[Box] = [
        (name, "cat", (number / 2, 2, 30, 4))
        for name in ("a.jpg", "b.jpg")
        for number in range(200)
    ]
    boxes += [("b.jpg", "cat", (0, 50, 30, 4)), ("c.jpg", "cat", (1, 2, 30, 4))]
    dataset = rb.read(write_coco(tmp_path, boxes))
    ids = {**ids_of(["a.jpg", "c.jpg"]), "b.jpg": id_of("a.jpg")}
    batches = rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids)
    assert [(finding.file, finding.value) for finding in batches.findings.first("same_image")] == [
        ("b.jpg", "a.jpg")
    ]
    assert batches.ledger.dropped == {"duplicate": 200}
    ids["a.jpg"] = ids["b.jpg"] = id_of("x")
    apart: list[Box] = [
        (name, "cat", (number / 2, place, 30, 4))
        for name, place in (("a.jpg", 2), ("b.jpg", 9))
        for number in range(200)
    ]
    dataset = rb.read(write_coco(tmp_path / "apart", apart))
    batches = rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids)
    assert [
        (finding.file, finding.value) for finding in batches.findings.first("over_region_limit")
    ] == [("a.jpg", "400")]


def test_an_image_with_too_many_regions_of_its_own_is_reported_once(tmp_path: Path) -> None:
    boxes: list[Box] = [("a.jpg", "cat", (number / 2, 2, 30, 4)) for number in range(301)]
    dataset = rb.read(write_coco(tmp_path, [*boxes, ("b.jpg", "cat", (0, 50, 30, 4))]))
    ids = dict.fromkeys(("a.jpg", "b.jpg"), id_of("x"))
    batches = rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids)
    assert batches.findings.counts()["over_region_limit"] == 1


def test_the_id_of_another_image_is_not_used(tmp_path: Path) -> None:
    """Even if that image has no boxes, so that its ID is not needed."""
    for name, other in (("in/a.jpg", "out/a.jpg"), ("a.png", "a.jpg"), ("in/a.jpg", "a.jpg")):
        boxes: list[Box] = [(name, "cat", (1, 2, 30, 4))]
        size = (100, 100)
        dataset = rb.read(
            write_coco(tmp_path / id_of(name + other), boxes, images={name: size, other: size})
        )
        with no_id_for("image_ids", name):
            rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of([other]))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("a.jpg", ["out/a.jpg", "off/a.jpg"]),
        ("a.jpg", ["A.jpg", "a.JPG"]),
        ("a", ["a.png", "a.bmp"]),
        ("in/a.jpg", ["x/in/a.jpg", "a"]),
    ],
)
@pytest.mark.parametrize("skip", [False, True])
def test_an_image_that_matches_two_ids_is_an_error(
    tmp_path: Path, name: str, table: list[str], skip: bool
) -> None:
    dataset = dataset_of(tmp_path, "cat", images=(name,))
    with ambiguous("image_ids", name, *table):
        rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of(table), skip_unresolved=skip)


@pytest.mark.parametrize(
    ("images", "entry"), [(("in/a.jpg", "out/a.jpg"), "a.jpg"), (("a.jpg", "a.png"), "a")]
)
@pytest.mark.parametrize("skip", [False, True])
def test_two_images_that_match_one_id_are_an_error(
    tmp_path: Path, images: tuple[str, ...], entry: str, skip: bool
) -> None:
    dataset = dataset_of(tmp_path, "cat", images=images)
    with ambiguous("image_ids", id_of(entry), *images):
        rb.batches(
            dataset, tag_ids=ids_of(["cat"]), image_ids=ids_of([entry]), skip_unresolved=skip
        )


def test_two_images_share_an_id_only_if_both_are_listed(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "cat", images=("in/a.jpg", "out/a.jpg"))
    table = {"in/a.jpg": id_of("x"), "a.jpg": id_of("x")}
    with ambiguous("image_ids", id_of("x"), "in/a.jpg", "out/a.jpg"):
        rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids=table)


def test_all_images_without_an_id_are_reported_at_once(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "cat", images=("a.jpg", "b.jpg"))
    with no_id_for("image_ids", "a.jpg", "b.jpg"):
        rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids={})


def test_several_matches_are_named_in_the_same_order_in_each_run() -> None:
    code = """
import regionbatch as rb
from regionbatch.findings import FindingLog
from regionbatch.names.resolve import resolve
table = {name: f"{number:036}" for number, name in enumerate(["A.jpg", "a.JPG.jpg", "a.JPG"])}
try:
    resolve("image", ["x/a.jpg.jpg", "a.jpg"], [0, 1], table, FindingLog())
except rb.ResolveError as error:
    print(error.choices)
"""
    runs = {process("-c", code, PYTHONHASHSEED=str(seed)).stdout for seed in range(1, 7)}
    assert len(runs) == 1
    assert "A.jpg" in runs.pop()
