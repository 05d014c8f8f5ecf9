"""A project that is kept in step with a dataset, by a service that fails, lags or rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import (
    Clock,
    about,
    assert_exact,
    expected_counts,
    rehearsal,
    upload,
    verification_counts,
    write_dataset,
)
from customvision.test_in_step import delete_box, edit, move_box

import regionbatch as rb
from regionbatch.batching import Entry
from regionbatch.local import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("digits", [4, 5])
def test_a_region_that_the_service_takes_for_a_sent_one_is_not_deleted(
    tmp_path: Path, digits: int
) -> None:
    """Without a journal, all regions that were rounded look outdated."""
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal(Settings(stored_digits=digits)) as (service, project, client):
        upload(dataset, client, project)
        result = upload(dataset, client, project, prune=True, prune_limit="all")
        assert len(service.regions(project)) == len(dataset)
        assert verification_counts(result) == expected_counts(len(dataset))
        assert (result.created, result.deleted) == (0, 0)


def test_the_account_of_a_run_that_ends_while_it_deletes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dataset(tmp_path / "set", images=9)
    with rehearsal() as (service, project, client):
        upload(rb.read(folder), client, project)
        for _ in range(130):
            edit(folder, delete_box(0))
        dataset = rb.read(folder)
        delete = client.delete_regions
        calls: list[int] = []

        def delete_once(to: str, ids: Any) -> None:
            calls.append(len(ids))
            if len(calls) > 1:
                raise rb.AccessError("a: b. C.", status=401)
            delete(to, ids)

        monkeypatch.setattr(client, "delete_regions", delete_once)
        accounts: list[rb.UploadResult] = []
        options = {"prune": True, "prune_limit": "all", "unfinished": accounts.append}
        with pytest.raises(rb.AccessError):
            upload(dataset, client, project, **options)
        assert accounts[0].deleted == calls[0]
        assert len(service.regions(project)) == len(dataset) + 130 - calls[0]


def test_regions_that_somebody_else_deletes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service refuses their IDs, although reading still shows them."""
    folder = write_dataset(tmp_path / "set", images=3)
    clock = Clock()
    settings = Settings(read_lag=25.0)
    with rehearsal(settings, clock=clock.now) as (service, project, client):
        limiter = clock.rate_limiter()
        upload(rb.read(folder), client, project, rate_limiter=limiter)
        for _ in range(5):
            edit(folder, delete_box(0))
        dataset = rb.read(folder)
        delete = client.delete_regions

        def delete_one_before(to: str, ids: Any) -> None:
            monkeypatch.setattr(client, "delete_regions", delete)
            delete(to, ids[:1])
            delete(to, ids)

        monkeypatch.setattr(client, "delete_regions", delete_one_before)
        result = upload(dataset, client, project, prune=True, rate_limiter=limiter)
        assert len(service.regions(project)) == len(dataset)
        assert result.deleted == 5
        assert verification_counts(result) == expected_counts(len(dataset))


@pytest.mark.parametrize("distance", [0.05, 0.5])
def test_a_small_edit_that_is_undone(tmp_path: Path, distance: float) -> None:
    """The journal records both regions as stored, but the project has only the edited one."""
    folder = write_dataset(tmp_path / "set", images=3)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        upload(rb.read(folder), client, project, journal=journal)
        for moved in (distance, -distance):
            edit(folder, move_box(0, moved))
            dataset = rb.read(folder)
            result = upload(dataset, client, project, journal=journal, prune=True)
            assert (result.created, result.deleted) == (1, 1)
            assert_exact(dataset, result, service, project)


def test_a_region_that_somebody_changed_a_little_is_not_the_uploaded_one(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=3)
    journal = tmp_path / "journal.sqlite"
    dataset = rb.read(folder)
    with rehearsal() as (_, project, client):
        upload(dataset, client, project, journal=journal)
        image = client.tagged_images(project)[0]
        assert image.regions
        region = max(image.regions, key=lambda region: region.width)
        client.delete_regions(project, [region.region_id])
        box = (region.left, region.top, region.width * 0.98, region.height)
        entry = Entry(image.id, region.tag_id, *box)
        client.create_regions(project, rb.Batch.of([entry]))
        with pytest.raises(rb.OptionError) as caught:
            upload(dataset, client, project, journal=journal)
        assert about(caught.value) == ("", "existing", 1)
        limiter = Clock().rate_limiter()
        found = rb.verify(dataset, client, project, journal=journal, rate_limiter=limiter)
        assert (found.moved, found.missing, found.extra) == (1, 0, 0)


def test_deleted_regions_that_a_listing_still_shows_are_not_extra(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=3)
    journal = tmp_path / "journal.sqlite"
    clock = Clock()
    with rehearsal(Settings(listing_lag=30.0), clock=clock.now) as (service, project, client):
        limiter = clock.rate_limiter()
        upload(rb.read(folder), client, project, journal=journal, rate_limiter=limiter)
        clock.sleep(60.0)
        edit(folder, delete_box(0))
        dataset = rb.read(folder)
        assert upload(
            dataset, client, project, journal=journal, prune=True, rate_limiter=limiter
        ).deleted
        for prune in (True, False):
            again = upload(
                dataset, client, project, journal=journal, prune=prune, rate_limiter=limiter
            )
            assert (again.sent, again.deleted) == (0, 0)
            assert verification_counts(again) == expected_counts(len(dataset))
        found = rb.verify(dataset, client, project, journal=journal, rate_limiter=limiter)
        assert found.good
        assert len(service.regions(project)) == len(dataset)
