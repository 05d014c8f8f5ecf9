"""Runs that resume an earlier one: nothing is sent twice."""

from __future__ import annotations

import _thread
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from customvision import soak_kills
from customvision.rehearsal import (
    CHECKING,
    READING,
    SENDING,
    UPLOADING,
    WRITES,
    Clock,
    delete_images,
    expected_regions,
    rehearsal,
    stored_regions,
    upload,
    verification_counts,
    write_dataset,
)

import regionbatch as rb
from helpers import raises_mentioning
from regionbatch.customvision.journal import Journal
from regionbatch.local import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set"))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        first = upload(dataset, client, project, journal=journal)
        before = dict(service.calls)
        again = upload(dataset, client, project, journal=journal)
        assert [service.calls[name] - before[name] for name in WRITES] == [0, 0, 0]
        assert (again.sent, again.already, again.new_images) == (0, 330, 0)
        assert again.calls == again.plan.calls
        assert again.image_ids == first.image_ids
        assert verification_counts(again) == verification_counts(first)


def test_regions_in_the_journal_are_looked_up_if_a_listing_lacks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regions that the journal records as created are looked up before they are sent again."""
    dataset = rb.read(write_dataset(tmp_path / "set"))
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):
        first = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        listing = client.tagged_images
        is_stale = [True]

        def stale(project_id: str, **page: Any) -> Any:
            images = listing(project_id, **page)
            for image in images[:2] if is_stale else []:
                image.regions = (image.regions or [])[1:]
            return images

        monkeypatch.setattr(client, "tagged_images", stale)

        def progress(what: str, _done: int, _total: int) -> None:
            if what == READING:
                is_stale.clear()

        again = upload(
            dataset, client, project, journal=tmp_path / "journal.sqlite", progress=progress
        )
        assert (again.sent, again.already, again.plan.regions, again.plan.already) == (
            0,
            330,
            0,
            330,
        )
        assert again.calls["GetImagesByIds"] == 1
        assert again.calls == again.plan.calls
        assert stored_regions(service, project) == expected_regions(dataset, first)


def test_an_unlisted_image_is_not_uploaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set"))
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):
        first = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        listing = client.tagged_images
        monkeypatch.setattr(
            client, "tagged_images", lambda *given, **page: listing(*given, **page)[1:]
        )
        again = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        assert (again.sent, again.already, again.lost) == (0, 330, 0)
        assert stored_regions(service, project) == expected_regions(dataset, first)


def test_deleted_regions_and_images_are_uploaded_again(tmp_path: Path) -> None:
    """Both single regions and whole images are, even if the journal records them."""
    dataset = rb.read(write_dataset(tmp_path / "set"))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        first = upload(dataset, client, project, journal=journal)
        client.delete_regions(project, [row.region_id for row in service.regions(project)][:5])
        again = upload(dataset, client, project, journal=journal)
        assert (again.created, again.already, again.lost) == (5, 325, 0)
        assert again.calls == again.plan.calls
        for deleted in (["00003.png"], list(first.image_ids)):
            delete_images(client, project, [again.image_ids[name] for name in deleted])
            again = upload(dataset, client, project, journal=journal)
            assert (again.new_images, again.lost) == (len(deleted), 0)
            assert again.created == sum(region.image in deleted for region in dataset)
            assert stored_regions(service, project) == expected_regions(dataset, again)


def test_wrong_image_ids_can_be_corrected(tmp_path: Path) -> None:
    """After a run with swapped IDs, the same journal can be used with the right ones."""
    dataset = rb.read(write_dataset(tmp_path / "set", images=3))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        right = dict(upload(dataset, client, project).image_ids)
        client.delete_regions(project, [row.region_id for row in service.regions(project)])
        wrong = {**right, "00000.png": right["00001.png"], "00001.png": right["00000.png"]}
        upload(dataset, client, project, journal=journal, image_ids=wrong)
        result = upload(dataset, client, project, journal=journal, image_ids=right)
        assert result.verification is not None
        assert (result.created, result.verification.missing, result.verification.extra) == (
            60,
            0,
            60,
        )


def test_an_unused_journal_can_be_used_for_other_options(tmp_path: Path) -> None:
    """A run that failed before its first write does not fix the options."""
    dataset = rb.read(write_dataset(tmp_path / "set", images=3))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        with pytest.raises(rb.ResolveError) as caught:
            upload(dataset, client, project, journal=journal, create_tags=False)
        assert caught.value.option == "create_tags"
        assert (
            upload(
                dataset, client, project, journal=journal, rename={"cat": "lion", "dog": "wolf"}
            ).lost
            == 0
        )
        again = upload(
            dataset, client, project, journal=journal, rename={"dog": "wolf", "cat": "lion"}
        )
        assert (again.sent, again.already) == (0, 60)


@pytest.mark.parametrize("operation", sorted(WRITES))
def test_a_full_disk_ends_the_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Nothing is sent that was not recorded, and no region is marked as failed."""
    dataset = rb.read(write_dataset(tmp_path / "set", boxes=100))
    before = Journal.start_call

    def full(self: Journal, name: str, *more: Any) -> int:
        if name == operation:
            with self._lock:
                self._db.execute("PRAGMA max_page_count = 1")
            more = (np.arange(100_000), *more[1:])
        return before(self, name, *more)

    with rehearsal() as (service, project, client):
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "start_call", full)
            with raises_mentioning(rb.JournalError, tmp_path / "journal.sqlite"):
                upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        assert not service.calls[operation]
        assert upload(dataset, client, project, journal=tmp_path / "journal.sqlite").lost == 0


def test_the_last_call_of_a_killed_run_has_time_to_finish(tmp_path: Path) -> None:
    """The service may still be working on it, so the project is read later."""
    dataset = rb.read(write_dataset(tmp_path / "set", images=2))
    path = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        upload(dataset, client, project, journal=path)
        with sqlite3.connect(path) as db:
            db.execute(
                "UPDATE calls SET done = NULL, outcomes = NULL, sent = sent + 1 WHERE number = 1"
            )
        db.close()
        clock = Clock()
        read_at: list[float] = []

        def progress(what: str, _done: int, _total: int) -> None:
            if what == READING:
                read_at.append(clock.time)

        start = clock.time
        upload(
            dataset,
            client,
            project,
            journal=path,
            rate_limiter=clock.rate_limiter(lookup_delay=60),
            progress=progress,
        )
        assert read_at[0] - start > 30
        start = clock.time
        upload(
            dataset, client, project, journal=path, rate_limiter=clock.rate_limiter(lookup_delay=60)
        )
        assert clock.time - start < 30, "only once"


@pytest.mark.parametrize("moment", [CHECKING, UPLOADING, SENDING])
def test_ctrl_c(tmp_path: Path, moment: str) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set", boxes=100))
    path = tmp_path / "journal.sqlite"
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):

        def progress(what: str, _done: int, _total: int) -> None:
            if what == moment:
                _thread.interrupt_main()

        with pytest.raises(KeyboardInterrupt):
            upload(dataset, client, project, journal=path, progress=progress)
        assert len(service.regions(project)) < len(dataset)
        result = upload(dataset, client, project, journal=path)
        assert stored_regions(service, project) == expected_regions(dataset, result)
        assert result.lost == 0
        if moment == SENDING:
            assert result.already > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kill_9(tmp_path: Path, seed: int) -> None:
    """A small sample; `soak.py kill` runs it 50 times and more."""
    folder = write_dataset(tmp_path, images=12, boxes=64)
    soak_kills.killed_once(rb.read(folder), folder, seed, 0.6)
