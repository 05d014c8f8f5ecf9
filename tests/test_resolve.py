"""Resolving names to IDs: nothing is guessed, and inexact matches are reported."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import regionbatch as rb
from helpers import Box, id_of, ids_of, mentions, write_coco
from regionbatch.errors import ResolveError
from regionbatch.findings import FindingLog
from regionbatch.names.resolve import resolve
from regionbatch.reading import raise_if_strict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def dataset_of(folder: Path, *names: str, images: tuple[str, ...] = ("a.jpg",)) -> rb.Dataset:
    """A dataset with one box of each class on each image."""
    rows: list[Box] = [(image, name, (1, 2, 30, 4)) for image in images for name in names]
    return rb.read(write_coco(folder, rows))


def tag_ids_of(
    dataset: rb.Dataset, table: Mapping[str, str], rename: Mapping[str, str] | None = None
) -> list[str]:
    images = ids_of(dataset.images.names)
    batches = rb.batches(dataset, tag_ids=table, image_ids=images, rename=rename)
    return [entry.tag_id for entry in batches[0]]


@contextmanager
def no_id_for(option: str, *names: str) -> Iterator[None]:
    """Expect an error that lists exactly these names as missing from the ID tables."""
    with pytest.raises(ResolveError) as caught:
        yield
    assert (caught.value.option, caught.value.value) == (option, [*names])


@contextmanager
def ambiguous(option: str, value: str, *choices: str) -> Iterator[None]:
    """Expect an error that a name, or an ID, belongs to several."""
    with pytest.raises(ResolveError) as caught:
        yield
    error = caught.value
    assert (error.option, error.value, error.choices) == (option, value, choices)


TAGS = {
    "exactly": ("cat", ["cat", "Cat"], "cat", 0),
    "another case": ("cat", ["CAT", "dog"], "CAT", 1),
    "outer whitespace in the table": ("cat", [" cat "], " cat ", 1),
    "another Unicode form": ("caf\u00e9", ["cafe\u0301"], "cafe\u0301", 1),
    "case of other scripts": ("Straße", ["STRASSE"], "STRASSE", 1),
    "inner whitespace": ("traffic light", ["Traffic  Light"], "Traffic  Light", 1),
    "full-width letters": ("\uff21\uff22\uff23", ["ABC"], "ABC", 1),
    "a superscript": ("m2", ["m\u00b2"], "m\u00b2", 1),
}


@pytest.mark.parametrize(("name", "table", "found", "findings"), TAGS.values(), ids=TAGS)
def test_how_a_tag_is_found(
    tmp_path: Path, name: str, table: list[str], found: str, findings: int
) -> None:
    dataset = dataset_of(tmp_path, name)
    batches = rb.batches(dataset, tag_ids=ids_of(table), image_ids=ids_of(["a.jpg"]))
    assert [entry.tag_id for entry in batches[0]] == [id_of(found)]
    assert [
        (finding.file, finding.value) for finding in batches.findings.first("matched_loosely")
    ] == [(name, found)] * findings


@pytest.mark.parametrize("row", TAGS.values(), ids=TAGS)
def test_a_tag_that_is_found_loosely_is_doubtful(
    tmp_path: Path, row: tuple[str, list[str], str, int]
) -> None:
    """Unless the names differ only in what is never kept of a class name."""
    name, table, found, _ = row
    batches = rb.batches(
        dataset_of(tmp_path, name), tag_ids=ids_of(table), image_ids=ids_of(["a.jpg"])
    )
    certain = found in ("cat", " cat ", "cafe\u0301")
    assert batches.findings.doubtful() == ({} if certain else {"matched_loosely": 1})


def test_a_class_renamed_to_its_own_name_is_matched_exactly(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "cat")
    assert tag_ids_of(dataset, ids_of(["Cat"])) == [id_of("Cat")]
    with no_id_for("tag_ids", "cat"):
        tag_ids_of(dataset, ids_of(["Cat"]), {"cat": "cat"})


def test_a_class_without_boxes_takes_no_tag(tmp_path: Path) -> None:
    """`Cat` has no box, so `cat` may mean the tag `Cat`, which is doubtful."""
    dataset = rb.read(write_coco(tmp_path, [("a.jpg", "cat", (1, 2, 30, 4))], tags=["Cat"]))
    assert dataset.findings.counts().get("similar_tags") is None
    batches = rb.batches(dataset, tag_ids=ids_of(["Cat"]), image_ids=ids_of(["a.jpg"]))
    assert batches.findings.doubtful() == {"matched_loosely": 1}


SIMILAR: dict[str, tuple[tuple[str, ...], dict[str, str], list[str]]] = {
    "no rename": (("rbc", "RBC"), {}, ["rbc: 1, RBC: 1"]),
    "one renamed to the other": (("rbc", "RBC"), {"rbc": "RBC"}, []),
    "one renamed": (("rbc", "RBC"), {"rbc": "cell"}, []),
    "both renamed": (("rbc", "RBC"), {"rbc": "cell", "RBC": "Cell"}, ["cell: 1, Cell: 1"]),
    "one renamed to itself": (("rbc", "RBC"), {"rbc": "rbc"}, []),
    "one of three renamed to another": (("rbc", "RBC", "Rbc"), {"rbc": "RBC"}, ["RBC: 2, Rbc: 1"]),
    "one of three renamed to itself": (("rbc", "RBC", "Rbc"), {"rbc": "rbc"}, ["RBC: 1, Rbc: 1"]),
    "renamed to a similar name": (("dog", "cat"), {"cat": "Dog"}, ["dog: 1, Dog: 1"]),
    "another class renamed": (("rbc", "RBC", "cat"), {"cat": "dog"}, ["rbc: 1, RBC: 1"]),
}


@pytest.mark.parametrize(("names", "rename", "similar"), SIMILAR.values(), ids=SIMILAR)
def test_similar_classes_are_reported_until_they_are_renamed(
    tmp_path: Path, names: tuple[str, ...], rename: dict[str, str], similar: list[str]
) -> None:
    dataset = dataset_of(tmp_path, *names)
    table = ids_of([rename.get(name, name) for name in names])
    batches = rb.batches(dataset, tag_ids=table, image_ids=ids_of(["a.jpg"]), rename=rename)
    assert [finding.value for finding in batches.findings.first("similar_tags")] == similar
    assert batches.findings.doubtful() == ({"similar_tags": 1} if similar else {})


def test_a_tag_is_not_found_by_a_part_of_its_name(tmp_path: Path) -> None:
    with no_id_for("tag_ids", "cat"):
        tag_ids_of(dataset_of(tmp_path, "cat"), ids_of(["cats", "ca", "cat.jpg", "big/cat"]))


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


def test_a_tag_with_the_name_of_another_class_belongs_to_that_class(tmp_path: Path) -> None:
    """Two classes that differ only in case are two tags, even if the ID of one is missing."""
    dataset = dataset_of(tmp_path, "Cat", "cat", "dog")
    with no_id_for("tag_ids", "cat"):
        tag_ids_of(dataset, ids_of(["Cat", "dog"]))
    with no_id_for("tag_ids", "cat"):
        tag_ids_of(dataset, ids_of(["CAT", "Kitten"]), {"Cat": "Kitten", "dog": "CAT"})
    found = tag_ids_of(dataset, ids_of(["cat", "dog", "Kitten"]), {"Cat": "Kitten"})
    assert found == [id_of(name) for name in ("Kitten", "cat", "dog")]


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


def test_one_id_for_two_classes_is_reported(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "cat", "dog", "Cow", "cow")
    table = {**ids_of(["cat", "cow"]), "dog": id_of("cat"), "Cow": id_of("cow")}
    batches = rb.batches(dataset, tag_ids=table, image_ids=ids_of(["a.jpg"]))
    assert [(finding.file, finding.value) for finding in batches.findings.first("shared_tag")] == [
        ("dog", "cat")
    ]
    with pytest.raises(rb.StrictError):
        raise_if_strict(batches.findings, tmp_path)
    renamed = rb.batches(
        dataset,
        tag_ids=ids_of(["cat", "cow"]),
        image_ids=ids_of(["a.jpg"]),
        rename={"dog": "cat", "Cow": "cow"},
    )
    assert "shared_tag" not in renamed.findings.counts(), "a rename is intentional"


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


def test_a_class_that_matches_two_tags_is_an_error(tmp_path: Path) -> None:
    with ambiguous("rename", "cat", "Cat", "CAT"):
        tag_ids_of(dataset_of(tmp_path, "cat"), ids_of(["Cat", "CAT"]))


def test_two_matches_with_one_id_are_not_ambiguous(tmp_path: Path) -> None:
    table = {"Cat": id_of("x"), "CAT": id_of("x")}
    assert tag_ids_of(dataset_of(tmp_path, "cat"), table) == [id_of("x")]


def test_a_rename_takes_precedence_and_is_reported(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "cat", "dog")
    table = ids_of(["cat", "dog", "feline"])
    assert tag_ids_of(dataset, table, {"cat": "feline"}) == [id_of("feline"), id_of("dog")]
    batches = rb.batches(
        dataset, tag_ids=table, image_ids=ids_of(["a.jpg"]), rename={"cat": "feline"}
    )
    assert [(finding.file, finding.value) for finding in batches.findings.first("mapped")] == [
        ("cat", "feline")
    ]


def test_two_names_can_be_swapped(tmp_path: Path) -> None:
    """Each name is looked up once: `cat` does not become `dog` and then `cat` again."""
    dataset = dataset_of(tmp_path, "cat", "dog")
    swapped = tag_ids_of(dataset, ids_of(["cat", "dog"]), {"cat": "dog", "dog": "cat"})
    assert swapped == [id_of("dog"), id_of("cat")]


def test_a_renamed_class_is_matched_inexactly_too(tmp_path: Path) -> None:
    assert tag_ids_of(dataset_of(tmp_path, "cat"), ids_of(["Feline"]), {"cat": "feline"}) == [
        id_of("Feline")
    ]


def test_a_rename_in_another_unicode_form(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "caf\u00e9")
    assert tag_ids_of(dataset, ids_of(["bar"]), {" cafe\u0301": "bar"}) == [id_of("bar")]


def test_a_rename_of_an_unknown_class(tmp_path: Path) -> None:
    with ambiguous("rename", "bird", "cat"):
        tag_ids_of(dataset_of(tmp_path, "cat"), ids_of(["cat"]), {"cow": "x", "bird": "y"})


def test_a_rename_to_a_name_without_an_id(tmp_path: Path) -> None:
    with no_id_for("tag_ids", "cat"):
        tag_ids_of(dataset_of(tmp_path, "cat"), ids_of(["cat"]), {"cat": "feline"})


def test_all_names_without_an_id_are_reported_at_once(tmp_path: Path) -> None:
    names = [f"class {number:02}" for number in range(14)]
    dataset = dataset_of(tmp_path, *names, images=("a.jpg", "b.jpg"))
    with pytest.raises(ResolveError) as caught:
        tag_ids_of(dataset, ids_of(["class 00", "zebra"]))
    error = caught.value
    assert (error.option, error.value) == ("tag_ids", names[1:])
    assert error.choices == ("class 00", "zebra")
    assert mentions(error, *names, "zebra", 13, 26, "rename", "skip_unresolved")


def test_all_images_without_an_id_are_reported_at_once(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, "cat", images=("a.jpg", "b.jpg"))
    with no_id_for("image_ids", "a.jpg", "b.jpg"):
        rb.batches(dataset, tag_ids=ids_of(["cat"]), image_ids={})
