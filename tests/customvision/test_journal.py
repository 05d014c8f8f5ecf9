"""The journal file: who may use it, and what happens if it is damaged or cannot be written."""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import numpy as np
import pytest
from customvision import damage, soak_kills
from customvision.rehearsal import about, rehearsal, upload, write_dataset

import regionbatch as rb
from helpers import raises_mentioning
from regionbatch.customvision.fingerprints import FileFingerprint, UploadedImage
from regionbatch.customvision.journal import Journal
from regionbatch.local import LocalService, Settings
from regionbatch.sqlite_files import sqlite_uri

PROJECT = "p"


def test_a_journal_is_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, PROJECT) as first, Journal(path, PROJECT) as second:
        assert not path.exists(), "a journal is created at the first write"
        first.start_call("CreateTag")
        with raises_mentioning(rb.JournalError, path):
            second.start_call("CreateTag")
        with raises_mentioning(rb.JournalError, path):
            Journal(path, PROJECT)
    Journal(path, PROJECT).close()


def test_a_journal_is_locked_for_other_processes(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set", images=2))
    path = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, _), Journal(path, project) as journal:
        journal.start_call("CreateTag")
        arguments = [str(dataset.root), service.endpoint, service.key, project, str(path)]
        assert soak_kills.run_child(arguments) is None
        assert not service.calls


def test_a_journal_of_another_project_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite", PROJECT) as journal:
        journal.start_call("CreateTag")
    with raises_mentioning(rb.JournalError, "journal.sqlite"):
        Journal(tmp_path / "journal.sqlite", "x")
    Journal(tmp_path / "journal.sqlite", f" {PROJECT.upper()}").close()


@pytest.mark.parametrize("version", ["3", "5"])
def test_a_journal_of_another_schema_is_refused(tmp_path: Path, version: str) -> None:
    path = tmp_path / "journal.sqlite"
    folder = write_dataset(tmp_path / "set", images=1)
    with rehearsal() as (_, project, client):
        upload(rb.read(folder), client, project, journal=path)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE upload SET value = ? WHERE key = 'format'", [version])
        with raises_mentioning(rb.JournalError, "format") as caught:
            upload(rb.read(folder), client, project, journal=path)
        assert about(caught.value) == (str(path), "journal", version)


def test_a_journal_on_a_read_only_disk_can_be_read(tmp_path: Path) -> None:
    """The journal of a killed run, with its log next to it, can be read too."""
    path = tmp_path / "journal.sqlite"
    with Journal(path, PROJECT) as journal:
        journal.start_call("CreateTag")
        for name in (path, tmp_path / "journal.sqlite-wal"):
            (tmp_path / f"killed-{name.name}").write_bytes(name.read_bytes())
        with raises_mentioning(rb.JournalError, path):
            Journal(path, PROJECT, read_only=True)
    for one in (path, tmp_path / "killed-journal.sqlite"):
        with Journal(one, PROJECT, read_only=True) as journal:
            assert journal.seconds_since_unfinished_call() is not None
            with raises_mentioning(rb.JournalError, one):
                journal.start_call("CreateTag")
        with raises_mentioning(rb.JournalError, one):
            Journal(one, "x", read_only=True)
    with Journal(tmp_path / "nowhere.sqlite", PROJECT, read_only=True) as journal:
        assert journal.images() == {}
    assert not (tmp_path / "nowhere.sqlite").exists()


@pytest.mark.parametrize(
    "content",
    [b"no database, but long enough to be looked at" * 10, b"SQLite format 3\0" + b"x" * 90],
)
def test_a_file_that_is_not_a_journal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(content)
    with raises_mentioning(rb.JournalError, path):
        Journal(path, PROJECT)
    assert path.read_bytes() == content


def test_another_database_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE images (theirs TEXT)")
    db.close()
    content = path.read_bytes()
    with raises_mentioning(rb.JournalError, path):
        Journal(path, PROJECT)
    assert path.read_bytes() == content


def test_a_journal_in_a_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "journal.sqlite"
    with pytest.raises(rb.JournalError) as caught:
        Journal(path, PROJECT)
    assert about(caught.value) == (str(path), "journal", None)


def test_a_read_only_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(tmp_path / "journal.sqlite", PROJECT).close()
    monkeypatch.setattr(os, "access", lambda *_arguments: False)  # as on a read-only disk
    with pytest.raises(rb.JournalError) as caught:
        Journal(tmp_path / "journal.sqlite", PROJECT)
    assert about(caught.value) == (str(tmp_path / "journal.sqlite"), "journal", None)
    Journal(tmp_path / "journal.sqlite", PROJECT, read_only=True).close()


def test_a_damaged_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, PROJECT) as journal:
        journal.start_call("CreateTag")
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(len(content) - 100))
    with pytest.raises(rb.JournalError) as caught:
        Journal(path, PROJECT)
    assert about(caught.value)[:2] == (str(path), "journal")


VALUES = [
    ("images", "name", "x'ff'"),
    ("images", "name", "'a'"),
    ("images", "id", "NULL"),
    ("images", "id", "x'00'"),
    ("images", "size", "'many'"),
    ("images", "digest", "'text'"),
    ("calls", "outcomes", "'text'"),
    ("calls", "regions", "NULL"),
    ("calls", "regions", "x'00'"),
    ("calls", "outcomes", "x'0101'"),
    ("calls", "sent", "'now'"),
    ("upload", "value", "NULL"),
    ("upload", "value", "x'00'"),
]


@pytest.mark.parametrize(("table", "column", "value"), VALUES)
@pytest.mark.parametrize("read_only", [False, True])
def test_an_invalid_value_in_the_journal(
    tmp_path: Path, table: str, column: str, value: str, read_only: bool
) -> None:
    """Tables that an older SQLite creates are not strict and accept it."""
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
        for table, column, value in [
            ("images", "name", "'a'"),
            ("calls", "regions", "'a'"),
            ("calls", "sent", "'now'"),
        ]:
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(f"UPDATE {table} SET {column} = {value}")


def test_journals_with_random_damage(tmp_path: Path) -> None:
    """A sample; `damage.py` runs it 1,000 times."""
    for seed in range(150):
        damage.damaged(tmp_path, seed)


def test_an_upload_with_a_damaged_journal(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set", images=3))
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
def test_a_file_of_a_few_bytes_is_not_overwritten(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "journal.sqlite"
    for content in (b"\n", b"SQLite format 3", b"x" * 511):
        path.write_bytes(content)
        with raises_mentioning(rb.JournalError, path):
            Journal(path, PROJECT, read_only=read_only)
        assert path.read_bytes() == content
    path.write_bytes(b"")
    Journal(path, PROJECT, read_only=read_only).close()


@pytest.mark.parametrize("pragma", ["user_version = 7", "application_id = 7", "auto_vacuum = 1"])
def test_another_database_without_tables_is_not_overwritten(tmp_path: Path, pragma: str) -> None:
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
def test_a_journal_whose_first_transaction_was_killed(tmp_path: Path) -> None:
    """SQLite rolls it back when the file is opened, and nothing is left of it."""
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA application_id = 7")
    records, nonce, pages, sector, page_size = 0, 1, 0, 512, 4096
    header = bytes.fromhex("d9d505f920a163d7")
    header += struct.pack(">5I", records, nonce, pages, sector, page_size)
    Path(f"{path}-journal").write_bytes(header.ljust(sector, b"\0"))
    project = "e0a29092-7004-5bd9-a6e7-11e882b8adb1"
    with Journal(path, project) as journal:
        journal.start_call("CreateTag")
    with Journal(path, project) as journal:
        assert journal.seconds_since_unfinished_call() is not None


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
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
def test_the_uri_of_a_journal_has_no_host(path: PurePath, address: str) -> None:
    """SQLite refuses one: the name of a network share is part of the path."""
    assert sqlite_uri(path) == address


def test_a_journal_at_an_unusual_path(tmp_path: Path) -> None:
    (tmp_path / "a?b#c%20 ä").mkdir()
    path = tmp_path / "a?b#c%20 ä" / "journal.sqlite"
    with Journal(path, PROJECT) as journal:
        journal.add_images({})
    with Journal(f"/{path}", PROJECT, read_only=True) as journal:
        assert journal.images() == {}
    with raises_mentioning(rb.JournalError, path):
        Journal(path, PROJECT, read_only=True).start_call("CreateTag")


def test_a_full_disk_is_a_journal_error(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite", PROJECT) as journal:
        journal.add_images({})
        journal._db.execute("PRAGMA max_page_count = 8")
        with raises_mentioning(rb.JournalError, tmp_path / "journal.sqlite"):
            journal.start_call("CreateImageRegions", np.arange(100_000, dtype=np.uint64))
        journal.finish_call(journal.start_call("CreateTag"))
        assert journal.seconds_since_unfinished_call() is None, (
            "the call that did not fit is rolled back"
        )


def test_the_journal_does_not_contain_the_key(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set", images=3))
    secret = "SECRET-0123456789abcdef"
    with rehearsal(Settings(key=secret)) as (service, project, client):
        upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        assert service.key == secret
    for path in tmp_path.glob("journal*"):
        assert secret.encode() not in path.read_bytes()


def test_regions_and_outcomes_are_read_as_they_were_written(tmp_path: Path) -> None:
    images = {
        "a/ä.jpg": UploadedImage("1", FileFingerprint(3, 2**62, 4, 2**63 - 1, b"\0d")),
        "b.jpg": UploadedImage("2", FileFingerprint(0, 1, 1, 0, b"")),
    }
    path = tmp_path / "journal.sqlite"
    with Journal(path, PROJECT) as journal:
        journal.add_images(images)
        hashes = np.array([5, 7, 2**64 - 1], np.uint64)
        number = journal.start_call("CreateImageRegions", hashes)
        assert journal.start_call("CreateImageRegions", hashes, number) == number
        journal.finish_call(number, np.array([1, 2, 4], np.int8))
        journal.finish_call(journal.start_call("CreateTag"))
        assert journal.seconds_since_unfinished_call() is None
        journal.start_call("CreateImageRegions", hashes[:1])
    with Journal(path, PROJECT) as journal:
        assert journal.images() == images
        assert [(sent.tolist(), of.tolist()) for sent, of in journal.outcomes()] == [
            ([5, 7, 2**64 - 1], [1, 2, 4])
        ]
        age = journal.seconds_since_unfinished_call()
        assert age is not None
        assert 0 <= age < 60
        journal.start_run("a set", {})
        assert journal.seconds_since_unfinished_call() is None


def test_the_newest_unfinished_call_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path / "journal.sqlite", PROJECT) as journal:
        now = time.time()
        for seconds in (0, 500):
            monkeypatch.setattr(time, "time", lambda seconds=seconds: now + seconds)
            journal.start_call("CreateTag")
        assert journal.seconds_since_unfinished_call() == 0
