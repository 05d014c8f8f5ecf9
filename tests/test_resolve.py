"""Which tag ID a class gets: exact and inexact names, and renames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from helpers import id_of, ids_of, mentions, write_coco
from regionbatch.errors import ResolveError
from regionbatch.judging import raise_if_strict
from resolving import ambiguous, dataset_of, no_id_for, tag_ids_of

if TYPE_CHECKING:
    from pathlib import Path


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
    """It is not if the names differ only in what reading a class name normalises anyway."""
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
    "no rename": (("rbc", "RBC"), {}, ["rbc (1 box), RBC (1 box)"]),
    "one renamed to the other": (("rbc", "RBC"), {"rbc": "RBC"}, []),
    "one renamed": (("rbc", "RBC"), {"rbc": "cell"}, []),
    "both renamed": (
        ("rbc", "RBC"),
        {"rbc": "cell", "RBC": "Cell"},
        ["cell (1 box), Cell (1 box)"],
    ),
    "one renamed to itself": (("rbc", "RBC"), {"rbc": "rbc"}, []),
    "one of three renamed to another": (
        ("rbc", "RBC", "Rbc"),
        {"rbc": "RBC"},
        ["RBC (2 boxes), Rbc (1 box)"],
    ),
    "one of three renamed to itself": (
        ("rbc", "RBC", "Rbc"),
        {"rbc": "rbc"},
        ["RBC (1 box), Rbc (1 box)"],
    ),
    "renamed to a similar name": (("dog", "cat"), {"cat": "Dog"}, ["dog (1 box), Dog (1 box)"]),
    "another class renamed": (("rbc", "RBC", "cat"), {"cat": "dog"}, ["rbc (1 box), RBC (1 box)"]),
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


def test_a_tag_with_the_name_of_another_class_belongs_to_that_class(tmp_path: Path) -> None:
    """Two classes that differ only in case are two tags, even if the ID of one is missing."""
    dataset = dataset_of(tmp_path, "Cat", "cat", "dog")
    with no_id_for("tag_ids", "cat"):
        tag_ids_of(dataset, ids_of(["Cat", "dog"]))
    with no_id_for("tag_ids", "cat"):
        tag_ids_of(dataset, ids_of(["CAT", "Kitten"]), {"Cat": "Kitten", "dog": "CAT"})
    found = tag_ids_of(dataset, ids_of(["cat", "dog", "Kitten"]), {"Cat": "Kitten"})
    assert found == [id_of(name) for name in ("Kitten", "cat", "dog")]


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
