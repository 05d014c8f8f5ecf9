"""The journal: a run that is stopped or killed is gone on with, and nothing is sent twice."""

from __future__ import annotations

import _thread
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from customvision import damage, soak
from customvision.rehearsal import (
    LOOKING,
    READING,
    SENDING,
    UPLOADING,
    Clock,
    delete_images,
    expected,
    proof,
    rehearsal,
    stored,
    write_set,
)

import regionbatch as rb
from helpers import raises_mentioning, write_json
from regionbatch.customvision.journal import Journal, Stamp, Uploaded
from regionbatch.databases import address_of
from regionbatch.local import LocalService, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = "p"
WRITES = ("CreateTag", "CreateImagesFromFiles", "CreateImageRegions")


def upload(dataset: rb.Dataset, client: rb.TrainingClient, project: str, **options: Any) -> rb.UploadResult:
    return rb.upload(dataset, client, project, **{"create_tags": True, "pace": Clock().pace(), **options})


def test_a_second_run_sends_nothing_at_all(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path / "set"))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        first = upload(dataset, client, project, journal=journal)
        before = dict(service.calls)
        again = upload(dataset, client, project, journal=journal)
        assert [service.calls[name] - before[name] for name in WRITES] == [0, 0, 0]
        assert (again.sent, again.already, again.new_images) == (0, 330, 0)
        assert again.calls == again.plan.calls
        assert again.image_ids == first.image_ids
        assert proof(again) == proof(first)


def test_a_listing_that_is_behind_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the journal knows to be created is asked for by id before it is sent again."""
    dataset = rb.read(write_set(tmp_path / "set"))
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):
        first = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        listing = client.tagged_images
        behind = [True]

        def stale(project_id: str, **page: Any) -> Any:
            images = listing(project_id, **page)
            for image in images[:2] if behind else []:
                image.regions = (image.regions or [])[1:]
            return images

        monkeypatch.setattr(client, "tagged_images", stale)
        progress = lambda what, _done, _total: behind.clear() if what == READING else None  # noqa: E731
        again = upload(dataset, client, project, journal=tmp_path / "journal.sqlite", progress=progress)
        assert (again.sent, again.already, again.plan.regions, again.plan.already) == (0, 330, 0, 330)
        assert again.calls["GetImagesByIds"] == 1
        assert again.calls == again.plan.calls
        assert stored(service, project) == expected(dataset, first)


def test_an_image_that_is_in_no_listing_yet_is_not_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_set(tmp_path / "set"))
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):
        first = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        listing = client.tagged_images
        monkeypatch.setattr(client, "tagged_images", lambda *given, **page: listing(*given, **page)[1:])
        again = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        assert (again.sent, again.already, again.lost) == (0, 330, 0)
        assert stored(service, project) == expected(dataset, first)


def test_what_somebody_removed_goes_up_again(tmp_path: Path) -> None:
    """Regions, and images with theirs; the journal is no obstacle."""
    dataset = rb.read(write_set(tmp_path / "set"))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        first = upload(dataset, client, project, journal=journal)
        client.delete_regions(project, [row.region_id for row in service.regions(project)][:5])
        again = upload(dataset, client, project, journal=journal)
        assert (again.created, again.already, again.lost) == (5, 325, 0)
        assert again.calls == again.plan.calls
        for gone in (["00003.png"], list(first.image_ids)):
            delete_images(client, project, [again.image_ids[name] for name in gone])
            again = upload(dataset, client, project, journal=journal)
            assert (again.new_images, again.lost) == (len(gone), 0)
            assert again.created == sum(region.image in gone for region in dataset)
            assert stored(service, project) == expected(dataset, again)


def test_ids_that_were_wrong_are_made_good(tmp_path: Path) -> None:
    """The journal of a run with exchanged ids does not keep the regions from where they belong."""
    dataset = rb.read(write_set(tmp_path / "set", images=3))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        right = dict(upload(dataset, client, project).image_ids)
        client.delete_regions(project, [row.region_id for row in service.regions(project)])
        wrong = {**right, "00000.png": right["00001.png"], "00001.png": right["00000.png"]}
        upload(dataset, client, project, journal=journal, image_ids=wrong)
        result = upload(dataset, client, project, journal=journal, image_ids=right)
        assert result.verification is not None
        assert (result.created, result.verification.missing, result.verification.extra) == (60, 0, 60)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, PROJECT), raises_mentioning(rb.JournalError, path):
        Journal(path, PROJECT)
    Journal(path, PROJECT).close()


def test_one_run_at_a_time_also_from_another_process(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path / "set", images=2))
    path = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, _), Journal(path, project):
        arguments = [str(dataset.root), service.endpoint, service.key, project, str(path)]
        assert soak.run_child(arguments) is None
        assert not service.calls


def test_another_project_is_noticed(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite", PROJECT) as journal:
        journal.before("CreateTag")
    with raises_mentioning(rb.JournalError, "journal.sqlite"):
        Journal(tmp_path / "journal.sqlite", "x")
    Journal(tmp_path / "journal.sqlite", f" {PROJECT.upper()}").close()


def test_a_run_that_did_nothing_binds_nobody(tmp_path: Path) -> None:
    """It ends with advice; who follows it may use the journal."""
    dataset = rb.read(write_set(tmp_path / "set", images=3))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        with raises_mentioning(rb.ResolveError, "--map"):
            upload(dataset, client, project, journal=journal, create_tags=False)
        assert upload(dataset, client, project, journal=journal, rename={"cat": "lion", "dog": "wolf"}).lost == 0
        again = upload(dataset, client, project, journal=journal, rename={"dog": "wolf", "cat": "lion"})
        assert (again.sent, again.already) == (0, 60)


def change_a_box(folder: Path) -> None:
    path = folder / "annotations.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"bbox": [', '"bbox": [1', 1), encoding="utf-8")


def change_a_picture(folder: Path) -> None:
    path = folder / "00001.png"
    path.write_bytes(path.read_bytes() + b"\0")


def exchange_two_pictures(folder: Path) -> None:
    """Both files keep their length."""
    one, other = folder / "00000.png", folder / "00001.png"
    content = other.read_bytes()
    other.write_bytes(one.read_bytes())
    one.write_bytes(content)


def change_a_class(folder: Path) -> None:
    path = folder / "annotations.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"cat"', '"cow"'), encoding="utf-8")


CHANGES = {
    "a box": (change_a_box, "set_changed", 1),
    "a class": (change_a_class, "set_changed", 20),
    "a picture": (change_a_picture, "picture_changed", 30),
    "two pictures": (exchange_two_pictures, "picture_changed", 60),
}


@pytest.mark.parametrize(("change", "told", "extra"), CHANGES.values(), ids=CHANGES)
def test_a_changed_data_set_is_noticed_and_gone_on_with(
    tmp_path: Path, change: Callable[[Path], None], told: str, extra: int
) -> None:
    """Only what changed is sent; what is there and should not be is told."""
    folder = write_set(tmp_path / "set", images=3)
    for path in folder.glob("*.png"):
        path.write_bytes(path.read_bytes().ljust(500, b"\0"))
    with rehearsal(Settings(on_existing="twice")) as (_, project, client):
        upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        change(folder)
        dry = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite", dry_run=True)
        result = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        for one in (dry, result):
            assert one.findings.counts()[told] > 0
        assert result.verification is not None
        assert (result.verification.missing + result.verification.moved, result.verification.extra) == (0, extra)
        again = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        assert (again.sent, {"set_changed", "picture_changed"} & {*again.findings.counts()}) == (0, set())


def test_a_journal_of_the_previous_version_is_resumed(tmp_path: Path) -> None:
    """The schema is the same, but images were named in another way, so that the dataset seems another."""
    path = tmp_path / "journal.sqlite"
    folder = write_set(tmp_path / "set", images=3)
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=path)
        with closing(sqlite3.connect(path)) as db, db:
            changed = db.execute("UPDATE upload SET value = 'x' WHERE key NOT IN ('format', 'project')").rowcount
            assert changed == 1, "the fingerprint"
            assert db.execute("UPDATE images SET name = CAST('old/' || name AS BLOB)").rowcount == 3
        result = upload(rb.read(folder), client, project, journal=path)
        assert result.findings.counts()["set_changed"] == 1
        assert result.verification is not None
        assert result.verification.good
        assert result.created == 0
        again = upload(rb.read(folder), client, project, journal=path)
        assert (again.sent, "set_changed" in again.findings.counts()) == (0, False)


@pytest.mark.parametrize("version", ["2", "4"])
def test_a_journal_of_another_schema_is_refused(tmp_path: Path, version: str) -> None:
    path = tmp_path / "journal.sqlite"
    folder = write_set(tmp_path / "set", images=1)
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=path)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE upload SET value = ? WHERE key = 'format'", [version])
        with raises_mentioning(rb.JournalError, path, "format", "--journal"):
            upload(rb.read(folder), client, project, journal=path)


def test_a_changed_picture_goes_up_again(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", images=3)
    with rehearsal() as (service, project, client):
        first = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        change_a_picture(folder)
        result = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        assert [finding.place for finding in result.findings.first("picture_changed")] == ["00001.png"]
        assert (result.new_images, result.created, result.lost) == (1, 30, 30), "the old one's regions are still there"
        assert result.image_ids["00001.png"] != first.image_ids["00001.png"]
        assert len(service.regions(project)) == 90


def test_another_picture_of_the_same_length_and_time_is_noticed(tmp_path: Path) -> None:
    """As `cp -p` and `tar` leave it: what cannot be set tells, and then what is in it."""
    folder = write_set(tmp_path / "set", images=3)
    one, other = folder / "00000.png", folder / "00001.png"
    for path in (one, other):
        path.write_bytes(path.read_bytes().ljust(500, b"\0"))
        os.utime(path, (1, 1))
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        exchange_two_pictures(folder)
        for path in (one, other):
            os.utime(path, (1, 1))
        result = upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite", dry_run=True)
        assert [one.place for one in result.findings.first("picture_changed")] == ["00000.png", "00001.png"]


def test_what_is_left_of_an_earlier_state_is_told(tmp_path: Path) -> None:
    """Regions of a replaced picture, and of an image that is not in the dataset any more, until they are removed."""
    folder = write_set(tmp_path / "set", images=4)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        first = upload(rb.read(folder), client, project, journal=journal).image_ids
        change_a_picture(folder)
        [changed] = rb.verify(rb.read(folder), client, project, journal=journal).findings.first("picture_changed")
        assert (changed.place, changed.value) == ("00001.png", first["00001.png"])
        content = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
        content["images"] = [one for one in content["images"] if one["file_name"] != "00002.png"]
        left = {one["id"] for one in content["images"]}
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] in left]
        less = rb.read(write_json(folder / "annotations.json", content), only=["cat", "dog"])
        result = upload(less, client, project, journal=journal)
        again = upload(less, client, project, journal=journal)
        proof = rb.verify(less, client, project, journal=journal, pace=Clock().pace())
        for found in (result.verification, again.verification, proof):
            assert found is not None
            assert (found.missing, found.moved, found.extra, found.elsewhere) == (0, 0, 30 + 30 + 10, 0)
            told = [(one.place, *one.value.split(": ")) for one in found.findings if ": " in one.value]
            assert {(place, id_) for place, id_, _ in told} == {
                (name, first[name]) for name in ("00001.png", "00002.png")
            }
            tags = {region.split()[0] for _, _, region in told}
            assert tags == {"cat", "dog", "emu"}, "also one that the dataset does not have"
        assert again.lost == 70
        delete_images(client, project, [first["00001.png"], first["00002.png"]])
        assert upload(less, client, project, journal=journal).lost == 10


def test_a_picture_whose_id_is_given_is_no_change(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", images=3)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        ids = upload(rb.read(folder), client, project, journal=journal).image_ids
        change_a_picture(folder)
        result = upload(rb.read(folder), client, project, journal=journal, image_ids=ids)
        assert (result.sent, "picture_changed" in result.findings.counts()) == (0, False)


def test_another_data_set_with_the_same_names_is_not_taken_for_the_first(tmp_path: Path) -> None:
    """Its pictures are not on disk: nothing says that they are those which went up."""
    journal = tmp_path / "journal.sqlite"
    one = rb.read(write_set(tmp_path / "one", images=3))
    folder = write_set(tmp_path / "two", images=3, seed=1)
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
            assert not rb.verify(two, client, project, journal=journal, pace=Clock().pace()).matched


def test_looking_at_a_changed_data_set_changes_nothing(tmp_path: Path) -> None:
    """A dry run, and one that ends before its first write, leave the journal what it is: the change is told again."""
    folder = write_set(tmp_path / "set", images=3)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=journal)
        with sqlite3.connect(journal) as db:
            db.execute("UPDATE calls SET done = NULL WHERE number = 1")
        db.close()
        change_a_class(folder)
        content = journal.read_bytes()
        upload(rb.read(folder), client, project, journal=journal, dry_run=True)
        rb.verify(rb.read(folder), client, project, journal=journal, pace=Clock().pace())
        assert (journal.read_bytes(), [*tmp_path.glob("journal*")]) == (content, [journal])
        with raises_mentioning(rb.ResolveError, "--map"):
            upload(rb.read(folder), client, project, journal=journal, create_tags=False)
        result = upload(rb.read(folder), client, project, journal=journal)
        assert result.findings.counts()["set_changed"] == 1
        with Journal(journal, project, read_only=True) as log:
            assert log.unfinished() is None


def test_a_journal_is_read_where_it_cannot_be_written(tmp_path: Path) -> None:
    """Also one of a run that was killed, whose log lies beside it."""
    path = tmp_path / "journal.sqlite"
    with Journal(path, PROJECT) as journal:
        journal.before("CreateTag")
        for name in (path, tmp_path / "journal.sqlite-wal"):
            (tmp_path / f"killed-{name.name}").write_bytes(name.read_bytes())
        with raises_mentioning(rb.JournalError, path):
            Journal(path, PROJECT, read_only=True)
    for one in (path, tmp_path / "killed-journal.sqlite"):
        with Journal(one, PROJECT, read_only=True) as journal:
            assert journal.unfinished() is not None
            with raises_mentioning(rb.JournalError, one):
                journal.before("CreateTag")
        with raises_mentioning(rb.JournalError, one):
            Journal(one, "x", read_only=True)
    with Journal(tmp_path / "nowhere.sqlite", PROJECT, read_only=True) as journal:
        assert journal.images() == {}
    assert not (tmp_path / "nowhere.sqlite").exists()


def test_a_file_that_was_only_touched_is_no_change(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", images=3)
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=tmp_path / "journal.sqlite")
        os.utime(folder / "00000.png", (1, 1))
        (folder / "00001.png").unlink()
        again = upload(rb.read(folder), client, project.upper(), journal=tmp_path / "journal.sqlite")
        assert (again.sent, again.already, again.new_images) == (0, 60, 0)


def test_a_changed_name_of_a_class_in_the_project_is_noticed(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path / "set", images=3))
    with rehearsal() as (_, project, client):
        upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        result = upload(dataset, client, project, journal=tmp_path / "journal.sqlite", rename={"cat": "lion"})
        assert result.findings.counts()["set_changed"] == 1
        assert (result.created, result.already) == (20, 40)


@pytest.mark.parametrize(
    "content", [b"no database, but long enough to be looked at" * 10, b"SQLite format 3\0" + b"x" * 90]
)
def test_a_file_that_is_no_journal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(content)
    with raises_mentioning(rb.JournalError, path):
        Journal(path, PROJECT)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE images (theirs TEXT)")
    db.close()
    content = path.read_bytes()
    with raises_mentioning(rb.JournalError, path):
        Journal(path, PROJECT)
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with raises_mentioning(rb.JournalError, tmp_path / "nowhere" / "journal.sqlite", "--journal"):
        Journal(tmp_path / "nowhere" / "journal.sqlite", PROJECT)


def test_a_journal_that_can_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(tmp_path / "journal.sqlite", PROJECT).close()
    monkeypatch.setattr(os, "access", lambda *_arguments: False)  # as on a disk that can only be read
    with raises_mentioning(rb.JournalError, tmp_path / "journal.sqlite", "--journal"):
        Journal(tmp_path / "journal.sqlite", PROJECT)
    Journal(tmp_path / "journal.sqlite", PROJECT, read_only=True).close()


def test_a_damaged_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, PROJECT) as journal:
        journal.before("CreateTag")
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(len(content) - 100))
    with raises_mentioning(rb.JournalError, path, "--journal"):
        Journal(path, PROJECT)


VALUES = [
    ("images", "name", "x'ff'"),
    ("images", "name", "'a'"),
    ("images", "id", "NULL"),
    ("images", "id", "x'00'"),
    ("images", "size", "'many'"),
    ("images", "digest", "'text'"),
    ("calls", "outcomes", "'text'"),
    ("calls", "rows", "NULL"),
    ("calls", "rows", "x'00'"),
    ("calls", "outcomes", "x'0101'"),
    ("calls", "sent", "'now'"),
    ("upload", "value", "NULL"),
    ("upload", "value", "x'00'"),
]


@pytest.mark.parametrize(("table", "column", "value"), VALUES)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_value_that_no_upload_writes(tmp_path: Path, table: str, column: str, value: str, read_only: bool) -> None:
    """A table that is not strict takes it: those of an older SQLite, and of a journal that was made with one."""
    path = tmp_path / "journal.sqlite"
    damage.make(path, strict=False)
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}").rowcount
    with raises_mentioning(rb.JournalError, path):
        damage.use(path, read_only=read_only)


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="no strict tables")
def test_tables_are_strict(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    damage.make(path, strict=True)
    with closing(sqlite3.connect(path)) as db:
        for table, column, value in [("images", "name", "'a'"), ("calls", "rows", "'a'"), ("calls", "sent", "'now'")]:
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(f"UPDATE {table} SET {column} = {value}")


@pytest.mark.parametrize("seed", range(150))
def test_a_journal_that_is_damaged_anywhere(tmp_path: Path, seed: int) -> None:
    """A sample; `damage.py` does it a thousand times."""
    damage.damaged(tmp_path, seed)


def test_an_upload_with_a_damaged_journal(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path / "set", images=3))
    path = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        upload(dataset, client, project, journal=path)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE images SET name = x'ff' WHERE rowid = 1")
        for dry_run in (True, False):
            with raises_mentioning(rb.JournalError, path):
                upload(dataset, client, project, journal=path, dry_run=dry_run)
        with raises_mentioning(rb.JournalError, path):
            rb.verify(dataset, client, project, journal=path)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_of_a_few_bytes_is_not_taken_over(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "journal.sqlite"
    for content in (b"\n", b"SQLite format 3", b"x" * 511):
        path.write_bytes(content)
        with raises_mentioning(rb.JournalError, path):
            Journal(path, PROJECT, read_only=read_only)
        assert path.read_bytes() == content
    path.write_bytes(b"")
    Journal(path, PROJECT, read_only=read_only).close()


@pytest.mark.parametrize("pragma", ["user_version = 7", "application_id = 7", "auto_vacuum = 1"])
def test_a_database_of_somebody_without_tables_is_not_taken_over(tmp_path: Path, pragma: str) -> None:
    path = tmp_path / "theirs.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA {pragma}")
        db.execute("VACUUM")
    content = path.read_bytes()
    assert content
    for read_only in (False, True):
        with raises_mentioning(rb.JournalError, path):
            Journal(path, PROJECT, read_only=read_only)
    with pytest.raises(rb.OptionError):
        LocalService(database=path)
    assert path.read_bytes() == content


@pytest.mark.skipif(os.name != "posix", reason="a pipe with a name")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read_only in (False, True):
        with raises_mentioning(rb.JournalError, tmp_path / "pipe"):
            Journal(tmp_path / "pipe", PROJECT, read_only=read_only)


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (PureWindowsPath("C:/a b/ä.sqlite"), "file:///C:/a%20b/%C3%A4.sqlite"),
        (PureWindowsPath("//nas/share/a.sqlite"), "file:////nas/share/a.sqlite"),
        (PureWindowsPath("//?/C:/a.sqlite"), "file:////%3F/C:/a.sqlite"),
        (PurePosixPath("/a?b#c%20.sqlite"), "file:///a%3Fb%23c%2520.sqlite"),
        (PurePosixPath("//a.sqlite"), "file:////a.sqlite"),
    ],
)
def test_the_address_of_a_journal_has_no_host(path: PurePath, address: str) -> None:
    """SQLite refuses one: a share is part of the path."""
    assert address_of(path) == address


def test_a_journal_at_an_odd_path(tmp_path: Path) -> None:
    (tmp_path / "a?b#c%20 ä").mkdir()
    path = tmp_path / "a?b#c%20 ä" / "journal.sqlite"
    Journal(path, PROJECT).close()
    with Journal(f"/{path}", PROJECT, read_only=True) as journal:
        assert journal.images() == {}
    with raises_mentioning(rb.JournalError, path):
        Journal(path, PROJECT, read_only=True).before("CreateTag")


def test_a_full_disk_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite", PROJECT) as journal:
        journal._db.execute("PRAGMA max_page_count = 8")
        with raises_mentioning(rb.JournalError, tmp_path / "journal.sqlite"):
            journal.before("CreateImageRegions", np.arange(100_000))
        journal.after(journal.before("CreateTag"))
        assert journal.unfinished() is None, "what did not fit is taken back"


@pytest.mark.parametrize("operation", WRITES)
def test_a_full_disk_ends_the_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """It is no trouble of the service: nothing is sent that was not written down, and nothing is called failed."""
    dataset = rb.read(write_set(tmp_path / "set", boxes=100))
    before = Journal.before

    def full(self: Journal, name: str, *more: Any) -> int:
        if name == operation:
            with self._lock:  # or it would come between another thread's call and SQLite's word on how that went
                self._db.execute("PRAGMA max_page_count = 1")
            more = (np.arange(100_000), *more[1:])
        return before(self, name, *more)

    with rehearsal() as (service, project, client):
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "before", full)
            with raises_mentioning(rb.JournalError, tmp_path / "journal.sqlite"):
                upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        assert not service.calls[operation]
        assert upload(dataset, client, project, journal=tmp_path / "journal.sqlite").lost == 0


def test_no_key_is_in_it(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path / "set", images=3))
    secret = "SECRET-0123456789abcdef"
    with rehearsal(Settings(key=secret)) as (service, project, client):
        upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        assert service.key == secret
    for path in tmp_path.glob("journal*"):
        assert secret.encode() not in path.read_bytes()


def test_rows_and_outcomes_come_back(tmp_path: Path) -> None:
    images = {
        "a/ä.jpg": Uploaded("1", Stamp(3, 2**62, 4, 2**63 - 1, b"\0d")),
        "b.jpg": Uploaded("2", Stamp(0, 1, 1, 0, b"")),
    }
    path = tmp_path / "journal.sqlite"
    with Journal(path, PROJECT) as journal:
        journal.add_images(images)
        number = journal.before("CreateImageRegions", np.array([5, 7, 70_000]))
        assert journal.before("CreateImageRegions", np.array([5, 7, 70_000]), number) == number
        journal.after(number, np.array([1, 2, 4], np.int8))
        journal.after(journal.before("CreateTag"))
        assert journal.unfinished() is None
        journal.before("CreateImageRegions", np.array([8]))
    with Journal(path, PROJECT) as journal:
        assert journal.images() == images
        assert [(rows.tolist(), of.tolist()) for rows, of in journal.outcomes()] == [([5, 7, 70_000], [1, 2, 4])]
        age = journal.unfinished()
        assert age is not None
        assert 0 <= age < 60
        journal.begin("a set", {})
        assert journal.unfinished() is None


def test_a_call_of_a_killed_run_is_given_time_to_end(tmp_path: Path) -> None:
    """It may still be at work when the next run begins; only then the project is read."""
    dataset = rb.read(write_set(tmp_path / "set", images=2))
    path = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        upload(dataset, client, project, journal=path)
        with sqlite3.connect(path) as db:
            db.execute("UPDATE calls SET done = NULL, outcomes = NULL, sent = sent + 1 WHERE number = 1")
        db.close()
        clock = Clock()
        read_at: list[float] = []

        def progress(what: str, _done: int, _total: int) -> None:
            if what == READING:
                read_at.append(clock.time)

        begun = clock.time
        upload(dataset, client, project, journal=path, pace=clock.pace(settle=60), progress=progress)
        assert read_at[0] - begun > 30
        begun = clock.time
        upload(dataset, client, project, journal=path, pace=clock.pace(settle=60))
        assert clock.time - begun < 30, "once"


@pytest.mark.parametrize("moment", [LOOKING, UPLOADING, SENDING])
def test_ctrl_c(tmp_path: Path, moment: str) -> None:
    dataset = rb.read(write_set(tmp_path / "set", boxes=100))
    path = tmp_path / "journal.sqlite"
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):

        def progress(what: str, _done: int, _total: int) -> None:
            if what == moment:
                _thread.interrupt_main()

        with pytest.raises(KeyboardInterrupt):
            upload(dataset, client, project, journal=path, progress=progress)
        assert len(service.regions(project)) < len(dataset)
        result = upload(dataset, client, project, journal=path)
        assert stored(service, project) == expected(dataset, result)
        assert result.lost == 0
        if moment == SENDING:
            assert result.already > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kill_9(tmp_path: Path, seed: int) -> None:
    """A small sample; `soak.py kill` does it fifty times and more."""
    folder = write_set(tmp_path, images=24, boxes=64)
    soak.killed_once(rb.read(folder), folder, seed, 0.6)
