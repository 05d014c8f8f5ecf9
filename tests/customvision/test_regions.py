"""Regions that the service refuses, loses or leaves out: each has an outcome and a place."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from customvision.rehearsal import (
    SENDING,
    Clock,
    assert_exact,
    delete_images,
    refuse_boxes,
    rehearsal,
    send_small_batches,
    upload,
    write_dataset,
)

import regionbatch as rb
from helpers import id_of, mentions
from regionbatch.customvision import rate_limiter
from regionbatch.local import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("count", [1, 3, 22])
def test_a_refused_batch_is_split_until_the_bad_regions_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=4, boxes=50))
    lefts = dataset.regions.box[:, 0]
    assert len(np.unique(lefts)) == 150
    rows = sorted(random.Random(count).sample(range(150), count))
    with rehearsal() as (service, project, client):
        sizes = refuse_boxes(client, set(lefts[rows].tolist()), monkeypatch)
        result = upload(dataset, client, project)
        assert (result.created, result.failed) == (150 - count, count)
        failed = [finding for finding in result.findings if finding.code == "region_failed"]
        assert [finding.where for finding in failed] == [row + 1 for row in rows], (
            "each finding names its annotation"
        )
        assert mentions(failed[0].value, "BadRequestImageRegions", "bad")
        assert len(service.regions(project)) == 150 - count
        assert result.verification is not None
        assert result.verification.missing == count == result.lost
        assert len(sizes) <= 4 + 14 * count


@pytest.mark.parametrize(("boxes", "ends"), [(20, True), (5, True), (4, False)])
def test_a_service_that_refuses_everything_is_not_asked_about_every_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boxes: int, ends: bool
) -> None:
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path, images=3 if boxes < 9 else 9, boxes=boxes))
    with rehearsal() as (_, project, client):
        sizes = refuse_boxes(client, set(dataset.regions.box[:, 0].tolist()), monkeypatch)
        if ends:
            with pytest.raises(rb.ServiceError) as caught:
                upload(dataset, client, project, in_flight=1)
            assert (caught.value.status, caught.value.code, caught.value.service_message) == (
                400,
                "BadRequestImageRegions",
                "bad",
            )
            assert len(sizes) <= (3 + 2) * 15, "of 20 batches, in 15 calls each"
        else:
            result = upload(dataset, client, project)
            assert (result.failed, result.created) == (8, 0), "one batch is not decisive"


def test_refused_batches_are_halved_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds until a region is stored. Three halved batches are enough to give up."""
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path, images=5, boxes=20))
    under_way: list[int] = []
    at_once: set[int] = set()
    never = threading.Event()

    def refuse(_project: str, batch: Any) -> Any:
        if len(batch) < 8:
            under_way.append(len(batch))
            at_once.add(len(under_way))
            never.wait(0.01)  # time for another call to arrive
            under_way.pop()
        raise rb.ServiceError("a: b. C.", code="BadRequestImageRegions", status=400)

    with rehearsal() as (_, project, client):
        monkeypatch.setattr(client, "create_regions", refuse)
        with pytest.raises(rb.ServiceError):
            upload(dataset, client, project)
    assert at_once == {1}


def test_a_single_accepted_region_keeps_the_upload_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path, images=6, boxes=12))
    with rehearsal() as (_, project, client):
        refuse_boxes(client, set(dataset.regions.box[1:, 0].tolist()), monkeypatch)
        result = upload(dataset, client, project, in_flight=1)  # the first batch ends first
        assert (result.created, result.failed) == (1, 59)


def test_a_region_that_causes_a_server_error_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal() as (service, project, client):
        create, bad = client.create_regions, dataset.regions.box[7, 0]

        def create_regions(to: str, batch: Any) -> Any:
            if any(entry.left == bad for entry in batch):
                raise rb.TransportError(
                    "a: b. C.", code="ErrorUnknown", service_message="broken", status=500
                )
            return create(to, batch)

        monkeypatch.setattr(client, "create_regions", create_regions)
        result = upload(dataset, client, project)
        assert (result.created, result.failed, len(service.regions(project))) == (59, 1, 59)
        [failed] = [finding for finding in result.findings if finding.code == "region_failed"]
        assert (failed.where, mentions(failed.value, "ErrorUnknown", "broken")) == (8, True)


def test_a_service_that_refuses_to_look_up_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_dataset(tmp_path))
    with rehearsal() as (_, project, client):
        ids = {**upload(dataset, client, project).image_ids, "00003.png": id_of("nowhere")}

        def images_by_id(*_arguments: object) -> Any:
            raise rb.ServiceError("a: b. C.", code="BadRequestInvalidIds", status=400)

        monkeypatch.setattr(client, "images_by_id", images_by_id)
        result = upload(dataset, client, project, image_ids=ids)
        assert (result.failed, result.already) == (30, 300)


@pytest.mark.parametrize("unknown_ids", ["batch", "not-found", "entry"])
def test_an_image_that_is_deleted_while_regions_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown_ids: Any
) -> None:
    """The service may refuse to look up an unknown ID; the regions of other images are sent."""
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path, images=8, boxes=20))
    with rehearsal(Settings(unknown_ids=unknown_ids)) as (service, project, client):
        removed: list[str] = []

        def progress(what: str, done: int, _total: int) -> None:
            if what == SENDING and done and not removed:
                removed.append(client.untagged_images(project)[0].id)
                delete_images(client, project, removed)

        result = upload(dataset, client, project, progress=progress, in_flight=1)
        assert result.verification is not None
        assert (len(service.regions(project)), result.verification.missing) == (120, 20)
        assert result.created + result.failed == 140


def test_more_than_300_regions_on_an_image(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3, boxes=310))
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project)
        assert (result.created, result.exceeded, result.failed) == (600, 20, 0)
        assert result.findings.counts()["region_exceeded"] == 20
        assert result.findings.counts()["over_region_limit"] == 2
        assert len(service.regions(project)) == 600
        assert result.lost == 20
        assert result.calls["CreateImageRegions"] == -(-620 // 64)


def test_regions_that_the_service_ignores_are_looked_up_sent_again_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal(Settings(unknown_ids="entry")) as (service, project, client):
        create, bad = client.create_regions, dataset.regions.box[7, 0]

        def create_regions(to: str, batch: Any) -> Any:
            changed = [
                rb.batching.Entry(
                    id_of("x"), one.tag_id, *[one.left, one.top, one.width, one.height]
                )
                if one.left == bad
                else one
                for one in batch
            ]
            return create(to, rb.Batch.of(changed))

        monkeypatch.setattr(client, "create_regions", create_regions)
        result = upload(dataset, client, project)
        assert (result.created, result.failed) == (59, 1)
        [failed] = [finding for finding in result.findings if finding.code == "region_failed"]
        assert failed.where == 8
        assert mentions(failed.value, "Unconfirmed")
        assert len(service.regions(project)) == 59


def test_what_a_call_without_response_did_is_looked_up_after_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call goes on after its connection breaks: looking it up at once would find nothing."""
    dataset = rb.read(write_dataset(tmp_path, images=2))
    clock = Clock()
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):
        create, by_id = client.create_regions, client.images_by_id
        broken: list[float] = []
        unfinished: list[Any] = []

        def create_regions(to: str, batch: Any) -> Any:
            if broken:
                return create(to, batch)
            broken.append(clock.time)
            unfinished.append(batch)
            raise rb.TransportError("a: b. C.")

        def finish() -> None:
            while unfinished:
                create(project, unfinished.pop())

        def images_by_id(of: str, ids: Any) -> Any:
            if clock.time >= broken[0] + 4.5:
                finish()
            return by_id(of, ids)

        monkeypatch.setattr(client, "create_regions", create_regions)
        monkeypatch.setattr(client, "images_by_id", images_by_id)
        result = upload(dataset, client, project, rate_limiter=clock.rate_limiter())
        finish()
        assert_exact(dataset, result, service, project)
        assert result.created == 30


def test_losing_access_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_dataset(tmp_path))
    with rehearsal() as (service, project, client):
        create = client.create_regions

        def create_regions(to: str, batch: Any) -> Any:
            if service.calls["CreateImageRegions"] >= 2:
                raise rb.AccessError("CreateImageRegions: no. No.", status=403)
            return create(to, batch)

        monkeypatch.setattr(client, "create_regions", create_regions)
        with pytest.raises(rb.AccessError):
            upload(dataset, client, project, in_flight=1)
        monkeypatch.setattr(client, "create_regions", create)
        result = upload(dataset, client, project)
        assert (result.created, result.already) == (330 - 128, 128)


def test_a_service_that_stops_responding_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    with rehearsal() as (_, project, client):

        def no_response(*_arguments: object) -> Any:
            raise rb.TransportError("CreateImageRegions: no response. Run it again.")

        monkeypatch.setattr(client, "create_regions", no_response)
        monkeypatch.setattr(client, "images_by_id", no_response)
        with pytest.raises(rb.TransportError):
            upload(dataset, client, project)


@pytest.mark.parametrize("call", ["create_images", "create_regions"])
@pytest.mark.parametrize("status", [0, 503])
def test_writes_that_always_fail_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, status: int
) -> None:
    """Reading still works. No region is marked as failed, and the run can be resumed."""
    monkeypatch.setattr(rate_limiter, "MAX_CONSECUTIVE_FAILURES", 10)
    dataset = rb.read(write_dataset(tmp_path / "set"))
    with rehearsal() as (service, project, client):
        limiter = Clock().rate_limiter()

        def no_response(*_arguments: object) -> Any:
            raise rb.TransportError("a: b. C.", status=status)

        with monkeypatch.context() as patched:
            patched.setattr(client, call, no_response)
            with pytest.raises(rb.TransportError):
                upload(
                    dataset,
                    client,
                    project,
                    journal=tmp_path / "journal.sqlite",
                    rate_limiter=limiter,
                )
        assert limiter.calls.total() < 200
        result = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        assert_exact(dataset, result, service, project)
