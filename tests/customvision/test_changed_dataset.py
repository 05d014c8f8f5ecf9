"""Datasets and image files that change between two runs: reported, and only changes are sent."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from customvision.rehearsal import (
    Clock,
    delete_images,
    rehearsal,
    upload,
    write_dataset,
)

import regionbatch as rb
from helpers import raises_mentioning, write_json
from regionbatch.customvision.journal import Journal
from regionbatch.local import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def change_a_box(folder: Path) -> None:
    path = folder / "annotations.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"bbox": [', '"bbox": [1', 1), encoding="utf-8"
    )


def change_an_image(folder: Path) -> None:
    path = folder / "00001.png"
    path.write_bytes(path.read_bytes() + b"\0")


def swap_two_images(folder: Path) -> None:
    """Swap two image files of the same size."""
    one, other = folder / "00000.png", folder / "00001.png"
    content = other.read_bytes()
    other.write_bytes(one.read_bytes())
    one.write_bytes(content)


def change_a_class(folder: Path) -> None:
    path = folder / "annotations.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"cat"', '"cow"'), encoding="utf-8")


CHANGES = {
    "a box": (change_a_box, "dataset_changed", 1),
    "a class": (change_a_class, "dataset_changed", 20),
    "an image": (change_an_image, "image_changed", 30),
    "two images": (swap_two_images, "image_changed", 60),
}


@pytest.mark.parametrize(("change", "code", "extra"), CHANGES.values(), ids=CHANGES)
def test_a_changed_dataset_is_reported_and_the_upload_resumes(
    tmp_path: Path, change: Callable[[Path], None], code: str, extra: int
) -> None:
    """Only changes are sent. Regions that should not be there any more are reported."""
    folder = write_dataset(tmp_path / "set", images=3)
    for path in folder.glob("*.png"):
        path.write_bytes(path.read_bytes().ljust(500, b"\0"))
    with rehearsal(Settings(on_existing="twice")) as (_, project, client):
        upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        change(folder)
        dry = upload(
            rb.read(folder), client, project, journal=tmp_path / "journal.sqlite", dry_run=True
        )
        result = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        for one in (dry, result):
            assert one.findings.counts()[code] > 0
        assert result.verification is not None
        assert (
            result.verification.missing + result.verification.moved,
            result.verification.extra,
        ) == (0, extra)
        again = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        assert (again.sent, {"dataset_changed", "image_changed"} & {*again.findings.counts()}) == (
            0,
            set(),
        )


def test_a_journal_of_the_previous_version_is_resumed(tmp_path: Path) -> None:
    """The schema is the same, but image names were different, so the dataset seems changed."""
    path = tmp_path / "journal.sqlite"
    folder = write_dataset(tmp_path / "set", images=3)
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=path)
        with closing(sqlite3.connect(path)) as db, db:
            changed = db.execute(
                "UPDATE upload SET value = 'x' WHERE key NOT IN ('format', 'project')"
            ).rowcount
            assert changed == 1, "the fingerprint"
            assert db.execute("UPDATE images SET name = CAST('old/' || name AS BLOB)").rowcount == 3
        result = upload(rb.read(folder), client, project, journal=path)
        assert result.findings.counts()["dataset_changed"] == 1
        assert result.verification is not None
        assert result.verification.good
        assert result.created == 0
        again = upload(rb.read(folder), client, project, journal=path)
        assert (again.sent, "dataset_changed" in again.findings.counts()) == (0, False)


def test_a_changed_image_is_uploaded_again(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=3)
    with rehearsal() as (service, project, client):
        first = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        change_an_image(folder)
        result = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        assert [finding.place for finding in result.findings.first("image_changed")] == [
            "00001.png"
        ]
        assert (result.new_images, result.created, result.lost) == (1, 30, 30), (
            "the regions of the old image are still there"
        )
        assert result.image_ids["00001.png"] != first.image_ids["00001.png"]
        assert len(service.regions(project)) == 90


def test_another_image_of_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    """`cp -p` makes such a file: the time of its last change differs, so digests are compared."""
    folder = write_dataset(tmp_path / "set", images=3)
    one, other = folder / "00000.png", folder / "00001.png"
    for path in (one, other):
        path.write_bytes(path.read_bytes().ljust(500, b"\0"))
        os.utime(path, (1, 1))
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        swap_two_images(folder)
        for path in (one, other):
            os.utime(path, (1, 1))
        result = upload(
            rb.read(folder), client, project, journal=tmp_path / "journal.sqlite", dry_run=True
        )
        assert [one.place for one in result.findings.first("image_changed")] == [
            "00000.png",
            "00001.png",
        ]


def test_regions_of_replaced_and_removed_images_are_reported(tmp_path: Path) -> None:
    """They are reported until they are deleted in the project."""
    folder = write_dataset(tmp_path / "set", images=4)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        first = upload(rb.read(folder), client, project, journal=journal).image_ids
        change_an_image(folder)
        [changed] = rb.verify(rb.read(folder), client, project, journal=journal).findings.first(
            "image_changed"
        )
        assert (changed.place, changed.value) == ("00001.png", first["00001.png"])
        content = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
        content["images"] = [one for one in content["images"] if one["file_name"] != "00002.png"]
        left = {one["id"] for one in content["images"]}
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] in left]
        less = rb.read(write_json(folder / "annotations.json", content), only=["cat", "dog"])
        result = upload(less, client, project, journal=journal)
        again = upload(less, client, project, journal=journal)
        verification = rb.verify(
            less, client, project, journal=journal, rate_limiter=Clock().rate_limiter()
        )
        for found in (result.verification, again.verification, verification):
            assert found is not None
            assert (found.missing, found.moved, found.extra, found.elsewhere) == (
                0,
                0,
                30 + 30 + 10,
                0,
            )
            replaced = [
                (one.place, *one.value.split(": ")) for one in found.findings if ": " in one.value
            ]
            assert {(place, id_) for place, id_, _ in replaced} == {
                (name, first[name]) for name in ("00001.png", "00002.png")
            }
            tags = {region.split()[0] for _, _, region in replaced}
            assert tags == {"cat", "dog", "emu"}, "with a tag that the dataset does not have"
        assert again.lost == 70
        delete_images(client, project, [first["00001.png"], first["00002.png"]])
        assert upload(less, client, project, journal=journal).lost == 10


def test_a_changed_image_with_a_given_id_is_not_reported(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=3)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        ids = upload(rb.read(folder), client, project, journal=journal).image_ids
        change_an_image(folder)
        result = upload(rb.read(folder), client, project, journal=journal, image_ids=ids)
        assert (result.sent, "image_changed" in result.findings.counts()) == (0, False)


def test_another_dataset_with_the_same_names_is_not_confused_with_the_first(tmp_path: Path) -> None:
    """Its images are not on disk, so they may be other images than those that were uploaded."""
    journal = tmp_path / "journal.sqlite"
    one = rb.read(write_dataset(tmp_path / "one", images=3))
    folder = write_dataset(tmp_path / "two", images=3, seed=1)
    for path in folder.glob("*.png"):
        path.unlink()
    two = rb.read(folder)
    with rehearsal() as (service, project, client):
        upload(one, client, project, journal=journal)
        for _ in range(2):
            with raises_mentioning(rb.ResolveError, 60):
                upload(two, client, project, journal=journal)
        for _ in range(2):
            result = upload(two, client, project, journal=journal, skip_unresolved=True)
            assert (result.sent, result.already, len(service.regions(project))) == (0, 0, 60)
            assert not rb.verify(
                two, client, project, journal=journal, rate_limiter=Clock().rate_limiter()
            ).matched


def test_an_image_of_another_dataset_does_not_get_the_id_of_an_equal_one(tmp_path: Path) -> None:
    """Two images of the first dataset are one file; only one of them is the same in the second."""
    journal = tmp_path / "journal.sqlite"
    one = write_dataset(tmp_path / "one", images=3)
    (one / "00001.png").write_bytes((one / "00000.png").read_bytes())
    two = write_dataset(tmp_path / "two", images=3, seed=1)
    (two / "00000.png").write_bytes((one / "00000.png").read_bytes())
    (two / "00001.png").unlink()
    with rehearsal() as (service, project, client):
        ids = upload(rb.read(one), client, project, journal=journal).image_ids
        assert ids["00000.png"] == ids["00001.png"]
        for created in (30, 0):
            dataset = rb.read(two)
            result = upload(dataset, client, project, journal=journal, skip_unresolved=True)
            assert result.created == created
            assert result.batches.ledger.dropped == {"unresolved": 30}
        assert len(service.regions(project)) == 60 + 30


def test_a_dry_run_with_a_changed_dataset_leaves_the_journal_unchanged(tmp_path: Path) -> None:
    """A run that fails before its first write does too: the next run reports the change again."""
    folder = write_dataset(tmp_path / "set", images=3)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=journal)
        with sqlite3.connect(journal) as db:
            db.execute("UPDATE calls SET done = NULL WHERE number = 1")
        db.close()
        change_a_class(folder)
        content = journal.read_bytes()
        upload(rb.read(folder), client, project, journal=journal, dry_run=True)
        rb.verify(
            rb.read(folder), client, project, journal=journal, rate_limiter=Clock().rate_limiter()
        )
        assert (journal.read_bytes(), [*tmp_path.glob("journal*")]) == (content, [journal])
        with pytest.raises(rb.ResolveError):
            upload(rb.read(folder), client, project, journal=journal, create_tags=False)
        result = upload(rb.read(folder), client, project, journal=journal)
        assert result.findings.counts()["dataset_changed"] == 1
        with Journal(journal, project, read_only=True) as log:
            assert log.seconds_since_unfinished_call() is None


def test_a_file_with_only_a_new_time_is_unchanged(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=3)
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        os.utime(folder / "00000.png", (1, 1))
        (folder / "00001.png").unlink()
        again = upload(
            rb.read(folder), client, project.upper(), journal=tmp_path / "journal.sqlite"
        )
        assert (again.sent, again.already, again.new_images) == (0, 60, 0)


def test_a_changed_tag_name_is_noticed(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set", images=3))
    with rehearsal() as (_, project, client):
        upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        result = upload(
            dataset, client, project, journal=tmp_path / "journal.sqlite", rename={"cat": "lion"}
        )
        assert result.findings.counts()["dataset_changed"] == 1
        assert (result.created, result.already) == (20, 40)
